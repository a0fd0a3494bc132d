//! The contents of a component: hashed first, stored once it is clear that they will be published.
//!
//! Both go over all files in parallel. A content that several files share is stored once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::walk::{Found, Seen};
use crate::model::recipe::{Entry, FileContent, Mode, What};
use crate::model::{Blake3, ContentId, Refusal, Watch};
use crate::release::ReleaseError;
use crate::release::blob::{self, Stored};

/// The entry of every path, in the same order. How contents are stored is left open.
pub(super) fn identify(found: &[Found], watch: &dyn Watch) -> Result<Vec<Entry>, Refusal> {
    let progress = Progress::new("hash", found, watch);
    found
        .par_iter()
        .map(|found| {
            let what = match &found.what {
                Seen::File(mode, _) => {
                    let id = blob::identify(&found.source)?;
                    progress.add(id.size);
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

/// Stores every content and enters into `entries`, which go with `found`, how it is stored.
pub(super) fn store(
    folder: &Path,
    found: &[Found],
    entries: &mut [Entry],
    watch: &dyn Watch,
) -> Result<(), Refusal> {
    let progress = Progress::new("store", found, watch);
    let mut contents: BTreeMap<Blake3, (&Path, ContentId)> = BTreeMap::new();
    for (found, entry) in found.iter().zip(entries.iter()) {
        if let What::File(file) = &entry.what {
            contents.insert(file.blake3, (&found.source, file.id()));
        }
    }
    let stored: BTreeMap<Blake3, Stored> = contents
        .into_par_iter()
        .map(|(blake3, (source, id))| {
            let stored = blob::store(folder, source, &id)?;
            progress.add(id.size);
            Ok((blake3, stored))
        })
        .collect::<Result<_, ReleaseError>>()?;
    for entry in entries {
        if let What::File(file) = &mut entry.what
            && let Some(stored) = stored.get(&file.blake3)
        {
            let file = Arc::make_mut(file);
            file.stored_sha256 = stored.sha256;
            file.stored_size = stored.size;
        }
    }
    Ok(())
}

/// Bytes done of all bytes, counted by many threads.
struct Progress<'a> {
    stage: &'static str,
    done: AtomicU64,
    total: u64,
    watch: &'a dyn Watch,
}

impl<'a> Progress<'a> {
    fn new(stage: &'static str, found: &[Found], watch: &'a dyn Watch) -> Self {
        let size = |found: &Found| match found.what {
            Seen::File(_, size) => size,
            Seen::Folder(_) | Seen::Link(_) => 0,
        };
        Self {
            stage,
            done: AtomicU64::new(0),
            total: found.iter().map(size).fold(0, u64::saturating_add),
            watch,
        }
    }

    fn add(&self, bytes: u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        self.watch
            .progress(self.stage, before.saturating_add(bytes), self.total);
    }
}
