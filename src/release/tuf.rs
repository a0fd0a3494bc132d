//! What stands in TUF 1.0 metadata: the fields of each role, and keys.
//!
//! Fields that this program does not know survive a rewrite where TUF lets them stand. A key id is
//! the SHA-256 of the canonical key, as securesystemslib computes it.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ssh_key::public::KeyData;

use super::ReleaseError;
use super::envelope::canonical;
use crate::model::{PublicKey, RecipePath, Sha256};
use crate::trust::SigningKey;

/// The root's own fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Root {
    /// Always true: versions in the names of metadata, digests in those of targets.
    pub consistent_snapshot: bool,
    /// Every key of the four roles, by id.
    pub keys: BTreeMap<Sha256, Key>,
    /// Days that each role is valid for once signed; daily commands keep to it.
    #[serde(default)]
    pub lifetimes: Lifetimes,
    /// Which keys sign for which role.
    pub roles: BTreeMap<String, RoleKeys>,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The own fields of targets and delegated targets.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Targets {
    /// Whom it delegates to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
    /// Its recipes.
    pub targets: BTreeMap<RecipePath, TargetFile>,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The own fields of snapshot and timestamp.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Meta {
    /// The version of each file, by its name without a version: `targets.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The version of a metadata file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetaFile {
    /// The version.
    pub version: u64,
}

/// One recipe in the targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Its digest.
    pub hashes: Hashes,
    /// Its size in bytes.
    pub length: u64,
    /// Whatever else stands there, such as `custom`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The digests of a recipe file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// SHA-256.
    pub sha256: Sha256,
}

/// Whom targets delegate to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Delegations {
    /// The keys of all delegated roles, by id.
    pub keys: BTreeMap<Sha256, Key>,
    /// The roles, in the order in which readers ask them.
    pub roles: Vec<Delegation>,
}

/// One delegated role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delegation {
    /// Folders and files of an installation that its recipes may own; absent where any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_paths: Option<Vec<String>>,
    /// Its name.
    pub name: String,
    /// The recipes it answers for.
    pub paths: Vec<String>,
    /// Whether no later role is asked for these.
    pub terminating: bool,
    /// Who signs for it.
    #[serde(flatten)]
    pub signers: RoleKeys,
}

/// Which keys sign for a role, and how many must.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The ids of the keys.
    pub keyids: Vec<Sha256>,
    /// How many of them, by distinct public key.
    pub threshold: u64,
    /// Whatever else stands there.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Days that each role is valid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// The root: five years.
    pub root: u16,
    /// The snapshot: 30 days.
    pub snapshot: u16,
    /// Targets and delegations: one year.
    pub targets: u16,
    /// The timestamp: 14 days.
    pub timestamp: u16,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            root: 1_826,
            snapshot: 30,
            targets: 365,
            timestamp: 14,
        }
    }
}

/// An ed25519 public key, as TUF writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Always `ed25519`.
    pub keytype: String,
    /// The key itself.
    pub keyval: KeyValue,
    /// Always `ed25519`.
    pub scheme: String,
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    /// 32 bytes in hexadecimal: the same shape as a digest.
    pub public: Sha256,
}

impl Key {
    /// The key with these 32 bytes.
    #[must_use]
    pub fn ed25519(raw: [u8; 32]) -> Self {
        Self {
            keytype: "ed25519".to_owned(),
            keyval: KeyValue {
                public: Sha256::from_bytes(raw),
            },
            scheme: "ed25519".to_owned(),
        }
    }

    /// An OpenSSH key, unless a security key holds it: TUF knows none of those.
    #[must_use]
    pub fn of(key: &PublicKey) -> Option<Self> {
        match key.data() {
            KeyData::Ed25519(raw) => Some(Self::ed25519(raw.0)),
            _ => None,
        }
    }

    /// The public half of a private key.
    pub fn of_private(role: &str, key: &SigningKey) -> Result<Self, ReleaseError> {
        key.public_raw()
            .map(Self::ed25519)
            .map_err(|source| ReleaseError::Key {
                role: role.to_owned(),
                source,
            })
    }

    /// The id: SHA-256 of the canonical key.
    pub fn id(&self) -> Result<Sha256, ReleaseError> {
        canonical(self).map(|bytes| Sha256::of(&bytes))
    }

    /// Whether `sig` is this key's signature of `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], sig: &str) -> bool {
        let (Some(bytes), Ok(key)) = (
            unhex(sig),
            VerifyingKey::from_bytes(self.keyval.public.as_bytes()),
        ) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(&bytes);
        key.verify_strict(message, &signature).is_ok()
    }
}

impl RoleKeys {
    /// These keys, of which `threshold` must sign.
    #[must_use]
    pub fn new(keyids: Vec<Sha256>, threshold: u64) -> Self {
        Self {
            keyids,
            threshold,
            extra: Map::new(),
        }
    }

    /// Whether the same keys sign, and as many of them must.
    #[must_use]
    pub fn alike(&self, other: &Self) -> bool {
        let set = |keys: &Self| keys.keyids.iter().copied().collect::<BTreeSet<Sha256>>();
        self.threshold == other.threshold && set(self) == set(other)
    }
}

fn unhex(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0_u8; 64];
    if text.len() != 128 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        let start = at.checked_mul(2)?;
        *byte = u8::from_str_radix(text.get(start..start.checked_add(2)?)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_id_is_that_of_securesystemslib() {
        // python: SSlibKey's keyid for ed25519 over 32 zero bytes, as _get_keyid computes it.
        let canonical = format!(
            r#"{{"keytype":"ed25519","keyval":{{"public":"{}"}},"scheme":"ed25519"}}"#,
            "00".repeat(32)
        );
        assert_eq!(
            Key::ed25519([0; 32]).id().unwrap(),
            Sha256::of(canonical.as_bytes())
        );
    }
}
