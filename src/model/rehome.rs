//! A rehome: a node that was copied, moved or restored goes on with a new key, and says in its receipt
//! what it went on from.

use serde::{Deserialize, Serialize};

use super::Sha256;
use super::receipt::Receipt;
use super::snapshot::{EnvironmentId, NodeId};
use super::statement::RuleError;

/// Most bytes of a reason.
pub const REASON_MAX: usize = 2_000;

/// What a rehome went on from, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehome {
    /// What the node was before.
    pub former: Former,
    /// What had happened to it.
    pub how: RehomeHow,
    /// Why, in the operator's words.
    pub reason: String,
}

/// A node before its rehome: what the chain of receipts goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    /// Its environment.
    pub environment: EnvironmentId,
    /// Its name and its key, which signed every receipt before, up to an earlier rehome.
    pub node: NodeId,
    /// SHA-256 of its last receipt: the head of the chain.
    pub receipt: Sha256,
    /// Its sequence number.
    pub sequence: u64,
}

/// What had happened to a node that was rehomed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RehomeHow {
    /// It was copied: the copy became an environment of its own.
    Copied,
    /// It was moved: the same environment elsewhere.
    Moved,
    /// It was put back from a backup, or set back: the same environment, and what it did since is lost.
    Restored,
}

impl RehomeHow {
    /// As it stands in the receipt.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Moved => "moved",
            Self::Restored => "restored",
        }
    }
}

impl Rehome {
    /// Checks what it says against the receipt that it stands in.
    pub fn check(&self, receipt: &Receipt) -> Result<(), RuleError> {
        let former = &self.former;
        let same = former.environment.id == receipt.environment.id;
        let holds = [
            (!self.reason.is_empty(), "a rehome has a reason"),
            (
                self.reason.len() <= REASON_MAX,
                "the reason of a rehome is short",
            ),
            (
                former.sequence < receipt.sequence,
                "a rehome comes after what it goes on from",
            ),
            (
                receipt.previous == Some(former.receipt),
                "a rehome goes on from the receipt before it",
            ),
            (
                former.node.key != receipt.node.key,
                "a rehome makes a new key",
            ),
            (
                same != (self.how == RehomeHow::Copied),
                "a copy, and nothing else, is another environment",
            ),
        ];
        match holds.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(RuleError(rule.to_owned())),
            None => Ok(()),
        }
    }
}
