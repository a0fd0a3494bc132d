//! The root of an installation, held open, and the way to every path below it.
//!
//! | attack | defence |
//! |---|---|
//! | `lib -> /etc`, made between check and use, so that a write below `lib` lands elsewhere | every folder on the way is opened without following links (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`, or segment by segment), and the last segment is only ever used with calls relative to that open folder which do not follow either |
//! | the root renamed or replaced while a command runs | the folder itself is held, not its name |
//! | a pipe or device in place of a file, so that opening hangs | opened with `O_NONBLOCK`, then looked at |

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::stamp::{Mount, Stamp};
use super::{DiskError, mounts, obstacle};
use crate::model::TreePath;
use crate::model::path::STATE_FOLDER;

/// How a folder is opened.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An installation's root folder, open.
pub struct Root {
    path: PathBuf,
    folder: Arc<OwnedFd>,
}

/// The last segment of a path and its folder, open: what `*at` calls take.
pub struct Spot {
    /// The folder, shared by spots in it.
    pub folder: Arc<OwnedFd>,
    /// The last segment.
    pub name: String,
    /// The whole path, for messages.
    pub path: PathBuf,
}

impl Root {
    /// Opens the folder `path`, whatever it holds.
    pub fn open(path: &Path) -> Result<Self, DiskError> {
        let path = path.canonicalize().map_err(DiskError::io("open", path))?;
        let folder = openat(rustix::fs::CWD, &path, FOLDER, Mode::empty())
            .map_err(DiskError::os("open", &path))?;
        Ok(Self {
            path,
            folder: Arc::new(folder),
        })
    }

    /// Opens the nearest folder, from `start` upwards, that holds `.lockstep`.
    pub fn find(start: &Path) -> Result<Self, DiskError> {
        let from = start.canonicalize().map_err(DiskError::io("open", start))?;
        from.ancestors()
            .find(|folder| {
                let state = folder.join(STATE_FOLDER);
                state.symlink_metadata().is_ok_and(|m| m.is_dir())
            })
            .ok_or_else(|| DiskError::NotARoot {
                path: start.to_owned(),
            })
            .and_then(Self::open)
    }

    /// The canonical path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The node's own state, `.lockstep` under the root.
    #[must_use]
    pub fn state_folder(&self) -> PathBuf {
        self.path.join(STATE_FOLDER)
    }

    /// The absolute path, for messages.
    #[must_use]
    pub fn absolute(&self, path: &TreePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// The open folder.
    #[must_use]
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Opens a folder below the root without following any link.
    pub fn open_folder(&self, path: &TreePath) -> Result<OwnedFd, DiskError> {
        open_beneath(self.folder.as_fd(), path.as_str()).map_err(|errno| match errno {
            // BENEATH and NO_SYMLINKS say LOOP; O_DIRECTORY with O_NOFOLLOW says NOTDIR.
            Errno::LOOP | Errno::NOTDIR | Errno::XDEV => DiskError::Blocked {
                path: self.absolute(path),
            },
            Errno::ACCESS => self.unreadable(path),
            other => DiskError::os("open", self.absolute(path))(other),
        })
    }

    /// The folder on the way to `path` that this user cannot read, or not pass through.
    fn unreadable(&self, path: &TreePath) -> DiskError {
        let way = path.ancestors().chain([path.clone()]);
        let mut last = (self.path.clone(), Stamp::of(&self.folder));
        for folder in way {
            match self.look(&folder) {
                Ok(Some(stamp)) => last = (self.absolute(&folder), Ok(stamp)),
                // What stands in an unreadable folder cannot be looked at.
                _ => break,
            }
            if open_beneath(self.folder.as_fd(), folder.as_str()).is_err() {
                break;
            }
        }
        match last {
            (path, Ok(stamp)) => obstacle::unreadable(path, &stamp),
            (path, Err(errno)) => DiskError::os("open", path)(errno),
        }
    }

    /// The nearest folder above `path` that exists, and its path; nothing for the root itself. What
    /// is not a folder yet, and will be one in the same change, is passed over.
    pub fn nearest_folder(
        &self,
        path: &TreePath,
    ) -> Result<(Option<TreePath>, OwnedFd), DiskError> {
        let mut above = path.parent();
        while let Some(folder) = above {
            match self.open_folder(&folder) {
                Ok(open) => return Ok((Some(folder), open)),
                Err(DiskError::Blocked { .. }) => {}
                Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => {}
                Err(e) => return Err(e),
            }
            above = folder.parent();
        }
        let root = self.folder.try_clone();
        Ok((None, root.map_err(DiskError::io("open", &self.path))?))
    }

    /// The open folder in which `path` lies, and the path's last segment.
    pub fn spot(&self, path: &TreePath) -> Result<Spot, DiskError> {
        let folder = match path.parent() {
            Some(parent) => Arc::new(self.open_folder(&parent)?),
            None => Arc::clone(&self.folder),
        };
        Ok(self.spot_in(folder, path))
    }

    fn spot_in(&self, folder: Arc<OwnedFd>, path: &TreePath) -> Spot {
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        Spot {
            folder,
            name: name.to_owned(),
            path: self.absolute(path),
        }
    }

    /// The root itself, as the place of `*at` calls.
    pub(super) fn itself(&self) -> Result<Spot, DiskError> {
        let folder = self.folder.try_clone();
        Ok(Spot {
            folder: Arc::new(folder.map_err(DiskError::io("open", &self.path))?),
            name: ".".to_owned(),
            path: self.path.clone(),
        })
    }

    /// What stands at `path`; nothing where it, or a folder above it, does not exist. A link or
    /// file in place of a folder above it is [`DiskError::Blocked`].
    pub fn look(&self, path: &TreePath) -> Result<Option<Stamp>, DiskError> {
        match self.spot(path) {
            Ok(spot) => spot.look(),
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What lies directly in a folder; a name that no recipe could own is nothing. What is mounted
    /// on the folder is nothing that a recipe owns either.
    pub fn children(&self, folder: &TreePath) -> Result<Vec<Option<TreePath>>, DiskError> {
        let wrap = || DiskError::os("list", self.absolute(folder));
        let mut children = Vec::new();
        if mounts::is_point(self, folder)? {
            children.push(None);
        }
        for entry in rustix::fs::Dir::new(self.open_folder(folder)?).map_err(wrap())? {
            let entry = entry.map_err(wrap())?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                let name = entry.file_name().to_str().ok();
                children
                    .push(name.and_then(|name| format!("{}/{name}", folder.as_str()).parse().ok()));
            }
        }
        Ok(children)
    }

    /// The root's own mount.
    pub fn mount(&self) -> Result<Mount, DiskError> {
        Mount::of(self.folder()).map_err(DiskError::os("look at", &self.path))
    }

    /// The mount of a folder below it.
    pub fn mount_of(&self, folder: &TreePath) -> Result<Mount, DiskError> {
        let open = self.open_folder(folder)?;
        Mount::of(&open).map_err(DiskError::os("look at", self.absolute(folder)))
    }
}

/// Spots one after the other: the folder of the last one stays open, because neighbours share it.
pub struct Neighbours<'a> {
    root: &'a Root,
    last: Option<(TreePath, Arc<OwnedFd>)>,
}

impl<'a> Neighbours<'a> {
    /// Starts anywhere below a root.
    #[must_use]
    pub fn of(root: &'a Root) -> Self {
        Self { root, last: None }
    }

    /// [`Root::spot`].
    pub fn spot(&mut self, path: &TreePath) -> Result<Spot, DiskError> {
        if let Some((parent, folder)) = &self.last
            && path.parent_str() == Some(parent.as_str())
        {
            return Ok(self.root.spot_in(Arc::clone(folder), path));
        }
        let spot = self.root.spot(path)?;
        self.last = path
            .parent()
            .map(|parent| (parent, Arc::clone(&spot.folder)));
        Ok(spot)
    }
}

impl Spot {
    /// What stands here.
    pub fn look(&self) -> Result<Option<Stamp>, DiskError> {
        match Stamp::at(&self.folder, &self.name) {
            Ok(stamp) => Ok(Some(stamp)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => match (errno, self.path.parent(), Stamp::of(&self.folder)) {
                // The folder can be listed, and not passed through.
                (Errno::ACCESS, Some(folder), Ok(stamp)) => {
                    Err(obstacle::unreadable(folder.to_owned(), &stamp))
                }
                _ => Err(DiskError::os("look at", &self.path)(errno)),
            },
        }
    }

    /// Opens the file that stands here for reading, with the stamp of what was opened.
    pub fn open(&self) -> Result<(File, Stamp), DiskError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(&self.folder, &self.name, flags, Mode::empty());
        let file = opened.map_err(|errno| match (errno, Stamp::at(&self.folder, &self.name)) {
            (Errno::ACCESS, Ok(stamp)) => obstacle::unreadable(self.path.clone(), &stamp),
            _ => DiskError::os("open", &self.path)(errno),
        })?;
        let stamp = Stamp::of(&file).map_err(DiskError::os("look at", &self.path))?;
        Ok((File::from(file), stamp))
    }

    /// The text of the link that stands here.
    pub fn read_link(&self) -> Result<Vec<u8>, DiskError> {
        readlinkat(&self.folder, &self.name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(DiskError::os("read the link", &self.path))
    }

    /// Whether the folder that stands here holds nothing.
    pub fn is_empty_folder(&self) -> Result<bool, DiskError> {
        let wrap = || DiskError::os("list", &self.path);
        let folder = openat(&self.folder, &self.name, FOLDER, Mode::empty()).map_err(wrap())?;
        for entry in rustix::fs::Dir::new(folder).map_err(wrap())? {
            let entry = entry.map_err(wrap())?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn open_beneath(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, FOLDER, Mode::empty(), resolve) {
        // Kernels before 5.6, and sandboxes that do not know the call; AGAIN when a rename
        // elsewhere made the kernel unsure.
        Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => open_by_segment(root, path),
        opened => opened,
    }
}

/// The same without `openat2`: a [`TreePath`] holds plain segments only, never `..`.
fn open_by_segment(root: BorrowedFd<'_>, path: &str) -> rustix::io::Result<OwnedFd> {
    let mut folder: Option<OwnedFd> = None;
    for segment in path.split('/') {
        let here = folder.as_ref().map_or(root, AsFd::as_fd);
        folder = Some(openat(here, segment, FOLDER, Mode::empty())?);
    }
    folder.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn a_link_above_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real/in")).unwrap();
        symlink("/etc", folder.path().join("lib")).unwrap();
        symlink("in", folder.path().join("real/alias")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        for blocked in ["lib/passwd", "real/alias/x", "lib/a/b"] {
            assert!(
                matches!(root.look(&path(blocked)), Err(DiskError::Blocked { .. })),
                "{blocked}"
            );
            let parent = path(blocked).parent().unwrap();
            assert!(open_by_segment(root.folder(), parent.as_str()).is_err());
        }
        assert!(root.look(&path("lib")).unwrap().is_some());
        let mut neighbours = Neighbours::of(&root);
        for (text, there) in [
            ("real/in", true),
            ("real/none", false),
            ("real/alias", true),
        ] {
            let spot = neighbours.spot(&path(text)).unwrap();
            assert_eq!(spot.look().unwrap().is_some(), there, "{text}");
        }
        assert!(neighbours.spot(&path("lib/passwd")).is_err());
        assert_eq!(root.look(&path("real/none/x")).unwrap(), None);
        assert!(open_by_segment(root.folder(), "real/in").is_ok());
        assert!(
            root.spot(&path("real/in"))
                .unwrap()
                .is_empty_folder()
                .unwrap()
        );
        assert!(!root.spot(&path("real")).unwrap().is_empty_folder().unwrap());
    }

    #[test]
    fn the_nearest_root_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir(folder.path().join(".lockstep")).unwrap();
        let root = Root::find(&deep).unwrap();
        assert_eq!(root.path(), folder.path().canonicalize().unwrap());
        assert!(matches!(
            Root::find(Path::new("/proc")),
            Err(DiskError::NotARoot { .. })
        ));
    }
}
