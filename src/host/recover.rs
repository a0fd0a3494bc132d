//! `recover`: put right what a crash interrupted: back until the commit, tidy after it.
//!
//! A product that was stopped for the change is started again once its files are whole; one that may
//! run on files which are to go back is stopped first. A service manager that is about to start it
//! asks with `--before-start`, and then neither is done: the answer is whether it may.

use std::path::Path;

use serde::Serialize;

use super::Node;
use super::change::start;
use super::service::Service;
use crate::disk::lock::{Lock, Product};
use crate::disk::recover::{Recovered, needs_recovery, recover};
use crate::disk::root::Root;
use crate::disk::{journal, lock};
use crate::model::service::Failure;
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::plan::recovery::{Direction, Journal, Restart, decide};

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
    match (put_right.failure, put_right.service) {
        (Some(failure), Some(service)) => {
            Err(not_started(&service, &failure, &put_right.recovered))
        }
        _ => Ok(outcome(&node, &put_right.recovered, put_right.started)),
    }
}

/// Says whether the product may be started, having recovered where that was due: an error where it
/// may not.
pub fn before_start(root: &Path, now: Time, watch: &dyn Watch) -> Result<Option<Outcome>, Refusal> {
    let opened = Root::open(root)?;
    for _ in 0..ASKS {
        let interrupted = needs_recovery(&opened)?;
        match Lock::product(&opened)? {
            Product::Starting => return Ok(None),
            Product::Free if !interrupted => return Ok(None),
            _ => {}
        }
        match Node::open_to_recover(root, "recover --before-start", now) {
            Ok(node) => {
                let recovered = put_right(&node, false, watch)?.recovered;
                return Ok(
                    Some(outcome(&node, &recovered, false)).filter(|outcome| outcome.did_something)
                );
            }
            // Its holder may not have said yet what it does.
            Err(refusal) if refusal.name == RefusalName::Busy => std::thread::sleep(lock::PAUSE),
            Err(refusal) => return Err(refusal),
        }
    }
    Node::open_to_recover(root, "recover --before-start", now).map_or_else(
        |refusal| {
            Err(refusal
                .unchanged("the product is not started while its files are being exchanged")
                .next("it is started by the command at work, once that is done"))
        },
        |_| Ok(None),
    )
}

/// What was put right, and what became of the product.
pub(super) struct PutRight {
    pub(super) recovered: Recovered,
    started: bool,
    /// Why the product did not start again, and whose commands those are.
    pub(super) failure: Option<Failure>,
    service: Option<Service>,
}

/// Recovers the files of a node that is open to change; `product`: and does with the product what
/// that takes.
pub(super) fn put_right(
    node: &Node,
    product: bool,
    watch: &dyn Watch,
) -> Result<PutRight, Refusal> {
    let change = journal::read(node.root())?;
    let restart = change.as_ref().and_then(|change| change.restart);
    let direction = change.as_ref().map(|change| decision(node, change));
    let direction = direction.transpose()?;
    let service = match restart {
        Some(_) if product => Some(Service::of(node)?),
        _ => None,
    };
    if change.is_some() {
        node.say_product(Product::Held)?;
    }
    if let (Some(service), Some(Direction::Back)) = (&service, direction) {
        stop_first(node, service, watch)?;
    }
    let recovered = recover(node.root(), &node.store)?;
    let due = match direction {
        Some(Direction::Back) => true,
        Some(Direction::Tidy) => restart == Some(Restart::AfterCommit),
        None => false,
    };
    let failure = match &service {
        Some(service) if due && !service.surely_runs() => {
            watch.say("starting the product");
            start(node, service).err()
        }
        _ => None,
    };
    node.say_product(Product::Free)?;
    Ok(PutRight {
        recovered,
        started: due && service.is_some() && failure.is_none(),
        failure,
        service,
    })
}

fn decision(node: &Node, change: &Journal) -> Result<Direction, Refusal> {
    Ok(decide(change, node.store.sequence()?))
}

/// The command that was interrupted may have started the product on files that now go back.
fn stop_first(node: &Node, service: &Service, watch: &dyn Watch) -> Result<(), Refusal> {
    if !service.runs() {
        return Ok(());
    }
    watch.say("stopping the product, in case it runs");
    match service.stop() {
        Err(failure) if service.surely_runs() => Err(service
            .not_stopped(node, &failure)
            .unchanged("nothing was recovered yet: files do not go back below a product that runs")
            .next("stop the product, then lockstep recover")),
        _ => Ok(()),
    }
}

fn not_started(service: &Service, failure: &Failure, recovered: &Recovered) -> Refusal {
    let refusal = Refusal::new(
        RefusalName::ServiceFailed,
        "the files were recovered, but the product did not start on them",
    );
    service
        .tell(refusal, failure)
        .unchanged(describe(recovered).unwrap_or_else(|| "the files are whole".to_owned()))
        .next("mend what the product says, and start it")
}

fn outcome(node: &Node, recovered: &Recovered, started: bool) -> Outcome {
    let done = describe(recovered);
    Outcome {
        environment: node.environment().to_string(),
        did_something: done.is_some(),
        done: done.unwrap_or_else(|| "nothing was interrupted here".to_owned()),
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
