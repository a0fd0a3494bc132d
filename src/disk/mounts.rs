//! Mounts below a root: which one a path lies on, and which there are.
//!
//! A path is never told by its text: the folder it lies in is opened, and asked for its mount and
//! device. So a bind mount of the same file system and a btrfs subvolume count as mounts, as they
//! do for `rename`. The kernel's own list (`/proc/self/mountinfo`) is only for finding mounts that
//! nobody named: where leftovers may lie, and what `init` looks at.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::root::Root;
use super::stamp::Mount;
use super::{DiskError, durable, folder};
use crate::model::TreePath;

/// The kernel's list of mounts.
const LIST: &str = "/proc/self/mountinfo";
/// Largest list that is read, in bytes: some 100,000 mounts.
const LIST_MAX: u64 = 16 * 1024 * 1024;
/// File systems of other machines, which may not answer: they are not visited unasked. None of
/// them can exchange files, so that nothing of ours lies there.
const DISTANT: [&str; 5] = ["autofs", "cifs", "nfs", "nfs4", "smb3"];
/// What `mkfs` makes in an empty file system.
const LOST_AND_FOUND: &str = "lost+found";

/// A mount, as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The type of its file system: `ext4`, `tmpfs`.
    pub kind: String,
    /// Where it is mounted.
    pub point: PathBuf,
    /// What is mounted there: a device, a server, a word.
    pub source: String,
}

impl Listed {
    /// Whether looking at it may wait for another machine.
    #[must_use]
    pub fn is_distant(&self) -> bool {
        DISTANT.contains(&self.kind.as_str())
    }
}

/// Which mount each path of a change lies on.
#[derive(Debug, Default)]
pub struct Layout {
    by_folder: BTreeMap<Option<TreePath>, u64>,
    points: Vec<TreePath>,
}

impl Layout {
    /// Looks at the folders of these paths.
    pub fn of<'a>(
        root: &Root,
        paths: impl IntoIterator<Item = &'a TreePath>,
    ) -> Result<Self, DiskError> {
        let mut found = BTreeMap::new();
        for path in paths {
            if let Entry::Vacant(new) = found.entry(path.parent()) {
                new.insert(point_of(root, path)?);
            }
        }
        let points: BTreeSet<TreePath> = found.values().flatten().cloned().collect();
        let numbers: BTreeMap<&TreePath, u64> = points.iter().zip(1..).collect();
        let number = |point: Option<TreePath>| point.and_then(|point| numbers.get(&point).copied());
        let by_folder = found
            .into_iter()
            .map(|(folder, point)| (folder, number(point).unwrap_or(0)))
            .collect();
        Ok(Self {
            by_folder,
            points: points.into_iter().collect(),
        })
    }

    /// The mount points other than the root that the change touches, rising.
    #[must_use]
    pub fn points(&self) -> &[TreePath] {
        &self.points
    }

    /// The number of a path's staging area, as the journal counts: 0 is the root's own.
    #[must_use]
    pub fn area(&self, path: &TreePath) -> u64 {
        self.by_folder.get(&path.parent()).copied().unwrap_or(0)
    }
}

/// The mount point of the nearest existing folder above a path; nothing where that is the root's.
pub fn point_of(root: &Root, path: &TreePath) -> Result<Option<TreePath>, DiskError> {
    let own = root.mount()?;
    let above: Vec<TreePath> = path.ancestors().collect();
    let mut found: Option<(TreePath, Mount)> = None;
    for folder in above.into_iter().rev() {
        let mount = match root.mount_of(&folder) {
            Ok(mount) => mount,
            Err(e) if e.kind() == Some(ErrorKind::NotFound) => continue,
            // A file that becomes a folder in the same change is none yet.
            Err(DiskError::Blocked { .. }) => continue,
            Err(e) => return Err(e),
        };
        if found.as_ref().is_some_and(|(_, below)| *below != mount) {
            break;
        }
        if mount == own {
            return Ok(None);
        }
        found = Some((folder, mount));
    }
    Ok(found.map(|(point, _)| point))
}

/// Whether something is mounted on the path itself, be it a folder or a file.
pub fn is_point(root: &Root, path: &TreePath) -> Result<bool, DiskError> {
    let spot = match root.spot(path) {
        Ok(spot) => spot,
        Err(DiskError::Blocked { .. }) => return Ok(false),
        Err(e) if e.kind() == Some(ErrorKind::NotFound) => return Ok(false),
        Err(e) => return Err(e),
    };
    let around = Mount::of(&spot.folder).map_err(DiskError::os("look at", &spot.path))?;
    match Mount::at(&spot.folder, &spot.name) {
        Ok(mount) => Ok(mount != around),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(errno) => Err(DiskError::os("look at", &spot.path)(errno)),
    }
}

/// Every mount below the root whose mount point a tree path can name, rising; where one hides
/// another, the one that is seen.
pub fn below(root: &Root) -> Result<Vec<(TreePath, Listed)>, DiskError> {
    let mut found = BTreeMap::new();
    for listed in list()? {
        let inside = listed.point.strip_prefix(root.path()).ok();
        let path: Option<TreePath> = inside
            .and_then(Path::to_str)
            .and_then(|path| path.parse().ok());
        if let Some(path) = path {
            found.insert(path, listed);
        }
    }
    Ok(found.into_iter().collect())
}

/// The mount that a path lies on, in words: the file system's type and what is mounted.
#[must_use]
pub fn describe(path: &Path) -> String {
    let over = |listed: &&Listed| path.starts_with(&listed.point);
    let all = list().unwrap_or_default();
    // The last of those with the longest mount point: what is mounted later hides the earlier.
    let nearest = all
        .iter()
        .filter(over)
        .max_by_key(|listed| listed.point.components().count());
    nearest.map_or_else(
        || "unknown".to_owned(),
        |listed| format!("{} ({})", listed.kind, listed.source),
    )
}

/// How many files and folders stand under the root, without mount points and the folders that only
/// lead to them, and without those of these names directly under it: an empty tree has none.
pub fn strangers(root: &Root, known: &[&str]) -> Result<usize, DiskError> {
    let points: BTreeMap<PathBuf, Listed> = below(root)?
        .into_iter()
        .map(|(path, listed)| (root.absolute(&path), listed))
        .collect();
    count_strangers(root.path(), known, &points)
}

fn count_strangers(
    at: &Path,
    known: &[&str],
    points: &BTreeMap<PathBuf, Listed>,
) -> Result<usize, DiskError> {
    let mut count = 0_usize;
    for name in folder::names(at)? {
        let path = at.join(&name);
        if known.iter().any(|known| name == *known) {
            continue;
        }
        let is_folder = path.symlink_metadata().is_ok_and(|m| m.is_dir());
        let more = match points.get(&path) {
            Some(listed) if listed.is_distant() => 0,
            Some(_) if is_folder => count_strangers(&path, &[LOST_AND_FOUND], points)?,
            None if is_folder && points.keys().any(|point| point.starts_with(&path)) => {
                count_strangers(&path, &[], points)?
            }
            _ => 1,
        };
        count = count.saturating_add(more);
    }
    Ok(count)
}

/// All mounts, in the order in which they were made; none where `/proc` is not there.
fn list() -> Result<Vec<Listed>, DiskError> {
    let bytes = durable::read_if_there(Path::new(LIST), LIST_MAX)?.unwrap_or_default();
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// A line of the list: six fields, any number of optional ones, a lone `-`, then type and source.
fn parse(line: &[u8]) -> Option<Listed> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = fields.nth(4)?;
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    let words = |field: &[u8]| String::from_utf8_lossy(&decode(field)).into_owned();
    Some(Listed {
        kind: words(behind.next()?),
        point: PathBuf::from(OsString::from_vec(decode(point))),
        source: words(behind.next()?),
    })
}

/// Undoes the kernel's escapes: `\040` for a space, and so for tab, line feed and backslash.
fn decode(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = escaped {
            out.push(byte);
            rest = behind.get(3..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    out
}

#[cfg(test)]
pub(super) mod samples {
    //! Mounts as the tests of this room make them, each gone with its guard.

    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

    /// Something mounted.
    #[derive(Debug)]
    pub(crate) struct Mounted(PathBuf);

    impl Mounted {
        /// A tmpfs of 8 MB, on a folder that is made; nothing, and a word, where this user may not.
        pub(crate) fn tmpfs(at: &Path) -> Option<Self> {
            let may = rustix::process::geteuid().is_root();
            if !may {
                let word = "not root: what needs a mount is left out";
                writeln!(std::io::stderr(), "{word}").unwrap();
                return None;
            }
            std::fs::create_dir_all(at).unwrap();
            mount("test", at, "tmpfs", MountFlags::empty(), Some(c"size=8m")).unwrap();
            Some(Self(at.to_owned()))
        }

        /// A file or folder shown at a second place as well; only for a user who may.
        pub(crate) fn bind(from: &Path, at: &Path) -> Self {
            mount_bind(from, at).unwrap();
            Self(at.to_owned())
        }
    }

    impl Drop for Mounted {
        fn drop(&mut self) {
            if let Err(error) = unmount(&self.0, UnmountFlags::DETACH) {
                drop(writeln!(
                    std::io::stderr(),
                    "{} stays mounted: {error}",
                    self.0.display()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        for (line, kind, point, source) in [
            (
                "36 35 98:0 /m1 /mnt rw,noatime master:1 - ext3 /dev/root rw",
                "ext3",
                "/mnt",
                "/dev/root",
            ),
            (
                "36 35 0:40 / /a\\040b rw - tmpfs none rw",
                "tmpfs",
                "/a b",
                "none",
            ),
            (
                "1 2 0:40 / /x\\011\\012\\134040\\05 rw shared:1 master:2 - fuse.sshfs me@there:/a\\040b rw",
                "fuse.sshfs",
                "/x\t\n\\040\\05",
                "me@there:/a b",
            ),
        ] {
            let wanted = Listed {
                kind: kind.to_owned(),
                point: PathBuf::from(point),
                source: source.to_owned(),
            };
            assert_eq!(parse(line.as_bytes()), Some(wanted), "{line}");
        }
        for bad in [
            "",
            "36 35 98:0 / /mnt",
            "36 35 98:0 / /mnt rw shared:1 ext3 /dev/root rw",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn one_mount_is_the_roots() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real/in")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        for path in ["x", "real/x", "real/none/deep/x", "real/in"] {
            let path = path.parse().unwrap();
            assert_eq!(point_of(&root, &path).unwrap(), None, "{path}");
            assert!(!is_point(&root, &path).unwrap(), "{path}");
        }
        assert_eq!(below(&root).unwrap(), []);
        assert_eq!(strangers(&root, &[]).unwrap(), 1);
        assert_eq!(strangers(&root, &["real"]).unwrap(), 0);
        assert_ne!(describe(folder.path()), "unknown");
    }

    #[test]
    fn paths_are_told_by_the_mount_they_lie_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().canonicalize().unwrap().join(path);
        std::fs::create_dir_all(at("real/in")).unwrap();
        std::fs::create_dir_all(at("shown")).unwrap();
        durable::touch(&at("file")).unwrap();
        durable::touch(&at("real/file")).unwrap();
        let Some(_data) = samples::Mounted::tmpfs(&at("a b/data")) else {
            return;
        };
        std::fs::create_dir_all(at("a b/data/deep/sub")).unwrap();
        let _inner = samples::Mounted::tmpfs(&at("a b/data/inner")).unwrap();
        let _shown = samples::Mounted::bind(&at("real"), &at("shown"));
        let _file = samples::Mounted::bind(&at("file"), &at("real/file"));
        let root = Root::open(folder.path()).unwrap();
        for (path, point, itself) in [
            ("real/x", None, false),
            ("real/file", None, true),
            ("shown", None, true),
            ("shown/x", Some("shown"), false),
            ("shown/in/none/x", Some("shown"), false),
            ("a b/data", None, true),
            ("a b/data/deep/sub/x", Some("a b/data"), false),
            ("a b/data/inner", Some("a b/data"), true),
            ("a b/data/inner/x", Some("a b/data/inner"), false),
        ] {
            let path: TreePath = path.parse().unwrap();
            let found = point_of(&root, &path).unwrap();
            assert_eq!(found.as_ref().map(TreePath::as_str), point, "{path}");
            assert_eq!(is_point(&root, &path).unwrap(), itself, "{path}");
        }
        let paths =
            ["x", "shown/in/x", "a b/data/x", "a b/data/deep/y"].map(|p| p.parse().unwrap());
        let layout = Layout::of(&root, &paths).unwrap();
        let points: Vec<&str> = layout.points().iter().map(TreePath::as_str).collect();
        assert_eq!(points, ["a b/data", "shown"]);
        let areas: Vec<u64> = paths.iter().map(|path| layout.area(path)).collect();
        assert_eq!(areas, [0, 2, 1, 1]);
        let all: Vec<String> = below(&root)
            .unwrap()
            .into_iter()
            .map(|(p, _)| p.to_string())
            .collect();
        assert_eq!(all, ["a b/data", "a b/data/inner", "real/file", "shown"]);
        assert!(describe(&at("a b/data/deep")).starts_with("tmpfs"));
        // What is mounted on a folder belongs to nobody, so that the folder stays.
        assert_eq!(root.children(&"shown/in".parse().unwrap()).unwrap(), []);
        assert!(
            root.children(&"shown".parse().unwrap())
                .unwrap()
                .contains(&None)
        );
    }

    #[test]
    fn mount_points_are_no_strangers() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        let at = |path: &str| root.path().join(path);
        let Some(_data) = samples::Mounted::tmpfs(&at("deep/data")) else {
            return;
        };
        std::fs::create_dir(at("deep/data/lost+found")).unwrap();
        assert_eq!(strangers(&root, &[]).unwrap(), 0);
        for (count, path) in [(1, "deep/data/x"), (2, "deep/y"), (3, "lost+found")] {
            durable::touch(&at(path)).unwrap();
            assert_eq!(strangers(&root, &[]).unwrap(), count, "{path}");
        }
    }
}
