//! Walking the files of a component: what an installation may be given, and nothing else.
//!
//! | what is there | what happens |
//! |---|---|
//! | devices, sockets, pipes | refused |
//! | set-user-id, set-group-id, sticky bits | refused: no recipe can say them |
//! | names that are not UTF-8, or hold control characters | refused |
//! | links that are absolute, lead out, or into `.lockstep` | refused |
//! | `.lockstep` at the top: the state of a node | refused |
//! | two names that differ by case alone | refused |
//! | a file with several hard links | a file; each name is its own |
//! | a link | kept as a link, never followed |
//! | an empty folder, or one whose mode is not 0755 | an entry of its own; all others follow from the files |

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::disk::DiskError;
use crate::model::recipe::Mode;
use crate::model::{Blake3, Refusal, RefusalName, TreePath};

/// Permission bits that no recipe can say.
const SPECIAL_BITS: u32 = 0o7000;

/// One path below the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it lies in an installation.
    pub(super) path: TreePath,
    /// What it is.
    pub(super) what: Seen,
}

/// What lies at a path; contents are not read yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A regular file with its mode and size.
    File(Mode, u64),
    /// A folder that needs an entry.
    Folder(Mode),
    /// A link and its text.
    Link(String),
}

/// Everything below `root` that a recipe lists, rising by path.
pub(super) fn walk(root: &Path) -> Result<Vec<Found>, Refusal> {
    let mut walk = Walk::default();
    let mut open: Vec<(PathBuf, Option<TreePath>)> = vec![(root.to_owned(), None)];
    while let Some((folder, path)) = open.pop() {
        for name in names(&folder)? {
            let source = folder.join(&name);
            let path = tree_path(path.as_ref(), &name, &source)?;
            if let Some(below) = walk.take(&source, path)? {
                open.push(below);
            }
        }
    }
    walk.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.found)
}

#[derive(Default)]
struct Walk {
    found: Vec<Found>,
    folded: HashMap<Blake3, TreePath>,
}

impl Walk {
    /// Takes in one path; a folder is handed back to be entered.
    fn take(
        &mut self,
        source: &Path,
        path: TreePath,
    ) -> Result<Option<(PathBuf, Option<TreePath>)>, Refusal> {
        if let Some(other) = self.folded.insert(path.fold_key(), path.clone()) {
            return Err(
                refuse("its name differs from another by case alone", source).value("other", other),
            );
        }
        let metadata = source
            .symlink_metadata()
            .map_err(DiskError::io("look at", source))?;
        let what = look(&metadata, source, &path)?;
        let below = metadata
            .is_dir()
            .then(|| (source.to_owned(), Some(path.clone())));
        self.found.extend(what.map(|what| Found { path, what }));
        Ok(below)
    }
}

/// What a path is; nothing for a folder that follows from its files.
fn look(metadata: &Metadata, source: &Path, path: &TreePath) -> Result<Option<Seen>, Refusal> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return link(source, path).map(Some);
    }
    if !kind.is_file() && !kind.is_dir() {
        return Err(refuse("it is a device, a socket or a pipe", source));
    }
    if metadata.mode() & SPECIAL_BITS != 0 {
        return Err(refuse("it has a set-uid, set-gid or sticky bit", source)
            .value("mode", format!("{:04o}", metadata.mode() & 0o7777))
            .next("chmod u-s,g-s,-t it, and publish again"));
    }
    let mode = Mode::from_bits(metadata.mode());
    if kind.is_file() {
        return Ok(Some(Seen::File(mode, metadata.len())));
    }
    let needed = mode != Mode::FOLDER || names(source)?.is_empty();
    Ok(needed.then_some(Seen::Folder(mode)))
}

fn link(source: &Path, path: &TreePath) -> Result<Seen, Refusal> {
    let target = std::fs::read_link(source).map_err(DiskError::io("read the link", source))?;
    let Some(text) = target.to_str() else {
        return Err(refuse("its target is not UTF-8", source));
    };
    if path.link_stays_inside(text) {
        Ok(Seen::Link(text.to_owned()))
    } else {
        Err(refuse("it is a link that leads out of the component", source).value("target", text))
    }
}

fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>, Refusal> {
    let entries = std::fs::read_dir(folder).map_err(DiskError::io("list", folder))?;
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(DiskError::io("list", folder))?;
    names.sort_unstable();
    Ok(names)
}

fn tree_path(
    above: Option<&TreePath>,
    name: &std::ffi::OsStr,
    source: &Path,
) -> Result<TreePath, Refusal> {
    let Some(name) = name.to_str() else {
        return Err(refuse("its name is not UTF-8", source));
    };
    let text = above.map_or_else(
        || name.to_owned(),
        |above| format!("{}/{name}", above.as_str()),
    );
    text.parse()
        .map_err(|e: crate::model::path::PathError| refuse(&e.to_string(), source))
}

fn refuse(why: &str, source: &Path) -> Refusal {
    Refusal::new(
        RefusalName::Usage,
        format!("a component cannot hold this path: {why}"),
    )
    .value("path", source.display())
    .next("take it out of the folder, or replace it by a plain file, and publish again")
}
