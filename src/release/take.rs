//! What a delegate hands over, checked before the repository's owner puts it in force.
//!
//! The owner's name stands for what the timestamp names, so a delegate's files are checked as a host
//! will: better refused here than on every host.
//!
//! | attack | defence |
//! |---|---|
//! | a role file that others than the delegate signed | as many of its delegation's keys as that asks for |
//! | an older file, or the same version with other content | only a higher version is an offer |
//! | a recipe outside of the delegation, or under further delegations | refused |
//! | a role file that no host reads: too many signatures, too large | refused before anything is copied |
//! | another content for a recipe path that is published, or was and is listed no more | refused: a path stands for one content for ever, and `targets/` remembers which |

use std::collections::BTreeMap;
use std::path::Path;

use super::commit::{Change, Written};
use super::envelope::Envelope;
use super::paper::Tally;
use super::seal::{Signers, check_readable, tally};
use super::tuf::{TargetFile, Targets};
use super::write::write_once;
use super::{Directory, ReleaseError, Repository, layout};
use crate::model::{RecipePath, Sha256, Time};

/// A newer file of a delegated role, signed as its delegation asks.
#[derive(Debug, Clone)]
pub struct Offer {
    role: String,
    file: Envelope<Targets>,
    /// Its recipes that are not published yet.
    pub new: BTreeMap<RecipePath, TargetFile>,
    /// Published recipes that it does not list any more.
    pub gone: Vec<RecipePath>,
    /// What its recipes may own.
    pub install_paths: Option<Vec<String>>,
}

impl Offer {
    /// The version of the role's file.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.file.signed.version
    }

    /// Every recipe that it lists.
    pub fn listed(&self) -> impl Iterator<Item = &RecipePath> + Clone {
        self.file.signed.body.targets.keys()
    }

    /// When it ends to be valid.
    #[must_use]
    pub fn expires(&self) -> Time {
        self.file.signed.expires
    }
}

impl Repository {
    /// What the folder `from` has of `role` that is newer than what is in force; nothing if none is.
    pub fn offer(&self, role: &str, from: &Directory) -> Result<Option<Offer>, ReleaseError> {
        let delegation = self
            .state
            .delegation(role)
            .ok_or_else(|| ReleaseError::NoRole {
                role: role.to_owned(),
                known: self.state.role_names(),
            })?;
        let current = self.state.delegated.get(role);
        let known = current.map_or(0, |file| file.signed.version);
        let Some(file) = from.newest(role, known)? else {
            return Ok(None);
        };
        let name = layout::metadata_file(role, file.signed.version)?;
        let Tally { have, threshold } = tally(&self.state, role, &file)?;
        if have < threshold {
            return Err(ReleaseError::Threshold {
                file: name,
                have,
                threshold,
            });
        }
        check_readable(&file.to_bytes()?, || Ok(name.clone()))?;
        let body = &file.signed.body;
        if body
            .delegations
            .as_ref()
            .is_some_and(|further| !further.roles.is_empty())
        {
            return Err(ReleaseError::corrupt(
                name,
                "it delegates further, which no host takes",
            ));
        }
        let published = current.map(|file| &file.signed.body.targets);
        let mut new = BTreeMap::new();
        for (path, target) in &body.targets {
            if !delegation
                .paths
                .iter()
                .any(|pattern| layout::matches(pattern, path))
            {
                return Err(ReleaseError::Outside {
                    role: role.to_owned(),
                    path: path.clone(),
                    granted: delegation.paths.clone(),
                });
            }
            let listed = published.and_then(|published| published.get(path));
            match self.other_content(path, target, listed)? {
                None if listed.is_some() => {}
                None => drop(new.insert(path.clone(), target.clone())),
                Some(there) => {
                    return Err(ReleaseError::Reused {
                        path: path.clone(),
                        there,
                        offered: content(target),
                    });
                }
            }
        }
        let gone = published.into_iter().flat_map(|published| published.keys());
        let gone = gone
            .filter(|path| !body.targets.contains_key(*path))
            .cloned()
            .collect();
        Ok(Some(Offer {
            role: role.to_owned(),
            new,
            gone,
            install_paths: delegation.install_paths.clone(),
            file,
        }))
    }

    /// The content that a recipe path stands for, where that is not `target`: as it is `listed`, or
    /// as the folder of recipes has it.
    fn other_content(
        &self,
        path: &RecipePath,
        target: &TargetFile,
        listed: Option<&TargetFile>,
    ) -> Result<Option<String>, ReleaseError> {
        if let Some(old) = listed {
            let same = old.hashes == target.hashes && old.length == target.length;
            return Ok((!same).then(|| content(old)));
        }
        let other = self.source.other_target(path, &target.hashes.sha256)?;
        Ok(other.map(|sha256| sha256.to_string()))
    }

    /// Writes a recipe file where an offer names it; nothing points to it before the offer is taken.
    pub fn place_target(
        folder: &Path,
        path: &RecipePath,
        bytes: &[u8],
    ) -> Result<(), ReleaseError> {
        let name = layout::target_file(path, &Sha256::of(bytes));
        write_once(&folder.join(layout::TARGETS).join(name), bytes)
    }

    /// Puts an offer in force; its recipes and their contents are here already.
    pub fn take(
        &mut self,
        offer: Offer,
        signers: &Signers,
        now: Time,
    ) -> Result<Written, ReleaseError> {
        self.check_continued(signers, None)?;
        let mut change = Change::of(&self.state);
        change.roles.push(offer.role.clone());
        change.next.delegated.insert(offer.role, offer.file);
        self.commit(change, signers, now)
    }
}

fn content(target: &TargetFile) -> String {
    format!("{} ({} bytes)", target.hashes.sha256, target.length)
}
