//! `recover`: put right what a crash interrupted: back until the commit, tidy after it.
//!
//! A product that was stopped for the change is started again once its files are whole; one that may
//! run on files which are to go back is stopped first. A service manager that is about to start it
//! asks with `--before-start`, and then neither is done: the answer is whether it may.

use std::path::Path;

use serde::Serialize;

use super::Node;
use super::change::start;
use super::service::{STOP_FIRST, Service};
use crate::disk::lock::{Lock, Product};
use crate::disk::recover::{Recovered, needs_recovery, settle, sweep};
use crate::disk::root::Root;
use crate::disk::{journal, lock, stopped};
use crate::model::service::Failure;
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::plan::recovery::{Direction, decide};

/// How often a service manager's question is asked again while the lock's holder says nothing yet.
const ASKS: u32 = 20;

/// What `recover` did.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// Whether there was anything to recover.
    pub did_something: bool,
    /// What was done, in words.
    pub done: String,
    /// Whether the product was started again.
    pub started: bool,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.done)?;
        if self.started {
            write!(f, "\n  product    was started again")?;
        }
        Ok(())
    }
}

/// Recovers.
pub fn run(root: &Path, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let node = Node::open_to_recover(root, "recover", now)?;
    watch.say(&node.header());
    let put_right = put_right(&node, true, watch)?;
    if let Some(refusal) = put_right.not_started {
        return Err(refusal);
    }
    Ok(outcome(&node, &put_right.recovered, put_right.started))
}

/// Says whether the product may be started, having recovered its files where that was due: an error
/// where it may not.
pub fn before_start(root: &Path, now: Time, watch: &dyn Watch) -> Result<Option<Outcome>, Refusal> {
    let opened = Root::open(root)?;
    let mut asks = ASKS;
    loop {
        match Lock::product(&opened)? {
            Product::Starting => return Ok(None),
            Product::Free if !needs_recovery(&opened)? => return Ok(None),
            Product::Free | Product::Held => {}
        }
        match Node::open_to_recover(root, "recover --before-start", now) {
            Ok(node) => {
                let recovered = put_right(&node, false, watch)?.recovered;
                let outcome = outcome(&node, &recovered, false);
                return Ok(Some(outcome).filter(|outcome| outcome.did_something));
            }
            // Its holder may not have said yet what it does.
            Err(refusal) if refusal.name == RefusalName::Busy && asks > 0 => {
                asks = asks.saturating_sub(1);
                std::thread::sleep(lock::PAUSE);
            }
            Err(refusal) if refusal.name == RefusalName::Busy => {
                return Err(refusal
                    .unchanged("the product is not started while its files are being exchanged")
                    .next(
                        "start it once the command at work is done, if that does not do it itself",
                    ));
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// What was put right, and what became of the product.
pub(super) struct PutRight {
    pub(super) recovered: Recovered,
    started: bool,
    /// That the product did not start again.
    pub(super) not_started: Option<Refusal>,
}

/// Recovers the files of a node that is open to change; `product`: and does with the product what
/// that takes.
pub(super) fn put_right(
    node: &Node,
    product: bool,
    watch: &dyn Watch,
) -> Result<PutRight, Refusal> {
    let (root, store) = (node.root(), &node.store);
    let stopped = stopped::read(root)?;
    let current = store.sequence()?;
    // A journal may be as large as all else, and is read again where it is settled.
    let way = journal::read(root)?.map(|change| decide(&change, current));
    let back = way == Some(Direction::Back);
    let due = stopped
        .as_ref()
        .is_some_and(|stopped| stopped.is_due(current));
    let service = if product && stopped.is_some() && (back || due) {
        Some(Service::of(node)?)
    } else {
        None
    };
    if way.is_some() {
        node.say_product(Product::Held)?;
    }
    if let (Some(service), true) = (&service, back) {
        stop_first(service, watch)?;
    }
    let recovered = settle(root, store)?;
    let failure = match &service {
        Some(service) if due && !service.surely_runs() => {
            watch.say("starting the product");
            start(node, service).err().map(|failure| (service, failure))
        }
        _ => None,
    };
    let started = product && due && failure.is_none();
    let not_started = failure.map(|(service, failure)| not_started(service, &failure, &recovered));
    // The product is up, or whoever is to start it is told: then the note of it goes, and what else
    // is left over.
    let cleared = stopped::forget(root)
        .and_then(|()| sweep(root, store))
        .map_err(Refusal::from)
        .and_then(|()| node.say_product(Product::Free));
    match (not_started, cleared) {
        (Some(refusal), Err(left)) => Err(refusal.value("left over", left.what)),
        (None, Err(left)) => Err(left.unchanged(whole(&recovered))),
        (not_started, Ok(())) => Ok(PutRight {
            recovered,
            started,
            not_started,
        }),
    }
}

/// What stands after the half of recovery that counts.
fn whole(recovered: &Recovered) -> String {
    describe(recovered).unwrap_or_else(|| "the files are whole".to_owned())
}

/// The command that was interrupted may have started the product on files that now go back.
fn stop_first(service: &Service, watch: &dyn Watch) -> Result<(), Refusal> {
    watch.say("stopping the product, in case it runs");
    let Err(failure) = service.stop_if_up() else {
        return Ok(());
    };
    let refusal = Refusal::new(
        RefusalName::NeedsRecovery,
        "files do not go back below a product that may run, and it did not stop",
    );
    Err(service
        .tell(refusal, &failure)
        .unchanged("the journal stands; nothing was recovered yet")
        .next(STOP_FIRST))
}

fn not_started(service: &Service, failure: &Failure, recovered: &Recovered) -> Refusal {
    let refusal = Refusal::new(
        RefusalName::ServiceFailed,
        "the files are whole, but the product did not start on them",
    )
    .value("product", "is down");
    service
        .tell(refusal, failure)
        .unchanged(whole(recovered))
        .next("mend what the product says, and start it")
}

fn outcome(node: &Node, recovered: &Recovered, started: bool) -> Outcome {
    let done = describe(recovered);
    Outcome {
        environment: node.environment().to_string(),
        did_something: done.is_some() || started,
        done: done.unwrap_or_else(|| {
            let word = if started {
                "recovered: no file was exchanged, or all were put back already"
            } else {
                "nothing was interrupted here"
            };
            word.to_owned()
        }),
        started,
    }
}

/// What recovery did, for a person; nothing where it did nothing.
pub(super) fn describe(recovered: &Recovered) -> Option<String> {
    match recovered {
        Recovered::Nothing => None,
        Recovered::WentBack(moved) => {
            let left: Vec<String> = moved
                .left
                .iter()
                .map(|folder| format!("; {folder} is left, it holds files that nobody owns"))
                .collect();
            Some(format!(
                "recovered: an interrupted change was undone ({} move(s)); the old state stands, and \
                 the same command may be run again{}",
                moved.moves,
                left.concat()
            ))
        }
        Recovered::Tidied => Some(
            "recovered: a change had been committed; what it left over was tidied up".to_owned(),
        ),
    }
}
