//! One command of the product's service, run within its time limit: how it ended, and the last that
//! it printed.
//!
//! It runs without a shell, in the root, in a process group of its own (a Ctrl-C at the terminal
//! does not reach it), with nothing on standard input. What it prints goes into a file in memory and
//! not into a pipe: a start command may leave the product running with the same output open, which
//! would hold a pipe open for ever, and a closed one would end the product. The environment is this
//! process's own.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fcntl_getfl, fcntl_setfl, memfd_create,
};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::{durable, folder};
use crate::model::service::OUTPUT_MAX;

/// The first pause between two looks at a running command, and what each further one adds: the
/// product is down meanwhile.
const PAUSE: Duration = Duration::from_millis(2);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// How long a command that is told to end may take before it is killed, and then to be gone.
const GRACE: Duration = Duration::from_secs(5);
/// What a command may print, in bytes. Beyond it nothing is taken any more, so that it does not eat
/// the memory of a host in trouble.
const PRINTED_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of a process's line in `/proc`.
const STAT_MAX: u64 = 4 * 1024;
/// How much of the end is looked at to find the last lines, in bytes.
const TAIL: u64 = 64 * 1024;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// Not within its limit, so it was ended.
    Late {
        /// The limit.
        limit: Duration,
        /// Whether it, or something that it started, is still there: this user may not end it.
        remains: bool,
    },
    /// It did not begin.
    NotRun(String),
    /// What became of it is unknown.
    Unknown(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Late { limit, remains } => {
                let seconds = limit.as_millis().div_ceil(1_000);
                let still = if *remains { ", and still runs" } else { "" };
                write!(f, "no end within {seconds} s{still}")
            }
            Self::NotRun(why) => write!(f, "cannot be run: {why}"),
            Self::Unknown(why) => write!(f, "its end is unknown: {why}"),
        }
    }
}

/// A command that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// The last that it printed: at most [`OUTPUT_MAX`] bytes, without blank lines at the end, and
    /// without control characters but line breaks and tabs.
    pub output: String,
}

impl Ran {
    /// Whether it did what it is for.
    #[must_use]
    pub fn well(&self) -> bool {
        self.end == End::Exit(0)
    }
}

/// Runs a program with its arguments in the folder `root`, for at most `limit`.
#[must_use]
pub fn run(root: &Path, command: &[String], limit: Duration) -> Ran {
    let started = Printed::new().and_then(|printed| {
        let child = spawn(root, command, &printed)?;
        Ok((printed, child))
    });
    let (mut printed, mut child) = match started {
        Ok(started) => started,
        Err(why) => {
            return Ran {
                end: End::NotRun(why.to_string()),
                output: String::new(),
            };
        }
    };
    let end = match wait(&mut child, &mut printed, limit) {
        Ok(Some(status)) => ended(status),
        Ok(None) => End::Late {
            limit,
            remains: !end_group(&mut child, &mut printed),
        },
        Err(why) => End::Unknown(why.to_string()),
    };
    Ran {
        end,
        output: printed.last(),
    }
}

fn spawn(root: &Path, command: &[String], printed: &Printed) -> io::Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("no program is named"))?;
    Command::new(program)
        .args(arguments)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(printed.file.try_clone()?)
        .stderr(printed.file.try_clone()?)
        .process_group(0)
        .spawn()
}

fn ended(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code),
        (None, Some(number)) => End::Signal(number),
        (None, None) => End::Unknown(status.to_string()),
    }
}

/// How the command ended; nothing where it has not by then.
fn wait(
    child: &mut Child,
    printed: &mut Printed,
    limit: Duration,
) -> io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    let mut pause = PAUSE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        printed.bound();
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        sleep(pause.min(left));
        pause = pause.saturating_add(PAUSE).min(PAUSE_MAX);
    }
}

/// Ends the command and all that it started in its group; whether all are gone.
fn end_group(child: &mut Child, printed: &mut Printed) -> bool {
    let group = Pid::from_child(child);
    for signal in [Signal::TERM, Signal::KILL] {
        // Whoever is not this user's cannot be ended by it; what remains is looked for below.
        kill_process_group(group, signal).ok();
        // One that stopped because it wanted to ask at the terminal must go on to end.
        kill_process_group(group, Signal::CONT).ok();
        if gone(child, printed, group) {
            return true;
        }
    }
    false
}

/// Waits until nobody of the group is left, for as long as [`GRACE`]. A number stays the group's
/// own for as long as one of it lives, so that no stranger is met.
fn gone(child: &mut Child, printed: &mut Printed, group: Pid) -> bool {
    let begun = Instant::now();
    loop {
        let reaped = child.try_wait().is_ok_and(|status| status.is_some());
        if reaped && !lives(group) {
            return true;
        }
        printed.bound();
        if begun.elapsed() >= GRACE {
            return false;
        }
        sleep(PAUSE_MAX);
    }
}

/// Whether somebody of a group lives. The dead that nobody has buried yet count as its members
/// until then, so that the kernel's yes is looked into.
fn lives(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let Ok(names) = folder::names(Path::new("/proc")) else {
        return true;
    };
    let number = group.as_raw_nonzero().get();
    names
        .iter()
        .filter(|name| {
            name.as_encoded_bytes()
                .first()
                .is_some_and(u8::is_ascii_digit)
        })
        .filter_map(|name| {
            durable::read(&Path::new("/proc").join(name).join("stat"), STAT_MAX).ok()
        })
        .any(|stat| lives_in(&String::from_utf8_lossy(&stat), number))
}

/// Whether a line of `/proc/PID/stat` is of a living process of the group (proc(5)): its name is in
/// brackets and may hold anything; then come state, parent and group.
fn lives_in(stat: &str, group: i32) -> bool {
    let mut fields = stat
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    let dead = matches!(fields.next(), None | Some("Z" | "X"));
    !dead && fields.nth(1).and_then(|field| field.parse().ok()) == Some(group)
}

/// What a command prints: a file in memory, which takes no more once it is sealed.
struct Printed {
    file: File,
    sealed: bool,
}

impl Printed {
    fn new() -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC.union(MemfdFlags::ALLOW_SEALING);
        let file = memfd_create("lockstep-command", flags)?;
        // At its end always, also where a script opens /dev/stderr anew and empties it.
        fcntl_setfl(&file, fcntl_getfl(&file)?.union(OFlags::APPEND))?;
        Ok(Self {
            file: file.into(),
            sealed: false,
        })
    }

    fn size(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Takes no more than [`PRINTED_MAX`], give or take what comes between two looks.
    fn bound(&mut self) {
        if !self.sealed && self.size() >= PRINTED_MAX {
            self.seal();
        }
    }

    /// Whoever writes after this is told that it is not permitted.
    fn seal(&mut self) {
        // It can be refused only where the command sealed it against seals, for which it pays
        // with its own output.
        fcntl_add_seals(&self.file, SealFlags::GROW).ok();
        self.sealed = true;
    }

    /// The last that was printed; the memory is given back, also where a product that the command
    /// left running holds the file open.
    fn last(mut self) -> String {
        self.seal();
        let begin = self.size().saturating_sub(TAIL);
        let mut bytes = Vec::new();
        let mut part = [0; 8 * 1024];
        let mut at = begin;
        while let Ok(count @ 1..) = self.file.read_at(&mut part, at) {
            bytes.extend_from_slice(part.get(..count).unwrap_or_default());
            at = at.saturating_add(u64::try_from(count).unwrap_or(0));
            if at.saturating_sub(begin) >= TAIL {
                break;
            }
        }
        self.file.set_len(0).ok();
        last_lines(&bytes)
    }
}

/// The end of a text, at most [`OUTPUT_MAX`] bytes of it.
fn last_lines(bytes: &[u8]) -> String {
    let plain: String = String::from_utf8_lossy(bytes)
        .replace("\r\n", "\n")
        .trim_end()
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect();
    let mut begin = plain.len().saturating_sub(OUTPUT_MAX);
    while !plain.is_char_boundary(begin) {
        begin = begin.saturating_add(1);
    }
    plain.get(begin..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
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
}
