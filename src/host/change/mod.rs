//! The road of every change of files, whoever decided it: a patch that was admitted, or a way back.
//!
//! `Staged -> Sealed -> Exchanged`, and the commit. What does not go well on it:
//!
//! | step | when it does not go well |
//! |---|---|
//! | the product is asked to stop | nothing is exchanged: `service-failed` |
//! | every path is compared with the scan; the journal is sealed; files are exchanged | what was exchanged goes back, the product is started again, and the refusal is that of the step |
//! | the product is started, and asked how it is | it is stopped, the old files go back, it is started on them; the receipt and the refusal are `rolled-back` |
//! | the commit | as with the exchange |
//! | what comes after it: tidying, the receipt as a file | `applied-unfinished`: the new state stands |
//!
//! A one-way change (its new product changes a database, say) is committed before the product is
//! started: from then on old files would not fit. A start that does not go well is then
//! `applied-unfinished`, and a person decides.
//!
//! From the stop to the commit the lock says that the product is held, but for the moment in which it is
//! started here, so that a service manager starts it on nothing in between.

mod back;
mod commit;
pub(super) mod preflight;
mod seal;
pub(super) mod space;
mod told;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Node;
use super::service::Service;
use super::statement::{NextState, Times};
use super::survey::Survey;
use crate::disk::lock::Product;
use crate::disk::mounts::Layout;
use crate::disk::stopped::{self, Stopped};
use crate::model::service::{Failure, Step};
use crate::model::snapshot::{ConfigFile, Drift};
use crate::model::{Refusal, Sha256, Time, Watch};
use crate::plan::recovery::Restart;
use crate::plan::slots::Slots;
use crate::plan::work::Work;
pub(super) use back::undo;
pub(super) use commit::receipt_name;
use seal::Exchanged;
use space::Reserves;
pub(super) use told::{ended, touched};

/// What was decided, with all that its commit will say.
pub(super) trait Decided {
    /// Why old files do not fit any more once the new product has started; nothing where they do.
    fn one_way(&self) -> Option<String>;

    /// The state that is committed once the files of `work` are exchanged.
    fn next<'a>(&'a self, node: &'a Node, after: &After, work: &Work, now: Time) -> NextState<'a>;

    /// Whether anything is installed afterwards that could be started.
    fn leaves_something(&self) -> bool;

    /// The state digest that was foretold, where it was.
    fn foretold(&self) -> Option<Sha256>;

    /// How many generations are kept afterwards.
    fn keep_generations(&self, node: &Node) -> u64;

    /// Puts beside the state what it will need: before the commit.
    fn install(&self, node: &Node) -> Result<(), Refusal>;

    /// Keeps for others what was used: after the commit.
    fn keep(&self, node: &Node) -> Result<(), Refusal>;
}

/// What is not as its recipe has it, once the new tree stands.
pub(super) struct After {
    /// Files that are no config files.
    pub(super) drift: Vec<Drift>,
    /// Config files that the customer edited or deleted.
    pub(super) config: Vec<ConfigFile>,
    /// Files that were not read for this, by the index.
    pub(super) indexed: u64,
}

/// All of a change on disk beside the tree, durable.
pub(super) struct Staged<D> {
    pub(super) decided: D,
    pub(super) work: Work,
    pub(super) layout: Layout,
    /// What each slot holds.
    pub(super) slots: Slots,
    pub(super) after: After,
}

/// A change that was made, and is in force.
pub(super) struct Changed<D> {
    pub(super) decided: D,
    pub(super) work: Work,
    pub(super) done: Done,
}

/// What the admin is told of a commit.
#[derive(Debug)]
pub(super) struct Done {
    /// The sequence number of the new state.
    pub(super) sequence: u64,
    /// How long it took.
    pub(super) times: Times,
    /// The receipt's file.
    pub(super) receipt: PathBuf,
    /// What became of the product.
    pub(super) product: ProductWas,
}

/// What became of the product in a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProductWas {
    /// Nothing was asked of it: no file was moved, it is stopped by hand, or none was there.
    #[default]
    LeftAlone,
    /// It was stopped, and started again.
    Restarted,
    /// `running` said that it does not run: it was stopped to be sure, and not started.
    Down,
    /// It was stopped, and nothing is installed now that could be started.
    Removed,
}

/// What a change is made with.
pub(super) struct Road<'a> {
    pub(super) node: &'a Node,
    pub(super) service: &'a Service,
    /// Where the receipt goes: a file or a folder.
    pub(super) receipt: Option<&'a Path>,
    pub(super) now: Time,
    pub(super) watch: &'a dyn Watch,
}

/// The product stands still, or never ran.
struct Halted {
    since: Instant,
    /// When it is to be started again.
    restart: Option<Restart>,
    product: ProductWas,
}

impl Road<'_> {
    /// Makes a change that is staged; `staging` is how long that took. On an error nothing of it is
    /// left, unless the refusal says so.
    pub(super) fn go<D: Decided>(
        &self,
        staged: Staged<D>,
        survey: Survey<'_>,
        staging: Duration,
    ) -> Result<Changed<D>, Refusal> {
        let room =
            Reserves::take(self.node, &staged.work).map_err(|refusal| undo(self.node, refusal))?;
        // The last that is asked: from here to the commit a signal waits.
        self.watch
            .go_on()
            .map_err(|interrupted| undo(self.node, interrupted.into()))?;
        let halted = self.halt(&staged)?;
        let before = After {
            drift: survey.scan.drift.clone(),
            config: survey.scan.config.clone(),
            indexed: survey.scan.indexed,
        };
        drop(room.journal);
        let exchanged = seal::seal(self.node, staged, &survey)
            .and_then(|sealed| seal::exchange(self.node, sealed, self.watch))
            .map_err(|refusal| self.back(refusal, &halted, false))?;
        drop(survey);
        let mut times = Times {
            staging_ms: millis(staging),
            downtime_ms: millis(exchanged.took),
            exchange_ms: millis(exchanged.took),
        };
        let early = halted.restart == Some(Restart::BeforeCommit);
        if early {
            if let Err(failure) = self.start() {
                return Err(self.take_back(&exchanged, &before, &failure, times, &halted));
            }
            times.downtime_ms = millis(halted.since.elapsed());
        }
        drop(room.state);
        let committed = self
            .commit(&exchanged, times)
            .map_err(|refusal| self.back(refusal, &halted, early))?;
        let late = halted.restart == Some(Restart::AfterCommit);
        let failure = if late { self.start().err() } else { None };
        if late {
            times.downtime_ms = millis(halted.since.elapsed());
        }
        let receipt = self.finish(&exchanged, &committed);
        if let Some(failure) = failure {
            let receipt = receipt.map_err(|refusal| refusal.what);
            return Err(self.stays(&exchanged.decided, &failure, committed.sequence, receipt));
        }
        let receipt = receipt?;
        let Exchanged { decided, work, .. } = exchanged;
        Ok(Changed {
            decided,
            work,
            done: Done {
                sequence: committed.sequence,
                times,
                receipt,
                product: halted.product,
            },
        })
    }

    /// Stops the product, whatever is thought of whether it runs: a wrong answer to that must not lead
    /// to an exchange below it. From here on no service manager starts it. Where no file is to be
    /// moved, or no product is there yet, it is left alone.
    fn halt<D: Decided>(&self, staged: &Staged<D>) -> Result<Halted, Refusal> {
        let mut halted = Halted {
            since: Instant::now(),
            restart: None,
            product: ProductWas::LeftAlone,
        };
        if staged.work.moves.is_empty() {
            return Ok(halted);
        }
        self.node
            .say_product(Product::Held)
            .map_err(|refusal| undo(self.node, refusal))?;
        if self.service.names_none() || self.node.installed().is_empty() {
            return Ok(halted);
        }
        let restart = match staged.decided.one_way() {
            Some(_) => Restart::AfterCommit,
            None => Restart::BeforeCommit,
        };
        if !self.service.runs() {
            halted.product = ProductWas::Down;
        } else if !staged.decided.leaves_something() {
            halted.product = ProductWas::Removed;
        } else {
            let stopped = Stopped::new(restart, self.node.state().sequence.saturating_add(1));
            stopped::note(self.node.root(), &stopped).map_err(|error| self.unhold(error.into()))?;
            halted.restart = Some(restart);
            halted.product = ProductWas::Restarted;
        }
        halted.since = Instant::now();
        self.watch.say("stopping the product");
        self.service
            .stop()
            .map_err(|failure| self.unhold(self.service.not_stopped(self.node, &failure)))?;
        Ok(halted)
    }

    /// The product may run again, because nothing was exchanged; what was staged goes.
    fn unhold(&self, refusal: Refusal) -> Refusal {
        let refusal = self.forget(refusal);
        match self.node.say_product(Product::Free) {
            Ok(()) => undo(self.node, refusal),
            Err(_) => undo(self.node, refusal).value(
                "service",
                "its manager cannot be told that it may start before this command has ended",
            ),
        }
    }

    /// The product is up again, or the refusal says that it is not.
    fn forget(&self, refusal: Refusal) -> Refusal {
        match stopped::forget(self.node.root()) {
            Ok(()) => refusal,
            Err(error) => refusal.value("left over", error),
        }
    }

    /// Starts the product, on files that are all old or all new.
    fn start(&self) -> Result<(), Failure> {
        self.watch.say("starting the product");
        start(self.node, self.service)
    }
}

/// Starts the product while the lock says that it may be.
pub(super) fn start(node: &Node, service: &Service) -> Result<(), Failure> {
    let held = |error: Refusal| Failure {
        ended: format!(
            "its manager cannot be told that it may start: {}",
            error.what
        ),
        output: String::new(),
        step: Step::Start,
    };
    node.say_product(Product::Starting).map_err(held)?;
    service.start()?;
    // Where this cannot be said the word stays "starting": the files are all of one version, until
    // a step that moves them says otherwise, or is refused for want of that.
    node.say_product(Product::Held).ok();
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
