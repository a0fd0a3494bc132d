//! Generations: what changes have displaced, kept so that a rollback can bring it back.
//!
//! `generations/<n>/` is the stage of the change that made state n, after its exchange: the old
//! files in their slots. Each staging area keeps its own part. The root's part has the journal that
//! says where each file belongs, and it alone counts: a part elsewhere that the root does not list
//! is a leftover.

use std::path::PathBuf;

use super::area::{self, Area, Tenant};
use super::mount_error::MountError;
use super::root::Root;
use super::space::{Room, measure};
use super::{DiskError, durable, folder, journal};
use crate::model::TreePath;
use crate::plan::recovery::Journal;

/// The journal's name in a generation.
const JOURNAL: &str = "journal";

/// Turns the stages of a committed change into a generation; done already is as good.
///
/// The root's part is the last, so that a generation that is listed is whole.
pub fn keep(root: &Root, change: &Journal) -> Result<(), DiskError> {
    if !change.areas.is_empty() {
        let tenant = Tenant::of(root)?;
        for point in &change.areas {
            keep_part(root, point, change.sequence, &tenant)?;
        }
    }
    let own = Area::own(root)?;
    let stage = own.stages().join(change.sequence.to_string());
    if !folder::is_there(&stage)? {
        return Ok(());
    }
    // Of a tidying that was cut short.
    folder::sweep_drafts(&stage)?;
    journal::keep_as(root, change, &stage.join(JOURNAL))?;
    move_to_kept(&own, change.sequence)
}

fn keep_part(
    root: &Root,
    point: &TreePath,
    sequence: u64,
    tenant: &Tenant,
) -> Result<(), DiskError> {
    let area = Area::of_change(root, point, tenant)?;
    if folder::is_there(&area.stages().join(sequence.to_string()))? {
        return move_to_kept(&area, sequence);
    }
    if folder::is_there(&area.generations().join(sequence.to_string()))? {
        return Ok(());
    }
    Err(MountError::AreaMissing {
        path: root.absolute(point),
        reason: "its staging area does not hold this change",
    }
    .into())
}

fn move_to_kept(area: &Area, sequence: u64) -> Result<(), DiskError> {
    let name = sequence.to_string();
    let (stage, kept) = (area.stages().join(&name), area.generations().join(&name));
    durable::make_folders(&area.generations(), 0o700)?;
    durable::rename_new(&stage, &kept)?;
    durable::sync_parent(&kept)?;
    durable::sync_parent(&stage)
}

/// The states whose change can be taken back, rising.
pub fn list(root: &Root) -> Result<Vec<u64>, DiskError> {
    folder::numbers(&folder_of(root))
}

/// Those that are beyond the newest `keep`, rising.
pub fn beyond(root: &Root, keep: usize) -> Result<Vec<u64>, DiskError> {
    let mut all = list(root)?;
    all.truncate(all.len().saturating_sub(keep));
    Ok(all)
}

/// The journal of a kept change.
pub fn journal(root: &Root, sequence: u64) -> Result<Journal, DiskError> {
    let path = path_of(root, sequence).join(JOURNAL);
    journal::read_kept(path)
}

/// Where the root's slots of a kept change lie.
#[must_use]
pub fn path_of(root: &Root, sequence: u64) -> PathBuf {
    folder_of(root).join(sequence.to_string())
}

/// Every area that may hold a part: the root's own first, then those of other mounts that are
/// there.
pub fn areas(root: &Root) -> Result<Vec<Area>, DiskError> {
    let mut areas = vec![Area::own(root)?];
    areas.extend(area::known(root)?);
    Ok(areas)
}

/// What some generations take, by mount point; nothing is the root's. Mounts without any of it are
/// left out, but for the root's.
pub fn sizes(root: &Root, sequences: &[u64]) -> Result<Vec<(Option<TreePath>, Room)>, DiskError> {
    let mut sizes = Vec::new();
    for area in areas(root)? {
        let mut room = Room::default();
        for sequence in sequences {
            room = room.plus(measure(&area.generations().join(sequence.to_string()))?);
        }
        if room != Room::default() || area.point().is_none() {
            sizes.push((area.point().cloned(), room));
        }
    }
    Ok(sizes)
}

/// Removes all but the newest `keep` generations, and says which went.
pub fn prune(root: &Root, keep: usize) -> Result<Vec<u64>, DiskError> {
    let excess = beyond(root, keep)?;
    for sequence in &excess {
        // Out of the list in one step; the rest is a leftover like any other.
        let stage = root.state_folder().join("stage");
        durable::make_folders(&stage, 0o700)?;
        let leaving = stage.join(format!("gone-{sequence}"));
        folder::remove_tree(&leaving)?;
        durable::rename_new(&path_of(root, *sequence), &leaving)?;
        durable::sync_folder(&folder_of(root))?;
    }
    if !excess.is_empty() {
        sweep(root)?;
    }
    Ok(excess)
}

/// Removes what no journal and no generation of the root's names: stages, and parts of generations
/// on other mounts. Only while no change is under way.
///
/// The root's own stage is the last, because it may name the areas of a change.
pub fn sweep(root: &Root) -> Result<(), DiskError> {
    let kept = list(root)?;
    for area in area::known(root)? {
        folder::empty(&area.stages())?;
        for name in folder::names(&area.generations())? {
            let listed = kept.iter().any(|sequence| name == *sequence.to_string());
            if !listed {
                folder::remove_tree(&area.generations().join(name))?;
            }
        }
        area.release()?;
    }
    folder::empty(&root.state_folder().join("stage")).map(|_| ())
}

fn folder_of(root: &Root) -> PathBuf {
    root.state_folder().join("generations")
}
