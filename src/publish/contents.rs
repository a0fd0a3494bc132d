//! The contents of a component: hashed first, stored once it is clear that they will be published.
//!
//! Both go over all files in parallel. A content that several files share is stored once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::walk::{Found, Seen};
use crate::disk::batch::Batch;
use crate::model::recipe::{Entry, FileContent, Mode, What};
use crate::model::{ContentId, Refusal, RefusalName, TreePath, Watch};
use crate::release::ReleaseError;
use crate::release::blob::{self, Stored};

/// The entry of every path, in the same order. How contents are stored is left open.
pub(super) fn identify(
    source: &Path,
    found: &[Found],
    watch: &dyn Watch,
) -> Result<Vec<Entry>, Refusal> {
    let sizes = found.iter().map(|found| match found.what {
        Seen::File(_, size) => size,
        Seen::Folder(_) | Seen::Link(_) => 0,
    });
    let progress = Progress::new("hashing", sizes, watch);
    found
        .par_iter()
        .map(|found| {
            let what = match &found.what {
                Seen::File(mode, _) => {
                    let file = source.join(found.path.as_str());
                    let id = blob::identify(&file, &|bytes| progress.add(bytes))?;
                    What::File(unstored(*mode, id).into())
                }
                Seen::Folder(mode) => What::Folder { mode: *mode },
                Seen::Link(target) => What::Link {
                    target: target.clone(),
                },
            };
            Ok(Entry {
                path: found.path.clone(),
                what,
            })
        })
        .collect()
}

/// A content of which it is not known yet how it is stored.
pub(super) fn unstored(mode: Mode, id: ContentId) -> FileContent {
    FileContent {
        blake3: id.blake3,
        mode,
        sha256: id.sha256,
        size: id.size,
        stored_sha256: id.sha256,
        stored_size: 0,
    }
}

/// Stores every content of the files below `source`, and enters into `entries` how it is stored.
pub(super) fn store(
    repository: &Path,
    source: &Path,
    entries: &mut [Entry],
    watch: &dyn Watch,
) -> Result<(), Refusal> {
    let mut files: Vec<(&TreePath, &mut Arc<FileContent>)> = entries
        .iter_mut()
        .filter_map(|entry| match &mut entry.what {
            What::File(file) => Some((&entry.path, file)),
            What::Folder { .. } | What::Link { .. } => None,
        })
        .collect();
    files.sort_by_key(|(_, file)| file.blake3);
    let once: Vec<_> = files
        .chunk_by(|(_, a), (_, b)| a.blake3 == b.blake3)
        .filter_map(<[_]>::first)
        .collect();
    let total = once.iter().map(|(_, file)| file.size);
    let progress = Progress::new("storing", total, watch);
    let batch = Batch::create(repository)?;
    let stored = few_threads()?.install(|| {
        once.into_par_iter()
            .map(|(path, file)| {
                let input = source.join(path.as_str());
                blob::store(repository, &batch, &input, &file.id(), &|bytes| {
                    progress.add(bytes);
                })
            })
            .collect::<Result<Vec<Stored>, ReleaseError>>()
    })?;
    batch.finish()?;
    let alike = files.chunk_by_mut(|(_, a), (_, b)| a.blake3 == b.blake3);
    for (files, stored) in alike.zip(stored) {
        for (_, file) in files {
            let file = Arc::make_mut(file);
            file.stored_sha256 = stored.sha256;
            file.stored_size = stored.size;
        }
    }
    Ok(())
}

/// Compressing takes up to 21 MB in each thread.
fn few_threads() -> Result<rayon::ThreadPool, Refusal> {
    const MOST: usize = 8;
    let threads = rayon::current_num_threads().min(MOST);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Refusal::new(RefusalName::Internal, format!("no threads: {e}")))
}

/// Bytes done of all bytes, counted by many threads.
struct Progress<'a> {
    stage: &'static str,
    done: AtomicU64,
    total: u64,
    watch: &'a dyn Watch,
}

impl<'a> Progress<'a> {
    fn new(stage: &'static str, sizes: impl Iterator<Item = u64>, watch: &'a dyn Watch) -> Self {
        Self {
            stage,
            done: AtomicU64::new(0),
            total: sizes.fold(0, u64::saturating_add),
            watch,
        }
    }

    fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        self.watch
            .progress(self.stage, before.saturating_add(bytes), self.total);
    }
}
