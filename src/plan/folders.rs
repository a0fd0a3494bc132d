//! Folders that go with the last of their files, and folders that must be there for the new ones.
//!
//! A folder goes only where nothing is left in it; what the customer keeps there keeps it, and that
//! is said. A folder that is needed is made where it is missing, and nothing makes room for it but
//! what the same patch takes away.

use std::collections::{BTreeMap, BTreeSet};

use super::fate::{Fate, Own};
use super::work::{Planner, Standing};
use crate::model::recipe::{Mode, What};
use crate::model::snapshot::Found;
use crate::model::{Refusal, TreePath};

impl Planner<'_> {
    /// Judges every folder that goes or comes, once the files are.
    pub(super) fn folders(&mut self) -> Result<(), Refusal> {
        let changes = self.changes;
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
            } else {
                self.meet(folder, Own::Unowned, Fate::LeftStanding);
            }
        }
        let taken = self.parts.place.iter().map(|(path, _)| path);
        let taken: Vec<TreePath> = taken.filter(|p| !emptied.contains(*p)).cloned().collect();
        for path in taken {
            if self.ground.standing(&path)? == Standing::Folder {
                let why = if changes.gone_folders.contains(&path) {
                    "a folder that is not empty stands there"
                } else {
                    "a folder stands there"
                };
                self.conflict(&path, why);
            }
        }
        self.new_folders(&away)
    }

    /// Folders that the tree needs and the host has not: new ones, and those the customer deleted.
    fn new_folders(&mut self, away: &BTreeSet<TreePath>) -> Result<(), Refusal> {
        let mut wanted: BTreeMap<TreePath, Mode> =
            self.changes.new_folders.iter().cloned().collect();
        let mut seen = None;
        for (path, _) in &self.parts.place {
            // Neighbours need the same folders.
            if path.parent_str() != seen {
                seen = path.parent_str();
                for above in path.ancestors() {
                    wanted.entry(above).or_insert(Mode::FOLDER);
                }
            }
        }
        for (path, mode) in wanted {
            match self.ground.standing(&path)? {
                Standing::Folder => {}
                Standing::Absent | Standing::Drifted(Found::Absent) | Standing::ConfigDeleted => {
                    self.parts.folders_in.push((path, What::Folder { mode }));
                }
                _ if away.contains(&path) => {
                    self.parts.folders_in.push((path, What::Folder { mode }));
                }
                _ => self.conflict(&path, "it stands where a folder must be"),
            }
        }
        Ok(())
    }
}
