//! The chain of a node's receipts: each names the one before it, from `init` on, and the key that signs
//! changes only where a rehome says so.
//!
//! | attack | defence |
//! |---|---|
//! | a receipt edited, or made by somebody else | each is signed by the key that was the node's own then |
//! | one left out in the middle, or the first ones | each names the digest of the one before; only the first names none |
//! | two exchanged | sequence numbers rise, and each names the one before |
//! | one of another node put among them | environment and node are the same, but across a rehome that names both |
//! | the last ones left out | whoever has the node's newest snapshot compares its head: [`Chain::check_head`] |
//! | a receipt around the snapshot of another moment, or with a second signature | [`receipt`](super::receipt) is asked of each |
//! | another key smuggled in by a rehome | the rehome is signed by the new key, which the reader pins, and names the former |

use crate::model::receipt::Receipt;
use crate::model::snapshot::{EnvironmentId, NodeId};
use crate::model::{PublicKey, Refusal, RefusalName, Sha256};
use crate::spr::RawStatement;

use super::TrustError;
use super::receipt::ReceiptParts;
use super::verified::Verified;

/// Receipts that were checked from the first to the last.
#[derive(Debug)]
pub struct Chain {
    receipts: Vec<Verified<Receipt>>,
}

/// Why receipts are no chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A receipt is not what the node signed.
    #[error("receipt {sequence}: {why}")]
    Receipt {
        /// Its sequence number.
        sequence: u64,
        /// What is wrong with it.
        why: Box<TrustError>,
    },
    /// A receipt, or a snapshot, names another than the one before it.
    #[error("the chain of receipts is broken: one is missing or was changed")]
    Link {
        /// The sequence number of what names it.
        sequence: u64,
        /// The receipt that it names.
        names: Option<Sha256>,
        /// The receipt that stands before it.
        found: Option<Sha256>,
    },
    /// A receipt is of another node than the one after it.
    #[error("a receipt of another node stands in the chain")]
    Stranger {
        /// Its sequence number.
        sequence: u64,
        /// Whose it is.
        of: String,
        /// Whose chain it is.
        chain: String,
    },
    /// There is none.
    #[error("there is no receipt to check")]
    Empty,
}

impl Chain {
    /// Checks receipts, rising by sequence number, of which `key` signed the last.
    pub fn check(receipts: &[ReceiptParts], key: &PublicKey) -> Result<Self, ChainError> {
        let mut checked: Vec<Verified<Receipt>> = Vec::new();
        let mut owner: Option<(EnvironmentId, NodeId)> = None;
        for (at, parts) in receipts.iter().enumerate().rev() {
            let signer = owner.as_ref().map_or(key, |(_, node)| &node.key);
            let agreed = parts.verify(signer).map_err(|e| wrong(&parts.raw, e))?;
            let (verified, ..) = agreed.into_parts();
            let receipt = verified.get();
            if let Some((environment, node)) = &owner {
                check_owner(receipt, environment, node)?;
            }
            let before = at.checked_sub(1).and_then(|before| receipts.get(before));
            check_link(receipt, before.map(|parts| &parts.raw))?;
            owner = Some(match &receipt.rehome {
                Some(rehome) => (
                    rehome.former.environment.clone(),
                    rehome.former.node.clone(),
                ),
                None => (receipt.environment.clone(), receipt.node.clone()),
            });
            checked.push(verified);
        }
        checked.reverse();
        if checked.is_empty() {
            return Err(ChainError::Empty);
        }
        Ok(Self { receipts: checked })
    }

    /// The receipts, rising.
    #[must_use]
    pub fn receipts(&self) -> &[Verified<Receipt>] {
        &self.receipts
    }

    /// SHA-256 of the last receipt.
    #[must_use]
    pub fn head(&self) -> Option<Sha256> {
        self.receipts.last().map(Verified::sha256)
    }

    /// Checks that the chain ends where something that the node signed later says that it does.
    pub fn check_head(&self, sequence: u64, named: Option<Sha256>) -> Result<(), ChainError> {
        if self.head() == named {
            return Ok(());
        }
        Err(ChainError::Link {
            sequence,
            names: named,
            found: self.head(),
        })
    }
}

fn check_owner(
    receipt: &Receipt,
    environment: &EnvironmentId,
    node: &NodeId,
) -> Result<(), ChainError> {
    if receipt.environment.id == environment.id && receipt.node == *node {
        return Ok(());
    }
    Err(ChainError::Stranger {
        sequence: receipt.sequence,
        of: format!("{}, node {}", receipt.environment, receipt.node.name),
        chain: format!("{environment}, node {}", node.name),
    })
}

/// The one before is the one that is named, and has a lower number.
fn check_link(receipt: &Receipt, before: Option<&RawStatement>) -> Result<(), ChainError> {
    let found = before.map(RawStatement::sha256);
    let lower = before
        .and_then(|raw| raw.decode::<Receipt>().ok())
        .is_none_or(|before| before.sequence < receipt.sequence);
    if receipt.previous == found && lower {
        return Ok(());
    }
    Err(ChainError::Link {
        sequence: receipt.sequence,
        names: receipt.previous,
        found,
    })
}

fn wrong(raw: &RawStatement, error: TrustError) -> ChainError {
    ChainError::Receipt {
        sequence: raw
            .decode::<Receipt>()
            .map_or(0, |receipt| receipt.sequence),
        why: Box::new(error),
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        let next = "compare with the receipts that the desk has; keep these as they are for whoever looks into it";
        let refusal = match error {
            ChainError::Receipt { sequence, why } => {
                let refusal = Self::from(*why);
                return refusal.value("at sequence", sequence).next(next);
            }
            ChainError::Empty => Self::new(RefusalName::Usage, error.to_string()),
            _ => Self::new(RefusalName::Corrupt, error.to_string()),
        };
        let show =
            |sha256: &Option<Sha256>| sha256.map_or("none".to_owned(), |sha256| sha256.to_string());
        match &error {
            ChainError::Link {
                sequence,
                names,
                found,
            } => refusal
                .value("at sequence", sequence)
                .value("names", show(names))
                .value("found", show(found)),
            ChainError::Stranger {
                sequence,
                of,
                chain,
            } => refusal
                .value("at sequence", sequence)
                .value("it is of", of)
                .value("the chain", chain),
            ChainError::Empty | ChainError::Receipt { .. } => refusal,
        }
        .next(next)
    }
}
