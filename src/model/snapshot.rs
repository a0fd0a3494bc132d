//! The thin snapshot: a node's signed statement of what it holds, without content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::floor;
pub use super::floor::Floor;
pub use super::installed::Installed;
use super::inventory::INVENTORY;
use super::statement::{RuleError, check_rising};
use super::wire::{at_most, string_serde};
use super::{Blake3, Kind, Member, Name, PublicKey, Sha256, Statement, Time, TreePath};

/// What a node says it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The single-use challenge that a patch for this snapshot answers.
    pub challenge: Challenge,
    /// What is installed, rising by name.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub components: Vec<Installed>,
    /// Config files that are not as their recipe has them, rising by path. No digest of a config
    /// file ever leaves the host.
    pub config: Vec<ConfigFile>,
    /// When it was taken, by the host's clock.
    pub created: Time,
    /// Vendor-owned, non-config files that differ from their recipe, rising by path.
    pub drift: Vec<Drift>,
    /// Which environment.
    pub environment: EnvironmentId,
    /// The lowest versions of vendor metadata that the node still accepts.
    #[serde(with = "floor::grouped")]
    pub floors: Vec<Floor>,
    /// The file format.
    pub format: u32,
    /// How many files were not read for it, because nothing about them had changed since they were: the
    /// node's index gave their digests, as the site's policy allows. Absent where every byte was read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub indexed: Option<u64>,
    /// Always [`Kind::Snapshot`].
    pub kind: Kind,
    /// What ties the node's key to its place.
    pub marks: Marks,
    /// Empty, or the one inventory of a full snapshot ([`INVENTORY`]).
    pub members: Vec<Member>,
    /// Which node.
    pub node: NodeId,
    /// SHA-256 of the node's own rules, `node.toml`; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_rules: Option<Sha256>,
    /// The program that wrote it, and what it reads.
    pub program: Program,
    /// SHA-256 of the last receipt's statement: the head of the receipt chain. The snapshot inside a
    /// receipt cannot name that receipt, so it names the one before it (none inside the first).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Sha256>,
    /// The node's sequence number; it only grows.
    pub sequence: u64,
    /// The site file in force.
    pub site: SiteRef,
    /// Digest of components and drift ([`super::state::state_digest`]).
    pub state: Sha256,
}

/// An environment: one installation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentId {
    /// Its identity.
    #[serde(deserialize_with = "super::wire::spelled")]
    pub id: Uuid,
    /// What people call it.
    pub name: Name,
}

impl fmt::Display for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id.to_string().chars().take(8).collect();
        write!(f, "{} ({id})", self.name)
    }
}

/// A node: one root on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeId {
    /// Its public key; the private half never leaves the host.
    pub key: PublicKey,
    /// What people call it.
    pub name: Name,
}

/// 32 random bytes that one commit uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Challenge(Sha256);

impl Challenge {
    /// The challenge with these random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Sha256::from_bytes(bytes))
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Challenge {
    type Err = super::digest::DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

string_serde!(Challenge);

/// A config file that is not as its recipe has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Which file.
    pub path: TreePath,
    /// What happened to it.
    pub state: ConfigState,
}

/// What the customer did to a config file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigState {
    /// It was edited.
    Changed,
    /// It was deleted.
    Deleted,
}

/// A vendor-owned, non-config path that differs from its recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// What stands there instead.
    pub found: Found,
    /// Which path.
    pub path: TreePath,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// BLAKE3 of its content.
        blake3: Blake3,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Link {
        /// BLAKE3 of the link's text.
        blake3: Blake3,
    },
    /// A device, socket, pipe, or a file that could not be read.
    Other,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::File { blake3, executable } => {
                write!(f, "file {blake3} {}", if *executable { "x" } else { "-" })
            }
            Self::Folder => f.write_str("folder"),
            Self::Link { blake3 } => write!(f, "link {blake3}"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// What ties a node's key to its place. An unreadable mark is absent: unknown, not different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// HMAC of the DMI product UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Sha256>,
    /// Inode of the key file: a copy of the folder has another.
    pub inode: u64,
    /// HMAC of machine-id, as `systemd-id128 machine-id --app-specific=` computes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// HMAC of the canonical path of the root.
    pub root: Sha256,
}

/// The program that wrote a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Codecs of operations that it decodes.
    #[serde(deserialize_with = "at_most::<64, _, _>")]
    pub codecs: Vec<String>,
    /// File formats that it reads.
    #[serde(deserialize_with = "at_most::<64, _, _>")]
    pub formats: Vec<u32>,
    /// Its version.
    pub version: String,
}

impl Program {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self {
            codecs: super::operation::Codec::ALL
                .iter()
                .map(ToString::to_string)
                .collect(),
            formats: vec![super::statement::FORMAT],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// A site file, by version and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteRef {
    /// SHA-256 of `site.json`.
    pub sha256: Sha256,
    /// Its version.
    pub version: u64,
}

impl Statement for Snapshot {
    const KIND: Kind = Kind::Snapshot;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        check_rising("components", &self.components, |c| c.name.clone())?;
        check_rising("config files", &self.config, |c| c.path.clone())?;
        check_rising("drift", &self.drift, |d| d.path.clone())?;
        if self.indexed == Some(0) {
            return Err(RuleError(
                "it counts no files from an index, and says so".to_owned(),
            ));
        }
        match self.members.as_slice() {
            [] => {}
            [inventory] if inventory.name == INVENTORY => {}
            _ => {
                return Err(RuleError(format!(
                    "a snapshot holds nothing but {INVENTORY}"
                )));
            }
        }
        let digest = super::state::state_digest(&self.components, &self.drift);
        if digest == self.state {
            Ok(())
        } else {
            Err(RuleError(format!(
                "its content has state {digest}, it says {}",
                self.state
            )))
        }
    }
}
