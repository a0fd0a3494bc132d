//! A stage: `stage/<n>/` of a staging area, where everything new is made before anything is moved.
//!
//! It lies on the mount of its area, so that a slot and a path can change places in one call. Slots
//! are named by numbers: nothing that a patch says becomes a name here. What is written is hashed
//! with both digests on its way, and counts only when they are those of the recipe. Where it is
//! nothing but zeros for long, no room is taken ([`super::sparse`]).

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode as Bits, OFlags};

use super::area::Area;
use super::root::{Root, Spot};
use super::sparse::SparseFile;
use super::stamp::{Mount, Stamp};
use super::{DiskError, batch, durable, folder};
use crate::model::digest::ContentHasher;
use crate::model::recipe::Mode;
use crate::model::{Blake3, ContentId, Watch};
use crate::plan::recovery::Mark;

/// Bytes copied at a time.
const CHUNK: usize = 256 * 1024;

/// The folder of one change's new files, and after the exchange of its old ones.
pub struct Stage {
    folder: Arc<OwnedFd>,
    path: PathBuf,
}

impl Stage {
    /// Makes an empty stage for the state `sequence` in the root's own area.
    pub fn create(root: &Root, sequence: u64) -> Result<Self, DiskError> {
        Self::create_in(&Area::own(root)?, sequence)
    }

    /// Makes an empty stage in an area that is ours; what an interrupted command left under that
    /// number is removed first.
    pub(super) fn create_in(area: &Area, sequence: u64) -> Result<Self, DiskError> {
        let path = area.stages().join(sequence.to_string());
        folder::remove_tree(&path)?;
        durable::make_folders(&path, 0o700)?;
        Self::open_at(area, path)
    }

    /// Opens the stage of an interrupted change; nothing where there is none.
    pub(super) fn open_in(area: &Area, sequence: u64) -> Result<Option<Self>, DiskError> {
        match Self::open_at(area, area.stages().join(sequence.to_string())) {
            Ok(stage) => Ok(Some(stage)),
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens what became of the stage of the state `sequence`: its part of a generation.
    pub(super) fn kept_in(area: &Area, sequence: u64) -> Result<Self, DiskError> {
        Self::open_at(area, area.generations().join(sequence.to_string()))
    }

    /// Where the root's own stage of a state lies.
    #[must_use]
    pub fn path_of(root: &Root, sequence: u64) -> PathBuf {
        root.state_folder().join("stage").join(sequence.to_string())
    }

    /// The stage's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a file in a slot that is free. It has no rights for others until it is finished.
    pub fn file(&self, slot: u64, mode: Mode) -> Result<StagedFile, DiskError> {
        let path = self.path.join(slot.to_string());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let name = slot.to_string();
        let file = rustix::fs::openat(&self.folder, name, flags, Bits::RUSR | Bits::WUSR)
            .map_err(DiskError::os("create", &path))?;
        Ok(StagedFile {
            file: SparseFile::new(File::from(file)),
            hasher: ContentHasher::default(),
            mode,
            path,
        })
    }

    /// Fills a slot with a file that is there already, installed or kept, hashing what is copied.
    pub fn copy(
        &self,
        slot: u64,
        from: &Spot,
        expected: &ContentId,
        mode: Mode,
        watch: &dyn Watch,
    ) -> Result<Mark, DiskError> {
        let (mut source, _) = from.open()?;
        let mut staged = self.file(slot, mode)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            watch.go_on()?;
            let count = match source.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(DiskError::io("read", &from.path)(e)),
            };
            let chunk = buffer.get(..count).unwrap_or_default();
            staged
                .write_all(chunk)
                .map_err(DiskError::io("write", &staged.path))?;
        }
        staged.finish(expected)
    }

    /// Makes a link in a slot that is free.
    pub fn link(&self, slot: u64, target: &str) -> Result<Mark, DiskError> {
        let free = self.spot(slot)?;
        rustix::fs::symlinkat(target, &free.folder, &free.name)
            .map_err(DiskError::os("create the link", &free.path))?;
        self.mark(slot, Some(Blake3::of(target.as_bytes())))
    }

    /// Makes a folder in a slot that is free. It is open to its owner, whatever the mode says:
    /// other things are still to be placed in it.
    pub fn folder(&self, slot: u64, mode: Mode) -> Result<Mark, DiskError> {
        let free = self.spot(slot)?;
        let bits = Bits::from_raw_mode(mode.bits() | 0o700);
        rustix::fs::mkdirat(&free.folder, &free.name, bits)
            .and_then(|()| {
                // Once more, past the umask. Nothing else writes here, so it is our folder.
                rustix::fs::chmodat(&free.folder, &free.name, bits, AtFlags::empty())
            })
            .map_err(DiskError::os("create the folder", &free.path))?;
        self.mark(slot, None)
    }

    /// A slot as the place of `*at` calls.
    pub fn spot(&self, slot: u64) -> Result<Spot, DiskError> {
        Ok(Spot {
            folder: Arc::clone(&self.folder),
            name: slot.to_string(),
            path: self.path.join(slot.to_string()),
        })
    }

    /// What stands in a slot.
    pub fn look(&self, slot: u64) -> Result<Option<Stamp>, DiskError> {
        self.spot(slot)?.look()
    }

    /// Makes everything in the stage durable.
    ///
    /// `syncfs` does so in one call, but tells of write errors only since Linux 5.8: before that,
    /// each file is synced by itself as well.
    pub fn settle(&self) -> Result<(), DiskError> {
        if !batch::syncfs_tells_errors() {
            for slot in folder::numbers(&self.path)? {
                if self
                    .look(slot)?
                    .is_some_and(|s| s.kind == super::stamp::FileKind::File)
                {
                    let (file, _) = self.spot(slot)?.open()?;
                    durable::sync(&file)
                        .map_err(DiskError::io("sync", self.path.join(slot.to_string())))?;
                }
            }
        }
        self.sync()?;
        durable::sync_folder(&self.path)
    }

    /// Makes its file system durable.
    pub fn sync(&self) -> Result<(), DiskError> {
        durable::sync_file_system(&self.folder).map_err(DiskError::io("sync", &self.path))
    }

    /// Opens a stage, which must lie on the mount of its area.
    fn open_at(area: &Area, path: PathBuf) -> Result<Self, DiskError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(rustix::fs::CWD, &path, flags, Bits::empty())
            .map_err(DiskError::os("open", &path))?;
        let here = Mount::of(&folder).map_err(DiskError::os("look at", &path))?;
        if here == area.mount() {
            Ok(Self {
                folder: Arc::new(folder),
                path,
            })
        } else {
            Err(DiskError::OtherMount { path })
        }
    }

    fn mark(&self, slot: u64, blake3: Option<Blake3>) -> Result<Mark, DiskError> {
        let stamp = self.look(slot)?;
        stamp
            .and_then(|stamp| stamp.mark(blake3))
            .ok_or_else(|| gone(self.path.join(slot.to_string())))
    }
}

/// A file under way in the stage.
pub struct StagedFile {
    file: SparseFile,
    hasher: ContentHasher,
    mode: Mode,
    path: PathBuf,
}

impl StagedFile {
    /// Ends the file: refused unless its size and both its digests are the expected ones.
    pub fn finish(self, expected: &ContentId) -> Result<Mark, DiskError> {
        let found = self.hasher.finish();
        #[cfg(feature = "faulty")]
        let expected = if crate::model::faulty::has(crate::model::faulty::Fault::Contents) {
            &found
        } else {
            expected
        };
        if found != *expected {
            return Err(DiskError::Content {
                path: self.path,
                expected: words(expected),
                found: words(&found),
            });
        }
        let file = self
            .file
            .finish()
            .map_err(DiskError::io("write", &self.path))?;
        rustix::fs::fchmod(&file, Bits::from_raw_mode(self.mode.bits()))
            .map_err(DiskError::os("set the mode of", &self.path))?;
        let stamp = Stamp::of(&file).map_err(DiskError::os("look at", &self.path))?;
        stamp
            .mark(Some(found.blake3))
            .ok_or_else(|| gone(self.path))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn gone(path: PathBuf) -> DiskError {
    DiskError::InTheWay {
        path,
        reason: "another process works in the stage",
    }
}

fn words(id: &ContentId) -> String {
    format!(
        "{} bytes, sha256 {}, blake3 {}",
        id.size, id.sha256, id.blake3
    )
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
