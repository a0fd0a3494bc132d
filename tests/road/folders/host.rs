//! `apply` with folders: the one that is taken, the reason of each that is not, and the name of the
//! refusal where none is.

use std::fs;

use super::{PREPARE, json, monthly, says, texts};
use crate::forge::Parts;
use crate::world::{MP5, Outcome, Tested, World};

/// Makes the file at `to` from the patch at `from` in one of the ways in which files go wrong.
fn make(world: &World, how: &str, from: &str, to: &str) -> Tested {
    let (from, to) = (world.path(from), world.path(to));
    let bytes = fs::read(&from)?;
    match how {
        "copy" => fs::write(to, bytes)?,
        "cut" => fs::write(to, &bytes[..bytes.len() - 700])?,
        "cut in its statement" => fs::write(to, &bytes[..700])?,
        "empty" => fs::write(to, b"")?,
        "for another node" => {
            let mut parts = Parts::read(&from)?;
            parts.statement["nodes"][0]["name"] = "other".into();
            parts.write(&to)?;
        }
        "edited" => {
            let mut parts = Parts::read(&from)?;
            parts.statement["created"] = "2030-01-01T00:00:00Z".into();
            parts.write(&to)?;
        }
        _ => return Err(format!("no way to make a file {how}").into()),
    }
    Ok(())
}

/// What lies in the folder (how each file is made, from what); the refusal's code, and its words.
type Row<'a> = (&'a [(&'a str, &'a str)], i32, &'a [&'a str]);

/// A world in which the next patch of PROD is out, and the old ones still lie on the stick.
fn next_month() -> Outcome<World> {
    let world = monthly()?;
    world.ok(&format!(
        "lockstep prepare --environment PROD --to {MP5} {PREPARE} --output usb"
    ))?;
    Ok(world)
}

#[test]
fn each_that_is_not_taken_is_told_why() -> Tested {
    let world = next_month()?;
    let own = "usb/PROD-0002.patch.spr";
    for (how, to) in [
        ("copy", "usb/again.patch.spr"),
        ("cut", "usb/cut.patch.spr"),
        ("cut in its statement", "usb/short.patch.spr"),
        ("empty", "usb/empty.patch.spr"),
        ("for another node", "usb/node.patch.spr"),
        ("edited", "usb/edited.patch.spr"),
    ] {
        make(&world, how, own, to)?;
    }
    let line = "lockstep apply usb --root PROD --dry-run";
    let told = says(&world, line, 0, &[])?.err;
    for words in [
        "taken      usb/PROD-0002.patch.spr\n",
        "copy       usb/again.patch.spr: another copy of the same patch\n",
        "not taken  usb/cut.patch.spr: the file is cut short\n",
        "not taken  usb/short.patch.spr: the file ends in the middle of ",
        "not taken  usb/empty.patch.spr: the file ends in the middle of ",
        "not taken  usb/node.patch.spr: for node other of this environment\n",
        "not taken  usb/edited.patch.spr: a signature of the patch is no good",
        "not taken  usb/PROD-0001.patch.spr: applied here already\n",
        "not taken  usb/PROD-0002.head.spr: the head of a patch, without its contents\n",
        "not taken  usb/PROD-EU-0001.patch.spr: for environment PROD-EU (",
        "not taken  usb/PROD-0001.snapshot.spr: not a patch: its kind is snapshot\n",
        "not taken  usb/TEST-0002.receipt.spr: not a patch: its kind is receipt\n",
        "not taken  usb/site.spr: not a patch: its kind is site\n",
        "not taken  usb/spot.spr: not a file of lockstep\n",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    assert!(!told.contains("holiday"), "{told}");
    let document = json(&world, line, 0)?;
    assert_eq!(document["file"], own);
    assert_eq!(document["dry_run"], true);
    // A copy is no file that was not taken.
    assert_eq!(
        document["copies"],
        serde_json::json!(["usb/again.patch.spr"])
    );
    let count = told.matches("not taken  ").count();
    assert_eq!(texts(&document["not_taken"], "reason").len(), count);
    // Named files that are patches are chosen from just the same.
    let line = "lockstep apply usb/*.patch.spr --root PROD --receipt usb";
    says(&world, line, 0, &["taken      usb/PROD-0002.patch.spr"])?;
    Ok(())
}

#[test]
fn the_refusal_has_the_name_of_the_nearest() -> Tested {
    let world = next_month()?;
    let own = "usb/PROD-0002.patch.spr";
    let rows: [Row; 9] = [
        (&[], 2, &["no patch lies there", "nothing"]),
        (
            &[
                ("copy", "usb/site.spr"),
                ("copy", "usb/TEST-0001.snapshot.spr"),
                ("copy", "usb/spot.spr"),
            ],
            2,
            &[
                "no patch lies there",
                "1 file that lockstep did not write",
                "1 site file",
                "1 snapshot",
            ],
        ),
        (
            &[
                ("copy", "usb/TEST-0001.patch.spr"),
                ("copy", "usb/site.spr"),
            ],
            10,
            &[
                "wrong-environment",
                "for environment TEST (",
                "this is",
                "PROD-NNNN.patch.spr",
            ],
        ),
        (
            &[
                ("copy", "usb/TEST-0001.patch.spr"),
                ("for another node", own),
            ],
            10,
            &[
                "wrong-environment",
                "for node other",
                "snapshot of this node",
            ],
        ),
        (
            &[("copy", "usb/TEST-0001.patch.spr"), ("empty", own)],
            37,
            &["incomplete", "copy the file again"],
        ),
        (
            &[
                ("copy", "usb/TEST-0001.patch.spr"),
                ("copy", "usb/PROD-0001.patch.spr"),
            ],
            12,
            &["already-applied", "lockstep receipt 2"],
        ),
        (
            &[("cut", own), ("copy", "usb/PROD-0001.patch.spr")],
            37,
            &["incomplete", "cut short", "applied here already"],
        ),
        (
            &[("copy", "usb/PROD-0002.head.spr")],
            37,
            &["incomplete", "head of a patch"],
        ),
        (
            &[("edited", own)],
            20,
            &["bad-signature", "a signature of the patch is no good"],
        ),
    ];
    for (index, (files, code, words)) in rows.into_iter().enumerate() {
        let folder = format!("stick{index}");
        fs::create_dir(world.path(&folder))?;
        for (number, (how, from)) in files.iter().enumerate() {
            make(&world, how, from, &format!("{folder}/{number}.spr"))?;
        }
        let line = format!("lockstep apply {folder} --root PROD");
        world.refused("PROD", &line, code, words)?;
        assert_eq!(json(&world, &line, code)?["exit"], code);
    }
    Ok(())
}

#[test]
fn a_patch_whose_snapshot_is_closed() -> Tested {
    let world = next_month()?;
    world.ok("lockstep snapshot --root PROD --only --output usb")?;
    world.refused(
        "PROD",
        "lockstep apply usb --root PROD",
        13,
        &[
            "stale",
            "its snapshot, sequence 2, is closed",
            "lockstep snapshot",
        ],
    )?;
    Ok(())
}

#[test]
fn several_that_fit_are_for_a_person_to_choose_from() -> Tested {
    let world = next_month()?;
    world.ok("lockstep snapshot --root PROD --output usb")?;
    world.ok(&format!(
        "lockstep prepare usb/PROD-0003.snapshot.spr --to to:core/9.1/core-9.1.0.spr {PREPARE} --output usb"
    ))?;
    let refused = world.refused(
        "PROD",
        "lockstep apply usb --root PROD",
        2,
        &[
            "several patches fit",
            "usb/PROD-0002.patch.spr: made 20",
            "for the snapshot of sequence 2",
            "usb/PROD-0003.patch.spr: made 20",
            "lockstep apply usb/PROD-0003.patch.spr",
        ],
    )?;
    assert!(!refused.err.contains("TEST"), "{}", refused.err);
    world.ok("lockstep apply usb/PROD-0003.patch.spr --root PROD --receipt usb")?;
    Ok(())
}

#[test]
fn a_named_file_must_be_a_patch() -> Tested {
    let world = next_month()?;
    for (file, code, words) in [
        ("usb/site.spr", 2, "this is a site file, not a patch file"),
        ("usb/spot.spr", 22, "spot.spr"),
        ("usb/nowhere.spr", 2, "nowhere.spr"),
    ] {
        let line = format!("lockstep apply usb/PROD-0002.patch.spr {file} --root PROD");
        world.refused("PROD", &line, code, &[words])?;
    }
    world.refused(
        "PROD",
        "lockstep apply usb --root PROD --environment TEST",
        10,
        &["you named", "TEST"],
    )?;
    Ok(())
}

#[test]
fn approvals_beside_the_patch_are_found_in_a_folder() -> Tested {
    let world = World::with_policy("approvals = 1\n")?;
    world.init("PROD")?;
    world.ok(&format!(
        "lockstep prepare usb/PROD.snapshot.spr --to {MP5} {PREPARE} --output usb"
    ))?;
    world.refused(
        "PROD",
        "lockstep apply usb --root PROD",
        23,
        &["lockstep approve"],
    )?;
    world.ok("lockstep approve usb/PROD-0001.head.spr --key keys/anna")?;
    let applied = json(&world, "lockstep apply usb --root PROD --receipt usb", 0)?;
    assert_eq!(applied["approvals"][0], "anna");
    Ok(())
}
