//! What is printed is one line where one is meant: names of files, reasons, operators and the last
//! words of a service come from others, and write no line of a result that is none.

use std::fs;

use lockstep::model::text::hidden;
use serde_json::{Value, json};

use crate::forge::Parts;
use crate::world::{MP4, MP5, Outcome, Ran, Tested, World};

/// What a hostile text tries to put at the beginning of a line.
const FORGED: &str = "FORGED";
/// A line break, the forged line, escapes of both kinds, and what turns or hides text.
const HOSTILE: &str = "x\nFORGED  refused    PROD: done\u{1b}[2J\u{9b}1A\u{85}\u{202e}\u{200b}";

/// Fields of a statement, each with what is put there.
type Fields<'a> = &'a [(&'a str, Value)];

/// Runs a line; what it prints must show the hostile text, as one line and escaped.
fn shown(world: &World, line: &str) -> Outcome<Ran> {
    let ran = world.run(line)?;
    let all = format!("{}{}", ran.out, ran.err);
    let told = |what: &str| format!("{line}\n{what}:\n{all}");
    if !all.contains("\\u{a}FORGED") {
        return Err(told("does not show the text that was made for it").into());
    }
    check(&all).map_err(|what| told(&what))?;
    let document = world.run(&format!("{line} --json"))?;
    check(&document.out).map_err(|what| told(&format!("{what}\n{}", document.out)))?;
    serde_json::from_str::<Value>(&document.out)?;
    Ok(ran)
}

fn check(printed: &str) -> Result<(), String> {
    if let Some(line) = printed
        .lines()
        .find(|line| line.trim_start().starts_with(FORGED))
    {
        return Err(format!("a line of its own: {line}"));
    }
    match printed.chars().find(|c| *c != '\n' && hidden(*c)) {
        Some(c) => Err(format!("prints {c:?} as it is")),
        None => Ok(()),
    }
}

/// A medium on which every file has such a name: what is taken, what is not, what is broken.
fn medium() -> Outcome<World> {
    let world = World::installed()?;
    world.init("TEST")?;
    world.prepare("usb/TEST.snapshot.spr", MP4, "usb/TEST.patch.spr")?;
    world.ok(&format!(
        "lockstep prepare --environment PROD --to {MP5} --desk desk --source repository --output usb/2.patch.spr"
    ))?;
    fs::create_dir(world.path("stick"))?;
    for (from, to) in [
        ("usb/2.patch.spr", "fits"),
        ("usb/PROD.patch.spr", "old patch"),
        ("usb/TEST.patch.spr", "other patch"),
        ("usb/TEST.snapshot.spr", "snapshot"),
        ("usb/TEST.snapshot.spr", "same snapshot"),
        ("usb/PROD.receipt.spr", "receipt"),
    ] {
        fs::copy(world.path(from), world.path(&named(to)))?;
    }
    let patch = fs::read(world.path("usb/PROD.receipt.spr"))?;
    fs::write(world.path(&named("cut")), &patch[..patch.len() / 2])?;
    Ok(world)
}

fn named(what: &str) -> String {
    format!("stick/{HOSTILE}{what}.spr")
}

#[test]
fn names_of_files_forge_no_lines() -> Tested {
    let world = medium()?;
    let prepare = format!("--to {MP5} --desk desk --source repository");
    world.ok("mkdir out out2")?;
    for line in [
        "lockstep apply stick --root PROD --dry-run",
        "lockstep apply stick --root TEST --dry-run",
        "lockstep enrol stick --desk other",
        "lockstep receive stick --desk desk",
        &format!("lockstep prepare stick {prepare} --output out"),
        "lockstep inspect stick/*fits.spr",
        "lockstep inspect stick/*cut.spr",
        "lockstep verify stick/*fits.spr --site site.spr",
        "lockstep verify stick/*cut.spr --site site.spr",
        "lockstep compare stick/*same*.spr stick/*receipt.spr",
        "lockstep snapshot --root PROD --output \"$(echo stick/*fits.spr)2\"",
    ] {
        shown(&world, line)?;
    }
    // Receipts that are handed out where such a name was given.
    let place = format!("new/{HOSTILE}");
    world.ok("mkdir new")?;
    fs::create_dir(world.path(&place))?;
    shown(&world, "lockstep receipt --all --root PROD --output new/*")?;
    world.ok("cp -a PROD P2 && rm -r PROD && mv P2 PROD")?;
    let rehome = "lockstep rehome --copy --name NEW --root PROD --environment PROD --reason x --receipt new/*";
    let ran = world.ok(rehome)?;
    check(&ran.out).map_err(|what| format!("{what}:\n{}", ran.out))?;
    Ok(())
}

/// A name that is not text stops neither the command nor its document.
#[test]
fn a_name_that_is_not_text_costs_no_document() -> Tested {
    let world = World::installed()?;
    world.ok("mkdir stick; cp usb/PROD.patch.spr \"$(printf 'stick/a\\377b.spr')\"")?;
    let ran = world.run("lockstep inspect stick/*.spr --json")?;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let document: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(document["file"], "stick/a\u{fffd}b.spr");
    let ran = world.run("lockstep apply stick --root PROD --json")?;
    assert_eq!(ran.code, 12, "{}{}", ran.out, ran.err);
    serde_json::from_str::<Value>(&ran.out)?;
    // Whatever is handed out under such a name is done once it is done, and the document says so.
    world.ok("lockstep site renew --from site.spr --key keys/owner --output site2.spr")?;
    let prepare =
        format!("lockstep prepare --environment PROD --to {MP5} --desk desk --source repository");
    let desk = "lockstep enrol usb/PROD.receipt.spr --desk desk --key keys/desk";
    for (line, field, option) in [
        (&*prepare, "file", "output"),
        (desk, "output", "output"),
        ("lockstep snapshot --root PROD", "file", "output"),
        ("lockstep receipt --root PROD", "file", "output"),
        (
            "lockstep apply usb/2.patch.spr --root PROD",
            "receipt",
            "receipt",
        ),
        (
            "lockstep rollback --root PROD --environment PROD",
            "receipt",
            "receipt",
        ),
        ("lockstep trust site2.spr --root PROD", "receipt", "receipt"),
        (
            "lockstep rehome --copy --name NEW --root PROD --environment PROD --reason x",
            "receipt",
            "receipt",
        ),
    ] {
        let name = "\"$(printf 'out/a\\377b.spr')\"";
        world.ok("rm -rf out && mkdir out")?;
        let ran = world.ok(&format!("{line} --json --{option} {name}"))?;
        let document: Value = serde_json::from_str(&ran.out)?;
        assert_eq!(document[field], "out/a\u{fffd}b.spr", "{line}");
        if line == prepare {
            world.ok("rm out/*.head.spr && cp out/*.spr usb/2.patch.spr")?;
        }
    }
    world.ok("mkdir \"$(printf 'all\\377')\"")?;
    let ran = world.ok("lockstep receipt --all --root PROD --json --output all*")?;
    serde_json::from_str::<Value>(&ran.out)?;
    Ok(())
}

/// The same of folders: of an installation, a repository, keys; the demonstration refuses such a one.
#[test]
fn a_folder_that_is_not_text_costs_no_document() -> Tested {
    let world = World::new()?;
    let named = |name: &str| format!("\"$(printf '{name}\\377')\"");
    let (root, repository, keys) = (named("G"), named("r"), named("k"));
    world.ok(&format!("mkdir {root} && lockstep init --root {root} --name GC --site site.spr --service none --output usb/GC.snapshot.spr && lockstep enrol usb/GC.snapshot.spr --desk desk"))?;
    world.prepare("usb/GC.snapshot.spr", MP4, "usb/GC.patch.spr")?;
    world.ok(&format!(
        "lockstep apply usb/GC.patch.spr --root {root} --receipt usb/GC.receipt.spr"
    ))?;
    let places = format!("--repository {repository} --keys {keys}");
    let bytes = format!("--role root --bytes {}", named("b"));
    for (line, fields) in [
        (
            format!("gc --keep 1 --root {root}"),
            &["/mounts/0/mount"][..],
        ),
        (format!("publish init {places}"), &["/root", "/keys"]),
        (
            format!("publish rotate {places} --role timestamp"),
            &["/aside/0", "/brought/0"],
        ),
        (
            format!("publish sign --repository {repository} {bytes}"),
            &["/bytes"],
        ),
    ] {
        let ran = world.ok(&format!("lockstep {line} --json"))?;
        let document: Value = serde_json::from_str(&ran.out)?;
        for field in fields {
            let shown = document.pointer(field).and_then(Value::as_str);
            let shown = shown.ok_or_else(|| format!("{line}, {field}: {}", ran.out))?;
            assert!(shown.contains('\u{fffd}'), "{line}, {field}: {shown}");
        }
    }
    let demo = format!("lockstep demo --json --folder {}", named("d"));
    let ran = world.run(&demo)?;
    assert_eq!(ran.code, 2, "{}", ran.out);
    serde_json::from_str::<Value>(&ran.out)?;
    world.ok(&format!("test ! -e {}", named("d")))?;
    Ok(())
}

/// Texts inside of files, row by row: where, and what is put there.
#[test]
fn texts_of_files_forge_no_lines() -> Tested {
    let world = World::installed()?;
    let reason = json!([{"name": "downgrade", "reason": HOSTILE}]);
    let failure = json!({
        "ended": HOSTILE, "output": format!("{HOSTILE}\n{HOSTILE}"), "step": "start"
    });
    let receipt = "usb/PROD.receipt.spr";
    let rows: [(&str, &str, Fields<'_>); 4] = [
        (
            receipt,
            "PROD/.lockstep/key",
            &[("accepted", reason.clone())],
        ),
        (
            receipt,
            "PROD/.lockstep/key",
            &[("operator", json!(HOSTILE))],
        ),
        (
            receipt,
            "PROD/.lockstep/key",
            &[("action", json!("rolled-back")), ("failure", failure)],
        ),
        ("usb/PROD.patch.spr", "keys/desk", &[("accepted", reason)]),
    ];
    for (number, (from, key, fields)) in rows.into_iter().enumerate() {
        let mut parts = Parts::read(&world.path(from))?;
        for (field, value) in fields {
            parts.statement[*field] = value.clone();
        }
        let file = format!("usb/forged{number}.spr");
        parts.write_signed(&world.path(&file), &world.path(key))?;
        shown(&world, &format!("lockstep inspect {file}"))?;
        let ran = world.run(&format!("lockstep verify {file} --site site.spr"))?;
        check(&format!("{}{}", ran.out, ran.err))?;
    }
    Ok(())
}

/// The text of a conflict names a path, and a path may turn what stands behind it.
#[test]
fn a_path_in_the_way_turns_no_text() -> Tested {
    let world = World::new()?;
    let path = "lib/\u{202e}gpj.\u{200b}core";
    world.component("core/9.4/core-9.4.0", &[(path, "core")], "")?;
    world.init("PROD")?;
    let to = "to:core/9.4/core-9.4.0.spr";
    world.prepare("usb/PROD.snapshot.spr", to, "usb/PROD.patch.spr")?;
    fs::create_dir_all(world.path("PROD/lib"))?;
    world.write(&format!("PROD/{path}"), "the customer's own")?;
    let line = "lockstep apply usb/PROD.patch.spr --root PROD";
    let ran = world.refused("PROD", line, 30, &["lib/\\u{202e}gpj.\\u{200b}core"])?;
    check(&ran.err)?;
    Ok(())
}
