//! What a patch's statement alone gives away: another environment, a patch that was applied, a snapshot
//! that is closed.
//!
//! It is asked of the claim before anything is verified, so that an old patch is refused for what it is
//! and not for the age of what it carries; and again of the verified patch, by [`super::admit`].

use super::Component;
use crate::model::patch::{Patch, PatchNode};
use crate::model::receipt::Action;
use crate::model::snapshot::EnvironmentId;
use crate::model::state::OpenChallenge;
use crate::model::{Name, PublicKey, Refusal, RefusalName, Sha256, Time};

/// What a node knows of itself.
#[derive(Debug, Clone, Copy)]
pub struct NodeFacts<'a> {
    /// Its environment.
    pub environment: &'a EnvironmentId,
    /// Its name.
    pub name: &'a Name,
    /// Its public key.
    pub key: &'a PublicKey,
    /// What is installed, with recipes.
    pub components: &'a [Component],
    /// Its open challenges.
    pub challenges: &'a [OpenChallenge],
    /// What it did so far, by its receipts, rising.
    pub deeds: &'a [PastDeed],
    /// Its sequence number.
    pub sequence: u64,
    /// Bytes of memory that decoding may take.
    pub memory: u64,
    /// The moment, by the host's clock.
    pub now: Time,
}

/// What a node did, by one of its receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastDeed {
    /// The sequence number of the receipt.
    pub sequence: u64,
    /// What was done.
    pub action: Action,
    /// SHA-256 of the `patch.json` that it applied.
    pub applied: Option<Sha256>,
}

/// Refuses a patch for another environment or node, from the claim alone.
pub fn check_identity(
    environment: &EnvironmentId,
    nodes: &[Name],
    here: &EnvironmentId,
    node: &Name,
) -> Result<(), Refusal> {
    if environment.id != here.id {
        return Err(Refusal::new(
            RefusalName::WrongEnvironment,
            "the file was made for another environment",
        )
        .value(
            "made for",
            format!("{} ({})", environment.name, environment.id),
        )
        .value("this is", format!("{} ({})", here.name, here.id))
        .next(format!(
            "take the file made for {}: lockstep apply {}-NNNN.patch.spr",
            here.name, here.name
        )));
    }
    if nodes.contains(node) {
        return Ok(());
    }
    let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    Err(Refusal::new(
        RefusalName::WrongEnvironment,
        "the file was made for other nodes of this environment",
    )
    .value("made for", names.join(", "))
    .value("this is", node)
    .next("take a snapshot of this node as well, and prepare for both"))
}

/// Refuses what a statement alone gives away: another environment, a patch that was applied, a
/// snapshot that is closed. Asked of the claim before anything is verified, so that an old patch is
/// refused for what it is and not for the age of what it carries; and again of the verified patch.
pub fn check_claim(
    patch: &Patch,
    sha256: Sha256,
    facts: &NodeFacts<'_>,
) -> Result<PatchNode, Refusal> {
    let nodes: Vec<Name> = patch.nodes.iter().map(|n| n.name.clone()).collect();
    check_identity(&patch.environment, &nodes, facts.environment, facts.name)?;
    check_not_applied(sha256, facts)?;
    let node = own_node(patch, facts)?;
    check_challenge(&node, facts)?;
    Ok(node)
}

fn check_not_applied(patch: Sha256, facts: &NodeFacts<'_>) -> Result<(), Refusal> {
    let mut deeds = facts.deeds.iter();
    let Some(applied) = deeds.find(|deed| deed.applied == Some(patch)) else {
        return Ok(());
    };
    let sequence = applied.sequence;
    let refusal = Refusal::new(
        RefusalName::AlreadyApplied,
        "this patch was applied here already",
    )
    .value("patch", patch.short())
    .value(
        "applied as",
        format!("sequence {sequence}; the node is at {}", facts.sequence),
    );
    Err(match deeds.find(|deed| deed.action == Action::Rollback) {
        None => refusal.next(format!(
            "nothing to do; lockstep receipt {sequence} --output FILE writes its receipt again"
        )),
        Some(back) => refusal
            .value("rolled back", format!("sequence {}", back.sequence))
            .next(format!(
                "lockstep history says whether generation {sequence} can be brought back (rollback --to \
                 {sequence}); or lockstep snapshot, and prepare again"
            )),
    })
}

fn own_node(patch: &Patch, facts: &NodeFacts<'_>) -> Result<PatchNode, Refusal> {
    patch
        .nodes
        .iter()
        .find(|node| &node.name == facts.name)
        .cloned()
        .ok_or_else(|| {
            Refusal::new(
                RefusalName::WrongEnvironment,
                "the patch does not name this node",
            )
        })
}

/// What closed a snapshot: the first change since, or the snapshot that was to be the only one.
fn closed_by(snapshot: u64, facts: &NodeFacts<'_>) -> String {
    let closes = |deed: &&PastDeed| deed.sequence > snapshot && deed.action != Action::RolledBack;
    facts.deeds.iter().find(closes).map_or_else(
        || "a later snapshot".to_owned(),
        |deed| format!("{}, sequence {}", deed.action.word(), deed.sequence),
    )
}

/// The challenge must be open; a commit since the snapshot has closed it.
fn check_challenge(node: &PatchNode, facts: &NodeFacts<'_>) -> Result<(), Refusal> {
    let open = facts.challenges.iter().any(|open| {
        open.challenge == node.challenge
            && open.state == node.before
            && open.snapshot == node.snapshot
    });
    if open {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Stale,
        "the snapshot that the patch was made for is closed: this node has moved on since",
    )
    .value(
        "patch made for",
        format!("sequence {}, state {}", node.sequence, node.before.short()),
    )
    .value(
        "this node",
        format!(
            "sequence {}, {} open snapshot(s)",
            facts.sequence,
            facts.challenges.len()
        ),
    )
    .value("closed by", closed_by(node.sequence, facts))
    .next("take a new snapshot and prepare again: lockstep snapshot"))
}
