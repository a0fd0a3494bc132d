//! What the desk learns from a node's word, wherever it comes in: at `enrol`, `prepare` or `receive`.

use super::forks::Lies;
use super::statements::Word;
use super::store::{AcceptedFork, EnvironmentRecord};
use crate::model::rehome::RehomeHow;
use crate::model::{Refusal, Time};

impl EnvironmentRecord {
    /// Learns what a node says: its snapshot, and its receipt where the snapshot came in one. Where it
    /// contradicts what is known, somebody must have `accepted` that, with a reason; then its branch is the
    /// one that counts. `now` is the desk's.
    pub fn take_in(
        &mut self,
        word: &Word,
        accepted: Option<&str>,
        now: Time,
    ) -> Result<Learned, Refusal> {
        let snapshot = word.snapshot.get();
        let mut learned = Learned::default();
        let Some(node) = self
            .nodes
            .iter_mut()
            .find(|node| node.name == snapshot.node.name)
        else {
            return Ok(learned);
        };
        let lies = node.hold(word);
        // A node's own word is no reason to go back on what somebody decided.
        let own = match lies {
            Lies::Forked(_) => restored(word),
            Lies::Well | Lies::Gap(_) | Lies::Refused(_) => None,
        };
        match lies {
            Lies::Well => {}
            Lies::Gap(known) => {
                learned.gap = Some(format!(
                    "node {} has a receipt between sequence {known} and {} that this desk has not seen",
                    node.name, snapshot.sequence
                ));
            }
            Lies::Forked(fork) | Lies::Refused(fork) => {
                let reason = accepted.map(str::to_owned).or(own);
                let reason = reason.ok_or_else(|| fork.refuse(&node.name))?;
                let cut = node.mend(word);
                self.prepared.retain(|prepared| prepared.sequence < cut);
                self.forks.push(AcceptedFork {
                    accepted: now,
                    node: node.name.clone(),
                    reason,
                    sequence: snapshot.sequence,
                    what: fork.what().to_owned(),
                });
            }
        }
        let known = node.receipt_sequence;
        node.remember(word);
        let Some(receipt) = &word.receipt else {
            return Ok(learned);
        };
        learned.news = receipt.get().sequence > known;
        if let Some(last) = node.receipts.last() {
            (node.receipt, node.receipt_sequence) = (last.sha256, last.sequence);
        }
        let closing = node.receipts.iter().filter(|known| known.closes);
        let closed = closing.map(|known| known.sequence).max().unwrap_or(0);
        node.closed = node.closed.max(closed);
        // A commit closes every snapshot before it, and so every patch that answers one.
        let closed = self.nodes.iter().map(|node| node.closed).min().unwrap_or(0);
        self.prepared
            .retain(|p| p.sequence >= closed || Some(p.patch) == receipt.get().applied());
        Ok(learned)
    }
}

/// A node that was restored says itself that what it did since the backup is lost, and why; its new key
/// was enrolled by somebody.
fn restored(word: &Word) -> Option<String> {
    let rehome = word.receipt.as_ref()?.get().rehome.as_ref()?;
    (rehome.how == RehomeHow::Restored).then(|| format!("restored: {}", rehome.reason))
}

/// What was learned of a node's word.
#[derive(Debug, Default)]
pub struct Learned {
    /// Whether it is a receipt that was not known.
    pub news: bool,
    /// That a receipt before it is not known.
    pub gap: Option<String>,
}
