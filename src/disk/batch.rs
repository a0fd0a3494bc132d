//! Many files made durable together: one call for all of them, where each by itself would take two.
//!
//! Each is written beside its name, as a draft is ([`super::durable::Draft`]); once enough have
//! gathered, all are made durable, then all get their names, then the names are made durable.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{DiskError, durable};

/// Files that gather before they get their names.
const GATHERED: usize = 4_096;

/// Files under way in one file system; those that have no name yet are gone when it is dropped.
pub struct Batch {
    folder: File,
    path: PathBuf,
    // What tells the drafts of this command from those of others.
    mark: String,
    gathered: Mutex<Vec<PathBuf>>,
}

/// A file of a batch, to write into.
pub struct Gathering {
    /// The file.
    pub file: File,
    path: PathBuf,
}

impl Batch {
    /// Starts a batch for files below `folder`.
    pub fn create(folder: &Path) -> Result<Self, DiskError> {
        Ok(Self {
            folder: File::open(folder).map_err(DiskError::io("open", folder))?,
            path: folder.to_owned(),
            mark: uuid::Uuid::new_v4().simple().to_string(),
            gathered: Mutex::default(),
        })
    }

    /// Starts a file that will be `path`, with these permission bits.
    pub fn file(&self, path: &Path, mode: u32) -> Result<Gathering, DiskError> {
        let draft = self.draft(path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&draft)
            .map_err(DiskError::io("create", draft))?;
        Ok(Gathering {
            file,
            path: path.to_owned(),
        })
    }

    /// Takes in a file that is complete.
    pub fn add(&self, file: Gathering) -> Result<(), DiskError> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.push(file.path);
        if gathered.len() < GATHERED {
            return Ok(());
        }
        self.name(&mut gathered)
    }

    /// Gives up a file that is not to be.
    pub fn give_up(&self, file: &Gathering) {
        // It never had its name; a leftover is harmless and is named as what it is.
        drop(fs::remove_file(self.draft(&file.path)));
    }

    /// Gives every file that is left its name, durably.
    pub fn finish(self) -> Result<(), DiskError> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        self.name(&mut gathered)
    }

    fn name(&self, gathered: &mut Vec<PathBuf>) -> Result<(), DiskError> {
        if !syncfs_tells_errors() {
            for path in gathered.iter() {
                let draft = self.draft(path);
                File::open(&draft)
                    .and_then(|file| durable::sync(&file))
                    .map_err(DiskError::io("sync", draft))?;
            }
        }
        durable::sync_file_system(&self.folder).map_err(DiskError::io("sync", &self.path))?;
        let mut folders = BTreeSet::new();
        while let Some(path) = gathered.last() {
            durable::rename(&self.draft(path), path)?;
            folders.extend(path.parent().map(Path::to_owned));
            gathered.pop();
        }
        folders
            .iter()
            .try_for_each(|folder| durable::sync_folder(folder))
    }

    fn draft(&self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.{}.tmp", self.mark))
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let gathered = std::mem::take(
            self.gathered
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for path in gathered {
            drop(fs::remove_file(self.draft(&path)));
        }
    }
}

/// Whether `syncfs` tells of write errors: since Linux 5.8.
pub(super) fn syncfs_tells_errors() -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut parts = release
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().ok());
    (parts.next().flatten(), parts.next().flatten()) >= (Some(5), Some(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn files_get_their_names_together() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..GATHERED + 3)
            .map(|n| folder.path().join(n.to_string()))
            .collect();
        let there = || paths.iter().filter(|path| path.exists()).count();
        let lay = |batch: &Batch| {
            for (path, named) in paths.iter().zip(0_usize..) {
                assert_eq!(there(), named / GATHERED * GATHERED);
                let mut file = batch.file(path, 0o644).unwrap();
                file.file.write_all(b"content").unwrap();
                batch.add(file).unwrap();
            }
        };
        let batch = Batch::create(folder.path()).unwrap();
        lay(&batch);
        drop(batch);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), GATHERED);
        for path in paths.iter().take(GATHERED) {
            fs::remove_file(path).unwrap();
        }
        let batch = Batch::create(folder.path()).unwrap();
        lay(&batch);
        batch.finish().unwrap();
        assert_eq!(there(), paths.len());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), paths.len());
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let batch = Batch::create(folder.path()).unwrap();
        let file = batch.file(&folder.path().join("x"), 0o644).unwrap();
        batch.give_up(&file);
        batch.finish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
