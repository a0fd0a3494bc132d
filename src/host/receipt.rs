//! `receipt`: write a receipt out again.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Node;
use super::output::write_out;
use crate::model::text::Shown;
use crate::model::{Refusal, RefusalName};

/// What was written.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The receipt file.
    pub file: PathBuf,
    /// Its sequence number.
    pub sequence: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "receipt {} is in {}", self.sequence, Shown(&self.file))?;
        write!(
            f,
            "  next       carry it to the desk: lockstep receive {}",
            Shown(&self.file)
        )
    }
}

/// Writes the receipt with this sequence number, or the last one.
pub fn run(root: &Path, sequence: Option<u64>, output: Option<&Path>) -> Result<Outcome, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    let receipts = node.receipts()?;
    let there: Vec<String> = receipts
        .iter()
        .map(|(sequence, _)| sequence.to_string())
        .collect();
    let found = receipts
        .into_iter()
        .rev()
        .find(|(found, _)| sequence.is_none_or(|wanted| wanted == *found));
    let Some((sequence, file)) = found else {
        return Err(
            Refusal::new(RefusalName::Usage, "there is no receipt with this number")
                .value("asked for", sequence.unwrap_or(0))
                .value("there are", there.join(", "))
                .next("lockstep history lists them"),
        );
    };
    let name = format!("{}-{sequence:04}.receipt.spr", node.environment().name);
    Ok(Outcome {
        file: write_out(output, &name, &file)?,
        sequence,
    })
}
