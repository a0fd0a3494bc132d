//! Which installed content each new content resembles: what a delta may start from.
//!
//! A base is a file that is certain to be on every node as its recipe has it: owned by a vendor, no config
//! file, drifted nowhere. It is sought under the same path, then under the path without its digits
//! (`lib/guava-31.1.jar`, `lib/guava-32.0.jar`), then, for archives, under the name alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::nodes::Nodes;
use crate::model::patch::Codec;
use crate::model::recipe::{FileContent, What};
use crate::model::snapshot::Drift;
use crate::model::{Name, Sha256, TreePath};
use crate::plan::change::Changes;
use crate::plan::content::{needed, pristine};
use crate::plan::tree::Tree;

/// What archives are called that resemble others of their name wherever they lie.
const ARCHIVES: [&str; 4] = [".jar", ".war", ".ear", ".zip"];

/// Where new contents come from, other than from the vendor.
#[derive(Default)]
pub(super) struct Sources {
    /// Contents that are installed, and copied on the host.
    pub(super) at_hand: BTreeSet<Sha256>,
    /// By new content, what it resembles.
    pub(super) bases: BTreeMap<Sha256, Base>,
}

/// An installed content.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) file: FileContent,
    /// The component that has it.
    pub(super) owner: Name,
}

impl Sources {
    /// What every node has of what `changes` need, and what resembles the rest.
    pub(super) fn of(nodes: &Nodes, old: &Tree, changes: &Changes) -> Self {
        let drift: Vec<Drift> = nodes.drifts().flatten().cloned().collect();
        let needed = needed(changes);
        let wanted = needed.iter().map(|(_, file)| file.sha256).collect();
        let at_hand: BTreeSet<Sha256> = pristine(old, &drift, &wanted).into_keys().collect();
        if !nodes.read(Codec::Delta) {
            let bases = BTreeMap::new();
            return Self { at_hand, bases };
        }
        let index = Index::of(old, &drift);
        let bases = needed
            .into_iter()
            .filter(|(_, file)| !at_hand.contains(&file.sha256))
            .filter_map(|(path, file)| Some((file.sha256, index.base(path)?)))
            .collect();
        Self { at_hand, bases }
    }
}

/// Installed files that are certain, by what they are found by.
struct Index<'a> {
    paths: HashMap<String, (&'a FileContent, &'a Name)>,
    stems: HashMap<String, (&'a FileContent, &'a Name)>,
    names: HashMap<String, (&'a FileContent, &'a Name)>,
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
            let found = (&**file, &owned.owner);
            let path = path.to_string();
            index.stems.entry(stem(&path)).or_insert(found);
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
            .or_else(|| self.stems.get(&stem(&path)))
            .or_else(|| self.names.get(&archive(&path)?));
        found.map(|(file, owner)| Base {
            file: (*file).clone(),
            owner: (*owner).clone(),
        })
    }
}

/// A path without the versions in it: numbers, and what joins them.
fn stem(path: &str) -> String {
    let mut stem = String::with_capacity(path.len());
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().is_some_and(char::is_ascii_digit);
        let joins = matches!(c, '.' | '-' | '_') && next;
        // `collections4` is another thing than `collections`; `collections-4` is not.
        let counts = c.is_ascii_digit() && !stem.ends_with(char::is_alphabetic);
        if joins || counts {
            while chars.next_if(char::is_ascii_digit).is_some() {}
        } else {
            stem.push(c);
        }
    }
    stem
}

/// The name of an archive, without its version and its folder.
fn archive(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    let ends = ARCHIVES.iter().any(|end| name.ends_with(end));
    ends.then(|| stem(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_left_out_and_numbers_in_names_are_not() {
        for (a, b) in [
            ("lib/guava-31.1.jar", "lib/guava-32.0.1.jar"),
            (
                "jars/spark-core_2.12-3.5.0.jar",
                "jars/spark-core_2.13-3.5.1.jar",
            ),
            ("9.0/lib/core.jar", "9.1/lib/core.jar"),
        ] {
            assert_eq!(stem(a), stem(b));
        }
        for (a, b) in [
            (
                "lib/commons-collections-3.2.2.jar",
                "lib/commons-collections4-4.4.jar",
            ),
            (
                "netty-codec-http-4.1.96.jar",
                "netty-codec-http2-4.1.96.jar",
            ),
            ("a/x.jar", "b/x.jar"),
        ] {
            assert_ne!(stem(a), stem(b));
        }
        assert_eq!(archive("a/x-1.jar"), archive("b/c/x-2.jar"));
        assert_eq!(archive("a/x-1.txt"), None);
    }
}
