//! How many contents are made at a time: as many as there is memory and room for, and one at least.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What making a content takes, or several, or may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    /// How many contents.
    pub(super) contents: u64,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// Bytes on disk, besides what is made.
    pub(super) room: u64,
}

impl Load {
    const fn plus(self, other: Self) -> Self {
        Self {
            contents: self.contents.saturating_add(other.contents),
            memory: self.memory.saturating_add(other.memory),
            room: self.room.saturating_add(other.room),
        }
    }

    const fn less(self, other: Self) -> Self {
        Self {
            contents: self.contents.saturating_sub(other.contents),
            memory: self.memory.saturating_sub(other.memory),
            room: self.room.saturating_sub(other.room),
        }
    }

    const fn holds(self, other: Self) -> bool {
        other.contents <= self.contents && other.memory <= self.memory && other.room <= self.room
    }
}

/// Lets work in as far as it fits.
pub(super) struct Gate {
    most: Load,
    inside: Mutex<Load>,
    left: Condvar,
}

/// Work that was let in; it leaves when this is dropped.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    load: Load,
}

impl Gate {
    pub(super) fn new(most: Load) -> Self {
        Self {
            most,
            inside: Mutex::default(),
            left: Condvar::new(),
        }
    }

    /// Waits until the work fits beside what is inside. What would never fit goes in alone: whether it may
    /// be done at all was asked before.
    pub(super) fn enter(&self, load: Load) -> Pass<'_> {
        let mut inside = self.lock();
        while *inside != Load::default() && !self.most.holds(inside.plus(load)) {
            inside = self
                .left
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *inside = inside.plus(load);
        Pass { gate: self, load }
    }

    // Whoever panicked held it for an addition.
    fn lock(&self) -> MutexGuard<'_, Load> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.gate.lock();
        *inside = inside.less(self.load);
        drop(inside);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MOST: Load = Load {
        contents: 3,
        memory: 100,
        room: 1_000,
    };

    /// The most that was inside at once, of work that each takes `load`.
    fn most_inside(load: Load) -> u64 {
        let gate = Gate::new(MOST);
        let (inside, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..40 {
                let pass = gate.enter(load);
                let before = inside.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(before.saturating_add(1), Ordering::SeqCst);
                let inside = &inside;
                scope.spawn(move || {
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(pass);
                });
            }
        });
        assert_eq!(*gate.lock(), Load::default(), "all have left");
        most.into_inner()
    }

    #[test]
    fn no_more_is_inside_than_fits() {
        let load = |memory, room| Load {
            contents: 1,
            memory,
            room,
        };
        assert!(most_inside(load(1, 1)) <= 3);
        assert!(most_inside(load(50, 1)) <= 2);
        assert!(most_inside(load(1, 400)) <= 2);
        assert_eq!(most_inside(load(60, 1)), 1);
    }

    #[test]
    fn what_never_fits_goes_in_alone() {
        let alone = Load {
            contents: 1,
            memory: 101,
            room: 0,
        };
        assert_eq!(most_inside(alone), 1);
    }
}
