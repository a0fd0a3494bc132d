//! The recipe: a publisher's description of one component version, or of a release.
//!
//! A release is a recipe without files that names component versions. Destinations, modes and
//! deletions in an installation follow from recipes alone; a patch cannot state them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::glob::PathGlobs;
use super::statement::{RuleError, check_rising};
use super::wire::{at_most, string_serde};
use super::{
    Blake3, ContentId, Kind, Member, Name, Range, RecipePath, Sha256, Statement, TreePath, Version,
};

/// Most segments of a path in a recipe, so that the folders above its paths are not the most of it; the
/// deepest trees of Java products have some twenty.
const DEPTH_MAX: usize = 64;
/// Most files in one recipe: what a statement has room for.
pub const FILES_MAX: usize = 250_000;

/// What a publisher says of one component version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Globs of files that the customer may edit; see [`PathGlobs`].
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub config: Vec<String>,
    /// Its files, links and folders, rising by path.
    pub files: Vec<Entry>,
    /// The file format.
    pub format: u32,
    /// Whether it may be applied without a restart.
    pub hot: Hot,
    /// Components that, where installed, must be in this range once this one is: an upgrade of
    /// both in one patch.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub joint: Vec<Requirement>,
    /// Always [`Kind::Recipe`].
    pub kind: Kind,
    /// SPDX expression of its licence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Members of the file: the SBOM, where there is one.
    pub members: Vec<Member>,
    /// The component's name; equal to its path's.
    pub name: Name,
    /// What the publisher tells the administrator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Why it cannot be rolled back after a start, such as a database change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_way: Option<String>,
    /// The component versions that a release names; empty for a component.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub release: Vec<Pin>,
    /// Hotfixes and components that installing this one removes.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub replaces: Vec<Requirement>,
    /// What must be installed with it.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub requires: Vec<Requirement>,
    /// Components whose paths it takes over (a hotfix): exactly this version of each.
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub takes: Vec<Pin>,
    /// The component's version; equal to its path's.
    pub version: Version,
}

/// Whether a component may be exchanged while the service runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hot {
    /// Not, for this reason.
    No(String),
    /// It may.
    Yes,
}

/// A component in a range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The component.
    pub component: Name,
    /// The versions that will do.
    pub range: Range,
}

/// A component in exactly one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The component.
    pub component: Name,
    /// Its version.
    pub version: Version,
}

/// One path that a component owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it lies under the root.
    pub path: TreePath,
    /// What lies there.
    pub what: What,
}

/// What lies at an owned path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum What {
    /// A regular file; what is said of it is shared by every list that it stands in.
    File(Arc<FileContent>),
    /// A folder that must exist although nothing is in it, or whose mode matters.
    Folder {
        /// Its permission bits.
        mode: Mode,
    },
    /// A symbolic link, relative and inside the root.
    Link {
        /// The text of the link.
        target: String,
    },
}

/// A regular file's content and mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileContent {
    /// BLAKE3 of the content.
    pub blake3: Blake3,
    /// Its permission bits.
    pub mode: Mode,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Bytes in the content.
    pub size: u64,
    /// SHA-256 of the blob as it is stored, compressed.
    pub stored_sha256: Sha256,
    /// Bytes in the blob as it is stored.
    pub stored_size: u64,
}

impl FileContent {
    /// Both digests and the size.
    #[must_use]
    pub fn id(&self) -> ContentId {
        ContentId {
            sha256: self.sha256,
            blake3: self.blake3,
            size: self.size,
        }
    }
}

/// Permission bits, at most `0777`: no set-uid, set-gid or sticky bit can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u32);

/// A text that is not a mode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a mode between 0000 and 0777")]
pub struct ModeError(String);

impl Mode {
    /// What a folder has when no recipe says otherwise.
    pub const FOLDER: Self = Self(0o755);

    /// The permission bits of `bits`, all others cut off.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0o777)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the owner may execute: the one bit that counts as drift.
    #[must_use]
    pub const fn executable(self) -> bool {
        self.0 & 0o100 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        match u32::from_str_radix(text, 8) {
            Ok(bits) if bits <= 0o777 && text.len() == 4 && !text.starts_with('+') => {
                Ok(Self(bits))
            }
            _ => Err(ModeError(text.chars().take(16).collect())),
        }
    }
}

string_serde!(Mode);

impl Recipe {
    /// Whether it names a set of component versions and owns no files.
    #[must_use]
    pub fn is_release(&self) -> bool {
        !self.release.is_empty()
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files
            .iter()
            .map(|entry| {
                if let What::File(file) = &entry.what {
                    file.size
                } else {
                    0
                }
            })
            .fold(0, u64::saturating_add)
    }

    /// Gives up its own copy of every path and content that `other` says the same of: of two versions
    /// of a component, most is one thing in memory.
    pub fn share(&mut self, other: &Self) {
        for entry in &mut self.files {
            let at = other.files.binary_search_by(|o| o.path.cmp(&entry.path));
            let Some(there) = at.ok().and_then(|at| other.files.get(at)) else {
                continue;
            };
            entry.path = there.path.clone();
            if entry.what == there.what {
                entry.what = there.what.clone();
            }
        }
    }

    /// Checks that the recipe is the one its repository path names, and that it takes paths over only
    /// if it is a hotfix, and then of the component that its path names.
    pub fn check_path(&self, path: &RecipePath) -> Result<(), RuleError> {
        if &self.name != path.name() || &self.version != path.version() {
            return Err(RuleError(format!(
                "{path} holds the recipe of {} {}, not of {} {}",
                self.name,
                self.version,
                path.name(),
                path.version()
            )));
        }
        let stranger = self
            .takes
            .iter()
            .find(|pin| path.hotfix_of() != Some(pin.component.as_str()));
        match stranger {
            None => Ok(()),
            Some(pin) => Err(RuleError(format!(
                "{path} would take over the paths of {}; only a hotfix of it may: hotfix/{}/...",
                pin.component, pin.component
            ))),
        }
    }
}

impl Statement for Recipe {
    const KIND: Kind = Kind::Recipe;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        if self.files.len() > FILES_MAX {
            return Err(RuleError(format!(
                "more than {FILES_MAX} files in one recipe"
            )));
        }
        if self.is_release() && !self.files.is_empty() {
            return Err(RuleError(
                "a release names components and owns no files".to_owned(),
            ));
        }
        check_rising("files", &self.files, |entry| &entry.path)?;
        check_rising("release components", &self.release, |pin| {
            pin.component.clone()
        })?;
        check_rising("requirements", &self.requires, |r| r.component.clone())?;
        check_rising("joint upgrades", &self.joint, |r| r.component.clone())?;
        check_rising("replaced components", &self.replaces, |r| {
            r.component.clone()
        })?;
        check_rising("taken components", &self.takes, |pin| pin.component.clone())?;
        PathGlobs::new(&self.config)?;
        check_files(&self.files)
    }
}

/// Links stay inside, no two paths differ by case alone, and no file lies where a folder must.
fn check_files(files: &[Entry]) -> Result<(), RuleError> {
    let mut folded: HashMap<Blake3, &Entry> = HashMap::with_capacity(files.len());
    for entry in files {
        if entry.path.depth() > DEPTH_MAX {
            return Err(RuleError(format!(
                "{} is more than {DEPTH_MAX} folders deep",
                entry.path
            )));
        }
        if let What::Link { target } = &entry.what
            && !entry.path.link_stays_inside(target)
        {
            return Err(RuleError(format!(
                "{} links out of the root: {target}",
                entry.path
            )));
        }
        if let Some(other) = folded.insert(entry.path.fold_key(), entry) {
            return Err(RuleError(format!(
                "{} and {} differ by case alone",
                other.path, entry.path
            )));
        }
    }
    // Neighbours mostly share their folders, which are then looked at once.
    let mut seen = None;
    for entry in files {
        if entry.path.parent_str() != seen {
            seen = entry.path.parent_str();
            check_folders_above(entry, &folded)?;
        }
    }
    Ok(())
}

fn check_folders_above(entry: &Entry, folded: &HashMap<Blake3, &Entry>) -> Result<(), RuleError> {
    for above in entry.path.ancestors() {
        if let Some(other) = folded.get(&above.fold_key())
            && (!matches!(other.what, What::Folder { .. }) || other.path != above)
        {
            return Err(RuleError(format!(
                "{} lies under {}, no folder",
                entry.path, other.path
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, what: What) -> Entry {
        Entry {
            path: path.parse().unwrap(),
            what,
        }
    }

    fn link(path: &str, target: &str) -> Entry {
        entry(
            path,
            What::Link {
                target: target.to_owned(),
            },
        )
    }

    #[test]
    fn no_set_uid_mode_can_be_said() {
        for bad in ["4755", "1777", "755", "07777", "0888", "+755", "-755"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
        assert_eq!("0755".parse::<Mode>().unwrap(), Mode::FOLDER);
    }

    #[test]
    fn hostile_file_lists() {
        assert!(check_files(&[link("a", "b"), link("b", "a")]).is_ok());
        for (files, word) in [
            (vec![link("a", "../b")], "out of the root"),
            (vec![link("A", "x"), link("a", "x")], "case"),
            (vec![link("a", "x"), link("a/b", "x")], "no folder"),
            (vec![link("A", "x"), link("a/b", "x")], "no folder"),
        ] {
            assert!(check_files(&files).unwrap_err().0.contains(word), "{word}");
        }
    }

    #[test]
    fn what_two_versions_say_alike_is_shared() {
        let file = |mode: u32| {
            let id = ContentId::of(b"x");
            What::File(Arc::new(FileContent {
                blake3: id.blake3,
                mode: Mode::from_bits(mode),
                sha256: id.sha256,
                size: id.size,
                stored_sha256: id.sha256,
                stored_size: 1,
            }))
        };
        let recipe = |files| Recipe {
            config: Vec::new(),
            files,
            format: 0,
            hot: Hot::Yes,
            joint: Vec::new(),
            kind: Kind::Recipe,
            licence: None,
            members: Vec::new(),
            name: "core".parse().unwrap(),
            notes: None,
            one_way: None,
            release: Vec::new(),
            replaces: Vec::new(),
            requires: Vec::new(),
            takes: Vec::new(),
            version: "1".parse().unwrap(),
        };
        let old = recipe(vec![entry("a", file(0o644)), entry("b", file(0o644))]);
        let new = recipe(vec![
            entry("a", file(0o644)),
            entry("b", file(0o755)),
            entry("c", file(0o644)),
        ]);
        let mut shared = new.clone();
        shared.share(&old);
        assert_eq!(shared, new);
        let same = |at: usize| match (&old.files[at].what, &shared.files[at].what) {
            (What::File(a), What::File(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        assert!(same(0) && !same(1));
    }

    #[test]
    fn config_globs() {
        let globs = PathGlobs::new(&["conf/*.properties".to_owned(), "etc/**".to_owned()]).unwrap();
        for (path, inside) in [
            ("conf/a.properties", true),
            ("conf/x/a.properties", false),
            ("etc/a/b", true),
            ("a", false),
        ] {
            assert_eq!(globs.matches(&path.parse().unwrap()), inside, "{path}");
        }
    }
}
