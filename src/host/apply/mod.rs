//! `apply`: check everything offline, refuse anything else, and change the installation so that
//! no crash can hurt it.
//!
//! `Claimed -> Verified -> Admitted -> Staged -> Sealed -> Applied`: each is a type that only the
//! one before can make, and each step consumes it. The patch file is read front to back once: its
//! head into memory, where it is verified; its packs into the staging folder, hashed on the way;
//! and what is used afterwards is that copy.

mod after;
pub mod choose;
mod claim;
mod commit;
mod content;
mod outcome;
mod preflight;
mod seal;
mod space;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use super::Node;
use super::output::place;
use super::survey::Survey;
use crate::disk::DiskError;
use crate::disk::incoming::Incoming;
use crate::disk::mounts::Layout;
use crate::disk::recover::{Recovered, recover};
use crate::disk::space::Room;
use crate::model::patch::Accepted;
use crate::model::text::shell_word;
use crate::model::{Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::Component;
use crate::plan::admit::{Admitted, NodeFacts};
use crate::plan::work::Work;
use after::After;
use claim::Claimed;
use content::PackReader;
pub use outcome::Outcome;
use outcome::outcome;

/// Memory that decoding may take when nothing else is said, in bytes.
pub const MEMORY: u64 = 256 * 1024 * 1024;

/// What `apply` is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// The patch file.
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
    node.check_marks()?;
    let node = if request.dry_run {
        node.check_recovered()?;
        node
    } else {
        drop(node);
        let line = typed(std::slice::from_ref(&request.file), false);
        Node::open_to_change(&request.root, &line, now, watch)?
    };
    if !request.dry_run {
        place(request.receipt.as_deref(), &commit::receipt_name(&node))?;
    }
    let key = node.public_key()?;
    let applied: Vec<(Sha256, u64)> = commit::applied(&node)?;
    let facts = NodeFacts {
        environment: node.environment(),
        name: node.name(),
        key: &key,
        components: &[],
        challenges: &node.state().challenges,
        applied: &applied,
        sequence: node.state().sequence,
        memory: request.memory,
        now,
    };
    claimed.check_open(&facts)?;
    let incoming = if request.dry_run {
        None
    } else {
        Some(Incoming::create(node.root())?)
    };
    let (verified, packs) = claimed.verify(&node, request, incoming.as_ref(), now, watch)?;
    // Read once the new ones are verified, so that both are in memory as recipes alone.
    // A mistake in the node's own rules would else be found out at the commit.
    node.store.rules()?;
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
        let coming = packs.room().plus(space::recipes(&admitted));
        packs.check(watch)?;
        let survey = Survey::of(&node, &components, watch)?;
        let (work, _) = plan(&node, &admitted, &survey, coming)?;
        After::of(&node, &admitted, &survey, &work, watch)?;
        return Ok(outcome(&node, &admitted, &work, None));
    };
    let new = New {
        admitted,
        packs,
        incoming,
    };
    change(&node, components, new, request, now, watch).map_err(|refusal| undo(&node, refusal))
}

/// What a patch brings, admitted.
struct New {
    admitted: Admitted,
    packs: PackReader,
    incoming: Incoming,
}

/// From the first byte that is written under the root to the commit.
fn change(
    node: &Node,
    components: Vec<Component>,
    new: New,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let started = Instant::now();
    let New {
        admitted,
        packs,
        incoming,
    } = new;
    let copied = packs.copy(node, watch)?;
    let survey = Survey::of(node, &components, watch)?;
    drop(components);
    let planned = plan(node, &admitted, &survey, Room::default())?;
    let after = After::of(node, &admitted, &survey, &planned.0, watch)?;
    let staged = stage::stage(node, admitted, &survey, planned, copied, watch)?;
    let sealed = seal::seal(node, staged, &survey, after)?;
    drop(survey);
    let staging = started.elapsed();
    let exchanged = seal::exchange(node, sealed, watch)?;
    commit::commit(node, &exchanged, &incoming, staging, request, now)
}

/// Whatever failed, what stands decides: before the commit everything goes back; after it the new
/// state stands, and is never reported as the old one.
fn undo(node: &Node, refusal: Refusal) -> Refusal {
    if refusal.name == RefusalName::AppliedUnfinished {
        return refusal;
    }
    let next = node.state().sequence.saturating_add(1);
    if node.store.sequence().is_ok_and(|sequence| sequence >= next) {
        return super::output::unfinished(&refusal, "its commit was not confirmed", next)
            .next("lockstep recover, then lockstep status");
    }
    match recover(node.root(), &node.store) {
        Ok(Recovered::WentBack(_)) => {
            refusal.unchanged("what had been exchanged was put back; the old state stands")
        }
        Ok(Recovered::Nothing | Recovered::Tidied) => refusal,
        Err(error) => not_undone(&refusal, error),
    }
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

/// What the scan must agree with before anything is staged.
fn plan(
    node: &Node,
    admitted: &Admitted,
    survey: &Survey<'_>,
    coming: Room,
) -> Result<(Work, Layout), Refusal> {
    admitted.check_live(&survey.scan.drift)?;
    let rule = admitted.patch().site().policy.drift;
    let work = Work::plan(admitted.changes(), rule, survey)?;
    let layout = preflight::check(node, admitted, survey, &work, coming)?;
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
