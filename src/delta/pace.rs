//! How far the making of a delta is, what it holds, and whether to go on with it: told and asked all along,
//! because a large one takes a minute.

use std::sync::atomic::{AtomicU64, Ordering};

use super::error::Outcome;
use super::matcher::Find;

/// Whoever waits for a delta.
pub trait Pace: Sync {
    /// So much of so much is done, in parts of about the same length of time; whether to go on. Cheap to
    /// call, and called by several threads.
    fn go_on(&self, done: u64, total: u64) -> bool;
}

impl<F: Fn(u64, u64) -> bool + Sync> Pace for F {
    fn go_on(&self, done: u64, total: u64) -> bool {
        self(done, total)
    }
}

/// The steps of one delta. Sorting an old byte, looking up a new one and packing it are a part each; what
/// there is to pack is mostly less than what is new, so that the end comes at once.
pub(super) struct Steps<'a> {
    pace: &'a dyn Pace,
    done: AtomicU64,
    total: AtomicU64,
    /// Plain bytes that archives hold in memory.
    held: AtomicU64,
}

impl<'a> Steps<'a> {
    pub(super) fn new(pace: &'a dyn Pace) -> Self {
        Self {
            pace,
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            held: AtomicU64::new(0),
        }
    }

    /// So many plain bytes more are to be held; how many that makes.
    pub(super) fn hold(&self, bytes: u64) -> u64 {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        held.saturating_add(bytes)
    }

    /// So many parts are still to come.
    pub(super) fn expect(&self, parts: u64) {
        self.total.fetch_add(parts, Ordering::Relaxed);
    }

    /// All that was expected is done.
    pub(super) fn end(&self) -> Outcome<()> {
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed);
        self.step(total.saturating_sub(done))
    }

    /// So many more are done; an error where somebody wants it to end.
    pub(super) fn step(&self, parts: u64) -> Outcome<()> {
        let done = self.done.fetch_add(parts, Ordering::Relaxed);
        let done = done.saturating_add(parts);
        let total = self.total.load(Ordering::Relaxed);
        if self.pace.go_on(done.min(total), total) {
            Ok(())
        } else {
            Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into())
        }
    }
}

/// New bytes that are looked up between two steps.
const STRIDE: u64 = 64 * 1024;

/// Looks up bytes in steps. Once it is told to end it finds nothing any more, so that the matcher is through
/// soon; what it found is worth nothing then.
pub(super) struct Paced<'a> {
    finder: &'a dyn Find,
    steps: &'a Steps<'a>,
    /// New bytes in all, and how many of them were told.
    size: u64,
    told: AtomicU64,
    ended: std::sync::atomic::AtomicBool,
}

impl<'a> Paced<'a> {
    pub(super) fn new(finder: &'a dyn Find, steps: &'a Steps<'a>, size: usize) -> Self {
        Self {
            finder,
            steps,
            size: u64::try_from(size).unwrap_or(u64::MAX),
            told: AtomicU64::new(0),
            ended: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Tells of the bytes that are left; an error where it was told to end.
    pub(super) fn end(self) -> Outcome<()> {
        let told = self.told.load(Ordering::Relaxed);
        self.steps.step(self.size.saturating_sub(told))
    }
}

impl Find for Paced<'_> {
    fn find(&self, old: &[u8], new: &[u8]) -> (usize, usize) {
        let left = u64::try_from(new.len()).unwrap_or(u64::MAX);
        let done = self.size.saturating_sub(left);
        let more = done.saturating_sub(self.told.load(Ordering::Relaxed));
        if more >= STRIDE {
            self.told.store(done, Ordering::Relaxed);
            if self.steps.step(more).is_err() {
                self.ended.store(true, Ordering::Relaxed);
            }
        }
        if self.ended.load(Ordering::Relaxed) {
            return (0, 0);
        }
        self.finder.find(old, new)
    }
}
