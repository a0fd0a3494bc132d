//! Signals and terminals: Ctrl-C, `kill` and a lost connection, before the files are exchanged and
//! while they are; a closed pipe, a full one, a progress bar.
//!
//! A signal comes at a certain system call, and a command is held at one, by `strace`; so no test
//! depends on how fast anything is.

use std::fs;

use crate::terminal::{CTRL_C, Terminal};
use crate::world::{MP5, Outcome, Ran, Tested, Tree, World};

const SIGNALS: [&str; 3] = ["INT", "TERM", "HUP"];
/// Most points of a sweep.
const POINTS: usize = 120;

/// Whether commands can be traced here; said where they cannot.
fn traced(world: &World) -> Outcome<bool> {
    let traced = world.run("strace -f -qq -o /dev/null true")?.code == 0;
    if !traced {
        eprintln!("strace does not run here: no signal is sent at a certain moment");
    }
    Ok(traced)
}

/// An environment with the first release, and a patch to the second.
fn patched(world: &World, name: &str) -> Outcome<String> {
    world.install(name)?;
    world.prepare(
        &format!("usb/{name}.receipt.spr"),
        MP5,
        &format!("usb/{name}.two.patch.spr"),
    )?;
    Ok(apply(name))
}

fn apply(name: &str) -> String {
    format!(
        "lockstep apply usb/{name}.two.patch.spr --root {name} --receipt usb/{name}.two.receipt.spr"
    )
}

/// `line` with one worker, and `fault` at `call`.
fn with(call: &str, fault: &str, line: &str) -> String {
    format!(
        "RAYON_NUM_THREADS=1 strace -f -qq -o /dev/null -e trace={call} -e inject={call}:{fault} {line}"
    )
}

/// The new release is there, and committed.
fn check_new(world: &World, name: &str) -> Tested {
    let core = fs::read_to_string(world.path(name).join("lib/core.jar"))?;
    assert_eq!(core, "core 9.1");
    assert!(!world.path(name).join(".lockstep/journal").exists());
    world.ok(&format!("lockstep status --check --root {name}"))?;
    Ok(())
}

fn all(world: &World, name: &str) -> Outcome<(Tree, Tree)> {
    Ok((world.tree(name)?, world.tree("usb")?))
}

/// A signal at every so-manyth file that is opened, until it comes too late: before that nothing is
/// changed and nothing left, from then on the command is done. Says at which points it came in time.
fn sweep(world: &World, name: &str, line: &str, step: usize) -> Outcome<Vec<usize>> {
    let before = all(world, name)?;
    let mut in_time = Vec::new();
    for (turn, at) in (1..).step_by(step).enumerate().take(POINTS) {
        let signal = SIGNALS[turn % SIGNALS.len()];
        let ran = world.run(&with("openat", &format!("signal={signal}:when={at}"), line))?;
        let said = format!("SIG{signal} at {at}: {}\n{}{}", ran.code, ran.out, ran.err);
        match ran.code {
            0 => {
                let told = format!("a signal (SIG{signal}) came");
                // A dry run asks until it ends: there the sweep has run out of files.
                let dry = line.ends_with("--dry-run") && !ran.err.contains("signal");
                assert!(dry || ran.err.contains(&told), "{said}");
                return Ok(in_time);
            }
            38 => {
                check_interrupted(&ran, signal, line);
                in_time.push(at);
            }
            // While the program is still being loaded, nobody handles it.
            -1 | 129 | 130 | 143 if in_time.is_empty() => {}
            _ => return Err(said.into()),
        }
        let now = all(world, name)?;
        assert!(now == before, "{said}\n{}", changed(&before, &now));
    }
    Err("no signal came too late".into())
}

/// What is not as it was.
fn changed((root, usb): &(Tree, Tree), now: &(Tree, Tree)) -> String {
    let mut changed = Vec::new();
    for (was, is) in [(root, &now.0), (usb, &now.1)] {
        for path in was.keys().chain(is.keys()) {
            if was.get(path) != is.get(path) {
                changed.push(format!("changed: {}", path.display()));
            }
        }
    }
    changed.join("\n")
}

fn check_interrupted(ran: &Ran, signal: &str, line: &str) {
    let signal = format!("SIG{signal}\n");
    for word in [
        "interrupted (38): ",
        &signal,
        "unchanged  nothing was changed\n",
        &format!("next       {line}\n"),
    ] {
        assert!(ran.err.contains(word), "no {word:?} in:\n{}", ran.err);
    }
    assert_eq!(ran.out, "");
}

#[test]
fn a_signal_before_the_exchange_leaves_nothing() -> Tested {
    let world = World::new()?;
    if !traced(&world)? {
        return Ok(());
    }
    let line = patched(&world, "PROD")?;
    let dry = format!("{line} --dry-run");
    let in_time = sweep(&world, "PROD", &dry, 5)?;
    assert!(in_time.len() >= 4, "{dry}: in time at {in_time:?}");
    let in_time = sweep(&world, "PROD", &line, 9)?;
    assert!(in_time.len() >= 10, "in time at {in_time:?}");
    check_new(&world, "PROD")?;
    for (line, step) in [
        (
            "lockstep snapshot --full --root PROD --output usb/full.snapshot.spr",
            7,
        ),
        (
            "lockstep rollback --root PROD --environment PROD --receipt usb/back.receipt.spr",
            9,
        ),
    ] {
        let in_time = sweep(&world, "PROD", line, step)?;
        assert!(in_time.len() >= 3, "{line}: in time at {in_time:?}");
    }
    let core = fs::read_to_string(world.path("PROD/lib/core.jar"))?;
    assert_eq!(core, "core 9.0");
    Ok(())
}

/// What is ignored when a command starts stays ignored; the same signal without that ends it.
#[test]
fn nohup_is_obeyed() -> Tested {
    let world = World::new()?;
    if !traced(&world)? {
        return Ok(());
    }
    let line = patched(&world, "PROD")?;
    let hup = "strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:signal=HUP:when=1";
    world.refused("PROD", &format!("{hup} {line}"), 38, &["SIGHUP"])?;
    let ran = world.ok(&format!("nohup {hup} {line}"))?;
    assert!(!ran.err.contains("signal"), "{}", ran.err);
    check_new(&world, "PROD")
}

/// The moves of the exchange among the renames of an apply, counted from 1.
fn moves(world: &World, line: &str) -> Outcome<Vec<usize>> {
    let traced = "RAYON_NUM_THREADS=1 strace -f -qq -o renames.log -e trace=renameat2";
    world.ok(&format!("{traced} {line}"))?;
    let log = fs::read_to_string(world.path("renames.log"))?;
    let renames = log.lines().filter(|line| line.contains("renameat2("));
    let files = [
        "core.jar",
        "a.properties",
        "new.txt",
        "old.txt",
        "restapi.jar",
    ];
    let is_move = |line: &str| {
        files
            .iter()
            .any(|file| line.contains(&format!("\"{file}\"")))
    };
    let moves: Vec<usize> = (1..)
        .zip(renames)
        .filter(|(_, line)| is_move(line))
        .map(|(at, _)| at)
        .collect();
    assert!(moves.len() >= 4, "{moves:?} in\n{log}");
    Ok(moves)
}

#[test]
fn a_signal_in_the_exchange_waits() -> Tested {
    let world = World::new()?;
    if !traced(&world)? {
        return Ok(());
    }
    let line = patched(&world, "FIRST")?;
    let moves = moves(&world, &line)?;
    let [first, .., last] = moves[..] else {
        return Err("there are no moves".into());
    };
    for (signal, at) in SIGNALS.into_iter().zip([first, first + 1, last]) {
        let line = patched(&world, signal)?;
        let ran = world.ok(&with(
            "renameat2",
            &format!("signal={signal}:when={at}"),
            &line,
        ))?;
        let told = format!("warning: a signal (SIG{signal}) came after the last moment");
        assert!(ran.err.contains(&told), "{}", ran.err);
        assert!(ran.out.contains("applied"), "{}", ran.out);
        check_new(&world, signal)?;
    }
    Ok(())
}

/// A connection breaks: while the new files are staged, and between two moves of the exchange.
#[test]
fn a_lost_terminal_ends_a_command_before_the_exchange_alone() -> Tested {
    let world = World::new()?;
    if !traced(&world)? {
        return Ok(());
    }
    let first = patched(&world, "FIRST")?;
    let moves = moves(&world, &first)?;
    let line = patched(&world, "PROD")?;
    let before = world.tree("PROD")?;
    // Held where the packs lie in the stage, and the first of the new files is about to be made.
    let stage = world.path("PROD/.lockstep/stage/3/packs");
    let held = with("fchmod", "delay_enter=2000000:when=1", &line);
    let mut terminal = Terminal::run(&world, &held)?;
    terminal.wait("stage", |_| stage.exists())?;
    terminal.hang_up();
    let (code, _) = terminal.ends()?;
    assert_eq!(code, 38);
    assert_eq!(world.tree("PROD")?, before);

    let at = moves[1];
    let held = with(
        "renameat2",
        &format!("delay_enter=2000000:when={at}"),
        &line,
    );
    let journal = world.path("PROD/.lockstep/journal");
    let current = fs::read(world.path("PROD/.lockstep/current"))?;
    let mut terminal = Terminal::run(&world, &held)?;
    terminal.wait("move", |_| {
        journal.exists() && world.tree("PROD").is_ok_and(|tree| differs(&tree, &before))
    })?;
    terminal.hang_up();
    assert_eq!(fs::read(world.path("PROD/.lockstep/current"))?, current);
    let (code, _) = terminal.ends()?;
    assert_eq!(code, 0);
    check_new(&world, "PROD")?;
    assert!(world.path("usb/PROD.two.receipt.spr").exists());
    Ok(())
}

/// Whether a file of the product is another one.
fn differs(now: &Tree, before: &Tree) -> bool {
    before
        .iter()
        .filter(|(path, _)| !path.starts_with(".lockstep"))
        .any(|(path, was)| now.get(path) != Some(was))
}

/// Where somebody is asked, Ctrl-C ends the program at once; where the question is answered, a
/// signal waits again.
#[test]
fn a_question_is_left_by_ctrl_c() -> Tested {
    let world = World::new()?;
    let line = patched(&world, "PROD")?;
    world.ok(&line)?;
    let back = "lockstep rollback --root PROD --receipt usb/back.receipt.spr";
    let asked = |seen: &str| seen.contains("type the environment's name");
    let mut terminal = Terminal::run(&world, back)?;
    terminal.wait("question", asked)?;
    terminal.types(CTRL_C)?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 130, "{seen}");
    check_new(&world, "PROD")?;
    let mut terminal = Terminal::run(&world, back)?;
    terminal.wait("question", asked)?;
    terminal.types("PROD\n")?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 0, "{seen}");
    let core = fs::read_to_string(world.path("PROD/lib/core.jar"))?;
    assert_eq!(core, "core 9.0");
    Ok(())
}

/// Ctrl-C as it is typed, while a bar is on the screen.
#[test]
fn ctrl_c_on_a_terminal_is_a_refusal() -> Tested {
    let Some(world) = wide()? else {
        return Ok(());
    };
    let before = world.tree("PROD")?;
    let slow = with("read", "delay_enter=15000", SNAPSHOT);
    let mut terminal = Terminal::run(&world, &slow)?;
    terminal.wait("bar", |seen| seen.matches("scanning").count() >= 2)?;
    terminal.types(CTRL_C)?;
    terminal.types(CTRL_C)?;
    let (code, seen) = terminal.ends()?;
    assert_eq!(code, 38, "{seen}");
    assert!(
        seen.contains("interrupted (38)") && seen.contains("SIGINT"),
        "{seen}"
    );
    assert_eq!(world.tree("PROD")?, before);
    assert!(!world.path("usb/wide.snapshot.spr").exists());
    Ok(())
}

const SNAPSHOT: &str = "lockstep snapshot --root PROD --output usb/wide.snapshot.spr";
const WIDE: usize = 150;

/// An environment with so many files that a slowed command draws its bars many times.
fn wide() -> Outcome<Option<World>> {
    let world = World::new()?;
    if !traced(&world)? {
        return Ok(None);
    }
    let files: Vec<(String, String)> = (0..WIDE)
        .map(|n| (format!("wide/{n:03}"), format!("content of {n}")))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    world.component("wide/1.0/wide-1.0.0", &files, "")?;
    world.init("PROD")?;
    world.prepare(
        "usb/PROD.snapshot.spr",
        "to:wide/1.0/wide-1.0.0.spr",
        "usb/wide.patch.spr",
    )?;
    let slow = with(
        "read",
        "delay_enter=15000",
        "lockstep apply usb/wide.patch.spr --root PROD --receipt usb/wide.receipt.spr",
    );
    let (code, seen) = Terminal::run(&world, &slow)?.ends()?;
    assert_eq!(code, 0, "{seen}");
    Ok(Some(world))
}

/// A bar that is drawn many times, and several of them one after the other, hold nothing up and leave
/// nothing on the screen.
#[test]
fn bars_end_with_their_stage() -> Tested {
    let Some(world) = wide()? else {
        return Ok(());
    };
    let slow = with("read", "delay_enter=15000", SNAPSHOT);
    let (code, seen) = Terminal::run(&world, &slow)?.ends()?;
    assert_eq!(code, 0, "{seen}");
    let drawn = seen.matches("scanning").count();
    assert!(drawn >= 4, "drawn {drawn} time(s): {seen:?}");
    let last = seen.rsplit("scanning").next().unwrap_or_default();
    assert!(last.contains("snapshot of environment PROD"), "{seen:?}");
    Ok(())
}

/// Whoever reads what is printed may have gone away, or be full: that changes neither what is done
/// nor how the command ends.
#[test]
fn a_closed_output_changes_nothing() -> Tested {
    let world = World::new()?;
    let outputs = [
        "LINE >&-",
        "LINE 2>&-",
        "LINE >&- 2>&- <&-",
        "LINE >/dev/full 2>/dev/full",
        "LINE --json >/dev/full",
        "{ LINE; echo $? >code; } | head -c 0; exit $(cat code)",
        "{ LINE --json; echo $? >code; } | head -c 0; exit $(cat code)",
        "{ LINE 2>&1; echo $? >code; } | true; exit $(cat code)",
    ];
    for (turn, output) in outputs.into_iter().enumerate() {
        let name = format!("E{turn}");
        let line = patched(&world, &name)?;
        let done = world.run(&output.replace("LINE", &line))?;
        assert_eq!(done.code, 0, "{output}: {}{}", done.out, done.err);
        assert!(!done.err.contains("panic"), "{output}: {}", done.err);
        check_new(&world, &name)?;
        let again = line.replace("two.receipt", "again.receipt");
        let again = world.run(&output.replace("LINE", &again))?;
        assert_eq!(again.code, 12, "{output}: {}{}", again.out, again.err);
    }
    Ok(())
}
