//! What the desk learns from a node's word, wherever it comes in: at `enrol`, `prepare` or `receive`.

use super::statements::Word;
use super::store::{EnvironmentRecord, forked};
use crate::model::Refusal;
use crate::model::receipt::Action;

impl EnvironmentRecord {
    /// Learns what a node says: its snapshot, and its receipt where the snapshot came in one.
    pub fn take_in(&mut self, word: &Word, accept_forked: bool) -> Result<Learned, Refusal> {
        let snapshot = word.snapshot.get();
        let mut learned = Learned::default();
        let Some(node) = self
            .nodes
            .iter_mut()
            .find(|node| node.name == snapshot.node.name)
        else {
            return Ok(learned);
        };
        node.see(snapshot, word.snapshot.sha256(), accept_forked)?;
        let Some(receipt) = &word.receipt else {
            return Ok(learned);
        };
        let (sequence, sha256) = (receipt.get().sequence, receipt.sha256());
        let (known, head) = (node.receipt_sequence, node.receipt);
        if sequence == known && sha256 != head && !accept_forked {
            return Err(forked(&node.name, sequence, head, sha256));
        }
        if sequence > known {
            learned.news = true;
            let gap = known > 0 && receipt.get().previous != Some(head);
            learned.gap = gap.then(|| {
                format!(
                    "node {} has a receipt between sequence {known} and {sequence} that this desk \
                     has not seen",
                    node.name
                )
            });
            node.receipt = sha256;
            node.receipt_sequence = sequence;
            if receipt.get().action != Action::RolledBack {
                node.closed = sequence;
            }
        }
        // A commit closes every snapshot before it, and so every patch that answers one.
        let closed = self.nodes.iter().map(|node| node.closed).min().unwrap_or(0);
        self.prepared
            .retain(|p| p.sequence >= closed || Some(p.patch) == receipt.get().applied());
        Ok(learned)
    }
}

/// What was learned of a node's word.
#[derive(Debug, Default)]
pub struct Learned {
    /// Whether it is a receipt that was not known.
    pub news: bool,
    /// That a receipt before it is not known.
    pub gap: Option<String>,
}
