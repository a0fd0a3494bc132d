//! The newest file of one role, laid out to be signed by somebody who is not here.
//!
//! A root with a threshold of two is signed on two machines: the bytes to sign go out, a signature
//! comes back. Only a good signature of a key that the role lists is added, and nothing else of
//! the file changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::envelope::{Envelope, Signature};
use super::layout::{METADATA, METADATA_MAX};
use super::tuf::{Key, RoleKeys};
use super::{ReleaseError, Repository};
use crate::disk::durable;
use crate::model::Sha256;

/// A role's newest file, and who may sign it.
pub struct Paper {
    file: String,
    envelope: Envelope<Map<String, Value>>,
    signers: RoleKeys,
    keys: BTreeMap<Sha256, Key>,
}

/// How many have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Distinct public keys with a good signature.
    pub have: u64,
    /// How many are asked for.
    pub threshold: u64,
}

impl Tally {
    /// Whether readers will take it.
    #[must_use]
    pub fn complete(self) -> bool {
        self.have >= self.threshold
    }
}

impl Paper {
    /// The newest file of `role` in the repository.
    pub fn of(repository: &Repository, role: &str) -> Result<Self, ReleaseError> {
        let state = repository.state();
        let file = state.file(role)?;
        let (signers, keys) = state
            .signers(role)
            .ok_or_else(|| ReleaseError::corrupt(file.as_str(), "nobody signs for this role"))?;
        let path = repository.source().path().join(METADATA).join(&file);
        let bytes = durable::read(&path, METADATA_MAX)?;
        let envelope =
            serde_json::from_slice(&bytes).map_err(|e| ReleaseError::corrupt(file.as_str(), e))?;
        Ok(Self {
            file,
            envelope,
            signers: signers.clone(),
            keys: keys.clone(),
        })
    }

    /// The name of the file, such as `1.root.json`.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The exact bytes to sign with ed25519.
    pub fn canonical(&self) -> Result<Vec<u8>, ReleaseError> {
        self.envelope.canonical()
    }

    /// The ids of the keys that may sign.
    #[must_use]
    pub fn listed(&self) -> &[Sha256] {
        &self.signers.keyids
    }

    /// Whether the key with this id has signed already.
    pub fn has(&self, key: &Sha256) -> Result<bool, ReleaseError> {
        Ok(self
            .envelope
            .signed_by(&self.signers, &self.keys)?
            .contains(key))
    }

    /// How many have signed.
    pub fn tally(&self) -> Result<Tally, ReleaseError> {
        let have = self.envelope.signed_by(&self.signers, &self.keys)?.len();
        Ok(Tally {
            have: u64::try_from(have).unwrap_or(u64::MAX),
            threshold: self.signers.threshold,
        })
    }

    /// Whether `signature` is good, and of a key that may sign.
    pub fn accepts(&self, signature: &Signature) -> Result<bool, ReleaseError> {
        let message = self.canonical()?;
        Ok(self.signers.keyids.contains(&signature.keyid)
            && self
                .keys
                .get(&signature.keyid)
                .is_some_and(|key| key.verifies(&message, &signature.sig)))
    }

    /// Adds a signature that [`Paper::accepts`] and writes the file; returns its SHA-256.
    pub fn add(
        &mut self,
        repository: &mut Repository,
        signature: Signature,
    ) -> Result<Sha256, ReleaseError> {
        if !self.accepts(&signature)? {
            return Err(ReleaseError::Unsigned {
                file: self.file.clone(),
                key: signature.keyid,
            });
        }
        self.envelope.add(signature);
        let bytes = self.envelope.to_bytes()?;
        repository.rewrite(&self.file, &bytes)?;
        Ok(Sha256::of(&bytes))
    }
}
