//! The receipt: a node's signed statement of what it did. Receipts form a chain.

use serde::{Deserialize, Serialize};

use super::patch::Accepted;
use super::rehome::Rehome;
use super::service::Failure;
use super::snapshot::{EnvironmentId, NodeId, SiteRef};
use super::statement::{RuleError, check_rising};
use super::wire::at_most;
use super::{Kind, Member, Name, Principal, Sha256, Statement, Time, TreePath, Version};

/// What a node says it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Refusals that were lifted, with reasons.
    #[serde(deserialize_with = "at_most::<64, _, _>")]
    pub accepted: Vec<Accepted>,
    /// What was done.
    pub action: Action,
    /// State digest afterwards.
    pub after: Sha256,
    /// Who approved.
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub approvals: Vec<Principal>,
    /// State digest before; absent for the first receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Sha256>,
    /// Components that changed, rising by name.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub changes: Vec<Change>,
    /// When, by the host's clock.
    pub created: Time,
    /// Milliseconds from asking the service to stop until it was well again; where the commit comes
    /// before the start, or there is no service, only those of the exchange.
    pub downtime_ms: u64,
    /// Which environment.
    pub environment: EnvironmentId,
    /// Milliseconds in which files were exchanged and made durable: a part of the downtime.
    pub exchange_ms: u64,
    /// What the service did not do, so that the change was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Files added, changed and removed.
    pub files: FileCounts,
    /// The file format.
    pub format: u32,
    /// Config files kept as the customer has them; where there is a new one, it lies beside as `.new`.
    pub kept: Vec<TreePath>,
    /// Always [`Kind::Receipt`].
    pub kind: Kind,
    /// The next snapshot and its signature.
    pub members: Vec<Member>,
    /// Which node.
    pub node: NodeId,
    /// The user who ran the command.
    pub operator: String,
    /// SHA-256 of `patch.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Sha256>,
    /// Who prepared the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preparer: Option<Principal>,
    /// SHA-256 of the receipt before this one; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Sha256>,
    /// What a rehome went on from: another key, and perhaps another environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehome: Option<Rehome>,
    /// The generation that a rollback brought back, or tried to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<u64>,
    /// The node's sequence number with this receipt.
    pub sequence: u64,
    /// The site file in force afterwards.
    pub site: SiteRef,
    /// Milliseconds of staging, with the service running.
    pub staging_ms: u64,
}

/// What a receipt is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A patch registered what was there already; no file was touched.
    Adopt,
    /// A patch was applied.
    Apply,
    /// The environment was made.
    Init,
    /// A copied, moved or restored node got a key of its own.
    Rehome,
    /// The files of an earlier generation were brought back.
    Rollback,
    /// A change was made and taken back, because the service did not start on it: the old state
    /// stands, and nothing was consumed.
    RolledBack,
    /// A newer site file was taken.
    Trust,
}

impl Action {
    /// The action as one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Apply => "apply",
            Self::Init => "init",
            Self::Rehome => "rehome",
            Self::Rollback => "rollback",
            Self::RolledBack => "rolled-back",
            Self::Trust => "trust",
        }
    }

    /// Whether it makes a generation: whether the files may be others afterwards.
    #[must_use]
    pub const fn makes_generation(self) -> bool {
        match self {
            Self::Adopt | Self::Apply | Self::Init | Self::Rollback => true,
            Self::Rehome | Self::RolledBack | Self::Trust => false,
        }
    }
}

/// A component that changed; a missing side is "not installed".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The component.
    pub component: Name,
    /// The version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// The version afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{} {from} -> {to}", self.component),
            (None, Some(to)) => write!(f, "{} {to} (new)", self.component),
            (Some(from), None) => write!(f, "{} {from} (removed)", self.component),
            (None, None) => write!(f, "{}", self.component),
        }
    }
}

/// How many files an action touched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCounts {
    /// Files, links and folders that were not there before.
    pub added: u64,
    /// Files and links that were exchanged.
    pub changed: u64,
    /// Files, links and folders that are gone.
    pub removed: u64,
}

impl Receipt {
    /// The patch that is applied with this receipt; one that was taken back is not.
    #[must_use]
    pub fn applied(&self) -> Option<Sha256> {
        self.patch
            .filter(|_| matches!(self.action, Action::Adopt | Action::Apply))
    }
}

impl Statement for Receipt {
    const KIND: Kind = Kind::Receipt;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        check_rising("changes", &self.changes, |c| c.component.clone())?;
        let taken_back = self.action == Action::RolledBack;
        if taken_back != self.failure.is_some() {
            return Err(RuleError(
                "what was taken back, and nothing else, says what the service did not do"
                    .to_owned(),
            ));
        }
        self.failure.as_ref().map_or(Ok(()), Failure::check)?;
        if (self.action == Action::Rehome) != self.rehome.is_some() {
            return Err(RuleError(
                "a rehome, and nothing else, says what it went on from".to_owned(),
            ));
        }
        self.rehome
            .as_ref()
            .map_or(Ok(()), |rehome| rehome.check(self))?;
        let first = self.action == Action::Init;
        if first != self.previous.is_none() {
            return Err(RuleError(
                "only the first receipt has none before it".to_owned(),
            ));
        }
        match self.members.as_slice() {
            [snapshot, _] if snapshot.name == Kind::Snapshot.member() => Ok(()),
            _ => Err(RuleError(
                "a receipt holds the next snapshot and its signature".to_owned(),
            )),
        }
    }
}
