//! What `lstat` says of a path: enough to tell that it is still the same thing.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, statx};

use crate::model::Blake3;
use crate::plan::recovery::{Inode, Kind, Mark, Seen};

/// Kind, identity, owner and times of what stands at a path; links are not followed.
///
/// Two equal stamps of one path mean that nobody touched it between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Change time in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// Device, major and minor.
    pub device: (u32, u32),
    /// Group.
    pub gid: u32,
    /// Inode.
    pub inode: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with set-uid, set-gid and sticky: `07777`.
    pub mode: u32,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Bytes.
    pub size: u64,
    /// Owner.
    pub uid: u32,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, socket or pipe.
    Other,
}

/// The mount that something lies on; a bind mount has its own although the device is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    device: (u32, u32),
    // 0 before Linux 5.8, where only the device can be compared.
    id: u64,
}

impl Stamp {
    /// The stamp of what `name` is in `folder`.
    pub(super) fn at(folder: impl AsFd, name: &str) -> rustix::io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        statx(folder, name, flags, StatxFlags::BASIC_STATS).map(|s| Self::of_statx(&s))
    }

    /// The stamp of something open.
    pub(super) fn of(open: impl AsFd) -> rustix::io::Result<Self> {
        statx(open, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(|s| Self::of_statx(&s))
    }

    fn of_statx(s: &Statx) -> Self {
        Self {
            ctime_ns: nanoseconds(s.stx_ctime),
            device: (s.stx_dev_major, s.stx_dev_minor),
            gid: s.stx_gid,
            inode: s.stx_ino,
            kind: match FileType::from_raw_mode(u32::from(s.stx_mode)) {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Folder,
                FileType::Symlink => FileKind::Link,
                _ => FileKind::Other,
            },
            mode: u32::from(s.stx_mode) & 0o7777,
            mtime_ns: nanoseconds(s.stx_mtime),
            size: s.stx_size,
            uid: s.stx_uid,
        }
    }

    /// As recovery sees it.
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen {
            inode: Inode(self.inode),
            kind: self.kind.moved(),
        }
    }

    /// As a journal marks it; nothing for a device, socket or pipe. `blake3` is of a file's
    /// content or a link's text.
    #[must_use]
    pub fn mark(&self, blake3: Option<Blake3>) -> Option<Mark> {
        self.kind.moved().map(|kind| Mark {
            blake3,
            inode: Inode(self.inode),
            kind,
        })
    }

    /// Whether its owner may execute it: the one mode bit that counts as drift.
    #[must_use]
    pub const fn executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

impl FileKind {
    const fn moved(self) -> Option<Kind> {
        match self {
            Self::File => Some(Kind::File),
            Self::Folder => Some(Kind::Folder),
            Self::Link => Some(Kind::Link),
            Self::Other => None,
        }
    }
}

impl Mount {
    /// The mount of what `name` is in `folder`: where something is mounted on it, that.
    pub(super) fn at(folder: impl AsFd, name: &str) -> rustix::io::Result<Self> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, mask).map(|s| Self::of_statx(&s))
    }

    /// Whether what is written on one takes room from the other: a bind mount has the device of
    /// what it shows, a subvolume the mount of what it lies in.
    pub(super) const fn shares_room(self, other: Self) -> bool {
        let (one, two) = (self.device, other.device);
        (one.0 == two.0 && one.1 == two.1) || (self.id != 0 && self.id == other.id)
    }

    /// The mount of something open.
    pub(super) fn of(open: impl AsFd) -> rustix::io::Result<Self> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        statx(open, "", AtFlags::EMPTY_PATH, mask).map(|s| Self::of_statx(&s))
    }

    const fn of_statx(s: &Statx) -> Self {
        let told = s.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Self {
            device: (s.stx_dev_major, s.stx_dev_minor),
            id: if told { s.stx_mnt_id } else { 0 },
        }
    }
}

fn nanoseconds(time: StatxTimestamp) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(time.tv_nsec))
}
