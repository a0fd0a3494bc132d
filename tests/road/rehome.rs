//! Copies, moves and restores: what signs nothing, how each gets a key of its own, and what is refused
//! from then on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::exact::{as_root, needed_tool};
use crate::world::{MP4, MP5, Outcome, Ran, Tested, World};

const ENROLMENT: &str = "usb/PROD.enrolment.spr";
const REASON: &str = "--environment PROD --reason 'the rack is new'";
const RESTORED: &str = "lockstep rehome --restored --enrolment usb/PROD.enrolment.spr --environment PROD --reason 'the disk broke'";

/// A way in which a root comes to stand where its key does not belong: what is typed, and where it is.
type Displaced = (&'static str, &'static str, &'static str);

const DISPLACED: [Displaced; 6] = [
    ("cp -a on the same host", "cp -a PROD COPY", "COPY"),
    ("moved", "mv PROD MOVED", "MOVED"),
    (
        "a file-level backup put back",
        "tar cf b.tar PROD && rm -r PROD && tar xf b.tar",
        "PROD",
    ),
    (
        "a file-level backup put back over what is there",
        "tar cf b.tar PROD && tar xf b.tar",
        "PROD",
    ),
    (
        "moved to another disk, under the same name",
        "cp -a PROD P2 && mv PROD OLD && mv P2 PROD",
        "PROD",
    ),
    (
        "what says which state counts put back, and nothing else",
        "tar cf b.tar PROD/.lockstep/current && tar xf b.tar",
        "PROD",
    ),
];

/// PROD with one release, a patch to the next, and what the desk knows of it in an enrolment file.
fn world() -> Outcome<World> {
    let world = World::installed()?;
    // The vendor goes on, so that the next patch lifts the floors.
    world.component("tool/1.0/tool-1.0", &[("bin/tool", "tool")], "")?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/PROD-2.patch.spr")?;
    enrolment(&world, "usb/PROD.receipt.spr")?;
    world.ok("lockstep site renew --from site.spr --key keys/owner --output site2.spr")?;
    Ok(world)
}

fn enrolment(world: &World, word: &str) -> Tested {
    let line = format!(
        "rm -f {ENROLMENT}; lockstep enrol {word} --desk desk --key keys/desk --output {ENROLMENT}"
    );
    world.ok(&line)?;
    Ok(())
}

fn has(text: &str, words: &[&str]) -> Tested {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is not in:\n{text}").into()),
    }
}

fn fingerprint(world: &World, root: &str) -> Outcome<String> {
    let status = world
        .ok(&format!("lockstep status --root {root} --json"))?
        .out;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    Ok(status["fingerprint"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// The whole road on from the receipt of a rehome: enrolled anew, prepared for, applied, received.
fn goes_on(world: &World, root: &str, receipt: &str, replace: bool) -> Tested {
    let replace = if replace { "--replace" } else { "" };
    let key = fingerprint(world, root)?;
    world.ok(&format!(
        "lockstep enrol {receipt} --desk desk {replace} --fingerprint {key}"
    ))?;
    world.prepare(receipt, MP5, "usb/on.patch.spr")?;
    world.apply(root, "usb/on.patch.spr", "usb/on.receipt.spr")?;
    world.ok("lockstep receive usb/on.receipt.spr --desk desk")?;
    let jar = fs::read_to_string(world.path(root).join("lib/core.jar"))?;
    assert_eq!(jar, "core 9.1");
    world.ok(&format!("lockstep history --check --root {root}"))?;
    Ok(())
}

#[test]
fn every_signing_command_refuses_where_a_mark_differs() -> Tested {
    let commands = [
        "snapshot --output usb/x.spr",
        "snapshot --full --output usb/x.spr",
        "apply usb/PROD-2.patch.spr",
        "apply usb/PROD-2.patch.spr --dry-run",
        "rollback --environment PROD",
        "trust site2.spr",
    ];
    for (what, typed, root) in DISPLACED {
        let world = world()?;
        world.ok("lockstep snapshot --root PROD --output usb/s.spr")?;
        world.ok(typed)?;
        for command in commands {
            world
                .refused(
                    root,
                    &format!("lockstep {command} --root {root}"),
                    11,
                    &["it was", "it is", "rehome --"],
                )
                .map_err(|e| format!("{what}: {e}"))?;
        }
        let status = world.ok(&format!("lockstep status --root {root}"))?.out;
        has(&status, &["copied", "signs nothing"]).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

#[test]
fn the_refusal_names_the_line_that_fits() -> Tested {
    for ((what, typed, root), lines) in DISPLACED.into_iter().zip([
        &["rehome --copy --name", "rehome --moved"][..],
        &["move it back", "rehome --moved"],
        &["rehome --restored --enrolment", "rehome --moved"],
        &["rehome --restored --enrolment", "rehome --moved"],
        &["rehome --restored --enrolment", "rehome --moved"],
        &["this node was put back", "rehome --restored --enrolment"],
    ]) {
        let world = world()?;
        world.ok(typed)?;
        let line = format!("lockstep snapshot --root {root} --output usb/x.spr");
        world
            .refused(root, &line, 11, lines)
            .map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// The key's file is the one that was made: to go on from a state that was put back as if it had been moved
/// or copied would bring back the floors of then, and a challenge that was closed since. A root that is moved
/// besides hides nothing of it.
#[test]
fn a_state_that_was_put_back_was_not_moved() -> Tested {
    let restore = "tar xf backup.tar PROD/.lockstep/current";
    for (typed, root) in [
        (restore.to_owned(), "PROD"),
        (format!("{restore} && mv PROD NEW"), "NEW"),
    ] {
        let world = world()?;
        set_back(&world, &typed)?;
        let words = [
            "this node was put back",
            "of the state: it was",
            "lockstep rehome --restored --enrolment FILE",
        ];
        for line in [
            format!("lockstep snapshot --root {root} --output usb/x.spr"),
            format!("lockstep rehome --moved --root {root} {REASON}"),
            format!("lockstep rehome --copy --name TEST --root {root} {REASON}"),
        ] {
            let ran = world.refused(root, &line, 11, &words)?;
            assert!(!ran.err.contains("--moved"), "{}", ran.err);
        }
        let before = state(&world, root)?;
        world.ok(&format!("{RESTORED} --root {root} --receipt usb/r.spr"))?;
        assert_ne!(before["floors"], state(&world, root)?["floors"], "{typed}");
    }
    Ok(())
}

/// Over a border of file systems everything is another file, the key as well: that is how things are moved.
#[test]
fn what_was_moved_to_another_file_system_was_not_put_back() -> Tested {
    let world = world()?;
    world.ok("cp -a PROD NEW && rm -r PROD")?;
    world.ok(&format!(
        "lockstep rehome --moved --root NEW {REASON} --receipt usb/h.spr"
    ))?;
    Ok(())
}

#[test]
fn moved_and_the_road_goes_on() -> Tested {
    let world = world()?;
    let old = fingerprint(&world, "PROD")?;
    world.ok("mv PROD NEW")?;
    let ran = world.ok(&format!(
        "lockstep rehome --moved --root NEW {REASON} --receipt usb/h.receipt.spr"
    ))?;
    has(&ran.err, &["environment PROD", "root ", "generation 2"])?;
    has(
        &ran.out,
        &["--replace", "--fingerprint", "usb/h.receipt.spr"],
    )?;
    let new = fingerprint(&world, "NEW")?;
    assert_ne!(old, new);
    has(&ran.out, &[&new])?;
    let inspected = world.ok("lockstep inspect usb/h.receipt.spr")?.out;
    has(&inspected, &["rehome", "moved: the rack is new", &old])?;
    // The patch for the old key, and the old key's place at the desk.
    world.refused(
        "NEW",
        "lockstep apply usb/PROD-2.patch.spr --root NEW",
        13,
        &["closed by", "rehome"],
    )?;
    world.refused(
        "desk",
        "lockstep receive usb/h.receipt.spr --desk desk",
        18,
        &["another key", "--replace"],
    )?;
    goes_on(&world, "NEW", "usb/h.receipt.spr", true)?;
    let history = world.ok("lockstep history --root NEW")?.out;
    has(&history, &["moved from PROD", "the rack is new"])?;
    // A rollback goes back beyond the rehome, to what the former key signed.
    world.ok("lockstep rollback --root NEW --environment PROD --receipt usb/back.spr")?;
    assert_eq!(
        fs::read_to_string(world.path("NEW/lib/core.jar"))?,
        "core 9.0"
    );
    assert_eq!(keys(&world, "NEW")?, ["key.3"]);
    Ok(())
}

fn keys(world: &World, root: &str) -> Outcome<Vec<String>> {
    let names = fs::read_dir(world.path(root).join(".lockstep"))?;
    let names = names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Outcome<Vec<String>>>()?;
    Ok(names
        .into_iter()
        .filter(|name| name.starts_with("key"))
        .collect())
}

#[test]
fn a_copy_becomes_another_environment() -> Tested {
    let world = world()?;
    world.ok("cp -a PROD COPY")?;
    world.refused(
        "COPY",
        &format!("lockstep rehome --copy --name PROD --root COPY {REASON}"),
        2,
        &["a name of its own", "PROD"],
    )?;
    world.ok(&format!(
        "lockstep rehome --copy --name TEST --root COPY {REASON} --receipt usb/c.receipt.spr"
    ))?;
    let status = world.ok("lockstep status --root COPY")?.out;
    has(&status, &["environment TEST (", "node TEST"])?;
    // The original's patch is not the copy's.
    world.refused(
        "COPY",
        "lockstep apply usb/PROD-2.patch.spr --root COPY",
        10,
        &["PROD", "TEST"],
    )?;
    goes_on(&world, "COPY", "usb/c.receipt.spr", false)?;
    // Nor is the copy's the original's, which goes on as if nothing had been.
    world.refused(
        "PROD",
        "lockstep apply usb/on.patch.spr --root PROD",
        10,
        &["PROD", "TEST"],
    )?;
    world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    world.ok("lockstep receive usb/PROD-2.receipt.spr --desk desk")?;
    // Floors and site came along: an old repository is refused there too.
    let snapshot = world.ok("lockstep inspect usb/c.receipt.spr --json")?.out;
    has(&snapshot, &["\"how\":\"copied\"", "\"version\":1"])?;
    Ok(())
}

#[test]
fn a_whole_clone_has_every_mark_and_its_name_is_asked_for() -> Tested {
    let world = world()?;
    world.refused(
        "PROD",
        "lockstep rehome --copy --name CLONE --root PROD --reason clone </dev/null",
        2,
        &["PROD", "--environment PROD"],
    )?;
    world.refused(
        "PROD",
        "lockstep rehome --copy --name CLONE --root PROD --environment TEST --reason clone",
        10,
        &["TEST", "PROD"],
    )?;
    world.ok(&format!(
        "lockstep rehome --copy --name CLONE --root PROD {REASON} --receipt usb"
    ))?;
    has(
        &world.ok("lockstep status --root PROD")?.out,
        &["environment CLONE"],
    )
}

#[test]
fn at_home_there_is_nothing_to_do() -> Tested {
    let world = world()?;
    for line in [
        format!("lockstep rehome --moved --root PROD {REASON}"),
        format!("{RESTORED} --root PROD"),
    ] {
        world.refused("PROD", &line, 3, &["at home here", "PROD", "status"])?;
    }
    Ok(())
}

#[test]
fn the_line_says_one_thing_and_why() -> Tested {
    let world = world()?;
    world.ok("cp -a PROD COPY")?;
    for line in [
        "--reason x",
        "--moved",
        "--moved --reason ''",
        "--moved --copy --name X --reason x",
        "--copy --reason x",
        "--moved --name X --reason x",
        "--restored --reason x",
        "--moved --site site.spr --reason x",
    ] {
        let line = format!("lockstep rehome {line} --root COPY --environment PROD");
        let before = world.tree("COPY")?;
        assert_eq!(world.run(&line)?.code, 2, "{line}");
        assert_eq!(world.tree("COPY")?, before, "{line}");
    }
    Ok(())
}

/// After the backup the node applied the next release, and its receipt reached the desk.
fn set_back(world: &World, restore: &str) -> Tested {
    world.ok("tar cf backup.tar PROD")?;
    world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    world.ok("lockstep receive usb/PROD-2.receipt.spr --desk desk")?;
    enrolment(world, "usb/PROD-2.receipt.spr")?;
    world.ok(restore)?;
    Ok(())
}

/// The power may go between the commit of a rehome and its sweep, which sets aside what was passed over.
#[test]
fn what_a_rehome_passed_over_stays_out_of_the_chain_after_the_next_one() -> Tested {
    let world = world()?;
    // The states of after the backup are still there.
    set_back(&world, "tar xf backup.tar PROD/.lockstep/current")?;
    world.ok(&format!("{RESTORED} --root PROD --receipt usb/r.spr"))?;
    world.ok("mv PROD/.lockstep/set-aside/3-1004 PROD/.lockstep/states/3 && mv PROD NEW")?;
    world.ok(&format!(
        "lockstep rehome --moved --root NEW {REASON} --receipt usb/m.spr"
    ))?;
    let history = world.ok("lockstep history --check --root NEW")?.out;
    has(&history, &["the chain is whole: 4 receipt(s)"])?;
    assert!(world.path("NEW/.lockstep/set-aside/3-1004").exists());
    Ok(())
}

/// The desk has not seen the first rehome, and all that names its number is damaged or gone in turn.
#[test]
fn a_second_restore_with_the_same_enrolment_takes_no_number_again() -> Tested {
    for spoil in [
        "echo x >> PROD/.lockstep/states/1004/state.json && echo x > PROD/.lockstep/current",
        "rm -r PROD/.lockstep/states/1004 && rm PROD/.lockstep/current",
        "rm PROD/.lockstep/key.1004 PROD/.lockstep/current && rm PROD/.lockstep/states/1004/state.json",
    ] {
        let world = world()?;
        set_back(&world, "rm -r PROD && tar xf backup.tar")?;
        world.ok(&format!("{RESTORED} --root PROD --receipt usb/r1.spr"))?;
        world.ok(spoil)?;
        world
            .ok(&format!("{RESTORED} --root PROD --receipt usb/r2.spr"))
            .map_err(|e| format!("{spoil}: {e}"))?;
        assert_eq!(state(&world, "PROD")?["sequence"], 2_005, "{spoil}");
        assert_eq!(keys(&world, "PROD")?, ["key.2005"]);
        let had_state = !spoil.starts_with("rm -r");
        let kept = world.path("PROD/.lockstep/set-aside/1004-2005");
        assert_eq!(kept.exists(), had_state, "{spoil}");
        goes_on(&world, "PROD", "usb/r2.spr", true)?;
    }
    Ok(())
}

/// What cannot be tidied up keeps no receipt back: without it no desk gets to know the new key.
#[test]
fn the_receipt_is_written_before_what_is_left_over_goes() -> Tested {
    let world = world()?;
    set_back(
        &world,
        "tar xf backup.tar PROD/.lockstep/current && rm -r PROD/lib PROD/api PROD/conf && tar xf backup.tar PROD/lib PROD/api PROD/conf",
    )?;
    world.ok("touch PROD/.lockstep/set-aside")?;
    let ran = world.run(&format!("{RESTORED} --root PROD --receipt usb/r.spr"))?;
    assert_eq!(ran.code, 42, "{}", ran.err);
    let words = [
        "the new state stands",
        "could not be removed",
        "usb/r.spr",
        "lockstep recover",
    ];
    has(&ran.err, &words)?;
    world.ok("rm PROD/.lockstep/set-aside && lockstep recover --root PROD")?;
    assert_eq!(keys(&world, "PROD")?, ["key.1004"]);
    assert!(world.path("PROD/.lockstep/set-aside/3-1004").exists());
    goes_on(&world, "PROD", "usb/r.spr", true)
}

fn state(world: &World, root: &str) -> Outcome<serde_json::Value> {
    let own = world.path(root).join(".lockstep");
    let current: serde_json::Value = serde_json::from_slice(&fs::read(own.join("current"))?)?;
    let state = own.join(format!("states/{}/state.json", current["sequence"]));
    Ok(serde_json::from_slice(&fs::read(state)?)?)
}

#[test]
fn restored_it_takes_what_is_higher_and_goes_on() -> Tested {
    for restore in [
        "rm -r PROD && tar xf backup.tar",
        // The states and recipes of after the backup are still there.
        "tar xf backup.tar && cp PROD/.lockstep/current c && rm -r PROD/lib PROD/api PROD/conf && tar xf backup.tar",
        // Written over in place, or with the key passed over as unchanged: the key is the very file it was.
        "rm -r PROD/lib PROD/api PROD/conf && mkdir b && tar xf backup.tar -C b && cp -a b/PROD/. PROD",
        "rm -r PROD/lib PROD/api PROD/conf && tar xf backup.tar --exclude=PROD/.lockstep/key",
    ] {
        let world = world()?;
        set_back(&world, restore)?;
        // The very patch that was applied before would fit the state that came back.
        world.refused(
            "PROD",
            "lockstep apply usb/PROD-2.patch.spr --root PROD",
            11,
            &["rehome --restored"],
        )?;
        let before = state(&world, "PROD")?;
        assert_eq!(before["sequence"], 2);
        let ran = world.ok(&format!(
            "{RESTORED} --root PROD --receipt usb/r.receipt.spr"
        ))?;
        has(
            &ran.out,
            &[
                "goes on from sequence 2",
                "the desk knew 3",
                "compare what is installed",
            ],
        )?;
        let after = state(&world, "PROD")?;
        assert_eq!(after["sequence"], 1_004, "well above what anybody knows");
        assert_ne!(
            before["floors"], after["floors"],
            "the floors are the enrolment's"
        );
        assert_eq!(after["challenges"].as_array().map(Vec::len), Some(1));
        world.refused(
            "PROD",
            "lockstep apply usb/PROD-2.patch.spr --root PROD",
            13,
            &["closed by", "rehome"],
        )?;
        goes_on(&world, "PROD", "usb/r.receipt.spr", true)?;
        let known = world.ok("lockstep environments --desk desk")?.out;
        has(&known, &["fork     node PROD", "restored: the disk broke"])?;
        // What it did after the backup is of a branch that is over.
        world.refused(
            "desk",
            "lockstep receive usb/PROD-2.receipt.spr --desk desk",
            18,
            &["another key"],
        )?;
    }
    Ok(())
}

#[test]
fn restored_with_a_damaged_or_missing_state_or_key() -> Tested {
    for (spoil, lost) in [
        ("rm PROD/.lockstep/current", "it is missing"),
        ("echo x > PROD/.lockstep/current", "is damaged"),
        ("echo x >> PROD/.lockstep/states/2/state.json", "state 2"),
        ("rm PROD/.lockstep/states/2/snapshot.spr", "state 2"),
        ("rm PROD/.lockstep/key", "the node's key"),
        (
            "rm PROD/.lockstep/current PROD/.lockstep/key && rm -r PROD/.lockstep/states/2",
            "the node's key",
        ),
    ] {
        let world = world()?;
        world.ok(spoil)?;
        world
            .refused(
                "PROD",
                "lockstep snapshot --root PROD --output usb/x.spr",
                22,
                &["rehome --restored"],
            )
            .map_err(|e| format!("{spoil}: {e}"))?;
        let ran = world
            .ok(&format!(
                "{RESTORED} --root PROD --receipt usb/r.receipt.spr"
            ))
            .map_err(|e| format!("{spoil}: {e}"))?;
        has(&ran.out, &["lost: ", lost]).map_err(|e| format!("{spoil}: {e}"))?;
        world.ok("lockstep history --check --root PROD")?;
        let key = fingerprint(&world, "PROD")?;
        world.ok(&format!(
            "lockstep enrol usb/r.receipt.spr --desk desk --replace --fingerprint {key}"
        ))?;
        world.ok("lockstep snapshot --root PROD --output usb/after.spr")?;
        let odd = world.run(&format!(
            "lockstep prepare usb/after.spr --to {MP4} --desk desk --output usb/o.spr"
        ))?;
        // What came back of the state says what is installed: at the start nothing, at the end all.
        assert!([0, 3].contains(&odd.code), "{spoil}: {}", odd.err);
    }
    Ok(())
}

/// Whatever file is named, an enrolment says the newest that the desk has seen, and is called so; where
/// that is not there any more, nothing less is signed, and nothing is learned.
#[test]
fn an_enrolment_says_the_newest_or_is_not_written() -> Tested {
    let world = world()?;
    for n in [3, 4, 5] {
        world.ok(&format!(
            "lockstep snapshot --root PROD --output usb/{n}.snapshot.spr"
        ))?;
    }
    world.ok("mkdir say && lockstep enrol usb/5.snapshot.spr --desk desk")?;
    let line = |n: u8| {
        format!("lockstep enrol usb/{n}.snapshot.spr --desk desk --key keys/desk --output say")
    };
    world.ok(&line(3))?;
    let said = world
        .ok("lockstep inspect say/PROD-0005.enrolment.spr --json")?
        .out;
    has(&said, &["\"sequence\":5"])?;
    world.ok("rm say/* && mv desk/state/statements kept")?;
    let lost = ["is missing", "sequence 5", "no enrolment file was written"];
    world.write("say/PROD-0004.enrolment.spr", "of another day")?;
    world.refused("desk/state/environments", &line(4), 22, &lost)?;
    // Another statement of the node, under the name of that one.
    let newest = "cd kept && grep -l '\"sequence\":5,' * | grep spr";
    let newest = world.ok(newest)?.out.trim().to_owned();
    world.ok(&format!(
        "mkdir -p desk/state/statements && cp usb/3.snapshot.spr desk/state/statements/{newest}"
    ))?;
    let other = [
        "is another one",
        "sequence 5",
        "no enrolment file was written",
    ];
    world.refused("desk/state/environments", &line(4), 22, &other)?;
    assert_eq!(world.tree("say")?.len(), 1);
    world.ok(&format!("cp kept/{newest} desk/state/statements"))?;
    world.ok(&line(4))?;
    Ok(())
}

#[test]
fn an_enrolment_that_does_not_fit_is_refused() -> Tested {
    let world = world()?;
    world.install("TEST")?;
    world.ok(
        "lockstep enrol usb/TEST.receipt.spr --desk desk --key keys/desk --output usb/other.spr",
    )?;
    world.ok("lockstep enrol usb/PROD.receipt.spr --desk desk --key keys/stranger --output usb/stranger.spr")?;
    world.ok("cp -a PROD P2 && mv PROD OLD && mv P2 PROD")?;
    for (file, code, words) in [
        ("usb/other.spr", 10, &["TEST", "PROD"][..]),
        ("usb/stranger.spr", 26, &["signed by", "desk"]),
        ("usb/PROD.receipt.spr", 2, &["receipt", "enrolment"]),
    ] {
        let line = format!("lockstep rehome --restored --enrolment {file} --root PROD {REASON}");
        world
            .refused("PROD", &line, code, words)
            .map_err(|e| format!("{file}: {e}"))?;
    }
    let mut parts = crate::forge::Parts::read(&world.path(ENROLMENT))?;
    for (sequence, key, code) in [(900, "anna", 26), ((1_u64 << 53) - 1, "desk", 22)] {
        parts.statement["sequence"] = sequence.into();
        parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys").join(key))?;
        let line =
            format!("lockstep rehome --restored --enrolment usb/forged.spr --root PROD {REASON}");
        world.refused("PROD", &line, code, &["PROD"][..0])?;
    }
    Ok(())
}

#[test]
fn a_departed_preparer_does_not_come_back_with_a_backup() -> Tested {
    let world = world()?;
    world.ok("tar cf backup.tar PROD")?;
    world.ok("lockstep site renew --from site.spr --remove desk --preparer ben=keys/ben.pub --key keys/owner --output site3.spr")?;
    world
        .ok("lockstep trust site3.spr --root PROD && mv PROD-0003.receipt.spr usb/t.receipt.spr")?;
    world.ok("lockstep receive usb/t.receipt.spr --desk desk")?;
    world.ok("rm -r PROD && tar xf backup.tar")?;
    let line = |enrolment: &str, more: &str| {
        format!("lockstep rehome --restored --enrolment {enrolment} --root PROD {REASON} {more}")
    };
    world.ok("lockstep enrol usb/t.receipt.spr --desk desk --key keys/ben --output usb/new.spr")?;
    // Without the newer site file, even a good enrolment does not bring the old site back.
    world.refused(
        "PROD",
        &line("usb/new.spr", ""),
        26,
        &["version 2", "version 1", "--site SITE.spr"],
    )?;
    let ran = world.refused(
        "PROD",
        &line("usb/new.spr", "--site site.spr"),
        26,
        &["version 2", "version 1", "--site SITE.spr", "/PROD, with"],
    )?;
    assert!(!ran.err.contains("site.spr"), "{}", ran.err);
    // Under the newer one the departed preparer's word counts no more.
    world.refused(
        "PROD",
        &line(ENROLMENT, "--site site3.spr"),
        26,
        &["signed by", "ben"],
    )?;
    world.ok(&line("usb/new.spr", "--site site3.spr --receipt usb/r.spr"))?;
    has(
        &world.ok("lockstep trust show --root PROD")?.out,
        &["version 2", "ben"],
    )?;
    Ok(())
}

/// The desk need not know of the newer site file, where the folder itself still does.
#[test]
fn a_site_file_that_the_folder_itself_knew_is_not_forgotten() -> Tested {
    let world = world()?;
    world.ok("tar cf backup.tar PROD/.lockstep/current")?;
    world.ok("lockstep site renew --from site.spr --remove desk --preparer ben=keys/ben.pub --key keys/owner --output site3.spr")?;
    world.ok("lockstep trust site3.spr --root PROD --receipt usb")?;
    world.ok("tar xf backup.tar")?;
    world.refused(
        "PROD",
        &format!("{RESTORED} --root PROD"),
        26,
        &[
            "this folder knows",
            "version 2",
            "version 1",
            "--site SITE.spr",
        ],
    )?;
    Ok(())
}

/// A vendor that started anew keeps no floor of its first life, wherever that is remembered.
#[test]
fn floors_of_a_root_that_was_replaced_do_not_come_back() -> Tested {
    let world = world()?;
    world.ok("tar cf backup.tar PROD")?;
    world.ok("lockstep publish init --repository anew --keys keys/anew")?;
    world.ok("lockstep site renew --from site.spr --vendor stibo=anew/metadata/1.root.json --replace-root stibo --key keys/owner --output site3.spr")?;
    assert_ne!(state(&world, "PROD")?["floors"], serde_json::json!([]));
    world.ok("lockstep trust site3.spr --root PROD --receipt usb/t.receipt.spr")?;
    assert_eq!(state(&world, "PROD")?["floors"], serde_json::json!([]));
    world.ok("lockstep receive usb/t.receipt.spr --desk desk")?;
    enrolment(&world, "usb/t.receipt.spr")?;
    world.ok("rm -r PROD && tar xf backup.tar")?;
    world.ok(&format!(
        "{RESTORED} --site site3.spr --root PROD --receipt usb/r.spr"
    ))?;
    assert_eq!(state(&world, "PROD")?["floors"], serde_json::json!([]));
    Ok(())
}

/// A preparer is believed that a vendor changed its keys, so that a lie lets floors fall: whoever restores is
/// told, and older statements of the node have the higher floors. Nothing else falls, and an honest word that
/// no keys were changed says nothing of the kind.
#[test]
fn floors_that_fall_by_a_lying_enrolment_are_told() -> Tested {
    for lies in [false, true] {
        let world = world()?;
        set_back(&world, "rm -r PROD && tar xf backup.tar")?;
        let before = floors(&world)?;
        let mut parts = crate::forge::Parts::read(&world.path(ENROLMENT))?;
        if lies {
            let made_up = serde_json::json!([
                {"keys": "0".repeat(64), "roles": ["timestamp 1"], "vendor": "stibo"},
                {"keys": "1".repeat(64), "roles": ["root 2"], "vendor": "stibo"},
            ]);
            parts.statement["floors"] = made_up;
            parts.statement["sequence"] = 1.into();
        }
        parts.write_signed(&world.path(ENROLMENT), &world.path("keys/desk"))?;
        let ran = world.ok(&format!("{RESTORED} --root PROD --receipt usb/r.spr"))?;
        let after = floors(&world)?;
        let fell: Vec<&String> = before
            .iter()
            .filter(|(role, version)| after.get(*role).is_none_or(|now| now < *version))
            .map(|(role, _)| role)
            .collect();
        let told = "1 floor(s) of stibo fall by the enrolment's word, timestamp from";
        assert_eq!(ran.out.contains(told), lies, "{}", ran.out);
        assert_eq!(fell, if lies { vec!["timestamp"] } else { vec![] });
        let sequence = state(&world, "PROD")?["sequence"].as_u64();
        assert!(sequence > Some(1_000), "{sequence:?}");
    }
    Ok(())
}

/// The floors of PROD's one vendor by role.
fn floors(world: &World) -> Outcome<BTreeMap<String, u64>> {
    let state = state(world, "PROD")?;
    let sets = state["floors"].as_array().into_iter().flatten();
    let roles = sets.filter_map(|set| set["roles"].as_array()).flatten();
    let role = |role: &serde_json::Value| {
        let (role, version) = role.as_str()?.rsplit_once(' ')?;
        Some((role.to_owned(), version.parse().ok()?))
    };
    Ok(roles.filter_map(role).collect())
}

/// A machine-id that the program sees, in mounts of its own.
fn on_machine(world: &World, id: &str, line: &str) -> Outcome<Ran> {
    world.write("id", &format!("{id}\n"))?;
    let line = line.replace('\'', "'\\''");
    world.run(&format!(
        "unshare --mount sh -c 'mount --bind id /etc/machine-id && {line}'"
    ))
}

#[test]
fn another_machine_signs_nothing_until_it_is_rehomed() -> Tested {
    let world = World::new()?;
    let probe = "unshare --mount test -e /etc/machine-id";
    if !as_root("the machine-id as a mark")?
        || !needed_tool(
            &world,
            probe,
            "the machine-id as a mark needs /etc/machine-id",
        )?
    {
        return Ok(());
    }
    let [one, other] = [
        "00112233445566778899aabbccddeeff",
        "ffeeddccbbaa99887766554433221100",
    ];
    fs::create_dir(world.path("PROD"))?;
    let init =
        "lockstep init --root PROD --name PROD --site site.spr --service none --output usb/1.spr";
    let ran = on_machine(&world, one, init)?;
    assert_eq!(ran.code, 0, "{}", ran.err);
    world.ok("lockstep enrol usb/1.spr --desk desk")?;
    let snapshot = "lockstep snapshot --root PROD --output usb/2.spr";
    let refused = on_machine(&world, other, snapshot)?;
    assert_eq!(refused.code, 11, "{}", refused.err);
    has(
        &refused.err,
        &["machine-id: it was", "rehome --copy", "rehome --moved"],
    )?;
    let rehome =
        "lockstep rehome --moved --root PROD --environment PROD --reason rack --receipt usb/h.spr";
    let ran = on_machine(&world, other, rehome)?;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = on_machine(&world, other, snapshot)?;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let refused = on_machine(
        &world,
        one,
        "lockstep snapshot --root PROD --output usb/3.spr",
    )?;
    assert_eq!(refused.code, 11, "the old machine: {}", refused.err);
    Ok(())
}

/// PROD killed in the middle of a change: its files are exchanged, and it is not committed.
fn in_mid_change() -> Outcome<World> {
    let world = world()?;
    world.write(
        "kill.sh",
        "if [ \"$1\" = start ] && [ -e ../kill ]; then rm ../kill; kill -9 $PPID; fi\n",
    )?;
    let rules = world.path("PROD/.lockstep/node.toml");
    let mut text = fs::read_to_string(&rules)?;
    let command = |step: &str| {
        format!(
            "[service.{step}]\ncommand = [\"/bin/sh\", \"../kill.sh\", \"{step}\"]\nseconds = 30\n"
        )
    };
    text.push_str(&command("stop"));
    text.push_str(&command("start"));
    fs::write(&rules, text)?;
    world.write("kill", "")?;
    let ran = world.run("lockstep apply usb/PROD-2.patch.spr --root PROD --receipt usb/k.spr")?;
    assert!(world.path("PROD/.lockstep/journal").exists(), "{}", ran.err);
    Ok(world)
}

#[test]
fn a_copy_of_a_change_under_way_is_not_recovered() -> Tested {
    let world = in_mid_change()?;
    world.ok("cp -a PROD COPY")?;
    world.refused("COPY/lib", "lockstep recover --root COPY", 11, &["it was"])?;
    for how in [
        "--moved",
        "--copy --name TEST",
        "--restored --enrolment usb/PROD.enrolment.spr",
    ] {
        world.refused(
            "COPY/lib",
            &format!("lockstep rehome {how} --root COPY {REASON}"),
            41,
            &[
                "in the middle of a change",
                "inode",
                "recover on the original",
            ],
        )?;
    }
    // The original recovers, and a copy of that is whole.
    world.ok("lockstep recover --root PROD && rm -r COPY && cp -a PROD COPY")?;
    world.ok(&format!(
        "lockstep rehome --copy --name TEST --root COPY {REASON} --receipt usb"
    ))?;
    assert_eq!(
        fs::read_to_string(world.path("COPY/lib/core.jar"))?,
        "core 9.0"
    );
    Ok(())
}

#[test]
fn a_change_under_way_is_recovered_where_the_file_system_came_along() -> Tested {
    let world = in_mid_change()?;
    assert_eq!(
        fs::read_to_string(world.path("PROD/lib/core.jar"))?,
        "core 9.1"
    );
    world.ok("mv PROD NEW")?;
    let ran = world.ok(&format!(
        "lockstep rehome --moved --root NEW {REASON} --receipt usb/h.spr"
    ))?;
    assert!(!world.path("NEW/.lockstep/journal").exists(), "{}", ran.err);
    assert_eq!(
        fs::read_to_string(world.path("NEW/lib/core.jar"))?,
        "core 9.0"
    );
    world.ok("lockstep status --check --root NEW")?;
    goes_on(&world, "NEW", "usb/h.spr", true)
}

#[test]
fn one_command_at_a_time_and_the_operator_alone() -> Tested {
    let world = world()?;
    world.ok("cp -a PROD COPY")?;
    let line = format!("lockstep rehome --moved --root COPY {REASON} --receipt usb/h.spr");
    let held = format!("flock COPY/.lockstep/lock sh -c \"{line}\"");
    world.refused("COPY", &held, 35, &["process"])?;
    if !as_root("another user than the operator")? {
        return Ok(());
    }
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755))?;
    let other = format!("setpriv --reuid 4242 --regid 4242 --clear-groups {line}");
    world.refused(
        "COPY",
        &other,
        36,
        &["sudo -u root lockstep rehome --moved --reason"],
    )?;
    Ok(())
}
