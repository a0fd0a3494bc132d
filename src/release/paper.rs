//! A role's newest file, or its draft, laid out to be signed by somebody who is not here.
//!
//! A root with a threshold of two is signed on two machines: the bytes to sign go out, a signature
//! comes back. Only a good signature of a key that the role lists is added, and nothing else of
//! the file changes. A draft goes before the file in force: it is the one that waits.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::envelope::{Envelope, Signature};
use super::layout::{METADATA, METADATA_MAX};
use super::tuf::{Key, RoleKeys, Root, Targets};
use super::{ReleaseError, Repository, State, draft, layout};
use crate::disk::durable;
use crate::model::Sha256;

/// A file of a role, and who may sign it.
pub struct Paper {
    role: String,
    file: String,
    draft: bool,
    envelope: Envelope<Map<String, Value>>,
    /// Every set of keys of which enough must sign: one, or for a root those before and its own.
    asked: Vec<Asked>,
}

/// A set of keys, and how many of them must sign.
type Asked = (RoleKeys, BTreeMap<Sha256, Key>);

/// How many have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// The draft of `role`, or where there is none its newest file.
    pub fn of(repository: &Repository, role: &str) -> Result<Self, ReleaseError> {
        let state = repository.state();
        let folder = repository.source().path();
        if let Some(envelope) = draft::read(folder, role)? {
            return Ok(Self {
                role: role.to_owned(),
                file: draft::name(role),
                draft: true,
                envelope,
                asked: asked(repository, role)?,
            });
        }
        let file = state.file(role)?;
        let path = folder.join(METADATA).join(&file);
        let bytes = durable::read(&path, METADATA_MAX)?;
        let envelope =
            serde_json::from_slice(&bytes).map_err(|e| ReleaseError::corrupt(file.as_str(), e))?;
        let asked = by(state, role).into_iter().collect::<Vec<_>>();
        if asked.is_empty() {
            return Err(ReleaseError::corrupt(file, "nobody signs for this role"));
        }
        Ok(Self {
            role: role.to_owned(),
            file,
            draft: false,
            envelope,
            asked,
        })
    }

    /// The name of the file, such as `1.root.json`.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether it is a draft, which comes into force when its command is typed again.
    #[must_use]
    pub fn is_draft(&self) -> bool {
        self.draft
    }

    /// The exact bytes to sign with ed25519.
    pub fn canonical(&self) -> Result<Vec<u8>, ReleaseError> {
        self.envelope.canonical()
    }

    /// The ids of the keys that may sign.
    #[must_use]
    pub fn listed(&self) -> Vec<Sha256> {
        let mut ids: Vec<Sha256> = Vec::new();
        for id in self.asked.iter().flat_map(|(signers, _)| &signers.keyids) {
            if !ids.contains(id) {
                ids.push(*id);
            }
        }
        ids
    }

    /// Whether the key with this id has signed already.
    pub fn has(&self, key: &Sha256) -> Result<bool, ReleaseError> {
        for (signers, keys) in &self.asked {
            if self.envelope.signed_by(signers, keys)?.contains(key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many have signed: of the set of keys that lacks most.
    pub fn tally(&self) -> Result<Tally, ReleaseError> {
        let mut least: Option<Tally> = None;
        for (signers, keys) in &self.asked {
            let have = self.envelope.signed_by(signers, keys)?.len();
            let tally = Tally {
                have: u64::try_from(have).unwrap_or(u64::MAX),
                threshold: signers.threshold,
            };
            if least.is_none_or(|least| least.complete() && !tally.complete()) {
                least = Some(tally);
            }
        }
        least.ok_or_else(|| ReleaseError::corrupt(self.file.as_str(), "nobody signs for this role"))
    }

    /// Whether `signature` is good, and of a key that may sign.
    pub fn accepts(&self, signature: &Signature) -> Result<bool, ReleaseError> {
        let message = self.canonical()?;
        Ok(self.asked.iter().any(|(signers, keys)| {
            signers.keyids.contains(&signature.keyid)
                && keys
                    .get(&signature.keyid)
                    .is_some_and(|key| key.verifies(&message, &signature.sig))
        }))
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
        let bytes = if self.draft {
            let bytes = draft::bytes_of(&self.role, &self.envelope)?;
            draft::write(repository.source().path(), &self.role, &bytes)?;
            bytes
        } else {
            let bytes = self.envelope.to_bytes()?;
            repository.rewrite(&self.file, &bytes)?;
            bytes
        };
        Ok(Sha256::of(&bytes))
    }
}

fn by(state: &State, role: &str) -> Option<Asked> {
    let (signers, keys) = state.signers(role)?;
    Some((signers.clone(), keys.clone()))
}

/// Whose signatures a draft asks for: those that the drafts above it name, where there are any.
fn asked(repository: &Repository, role: &str) -> Result<Vec<Asked>, ReleaseError> {
    let folder = repository.source().path();
    let mut next = repository.state().clone();
    if let Some(root) = draft::read::<Root>(folder, "root")? {
        next.root = root;
    }
    if let Some(targets) = draft::read::<Targets>(folder, "targets")? {
        next.targets = targets;
    }
    let mut asked: Vec<_> = by(&next, role).into_iter().collect();
    if role == "root" {
        asked.extend(by(repository.state(), role));
    }
    if asked.is_empty() {
        let file = layout::metadata_file(role, next.targets.signed.version)?;
        return Err(ReleaseError::corrupt(file, "nobody signs for this role"));
    }
    Ok(asked)
}
