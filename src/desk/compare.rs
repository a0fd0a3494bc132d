//! `compare`: what differs between two snapshots or receipts, such as of TEST and PROD.

use std::path::Path;

use serde::Serialize;

use super::statements::Unread;
use crate::model::Refusal;
use crate::model::snapshot::Snapshot;
use crate::model::text::Shown;
use crate::plan::moved::{Holding, differences};

/// What differs.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The first file, and whose it is.
    pub first: String,
    /// The second file, and whose it is.
    pub second: String,
    /// The differences, from the first to the second.
    pub differences: Vec<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "from  {}", self.first)?;
        write!(f, "to    {}", self.second)?;
        if self.differences.is_empty() {
            return write!(f, "\nthe same components, and the same drift");
        }
        self.differences
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Compares two files. Signatures are checked against the keys the files state; nothing is pinned.
pub fn run(first: &Path, second: &Path) -> Result<Outcome, Refusal> {
    let (a, b) = (snapshot(first)?, snapshot(second)?);
    Ok(Outcome {
        first: whose(first, &a),
        second: whose(second, &b),
        differences: differences(
            Holding {
                components: &a.components,
                drift: &a.drift,
            },
            Holding {
                components: &b.components,
                drift: &b.drift,
            },
        ),
    })
}

fn snapshot(path: &Path) -> Result<Snapshot, Refusal> {
    let unread = Unread::read(path)?;
    let (_, node) = unread.claims().map_err(|e| e.refuse(path))?;
    Ok(unread.verify(&node.key)?.snapshot.get().clone())
}

fn whose(path: &Path, snapshot: &Snapshot) -> String {
    format!(
        "{}: {}, node {}, sequence {}, {}",
        Shown(path),
        snapshot.environment,
        snapshot.node.name,
        snapshot.sequence,
        snapshot.created
    )
}
