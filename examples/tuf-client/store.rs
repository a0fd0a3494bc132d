//! The folder of trusted metadata: the last root and the other roles' files, as they were served, and
//! `floors`, which is written before the file that moved it.
//!
//! A missing or damaged `root.json` or `floors` is refused, never taken for a first use; any other
//! file may be damaged or gone, and is fetched again.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use lockstep::disk::durable;
use lockstep::trust::vendor::client::{Floors, quote};

/// Most bytes of a file in the folder: more than the client takes of any role.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// The folder, held by this process alone.
pub(crate) struct Store {
    folder: PathBuf,
    _lock: File,
}

/// A root's file from elsewhere.
pub(crate) fn read_root(path: &Path) -> Result<Vec<u8>> {
    Ok(durable::read(path, FILE_MAX)?)
}

impl Store {
    /// Begins with `root`, where nothing began before.
    pub(crate) fn found(folder: &Path, root: &[u8]) -> Result<()> {
        durable::make_folders(folder, 0o700)?;
        let store = Self::open(folder)?;
        for name in ["root.json", "floors"] {
            let taken = store.folder.join(name).exists();
            ensure!(
                !taken,
                "{} has {name} already; nothing was changed",
                folder.display()
            );
        }
        store.write("floors", &Floors::new().to_bytes()?)?;
        store.write("root.json", root)
    }

    /// Waits for its turn.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let lock = File::create(&path).with_context(|| path.display().to_string())?;
        lock.lock().with_context(|| path.display().to_string())?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn root(&self) -> Result<Vec<u8>> {
        Ok(durable::read(&self.folder.join("root.json"), FILE_MAX)?)
    }

    pub(crate) fn floors(&self) -> Result<Floors> {
        let bytes = durable::read(&self.folder.join("floors"), FILE_MAX)?;
        Ok(Floors::from_bytes(&bytes)?)
    }

    /// A role's file, if there is one that can be read.
    pub(crate) fn role(&self, role: &str) -> Option<Vec<u8>> {
        let path = self.path(role);
        durable::read_if_there(&path, FILE_MAX).ok().flatten()
    }

    /// Moves the floors, where they moved.
    pub(crate) fn move_floors(&self, floors: &Floors) -> Result<()> {
        if self.floors()? == *floors {
            return Ok(());
        }
        self.write("floors", &floors.to_bytes()?)
    }

    /// Keeps a role's file.
    pub(crate) fn keep(&self, role: &str, bytes: &[u8]) -> Result<()> {
        self.write(&file_name(role), bytes)
    }

    /// Removes a role's file that is no longer trusted, if there is one.
    pub(crate) fn remove(&self, role: &str) -> Result<()> {
        match std::fs::remove_file(self.path(role)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    }

    fn path(&self, role: &str) -> PathBuf {
        self.folder.join(file_name(role))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(durable::write(&self.folder.join(name), bytes, 0o600)?)
    }
}

fn file_name(role: &str) -> String {
    format!("{}.json", quote(role))
}
