//! The current metadata of a repository that this program publishes.

use std::collections::BTreeMap;

use super::envelope::Envelope;
use super::read::{Wanted, fetch};
use super::tuf::{Delegation, Key, Meta, RoleKeys, Root, TargetFile, Targets};
use super::{ReleaseError, Source, layout};
use crate::model::{RecipePath, Sha256};

/// What a repository says now, parsed; no more than that is known of it.
#[derive(Debug, Clone)]
pub struct State {
    /// The newest root.
    pub root: Envelope<Root>,
    /// The timestamp.
    pub timestamp: Envelope<Meta>,
    /// The snapshot that it names.
    pub snapshot: Envelope<Meta>,
    /// The targets that the snapshot names.
    pub targets: Envelope<Targets>,
    /// Every delegated role, by name.
    pub delegated: BTreeMap<String, Envelope<Targets>>,
}

impl State {
    /// Reads all of the current metadata.
    pub fn load(source: &dyn Source) -> Result<Self, ReleaseError> {
        let found = fetch(source, 0, Wanted::All)?;
        let root = found.roots.last().ok_or_else(|| ReleaseError::Missing {
            file: "1.root.json".to_owned(),
            place: source.describe(),
        })?;
        Ok(Self {
            root: Envelope::parse("root.json", "root", root)?,
            timestamp: Envelope::parse(layout::TIMESTAMP, "timestamp", &found.timestamp)?,
            snapshot: Envelope::parse("snapshot.json", "snapshot", &found.snapshot)?,
            targets: Envelope::parse("targets.json", "targets", &found.targets)?,
            delegated: found
                .delegated
                .into_iter()
                .map(|(role, bytes)| {
                    let parsed = Envelope::parse(&format!("{role}.json"), "targets", &bytes)?;
                    Ok((role, parsed))
                })
                .collect::<Result<_, ReleaseError>>()?,
        })
    }

    /// The published recipe at `path`.
    #[must_use]
    pub fn recipe(&self, path: &RecipePath) -> Option<&TargetFile> {
        self.recipes()
            .find_map(|(known, file)| (known == path).then_some(file))
    }

    /// Every published recipe.
    pub fn recipes(&self) -> impl Iterator<Item = (&RecipePath, &TargetFile)> {
        self.delegated
            .values()
            .flat_map(|role| role.signed.body.targets.iter())
    }

    /// The delegation to `role`, where there is one.
    #[must_use]
    pub fn delegation(&self, role: &str) -> Option<&Delegation> {
        let delegations = self.targets.signed.body.delegations.as_ref()?;
        delegations.roles.iter().find(|known| known.name == role)
    }

    /// Who signs for `role`, and all keys that its delegator lists.
    #[must_use]
    pub fn signers(&self, role: &str) -> Option<(&RoleKeys, &BTreeMap<Sha256, Key>)> {
        let root = &self.root.signed.body;
        if let Some(signers) = root.roles.get(role) {
            return Some((signers, &root.keys));
        }
        let delegations = self.targets.signed.body.delegations.as_ref()?;
        Some((&self.delegation(role)?.signers, &delegations.keys))
    }

    /// The file that holds `role` now.
    pub fn file(&self, role: &str) -> Result<String, ReleaseError> {
        let version = match role {
            "timestamp" => return Ok(layout::TIMESTAMP.to_owned()),
            "root" => self.root.signed.version,
            "snapshot" => self.snapshot.signed.version,
            "targets" => self.targets.signed.version,
            other => self
                .delegated
                .get(other)
                .map(|role| role.signed.version)
                .ok_or_else(|| ReleaseError::Name {
                    name: other.chars().take(80).collect(),
                    why: "the repository has no such role",
                })?,
        };
        layout::metadata_file(role, version)
    }
}
