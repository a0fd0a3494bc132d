//! Which installed content each new content resembles: what a delta may start from.
//!
//! A base is a file that is certain to be on every node as its recipe has it: owned by a vendor, no config
//! file, drifted nowhere. It is sought under the same path, then under the path without its digits
//! (`lib/guava-31.1.jar`, `lib/guava-32.0.jar`), then, for archives, under the name alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::nodes::Nodes;
use crate::model::operation::Codec;
use crate::model::recipe::{FileContent, What};
use crate::model::snapshot::Drift;
use crate::model::stem::unversioned;
use crate::model::{Name, Sha256, TreePath};
use crate::plan::change::Changes;
use crate::plan::content::{needed, pristine};
use crate::plan::tree::Tree;

/// What archives are called that resemble others of their name wherever they lie.
const ARCHIVES: [&str; 4] = [".jar", ".war", ".ear", ".zip"];

/// Where new contents come from, other than from the vendor.
pub(super) struct Sources {
    /// Contents that are installed, and copied on the host, with where they lie.
    pub(super) at_hand: BTreeMap<Sha256, TreePath>,
    /// By new content, what it resembles.
    pub(super) bases: BTreeMap<Sha256, Base>,
    /// Why the others travel whole.
    pub(super) why_none: &'static str,
}

/// An installed content.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) file: FileContent,
    /// Where it lies.
    pub(super) path: TreePath,
    /// The component that has it.
    pub(super) owner: Name,
}

impl Sources {
    /// The vendor alone.
    pub(super) const fn none(why_none: &'static str) -> Self {
        Self {
            at_hand: BTreeMap::new(),
            bases: BTreeMap::new(),
            why_none,
        }
    }

    /// What every node has of what `changes` need, and what resembles the rest.
    pub(super) fn of(nodes: &Nodes, old: &Tree, changes: &Changes) -> Self {
        let drift: Vec<Drift> = nodes.drifts().flatten().cloned().collect();
        let needed = needed(changes);
        let wanted = needed.iter().map(|(_, file)| file.sha256).collect();
        let at_hand = pristine(old, &drift, &wanted);
        if !nodes.read(Codec::Delta) {
            let none = Self::none("a node has a release of lockstep that reads no such deltas");
            return Self { at_hand, ..none };
        }
        let index = Index::of(old, &drift);
        let bases = needed
            .into_iter()
            .filter(|(_, file)| !at_hand.contains_key(&file.sha256))
            .filter_map(|(path, file)| Some((file.sha256, index.base(path)?)))
            .collect();
        Self {
            at_hand,
            bases,
            why_none: "nothing resembles it that is certain to be installed",
        }
    }
}

/// An installed file, where it lies and whose it is.
type Found<'a> = (&'a FileContent, &'a TreePath, &'a Name);

/// Installed files that are certain, by what they are found by.
struct Index<'a> {
    paths: HashMap<String, Found<'a>>,
    stems: HashMap<String, Found<'a>>,
    names: HashMap<String, Found<'a>>,
}

impl<'a> Index<'a> {
    fn of(old: &'a Tree, drift: &[Drift]) -> Self {
        let drifted: BTreeSet<&TreePath> = drift.iter().map(|drift| &drift.path).collect();
        let mut index = Self {
            paths: HashMap::new(),
            stems: HashMap::new(),
            names: HashMap::new(),
        };
        for (path, owned) in &old.paths {
            let What::File(file) = &owned.what else {
                continue;
            };
            if owned.config || drifted.contains(path) || file.size == 0 {
                continue;
            }
            let found = (&**file, path, &owned.owner);
            let path = path.to_string();
            index.stems.entry(unversioned(&path)).or_insert(found);
            if let Some(name) = archive(&path) {
                index.names.entry(name).or_insert(found);
            }
            index.paths.insert(path, found);
        }
        index
    }

    fn base(&self, path: &TreePath) -> Option<Base> {
        let path = path.to_string();
        let found = self
            .paths
            .get(&path)
            .or_else(|| self.stems.get(&unversioned(&path)))
            .or_else(|| self.names.get(&archive(&path)?));
        found.map(|(file, path, owner)| Base {
            file: (*file).clone(),
            path: (*path).clone(),
            owner: (*owner).clone(),
        })
    }
}

/// The name of an archive, without its version and its folder.
fn archive(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let ends = ARCHIVES.iter().any(|end| name.ends_with(end));
    ends.then(|| unversioned(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_found_by_its_name_alone() {
        assert_eq!(archive("a/x-1.jar"), archive("b/c/x-2.jar"));
        assert_eq!(archive("a/x-1.txt"), None);
    }
}
