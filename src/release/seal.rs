//! Signing a publisher's own roles, and the checks that stand before a signature.
//!
//! A key signs the next version of a role only where the current one bears its own good signature
//! ([`check`]), and nothing is written that readers would refuse for want of signatures
//! ([`bytes_of`]).

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::Envelope;
use super::tuf::{Key, Lifetimes, MetaFile, Targets};
use super::{ReleaseError, State};
use crate::model::Time;
use crate::trust::SigningKey;

/// The keys of daily work; the root key is none of them.
pub struct Signers {
    /// Signs targets and our own delegations; not needed to renew the two below.
    pub targets: Option<SigningKey>,
    /// Signs the snapshot.
    pub snapshot: SigningKey,
    /// Signs the timestamp.
    pub timestamp: SigningKey,
}

pub(super) fn targets_key(signers: &Signers) -> Result<&SigningKey, ReleaseError> {
    signers
        .targets
        .as_ref()
        .ok_or_else(|| ReleaseError::Missing {
            file: "the targets key".to_owned(),
            place: "the keys given".to_owned(),
        })
}

pub(super) fn sign_targets(
    envelope: &mut Envelope<Targets>,
    signers: &Signers,
    now: Time,
    lifetimes: Lifetimes,
) -> Result<(), ReleaseError> {
    envelope.signed.issued = Some(now);
    envelope.signed.expires = now.plus_days(lifetimes.targets.into());
    envelope.signatures.clear();
    envelope.sign(targets_key(signers)?)
}

/// Brings snapshot and timestamp in line with the roles above them, and signs both.
pub(super) fn seal(
    next: &mut State,
    signers: &Signers,
    now: Time,
    lifetimes: Lifetimes,
) -> Result<(), ReleaseError> {
    let targets = ("targets", next.targets.signed.version);
    let delegated = next
        .delegated
        .iter()
        .map(|(role, envelope)| (role.as_str(), envelope.signed.version));
    let meta = delegated
        .chain([targets])
        .map(|(role, version)| (format!("{role}.json"), MetaFile { version }))
        .collect();
    next.snapshot.signed.body.meta = meta;
    next.snapshot.signed.expires = now.plus_days(lifetimes.snapshot.into());
    next.snapshot.signatures.clear();
    next.snapshot.sign(&signers.snapshot)?;
    let version = next.snapshot.signed.version;
    next.timestamp.signed.body.meta =
        BTreeMap::from([("snapshot.json".to_owned(), MetaFile { version })]);
    next.timestamp.signed.issued = Some(now);
    next.timestamp.signed.expires = now.plus_days(lifetimes.timestamp.into());
    next.timestamp.signatures.clear();
    next.timestamp.sign(&signers.timestamp)
}

/// The bytes of a role, if as many signed it as its readers ask for.
pub(super) fn bytes_of(state: &State, role: &str) -> Result<Vec<u8>, ReleaseError> {
    match role {
        "snapshot" => enough(state, role, &state.snapshot),
        "timestamp" => enough(state, role, &state.timestamp),
        "targets" => enough(state, role, &state.targets),
        other => {
            let envelope = state.delegated.get(other);
            envelope.map_or(Ok(Vec::new()), |envelope| enough(state, other, envelope))
        }
    }
}

fn enough<T: Serialize + DeserializeOwned>(
    state: &State,
    role: &str,
    envelope: &Envelope<T>,
) -> Result<Vec<u8>, ReleaseError> {
    let file = state.file(role)?;
    let Some((signers, keys)) = state.signers(role) else {
        return Err(ReleaseError::corrupt(file, "nobody signs for this role"));
    };
    let have = envelope.signed_by(signers, keys)?.len();
    let have = u64::try_from(have).unwrap_or(u64::MAX);
    if have < signers.threshold {
        return Err(ReleaseError::Threshold {
            file,
            have,
            threshold: signers.threshold,
        });
    }
    envelope.to_bytes()
}

pub(super) fn check<T: Serialize + DeserializeOwned>(
    state: &State,
    role: &str,
    envelope: &Envelope<T>,
    key: &SigningKey,
) -> Result<(), ReleaseError> {
    let id = Key::of_private(role, key)?.id()?;
    let file = state.file(role)?;
    let Some((signers, keys)) = state.signers(role) else {
        return Err(ReleaseError::corrupt(file, "nobody signs for this role"));
    };
    if !signers.keyids.contains(&id) {
        return Err(ReleaseError::ForeignKey {
            role: role.to_owned(),
            given: id,
            listed: signers.keyids.clone(),
        });
    }
    if envelope.signed_by(signers, keys)?.contains(&id) {
        Ok(())
    } else {
        Err(ReleaseError::Unsigned { file, key: id })
    }
}
