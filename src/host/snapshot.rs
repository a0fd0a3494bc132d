//! `snapshot`: state, signed, what is installed here now.

use std::path::PathBuf;

use serde::Serialize;

use super::Node;
use super::full::{Full, Listed};
use super::output::{commit, place, unfinished};
use super::statement::{NextState, Signing};
use super::survey::{Reading, Survey};
use crate::disk::handout;
use crate::model::text::{Shown, bytes, path_as_text};
use crate::model::{Refusal, Time, Watch};

/// What `snapshot` is asked.
#[derive(Debug)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// Where it goes: a file or a folder.
    pub output: Option<PathBuf>,
    /// Whether all earlier snapshots are to be closed.
    pub only: bool,
    /// Whether everything below the root is listed, for `prepare --adopt`.
    pub full: bool,
}

/// What `snapshot` wrote.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// The snapshot file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its sequence number.
    pub sequence: u64,
    /// The state digest.
    pub state: String,
    /// Components installed.
    pub components: usize,
    /// Vendor-owned files that are not as their recipe has them.
    pub drift: Vec<String>,
    /// Config files that the customer changed or deleted.
    pub config: usize,
    /// Files that were not read for it, because nothing about them changed since they were: only where
    /// the site's policy allows that.
    pub indexed: u64,
    /// Snapshots that a patch may still be made for.
    pub open: usize,
    /// What a full snapshot lists.
    pub listed: Option<Listed>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "snapshot of environment {}, node {}, sequence {}",
            self.environment, self.node, self.sequence
        )?;
        writeln!(
            f,
            "  holds      {} component(s), {} drifted file(s), {} changed config file(s)",
            self.components,
            self.drift.len(),
            self.config
        )?;
        for line in self.drift.iter().take(10) {
            writeln!(f, "  drift      {line}")?;
        }
        if self.indexed > 0 {
            writeln!(
                f,
                "  index      {} file(s) were not read: they did not change since they were, and policy takes the \
                 index for it",
                self.indexed
            )?;
        }
        if let Some(listed) = &self.listed {
            writeln!(f, "  lists      {listed}")?;
        }
        writeln!(
            f,
            "  open       {} snapshot(s) that a patch may answer",
            self.open
        )?;
        writeln!(
            f,
            "  file       {} ({})",
            Shown(&self.file),
            bytes(self.size)
        )?;
        let how = if self.listed.is_some() && self.components == 0 {
            "--adopt"
        } else {
            "--to RECIPE"
        };
        write!(
            f,
            "  next       carry it to the desk: lockstep prepare {} {how}",
            Shown(&self.file)
        )
    }
}

/// Takes a snapshot.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let node = Node::open_to_change(&request.root, "snapshot", now, watch)?;
    watch.say(&node.header());
    let sequence = node.state().sequence.saturating_add(1);
    let name = format!("{}-{sequence:04}.snapshot.spr", node.environment().name);
    let file = place(request.output.as_deref(), &name)?;
    let key = node.key()?;
    let components = node.components()?;
    // A full one reads every file anyway.
    let reading = if request.full {
        Reading::Whole
    } else {
        Reading::by_policy(&node.site().policy, now)
    };
    let survey = Survey::of(&node, &components, reading, watch)?;
    let inventory = request
        .full
        .then(|| Full::take(&node, &survey, watch))
        .transpose()?;
    let next = NextState {
        site: node.site(),
        installed: node.installed().to_vec(),
        drift: survey.scan.drift.clone(),
        config: survey.scan.config.clone(),
        indexed: survey.scan.indexed,
        floors: node.state().floors.clone(),
        time_floor: node.state().time_floor,
        now,
        inventory: inventory.as_ref().map(|full| full.compressed.clone()),
        deed: None,
        only: request.only,
    };
    watch.go_on()?;
    if let Some(full) = &inventory {
        node.store.keep(&full.secret)?;
    }
    let written = next.write(&Signing::of(&node, &key))?;
    let earlier = if request.only {
        0
    } else {
        node.state().challenges.len()
    };
    commit(&node.store, written.prepared, written.sequence)?;
    // A full one lists every file below the root, the customer's own too.
    let write_file = if inventory.is_some() {
        handout::write_private
    } else {
        handout::write
    };
    write_file(&file, &written.snapshot).map_err(|refusal| {
        let what = "the snapshot could not be written";
        unfinished(&refusal, what, written.sequence)
            .next("lockstep snapshot --output FILE takes another")
    })?;
    node.store.prune().map_err(|error| {
        let what = "older states could not be removed";
        unfinished(&error.into(), what, written.sequence)
            .value("snapshot", file.display())
            .next("mend what it says; the next snapshot removes them")
    })?;
    survey.keep_index(now);
    Ok(Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        size: u64::try_from(written.snapshot.len()).unwrap_or(u64::MAX),
        file,
        sequence: written.sequence,
        state: written.state.to_string(),
        components: components.len(),
        drift: survey.drift_lines(),
        config: survey.scan.config.len(),
        indexed: survey.scan.indexed,
        listed: inventory.map(|full| full.listed),
        open: earlier
            .saturating_add(1)
            .min(crate::model::state::CHALLENGES_MAX),
    })
}
