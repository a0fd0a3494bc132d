//! `receive`: take in a receipt, which closes the loop: what was prepared is now confirmed.

use std::path::PathBuf;

use serde::Serialize;

use super::Desk;
use super::statements::read_enrolled;
use crate::model::{Refusal, RefusalName, Watch};

/// What `receive` is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// A receipt file.
    pub file: PathBuf,
    /// Whether a fork is accepted, with a reason given.
    pub accept_forked: bool,
}

/// What `receive` learned.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// What the receipt is of: `apply`, `init`, `trust`.
    pub action: String,
    /// The node's sequence number afterwards.
    pub sequence: u64,
    /// Components that changed.
    pub changes: Vec<String>,
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

/// Takes in a receipt.
pub fn run(desk: &Desk, request: &Request, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let word = read_enrolled(desk, &request.file)?;
    let Some(receipt) = &word.receipt else {
        return Err(Refusal::new(
            RefusalName::Usage,
            "this is a snapshot, and receive takes receipts",
        )
        .value("file", request.file.display())
        .next(format!(
            "lockstep prepare {} --to RECIPE",
            request.file.display()
        )));
    };
    let statement = receipt.get();
    let environment = statement.environment.clone();
    let Some(mut record) = desk.environment(&environment)? else {
        return Err(Refusal::new(
            RefusalName::NotEnrolled,
            "this desk does not know the environment",
        ));
    };
    // Kept first: where two words contradict each other, both are evidence.
    desk.keep_statement(word.snapshot.sha256(), &word.file)?;
    let learned = record.take_in(&word, request.accept_forked)?;
    if let Some(gap) = &learned.gap {
        watch.warn(gap);
    }
    let confirmed = statement
        .patch
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
        confirms: confirmed.map(|prepared| prepared.file),
        known: !learned.news,
    })
}
