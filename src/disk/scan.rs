//! Hashing an installation against what should stand there.
//!
//! One pass over the paths that recipes own, on all cores, with a buffer for each core and nothing
//! else in memory but the answer. Neighbours are looked at together: they share a folder.
//!
//! A path differs by content, kind or owner-execute bit; a folder by not being one. Config files are only told as changed or deleted: no digest of one is kept.
//!
//! The stamp of each path is taken from the open file before it is hashed, so that equal stamps
//! later mean that the hash still holds. What an index knows of a path is believed in the place of
//! reading it, where the caller hands it in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::DiskError;
use super::index::{Clocks, Known};
use super::root::{Neighbours, Root, Spot};
use super::stamp::{FileKind, Stamp};
use crate::model::recipe::What;
use crate::model::snapshot::{ConfigFile, ConfigState, Drift, Found};
use crate::model::{Blake3, TreePath, Watch};

/// Bytes read at a time.
pub(super) const CHUNK: usize = 256 * 1024;
/// Most paths that one thread takes at a time.
const CHUNK_PATHS: usize = 64;

/// What should stand at a path.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Where.
    pub path: &'a TreePath,
    /// What.
    pub what: &'a What,
    /// Whether the customer may edit it.
    pub config: bool,
    /// What an index knows of it, where that may stand in for reading it.
    pub known: Option<Known<'a>>,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// Config files that are not as their recipe has them, rising by path.
    pub config: Vec<ConfigFile>,
    /// Other paths that are not, rising by path.
    pub drift: Vec<Drift>,
    /// What stands at each path where something does, rising by path.
    pub stamps: Vec<(TreePath, Stamp)>,
    /// Files of which every byte was read.
    pub read: u64,
    /// Files that an index was believed about.
    pub indexed: u64,
    /// The devices whose change times can be relied on.
    pub clocks: BTreeSet<(u32, u32)>,
}

impl Scan {
    /// What stood at a path.
    #[must_use]
    pub fn stamp(&self, path: &TreePath) -> Option<&Stamp> {
        let at = self.stamps.binary_search_by(|(there, _)| there.cmp(path));
        at.ok()
            .and_then(|at| self.stamps.get(at))
            .map(|(_, stamp)| stamp)
    }

    /// What was found at a path that drifted.
    #[must_use]
    pub fn drifted(&self, path: &TreePath) -> Option<&Found> {
        let at = self.drift.binary_search_by(|drift| drift.path.cmp(path));
        at.ok()
            .and_then(|at| self.drift.get(at))
            .map(|drift| &drift.found)
    }

    /// What the customer did to a config file.
    #[must_use]
    pub fn config_state(&self, path: &TreePath) -> Option<ConfigState> {
        let at = self.config.binary_search_by(|file| file.path.cmp(path));
        at.ok()
            .and_then(|at| self.config.get(at))
            .map(|file| file.state)
    }
}

/// Looks at every expected path, each given once.
pub fn scan(root: &Root, expected: &[Expected<'_>], watch: &dyn Watch) -> Result<Scan, DiskError> {
    let progress = Progress::new(expected.iter().map(|e| size(e.what)).sum(), watch);
    // Where there are few, they are large: each thread gets several pieces, the last of them late.
    let pieces = rayon::current_num_threads().saturating_mul(8);
    let paths = expected.len().div_ceil(pieces).clamp(1, CHUNK_PATHS);
    let parts = expected
        .par_chunks(paths)
        .map(|chunk| part(root, chunk, &progress))
        .collect::<Result<Vec<_>, _>>()?;
    let mut scan = Scan {
        stamps: Vec::with_capacity(expected.len()),
        ..Scan::default()
    };
    for part in parts {
        scan.config.extend(part.config);
        scan.drift.extend(part.drift);
        scan.stamps.extend(part.stamps);
        scan.read = scan.read.saturating_add(part.read);
        scan.indexed = scan.indexed.saturating_add(part.indexed);
        scan.clocks.extend(part.clocks.devices());
    }
    scan.config.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    scan.drift.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    scan.stamps.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(scan)
}

/// What was found at a few neighbouring paths.
#[derive(Default)]
struct Part {
    config: Vec<ConfigFile>,
    drift: Vec<Drift>,
    stamps: Vec<(TreePath, Stamp)>,
    read: u64,
    indexed: u64,
    clocks: Clocks,
}

fn part(
    root: &Root,
    expected: &[Expected<'_>],
    progress: &Progress<'_>,
) -> Result<Part, DiskError> {
    let largest = expected.iter().map(|e| size(e.what)).max().unwrap_or(0);
    let room = usize::try_from(largest).map_or(CHUNK, |size| size.saturating_add(1).min(CHUNK));
    let mut eye = Eye::new(room, progress);
    let mut neighbours = Neighbours::of(root);
    let mut part = Part::default();
    for expected in expected {
        progress.go_on()?;
        eye.bytes = 0;
        let (stamp, difference) = eye.look(&mut neighbours, expected)?;
        // What was not there to be read is done with as well.
        progress.add(size(expected.what).saturating_sub(eye.bytes));
        let path = expected.path;
        match difference {
            Some(Difference::Config(state)) => part.config.push(ConfigFile {
                path: path.clone(),
                state,
            }),
            Some(Difference::Drift(found)) => part.drift.push(Drift {
                found,
                path: path.clone(),
            }),
            None => {}
        }
        part.stamps.extend(stamp.map(|stamp| (path.clone(), stamp)));
    }
    (part.read, part.indexed) = (eye.read, eye.indexed);
    part.clocks = eye.clocks;
    Ok(part)
}

/// BLAKE3 of what stands at one path now: for a path whose stamp is not that of the scan.
pub fn found_at(root: &Root, path: &TreePath) -> Result<Found, DiskError> {
    let progress = Progress::new(0, &crate::model::Unwatched);
    let mut eye = Eye::new(CHUNK, &progress);
    match standing(root.spot(path))? {
        Ok((spot, stamp)) => eye.found(&spot, stamp).map(|(_, found)| found),
        Err(found) => Ok(found),
    }
}

enum Difference {
    Config(ConfigState),
    Drift(Found),
}

/// Bytes hashed so far, by all threads together.
pub(super) struct Progress<'a> {
    done: AtomicU64,
    total: u64,
    watch: &'a dyn Watch,
}

impl<'a> Progress<'a> {
    pub(super) fn new(total: u64, watch: &'a dyn Watch) -> Self {
        Self {
            done: AtomicU64::new(0),
            total,
            watch,
        }
    }

    /// Whether to look further.
    pub(super) fn go_on(&self) -> Result<(), DiskError> {
        Ok(self.watch.go_on()?)
    }

    pub(super) fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let done = before.saturating_add(bytes);
        self.watch.progress("scanning", done, self.total.max(done));
    }
}

struct Eye<'a> {
    buffer: Vec<u8>,
    clocks: Clocks,
    progress: &'a Progress<'a>,
    // Bytes read of the path it looks at.
    bytes: u64,
    read: u64,
    indexed: u64,
}

impl<'a> Eye<'a> {
    fn new(room: usize, progress: &'a Progress<'a>) -> Self {
        Self {
            buffer: vec![0; room],
            clocks: Clocks::default(),
            progress,
            bytes: 0,
            read: 0,
            indexed: 0,
        }
    }

    fn look(
        &mut self,
        neighbours: &mut Neighbours<'_>,
        expected: &Expected<'_>,
    ) -> Result<(Option<Stamp>, Option<Difference>), DiskError> {
        let spot = neighbours.spot(expected.path);
        // Mostly it is the file that it must be, and nothing is known of it: opened at once, it tells of
        // itself. Whatever else it is, is looked at first.
        if let Ok(spot) = &spot
            && !expected.config
            && expected.known.is_none()
            && matches!(expected.what, What::File(_))
            && let Ok((file, stamp)) = spot.open()
        {
            self.clocks.kept(spot, &stamp);
            let (stamp, found) = self.opened(spot, file, stamp)?;
            return Ok((Some(stamp), difference(expected, found)));
        }
        let (stamp, found) = match standing(spot)? {
            Err(found) => (None, found),
            Ok((_, stamp)) if expected.config && other_size(expected.what, &stamp) => {
                return Ok((Some(stamp), Some(Difference::Config(ConfigState::Changed))));
            }
            Ok((spot, stamp)) => {
                let (stamp, found) = match self.indexed(expected, &spot, &stamp) {
                    Some(found) => (stamp, found),
                    None => self.found(&spot, stamp)?,
                };
                (Some(stamp), found)
            }
        };
        Ok((stamp, difference(expected, found)))
    }

    /// What the index knows of it, where it can be believed.
    fn indexed(&mut self, expected: &Expected<'_>, spot: &Spot, stamp: &Stamp) -> Option<Found> {
        // Asked for every file, for the index that may be made of this.
        let clock = stamp.kind == FileKind::File && self.clocks.kept(spot, stamp);
        let known = expected.known.filter(|_| clock)?;
        let blake3 = known.blake3(stamp)?;
        self.indexed = self.indexed.saturating_add(1);
        Some(Found::File {
            blake3,
            executable: stamp.executable(),
        })
    }

    fn found(&mut self, spot: &Spot, stamp: Stamp) -> Result<(Stamp, Found), DiskError> {
        match stamp.kind {
            FileKind::Folder => Ok((stamp, Found::Folder)),
            FileKind::Other => Ok((stamp, Found::Other)),
            FileKind::Link => {
                let blake3 = Blake3::of(&spot.read_link()?);
                Ok((stamp, Found::Link { blake3 }))
            }
            FileKind::File => {
                let (file, stamp) = spot.open()?;
                self.opened(spot, file, stamp)
            }
        }
    }

    fn opened(
        &mut self,
        spot: &Spot,
        mut file: File,
        stamp: Stamp,
    ) -> Result<(Stamp, Found), DiskError> {
        match stamp.kind {
            FileKind::File => {}
            FileKind::Folder => return Ok((stamp, Found::Folder)),
            FileKind::Link | FileKind::Other => return Ok((stamp, Found::Other)),
        }
        let mut hasher = blake3::Hasher::new();
        // To its end, or to the end that it had when it was opened: if it grows, its stamp is another.
        while stamp.size == 0 || self.bytes < stamp.size {
            let count = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(DiskError::io("read", &spot.path)(e)),
            };
            hasher.update(self.buffer.get(..count).unwrap_or_default());
            let count = u64::try_from(count).unwrap_or(0);
            self.bytes = self.bytes.saturating_add(count);
            self.progress.add(count);
            self.progress.go_on()?;
        }
        self.read = self.read.saturating_add(1);
        let found = Found::File {
            blake3: Blake3::from_bytes(*hasher.finalize().as_bytes()),
            executable: stamp.executable(),
        };
        Ok((stamp, found))
    }
}

/// What stands at a path, or what that it cannot be reached counts as: below a folder that is
/// missing there is nothing; what lies behind a link, or below a file, is something else.
fn standing(spot: Result<Spot, DiskError>) -> Result<Result<(Spot, Stamp), Found>, DiskError> {
    let spot = match spot {
        Ok(spot) => spot,
        Err(DiskError::Blocked { .. }) => return Ok(Err(Found::Other)),
        Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => return Ok(Err(Found::Absent)),
        Err(e) => return Err(e),
    };
    Ok(match spot.look()? {
        Some(stamp) => Ok((spot, stamp)),
        None => Err(Found::Absent),
    })
}

fn difference(expected: &Expected<'_>, found: Found) -> Option<Difference> {
    let fits = match (expected.what, &found) {
        (What::File(file), Found::File { blake3, executable }) => {
            file.blake3 == *blake3 && (expected.config || file.mode.executable() == *executable)
        }
        (What::Link { target }, Found::Link { blake3 }) => Blake3::of(target.as_bytes()) == *blake3,
        (What::Folder { .. }, Found::Folder) => true,
        _ => false,
    };
    match (fits, expected.config, found) {
        (true, ..) => None,
        (false, false, found) => Some(Difference::Drift(found)),
        (false, true, Found::Absent) => Some(Difference::Config(ConfigState::Deleted)),
        (false, true, _) => Some(Difference::Config(ConfigState::Changed)),
    }
}

/// A config file of another size is changed: nobody asks for its digest.
fn other_size(what: &What, stamp: &Stamp) -> bool {
    matches!(what, What::File(file) if stamp.kind == FileKind::File && stamp.size != file.size)
}

fn size(what: &What) -> u64 {
    match what {
        What::File(file) => file.size,
        What::Folder { .. } | What::Link { .. } => 0,
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
