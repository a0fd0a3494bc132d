//! Read-only folders: opened for the exchange, and closed again.
//!
//! A folder without write permission for its owner is no reason to refuse: the journal says which
//! there are and the mode that each has at rest. Before the first move they are opened, and after
//! the last one closed, before what was done is made durable; so a commit finds them closed.
//!
//! | interrupted | what is done |
//! |---|---|
//! | before the seal | nothing was opened; new folders lie open in the stage, and go with it |
//! | while open, or after closing | recovery opens what it finds, whether it is open or not, goes back, closes, and only then lets the journal go |
//! | in that recovery | the journal still stands: the same once more |
//! | after the commit | all is closed, and durably; they are closed once more, which changes nothing |
//!
//! A folder is known by its inode, at its path or in its slot: one that somebody put in its place
//! keeps its mode. A new folder that goes back into the stage is left open, because it is thrown
//! away there; where it must be left standing, it is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, AtFlags, Mode as Bits, OFlags, accessat};
use rustix::io::Errno;

use super::DiskError;
use super::inherit::folder_at_rest;
use super::root::{Root, Spot};
use super::stages::Stages;
use super::stamp::{FileKind, Stamp};
use crate::model::TreePath;
use crate::model::recipe::What;
use crate::plan::recovery::{Inode, Journal, Shut};
use crate::plan::slots::Slots;
use crate::plan::work::{Turn, Work};

/// What the owner of a folder needs in it: to list, to change names, to pass through.
const OPEN: u32 = 0o700;

/// Every folder that must be opened for this work, with its mode at rest; `slots` is of what is
/// staged, by slot.
pub fn list(root: &Root, work: &Work, slots: &Slots) -> Result<Vec<Shut>, DiskError> {
    let mut seen: BTreeSet<Option<TreePath>> = BTreeSet::new();
    let mut all = Vec::new();
    let mut standing = |path: Option<TreePath>, open: &OwnedFd| -> Result<(), DiskError> {
        let absolute = path
            .as_ref()
            .map_or(root.path().to_owned(), |p| root.absolute(p));
        if seen.insert(path.clone()) && is_shut(open, &absolute)? {
            let stamp = Stamp::of(open).map_err(DiskError::os("look at", absolute))?;
            all.push(Shut {
                inode: Inode(stamp.inode),
                mode: stamp.mode,
                path,
            });
        }
        Ok(())
    };
    let mut parents = BTreeSet::new();
    for intent in &work.moves {
        if parents.insert(intent.path.parent()) {
            let (path, open) = root.nearest_folder(&intent.path)?;
            standing(path, &open)?;
        }
        let displaces = intent.turn != Turn::Place;
        if displaces
            && root
                .look(&intent.path)?
                .is_some_and(|s| s.kind == FileKind::Folder)
        {
            standing(Some(intent.path.clone()), &root.open_folder(&intent.path)?)?;
        }
    }
    for (slot, put) in (0_u64..).zip(&work.puts) {
        let (What::Folder { mode }, Some(mark)) = (&put.what, slots.get(slot)) else {
            continue;
        };
        let mode = folder_at_rest(root, &put.path, *mode)?;
        if mode & OPEN != OPEN {
            all.push(Shut {
                inode: mark.inode,
                mode,
                path: Some(put.path.clone()),
            });
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

/// Whether this user cannot change names in a folder as it is. What stands in the way besides its
/// mode is an error.
pub(super) fn is_shut(folder: &OwnedFd, path: &Path) -> Result<bool, DiskError> {
    let rights = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(folder, ".", rights, AtFlags::EACCESS) {
        Err(Errno::ACCESS) => Ok(true),
        // An immutable folder says so by itself.
        Ok(()) | Err(Errno::PERM) => Ok(false),
        Err(errno) => Err(DiskError::os("change names in", path)(errno)),
    }
}

/// The folders of one change, as the journal names them.
pub(super) struct Folders<'a> {
    root: &'a Root,
    shut: &'a [Shut],
    /// Area and slot of each that is itself moved.
    slots: BTreeMap<&'a TreePath, (u64, u64)>,
    stages: Option<&'a Stages>,
}

impl<'a> Folders<'a> {
    /// Those of a journal; without stages, only what stands in the tree is found.
    pub(super) fn of(root: &'a Root, journal: &'a Journal, stages: Option<&'a Stages>) -> Self {
        let paths: BTreeSet<&TreePath> = journal
            .shut
            .iter()
            .filter_map(|shut| shut.path.as_ref())
            .collect();
        let moved = journal
            .entries
            .iter()
            .filter(|entry| paths.contains(&entry.path));
        Self {
            root,
            shut: &journal.shut,
            slots: moved
                .map(|entry| (&entry.path, (entry.area, entry.slot)))
                .collect(),
            stages,
        }
    }

    /// Opens all of them, does what is to be done, and closes them, however that went: each that
    /// stands in the tree, and with `kept` those that lie in the stage as well.
    pub(super) fn opened<T>(
        &self,
        kept: bool,
        act: impl FnOnce() -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        // From the top: below a folder that cannot be passed through nothing is found.
        let mut each = self.shut.iter();
        let opened = each.try_for_each(|shut| self.set(shut, shut.mode | OPEN, true));
        let done = opened.and_then(|()| act());
        let closed = self.close(kept);
        let done = done?;
        closed.map(|()| done)
    }

    /// Closes all of them, the deepest first.
    pub(super) fn close(&self, kept: bool) -> Result<(), DiskError> {
        for shut in self.shut.iter().rev() {
            self.set(shut, shut.mode, kept)?;
        }
        Ok(())
    }

    fn set(&self, shut: &Shut, mode: u32, in_stage: bool) -> Result<(), DiskError> {
        for spot in self.spots(shut, in_stage)? {
            if let Some((folder, stamp)) = folder_at(&spot, shut.inode)? {
                if stamp.mode != mode {
                    chmod(&folder, mode).map_err(DiskError::os("set the mode of", &spot.path))?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Where it may be: at its path, or in the slot of a move of that path.
    fn spots(&self, shut: &Shut, in_stage: bool) -> Result<Vec<Spot>, DiskError> {
        let Some(path) = &shut.path else {
            return Ok(vec![self.root.itself()?]);
        };
        let mut spots = Vec::new();
        match self.root.spot(path) {
            Ok(spot) => spots.push(spot),
            // Nothing stands below what is missing, or is no folder.
            Err(DiskError::Blocked { .. }) => {}
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => {}
            Err(e) => return Err(e),
        }
        let slot = self.slots.get(path);
        if let (true, Some(stages), Some((area, slot))) = (in_stage, self.stages, slot) {
            spots.push(stages.of(*area)?.spot(*slot)?);
        }
        Ok(spots)
    }
}

/// The folder with this inode, if it stands here; it need not be readable.
fn folder_at(spot: &Spot, inode: Inode) -> Result<Option<(OwnedFd, Stamp)>, DiskError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(&spot.folder, &spot.name, flags, Bits::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(DiskError::os("open", &spot.path)(errno)),
    };
    let stamp = Stamp::of(&folder).map_err(DiskError::os("look at", &spot.path))?;
    Ok((stamp.inode == inode.0).then_some((folder, stamp)))
}

/// Sets the mode of a folder that is held, though perhaps not readable: by its name in `/proc`,
/// because `fchmod` takes no such descriptor.
fn chmod(folder: &OwnedFd, mode: u32) -> rustix::io::Result<()> {
    let path = format!("/proc/self/fd/{}", folder.as_raw_fd());
    rustix::fs::chmod(path, Bits::from_raw_mode(mode))
}

#[cfg(test)]
#[path = "shut_tests.rs"]
mod tests;
