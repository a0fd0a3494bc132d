//! Recipes on their way in, and the same recipes signed anew.

use super::commit::{Change, Written};
use super::envelope::Envelope;
use super::layout;
use super::seal::{Signers, date};
use super::tuf::{Delegation, Delegations, Hashes, TargetFile, Targets};
use super::{ReleaseError, Repository, State};
use crate::model::{RecipePath, Sha256, Time};

impl Repository {
    /// Publishes one recipe file; its contents are stored already.
    pub fn deliver(
        &mut self,
        path: &RecipePath,
        bytes: &[u8],
        signers: &Signers,
        now: Time,
    ) -> Result<Written, ReleaseError> {
        let role = self.state.role_for(path)?;
        let delegated = self.state.delegation(&role).is_some();
        self.check_continued(
            signers,
            self.state.delegated.contains_key(&role).then_some(&role),
        )?;
        let lifetimes = self.lifetimes();
        let mut change = Change::of(&self.state);
        let next = &mut change.next;
        change.roles.push(role.clone());
        change.lead = Some(role.clone());
        if !delegated {
            delegate_family(next, &role, path)?;
            next.targets.signed.version = self.free("targets", next.targets.signed.version)?;
            date(&mut next.targets, now, lifetimes);
            change.roles.push("targets".to_owned());
            change.lead = Some("targets".to_owned());
        }
        let sha256 = Sha256::of(bytes);
        let version = next.delegated.get(&role).map_or(0, |r| r.signed.version);
        let version = self.free(&role, version)?;
        let file = next.delegated.entry(role).or_insert_with(empty_targets);
        file.signed.version = version;
        let targets = &mut file.signed.body.targets;
        targets.insert(path.clone(), target(bytes, sha256));
        date(file, now, lifetimes);
        let name = format!("{}/{}", layout::TARGETS, layout::target_file(path, &sha256));
        change.target = Some((name, bytes.to_vec()));
        self.commit(change, signers, now)
    }

    /// Signs snapshot and timestamp anew, and with `targets` every role whose keys are at hand but
    /// the root. A delegate, who has neither of the two, signs its own roles.
    pub fn renew(
        &mut self,
        targets: bool,
        signers: &Signers,
        now: Time,
    ) -> Result<Written, ReleaseError> {
        let mut change = Change::of(&self.state);
        if targets {
            let lifetimes = self.lifetimes();
            let mut roles: Vec<String> = change.next.delegated.keys().cloned().collect();
            roles.retain(|role| self.at_hand(role, signers));
            for role in &roles {
                self.check_current(&[role])?;
                if let Some(file) = change.next.delegated.get_mut(role) {
                    file.signed.version = self.free(role, file.signed.version)?;
                    date(file, now, lifetimes);
                }
            }
            change.roles = roles;
            if signers.online() {
                let file = &mut change.next.targets;
                file.signed.version = self.free("targets", file.signed.version)?;
                date(file, now, lifetimes);
                change.roles.push("targets".to_owned());
                change.lead = Some("targets".to_owned());
                self.check_current(&["targets"])?;
            }
        }
        self.check_continued(signers, None)?;
        self.commit(change, signers, now)
    }

    fn at_hand(&self, role: &str, signers: &Signers) -> bool {
        self.state
            .signers(role)
            .is_some_and(|(keys, _)| signers.any_of(keys))
    }

    /// What is about to be continued is what its own keys signed.
    pub(crate) fn check_continued(
        &self,
        signers: &Signers,
        delegated: Option<&String>,
    ) -> Result<(), ReleaseError> {
        let mut roles: Vec<&str> = delegated.into_iter().map(String::as_str).collect();
        if signers.online() {
            roles.extend(["targets", "snapshot", "timestamp"]);
        }
        self.check_current(&roles)
    }
}

pub(super) fn empty_targets() -> Envelope<Targets> {
    Envelope::unsigned("targets", 0, Time::EPOCH, None, Targets::default())
}

fn target(bytes: &[u8], sha256: Sha256) -> TargetFile {
    TargetFile {
        hashes: Hashes { sha256 },
        length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        extra: serde_json::Map::new(),
    }
}

/// Adds the delegation of a family that is new, to the keys that sign the targets.
fn delegate_family(next: &mut State, role: &str, path: &RecipePath) -> Result<(), ReleaseError> {
    let (signers, keys) = next.own_keys()?;
    let body = &mut next.targets.signed.body;
    let delegations = body.delegations.get_or_insert_with(Delegations::default);
    delegations.keys.extend(keys);
    delegations.roles.push(Delegation {
        install_paths: None,
        name: role.to_owned(),
        paths: vec![layout::pattern_of(path)],
        terminating: true,
        signers,
    });
    Ok(())
}
