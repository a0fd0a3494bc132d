//! What stands in the way of a change that this user makes, and the line that takes it away.
//!
//! [`super::rights`] finds all of them before anything is staged; the steps that come after meet
//! the same ones where something changed in between.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::DiskError;
use super::operator::{User, named};
use super::stamp::{FileKind, Stamp};
use crate::model::text::{Shown, shell_word};
use crate::model::{Refusal, RefusalName};

/// Most paths that a message names.
const SHOWN: usize = 8;

/// A path that cannot be changed, or not without losing something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// Which path.
    pub path: PathBuf,
    /// What is the matter with it.
    pub hurdle: Hurdle,
}

/// What is the matter with a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hurdle {
    /// Nothing may be made, renamed or removed in it, or it may only grow (`chattr +a`).
    AppendOnly,
    /// An attribute that this user cannot set on the new file; the error that it gives.
    Attribute(String, String),
    /// A folder of another owner that this user may not change names in.
    Folder {
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        uid: u32,
    },
    /// A group that this user cannot give the new file.
    Group(u32),
    /// Nothing of it may be changed (`chattr +i`).
    Immutable,
    /// An owner that this user cannot give the new file.
    Owner(u32),
    /// A read-only folder whose set-gid bit would be lost where it is opened and closed again.
    SetGid(u32),
    /// Somebody else's path in a sticky folder of somebody else.
    Sticky(u32),
}

impl Obstacle {
    /// What is the matter, as the value of a refusal.
    fn words(&self) -> String {
        match &self.hurdle {
            Hurdle::AppendOnly => "it is append-only (chattr +a)".to_owned(),
            Hurdle::Attribute(name, why) => {
                format!("its attribute {name} cannot be kept by this user: {why}")
            }
            Hurdle::Folder { mode, uid } => format!(
                "no name in it can be changed by this user: its owner is {}, its mode {mode:04o}",
                who(*uid)
            ),
            Hurdle::Group(gid) => format!("its group {gid} cannot be kept by this user"),
            Hurdle::Immutable => "it is immutable (chattr +i)".to_owned(),
            Hurdle::Owner(uid) => format!("its owner {} cannot be kept by this user", who(*uid)),
            Hurdle::SetGid(gid) => format!(
                "it is read-only, and its set-gid bit for the group {gid} would be lost in opening it"
            ),
            Hurdle::Sticky(uid) => {
                format!("it is in a sticky folder, and its owner is {}", who(*uid))
            }
        }
    }

    /// The command that takes it away; the paths come behind it.
    fn command(&self, user: &User) -> String {
        match &self.hurdle {
            Hurdle::AppendOnly => "sudo chattr -a".to_owned(),
            Hurdle::Attribute(name, _) => format!("sudo setfattr -x {}", shell_word(name)),
            Hurdle::Folder { .. } | Hurdle::Owner(_) | Hurdle::Sticky(_) => {
                format!("sudo chown {}", user.name.trim_start_matches('#'))
            }
            Hurdle::Group(_) | Hurdle::SetGid(_) => format!("sudo chgrp {}", user.gid),
            Hurdle::Immutable => "sudo chattr -i".to_owned(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Shown(&self.path), self.words())
    }
}

/// The refusal that names what stands in the way, and what to type.
pub(super) fn refuse(obstacles: &[Obstacle]) -> Refusal {
    let user = User::current();
    let what = match obstacles.len() {
        1 => "a path cannot be changed, or not without losing something".to_owned(),
        many => format!("{many} paths cannot be changed, or not without losing something"),
    };
    let mut refusal = Refusal::new(RefusalName::NotPermitted, what);
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for obstacle in obstacles.iter().take(SHOWN) {
        refusal = refusal.value("path", obstacle);
        let paths = lines.entry(obstacle.command(&user)).or_default();
        paths.push(' ');
        paths.push_str(&quoted_path(&obstacle.path));
    }
    if let Some(more) = obstacles.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        refusal = refusal.value("and", format!("{more} more"));
    }
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(command, paths)| command + &paths)
        .collect();
    refusal.value("you are", user.name).next(format!(
        "{}, then the same command again",
        lines.join(" && ")
    ))
}

/// What this user cannot read, and the line that mends it.
pub(super) fn unreadable(path: PathBuf, stamp: &Stamp) -> DiskError {
    let user = User::current();
    let quoted = quoted_path(&path);
    let right = if stamp.kind == FileKind::Folder {
        "u+rx"
    } else {
        "u+r"
    };
    let line = if stamp.uid == user.uid {
        format!("chmod {right} {quoted}")
    } else {
        let own = user.name.trim_start_matches('#');
        format!("sudo chown {own} {quoted} && sudo chmod {right} {quoted}")
    };
    DiskError::Unreadable {
        mode: stamp.mode,
        owner: who(stamp.uid),
        path,
        user: user.name,
        line,
    }
}

fn quoted_path(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

fn who(uid: u32) -> String {
    let name = named(uid);
    if name.starts_with('#') {
        uid.to_string()
    } else {
        format!("{name} ({uid})")
    }
}

impl From<Obstacle> for DiskError {
    fn from(obstacle: Obstacle) -> Self {
        Self::Obstacles {
            all: vec![obstacle],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle(path: &str, hurdle: Hurdle) -> Obstacle {
        Obstacle {
            path: path.into(),
            hurdle,
        }
    }

    #[test]
    fn the_line_to_type_takes_all_away() {
        let user = User::current();
        let own = user.name.trim_start_matches('#');
        let attribute = Hurdle::Attribute("security.capability".to_owned(), "no".to_owned());
        let refusal = refuse(&[
            obstacle("/r/a b", Hurdle::Immutable),
            obstacle("/r/it's", Hurdle::Immutable),
            obstacle("/r/c", Hurdle::Owner(4_000_000)),
            obstacle("/r/d", attribute),
        ]);
        assert_eq!(refusal.name, RefusalName::NotPermitted);
        let wanted = format!(
            r"sudo chattr -i '/r/a b' '/r/it'\''s' && sudo chown {own} /r/c && sudo setfattr -x security.capability /r/d, then the same command again"
        );
        assert_eq!(refusal.next, wanted);
        let owner = "/r/c: its owner 4000000 cannot be kept by this user";
        assert_eq!(refusal.values[2], ("path".to_owned(), owner.to_owned()));
    }

    #[test]
    fn many_are_counted() {
        let all: Vec<Obstacle> = (0..11)
            .map(|n| obstacle(&format!("/r/{n}"), Hurdle::AppendOnly))
            .collect();
        let refusal = refuse(&all);
        assert!(refusal.what.starts_with("11 paths"), "{refusal}");
        assert!(
            refusal.values.contains(&("and".into(), "3 more".into())),
            "{refusal}"
        );
        assert!(!refusal.next.contains("/r/8"), "{refusal}");
    }
}
