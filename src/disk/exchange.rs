//! The exchange: the moves of a journal, made one by one, or undone in exactly reverse order.
//!
//! Each move is one `renameat2`, so that a path never stands empty while it is exchanged. Before
//! each, path and slot are judged by what stands there ([`classify`]): a move that is made already
//! is not made again, and what is neither old nor new is not touched. After each, they are judged
//! again. Read-only folders are opened for it ([`super::shut`]).
//!
//! A folder that holds something which the change does not know of (the customer's, or the
//! service's) is left standing, on the way there and on the way back, and is reported.

use rustix::fs::{RenameFlags, renameat_with};

use super::DiskError;
use super::root::{Root, Spot};
use super::shut::Folders;
use super::stages::Stages;
use crate::model::{TreePath, Watch};
use crate::plan::recovery::{Action, Journal, Kind, Mark, Move, Standing, classify};

/// A sealed change with its stages.
pub struct Exchange<'a> {
    journal: &'a Journal,
    root: &'a Root,
    stages: Stages,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// Folders that were to go but hold something else.
    pub left: Vec<TreePath>,
    /// How many moves were made.
    pub moves: u64,
}

impl<'a> Exchange<'a> {
    /// Takes up a journal; the stages of all its areas must stand.
    pub fn open(root: &'a Root, journal: &'a Journal) -> Result<Self, DiskError> {
        Ok(Self {
            journal,
            root,
            stages: Stages::open(root, journal)?,
        })
    }

    /// Makes every move that is not made yet, in order, and makes them durable. On an error the
    /// caller goes back.
    pub fn perform(&self, watch: &dyn Watch) -> Result<Moved, DiskError> {
        let moved = self.folders().opened(true, || self.all_forward(watch))?;
        self.stages.sync()?;
        Ok(moved)
    }

    fn all_forward(&self, watch: &dyn Watch) -> Result<Moved, DiskError> {
        let mut moved = Moved::default();
        let total = count(self.journal.entries.len());
        for (entry, done) in self.journal.entries.iter().zip(1..) {
            self.forward(entry, &mut moved)?;
            watch.count("exchanging", done, total);
        }
        Ok(moved)
    }

    /// Undoes every move that is made, in reverse order, and makes that durable. Everything is
    /// judged before anything is touched.
    pub fn undo(&self) -> Result<Moved, DiskError> {
        let moved = self.folders().opened(false, || self.all_back())?;
        self.stages.sync()?;
        Ok(moved)
    }

    fn all_back(&self) -> Result<Moved, DiskError> {
        for entry in &self.journal.entries {
            if self.standing(entry)? == Standing::Neither && !self.made_way(entry)? {
                return Err(self.neither(entry));
            }
        }
        let mut moved = Moved::default();
        for entry in self.journal.entries.iter().rev() {
            self.back(entry, &mut moved)?;
        }
        Ok(moved)
    }

    fn folders(&self) -> Folders<'_> {
        Folders::of(self.root, self.journal, Some(&self.stages))
    }

    /// How far one move has come.
    pub fn standing(&self, entry: &Move) -> Result<Standing, DiskError> {
        let at_path = match self.root.look(&entry.path) {
            Ok(stamp) => stamp,
            // Where a folder has become a link or a file, nothing stands at the paths below it.
            Err(DiskError::Blocked { .. }) => None,
            Err(e) => return Err(e),
        };
        let at_slot = self.stages.of(entry.area)?.look(entry.slot)?;
        Ok(classify(
            entry,
            at_path.map(|stamp| stamp.seen()),
            at_slot.map(|stamp| stamp.seen()),
        ))
    }

    fn forward(&self, entry: &Move, moved: &mut Moved) -> Result<(), DiskError> {
        let in_the_way = |reason| DiskError::InTheWay {
            path: self.root.absolute(&entry.path),
            reason,
        };
        let changed = |reason| DiskError::Changed {
            path: self.root.absolute(&entry.path),
            reason,
        };
        match self.standing(entry)? {
            Standing::New => return Ok(()),
            Standing::Neither => return Err(changed("it changed since it was scanned")),
            Standing::Old => {}
        }
        let (path, slot) = self.spots(entry)?;
        if is_folder(entry.displaced()) && !path.is_empty_folder()? {
            if matches!(entry.action, Action::Remove { .. }) {
                moved.left.push(entry.path.clone());
                return Ok(());
            }
            return Err(in_the_way("the folder holds files of others"));
        }
        match entry.action {
            Action::Exchange { .. } => rename(&slot, &path, RenameFlags::EXCHANGE)?,
            Action::Place { .. } => rename(&slot, &path, RenameFlags::NOREPLACE)?,
            Action::Remove { .. } => rename(&path, &slot, RenameFlags::NOREPLACE)?,
        }
        moved.moves = moved.moves.saturating_add(1);
        if self.standing(entry)? == Standing::New {
            Ok(())
        } else {
            Err(changed("it changed while it was exchanged"))
        }
    }

    fn back(&self, entry: &Move, moved: &mut Moved) -> Result<(), DiskError> {
        match self.standing(entry)? {
            Standing::Old => return Ok(()),
            Standing::Neither => return self.fill_gap(entry, moved),
            Standing::New => {}
        }
        let (path, slot) = self.spots(entry)?;
        if is_folder(entry.staged()) && !path.is_empty_folder()? {
            if matches!(entry.action, Action::Place { .. }) {
                moved.left.push(entry.path.clone());
                return Ok(());
            }
            let reason = "the folder holds files that the change did not bring";
            return Err(needs_recovery(path.path, reason));
        }
        match entry.action {
            Action::Exchange { .. } => rename(&slot, &path, RenameFlags::EXCHANGE)?,
            Action::Place { .. } => rename(&path, &slot, RenameFlags::NOREPLACE)?,
            Action::Remove { .. } => rename(&slot, &path, RenameFlags::NOREPLACE)?,
        }
        moved.moves = moved.moves.saturating_add(1);
        if self.standing(entry)? == Standing::Old {
            Ok(())
        } else {
            Err(self.neither(entry))
        }
    }

    /// Whether a person has moved away what stood at a path in place of the new file: then nothing
    /// stands there, and what did before lies in the slot or never was.
    fn made_way(&self, entry: &Move) -> Result<bool, DiskError> {
        let slot = self.stages.of(entry.area)?.look(entry.slot)?;
        let seen = slot.map(|stamp| stamp.seen());
        // What is behind a link, or below a file, is nobody's way.
        let gone = matches!(self.root.look(&entry.path), Ok(None));
        Ok(gone && entry.displaced().is_none_or(|mark| mark.is(seen)))
    }

    /// Puts the old file back where a person has made way for it.
    fn fill_gap(&self, entry: &Move, moved: &mut Moved) -> Result<(), DiskError> {
        if !self.made_way(entry)? {
            return Err(self.neither(entry));
        }
        if entry.displaced().is_some() {
            let (path, slot) = self.spots(entry)?;
            rename(&slot, &path, RenameFlags::NOREPLACE)?;
            moved.moves = moved.moves.saturating_add(1);
        }
        Ok(())
    }

    fn spots(&self, entry: &Move) -> Result<(Spot, Spot), DiskError> {
        let slot = self.stages.of(entry.area)?.spot(entry.slot)?;
        Ok((self.root.spot(&entry.path)?, slot))
    }

    fn neither(&self, entry: &Move) -> DiskError {
        let reason = match entry.displaced() {
            None => "what stands there is neither the old nor the new; move it away".to_owned(),
            Some(_) => format!(
                "what stands there is neither the old nor the new; move it away (the old one is slot {} of \
                 the stage, and comes back by itself)",
                entry.slot
            ),
        };
        needs_recovery(self.root.absolute(&entry.path), &reason)
    }
}

fn rename(from: &Spot, to: &Spot, flags: RenameFlags) -> Result<(), DiskError> {
    renameat_with(&from.folder, &from.name, &to.folder, &to.name, flags)
        .map_err(DiskError::os("rename", &to.path))
}

fn is_folder(mark: Option<&Mark>) -> bool {
    mark.is_some_and(|mark| mark.kind == Kind::Folder)
}

fn needs_recovery(path: std::path::PathBuf, reason: &str) -> DiskError {
    DiskError::NeedsRecovery {
        path,
        reason: reason.to_owned(),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
