//! `Applied`: the new state, signed, durable, and put in force by one rename.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::super::Node;
use super::super::output::{unfinished, write_out};
use super::super::statement::{Deed, NextState, Signing};
use super::seal::Exchanged;
use super::{Outcome, Request, outcome};
use crate::disk::incoming::Incoming;
use crate::disk::{generations, operator, recover};
use crate::model::receipt::{Action, Receipt};
use crate::model::{Name, Refusal, RefusalName, Sha256, Time};
use crate::plan::change::components as component_changes;
use crate::spr::Opened;
use crate::trust::patch::VerifiedPatch;

/// What the admin is told of a commit.
pub(super) struct Done {
    pub(super) sequence: u64,
    pub(super) staging_ms: u64,
    pub(super) downtime_ms: u64,
    pub(super) receipt: Option<PathBuf>,
}

/// The name of the receipt of the next change.
pub(super) fn receipt_name(node: &Node) -> String {
    let sequence = node.state().sequence.saturating_add(1);
    format!("{}-{sequence:04}.receipt.spr", node.environment().name)
}

/// The patches that this node applied, from its receipts.
pub(super) fn applied(node: &Node) -> Result<Vec<(Sha256, u64)>, Refusal> {
    let mut applied = Vec::new();
    for (sequence, file) in node.receipts()? {
        let refuse = |e: crate::spr::SprError| e.refuse(&node.root().state_folder());
        let receipt: Receipt = Opened::open(file.as_slice())
            .and_then(|o| o.decode())
            .map_err(refuse)?;
        applied.extend(receipt.patch.map(|patch| (patch, sequence)));
    }
    Ok(applied)
}

/// Commits what was exchanged. What fails after the rename is unfinished, never reported as the old
/// state; what fails before it is for the caller to undo.
pub(super) fn commit(
    node: &Node,
    exchanged: &Exchanged,
    incoming: &Incoming,
    staging: Duration,
    request: &Request,
    now: Time,
) -> Result<Outcome, Refusal> {
    let written = write(node, exchanged, incoming, staging, now)?;
    let sequence = written.sequence;
    let receipt = written.receipt.unwrap_or_default();
    node.store.commit(written.prepared)?;
    tidy(node, exchanged).map_err(|refusal| {
        unfinished(&refusal, "what was left over could not be tidied", sequence)
            .next("lockstep recover")
    })?;
    let name = receipt_name(node);
    let receipt = write_out(request.receipt.as_deref(), &name, &receipt)
        .map_err(|refusal| unfinished(&refusal, "the receipt could not be written", sequence))?;
    let done = Done {
        sequence,
        staging_ms: millis(staging),
        downtime_ms: millis(exchanged.downtime),
        receipt: Some(receipt),
    };
    Ok(outcome(
        node,
        &exchanged.admitted,
        &exchanged.work,
        Some(done),
    ))
}

/// Writes the state that says what stands now, and checks that it is the one foretold.
fn write(
    node: &Node,
    exchanged: &Exchanged,
    incoming: &Incoming,
    staging: Duration,
    now: Time,
) -> Result<super::super::statement::Written, Refusal> {
    let admitted = &exchanged.admitted;
    let patch = admitted.patch();
    incoming.install(&node.store)?;
    let installed: Vec<_> = admitted
        .target()
        .iter()
        .map(|c| c.installed.clone())
        .collect();
    let next = NextState {
        site: patch.site(),
        drift: exchanged.after.drift.clone(),
        config: exchanged.after.config.clone(),
        floors: patch.floors().to_vec(),
        time_floor: patch.issued().map_or(node.state().time_floor, |issued| {
            issued.max(node.state().time_floor)
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
            files: exchanged.work.counts,
            kept: exchanged.work.kept(),
            patch: Some(patch.sha256()),
            preparer: Some(patch.preparer().principal.clone()),
            operator: operator::User::current().name,
            staging_ms: millis(staging),
            downtime_ms: millis(exchanged.downtime),
        }),
        installed,
        only: true,
    };
    let key = node.key()?;
    let written = next.write(&Signing::of(node, &key))?;
    if written.state == admitted.node().after {
        return Ok(written);
    }
    Err(Refusal::new(
        RefusalName::Internal,
        "the state afterwards is not the one that the patch foretold",
    )
    .value("foretold", admitted.node().after)
    .value("found", written.state))
}

/// Keeps the metadata that was just accepted, for whoever looks into it; the floors that count are
/// in the state.
fn keep_metadata(node: &Node, patch: &VerifiedPatch) -> Result<(), Refusal> {
    let mut metadata: BTreeMap<&Name, BTreeMap<Name, Vec<u8>>> = BTreeMap::new();
    for (vendor, name, bytes) in patch.vendor_files() {
        let name = name.parse().map_err(|e: crate::model::name::NameError| {
            Refusal::new(RefusalName::Corrupt, e.to_string())
        })?;
        metadata
            .entry(vendor)
            .or_default()
            .insert(name, bytes.to_vec());
    }
    for (vendor, files) in metadata {
        node.store.store_vendor(vendor, &files)?;
    }
    Ok(())
}

/// Journal and staging folder go; the displaced files become a generation; old ones go too.
fn tidy(node: &Node, exchanged: &Exchanged) -> Result<(), Refusal> {
    recover::recover(node.root(), &node.store)?;
    let keep = exchanged.admitted.patch().site().policy.keep_generations;
    generations::prune(node.root(), usize::try_from(keep).unwrap_or(usize::MAX))?;
    node.store.prune()?;
    keep_metadata(node, exchanged.admitted.patch())?;
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
