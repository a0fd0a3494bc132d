//! Why a TUF client takes a file, or the lack of one, for no good.

use crate::model::Time;
use crate::model::text::Escaped;

/// Why a refresh or a search ends.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClientError {
    /// A file that is malformed, not signed by enough keys, or not the one that was named.
    #[error("{}: {}", Escaped(.role), Escaped(.what))]
    Refused {
        /// The role, or the artifact.
        role: String,
        /// What is wrong with it.
        what: String,
    },
    /// A version below one that was seen before.
    #[error("{}: version {offered} is offered, version {floor} was seen before", Escaped(.role))]
    Rollback {
        /// The role.
        role: String,
        /// The version that is offered.
        offered: u64,
        /// The lowest version that is still taken.
        floor: u64,
    },
    /// A role that was seen before and is no longer listed.
    #[error("{}: the snapshot no longer lists it, version {floor} was seen before", Escaped(.role))]
    Removed {
        /// The role.
        role: String,
        /// The version that was seen.
        floor: u64,
    },
    /// A root that does not follow the one in force.
    #[error("root: version {offered} is offered after version {trusted}")]
    Gap {
        /// The version in force.
        trusted: u64,
        /// The version that is offered.
        offered: u64,
    },
    /// Metadata past its expiry.
    #[error("{}: it expired at {expires}, it is {now}", Escaped(.role))]
    Expired {
        /// The role.
        role: String,
        /// When it expired.
        expires: Time,
        /// The start of the refresh.
        now: Time,
    },
    /// A record of floors that cannot be read.
    #[error("the floors are damaged ({0}), which is no first use: nothing is taken over them")]
    Floors(String),
}

impl ClientError {
    pub(super) fn refused(role: &str, what: impl Into<String>) -> Self {
        Self::Refused {
            role: role.to_owned(),
            what: what.into(),
        }
    }
}
