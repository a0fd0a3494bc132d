//! `history`: what was done here, from the chain of receipts.

use std::path::Path;

use serde::Serialize;

use super::Node;
use crate::model::receipt::Receipt;
use crate::model::{Refusal, RefusalName, Sha256};
use crate::spr::Opened;
use crate::trust::verified::by_key;

/// What was done.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// One entry per receipt, the oldest first.
    pub receipts: Vec<Line>,
    /// Whether the chain was checked from its first receipt to its head.
    pub checked: bool,
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
                "{:>5}  {}  {:<6} by {:<12} {added} added, {changed} changed, {removed} removed",
                line.sequence, line.created, line.action, line.operator
            )?;
            for change in &line.changes {
                writeln!(f, "         {change}")?;
            }
            for accepted in &line.accepted {
                writeln!(f, "         accepted {accepted}")?;
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
    let key = node.public_key()?;
    let mut receipts = Vec::new();
    let mut before: Option<Sha256> = None;
    for (sequence, file) in node.receipts()? {
        let at = node
            .root()
            .state_folder()
            .join(format!("states/{sequence}/receipt.spr"));
        let opened = Opened::open(file.as_slice()).map_err(|e| e.refuse(&at))?;
        let receipt: Receipt = opened.decode().map_err(|e| e.refuse(&at))?;
        if check {
            let verified = by_key::<Receipt>(opened.raw(), &key)?;
            if receipt.previous != before {
                return Err(broken(sequence, before, receipt.previous));
            }
            before = Some(verified.sha256());
        }
        receipts.push(line(&receipt));
    }
    if check && before != Some(node.state().receipt) {
        return Err(broken(
            node.state().sequence,
            before,
            Some(node.state().receipt),
        ));
    }
    Ok(Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        receipts,
        checked: check,
    })
}

fn broken(sequence: u64, found: Option<Sha256>, named: Option<Sha256>) -> Refusal {
    let show =
        |sha256: Option<Sha256>| sha256.map_or("none".to_owned(), |sha256| sha256.to_string());
    Refusal::new(RefusalName::Corrupt, "the chain of receipts is broken: one is missing or was changed")
        .value("at sequence", sequence)
        .value("names", show(named))
        .value("found", show(found))
        .next("compare with the receipts that the desk has; keep this folder as it is for whoever looks into it")
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
        accepted: receipt
            .accepted
            .iter()
            .map(|a| format!("{}: {}", a.name, crate::model::text::Escaped(&a.reason)))
            .collect(),
        after: receipt.after.short(),
    }
}
