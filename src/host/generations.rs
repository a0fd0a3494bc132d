//! The generations of a node: what stood after each change of its files, and which of that can be
//! brought back.
//!
//! A generation is called by the sequence number of the state whose commit made it. What change n
//! displaced lies in `generations/<n>/`, so that a generation can be brought back as long as what
//! every later change displaced is kept. An adoption bars the way: before it, nobody knows what stood there.

use std::collections::BTreeSet;

use super::Node;
use crate::disk::generations;
use crate::model::receipt::Action;
use crate::model::snapshot::Snapshot;
use crate::model::{Refusal, RefusalName, Time};
use crate::plan::recovery::Journal;
use crate::spr::Opened;
use crate::trust::verified::by_key;

/// What stood after a change of files.
#[derive(Debug, Clone)]
pub(super) struct Generation {
    /// The sequence number of its state.
    pub(super) sequence: u64,
    /// What made it.
    pub(super) action: Action,
    /// When.
    pub(super) created: Time,
    /// The next generation, whose change displaced what this one had; nothing for the one that
    /// stands.
    pub(super) displaced_by: Option<u64>,
    /// Whether it can be brought back.
    pub(super) reachable: bool,
}

/// Every generation since `init`, rising; the last one stands.
pub(super) fn all(node: &Node) -> Result<Vec<Generation>, Refusal> {
    let mut all: Vec<Generation> = Vec::new();
    for receipt in node.deeds()? {
        if receipt.action.makes_generation() {
            all.push(Generation {
                sequence: receipt.sequence,
                action: receipt.action,
                created: receipt.created,
                displaced_by: None,
                reachable: false,
            });
        }
    }
    let kept: BTreeSet<u64> = generations::list(node.root())?.into_iter().collect();
    let mut later: Option<(u64, Action)> = None;
    let mut open = true;
    for generation in all.iter_mut().rev() {
        if let Some((change, action)) = later {
            open = open && kept.contains(&change) && action != Action::Adopt;
            generation.displaced_by = Some(change);
            generation.reachable = open;
        }
        later = Some((generation.sequence, generation.action));
    }
    Ok(all)
}

/// The signed statement of what a generation held.
pub(super) fn snapshot(node: &Node, sequence: u64) -> Result<Snapshot, Refusal> {
    let at = node
        .root()
        .state_folder()
        .join(format!("states/{sequence}/snapshot.spr"));
    let file = node.store.snapshot(sequence)?;
    let opened = Opened::open(file.as_slice()).map_err(|e| e.refuse(&at))?;
    let verified = by_key::<Snapshot>(opened.raw(), &node.key_at(sequence)?)?;
    let snapshot = verified.get().clone();
    if snapshot.sequence == sequence {
        return Ok(snapshot);
    }
    Err(Refusal::new(
        RefusalName::Corrupt,
        "the snapshot of an earlier state is that of another",
    )
    .value("wanted", sequence)
    .value("found", snapshot.sequence)
    .next("lockstep history --check; keep this folder as it is for whoever looks into it"))
}

/// The journals of all changes after a generation, rising.
pub(super) fn journals_after(
    node: &Node,
    all: &[Generation],
    sequence: u64,
) -> Result<Vec<Journal>, Refusal> {
    all.iter()
        .filter(|generation| generation.sequence > sequence)
        .map(|generation| Ok(generations::journal(node.root(), generation.sequence)?))
        .collect()
}

/// Removes all but what the newest `keep` changes displaced, and the recipes that no generation
/// needs which can still be brought back.
pub(super) fn prune(node: &Node, keep: usize) -> Result<(), Refusal> {
    generations::prune(node.root(), keep)?;
    let current = node.store.current()?.state.installed;
    let mut needed: BTreeSet<_> = current.iter().map(|i| i.recipe).collect();
    for generation in all(node)?.iter().filter(|generation| generation.reachable) {
        let snapshot = snapshot(node, generation.sequence)?;
        needed.extend(snapshot.components.iter().map(|i| i.recipe));
    }
    Ok(node.store.prune_recipes(&needed)?)
}
