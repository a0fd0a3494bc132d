//! Folders of the node's own state as lists: what is in them, and taking things out of them.
//!
//! These are the folders below `.lockstep` and `.lockstep-mount`, which nobody but the operator can write
//! into.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{DiskError, durable};

/// The names in a folder, rising; none where the folder is missing.
pub fn names(path: &Path) -> Result<Vec<OsString>, DiskError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(DiskError::io("list", path)(e)),
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(DiskError::io("list", path))?;
    names.sort_unstable();
    Ok(names)
}

/// The entries of a folder that are named by a number in its one spelling, rising.
pub fn numbers(path: &Path) -> Result<Vec<u64>, DiskError> {
    let mut numbers: Vec<u64> = names(path)?
        .iter()
        .filter_map(|name| {
            let text = name.to_str()?;
            let number = text.parse::<u64>().ok()?;
            (number.to_string() == text).then_some(number)
        })
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Whether something stands at a path. What cannot be looked at is an error: taken for missing, it
/// would be removed or passed over.
pub fn is_there(path: &Path) -> Result<bool, DiskError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(DiskError::io("look at", path)(e)),
    }
}

/// Removes a file, durably; one that is gone already is as good.
pub fn remove_file(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Ok(()) => durable::sync_parent(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(DiskError::io("remove", path)(e)),
    }
}

/// Removes whatever stands at `path`, a folder with all that is in it; nothing there is as good.
/// Links in it are removed, never followed.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() =>
        {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that removes a tree; it does not follow links"
            )]
            fs::remove_dir_all(path)
        }
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Ok(()) => durable::sync_parent(path),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(DiskError::io("remove", path)(e)),
    }
}

/// Removes a folder if nothing is in it, and says whether it is gone; missing already is as good.
pub fn remove_empty(path: &Path) -> Result<bool, DiskError> {
    match fs::remove_dir(path) {
        Ok(()) => durable::sync_parent(path).map(|()| true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(e) => Err(DiskError::io("remove", path)(e)),
    }
}

/// Removes all that is in a folder, and says how much there was.
pub fn empty(path: &Path) -> Result<usize, DiskError> {
    let names = names(path)?;
    for name in &names {
        remove_tree(&path.join(name))?;
    }
    Ok(names.len())
}

/// Removes drafts ([`durable::Draft`]) that an interrupted command left in a folder.
pub fn sweep_drafts(path: &Path) -> Result<(), DiskError> {
    for name in names(path)? {
        let text = name.to_string_lossy();
        if text.starts_with('.') && text.ends_with(".tmp") {
            remove_file(&path.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["10", "9", "07", "+3", "x", "1.tmp"] {
            durable::write(&folder.path().join(name), b"", 0o600).unwrap();
        }
        assert_eq!(numbers(folder.path()).unwrap(), [9, 10]);
        assert_eq!(
            numbers(&folder.path().join("absent")).unwrap(),
            Vec::<u64>::new()
        );
    }

    #[test]
    fn a_link_is_removed_and_what_it_names_stays() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        durable::write(&kept, b"", 0o600).unwrap();
        let tree = folder.path().join("tree");
        durable::make_folders(&tree.join("in"), 0o755).unwrap();
        std::os::unix::fs::symlink(folder.path(), tree.join("in/link")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        assert!(kept.exists() && !tree.exists());
    }
}
