//! Who may sign a role: its distinct public keys and its threshold.
//!
//! | attack | defence |
//! |---|---|
//! | one public key under two key ids meets a threshold of two (threshold collapse) | within a role, every public key stands once, compared as bytes |
//! | a threshold of nought, or one that no set of keys meets | at least one, at most as many as there are keys |
//! | another algorithm, or another spelling of one key | ed25519 only, 64 lower-case hexadecimal digits |
//! | a key of small order | refused where it is listed, used or not |

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use sigstore_tuf::{Delegations, Key, RoleKeys, Root};

use crate::model::Sha256;

/// What TUF calls the algorithm, as key type and as scheme.
const ED25519: &str = "ed25519";
/// Longest name of a delegated role, in bytes. Its file, `VERSION.ROLE.json`, is kept on the host.
pub const ROLE_MAX: usize = 48;
/// The roles that every root must name.
pub(super) const TOP_LEVEL: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// Checks the roles of a root.
pub(super) fn check_root(root: &Root) -> Result<(), String> {
    if !root.consistent_snapshot {
        return Err(format!("root {} has no consistent snapshots", root.version));
    }
    for name in TOP_LEVEL {
        of_top_level(root, name)?;
    }
    Ok(())
}

/// The key set of a top-level role, as floors remember it.
pub(super) fn of_top_level(root: &Root, role: &str) -> Result<Sha256, String> {
    let keys = root
        .role(role)
        .ok_or_else(|| format!("root {} names no role {role}", root.version))?;
    key_set(role, keys, &root.keys)
}

/// The key set of a delegated role, as floors remember it.
pub(super) fn of_delegation(
    delegations: &Delegations,
    role: &sigstore_tuf::DelegatedRole,
) -> Result<Sha256, String> {
    key_set(&role.name, &role.role_keys(), &delegations.keys)
}

/// What floors remember of a role that nobody delegates.
pub(super) fn of_nobody() -> Sha256 {
    Sha256::of(b"threshold 0\n")
}

/// The [`fingerprint`] of a role whose keys are as a vendor's must be.
fn key_set(role: &str, keys: &RoleKeys, all: &BTreeMap<String, Key>) -> Result<Sha256, String> {
    let mut public: BTreeMap<&str, &str> = BTreeMap::new();
    for id in &keys.keyids {
        let key = all
            .get(id)
            .ok_or_else(|| format!("role {role} lists the key {id}, which is not there"))?;
        let bytes = public_key(key).map_err(|fault| format!("role {role}, key {id}: {fault}"))?;
        if let Some(other) = public.insert(bytes, id) {
            return Err(format!(
                "role {role} lists the public key {bytes} twice, under the key ids {other} and {id}"
            ));
        }
    }
    if keys.threshold == 0 || keys.threshold > public.len() {
        return Err(format!(
            "role {role} has threshold {} and {} keys",
            keys.threshold,
            public.len()
        ));
    }
    Ok(fingerprint(keys.threshold, public.keys()))
}

/// SHA-256 over the line `threshold N` and the public keys, which are sorted, one line each.
pub(super) fn fingerprint<T: std::fmt::Display>(
    threshold: usize,
    public: impl Iterator<Item = T>,
) -> Sha256 {
    let start = format!("threshold {threshold}\n");
    let text = public.fold(start, |text, key| format!("{text}{key}\n"));
    Sha256::of(text.as_bytes())
}

fn public_key(key: &Key) -> Result<&str, &'static str> {
    if key.keytype != ED25519 || key.scheme != ED25519 {
        return Err("it is not an ed25519 key");
    }
    let text = key.keyval.public.as_str();
    // A SHA-256 has the same shape: 64 lower-case hexadecimal digits for 32 bytes.
    let bytes: Sha256 = text
        .parse()
        .ok()
        .ok_or("a public key is 64 lower-case hexadecimal digits")?;
    match VerifyingKey::from_bytes(bytes.as_bytes()) {
        Ok(key) if !key.is_weak() => Ok(text),
        _ => Err("it is no point of large order"),
    }
}
