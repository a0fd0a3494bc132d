//! Snapshot and top-level targets: the very files that the file above names, stored or fetched.
//!
//! A stored file is tried in the same way as a fetched one, so there is no second, weaker check.

use sigstore_tuf::{MetaFile, Metadata, Snapshot, Targets, Timestamp};

use super::artifact::Check;
use super::floors::Said;
use super::{
    ClientError, Floors, Ground, SNAPSHOT_MAX, Search, TARGETS_MAX, Wanted, parse, signers,
};

/// The third stage: a timestamp is in force.
#[derive(Debug, Clone)]
pub struct Snapshots {
    ground: Ground,
    pin: MetaFile,
}

impl Snapshots {
    pub(super) fn new(ground: Ground, timestamp: &Timestamp) -> Result<Self, ClientError> {
        let pin = timestamp.snapshot_meta().cloned();
        let pin = pin.ok_or_else(|| ClientError::refused("timestamp", "it names no snapshot"))?;
        Ok(Self { ground, pin })
    }

    /// The file to fetch, unless the stored one is taken.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let max = most(&self.pin, SNAPSHOT_MAX);
        self.ground.wanted("snapshot", self.pin.version, max)
    }

    /// The floors to store before the timestamp.
    #[must_use]
    pub fn floors(&self) -> &Floors {
        &self.ground.floors
    }

    /// Takes a snapshot, stored or fetched.
    pub fn accept(&self, bytes: &[u8]) -> Result<TopTargets, ClientError> {
        as_pinned("snapshot", &self.pin, bytes)?;
        let snapshot: Metadata<Snapshot> = self.ground.read("snapshot", bytes)?;
        let snapshot = snapshot.into_signed();
        same_version("snapshot", &self.pin, snapshot.version)?;
        let mut ground = self.ground.clone();
        ground.floors.hear_snapshot(Said {
            keys: signers::key_set(ground.root.signed(), "snapshot")?,
            version: snapshot.version,
            named: snapshot
                .meta
                .iter()
                .map(|(file, listed)| (file.clone(), listed.version))
                .collect(),
        })?;
        ground.fresh("snapshot", &snapshot)?;
        let pin = listed(&snapshot, "targets")?.clone();
        Ok(TopTargets {
            ground,
            snapshot,
            pin,
        })
    }
}

/// The fourth stage: a snapshot is in force.
#[derive(Debug, Clone)]
pub struct TopTargets {
    ground: Ground,
    snapshot: Snapshot,
    pin: MetaFile,
}

impl TopTargets {
    /// The file to fetch, unless the stored one is taken.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let max = most(&self.pin, TARGETS_MAX);
        self.ground.wanted("targets", self.pin.version, max)
    }

    /// The floors to store before the snapshot.
    #[must_use]
    pub fn floors(&self) -> &Floors {
        &self.ground.floors
    }

    /// Takes the top-level targets, stored or fetched.
    pub fn accept(&self, bytes: &[u8]) -> Result<Roles, ClientError> {
        as_pinned("targets", &self.pin, bytes)?;
        let targets: Metadata<Targets> = self.ground.read("targets", bytes)?;
        let targets = targets.into_signed();
        same_version("targets", &self.pin, targets.version)?;
        self.ground.fresh("targets", &targets)?;
        Ok(Roles {
            ground: self.ground.clone(),
            snapshot: self.snapshot.clone(),
            targets,
        })
    }
}

/// The last stage: all top-level roles are in force, and targets can be searched for.
#[derive(Debug, Clone)]
pub struct Roles {
    ground: Ground,
    snapshot: Snapshot,
    pub(super) targets: Targets,
}

impl Roles {
    /// Begins a search for `path`.
    #[must_use]
    pub fn search<'a>(&'a self, path: &'a str) -> Search<'a> {
        Search::new(self, path)
    }

    /// Whether artifacts lie under names that begin with their digest.
    pub(super) fn consistent(&self) -> bool {
        self.ground.root.signed().consistent_snapshot
    }

    /// The file of a delegated role, as the snapshot lists it.
    pub(super) fn wanted(&self, role: &str) -> Result<Wanted, ClientError> {
        let pin = listed(&self.snapshot, role)?;
        Ok(self
            .ground
            .wanted(role, pin.version, most(pin, TARGETS_MAX)))
    }

    /// Reads a delegated role by the snapshot's word; who signed it is for the delegator to say.
    pub(super) fn read(&self, role: &str, bytes: &[u8]) -> Result<Metadata<Targets>, ClientError> {
        let pin = listed(&self.snapshot, role)?;
        as_pinned(role, pin, bytes)?;
        let targets: Metadata<Targets> = parse(role, bytes)?;
        same_version(role, pin, targets.signed().version)?;
        self.ground.fresh(role, targets.signed())?;
        Ok(targets)
    }
}

fn listed<'a>(snapshot: &'a Snapshot, role: &str) -> Result<&'a MetaFile, ClientError> {
    snapshot
        .meta
        .get(&format!("{role}.json"))
        .ok_or_else(|| ClientError::refused(role, "the snapshot does not list it"))
}

fn most(pin: &MetaFile, max: u64) -> u64 {
    pin.length.unwrap_or(max).min(max)
}

fn as_pinned(role: &str, pin: &MetaFile, bytes: &[u8]) -> Result<(), ClientError> {
    let mut check = Check::new(role, pin.length, pin.hashes.as_ref())?;
    check.update(bytes);
    check.finish()
}

fn same_version(role: &str, pin: &MetaFile, version: u64) -> Result<(), ClientError> {
    if version == pin.version {
        return Ok(());
    }
    let named = pin.version;
    let what = format!("it is version {version}, version {named} is named");
    Err(ClientError::refused(role, what))
}
