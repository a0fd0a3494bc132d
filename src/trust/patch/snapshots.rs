//! The snapshots that a patch answers: each signed by the key it states, each as the patch says.

use std::collections::BTreeMap;

use crate::model::patch::{Patch, PatchNode};
use crate::model::snapshot::Snapshot;
use crate::model::{Kind, Name};
use crate::spr::{RawSignature, RawStatement, canonical};

use super::Checklist;
use super::members::Parts;
use crate::trust::TrustError;
use crate::trust::verified::{self, Verified};

pub(super) fn verify(
    patch: &Patch,
    parts: &mut Parts,
    checks: &mut Checklist,
) -> Result<BTreeMap<Name, Verified<Snapshot>>, TrustError> {
    let mut snapshots = BTreeMap::new();
    for node in &patch.nodes {
        let raw = raw(node, parts)?;
        let snapshot: Verified<Snapshot> =
            verified::by_stated_key(&raw, |snapshot: &Snapshot| &snapshot.node.key)?;
        check(patch, node, &snapshot)?;
        let key = snapshot.signer().fingerprint();
        checks.pass(
            "snapshot",
            format!("{}, sequence {}, by {key}", node.name, node.sequence),
        );
        snapshots.insert(node.name.clone(), snapshot);
    }
    Ok(snapshots)
}

/// The snapshot as it stands in the patch; its signature is by the key that it states.
fn raw(node: &PatchNode, parts: &mut Parts) -> Result<RawStatement, TrustError> {
    let bytes = parts.need(&Patch::snapshot_member(&node.name))?;
    let armoured = parts.need(&Patch::snapshot_signature_member(&node.name))?;
    let stated: Snapshot = canonical::decode(&bytes)?;
    let signatures = vec![RawSignature {
        key: stated.node.key.id(),
        armoured,
    }];
    Ok(RawStatement {
        kind: Kind::Snapshot,
        bytes,
        signatures,
    })
}

/// The patch's entry for a node is the snapshot's own word.
fn check(patch: &Patch, node: &PatchNode, snapshot: &Verified<Snapshot>) -> Result<(), TrustError> {
    let stated = snapshot.get();
    let agrees = [
        ("digest", snapshot.sha256() == node.snapshot),
        ("challenge", stated.challenge == node.challenge),
        ("state", stated.state == node.before),
        ("sequence", stated.sequence == node.sequence),
        ("node", stated.node.name == node.name),
        ("environment", stated.environment == patch.environment),
    ];
    match agrees.into_iter().find(|(_, agrees)| !agrees) {
        None => Ok(()),
        Some((what, _)) => Err(TrustError::corrupt(format!(
            "the snapshot of {} has another {what} than the patch says",
            node.name
        ))),
    }
}
