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
#[path = "command_tests.rs"]
mod tests;
