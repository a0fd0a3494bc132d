//! The index, `.lockstep/index`: what stood where when its bytes were last read, so that they need not be
//! read again.
//!
//! A cache and nothing more: it is no part of any state, and a command that cannot read it reads the files
//! instead. Whether it may stand in for reading is for the caller to say. A file of which path, device,
//! inode, size, modification and change time are those of an entry has the content that the entry names.
//!
//! | attack, or mishap | defence |
//! |---|---|
//! | a file changed, its size and modification time put back | the change time is compared too, and no call sets that |
//! | another file put in its place | the inode, and the change time that the rename sets |
//! | a file changed while it was read, or so soon after that the clock had not moved on | what did not rest for [`REST`] seconds before the command began is neither kept nor believed |
//! | a file written to through a mapping, which the kernel notes late | the same, with the default `vm.dirty_*` settings: it notes it again for what is written after the next write-back, and that comes within half a minute. Where nothing is written back (`tmpfs`), nothing is kept or believed |
//! | a clock set back | what seems to come from the future is not believed either; beyond that nothing: root can give a file any change time, which is why a site says whether a signed statement may rest on this |
//! | a file system whose change times another machine makes, or another file system below it (`overlayfs`), or that has none | only of those in [`KEEPERS`] anything is kept or believed |
//! | the index of another root, of a copy, or one put back | it names the place that it is of; and inodes and change times there are others |
//! | an index cut short, damaged or of another format | it ends with the BLAKE3 of all before that; what does not fit is not used |
//! | an index without end, or a pipe in its place | a plain file, of no more bytes than twice what the tree can have entries of |
//! | a forged index | nothing: whoever can write it has the node's key beside it, and can sign what he likes |
//! | bytes that rot on a disk | nothing: no time tells of that. Whoever reads every byte finds it |

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use rustix::fs::{fstatfs, fstatvfs};

use super::DiskError;
use super::durable::{self, Draft};
use super::root::Spot;
use super::scan::Expected;
use super::stamp::{FileKind, Stamp};
use crate::model::{Blake3, Sha256, Time, TreePath};

/// Its name in `.lockstep`.
pub const NAME: &str = "index";
/// How it begins; another format begins otherwise.
const MAGIC: &[u8; 17] = b"lockstep index 1\n";
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Bytes of what is compared with a file: change time, modification time, inode, size, device.
const IMAGE: usize = 40;
/// Bytes of an entry behind its path.
const FIXED: usize = IMAGE + DIGEST;
/// Bytes of an entry before its path: how many bytes it shares with the path before, and how many follow.
const LENGTHS: usize = 4;
/// Seconds for which a file must not have changed. Two would do for the coarsest clock; what is written
/// through a mapping may go unnoticed until its page is written back, 35 seconds later at the most
/// (`vm.dirty_expire_centisecs` and `vm.dirty_writeback_centisecs`, as they are by default).
pub const REST: i64 = 60;
/// An index takes no more than this part of the room that is left.
const PART_OF_ROOM: u64 = 10;
/// File systems whose change times this machine's kernel makes, and nobody else: bcachefs, btrfs, ext2 to
/// ext4, f2fs, xfs, zfs (`linux/magic.h`; zfs: `sys/zfs_vfsops.h`). Not `tmpfs`, where a mapping that is
/// kept open is written to unnoticed for ever; and not `overlayfs`, which hands on the times of whatever
/// lies below it.
const KEEPERS: [u64; 6] = [
    0xca45_1a4e,
    0x9123_683e,
    0xef53,
    0xf2f5_2010,
    0x5846_5342,
    0x2fc1_2fc1,
];

/// Until when a file must have changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtRest {
    before_ns: i64,
}

impl AtRest {
    /// For a command that began now.
    #[must_use]
    pub fn at(now: Time) -> Self {
        let seconds = now.unix().saturating_sub(REST);
        Self {
            before_ns: seconds.saturating_mul(1_000_000_000),
        }
    }

    /// Whether this is a file that has not changed since.
    #[must_use]
    pub fn holds(self, stamp: &Stamp) -> bool {
        stamp.kind == FileKind::File && stamp.ctime_ns < self.before_ns
    }
}

/// An index as it was found, whole and of this place.
#[derive(Debug)]
pub struct Index {
    bytes: Vec<u8>,
    at_rest: AtRest,
}

/// What an index knows of one path.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    fixed: &'a [u8; FIXED],
    at_rest: AtRest,
}

impl Known<'_> {
    /// BLAKE3 of what stands there, if this is still the file that was read.
    pub(super) fn blake3(&self, stamp: &Stamp) -> Option<Blake3> {
        let (image, blake3) = self.fixed.split_first_chunk::<IMAGE>()?;
        let same = self.at_rest.holds(stamp) && *image == self::image(stamp);
        let blake3 = blake3.first_chunk::<DIGEST>().filter(|_| same)?;
        Some(Blake3::from_bytes(*blake3))
    }
}

impl Index {
    /// The index in a node's state folder; nothing where it cannot be used. `place` is where it must be
    /// of, `largest` how many bytes it may have.
    #[must_use]
    pub fn read(state: &Path, place: &Sha256, largest: u64, at_rest: AtRest) -> Option<Self> {
        let mut bytes = durable::read_plain(&state.join(NAME), largest).ok()?;
        let (body, digest) = bytes.split_last_chunk::<DIGEST>()?;
        body.strip_prefix(MAGIC)?.strip_prefix(place.as_bytes())?;
        if Blake3::of(body).as_bytes() != digest {
            return None;
        }
        bytes.truncate(body.len());
        Some(Self { bytes, at_rest })
    }

    /// Tells each of these, which rise by path, what is known of it.
    pub fn tell<'a>(&'a self, expected: &mut [Expected<'a>]) {
        let mut entries = Entries {
            left: self.bytes.get(HEAD..).unwrap_or_default(),
            path: Vec::new(),
        };
        let mut entry = entries.step();
        for expected in expected {
            let path = expected.path.as_str().as_bytes();
            while entry.is_some() && entries.path.as_slice() < path {
                entry = entries.step();
            }
            if entries.path.as_slice() == path {
                expected.known = entry.map(|fixed| Known {
                    fixed,
                    at_rest: self.at_rest,
                });
            }
        }
    }
}

/// Bytes before the first entry.
const HEAD: usize = MAGIC.len() + DIGEST;

/// A walk over the entries.
struct Entries<'a> {
    left: &'a [u8],
    // Of the entry that was found last.
    path: Vec<u8>,
}

impl<'a> Entries<'a> {
    /// The next entry; nothing at the end, or where there is none that makes sense.
    fn step(&mut self) -> Option<&'a [u8; FIXED]> {
        let (shared, left) = self.left.split_first_chunk()?;
        let (further, left) = left.split_first_chunk()?;
        let (further, left) = left.split_at_checked(usize::from(u16::from_le_bytes(*further)))?;
        let (fixed, left) = left.split_first_chunk()?;
        let shared = usize::from(u16::from_le_bytes(*shared));
        if shared > self.path.len() {
            return None;
        }
        self.path.truncate(shared);
        self.path.extend_from_slice(further);
        self.left = left;
        Some(fixed)
    }
}

/// The bytes that an index of all these paths may have: another tree may have stood there before.
#[must_use]
pub fn largest<'a>(paths: impl Iterator<Item = &'a TreePath>) -> u64 {
    let each = paths.map(|path| path.as_str().len().saturating_add(FIXED + LENGTHS));
    let all = each.fold(1 << 20, usize::saturating_add).saturating_mul(2);
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// An index that is being made.
#[derive(Debug)]
pub struct Making {
    bytes: Vec<u8>,
    last: Option<TreePath>,
    /// How many entries it has.
    pub entries: u64,
}

impl Making {
    /// Begins one of this place.
    #[must_use]
    pub fn of(place: &Sha256) -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(place.as_bytes());
        Self {
            bytes,
            last: None,
            entries: 0,
        }
    }

    /// Adds what was found at a path greater than those before.
    pub fn add(&mut self, path: &TreePath, stamp: &Stamp, blake3: &Blake3) {
        let here = path.as_str().as_bytes();
        let last = self.last.as_ref().map_or("", TreePath::as_str).as_bytes();
        let shared = here.iter().zip(last).take_while(|(a, b)| a == b).count();
        let further = here.get(shared..).unwrap_or_default();
        // A path is shorter than 64 KiB, by the type's own rule.
        for length in [shared, further.len()] {
            let length = u16::try_from(length).unwrap_or(u16::MAX);
            self.bytes.extend_from_slice(&length.to_le_bytes());
        }
        self.bytes.extend_from_slice(further);
        self.bytes.extend_from_slice(&image(stamp));
        self.bytes.extend_from_slice(blake3.as_bytes());
        self.last = Some(path.clone());
        self.entries = self.entries.saturating_add(1);
    }

    /// Puts it in the place of the one before; on an error that one stays. Nothing depends on whether
    /// this was done.
    pub fn write(&self, state: &Path) -> Result<(), DiskError> {
        let path = state.join(NAME);
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        if size.saturating_mul(PART_OF_ROOM) > room(state)? {
            let full = std::io::Error::from(ErrorKind::StorageFull);
            return Err(DiskError::io("write", &path)(full));
        }
        let mut draft = Draft::create(&path, 0o600)?;
        let digest = Blake3::of(&self.bytes);
        let file = draft.file();
        file.write_all(&self.bytes)
            .and_then(|()| file.write_all(digest.as_bytes()))
            .map_err(DiskError::io("write", &path))?;
        draft.commit()
    }
}

fn room(state: &Path) -> Result<u64, DiskError> {
    let folder = std::fs::File::open(state).map_err(DiskError::io("open", state))?;
    let told = fstatvfs(&folder).map_err(DiskError::os("ask for the room in", state))?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// Whatever of a file is compared.
fn image(stamp: &Stamp) -> [u8; IMAGE] {
    let parts: [[u8; 8]; 4] = [
        stamp.ctime_ns.to_le_bytes(),
        stamp.mtime_ns.to_le_bytes(),
        stamp.inode.to_le_bytes(),
        stamp.size.to_le_bytes(),
    ];
    let device = [stamp.device.0.to_le_bytes(), stamp.device.1.to_le_bytes()];
    let mut image = [0; IMAGE];
    let bytes = parts.as_flattened().iter().chain(device.as_flattened());
    image
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    image
}

/// On which devices change times can be relied on: each is asked once.
#[derive(Debug, Default)]
pub(super) struct Clocks(Vec<((u32, u32), bool)>);

impl Clocks {
    /// Whether they can where this file lies.
    pub(super) fn kept(&mut self, spot: &Spot, stamp: &Stamp) -> bool {
        let known = self.0.iter().find(|(device, _)| *device == stamp.device);
        if let Some((_, kept)) = known {
            return *kept;
        }
        // A file that is mounted by itself is on another device than its folder, and cannot be asked here.
        let folder = Stamp::of(&spot.folder).is_ok_and(|folder| folder.device == stamp.device);
        let kept = folder
            && fstatfs(&spot.folder).is_ok_and(|told| {
                u64::try_from(told.f_type).is_ok_and(|kind| KEEPERS.contains(&kind))
            });
        if folder {
            self.0.push((stamp.device, kept));
        }
        kept
    }

    /// The devices on which they can.
    pub(super) fn devices(self) -> impl Iterator<Item = (u32, u32)> {
        let kept = self.0.into_iter().filter(|(_, kept)| *kept);
        kept.map(|(device, _)| device)
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
