//! What will not be as its recipe has it, once the new tree stands.

use std::collections::BTreeSet;

use super::super::Node;
use super::super::change::After;
use super::super::survey::{Reading, Survey};
use crate::model::{Refusal, TreePath, Watch};
use crate::plan::admit::Admitted;
use crate::plan::change::{config_after, drift_after};
use crate::plan::work::Work;

/// Follows from the old tree as `survey` found it; where the patch adopts what is there already,
/// that is looked at in the light of its recipes, and must be what the patch says.
pub(super) fn after(
    node: &Node,
    admitted: &Admitted,
    survey: &Survey<'_>,
    work: &Work,
    watch: &dyn Watch,
) -> Result<After, Refusal> {
    if admitted.node().adopted.is_some() {
        let scan = Survey::of(node, admitted.target(), Reading::Whole, watch)?.scan;
        admitted.check_adopted(&scan.drift)?;
        return Ok(After {
            drift: scan.drift,
            config: scan.config,
            indexed: 0,
        });
    }
    let rule = admitted.patch().site().policy.drift;
    let (scan, new) = (&survey.scan, admitted.new_tree());
    let moved: BTreeSet<&TreePath> = work.moves.iter().map(|intent| &intent.path).collect();
    Ok(After {
        drift: drift_after(&scan.drift, admitted.changes(), new, rule)?,
        config: config_after(&scan.config, &scan.drift, new, &moved),
        indexed: scan.indexed,
    })
}
