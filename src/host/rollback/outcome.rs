//! What `rollback` tells the admin.

use std::path::PathBuf;

use serde::Serialize;

use super::super::Node;
use super::super::change::{Done, ProductWas, ended, touched};
use super::super::statement::Times;
use super::back::Back;
use crate::model::installed::describe;
use crate::model::receipt::FileCounts;
use crate::model::text::{any_path_as_text, bytes};
use crate::plan::change::components as component_changes;
use crate::plan::work::Work;

/// What `rollback` did, or would do.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// The generation whose files are back.
    pub restored: u64,
    /// What it holds.
    pub holds: String,
    /// The generation that stood before: `rollback --to` it goes forward again.
    pub before: u64,
    /// Whether nothing was changed, because that was asked for.
    pub dry_run: bool,
    /// The components that changed.
    pub changes: Vec<String>,
    /// Files touched.
    pub files: FileCounts,
    /// Config files that stay as the customer has them.
    pub kept: Vec<String>,
    /// What becomes of each thing that the customer changed, deleted or added in the way.
    pub met: Vec<(&'static str, String)>,
    /// The sequence number afterwards.
    pub sequence: Option<u64>,
    /// How long it took, and how long the product stood still.
    #[serde(flatten)]
    pub times: Times,
    /// What became of the product.
    pub product: ProductWas,
    /// The receipt.
    #[serde(serialize_with = "any_path_as_text")]
    pub receipt: Option<PathBuf>,
    /// Bytes that staging takes.
    pub space: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.dry_run {
            "would roll back (nothing was changed)"
        } else {
            "rolled back"
        };
        writeln!(
            f,
            "{word}: environment {}, node {}",
            self.environment, self.node
        )?;
        writeln!(
            f,
            "  to         generation {}: {}",
            self.restored, self.holds
        )?;
        touched(f, &self.changes, self.files, &self.met)?;
        if self.dry_run {
            writeln!(f, "  space      {}", bytes(self.space))?;
            return write!(f, "  next       the same line without --dry-run");
        }
        writeln!(
            f,
            "  forward    lockstep rollback --to {} brings back what stood before",
            self.before
        )?;
        ended(f, self.product, self.receipt.as_deref(), self.times)
    }
}

/// Of a rollback that was made, or with nothing done of one that could be.
pub(super) fn outcome(node: &Node, back: &Back, work: &Work, done: Option<Done>) -> Outcome {
    let (space, _) = work.space();
    let next = node.state().sequence.saturating_add(1);
    let times = done.as_ref().map(|done| done.times).unwrap_or_default();
    Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        restored: back.generation,
        holds: describe(&back.installed),
        before: node.state().generation,
        dry_run: done.is_none(),
        changes: component_changes(node.installed(), &back.installed)
            .iter()
            .map(ToString::to_string)
            .collect(),
        files: work.counts,
        kept: work.kept().iter().map(ToString::to_string).collect(),
        met: work.met.iter().map(|met| met.words(next)).collect(),
        sequence: done.as_ref().map(|done| done.sequence),
        times,
        product: done.as_ref().map(|done| done.product).unwrap_or_default(),
        receipt: done.map(|done| done.receipt),
        space,
    }
}
