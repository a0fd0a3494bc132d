//! Which contents a change needs, and which of them the node has already.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Changes;
use super::tree::Tree;
use crate::model::recipe::{FileContent, What};
use crate::model::snapshot::Drift;
use crate::model::{Sha256, TreePath};

/// Every content that `changes` put somewhere, once, rising by the first path that needs it.
#[must_use]
pub fn needed(changes: &Changes) -> Vec<(&TreePath, &FileContent)> {
    let mut seen = BTreeSet::new();
    changes
        .paths
        .iter()
        .filter_map(|change| match change.to.as_ref().map(|owned| &owned.what) {
            Some(What::File(file)) if seen.insert(file.sha256) => Some((&change.path, &**file)),
            _ => None,
        })
        .collect()
}

/// Where the node has each content of `wanted`, among files that are certain to be as their recipe
/// has them: vendor-owned, not config, not drifted.
#[must_use]
pub fn pristine(
    tree: &Tree,
    drift: &[Drift],
    wanted: &BTreeSet<Sha256>,
) -> BTreeMap<Sha256, TreePath> {
    let drifted: BTreeSet<&TreePath> = drift.iter().map(|d| &d.path).collect();
    tree.paths
        .iter()
        .filter(|(path, owned)| !owned.config && !drifted.contains(path))
        .filter_map(|(path, owned)| match &owned.what {
            What::File(file) if wanted.contains(&file.sha256) => Some((file.sha256, path.clone())),
            What::File(_) | What::Folder { .. } | What::Link { .. } => None,
        })
        .collect()
}
