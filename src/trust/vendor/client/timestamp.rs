//! The timestamp: which snapshot there is, and that it is not older than what was seen.

use std::collections::BTreeMap;

use sigstore_tuf::{Metadata, Timestamp};

use super::floors::Said;
use super::{ClientError, Floors, Ground, Snapshots, TIMESTAMP_MAX, Wanted, signers};

/// The second stage: a root is in force.
#[derive(Debug, Clone)]
pub struct Timestamps(Ground);

/// What became of the timestamp that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Took {
    /// It is newer: store it, after the floors.
    New,
    /// It has the version of the stored one, which is kept.
    Kept,
}

impl Timestamps {
    pub(super) fn new(ground: Ground) -> Self {
        Self(ground)
    }

    /// The file to fetch.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            role: "timestamp".to_owned(),
            name: "timestamp.json".to_owned(),
            max: TIMESTAMP_MAX,
        }
    }

    /// The floors after the root in force.
    #[must_use]
    pub fn floors(&self) -> &Floors {
        &self.0.floors
    }

    /// Whether a stored file of a top-level role is signed as the root in force asks; if not, it is
    /// of no use any more.
    #[must_use]
    pub fn stands(&self, role: &str, stored: &[u8]) -> bool {
        use sigstore_tuf::{Snapshot, Targets};
        match role {
            "timestamp" => self.0.read::<Timestamp>(role, stored).is_ok(),
            "snapshot" => self.0.read::<Snapshot>(role, stored).is_ok(),
            "targets" => self.0.read::<Targets>(role, stored).is_ok(),
            _ => false,
        }
    }

    /// Takes a timestamp, or keeps the stored one where that has the same version.
    pub fn accept(
        &self,
        stored: Option<&[u8]>,
        bytes: &[u8],
    ) -> Result<(Snapshots, Took), ClientError> {
        let offered: Metadata<Timestamp> = self.0.read("timestamp", bytes)?;
        let stored = stored.and_then(|bytes| self.recall(bytes));
        let (timestamp, took) = match stored {
            Some(stored) if stored.signed().version == offered.signed().version => {
                (stored, Took::Kept)
            }
            _ => (offered, Took::New),
        };
        let mut ground = self.0.clone();
        ground
            .floors
            .hear_timestamp(self.said(timestamp.signed())?)?;
        ground.fresh("timestamp", timestamp.signed())?;
        Ok((Snapshots::new(ground, timestamp.signed())?, took))
    }

    /// The stored timestamp, where it is the very one that the floors were moved by.
    fn recall(&self, bytes: &[u8]) -> Option<Metadata<Timestamp>> {
        let stored: Metadata<Timestamp> = self.0.read("timestamp", bytes).ok()?;
        let said = self.said(stored.signed()).ok()?;
        (self.0.floors.timestamp() == Some(&said)).then_some(stored)
    }

    fn said(&self, timestamp: &Timestamp) -> Result<Said, ClientError> {
        let snapshot = timestamp
            .snapshot_meta()
            .ok_or_else(|| ClientError::refused("timestamp", "it names no snapshot"))?;
        Ok(Said {
            keys: signers::key_set(self.0.root.signed(), "timestamp")?,
            version: timestamp.version,
            named: BTreeMap::from([("snapshot".to_owned(), snapshot.version)]),
        })
    }
}
