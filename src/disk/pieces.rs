//! Files that a delta reads at any place: the old content, the delta itself, and what it writes down
//! because it is needed again.
//!
//! | attack | defence |
//! |---|---|
//! | the installed file is another one than its recipe says | it is hashed from the descriptor that it is read from |
//! | it changes in between | what comes out is checked by both digests |
//! | something else is put in the place of the scratch | it has no name from the moment that it is there |

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::root::Spot;
use super::{DiskError, durable};
use crate::delta::{ReadAt, Scratch};
use crate::model::digest::Sha256Hasher;
use crate::model::{Refusal, Sha256, Watch};

/// Bytes hashed at a time.
const CHUNK: usize = 128 * 1024;

/// A file that does not change. Whoever waits is asked at every read whether to go on.
pub struct Old<'a> {
    watch: Option<&'a dyn Watch>,
    path: PathBuf,
    failed: AtomicBool,
    file: File,
    /// Where its bytes begin.
    from: u64,
    size: u64,
}

impl<'a> Old<'a> {
    /// Opens what stands at `spot`, if it has this digest; else nothing.
    pub fn open(
        spot: &Spot,
        expected: &Sha256,
        watch: &'a dyn Watch,
    ) -> Result<Option<Self>, Refusal> {
        let (mut file, _) = spot.open()?;
        let mut hasher = Sha256Hasher::default();
        let mut chunk = vec![0_u8; CHUNK];
        let mut size = 0_u64;
        loop {
            watch.go_on()?;
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(chunk.get(..count).unwrap_or_default());
                    size = size.saturating_add(u64::try_from(count).unwrap_or(0));
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DiskError::io("read", &spot.path)(e).into()),
            }
        }
        let here = Self {
            watch: Some(watch),
            path: spot.path.clone(),
            failed: AtomicBool::new(false),
            file,
            from: 0,
            size,
        };
        Ok((hasher.finish() == *expected).then_some(here))
    }

    /// A file of this program's own, from its byte `from` on.
    pub fn of(path: &Path, from: u64) -> Result<Self, DiskError> {
        let file = durable::open_plain(path)?;
        let size = file
            .metadata()
            .map_err(DiskError::io("look at", path))?
            .len();
        Ok(Self {
            watch: None,
            path: path.to_owned(),
            failed: AtomicBool::new(false),
            file,
            from,
            size: size.saturating_sub(from),
        })
    }
}

impl Old<'_> {
    /// The path, if reading met an error: whoever was handed bytes cannot say whose they were.
    #[must_use]
    pub fn failed(&self) -> Option<&Path> {
        let failed = self.failed.load(Ordering::Relaxed);
        failed.then_some(self.path.as_path())
    }
}

impl ReadAt for Old<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        if self.watch.is_some_and(Watch::interrupted) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        self.file
            .read_exact_at(buffer, self.from.saturating_add(at))
            .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }
}

/// A file without a name.
#[derive(Debug)]
pub struct Spill {
    failed: AtomicBool,
    file: File,
    size: AtomicU64,
    path: PathBuf,
}

impl Spill {
    /// Makes one in `folder`; its room is free again once it is dropped.
    pub fn create(folder: &Path, name: &str) -> Result<Self, DiskError> {
        let path = folder.join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(DiskError::io("create", &path))?;
        std::fs::remove_file(&path).map_err(DiskError::io("remove", &path))?;
        Ok(Self {
            failed: AtomicBool::new(false),
            file,
            size: AtomicU64::new(0),
            path,
        })
    }

    /// Where it was made, if reading or writing met an error.
    #[must_use]
    pub fn failed(&self) -> Option<&Path> {
        let failed = self.failed.load(Ordering::Relaxed);
        failed.then_some(self.path.as_path())
    }

    /// Where it was made, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ReadAt for Spill {
    fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }
}

impl Scratch for Spill {
    fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        let at = self.size.load(Ordering::Relaxed);
        self.file
            .write_all_at(bytes, at)
            .inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        let size = u64::try_from(bytes.len()).unwrap_or(0);
        self.size.store(at.saturating_add(size), Ordering::Relaxed);
        Ok(())
    }
}
