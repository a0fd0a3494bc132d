//! What `apply` tells the admin.

use std::path::PathBuf;

use serde::Serialize;

use super::super::Node;
use super::super::change::{Done, ProductWas, ended, touched};
use super::super::statement::Times;
use crate::model::receipt::FileCounts;
use crate::model::snapshot::Drift;
use crate::model::text::{any_path_as_text, bytes};
use crate::plan::admit::Admitted;
use crate::plan::change::{against, components as component_changes};
use crate::plan::work::Work;

/// Most drifted files of an adoption that are named.
const DRIFT_SHOWN: usize = 10;

/// What `apply` did, or would do.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// SHA-256 of `patch.json`.
    pub patch: String,
    /// The files that were read, one a volume, in their order: of copies, the one that is intact.
    #[serde(skip)]
    pub read: Vec<PathBuf>,
    /// The same, where it came in volumes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Whether nothing was changed, because that was asked for.
    pub dry_run: bool,
    /// Whether it registers what lies there already.
    pub adopts: bool,
    /// The components that changed.
    pub changes: Vec<String>,
    /// Files touched.
    pub files: FileCounts,
    /// Config files that stay as the customer has them, as the receipt lists them.
    pub kept: Vec<String>,
    /// What becomes of each thing that the customer changed, deleted or added in the patch's way: a
    /// word and a sentence. A dry run says the same.
    pub met: Vec<(&'static str, String)>,
    /// A newer site file that came in the patch and is in force now.
    pub site: Option<String>,
    /// Who prepared it.
    pub preparer: String,
    /// Who approved it.
    pub approvals: Vec<String>,
    /// The sequence number afterwards.
    pub sequence: Option<u64>,
    /// The state digest afterwards.
    pub state: String,
    /// How long it took, and how long the product stood still.
    #[serde(flatten)]
    pub times: Times,
    /// What became of the product.
    pub product: ProductWas,
    /// The receipt.
    #[serde(serialize_with = "any_path_as_text")]
    pub receipt: Option<PathBuf>,
    /// What the admin should know.
    pub warnings: Vec<String>,
    /// Bytes that staging takes.
    pub space: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match (self.dry_run, self.adopts) {
            (true, true) => "would adopt what lies there (nothing was changed)",
            (true, false) => "would apply (nothing was changed)",
            (false, true) => "adopted what lies there; no file was touched",
            (false, false) => "applied",
        };
        writeln!(
            f,
            "{word}: environment {}, node {}",
            self.environment, self.node
        )?;
        touched(f, &self.changes, self.files, &self.met)?;
        if let Some(site) = &self.site {
            writeln!(f, "  trust      {site}")?;
        }
        writeln!(f, "  prepared   by {}", self.preparer)?;
        if !self.approvals.is_empty() {
            writeln!(f, "  approved   by {}", self.approvals.join(", "))?;
        }
        if self.dry_run {
            writeln!(f, "  space      {}", bytes(self.space))?;
            return write!(
                f,
                "  next       lockstep apply with the same file, without --dry-run"
            );
        }
        writeln!(f, "  state      {}", self.state)?;
        ended(f, self.product, self.receipt.as_deref(), self.times)
    }
}

/// Of a change that was made, or with nothing done of one that could be; and the files it was read from.
pub(super) fn outcome(
    node: &Node,
    admitted: &Admitted,
    work: &Work,
    (read, done): (Vec<PathBuf>, Option<Done>),
) -> Outcome {
    let patch = admitted.patch();
    let (space, _) = work.space();
    let next = node.state().sequence.saturating_add(1);
    let before: Vec<_> = node.installed().to_vec();
    let after: Vec<_> = admitted
        .target()
        .iter()
        .map(|c| c.installed.clone())
        .collect();
    Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        patch: patch.sha256().to_string(),
        volumes: read
            .iter()
            .filter(|_| read.len() > 1)
            .map(|file| file.to_string_lossy().into_owned())
            .collect(),
        read,
        dry_run: done.is_none(),
        adopts: patch.patch().adopts(),
        changes: component_changes(&before, &after)
            .iter()
            .map(ToString::to_string)
            .collect(),
        files: work.counts,
        kept: work.kept().iter().map(ToString::to_string).collect(),
        met: work
            .met
            .iter()
            .map(|met| met.words(next))
            .chain(registered(admitted))
            .collect(),
        site: patch.newer_site().then(|| {
            let (old, new) = (node.site().version, patch.site().version);
            format!(
                "site {} version {old} -> {new}: see lockstep trust show",
                patch.site().name
            )
        }),
        preparer: patch.preparer().principal.to_string(),
        approvals: patch.approvals().iter().map(ToString::to_string).collect(),
        sequence: done.as_ref().map(|done| done.sequence),
        state: admitted.node().after.to_string(),
        times: done.as_ref().map(|done| done.times).unwrap_or_default(),
        product: done.as_ref().map(|done| done.product).unwrap_or_default(),
        receipt: done.map(|done| done.receipt),
        warnings: admitted.warnings().to_vec(),
        space,
    }
}

/// What an adoption registers as drift: how much, and the first of it.
fn registered(admitted: &Admitted) -> Vec<(&'static str, String)> {
    let drift = admitted.node().adopted.as_deref().unwrap_or_default();
    if drift.is_empty() {
        return Vec::new();
    }
    let line = |drift: &Drift| {
        let owned = admitted.new_tree().paths.get(&drift.path);
        let what = owned.map(|owned| &owned.what);
        (
            "drift",
            format!("{}: {}", drift.path, against(what, &drift.found)),
        )
    };
    let count = format!(
        "{} file(s) are registered that are not as their recipe has them",
        drift.len()
    );
    let mut lines = vec![("drift", count)];
    lines.extend(drift.iter().take(DRIFT_SHOWN).map(line));
    if drift.len() > DRIFT_SHOWN {
        lines.push((
            "drift",
            "and more: lockstep inspect lists all of it".to_owned(),
        ));
    }
    lines
}
