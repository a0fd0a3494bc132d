//! `receive`: take in a receipt, which closes the loop: what was prepared is now confirmed.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Desk;
use super::gather;
use super::many::{Many, OneLine, Told};
use super::statements::{check_key, not_enrolled, read_enrolled};
use crate::model::text::Escaped;
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};

/// What `receive` is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// Receipt files, or folders with receipts in them.
    pub places: Vec<PathBuf>,
    /// Why a fork is accepted, where one is.
    pub accept_forked: Option<String>,
}

/// What `receive` learned.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// What the receipt is of: `apply`, `rollback`, `rolled-back` and so on.
    pub action: String,
    /// The node's sequence number afterwards.
    pub sequence: u64,
    /// Components that changed.
    pub changes: Vec<String>,
    /// What the product's service did not do, so that the change was taken back.
    pub failure: Option<String>,
    /// The file of the prepared patch that it confirms.
    pub confirms: Option<String>,
    /// Whether the desk had it already.
    pub known: bool,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: {} on environment {}, node {}, sequence {}",
            if self.known {
                "known already"
            } else {
                "received"
            },
            self.action,
            self.environment,
            self.node,
            self.sequence
        )?;
        for change in &self.changes {
            writeln!(f, "  changed    {change}")?;
        }
        if let Some(failure) = &self.failure {
            writeln!(
                f,
                "  service    {failure}: the old state stands, and the same patch may be applied again"
            )?;
        }
        if let Some(file) = &self.confirms {
            writeln!(f, "  confirms   {file}")?;
        }
        write!(
            f,
            "  next       lockstep prepare --environment {} --to RECIPE (its next snapshot is in the receipt)",
            self.environment
        )
    }
}

impl OneLine for Outcome {
    const NEXT: &'static str = "lockstep prepare --all --to RECIPE --output DIR";

    fn line(&self) -> String {
        let word = if self.known {
            "known     "
        } else {
            "received  "
        };
        let confirms = self.confirms.as_ref();
        format!(
            "{word} {} on environment {}, node {}, sequence {}{}",
            self.action,
            self.environment,
            self.node,
            self.sequence,
            confirms.map_or(String::new(), |file| format!(": confirms {file}"))
        )
    }
}

/// Takes in a receipt, or many.
pub fn run(
    desk: &Desk,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Told<Outcome>, Refusal> {
    match request.places.as_slice() {
        [file] if !file.is_dir() => Ok(Told::One(one(desk, file, request, now, watch)?)),
        places => Ok(Told::Many(many(desk, places, request, now, watch)?)),
    }
}

/// In rising sequence per node: in another order a receipt would be missed that only comes later.
fn many(
    desk: &Desk,
    places: &[PathBuf],
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Many<Outcome>, Refusal> {
    let (claims, mut many) =
        gather::claims(places, &[Kind::Receipt], "receipt").map_err(|refusal| {
            refusal
                .next("name the receipts, or the folder they lie in: lockstep receive /media/usb")
        })?;
    for claim in claims {
        let received = one(desk, &claim.path, request, now, watch);
        many.take(claim.path.display(), received);
    }
    Ok(many)
}

fn one(
    desk: &Desk,
    file: &Path,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let word = read_enrolled(desk, file)?;
    let Some(receipt) = &word.receipt else {
        return Err(Refusal::new(
            RefusalName::Usage,
            "this is a snapshot, and receive takes receipts",
        )
        .value("file", file.display())
        .next(format!("lockstep prepare {} --to RECIPE", file.display())));
    };
    let statement = receipt.get();
    let environment = statement.environment.clone();
    let _lock = desk.lock("receive", now)?;
    let Some(mut record) = desk.environment(&environment)? else {
        return Err(Refusal::new(
            RefusalName::NotEnrolled,
            "this desk does not know the environment",
        ));
    };
    // Asked again under the lock: another key may have been enrolled meanwhile.
    match record.node(&statement.node.name) {
        Some(known) => check_key(known, &statement.node, file)?,
        None => return Err(not_enrolled(file, &environment, &statement.node)),
    }
    // Kept first: where two words contradict each other, both are evidence.
    desk.keep_statement(word.snapshot.sha256(), &word.file)?;
    desk.keep_statement(receipt.sha256(), &word.file)?;
    let learned = record.take_in(&word, request.accept_forked.as_deref(), now)?;
    if let Some(gap) = &learned.gap {
        watch.warn(gap);
    }
    let confirmed = statement
        .applied()
        .and_then(|patch| {
            record
                .prepared
                .iter()
                .position(|prepared| prepared.patch == patch)
        })
        .map(|at| record.prepared.remove(at));
    desk.store_environment(&record)?;
    Ok(Outcome {
        environment: environment.name.to_string(),
        node: statement.node.name.to_string(),
        action: statement.action.word().to_owned(),
        sequence: statement.sequence,
        changes: statement.changes.iter().map(ToString::to_string).collect(),
        failure: statement
            .failure
            .as_ref()
            .map(|failure| format!("{}: {}", failure.step.word(), Escaped(&failure.ended))),
        confirms: confirmed.map(|prepared| prepared.file),
        known: !learned.news,
    })
}
