//! What a patch will bring about: which components there are afterwards, what changes for that, what
//! drift is left on each node, and which contents need not travel. The trees that it follows from
//! are given up here.

use super::adopt::Adoption;
use super::bases::Sources;
use super::nodes::Nodes;
use super::vendors::Vendors;
use super::{Request, wanted};
use crate::model::patch::Downgrade;
use crate::model::snapshot::Drift;
use crate::model::{Refusal, RefusalName};
use crate::plan::change::{Changes, drift_after};
use crate::plan::lifting::check_downgrade_allowed;
use crate::plan::resolve::{Ask, Resolved, resolve};
use crate::plan::tree::Tree;
use crate::plan::work::check_paths;
use crate::plan::{Component, resolve as resolving};
use crate::trust::TrustedSite;

/// What a patch will bring about.
pub(super) struct Plan {
    pub(super) target: Vec<Component>,
    pub(super) downgrades: Vec<Downgrade>,
    pub(super) changes: Changes,
    /// What will not be as its recipe has it afterwards, for each node.
    pub(super) drift: Vec<Vec<Drift>>,
    /// Where new contents come from, other than from the vendor.
    pub(super) sources: Sources,
    /// What is registered as it is, where that was asked for.
    pub(super) adoption: Option<Adoption>,
}

/// The change from what is installed to what was asked for.
pub(super) fn change(
    nodes: &Nodes,
    site: &TrustedSite,
    vendors: &Vendors,
    installed: &[Component],
    request: &Request,
) -> Result<Plan, Refusal> {
    let ask = Ask {
        wanted: wanted(vendors, installed, request)?,
        remove: request.remove.clone(),
    };
    let Resolved { target, downgrades } = resolve(installed, ask)?;
    if target == installed && !nodes.lack_site(site) {
        return Err(nothing_to_do(nodes, request));
    }
    let accepted = request
        .accepted
        .iter()
        .any(|a| a.name == RefusalName::Downgrade);
    check_downgrade_allowed(&downgrades, &site.policy, accepted)?;
    let (old, new) = (tree(installed)?, tree(&target)?);
    let changes = Changes::between(&old, &new);
    check_paths(changes.count())?;
    let drift = nodes
        .drifts()
        .map(|drift| drift_after(drift, &changes, &new, site.policy.drift))
        .collect::<Result<Vec<_>, _>>()?;
    drop(new);
    let sources = if request.whole {
        Sources::none("--whole was asked for")
    } else {
        Sources::of(nodes, &old, &changes)
    };
    Ok(Plan {
        target,
        downgrades,
        changes,
        drift,
        sources,
        adoption: None,
    })
}

pub(super) fn tree(components: &[Component]) -> Result<Tree, Refusal> {
    Tree::of(components).map_err(|faults| resolving::unsatisfiable(&faults))
}

fn nothing_to_do(nodes: &Nodes, request: &Request) -> Refusal {
    Refusal::new(
        RefusalName::NothingToDo,
        "what is asked for is installed already",
    )
    .value("asked for", request.to.join(", "))
    .value("environment", nodes.environment())
    .next("lockstep components on the host lists what is installed")
}
