//! The operations of a patch: the list that its statement speaks of, read line by line.
//!
//! | attack | defence |
//! |---|---|
//! | a few bytes that decompress to gigabytes, or to millions of operations | the statement says how many there are and how long the list is, both within a bound; at the first that is too many, reading ends |
//! | other operations than the preparer signed | the member's digest is in the statement, and how many are of which kind |

use std::fmt::Display;
use std::io::{BufReader, Read as _};

use super::VerifiedPatch;
use crate::model::operation::{OPERATIONS_MEMBER, Operation, Tally};
use crate::model::patch::Patch;
use crate::spr::SprError;
use crate::spr::lines::Lines;
use crate::trust::TrustError;
use crate::trust::unzstd::unzstd_list;

/// Bytes of the shortest line: a digest, a codec and four numbers, by their names.
const SHORTEST: u64 = 128;

/// The operations that a patch lists in this member; where its statement speaks of none, it is not looked at.
pub fn operations(patch: &Patch, member: Option<&[u8]>) -> Result<Vec<Operation>, TrustError> {
    let missing = || TrustError::corrupt(format!("{OPERATIONS_MEMBER} is missing"));
    let list = match patch.operations {
        None => Vec::new(),
        Some(tally) => unpack(member.ok_or_else(missing)?, tally)?,
    };
    patch
        .check_list(&list)
        .map_err(|e| corrupt(&e))
        .map(|()| list)
}

/// Takes a list out of its frame; what is said of it bounds what is taken.
fn unpack(packed: &[u8], tally: Tally) -> Result<Vec<Operation>, TrustError> {
    let size = tally.size;
    let other = || {
        corrupt(&format_args!(
            "it does not hold what the statement says: {size} bytes, {tally}"
        ))
    };
    let count = tally.count().ok_or_else(other)?;
    let mut plain = unzstd_list(packed).map_err(|e| corrupt(&e))?;
    let mut bounded = plain.by_ref().take(tally.size);
    let mut lines = Lines::new(BufReader::new(&mut bounded));
    // Room for what is said, as far as the list can hold it.
    let fits = usize::try_from(tally.size / SHORTEST).unwrap_or(0);
    let mut list = Vec::with_capacity(count.min(fits));
    while let Some(operation) = lines.next_line().map_err(|e| unreadable(&e))? {
        if list.len() == count {
            return Err(other());
        }
        list.push(operation);
    }
    let left = bounded.limit();
    let more = plain.read(&mut [0]).map_err(|e| unreadable(&e.into()))?;
    if left == 0 && more == 0 {
        Ok(list)
    } else {
        Err(other())
    }
}

impl VerifiedPatch {
    /// How each content is obtained, in the order in which the packs hold them.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operations, to be carried out once.
    pub fn take_operations(&mut self) -> Vec<Operation> {
        std::mem::take(&mut self.operations)
    }
}

/// What is read lies in memory: an error of reading is one of its frame.
fn unreadable(error: &SprError) -> TrustError {
    match error {
        SprError::Io(error) => corrupt(&format_args!("it is not one zstd frame: {error}")),
        error => corrupt(error),
    }
}

fn corrupt(why: &dyn Display) -> TrustError {
    TrustError::corrupt(format!("{OPERATIONS_MEMBER}: {why}"))
}
