//! What can be wrong with a release repository, and the refusal that each is.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::model::text::clipped;
use crate::model::{Refusal, RefusalName, Sha256};
use crate::trust::KeyFileError;

/// Why a release repository could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The operating system refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A key could not be used.
    #[error("the {role} key: {source}")]
    Key {
        /// The role it signs for.
        role: String,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// No repository there.
    #[error("{} holds no release repository", .0.display())]
    NoRepository(PathBuf),
    /// A repository is there already.
    #[error("{} already holds a release repository", .0.display())]
    Exists(PathBuf),
    /// Another publisher is at work.
    #[error("another command is publishing into {}", .0.display())]
    Busy(PathBuf),
    /// A file that others point to is not there.
    #[error("{file} is missing in {place}")]
    Missing {
        /// Its name.
        file: String,
        /// The source, as [`super::Source::describe`] calls it.
        place: String,
    },
    /// A file is not what this program, or any TUF publisher, writes.
    #[error("{file}: {why}")]
    Corrupt {
        /// Its name.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// Content that is not the one asked for.
    #[error("{file} holds other content than its name says")]
    Digest {
        /// Its name or path.
        file: String,
        /// What was asked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// A name that has no place in a repository.
    #[error("{name:?} cannot stand in a release repository: {why}")]
    Name {
        /// The name.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A key that does not sign for a role.
    #[error("the key given does not sign for the role {role}")]
    ForeignKey {
        /// The role.
        role: String,
        /// The id of the key given.
        given: Sha256,
        /// The ids of the keys that sign for it.
        listed: Vec<Sha256>,
    },
    /// Metadata without the signature that it must have.
    #[error("{file} has no good signature of the key that is to sign the next version")]
    Unsigned {
        /// Its name.
        file: String,
        /// The id of the key.
        key: Sha256,
    },
    /// Fewer signatures than the role asks for.
    #[error("{file} would have {have} of {threshold} signatures, and no reader would take it")]
    Threshold {
        /// Its name.
        file: String,
        /// Distinct public keys with a good signature.
        have: u64,
        /// How many are asked for.
        threshold: u64,
    },
    /// A file whose name stands for one content for ever holds another.
    #[error("{} is written once and holds something else", .0.display())]
    WrittenOnce(PathBuf),
    /// A file changed between two looks at it.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
}

impl ReleaseError {
    /// A corrupt file.
    pub fn corrupt(file: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            file: file.into(),
            // The parser repeats what it does not know, however long.
            why: clipped(why.to_string()),
        }
    }

    fn name_and_next(&self) -> (RefusalName, &'static str) {
        match self {
            // Disk errors say this themselves; see the conversion below.
            Self::Disk(_) => (RefusalName::Internal, ""),
            Self::Key { .. } => (
                RefusalName::Usage,
                "name the folder that publish init made (--keys DIR)",
            ),
            Self::NoRepository(_) => (
                RefusalName::Usage,
                "check --repository, or make one: lockstep publish init --repository DIR --keys DIR",
            ),
            Self::Exists(_) => (
                RefusalName::NothingToDo,
                "publish into it (lockstep publish component), or name another folder",
            ),
            Self::Busy(_) => (
                RefusalName::Busy,
                "wait until it has ended and run the same command again",
            ),
            Self::Missing { .. } => (
                RefusalName::Incomplete,
                "complete the copy of the repository and run the same command again",
            ),
            Self::Corrupt { .. } | Self::Digest { .. } => (
                RefusalName::Corrupt,
                "restore the file from the publisher's copy of the repository",
            ),
            Self::Name { .. } => (RefusalName::Usage, "choose another name"),
            Self::ForeignKey { .. } => (
                RefusalName::UntrustedSigner,
                "use the keys that this repository was made with",
            ),
            Self::Unsigned { .. } => (
                RefusalName::BadSignature,
                "somebody else wrote this file: restore the repository from a copy you trust",
            ),
            Self::Threshold { .. } => (
                RefusalName::BadSignature,
                "bring as many keys as the role asks for",
            ),
            Self::WrittenOnce(_) => (
                RefusalName::Corrupt,
                "restore the repository from a copy you trust",
            ),
            Self::Changed(_) => (
                RefusalName::Usage,
                "stop what writes to it and run the same command again",
            ),
        }
    }
}

impl From<ReleaseError> for Refusal {
    fn from(error: ReleaseError) -> Self {
        let (name, next) = error.name_and_next();
        let refusal = Self::new(name, error.to_string()).next(next);
        match error {
            ReleaseError::Disk(disk) => disk.into(),
            ReleaseError::Digest { wanted, found, .. } => {
                refusal.value("wanted", wanted).value("found", found)
            }
            ReleaseError::ForeignKey { given, listed, .. } => listed
                .iter()
                .fold(refusal.value("given", given), |refusal, key| {
                    refusal.value("listed", key)
                }),
            ReleaseError::Unsigned { key, .. } => refusal.value("key", key),
            _ => refusal,
        }
    }
}
