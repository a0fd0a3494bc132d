//! Signals that end a command: noted, and obeyed where nothing is changed yet.
//!
//! | signal | comes from | before the product is stopped | from the stop to the commit |
//! |---|---|---|---|
//! | SIGINT | Ctrl-C | `interrupted`, and nothing is left | noted, and told at the end |
//! | SIGTERM | `kill`, a shutdown | the same | the same |
//! | SIGHUP | the terminal went away | the same | the same |
//!
//! The handler stores a number and does nothing else. While a question is asked, a signal ends the
//! program as if nobody handled it, because nobody would look at the number. What is ignored when
//! the program starts (`nohup`, a job in the background of a script) stays ignored.
//!
//! Ctrl-Z stops the process wherever it is, and `fg` lets it go on: in mid-exchange the product stands
//! still for as long. SIGPIPE is ignored by Rust's start-up: writing to a reader that went away is an error like any
//! other, and the printer passes over it. SIGQUIT and SIGKILL end the program at once; what a change
//! had come to is then put right by `recover`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::disk::durable;
use crate::model::{Refusal, RefusalName};

/// What is handled.
const HANDLED: [(i32, &str); 3] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP")];
/// Where Linux says what a process ignores.
const STATUS: &str = "/proc/self/status";
/// More than that file ever has, in bytes.
const STATUS_MAX: u64 = 64 * 1024;

/// The signals of this process, as far as they are handled.
pub(super) struct Signals {
    // The number of the last one that came; 0 where none did.
    came: Arc<AtomicUsize>,
    asking: Arc<AtomicBool>,
}

/// While it lives, a signal ends the program at once.
pub(super) struct Asking<'a>(&'a AtomicBool);

impl Signals {
    /// From here on they are noted.
    pub(super) fn note() -> Result<Self, Refusal> {
        let signals = Self {
            came: Arc::default(),
            asking: Arc::default(),
        };
        let ignored = ignored();
        for (signal, name) in HANDLED {
            if !is_in(ignored, signal) {
                signals.handle(signal).map_err(|e| {
                    Refusal::new(
                        RefusalName::Internal,
                        format!("{name} cannot be handled: {e}"),
                    )
                    .next("run the same command again")
                })?;
            }
        }
        Ok(signals)
    }

    fn handle(&self, signal: i32) -> std::io::Result<()> {
        // In this order, so that a question is ended before anything is noted.
        flag::register_conditional_default(signal, Arc::clone(&self.asking))?;
        let number = usize::try_from(signal).unwrap_or(usize::MAX);
        flag::register_usize(signal, Arc::clone(&self.came), number)?;
        Ok(())
    }

    /// Whether one came.
    pub(super) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed) != 0
    }

    /// The one that came.
    pub(super) fn name(&self) -> Option<&'static str> {
        let came = self.came.load(Ordering::Relaxed);
        HANDLED
            .into_iter()
            .find(|(signal, _)| usize::try_from(*signal) == Ok(came))
            .map(|(_, name)| name)
    }

    /// A person is about to be asked something.
    pub(super) fn asking(&self) -> Asking<'_> {
        self.asking.store(true, Ordering::SeqCst);
        Asking(&self.asking)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// The signals that this process was started to ignore, a bit for each; none where the system does
/// not say.
fn ignored() -> u64 {
    let status = durable::read(Path::new(STATUS), STATUS_MAX).unwrap_or_default();
    mask(&String::from_utf8_lossy(&status))
}

fn mask(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}

fn is_in(mask: u64, signal: i32) -> bool {
    let bit = u32::try_from(signal.saturating_sub(1)).unwrap_or(u32::MAX);
    mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_kernels_own_words() {
        let nohup = mask("Name:\tlockstep\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n");
        assert!(is_in(nohup, SIGHUP) && !is_in(nohup, SIGINT) && !is_in(nohup, SIGTERM));
        for nothing in ["", "SigIgn:\tx\n", "SigCgt:\t0000000000001001\n"] {
            assert_eq!(mask(nothing), 0, "{nothing}");
        }
        // Rust's start-up ignores SIGPIPE, so that a reader who goes away ends nothing.
        assert!(is_in(ignored(), signal_hook::consts::SIGPIPE));
    }
}
