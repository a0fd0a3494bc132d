//! `publish renew`: the same recipes, signed anew before the old signatures end.
//!
//! Snapshot and timestamp need only their own two keys, so that a machine that renews every day
//! holds neither the root key nor the key of the recipes.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{KeyFolder, outlook};
use crate::model::{Refusal, Time, Watch};
use crate::release::Repository;

/// What `publish renew` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// Whether targets and delegations are signed anew as well.
    pub targets: bool,
}

/// What `publish renew` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The files written, in order.
    pub written: Vec<String>,
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
    let signers = request.keys.signers(request.targets, watch)?;
    let written = repository.renew(request.targets, &signers, now)?;
    outlook::warn(&repository, now, watch)?;
    let state = repository.state();
    let targets = state.targets.signed.expires;
    Ok(Outcome {
        written,
        timestamp_expires: state.timestamp.signed.expires,
        snapshot_expires: state.snapshot.signed.expires,
        targets_expires: state
            .delegated
            .values()
            .map(|role| role.signed.expires)
            .fold(targets, Time::min),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        write!(
            f,
            "  next       copy metadata/ to where customers read it, timestamp.json last; renew again before {}",
            self.timestamp_expires.date()
        )
    }
}
