//! `history`: what was done here, from the chain of receipts, and what can be brought back.

use std::path::Path;

use serde::Serialize;

use super::{Node, generations, intact};
use crate::disk;
use crate::model::Refusal;
use crate::model::installed::describe;
use crate::model::receipt::Receipt;
use crate::model::text::bytes;
use crate::spr::Opened;
use crate::trust::chain::Chain;
use crate::trust::receipt::ReceiptParts;

/// What was done.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// One entry per receipt, the oldest first.
    pub receipts: Vec<Line>,
    /// The generation that stands, and those that a rollback can bring back, the newest first.
    pub generations: Vec<Restorable>,
    /// Whether the chain was checked from its first receipt to its head.
    pub checked: bool,
}

/// A generation that stands, or can be brought back.
#[derive(Debug, Serialize)]
pub struct Restorable {
    /// Its number.
    pub generation: u64,
    /// When it was made.
    pub created: String,
    /// What it holds.
    pub holds: String,
    /// Bytes on disk of what it needs to come back: what the change after it displaced. Nothing for the
    /// one that stands.
    pub bytes: Option<u64>,
}

/// One receipt.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The sequence number.
    pub sequence: u64,
    /// When.
    pub created: String,
    /// What was done.
    pub action: &'static str,
    /// By which user.
    pub operator: String,
    /// Components that changed.
    pub changes: Vec<String>,
    /// Files added, changed and removed.
    pub files: [u64; 3],
    /// The generation that was brought back.
    pub restored: Option<u64>,
    /// What the product's service did not do, so that the change was taken back.
    pub failure: Option<String>,
    /// What a rehome went on from, and why.
    pub rehome: Option<String>,
    /// Refusals lifted, with reasons.
    pub accepted: Vec<String>,
    /// The start of the state digest afterwards.
    pub after: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.receipts {
            let [added, changed, removed] = line.files;
            writeln!(
                f,
                "{:>5}  {}  {:<11} by {:<12} {added} added, {changed} changed, {removed} removed",
                line.sequence, line.created, line.action, line.operator
            )?;
            for change in &line.changes {
                writeln!(f, "         {change}")?;
            }
            if let Some(restored) = line.restored {
                writeln!(f, "         back to generation {restored}")?;
            }
            if let Some(failure) = &line.failure {
                writeln!(f, "         taken back, because of {failure}")?;
            }
            if let Some(rehome) = &line.rehome {
                writeln!(f, "         {rehome}")?;
            }
            for accepted in &line.accepted {
                writeln!(f, "         accepted {accepted}")?;
            }
        }
        for one in &self.generations {
            let (number, created, holds) = (one.generation, &one.created, &one.holds);
            match one.bytes {
                None => writeln!(f, "generation {number} stands: {holds}, since {created}")?,
                Some(size) => writeln!(
                    f,
                    "generation {number} can be brought back: {holds}, of {created}; {} kept for it; lockstep rollback --to {number}",
                    bytes(size)
                )?,
            }
        }
        if self.checked {
            write!(
                f,
                "the chain is whole: {} receipt(s), each signed, each naming the one before",
                self.receipts.len()
            )
        } else {
            write!(
                f,
                "{} receipt(s); lockstep history --check checks the chain",
                self.receipts.len()
            )
        }
    }
}

/// Lists the receipts; `check` verifies every signature and link.
pub fn run(root: &Path, check: bool) -> Result<Outcome, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    let mut receipts = Vec::new();
    let mut parts = Vec::new();
    for (sequence, file) in node.receipts()? {
        let at = node
            .root()
            .state_folder()
            .join(format!("states/{sequence}/receipt.spr"));
        let opened = Opened::open(file.as_slice()).map_err(|e| e.refuse(&at))?;
        let receipt: Receipt = opened.decode().map_err(|e| e.refuse(&at))?;
        receipts.push(line(&receipt));
        if check {
            parts.push(ReceiptParts::open(&file).map_err(|e| e.refuse(&at))?);
        }
    }
    if check {
        let chain = Chain::check(&parts, &node.public_key()?)?;
        chain.check_head(node.state().sequence, Some(node.state().receipt))?;
        intact::check_all(&node.store, &chain)?;
    }
    Ok(Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        receipts,
        generations: restorable(&node)?,
        checked: check,
    })
}

fn restorable(node: &Node) -> Result<Vec<Restorable>, Refusal> {
    let mut restorable = Vec::new();
    for generation in generations::all(node)?.iter().rev() {
        let bytes = match generation.displaced_by {
            None => None,
            Some(_) if !generation.reachable => continue,
            Some(change) => {
                let sizes = disk::generations::sizes(node.root(), &[change])?;
                Some(sizes.iter().map(|(_, room)| room.bytes).sum())
            }
        };
        restorable.push(Restorable {
            generation: generation.sequence,
            created: generation.created.to_string(),
            holds: describe(&generations::snapshot(node, generation.sequence)?.components),
            bytes,
        });
    }
    Ok(restorable)
}

fn line(receipt: &Receipt) -> Line {
    Line {
        sequence: receipt.sequence,
        created: receipt.created.to_string(),
        action: receipt.action.word(),
        operator: crate::model::text::Escaped(&receipt.operator).to_string(),
        changes: receipt.changes.iter().map(ToString::to_string).collect(),
        files: [
            receipt.files.added,
            receipt.files.changed,
            receipt.files.removed,
        ],
        restored: receipt.restored,
        failure: receipt.failure.as_ref().map(|failure| {
            let ended = crate::model::text::Escaped(&failure.ended);
            format!("{}: {ended}", failure.step.word())
        }),
        rehome: receipt.rehome.as_ref().map(|rehome| {
            let former = &rehome.former;
            format!(
                "{} from {}, sequence {}, key {}: {}",
                rehome.how.word(),
                former.environment,
                former.sequence,
                former.node.key.fingerprint(),
                crate::model::text::Escaped(&rehome.reason)
            )
        }),
        accepted: receipt
            .accepted
            .iter()
            .map(|a| format!("{}: {}", a.name, crate::model::text::Escaped(&a.reason)))
            .collect(),
        after: receipt.after.short(),
    }
}
