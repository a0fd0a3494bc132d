//! `apply`: check everything offline, refuse anything else, and change the installation so that
//! no crash can hurt it.
//!
//! `Claimed -> Whole -> Verified -> Admitted -> Staged -> Sealed -> Exchanged`: each is a type that only
//! the one before can make, and each step consumes it; from `Staged` on it is the road of every change
//! ([`super::change`]). What is used of the patch file, or of each volume of it, was hashed in
//! the same read: the head in memory, where it is verified; the packs on their way into the staging
//! folder; and what is used afterwards is that copy.

mod after;
pub mod choose;
mod claim;
mod content;
mod decided;
mod delta;
mod gate;
mod making;
mod outcome;
mod preflight;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use super::Node;
use super::change::{Road, Staged, receipt_name, space, undo};
use super::output::place;
use super::service::Service;
use super::survey::{self, Reading, Survey};
use crate::disk::incoming::Incoming;
use crate::disk::mounts::Layout;
use crate::disk::space::Room;
use crate::model::patch::Accepted;
use crate::model::text::shell_word;
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::plan::Component;
use crate::plan::admit::Admitted;
use crate::plan::claim::NodeFacts;
use crate::plan::work::{Rules, Work, check_paths};
use after::after;
use claim::Claimed;
use content::PackReader;
use decided::Decision;
pub use outcome::Outcome;
use outcome::outcome;

/// Memory that decoding may take when nothing else is said, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;

/// What `apply` is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// The patch file, or one volume of it; the others are found beside it.
    pub file: PathBuf,
    /// Detached approvals; those that lie beside the patch are found without being named.
    pub approvals: Vec<PathBuf>,
    /// Refusals that the admin lifts, with reasons.
    pub accepted: Vec<Accepted>,
    /// Memory that decoding may take, in bytes.
    pub memory: u64,
    /// Whether to stop before anything is changed.
    pub dry_run: bool,
    /// Whether only a change without restart is wanted.
    pub hot: bool,
    /// Where the receipt goes: a file or a folder.
    pub receipt: Option<PathBuf>,
    /// The environment's name, typed by the person or the script.
    pub environment: Option<crate::model::Name>,
}

/// Applies a patch, or with `dry_run` does all that comes before the first change.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let claimed = Claimed::open(&request.file)?;
    // A dry run answers as the operator's own run would: root becomes the operator for it too.
    let line = typed(std::slice::from_ref(&request.file), request.dry_run);
    Node::check_operator(&request.root, &line)?;
    let node = Node::open(&request.root)?;
    watch.say(&node.header());
    apply(claimed, node, request, now, watch)
}

/// What was typed, for the line that a refusal names.
fn typed(places: &[PathBuf], dry_run: bool) -> String {
    let mut line = "apply".to_owned();
    for place in places {
        line.push(' ');
        line.push_str(&shell_word(&place.display().to_string()));
    }
    if dry_run {
        line.push_str(" --dry-run");
    }
    line
}

/// All that comes once the node has been named.
fn apply(
    claimed: Claimed,
    node: Node,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    claimed.check_identity(&node)?;
    node.check_named(request.environment.as_ref())?;
    let line = typed(&claimed.files(), request.dry_run);
    let node = node.ready(request.dry_run, &line, now, watch)?;
    if !request.dry_run {
        place(request.receipt.as_deref(), &receipt_name(&node))?;
    }
    let key = node.public_key()?;
    let deeds = decided::deeds(&node)?;
    let facts = NodeFacts {
        environment: node.environment(),
        name: node.name(),
        key: &key,
        components: &[],
        challenges: &node.state().challenges,
        deeds: &deeds,
        sequence: node.state().sequence,
        memory: request.memory,
        now,
    };
    claimed.check_open(&facts)?;
    let whole = claimed.whole(request.dry_run, watch)?;
    let incoming = if request.dry_run {
        None
    } else {
        Some(Incoming::create(node.root())?)
    };
    let (verified, packs) = whole.verify(&node, request, incoming.as_ref(), now, watch)?;
    // A mistake in the node's own rules would else be found out at the commit.
    let service = Service::of(&node)?;
    // Read once the new ones are verified, so that both are in memory as recipes alone.
    let components = node.components()?;
    let facts = NodeFacts {
        components: &components,
        ..facts
    };
    let admitted = Admitted::new(verified, &facts, request.accepted.clone())?;
    if request.hot {
        return Err(not_hot(&admitted));
    }
    admitted.warnings().iter().for_each(|line| watch.warn(line));

    let Some(incoming) = incoming else {
        let coming = packs.room().plus(recipes(&admitted));
        let files = packs.check(watch)?;
        let reading = reading(&admitted, now);
        let survey = Survey::of(&node, &components, reading, watch)?;
        let (work, _) = plan(&node, &admitted, &survey, coming)?;
        after(&node, &admitted, &survey, &work, watch)?;
        watch.go_on()?;
        return Ok(outcome(&node, &admitted, &work, (files, None)));
    };
    let began = Instant::now();
    let decision = Decision { admitted, incoming };
    let given = (request.memory, now);
    let (staged, survey, files) = staged(&node, components, decision, packs, given, watch)
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
    let admitted = &changed.decided.admitted;
    let done = (files, Some(changed.done));
    Ok(outcome(&node, admitted, &changed.work, done))
}

/// From the first byte that is written under the root to everything on disk beside the tree; and the files
/// that the packs were read from.
fn staged<'a>(
    node: &'a Node,
    components: Vec<Component>,
    decision: Decision,
    packs: PackReader,
    (memory, now): (u64, Time),
    watch: &dyn Watch,
) -> Result<(Staged<Decision>, Survey<'a>, Vec<PathBuf>), Refusal> {
    let admitted = &decision.admitted;
    let mut copied = packs.copy(node, watch)?;
    let files = std::mem::take(&mut copied.files);
    let survey = Survey::of(node, &components, reading(admitted, now), watch)?;
    drop(components);
    let (work, layout) = plan(node, admitted, &survey, Room::default())?;
    let after = after(node, admitted, &survey, &work, watch)?;
    let staged = stage::stage(
        node,
        decision,
        &survey,
        (work, layout, after),
        copied,
        (memory, watch),
    )?;
    Ok((staged, survey, files))
}

/// How the tree is read, under the site that will be in force.
fn reading(admitted: &Admitted, now: Time) -> Reading<'_> {
    Reading::around(admitted.changes(), &admitted.patch().site().policy, now)
}

/// What the recipe files of a patch take.
fn recipes(admitted: &Admitted) -> Room {
    let carried = &admitted.patch().patch().recipes;
    space::files(carried.iter().map(|carried| carried.size))
}

/// What the scan must agree with before anything is staged.
fn plan(
    node: &Node,
    admitted: &Admitted,
    survey: &Survey<'_>,
    coming: Room,
) -> Result<(Work, Layout), Refusal> {
    admitted.check_live(&survey.scan.drift)?;
    let rule = admitted.patch().site().policy.drift;
    let rules = Rules {
        drift: rule,
        beside: true,
    };
    check_paths(admitted.changes().count())?;
    let work = Work::plan(admitted.changes(), rules, survey)?;
    preflight::check_contents(admitted, survey)?;
    let layout = super::change::preflight::check(node, &work, coming)?;
    Ok((work, layout))
}

fn not_hot(admitted: &Admitted) -> Refusal {
    Refusal::new(
        RefusalName::NotHot,
        "this release of lockstep does not apply patches hot",
    )
    .value("patch", admitted.patch().sha256().short())
    .value("asked for", "--hot")
    .next("stop the product, and apply without --hot")
}
