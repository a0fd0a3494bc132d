//! How much room a change takes, mount by mount.

use std::collections::BTreeSet;

use super::super::Node;
use crate::disk::mounts::Layout;
use crate::disk::reserve::Reserve;
use crate::disk::space::{Need, Room, check, free};
use crate::model::Refusal;
use crate::model::recipe::What;
use crate::plan::work::{Put, Work};

/// Bytes that receipt, state and metadata may take.
const OWN_BYTES: u64 = 8 * 1024 * 1024;
/// Inodes that the node's own state may take.
const OWN_INODES: u64 = 64;
/// Bytes of a line of the journal besides its path: two marks with digests have some 290.
const LINE_BYTES: u64 = 352;
/// Bytes of a journal without entries, or of the state that a commit writes.
const STATE_BYTES: u64 = OWN_BYTES / 4;
/// Bytes by which a file may take more than its content: a block of the file system.
const BLOCK_BYTES: u64 = 4_096;
/// Folders and files of a staging area itself.
const AREA_INODES: u64 = 8;

/// What a change needs on each mount. The root's own also takes what is yet to be copied, the
/// journal, and what is written at the commit.
pub(in crate::host) fn needs(work: &Work, layout: &Layout, coming: Room) -> Vec<Need> {
    let mut own = coming.plus(OWN);
    // It may be written twice: as the journal, and into the generation.
    let journals = journal(work).saturating_mul(2);
    own.bytes = own.bytes.saturating_add(journals);
    let area = Room {
        bytes: AREA_INODES.saturating_mul(BLOCK_BYTES),
        inodes: AREA_INODES,
    };
    let mut needs: Vec<Need> = vec![(None, own)];
    needs.extend(
        layout
            .points()
            .iter()
            .map(|point| (Some(point.clone()), area)),
    );
    for put in &work.puts {
        let index = usize::try_from(layout.area(&put.path)).unwrap_or(usize::MAX);
        if let Some((_, room)) = needs.get_mut(index) {
            *room = room.plus(slot(put));
        }
    }
    needs
}

/// Before the packs are copied in: whether they fit, with the least that must still be written.
pub(in crate::host) fn check_packs(node: &Node, packs: Room) -> Result<(), Refusal> {
    Ok(check(node.root(), &[(None, packs.plus(OWN))])?)
}

/// Bytes that a change leaves free where packs are copied to, at the least: all that it needs is taken to
/// lie there.
pub(in crate::host) fn spare(node: &Node, work: &Work, layout: &Layout) -> Result<u64, Refusal> {
    let needs = needs(work, layout, Room::default());
    let needed = needs.iter().map(|(_, room)| room.bytes);
    let needed = needed.fold(0, u64::saturating_add);
    Ok(free(node.root(), None)?.bytes.saturating_sub(needed))
}

/// What the lines of a journal take: one a move, and one for each folder that may have to be opened.
fn journal(work: &Work) -> u64 {
    let paths = work.moves.iter().map(|intent| intent.path.as_str());
    let folders: BTreeSet<&str> = work
        .moves
        .iter()
        .filter_map(|intent| intent.path.parent_str())
        .collect();
    let line = |path: &str| {
        // Each byte of it may be escaped.
        let path = u64::try_from(path.len()).unwrap_or(u64::MAX);
        path.saturating_mul(2).saturating_add(LINE_BYTES)
    };
    paths.chain(folders).map(line).fold(0, u64::saturating_add)
}

/// What files of these sizes take.
pub(in crate::host) fn files(sizes: impl Iterator<Item = u64>) -> Room {
    sizes.map(blocks).fold(Room::default(), Room::plus)
}

/// Room for what is written while the product stands still.
pub(super) struct Reserves {
    /// For the journal.
    pub(super) journal: Reserve,
    /// For the state with its receipt, and for the journal once more.
    pub(super) state: Reserve,
}

impl Reserves {
    /// Takes it, while the product still runs.
    pub(super) fn take(node: &Node, work: &Work) -> Result<Self, Refusal> {
        let bytes = journal(work).saturating_add(STATE_BYTES);
        let reserve = |name| Reserve::take(node.root(), name, bytes);
        Ok(Self {
            journal: reserve("journal")?,
            state: reserve("state")?,
        })
    }
}

const OWN: Room = Room {
    bytes: OWN_BYTES,
    inodes: OWN_INODES,
};

fn slot(put: &Put) -> Room {
    match &put.what {
        What::File(file) => blocks(file.size),
        What::Folder { .. } | What::Link { .. } => blocks(0),
    }
}

const fn blocks(size: u64) -> Room {
    Room {
        bytes: size.saturating_add(BLOCK_BYTES),
        inodes: 1,
    }
}
