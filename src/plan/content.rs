//! Which contents a change needs, and which of them the node has already.
//!
//! | attack | defence |
//! |---|---|
//! | a patch that unpacks to terabytes, of a content that is needed or of many that are not | [`check_operations`]: what recipes need, once each, in their sizes |

use std::collections::{BTreeMap, BTreeSet};

use super::change::Changes;
use super::tree::Tree;
use crate::model::operation::Operation;
use crate::model::recipe::{FileContent, What};
use crate::model::snapshot::Drift;
use crate::model::{Refusal, RefusalName, Sha256, TreePath};

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

/// Checks that `operations` make each content that `changes` need, in the size that its recipe states,
/// and none else: a patch takes no room and no time for what nobody asked for.
pub fn check_operations(operations: &[Operation], changes: &Changes) -> Result<(), Refusal> {
    let refuse = |what: &str| Refusal::new(RefusalName::Corrupt, what);
    let next = "prepare the patch again: lockstep prepare";
    let mut left: BTreeMap<Sha256, (&TreePath, &FileContent)> = needed(changes)
        .into_iter()
        .map(|(path, file)| (file.sha256, (path, file)))
        .collect();
    for operation in operations {
        let Some((path, file)) = left.remove(&operation.content) else {
            return Err(refuse(
                "the patch brings a content that its recipes do not need, or brings it twice",
            )
            .value("content", operation.content)
            .value("bytes", operation.size)
            .next(next));
        };
        if operation.size != file.size {
            return Err(
                refuse("the patch states another size for a content than its recipe")
                    .value("needed for", path)
                    .value("recipe states", format!("{} bytes", file.size))
                    .value("patch states", format!("{} bytes", operation.size))
                    .next(next),
            );
        }
    }
    match left.values().next() {
        None => Ok(()),
        Some((path, file)) => Err(refuse(
            "the patch does not bring a content that its recipes need",
        )
        .value("needed for", path)
        .value("content", file.sha256)
        .next(next)),
    }
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
