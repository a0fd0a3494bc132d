//! Deltas: made, decoded once to see that they make what they should, and kept ([`super::kept`]).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::bases::Base;
use super::kept::{COUNTING, Delta, Why, Worth};
use super::packs::{Means, each_checked};
use super::vendors::Vendors;
use crate::delta::{DeltaError, ReadAt as _, Room, decode, encode};
use crate::disk::pieces::{Old, Spill};
use crate::disk::{DiskError, durable};
use crate::model::digest::ContentHasher;
use crate::model::operation::Codec;
use crate::model::recipe::FileContent;
use crate::model::{Name, Refusal, RefusalName, Sha256, Watch};

/// Most memory that a delta may take on the host, in bytes: below what `apply` allows where nobody says
/// otherwise, with room for the program itself.
const MEMORY_MAX: u64 = 192 * 1024 * 1024;
/// Most bytes that a delta may write down on the host, in sizes of the old and the new content.
const SCRATCH_MAX: u64 = 16;
/// Contents that are compared at a time, old and new, in bytes: so much lies in the workshop.
const BATCH: u64 = 1024 * 1024 * 1024;
/// Memory that comparing takes at the most, in sizes of the old and the new content together. Reckoned, for
/// archives that inflate to three times their size and changed in all entries: the plain bytes of both (3),
/// the old ones once more (1.5), four bytes for the place of each old one (6), and what comes out of it.
const MEMORY_TIMES: u64 = 12;
/// Memory for what is compared at a time, in bytes; a single one may take more.
const BATCH_MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// Smaller contents are compared anew each time, in bytes: that costs less than to keep what came of it.
const KEPT_MIN: u64 = 16 * 1024;

/// What came of comparing a content with what it resembles.
pub(super) struct Compared {
    pub(super) result: Result<Delta, Why>,
    /// How long it took; nothing where it was kept from before.
    pub(super) took: Option<Duration>,
}

/// A content that may travel as a delta.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) file: &'a FileContent,
    pub(super) owner: Option<&'a Name>,
    pub(super) base: &'a Base,
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
        let (batch, later) = left.split_at(batch(left, rayon::current_num_threads()));
        let mut pairs = Vec::new();
        for (index, one) in batch.iter().enumerate() {
            means.watch.go_on()?;
            pairs.push(Pair::lay(means, vendors, one, index)?);
        }
        let compared = each(&pairs, |pair| {
            means.watch.go_on()?;
            let began = Instant::now();
            let result = pair.compared(means, &all)?;
            let took = Some(began.elapsed());
            Ok::<_, Refusal>((pair.wanted.file.sha256, Compared { result, took }))
        });
        for one in compared {
            made.extend([one?]);
        }
        left = later;
    }
    Ok(made)
}

/// How many of `left` are laid side by side, of which `threads` are compared at a time: one at least, and
/// more as far as disk and memory allow.
fn batch(left: &[Wanted<'_>], threads: usize) -> usize {
    let mut bytes = 0_u64;
    let mut largest = Vec::new();
    let fits = |one: &&Wanted<'_>| {
        let weight = one.weight();
        bytes = bytes.saturating_add(weight);
        largest.push(weight.saturating_mul(MEMORY_TIMES));
        largest.sort_unstable_by_key(|memory| Reverse(*memory));
        largest.truncate(threads);
        bytes <= BATCH && largest.iter().copied().fold(0, u64::saturating_add) <= BATCH_MEMORY
    };
    left.iter().take_while(fits).count().max(1)
}

/// Does the work on all of them, as many at a time as there are cores; what comes of it is in no order. The
/// work may be spread over the cores again, and takes up no other of them meanwhile.
fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(work(one));
        }
        done
    };
    let threads = rayon::current_num_threads().min(all.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        let done = threads.into_iter().map(|thread| {
            let done = thread.join();
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        done.flatten().collect()
    })
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
        let path = if wanted.file.size < KEPT_MIN {
            means.shop.pair(&format!("delta-{}", wanted.file.sha256))
        } else {
            durable::make_folders(&means.cache.join("deltas"), 0o700)?;
            wanted.path(means)
        };
        Ok(Delta::keep(path, worth, wanted.base.file.sha256)?)
    }

    /// A delta that is smaller than what is stored, and that makes what it should.
    fn worth(
        &self,
        means: &Means<'_>,
        old: &Path,
        all: &Meter,
    ) -> Result<Result<Worth, Why>, Refusal> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_done_once() {
        for count in [0, 1, 2, 100] {
            let all: Vec<u64> = (0..count).collect();
            let mut done = each(&all, |one| *one);
            done.sort_unstable();
            assert_eq!(done, all);
        }
    }
}
