//! A receipt and the next snapshot inside it: what a node signed twice, it must have said alike. Desk,
//! host and auditor ask here, by one set of rules.
//!
//! | attack | defence |
//! |---|---|
//! | a receipt around the snapshot of another moment, state, environment or node | environment, node, sequence number, state, site file and the receipt before are the same in both |
//! | another snapshot than the one that the receipt was signed around | it has the digest that the receipt states |
//! | a snapshot, or a receipt, of another key | one key signed both, and both state it |
//! | a signature added on the way: signatures are no members, so that anybody could | each has exactly one |

use crate::model::receipt::Receipt;
use crate::model::snapshot::{NodeId, Snapshot};
use crate::model::{Kind, PublicKey, Sha256, Statement};
use crate::spr::{MemberBytes, Opened, RawSignature, RawStatement, SprError};

use super::TrustError;
use super::verified::{Verified, by_key};

/// A receipt's file, of which nothing is believed yet.
#[derive(Debug, Clone)]
pub struct ReceiptParts {
    /// Its statement and signatures.
    pub raw: RawStatement,
    /// The next snapshot and its signature.
    pub members: Vec<MemberBytes>,
}

/// A receipt and the snapshot inside it, which agree. Made here alone.
#[derive(Debug)]
pub struct Agreed {
    receipt: Verified<Receipt>,
    snapshot: Verified<Snapshot>,
    raw: RawStatement,
}

impl ReceiptParts {
    /// Takes a file apart; its members have the digests that it states.
    pub fn open(file: &[u8]) -> Result<Self, SprError> {
        let opened = Opened::open(file)?;
        let receipt: Receipt = opened.decode()?;
        let limit = u64::try_from(file.len()).unwrap_or(u64::MAX);
        let (raw, members) = opened.into_memory(&receipt.members, limit)?;
        Ok(Self { raw, members })
    }

    /// Believes the receipt and the snapshot inside, if `key` alone signed both and they agree.
    pub fn verify(&self, key: &PublicKey) -> Result<Agreed, TrustError> {
        let receipt: Verified<Receipt> = by_node(&self.raw, key)?;
        let raw = self.inside()?;
        let snapshot: Verified<Snapshot> = by_node(&raw, key)?;
        agree(receipt.get(), &snapshot, key)?;
        Ok(Agreed {
            receipt,
            snapshot,
            raw,
        })
    }

    fn inside(&self) -> Result<RawStatement, TrustError> {
        let found = || self.members.iter().map(|(name, _)| name.clone()).collect();
        let none = || TrustError::NoSnapshot { found: found() };
        let [(name, bytes), (signature, armoured)] = self.members.as_slice() else {
            return Err(none());
        };
        let key = signature
            .strip_prefix(Kind::Snapshot.member())
            .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".sig")?.parse().ok())
            .filter(|_| name == Kind::Snapshot.member());
        Ok(RawStatement {
            kind: Kind::Snapshot,
            bytes: bytes.clone(),
            signatures: vec![RawSignature {
                key: key.ok_or_else(none)?,
                armoured: armoured.clone(),
            }],
        })
    }
}

impl Agreed {
    /// The receipt.
    #[must_use]
    pub fn receipt(&self) -> &Verified<Receipt> {
        &self.receipt
    }

    /// The snapshot inside.
    #[must_use]
    pub fn snapshot(&self) -> &Verified<Snapshot> {
        &self.snapshot
    }

    /// The receipt, the snapshot, and the snapshot as it goes into a patch.
    #[must_use]
    pub fn into_parts(self) -> (Verified<Receipt>, Verified<Snapshot>, RawStatement) {
        (self.receipt, self.snapshot, self.raw)
    }
}

/// Verifies a statement of a node: `key` signed it, and nobody else.
pub fn by_node<S: Statement>(
    raw: &RawStatement,
    key: &PublicKey,
) -> Result<Verified<S>, TrustError> {
    check_alone(raw)?;
    by_key(raw, key)
}

/// A node's statement has one signature: there is room for no other where it is carried on.
pub fn check_alone(raw: &RawStatement) -> Result<(), TrustError> {
    match raw.signatures.len() {
        0 | 1 => Ok(()),
        count => Err(TrustError::NodeSignatures {
            what: raw.kind.word(),
            count,
        }),
    }
}

fn agree(
    receipt: &Receipt,
    snapshot: &Verified<Snapshot>,
    key: &PublicKey,
) -> Result<(), TrustError> {
    let inner = snapshot.get();
    let sha256 = |sha256: Option<Sha256>| sha256.map_or("none".to_owned(), |it| it.to_string());
    let node = |node: &NodeId| format!("{}, key {}", node.name, node.key.fingerprint());
    let stated = receipt.members.first().map(|member| member.sha256);
    let said = [
        (
            "environment",
            receipt.environment == inner.environment,
            receipt.environment.to_string(),
            inner.environment.to_string(),
        ),
        (
            "node",
            receipt.node == inner.node && receipt.node.key == *key,
            node(&receipt.node),
            node(&inner.node),
        ),
        (
            "sequence number",
            receipt.sequence == inner.sequence,
            receipt.sequence.to_string(),
            inner.sequence.to_string(),
        ),
        (
            "state",
            receipt.after == inner.state,
            receipt.after.to_string(),
            inner.state.to_string(),
        ),
        (
            "site file",
            receipt.site == inner.site,
            format!("version {}, {}", receipt.site.version, receipt.site.sha256),
            format!("version {}, {}", inner.site.version, inner.site.sha256),
        ),
        (
            "receipt before",
            receipt.previous == inner.receipt,
            sha256(receipt.previous),
            sha256(inner.receipt),
        ),
        (
            "digest of the snapshot",
            stated == Some(snapshot.sha256()),
            sha256(stated),
            sha256(Some(snapshot.sha256())),
        ),
    ];
    match said.into_iter().find(|(_, same, ..)| !same) {
        None => Ok(()),
        Some((about, _, receipt, snapshot)) => Err(TrustError::Disagree {
            about,
            receipt,
            snapshot,
        }),
    }
}
