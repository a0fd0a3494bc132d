//! One folder for many environments: snapshots, patches, heads, receipts, foreign and broken files
//! on one USB stick, and each host and each command takes exactly its own.

mod desk;
mod host;

use std::fs;

use serde_json::Value;

use crate::world::{MP4, MP5, Outcome, Ran, Tested, World};

/// Three environments, one of which has a name that another begins with.
const NAMES: [&str; 3] = ["PROD", "PROD-EU", "TEST"];

const PREPARE: &str = "--desk desk --site site.spr --key keys/desk --source repository";

/// A stick with the first snapshots of three environments, and what else lies on sticks.
fn stick() -> Outcome<World> {
    let world = World::new()?;
    for name in NAMES {
        fs::create_dir(world.path(name))?;
        world.ok(&format!(
            "lockstep init --root {name} --name {name} --site site.spr --service none --output usb"
        ))?;
    }
    world.write("usb/holiday.txt", "not one of ours")?;
    world.write("usb/._PROD-0001.snapshot.spr", "what a Mac leaves behind")?;
    fs::create_dir(world.path("usb/archive.spr"))?;
    let mut foreign = b"PK\x03\x04".to_vec();
    foreign.resize(4_096, 7);
    fs::write(world.path("usb/spot.spr"), foreign)?;
    fs::copy(world.path("site.spr"), world.path("usb/site.spr"))?;
    Ok(world)
}

/// The same, with the first release installed everywhere and received; the stick is as it was left.
fn monthly() -> Outcome<World> {
    let world = stick()?;
    world.ok("lockstep enrol usb --desk desk")?;
    world.ok(&format!(
        "lockstep prepare usb --to {MP4} {PREPARE} --output usb"
    ))?;
    for name in NAMES {
        world.ok(&format!("lockstep apply usb --root {name} --receipt usb"))?;
    }
    world.ok("lockstep receive usb --desk desk")?;
    Ok(world)
}

/// Runs a line that must end with this code and say all of `words`, in words or on the screen.
fn says(world: &World, line: &str, code: i32, words: &[&str]) -> Outcome<Ran> {
    let ran = world.run(line)?;
    let all = format!("{}{}", ran.out, ran.err);
    if ran.code != code {
        return Err(format!("{line}\nexit code {}, not {code}\n{all}", ran.code).into());
    }
    match words.iter().find(|word| !all.contains(**word)) {
        Some(word) => Err(format!("{line}\ndoes not say {word:?}:\n{all}").into()),
        None => Ok(ran),
    }
}

fn json(world: &World, line: &str, code: i32) -> Outcome<Value> {
    let ran = says(world, &format!("{line} --json"), code, &[])?;
    Ok(serde_json::from_str(&ran.out)?)
}

/// The texts at `field` in a list of a document.
fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn one_stick_for_three_environments() -> Tested {
    let world = stick()?;
    let enrolled = json(&world, "lockstep enrol usb --desk desk", 0)?;
    assert_eq!(texts(&enrolled["done"], "environment"), NAMES);
    let passed_over = serde_json::json!({"foreign": 1, "site": 1});
    assert_eq!(enrolled["passed_over"], passed_over);

    for (month, release, jar) in [(1, MP4, "core 9.0"), (2, MP5, "core 9.1")] {
        let prepare = format!("lockstep prepare usb --to {release} {PREPARE} --output usb");
        let prepared = json(&world, &prepare, 0)?;
        let files: Vec<String> = NAMES
            .iter()
            .map(|name| format!("usb/{name}-{month:04}.patch.spr"))
            .collect();
        assert_eq!(texts(&prepared["done"], "file"), files);
        for (name, file) in NAMES.iter().zip(files) {
            let line = format!("lockstep apply usb --root {name}");
            let would = json(&world, &format!("{line} --dry-run"), 0)?;
            assert_eq!(would["file"], file.as_str());
            let applied = json(&world, &format!("{line} --receipt usb"), 0)?;
            assert_eq!(applied["file"], file.as_str());
            let core = world.path(name).join("lib/core.jar");
            assert_eq!(fs::read_to_string(core)?, jar, "{name}");
            // What was applied once is not taken again, and nobody else's is.
            let again = world.refused(
                name,
                &line,
                12,
                &["applied here already", "for environment"],
            )?;
            assert!(again.err.contains("already-applied"), "{}", again.err);
        }
        let received = json(&world, "lockstep receive usb --desk desk", 0)?;
        let confirmed: Vec<String> = texts(&received["done"], "confirms")
            .into_iter()
            .filter(|file| !file.is_empty())
            .collect();
        let files: Vec<String> = NAMES
            .iter()
            .map(|name| format!("{name}-{month:04}.patch.spr"))
            .collect();
        assert_eq!(confirmed, files);
    }
    let listed = json(&world, "lockstep environments --desk desk", 0)?;
    assert_eq!(texts(&listed["environments"], "name"), NAMES);
    let sums = serde_json::json!({
        "environments": 3, "nodes": 3, "silent": 0, "drifted": 0, "waiting": 0, "expired": 0
    });
    assert_eq!(listed["sums"], sums);
    Ok(())
}

/// Any file of the stick, under any other's name: names count for nothing.
#[test]
fn names_of_files_count_for_nothing() -> Tested {
    let world = monthly()?;
    world.ok(&format!(
        "lockstep prepare usb --to {MP5} {PREPARE} --output usb"
    ))?;
    world.ok("mkdir mixed; cp usb/PROD-0002.patch.spr mixed/TEST-0002.patch.spr; cp usb/TEST-0002.patch.spr mixed/PROD-EU-0002.patch.spr; cp usb/PROD-EU-0002.patch.spr mixed/PROD-0002.receipt.spr")?;
    for (name, file) in [
        ("PROD", "mixed/TEST-0002.patch.spr"),
        ("TEST", "mixed/PROD-EU-0002.patch.spr"),
        ("PROD-EU", "mixed/PROD-0002.receipt.spr"),
    ] {
        let applied = json(
            &world,
            &format!("lockstep apply mixed --root {name} --receipt mixed"),
            0,
        )?;
        assert_eq!(applied["file"], file);
        assert_eq!(
            fs::read_to_string(world.path(name).join("lib/core.jar"))?,
            "core 9.1"
        );
    }
    Ok(())
}

/// Outputs without a name take the default one, and never the place of what is there.
#[test]
fn default_names_and_names_that_are_taken() -> Tested {
    let world = World::new()?;
    fs::create_dir(world.path("PROD"))?;
    let own = "the customer's own";
    let rows = [
        (
            "lockstep init --root PROD --name PROD --site site.spr --service none",
            "PROD-0001.snapshot.spr",
        ),
        ("lockstep snapshot --root PROD", "PROD-0002.snapshot.spr"),
    ];
    let after = [
        (
            format!("lockstep prepare PROD-0002.snapshot.spr --to {MP4} {PREPARE}"),
            "PROD-0002.patch.spr",
        ),
        (
            format!("lockstep prepare PROD-0002.snapshot.spr --to {MP4} {PREPARE}"),
            "PROD-0002.head.spr",
        ),
        (
            "lockstep apply PROD-0002.patch.spr --root PROD".to_owned(),
            "PROD-0003.receipt.spr",
        ),
        (
            "lockstep receipt --root PROD".to_owned(),
            "PROD-0003.receipt.spr",
        ),
    ];
    let rows = rows.map(|(line, name)| (line.to_owned(), name));
    for (line, name) in rows.into_iter().chain(after) {
        if name == "PROD-0002.patch.spr" {
            world.ok("lockstep enrol PROD-0002.snapshot.spr --desk desk")?;
        }
        if world.path(name).exists() {
            fs::remove_file(world.path(name))?;
        }
        world.write(name, own)?;
        world.refused("PROD", &line, 2, &[name, "there already"])?;
        assert_eq!(fs::read_to_string(world.path(name))?, own, "{line}");
        fs::remove_file(world.path(name))?;
        if name.contains("patch") {
            continue;
        }
        world.ok(&line)?;
        assert_ne!(fs::read(world.path(name))?, own.as_bytes(), "{line}");
    }
    world.ok("mkdir files")?;
    let enrol = "lockstep enrol PROD-0002.snapshot.spr --output files --key keys/desk --desk";
    world.ok(&format!("{enrol} desk"))?;
    let taken = "files/PROD-0002.enrolment.spr";
    world.refused(".", &format!("{enrol} other"), 2, &[taken, "there already"])?;
    assert!(!world.path("other").exists(), "nothing was learned");
    Ok(())
}
