//! Whether enough keys of a role signed its file: public keys are counted, not key ids.
//!
//! | attack | defence |
//! |---|---|
//! | one public key under several ids meets a threshold of several | ids of one public key are one signer |
//! | one signature listed twice | refused (the library) |
//! | a threshold of nought | refused |

use std::collections::{BTreeMap, BTreeSet};

use sigstore_tuf::{Error, Key, Metadata, Role, RoleKeys, Root};

use super::ClientError;
use crate::model::Sha256;
use crate::model::digest::hex;
use crate::trust::vendor::chain::words;
use crate::trust::vendor::keys::fingerprint;

/// Checks a file against the keys that a root gives its role.
pub(super) fn check_top_level<T: Role>(
    metadata: &Metadata<T>,
    root: &Root,
    role: &str,
) -> Result<(), ClientError> {
    check(metadata, of_top_level(root, role)?, &root.keys, role)
}

/// Checks that a threshold of distinct public keys signed the file.
pub(super) fn check<T: Role>(
    metadata: &Metadata<T>,
    keys: &RoleKeys,
    all: &BTreeMap<String, Key>,
    role: &str,
) -> Result<(), ClientError> {
    if keys.threshold == 0 {
        return Err(ClientError::refused(role, "its threshold is 0"));
    }
    let mut good: usize = 0;
    for ids in distinct(keys, all).into_values() {
        let mut one = keys.clone();
        one.keyids = ids;
        one.threshold = 1;
        match metadata.verify_threshold(all, &one, role) {
            Ok(()) => good = good.saturating_add(1),
            Err(Error::ThresholdNotMet { .. }) => {}
            Err(other) => return Err(ClientError::refused(role, words(&other))),
        }
    }
    if good >= keys.threshold {
        return Ok(());
    }
    let needed = keys.threshold;
    let what = format!("{good} of its keys signed, {needed} are needed");
    Err(ClientError::refused(role, what))
}

/// The key set of a top-level role, as floors remember it.
pub(super) fn key_set(root: &Root, role: &str) -> Result<Sha256, ClientError> {
    let keys = of_top_level(root, role)?;
    let public = distinct(keys, &root.keys);
    Ok(fingerprint(keys.threshold, public.keys()))
}

fn of_top_level<'a>(root: &'a Root, role: &str) -> Result<&'a RoleKeys, ClientError> {
    root.role(role)
        .ok_or_else(|| ClientError::refused("root", format!("it names no role {role}")))
}

/// The public keys of a role that can be used, in hexadecimal, each with all its ids.
fn distinct(keys: &RoleKeys, all: &BTreeMap<String, Key>) -> BTreeMap<String, Vec<String>> {
    let mut public: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in keys.keyids.iter().collect::<BTreeSet<_>>() {
        let Some(Ok(key)) = all.get(id).map(Key::verification_key) else {
            continue;
        };
        public
            .entry(hex(key.as_bytes()))
            .or_default()
            .push(id.clone());
    }
    public
}
