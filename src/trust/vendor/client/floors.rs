//! What each role has said so far, below which nothing is taken: a store apart from cached files.
//!
//! A role's record stands for as long as its keys do. The timestamp's record holds its own version
//! and the one of the snapshot that it named; the snapshot's holds its own and those of the targets
//! files that it listed. So the way out of a role that was counted up by a stolen key is the one
//! of the specification: new keys for the role that said it. A vendor's chain is stricter
//! ([`crate::trust::vendor`]): there, targets fall only where the keys of targets changed.
//!
//! | attack | defence |
//! |---|---|
//! | a cached file cut short by a power loss lets an older one in | floors are a file of their own, moved before the cached file |
//! | the record itself cut short or removed | refused, never taken for a first use |
//! | a key set that changes to forget a version | only the keys of a root that was verified count, and each role's record is its own |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ClientError;
use crate::model::Sha256;

/// What was seen of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    root: u64,
    timestamp: Option<Said>,
    snapshot: Option<Said>,
}

/// What one role said under one set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) keys: Sha256,
    pub(super) version: u64,
    /// The versions that it named, by role.
    pub(super) named: BTreeMap<String, u64>,
}

impl Said {
    /// Whether what the same role says now is no step back.
    pub(super) fn allows(&self, role: &str, now: &Self) -> Result<(), ClientError> {
        not_below(role, now.version, self.version)?;
        for (named, floor) in &self.named {
            let offered = now.named.get(named).ok_or_else(|| ClientError::Removed {
                role: named.clone(),
                floor: *floor,
            })?;
            not_below(named, *offered, *floor)?;
        }
        Ok(())
    }
}

impl Floors {
    /// Of a repository of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: 1,
            timestamp: None,
            snapshot: None,
        }
    }

    /// Reads what [`Floors::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ClientError> {
        serde_json::from_slice(bytes).map_err(|e| ClientError::Floors(e.to_string()))
    }

    /// The record to store, durably, before the file that moved it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ClientError> {
        serde_json::to_vec(self).map_err(|e| ClientError::Floors(e.to_string()))
    }

    pub(super) fn root(&self) -> u64 {
        self.root
    }

    pub(super) fn saw_root(&mut self, version: u64) {
        self.root = self.root.max(version);
    }

    /// Forgets what a role said under other keys than it has in the root in force.
    pub(super) fn reset(&mut self, timestamp: &Sha256, snapshot: &Sha256) {
        self.timestamp.take_if(|said| said.keys != *timestamp);
        self.snapshot.take_if(|said| said.keys != *snapshot);
    }

    pub(super) fn timestamp(&self) -> Option<&Said> {
        self.timestamp.as_ref()
    }

    pub(super) fn hear_timestamp(&mut self, said: Said) -> Result<(), ClientError> {
        hear(&mut self.timestamp, "timestamp", said)
    }

    pub(super) fn hear_snapshot(&mut self, said: Said) -> Result<(), ClientError> {
        hear(&mut self.snapshot, "snapshot", said)
    }
}

impl Default for Floors {
    fn default() -> Self {
        Self::new()
    }
}

fn hear(record: &mut Option<Said>, role: &str, said: Said) -> Result<(), ClientError> {
    if let Some(before) = record {
        before.allows(role, &said)?;
    }
    *record = Some(said);
    Ok(())
}

fn not_below(role: &str, offered: u64, floor: u64) -> Result<(), ClientError> {
    if offered >= floor {
        return Ok(());
    }
    Err(ClientError::Rollback {
        role: role.to_owned(),
        offered,
        floor,
    })
}
