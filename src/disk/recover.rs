//! Recovery on disk: back until the commit, tidy after it, and a second time nothing.
//!
//! | interrupted | what stands | what is done |
//! |---|---|---|
//! | before the journal was sealed | a stage, perhaps a prepared state | they are removed |
//! | between seal and commit | a journal, `current` before it | every move is undone, then the journal goes, then the stage |
//! | after the commit | a journal, `current` with its number | the stage becomes a generation, then the journal goes |
//!
//! Each step is durable before the next, so that recovery itself may be interrupted anywhere. What
//! becomes of read-only folders stands in [`shut`].

use super::exchange::{Exchange, Moved};
use super::root::Root;
use super::stage::Stage;
use super::state::StateStore;
use super::{DiskError, folder, generations, journal, shut};
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

/// Whether a change was interrupted. Reads only.
pub fn needs_recovery(root: &Root) -> Result<bool, DiskError> {
    journal::is_there(root)
}

/// Recovers, with the lock held. A committed apply ends by calling it too: what is left to do
/// then is the same.
pub fn recover(root: &Root, store: &StateStore) -> Result<Recovered, DiskError> {
    let current = store.sequence()?;
    let recovered = match journal::read(root)? {
        None => Recovered::Nothing,
        Some(change) => match decide(&change, current) {
            Direction::Back => {
                let moved = Exchange::open(root, &change)?.undo()?;
                journal::remove(root)?;
                Recovered::WentBack(moved)
            }
            Direction::Tidy => {
                shut::Folders::of(root, &change, Stage::open(root, change.sequence)?.as_ref())
                    .close(true)?;
                generations::keep(root, &change)?;
                journal::remove(root)?;
                Recovered::Tidied
            }
        },
    };
    folder::empty(&root.state_folder().join("stage"))?;
    store.remove_uncommitted()?;
    Ok(recovered)
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
