//! Forks: two places with one key. What a node says is held against what the desk has heard of it.
//!
//! | what happened | how it shows |
//! |---|---|
//! | a clone and its original both go on | two statements of one sequence number |
//! | a virtual machine set back, a backup put back in place | the same; or a word that names a receipt which is not the last one before it |
//! | a branch that was longer is cut off | a lower sequence number than the last one seen, taken later by the host's clock |
//! | the branch that was not accepted goes on | it is refused, or names a receipt that is |
//!
//! Numbers alone do not tell a late file from a node that was set back, where the desk has not seen all
//! that lies between: that is told as a gap, and shows as a fork once two numbers meet. A host's clock
//! can call for a person, who accepts with a reason; it lets nothing pass.

use std::collections::BTreeSet;

use super::statements::Word;
use super::store::{NodeRecord, SEEN_MAX, SeenReceipt, SeenSnapshot};
use crate::model::receipt::Action;
use crate::model::{Name, Refusal, RefusalName, Sha256};
use crate::trust::verified::Verified;

/// How a node's word contradicts what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fork {
    what: String,
    values: Vec<(&'static str, String)>,
}

/// How a word lies beside what is known.
pub(super) enum Lies {
    /// It fits.
    Well,
    /// It fits, and a receipt before it was not seen.
    Gap(u64),
    /// It contradicts what is known.
    Forked(Fork),
    /// It is of the branch that somebody did not accept, or goes on from it.
    Refused(Fork),
}

impl NodeRecord {
    /// Holds a word against what is known of the node.
    pub(super) fn hold(&self, word: &Word) -> Lies {
        let snapshot = word.snapshot.get();
        let (sequence, sha256) = (snapshot.sequence, word.snapshot.sha256());
        let receipt = word.receipt.as_ref().map(Verified::sha256);
        let own = [Some(sha256), receipt, snapshot.receipt];
        if let Some(refused) = own.into_iter().flatten().find(|s| self.refused.contains(s)) {
            return Lies::Refused(Fork::refused(sequence, refused));
        }
        let seen = self.seen.iter().find(|seen| seen.sequence == sequence);
        if let Some(other) = seen.filter(|seen| seen.sha256 != sha256) {
            return Lies::Forked(Fork::twice(sequence, other.sha256, sha256));
        }
        let known = self
            .receipts
            .iter()
            .find(|known| known.sequence == sequence);
        if let (Some(known), Some(receipt)) = (known, receipt)
            && known.sha256 != receipt
        {
            return Lies::Forked(Fork::twice(sequence, known.sha256, receipt));
        }
        if let Some(fork) = receipt.and_then(|receipt| self.left_out(sequence, receipt)) {
            return Lies::Forked(fork);
        }
        match self.before(sequence, snapshot.receipt) {
            Lies::Well if seen.is_none() => self.set_back(word),
            lies => lies,
        }
    }

    /// Whether the receipt that a word names is the last one known before it.
    fn before(&self, sequence: u64, named: Option<Sha256>) -> Lies {
        let Some(before) = self.receipts.iter().rfind(|r| r.sequence < sequence) else {
            return Lies::Well;
        };
        if named == Some(before.sha256) {
            return Lies::Well;
        }
        let older = self
            .receipts
            .iter()
            .any(|known| Some(known.sha256) == named);
        if named.is_some() && !older && self.has_room(before.sequence, sequence) {
            return Lies::Gap(before.sequence);
        }
        let named = named.map_or("none".to_owned(), |named| named.short());
        Lies::Forked(Fork {
            what: format!(
                "its statement {sequence} does not go on from the last receipt before it"
            ),
            values: vec![
                ("it names", named),
                (
                    "known here",
                    format!("{}, sequence {}", before.sha256.short(), before.sequence),
                ),
            ],
        })
    }

    /// A receipt that comes late must be the one that the next one names, unless one between may be
    /// missing.
    fn left_out(&self, sequence: u64, receipt: Sha256) -> Option<Fork> {
        let next = self
            .receipts
            .iter()
            .find(|known| known.sequence > sequence)?;
        let named = next.previous?;
        let earlier = |known: &SeenReceipt| known.sha256 == named && known.sequence < sequence;
        let passed_over =
            self.receipts.iter().any(earlier) || !self.has_room(sequence, next.sequence);
        (named != receipt && passed_over).then(|| Fork {
            what: format!(
                "its receipt {sequence} is not in the chain of receipt {}",
                next.sequence
            ),
            values: vec![
                ("this one", receipt.short()),
                ("that one names", named.short()),
            ],
        })
    }

    /// Whether there may be a receipt between two numbers: whether any of those between was not seen.
    fn has_room(&self, from: u64, to: u64) -> bool {
        let between = |seen: &&SeenSnapshot| seen.sequence > from && seen.sequence < to;
        let seen = u64::try_from(self.seen.iter().filter(between).count()).unwrap_or(u64::MAX);
        to.saturating_sub(from).saturating_sub(1) > seen
    }

    /// A number below the last one, taken later.
    fn set_back(&self, word: &Word) -> Lies {
        let snapshot = word.snapshot.get();
        let last = self.seen.last();
        let later = last.and_then(|last| Some((last.sequence, last.created?)));
        match later {
            Some((last, created)) if last > snapshot.sequence && snapshot.created > created => {
                Lies::Forked(Fork {
                    what: "its sequence number went back".to_owned(),
                    values: vec![
                        (
                            "this one",
                            format!("sequence {}, of {}", snapshot.sequence, snapshot.created),
                        ),
                        ("known here", format!("sequence {last}, of {created}")),
                    ],
                })
            }
            _ => Lies::Well,
        }
    }

    /// Takes the branch of `word` for the one that counts: what is known of the other is refused from
    /// now on. Says from which sequence number on that is so.
    pub(super) fn mend(&mut self, word: &Word) -> u64 {
        let snapshot = word.snapshot.get();
        let sequence = snapshot.sequence;
        let kept = self.ancestors(sequence, snapshot.receipt);
        let lost = |known: &SeenReceipt| !kept.contains(&known.sha256);
        let first = self.receipts.iter().find(|known| lost(known));
        let cut = first.map_or(sequence, |known| known.sequence.min(sequence));
        let receipts = self.receipts.iter().filter(|known| lost(known));
        let mut refused: Vec<Sha256> = receipts.map(|known| known.sha256).collect();
        let seen = self.seen.iter().filter(|seen| seen.sequence >= cut);
        refused.extend(seen.map(|seen| seen.sha256));
        self.receipts.retain(|known| kept.contains(&known.sha256));
        self.seen.retain(|seen| seen.sequence < cut);
        self.refused.extend(refused);
        let own = word.receipt.as_ref().map(Verified::sha256);
        let own = [Some(word.snapshot.sha256()), own, snapshot.receipt];
        self.refused
            .retain(|refused| !own.contains(&Some(*refused)));
        let excess = self.refused.len().saturating_sub(SEEN_MAX);
        self.refused.drain(..excess);
        if let Some(last) = self.receipts.last() {
            (self.receipt, self.receipt_sequence) = (last.sha256, last.sequence);
        } else {
            self.receipt = snapshot.receipt.unwrap_or(self.receipt);
            self.receipt_sequence = 0;
        }
        let closing = self.receipts.iter().filter(|known| known.closes);
        self.closed = closing.map(|known| known.sequence).max().unwrap_or(0);
        cut
    }

    /// The known receipts that a word goes on from. Where it names one that is not known, that is at the
    /// place of the last one before it, or earlier.
    fn ancestors(&self, sequence: u64, named: Option<Sha256>) -> BTreeSet<Sha256> {
        let below: Vec<&SeenReceipt> = self
            .receipts
            .iter()
            .filter(|r| r.sequence < sequence)
            .collect();
        let at = below.iter().position(|known| Some(known.sha256) == named);
        let count = match (named, at) {
            (None, _) => 0,
            (Some(_), Some(at)) => at.saturating_add(1),
            (Some(_), None) => below.len().saturating_sub(1),
        };
        below.iter().take(count).map(|known| known.sha256).collect()
    }

    /// Remembers a word that fits.
    pub(super) fn remember(&mut self, word: &Word) {
        let snapshot = word.snapshot.get();
        let sequence = snapshot.sequence;
        if self.seen.iter().all(|seen| seen.sequence != sequence) {
            self.seen.push(SeenSnapshot {
                created: Some(snapshot.created),
                sequence,
                sha256: word.snapshot.sha256(),
            });
            self.seen.sort_by_key(|seen| seen.sequence);
            let excess = self.seen.len().saturating_sub(SEEN_MAX);
            self.seen.drain(..excess);
        }
        let Some(receipt) = &word.receipt else {
            return;
        };
        if self.receipts.iter().all(|known| known.sequence != sequence) {
            self.receipts.push(SeenReceipt {
                closes: receipt.get().action != Action::RolledBack,
                previous: receipt.get().previous,
                sequence,
                sha256: receipt.sha256(),
            });
            self.receipts.sort_by_key(|known| known.sequence);
            let excess = self.receipts.len().saturating_sub(SEEN_MAX);
            self.receipts.drain(..excess);
        }
    }
}

impl Fork {
    /// Two statements of one number.
    pub(super) fn twice(sequence: u64, known: Sha256, new: Sha256) -> Self {
        Self {
            what: format!("it signed two different statements as sequence {sequence}"),
            values: vec![("this one", new.short()), ("known here", known.short())],
        }
    }

    fn refused(sequence: u64, refused: Sha256) -> Self {
        Self {
            what: format!("its statement {sequence} is of the branch that was not accepted here"),
            values: vec![("not accepted", refused.short())],
        }
    }

    /// What it is, for the desk's record.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// The refusal that it is.
    pub(super) fn refuse(&self, node: &Name) -> Refusal {
        let refusal = Refusal::new(
            RefusalName::Forked,
            format!("node {node} was copied or set back: {}", self.what),
        );
        let values = self.values.iter();
        values
            .fold(refusal, |refusal, (label, value)| refusal.value(label, value))
            .unchanged("what this desk goes by is as it was; the file is kept beside it, as evidence")
            .next(
                "find out which of the two is real and switch the other off; then the same line for the real one, \
                 with --accept forked --reason TEXT",
            )
    }
}
