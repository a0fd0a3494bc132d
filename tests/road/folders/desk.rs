//! The desk's commands with folders: `enrol`, `prepare`, `receive`; and one command at a time.

use std::fs;

use super::{NAMES, PREPARE, json, monthly, says, stick, texts};
use crate::forge::Parts;
use crate::world::{MP4, MP5, Outcome, Tested, World};

/// The fingerprint that a host shows of itself.
fn fingerprint(world: &World, name: &str) -> Outcome<String> {
    let status = world.ok(&format!("lockstep status --root {name}"))?.out;
    let words = status.split_whitespace();
    let found = words.into_iter().find(|word| word.starts_with("SHA256:"));
    Ok(found.ok_or("no fingerprint")?.to_owned())
}

#[test]
fn enrol_takes_all_and_hides_no_refusal() -> Tested {
    let world = stick()?;
    world.ok("lockstep enrol usb/TEST-0001.snapshot.spr --desk desk")?;
    // TEST made anew: another key, and another environment, under the name that is known.
    world.ok("rm -r TEST usb/TEST-0001.snapshot.spr && mkdir TEST && lockstep init --root TEST --name TEST --site site.spr --service none --output usb")?;
    world.write("usb/cut.snapshot.spr", "")?;
    let words = [
        "enrolled   environment PROD, node PROD, key SHA256:",
        "enrolled   environment PROD-EU, node",
        "compare it with lockstep status on the host",
        "refused    usb/TEST-0001.snapshot.spr: forked (17)",
        "refused    usb/cut.snapshot.spr: incomplete (37)",
        "passed by  1 file that lockstep did not write, 1 site file",
        "in all     2 done, 2 refused\n  next       lockstep prepare --all",
        "another environment of this name is enrolled here",
    ];
    says(&world, "lockstep enrol usb --desk desk", 37, &words)?;
    let again = json(&world, "lockstep enrol usb --desk desk", 37)?;
    assert_eq!(again["done"][0]["known"], true);
    assert_eq!(
        texts(&again["refused"], "refusal"),
        ["incomplete", "forked"]
    );
    assert_eq!(again["refused"][1]["exit"], 17);
    Ok(())
}

#[test]
fn of_two_that_claim_one_name_neither_is_enrolled() -> Tested {
    let world = stick()?;
    world.ok("mkdir clone && lockstep init --root clone --name PROD --site site.spr --service none --output usb/best.snapshot.spr")?;
    let words = [
        "usb/PROD-0001.snapshot.spr: not-enrolled (18)",
        "usb/best.snapshot.spr: not-enrolled (18)",
        "two files claim the same name with different keys",
        "--fingerprint PREFIX",
    ];
    says(&world, "lockstep enrol usb --desk desk", 18, &words)?;
    let listed = json(&world, "lockstep environments --desk desk", 0)?;
    assert_eq!(texts(&listed["environments"], "name"), ["PROD-EU", "TEST"]);
    // The fingerprint read on the host says which; then the other is refused for what it is.
    let prefix = &fingerprint(&world, "PROD")?[..20];
    let words = [
        "enrolled   environment PROD, node PROD, key SHA256:",
        "left out   usb/best.snapshot.spr: environment PROD (",
        "another fingerprint",
        "in all     1 done, 0 refused",
    ];
    let line = format!("lockstep enrol usb --desk desk --fingerprint {prefix}");
    says(&world, &line, 0, &words)?;
    says(
        &world,
        "lockstep enrol usb --desk desk",
        17,
        &["best.snapshot.spr: forked"],
    )?;
    Ok(())
}

#[test]
fn a_fingerprint_picks_one_or_nothing() -> Tested {
    let world = stick()?;
    let enrol = "lockstep enrol usb --desk desk --fingerprint";
    world.refused(
        "desk",
        &format!("{enrol} SHA256:abc"),
        2,
        &["at least 12 characters"],
    )?;
    world.refused(
        "desk",
        &format!("{enrol} SHA256:AAAAAAAAAAAAAAAA"),
        18,
        &["none of the files", "SHA256:AAAAAAAAAAAAAAAA"],
    )?;
    let picked = json(
        &world,
        &format!("{enrol} {}", fingerprint(&world, "TEST")?),
        0,
    )?;
    assert_eq!(texts(&picked["done"], "environment"), ["TEST"]);
    assert_eq!(picked["done"][0]["compared"], true);
    assert_eq!(picked["left_out"].as_array().map(Vec::len), Some(2));
    for option in ["--replace", "--output e.spr --key keys/desk"] {
        let line = format!("lockstep enrol usb --desk desk {option}");
        world.refused(
            "desk",
            &line,
            2,
            &["one node", "lockstep enrol SNAPSHOT.spr"],
        )?;
    }
    Ok(())
}

/// A person at a terminal is asked; a script is not.
#[test]
fn the_fingerprint_is_asked_for_at_a_terminal() -> Tested {
    let world = stick()?;
    let line = "lockstep enrol usb/PROD-0001.snapshot.spr --desk desk";
    let typed = |text: &str, line: &str| {
        format!("printf '%s\\n' '{text}' | script -qec '{line}' /dev/null")
    };
    if world.run("command -v script")?.code != 0 {
        eprintln!("skipped: script, which makes a terminal, is not here");
        return Ok(());
    }
    let whole = fingerprint(&world, "PROD")?;
    let asked = says(
        &world,
        &typed("SHA256:AAAAAAAAAAAAAAAA", line),
        18,
        &["you gave"],
    )?;
    let question = asked
        .out
        .find("12 characters or more")
        .ok_or("no question")?;
    let shown = asked.out.find(&whole).ok_or("the file's own is not told")?;
    assert!(
        question < shown,
        "asked for, and only then shown: {}",
        asked.out
    );
    says(&world, &typed(&whole[7..12], line), 2, &["too short"])?;
    let done = says(&world, &typed(&whole[..19], line), 0, &["enrolled"])?;
    assert!(
        !done.out.contains("compare "),
        "it was compared: {}",
        done.out
    );
    // Known by this key: nothing to ask. Nothing typed: as without a terminal.
    let known = says(&world, &typed("", line), 0, &["known already"])?;
    assert!(!known.out.contains("12 characters"), "{}", known.out);
    let line = "lockstep enrol usb --desk other";
    let words = ["3 done, 0 refused", "compare it with"];
    let all = says(&world, &typed("\n\n", line), 0, &words)?;
    assert_eq!(all.out.matches("12 characters").count(), 3, "{}", all.out);
    Ok(())
}

#[test]
fn receive_takes_the_oldest_first() -> Tested {
    let world = stick()?;
    world.ok("lockstep enrol usb --desk desk")?;
    world.ok(&format!(
        "lockstep prepare usb --to {MP4} {PREPARE} --output usb"
    ))?;
    for name in NAMES {
        world.ok(&format!("lockstep apply usb --root {name} --receipt usb"))?;
    }
    world.ok("cp -r desk other")?;
    let next = format!("lockstep prepare usb/PROD-0002.receipt.spr --to {MP5} {PREPARE}");
    world.ok(&format!("{next} --output usb"))?;
    // The receipt came in as the ground of the next patch: what it confirms waits no longer.
    let listed = json(&world, "lockstep environments --desk desk", 0)?;
    let waiting: Vec<Vec<String>> = listed["environments"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|environment| texts(&environment["prepared"], "file"))
        .collect();
    let files = [
        ["PROD-0002.patch.spr"],
        ["PROD-EU-0001.patch.spr"],
        ["TEST-0001.patch.spr"],
    ];
    assert_eq!(waiting, files);
    // By name the later receipt would come first.
    world.ok("lockstep apply usb --root PROD --receipt usb/A-LATER.receipt.spr")?;
    let words = [
        "received   apply on environment PROD, node PROD, sequence 2: confirms PROD-0001.patch.spr",
        "received   apply on environment PROD, node PROD, sequence 3",
        "received   apply on environment TEST, node TEST, sequence 2: confirms TEST-0001.patch.spr",
        "passed by  1 file that lockstep did not write, 8 patches and heads, 1 site file, 3 snapshots",
        "in all     4 done, 0 refused",
    ];
    let received = says(&world, "lockstep receive usb --desk other", 0, &words)?;
    assert!(!received.err.contains("warning"), "{}", received.err);
    let again = json(&world, "lockstep receive usb --desk other", 0)?;
    let known = again["done"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    assert!(known.iter().all(|one| one["known"] == true), "{again}");
    assert_eq!(known.len(), 4);
    Ok(())
}

#[test]
fn receive_lists_every_refusal() -> Tested {
    let world = monthly()?;
    let mut edited = Parts::read(&world.path("usb/PROD-0002.receipt.spr"))?;
    edited.statement["operator"] = "nobody".into();
    edited.write(&world.path("usb/edited.spr"))?;
    world.ok("lockstep enrol usb/TEST-0001.snapshot.spr --desk small")?;
    let words = [
        "usb/PROD-0002.receipt.spr: not-enrolled (18)",
        "usb/PROD-EU-0002.receipt.spr: not-enrolled (18)",
        "received   apply on environment TEST",
        "in all     1 done, 3 refused",
        "lockstep enrol usb/PROD-EU-0002.receipt.spr",
    ];
    says(&world, "lockstep receive usb --desk small", 18, &words)?;
    says(
        &world,
        "lockstep receive usb --desk desk",
        20,
        &["usb/edited.spr: bad-signature (20)"],
    )?;
    world.ok("mkdir none && cp usb/TEST-0001.* none")?;
    let nothing = ["no receipt lies there", "2 patches and heads, 1 snapshot"];
    world.refused("desk", "lockstep receive none --desk desk", 2, &nothing)?;
    let named = "lockstep receive usb/TEST-0001.snapshot.spr usb/TEST-0002.receipt.spr --desk desk";
    says(
        &world,
        named,
        2,
        &["not a receipt file", "1 done, 1 refused"],
    )?;
    Ok(())
}

#[test]
fn prepare_takes_each_nodes_newest() -> Tested {
    let world = monthly()?;
    // A stranger, a node with drift in the way, and a file that only claims to be newer.
    world.ok("mkdir NEW && lockstep init --root NEW --name NEW --site site.spr --service none --output usb")?;
    world.write("TEST/lib/core.jar", "mended by hand")?;
    world.ok("lockstep snapshot --root TEST --output usb")?;
    let mut forged = Parts::read(&world.path("usb/PROD-0002.receipt.spr"))?;
    forged.statement["sequence"] = 99.into();
    forged.write(&world.path("usb/PROD-0099.receipt.spr"))?;
    let line = format!("lockstep prepare usb --to {MP5} {PREPARE} --output usb");
    let words = [
        "prepared   PROD (",
        "usb/PROD-0002.patch.spr",
        "prepared   PROD-EU (",
        "left out   usb/PROD-0001.snapshot.spr: node PROD: sequence 1 is older than 2, in usb/PROD-0002.receipt.spr",
        "left out   usb/TEST-0002.receipt.spr: node TEST: sequence 2 is older than 3, in usb/TEST-0003.snapshot.spr",
        "refused    usb/NEW-0001.snapshot.spr: not-enrolled (18)",
        "refused    usb/PROD-0099.receipt.spr: bad-signature (20)",
        "refused    TEST: conflict (30)",
        "lib/core.jar",
        "in all     2 done, 3 refused",
    ];
    says(&world, &line, 18, &words)?;
    for name in ["PROD", "PROD-EU"] {
        let line = format!("lockstep apply usb --root {name} --receipt usb");
        says(&world, &line, 0, &["core 9.0.0 -> 9.1.0"])?;
    }
    assert!(!world.path("usb/TEST-0003.patch.spr").exists());
    Ok(())
}

#[test]
fn prepare_from_what_the_desk_knows() -> Tested {
    let world = monthly()?;
    fs::create_dir(world.path("out"))?;
    let line = |which: &str, output: &str| {
        format!("lockstep prepare {which} --to {MP5} {PREPARE} --output {output}")
    };
    world.refused(
        "desk",
        &line("--all", "out/one.patch.spr"),
        2,
        &["go into a folder", "out/one.patch.spr", "3", "--output DIR"],
    )?;
    let two = "--environment TEST --environment NOWHERE --environment PROD";
    let some = json(&world, &line(two, "out"), 18)?;
    assert_eq!(
        texts(&some["done"], "file"),
        ["out/PROD-0002.patch.spr", "out/TEST-0002.patch.spr"]
    );
    assert_eq!(texts(&some["refused"], "subject"), ["NOWHERE"]);
    // A name that is taken is refused for that environment alone.
    let words = [
        "PROD: usage (2)",
        "TEST: usage (2)",
        "out/PROD-EU-0002.patch.spr",
        "1 done, 2 refused",
    ];
    says(&world, &line("--all", "out"), 2, &words)?;
    // One environment keeps its old answer, and may name its file.
    let one = json(&world, &line("--environment PROD", "one.patch.spr"), 0)?;
    assert_eq!(one["file"], "one.patch.spr");
    world.refused(
        "desk",
        "lockstep prepare --all --desk empty --to x",
        18,
        &["none", "lockstep enrol"],
    )?;
    // Installed everywhere but in one: the patch is made, and it is said that the others need none.
    let words = ["3 refused", "nothing-to-do (3)"];
    let same = format!("lockstep prepare --all --to {MP4} {PREPARE} --output out");
    says(&world, &same, 3, &words)?;
    Ok(())
}

#[test]
fn files_of_several_environments_are_kept_apart() -> Tested {
    let world = stick()?;
    world.ok("lockstep enrol usb --desk desk")?;
    let files = "usb/PROD-0001.snapshot.spr usb/TEST-0001.snapshot.spr";
    let line = format!("lockstep prepare {files} --to {MP4} {PREPARE} --output");
    world.refused(
        "desk",
        &format!("{line} usb/both.spr"),
        2,
        &["go into a folder"],
    )?;
    let prepared = json(&world, &format!("{line} usb"), 0)?;
    assert_eq!(
        texts(&prepared["done"], "file"),
        ["usb/PROD-0001.patch.spr", "usb/TEST-0001.patch.spr"]
    );
    let wrong =
        format!("lockstep prepare usb/PROD-0001.snapshot.spr usb/site.spr --to {MP4} --desk desk");
    world.refused("desk", &wrong, 2, &["site file"])?;
    // A folder with the files of one environment may name its patch, as SPOT's spelling does.
    world.ok("mkdir one && cp usb/TEST-0001.snapshot.spr one && mkdir one/deeper && cp usb/PROD-0001.snapshot.spr one/deeper")?;
    world.ok(&format!(
        "spot --accessmode=offline --apply={MP5} --target=one --output=one/mine.spr --desk=desk"
    ))?;
    let applied = world.ok("spot --apply=one --root=TEST --receipt=one")?;
    assert!(
        applied.err.contains("taken      one/mine.spr"),
        "{}",
        applied.err
    );
    Ok(())
}

#[test]
fn two_files_of_one_sequence_number_are_a_fork() -> Tested {
    let world = monthly()?;
    world.ok("ln PROD/.lockstep/current saved && cp -a PROD/.lockstep/states states")?;
    world.ok("lockstep snapshot --root PROD --output usb/one.spr")?;
    world.revert_state("PROD", "states", "saved")?;
    world.ok("lockstep snapshot --root PROD --output usb/two.spr")?;
    let line = format!("lockstep prepare usb --to {MP5} {PREPARE} --output usb");
    let words = [
        "PROD: forked (17)",
        "sequence 3",
        "name that file alone",
        "2 done, 1 refused",
    ];
    says(&world, &line, 17, &words)?;
    Ok(())
}

#[test]
fn one_command_at_a_time_learns() -> Tested {
    let world = stick()?;
    world.ok("lockstep enrol usb --desk desk")?;
    let lock = fs::File::options()
        .read(true)
        .write(true)
        .open(world.path("desk/state/lock"))?;
    lock.lock()?;
    let holder = "pid 4711\nsince 2026-11-24T03:00:00Z\ncommand receive\n";
    world.write("desk/state/lock", holder)?;
    world.refused(
        "desk",
        "lockstep enrol usb/PROD-0001.snapshot.spr --desk desk",
        35,
        &["4711", "receive", "03:00", "wait"],
    )?;
    drop(lock);
    // Two at the same time: both are remembered.
    let both = format!(
        "for name in PROD TEST; do lockstep prepare --environment $name --to {MP4} {PREPARE} --output usb & done; wait"
    );
    world.ok(&both)?;
    let listed = json(&world, "lockstep environments --desk desk", 0)?;
    assert_eq!(listed["sums"]["waiting"], 2, "{listed}");
    Ok(())
}

/// A newer site file that another command kept while this one made its patch is not written over.
#[test]
fn what_came_in_meanwhile_stays() -> Tested {
    let world = stick()?;
    world.ok("lockstep enrol usb --desk desk")?;
    world.ok(&format!(
        "lockstep prepare --environment TEST --to {MP4} {PREPARE} --output usb"
    ))?;
    world.ok("lockstep site renew --from site.spr --approver carl=keys/stranger.pub --key keys/owner --output site2.spr")?;
    let lock = fs::File::options()
        .write(true)
        .open(world.path("desk/state/lock"))?;
    lock.lock()?;
    // It is under way once its head is begun; its name it gets under the lock alone.
    let begun = || -> Outcome<bool> {
        let mut names = fs::read_dir(world.path("usb"))?;
        Ok(names.any(|entry| {
            entry.is_ok_and(|e| {
                e.file_name()
                    .to_string_lossy()
                    .starts_with(".PROD-0001.head.spr.")
            })
        }))
    };
    let line = format!("lockstep prepare --environment PROD --to {MP4} {PREPARE} --output usb");
    let ran = std::thread::scope(|scope| -> Outcome<_> {
        let preparing = scope.spawn(|| world.run(&line).map_err(|error| error.to_string()));
        for _ in 0..300 {
            if begun()? {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        fs::copy(world.path("site2.spr"), world.path("desk/state/site.spr"))?;
        drop(lock);
        Ok(preparing
            .join()
            .unwrap_or_else(|_| Err("the thread died".to_owned()))?)
    })?;
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        fs::read(world.path("desk/state/site.spr"))?,
        fs::read(world.path("site2.spr"))?
    );
    Ok(())
}
