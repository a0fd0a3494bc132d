//! Back to the old state, from wherever a change had come to.

use super::super::Node;
use super::super::output::{unfinished, write_out};
use super::super::service::STOP_FIRST;
use super::super::statement::{Deed, NextState, Signing, Times};
use super::commit::receipt_name;
use super::seal::Exchanged;
use super::{After, Decided, Halted, Road, millis};
use crate::disk::exchange::Moved;
use crate::disk::lock::Product;
use crate::disk::recover::{Recovered, settle, sweep};
use crate::disk::{DiskError, durable};
use crate::model::receipt::{Action, FileCounts};
use crate::model::service::{Failure, Step};
use crate::model::text::seconds;
use crate::model::{Refusal, RefusalName};
use crate::plan::recovery::Restart;

/// Whatever failed, what stands decides: before the commit everything goes back; after it the new
/// state stands, and is never reported as the old one.
pub(in crate::host) fn undo(node: &Node, refusal: Refusal) -> Refusal {
    if refusal.name == RefusalName::AppliedUnfinished {
        return refusal;
    }
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Leftovers) {
        return refusal;
    }
    if let Some(sequence) = in_force(node) {
        return unfinished(&refusal, "its commit was not confirmed", sequence)
            .next("lockstep recover, then lockstep status");
    }
    match settle(node.root(), &node.store) {
        Ok(Recovered::WentBack(moved)) => swept(
            node,
            left(refusal, &moved)
                .unchanged("what had been exchanged was put back; the old state stands"),
        ),
        Ok(Recovered::Nothing | Recovered::Tidied) => swept(node, refusal),
        Err(error) => not_undone(&refusal, error),
    }
}

/// The number of the new state, where its commit counts already.
fn in_force(node: &Node) -> Option<u64> {
    let next = node.state().sequence.saturating_add(1);
    let counts = node.store.sequence().is_ok_and(|sequence| sequence >= next);
    counts.then_some(next)
}

/// Removes what is left over; what cannot be removed is told, and changes nothing else.
fn swept(node: &Node, refusal: Refusal) -> Refusal {
    match sweep(node.root(), &node.store) {
        Ok(()) => refusal,
        Err(error) => refusal.value(
            "left over",
            format!("{error}; lockstep recover removes it once that is mended"),
        ),
    }
}

/// Folders that the change made and that stay, because they hold what it did not bring.
fn left(refusal: Refusal, moved: &Moved) -> Refusal {
    moved.left.iter().fold(refusal, |refusal, folder| {
        refusal.value("left", format!("{folder}: it holds files that nobody owns"))
    })
}

/// The way back is barred for now: the journal stands, and nothing else may start.
fn not_undone(refusal: &Refusal, error: DiskError) -> Refusal {
    let why = Refusal::from(error);
    let mut stuck = Refusal::new(
        RefusalName::NeedsRecovery,
        format!(
            "the change did not go through, and could not be undone: {}",
            why.what
        ),
    )
    .value(
        "at first",
        format!(
            "{} ({}): {}",
            refusal.name,
            refusal.name.code(),
            refusal.what
        ),
    );
    stuck.values.extend(refusal.values.clone());
    stuck.values.extend(why.values);
    stuck
        .unchanged("the journal stands; some files may be exchanged already")
        .next("mend what it says, then lockstep recover; do not start the product before that")
}

impl Road<'_> {
    /// Back after a step that was refused; the product, where it was stopped, is started again.
    /// `running`: whether it runs on the new files already.
    pub(super) fn back(&self, refusal: Refusal, halted: &Halted, running: bool) -> Refusal {
        if running
            && in_force(self.node).is_none()
            && let Err(failure) = self.stop_again()
        {
            return self.stuck(&refusal.what, &failure);
        }
        let refusal = undo(self.node, refusal);
        match (refusal.name, halted.restart) {
            // In between: nothing starts on that. Or it runs on the new files already.
            (RefusalName::NeedsRecovery, _)
            | (_, None)
            | (RefusalName::AppliedUnfinished, Some(Restart::BeforeCommit)) => refusal,
            // Once started there is no way back, so the commit must be durable first.
            (RefusalName::AppliedUnfinished, Some(Restart::AfterCommit))
                if durable::sync_folder(&self.node.root().state_folder()).is_err() =>
            {
                refusal.value(
                    "product",
                    "was not started: the commit may not be durable yet",
                )
            }
            _ => match self.start() {
                Ok(()) => {
                    let unchanged = format!("{}; the product was started again", refusal.unchanged);
                    self.forget(refusal.unchanged(unchanged))
                }
                Err(failure) => {
                    let next = format!("{}; and start the product by hand", refusal.next);
                    let refusal = refusal.value("product", "is down: it did not start again");
                    self.forget(self.service.tell(refusal, &failure).next(next))
                }
            },
        }
    }

    /// The product did not start on the new files: back to the old ones, and a receipt of it.
    pub(super) fn take_back<D: Decided>(
        &self,
        exchanged: &Exchanged<D>,
        before: &After,
        failure: &Failure,
        mut times: Times,
        halted: &Halted,
    ) -> Refusal {
        let what = match failure.step {
            Step::Health => "the product is not well on the new files",
            _ => "the product did not start on the new files",
        };
        if let Err(failure) = self.stop_again() {
            return self.stuck(what, &failure);
        }
        let mut refusal = self
            .service
            .tell(Refusal::new(RefusalName::RolledBack, what), failure);
        refusal = match settle(self.node.root(), &self.node.store) {
            Ok(Recovered::WentBack(moved)) => left(refusal, &moved),
            Ok(_) => refusal,
            Err(error) => return not_undone(&refusal, error),
        };
        refusal = swept(self.node, refusal)
            .unchanged("the old files were put back; the old state stands");
        let mut next =
            "mend what the product says, then run the same command again: nothing was consumed";
        refusal = match self.start() {
            Ok(()) => refusal.value("product", "was started again on the old files"),
            Err(failure) => {
                next = "start the product by hand: it did not start on the old files either";
                let refusal = refusal.value(
                    "product",
                    "is down: it did not start on the old files either",
                );
                self.service.tell(refusal, &failure)
            }
        };
        times.downtime_ms = millis(halted.since.elapsed());
        refusal = refusal
            .value("staging", seconds(times.staging_ms))
            .value("downtime", format!("{} ms", times.downtime_ms));
        let refusal = match self.confess(exchanged, before, failure, times) {
            Ok(receipt) => refusal.value("receipt", receipt.display()),
            Err(why) => refusal.value(
                "receipt",
                format!(
                    "could not be written: {}; lockstep receipt writes it",
                    why.what
                ),
            ),
        };
        self.forget(refusal.next(next))
    }

    /// The receipt of a change that was taken back: the state before it, once more, with nothing
    /// consumed.
    fn confess<D: Decided>(
        &self,
        exchanged: &Exchanged<D>,
        before: &After,
        failure: &Failure,
        times: Times,
    ) -> Result<std::path::PathBuf, Refusal> {
        let node = self.node;
        let intended = exchanged
            .decided
            .next(node, &exchanged.after, &exchanged.work, self.now);
        let state = node.state();
        let next = NextState {
            site: node.site(),
            installed: node.installed().to_vec(),
            drift: before.drift.clone(),
            config: before.config.clone(),
            indexed: before.indexed,
            floors: state.floors.clone(),
            time_floor: state.time_floor,
            now: self.now,
            inventory: None,
            deed: intended.deed.map(|deed| Deed {
                action: Action::RolledBack,
                changes: Vec::new(),
                files: FileCounts::default(),
                kept: Vec::new(),
                times,
                failure: Some(failure.clone()),
                ..deed
            }),
            only: false,
        };
        let key = node.key()?;
        let written = next.write(&Signing::of(node, &key))?;
        node.store.commit(written.prepared)?;
        let receipt = written.receipt.unwrap_or_default();
        write_out(self.receipt, &receipt_name(node), &receipt)
    }

    /// A one-way change stays, though its product did not start.
    pub(super) fn stays<D: Decided>(
        &self,
        decided: &D,
        failure: &Failure,
        sequence: u64,
        receipt: Result<std::path::PathBuf, String>,
    ) -> Refusal {
        let why = decided.one_way().unwrap_or_default();
        let refusal = Refusal::new(
            RefusalName::AppliedUnfinished,
            "the new state stands, but the product did not start on it; the change is one-way, so nothing \
             goes back by itself",
        )
        .value("one-way", why)
        .value("sequence", sequence)
        .value("product", "is down");
        let refusal = match receipt {
            Ok(receipt) => refusal.value("receipt", receipt.display()),
            Err(why) => refusal.value("and", why),
        };
        self.service
            .tell(refusal, failure)
            .unchanged("nothing goes back by itself")
            .next(
                "mend it and start the product; or put back what the change altered (its database), and \
                 lockstep rollback",
            )
    }

    /// Stops a product that did not start well: it may be up, half up or down.
    fn stop_again(&self) -> Result<(), Failure> {
        // From here on the tree changes again.
        let held = self.node.say_product(Product::Held);
        self.service.stop_if_up()?;
        held.map_err(|error| Failure {
            ended: error.what,
            output: String::new(),
            step: Step::Stop,
        })
    }

    /// The product runs on the new files and cannot be stopped: they stay below it until it can.
    fn stuck(&self, what: &str, failure: &Failure) -> Refusal {
        let refusal = Refusal::new(
            RefusalName::NeedsRecovery,
            format!("{what}, and it cannot be stopped, so the old files were not put back"),
        );
        self.service
            .tell(refusal, failure)
            .unchanged("the new files stand, and are not committed")
            .next(STOP_FIRST)
    }
}
