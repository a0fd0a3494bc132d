//! `rollback`: bring back the files of an earlier generation, by the road that every change goes.
//!
//! What belongs where follows from the recipes of that generation, as for a patch; the contents are
//! copied from what later changes displaced, or from files that are installed, and both are checked
//! by their digests before they are used. What is displaced now is kept as a generation too, so that a
//! rollback can be taken back. Trust does not go back: site, floors and the time floor stay.

mod back;
mod outcome;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use super::Node;
use super::change::{Road, preflight, receipt_name, undo};
use super::generations::{self, Generation};
use super::output::place;
use super::service::Service;
use super::survey::{self, Reading, Survey};
use crate::disk::space::Room;
use crate::model::installed::describe;
use crate::model::patch::Accepted;
use crate::model::{Name, Refusal, RefusalName, Time, Watch};
use crate::plan::lifting::{check_acceptable, lifts};
use crate::plan::work::{Rules, Work};
use crate::plan::{Component, one_way};
use back::Back;
pub use outcome::Outcome;

/// What `rollback` is asked.
#[derive(Debug)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// The generation to bring back; the one before where nothing is said.
    pub to: Option<u64>,
    /// The environment's name, typed by the person or the script.
    pub environment: Option<Name>,
    /// Refusals that the admin lifts, with reasons.
    pub accepted: Vec<Accepted>,
    /// Whether to stop before anything is changed.
    pub dry_run: bool,
    /// Where the receipt goes: a file or a folder.
    pub receipt: Option<PathBuf>,
}

/// Brings back an earlier generation, or with `dry_run` does all that comes before the first change.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let line = typed(request);
    Node::check_operator(&request.root, &line)?;
    let node = Node::open(&request.root)?;
    watch.say(&node.header());
    node.check_named(request.environment.as_ref())?;
    let node = node.ready(request.dry_run, &line, now, watch)?;
    let all = generations::all(&node)?;
    let target = choose(&node, &all, request.to)?;
    let service = Service::of(&node)?;
    let past = back::past(&node, target)?;
    let components = node.components()?;
    check_one_way(&node, &all, target, &past, request)?;
    let held: Vec<_> = past.iter().map(|c| c.installed.clone()).collect();
    if !request.dry_run {
        node.confirm(
            request.environment.as_ref(),
            &format!(
                "the files of generation {} come back: {}",
                target.sequence,
                describe(&held)
            ),
            watch,
        )?;
        place(request.receipt.as_deref(), &receipt_name(&node))?;
    }
    let began = Instant::now();
    let survey = Survey::of(&node, &components, Reading::Whole, watch)?;
    let back = Back::find(&node, &all, target, &past, &survey, request)?;
    let rules = Rules {
        drift: node.site().policy.drift,
        beside: false,
    };
    let work = Work::plan(&back.way.changes, rules, &survey)?;
    if work.moves.is_empty() && held == node.installed() {
        return Err(Refusal::new(
            RefusalName::NothingToDo,
            "what stands is what that generation had",
        )
        .value("asked for", target.sequence)
        .value("stands", node.state().generation)
        .next("lockstep history lists what can be brought back"));
    }
    let layout = preflight::check(&node, &work, Room::default())?;
    let after = back.after(&survey, &work, rules.drift)?;
    back.check_contents(&survey, &work)?;
    drop(components);
    if request.dry_run {
        watch.go_on()?;
        return Ok(outcome::outcome(&node, &back, &work, None));
    }
    let staged = stage::stage(&node, back, &survey, (work, layout, after), watch)
        .map_err(|refusal| undo(&node, refusal))?;
    let road = Road {
        node: &node,
        service: &service,
        receipt: request.receipt.as_deref(),
        now,
        watch,
    };
    let index = survey.index(now);
    let changed = road.go(staged, survey, began.elapsed())?;
    survey::keep(&node, index);
    let (back, work) = (&changed.decided, &changed.work);
    Ok(outcome::outcome(&node, back, work, Some(changed.done)))
}

fn typed(request: &Request) -> String {
    let to = request.to.map(|to| format!(" --to {to}"));
    let dry_run = if request.dry_run { " --dry-run" } else { "" };
    format!("rollback{}{dry_run}", to.unwrap_or_default())
}

/// The generation to bring back.
fn choose<'a>(
    node: &Node,
    all: &'a [Generation],
    to: Option<u64>,
) -> Result<&'a Generation, Refusal> {
    let current = all.last().map_or(0, |generation| generation.sequence);
    let wanted = match to {
        Some(to) if to == current => {
            return Err(
                Refusal::new(RefusalName::NothingToDo, "this generation stands already")
                    .value("generation", current)
                    .next("lockstep history lists what can be brought back"),
            );
        }
        Some(to) => {
            let found = all.iter().find(|generation| generation.sequence == to);
            Some(found.ok_or_else(|| unknown(node, all, to))?)
        }
        None => all.iter().rev().nth(1),
    };
    if let Some(found) = wanted.filter(|generation| generation.reachable) {
        return Ok(found);
    }
    let asked = to.map_or("the one before".to_owned(), |to| to.to_string());
    Err(Refusal::new(
        RefusalName::Unsatisfiable,
        "this generation cannot be brought back: what later changes displaced is not kept",
    )
    .value("asked for", asked)
    .value("stands", current)
    .value("can be", reachable(all))
    .next(format!(
        "lockstep history --root {} lists the generations; policy keeps {} of them",
        node.root().path().display(),
        node.site().policy.keep_generations
    )))
}

fn unknown(node: &Node, all: &[Generation], to: u64) -> Refusal {
    Refusal::new(RefusalName::Usage, "there is no generation of this number")
        .value("asked for", to)
        .value("can be", reachable(all))
        .next(format!(
            "lockstep history --root {} lists the generations",
            node.root().path().display()
        ))
}

fn reachable(all: &[Generation]) -> String {
    let numbers: Vec<String> = all
        .iter()
        .filter(|generation| generation.reachable)
        .map(|generation| generation.sequence.to_string())
        .collect();
    if numbers.is_empty() {
        "none".to_owned()
    } else {
        numbers.join(", ")
    }
}

/// What has changed more than files does not fit old files any more, unless somebody says that it was
/// put back as well.
fn check_one_way(
    node: &Node,
    all: &[Generation],
    target: &Generation,
    past: &[Component],
    request: &Request,
) -> Result<(), Refusal> {
    let policy = &node.site().policy;
    check_acceptable(&request.accepted, policy)?;
    let held: Vec<_> = past.iter().map(|c| c.installed.clone()).collect();
    let mut reasons = Vec::new();
    for later in all.iter().filter(|g| g.sequence > target.sequence) {
        reasons.extend(one_way(&held, &back::past(node, later)?));
    }
    reasons.dedup();
    if reasons.is_empty() {
        return Ok(());
    }
    let why = reasons.join("; ");
    if lifts(policy, &request.accepted, RefusalName::Downgrade) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Downgrade,
        "what is installed is one-way: once it has run, older files do not fit by themselves",
    )
    .value("one-way", why)
    .next(
        "put back what it changed (its database) first, then add --accept downgrade --reason TEXT",
    ))
}
