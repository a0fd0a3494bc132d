//! Faults that are built in on purpose: the positive controls of the fault sweeps and of the mutations.
//!
//! A sweep that finds nothing bad shows something only if it would find a program bad that leaves
//! out what makes it safe. That program is this one, built with the feature `faulty`, which nothing
//! turns on but `scripts/faults.sh` and `scripts/mutate.sh`; other builds do not have this file.

use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whatever makes a file, a folder or a file system durable.
    Syncs,
    /// The seal of the journal: the exchange begins without one.
    Journal,
    /// The comparison of an SSH signature with the bytes that it is of.
    Signatures,
    /// Whether anybody trusts the key that signed.
    Signers,
    /// Whether a recipe is the file that its vendor's metadata names.
    Recipes,
    /// Whether a staged file is what its recipe says.
    Contents,
    /// The bound of what metadata decompresses to.
    Bounds,
    /// The removal of what a refused change had staged.
    Leftovers,
}

impl Fault {
    /// Every fault, under the name by which it is asked for.
    const ALL: [(&'static str, Self); 8] = [
        ("syncs", Self::Syncs),
        ("journal", Self::Journal),
        ("signatures", Self::Signatures),
        ("signers", Self::Signers),
        ("recipes", Self::Recipes),
        ("contents", Self::Contents),
        ("bounds", Self::Bounds),
        ("leftovers", Self::Leftovers),
    ];
}

impl FromStr for Fault {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|(name, _)| *name == text)
            .map(|(_, fault)| fault)
            .ok_or("no such fault can be built in")
    }
}

static BUILT_IN: RwLock<Option<Fault>> = RwLock::new(None);

/// Builds a fault in, in the place of any other, or none.
pub fn build_in(fault: Option<Fault>) {
    *BUILT_IN.write().unwrap_or_else(PoisonError::into_inner) = fault;
}

/// Whether a fault is built in.
pub(crate) fn has(fault: Fault) -> bool {
    *BUILT_IN.read().unwrap_or_else(PoisonError::into_inner) == Some(fault)
}
