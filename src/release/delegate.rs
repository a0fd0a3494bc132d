//! Handing a part of the recipes to another publisher, and taking it back.
//!
//! A delegate has keys of its own, and a folder copy of the repository. What it publishes there is
//! signed by its role alone; the repository's owner takes that in ([`super::take`]), without the
//! delegate's keys, and puts it in force, without the delegate having the owner's.
//!
//! | attack | defence |
//! |---|---|
//! | a delegation over recipes that another publishes, so that those are found no more | refused, with the recipe |
//! | two delegates for one recipe path | patterns of delegates may not overlap |
//! | the owner's own family, revoked by mistake | refused: hosts would find its recipes no more |
//! | a delegation called like a role that is there | refused; its keys are changed by `rotate` |
//! | a revoked delegate's recipes, served again by an old mirror | the role stays, empty, under the owner's keys and with a higher version, so that its floor on every host stays |

use std::collections::BTreeMap;

use super::commit::{Change, Written};
use super::deliver::empty_targets;
use super::envelope::canonical;
use super::seal::{Signers, date};
use super::tuf::{Delegation, Delegations, Key, RoleKeys};
use super::{ReleaseError, Repository, State, layout};
use crate::model::{RecipePath, Sha256, Time};

/// A part of the recipes, and who publishes it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The role's name.
    pub role: String,
    /// The keys that sign for it, and how many must.
    pub signers: RoleKeys,
    /// Those keys, by id.
    pub keys: BTreeMap<Sha256, Key>,
    /// The recipes, as TUF patterns.
    pub paths: Vec<String>,
    /// What its recipes may own in an installation; nothing where that is not limited.
    pub install_paths: Option<Vec<String>>,
}

impl Repository {
    /// Delegates a part of the recipes, or changes the paths of a delegation with the same keys.
    /// Nothing where all is so already.
    pub fn delegate(
        &mut self,
        grant: &Grant,
        signers: &Signers,
        now: Time,
    ) -> Result<Option<Written>, ReleaseError> {
        layout::check_role(&grant.role)?;
        grant
            .paths
            .iter()
            .try_for_each(|path| layout::check_pattern(path))?;
        let mut change = Change::of(&self.state);
        grant.check_free(&self.state)?;
        if !grant.enter(&mut change.next)? {
            return Ok(None);
        }
        self.retarget(change, signers, now).map(Some)
    }

    /// Takes a delegation back. Nothing where that was done already; refused for a role of the
    /// owner's own.
    pub fn revoke(
        &mut self,
        role: &str,
        signers: &Signers,
        now: Time,
    ) -> Result<Option<Written>, ReleaseError> {
        let mut change = Change::of(&self.state);
        let (own, keys) = change.next.own_keys()?;
        let current = self.state.delegated.get(role);
        let version = self.free(role, current.map_or(0, |file| file.signed.version))?;
        let delegation = change.next.delegation_mut(role)?;
        let recipes = current.map_or(0, |file| file.signed.body.targets.len());
        let is_own = delegation.signers.alike(&own);
        if is_own && !delegation.paths.is_empty() {
            let others = |other: &&Delegation| !other.signers.alike(&own);
            let delegates = self.state.delegations().filter(others);
            return Err(ReleaseError::OwnRole {
                role: role.to_owned(),
                recipes,
                delegates: delegates.map(|other| other.name.clone()).collect(),
            });
        }
        if is_own && recipes == 0 && current.is_some() {
            return Ok(None);
        }
        delegation.paths.clear();
        delegation.install_paths = Some(Vec::new());
        delegation.signers = own;
        change.next.add_delegation_keys(keys);
        let mut empty = empty_targets();
        empty.signed.version = version;
        date(&mut empty, now, self.lifetimes());
        change.next.delegated.insert(role.to_owned(), empty);
        change.roles.push(role.to_owned());
        self.retarget(change, signers, now).map(Some)
    }

    /// Commits a change of the delegations: targets have a new file.
    fn retarget(
        &mut self,
        mut change: Change,
        signers: &Signers,
        now: Time,
    ) -> Result<Written, ReleaseError> {
        self.check_continued(signers, None)?;
        let version = self.free("targets", self.state.targets.signed.version)?;
        change.next.targets.signed.version = version;
        date(&mut change.next.targets, now, self.lifetimes());
        change.next.drop_unused_keys();
        change.roles.push("targets".to_owned());
        change.lead = Some("targets".to_owned());
        self.commit(change, signers, now)
    }
}

impl Grant {
    /// Refuses what would take recipes away from somebody.
    fn check_free(&self, state: &State) -> Result<(), ReleaseError> {
        let refuse = |why: String| {
            Err(ReleaseError::Claimed {
                role: self.role.clone(),
                why,
            })
        };
        for (role, file) in &state.delegated {
            let mut published = file.signed.body.targets.keys();
            let own = *role == self.role;
            // Others keep their recipes, and it keeps its own.
            match published.find(|path| self.matches(path) != own) {
                None => {}
                Some(path) if own => {
                    return refuse(format!(
                        "it publishes {path} already, which would be found no more"
                    ));
                }
                Some(path) => return refuse(format!("{path} is published by the role {role}")),
            }
        }
        let (own, _) = state.own_keys()?;
        let others = state.delegations().filter(|other| other.name != self.role);
        for other in others.filter(|other| !other.signers.alike(&own)) {
            let overlaps = |theirs: &&String| self.paths.iter().any(|p| layout::overlap(p, theirs));
            if let Some(pattern) = other.paths.iter().find(overlaps) {
                return refuse(format!("{pattern} is delegated to {}", other.name));
            }
        }
        Ok(())
    }

    fn matches(&self, path: &RecipePath) -> bool {
        self.paths
            .iter()
            .any(|pattern| layout::matches(pattern, path))
    }

    /// Enters the delegation; false where it stands there already.
    fn enter(&self, next: &mut State) -> Result<bool, ReleaseError> {
        let new = Delegation {
            install_paths: self.install_paths.clone(),
            name: self.role.clone(),
            paths: self.paths.clone(),
            terminating: true,
            signers: self.signers.clone(),
        };
        if let Some(old) = next.delegation(&self.role) {
            if !old.signers.alike(&new.signers) {
                return Err(ReleaseError::RoleExists(self.role.clone()));
            }
            if canonical(old)? == canonical(&new)? {
                return Ok(false);
            }
            *next.delegation_mut(&self.role)? = new;
            return Ok(true);
        }
        let body = &mut next.targets.signed.body;
        let delegations = body.delegations.get_or_insert_with(Delegations::default);
        // Before the families, of which it may be a part: readers take the first that matches.
        delegations.roles.insert(0, new);
        delegations.keys.extend(self.keys.clone());
        Ok(true)
    }
}
