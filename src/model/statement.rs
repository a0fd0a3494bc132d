//! What every statement has in common: a format, a kind and the list of its members.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Sha256;
use super::text::{Escaped, clipped};

/// The format that this program writes, and the only one it reads. It stays 0, free to change,
/// until the format is declared 1.
pub const FORMAT: u32 = 0;

/// What a `.spr` file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a desk knows of an environment, signed by a preparer.
    Enrolment,
    /// The change from one state to another.
    Patch,
    /// What a node did.
    Receipt,
    /// One component version, or a release.
    Recipe,
    /// Whom an environment trusts.
    Site,
    /// What a node holds.
    Snapshot,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Enrolment,
        Self::Patch,
        Self::Receipt,
        Self::Recipe,
        Self::Site,
        Self::Snapshot,
    ];

    /// The kind as one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment",
            Self::Patch => "patch",
            Self::Receipt => "receipt",
            Self::Recipe => "recipe",
            Self::Site => "site",
            Self::Snapshot => "snapshot",
        }
    }

    /// The name of the statement's member, the first in the file.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Enrolment => "enrolment.json",
            Self::Patch => "patch.json",
            Self::Receipt => "receipt.json",
            Self::Recipe => "recipe.json",
            Self::Site => "site.json",
            Self::Snapshot => "snapshot.json",
        }
    }

    /// The kind whose statement has this member name.
    #[must_use]
    pub fn of_member(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.member() == name)
    }

    /// The SSHSIG namespace of its signatures; a recipe has none, TUF is its signature.
    #[must_use]
    pub const fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Enrolment => Some("lockstep-enrolment"),
            Self::Patch => Some("lockstep-patch"),
            Self::Receipt => Some("lockstep-receipt"),
            Self::Recipe => None,
            Self::Site => Some("lockstep-site"),
            Self::Snapshot => Some("lockstep-snapshot"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The SSHSIG namespace of approvals: detached, over the bytes of `patch.json`.
pub const APPROVAL_NAMESPACE: &str = "lockstep-approval";

/// One member of a `.spr` file that is not a signature of its statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name in the archive.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

impl Member {
    /// The entry that describes `bytes` under `name`.
    #[must_use]
    pub fn of(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            sha256: Sha256::of(bytes),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        }
    }
}

/// A statement that is well formed as JSON but breaks a rule of its kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", Escaped(&clipped(.0.as_str())))]
pub struct RuleError(pub String);

/// A signed document: the first member of a `.spr` file.
///
/// Fields of a statement, and of everything in it, are declared in alphabetical order, because
/// they are written in that order and the stored form is canonical; nothing is optional by being
/// `null`, only by being absent.
pub trait Statement: Serialize + DeserializeOwned {
    /// What it is.
    const KIND: Kind;

    /// The members that come after it and its signatures, in order.
    fn members(&self) -> &[Member];

    /// Checks what the types of its fields cannot say: order, uniqueness, agreement.
    fn check(&self) -> Result<(), RuleError>;
}

/// Checks that `items` rise strictly by `key`: sorted, and none twice.
pub fn check_rising<'a, T, K: Ord + fmt::Display>(
    what: &str,
    items: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Result<(), RuleError> {
    for pair in items.windows(2) {
        if let [a, b] = pair
            && key(a) >= key(b)
        {
            return Err(RuleError(format!(
                "{what} are not sorted, or one stands twice: {}",
                key(b)
            )));
        }
    }
    Ok(())
}
