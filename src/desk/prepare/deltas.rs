//! Deltas: made, decoded once to see that they make what they should, and kept, so that the next
//! environment that changes in the same way costs no work.
//!
//! What is kept is named by both digests and the codec. It is believed as far as its own digest goes: a
//! host refuses whatever else comes of a delta.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::bases::Base;
use super::packs::{Means, each_checked};
use super::vendors::Vendors;
use crate::delta::{DeltaError, ReadAt as _, Room, decode, encode};
use crate::disk::durable::Draft;
use crate::disk::pieces::{Old, Spill};
use crate::disk::{DiskError, durable};
use crate::model::digest::{ContentHasher, Sha256Hasher};
use crate::model::patch::Codec;
use crate::model::recipe::FileContent;
use crate::model::{Name, Refusal, RefusalName, Sha256, Watch};

/// Most memory that a delta may take on the host, in bytes: below what `apply` allows where nobody says
/// otherwise, with room for the program itself.
const MEMORY_MAX: u64 = 192 * 1024 * 1024;
/// Most bytes that a delta may write down on the host, in sizes of the old and the new content.
const SCRATCH_MAX: u64 = 16;
/// How memory is counted and what is kept: raised whenever that changes, so that nothing of another kind is
/// used.
const COUNTING: u32 = 2;
/// Bytes in front of a delta that is kept: the digest of all that follows, and two numbers.
const HEAD: usize = 48;
/// Contents that are compared at a time, old and new, in bytes: so much lies in the workshop.
const BATCH: u64 = 1024 * 1024 * 1024;
/// Smaller contents are compared anew each time, in bytes: that costs less than to keep what came of it.
const KEPT_MIN: u64 = 16 * 1024;
/// Bytes read at a time.
const CHUNK: usize = 128 * 1024;

/// What came of comparing a content with what it resembles.
pub(super) struct Compared {
    pub(super) result: Result<Delta, Why>,
    /// How long it took; nothing where it was kept from before.
    pub(super) took: Option<Duration>,
}

/// Why there is no delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It would be no smaller than what is stored: its bytes.
    Larger(u64),
    /// It takes more on the host than it is worth.
    Costly,
    /// The old content cannot be had.
    Unreadable,
    /// It does not make what it should: a fault of this program.
    Wrong,
}

/// A delta in a file, smaller than what it makes is stored as.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    path: PathBuf,
    pub(super) length: u64,
    pub(super) memory: u64,
    pub(super) scratch: Option<NonZeroU64>,
    pub(super) base: Sha256,
}

/// A content that may travel as a delta.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) file: &'a FileContent,
    pub(super) owner: Option<&'a Name>,
    pub(super) base: &'a Base,
}

impl Delta {
    /// Bytes on disk that it takes on the host.
    pub(super) fn room(&self) -> u64 {
        let scratch = self.scratch.map_or(0, NonZeroU64::get);
        scratch.saturating_add(self.length)
    }

    /// Its bytes, to be read once.
    pub(super) fn open(&self) -> Result<Old<'_>, DiskError> {
        Old::of(&self.path, HEAD.try_into().unwrap_or(0))
    }

    /// What was kept, if it is still what it was. What cannot be read was not kept.
    fn kept(path: &Path, base: Sha256) -> Option<Result<Self, Why>> {
        let mut file = durable::open_plain(path).ok()?;
        let mut head = [0_u8; HEAD];
        file.read_exact(&mut head).ok()?;
        let (digest, numbers) = head.split_at(32);
        let mut hasher = Sha256Hasher::default();
        hasher.update(numbers);
        let mut chunk = vec![0_u8; CHUNK];
        let mut length = 0_u64;
        loop {
            let read = file.read(&mut chunk).ok()?;
            if read == 0 {
                break;
            }
            hasher.update(chunk.get(..read).unwrap_or_default());
            length = length.saturating_add(u64::try_from(read).unwrap_or(0));
        }
        if hasher.finish().as_bytes() != digest {
            return None;
        }
        let number = |at: usize| {
            let bytes = numbers.get(at..at.saturating_add(8));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        if length == 0 {
            let larger = NonZeroU64::new(number(0));
            return Some(Err(
                larger.map_or(Why::Costly, |size| Why::Larger(size.get()))
            ));
        }
        Some(Ok(Self {
            path: path.to_owned(),
            length,
            memory: number(0),
            scratch: NonZeroU64::new(number(8)),
            base,
        }))
    }
}

/// Compares contents, and makes what deltas are worth it; by the content that they make.
pub(super) fn make(
    means: &Means<'_>,
    vendors: &Vendors<'_>,
    wanted: &[Wanted<'_>],
) -> Result<BTreeMap<Sha256, Compared>, Refusal> {
    let mut made = BTreeMap::new();
    let mut left = Vec::new();
    for one in wanted {
        means.watch.go_on()?;
        let kept = Delta::kept(&one.path(means), one.base.file.sha256);
        // Another vendor, or the same one at another time, may have stored the content otherwise.
        let stored = one.file.stored_size;
        let result = match kept {
            Some(Err(Why::Larger(size))) if size < stored => None,
            Some(Ok(delta)) if delta.length >= stored => Some(Err(Why::Larger(delta.length))),
            kept => kept,
        };
        match result {
            Some(result) => drop(made.insert(one.file.sha256, Compared { result, took: None })),
            None => left.push(*one),
        }
    }
    let all = Meter::new(left.iter().map(Wanted::weight));
    let mut left = left.as_slice();
    while !left.is_empty() {
        let mut bytes = 0_u64;
        let fits = |one: &&Wanted<'_>| {
            bytes = bytes.saturating_add(one.weight());
            bytes <= BATCH
        };
        let count = left.iter().take_while(fits).count().max(1);
        let (batch, later) = left.split_at(count);
        let mut pairs = Vec::new();
        for (index, one) in batch.iter().enumerate() {
            means.watch.go_on()?;
            pairs.push(Pair::lay(means, vendors, one, index)?);
        }
        let compared = pairs
            .par_iter()
            .map(|pair| {
                means.watch.go_on()?;
                let began = Instant::now();
                let result = pair.compared(means, &all)?;
                let took = Some(began.elapsed());
                Ok((pair.wanted.file.sha256, Compared { result, took }))
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        made.extend(compared);
        left = later;
    }
    Ok(made)
}

/// How much of all that is compared is done.
struct Meter {
    done: AtomicU64,
    total: u64,
}

impl Meter {
    fn new(weights: impl Iterator<Item = u64>) -> Self {
        Self {
            done: AtomicU64::new(0),
            total: weights.fold(0, u64::saturating_add),
        }
    }

    /// Tells how far one of them is, which weighs so much and of which `told` is known.
    fn tell(&self, watch: &dyn Watch, told: &AtomicU64, (now, weight): (u64, u64)) {
        let now = now.min(weight);
        let more = now.saturating_sub(told.fetch_max(now, Ordering::Relaxed));
        let done = self.done.fetch_add(more, Ordering::Relaxed);
        watch.progress("comparing", done.saturating_add(more), self.total);
    }
}

impl Wanted<'_> {
    fn path(&self, means: &Means<'_>) -> PathBuf {
        let name = format!(
            "{}-{}.{}.{}.{COUNTING}",
            self.base.file.sha256,
            self.file.sha256,
            Codec::Delta,
            means.effort
        );
        means.cache.join("deltas").join(name)
    }

    /// Bytes that are compared.
    fn weight(&self) -> u64 {
        self.file.size.saturating_add(self.base.file.size)
    }
}

/// An old and a new content, as files in the workshop.
struct Pair<'a> {
    wanted: Wanted<'a>,
    /// Nothing where the source no longer has the old one.
    old: Option<PathBuf>,
    new: PathBuf,
    scratch: String,
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        for path in self.old.iter().chain([&self.new]) {
            drop(std::fs::remove_file(path));
        }
    }
}

impl<'a> Pair<'a> {
    /// Lays both contents into the workshop.
    fn lay(
        means: &Means<'_>,
        vendors: &Vendors<'_>,
        wanted: &Wanted<'a>,
        number: usize,
    ) -> Result<Self, Refusal> {
        let old = means.shop.pair(&format!("old-{number}"));
        let mut pair = Self {
            wanted: *wanted,
            old: Some(old.clone()),
            new: means.shop.pair(&format!("new-{number}")),
            scratch: format!("scratch-{number}"),
        };
        let base = wanted.base;
        if let Err(refusal) = lay(
            means,
            &old,
            vendors.blob(Some(&base.owner), &base.file),
            &base.file,
        )? {
            means.watch.warn(&format!(
                "{} travels whole: what is installed cannot be read from the source: {}",
                wanted.file.sha256.short(),
                refusal.what
            ));
            drop(std::fs::remove_file(&old));
            pair.old = None;
            return Ok(pair);
        }
        lay(
            means,
            &pair.new,
            vendors.blob(wanted.owner, wanted.file),
            wanted.file,
        )??;
        Ok(pair)
    }

    /// What comes of it, and is kept.
    fn compared(&self, means: &Means<'_>, all: &Meter) -> Result<Result<Delta, Why>, Refusal> {
        let wanted = &self.wanted;
        let Some(old) = &self.old else {
            let weight = wanted.weight();
            all.tell(means.watch, &AtomicU64::new(0), (weight, weight));
            return Ok(Err(Why::Unreadable));
        };
        let worth = self.worth(means, old, all)?;
        let (numbers, delta) = match &worth {
            Ok((room, delta)) => ([room.memory, room.scratch], delta.as_slice()),
            Err(Why::Larger(size)) => ([*size, 0], [].as_slice()),
            Err(Why::Costly) => ([0, 0], [].as_slice()),
            Err(why @ (Why::Unreadable | Why::Wrong)) => return Ok(Err(*why)),
        };
        let path = if wanted.file.size < KEPT_MIN {
            means.shop.pair(&format!("delta-{}", wanted.file.sha256))
        } else {
            durable::make_folders(&means.cache.join("deltas"), 0o700)?;
            wanted.path(means)
        };
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        let mut hasher = Sha256Hasher::default();
        hasher.update(&numbers);
        hasher.update(delta);
        let digest = hasher.finish();
        let mut draft = Draft::create(&path, 0o600)?;
        for bytes in [digest.as_bytes().as_slice(), &numbers, delta] {
            draft
                .file()
                .write_all(bytes)
                .map_err(DiskError::io("write", &path))?;
        }
        draft.commit()?;
        Ok(worth.map(|(room, delta)| Delta {
            path,
            length: delta.as_slice().size(),
            memory: room.memory,
            scratch: NonZeroU64::new(room.scratch),
            base: wanted.base.file.sha256,
        }))
    }

    /// A delta that is smaller than what is stored, and that makes what it should.
    fn worth(
        &self,
        means: &Means<'_>,
        old: &Path,
        all: &Meter,
    ) -> Result<Result<(Room, Vec<u8>), Why>, Refusal> {
        let file = self.wanted.file;
        let (old, new) = (Old::of(old, 0)?, Old::of(&self.new, 0)?);
        let refuse = |error: DeltaError| match error {
            DeltaError::Io(error) => DiskError::io("compare", &self.new)(error).into(),
            error => Refusal::new(RefusalName::Internal, error.to_string()),
        };
        let (told, weight) = (AtomicU64::new(0), self.wanted.weight());
        let delta = encode(&old, &new, means.effort, &|done: u64, total: u64| {
            let now = u128::from(weight)
                .saturating_mul(u128::from(done))
                .checked_div(u128::from(total));
            let now = u64::try_from(now.unwrap_or(0)).unwrap_or(u64::MAX);
            all.tell(means.watch, &told, (now, weight));
            !means.watch.interrupted()
        });
        means.watch.go_on()?;
        let delta = delta.map_err(refuse)?;
        all.tell(means.watch, &told, (weight, weight));
        let size = delta.as_slice().size();
        if size >= file.stored_size {
            return Ok(Err(Why::Larger(size)));
        }
        let spill = Spill::create(means.shop.pairs(), &self.scratch)?;
        let mut hasher = ContentHasher::default();
        // More than that would be a bad bargain on the host.
        let most = Room {
            memory: MEMORY_MAX,
            scratch: weight.saturating_mul(SCRATCH_MAX),
        };
        let room = decode(&delta, &old, &spill, (file.size, most), &mut |bytes| {
            if means.watch.interrupted() {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
            hasher.update(bytes);
            Ok(())
        });
        means.watch.go_on()?;
        // Where it does not, it travels whole: nothing is lost but room.
        match room {
            Ok(room) if hasher.finish() == file.id() => Ok(Ok((room, delta))),
            Ok(_) | Err(DeltaError::Damaged(_)) => {
                means.watch.warn(&format!(
                    "{} travels whole: its delta from {} does not make it; tell whoever gave you this program",
                    file.sha256, self.wanted.base.file.sha256
                ));
                Ok(Err(Why::Wrong))
            }
            Err(DeltaError::TooLarge { .. }) => Ok(Err(Why::Costly)),
            Err(error) => Err(refuse(error)),
        }
    }
}

/// Lays a content into a new file. What the source lacks is told apart from what the desk's own disk
/// meets.
fn lay(
    means: &Means<'_>,
    path: &Path,
    blob: Result<Box<dyn Read + Send>, Refusal>,
    file: &FileContent,
) -> Result<Result<(), Refusal>, Refusal> {
    let out = File::create_new(path).map_err(DiskError::io("create", path))?;
    let mut out = BufWriter::new(out);
    let mut written = Ok(());
    let read = blob.and_then(|blob| {
        each_checked(blob, file, |bytes| {
            means.watch.go_on()?;
            written = out.write_all(bytes).map_err(DiskError::io("write", path));
            match &written {
                Ok(()) => Ok(()),
                Err(error) => Err(Refusal::new(RefusalName::Internal, error.to_string())),
            }
        })
    });
    means.watch.go_on()?;
    written?;
    out.flush().map_err(DiskError::io("write", path))?;
    Ok(read)
}
