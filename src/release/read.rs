//! Collecting what a vendor's chain consists of, for whoever verifies it.
//!
//! | attack | defence |
//! |---|---|
//! | metadata that names files outside the folder | [`metadata_file`] takes plain names alone |
//! | roots, or delegations to delegations, without end | [`ROOTS_MAX`], [`ROLES_MAX`] |
//! | many files of the largest size, all read before the first signature is checked | [`TOTAL_MAX`], what a host takes of one patch as well |
//! | millions of tiny objects in one file | [`check_strict`], before anything of it is kept |
//! | metadata that lies about itself | it is parsed loosely to find the next file; only `trust` believes anything |

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::layout::{self, TIMESTAMP, metadata_file};
use super::{ReleaseError, Source};
use crate::model::RecipePath;
use crate::trust::vendor::{TOTAL_MAX, check_strict};

/// Most roots that are followed at once.
pub const ROOTS_MAX: u64 = 256;
/// Most delegated roles that are collected.
pub const ROLES_MAX: usize = 1_024;

/// Which delegated roles to collect.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// Those that answer for these recipes.
    Recipes(&'a [RecipePath]),
    /// Every one.
    All,
}

impl Wanted<'_> {
    fn any_matches(&self, patterns: &[String]) -> bool {
        match self {
            Self::All => true,
            Self::Recipes(paths) => paths
                .iter()
                .any(|path| patterns.iter().any(|p| layout::matches(p, path))),
        }
    }
}

/// A vendor's metadata as it was found: nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedVendor {
    /// The roots after the one that is known, rising.
    pub roots: Vec<Vec<u8>>,
    /// The timestamp.
    pub timestamp: Vec<u8>,
    /// The snapshot that the timestamp names.
    pub snapshot: Vec<u8>,
    /// The targets that the snapshot names.
    pub targets: Vec<u8>,
    /// The delegated roles asked for, by name, in the versions that the snapshot names.
    pub delegated: BTreeMap<String, Vec<u8>>,
    /// The file name of each: the roots, timestamp, snapshot, targets, then the delegated roles.
    pub names: Vec<String>,
}

impl FetchedVendor {
    /// Every file with its name, in the order of [`FetchedVendor::names`].
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let fixed = [&self.timestamp, &self.snapshot, &self.targets];
        let bytes = self
            .roots
            .iter()
            .chain(fixed)
            .chain(self.delegated.values())
            .map(Vec::as_slice);
        self.names.iter().map(String::as_str).zip(bytes)
    }
}

/// Collects the roots after version `root_version_known` (0: from the first) and the current
/// metadata, with the delegated roles in `wanted`.
pub fn fetch(
    source: &dyn Source,
    root_version_known: u64,
    wanted: Wanted<'_>,
) -> Result<FetchedVendor, ReleaseError> {
    let source = &Bounded::new(source);
    let mut names = Vec::new();
    let roots = roots(source, root_version_known, &mut names)?;
    let timestamp = source.required(TIMESTAMP)?;
    names.push(TIMESTAMP.to_owned());
    let pinned: Loose<Files> = loose(TIMESTAMP, &timestamp)?;
    let (snapshot_name, snapshot) = pinned.signed.file(source, TIMESTAMP, "snapshot")?;
    let versions: Loose<Files> = loose(&snapshot_name, &snapshot)?;
    let (targets_name, targets) = versions.signed.file(source, &snapshot_name, "targets")?;
    let delegated = delegated(
        source,
        &versions.signed,
        (&snapshot_name, &targets_name),
        &targets,
        wanted,
    )?;
    names.extend([snapshot_name, targets_name]);
    names.extend(delegated.values().map(|(name, _)| name.clone()));
    Ok(FetchedVendor {
        roots,
        timestamp,
        snapshot,
        targets,
        delegated: delegated
            .into_iter()
            .map(|(role, (_, bytes))| (role, bytes))
            .collect(),
        names,
    })
}

/// A source of which no more is read than a host takes.
struct Bounded<'a> {
    source: &'a dyn Source,
    left: Cell<u64>,
}

impl<'a> Bounded<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            left: Cell::new(TOTAL_MAX),
        }
    }

    fn metadata(&self, file: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
        let Some(bytes) = self.source.metadata(file)? else {
            return Ok(None);
        };
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let left = self.left.get().checked_sub(size).ok_or_else(|| {
            let why = format!("with it, the metadata is larger than {TOTAL_MAX} bytes");
            ReleaseError::corrupt(file, why)
        })?;
        self.left.set(left);
        Ok(Some(bytes))
    }

    fn required(&self, file: &str) -> Result<Vec<u8>, ReleaseError> {
        self.metadata(file)?.ok_or_else(|| ReleaseError::Missing {
            file: file.to_owned(),
            place: self.source.describe(),
        })
    }
}

fn roots(
    source: &Bounded<'_>,
    known: u64,
    names: &mut Vec<String>,
) -> Result<Vec<Vec<u8>>, ReleaseError> {
    let mut roots = Vec::new();
    for step in 1..=ROOTS_MAX {
        let name = metadata_file("root", known.saturating_add(step))?;
        let Some(bytes) = source.metadata(&name)? else {
            break;
        };
        roots.push(bytes);
        names.push(name);
    }
    Ok(roots)
}

type Named = (String, Vec<u8>);

/// Follows delegations from the targets on, each role once.
fn delegated(
    source: &Bounded<'_>,
    versions: &Files,
    (snapshot_name, targets_name): (&str, &str),
    targets: &[u8],
    wanted: Wanted<'_>,
) -> Result<BTreeMap<String, Named>, ReleaseError> {
    let mut found: BTreeMap<String, Named> = BTreeMap::new();
    let mut asked = BTreeSet::from(["targets".to_owned()]);
    let mut open = roles(targets_name, targets)?;
    while let Some(role) = open.pop() {
        if !wanted.any_matches(&role.paths) || !asked.insert(role.name.clone()) {
            continue;
        }
        if found.len() >= ROLES_MAX {
            return Err(ReleaseError::corrupt(
                targets_name,
                format!("more than {ROLES_MAX} delegated roles"),
            ));
        }
        // A delegate that has handed nothing in yet; `trust` refuses recipes of its paths.
        if !versions.lists(&role.name) {
            continue;
        }
        let (name, bytes) = versions.file(source, snapshot_name, &role.name)?;
        open.extend(roles(&name, &bytes)?);
        found.insert(role.name, (name, bytes));
    }
    Ok(found)
}

fn roles(file: &str, targets: &[u8]) -> Result<Vec<Role>, ReleaseError> {
    let targets: Loose<Delegating> = loose(file, targets)?;
    Ok(targets
        .signed
        .delegations
        .map(|delegations| delegations.roles)
        .unwrap_or_default())
}

fn loose<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, ReleaseError> {
    check_strict(bytes).map_err(|e| ReleaseError::corrupt(file, e))?;
    serde_json::from_slice(bytes).map_err(|e| ReleaseError::corrupt(file, e))
}

#[derive(Deserialize)]
struct Loose<T> {
    signed: T,
}

/// The part of snapshot and timestamp that leads on.
#[derive(Deserialize)]
struct Files {
    meta: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Files {
    fn lists(&self, role: &str) -> bool {
        self.meta.contains_key(&format!("{role}.json"))
    }

    /// The file of `role` in the version that stands here.
    fn file(&self, source: &Bounded<'_>, own: &str, role: &str) -> Result<Named, ReleaseError> {
        let entry = self
            .meta
            .get(&format!("{role}.json"))
            .ok_or_else(|| ReleaseError::corrupt(own, format!("it names no {role}.json")))?;
        let name = metadata_file(role, entry.version)?;
        source.required(&name).map(|bytes| (name, bytes))
    }
}

/// The part of targets that leads on.
#[derive(Deserialize)]
struct Delegating {
    #[serde(default)]
    delegations: Option<Roles>,
}

#[derive(Deserialize)]
struct Roles {
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
    #[serde(default)]
    paths: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Blake3, Sha256};
    use std::io::Read;
    use std::sync::atomic::{AtomicU64, Ordering};

    const SIZE: u64 = 1 << 20;

    /// A source that has every root, of this size, and counts the bytes that are read of it.
    struct Endless(AtomicU64);

    impl Source for Endless {
        fn metadata(&self, file: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
            if !file.ends_with(".root.json") {
                return Ok(None);
            }
            self.0.fetch_add(SIZE, Ordering::Relaxed);
            Ok(Some(vec![b' '; usize::try_from(SIZE).unwrap()]))
        }

        fn target(&self, _: &RecipePath, _: &Sha256, _: u64) -> Result<Vec<u8>, ReleaseError> {
            unreachable!("no recipe is asked for")
        }

        fn blob(&self, _: &Blake3) -> Result<Box<dyn Read + Send>, ReleaseError> {
            unreachable!("no content is asked for")
        }

        fn describe(&self) -> String {
            "endless".to_owned()
        }
    }

    #[test]
    fn large_roots_without_end_are_read_up_to_what_a_host_takes() {
        let source = Endless(AtomicU64::new(0));
        let error = fetch(&source, 0, Wanted::All).unwrap_err().to_string();
        assert!(error.contains("larger than 67108864 bytes"), "{error}");
        assert_eq!(source.0.into_inner(), TOTAL_MAX + SIZE);
    }
}
