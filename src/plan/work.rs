//! From changes, and what stands on the host, to files to stage and moves to make.

use super::change::{Change, Changes, against, holds, is_as, movable};
use super::fate::{Fate, Met, Own};
use super::order::Parts;
pub use super::order::{Intent, Put, Turn, Work};
use crate::model::patch::PATHS_MAX;
use crate::model::recipe::What;
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

    /// What stands at a path, read now; nothing that lies behind a link is one file.
    fn found(&self, path: &TreePath) -> Result<Found, Refusal>;

    /// What lies directly in a folder; a name that no recipe could own is nothing.
    fn children(&self, folder: &TreePath) -> Result<Vec<Option<TreePath>>, Refusal>;
}

/// What decides where a change meets what is the customer's.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// What becomes of drift.
    pub drift: DriftRule,
    /// Whether a config file that comes in vain is laid beside the customer's.
    pub beside: bool,
}

impl Work {
    /// Plans the work, or names every conflict.
    pub fn plan(changes: &Changes, rules: Rules, ground: &dyn Ground) -> Result<Self, Refusal> {
        let mut planner = Planner {
            changes,
            rule: rules.drift,
            beside: rules.beside,
            ground,
            parts: Parts::default(),
            conflicts: Vec::new(),
        };
        for change in &changes.paths {
            planner.path(change)?;
        }
        planner.folders()?;
        if !planner.conflicts.is_empty() {
            return Err(refusal(&planner.conflicts));
        }
        Ok(planner.parts.into_work())
    }
}

/// Where a new config file may be laid beside the one that is kept.
const SUFFIXES: [&str; 9] = [
    ".new", ".new2", ".new3", ".new4", ".new5", ".new6", ".new7", ".new8", ".new9",
];

pub(super) struct Planner<'a> {
    pub(super) changes: &'a Changes,
    rule: DriftRule,
    beside: bool,
    pub(super) ground: &'a dyn Ground,
    pub(super) parts: Parts,
    conflicts: Vec<Conflict>,
}

/// A path that stands in the way.
struct Conflict {
    path: TreePath,
    why: String,
    /// Whether it would go with drift = "overwrite".
    overwritable: bool,
}

impl Planner<'_> {
    fn path(&mut self, change: &Change) -> Result<(), Refusal> {
        let path = &change.path;
        match self.ground.standing(path)? {
            Standing::Pristine => self.replace(path, change.to()),
            // A folder that is itself removed makes room for a file; others are judged with the folders.
            Standing::Absent | Standing::Folder => self.put(path, change.to()),
            Standing::ConfigEdited => self.edited(change)?,
            Standing::ConfigDeleted => self.deleted(change)?,
            Standing::Drifted(found) => self.drifted(change, &found)?,
            Standing::Unowned => self.unowned(path)?,
        }
        Ok(())
    }

    /// A config file that the customer edited stays as long as it is one, and only makes room for
    /// what it holds already.
    fn edited(&mut self, change: &Change) -> Result<(), Refusal> {
        let path = &change.path;
        match change.to() {
            _ if !change.keeps_edits() => {
                self.unless_overwritten(change, "it was edited, and is no config file afterwards")
            }
            None => {
                self.meet(path, Own::Config, Fate::LetGo);
                Ok(())
            }
            Some(what) if holds(&self.ground.found(path)?, &what) => {
                self.replace(path, Some(what));
                Ok(())
            }
            Some(what) => self.lay_beside(path, what, Own::Config, Fate::Beside),
        }
    }

    /// A config file that the customer deleted stays deleted as long as it is one. Where it is none
    /// afterwards it would be drift, and the desk cannot foretell that.
    fn deleted(&mut self, change: &Change) -> Result<(), Refusal> {
        let path = &change.path;
        match change.to() {
            None => {}
            Some(what) if change.keeps_edits() => {
                self.lay_beside(path, what, Own::Config, Fate::DeletedBeside)?;
            }
            Some(what) if self.rule == DriftRule::Overwrite => {
                self.meet(path, Own::Config, Fate::PutBack);
                self.put(path, Some(what));
            }
            Some(_) => self.conflict(path, "it was deleted, and is no config file afterwards"),
        }
        Ok(())
    }

    /// A path that is not as its recipe has it: policy decides, unless it is as the new one already.
    fn drifted(&mut self, change: &Change, found: &Found) -> Result<(), Refusal> {
        let path = &change.path;
        let gone = *found == Found::Absent;
        match (change.to(), self.rule) {
            (Some(what), _) if is_as(found, &what) => self.replace(path, Some(what)),
            (None, _) if gone => {}
            (None, DriftRule::Keep) => self.meet(path, Own::Drift, Fate::LetGo),
            (Some(what), DriftRule::Keep) if change.becomes_config() => {
                let fate = if gone {
                    Fate::DeletedBeside
                } else {
                    Fate::Beside
                };
                self.lay_beside(path, what, Own::Drift, fate)?;
            }
            (Some(_), DriftRule::Keep) if gone => self.meet(path, Own::Drift, Fate::StaysDeleted),
            (Some(_), DriftRule::Keep) => self.meet(path, Own::Drift, Fate::Kept),
            (to, DriftRule::Overwrite) if gone => {
                self.meet(path, Own::Drift, Fate::PutBack);
                self.put(path, to);
            }
            (to, DriftRule::Overwrite) if movable(found) => self.displace(path, to, Own::Drift),
            (_, DriftRule::Refuse | DriftRule::Overwrite) => {
                let from = change.from.as_ref().map(|owned| &owned.what);
                self.conflicts.push(Conflict {
                    path: path.clone(),
                    why: against(from, found),
                    overwritable: movable(found),
                });
            }
        }
        Ok(())
    }

    /// What nobody owns is never touched, whatever the policy: that is about files of the product.
    fn unowned(&mut self, path: &TreePath) -> Result<(), Refusal> {
        let found = self.ground.found(path)?;
        if movable(&found) {
            self.conflict(path, "nobody owns what stands there");
        } else {
            self.conflict(path, &against(None, &found));
        }
        Ok(())
    }

    /// A config file that cannot be kept, because its drift could not be stated afterwards.
    fn unless_overwritten(&mut self, change: &Change, why: &'static str) -> Result<(), Refusal> {
        let path = &change.path;
        let found = self.ground.found(path)?;
        if !movable(&found) {
            let from = change.from.as_ref().map(|owned| &owned.what);
            self.conflict(path, &against(from, &found));
        } else if self.rule == DriftRule::Overwrite {
            self.displace(path, change.to(), Own::Config);
        } else {
            self.conflicts.push(Conflict {
                path: path.clone(),
                why: why.to_owned(),
                overwritable: true,
            });
        }
        Ok(())
    }

    /// A conflict that no policy lifts.
    pub(super) fn conflict(&mut self, path: &TreePath, why: &str) {
        self.conflicts.push(Conflict {
            path: path.clone(),
            why: why.to_owned(),
            overwritable: false,
        });
    }

    pub(super) fn meet(&mut self, path: &TreePath, own: Own, fate: Fate) {
        self.parts.met.push(Met {
            path: path.clone(),
            own,
            fate,
        });
    }

    /// What stands at a path goes to the generation, and the admin is told.
    fn displace(&mut self, path: &TreePath, to: Option<What>, own: Own) {
        self.parts.displaced.push((path.clone(), own));
        self.replace(path, to);
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

    /// The customer's config file stays; the new one is laid beside it where that is wanted, under the first of `.new`,
    /// `.new2` to `.new9` where nothing stands and nothing else is laid: an earlier one may hold the
    /// customer's merge, and two long names may be cut to the same.
    fn lay_beside(
        &mut self,
        path: &TreePath,
        what: What,
        own: Own,
        fate: fn(TreePath) -> Fate,
    ) -> Result<(), Refusal> {
        if !self.beside {
            let stays = match fate(path.clone()) {
                Fate::DeletedBeside(_) => Fate::StaysDeleted,
                _ => Fate::Kept,
            };
            self.meet(path, own, stays);
            return Ok(());
        }
        for suffix in SUFFIXES {
            let Ok(beside) = path.with_suffix(suffix) else {
                continue;
            };
            let taken = self.changes.touch(&beside)
                || self.parts.place.iter().any(|(path, _)| *path == beside);
            if !taken && self.ground.standing(&beside)? == Standing::Absent {
                self.put(&beside, Some(what));
                self.meet(path, own, fate(beside));
                return Ok(());
            }
        }
        let barred = match path.parent() {
            Some(folder) => self.ground.standing(&folder)? == Standing::Unowned,
            None => false,
        };
        self.conflict(
            path,
            if barred {
                "the new config file cannot be laid beside it: its folder is behind a link, or none"
            } else {
                "no name beside it is free for the new config file"
            },
        );
        Ok(())
    }
}

/// Whether one patch may touch so many paths. A way back may touch those of several.
pub fn check_paths(paths: usize) -> Result<(), Refusal> {
    if paths <= PATHS_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Unsatisfiable,
        "the patch touches more paths than one change may",
    )
    .value("touches", paths)
    .value("at most", PATHS_MAX)
    .next("prepare it in parts: some components first, the others in a second patch"))
}

fn refusal(conflicts: &[Conflict]) -> Refusal {
    const SHOWN: usize = 8;
    let mut refusal = Refusal::new(
        RefusalName::Conflict,
        format!("{} path(s) stand in the way of the patch", conflicts.len()),
    );
    for conflict in conflicts.iter().take(SHOWN) {
        refusal = refusal.value(conflict.path.as_str(), &conflict.why);
    }
    if conflicts.len() > SHOWN {
        refusal = refusal.value(
            "and",
            format!("{} more", conflicts.len().saturating_sub(SHOWN)),
        );
    }
    refusal.next(if conflicts.iter().all(|conflict| conflict.overwritable) {
        "move them away or put them back, or let the site's policy say drift = \"overwrite\""
    } else {
        "move them away or put them back, then apply again (stale: lockstep snapshot, prepare again)"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_may_touch_so_many_paths_and_no_more() {
        assert!(check_paths(PATHS_MAX).is_ok());
        let refusal = check_paths(PATHS_MAX + 1).unwrap_err();
        assert_eq!(refusal.name, RefusalName::Unsatisfiable);
        assert!(refusal.next.contains("in parts"), "{refusal}");
    }
}
