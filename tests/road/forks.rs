//! Two places with one key: what the desk finds, where, and how it goes on once somebody has decided.

use std::fs;

use crate::world::{MP5, Outcome, Tested, World};

const DESK: &str = "--desk desk";
const ACCEPT: &str = "--accept forked --reason 'the machine was reverted on Monday'";

/// A virtual machine as a test can have it: the content of `.lockstep` goes back in place, and neither
/// the key nor any file of the product is made anew.
struct Machine<'a>(&'a World);

impl Machine<'_> {
    fn save(&self) -> Tested {
        self.0.ok("rm -rf saved && mkdir saved && ln PROD/.lockstep/current saved && cp -a PROD/.lockstep/states PROD/lib PROD/api PROD/conf saved")?;
        Ok(())
    }

    /// Goes back to what was saved.
    fn revert(&self) -> Tested {
        self.0.ok("rm -r PROD/lib PROD/api PROD/conf PROD/.lockstep/generations/* 2>/dev/null; cp -a saved/lib saved/api saved/conf PROD")?;
        self.0.revert_state("PROD", "saved/states", "saved/current")
    }
}

fn snapshot(world: &World, name: &str) -> Tested {
    world.ok(&format!(
        "lockstep snapshot --root PROD --output usb/{name}"
    ))?;
    Ok(())
}

fn has(text: &str, words: &[&str]) -> Tested {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is not in:\n{text}").into()),
    }
}

/// PROD applied the next release as sequence 3, the desk has the receipt, and the machine went back to
/// sequence 2.
fn reverted() -> Outcome<World> {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/a.patch.spr")?;
    Machine(&world).save()?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3a.receipt.spr")?;
    world.ok(&format!("lockstep receive usb/3a.receipt.spr {DESK}"))?;
    Machine(&world).revert()?;
    Ok(world)
}

#[test]
fn one_number_twice_is_found_by_every_command() -> Tested {
    let world = reverted()?;
    snapshot(&world, "3b.spr")?;
    // A reverted machine can apply a patch again: what it says of that is evident.
    Machine(&world).revert()?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3c.receipt.spr")?;
    for line in [
        format!("lockstep enrol usb/3b.spr {DESK}"),
        format!("lockstep prepare usb/3b.spr --to {MP5} {DESK} --output usb/x.spr"),
        format!("lockstep receive usb/3c.receipt.spr {DESK}"),
        format!("lockstep enrol usb/3c.receipt.spr {DESK}"),
    ] {
        let words = [
            "two different statements as sequence 3",
            "this one",
            "known here",
            "the file is kept beside it",
            ACCEPT_WORDS,
        ];
        world.refused("desk/state/environments", &line, 17, &words)?;
    }
    assert!(!world.path("usb/x.spr").exists());
    Ok(())
}

const ACCEPT_WORDS: &str = "--accept forked --reason TEXT";

#[test]
fn a_chain_that_leaves_a_receipt_out_is_found() -> Tested {
    let world = reverted()?;
    // Sequence 3 is not shown to the desk: the numbers differ, and the chain tells.
    snapshot(&world, "hidden.spr")?;
    snapshot(&world, "4b.spr")?;
    for line in [
        format!("lockstep enrol usb/4b.spr {DESK}"),
        format!("lockstep prepare usb/4b.spr --to {MP5} {DESK} --output usb/x.spr"),
    ] {
        let words = [
            "does not go on from the last receipt before it",
            "it names",
            "known here",
            ACCEPT_WORDS,
        ];
        world.refused("desk/state/environments", &line, 17, &words)?;
    }
    Ok(())
}

#[test]
fn a_receipt_beside_the_one_that_is_known_is_found() -> Tested {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/a.patch.spr")?;
    Machine(&world).save()?;
    // One branch: a snapshot, and the patch after it. The other: the patch at once, and a rollback.
    snapshot(&world, "3a.spr")?;
    world.apply("PROD", "usb/a.patch.spr", "usb/4a.receipt.spr")?;
    world.ok(&format!("lockstep receive usb/4a.receipt.spr {DESK}"))?;
    Machine(&world).revert()?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3b.receipt.spr")?;
    world.ok("rm -r PROD/lib PROD/api PROD/conf; cp -a saved/lib saved/api saved/conf PROD")?;
    world.ok("lockstep trust site.spr --root PROD; test $? = 3")?;
    world.ok("lockstep site renew --from site.spr --key keys/owner --output site2.spr")?;
    world.ok(
        "lockstep trust site2.spr --root PROD && mv PROD-0004.receipt.spr usb/4b.receipt.spr",
    )?;
    world.ok("lockstep site renew --from site2.spr --key keys/owner --output site3.spr")?;
    world.ok(
        "lockstep trust site3.spr --root PROD && mv PROD-0005.receipt.spr usb/5b.receipt.spr",
    )?;
    for (file, words) in [
        // A late receipt that the known one does not name.
        ("3b", "is not in the chain of receipt 4"),
        ("4b", "two different statements as sequence 4"),
        // Adjacent, and it names another.
        ("5b", "does not go on from the last receipt before it"),
    ] {
        world.refused(
            "desk/state/environments",
            &format!("lockstep receive usb/{file}.receipt.spr {DESK}"),
            17,
            &[words, ACCEPT_WORDS],
        )?;
    }
    Ok(())
}

#[test]
fn a_number_that_went_back_is_found() -> Tested {
    let world = World::installed()?;
    Machine(&world).save()?;
    for name in ["3a.spr", "4a.spr", "5a.spr"] {
        snapshot(&world, name)?;
    }
    world.ok(&format!("lockstep enrol usb/5a.spr {DESK}"))?;
    // A late file is no fork: it was taken before the last one.
    world.ok(&format!("lockstep enrol usb/4a.spr {DESK}"))?;
    Machine(&world).revert()?;
    world.ok("sleep 1.1")?;
    snapshot(&world, "3b.spr")?;
    world.refused(
        "desk/state/environments",
        &format!("lockstep prepare usb/3b.spr --to {MP5} {DESK} --output usb/x.spr"),
        17,
        &[
            "sequence number went back",
            "sequence 3",
            "sequence 5",
            ACCEPT_WORDS,
        ],
    )?;
    Ok(())
}

#[test]
fn the_branch_that_is_accepted_goes_on_and_the_other_is_refused() -> Tested {
    for by in ["enrol", "prepare", "receive"] {
        let world = reverted()?;
        let prepare = format!("--to {MP5} {DESK} --source repository --output usb/b.patch.spr");
        match by {
            "receive" => {
                world.apply("PROD", "usb/a.patch.spr", "usb/3b.receipt.spr")?;
                let ran = world.run(&format!("lockstep receive usb/3b.receipt.spr {DESK}"))?;
                assert_eq!(ran.code, 17, "{}", ran.err);
                world.ok(&format!(
                    "lockstep receive usb/3b.receipt.spr {DESK} {ACCEPT}"
                ))?;
            }
            "enrol" => {
                snapshot(&world, "3b.spr")?;
                world.ok(&format!("lockstep enrol usb/3b.spr {DESK} {ACCEPT}"))?;
                world.ok(&format!("lockstep prepare usb/3b.spr {prepare}"))?;
            }
            _ => {
                snapshot(&world, "3b.spr")?;
                world.ok(&format!("lockstep prepare usb/3b.spr {prepare} {ACCEPT}"))?;
            }
        }
        let known = world.ok(&format!("lockstep environments {DESK}"))?.out;
        has(
            &known,
            &[
                "fork     node PROD, sequence 3 accepted",
                "the machine was reverted on Monday",
            ],
        )
        .map_err(|e| format!("{by}: {e}"))?;
        // The other branch: what is known of it, and what goes on from it.
        world.refused(
            "desk/state/environments",
            &format!("lockstep receive usb/3a.receipt.spr {DESK}"),
            17,
            &["branch that was not accepted"],
        )?;
        if by != "receive" {
            // The road goes on.
            world.apply("PROD", "usb/b.patch.spr", "usb/4b.receipt.spr")?;
            let received = world
                .ok(&format!("lockstep receive usb/4b.receipt.spr {DESK}"))?
                .out;
            has(&received, &["confirms   b.patch.spr"])?;
        }
        let status = world
            .ok(&format!("lockstep environments {DESK} --json"))?
            .out;
        has(&status, &["\"forks\"", "two different statements"])?;
    }
    Ok(())
}

#[test]
fn what_follows_on_the_other_branch_is_refused_as_well() -> Tested {
    let world = reverted()?;
    // Both branches live on: the other one is a clone with every mark.
    world.ok("ln PROD/.lockstep/current cur && cp -a PROD/.lockstep/states st")?;
    snapshot(&world, "3b.spr")?;
    world.ok(&format!("lockstep enrol usb/3b.spr {DESK} {ACCEPT}"))?;
    world.revert_state("PROD", "st", "cur")?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3c.receipt.spr")?;
    snapshot(&world, "4c.spr")?;
    for (line, word) in [
        (
            format!("lockstep receive usb/3c.receipt.spr {DESK}"),
            "two different statements",
        ),
        (
            format!("lockstep receive usb/3a.receipt.spr {DESK}"),
            "not accepted",
        ),
    ] {
        world.refused("desk/state/environments", &line, 17, &[word])?;
    }
    // Nothing else is lifted where a word is taken in, and no reason is no acceptance.
    for more in ["--accept too-old --reason x", "--accept forked"] {
        let ran = world.run(&format!(
            "lockstep receive usb/3c.receipt.spr {DESK} {more}"
        ))?;
        assert_eq!(ran.code, 2, "{more}: {}", ran.err);
    }
    // Somebody finds out that it was the other one after all.
    world.ok(&format!(
        "lockstep receive usb/3c.receipt.spr {DESK} {ACCEPT}"
    ))?;
    world.refused(
        "desk/state/environments",
        &format!("lockstep enrol usb/3b.spr {DESK}"),
        17,
        &["not accepted"],
    )?;
    world.ok(&format!("lockstep enrol usb/4c.spr {DESK}"))?;
    Ok(())
}

/// Two branches, and somebody decided for one. On the other the node is restored: that it says so lifts a
/// fork, and not what was decided.
#[test]
fn a_rehome_on_the_branch_that_was_not_accepted_is_asked_about() -> Tested {
    let world = reverted()?;
    world.ok("ln PROD/.lockstep/current cur && cp -a PROD/.lockstep/states st")?;
    snapshot(&world, "3b.spr")?;
    world.ok(&format!(
        "lockstep enrol usb/3b.spr {DESK} {ACCEPT} --key keys/desk --output usb/e.spr"
    ))?;
    world.revert_state("PROD", "st", "cur")?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3c.receipt.spr")?;
    // Found out to be the other one, and back again: both numbers are known, and one is refused.
    world.ok(&format!(
        "lockstep receive usb/3c.receipt.spr {DESK} {ACCEPT}"
    ))?;
    world.ok(&format!("lockstep enrol usb/3b.spr {DESK} {ACCEPT}"))?;
    world.ok("mv PROD NEW && lockstep rehome --restored --enrolment usb/e.spr --root NEW --environment PROD --reason disk --receipt usb/r.spr")?;
    let line = format!("lockstep enrol usb/r.spr {DESK} --replace");
    world.refused(
        "desk/state/environments",
        &line,
        17,
        &["branch that was not accepted", ACCEPT_WORDS],
    )?;
    world.ok(&format!("{line} {ACCEPT}"))?;
    Ok(())
}

#[test]
fn a_key_that_was_replaced_meanwhile_is_asked_again_under_the_lock() -> Tested {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/a.patch.spr")?;
    world.apply("PROD", "usb/a.patch.spr", "usb/3.receipt.spr")?;
    world.ok("cp -a PROD P2 && rm -r PROD && mv P2 PROD")?;
    world.ok("lockstep rehome --moved --root PROD --environment PROD --reason disk --receipt usb/4.receipt.spr")?;
    // `receive` reads by the old key and waits for the lock; meanwhile the new key is enrolled, by a
    // record that was written whole.
    world.ok("cp -a desk desk2 && lockstep enrol usb/4.receipt.spr --desk desk2 --replace")?;
    let line = "exec 9< desk/state/lock; flock 9; lockstep receive usb/3.receipt.spr --desk desk 9<&- 2> told & \
         p=$!; sleep 0.7; cp desk2/state/environments/* desk/state/environments/; flock -u 9; wait $p; echo $? > code";
    world.ok(line)?;
    let code = fs::read_to_string(world.path("code"))?;
    let told = fs::read_to_string(world.path("told"))?;
    assert_eq!(code.trim(), "18", "{told}");
    has(&told, &["another key"])
}

#[test]
fn a_patch_gets_its_name_only_once_the_record_has_it() -> Tested {
    let world = World::installed()?;
    // The record cannot be written, so nothing may come out.
    world.ok("rm desk/state/lock; mkdir desk/state/lock")?;
    let line = format!(
        "lockstep prepare usb/PROD.receipt.spr --to {MP5} {DESK} --source repository --output usb/a.patch.spr"
    );
    let ran = world.run(&line)?;
    assert_ne!(ran.code, 0, "{}", ran.out);
    for file in ["usb/a.patch.spr", "usb/a.head.spr"] {
        assert!(
            !world.path(file).exists(),
            "{file} is out, and the desk knows nothing of it"
        );
    }
    world.ok("rmdir desk/state/lock")?;
    // The name is taken at the last moment, while the record is written: then it must not keep the patch.
    let taken = format!(
        "exec 9< desk/state/lock; flock 9; {line} 9<&- & p=$!; n=0; \
         until ls usb/.a.head.spr.* >/dev/null 2>&1 || [ $n = 200 ]; do sleep 0.02; n=$((n+1)); done; \
         touch usb/a.patch.spr; flock -u 9; wait $p; echo $? > code"
    );
    world.ok(&format!(
        "lockstep environments {DESK}; touch desk/state/lock"
    ))?;
    world.ok(&taken)?;
    assert_eq!(
        fs::read_to_string(world.path("code"))?.trim(),
        "2",
        "the name is taken"
    );
    let known = world
        .ok(&format!("lockstep environments {DESK} --json"))?
        .out;
    has(&known, &["\"waiting\": 0"])?;
    world.ok("rm -f usb/a.patch.spr usb/a.head.spr")?;
    world.ok(&line)?;
    Ok(())
}
