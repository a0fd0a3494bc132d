//! The patch: the change of exactly one environment from exactly one state to another.
//!
//! It names no destination. The target tree follows from the recipes of [`Patch::target`], on the
//! host; an [`Operation`] says only how to obtain the content with a digest. There may be a million of
//! them, so their list is a member beside the statement, which stays small enough to be read by a person.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::operation::{OPERATIONS_MEMBER, Operation, Tally};
use super::recipe::FILES_MAX;
use super::snapshot::{Challenge, Drift, EnvironmentId, Installed, SiteRef};
use super::statement::{RuleError, check_rising};
use super::version::Version;
use super::volume::VOLUMES_MAX;
use super::wire::at_most;
use super::{Kind, Member, Name, RefusalName, Sha256, Statement, Time};

/// Bytes of content in one pack before compression, at most.
pub const PACK_MAX: u64 = 64 * 1024 * 1024;

/// Most paths that one patch may touch, folders among them: five recipes as large as they may be. The other
/// bounds leave room for as many of usual length (`tests/format_page.rs` does the sums).
pub const PATHS_MAX: usize = 5 * FILES_MAX;

/// What a preparer signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Refusals that the preparer lifted, with reasons.
    #[serde(deserialize_with = "at_most::<64, _, _>")]
    pub accepted: Vec<Accepted>,
    /// The day after which metadata in it expires for the host.
    pub apply_before: Time,
    /// When it was prepared, by the desk's clock.
    pub created: Time,
    /// Versions lowered and components removed: stated, or the host refuses.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub downgrades: Vec<Downgrade>,
    /// For which environment.
    pub environment: EnvironmentId,
    /// The file format.
    pub format: u32,
    /// Always [`Kind::Patch`].
    pub kind: Kind,
    /// Everything behind the statement and its signatures, in order.
    pub members: Vec<Member>,
    /// Bytes of memory that decoding its operations takes, at most.
    pub memory: u64,
    /// The nodes it is for, rising by name.
    #[serde(deserialize_with = "at_most::<256, _, _>")]
    pub nodes: Vec<PatchNode>,
    /// How many contents that the target needs, and the node has not at their paths, are obtained how:
    /// of the list in the member [`OPERATIONS_MEMBER`]; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<Tally>,
    /// The packs, whose contents joined are the stream that operations cut from.
    #[serde(deserialize_with = "at_most::<100_000, _, _>")]
    pub packs: Vec<Pack>,
    /// The recipe files inside, rising by digest.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub recipes: Vec<CarriedRecipe>,
    /// The site file that the preparer worked under.
    pub site: SiteRef,
    /// What is installed afterwards: all of it, rising by name.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub target: Vec<Installed>,
    /// The vendor metadata inside, rising by vendor.
    #[serde(deserialize_with = "at_most::<256, _, _>")]
    pub vendors: Vec<CarriedVendor>,
    /// How many packs each volume holds; their sum is the number of packs, and none is 0 but that of
    /// a patch without packs.
    #[serde(deserialize_with = "at_most::<VOLUMES_MAX, _, _>")]
    pub volumes: Vec<u64>,
}

/// A node that a patch is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchNode {
    /// Where the patch adopts what is there already: the drift that is registered with it, rising
    /// by path. No file is touched then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Vec<Drift>>,
    /// The state digest it will have.
    pub after: Sha256,
    /// The state digest it must have.
    pub before: Sha256,
    /// The challenge that is answered.
    pub challenge: Challenge,
    /// Its name.
    pub name: Name,
    /// The sequence number of the snapshot.
    pub sequence: u64,
    /// SHA-256 of the snapshot's statement, a member.
    pub snapshot: Sha256,
}

/// A refusal that somebody lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Which refusal.
    pub name: RefusalName,
    /// Why.
    pub reason: String,
}

/// A lowered version, or a removed component when `to` is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Downgrade {
    /// The component.
    pub component: Name,
    /// The version installed.
    pub from: Version,
    /// The version afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
}

impl fmt::Display for Downgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            Some(to) => write!(f, "{} {} -> {to}", self.component, self.from),
            None => write!(f, "{} {} -> removed", self.component, self.from),
        }
    }
}

/// One pack: a zstd frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// Its member name, `packs/0000.zst` and so on.
    pub member: String,
    /// Bytes it decompresses to, at most [`PACK_MAX`].
    pub size: u64,
}

/// A recipe file inside a patch: the TUF target's bytes, compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedRecipe {
    /// SHA-256 of the installed recipe file that serves as the zstd dictionary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Sha256>,
    /// SHA-256 of the recipe file once decompressed; its member is `recipes/<this>.spr.zst`.
    pub recipe: Sha256,
    /// Bytes it decompresses to.
    pub size: u64,
}

/// A vendor's metadata inside a patch, as it was verified on the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarriedVendor {
    /// When its timestamp was issued, by the vendor's clock.
    pub issued: Time,
    /// The vendor.
    pub name: Name,
}

impl Statement for Patch {
    const KIND: Kind = Kind::Patch;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        check_rising("nodes", &self.nodes, |n| n.name.clone())?;
        check_rising("recipes", &self.recipes, |r| r.recipe)?;
        check_rising("target components", &self.target, |c| c.name.clone())?;
        check_rising("vendors", &self.vendors, |v| v.name.clone())?;
        check_rising("downgrades", &self.downgrades, |d| d.component.clone())?;
        if self.nodes.is_empty() {
            return Err(RuleError("a patch is for at least one node".to_owned()));
        }
        self.check_adoption()?;
        self.check_packs()?;
        self.check_tally()
    }
}

impl Patch {
    /// The member name of the pack with this index.
    #[must_use]
    pub fn pack_member(index: usize) -> String {
        format!("packs/{index:04}.zst")
    }

    /// Whether a member is a pack, by its name: it is in one volume alone.
    #[must_use]
    pub fn is_pack(member: &Member) -> bool {
        member.name.starts_with("packs/")
    }

    /// For each volume, which of the packs it holds.
    #[must_use]
    pub fn shares(&self) -> Vec<Range<usize>> {
        let mut at = 0_usize;
        let share = |count: &u64| {
            let from = at;
            at = at.saturating_add(usize::try_from(*count).unwrap_or(usize::MAX));
            from..at
        };
        self.volumes.iter().map(share).collect()
    }

    /// The member name of a recipe.
    #[must_use]
    pub fn recipe_member(recipe: &Sha256) -> String {
        format!("recipes/{recipe}.spr.zst")
    }

    /// The member name of a node's snapshot.
    #[must_use]
    pub fn snapshot_member(node: &Name) -> String {
        format!("snapshots/{node}.json")
    }

    /// The member name of that snapshot's signature, by the key that the snapshot states.
    #[must_use]
    pub fn snapshot_signature_member(node: &Name) -> String {
        format!("snapshots/{node}.json.sig")
    }

    /// Whether it registers components that are there already, and touches no file.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.nodes.iter().any(|node| node.adopted.is_some())
    }

    fn check_adoption(&self) -> Result<(), RuleError> {
        for node in &self.nodes {
            if let Some(drift) = &node.adopted {
                check_rising("adopted drift", drift, |d| d.path.clone())?;
            }
        }
        let all = self.nodes.iter().all(|node| node.adopted.is_some());
        let idle = self.operations.is_none() && self.downgrades.is_empty();
        if !self.adopts() || (all && idle) {
            return Ok(());
        }
        Err(RuleError(
            "a patch that adopts does so on every node, and brings and lowers nothing".to_owned(),
        ))
    }

    fn check_packs(&self) -> Result<(), RuleError> {
        for (index, pack) in self.packs.iter().enumerate() {
            if pack.member != Self::pack_member(index) || pack.size > PACK_MAX || pack.size == 0 {
                return Err(RuleError(format!("pack {index} has a wrong name or size")));
            }
        }
        // Where a pack stands in a file follows from that.
        let first = self.members.len().checked_sub(self.packs.len());
        let split = first.and_then(|first| self.members.split_at_checked(first));
        let ordered = split.is_some_and(|(small, packs)| {
            let names = packs.iter().map(|member| &member.name);
            names.eq(self.packs.iter().map(|pack| &pack.member)) && !small.iter().any(Self::is_pack)
        });
        if !ordered {
            return Err(RuleError(
                "the packs are not the last members, or stand in another order".to_owned(),
            ));
        }
        let packs = u64::try_from(self.packs.len()).unwrap_or(u64::MAX);
        let in_volumes = self.volumes.iter().copied().fold(0, u64::saturating_add);
        if packs != in_volumes || self.volumes.is_empty() {
            return Err(RuleError(format!(
                "the volumes hold {in_volumes} of {packs} packs"
            )));
        }
        if packs > 0 && self.volumes.contains(&0) || packs == 0 && self.volumes.len() > 1 {
            return Err(RuleError("a volume holds no pack".to_owned()));
        }
        Ok(())
    }

    /// Whether the statement and its members agree that there is a list of operations.
    fn check_tally(&self) -> Result<(), RuleError> {
        let is_list = |member: &&Member| member.name == OPERATIONS_MEMBER;
        let listed = self.members.iter().any(|member| is_list(&member));
        match self.operations {
            Some(stated) if listed => stated.check(),
            None if !listed && self.packs.is_empty() => Ok(()),
            Some(_) | None => Err(RuleError(format!(
                "the statement and its member {OPERATIONS_MEMBER} do not agree"
            ))),
        }
    }

    /// Checks a list of operations: it is the one that the statement speaks of, and takes the packs
    /// from front to back.
    pub fn check_list(&self, list: &[Operation]) -> Result<(), RuleError> {
        let mut at = 0_u64;
        for op in list {
            if !op.is_shaped() || op.offset != at || op.memory > self.memory {
                return Err(RuleError(format!(
                    "the operation for {} is malformed",
                    op.content
                )));
            }
            at = at.saturating_add(op.length);
        }
        let packed = self
            .packs
            .iter()
            .map(|pack| pack.size)
            .fold(0, u64::saturating_add);
        if at != packed {
            return Err(RuleError(format!(
                "operations take {at} bytes of {packed} in packs"
            )));
        }
        let size = self.operations.map_or(0, |stated| stated.size);
        let found = Tally::of(list, size);
        if found == self.operations {
            return Ok(());
        }
        let said = |tally: Option<Tally>| tally.map_or("none".to_owned(), |all| all.to_string());
        Err(RuleError(format!(
            "there are other operations than the statement says: {}, and not {}",
            said(found),
            said(self.operations)
        )))
    }
}
