//! The way back to an earlier generation: what differs from it, and where its contents lie.
//!
//! What belongs at a path follows from the recipes of that generation. Where something else stood
//! there (drift, a config file that the customer had edited) and a later change displaced it, that
//! very thing comes back; where no change touched it, it still stands, and is left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::Component;
use super::change::{Changes, config_after, drift_after};
use super::recovery::{Action, Journal, Kind, Mark};
use super::tree::{Owned, Tree};
use crate::model::recipe::What;
use crate::model::site::DriftRule;
use crate::model::snapshot::{ConfigFile, Drift};
use crate::model::{Blake3, Refusal, TreePath};

/// A generation as it was.
#[derive(Debug)]
pub struct Past {
    /// What was installed.
    pub components: Vec<Component>,
    /// Its drift.
    pub drift: Vec<Drift>,
    /// Its edited config files.
    pub config: Vec<ConfigFile>,
}

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

/// What stood at a path that was not as its recipe had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Odd {
    /// No change has touched it since: whatever stands there is left alone.
    Untouched,
    /// Nothing stood there.
    Absent,
    /// A file or link, which lies in that slot.
    Kept(Kept, Mark),
}

/// The differences between what stands and what stood, with the slots that hold it.
#[derive(Debug)]
pub struct WayBack {
    /// The tree of the earlier generation, by recipe.
    pub tree: Tree,
    /// What is to be done; where something odd comes back, [`WayBack::put`] has said so.
    pub changes: Changes,
    /// Odd paths that are to be asked for, rising.
    odd: BTreeMap<TreePath, Odd>,
    /// Where a content lies, by its BLAKE3; the slot of the youngest change that displaced it.
    contents: BTreeMap<Blake3, Kept>,
    /// Where what a path held lies, by path.
    slots: BTreeMap<TreePath, Kept>,
    drift: Vec<Drift>,
    config: Vec<ConfigFile>,
}

impl WayBack {
    /// The way from `now` to `past`. `journals` are those of all changes since, rising.
    pub fn find(now: &Tree, past: Past, journals: &[Journal]) -> Result<Self, Vec<String>> {
        let tree = Tree::of(&past.components)?;
        let mut changes = Changes::between(now, &tree);
        let mut odd = BTreeMap::new();
        let drifted = past.drift.iter().map(|drift| &drift.path);
        let edited = past.config.iter().map(|config| &config.path);
        for path in drifted.chain(edited) {
            if changes.at(path).is_some() {
                odd.insert(path.clone(), earliest(path, journals));
            }
        }
        changes
            .paths
            .retain(|change| odd.get(&change.path) != Some(&Odd::Untouched));
        odd.retain(|_, odd| *odd != Odd::Untouched);
        let mut way = Self {
            tree,
            changes,
            odd,
            contents: BTreeMap::new(),
            slots: BTreeMap::new(),
            drift: past.drift,
            config: past.config,
        };
        way.index(journals);
        Ok(way)
    }

    fn index(&mut self, journals: &[Journal]) {
        for journal in journals {
            for entry in &journal.entries {
                let Some(mark) = entry.displaced() else {
                    continue;
                };
                let kept = Kept {
                    change: journal.sequence,
                    area: entry.area,
                    slot: entry.slot,
                };
                if let (Kind::File, Some(blake3)) = (mark.kind, mark.blake3) {
                    self.contents.insert(blake3, kept);
                    self.slots.entry(entry.path.clone()).or_insert(kept);
                }
            }
        }
    }

    /// Paths where something odd stood, with what it was: each is to be [`WayBack::put`].
    pub fn odd(&self) -> impl Iterator<Item = (&TreePath, &Odd)> {
        self.odd.iter()
    }

    /// Says what comes back to an odd path; nothing where nothing stood there.
    pub fn put(&mut self, path: &TreePath, what: Option<What>) {
        let at = self.changes.paths.binary_search_by(|c| c.path.cmp(path));
        let Some(change) = at.ok().and_then(|at| self.changes.paths.get_mut(at)) else {
            return;
        };
        change.to = match (what, change.to.take()) {
            (Some(what), Some(to)) => Some(Owned { what, ..to }),
            (Some(_) | None, _) => None,
        };
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
    /// `config` are how it stands now.
    pub fn after(
        &self,
        drift: &[Drift],
        config: &[ConfigFile],
        moved: &BTreeSet<&TreePath>,
        rule: DriftRule,
    ) -> Result<(Vec<Drift>, Vec<ConfigFile>), Refusal> {
        let comes_back = |path: &TreePath| moved.contains(path) && self.odd.contains_key(path);
        let mut drift_then = drift_after(drift, &self.changes, &self.tree, rule)?;
        drift_then.retain(|drift| !comes_back(&drift.path));
        drift_then.extend(self.drift.iter().filter(|d| comes_back(&d.path)).cloned());
        drift_then.sort_by(|a, b| a.path.cmp(&b.path));
        let mut config_then = config_after(config, drift, &self.tree, moved);
        config_then.extend(self.config.iter().filter(|c| comes_back(&c.path)).cloned());
        config_then.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((drift_then, config_then))
    }
}

/// What stood at a path before the first of the changes that touched it.
fn earliest(path: &TreePath, journals: &[Journal]) -> Odd {
    for journal in journals {
        let Some(entry) = journal.entries.iter().find(|entry| entry.path == *path) else {
            continue;
        };
        let kept = Kept {
            change: journal.sequence,
            area: entry.area,
            slot: entry.slot,
        };
        return match &entry.action {
            Action::Place { .. } => Odd::Absent,
            Action::Exchange { displaced, .. } | Action::Remove { displaced } => {
                // A folder in place of a file is never displaced as one.
                if displaced.kind == Kind::Folder {
                    Odd::Untouched
                } else {
                    Odd::Kept(kept, displaced.clone())
                }
            }
        };
    }
    Odd::Untouched
}
