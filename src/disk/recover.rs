//! Recovery on disk: back until the commit, tidy after it, and a second time nothing.
//!
//! | interrupted | what stands | what is done |
//! |---|---|---|
//! | before the journal was sealed | stages, perhaps a prepared state | they are removed |
//! | between seal and commit | a journal, `current` before it | every move is undone, then the journal goes, then the stages |
//! | after the commit | a journal, `current` with its number | the stages become a generation, the root's last, then the journal goes |
//! | while a generation was removed | parts of it on other mounts | they are removed |
//!
//! Each step is durable on all its mounts before the next, so that recovery itself may be
//! interrupted anywhere. A mount that the journal names must be there before anything is done:
//! without it nothing is known of its paths. Without a journal no mount is missed: what lies on one
//! that is not there is a leftover, and goes when it is back. What becomes of read-only folders
//! stands in [`shut`].

use super::exchange::{Exchange, Moved};
use super::root::Root;
use super::stages::Stages;
use super::state::StateStore;
use super::{DiskError, generations, journal, shut, stopped};
use crate::plan::recovery::{Direction, decide};

/// What recovery did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// No change was under way; leftovers, if any, are gone.
    Nothing,
    /// The change was not committed, and is undone.
    WentBack(Moved),
    /// The change was committed; what was left to do is done.
    Tidied,
}

/// Whether a change was interrupted, or a product waits to be started again. Reads only.
pub fn needs_recovery(root: &Root) -> Result<bool, DiskError> {
    Ok(journal::is_there(root)? || stopped::is_there(root)?)
}

/// Recovers, with the lock held. A committed apply ends by calling it too: what is left to do
/// then is the same.
pub fn recover(root: &Root, store: &StateStore) -> Result<Recovered, DiskError> {
    let recovered = settle(root, store)?;
    sweep(root, store)?;
    Ok(recovered)
}

/// The half of it that counts: afterwards the files are all old or all new, and no journal stands.
pub fn settle(root: &Root, store: &StateStore) -> Result<Recovered, DiskError> {
    let current = store.sequence()?;
    let Some(change) = journal::read(root)? else {
        return Ok(Recovered::Nothing);
    };
    match decide(&change, current) {
        Direction::Back => {
            let moved = Exchange::open(root, &change)?.undo()?;
            journal::remove(root)?;
            Ok(Recovered::WentBack(moved))
        }
        Direction::Tidy => {
            // Where a stage has become a generation, what lies in it was closed before that.
            let stages = Stages::open(root, &change).ok();
            shut::Folders::of(root, &change, stages.as_ref()).close(true)?;
            generations::keep(root, &change)?;
            journal::remove(root)?;
            Ok(Recovered::Tidied)
        }
    }
}

/// The other half: leftovers of which nothing depends.
pub fn sweep(root: &Root, store: &StateStore) -> Result<(), DiskError> {
    generations::sweep(root)?;
    store.remove_uncommitted()
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
