//! `prepare`: build one patch file for exactly the nodes, and the states, of the snapshots given.
//!
//! Read from top to bottom: whose snapshots, under which site, from which vendors, what fits
//! together, what changes, which contents travel, and then the file, which is read back and
//! verified as the host will before anybody gets it.

mod assemble;
mod carry;
mod hashed;
mod nodes;
mod packs;
mod sign;
mod vendors;
mod workshop;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Desk;
use super::store::{PreparedRecord, VendorSource};
use crate::model::patch::Accepted;
use crate::model::recipe::Hot;
use crate::model::text::{Escaped, bytes};
use crate::model::{Name, RecipePath, Refusal, RefusalName, Time, Watch};
use crate::plan::change::{Changes, components as component_changes, drift_after};
use crate::plan::lifting::{check_acceptable, check_downgrade_allowed};
use crate::plan::resolve::{Ask, Resolved, resolve};
use crate::plan::tree::Tree;
use crate::plan::{Component, resolve as resolving};
use nodes::Nodes;
use vendors::Vendors;

/// What `prepare` is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// Snapshot or receipt files, one per node.
    pub snapshots: Vec<PathBuf>,
    /// Or an environment, whose last snapshots the desk has.
    pub environment: Option<Name>,
    /// Recipes, with or without `to:`.
    pub to: Vec<String>,
    /// Components to take away.
    pub remove: Vec<Name>,
    /// Whether every content and recipe travels whole, so that an auditor needs nothing else.
    pub whole: bool,
    /// Sources, `[VENDOR=]FOLDER`; remembered.
    pub sources: Vec<String>,
    /// The site file; remembered.
    pub site: Option<PathBuf>,
    /// The preparer's key file; remembered.
    pub key: Option<PathBuf>,
    /// The patch file, or a folder for it.
    pub output: Option<PathBuf>,
    /// Refusals that the operator lifts.
    pub accepted: Vec<Accepted>,
}

/// What `prepare` made.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The patch file.
    pub file: PathBuf,
    /// The same without packs, for approvers.
    pub head: PathBuf,
    /// Bytes in the patch file.
    pub size: u64,
    /// SHA-256 of the patch file, for the ticket.
    pub sha256: String,
    /// SHA-256 of `patch.json`, the patch's identity.
    pub patch: String,
    /// For which environment.
    pub environment: String,
    /// For which nodes.
    pub nodes: Vec<String>,
    /// What changes.
    pub changes: Vec<String>,
    /// What is lowered or removed.
    pub downgrades: Vec<String>,
    /// How many contents travel, and how many the host has already.
    pub contents: Contents,
    /// The last day on which the host takes it.
    pub apply_before: String,
    /// How many people must approve it.
    pub approvals_needed: u64,
    /// Whether it can be applied hot, or why not.
    pub hot: String,
    /// What the publishers tell the administrator.
    pub notes: Vec<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// Where contents come from.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Contents {
    /// How many travel whole.
    pub whole: u64,
    /// How many are copied from files that are installed.
    pub copied: u64,
    /// Bytes of content that travel.
    pub bytes: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "prepared for environment {}, node {}",
            self.environment,
            self.nodes.join(", ")
        )?;
        for change in &self.changes {
            writeln!(f, "  change     {change}")?;
        }
        for downgrade in &self.downgrades {
            writeln!(f, "  downgrade  {downgrade}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note       {note}")?;
        }
        let whole = bytes(self.contents.bytes);
        writeln!(
            f,
            "  contents   {} travel ({whole}), {} are copied on the host",
            self.contents.whole, self.contents.copied
        )?;
        writeln!(f, "  hot        {}", self.hot)?;
        writeln!(f, "  apply      before {}", self.apply_before)?;
        writeln!(
            f,
            "  file       {} ({})",
            self.file.display(),
            bytes(self.size)
        )?;
        writeln!(f, "  sha256     {}", self.sha256)?;
        writeln!(f, "  head       {} (for approvers)", self.head.display())?;
        if self.approvals_needed > 0 {
            writeln!(
                f,
                "  approvals  {} needed: lockstep approve {} --key KEY",
                self.approvals_needed,
                self.head.display()
            )?;
        }
        write!(
            f,
            "  next       carry the file to the host and run: lockstep apply {}",
            self.file.display()
        )
    }
}

/// Prepares a patch.
pub fn run(
    desk: &Desk,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let mut settings = desk.settings()?;
    let nodes = Nodes::gather(desk, request, now)?;
    let site = sign::in_force(desk, request, &nodes)?;
    check_acceptable(&request.accepted, &site.policy)?;
    nodes.check_age(&site.policy, request, now)?;
    let signer = sign::Preparer::load(request, &settings, &site, watch)?;
    let vendors = Vendors::open(request, &settings, &site, &nodes, now)?;
    let installed = vendors.installed(desk, &nodes)?;
    let wanted = wanted(&vendors, request)?;
    let Resolved { target, downgrades } = resolve(
        &installed,
        Ask {
            wanted,
            remove: request.remove.clone(),
        },
    )?;
    if target == installed && !nodes.lack_site(&site) {
        return Err(nothing_to_do(&nodes, request));
    }
    let accepted = request
        .accepted
        .iter()
        .any(|a| a.name == RefusalName::Downgrade);
    check_downgrade_allowed(&downgrades, &site.policy, accepted)?;

    let (old, new) = (tree(&installed)?, tree(&target)?);
    let changes = Changes::between(&old, &new);
    let drift = nodes
        .drifts()
        .map(|drift| drift_after(drift, &changes, &new, site.policy.drift))
        .collect::<Result<Vec<_>, _>>()?;
    let folder = workshop::Workshop::open(request.output.as_deref(), &nodes)?;
    let at_hand = if request.whole {
        Tree::default()
    } else {
        old.clone()
    };
    let stream = packs::fill(&folder, &vendors, &nodes, &at_hand, &changes, watch)?;
    let contents = stream.contents;
    let made = assemble::Parts {
        nodes: &nodes,
        site: &site,
        vendors: &vendors,
        installed: &installed,
        target: &target,
        downgrades: &downgrades,
        drift: &drift,
        accepted: &request.accepted,
        whole: request.whole,
        stream,
        now,
    }
    .write(&folder, &signer, watch)?;

    sign::keep(desk, &site)?;
    settings.key = Some(absolute(signer.path()));
    settings
        .sources
        .retain(|known| !vendors.places().any(|(name, _)| name == known.vendor));
    let used = vendors
        .places()
        .map(|(vendor, place)| VendorSource {
            place: absolute(Path::new(&place)).display().to_string(),
            vendor,
        })
        .collect::<Vec<_>>();
    settings.sources.extend(used);
    settings.sources.sort_by(|a, b| a.vendor.cmp(&b.vendor));
    desk.store_settings(&settings)?;
    remember(desk, &nodes, request, &made, now)?;
    let mut warnings = nodes.warnings().to_vec();
    warnings.extend(vendors.warnings());
    warnings.extend(made.warnings);
    for line in &warnings {
        watch.warn(line);
    }
    Ok(Outcome {
        file: made.file,
        head: made.head,
        size: made.size,
        sha256: made.file_sha256.to_string(),
        patch: made.patch.to_string(),
        environment: nodes.environment().to_string(),
        nodes: nodes.names().map(ToString::to_string).collect(),
        changes: described_changes(&installed, &target),
        downgrades: downgrades.iter().map(ToString::to_string).collect(),
        contents,
        apply_before: made.apply_before.date(),
        approvals_needed: site.policy.approvals,
        hot: Escaped(&hot(&installed, &target)).to_string(),
        notes: notes(&installed, &target),
        warnings,
    })
}

/// As it can be found again from any folder; what cannot be resolved stays as it was typed.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn tree(components: &[Component]) -> Result<Tree, Refusal> {
    Tree::of(components).map_err(|faults| resolving::unsatisfiable(&faults))
}

/// The recipes asked for, with those that releases among them name.
fn wanted(vendors: &Vendors, request: &Request) -> Result<Vec<Component>, Refusal> {
    let mut wanted = Vec::new();
    for text in request.to.iter().flat_map(|list| list.split(',')) {
        let path: RecipePath =
            text.trim()
                .parse()
                .map_err(|e: crate::model::path::PathError| {
                    Refusal::new(RefusalName::Usage, e.to_string())
                        .next("lockstep prepare ... --to restapi/7.0/restapi-7.0.40.spr")
                })?;
        let component = vendors.component(&path)?;
        for pin in &component.recipe.release {
            wanted.push(vendors.pinned(&component, pin)?);
        }
        wanted.push(component);
    }
    Ok(wanted)
}

fn nothing_to_do(nodes: &Nodes, request: &Request) -> Refusal {
    Refusal::new(
        RefusalName::NothingToDo,
        "what is asked for is installed already",
    )
    .value("asked for", request.to.join(", "))
    .value("environment", nodes.environment())
    .next("lockstep components on the host lists what is installed")
}

fn remember(
    desk: &Desk,
    nodes: &Nodes,
    request: &Request,
    made: &assemble::Made,
    now: Time,
) -> Result<(), Refusal> {
    // Read again: another command may have learned something while packs were made.
    let forked = request
        .accepted
        .iter()
        .any(|a| a.name == RefusalName::Forked);
    let mut record = desk
        .environment(nodes.environment())?
        .unwrap_or_else(|| nodes.record().clone());
    for word in nodes.words() {
        record.take_in(word, forked)?;
    }
    record.prepared.push(PreparedRecord {
        apply_before: made.apply_before,
        created: now,
        file: made
            .file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        patch: made.patch,
        sequence: nodes.sequence(),
        to: request.to.clone(),
    });
    desk.store_environment(&record)
}

fn described_changes(installed: &[Component], target: &[Component]) -> Vec<String> {
    let plain = |components: &[Component]| -> Vec<_> {
        components.iter().map(|c| c.installed.clone()).collect()
    };
    component_changes(&plain(installed), &plain(target))
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn new_ones<'a>(
    installed: &'a [Component],
    target: &'a [Component],
) -> impl Iterator<Item = &'a Component> {
    target
        .iter()
        .filter(|new| !installed.iter().any(|old| old.installed == new.installed))
}

/// SPOT's notice, in other words: whether all that changes may change without a restart.
fn hot(installed: &[Component], target: &[Component]) -> String {
    let reason = new_ones(installed, target).find_map(|new| match &new.recipe.hot {
        Hot::Yes => None,
        Hot::No(reason) => Some(format!(
            "no: {} {}: {reason}",
            new.installed.name, new.installed.version
        )),
    });
    reason.unwrap_or_else(|| {
        "the publishers allow it (this release of lockstep always restarts)".to_owned()
    })
}

fn notes(installed: &[Component], target: &[Component]) -> Vec<String> {
    new_ones(installed, target)
        .filter_map(|new| new.recipe.notes.as_ref().map(|notes| (new, notes)))
        .flat_map(|(new, notes)| {
            crate::model::text::escaped_lines(notes)
                .into_iter()
                .map(move |line| format!("{}: {line}", new.installed.name))
        })
        .collect()
}
