//! The order of the moves: files away, folders away (the deepest first), exchanges, folders in (the
//! topmost first), files in. Each path is moved once, so that recovery can judge it by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::fate::{Fate, Met, Own};
use crate::model::TreePath;
use crate::model::receipt::FileCounts;
use crate::model::recipe::What;

/// Something to stage: it gets the slot with its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// What to make.
    pub what: What,
    /// Where it will go.
    pub path: TreePath,
    /// Whether it takes over owner, mode and attributes of what stands there.
    pub replaces: bool,
}

/// Which way a path and a slot move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Both change places.
    Exchange,
    /// The slot moves to the path.
    Place,
    /// The path moves to the slot.
    Remove,
}

/// A move between a slot and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Which move.
    pub turn: Turn,
    /// The path in the tree.
    pub path: TreePath,
    /// The slot in the staging folder; a removed path goes to one with no [`Put`].
    pub slot: u64,
}

/// All that is to be done, in the order in which it must be done.
#[derive(Debug, Default)]
pub struct Work {
    /// What to stage, by slot.
    pub puts: Vec<Put>,
    /// The moves: files away, folders away, exchanges, folders in, files in. A path is moved once.
    pub moves: Vec<Intent>,
    /// What becomes of the customer's own, rising by path.
    pub met: Vec<Met>,
    /// What the receipt will count.
    pub counts: FileCounts,
}

impl Work {
    /// Config files that stay as the customer has them, rising: what a receipt lists.
    #[must_use]
    pub fn kept(&self) -> Vec<TreePath> {
        let kept = self.met.iter().filter(|met| met.keeps_config());
        kept.map(|met| met.path.clone()).collect()
    }

    /// Bytes and slots that staging takes.
    #[must_use]
    pub fn space(&self) -> (u64, u64) {
        let bytes = self
            .puts
            .iter()
            .map(|put| {
                if let What::File(file) = &put.what {
                    file.size
                } else {
                    0
                }
            })
            .fold(0, u64::saturating_add);
        (bytes, u64::try_from(self.puts.len()).unwrap_or(u64::MAX))
    }
}

impl Work {
    /// Says of what is displaced in which slot it will lie.
    fn add_displaced(&mut self, displaced: Vec<(TreePath, Own)>) {
        let moves: BTreeMap<&TreePath, &Intent> = self
            .moves
            .iter()
            .map(|intent| (&intent.path, intent))
            .collect();
        let met = displaced.into_iter().filter_map(|(path, own)| {
            let intent = moves.get(&path)?;
            let fate = match intent.turn {
                Turn::Remove => Fate::TakenAway(intent.slot),
                Turn::Exchange | Turn::Place => Fate::Overwritten(intent.slot),
            };
            Some(Met { path, own, fate })
        });
        self.met.extend(met);
        self.met.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

/// What is to be done, sorted by how.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) away: Vec<TreePath>,
    pub(super) folders_away: Vec<TreePath>,
    pub(super) folders_in: Vec<(TreePath, What)>,
    pub(super) exchange: Vec<(TreePath, What)>,
    pub(super) place: Vec<(TreePath, What)>,
    /// What is met and stays where it is.
    pub(super) met: Vec<Met>,
    /// What is met and moves to the generation.
    pub(super) displaced: Vec<(TreePath, Own)>,
}

impl Parts {
    /// What goes and comes at one path (a file becomes a folder, or a folder a file) is exchanged.
    fn join_same_paths(&mut self) {
        let folders = std::mem::take(&mut self.folders_in);
        self.folders_in = self.exchange_with_leaving(folders, |parts| &mut parts.away);
        let place = std::mem::take(&mut self.place);
        self.place = self.exchange_with_leaving(place, |parts| &mut parts.folders_away);
    }

    /// Of what comes, whatever takes the place of something that goes is exchanged with it; the rest
    /// is handed back.
    fn exchange_with_leaving(
        &mut self,
        coming: Vec<(TreePath, What)>,
        leaving: fn(&mut Self) -> &mut Vec<TreePath>,
    ) -> Vec<(TreePath, What)> {
        let gone: BTreeSet<TreePath> = leaving(self).iter().cloned().collect();
        let (both, rest): (Vec<_>, Vec<_>) = coming
            .into_iter()
            .partition(|(path, _)| gone.contains(path));
        let joined: BTreeSet<&TreePath> = both.iter().map(|(path, _)| path).collect();
        leaving(self).retain(|path| !joined.contains(path));
        self.exchange.extend(both);
        rest
    }

    pub(super) fn into_work(mut self) -> Work {
        self.join_same_paths();
        let mut work = Work {
            met: self.met,
            ..Work::default()
        };
        let displaced = self.displaced;
        let exchanged = self
            .exchange
            .into_iter()
            .map(|(path, what)| (Turn::Exchange, path, what));
        let folders = self
            .folders_in
            .into_iter()
            .map(|(path, what)| (Turn::Place, path, what));
        let placed = self
            .place
            .into_iter()
            .map(|(path, what)| (Turn::Place, path, what));
        let mut moves_in = Vec::new();
        for (slot, (turn, path, what)) in (0_u64..).zip(exchanged.chain(folders).chain(placed)) {
            let count = match turn {
                Turn::Exchange => &mut work.counts.changed,
                _ => &mut work.counts.added,
            };
            *count = count.saturating_add(1);
            let replaces = turn == Turn::Exchange;
            work.puts.push(Put {
                what,
                path: path.clone(),
                replaces,
            });
            moves_in.push(Intent { turn, path, slot });
        }
        let first_free = u64::try_from(work.puts.len()).unwrap_or(u64::MAX);
        let away = self.away.into_iter().chain(self.folders_away);
        for (slot, path) in (first_free..).zip(away) {
            work.counts.removed = work.counts.removed.saturating_add(1);
            work.moves.push(Intent {
                turn: Turn::Remove,
                path,
                slot,
            });
        }
        work.moves.extend(moves_in);
        work.add_displaced(displaced);
        work
    }
}
