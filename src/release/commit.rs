//! A change of a repository: signed, then put in force, handed over, or laid aside until others sign.
//!
//! Files are written bottom up: contents, recipes, delegated roles, targets, snapshot, and the
//! timestamp, each durable before the next. The timestamp is the one file that is replaced, and with
//! it readers see the new repository instead of the old one.
//!
//! A new root comes after the timestamp wherever all that it names is signed by the keys before as
//! well as by the new ones: then every reader, with either root, has a whole repository at every
//! instant. Where the old keys are lost, or versions start anew, it comes before the timestamp, and a
//! reader between the two has to ask again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::Envelope;
use super::layout::{self, TIMESTAMP};
use super::paper::Tally;
use super::seal::{Signers, both, bytes_of, refs, seal, tally_of};
use super::write::write_once;
use super::{ReleaseError, Repository, State, draft};
use crate::disk::durable;
use crate::model::Time;
use crate::trust::vendor::VERSION_END;

/// What was written, by name under the repository's folder, and what it is good for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Written {
    /// The files, in order.
    pub files: Vec<String>,
    /// Where the change stands.
    pub standing: Standing,
}

/// Where a change stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Readers see it.
    #[default]
    Force,
    /// A delegate signed it; the repository's owner takes it in.
    Offered(String),
    /// It lacks signatures: of each role, how many there are.
    Waiting(BTreeMap<String, Tally>),
}

/// A change, composed and not signed yet.
pub(super) struct Change {
    pub(super) next: State,
    /// The roles that have a new file, in the order in which they are written; snapshot and timestamp
    /// follow by themselves.
    pub(super) roles: Vec<String>,
    /// A recipe file, by its name under the repository's folder.
    pub(super) target: Option<(String, Vec<u8>)>,
    /// The roles whose versions start anew.
    pub(super) restart: BTreeSet<String>,
    /// Whether snapshot and timestamp follow: all but a root whose own keys alone change.
    pub(super) below: bool,
    /// The role that whoever types the command signs for: without a key of it, nothing is begun.
    pub(super) lead: Option<String>,
}

impl Change {
    pub(super) fn of(state: &State) -> Self {
        Self {
            next: state.clone(),
            roles: Vec::new(),
            target: None,
            restart: BTreeSet::new(),
            below: true,
            lead: None,
        }
    }
}

impl Repository {
    /// Signs a change with the keys at hand, and does with it what can be done.
    pub(super) fn commit(
        &mut self,
        mut change: Change,
        signers: &Signers,
        now: Time,
    ) -> Result<Written, ReleaseError> {
        let missing = self.sign(&mut change, signers)?;
        if !missing.is_empty() {
            return self.lay_aside(&change, missing);
        }
        if signers.online() && change.below {
            let next = &mut change.next;
            let restart = &change.restart;
            let from = |role: &str, current| if restart.contains(role) { 0 } else { current };
            let snapshot = &mut next.snapshot.signed.version;
            *snapshot = self.free("snapshot", from("snapshot", *snapshot))?;
            let timestamp = &mut next.timestamp.signed.version;
            *timestamp = from("timestamp", *timestamp).saturating_add(1);
            seal(next, &self.state, signers, now)?;
        }
        check_versions(&change.next)?;
        let files = self.write(&change, signers.online())?;
        let standing = match change.roles.first() {
            Some(role) if !signers.online() && change.below => Standing::Offered(role.clone()),
            _ => Standing::Force,
        };
        for role in &change.roles {
            draft::remove(self.source.path(), role)?;
        }
        self.state = change.next;
        Ok(Written { files, standing })
    }

    /// Signs every changed role; returns those that lack signatures of others.
    fn sign(
        &self,
        change: &mut Change,
        signers: &Signers,
    ) -> Result<BTreeMap<String, Tally>, ReleaseError> {
        let mut missing = BTreeMap::new();
        for role in &change.roles.clone() {
            let listed = both(&change.next, &self.state, role)?;
            let at_hand = listed.iter().any(|keys| signers.any_of(keys));
            let next = &mut change.next;
            let with = With {
                repository: self,
                signers,
                listed: &refs(&listed),
                at_hand,
            };
            match role.as_str() {
                "root" => with.sign(role, &mut next.root)?,
                "targets" => with.sign(role, &mut next.targets)?,
                other => {
                    if let Some(envelope) = next.delegated.get_mut(other) {
                        with.sign(role, envelope)?;
                    }
                }
            }
            let by_next = tally_of(&change.next, role, &change.next)?;
            // A root is signed by those before it as well as by its own.
            let by_before = match role.as_str() {
                "root" => tally_of(&self.state, role, &change.next)?,
                _ => by_next,
            };
            let tally = if by_before.complete() {
                by_next
            } else {
                by_before
            };
            if tally.complete() {
                continue;
            }
            if change.lead.as_ref() == Some(role) && !at_hand {
                return Err(ReleaseError::ForeignKey {
                    role: role.clone(),
                    given: signers.ids(),
                    listed: listed.into_iter().flat_map(|keys| keys.keyids).collect(),
                });
            }
            missing.insert(role.clone(), tally);
        }
        Ok(missing)
    }

    fn lay_aside(
        &self,
        change: &Change,
        missing: BTreeMap<String, Tally>,
    ) -> Result<Written, ReleaseError> {
        check_versions(&change.next)?;
        let next = &change.next;
        let mut drafts = Vec::new();
        for role in &change.roles {
            let bytes = match role.as_str() {
                "root" => draft::bytes_of(role, &next.root)?,
                "targets" => draft::bytes_of(role, &next.targets)?,
                other => match next.delegated.get(other) {
                    Some(envelope) => draft::bytes_of(role, envelope)?,
                    None => continue,
                },
            };
            drafts.push((role, bytes));
        }
        let folder = self.source.path();
        let write = |(role, bytes): &(&String, Vec<u8>)| draft::write(folder, role, bytes);
        Ok(Written {
            files: drafts.iter().map(write).collect::<Result<_, _>>()?,
            standing: Standing::Waiting(missing),
        })
    }

    /// Writes all that is new, in the order of the header.
    fn write(&self, change: &Change, online: bool) -> Result<Vec<String>, ReleaseError> {
        let next = &change.next;
        let file = |role: &str| -> Result<String, ReleaseError> {
            Ok(format!("{}/{}", layout::METADATA, next.file(role)?))
        };
        let mut files: Vec<(String, Vec<u8>)> = change.target.clone().into_iter().collect();
        for role in change.roles.iter().filter(|role| *role != "root") {
            files.push((file(role)?, bytes_of(next, role)?));
        }
        let root = if change.roles.iter().any(|role| role == "root") {
            Some((file("root")?, bytes_of(next, "root")?))
        } else {
            None
        };
        let below = online && change.below;
        let timestamp = below.then(|| bytes_of(next, "timestamp")).transpose()?;
        if below {
            files.push((file("snapshot")?, bytes_of(next, "snapshot")?));
        }
        let root_last = root.is_some() && self.fits_root_before(change)?;
        if !root_last {
            files.extend(root.clone());
        }
        for (file, bytes) in &files {
            write_once(&self.source.path().join(file), bytes)?;
        }
        let mut written: Vec<String> = files.into_iter().map(|(file, _)| file).collect();
        if let Some(bytes) = timestamp {
            let name = format!("{}/{TIMESTAMP}", layout::METADATA);
            durable::write(&self.source.path().join(&name), &bytes, 0o644)?;
            written.push(name);
        }
        if let Some((file, bytes)) = root.filter(|_| root_last) {
            write_once(&self.source.path().join(&file), &bytes)?;
            written.push(file);
        }
        Ok(written)
    }

    /// Whether a reader with the root before takes what is written below the new one.
    fn fits_root_before(&self, change: &Change) -> Result<bool, ReleaseError> {
        for role in ["targets", "snapshot", "timestamp"] {
            if !tally_of(&self.state, role, &change.next)?.complete() {
                return Ok(false);
            }
        }
        Ok(change.restart.is_empty())
    }
}

/// What signs one role.
struct With<'a> {
    repository: &'a Repository,
    signers: &'a Signers,
    listed: &'a [&'a super::tuf::RoleKeys],
    at_hand: bool,
}

impl With<'_> {
    fn sign<T: Serialize + DeserializeOwned>(
        &self,
        role: &str,
        envelope: &mut Envelope<T>,
    ) -> Result<(), ReleaseError> {
        let taken = |version| self.repository.taken(role, version);
        draft::resume(self.repository.source.path(), role, envelope, taken)?;
        if self.at_hand {
            self.signers.sign(role, envelope, self.listed)?;
        }
        Ok(())
    }
}

fn check_versions(next: &State) -> Result<(), ReleaseError> {
    let delegated = next
        .delegated
        .iter()
        .map(|(role, file)| (role.as_str(), file.signed.version));
    let top = [
        ("root", next.root.signed.version),
        ("targets", next.targets.signed.version),
        ("snapshot", next.snapshot.signed.version),
        ("timestamp", next.timestamp.signed.version),
    ];
    match delegated
        .chain(top)
        .find(|(_, version)| *version >= VERSION_END)
    {
        None => Ok(()),
        Some((role, version)) => Err(ReleaseError::Spent {
            role: role.to_owned(),
            version,
            recorded_by: recorded_by(role),
        }),
    }
}

/// The roles whose files record the version of a role's file, and that have to start anew with it.
pub(super) fn recorded_by(role: &str) -> &'static [&'static str] {
    match role {
        "root" | "timestamp" => &[],
        "snapshot" => &["timestamp"],
        _ => &["snapshot", "timestamp"],
    }
}
