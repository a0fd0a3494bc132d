//! A look at the installation: every owned path, as it is now.

use super::Node;
use crate::disk::DiskError;
use crate::disk::scan::{Expected, Scan, found_at, scan};
use crate::disk::stamp::FileKind;
use crate::model::recipe::What;
use crate::model::snapshot::{ConfigState, Drift, Found};
use crate::model::{Blake3, Refusal, TreePath, Watch};
use crate::plan::Component;
use crate::plan::change::against;
use crate::plan::resolve::unsatisfiable;
use crate::plan::tree::Tree;
use crate::plan::work::{Ground, Standing};

/// What a scan found, and the tree that it was held against.
pub(super) struct Survey<'a> {
    node: &'a Node,
    pub(super) tree: Tree,
    pub(super) scan: Scan,
}

impl<'a> Survey<'a> {
    /// Hashes everything that `components` own.
    pub(super) fn of(
        node: &'a Node,
        components: &[Component],
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let tree = Tree::of(components).map_err(|faults| unsatisfiable(&faults))?;
        let expected: Vec<Expected<'_>> = tree
            .paths
            .iter()
            .map(|(path, owned)| Expected {
                path,
                what: &owned.what,
                config: owned.config,
            })
            .collect();
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

    /// The drift, a line for each path.
    pub(super) fn drift_lines(&self) -> Vec<String> {
        let line = |drift: &Drift| {
            let what = self.tree.paths.get(&drift.path).map(|owned| &owned.what);
            format!("{}: {}", drift.path, against(what, &drift.found))
        };
        self.scan.drift.iter().map(line).collect()
    }
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
