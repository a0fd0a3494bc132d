//! What a restored node goes on from: the state that `current` names, or where that is damaged or
//! missing, the newest that is intact; and what all of them together say.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::Node;
use super::super::intact::Intact;
use crate::disk::DiskError;
use crate::disk::state::StateStore;
use crate::model::snapshot::{Floor, NodeId, SiteRef};
use crate::model::{Refusal, RefusalName, Sha256, Time};
use crate::trust::vendor::highest_floors;

/// A node that is opened to be rehomed.
pub(in crate::host) struct Found {
    /// The node as the state that it goes on from has it.
    pub(super) node: Node,
    /// Who it was: its name, and the key that signed that state.
    pub(super) former: NodeId,
    /// What all intact states say.
    pub(super) witness: Witness,
    /// What was lost, in words.
    pub(super) lost: Vec<String>,
}

/// The highest that any intact state of the node says.
#[derive(Default)]
pub(super) struct Witness {
    pub(super) sequence: u64,
    /// By the version of the site file under which they were kept.
    pub(super) floors: BTreeMap<u64, Vec<Floor>>,
    pub(super) time_floor: Option<Time>,
    /// The newest site file that was in force.
    pub(super) site: Option<SiteRef>,
    /// Every head of the chain that was in force.
    pub(super) heads: Vec<Sha256>,
}

impl Witness {
    fn add(&mut self, intact: &Intact) {
        let state = &intact.state.state;
        self.sequence = self.sequence.max(state.sequence);
        let floors = self.floors.entry(state.site.version).or_default();
        *floors = highest_floors(&[floors, &state.floors]);
        self.time_floor = self.time_floor.max(Some(state.time_floor));
        if self
            .site
            .as_ref()
            .is_none_or(|known| known.version < state.site.version)
        {
            self.site = Some(state.site.clone());
        }
        self.heads.push(state.receipt);
    }
}

impl Found {
    /// A node whose state is the one that `current` names.
    pub(super) fn whole(node: Node) -> Result<Self, Refusal> {
        let sequence = node.state().sequence;
        let intact = Intact::read(&node.store, sequence, None)?;
        Ok(Self {
            former: intact.snapshot.get().node.clone(),
            node,
            witness: Witness::default(),
            lost: Vec::new(),
        })
    }
}

/// Opens a node to restore it, however little of its state is left.
pub(super) fn open(root: &Path, command: &str, now: Time) -> Result<Found, Refusal> {
    let (root, lock) = Node::lock_root(root, command, now)?;
    let store = StateStore::open(&root);
    // Nothing else says whose the states before a rehome are.
    store.environment()?;
    let mut lost = Vec::new();
    let current = match store.current() {
        Ok(current) => Some(current),
        Err(error @ DiskError::Damaged { .. }) => {
            lost.push(format!("the state that counted: {error}"));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut witness = Witness::default();
    let mut newest: Option<Intact> = None;
    for sequence in store.numbers()? {
        match Intact::read(&store, sequence, None) {
            Ok(intact) => {
                witness.add(&intact);
                newest = Some(intact);
            }
            Err(refusal) => lost.push(format!("state {sequence}: {}", refusal.what)),
        }
    }
    let base = match current {
        Some(current) => Intact::read(&store, current.sequence, None)?,
        None => newest.ok_or_else(|| nothing_left(store.folder()))?,
    };
    let former = base.snapshot.get().node.clone();
    let node = Node::assemble(root, store, base.state, Some(lock))?;
    if !node.key_path().exists() {
        lost.push("the node's key, which is of no use any more".to_owned());
    }
    Ok(Found {
        node,
        former,
        witness,
        lost,
    })
}

fn nothing_left(folder: &Path) -> Refusal {
    Refusal::new(
        RefusalName::Corrupt,
        "no state of this node is intact: there is nothing to go on from",
    )
    .value("looked in", folder.join("states").display())
    .next("put .lockstep back from another backup, then the same command again; do not init again")
}
