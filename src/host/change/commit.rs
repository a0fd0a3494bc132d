//! The new state, signed, durable, and put in force by one rename; and what comes after it.

use std::path::PathBuf;

use super::super::output::{unfinished, write_out};
use super::super::statement::{Deed, Signing, Times, Written};
use super::super::{Node, generations};
use super::seal::Exchanged;
use super::{Decided, Road};
use crate::disk::lock::Product;
use crate::disk::{recover, stopped};
use crate::model::{Refusal, RefusalName};

/// What is in force since the rename.
pub(super) struct Committed {
    pub(super) sequence: u64,
    receipt: Vec<u8>,
}

/// The name of the receipt of the next change.
pub(in crate::host) fn receipt_name(node: &Node) -> String {
    let sequence = node.state().sequence.saturating_add(1);
    format!("{}-{sequence:04}.receipt.spr", node.environment().name)
}

impl Road<'_> {
    /// Commits what was exchanged. An error before the rename is for the caller to go back from; one
    /// after it too, who sees by what is in force that there is no going back.
    pub(super) fn commit<D: Decided>(
        &self,
        exchanged: &Exchanged<D>,
        times: Times,
    ) -> Result<Committed, Refusal> {
        exchanged.decided.install(self.node)?;
        let written = self.write(exchanged, times)?;
        let committed = Committed {
            sequence: written.sequence,
            receipt: written.receipt.unwrap_or_default(),
        };
        self.node.store.commit(written.prepared)?;
        Ok(committed)
    }

    /// Writes the state that says what stands now, and checks that it is the one foretold.
    fn write<D: Decided>(
        &self,
        exchanged: &Exchanged<D>,
        times: Times,
    ) -> Result<Written, Refusal> {
        let Exchanged {
            decided,
            work,
            after,
            ..
        } = exchanged;
        let mut next = decided.next(self.node, after, work, self.now);
        next.deed = next.deed.map(|deed| Deed { times, ..deed });
        let key = self.node.key()?;
        let written = next.write(&Signing::of(self.node, &key))?;
        match decided.foretold() {
            Some(foretold) if foretold != written.state => Err(Refusal::new(
                RefusalName::Internal,
                "the state afterwards is not the one that was foretold",
            )
            .value("foretold", foretold)
            .value("found", written.state)),
            _ => Ok(written),
        }
    }

    /// What is left to do once the new state is in force; says where the receipt lies.
    pub(super) fn finish<D: Decided>(
        &self,
        exchanged: &Exchanged<D>,
        committed: &Committed,
    ) -> Result<PathBuf, Refusal> {
        let sequence = committed.sequence;
        // All is committed: whoever restarts the product now may.
        let free = self.node.say_product(Product::Free);
        free.and_then(|()| Ok(stopped::forget(self.node.root())?))
            .and_then(|()| self.tidy(&exchanged.decided))
            .map_err(|refusal| {
                unfinished(&refusal, "what was left over could not be tidied", sequence)
                    .next("lockstep recover")
            })?;
        write_out(self.receipt, &receipt_name(self.node), &committed.receipt)
            .map_err(|refusal| unfinished(&refusal, "the receipt could not be written", sequence))
    }

    /// Journal and staging folder go; the displaced files become a generation; old ones go too, with
    /// the recipes that only they needed.
    fn tidy<D: Decided>(&self, decided: &D) -> Result<(), Refusal> {
        let node = self.node;
        recover::recover(node.root(), &node.store)?;
        let keep = usize::try_from(decided.keep_generations(node)).unwrap_or(usize::MAX);
        generations::prune(node, keep)?;
        node.store.prune()?;
        decided.keep(node)
    }
}
