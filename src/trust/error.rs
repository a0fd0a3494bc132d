//! Why something is not trusted, and which refusal that is.

use crate::model::site::Signer;
use crate::model::text::Escaped;
use crate::model::{Name, PublicKey, RecipePath, Refusal, RefusalName, Sha256, Time, TreePath};
use crate::spr::SprError;

use super::sshsig::SignatureError;

/// Labelled values of an error.
pub type Values = Vec<(&'static str, String)>;

/// Why something is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file itself is wrong.
    #[error(transparent)]
    Spr(#[from] SprError),
    /// What is inside a signed file does not fit together.
    #[error("{}", Escaped(.0))]
    Corrupt(String),
    /// No signature at all.
    #[error("the {what} has no signature")]
    Unsigned {
        /// What was to be verified.
        what: &'static str,
    },
    /// A signature that is no good.
    #[error("a signature of the {what} is no good: {why}")]
    Signature {
        /// What was to be verified.
        what: &'static str,
        /// The key id that the signature is named by, or its place in a list.
        name: String,
        /// Why.
        why: SignatureError,
    },
    /// A good signature under the name of another key.
    #[error("a signature of the {what} is named by another key than the one that made it")]
    Misnamed {
        /// What was to be verified.
        what: &'static str,
        /// The key id in the member's name.
        named: Sha256,
        /// The id of the key that made it.
        made_by: Sha256,
    },
    /// More signatures than the one that there may be.
    #[error("one preparer signs a patch, this one has {0} signatures")]
    ManyPreparers(usize),
    /// More signatures on a node's statement than the node's own.
    #[error("a node's {what} has one signature, and this one has {count}")]
    NodeSignatures {
        /// What was to be verified.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// A receipt without what belongs inside.
    #[error("the receipt holds no signed snapshot")]
    NoSnapshot {
        /// The members that it has.
        found: Vec<String>,
    },
    /// A receipt around another snapshot than its own.
    #[error("the receipt and the snapshot inside it do not agree about the {about}")]
    Disagree {
        /// About what.
        about: &'static str,
        /// What the receipt says.
        receipt: String,
        /// What the snapshot says.
        snapshot: String,
    },
    /// Two site files that both say they are the same version.
    #[error("there are two different site files of version {version}")]
    TwoSites {
        /// The version.
        version: u64,
        /// SHA-256 of the one offered.
        offered: Sha256,
        /// SHA-256 of the one in force.
        in_force: Sha256,
    },
    /// A good signature by a key that is not trusted for this.
    #[error("the {what} is signed, but not by a key that is trusted for it")]
    Untrusted {
        /// What was verified.
        what: &'static str,
        /// Fingerprints of the keys that signed.
        found: Vec<String>,
        /// The keys that would have been trusted.
        trusted: Vec<String>,
    },
    /// A site file of another owner than the one asked for.
    #[error("the site file's owner has another key than the one you named")]
    Fingerprint {
        /// The owner's fingerprint.
        owner: String,
        /// What was asked for.
        wanted: String,
    },
    /// Too little of a fingerprint to tell keys apart.
    #[error("{0:?} is not a fingerprint: SHA256: and 12 characters or more")]
    ShortFingerprint(String),
    /// A site file of another site.
    #[error("this is the site file of another site")]
    OtherSite {
        /// The site of the file.
        offered: Name,
        /// The site in force.
        in_force: Name,
    },
    /// Made under a site file that is no longer in force: whom it trusts is not whom the site
    /// trusts now. Lifting that would bring a departed operator back.
    #[error("it rests on an older site file than the one in force here")]
    OlderSite {
        /// The version offered.
        offered: u64,
        /// The version in force.
        in_force: u64,
    },
    /// A site file that a newer one took the place of.
    #[error("the site file is older than the one in force here")]
    OutdatedSite {
        /// The version offered.
        offered: u64,
        /// The version in force.
        in_force: u64,
    },
    /// Made under a site file that is not here.
    #[error("it rests on a newer site file than the one in force here, and does not carry it")]
    NewerSite {
        /// The version that it names.
        offered: u64,
        /// The version in force.
        in_force: u64,
    },
    /// Fewer approvals than policy asks for.
    #[error("policy asks for more approvals than there are")]
    NotApproved {
        /// How many policy asks for.
        needed: u64,
        /// Who approved, and counts.
        have: Vec<String>,
        /// What was found and does not count, each with the reason.
        passed_over: Vec<String>,
    },
    /// An approval by whoever prepared the patch.
    #[error("whoever prepared a patch cannot approve it")]
    OwnPatch {
        /// The preparer.
        preparer: String,
        /// The key that was to approve.
        key: String,
    },
    /// Metadata that does not lead from the site's root to the recipe.
    #[error("the metadata of vendor {vendor} is not to be trusted: {}", Escaped(.what))]
    Vendor {
        /// The vendor.
        vendor: Name,
        /// What is wrong.
        what: String,
        /// The values that differ.
        values: Values,
    },
    /// A recipe that does more than its vendor lets its publisher do.
    #[error("{0}")]
    Beyond(Box<Beyond>),
    /// Metadata older than what this node accepted before.
    #[error("rollback: the {} metadata of vendor {vendor} is older than what was accepted before", Escaped(.role))]
    Rollback {
        /// The vendor.
        vendor: Name,
        /// The role.
        role: String,
        /// The version offered.
        offered: u64,
        /// The lowest version still accepted.
        floor: u64,
    },
    /// Metadata past its expiry.
    #[error("the {} metadata of vendor {vendor} has expired", Escaped(.role))]
    Expired {
        /// The vendor.
        vendor: Name,
        /// The role.
        role: String,
        /// When it expired.
        expires: Time,
        /// What counts as now: the clock, or the time floor where that is later.
        now: Time,
    },
    /// Metadata older than policy takes.
    #[error(
        "the metadata of vendor {vendor} is outdated: older than the {days} days that policy allows"
    )]
    Outdated {
        /// The vendor.
        vendor: Name,
        /// When it was issued.
        issued: Time,
        /// What counts as now.
        now: Time,
        /// The days that policy allows.
        days: u64,
    },
    /// A recipe that travels as a difference to one that is not here.
    #[error(
        "the recipe {recipe} can only be read beside the installed recipe it was compressed against"
    )]
    BaseMissing {
        /// The recipe.
        recipe: Sha256,
        /// The one that is missing, or damaged.
        base: Sha256,
    },
    /// What was verified could not be kept.
    #[error("a verified recipe could not be kept: {}", .0.what)]
    Keep(Box<Refusal>),
}

/// A recipe that does more than its vendor lets its publisher do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// The vendor.
    pub vendor: Name,
    /// The recipe.
    pub recipe: RecipePath,
    /// The role that lists it.
    pub role: String,
    /// What it does.
    pub act: Act,
}

/// What a delegation may not let a recipe do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// It owns a path.
    Owns {
        /// The path.
        path: TreePath,
        /// What the role may own.
        granted: Vec<String>,
    },
    /// It takes away a component.
    Replaces(Name),
}

impl std::fmt::Display for Beyond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (does, may_not) = match self.act {
            Act::Owns { .. } => ("owns a path", "may not install to"),
            Act::Replaces(_) => ("replaces a component", "does not publish"),
        };
        let (vendor, recipe, role) = (&self.vendor, &self.recipe, Escaped(&self.role));
        write!(
            f,
            "vendor {vendor}: {recipe} {does} that role {role} {may_not}"
        )
    }
}

impl TrustError {
    /// Something inside a signed file does not fit.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }

    pub(super) fn untrusted(what: &'static str, found: &[PublicKey], trusted: &[Signer]) -> Self {
        Self::Untrusted {
            what,
            found: found.iter().map(PublicKey::fingerprint).collect(),
            trusted: trusted
                .iter()
                .map(|signer| format!("{} {}", signer.principal, signer.key.fingerprint()))
                .collect(),
        }
    }

    pub(super) fn other_key(what: &'static str, found: &[PublicKey], wanted: &PublicKey) -> Self {
        Self::Untrusted {
            what,
            found: found.iter().map(PublicKey::fingerprint).collect(),
            trusted: vec![wanted.fingerprint()],
        }
    }

    pub(super) fn own(preparer: &Signer, key: &PublicKey) -> Self {
        Self::OwnPatch {
            preparer: format!("{} {}", preparer.principal, preparer.key.fingerprint()),
            key: key.fingerprint(),
        }
    }

    /// The refusal that this is.
    #[must_use]
    pub fn refusal(&self) -> RefusalName {
        match self {
            Self::Spr(error) => error.refusal(),
            Self::Corrupt(_)
            | Self::NodeSignatures { .. }
            | Self::NoSnapshot { .. }
            | Self::Disagree { .. } => RefusalName::Corrupt,
            Self::Unsigned { .. }
            | Self::Signature { .. }
            | Self::Misnamed { .. }
            | Self::ManyPreparers(_)
            | Self::TwoSites { .. } => RefusalName::BadSignature,
            Self::Untrusted { .. }
            | Self::Fingerprint { .. }
            | Self::OtherSite { .. }
            | Self::OlderSite { .. }
            | Self::OutdatedSite { .. }
            | Self::NewerSite { .. } => RefusalName::UntrustedSigner,
            Self::ShortFingerprint(_) => RefusalName::Usage,
            Self::NotApproved { .. } | Self::OwnPatch { .. } => RefusalName::NotApproved,
            Self::Vendor { .. } | Self::Beyond(_) | Self::Rollback { .. } => {
                RefusalName::VendorUntrusted
            }
            Self::Expired { .. } | Self::Outdated { .. } => RefusalName::Expired,
            Self::BaseMissing { .. } => RefusalName::Incomplete,
            Self::Keep(refusal) => refusal.name,
        }
    }
}
