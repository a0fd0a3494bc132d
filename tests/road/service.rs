//! How the product is stopped and started: said at `init` or refused, shown by `status`, mistakes
//! told with their line, and a unit of systemd that does not recover first.

use std::fs;
use std::path::Path;

use crate::exact::{as_root, needed_tool};
use crate::world::{Outcome, Tested, World};

const INIT: &str = "lockstep init --root PROD --name PROD --site site.spr";
const TABLES: &str = r#"# Written by the administrator.
[service.stop]
command = ["bin/ctl", "stop", "the product"]
seconds = 120
[service.start]
command = ["bin/ctl", "start"]
seconds = 300
[service.health]
command = ["bin/ctl", "health"]
seconds = 30
"#;

/// A world with an empty folder for PROD and the tables in a file.
fn world() -> Outcome<World> {
    let world = World::new()?;
    fs::create_dir(world.path("PROD"))?;
    world.write("service.toml", TABLES)?;
    Ok(world)
}

/// The same, with the environment made.
fn made() -> Outcome<World> {
    let world = world()?;
    world.ok(&format!("{INIT} --service service.toml --output usb"))?;
    Ok(world)
}

fn has(text: &str, words: &[&str]) -> Tested {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is not in:\n{text}").into()),
    }
}

#[test]
fn init_must_be_told_and_shows_both_lines() -> Tested {
    let world = world()?;
    let line = format!("{INIT} --node n1 --adopt --output usb/first.spr");
    let refused = world.refused("PROD", &line, 2, &["by hand", "by commands", "init --help"])?;
    for (label, service) in [("by hand", "none"), ("by commands", "service.toml")] {
        let typed = refused
            .err
            .lines()
            .find_map(|line| line.trim().strip_prefix(label))
            .ok_or("the line is not there")?
            .replace("FILE.toml", "service.toml");
        has(&typed, &[service, "--node n1", "--adopt", "usb/first.spr"])?;
        world.ok(&format!("{typed} && rm -r PROD/.lockstep usb/first.spr"))?;
    }
    has(
        &world.ok("lockstep init --help")?.out,
        &["none|FILE.toml", "[service.stop]", "[service.health]"],
    )
}

#[test]
fn the_commands_become_part_of_the_rules() -> Tested {
    let world = world()?;
    let told = world.ok(&format!("{INIT} --service service.toml --output usb"))?;
    let lines = [
        "  service    stop: bin/ctl stop 'the product' (at most 120 s)\n",
        "  service    start: bin/ctl start (at most 300 s)\n",
        "  service    health: bin/ctl health (at most 30 s)\n",
    ];
    has(&told.out, &lines)?;
    let root = world.path("PROD").canonicalize()?;
    let program = world.path("bin/lockstep").canonicalize()?;
    let unit = format!(
        "ExecStartPre={} recover --before-start --root {}\n",
        program.display(),
        root.display()
    );
    has(&told.out, &["[Service]\n", &unit])?;
    has(&world.ok("lockstep status --root PROD")?.out, &lines)?;
    let rules = fs::read_to_string(world.path("PROD/.lockstep/node.toml"))?;
    has(&rules, &["private = [", TABLES])?;
    let environment = fs::read_to_string(world.path("PROD/.lockstep/environment.json"))?;
    has(&environment, &["\"service_none\":false"])
}

/// The file of the documentation's page, as it stands there.
#[test]
fn the_page_shows_a_file_that_is_taken() -> Tested {
    let world = world()?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/service.md");
    let page = fs::read_to_string(page)?;
    let (_, rest) = page.split_once("```toml\n").ok_or("the page has no file")?;
    let (file, _) = rest.split_once("```").ok_or("the file does not end")?;
    world.write("page.toml", file)?;
    let told = world.ok(&format!("{INIT} --service page.toml --output usb"))?;
    for step in ["running", "stop", "start", "health"] {
        has(&told.out, &[&format!("  service    {step}: ")])?;
    }
    Ok(())
}

#[test]
fn none_is_none() -> Tested {
    let world = world()?;
    let none = ["  service    none: stop and start the product by hand"];
    let told = world.ok(&format!("{INIT} --service none --output usb"))?;
    has(&told.out, &none)?;
    has(&world.ok("lockstep status --root PROD")?.out, &none)?;
    let environment = fs::read_to_string(world.path("PROD/.lockstep/environment.json"))?;
    has(&environment, &["\"service_none\":true"])?;
    // Commands that are written into the rules later count.
    world.ok("cat service.toml >> PROD/.lockstep/node.toml")?;
    let status = world.ok("lockstep status --root PROD")?.out;
    has(&status, &["  service    start: bin/ctl start"])
}

#[test]
fn a_mistake_in_the_file_makes_nothing() -> Tested {
    let world = world()?;
    let cut = TABLES.split("[service.start]").next().unwrap_or_default();
    let other = format!("ignore = [\"logs/**\"]\n{TABLES}");
    let named = format!("{TABLES}[service.restart]\ncommand = [\"x\"]\nseconds = 1\n");
    let zero = TABLES.replace("seconds = 300", "seconds = 0");
    let shell = TABLES.replace("[\"bin/ctl\", \"start\"]", "\"bin/ctl start\"");
    for (text, words) in [
        (cut, &["no [service.start]", "line 2"][..]),
        (&other, &["line 1 (ignore = [\"logs/**\"])", "service"]),
        (&named, &["restart", "line 11"]),
        (&zero, &["seconds is 0", "86400", "line 5"]),
        (
            &shell,
            &["sequence", "line 6 (command = \"bin/ctl start\")"],
        ),
        ("", &["service"]),
    ] {
        world.write("bad.toml", text)?;
        let line = format!("{INIT} --service bad.toml --output usb/first.spr");
        let refused = world.refused("PROD", &line, 2, words)?;
        has(&refused.err, &["bad.toml", "lockstep init --help"])?;
    }
    for no_file in ["gone.toml", "usb", "''"] {
        let line = format!("{INIT} --service {no_file} --output usb/first.spr");
        world.refused("PROD", &line, 2, &[])?;
    }
    assert!(!world.path("usb/first.spr").exists());
    Ok(())
}

#[test]
fn a_mistake_in_the_rules_is_told_with_its_line() -> Tested {
    let world = made()?;
    world.ok("sed -i 's/seconds = 300/seconds = 86401/' PROD/.lockstep/node.toml")?;
    let words = ["node.toml", "[service.start]", "86401", "86400"];
    let full = "lockstep snapshot --full --output usb/full.spr --root PROD";
    world.refused("PROD", full, 2, &words)?;
    unsaid(&world, &words)
}

/// Shown beside all the rest, and a fault for whoever checks.
fn unsaid(world: &World, words: &[&str]) -> Tested {
    let status = world.ok("lockstep status --root PROD")?.out;
    has(&status, words)?;
    has(&status, &["  service    ", "  drift      none"])?;
    let check = world.run("lockstep status --check --root PROD")?;
    assert_eq!(check.code, 2, "{}", check.out);
    Ok(())
}

/// Rules without the tables, where `init` was not told `none`: shown with both ways on, and the
/// second one is gone.
#[test]
fn rules_that_say_nothing_are_told() -> Tested {
    let world = made()?;
    world.ok("sed -i '/^.service.stop/,$d' PROD/.lockstep/node.toml")?;
    let words = [
        "nothing says how the product is stopped and started",
        "node.toml",
        "\"service_none\":true",
        "environment.json",
    ];
    has(&world.ok("lockstep status --root PROD")?.out, &words)?;
    world.ok(
        "sed -i 's/\"service_none\":false/\"service_none\":true/' PROD/.lockstep/environment.json",
    )?;
    let status = world.ok("lockstep status --check --root PROD")?.out;
    has(&status, &["  service    none: "])
}

/// On a machine as systemd makes it, which the test sees alone.
#[test]
fn a_unit_that_does_not_recover_is_missed() -> Tested {
    let world = made()?;
    if !as_root("a machine with systemd")?
        || !needed_tool(
            &world,
            "unshare --mount true",
            "unshare (package util-linux)",
        )?
    {
        return Ok(());
    }
    let warning = "  systemd    no unit recovers this root";
    let status = "lockstep status --root PROD";
    let booted = "mount -t tmpfs none /run && mkdir -p /run/systemd/system/step.service.d";
    let add = format!("{status} | sed -n '/\\[Service\\]/,/ExecStartPre/p' | sed 's/^ *//'");
    let unit = "/run/systemd/system/step.service.d/lockstep.conf";
    world.write(
        "booted.sh",
        &format!("set -e\n{booted}\n{status}\n{add} > {unit}\necho MENDED\n{status}\n"),
    )?;
    let told = world
        .ok("unshare --mount --propagation private sh booted.sh")?
        .out;
    let (before, after) = told
        .split_once("MENDED\n")
        .ok_or("the script ended early")?;
    has(before, &[warning, "[Service]\n", "ExecStartPre="])?;
    assert!(!after.contains("systemd"), "{after}");
    // A warning, and no fault.
    world.ok("unshare --mount --propagation private sh -c 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && lockstep status --check --root PROD'")?;
    Ok(())
}
