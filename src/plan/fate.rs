//! What becomes of the customer's own where a patch meets it, in the words of `apply`.
//!
//! `docs/drift.md` is the table of these fates, and is held against what happens. What goes as the
//! recipes say has no fate: only what was changed, deleted, or never owned by anybody.

use std::fmt;

use crate::model::TreePath;

/// Whose a path is, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// A config file.
    Config,
    /// A path that a recipe owns, and that is no config file.
    Drift,
    /// A path that nobody owns.
    Unowned,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays; the new one lies beside.
    Beside(TreePath),
    /// A config file that stays deleted; the new one lies beside where it was.
    DeletedBeside(TreePath),
    /// It stays, in place of the new one.
    Kept,
    /// It stays deleted, and the new one is not put there.
    StaysDeleted,
    /// It stays, and its component owns it no longer.
    LetGo,
    /// The new one stands in its place; it lies in this slot of the generation.
    Overwritten(u64),
    /// Nothing stands in its place; it lies in this slot of the generation.
    TakenAway(u64),
    /// It was deleted; the new one stands there.
    PutBack,
    /// A folder that no component needs stays, because it holds what nobody owns.
    LeftStanding,
}

/// A path, and what becomes of what is the customer's there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Where.
    pub path: TreePath,
    /// Whose it was.
    pub own: Own,
    /// What becomes of it.
    pub fate: Fate,
}

impl Met {
    /// Whether a config file stays as the customer has it: these are what a receipt lists.
    #[must_use]
    pub fn keeps_config(&self) -> bool {
        match self.fate {
            Fate::Beside(_) | Fate::DeletedBeside(_) => true,
            Fate::LetGo | Fate::Kept | Fate::StaysDeleted => self.own == Own::Config,
            _ => false,
        }
    }

    /// One word, and the sentence; `sequence` numbers the state, and so the generation, that the
    /// change makes.
    #[must_use]
    pub fn words(&self, sequence: u64) -> (&'static str, String) {
        let path = &self.path;
        let kept = match self.own {
            Own::Config => "edited by the customer, kept",
            Own::Drift | Own::Unowned => "kept as it is",
        };
        let sentence = match &self.fate {
            Fate::Beside(new) => format!("{path}: {kept}; the new one lies beside as {new}"),
            Fate::DeletedBeside(new) => format!(
                "{path}: deleted by the customer, stays so; the new one lies beside as {new}"
            ),
            Fate::Kept => format!("{path}: {kept}; the new one is not put there"),
            Fate::StaysDeleted => format!("{path}: stays deleted; the new one is not put there"),
            Fate::LetGo => format!("{path}: {kept}; nobody owns it from now on"),
            Fate::Overwritten(slot) => format!(
                "{path}: overwritten; what stood there is .lockstep/generations/{sequence}/{slot}"
            ),
            Fate::TakenAway(slot) => format!(
                "{path}: taken away; what stood there is .lockstep/generations/{sequence}/{slot}"
            ),
            Fate::PutBack => format!("{path}: was deleted, and is put back"),
            Fate::LeftStanding => format!("{path}: left standing, it holds what nobody owns"),
        };
        let word = match self.fate {
            Fate::LeftStanding => "folder",
            _ => self.own.word(),
        };
        (word, sentence)
    }
}

impl Own {
    const fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Drift => "drift",
            Self::Unowned => "unowned",
        }
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
