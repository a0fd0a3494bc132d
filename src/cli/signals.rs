//! Signals that end a command: noted, and obeyed where nothing is changed yet.
//!
//! | signal | comes from | before the product is stopped | from the stop to the commit |
//! |---|---|---|---|
//! | SIGINT | Ctrl-C | `interrupted`, and nothing is left | noted, and told at the end |
//! | SIGTERM | `kill`, a shutdown | the same | the same |
//! | SIGHUP | the terminal went away | the same | the same |
//!
//! The handler stores a number and does nothing else. While a question is asked, a signal ends the
//! program as if nobody handled it, because nobody would look at the number; where a passphrase is asked
//! for, once the terminal shows again what is typed. What is ignored when
//! the program starts (`nohup`, a job in the background of a script) stays ignored.
//!
//! Ctrl-Z stops the process wherever it is, and `fg` lets it go on: in mid-exchange the product stands
//! still for as long. SIGPIPE is ignored by Rust's start-up: writing to a reader that went away is an error like any
//! other, and the printer passes over it. SIGQUIT and SIGKILL end the program at once; what a change
//! had come to is then put right by `recover`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::disk::ignored::Ignored;
use crate::model::{Refusal, RefusalName};

/// What is handled.
const HANDLED: [(i32, &str); 3] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP")];

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
        let ignored = Ignored::now();
        for (signal, name) in HANDLED {
            if !ignored.has(signal) {
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

/// The signals of a command that notes none: obeyed, but not while a secret is asked for, so that the
/// terminal is put right first.
pub(super) struct Obeyed(Arc<AtomicBool>);

impl Obeyed {
    /// From here on they are obeyed by this program in the system's place.
    pub(super) fn from_here() -> std::io::Result<Self> {
        let obeyed = Arc::new(AtomicBool::new(true));
        let ignored = Ignored::now();
        for (signal, _) in HANDLED {
            if !ignored.has(signal) {
                flag::register_conditional_default(signal, Arc::clone(&obeyed))?;
            }
        }
        Ok(Self(obeyed))
    }

    /// Does something during which they wait.
    pub(super) fn but_for<T>(&self, done: impl FnOnce() -> T) -> T {
        self.0.store(false, Ordering::SeqCst);
        let done = done();
        self.0.store(true, Ordering::SeqCst);
        done
    }
}

/// Ends the program by a signal, as if nobody had handled it.
pub(super) fn obey(signal: i32) {
    // Where the system does not let it, the command goes on and finds that nothing was typed.
    drop(signal_hook::low_level::emulate_default_handler(signal));
}
