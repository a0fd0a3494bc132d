//! Asking for a secret on the terminal, without showing it.
//!
//! Whatever ends the question, the terminal shows what is typed again: the end of the line, an error,
//! and Ctrl-C, `kill` and a hang-up as well, which are told to the caller once that is done. Ctrl-Z and
//! Ctrl-\ would leave the terminal as it is; while the question stands they are letters like others.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use zeroize::Zeroizing;

use super::DiskError;
use super::ignored::Ignored;
use super::secret::{Line, first_line};

/// The controlling terminal of a process.
const TERMINAL: &str = "/dev/tty";
/// A special character that no key types (`_POSIX_VDISABLE`).
const DISABLED: u8 = 0;

/// What a question came to.
#[derive(Debug)]
pub enum Answer {
    /// What was typed.
    Typed(Zeroizing<String>),
    /// A signal came instead; the terminal is as it was, and nobody has obeyed it yet.
    Signal(i32),
}

/// Asks on the controlling terminal; where there is none, that is an error.
pub fn ask_secret(prompt: &str) -> Result<Answer, DiskError> {
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(TERMINAL)
        .map_err(DiskError::io("open", TERMINAL))?;
    // Before the terminal is changed: from here on, a signal waits for it to be put right.
    let signals = Signals::note().map_err(DiskError::io("handle signals at", TERMINAL))?;
    let hidden = Hidden::hide(&terminal)?;
    // Whoever has seen the question types unseen, and nothing of that is thrown away.
    (&terminal)
        .write_all(prompt.as_bytes())
        .map_err(DiskError::io("write", TERMINAL))?;
    let answer = signals.answer(&terminal);
    drop(hidden);
    // A terminal that went away takes no line feed, and needs none.
    drop((&terminal).write_all(b"\n"));
    answer.map_err(DiskError::io("read", TERMINAL))
}

/// A terminal that does not show what is typed; it does again when this is dropped.
struct Hidden<'a> {
    terminal: &'a File,
    shown: Termios,
}

impl<'a> Hidden<'a> {
    fn hide(terminal: &'a File) -> Result<Self, DiskError> {
        let shown = tcgetattr(terminal).map_err(DiskError::os("read", TERMINAL))?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        for key in [SpecialCodeIndex::VSUSP, SpecialCodeIndex::VQUIT] {
            hidden.special_codes[key] = DISABLED;
        }
        tcsetattr(terminal, OptionalActions::Flush, &hidden)
            .map_err(DiskError::os("write", TERMINAL))?;
        Ok(Self { terminal, shown })
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        // Where the terminal is gone, there is nothing left to put right.
        tcsetattr(self.terminal, OptionalActions::Flush, &self.shown).unwrap_or_default();
    }
}

/// The signals that would end the program, each as a byte to read.
struct Signals {
    came: Vec<(i32, UnixStream)>,
    noted: Vec<SigId>,
}

impl Signals {
    fn note() -> std::io::Result<Self> {
        let ignored = Ignored::now();
        let mut signals = Self {
            came: Vec::new(),
            noted: Vec::new(),
        };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if !ignored.has(signal) {
                let (ours, theirs) = UnixStream::pair()?;
                signals.noted.push(pipe::register(signal, theirs)?);
                signals.came.push((signal, ours));
            }
        }
        Ok(signals)
    }

    /// Waits for a line, or for a signal, whichever comes first.
    fn answer(&self, terminal: &File) -> std::io::Result<Answer> {
        loop {
            let mut waiting = vec![PollFd::new(terminal, PollFlags::IN)];
            let ends = self.came.iter();
            waiting.extend(ends.map(|(_, end)| PollFd::new(end, PollFlags::IN)));
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut signals = self.came.iter().zip(ready.iter().skip(1));
            if let Some(((signal, _), _)) = signals.find(|(_, ready)| **ready) {
                return Ok(Answer::Signal(*signal));
            }
            if ready.first() == Some(&true) {
                return line(terminal);
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.noted.drain(..) {
            unregister(id);
        }
    }
}

/// The line that was typed: a terminal hands over whole lines. What is left of one that is too long
/// goes when the terminal is put right.
fn line(mut terminal: &File) -> std::io::Result<Answer> {
    match first_line(&mut terminal)? {
        Line::Whole(secret) => Ok(Answer::Typed(secret)),
        Line::Nothing => Err(std::io::ErrorKind::UnexpectedEof.into()),
        Line::NotText | Line::TooLong => {
            Err(std::io::Error::other("it is too long, or not UTF-8 text"))
        }
    }
}
