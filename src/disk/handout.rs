//! Files that are handed out: a new one never takes the place of one that is there.
//!
//! What lies at a name may be an input, a key, or a patch that is out for approval. Whether the
//! file can be made there is asked before any work is done, not found out after it.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;

use super::durable::Draft;
use super::operator::User;
use crate::model::{Refusal, RefusalName};

/// Refuses a name that is taken, and a folder in which this user can make no file.
pub fn check_free(path: &Path) -> Result<(), Refusal> {
    if path.symlink_metadata().is_err() {
        return check_writable(path);
    }
    Err(
        Refusal::new(RefusalName::Usage, "a file of that name is there already")
            .value("file", path.display())
            .value("wanted", "a new file")
            .next("name another one with --output, or move the old one away"),
    )
}

fn check_writable(path: &Path) -> Result<(), Refusal> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let rights = Access::WRITE_OK | Access::EXEC_OK;
    match accessat(CWD, folder, rights, AtFlags::EACCESS) {
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Err(Refusal::new(
            RefusalName::NotPermitted,
            "no file can be made in that folder by this user",
        )
        .value("file", path.display())
        .value("you are", User::current().name)
        .next("name another place for it, and run the same command again")),
        // What else is the matter shows when it is written.
        _ => Ok(()),
    }
}

/// Whether exactly this lies at a name already.
pub fn is_there(path: &Path, bytes: &[u8]) -> Result<bool, Refusal> {
    let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match super::durable::read_if_there(path, limit) {
        Ok(found) => Ok(found.as_deref() == Some(bytes)),
        Err(super::DiskError::TooLarge { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes a new file, durably, for everybody to read.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    put(path, bytes, 0o644)
}

/// [`write()`], for its owner alone to read.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    put(path, bytes, 0o600)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Refusal> {
    use std::io::Write as _;
    check_free(path)?;
    let mut draft = Draft::create(path, mode)?;
    draft
        .file()
        .write_all(bytes)
        .map_err(super::DiskError::io("write", path))?;
    Ok(draft.commit_new()?)
}
