//! What can be wrong with the mounts below a root, and the refusal that each of it is.

use std::path::PathBuf;

use super::space::Shortage;
use crate::model::{Refusal, RefusalName};

/// A mount that does not serve, is not there, or has too little room.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The journal of a change names a staging area on a mount that is not there.
    #[error("the change has files on the mount {}, and they are not there: {reason}", path.display())]
    AreaMissing {
        /// The mount point.
        path: PathBuf,
        /// What was found instead.
        reason: &'static str,
    },
    /// The staging area of a mount is another environment's, or this one's under another path.
    #[error("{} is the staging area of another environment, or of another mount point", path.display())]
    OthersArea {
        /// The area.
        path: PathBuf,
        /// What its owner file says.
        found: String,
        /// What it would say if it were ours.
        ours: String,
    },
    /// The file system cannot make two files change places, or rename without replacing.
    #[error("the file system at {} cannot exchange two files in one step", path.display())]
    NoExchange {
        /// The mount point.
        path: PathBuf,
        /// The file system, in words.
        kind: String,
        /// What it answered.
        answer: String,
    },
    /// A file that a change touches is itself mounted.
    #[error("{} is a file that is mounted, and a mounted file cannot be exchanged", path.display())]
    MountedFile {
        /// The file.
        path: PathBuf,
        /// What is mounted there, in words.
        kind: String,
        /// What the change would do to it.
        turn: &'static str,
    },
    /// File systems have too little room.
    #[error("{}", too_little(.0))]
    NoSpace(Vec<Shortage>),
}

impl MountError {
    /// The refusal that this is.
    #[must_use]
    pub const fn refusal(&self) -> RefusalName {
        match self {
            Self::AreaMissing { .. } => RefusalName::NeedsRecovery,
            Self::OthersArea { .. } | Self::NoExchange { .. } | Self::MountedFile { .. } => {
                RefusalName::NotPermitted
            }
            Self::NoSpace(_) => RefusalName::NoSpace,
        }
    }

    pub(super) fn next(&self) -> String {
        match self {
            Self::AreaMissing { path, .. } => {
                format!("mount {} as it was, then lockstep recover", path.display())
            }
            Self::OthersArea { path, .. } => format!(
                "mount a folder of its own here, once; if the other environment is gone for good: rm -r {}",
                path.display()
            ),
            Self::NoExchange { .. } => {
                "move the product's files there to a local file system (ext4, xfs, btrfs), and mount that"
                    .to_owned()
            }
            Self::MountedFile { path, .. } => {
                format!("umount {}, and run the same command again", path.display())
            }
            Self::NoSpace(shortages) if shortages.iter().all(Shortage::is_helped) => {
                "lockstep gc --keep 1, and run the same command again".to_owned()
            }
            Self::NoSpace(_) => {
                "make room there, but not in .lockstep, and run the same command again".to_owned()
            }
        }
    }

    pub(super) fn values(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::AreaMissing { path, .. } => refusal.value("mount", path.display()),
            Self::OthersArea { found, ours, .. } => refusal
                .value("belongs to", one_line(found))
                .value("this is", one_line(ours)),
            Self::NoExchange { path, kind, answer } => refusal
                .value("mount", path.display())
                .value("it is", kind)
                .value("answered", answer),
            Self::MountedFile { kind, turn, .. } => {
                refusal.value("mounted", kind).value("the patch", turn)
            }
            Self::NoSpace(shortages) => shortages.iter().fold(refusal, |refusal, short| {
                refusal
                    .value("mount", short.point.display())
                    .value("needed", short.needed)
                    .value("free", short.free)
                    .value("gc --keep 1", format!("would free {}", short.reclaimable))
            }),
        }
    }
}

fn one_line(text: &str) -> String {
    text.trim_end().replace('\n', ", ")
}

fn too_little(shortages: &[Shortage]) -> String {
    match shortages {
        [short] => format!(
            "the file system of {} has too little room",
            short.point.display()
        ),
        more => format!("{} file systems have too little room", more.len()),
    }
}
