//! Reading within bounds and writing so that a power cut leaves the old or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::DiskError;

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    bounded(file, path, limit)
}

fn bounded(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
    // Room for what is there, within the limit: grown by itself, it would take up to twice as much.
    let size = file.metadata().map_or(0, |m| m.len().min(limit));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(DiskError::io("read", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(DiskError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Opens a plain file to read it. A pipe that nobody writes into, or a device, holds nobody up: it is
/// refused, by what was opened and not by its name.
pub fn open_plain(path: &Path) -> Result<File, DiskError> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(DiskError::os("open", path))?;
    let file = File::from(file);
    let plain = file.metadata().map_err(DiskError::io("read", path))?;
    if plain.is_file() {
        Ok(file)
    } else {
        Err(DiskError::NotAFile {
            path: path.to_owned(),
        })
    }
}

/// [`read`] of a plain file alone: for what others may have laid there.
pub fn read_plain(path: &Path, limit: u64) -> Result<Vec<u8>, DiskError> {
    bounded(open_plain(path)?, path, limit)
}

/// [`read`], where a file that does not exist is nothing.
pub fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, DiskError> {
    match read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a file whole: temporary file beside it, fsync, rename over it, fsync of the folder.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DiskError> {
    let mut draft = Draft::create(path, mode)?;
    draft
        .file()
        .write_all(bytes)
        .map_err(DiskError::io("write", path))?;
    draft.commit()
}

/// Makes an empty file that must be new, without making it durable.
pub fn touch(path: &Path) -> Result<(), DiskError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(|_| ())
        .map_err(DiskError::io("create", path))
}

/// A file under way: invisible under its final name until [`Draft::commit`], gone when dropped.
pub struct Draft {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl Draft {
    /// Starts a file that will be `path`, with these permission bits.
    pub fn create(path: &Path, mode: u32) -> Result<Self, DiskError> {
        let temporary = temporary_name(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)
            .map_err(DiskError::io("create", &temporary))?;
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
            committed: false,
        })
    }

    /// The file, to write into.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes the content durable, and leaves it without its name: for several files that get theirs
    /// together.
    pub fn settle(&self) -> Result<(), DiskError> {
        sync(&self.file).map_err(DiskError::io("sync", &self.temporary))
    }

    /// Makes the content durable, then gives it its name, then makes the name durable.
    pub fn commit(mut self) -> Result<(), DiskError> {
        sync(&self.file).map_err(DiskError::io("sync", &self.temporary))?;
        rename(&self.temporary, &self.path)?;
        self.committed = true;
        sync_parent(&self.path)
    }
}

impl Draft {
    /// [`Draft::commit`], but an error where the name is taken.
    pub fn commit_new(self) -> Result<(), DiskError> {
        let path = self.path.clone();
        self.name_new()?;
        sync_parent(&path)
    }

    /// Gives it its name, which is durable once the folder is ([`sync_parent`]). After an error it has none.
    pub fn name_new(mut self) -> Result<(), DiskError> {
        sync(&self.file).map_err(DiskError::io("sync", &self.temporary))?;
        rename_new(&self.temporary, &self.path)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.committed {
            // The draft never had its name; a leftover is harmless and is named as what it is.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", uuid::Uuid::new_v4().simple()))
}

/// Renames without making it durable; see [`sync_parent`].
pub fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the durable rename's one place"
    )]
    fs::rename(from, to).map_err(DiskError::io("rename", to))
}

/// [`rename`] to a name that must be free.
pub fn rename_new(from: &Path, to: &Path) -> Result<(), DiskError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(DiskError::os("rename", to))
}

/// Makes one file, or a folder's entries, durable. Every fsync of the program is this one.
pub(super) fn sync(file: &File) -> std::io::Result<()> {
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Syncs) {
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    file.sync_all()
}

/// Makes a whole file system durable, by anything open on it. Every syncfs of the program is this
/// one.
pub(super) fn sync_file_system(open: impl AsFd) -> std::io::Result<()> {
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Syncs) {
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    Ok(rustix::fs::syncfs(open)?)
}

/// Makes a folder's entries durable.
pub fn sync_folder(path: &Path) -> Result<(), DiskError> {
    let folder = File::open(path).map_err(DiskError::io("open", path))?;
    sync(&folder).map_err(DiskError::io("sync", path))
}

/// Makes the entry of `path` in its folder durable.
pub fn sync_parent(path: &Path) -> Result<(), DiskError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// Makes a folder and those above it, with this mode where they are new, durably.
pub fn make_folders(path: &Path, mode: u32) -> Result<(), DiskError> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        make_folders(parent, mode)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(DiskError::io("create the folder", path)(e)),
    }
}

/// Makes a folder that must be new, durably: one that is there may be a link, or another's.
pub fn make_folder_new(path: &Path, mode: u32) -> Result<(), DiskError> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(DiskError::InTheWay {
            path: path.to_owned(),
            reason: "somebody made it just now; it may be a link, or another's folder",
        }),
        Err(e) => Err(DiskError::io("create the folder", path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_must_be_new_is_neither_a_link_nor_one_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("theirs")).unwrap();
        std::os::unix::fs::symlink(at("theirs"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        for name in ["theirs", "link", "dangling"] {
            let error = make_folder_new(&at(name), 0o700).unwrap_err();
            assert!(
                matches!(error, DiskError::InTheWay { .. }),
                "{name}: {error}"
            );
        }
        assert!(!at("nowhere").exists());
        make_folder_new(&at("new"), 0o700).unwrap();
        assert!(at("new").is_dir());
    }

    #[test]
    fn a_draft_leaves_nothing_unless_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        make_folders(path.parent().unwrap(), 0o755).unwrap();
        drop(Draft::create(&path, 0o644).unwrap());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
        write(&path, b"one", 0o600).unwrap();
        write(&path, b"two", 0o600).unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"two");
        assert!(matches!(read(&path, 2), Err(DiskError::TooLarge { .. })));
        assert_eq!(read_if_there(&path.with_extension("x"), 2).unwrap(), None);
    }
}
