//! Generations: what changes have displaced, kept so that a rollback can bring it back.
//!
//! `generations/<n>/` is the stage of the change that made state n, after its exchange: the old
//! files in their slots, and the journal that says where each belongs.

use std::path::PathBuf;

use super::root::Root;
use super::stage::Stage;
use super::{DiskError, durable, folder, journal};
use crate::plan::recovery::Journal;
use crate::spr::STATEMENT_MAX;

/// The journal's name in a generation.
const JOURNAL: &str = "journal";

/// Turns the stage of a committed change into a generation; done already is as good.
pub fn keep(root: &Root, change: &Journal) -> Result<(), DiskError> {
    let stage = Stage::path_of(root, change.sequence);
    if !stage.is_dir() {
        return Ok(());
    }
    durable::write(&stage.join(JOURNAL), &journal::encode(root, change)?, 0o600)?;
    let kept = path_of(root, change.sequence);
    durable::make_folders(&folder_of(root), 0o700)?;
    durable::rename_new(&stage, &kept)?;
    durable::sync_parent(&kept)?;
    durable::sync_parent(&stage)
}

/// The states whose change can be taken back, rising.
pub fn list(root: &Root) -> Result<Vec<u64>, DiskError> {
    folder::numbers(&folder_of(root))
}

/// The journal of a kept change.
pub fn journal(root: &Root, sequence: u64) -> Result<Journal, DiskError> {
    let path = path_of(root, sequence).join(JOURNAL);
    let bytes = durable::read(&path, STATEMENT_MAX.saturating_add(65))?;
    journal::decode(&bytes).map_err(|reason| DiskError::Damaged { path, reason })
}

/// Where the slots of a kept change lie.
#[must_use]
pub fn path_of(root: &Root, sequence: u64) -> PathBuf {
    folder_of(root).join(sequence.to_string())
}

/// Removes all but the newest `keep` generations, and says how many went.
pub fn prune(root: &Root, keep: usize) -> Result<usize, DiskError> {
    let all = list(root)?;
    let excess = all.len().saturating_sub(keep);
    for sequence in all.iter().take(excess) {
        // Out of the list in one step; the rest is a leftover like any other in `stage/`.
        let stage = root.state_folder().join("stage");
        durable::make_folders(&stage, 0o700)?;
        let leaving = stage.join(format!("gone-{sequence}"));
        folder::remove_tree(&leaving)?;
        durable::rename_new(&path_of(root, *sequence), &leaving)?;
        durable::sync_folder(&folder_of(root))?;
        folder::remove_tree(&leaving)?;
    }
    Ok(excess)
}

fn folder_of(root: &Root) -> PathBuf {
    root.state_folder().join("generations")
}
