//! The full part of `snapshot --full`: everything below the root, one line each, compressed.

use serde::Serialize;

use super::Node;
use super::survey::Survey;
use crate::disk::inventory::Secret;
use crate::disk::walk::walk;
use crate::disk::{DiskError, inventory};
use crate::model::inventory::{LINES_MAX, Line, Listed as What};
use crate::model::text::bytes;
use crate::model::{Refusal, RefusalName, TreePath, Watch};

/// An inventory, ready to be signed.
pub(super) struct Full {
    pub(super) compressed: Vec<u8>,
    pub(super) listed: Listed,
    /// What private files are told by; kept once the snapshot is sure to come.
    pub(super) secret: Secret,
}

/// What an inventory lists.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Files told by their digest.
    pub files: u64,
    /// Files told by an HMAC alone: nothing of their content leaves the host.
    pub private: u64,
    /// Links, bare folders, and what is neither file, folder nor link.
    pub others: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// Names that no component could own (not UTF-8, or with control characters), left out.
    pub unnamed: u64,
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} file(s) by digest, {} private, {} other(s), {}",
            self.files,
            self.private,
            self.others,
            bytes(self.bytes)
        )?;
        if self.unnamed > 0 {
            write!(f, "; {} with a name that cannot be listed", self.unnamed)?;
        }
        Ok(())
    }
}

impl Full {
    /// Lists everything below the root but what the node's rules pass over. A file is private
    /// where its recipe calls it config, or where nobody owns it and the rules say so.
    pub(super) fn take(
        node: &Node,
        survey: &Survey<'_>,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let rules = node.store.rules()?;
        let tree = &survey.tree;
        let pass_over = |path: &TreePath| {
            rules.ignores(path)
                && !tree.paths.contains_key(path)
                && !tree.folders.contains_key(path)
        };
        let private = |path: &TreePath| {
            let owned = tree.paths.get(path);
            owned.map_or_else(|| rules.keeps_private(path), |owned| owned.config)
        };
        let walked = walk(node.root(), &pass_over, watch)?;
        if walked.paths.len() > LINES_MAX {
            return Err(Refusal::new(
                RefusalName::Conflict,
                "there are more files below the root than a full snapshot lists",
            )
            .value("found", walked.paths.len())
            .value("at most", LINES_MAX)
            .next("name folders of data under ignore in .lockstep/node.toml, and run it again"));
        }
        let secret = node.store.secret()?;
        let lines = inventory::take(node.root(), &walked, &secret, &private, watch)?;
        let compressed = inventory::compress(&lines)
            .map_err(DiskError::io("compress", node.root().state_folder()))?;
        Ok(Self {
            secret,
            compressed,
            listed: Listed::count(&lines, walked.unnamed),
        })
    }
}

impl Listed {
    fn count(lines: &[Line], unnamed: u64) -> Self {
        let mut listed = Self {
            files: 0,
            private: 0,
            others: 0,
            bytes: 0,
            unnamed,
        };
        for line in lines {
            let count = match line.what {
                What::File { .. } => &mut listed.files,
                What::Config { .. } => &mut listed.private,
                What::Folder | What::Link { .. } | What::Other => &mut listed.others,
            };
            *count = count.saturating_add(1);
            listed.bytes = listed.bytes.saturating_add(line.what.size());
        }
        listed
    }
}
