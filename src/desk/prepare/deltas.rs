//! Deltas: made, decoded once to see that they make what they should, and kept, so that the next
//! environment that changes in the same way costs no work.
//!
//! What is kept is named by both digests and the codec. It is believed as far as its own digest goes: a
//! host refuses whatever else comes of a delta.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::bases::Base;
use super::packs::each_checked;
use super::vendors::Vendors;
use super::workshop::Workshop;
use crate::delta::{DeltaError, Effort, ReadAt as _, Room, decode, encode};
use crate::disk::pieces::{Old, Spill};
use crate::disk::{DiskError, durable};
use crate::model::digest::ContentHasher;
use crate::model::patch::Codec;
use crate::model::recipe::FileContent;
use crate::model::{Name, Refusal, RefusalName, Sha256, Watch};

/// Most memory that a delta may take on the host, in bytes: below what `apply` allows where nobody says
/// otherwise, with room for the program itself.
const MEMORY_MAX: u64 = 192 * 1024 * 1024;
/// Most bytes that a delta may write down on the host, in sizes of the old and the new content.
const SCRATCH_MAX: u64 = 16;
/// How memory is counted: raised whenever that changes, so that nothing that was counted otherwise is used.
const COUNTING: u32 = 1;
/// Bytes in front of a delta that is kept: the digest of all that follows, and two numbers.
const HEAD: usize = 48;
/// Contents that are compared at a time, in bytes: twice as much lies in the workshop.
const BATCH: u64 = 1024 * 1024 * 1024;
/// Smaller contents are compared anew each time, in bytes: that costs less than to keep what came of it.
const KEPT_MIN: u64 = 16 * 1024;
/// Largest delta that is kept, in bytes.
const KEPT_MAX: u64 = 4 * 1024 * 1024 * 1024;

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
    /// Its bytes, to be read once.
    pub(super) fn open(&self) -> Result<Old<'_>, DiskError> {
        Old::of(&self.path, HEAD.try_into().unwrap_or(0))
    }

    /// What was kept, if it is still what it was.
    fn kept(path: &Path, base: Sha256) -> Result<Kept, DiskError> {
        let Some(bytes) = durable::read_if_there(path, KEPT_MAX)? else {
            return Ok(Kept::Nothing);
        };
        let Some((head, delta)) = bytes.split_at_checked(HEAD) else {
            return Ok(Kept::Nothing);
        };
        let (digest, numbers) = head.split_at(32);
        let rest = bytes.get(32..).unwrap_or_default();
        if Sha256::of(rest).as_bytes() != digest {
            return Ok(Kept::Nothing);
        }
        let number = |at: usize| {
            let bytes = numbers.get(at..at.saturating_add(8));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        if delta.is_empty() {
            return Ok(Kept::Whole);
        }
        Ok(Kept::Delta(Self {
            path: path.to_owned(),
            length: delta.size(),
            memory: number(0),
            scratch: NonZeroU64::new(number(8)),
            base,
        }))
    }
}

/// What is known of a change from an earlier time.
enum Kept {
    Nothing,
    /// That no delta is worth it.
    Whole,
    Delta(Delta),
}

/// Makes what deltas are worth it, by the content that they make.
pub(super) fn make(
    shop: &Workshop,
    cache: &Path,
    vendors: &Vendors<'_>,
    wanted: &[Wanted<'_>],
    watch: &dyn Watch,
) -> Result<BTreeMap<Sha256, Delta>, Refusal> {
    let mut made = BTreeMap::new();
    let mut left = Vec::new();
    for one in wanted {
        watch.go_on()?;
        match Delta::kept(&one.path(cache), one.base.file.sha256)? {
            Kept::Delta(delta) => drop(made.insert(one.file.sha256, delta)),
            Kept::Whole => {}
            Kept::Nothing => left.push(*one),
        }
    }
    let size = |one: &Wanted<'_>| one.file.size.saturating_add(one.base.file.size);
    let total = left.iter().map(size).fold(0, u64::saturating_add);
    let done = AtomicU64::new(0);
    let mut left = left.as_slice();
    while !left.is_empty() {
        let mut bytes = 0_u64;
        let fits = |one: &&Wanted<'_>| {
            bytes = bytes.saturating_add(size(one));
            bytes <= BATCH
        };
        let count = left.iter().take_while(fits).count().max(1);
        let (batch, later) = left.split_at(count);
        let mut pairs = Vec::new();
        for (index, one) in batch.iter().enumerate() {
            watch.go_on()?;
            pairs.extend(Pair::lay(shop, vendors, one, index, watch)?);
        }
        let deltas = pairs
            .par_iter()
            .map(|pair| {
                watch.go_on()?;
                let delta = pair.delta(shop, cache, watch)?;
                let now = done.fetch_add(size(&pair.wanted), Ordering::Relaxed);
                watch.progress("comparing", now.saturating_add(size(&pair.wanted)), total);
                Ok(delta.map(|delta| (pair.wanted.file.sha256, delta)))
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        made.extend(deltas.into_iter().flatten());
        left = later;
    }
    Ok(made)
}

impl Wanted<'_> {
    fn path(&self, cache: &Path) -> PathBuf {
        let name = format!(
            "{}-{}.{}.{COUNTING}",
            self.base.file.sha256,
            self.file.sha256,
            Codec::Delta
        );
        cache.join("deltas").join(name)
    }
}

/// An old and a new content, as files in the workshop.
struct Pair<'a> {
    wanted: Wanted<'a>,
    old: PathBuf,
    new: PathBuf,
    number: usize,
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        for path in [&self.old, &self.new] {
            drop(std::fs::remove_file(path));
        }
    }
}

impl<'a> Pair<'a> {
    /// Lays both contents into the workshop. An old one that the source no longer has is no base.
    fn lay(
        shop: &Workshop,
        vendors: &Vendors<'_>,
        wanted: &Wanted<'a>,
        number: usize,
        watch: &dyn Watch,
    ) -> Result<Option<Self>, Refusal> {
        let pair = Self {
            wanted: *wanted,
            old: shop.path(&format!("old-{number}")),
            new: shop.path(&format!("new-{number}")),
            number,
        };
        let base = wanted.base;
        let put = |path: &Path, owner: Option<&Name>, file: &FileContent| {
            let out = File::create_new(path).map_err(DiskError::io("create", path))?;
            let mut out = BufWriter::new(out);
            each_checked(vendors.blob(owner, file)?, file, |bytes| {
                watch.go_on()?;
                Ok(out.write_all(bytes).map_err(DiskError::io("write", path))?)
            })?;
            Ok::<(), Refusal>(out.flush().map_err(DiskError::io("write", path))?)
        };
        if let Err(refusal) = put(&pair.old, Some(&base.owner), &base.file) {
            watch.go_on()?;
            watch.warn(&format!(
                "{} travels whole: what is installed cannot be read from the source: {}",
                wanted.file.sha256.short(),
                refusal.what
            ));
            return Ok(None);
        }
        put(&pair.new, wanted.owner, wanted.file)?;
        Ok(Some(pair))
    }

    /// Makes the delta, and keeps what came of it.
    fn delta(
        &self,
        shop: &Workshop,
        cache: &Path,
        watch: &dyn Watch,
    ) -> Result<Option<Delta>, Refusal> {
        let wanted = &self.wanted;
        let bytes = self.worth(watch)?;
        let mut file = vec![0_u8; 32];
        let (room, delta) = bytes.unwrap_or_default();
        file.extend(room.memory.to_le_bytes());
        file.extend(room.scratch.to_le_bytes());
        file.extend(delta);
        let digest = Sha256::of(file.get(32..).unwrap_or_default());
        if let Some(slot) = file.get_mut(..32) {
            slot.copy_from_slice(digest.as_bytes());
        }
        let path = if wanted.file.size < KEPT_MIN {
            shop.path(&format!("delta-{}", wanted.file.sha256))
        } else {
            let path = wanted.path(cache);
            durable::make_folders(&cache.join("deltas"), 0o700)?;
            path
        };
        durable::write(&path, &file, 0o600)?;
        match Delta::kept(&path, wanted.base.file.sha256)? {
            Kept::Delta(delta) => Ok(Some(delta)),
            Kept::Whole | Kept::Nothing => Ok(None),
        }
    }

    /// A delta that is smaller than what is stored, and that makes what it should.
    fn worth(&self, watch: &dyn Watch) -> Result<Option<(Room, Vec<u8>)>, Refusal> {
        let file = self.wanted.file;
        let (old, new) = (Old::of(&self.old, 0)?, Old::of(&self.new, 0)?);
        let refuse = |error: DeltaError| match error {
            DeltaError::Io(error) => DiskError::io("compare", &self.new)(error).into(),
            error => Refusal::new(RefusalName::Internal, error.to_string()),
        };
        let delta = encode(&old, &new, Effort::Default).map_err(refuse)?;
        if delta.as_slice().size() >= file.stored_size {
            return Ok(None);
        }
        watch.go_on()?;
        let spill = Spill::create(
            self.new.parent().unwrap_or(Path::new(".")),
            &format!("spill-{}", self.number),
        )?;
        let mut hasher = ContentHasher::default();
        // More than that would be a bad bargain on the host.
        let both = file.size.saturating_add(self.wanted.base.file.size);
        let most = Room {
            memory: MEMORY_MAX,
            scratch: both.saturating_mul(SCRATCH_MAX),
        };
        let room = decode(&delta, &old, &spill, (file.size, most), &mut |bytes| {
            hasher.update(bytes);
            Ok(())
        });
        // Where it does not, it travels whole: nothing is lost but room.
        match room {
            Ok(room) if hasher.finish() == file.id() => Ok(Some((room, delta))),
            Ok(_) | Err(DeltaError::Damaged(_) | DeltaError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(refuse(error)),
        }
    }
}
