//! Room on the file systems of a change, asked before anything is written there.
//!
//! Mounts of one file system share its room, so their needs are added up. What is freed by removing
//! files is told by their blocks, and only for files with one name.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstatvfs;

use super::mount_error::MountError;
use super::root::Root;
use super::stamp::Mount;
use super::{DiskError, folder, generations};
use crate::model::TreePath;
use crate::model::text::bytes;

/// Bytes of a block as `st_blocks` counts them, whatever the file system's own are.
const STAT_BLOCK: u64 = 512;

/// Bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Room {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            inodes: self.inodes.saturating_add(other.inodes),
        }
    }

    const fn holds(self, needed: Self) -> bool {
        needed.bytes <= self.bytes && needed.inodes <= self.inodes
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inodes = match self.inodes {
            u64::MAX => "any number of inodes".to_owned(),
            count => format!("{count} inodes"),
        };
        write!(f, "{} ({} bytes), {inodes}", bytes(self.bytes), self.bytes)
    }
}

/// What is needed on one mount: the mount point (none for the root) and how much.
pub type Need = (Option<TreePath>, Room);

/// A file system with too little room.
#[derive(Debug)]
pub struct Shortage {
    /// Where it is mounted; where several of its mounts are meant, the first.
    pub point: PathBuf,
    /// What the change needs there.
    pub needed: Room,
    /// What is free for this user.
    pub free: Room,
    /// What `gc --keep 1` would free there.
    pub reclaimable: Room,
}

impl Shortage {
    /// Whether `gc --keep 1` makes room enough.
    #[must_use]
    pub const fn is_helped(&self) -> bool {
        self.free.plus(self.reclaimable).holds(self.needed)
    }
}

/// Whether every mount has this much room.
pub fn check(root: &Root, needs: &[Need]) -> Result<(), DiskError> {
    let mut groups: Vec<(Mount, Option<TreePath>, Room)> = Vec::new();
    for (point, needed) in needs {
        let mount = mount_of(root, point.as_ref())?;
        match groups
            .iter_mut()
            .find(|(other, ..)| other.shares_room(mount))
        {
            Some((.., sum)) => *sum = sum.plus(*needed),
            None => groups.push((mount, point.clone(), *needed)),
        }
    }
    let mut shortages = Vec::new();
    for (mount, point, needed) in groups {
        let free = free(root, point.as_ref())?;
        if !free.holds(needed) {
            shortages.push(Shortage {
                point: point.map_or_else(|| root.path().to_owned(), |p| root.absolute(&p)),
                needed,
                free,
                reclaimable: reclaimable(root, mount)?,
            });
        }
    }
    if shortages.is_empty() {
        Ok(())
    } else {
        Err(MountError::NoSpace(shortages).into())
    }
}

/// What removing a file, or a folder with all that is in it, gives back; nothing where nothing is.
pub fn measure(path: &Path) -> Result<Room, DiskError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Room::default()),
        Err(e) => return Err(DiskError::io("look at", path)(e)),
    };
    if !metadata.is_dir() && metadata.nlink() > 1 {
        return Ok(Room::default());
    }
    let mut room = Room {
        bytes: metadata.blocks().saturating_mul(STAT_BLOCK),
        inodes: 1,
    };
    if metadata.is_dir() {
        for name in folder::names(path)? {
            room = room.plus(measure(&path.join(name))?);
        }
    }
    Ok(room)
}

fn reclaimable(root: &Root, mount: Mount) -> Result<Room, DiskError> {
    let mut room = Room::default();
    for area in generations::areas(root)? {
        if area.mount().shares_room(mount) {
            for sequence in generations::beyond(root, 1)? {
                room = room.plus(measure(&area.generations().join(sequence.to_string()))?);
            }
        }
    }
    Ok(room)
}

fn mount_of(root: &Root, point: Option<&TreePath>) -> Result<Mount, DiskError> {
    point.map_or_else(|| root.mount(), |point| root.mount_of(point))
}

/// What is free on the mount of the root, or of a mount point in it; a file system that counts no blocks or no inodes sets no limit to them.
pub fn free(root: &Root, point: Option<&TreePath>) -> Result<Room, DiskError> {
    let free = match point {
        None => fstatvfs(root.folder()).map_err(DiskError::os("look at", root.path()))?,
        Some(point) => fstatvfs(root.open_folder(point)?)
            .map_err(DiskError::os("look at", root.absolute(point)))?,
    };
    let limited = |counted: u64, left: u64| if counted > 0 { left } else { u64::MAX };
    Ok(Room {
        bytes: limited(free.f_blocks, free.f_bavail.saturating_mul(free.f_frsize)),
        inodes: limited(free.f_files, free.f_favail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::durable;
    use crate::disk::founding::samples;
    use crate::model::{Refusal, RefusalName};

    #[test]
    fn too_little_room_says_how_much() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let need = |bytes, inodes| [(None, Room { bytes, inodes })];
        check(&root, &need(1, 1)).unwrap();
        let own = crate::disk::area::Area::own(&root).unwrap();
        for (sequence, size) in [(7, 100_000), (8, 50_000)] {
            let kept = own.generations().join(sequence.to_string());
            durable::make_folders(&kept, 0o700).unwrap();
            durable::write(&kept.join("0"), &vec![1; size], 0o600).unwrap();
        }
        let old = measure(&own.generations().join("7")).unwrap();
        assert!(old.bytes >= 100_000 && old.inodes == 2, "{old}");
        let refusal = Refusal::from(check(&root, &need(u64::MAX, 7)).unwrap_err());
        assert_eq!(refusal.name, RefusalName::NoSpace);
        let labels: Vec<&str> = refusal
            .values
            .iter()
            .map(|(label, _)| label.as_str())
            .collect();
        assert_eq!(labels, ["mount", "needed", "free", "gc --keep 1"]);
        assert!(refusal.values[1].1.contains("7 inodes"), "{refusal}");
        assert!(refusal.values[3].1.ends_with(&old.to_string()), "{refusal}");
        assert!(refusal.next.contains("make room"), "{refusal}");
    }

    #[test]
    fn two_mounts_of_one_file_system_share_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let free = free(&root, None).unwrap();
        let most = Room {
            bytes: free.bytes / 10 * 7,
            inodes: 1,
        };
        check(&root, &[(None, most)]).unwrap();
        let both = check(&root, &[(None, most), (None, most)]);
        assert!(matches!(both, Err(DiskError::Mount(MountError::NoSpace(s))) if s.len() == 1));
    }

    #[test]
    fn a_file_with_a_second_name_frees_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        durable::write(&kept, &[1; 10_000], 0o600).unwrap();
        assert_eq!(measure(&kept).unwrap().inodes, 1);
        std::fs::hard_link(&kept, folder.path().join("other")).unwrap();
        assert_eq!(measure(&kept).unwrap(), Room::default());
        assert_eq!(
            measure(&folder.path().join("none")).unwrap(),
            Room::default()
        );
    }
}
