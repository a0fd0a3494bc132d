//! New keys for roles: a new root for those that the root names, new targets for delegations.
//!
//! Whatever the new keys answer for is signed anew in the same change; the families that the targets
//! keys sign themselves follow these.
//!
//! | attack | defence |
//! |---|---|
//! | a stolen key that counted a version up to the end, so that nothing newer can follow | the versions of roles whose keys change may start anew |
//! | versions started anew without new keys, which is a rollback | only together with new keys of the role and of every role that records its version |
//! | a file of the thief's, signed along with the new keys | only what the keys in force signed whole is continued; what those before them did, only by the rotation that replaced them and was cut short |

use std::collections::{BTreeMap, BTreeSet};

use super::commit::{Change, Written, recorded_by};
use super::layout::TOP_LEVEL;
use super::seal::{Signers, date, tally_of};
use super::tuf::{Key, RoleKeys};
use super::{ReleaseError, Repository, State};
use crate::model::{Sha256, Time};

/// New keys of one role.
#[derive(Debug, Clone)]
pub struct NewKeys {
    /// Which, and how many must sign.
    pub signers: RoleKeys,
    /// The keys, by id.
    pub keys: BTreeMap<Sha256, Key>,
}

/// New keys of some roles.
#[derive(Debug, Clone, Default)]
pub struct Rotation {
    /// By role.
    pub roles: BTreeMap<String, NewKeys>,
    /// Whether the versions of these roles start anew.
    pub restart: bool,
}

impl Repository {
    /// Gives roles new keys. Nothing where they have them, and all below is signed with them.
    pub fn rotate(
        &mut self,
        rotation: &Rotation,
        signers: &Signers,
        now: Time,
    ) -> Result<Option<Written>, ReleaseError> {
        let roles: Vec<String> = rotation.roles.keys().cloned().collect();
        Rotation::check(&self.state, &roles, rotation.restart)?;
        let mut change = Change::of(&self.state);
        if rotation.restart {
            change.restart = rotation.roles.keys().cloned().collect();
        }
        let mut anew = BTreeSet::new();
        for (role, new) in &rotation.roles {
            anew.extend(change.next.replace_keys(role, new)?);
        }
        let cut_short = anew.is_empty();
        if cut_short {
            anew.extend(self.unsigned()?);
            if anew.is_empty() {
                return Ok(None);
            }
        }
        let root = anew.remove("root");
        let targets = anew.remove("targets");
        change.below = targets || !anew.is_empty();
        if change.below {
            self.check_rotated(&anew, cut_short)?;
        }
        for role in &anew {
            self.sign_anew(&mut change, role, now)?;
        }
        if targets {
            self.sign_anew(&mut change, "targets", now)?;
        }
        if targets && !root {
            change.lead = Some("targets".to_owned());
        }
        if root {
            let file = &mut change.next.root;
            file.signed.version = file.signed.version.saturating_add(1);
            file.signed.expires = now.plus_days(file.signed.body.lifetimes.root.into());
            file.signatures.clear();
            change.roles.push("root".to_owned());
        }
        change.next.drop_unused_keys();
        self.commit(change, signers, now).map(Some)
    }

    /// Roles whose files lack signatures of the keys that are in force: a root came into force, and
    /// the work below it was cut short.
    fn unsigned(&self) -> Result<BTreeSet<String>, ReleaseError> {
        let delegated = self.state.delegated.keys().map(String::as_str);
        let mut found = BTreeSet::new();
        for role in delegated.chain(["targets", "snapshot", "timestamp"]) {
            if !tally_of(&self.state, role, &self.state)?.complete() {
                found.insert(role.to_owned());
            }
        }
        Ok(found)
    }

    fn check_rotated(
        &self,
        delegated: &BTreeSet<String>,
        cut_short: bool,
    ) -> Result<(), ReleaseError> {
        let known = delegated
            .iter()
            .filter(|role| self.state.delegated.contains_key(*role));
        let mut roles: Vec<&str> = known.map(String::as_str).collect();
        roles.extend(["targets", "snapshot", "timestamp"]);
        if cut_short {
            self.check_cut_short(&roles)
        } else {
            self.check_current(&roles)
        }
    }

    /// Gives targets, or a delegated role that has a file, a new version without signatures.
    fn sign_anew(&self, change: &mut Change, role: &str, now: Time) -> Result<(), ReleaseError> {
        let from = |current| {
            if change.restart.contains(role) {
                0
            } else {
                current
            }
        };
        let file = match role {
            "snapshot" | "timestamp" => return Ok(()),
            "targets" => &mut change.next.targets,
            other => match change.next.delegated.get_mut(other) {
                Some(file) => file,
                None => return Ok(()),
            },
        };
        file.signed.version = self.free(role, from(file.signed.version))?;
        date(file, now, self.lifetimes());
        change.roles.push(role.to_owned());
        Ok(())
    }
}

impl Rotation {
    /// Refuses roles that are not there, or whose versions cannot start anew: asked before keys are made.
    pub fn check(state: &State, roles: &[String], restart: bool) -> Result<(), ReleaseError> {
        for role in roles {
            if state.signers(role).is_none() {
                return Err(ReleaseError::NoRole {
                    role: role.clone(),
                    known: state.role_names(),
                });
            }
            let mut missing: Vec<String> = recorded_by(role)
                .iter()
                .map(|by| (*by).to_owned())
                .collect();
            missing.retain(|by| !roles.contains(by));
            let root = role == "root";
            if restart && (root || !missing.is_empty()) {
                return Err(ReleaseError::Restart {
                    role: role.clone(),
                    missing,
                });
            }
        }
        Ok(())
    }
}

impl State {
    /// Puts new keys in the place of a role's old ones; returns the roles that have to be signed
    /// anew, none where the keys are the same.
    fn replace_keys(
        &mut self,
        role: &str,
        new: &NewKeys,
    ) -> Result<BTreeSet<String>, ReleaseError> {
        let same = self
            .signers(role)
            .is_some_and(|(old, _)| old.alike(&new.signers));
        if same {
            return Ok(BTreeSet::new());
        }
        let mut anew = BTreeSet::from([role.to_owned()]);
        if !TOP_LEVEL.contains(&role) {
            self.delegation_mut(role)?.signers = new.signers.clone();
            self.add_delegation_keys(new.keys.clone());
            anew.insert("targets".to_owned());
            return Ok(anew);
        }
        let (own, _) = self.own_keys()?;
        let root = &mut self.root.signed.body;
        root.roles.insert(role.to_owned(), new.signers.clone());
        root.keys.extend(new.keys.clone());
        anew.insert("root".to_owned());
        if role == "targets" {
            let families: Vec<String> = self
                .delegations()
                .filter(|family| family.signers.alike(&own))
                .map(|family| family.name.clone())
                .collect();
            for family in families {
                self.delegation_mut(&family)?.signers = new.signers.clone();
                anew.insert(family);
            }
            self.add_delegation_keys(new.keys.clone());
        }
        Ok(anew)
    }
}
