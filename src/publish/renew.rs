//! `publish renew`: the same recipes, signed anew before the old signatures end.
//!
//! Snapshot and timestamp need only their own two keys, so that a machine that renews every day
//! holds neither the root key nor the key of the recipes. They also put in force what a delegate has
//! published ([`super::take`]). With a delegate's keys, its own roles are signed anew.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::take::{self, Take};
use super::{KeyFolder, outlook, standing};
use crate::model::text::Shown;
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::release::{Repository, Signers, Standing, Written};

/// What `publish renew` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// Whether targets and delegations are signed anew as well.
    pub targets: bool,
    /// What delegates hand over.
    pub take: Vec<Take>,
}

/// What `publish renew` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The files written, in order.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
    /// Delegates whose recipes were taken in.
    pub taken: Vec<String>,
    /// When the timestamp ends to be valid.
    pub timestamp_expires: Time,
    /// When the snapshot ends to be valid.
    pub snapshot_expires: Time,
    /// When the first of targets and delegations ends to be valid.
    pub targets_expires: Time,
}

/// Signs anew.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let (signers, targets) = signers(request, &mut repository, watch)?;
    let mut written = Written::default();
    let mut taken = Vec::new();
    let mut idle = Vec::new();
    for offered in &request.take {
        match take::run(&mut repository, offered, &signers, (now, watch)) {
            Ok(more) => {
                written.files.extend(more.files);
                written.standing = more.standing;
                taken.push(offered.role.clone());
            }
            Err(refusal) if refusal.name == RefusalName::NothingToDo => {
                idle.push((offered, refusal));
            }
            Err(refusal) => return Err(after(&taken, &written.standing, refusal)),
        }
    }
    if request.take.is_empty() || request.targets {
        let more = repository
            .renew(targets, &signers, now)
            .map_err(|e| after(&taken, &written.standing, e.into()))?;
        written.files.extend(more.files);
        written.standing = more.standing;
    }
    check_idle(idle, !written.files.is_empty(), watch)?;
    outlook::warn(&repository, now, watch)?;
    let state = repository.state();
    let targets = state.targets.signed.expires;
    Ok(Outcome {
        written: written.files,
        standing: written.standing,
        taken,
        timestamp_expires: state.timestamp.signed.expires,
        snapshot_expires: state.snapshot.signed.expires,
        targets_expires: state
            .delegated
            .values()
            .map(|role| role.signed.expires)
            .fold(targets, Time::min),
    })
}

/// A folder with nothing newer is what happened, where nothing else did; beside what was written it
/// is worth a note.
fn check_idle(
    idle: Vec<(&Take, Refusal)>,
    is_written: bool,
    watch: &dyn Watch,
) -> Result<(), Refusal> {
    for (offered, refusal) in idle {
        if !is_written {
            return Err(refusal);
        }
        watch.warn(&format!(
            "nothing of {} was taken in: {} has nothing newer; have the delegate publish into it, and hand it over again",
            offered.role,
            Shown(&offered.folder)
        ));
    }
    Ok(())
}

/// A refusal that comes after some delegates' recipes were taken in: those stay, and cannot be taken
/// in twice.
fn after(taken: &[String], standing: &Standing, refusal: Refusal) -> Refusal {
    if taken.is_empty() {
        return refusal;
    }
    let roles = taken.join(", ");
    let next = format!(
        "{}; then the same command, without --take for {roles}",
        refusal.next
    );
    let what = match standing {
        Standing::Force => "is in force",
        Standing::Offered(_) => "is here, to be taken in by the repository's owner",
        Standing::Waiting(_) => "waits for signatures",
    };
    refusal
        .value("taken in before", &roles)
        .unchanged(format!(
            "what {roles} published {what}, nothing else was changed"
        ))
        .next(next)
}

/// The keys at hand, and whether more than snapshot and timestamp is signed anew.
fn signers(
    request: &Request,
    repository: &mut Repository,
    watch: &dyn Watch,
) -> Result<(Signers, bool), Refusal> {
    let keys = &request.keys;
    let delegated = repository.state().delegations();
    let own: Vec<String> = delegated
        .map(|delegation| delegation.name.clone())
        .filter(|role| keys.has(role))
        .collect();
    let mut roles: Vec<&str> = own.iter().map(String::as_str).collect();
    if keys.is_owners() || own.is_empty() {
        roles.push("targets");
        roles.retain(|_| request.targets);
        return Ok((keys.signers(&roles, true, watch)?, request.targets));
    }
    for role in &own {
        repository.look_ahead(role)?;
    }
    Ok((keys.signers(&roles, false, watch)?, true))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for role in &self.taken {
            writeln!(f, "took in what {role} published")?;
        }
        writeln!(f, "renewed {} files", self.written.len())?;
        writeln!(
            f,
            "  recipes    valid until {}",
            self.targets_expires.date()
        )?;
        writeln!(
            f,
            "  snapshot   valid until {}",
            self.snapshot_expires.date()
        )?;
        writeln!(
            f,
            "  timestamp  valid until {}",
            self.timestamp_expires.date()
        )?;
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next       copy metadata/ to where customers read it, timestamp.json last; renew again before {}",
            self.timestamp_expires.date()
        )
    }
}
