//! A walk over everything below the root, whoever owns it. Links are not followed.
//!
//! The node's own state is left out. A name that no recipe could own (not UTF-8, or with a control
//! character in it) is counted and passed over: no patch could ever want its path.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;

use super::DiskError;
use super::root::Root;
use super::stamp::{FileKind, Stamp};
use crate::model::path::{MOUNT_FOLDER, STATE_FOLDER};
use crate::model::{TreePath, Watch};

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Everything but the root itself, rising by path.
    pub paths: Vec<Seen>,
    /// Names that no recipe could own.
    pub unnamed: u64,
}

/// Something that stands below the root.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where.
    pub path: TreePath,
    /// What it is. A folder that may not be read counts as something else.
    pub kind: FileKind,
    /// Bytes in a file.
    pub size: u64,
}

/// Walks the tree. Nothing at or below a path for which `pass_over` holds is looked at.
pub fn walk(
    root: &Root,
    pass_over: &dyn Fn(&TreePath) -> bool,
    watch: &dyn Watch,
) -> Result<Walked, DiskError> {
    let mut walked = Walked::default();
    // Folders that may not be looked into are none to anybody.
    let mut closed = BTreeSet::new();
    let mut folders: Vec<Option<TreePath>> = vec![None];
    while let Some(folder) = folders.pop() {
        watch.go_on()?;
        let at = match &folder {
            None => root.folder().try_clone_to_owned(),
            Some(path) => match root.open_folder(path) {
                Ok(open) => Ok(open),
                Err(e) if e.is_unreadable() => {
                    closed.insert(path.clone());
                    continue;
                }
                // Gone since it was listed, or no folder any more.
                Err(DiskError::Blocked { .. }) => continue,
                Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => continue,
                Err(e) => return Err(e),
            },
        };
        let shown = || {
            folder
                .as_ref()
                .map_or_else(|| root.path().to_owned(), |path| root.absolute(path))
        };
        let at = at.map_err(DiskError::io("open", shown()))?;
        let entries = match (rustix::fs::Dir::read_from(at.as_fd()), &folder) {
            (Ok(entries), _) => entries,
            (Err(rustix::io::Errno::ACCESS), Some(path)) => {
                closed.insert(path.clone());
                continue;
            }
            (Err(errno), _) => return Err(DiskError::os("list", shown())(errno)),
        };
        for entry in entries {
            let entry = entry.map_err(DiskError::os("list", shown()))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || is_own(folder.as_ref(), name) {
                continue;
            }
            let path = name.to_str().ok().and_then(|name| match &folder {
                None => name.parse::<TreePath>().ok(),
                Some(above) => format!("{}/{name}", above.as_str()).parse().ok(),
            });
            let Some(path) = path else {
                walked.unnamed = walked.unnamed.saturating_add(1);
                continue;
            };
            if pass_over(&path) {
                continue;
            }
            let last = path.as_str().rsplit('/').next().unwrap_or_default();
            let stamp = match Stamp::at(at.as_fd(), last) {
                Ok(stamp) => stamp,
                // Gone since it was listed: a running product makes and removes files.
                Err(rustix::io::Errno::NOENT) => continue,
                // A folder that may be listed and not passed through.
                Err(rustix::io::Errno::ACCESS) => {
                    let (kind, size) = (FileKind::Other, 0);
                    walked.paths.push(Seen { path, kind, size });
                    continue;
                }
                Err(errno) => return Err(DiskError::os("look at", root.absolute(&path))(errno)),
            };
            if stamp.kind == FileKind::Folder {
                folders.push(Some(path.clone()));
            }
            walked.paths.push(Seen {
                path,
                kind: stamp.kind,
                size: stamp.size,
            });
        }
    }
    for seen in &mut walked.paths {
        if closed.contains(&seen.path) {
            seen.kind = FileKind::Other;
        }
    }
    walked.paths.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(walked)
}

/// The node's own folders: its state, what an interrupted `init` left, and its areas on other mounts.
fn is_own(folder: Option<&TreePath>, name: &std::ffi::CStr) -> bool {
    if name.to_bytes() == MOUNT_FOLDER.as_bytes() {
        return true;
    }
    folder.is_none()
        && name
            .to_bytes()
            .strip_prefix(STATE_FOLDER.as_bytes())
            .is_some_and(|rest| matches!(rest, b"" | b".init"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Unwatched;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn everything_but_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in [
            ".lockstep/states",
            "lib/.lockstep",
            "logs/old/.lockstep-mount",
            "empty",
        ] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        for path in ["lib/a.jar", "logs/x.log", "lib/a\nb", ".lockstep/key"] {
            std::fs::File::create(at(path)).unwrap();
        }
        std::fs::File::create(folder.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
        symlink("/etc", at("lib/etc")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let walked = walk(&root, &|path| path.as_str() == "empty", &Unwatched).unwrap();
        let found: Vec<(&str, FileKind)> = walked
            .paths
            .iter()
            .map(|seen| (seen.path.as_str(), seen.kind))
            .collect();
        assert_eq!(
            found,
            [
                ("lib", FileKind::Folder),
                ("lib/.lockstep", FileKind::Folder),
                ("lib/a.jar", FileKind::File),
                ("lib/etc", FileKind::Link),
                ("logs", FileKind::Folder),
                ("logs/old", FileKind::Folder),
                ("logs/x.log", FileKind::File),
            ]
        );
        assert_eq!(walked.unnamed, 2);
    }
}
