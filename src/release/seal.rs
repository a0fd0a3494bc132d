//! Signing a publisher's own roles, and the checks that stand before a signature.
//!
//! A role is continued only where its current file bears the signatures that its readers ask for
//! ([`check`]), so that nothing planted is signed along; and nothing is written that readers would
//! refuse for want of signatures.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::{Envelope, Signature};
use super::paper::Tally;
use super::tuf::{Key, Lifetimes, MetaFile, RoleKeys, Targets};
use super::{ReleaseError, State};
use crate::model::{Sha256, Time};
use crate::trust::SigningKey;
use crate::trust::vendor::check_strict;

/// The private keys at hand, each once, whatever role it is for.
#[derive(Default)]
pub struct Signers {
    keys: BTreeMap<Sha256, SigningKey>,
    online: bool,
}

impl Signers {
    /// No keys yet. `online` says that those of snapshot and timestamp are among them, so that what
    /// is signed can be put in force; a delegate has neither.
    #[must_use]
    pub fn new(online: bool) -> Self {
        Self {
            keys: BTreeMap::new(),
            online,
        }
    }

    /// Adds the key of a role.
    pub fn add(&mut self, role: &str, key: SigningKey) -> Result<Sha256, ReleaseError> {
        let id = Key::of_private(role, &key)?.id()?;
        self.keys.insert(id, key);
        Ok(id)
    }

    /// Whether what is signed can be put in force.
    #[must_use]
    pub fn online(&self) -> bool {
        self.online
    }

    /// Whether one of these keys is at hand.
    #[must_use]
    pub fn any_of(&self, signers: &RoleKeys) -> bool {
        signers.keyids.iter().any(|id| self.keys.contains_key(id))
    }

    /// The ids of all keys at hand.
    #[must_use]
    pub fn ids(&self) -> Vec<Sha256> {
        self.keys.keys().copied().collect()
    }

    /// Signs plain bytes with every key at hand.
    pub fn sign_raw(&self, role: &str, message: &[u8]) -> Result<Vec<Signature>, ReleaseError> {
        let sign = |(id, key): (&Sha256, &SigningKey)| {
            let sig = key.sign_raw(message).map_err(|source| ReleaseError::Key {
                role: role.to_owned(),
                source,
            })?;
            Ok(Signature::new(*id, &sig))
        };
        self.keys.iter().map(sign).collect()
    }

    /// Signs with every key at hand that one of `listed` names; refuses where there is none.
    pub(super) fn sign<T: Serialize + DeserializeOwned>(
        &self,
        role: &str,
        envelope: &mut Envelope<T>,
        listed: &[&RoleKeys],
    ) -> Result<(), ReleaseError> {
        let mut signed = false;
        for id in listed.iter().flat_map(|keys| &keys.keyids) {
            if let Some(key) = self.keys.get(id) {
                envelope.sign(key)?;
                signed = true;
            }
        }
        if signed {
            return Ok(());
        }
        Err(ReleaseError::ForeignKey {
            role: role.to_owned(),
            given: self.ids(),
            listed: listed.iter().flat_map(|keys| keys.keyids.clone()).collect(),
        })
    }
}

/// Dates targets, or delegated targets, anew; their signatures are gone.
pub(super) fn date(envelope: &mut Envelope<Targets>, now: Time, lifetimes: Lifetimes) {
    envelope.signed.issued = Some(now);
    envelope.signed.expires = now.plus_days(lifetimes.targets.into());
    envelope.signatures.clear();
}

/// Brings snapshot and timestamp in line with the roles above them, and signs both: with the keys
/// that `next` names, and with those that `before` names, so that readers of either take them.
pub(super) fn seal(
    next: &mut State,
    before: &State,
    signers: &Signers,
    now: Time,
) -> Result<(), ReleaseError> {
    let lifetimes = next.root.signed.body.lifetimes;
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
    let version = next.snapshot.signed.version;
    next.timestamp.signed.body.meta =
        BTreeMap::from([("snapshot.json".to_owned(), MetaFile { version })]);
    next.timestamp.signed.issued = Some(now);
    next.timestamp.signed.expires = now.plus_days(lifetimes.timestamp.into());
    next.timestamp.signatures.clear();
    let listed = both(next, before, "snapshot")?;
    signers.sign("snapshot", &mut next.snapshot, &refs(&listed))?;
    let listed = both(next, before, "timestamp")?;
    signers.sign("timestamp", &mut next.timestamp, &refs(&listed))
}

pub(super) fn refs(listed: &[RoleKeys]) -> Vec<&RoleKeys> {
    listed.iter().collect()
}

/// Who signs for a role now, and who did before.
pub(super) fn both(
    next: &State,
    before: &State,
    role: &str,
) -> Result<Vec<RoleKeys>, ReleaseError> {
    let listed: Vec<RoleKeys> = [next, before]
        .iter()
        .filter_map(|state| state.signers(role))
        .map(|(keys, _)| keys.clone())
        .collect();
    if listed.is_empty() {
        return Err(nobody(role));
    }
    Ok(listed)
}

fn nobody(role: &str) -> ReleaseError {
    ReleaseError::corrupt(format!("{role}.json"), "nobody signs for this role")
}

/// How many of those that `state` names have signed this file of `role`.
pub(super) fn tally<T: Serialize + DeserializeOwned>(
    state: &State,
    role: &str,
    envelope: &Envelope<T>,
) -> Result<Tally, ReleaseError> {
    let (signers, keys) = state.signers(role).ok_or_else(|| nobody(role))?;
    let have = envelope.signed_by(signers, keys)?.len();
    Ok(Tally {
        have: u64::try_from(have).unwrap_or(u64::MAX),
        threshold: signers.threshold,
    })
}

/// [`tally`] of the file of `role` that `holder` holds, by those that `state` names.
pub(super) fn tally_of(state: &State, role: &str, holder: &State) -> Result<Tally, ReleaseError> {
    match role {
        "root" => tally(state, role, &holder.root),
        "snapshot" => tally(state, role, &holder.snapshot),
        "timestamp" => tally(state, role, &holder.timestamp),
        "targets" => tally(state, role, &holder.targets),
        other => match holder.delegated.get(other) {
            Some(envelope) => tally(state, other, envelope),
            None => Err(nobody(other)),
        },
    }
}

/// The bytes of a role's file in `state`, if as many signed it as its readers ask for, and if every
/// reader takes it.
pub(super) fn bytes_of(state: &State, role: &str) -> Result<Vec<u8>, ReleaseError> {
    let Tally { have, threshold } = tally_of(state, role, state)?;
    if have < threshold {
        let file = state.file(role)?;
        return Err(ReleaseError::Threshold {
            file,
            have,
            threshold,
        });
    }
    let bytes = match role {
        "root" => state.root.to_bytes(),
        "snapshot" => state.snapshot.to_bytes(),
        "timestamp" => state.timestamp.to_bytes(),
        "targets" => state.targets.to_bytes(),
        other => state
            .delegated
            .get(other)
            .map_or_else(|| Err(nobody(other)), Envelope::to_bytes),
    }?;
    // What nobody could read again is not written: this program would be the first to refuse it.
    check_readable(&bytes, || state.file(role))?;
    Ok(bytes)
}

/// Refuses a file that is more than every reader takes.
pub(super) fn check_readable(
    bytes: &[u8],
    file: impl FnOnce() -> Result<String, ReleaseError>,
) -> Result<(), ReleaseError> {
    match check_strict(bytes) {
        Ok(()) => Ok(()),
        Err(why) => Err(ReleaseError::Unreadable { file: file()?, why }),
    }
}

/// Refuses a role whose current file is not what its own keys signed.
pub(super) fn check(state: &State, role: &str) -> Result<(), ReleaseError> {
    let Tally { have, threshold } = tally_of(state, role, state)?;
    if have >= threshold {
        return Ok(());
    }
    Err(ReleaseError::Meddled {
        file: state.file(role)?,
        have,
        threshold,
    })
}
