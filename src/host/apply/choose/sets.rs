//! Sets of volumes: one for each patch that fits and for each list of signatures that its files state.
//! They are completed each for itself, and of one statement those are left that the site can trust.

use std::collections::BTreeSet;
use std::path::Path;

use super::super::typed;
use super::judge::{Fitting, Nearness};
use super::{Asked, NotTaken, Sorted};
use crate::disk::volumes::other_signatures;
use crate::model::{Refusal, Sha256, Watch};

/// A set of which volumes are missing.
pub(super) struct Incomplete {
    pub(super) one: Fitting,
    /// Which ones.
    pub(super) refusal: Refusal,
}

impl Fitting {
    fn patch(&self) -> Sha256 {
        self.volumes.patch()
    }
}

impl Incomplete {
    /// The one that says most of what is missing comes last: the newest; of one statement, the one that
    /// the site trusts, then the one with more files.
    pub(super) fn rank(&self) -> (Nearness, bool, usize) {
        let found = self.one.volumes.firsts().count();
        (self.one.nearness(), self.one.trusted, found)
    }
}

impl Sorted {
    /// Looks for what is missing of each set beside what was found of it, and puts those aside that are
    /// not whole even so.
    pub(super) fn complete(&mut self, asked: Asked<'_>, watch: &dyn Watch) -> Result<(), Refusal> {
        let mut places = asked.places.to_vec();
        places.push("DIR".into());
        let command = format!("lockstep {}", typed(&places, asked.dry_run));
        for mut one in std::mem::take(&mut self.fitting) {
            one.volumes.has_looked(asked.places);
            one.volumes.look_beside(watch)?;
            match one.volumes.check(&command) {
                Ok(()) => self.fitting.push(one),
                Err(refusal) => self.incomplete.push(Incomplete { one, refusal }),
            }
        }
        Ok(())
    }

    /// Of sets of one statement: where the site trusts the signatures of one, those of which it does not
    /// go; and where one is whole, those that are not.
    pub(super) fn prefer(&mut self) {
        let incomplete = self.incomplete.iter().map(|set| &set.one);
        let all = self.fitting.iter().chain(incomplete);
        let trusted = all.filter(|one| one.trusted);
        let trusted: BTreeSet<Sha256> = trusted.map(Fitting::patch).collect();
        let stays = |one: &Fitting| one.trusted || !trusted.contains(&one.patch());
        let whole: Vec<Fitting> = std::mem::take(&mut self.fitting);
        let (whole, others): (Vec<_>, Vec<_>) = whole.into_iter().partition(stays);
        for one in &others {
            self.leave_set(one);
        }
        let patches: BTreeSet<Sha256> = whole.iter().map(Fitting::patch).collect();
        let incomplete = std::mem::take(&mut self.incomplete);
        let (incomplete, others): (Vec<_>, Vec<_>) = incomplete
            .into_iter()
            .partition(|set| stays(&set.one) && !patches.contains(&set.one.patch()));
        for set in &others {
            self.leave_set(&set.one);
        }
        (self.fitting, self.incomplete) = (whole, incomplete);
    }

    /// Leaves the files of a set beside which another one of the same statement is taken.
    fn leave_set(&mut self, one: &Fitting) {
        self.leave_files(one, |_, path| other_signatures(path));
    }

    /// Leaves the files of all sets that are not whole; `main` is of the patch of which it is told what
    /// is missing.
    pub(super) fn leave_incomplete(&mut self, main: Sha256) {
        for Incomplete { one, refusal } in std::mem::take(&mut self.incomplete) {
            if one.patch() == main {
                self.leave_set(&one);
            } else {
                self.leave_files(&one, |index, _| Refusal {
                    what: format!("{}, and {}", one.volumes.called(index), refusal.what),
                    ..refusal.clone()
                });
            }
        }
    }

    fn leave_files(&mut self, one: &Fitting, why: impl Fn(usize, &Path) -> Refusal) {
        for (index, file) in one.volumes.every() {
            let refusal = why(index, file);
            let not_taken = NotTaken {
                file: file.to_owned(),
                refusal: refusal.name,
                reason: refusal.what,
            };
            self.not_taken.push((one.nearness(), not_taken));
        }
    }
}
