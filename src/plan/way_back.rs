//! The way back to an earlier generation: what differs from it, and where its contents lie.
//!
//! What belongs at a path follows from the recipes of that generation. What stood there is what the
//! first change since has displaced: where that is something else (drift, a config file that the
//! customer had edited), that very thing comes back. Where no change touched it, it still stands, and
//! is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::Component;
use super::change::{Changes, config_after, drift_after, holds, is_as};
use super::recovery::{Action, Journal, Kind, Mark, Move};
use super::tree::{Owned, Tree};
use crate::model::recipe::What;
use crate::model::site::DriftRule;
use crate::model::snapshot::{ConfigFile, ConfigState, Drift, Found};
use crate::model::{Blake3, Refusal, TreePath};

/// A slot of a kept change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Which change: the sequence number of the state that it made.
    pub change: u64,
    /// Its staging area.
    pub area: u64,
    /// The slot.
    pub slot: u64,
}

impl Kept {
    const fn of(journal: &Journal, entry: &Move) -> Self {
        Self {
            change: journal.sequence,
            area: entry.area,
            slot: entry.slot,
        }
    }
}

/// What stood at a path before the first of some changes that touched it.
enum Stood {
    /// No change touched it.
    Untouched,
    /// Nothing stood there.
    Absent,
    /// A file or link, which lies in that slot.
    Kept(Kept, Mark),
}

/// A file or link that comes back from a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returning {
    /// To where.
    pub path: TreePath,
    /// From where.
    pub kept: Kept,
    /// What it is.
    pub mark: Mark,
    /// What the recipe says that it is.
    pub expected: What,
}

/// The differences between what stands and what stood, with the slots that hold it.
#[derive(Debug)]
pub struct WayBack {
    /// The tree of the earlier generation, by recipe.
    pub tree: Tree,
    /// What is to be done.
    pub changes: Changes,
    returning: Vec<Returning>,
    /// Paths where something else comes back than the recipe says: what, or nothing.
    odd: BTreeMap<TreePath, Option<What>>,
    /// Paths that differ by recipe and are owned then: what is not moved there is looked at.
    differing: Vec<TreePath>,
    /// Where a content lies, by its BLAKE3.
    contents: BTreeMap<Blake3, Kept>,
    /// Where what a path held lies, by path.
    slots: BTreeMap<TreePath, Kept>,
}

impl WayBack {
    /// The way from `now` to what `past` owns. `journals` are those of all changes since, rising.
    pub fn find(now: &Tree, past: &[Component], journals: &[Journal]) -> Result<Self, Vec<String>> {
        let tree = Tree::of(past)?;
        let mut way = Self {
            changes: Changes::between(now, &tree),
            tree,
            returning: Vec::new(),
            odd: BTreeMap::new(),
            differing: Vec::new(),
            contents: BTreeMap::new(),
            slots: BTreeMap::new(),
        };
        let first = first_displaced(journals);
        for change in std::mem::take(&mut way.changes.paths) {
            let mut change = change;
            let stood = first
                .get(&change.path)
                .map_or(Stood::Untouched, |(kept, action)| stood(*kept, action));
            if change.to.is_some() {
                way.differing.push(change.path.clone());
            }
            match (stood, &change.to) {
                (Stood::Untouched, _) => continue,
                (Stood::Absent, Some(_)) => {
                    way.odd.insert(change.path.clone(), None);
                    change.to = None;
                }
                (Stood::Kept(kept, mark), Some(to)) => way.returning.push(Returning {
                    path: change.path.clone(),
                    kept,
                    mark,
                    expected: to.what.clone(),
                }),
                (Stood::Absent | Stood::Kept(..), None) => {}
            }
            way.changes.paths.push(change);
        }
        way.index(journals);
        Ok(way)
    }

    fn index(&mut self, journals: &[Journal]) {
        for journal in journals {
            for entry in &journal.entries {
                let Some(mark) = entry.displaced() else {
                    continue;
                };
                let kept = Kept::of(journal, entry);
                if let (Kind::File, Some(blake3)) = (mark.kind, mark.blake3) {
                    self.contents.insert(blake3, kept);
                    self.slots.entry(entry.path.clone()).or_insert(kept);
                }
            }
        }
    }

    /// What comes back from slots. Where that is not what the recipe says, [`WayBack::put`] is to be
    /// told.
    #[must_use]
    pub fn returning(&self) -> &[Returning] {
        &self.returning
    }

    /// Says that `what` comes back to a path, and not what the recipe says.
    pub fn put(&mut self, path: &TreePath, what: What) {
        let at = self.changes.paths.binary_search_by(|c| c.path.cmp(path));
        if let Some(change) = at.ok().and_then(|at| self.changes.paths.get_mut(at))
            && let Some(to) = change.to.take()
        {
            self.odd.insert(path.clone(), Some(what.clone()));
            change.to = Some(Owned { what, ..to });
        }
    }

    /// Where a content lies in a kept change.
    #[must_use]
    pub fn content(&self, blake3: Blake3) -> Option<Kept> {
        self.contents.get(&blake3).copied()
    }

    /// The slot with what stood at a path: the first change since that displaced it has it.
    #[must_use]
    pub fn slot(&self, path: &TreePath) -> Option<Kept> {
        self.slots.get(path).copied()
    }

    /// What will not be as its recipe has it, once the paths in `moved` are moved: `drift` and
    /// `config` are how it stands now, and `found` looks at a path.
    pub fn after(
        &self,
        (drift, config): (&[Drift], &[ConfigFile]),
        moved: &BTreeSet<&TreePath>,
        rule: DriftRule,
        found: &dyn Fn(&TreePath) -> Result<Found, Refusal>,
    ) -> Result<(Vec<Drift>, Vec<ConfigFile>), Refusal> {
        let mut after = Deviations {
            tree: &self.tree,
            drift: drift_after(drift, &self.changes, &self.tree, rule)?,
            config: config_after(config, drift, &self.tree, moved),
        };
        let differing: BTreeSet<&TreePath> = self.differing.iter().collect();
        after.drift.retain(|drift| !differing.contains(&drift.path));
        after
            .config
            .retain(|config| !differing.contains(&config.path));
        for path in differing {
            match self.odd.get(path) {
                Some(what) if moved.contains(path) => {
                    after.note(path, what.as_ref().map_or(Found::Absent, as_found));
                }
                None if moved.contains(path) => {}
                _ => after.note(path, found(path)?),
            }
        }
        after.drift.sort_by(|a, b| a.path.cmp(&b.path));
        after.config.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((after.drift, after.config))
    }
}

/// What is not as a tree has it, growing.
struct Deviations<'a> {
    tree: &'a Tree,
    drift: Vec<Drift>,
    config: Vec<ConfigFile>,
}

impl Deviations<'_> {
    fn note(&mut self, path: &TreePath, found: Found) {
        let Some(owned) = self.tree.paths.get(path) else {
            return;
        };
        let path = path.clone();
        if !owned.config {
            if !is_as(&found, &owned.what) {
                self.drift.push(Drift { found, path });
            }
        } else if found == Found::Absent {
            let state = ConfigState::Deleted;
            self.config.push(ConfigFile { path, state });
        } else if !holds(&found, &owned.what) {
            let state = ConfigState::Changed;
            self.config.push(ConfigFile { path, state });
        }
    }
}

/// What is found where something is put.
fn as_found(what: &What) -> Found {
    match what {
        What::File(file) => Found::File {
            blake3: file.blake3,
            executable: file.mode.executable(),
        },
        What::Link { target } => Found::Link {
            blake3: Blake3::of(target.as_bytes()),
        },
        What::Folder { .. } => Found::Folder,
    }
}

/// The first move of each path, with its slot.
fn first_displaced(journals: &[Journal]) -> BTreeMap<&TreePath, (Kept, &Action)> {
    let mut first = BTreeMap::new();
    for journal in journals {
        for entry in &journal.entries {
            first
                .entry(&entry.path)
                .or_insert((Kept::of(journal, entry), &entry.action));
        }
    }
    first
}

fn stood(kept: Kept, action: &Action) -> Stood {
    match action {
        Action::Exchange { displaced, .. } | Action::Remove { displaced }
            if displaced.kind != Kind::Folder =>
        {
            Stood::Kept(kept, displaced.clone())
        }
        // A folder stood where a file belongs: no file did.
        Action::Place { .. } | Action::Exchange { .. } | Action::Remove { .. } => Stood::Absent,
    }
}
