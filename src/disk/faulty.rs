//! Faults that are built in on purpose: the positive controls of the fault sweeps.
//!
//! A sweep that finds nothing bad shows something only if it would find a program bad that leaves
//! out what makes it safe. That program is this one, built with the feature `faulty`, which nothing
//! turns on but `scripts/faults.sh`; other builds do not have this file.

use std::str::FromStr;
use std::sync::OnceLock;

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whatever makes a file, a folder or a file system durable.
    Syncs,
    /// The seal of the journal: the exchange begins without one.
    Journal,
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "syncs" => Ok(Self::Syncs),
            "journal" => Ok(Self::Journal),
            _ => Err("there are two faults to build in: syncs, journal"),
        }
    }
}

static BUILT_IN: OnceLock<Fault> = OnceLock::new();

/// Builds a fault in, for the rest of the process; the first one counts.
pub fn build_in(fault: Fault) {
    BUILT_IN.get_or_init(|| fault);
}

/// Whether a fault is built in.
pub(super) fn has(fault: Fault) -> bool {
    BUILT_IN.get() == Some(&fault)
}
