//! What an admitted patch says of the change that it makes: the state that its commit puts in force.

use std::collections::BTreeMap;

use super::super::Node;
use super::super::change::{After, Decided};
use super::super::statement::{Deed, NextState, Times};
use crate::disk::incoming::Incoming;
use crate::disk::operator;
use crate::model::receipt::{Action, Receipt};
use crate::model::{Name, Refusal, Sha256, Time};
use crate::plan::admit::Admitted;
use crate::plan::change::components as component_changes;
use crate::plan::claim::PastDeed;
use crate::plan::work::Work;

/// A patch that was admitted, with the recipes that came in it.
pub(super) struct Decision {
    pub(super) admitted: Admitted,
    pub(super) incoming: Incoming,
}

impl Decided for Decision {
    fn one_way(&self) -> Option<String> {
        let adopts = self.admitted.patch().patch().adopts();
        if adopts {
            None
        } else {
            self.admitted.one_way()
        }
    }

    fn next<'a>(&'a self, node: &'a Node, after: &After, work: &Work, now: Time) -> NextState<'a> {
        let admitted = &self.admitted;
        let patch = admitted.patch();
        let installed: Vec<_> = admitted
            .target()
            .iter()
            .map(|c| c.installed.clone())
            .collect();
        NextState {
            site: patch.site(),
            drift: after.drift.clone(),
            config: after.config.clone(),
            indexed: after.indexed,
            floors: patch.floors().to_vec(),
            time_floor: patch.time_floor().map_or(node.state().time_floor, |floor| {
                floor.max(node.state().time_floor)
            }),
            now,
            inventory: None,
            deed: Some(Deed {
                action: if patch.patch().adopts() {
                    Action::Adopt
                } else {
                    Action::Apply
                },
                accepted: admitted.accepted().to_vec(),
                approvals: patch.approvals().to_vec(),
                changes: component_changes(node.installed(), &installed),
                files: work.counts,
                kept: work.kept(),
                patch: Some(patch.sha256()),
                preparer: Some(patch.preparer().principal.clone()),
                operator: operator::User::current().name,
                times: Times::default(),
                failure: None,
                restored: None,
                rehome: None,
            }),
            installed,
            only: true,
        }
    }

    fn leaves_something(&self) -> bool {
        !self.admitted.target().is_empty()
    }

    fn foretold(&self) -> Option<Sha256> {
        Some(self.admitted.node().after)
    }

    fn keep_generations(&self, _: &Node) -> u64 {
        self.admitted.patch().site().policy.keep_generations
    }

    fn install(&self, node: &Node) -> Result<(), Refusal> {
        Ok(self.incoming.install(&node.store)?)
    }

    /// The metadata that was just accepted, for whoever looks into it; the floors that count are in
    /// the state.
    fn keep(&self, node: &Node) -> Result<(), Refusal> {
        let mut metadata: BTreeMap<&Name, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        for (vendor, name, bytes) in self.admitted.patch().vendor_files() {
            let files = metadata.entry(vendor).or_default();
            files.insert(name.to_owned(), bytes.to_vec());
        }
        for (vendor, files) in metadata {
            node.store.store_vendor(vendor, &files)?;
        }
        Ok(())
    }
}

/// What this node did so far, from its receipts.
pub(super) fn deeds(node: &Node) -> Result<Vec<PastDeed>, Refusal> {
    let deed = |receipt: Receipt| PastDeed {
        sequence: receipt.sequence,
        action: receipt.action,
        applied: receipt.applied(),
    };
    Ok(node.deeds()?.into_iter().map(deed).collect())
}
