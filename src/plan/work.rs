//! From changes, and what stands on the host, to files to stage and moves to make.

use std::collections::BTreeSet;

use super::change::{Change, Changes, is_as};
use super::order::Parts;
pub use super::order::{Intent, Put, Turn, Work};
use crate::model::recipe::{Mode, What};
use crate::model::site::DriftRule;
use crate::model::snapshot::Found;
use crate::model::{Refusal, RefusalName, TreePath};

/// What stands at a path, seen from the recipes that are installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, and nothing ought to.
    Absent,
    /// An owned file or link, as its recipe has it.
    Pristine,
    /// An owned, non-config path that is not.
    Drifted(Found),
    /// A config file that the customer edited.
    ConfigEdited,
    /// A config file that the customer deleted.
    ConfigDeleted,
    /// A folder.
    Folder,
    /// Something that nobody owns.
    Unowned,
}

/// The installation, as far as planning must know it.
pub trait Ground {
    /// What stands at a path.
    fn standing(&self, path: &TreePath) -> Result<Standing, Refusal>;

    /// What lies directly in a folder; a name that no recipe could own is nothing.
    fn children(&self, folder: &TreePath) -> Result<Vec<Option<TreePath>>, Refusal>;
}

impl Work {
    /// Plans the work, or names every conflict.
    pub fn plan(changes: &Changes, rule: DriftRule, ground: &dyn Ground) -> Result<Self, Refusal> {
        let mut planner = Planner {
            changes,
            rule,
            ground,
            parts: Parts::default(),
            conflicts: Vec::new(),
        };
        for change in &changes.paths {
            planner.path(change)?;
        }
        planner.folders(changes)?;
        if changes.paths.len() > MOVES_MAX {
            return Err(too_many(changes.paths.len()));
        }
        if !planner.conflicts.is_empty() {
            return Err(conflict(&planner.conflicts));
        }
        Ok(planner.parts.into_work())
    }
}

/// Most paths that one patch may touch: what a sealed journal has room for.
pub const MOVES_MAX: usize = 150_000;

/// Where a new config file may be laid beside the one that is kept.
const SUFFIXES: [&str; 9] = [
    ".new", ".new2", ".new3", ".new4", ".new5", ".new6", ".new7", ".new8", ".new9",
];

struct Planner<'a> {
    changes: &'a Changes,
    rule: DriftRule,
    ground: &'a dyn Ground,
    parts: Parts,
    conflicts: Vec<(TreePath, &'static str)>,
}

impl Planner<'_> {
    fn path(&mut self, change: &Change) -> Result<(), Refusal> {
        let standing = self.ground.standing(&change.path)?;
        let to = change.to.as_ref().map(|owned| owned.what.clone());
        match (standing, change.keeps_edits() && change.from.is_some()) {
            (Standing::Pristine, _) => self.replace(&change.path, to),
            (Standing::ConfigEdited | Standing::ConfigDeleted, true) => {
                self.keep(&change.path, to)?;
            }
            (Standing::Absent, _) => self.put(&change.path, to),
            (Standing::ConfigDeleted, false) => {
                self.contested(
                    &change.path,
                    to,
                    true,
                    "its recipe has it, and it was deleted",
                );
            }
            (Standing::ConfigEdited, false) => {
                self.unless_overwritten(
                    &change.path,
                    to,
                    "it was edited, and is no config file afterwards",
                );
            }
            (Standing::Drifted(found), _) => self.drifted(change, &found, to),
            // A folder that is itself removed makes room for a file; others are judged with the folders.
            (Standing::Folder, _) if change.from.is_none() => self.put(&change.path, to),
            (Standing::Folder, _) => self
                .conflicts
                .push((change.path.clone(), "a folder stands there")),
            (Standing::Unowned, _) => {
                self.unless_overwritten(&change.path, to, "nobody owns what stands there");
            }
        }
        Ok(())
    }

    fn drifted(&mut self, change: &Change, found: &Found, to: Option<What>) {
        let gone = *found == Found::Absent;
        match &to {
            Some(what) if is_as(found, what) => self.replace(&change.path, to),
            None if gone => {}
            _ if matches!(found, Found::Folder | Found::Other) => {
                self.conflicts
                    .push((change.path.clone(), "it is neither file nor link"));
            }
            _ => self.contested(&change.path, to, gone, "it is not as its recipe has it"),
        }
    }

    /// A path that is not as it should be: policy decides.
    fn contested(&mut self, path: &TreePath, to: Option<What>, gone: bool, why: &'static str) {
        match self.rule {
            DriftRule::Refuse => self.conflicts.push((path.clone(), why)),
            DriftRule::Keep => {}
            DriftRule::Overwrite if gone => self.put(path, to),
            DriftRule::Overwrite => self.replace(path, to),
        }
    }

    /// What cannot be kept: a file that nobody owns where one is to be added, or one whose drift
    /// could not be stated afterwards.
    fn unless_overwritten(&mut self, path: &TreePath, to: Option<What>, why: &'static str) {
        if self.rule == DriftRule::Overwrite {
            self.replace(path, to);
        } else {
            self.conflicts.push((path.clone(), why));
        }
    }

    fn put(&mut self, path: &TreePath, to: Option<What>) {
        if let Some(what) = to {
            self.parts.place.push((path.clone(), what));
        }
    }

    fn replace(&mut self, path: &TreePath, to: Option<What>) {
        match to {
            Some(what) => self.parts.exchange.push((path.clone(), what)),
            None => self.parts.away.push(path.clone()),
        }
    }

    /// The customer's config file stays; the new one is laid beside it, under the first of `.new`,
    /// `.new2` to `.new9` where nothing stands: an earlier one may hold the customer's merge.
    fn keep(&mut self, path: &TreePath, to: Option<What>) -> Result<(), Refusal> {
        self.parts.kept.push(path.clone());
        let Some(what) = to else { return Ok(()) };
        for suffix in SUFFIXES {
            let Ok(beside) = path.with_suffix(suffix) else {
                continue;
            };
            let free = !self
                .changes
                .paths
                .iter()
                .any(|change| change.path == beside)
                && self.ground.standing(&beside)? == Standing::Absent;
            if free {
                self.put(&beside, Some(what));
                return Ok(());
            }
        }
        self.conflicts.push((
            path.clone(),
            "no name beside it is free for the new config file",
        ));
        Ok(())
    }

    fn folders(&mut self, changes: &Changes) -> Result<(), Refusal> {
        let away: BTreeSet<TreePath> = self.parts.away.iter().cloned().collect();
        let mut emptied = BTreeSet::new();
        for folder in &changes.gone_folders {
            if self.ground.standing(folder)? != Standing::Folder {
                continue;
            }
            let children = self.ground.children(folder)?;
            let leaves = |child: &Option<TreePath>| {
                child
                    .as_ref()
                    .is_some_and(|path| away.contains(path) || emptied.contains(path))
            };
            if children.iter().all(leaves) {
                emptied.insert(folder.clone());
                self.parts.folders_away.push(folder.clone());
            }
        }
        let taken = self
            .parts
            .place
            .iter()
            .filter(|(path, _)| !emptied.contains(path));
        for (path, _) in taken {
            if self.ground.standing(path)? == Standing::Folder {
                self.conflicts
                    .push((path.clone(), "a folder that is not empty stands there"));
            }
        }
        self.new_folders(changes, &away)
    }

    /// Folders that the tree needs and the host has not: new ones, and those the customer deleted.
    fn new_folders(&mut self, changes: &Changes, away: &BTreeSet<TreePath>) -> Result<(), Refusal> {
        let mut wanted: Vec<(TreePath, Mode)> = changes.new_folders.clone();
        for (path, _) in &self.parts.place {
            wanted.extend(path.ancestors().map(|above| (above, Mode::FOLDER)));
        }
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        let stated: BTreeSet<&TreePath> =
            changes.new_folders.iter().map(|(path, _)| path).collect();
        wanted.dedup_by(|b, a| {
            let same = a.0 == b.0;
            if same && stated.contains(&a.0) {
                let mode = changes
                    .new_folders
                    .iter()
                    .find(|(path, _)| path == &a.0)
                    .map(|(_, m)| *m);
                a.1 = mode.unwrap_or(a.1);
            }
            same
        });
        for (path, mode) in wanted {
            match self.ground.standing(&path)? {
                Standing::Folder => {}
                Standing::Absent | Standing::Drifted(Found::Absent) | Standing::ConfigDeleted => {
                    self.parts.folders_in.push((path, mode));
                }
                _ if away.contains(&path) => self.parts.folders_in.push((path, mode)),
                _ => self
                    .conflicts
                    .push((path, "it stands where a folder must be")),
            }
        }
        Ok(())
    }
}

fn too_many(paths: usize) -> Refusal {
    Refusal::new(
        RefusalName::Unsatisfiable,
        "the patch touches more paths than one change may",
    )
    .value("touches", paths)
    .value("at most", MOVES_MAX)
    .next("prepare it in parts: some components first, the others in a second patch")
}

fn conflict(conflicts: &[(TreePath, &'static str)]) -> Refusal {
    const SHOWN: usize = 8;
    let mut refusal = Refusal::new(
        RefusalName::Conflict,
        format!("{} path(s) stand in the way of the patch", conflicts.len()),
    );
    for (path, why) in conflicts.iter().take(SHOWN) {
        refusal = refusal.value(path.as_str(), why);
    }
    if conflicts.len() > SHOWN {
        refusal = refusal.value(
            "and",
            format!("{} more", conflicts.len().saturating_sub(SHOWN)),
        );
    }
    refusal
        .next("move them away or put them back, or let the site's policy say drift = \"overwrite\"")
}
