//! `Staged` to `Sealed` to `Exchanged`: the one stretch in which the tree changes.
//!
//! The journal is durable before the first move, so from here on a crash goes back; the commit
//! that comes after is what makes it stay.

use std::time::{Duration, Instant};

use super::super::Node;
use super::super::survey::{Survey, blake3_of};
use super::{After, Staged};
use crate::disk::exchange::Exchange;
use crate::disk::scan::found_at;
use crate::disk::stamp::Stamp;
use crate::disk::{journal, shut};
use crate::model::{Blake3, Refusal, RefusalName, TreePath, Watch};
use crate::plan::fate::{Fate, Met, Own};
use crate::plan::recovery::{Action, Journal, Mark, Move};
use crate::plan::slots::Slots;
use crate::plan::work::{Intent, Turn, Work};

/// Staged, compared once more with the tree, and journalled.
pub(super) struct Sealed<D> {
    decided: D,
    work: Work,
    journal: Journal,
    after: After,
}

/// Exchanged and durable; the old state is still in force.
pub(super) struct Exchanged<D> {
    pub(super) decided: D,
    pub(super) work: Work,
    pub(super) after: After,
    pub(super) took: Duration,
}

/// Compares every path to be touched with the scan, and seals the journal.
pub(super) fn seal<D>(
    node: &Node,
    staged: Staged<D>,
    survey: &Survey<'_>,
) -> Result<Sealed<D>, Refusal> {
    let Staged {
        decided,
        work,
        layout,
        slots,
        after,
    } = staged;
    let mut entries: Vec<Move> = Vec::with_capacity(work.moves.len());
    for intent in &work.moves {
        let action = match intent.turn {
            Turn::Place => Action::Place {
                staged: staged_mark(&slots, intent)?,
            },
            Turn::Remove => Action::Remove {
                displaced: displaced_mark(node, survey, &intent.path)?,
            },
            Turn::Exchange => Action::Exchange {
                displaced: displaced_mark(node, survey, &intent.path)?,
                staged: staged_mark(&slots, intent)?,
            },
        };
        entries.push(Move {
            action,
            area: layout.area(&intent.path),
            path: intent.path.clone(),
            slot: intent.slot,
        });
    }
    let sequence = node.state().sequence.saturating_add(1);
    let journal = Journal {
        areas: layout.points().to_vec(),
        entries,
        sequence,
        shut: shut::list(node.root(), &work, &slots)?,
    };
    journal::seal(node.root(), &journal)?;
    Ok(Sealed {
        decided,
        work,
        journal,
        after,
    })
}

fn staged_mark(slots: &Slots, intent: &Intent) -> Result<Mark, Refusal> {
    slots.get(intent.slot).cloned().ok_or_else(|| {
        Refusal::new(
            RefusalName::Internal,
            format!("nothing is staged for {}", intent.path),
        )
    })
}

/// What stands at a path, if it is what the scan saw; where only its stamp differs (a hard link, a
/// touch), it is hashed again.
fn displaced_mark(node: &Node, survey: &Survey<'_>, path: &TreePath) -> Result<Mark, Refusal> {
    let now = node.root().look(path)?;
    let then = survey.scan.stamp(path);
    let scanned = survey.blake3(path)?;
    let live = if then.is_none_or(|then| now.as_ref() == Some(then)) {
        scanned
    } else {
        blake3_of(&found_at(node.root(), path)?)
    };
    // What the new file takes over was read while staging.
    let rights = |stamp: &Stamp| (stamp.mode, stamp.uid, stamp.gid);
    let same_rights = then.is_none_or(|then| now.as_ref().map(rights) == Some(rights(then)));
    let mark = now
        .as_ref()
        .filter(|_| live == scanned && same_rights)
        .and_then(|stamp| stamp.mark(live));
    let show = |blake3: Option<Blake3>| blake3.map_or("no file".to_owned(), |b| b.short());
    mark.ok_or_else(|| {
        Refusal::new(
            RefusalName::Stale,
            if same_rights {
                "a file changed while the patch was staged"
            } else {
                "the mode or owner of a file changed while the patch was staged"
            },
        )
        .value("path", path)
        .value("scanned", show(scanned))
        .value("now", show(live))
        .next("stop whatever writes there, and run the same command again")
    })
}

/// Makes every move, durably.
pub(super) fn exchange<D>(
    node: &Node,
    sealed: Sealed<D>,
    watch: &dyn Watch,
) -> Result<Exchanged<D>, Refusal> {
    let Sealed {
        decided,
        mut work,
        journal,
        after,
    } = sealed;
    let started = Instant::now();
    let moved = Exchange::open(node.root(), &journal)?.perform(watch)?;
    // Filled since they were planned to go.
    work.met.extend(moved.left.into_iter().map(|path| Met {
        path,
        own: Own::Unowned,
        fate: Fate::LeftStanding,
    }));
    Ok(Exchanged {
        decided,
        work,
        after,
        took: started.elapsed(),
    })
}
