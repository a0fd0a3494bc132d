//! What `rehome` made, and what a person does next.

use std::path::PathBuf;

use serde::Serialize;

use super::Next;
use super::salvage::Found;
use crate::disk::home::Home;
use crate::model::rehome::RehomeHow;
use crate::model::text::{Escaped, Shown, path_as_text};

/// What the node is now.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The environment's id.
    pub id: String,
    /// The node's name.
    pub node: String,
    /// What had happened: `copied`, `moved` or `restored`.
    pub how: &'static str,
    /// The environment and sequence number that it goes on from.
    pub former: String,
    /// The sequence number.
    pub sequence: u64,
    /// The new key's fingerprint, to be compared when the node is enrolled.
    pub fingerprint: String,
    /// The site file in force.
    pub site: String,
    /// What was found and lost.
    pub notes: Vec<String>,
    /// The receipt, which holds the next snapshot.
    #[serde(serialize_with = "path_as_text")]
    pub receipt: PathBuf,
    /// Whether another node of this name is enrolled on the desk.
    replaces: bool,
}

pub(super) fn outcome(
    found: &Found,
    next: Next,
    home: &Home,
    fingerprint: &str,
    receipt: PathBuf,
) -> Outcome {
    Outcome {
        environment: next.environment.name.to_string(),
        id: next.environment.id.to_string(),
        node: next.node.to_string(),
        how: next.how.word(),
        former: format!(
            "{}, node {}, sequence {}",
            found.node.environment(),
            found.node.name(),
            found.node.state().sequence
        ),
        sequence: home.since,
        fingerprint: fingerprint.to_owned(),
        site: format!("{} version {}", next.site.name, next.site.version),
        notes: next.notes,
        receipt,
        replaces: next.how != RehomeHow::Copied,
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "environment {} ({}), node {}: {}, at home here since sequence {}",
            self.environment, self.id, self.node, self.how, self.sequence
        )?;
        writeln!(f, "  former     {}", self.former)?;
        for note in &self.notes {
            writeln!(f, "  restored   {}", Escaped(note))?;
        }
        writeln!(f, "  site       {}", self.site)?;
        writeln!(f, "  receipt    {}", Shown(&self.receipt))?;
        let replace = if self.replaces { " --replace" } else { "" };
        writeln!(
            f,
            "  next       carry the receipt to the desk: lockstep enrol {}{replace} --fingerprint {}",
            Shown(&self.receipt),
            short(&self.fingerprint)
        )?;
        write!(
            f,
            "  compare    the fingerprint with this, read from here and not from the file: {}",
            self.fingerprint
        )
    }
}

/// As much of a fingerprint as is typed.
fn short(fingerprint: &str) -> String {
    fingerprint
        .chars()
        .take("SHA256:".len().saturating_add(16))
        .collect()
}
