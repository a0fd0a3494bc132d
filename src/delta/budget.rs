//! What making a content may take, and what it took.
//!
//! A patch declares both, and the host asks before it begins: so the desk counts what its own decoding
//! takes, and a delta that takes more on the host than was declared is refused in the middle.

use std::cell::Cell;

use super::error::{DeltaError, Outcome};

/// Memory for an archive that is being made: zlib's two directions, and what is kept of an entry.
const LEVEL: u64 = 3 * 1024 * 1024;

/// Room for a content that is being made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes of memory, counted from above.
    pub memory: u64,
    /// Bytes written into the scratch.
    pub scratch: u64,
}

impl Room {
    /// No bounds.
    pub const ENDLESS: Self = Self {
        memory: u64::MAX,
        scratch: u64::MAX,
    };
}

/// Room that is being used up.
pub(super) struct Budget {
    most: Room,
    /// Archives inside of each other for which memory was taken.
    levels: Cell<u32>,
    memory: Cell<u64>,
    scratch: Cell<u64>,
}

impl Budget {
    pub(super) fn new(most: Room) -> Self {
        Self {
            most,
            levels: Cell::new(0),
            memory: Cell::new(0),
            scratch: Cell::new(0),
        }
    }

    /// Takes memory for making an archive that lies in `depth` others: once for all of that depth, because
    /// they are made one after the other.
    pub(super) fn level(&self, depth: u32) -> Outcome<()> {
        while self.levels.get() <= depth {
            self.memory(LEVEL)?;
            self.levels.set(self.levels.get().saturating_add(1));
        }
        Ok(())
    }

    /// Takes memory, before it is asked of the system.
    pub(super) fn memory(&self, bytes: u64) -> Outcome<()> {
        take(&self.memory, bytes, self.most.memory, "memory")
    }

    /// Takes room in the scratch, before it is written.
    pub(super) fn scratch(&self, bytes: u64) -> Outcome<()> {
        take(&self.scratch, bytes, self.most.scratch, "scratch")
    }

    /// What was taken.
    pub(super) fn used(&self) -> Room {
        Room {
            memory: self.memory.get(),
            scratch: self.scratch.get(),
        }
    }
}

fn take(used: &Cell<u64>, bytes: u64, most: u64, what: &'static str) -> Outcome<()> {
    let asked = used.get().saturating_add(bytes);
    if asked > most {
        return Err(DeltaError::TooLarge { what, asked, most });
    }
    used.set(asked);
    Ok(())
}
