//! Tests of running a command.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn shell(line: &str) -> Vec<String> {
    ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
}

fn in_folder(root: &Path, line: &str, limit: Duration) -> Ran {
    run(root, &shell(line), limit)
}

fn text(folder: &Path, name: &str) -> String {
    let bytes = durable::read(&folder.join(name), 1_000).unwrap();
    String::from_utf8(bytes).unwrap().trim().to_owned()
}

const PATIENCE: Duration = Duration::from_secs(10);

/// Looks again until it is so, within bounds.
fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        sleep(PAUSE);
    }
}

#[test]
fn how_it_ended_and_what_it_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (line, ended, output) in [
        ("exit 0", "exit code 0", ""),
        ("echo out; echo err >&2; exit 3", "exit code 3", "out\nerr"),
        ("kill -9 $$", "signal 9", ""),
        ("printf 'a\\n\\n \\n'", "exit code 0", "a"),
        (
            "printf 'a\\r\\n\\tb\\033[2J'",
            "exit code 0",
            "a\n\tb\u{fffd}[2J",
        ),
        ("printf 'a\\377b'", "exit code 0", "a\u{fffd}b"),
        (
            "echo lost; echo kept > /dev/stderr; echo more",
            "exit code 0",
            "kept\nmore",
        ),
        ("cat", "exit code 0", ""),
        ("no-such-command-here 2> /dev/null", "exit code 127", ""),
    ] {
        let ran = in_folder(folder.path(), line, 20 * SECOND);
        assert_eq!(
            (ran.end.to_string().as_str(), ran.output.as_str()),
            (ended, output),
            "{line}"
        );
        assert_eq!(ran.well(), ended == "exit code 0", "{line}");
    }
}

#[test]
fn it_runs_in_the_root_in_a_group_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let ran = in_folder(&root, "pwd", 20 * SECOND);
    assert_eq!(Path::new(&ran.output), root);
    let ran = in_folder(&root, "cut -d' ' -f1,5 /proc/$$/stat", 20 * SECOND);
    let (pid, group) = ran.output.split_once(' ').unwrap();
    assert_eq!(pid, group);
    // A program is looked for from the root, not from where the command was typed.
    let script = root.join("ask.sh");
    durable::write(&script, b"#!/bin/sh\necho asked $1\n", 0o755).unwrap();
    let command = ["./ask.sh", "a b"].map(str::to_owned);
    assert_eq!(run(&root, &command, 20 * SECOND).output, "asked a b");
}

#[test]
fn what_cannot_be_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    durable::write(&folder.path().join("plain"), b"", 0o644).unwrap();
    for (program, why) in [
        ("/no/such/program", "No such file"),
        ("./plain", "Permission denied"),
    ] {
        let ran = run(folder.path(), &[program.to_owned()], SECOND);
        let told = ran.end.to_string();
        assert!(
            told.starts_with("cannot be run: ") && told.contains(why),
            "{told}"
        );
    }
    let ran = run(&folder.path().join("none"), &shell("exit 0"), SECOND);
    assert!(matches!(ran.end, End::NotRun(_)), "{ran:?}");
    assert!(matches!(
        run(folder.path(), &[], SECOND).end,
        End::NotRun(_)
    ));
}

#[test]
fn the_last_of_much_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ran = in_folder(
        folder.path(),
        "seq 1 100000; printf 'Prüfung\\n'",
        60 * SECOND,
    );
    assert_eq!(ran.end, End::Exit(0));
    assert!(ran.output.ends_with("\n100000\nPrüfung"), "{}", ran.output);
    assert!((OUTPUT_MAX - 4..=OUTPUT_MAX).contains(&ran.output.len()));
    // Three bytes each, and the limit is no multiple of three: cut between two of them.
    let told = last_lines("€".repeat(2_000).as_bytes());
    assert_eq!(told, "€".repeat(OUTPUT_MAX / 3));
    // What takes its place is longer than what was there, and counts.
    assert!(last_lines(&[7; 4_000]).len() <= OUTPUT_MAX);
}

/// It goes on for as long as it may, but is given no more memory.
#[test]
fn one_that_prints_without_end_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let line = "yes | head -c 2000000000; echo $? > ended; sleep 60";
    let ran = in_folder(folder.path(), line, 4 * SECOND);
    assert_eq!(ran.end.to_string(), "no end within 4 s");
    assert_eq!(text(folder.path(), "ended"), "1");
    assert!(ran.output.contains("y\ny\n"), "{}", ran.output);
}

#[test]
fn over_its_limit_all_of_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    for (line, least) in [
        // One that ends when told, with a child; one that stops itself; one that will not hear.
        (
            "echo begun; sleep 600 & echo $! > child; wait",
            Duration::ZERO,
        ),
        ("echo begun; echo $$ > child; kill -STOP $$", Duration::ZERO),
        (
            "trap '' TERM; echo begun; sleep 600 & echo $! > child; wait; wait",
            GRACE,
        ),
    ] {
        let begun = Instant::now();
        let ran = in_folder(folder.path(), line, SECOND);
        assert_eq!(
            ran,
            Ran {
                end: End::Late {
                    limit: SECOND,
                    remains: false
                },
                output: "begun".to_owned()
            },
            "{line}"
        );
        assert_eq!(ran.end.to_string(), "no end within 1 s");
        let took = begun.elapsed();
        assert!(
            took >= SECOND + least && took < SECOND + GRACE + GRACE,
            "{line}: {took:?}"
        );
        let stat = format!("/proc/{}/stat", text(folder.path(), "child"));
        // It may lie there dead until somebody buries it.
        let dead = durable::read(Path::new(&stat), STAT_MAX)
            .map_or(true, |stat| String::from_utf8_lossy(&stat).contains(") Z "));
        assert!(dead, "{line}");
    }
}

#[test]
fn a_product_left_running_holds_nobody_up_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let line = "while [ ! -e end ]; do echo alive; sleep 0.01; done; touch ended";
    let line = format!("(trap '' PIPE; {line}) & echo started");
    let begun = Instant::now();
    let ran = in_folder(folder.path(), &line, 60 * SECOND);
    let took = begun.elapsed();
    // What it prints to the same output afterwards is not taken, and does not end it.
    sleep(Duration::from_millis(200));
    let ended = folder.path().join("ended");
    assert!(!ended.exists());
    durable::touch(&folder.path().join("end")).unwrap();
    until("the product ends when told", || ended.exists());
    assert_eq!(ran.end, End::Exit(0));
    assert!(ran.output.contains("started"), "{ran:?}");
    assert!(took < 5 * SECOND, "{took:?}");
}

/// Such as what runs under sudo.
#[test]
fn one_that_cannot_be_ended_is_told() {
    let end = End::Late {
        limit: Duration::from_millis(1_200),
        remains: true,
    };
    assert_eq!(end.to_string(), "no end within 2 s, and still runs");
}

#[test]
fn who_lives_is_read_from_the_system() {
    for (line, lives) in [
        ("7 (a) S 1 42 42 0", true),
        ("7 (a) Z 1 42 42 0", false),
        ("7 (a) S 1 43 42 0", false),
        ("7 (a) R 9) S 1 42 42 0", true),
        ("7 (a", false),
        ("", false),
    ] {
        assert_eq!(lives_in(line, 42), lives, "{line}");
    }
}
