//! What an interrupted change needs: back until the commit, tidy after it.
//!
//! A journal lists the moves of one change. Each path is judged by what stands there and in its
//! slot, never by how far the change is thought to have come. What is neither the old nor the new
//! is for a person: never a guess.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::statement::RuleError;
use crate::model::{Blake3, TreePath};

/// The moves of one change, sealed before the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The mount points, other than the root, where staging areas of the change lie; rising.
    pub areas: Vec<TreePath>,
    /// The moves, in the order in which they are made.
    pub entries: Vec<Move>,
    /// The number of the state that commits the change.
    pub sequence: u64,
    /// Folders that are opened for the moves and closed after them, rising by path.
    pub shut: Vec<Shut>,
}

/// On which side of the commit a product is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Before it: a start that does not go well takes the change back.
    BeforeCommit,
    /// After it: the start of a one-way change is not undone by putting old files back.
    AfterCommit,
}

/// A folder in which its owner may not change names, except while a change is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shut {
    /// Its inode: another folder at that path keeps its own mode.
    pub inode: Inode,
    /// Its permission bits at rest, before and after.
    pub mode: u32,
    /// Where it stands before or after; the root itself where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<TreePath>,
}

/// One move between a path of the installation and a slot of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// What is done.
    pub action: Action,
    /// Which staging area has the slot: 0 is the root's own, then those of the journal in turn.
    #[serde(
        default,
        deserialize_with = "not_root",
        skip_serializing_if = "is_root"
    )]
    pub area: u64,
    /// Where in the installation.
    pub path: TreePath,
    /// The slot in the stage.
    pub slot: u64,
}

/// What a move does, with what takes part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Action {
    /// Path and slot change places.
    Exchange {
        /// What stands at the path before, in the slot after.
        displaced: Mark,
        /// What stands in the slot before, at the path after.
        staged: Mark,
    },
    /// The slot moves to the path, where nothing stands.
    Place {
        /// What stands in the slot before, at the path after.
        staged: Mark,
    },
    /// The path moves to the slot, where nothing stands.
    Remove {
        /// What stands at the path before, in the slot after.
        displaced: Mark,
    },
}

/// What one file, link or folder is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// BLAKE3 of a file's content or a link's text: what a rollback copy is checked by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<Blake3>,
    /// Its inode: both sides of a move exist while the journal stands, so no other has it.
    pub inode: Inode,
    /// What it is.
    pub kind: Kind,
}

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

/// An inode; text in JSON, because file systems use all 64 bits and JSON readers 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

/// What stands at a path or in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its inode.
    pub inode: Inode,
    /// What it is; nothing for a device, socket or pipe, which no move is of.
    pub kind: Option<Kind>,
}

/// How far one move has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is not made, or undone.
    Old,
    /// It is made.
    New,
    /// Something else stands there.
    Neither,
}

/// Which way recovery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Every move is undone.
    Back,
    /// Every move stays; only leftovers go.
    Tidy,
}

impl Mark {
    /// Whether what was seen is this.
    #[must_use]
    pub fn is(&self, seen: Option<Seen>) -> bool {
        is(seen, Some(self))
    }
}

impl Move {
    /// What stands at the path afterwards.
    #[must_use]
    pub const fn staged(&self) -> Option<&Mark> {
        match &self.action {
            Action::Exchange { staged, .. } | Action::Place { staged } => Some(staged),
            Action::Remove { .. } => None,
        }
    }

    /// What stood at the path before.
    #[must_use]
    pub const fn displaced(&self) -> Option<&Mark> {
        match &self.action {
            Action::Exchange { displaced, .. } | Action::Remove { displaced } => Some(displaced),
            Action::Place { .. } => None,
        }
    }
}

impl Journal {
    /// Checks that no path and no slot takes part in two moves: each is judged by itself. What
    /// changes its kind is exchanged. A path lies below the mount point of its area. A mode at rest
    /// has permission bits alone.
    pub fn check(&self) -> Result<(), RuleError> {
        if !self.areas.is_sorted_by(|a, b| a < b) {
            return Err(RuleError("its areas do not rise".to_owned()));
        }
        twice(&self.entries, |entry| &entry.path)?;
        twice(&self.entries, |entry| &entry.slot)?;
        for entry in &self.entries {
            let inside = match self.area(entry.area) {
                None => false,
                Some(None) => true,
                Some(Some(point)) => entry.path.ancestors().any(|above| above == *point),
            };
            if !inside {
                return Err(RuleError(format!(
                    "{} does not lie in its area ({})",
                    entry.path, entry.area
                )));
            }
        }
        match self.shut.iter().find(|shut| shut.mode > 0o7777) {
            Some(shut) => Err(RuleError(format!("{:o} is no mode of a folder", shut.mode))),
            None => Ok(()),
        }
    }

    /// The mount point of an area by its number: nothing within for the root's own, nothing at all
    /// for a number that no area has.
    #[must_use]
    pub fn area(&self, number: u64) -> Option<Option<&TreePath>> {
        match number.checked_sub(1) {
            None => Some(None),
            Some(index) => {
                let index = usize::try_from(index).ok()?;
                self.areas.get(index).map(Some)
            }
        }
    }
}

/// Judges one move by what stands at its path and in its slot.
#[must_use]
pub fn classify(entry: &Move, at_path: Option<Seen>, at_slot: Option<Seen>) -> Standing {
    let (staged, displaced) = (entry.staged(), entry.displaced());
    if is(at_path, displaced) && is(at_slot, staged) {
        Standing::Old
    } else if is(at_path, staged) && is(at_slot, displaced) {
        Standing::New
    } else {
        Standing::Neither
    }
}

/// The commit alone decides: a state that has the journal's number is made of the new files.
#[must_use]
pub const fn decide(journal: &Journal, current_sequence: u64) -> Direction {
    if current_sequence < journal.sequence {
        Direction::Back
    } else {
        Direction::Tidy
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_root(area: &u64) -> bool {
    *area == 0
}

/// Refuses two moves that have one key.
fn twice<K: Ord>(entries: &[Move], key: impl Fn(&Move) -> &K) -> Result<(), RuleError> {
    let mut all: Vec<&Move> = entries.iter().collect();
    all.sort_unstable_by(|a, b| key(a).cmp(key(b)));
    let same = all.windows(2).find_map(|pair| match pair {
        [a, b] if key(a) == key(b) => Some(b),
        _ => None,
    });
    match same {
        None => Ok(()),
        Some(entry) => Err(RuleError(format!(
            "{} (slot {}) is moved twice",
            entry.path, entry.slot
        ))),
    }
}

/// The number of an area that is there: the root's own is left out.
fn not_root<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let area = u64::deserialize(from)?;
    if is_root(&area) {
        Err(serde::de::Error::custom("the area 0 is left out"))
    } else {
        Ok(area)
    }
}

fn is(seen: Option<Seen>, mark: Option<&Mark>) -> bool {
    match (seen, mark) {
        (None, None) => true,
        (Some(seen), Some(mark)) => seen.inode == mark.inode && seen.kind == Some(mark.kind),
        _ => false,
    }
}

impl fmt::Display for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Inode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Inode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let inode = text.parse().map(Self).map_err(serde::de::Error::custom)?;
        if inode.to_string() == text {
            Ok(inode)
        } else {
            Err(serde::de::Error::custom("an inode in another spelling"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: u64 = 1;
    const NEW: u64 = 2;
    const ALIEN: u64 = 3;

    fn mark(inode: u64) -> Mark {
        Mark {
            blake3: None,
            inode: Inode(inode),
            kind: Kind::File,
        }
    }

    fn entry(action: Action) -> Move {
        Move {
            action,
            area: 0,
            path: "a".parse().unwrap(),
            slot: 0,
        }
    }

    const fn file(inode: u64) -> Seen {
        Seen {
            inode: Inode(inode),
            kind: Some(Kind::File),
        }
    }

    /// Every action with every pair of what can stand at path and slot: two pairs are known, all
    /// others are neither.
    #[test]
    fn all_combinations() {
        let (staged, displaced) = (mark(NEW), mark(OLD));
        let exchange = Action::Exchange {
            displaced: displaced.clone(),
            staged: staged.clone(),
        };
        let table = [
            (
                exchange,
                (Some(file(OLD)), Some(file(NEW))),
                (Some(file(NEW)), Some(file(OLD))),
            ),
            (
                Action::Place { staged },
                (None, Some(file(NEW))),
                (Some(file(NEW)), None),
            ),
            (
                Action::Remove { displaced },
                (Some(file(OLD)), None),
                (None, Some(file(OLD))),
            ),
        ];
        let folder = Some(Seen {
            inode: Inode(OLD),
            kind: Some(Kind::Folder),
        });
        let device = Some(Seen {
            inode: Inode(NEW),
            kind: None,
        });
        let all = [
            None,
            Some(file(OLD)),
            Some(file(NEW)),
            Some(file(ALIEN)),
            folder,
            device,
        ];
        for (action, old, new) in table {
            let entry = entry(action);
            for path in all {
                for slot in all {
                    let wanted = if (path, slot) == old {
                        Standing::Old
                    } else if (path, slot) == new {
                        Standing::New
                    } else {
                        Standing::Neither
                    };
                    assert_eq!(classify(&entry, path, slot), wanted, "{path:?} {slot:?}");
                }
            }
        }
    }

    #[test]
    fn the_commit_decides() {
        let journal = Journal {
            areas: vec![],
            entries: vec![],
            sequence: 7,
            shut: vec![],
        };
        for (current, direction) in [
            (0, Direction::Back),
            (6, Direction::Back),
            (7, Direction::Tidy),
            (8, Direction::Tidy),
        ] {
            assert_eq!(decide(&journal, current), direction, "{current}");
        }
    }

    #[test]
    fn a_path_lies_in_its_area() {
        let areas = |texts: &[&str]| -> Vec<TreePath> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (points, area, path, good) in [
            (&["data", "logs"][..], 1, "data/x", true),
            (&["data", "logs"], 2, "logs/a/x", true),
            (&["data"], 0, "lib/x", true),
            (&["data"], 1, "lib/x", false),
            (&["data"], 1, "data", false),
            (&["data"], 1, "database/x", false),
            (&["data"], 2, "data/x", false),
            (&["data"], u64::MAX, "data/x", false),
            (&["logs", "data"], 2, "data/x", false),
            (&["data", "data"], 1, "data/x", false),
        ] {
            let staged = mark(NEW);
            let journal = Journal {
                areas: areas(points),
                entries: vec![Move {
                    action: Action::Place { staged },
                    area,
                    path: path.parse().unwrap(),
                    slot: 0,
                }],
                sequence: 7,
                shut: Vec::new(),
            };
            assert_eq!(journal.check().is_ok(), good, "{points:?} {area} {path}");
        }
    }
}
