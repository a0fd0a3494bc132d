//! What can go wrong with files, and the refusal that each of it is.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::mount_error::MountError;
use super::obstacle::{self, Obstacle};
use crate::model::{Interrupted, Refusal, RefusalName};

/// What the operating system refused, or what stands where something else should.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A call failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done: `read`, `write`, `rename`.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file is larger than it can be.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A folder, pipe or device where a plain file is wanted.
    #[error("{} is not a plain file", path.display())]
    NotAFile {
        /// Which path.
        path: PathBuf,
    },
    /// Something is there already that is only ever made new.
    #[error("{} is there already", path.display())]
    AlreadyThere {
        /// Which path.
        path: PathBuf,
    },
    /// A folder that is no installation, nor lies in one.
    #[error("{} is not in an installation: no folder above it holds .lockstep", path.display())]
    NotARoot {
        /// Where the search began.
        path: PathBuf,
    },
    /// A link, or a file, stands where a path needs a folder.
    #[error("{} cannot be reached without following a link", path.display())]
    Blocked {
        /// Which path.
        path: PathBuf,
    },
    /// A folder of the node's own lies on another mount than it must.
    #[error("{} lies on another mount than the files it is for, so nothing can be exchanged with them", path.display())]
    OtherMount {
        /// Which path.
        path: PathBuf,
    },
    /// Something stands at a path that a change needs, and it is not what the change was made for.
    #[error("{} is in the way: {reason}", path.display())]
    InTheWay {
        /// Which path.
        path: PathBuf,
        /// What is the matter with it.
        reason: &'static str,
    },
    /// Another command holds the lock.
    #[error("another command is at work here")]
    Busy {
        /// Its process id.
        pid: String,
        /// What it is.
        command: String,
        /// Since when.
        since: String,
    },
    /// The user is not the one who owns the state folder.
    #[error("this environment belongs to another user")]
    NotOperator {
        /// Who owns it.
        operator: String,
        /// Who runs this.
        user: String,
        /// The line to type instead.
        line: String,
    },
    /// Others than the operator can read the node's key.
    #[error("others can read the node's key {}", path.display())]
    KeyOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The node's key is gone.
    #[error("the node's key {} is missing: this node can sign nothing", path.display())]
    KeyLost {
        /// The key file.
        path: PathBuf,
    },
    /// Paths that this user cannot change, or not without losing an owner, group or attribute.
    #[error("{}", .all.first().map_or_else(String::new, ToString::to_string))]
    Obstacles {
        /// All that were found.
        all: Vec<Obstacle>,
    },
    /// A file or folder of the installation that this user cannot read.
    #[error("{} cannot be read by this user", path.display())]
    Unreadable {
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: String,
        /// Which path.
        path: PathBuf,
        /// Who runs this.
        user: String,
        /// The line to type.
        line: String,
    },
    /// What stands at a path is not what the scan found there.
    #[error("{}: {reason}", path.display())]
    Changed {
        /// Which path.
        path: PathBuf,
        /// What happened.
        reason: &'static str,
    },
    /// Trusted state is missing or not what it says it is.
    #[error("the trusted state {} is damaged: {reason}", path.display())]
    Damaged {
        /// Which file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The node's own rules cannot be read.
    #[error("the rules of this node, {}, cannot be read: {reason}", path.display())]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// A file of service commands that `init` was given cannot be read.
    #[error("the commands of the product's service, {}, cannot be read: {reason}", path.display())]
    ServiceFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// Content with other digests than it must have.
    #[error("{} does not have the content it must have", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it must have.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A mount below the root does not serve, or there is too little room.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// An interrupted change that cannot be judged without a person.
    #[error("an interrupted change cannot be recovered by itself: {reason}")]
    NeedsRecovery {
        /// Where.
        path: PathBuf,
        /// What stands in the way.
        reason: String,
    },
    /// A journal that no reader would take, and so is not written.
    #[error("the journal {} cannot be written: {reason}", path.display())]
    Unwritable {
        /// Which file it would be.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of another format than this program reads.
    #[error("{} has format {found}, which this program does not read", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// The format that it says.
        found: u64,
    },
    /// The command was ended from outside.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The system has no random bytes, or a key could not be made.
    #[error("no key could be made: {0}")]
    Random(String),
}

impl DiskError {
    /// Wraps an error of the operating system with what was being done to which path.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// [`DiskError::io`] for a system call.
    pub(super) fn os(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(rustix::io::Errno) -> Self {
        let wrap = Self::io(action, path);
        move |errno| wrap(errno.into())
    }

    /// The kind of the operating system's error, where there is one.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// Whether it only says that this user may not read something.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. }) || self.kind() == Some(ErrorKind::PermissionDenied)
    }

    /// The refusal that this is.
    #[must_use]
    pub fn refusal(&self) -> RefusalName {
        match self {
            Self::Io { source, .. } => io_refusal(source.kind()),
            Self::TooLarge { .. } | Self::Random(_) | Self::Unwritable { .. } => {
                RefusalName::Internal
            }
            Self::Format { .. } => RefusalName::UnsupportedFormat,
            Self::AlreadyThere { .. }
            | Self::NotAFile { .. }
            | Self::NotARoot { .. }
            | Self::Rules { .. }
            | Self::ServiceFile { .. } => RefusalName::Usage,
            Self::Blocked { .. } | Self::InTheWay { .. } => RefusalName::Conflict,
            Self::Changed { .. } => RefusalName::Stale,
            Self::Busy { .. } => RefusalName::Busy,
            Self::OtherMount { .. }
            | Self::NotOperator { .. }
            | Self::KeyOpen { .. }
            | Self::Obstacles { .. }
            | Self::Unreadable { .. } => RefusalName::NotPermitted,
            Self::Damaged { .. } | Self::KeyLost { .. } | Self::Content { .. } => {
                RefusalName::Corrupt
            }
            Self::Mount(error) => error.refusal(),
            Self::NeedsRecovery { .. } => RefusalName::NeedsRecovery,
            Self::Interrupted(_) => RefusalName::Interrupted,
        }
    }

    fn next(&self) -> String {
        match self {
            Self::Io { source, .. } => io_next(io_refusal(source.kind())).to_owned(),
            Self::TooLarge { .. } => "look at the file; this program did not write it".to_owned(),
            Self::AlreadyThere { .. } => "lockstep status".to_owned(),
            Self::NotAFile { .. } => "name the file itself".to_owned(),
            Self::NotARoot { .. } => "name the installation with --root DIR".to_owned(),
            Self::Blocked { .. } => {
                "put the folder itself where the link is, and run the same command again".to_owned()
            }
            Self::InTheWay { .. } => {
                "move it out of the installation and run the same command again".to_owned()
            }
            Self::Changed { .. } => {
                "stop whatever writes there, and run the same command again".to_owned()
            }
            Self::OtherMount { .. } => {
                "unmount what is mounted there: it must be a plain folder".to_owned()
            }
            Self::Busy { .. } => "wait until it has ended and run the command again".to_owned(),
            Self::NotOperator { line, .. } => line.clone(),
            Self::KeyOpen { path, .. } => format!("chmod 600 {}", path.display()),
            // It has a refusal of its own.
            Self::Obstacles { .. } => String::new(),
            Self::Unreadable { line, .. } => format!("{line}, then the same command again"),
            Self::Damaged { .. } => {
                "put .lockstep back from a backup that you trust, then: lockstep rehome --restored --enrolment FILE \
                 --reason TEXT; do not init again".to_owned()
            }
            Self::KeyLost { .. } => {
                "lockstep rehome --restored --enrolment FILE --reason TEXT, with FILE from the desk (lockstep enrol ... \
                 --output FILE --key KEY)".to_owned()
            }
            Self::Rules { .. } => {
                "mend the file by hand, and run the same command again".to_owned()
            }
            Self::ServiceFile { .. } => {
                "mend the file, and run the same command again; lockstep init --help shows one".to_owned()
            }
            Self::Content { .. } => {
                "make the file anew from its source and run the command again".to_owned()
            }
            Self::Mount(error) => error.next(),
            Self::Interrupted(_) => Interrupted::NEXT.to_owned(),
            Self::NeedsRecovery { .. } => {
                "put the path right by hand, then lockstep recover".to_owned()
            }
            Self::Unwritable { .. } => "report this as a fault of this program".to_owned(),
            Self::Format { .. } => {
                "use the release of lockstep that wrote it, or a later one".to_owned()
            }
            Self::Random(_) => "check that the system has /dev/urandom".to_owned(),
        }
    }

    fn values(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::Busy {
                pid,
                command,
                since,
            } => refusal
                .value("process", pid)
                .value("command", command)
                .value("since", since),
            Self::NotOperator { operator, user, .. } => {
                refusal.value("operator", operator).value("you are", user)
            }
            Self::Unreadable {
                mode, owner, user, ..
            } => refusal
                .value("owner", owner)
                .value("mode", format!("{mode:04o}"))
                .value("you are", user),
            Self::KeyOpen { mode, .. } => refusal
                .value("mode", format!("{mode:04o}"))
                .value("at most", "0600"),
            Self::Content {
                expected, found, ..
            } => refusal.value("expected", expected).value("found", found),
            Self::Mount(error) => error.values(refusal),
            Self::NeedsRecovery { path, .. } => refusal.value("path", path.display()),
            _ => refusal,
        }
    }
}

impl From<DiskError> for Refusal {
    fn from(error: DiskError) -> Self {
        if let DiskError::Obstacles { all } = &error {
            return obstacle::refuse(all);
        }
        let refusal = Self::new(error.refusal(), error.to_string()).next(error.next());
        let refusal = error.values(refusal);
        if refusal.name == RefusalName::NeedsRecovery {
            refusal.unchanged("the journal stands; no path was changed on a guess")
        } else {
            refusal
        }
    }
}

fn io_refusal(kind: ErrorKind) -> RefusalName {
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => RefusalName::NotPermitted,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RefusalName::NoSpace,
        ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
            RefusalName::Usage
        }
        _ => RefusalName::Internal,
    }
}

fn io_next(name: RefusalName) -> &'static str {
    match name {
        RefusalName::NotPermitted => "run it as the user who owns the file, or mend its rights",
        RefusalName::NoSpace => "make room and run the same command again",
        RefusalName::Usage => "check the path and run the command again",
        _ => "see what the system says of this device (dmesg), then run the same command again",
    }
}
