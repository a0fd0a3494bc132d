//! The current metadata of a repository that this program publishes.

use std::collections::{BTreeMap, BTreeSet};

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

    /// Every delegation, in the order in which readers ask.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        let delegations = self.targets.signed.body.delegations.iter();
        delegations.flat_map(|delegations| &delegations.roles)
    }

    /// The role that answers for a recipe: the first delegation that matches, or the family's own
    /// role, which need not be there yet.
    pub fn role_for(&self, path: &RecipePath) -> Result<String, ReleaseError> {
        let matching = self
            .delegations()
            .find(|role| role.paths.iter().any(|p| layout::matches(p, path)));
        if let Some(role) = matching {
            return Ok(role.name.clone());
        }
        let family = layout::role_of(path)?;
        match self.delegation(&family) {
            None => Ok(family),
            Some(_) => Err(ReleaseError::Claimed {
                role: family,
                why: format!("it does not answer for {path}"),
            }),
        }
    }

    /// Who signs the targets, and the families that nobody else does.
    pub(super) fn own_keys(&self) -> Result<(RoleKeys, BTreeMap<Sha256, Key>), ReleaseError> {
        let (signers, all) = self
            .signers("targets")
            .ok_or_else(|| ReleaseError::corrupt("root.json", "it names no targets role"))?;
        let keys = signers
            .keyids
            .iter()
            .filter_map(|id| all.get_key_value(id))
            .map(|(id, key)| (*id, key.clone()))
            .collect();
        Ok((signers.clone(), keys))
    }

    pub(super) fn delegation_mut(&mut self, role: &str) -> Result<&mut Delegation, ReleaseError> {
        let known = self.role_names();
        let delegations = self.targets.signed.body.delegations.as_mut();
        delegations
            .and_then(|all| all.roles.iter_mut().find(|known| known.name == role))
            .ok_or_else(|| ReleaseError::NoRole {
                role: role.to_owned(),
                known,
            })
    }

    pub(super) fn add_delegation_keys(&mut self, keys: BTreeMap<Sha256, Key>) {
        let delegations = &mut self.targets.signed.body.delegations;
        delegations.get_or_insert_default().keys.extend(keys);
    }

    /// Forgets the keys of root and targets that no role lists.
    pub(super) fn drop_unused_keys(&mut self) {
        let root = &mut self.root.signed.body;
        let used: BTreeSet<Sha256> = root.roles.values().flat_map(|r| r.keyids.clone()).collect();
        root.keys.retain(|id, _| used.contains(id));
        if let Some(all) = &mut self.targets.signed.body.delegations {
            let roles = all.roles.iter();
            let used: BTreeSet<Sha256> = roles.flat_map(|r| r.signers.keyids.clone()).collect();
            all.keys.retain(|id, _| used.contains(id));
        }
    }

    /// Every role that has keys.
    #[must_use]
    pub fn role_names(&self) -> Vec<String> {
        let top = layout::TOP_LEVEL.iter().map(|role| (*role).to_owned());
        top.chain(self.delegations().map(|role| role.name.clone()))
            .collect()
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
