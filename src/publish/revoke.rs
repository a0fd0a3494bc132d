//! `publish revoke`: a delegate publishes no more.
//!
//! The role stays, empty, under the owner's keys: hosts refuse its recipes from then on, and the
//! floor that they keep of it stays. What is installed stays as it is.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::{KeyFolder, outlook, standing};
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::release::{Repository, Standing};

/// What `publish revoke` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The owner's keys.
    pub keys: KeyFolder,
    /// The delegate's role.
    pub role: String,
}

/// What `publish revoke` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The role.
    pub role: String,
    /// How many recipes it had.
    pub recipes: usize,
    /// The files written, in order.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
}

/// Revokes.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let signers = request.keys.signers(&["targets"], true, watch)?;
    outlook::warn(&repository, now, watch)?;
    let file = repository.state().delegated.get(&request.role);
    let recipes = file.map_or(0, |file| file.signed.body.targets.len());
    let Some(written) = repository.revoke(&request.role, &signers, now)? else {
        return Err(
            Refusal::new(RefusalName::NothingToDo, "the role was revoked before")
                .value("role", &request.role)
                .next("lockstep publish delegate --role NAME gives its recipes to another role"),
        );
    };
    Ok(Outcome {
        role: request.role.clone(),
        recipes,
        written: written.files,
        standing: written.standing,
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.standing {
            Standing::Waiting(_) => "laid aside, until others have signed: the revocation of",
            _ => "revoked",
        };
        writeln!(f, "{verb} {}", self.role)?;
        writeln!(
            f,
            "  recipes  {} that hosts refuse from now on",
            self.recipes
        )?;
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next     copy metadata/ to where customers read it, timestamp.json last; what is installed of it stays until a patch takes it away: lockstep prepare --remove COMPONENT"
        )
    }
}
