//! Admission: a verified patch meets the node it claims to be for.
//!
//! Everything here is cheap: no file of the installation has been read yet. The order is that of
//! a person's questions: is it for us, was it applied already, does it answer an open challenge,
//! may it do what it does.

use super::Component;
use super::change::{Changes, drift_after};
use super::claim::{NodeFacts, check_claim};
use super::lifting::{Lifting, check_acceptable};
use super::live;
use super::moved::Holding;
use super::resolve::{check, unsatisfiable};
use super::tree::Tree;
use crate::model::operation::Operation;
use crate::model::patch::{Accepted, Patch, PatchNode};
use crate::model::snapshot::{Drift, Installed, Snapshot};
use crate::model::state::state_digest;
use crate::model::{Refusal, RefusalName};
use crate::trust::patch::VerifiedPatch;

/// A patch that may be staged on this node, once the installation proves to be in its state.
#[derive(Debug)]
pub struct Admitted {
    patch: VerifiedPatch,
    node: PatchNode,
    snapshot: Snapshot,
    installed: Vec<Installed>,
    target: Vec<Component>,
    new: Tree,
    changes: Changes,
    accepted: Vec<Accepted>,
    warnings: Vec<String>,
}

impl Admitted {
    /// Admits `patch` to the node, or says why not. `accepted` are the refusals that the admin
    /// lifts.
    pub fn new(
        patch: VerifiedPatch,
        facts: &NodeFacts<'_>,
        accepted: Vec<Accepted>,
    ) -> Result<Self, Refusal> {
        let statement = patch.patch();
        let node = check_claim(statement, patch.sha256(), facts)?;
        let snapshot = own_snapshot(&patch, facts)?;
        check_memory(statement, facts)?;
        check_acceptable(&accepted, &patch.site().policy)?;
        let lifting = Lifting {
            policy: &patch.site().policy,
            accepted: &accepted,
        };
        let mut warnings: Vec<String> = patch.warnings().map(str::to_owned).collect();
        warnings.extend(lifting.check_age(&snapshot, facts.now)?);
        let target = target(&patch, facts)?;
        let faults = check(facts.components, &target);
        if !faults.is_empty() {
            return Err(unsatisfiable(&faults));
        }
        lifting.check_downgrades(statement, facts.components, &target)?;
        let (Ok(old), Ok(new)) = (Tree::of(facts.components), Tree::of(&target)) else {
            return Err(unsatisfiable(&["the trees clash".to_owned()]));
        };
        let changes = if node.adopted.is_some() {
            live::check_only_adds(facts.components, &target)?;
            Changes::default()
        } else {
            Changes::between(&old, &new)
        };
        check_foretold(&patch, &node, &snapshot, &new, &changes)?;
        let installed = facts
            .components
            .iter()
            .map(|c| c.installed.clone())
            .collect();
        Ok(Self {
            patch,
            node,
            snapshot,
            installed,
            target,
            new,
            changes,
            accepted,
            warnings,
        })
    }

    /// The verified patch.
    #[must_use]
    pub fn patch(&self) -> &VerifiedPatch {
        &self.patch
    }

    /// The patch's operations, to be carried out once. The changes were planned by then, and are given up:
    /// of a large patch they take as much memory as the operations.
    pub fn take_operations(&mut self) -> Vec<Operation> {
        self.changes = Changes::default();
        self.patch.take_operations()
    }

    /// The patch's entry for this node.
    #[must_use]
    pub fn node(&self) -> &PatchNode {
        &self.node
    }

    /// Why old files do not fit any more once what is new has started: the reasons that its recipes
    /// give; nothing where they do.
    #[must_use]
    pub fn one_way(&self) -> Option<String> {
        super::one_way(&self.installed, &self.target)
    }

    /// What will be installed.
    #[must_use]
    pub fn target(&self) -> &[Component] {
        &self.target
    }

    /// The tree afterwards, by recipe.
    #[must_use]
    pub fn new_tree(&self) -> &Tree {
        &self.new
    }

    /// What differs between them.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// What the admin lifted.
    #[must_use]
    pub fn accepted(&self) -> &[Accepted] {
        &self.accepted
    }

    /// What the admin should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Checks that the installation is in the state the patch was made for: `drift` as the scan
    /// found it just now.
    pub fn check_live(&self, drift: &[Drift]) -> Result<(), Refusal> {
        let components = self.installed.as_slice();
        let expected = Holding {
            components: &self.snapshot.components,
            drift: &self.snapshot.drift,
        };
        live::check(self.node.before, expected, Holding { components, drift })
    }

    /// Where the patch adopts what is there already: checks that it is what the patch says. `drift`
    /// is what differs from the recipes that are adopted, as the scan found it just now.
    pub fn check_adopted(&self, drift: &[Drift]) -> Result<(), Refusal> {
        let installed: Vec<Installed> = self.target.iter().map(|c| c.installed.clone()).collect();
        let components = installed.as_slice();
        let adopted = self.node.adopted.as_deref().unwrap_or_default();
        let expected = Holding {
            components,
            drift: adopted,
        };
        live::check_adopted(self.node.after, expected, Holding { components, drift })
    }
}

/// Only a snapshot that this very node signed is answered.
fn own_snapshot(patch: &VerifiedPatch, facts: &NodeFacts<'_>) -> Result<Snapshot, Refusal> {
    let snapshot = patch.snapshot(facts.name).ok_or_else(|| {
        Refusal::new(
            RefusalName::Corrupt,
            "the patch does not carry the snapshot of this node",
        )
    })?;
    if snapshot.signer() == facts.key {
        return Ok(snapshot.get().clone());
    }
    Err(Refusal::new(
        RefusalName::UntrustedSigner,
        "the snapshot inside the patch was not signed by this node",
    )
    .value("signed by", snapshot.signer().fingerprint())
    .value("this node", facts.key.fingerprint())
    .next("take a snapshot here and prepare for it: lockstep snapshot"))
}

fn check_memory(patch: &Patch, facts: &NodeFacts<'_>) -> Result<(), Refusal> {
    if patch.memory <= facts.memory {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::NoMemory,
        "the patch needs more memory to decode than it is given",
    )
    .value("patch needs", format!("{} bytes", patch.memory))
    .value("given", format!("{} bytes", facts.memory))
    .next(format!("lockstep apply FILE --memory {}", patch.memory)))
}

/// Every component afterwards is one that is installed already, or one that the patch brings and
/// its vendor vouches for.
fn target(patch: &VerifiedPatch, facts: &NodeFacts<'_>) -> Result<Vec<Component>, Refusal> {
    patch
        .patch()
        .target
        .iter()
        .map(|wanted| {
            if let Some(carried) = patch.recipes().get(&wanted.recipe) {
                return Ok(Component {
                    installed: wanted.clone(),
                    recipe: carried.recipe().clone(),
                });
            }
            facts
                .components
                .iter()
                .find(|c| &c.installed == wanted)
                .cloned()
                .ok_or_else(|| {
                    Refusal::new(
                        RefusalName::VendorUntrusted,
                        "the patch names a component whose recipe it does not bring",
                    )
                    .value("component", format!("{} {}", wanted.name, wanted.version))
                    .value("installed", "not in this version")
                    .next("prepare the patch again: lockstep prepare")
                })
        })
        .collect()
}

/// The state afterwards that the patch foretells must be the one that follows here.
fn check_foretold(
    patch: &VerifiedPatch,
    node: &PatchNode,
    snapshot: &Snapshot,
    new: &Tree,
    changes: &Changes,
) -> Result<(), Refusal> {
    let drift = match &node.adopted {
        Some(adopted) => adopted.clone(),
        None => drift_after(&snapshot.drift, changes, new, patch.site().policy.drift)?,
    };
    let after = state_digest(&patch.patch().target, &drift);
    if after == node.after {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Stale,
        "the patch foretells another state than the one that follows here",
    )
    .value("patch foretells", node.after.short())
    .value("follows here", after.short())
    .next(
        "prepare the patch again, under the site file that is in force here: lockstep trust show",
    ))
}
