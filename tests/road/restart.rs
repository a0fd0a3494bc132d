//! Apply with a service: stopped, started, and put back when it does not start.

use std::fs;
use std::path::Path;

use crate::world::{MP5, Outcome, Tested, World};

const APPLY: &str = "lockstep apply usb/5.patch.spr --root PROD --receipt usb/5.receipt.spr";

/// A product that writes into `log` what is done with it and on which files. A file `fail` with a word
/// in it makes that step fail while the jar has the text after it.
const PRODUCT: &str = r#"#!/bin/sh
step=$1
jar=$(cat lib/core.jar)
echo "$step $jar" >> ../log
if [ -e ../before-start ] && [ "$step" != health ]; then
    lockstep recover --before-start --root . >> ../log 2>&1
    echo "before-start $?" >> ../log
fi
if [ -e ../kill ] && [ "$step $jar" = "$(cat ../kill)" ]; then rm ../kill; kill -9 $PPID; fi
if [ -e ../fail ] && grep -qxF "$step $jar" ../fail; then
    echo "java.lang.OutOfMemoryError: $step"
    exit 3
fi
"#;

/// PROD on the first release with a product, and a patch to the second one.
fn world(more: &str) -> Outcome<World> {
    let world = World::installed()?;
    world.write("product.sh", PRODUCT)?;
    let command = |step: &str| {
        format!(
            "[service.{step}]\ncommand = [\"/bin/sh\", \"../product.sh\", \"{step}\"]\nseconds = 30\n"
        )
    };
    let rules = world.path("PROD/.lockstep/node.toml");
    let mut text = fs::read_to_string(&rules)?;
    text.push_str(&command("stop"));
    text.push_str(&command("start"));
    text.push_str(more);
    fs::write(rules, text)?;
    world.ok(&format!("lockstep prepare --environment PROD --to {MP5} --desk desk --source repository --output usb/5.patch.spr"))?;
    Ok(world)
}

const HEALTH: &str =
    "[service.health]\ncommand = [\"/bin/sh\", \"../product.sh\", \"health\"]\nseconds = 1\n";

fn log(world: &World) -> Vec<String> {
    let text = fs::read_to_string(world.path("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn jar(world: &World) -> Outcome<String> {
    Ok(fs::read_to_string(world.path("PROD/lib/core.jar"))?)
}

fn is_clean(root: &Path) -> Tested {
    let state = root.join(".lockstep");
    assert!(!state.join("journal").exists());
    assert_eq!(fs::read_dir(state.join("stage"))?.count(), 0);
    Ok(())
}

#[test]
fn stopped_exchanged_started() -> Tested {
    let world = world(HEALTH)?;
    let ran = world.ok(APPLY)?;
    assert_eq!(
        log(&world),
        ["stop core 9.0", "start core 9.1", "health core 9.1"]
    );
    let last = ran.out.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("done: staging ") && last.contains(" ms (exchange "),
        "{last}"
    );
    assert!(
        ran.out.contains("stopped, and started again"),
        "{}",
        ran.out
    );
    let receipt = world.ok("lockstep inspect usb/5.receipt.spr")?.out;
    assert!(receipt.contains("took         staging"), "{receipt}");
    world.ok("lockstep rollback --root PROD --environment PROD")?;
    assert_eq!(
        log(&world)[3..],
        ["stop core 9.1", "start core 9.0", "health core 9.0"]
    );
    Ok(())
}

#[test]
fn a_stop_that_fails_exchanges_nothing() -> Tested {
    let world = world("")?;
    world.write("fail", "stop core 9.0")?;
    let refused = world.refused(
        "PROD/lib",
        APPLY,
        39,
        &[
            "did not stop",
            "exit code 3",
            "java.lang.OutOfMemoryError: stop",
        ],
    )?;
    assert!(refused.err.contains("half stopped"), "{}", refused.err);
    assert_eq!(log(&world), ["stop core 9.0"]);
    is_clean(&world.path("PROD"))?;
    assert!(!world.path("usb/5.receipt.spr").exists());
    fs::remove_file(world.path("fail"))?;
    world.ok(APPLY)?;
    Ok(())
}

#[test]
fn a_start_that_fails_puts_the_old_files_back() -> Tested {
    for (fail, more, what) in [
        ("start core 9.1", "", "did not start on the new files"),
        ("health core 9.1", HEALTH, "is not well on the new files"),
    ] {
        let world = world(more)?;
        world.write("fail", fail)?;
        let refused = world.refused(
            "PROD/lib",
            APPLY,
            40,
            &[
                what,
                "java.lang.OutOfMemoryError",
                "downtime",
                "5.receipt.spr",
            ],
        )?;
        assert!(
            refused.err.contains("was started again on the old files"),
            "{}",
            refused.err
        );
        let log = log(&world);
        assert_eq!(log.first().map(String::as_str), Some("stop core 9.0"));
        assert!(log.contains(&"stop core 9.1".to_owned()), "{log:?}");
        assert!(log.contains(&"start core 9.0".to_owned()), "{log:?}");
        is_clean(&world.path("PROD"))?;

        // The receipt says so, the desk takes it, and the same patch may be applied again.
        let receipt = world.ok("lockstep inspect usb/5.receipt.spr")?.out;
        for words in ["rolled-back", "exit code 3", "java.lang.OutOfMemoryError"] {
            assert!(receipt.contains(words), "{receipt}");
        }
        world.ok("lockstep receive usb/5.receipt.spr --desk desk")?;
        world.ok("lockstep history --root PROD --check")?;
        fs::remove_file(world.path("fail"))?;
        let again = "lockstep apply usb/5.patch.spr --root PROD --receipt usb/6.receipt.spr";
        world.ok(again)?;
        assert_eq!(jar(&world)?, "core 9.1");
        let received = world.ok("lockstep receive usb/6.receipt.spr --desk desk")?;
        assert!(
            received.out.contains("confirms   5.patch.spr"),
            "{}",
            received.out
        );
    }
    Ok(())
}

#[test]
fn a_one_way_change_is_not_undone_by_a_start_that_fails() -> Tested {
    let world = world("")?;
    world.one_way()?;
    world.write("fail", "start core 9.3")?;
    let ran =
        world.run("lockstep apply usb/3.patch.spr --root PROD --receipt usb/3.receipt.spr")?;
    assert_eq!(ran.code, 42, "{}", ran.err);
    for words in [
        "one-way",
        "the database is migrated",
        "exit code 3",
        "lockstep rollback",
    ] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(jar(&world)?, "core 9.3");
    assert_eq!(log(&world), ["stop core 9.0", "start core 9.3"]);
    is_clean(&world.path("PROD"))?;
    world.ok("lockstep status --root PROD --check")?;
    Ok(())
}

/// Killed after the new product was started and before the commit: recovery stops it first.
#[test]
fn recovery_puts_no_files_below_a_product_that_runs() -> Tested {
    let world = world("")?;
    world.write("kill", "start core 9.1")?;
    let killed = world.run(APPLY)?;
    assert_eq!(killed.code, 137, "{}", killed.err);
    assert_eq!(jar(&world)?, "core 9.1");
    let status = world.run("lockstep status --root PROD")?;
    assert_eq!(status.code, 41, "{}", status.out);
    let recovered = world.ok("lockstep recover --root PROD")?;
    assert!(recovered.out.contains("was undone"), "{}", recovered.out);
    assert!(recovered.out.contains("started again"), "{}", recovered.out);
    assert_eq!(jar(&world)?, "core 9.0");
    assert_eq!(
        log(&world),
        [
            "stop core 9.0",
            "start core 9.1",
            "stop core 9.1",
            "start core 9.0"
        ]
    );
    is_clean(&world.path("PROD"))?;
    let again = world.ok("lockstep recover --root PROD")?;
    assert!(
        again.out.contains("nothing was interrupted"),
        "{}",
        again.out
    );
    world.ok(APPLY)?;
    Ok(())
}

/// As a service manager starts it after a power cut: the files go back, and nothing else is done.
#[test]
fn before_a_start_only_files_are_recovered() -> Tested {
    let world = world("")?;
    world.write("kill", "start core 9.1")?;
    assert_eq!(world.run(APPLY)?.code, 137);
    world.ok("lockstep recover --before-start --root PROD")?;
    assert_eq!(jar(&world)?, "core 9.0");
    assert_eq!(log(&world), ["stop core 9.0", "start core 9.1"]);
    let quiet = world.ok("lockstep recover --before-start --root PROD")?;
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""));
    Ok(())
}

/// The command that starts the product is not held up by its own lock; nobody else starts it while
/// files are exchanged.
#[test]
fn a_service_manager_is_told_whether_the_product_may_start() -> Tested {
    let world = world("")?;
    world.write("before-start", "")?;
    world.ok(APPLY)?;
    let log = log(&world);
    let answers: Vec<&str> = log
        .iter()
        .map(String::as_str)
        .filter(|line| {
            ["before-start", "stop ", "start "]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .collect();
    assert_eq!(
        answers,
        [
            "stop core 9.0",
            "before-start 35",
            "start core 9.1",
            "before-start 0"
        ],
        "{log:?}"
    );
    assert!(
        log.iter()
            .any(|line| line.contains("its files are being exchanged")),
        "{log:?}"
    );
    Ok(())
}

/// A patch that moves no file leaves the product alone.
#[test]
fn nothing_to_move_stops_nothing() -> Tested {
    let world = world("")?;
    world.ok(APPLY)?;
    world.ok("lockstep receive usb/5.receipt.spr --desk desk")?;
    world.publish(
        "release",
        "--recipe to:step/trailblazer/step-trailblazer-9.0-mp6-2026-12-01-12-00-00.spr --component core=9.1.0 --component restapi=7.0.40",
    )?;
    world.ok("lockstep prepare --environment PROD --to to:step/trailblazer/step-trailblazer-9.0-mp6-2026-12-01-12-00-00.spr --desk desk --source repository --output usb/6.patch.spr")?;
    let steps = log(&world).len();
    world.apply("PROD", "usb/6.patch.spr", "usb/6.receipt.spr")?;
    assert_eq!(log(&world).len(), steps);
    Ok(())
}

/// Killed while the product was stopped, before any file was exchanged: nothing is to be put back, and
/// yet the product is to be started.
#[test]
fn a_product_that_was_stopped_is_not_forgotten() -> Tested {
    let world = world("")?;
    world.write("kill", "stop core 9.0")?;
    assert_eq!(world.run(APPLY)?.code, 137);
    assert_eq!(world.run("lockstep status --root PROD --check")?.code, 41);
    let recovered = world.ok("lockstep recover --root PROD")?;
    assert!(recovered.out.contains("started again"), "{}", recovered.out);
    assert_eq!(log(&world), ["stop core 9.0", "start core 9.0"]);
    world.ok("lockstep status --root PROD --check")?;
    world.ok(APPLY)?;
    Ok(())
}

/// The files are the new ones, and whether the product runs on them is not known: they stay.
#[test]
fn a_product_that_cannot_be_stopped_again_keeps_its_files() -> Tested {
    let world = world("")?;
    world.write("fail", "start core 9.1\nstop core 9.1")?;
    let refused = world.run(APPLY)?;
    assert_eq!(refused.code, 41, "{}", refused.err);
    for words in ["cannot be stopped", "lockstep recover", "exit code 3"] {
        assert!(refused.err.contains(words), "{}", refused.err);
    }
    assert_eq!(jar(&world)?, "core 9.1");
    let again = world.run("lockstep recover --root PROD")?;
    assert_eq!(again.code, 41, "{}", again.err);
    assert!(again.err.contains("it did not stop"), "{}", again.err);
    assert_eq!(jar(&world)?, "core 9.1");
    fs::remove_file(world.path("fail"))?;
    world.ok("lockstep recover --root PROD")?;
    assert_eq!(jar(&world)?, "core 9.0");
    is_clean(&world.path("PROD"))?;
    Ok(())
}

/// With a command that says that it is down, a stop that fails is no obstacle.
#[test]
fn a_product_that_is_surely_down_needs_no_stop() -> Tested {
    let running =
        "[service.running]\ncommand = [\"/bin/sh\", \"-c\", \"test ! -e ../down\"]\nseconds = 5\n";
    let world = world(running)?;
    world.write("fail", "start core 9.1\nstop core 9.1")?;
    world.write(
        "product.sh",
        &format!("{PRODUCT}\n").replace("exit 3", "touch ../down; exit 3"),
    )?;
    let refused = world.run(APPLY)?;
    assert_eq!(refused.code, 40, "{}", refused.err);
    assert_eq!(jar(&world)?, "core 9.0");

    // One that does not run before is stopped all the same, not started, and that is said.
    fs::remove_file(world.path("fail"))?;
    let applied =
        world.ok("lockstep apply usb/5.patch.spr --root PROD --receipt usb/6.receipt.spr")?;
    assert!(applied.out.contains("NOT started"), "{}", applied.out);
    assert_eq!(
        log(&world).last().map(String::as_str),
        Some("stop core 9.0")
    );
    Ok(())
}

#[test]
fn what_failed_is_told_though_the_receipt_fails_too() -> Tested {
    let world = world("")?;
    world.one_way()?;
    world.write("fail", "start core 9.3")?;
    let product = PRODUCT.replace("exit 3", "touch ../usb/3.receipt.spr; exit 3");
    world.write("product.sh", &product)?;
    let ran =
        world.run("lockstep apply usb/3.patch.spr --root PROD --receipt usb/3.receipt.spr")?;
    assert_eq!(ran.code, 42, "{}", ran.err);
    for words in [
        "the product did not start",
        "is down",
        "exit code 3",
        "receipt",
    ] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    Ok(())
}

/// Nothing is there to be started.
#[test]
fn back_to_nothing_starts_nothing() -> Tested {
    let world = world("")?;
    let back = "lockstep rollback --root PROD --environment PROD --to 1";
    let ran = world.ok(back)?;
    assert!(ran.out.contains("nothing is installed"), "{}", ran.out);
    assert!(!world.path("PROD/lib/core.jar").exists());
    assert_eq!(log(&world), ["stop core 9.0"]);
    Ok(())
}

/// A lock that falls at the last moment is no answer by itself.
#[test]
fn a_journal_is_recovered_however_long_the_lock_was_held() -> Tested {
    let world = world("")?;
    world.write("kill", "start core 9.1")?;
    assert_eq!(world.run(APPLY)?.code, 137);
    for held in ["0.5", "1.95", "2.05", "3"] {
        let line = format!(
            "flock PROD/.lockstep/lock sleep {held} & sleep 0.1; lockstep recover --before-start --root PROD"
        );
        let ran = world.run(&line)?;
        let journal = world.path("PROD/.lockstep/journal").exists();
        assert_eq!(ran.code == 0, !journal, "{held}: {} {}", ran.code, ran.err);
        if journal {
            assert_eq!(ran.code, 35, "{held}: {}", ran.err);
        }
    }
    Ok(())
}

/// What the product put in place of an owned file is not guessed about: a person moves it away.
#[test]
fn what_a_product_wrote_is_moved_away_by_a_person() -> Tested {
    let world = world("")?;
    let product = PRODUCT.replace("exit 3", "echo mine > lib/x; mv lib/x lib/core.jar; exit 3");
    world.write("product.sh", &product)?;
    world.write("fail", "start core 9.1")?;
    let refused = world.run(APPLY)?;
    assert_eq!(refused.code, 41, "{}", refused.err);
    assert!(refused.err.contains("move it away"), "{}", refused.err);
    assert_eq!(world.run("lockstep recover --root PROD")?.code, 41);
    fs::rename(world.path("PROD/lib/core.jar"), world.path("PROD/mine.jar"))?;
    world.ok("lockstep recover --root PROD")?;
    assert_eq!(jar(&world)?, "core 9.0");
    is_clean(&world.path("PROD"))?;
    Ok(())
}
