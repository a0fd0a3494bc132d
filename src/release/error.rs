//! What can be wrong with a release repository, and the refusal that each is.

use std::path::PathBuf;

use crate::disk::DiskError;
use crate::model::text::clipped;
use crate::model::{RecipePath, Refusal, RefusalName, Sha256};
use crate::trust::KeyFileError;
use crate::trust::vendor::VERSION_END;

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
        /// The ids of the keys given.
        given: Vec<Sha256>,
        /// The ids of the keys that sign for it.
        listed: Vec<Sha256>,
    },
    /// A signature that is not one, or of a key that may not sign.
    #[error("the signature given for {file} is none of a key that may sign it")]
    Unsigned {
        /// Its name.
        file: String,
        /// The id of the key.
        key: Sha256,
    },
    /// Metadata that is to be continued, and is not what its own keys signed.
    #[error(
        "{file} has {have} of {threshold} good signatures of the keys that are to sign the next version"
    )]
    Meddled {
        /// Its name.
        file: String,
        /// Distinct public keys with a good signature.
        have: u64,
        /// How many are asked for.
        threshold: u64,
    },
    /// Another change of a role waits for signatures.
    #[error("another change of the role {role} waits for signatures")]
    OtherDraft {
        /// The role.
        role: String,
        /// Its draft.
        path: PathBuf,
    },
    /// A role that is not there.
    #[error("the repository has no role {role}")]
    NoRole {
        /// What was asked for.
        role: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A delegation that is there already, with other keys.
    #[error("the role {0} is there already, and other keys sign for it")]
    RoleExists(String),
    /// A role of the owner's own, which is nobody's to give back.
    #[error("the role {role} is the owner's own: the targets keys sign its recipes")]
    OwnRole {
        /// The role.
        role: String,
        /// How many recipes it has.
        recipes: usize,
        /// The roles that others have.
        delegates: Vec<String>,
    },
    /// Recipes that a delegation may not have.
    #[error("the role {role} cannot answer for these recipes: {why}")]
    Claimed {
        /// The role.
        role: String,
        /// What stands in the way.
        why: String,
    },
    /// A recipe that a delegate may not publish.
    #[error("the role {role} lists a recipe that is not delegated to it")]
    Outside {
        /// The role.
        role: String,
        /// The recipe.
        path: RecipePath,
        /// What is delegated to it.
        granted: Vec<String>,
    },
    /// A recipe path that stands for another content already: a published one, or one that a take which
    /// was cut short left behind.
    #[error("{path} is offered, and there is already another file for this path")]
    Reused {
        /// The recipe.
        path: RecipePath,
        /// What is there.
        there: String,
        /// What is offered.
        offered: String,
    },
    /// Versions that cannot start anew.
    #[error("the versions of the role {role} cannot start anew by themselves")]
    Restart {
        /// The role.
        role: String,
        /// The roles that record its versions and have to start anew with it; none where nothing helps.
        missing: Vec<String>,
    },
    /// A version that no host could keep.
    #[error("the role {role} has counted to the end: version {version}")]
    Spent {
        /// The role.
        role: String,
        /// The version it would have.
        version: u64,
        /// The roles that record its versions and have to start anew with it.
        recorded_by: &'static [&'static str],
    },
    /// A file that readers would refuse, this program first of all.
    #[error("{file} would be taken by no reader: {why}")]
    Unreadable {
        /// Its name.
        file: String,
        /// What they would say.
        why: String,
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
                "use the keys that sign for it (--keys DIR); where a rotation was cut short, type that publish rotate line again",
            ),
            Self::Unsigned { .. } => (
                RefusalName::BadSignature,
                "write the bytes again (publish sign --bytes OUT), and sign exactly those",
            ),
            Self::Meddled { .. } => (
                RefusalName::BadSignature,
                "somebody else wrote this file: restore the repository from a copy you trust",
            ),
            Self::OtherDraft { .. } => (
                RefusalName::Conflict,
                "have that one signed and type its command again, or give it up: remove the draft",
            ),
            Self::NoRole { .. } => (RefusalName::Usage, "name one of the roles that there are"),
            Self::RoleExists(_) => (
                RefusalName::Conflict,
                "change its keys with publish rotate --role NAME --key PUB, or choose another name",
            ),
            Self::OwnRole { .. } => (
                RefusalName::Usage,
                "name a delegate's role; to hand this one to another publisher: lockstep publish rotate --role NAME --key PUB",
            ),
            Self::Claimed { .. } => (
                RefusalName::Conflict,
                "delegate recipes that nobody publishes: publish delegate --role NAME --path PATTERN",
            ),
            Self::Outside { .. } => (
                RefusalName::Conflict,
                "have the delegate take it out, or delegate it: publish delegate --role NAME --path PATTERN",
            ),
            Self::Reused { .. } => (
                RefusalName::Conflict,
                "have the delegate give it a new version: a path stands for one content for ever",
            ),
            Self::Restart { missing, .. } if missing.is_empty() => (
                RefusalName::Usage,
                "leave root out: its versions follow each other without a gap for ever",
            ),
            Self::Restart { .. } => (
                RefusalName::Usage,
                "name them in the same command: publish rotate --restart-versions",
            ),
            Self::Spent { .. } => (
                RefusalName::Conflict,
                "new keys let it start anew: publish rotate --restart-versions",
            ),
            Self::Unreadable { .. } => (
                RefusalName::Conflict,
                "where it has too many signatures: lockstep publish rotate --role NAME --key PUB, for fewer keys; where it is too large, fewer recipes: lockstep publish delegate",
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
            ReleaseError::ForeignKey { given, listed, .. } => {
                let refusal = given
                    .iter()
                    .fold(refusal, |refusal, key| refusal.value("given", key));
                listed
                    .iter()
                    .fold(refusal, |refusal, key| refusal.value("listed", key))
            }
            ReleaseError::Unsigned { key, .. } => refusal.value("key", key),
            ReleaseError::OtherDraft { path, .. } => refusal.value("draft", path.display()),
            ReleaseError::NoRole { known, .. } => refusal.value("there are", known.join(", ")),
            ReleaseError::OwnRole {
                recipes, delegates, ..
            } => refusal
                .value("its recipes", recipes)
                .value("delegates", listed_or_none(&delegates)),
            ReleaseError::Outside { path, granted, .. } => refusal
                .value("recipe", path)
                .value("delegated", granted.join(", ")),
            ReleaseError::Reused { there, offered, .. } => {
                refusal.value("offered", offered).value("there", there)
            }
            ReleaseError::Restart { role, missing } if !missing.is_empty() => refusal
                .value("recorded by", missing.join(", "))
                .next(restart(std::iter::once(&role).chain(&missing))),
            ReleaseError::Spent { role, .. } if role == "root" => refusal.next(
                "begin a new repository with publish init, and ask sites to replace the root: lockstep site renew --replace-root",
            ),
            ReleaseError::Spent {
                role, recorded_by, ..
            } => refusal
                .value("the last that hosts keep", VERSION_END - 1)
                .next(restart(
                    std::iter::once(role.as_str()).chain(recorded_by.iter().copied()),
                )),
            _ => refusal,
        }
    }
}

fn listed_or_none(roles: &[String]) -> String {
    if roles.is_empty() {
        "none".to_owned()
    } else {
        roles.join(", ")
    }
}

/// The line that lets roles start anew.
fn restart(roles: impl Iterator<Item = impl std::fmt::Display>) -> String {
    roles.fold(
        "with new keys: lockstep publish rotate --restart-versions".to_owned(),
        |line, role| format!("{line} --role {role}"),
    )
}
