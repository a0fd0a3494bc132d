//! A look at the installation: every owned path, as it is now.
//!
//! Whoever looks says how: reading every byte, or by the index (`disk/index.rs`), where a file about which
//! nothing changed since it was read is not read again. `status` goes by the index unless it is asked for
//! more. What ends in a signature, or in files that are moved, does so only where the site's policy
//! allows it, and the snapshot says of how many files ([`Reading::by_policy`]); what a patch touches is read
//! even then ([`Reading::around`]). Whoever read keeps what he
//! found in the index, once all else is done; whether that works, nothing depends on.

use serde::Serialize;

use super::Node;
use crate::disk::DiskError;
use crate::disk::index::{self, AtRest, Index, Making};
use crate::disk::scan::{Expected, Scan, found_at, scan};
use crate::disk::stamp::FileKind;
use crate::model::recipe::What;
use crate::model::site::Policy;
use crate::model::snapshot::{ConfigState, Drift, EnvironmentId, Found, Marks};
use crate::model::{Blake3, Refusal, Sha256, Time, TreePath, Watch};
use crate::plan::Component;
use crate::plan::change::{Changes, against};
use crate::plan::resolve::unsatisfiable;
use crate::plan::tree::Tree;
use crate::plan::work::{Ground, Standing};
use crate::spr::canonical;

/// How a look is taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading<'a> {
    /// Every byte is read.
    Whole,
    /// What is as the index has it is not read, for a command that began then.
    Indexed(Time),
    /// The same, but what these changes touch is read whatever the index says.
    Around(Time, &'a Changes),
}

impl<'a> Reading<'a> {
    /// As a look must be taken on which a signature rests.
    pub(super) fn by_policy(policy: &Policy, now: Time) -> Self {
        if policy.allows_index() {
            Self::Indexed(now)
        } else {
            Self::Whole
        }
    }

    /// As a look must be taken on which these changes rest.
    pub(super) fn around(changes: &'a Changes, policy: &Policy, now: Time) -> Self {
        match Self::by_policy(policy, now) {
            Self::Indexed(now) => Self::Around(now, changes),
            other => other,
        }
    }
}

/// What a scan found, and the tree that it was held against.
pub(super) struct Survey<'a> {
    node: &'a Node,
    pub(super) tree: Tree,
    pub(super) scan: Scan,
}

impl<'a> Survey<'a> {
    /// Looks at everything that `components` own.
    pub(super) fn of(
        node: &'a Node,
        components: &[Component],
        reading: Reading<'_>,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let tree = Tree::of(components).map_err(|faults| unsatisfiable(&faults))?;
        let index = match reading {
            Reading::Whole => None,
            Reading::Indexed(now) | Reading::Around(now, _) => read_index(node, &tree, now),
        };
        let mut expected: Vec<Expected<'_>> = tree
            .paths
            .iter()
            .map(|(path, owned)| Expected {
                path,
                what: &owned.what,
                config: owned.config,
                known: None,
            })
            .collect();
        if let Some(index) = &index {
            index.tell(&mut expected);
        }
        if let Reading::Around(_, changes) = reading {
            let touched = expected.iter_mut().filter(|e| changes.at(e.path).is_some());
            touched.for_each(|expected| expected.known = None);
        }
        let scan = scan(node.root(), &expected, watch)?;
        Ok(Self { node, tree, scan })
    }

    /// BLAKE3 of the file or link that stands at a path, for the rollback copy to be checked by.
    pub(super) fn blake3(&self, path: &TreePath) -> Result<Option<Blake3>, Refusal> {
        let drifted = self.scan.drifted(path).cloned();
        let edited = self.scan.config_state(path).is_some();
        let found = match (drifted, self.tree.paths.get(path).map(|owned| &owned.what)) {
            (Some(found), _) => found,
            (None, Some(What::File(file))) if !edited => return Ok(Some(file.blake3)),
            (None, Some(What::Link { target })) if !edited => {
                return Ok(Some(Blake3::of(target.as_bytes())));
            }
            _ => found_at(self.node.root(), path)?,
        };
        Ok(blake3_of(&found))
    }

    /// What the index is to say from now on; nothing where it says that already, and where there is
    /// nothing to say.
    pub(super) fn index(&self, now: Time) -> Option<Making> {
        let at_rest = AtRest::at(now);
        let scan = &self.scan;
        let mut making = Making::of(&place(self.node)?);
        let mut owned = self.tree.paths.iter();
        for (path, stamp) in &scan.stamps {
            // Both rise.
            let Some((_, owned)) = owned.find(|(owned, _)| *owned == path) else {
                break;
            };
            let rests = at_rest.holds(stamp) && scan.clocks.contains(&stamp.device);
            if let Some(blake3) = self.as_scanned(path, &owned.what).filter(|_| rests) {
                making.add(path, stamp, &blake3);
            }
        }
        (making.entries > scan.indexed).then_some(making)
    }

    /// Keeps that, if it can be kept.
    pub(super) fn keep_index(&self, now: Time) {
        keep(self.node, self.index(now));
    }

    /// BLAKE3 of the file that the scan found at a path, where that may be kept: of an edited config file
    /// nothing is.
    fn as_scanned(&self, path: &TreePath, what: &What) -> Option<Blake3> {
        match (self.scan.drifted(path), what) {
            (Some(Found::File { blake3, .. }), _) => Some(*blake3),
            (None, What::File(file)) if self.scan.config_state(path).is_none() => Some(file.blake3),
            _ => None,
        }
    }

    /// The drift, a line for each path.
    pub(super) fn drift_lines(&self) -> Vec<String> {
        let line = |drift: &Drift| {
            let what = self.tree.paths.get(&drift.path).map(|owned| &owned.what);
            format!("{}: {}", drift.path, against(what, &drift.found))
        };
        self.scan.drift.iter().map(line).collect()
    }
}

/// Keeps an index, if there is one to keep and it can be kept.
pub(super) fn keep(node: &Node, index: Option<Making>) {
    if let Some(index) = index {
        // The one before stays, and tells of every file either the truth or nothing.
        drop(index.write(node.store.folder()));
    }
}

fn read_index(node: &Node, tree: &Tree, now: Time) -> Option<Index> {
    let largest = index::largest(tree.paths.keys());
    Index::read(node.store.folder(), &place(node)?, largest, AtRest::at(now))
}

/// What an index is of.
#[derive(Serialize)]
struct Place<'a> {
    environment: &'a EnvironmentId,
    marks: &'a Marks,
}

/// The environment and what ties its node to its place, the key among it, so that a rehomed node begins
/// anew; nothing where the node is not in that place, for then neither is what was read there.
fn place(node: &Node) -> Option<Sha256> {
    node.check_marks().ok()?;
    let place = Place {
        environment: node.environment(),
        marks: &node.state().marks,
    };
    canonical::encode(&place)
        .ok()
        .map(|bytes| Sha256::of(&bytes))
}

impl Ground for Survey<'_> {
    fn standing(&self, path: &TreePath) -> Result<Standing, Refusal> {
        if let Some(found) = self.scan.drifted(path) {
            return Ok(Standing::Drifted(found.clone()));
        }
        match self.scan.config_state(path) {
            Some(ConfigState::Changed) => return Ok(Standing::ConfigEdited),
            Some(ConfigState::Deleted) => return Ok(Standing::ConfigDeleted),
            None => {}
        }
        if self.tree.paths.contains_key(path) {
            return Ok(Standing::Pristine);
        }
        match self.node.root().look(path) {
            Ok(None) => Ok(Standing::Absent),
            Ok(Some(seen)) if seen.kind == FileKind::Folder => Ok(Standing::Folder),
            // Below an owned file there is nothing; whether the file goes is judged at its own path.
            Err(DiskError::Blocked { .. })
                if path
                    .ancestors()
                    .any(|above| self.tree.paths.contains_key(&above)) =>
            {
                Ok(Standing::Absent)
            }
            // A link or file where a folder must be: nobody owns what is behind it.
            Ok(Some(_)) | Err(DiskError::Blocked { .. }) => Ok(Standing::Unowned),
            Err(error) => Err(error.into()),
        }
    }

    fn found(&self, path: &TreePath) -> Result<Found, Refusal> {
        Ok(found_at(self.node.root(), path)?)
    }

    fn children(&self, folder: &TreePath) -> Result<Vec<Option<TreePath>>, Refusal> {
        Ok(self.node.root().children(folder)?)
    }
}

/// The digest of what was found, where it has one.
pub(super) fn blake3_of(found: &Found) -> Option<Blake3> {
    match found {
        Found::File { blake3, .. } | Found::Link { blake3 } => Some(*blake3),
        Found::Absent | Found::Folder | Found::Other => None,
    }
}
