//! Progress on a terminal: what is done of how much, how fast, and how long it still takes.
//!
//! Commands tell of every piece that they move, from many threads; what is drawn is a few times a
//! second. A stage that is over sooner is not drawn at all, and nothing of it stays on the screen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::print::line_to_stderr;

/// Milliseconds between two drawings, and before the first.
const BETWEEN: u64 = 200;
/// How a stage looks that is counted in bytes.
const BYTES: &str =
    "{msg:10} {wide_bar} {bytes:>10} of {total_bytes:10} {bytes_per_sec:>12} {eta:>4} left";
/// The same in files.
const FILES: &str = "{msg:10} {wide_bar} {pos:>7} of {len:7} files {per_sec:>12} {eta:>4} left";

/// What a stage is counted in.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bytes,
    Files,
}

/// The bar of the stage that a command is in.
pub(super) struct Progress {
    seen: bool,
    start: Instant,
    // Milliseconds after `start` when it may be drawn next.
    next: AtomicU64,
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl Progress {
    /// `seen`: whether there is a terminal, and a person who wants to see it.
    pub(super) fn new(seen: bool) -> Self {
        Self {
            seen,
            start: Instant::now(),
            next: AtomicU64::new(BETWEEN),
            bar: Mutex::new(None),
        }
    }

    pub(super) fn show(&self, stage: &str, unit: Unit, done: u64, total: u64) {
        if !self.seen || !self.is_due() {
            return;
        }
        let Ok(mut current) = self.bar.lock() else {
            return;
        };
        // The same stage of another size is that of another environment.
        let same =
            |(name, bar): &(String, ProgressBar)| name == stage && bar.length() == Some(total);
        if !current.as_ref().is_some_and(same) {
            if let Some((_, old)) = current.take() {
                old.finish_and_clear();
            }
            let bar = bar(stage, unit, total);
            bar.set_position(done);
            // The rate is that from here on: what was done before took some time as well.
            bar.reset_eta();
            *current = Some((stage.to_owned(), bar));
            return;
        }
        // Threads overtake each other on the way here; a bar does not go back.
        if let Some((_, bar)) = current.as_ref().filter(|(_, bar)| bar.position() < done) {
            bar.set_position(done);
        }
    }

    /// A line of words, above the bar where there is one.
    pub(super) fn words(&self, line: &str) {
        match self.bar.lock().as_deref() {
            Ok(Some((_, bar))) => bar.suspend(|| line_to_stderr(line)),
            _ => line_to_stderr(line),
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some((_, bar)) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// Whether it may be drawn now; of many threads that ask, one is told so.
    fn is_due(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let then = now.saturating_add(BETWEEN);
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        now >= next && self.next.compare_exchange(next, then, set, read).is_ok()
    }
}

fn bar(stage: &str, unit: Unit, total: u64) -> ProgressBar {
    let shape = match unit {
        Unit::Bytes => BYTES,
        Unit::Files => FILES,
    };
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(shape) {
        bar.set_style(style);
    }
    bar.set_message(stage.to_owned());
    bar
}
