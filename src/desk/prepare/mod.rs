//! `prepare`: build one patch file for exactly the nodes, and the states, of the snapshots given.
//!
//! Read from top to bottom: whose snapshots, under which site, from which vendors, what fits
//! together, what changes, which contents travel, and then the file, which is read back and
//! verified as the host will before anybody gets it.

mod adopt;
mod assemble;
mod bases;
mod carry;
mod deltas;
mod explain;
mod hashed;
mod kept;
pub mod many;
mod nodes;
mod outcome;
mod own;
mod packs;
mod places;
mod plan;
mod sign;
mod vendors;
mod volumes;
mod workshop;

use std::path::{Path, PathBuf};

use super::Desk;
use super::statements::check_key;
use super::store::{PreparedRecord, VendorSource};
use crate::delta::Effort;
use crate::model::patch::Accepted;
use crate::model::recipe::Hot;
use crate::model::snapshot::Installed;
use crate::model::text::Escaped;
use crate::model::{Name, RecipePath, Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::Component;
use crate::plan::change::components as component_changes;
use crate::plan::lifting::check_acceptable;
use crate::trust::TrustedSite;
use assemble::NotOut;
pub use explain::Explained;
use nodes::Nodes;
pub use outcome::{Contents, MadeFile, Outcome};
use plan::Plan;
use vendors::Vendors;

/// What `prepare` is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Snapshot or receipt files, one per node.
    pub snapshots: Vec<PathBuf>,
    /// Or an environment, whose last snapshots the desk has.
    pub environment: Option<Name>,
    /// Recipes, with or without `to:`.
    pub to: Vec<String>,
    /// Components to take away.
    pub remove: Vec<Name>,
    /// Whether what lies there already is registered, and nothing is changed.
    pub adopt: bool,
    /// Whether every content and recipe travels whole, so that an auditor needs nothing else.
    pub whole: bool,
    /// How hard is tried to make it small.
    pub effort: Effort,
    /// Whether to say how each content travels.
    pub explain: bool,
    /// Sources, `[VENDOR=]FOLDER`; remembered.
    pub sources: Vec<String>,
    /// The site file; remembered.
    pub site: Option<PathBuf>,
    /// The fingerprint of the key of the site's owner, which that file must have.
    pub fingerprint: Option<String>,
    /// The preparer's key file; remembered.
    pub key: Option<PathBuf>,
    /// The patch file, or a folder for it.
    pub output: Option<PathBuf>,
    /// Bytes that a file may have, at most: the patch then goes into as many volumes as it takes.
    pub volume_size: Option<u64>,
    /// Refusals that the operator lifts.
    pub accepted: Vec<Accepted>,
}

impl Request {
    /// Why the operator accepts a fork, where that is so.
    fn accepted_fork(&self) -> Option<&str> {
        let mut accepted = self.accepted.iter();
        let forked = accepted.find(|accepted| accepted.name == RefusalName::Forked)?;
        Some(&forked.reason)
    }
}

/// Prepares a patch.
pub fn run(
    desk: &Desk,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let settings = desk.settings()?;
    let nodes = Nodes::gather(desk, request, now)?;
    let site = sign::in_force(desk, request, &nodes, watch)?;
    check_acceptable(&request.accepted, &site.policy)?;
    nodes.check_age(&site.policy, request, now)?;
    let signer = sign::Preparer::load(request, &settings, &site, watch)?;
    let vendors = Vendors::open(desk, request, &settings, &site, &nodes, now)?;
    let installed = vendors.installed(&nodes)?;
    let Plan {
        target,
        downgrades,
        changes,
        drift,
        sources,
        adoption,
    } = if request.adopt {
        adopt::plan(&nodes, &vendors, &installed, request, watch)?
    } else {
        plan::change(&nodes, &site, &vendors, &installed, request)?
    };
    let folder = workshop::Workshop::open(request.output.as_deref(), &desk.cache, &nodes)?;
    let (hot, notes) = (hot(&installed, &target), notes(&installed, &target));
    // Recipes may be large: what is needed of them from here on is read from the cache, one by one.
    let (installed, target) = (plain(installed), plain(target));
    let means = packs::Means {
        shop: &folder,
        cache: &desk.cache,
        effort: request.effort,
        volume_size: request.volume_size,
        watch,
    };
    let mut stream = packs::fill(&means, &vendors, &sources, &changes)?;
    drop((changes, sources));
    let contents = stream.contents;
    let explained = std::mem::take(&mut stream.explained);
    let drafted = assemble::Parts {
        nodes: &nodes,
        site: &site,
        vendors: &vendors,
        installed: &installed,
        target: &target,
        downgrades: &downgrades,
        drift: &drift,
        accepted: &request.accepted,
        adopts: adoption.is_some(),
        whole: request.whole,
        stream,
        volume_size: request.volume_size,
        now,
    }
    .write(&folder, &signer, watch)?;

    // Read again under the lock: another command may have learned something while packs were made.
    let _lock = desk.lock("prepare", now)?;
    keep(desk, &site, &signer, &vendors)?;
    // The record first: a crash between leaves a patch on the list that nobody got, and that is
    // prepared again. The other way round a signed patch would be out of which the desk knows nothing.
    remember(desk, &nodes, request, &drafted.made, now)?;
    let patch = drafted.made.patch;
    let made = match drafted.commit() {
        Ok(made) => made,
        Err(NotOut { why, nothing_left }) => {
            // What is still there was prepared, whatever else is wrong with it.
            if nothing_left && let Err(refusal) = forget(desk, &nodes, patch) {
                watch.warn(&format!(
                    "patch {} stays on the list of what was prepared, though it is not there: {}",
                    patch.short(),
                    refusal.what
                ));
            }
            return Err(why);
        }
    };
    let mut warnings = nodes.warnings().to_vec();
    warnings.extend(vendors.warnings());
    let file = made.file().to_owned();
    warnings.extend(made.warnings);
    for line in &warnings {
        watch.warn(line);
    }
    Ok(Outcome {
        file,
        files: made.files,
        head: made.head,
        patch: made.patch.to_string(),
        environment: nodes.environment().to_string(),
        nodes: nodes.names().map(ToString::to_string).collect(),
        changes: component_changes(&installed, &target)
            .iter()
            .map(ToString::to_string)
            .collect(),
        adoption,
        downgrades: downgrades.iter().map(ToString::to_string).collect(),
        contents,
        explained: request.explain.then(|| most_first(explained)),
        apply_before: made.apply_before.date(),
        approvals_needed: site.policy.approvals,
        hot: Escaped(&hot).to_string(),
        notes,
        warnings,
    })
}

/// Remembers site, key and sources, so that the next line that is typed is shorter.
fn keep(
    desk: &Desk,
    site: &TrustedSite,
    signer: &sign::Preparer,
    vendors: &Vendors<'_>,
) -> Result<(), Refusal> {
    let mut settings = desk.settings()?;
    sign::keep(desk, site)?;
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
    desk.store_settings(&settings)
}

/// What travels most stands first.
fn most_first(mut explained: Vec<Explained>) -> Vec<Explained> {
    explained.sort_by(|a, b| (b.travels, &a.path).cmp(&(a.travels, &b.path)));
    explained
}

/// As it can be found again from any folder; what cannot be resolved stays as it was typed.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The recipes asked for, with those that releases among them name.
fn wanted(
    vendors: &Vendors<'_>,
    installed: &[Component],
    request: &Request,
) -> Result<Vec<Component>, Refusal> {
    let mut wanted = Vec::new();
    for text in request.to.iter().flat_map(|list| list.split(',')) {
        let path: RecipePath =
            text.trim()
                .parse()
                .map_err(|e: crate::model::path::PathError| {
                    Refusal::new(RefusalName::Usage, e.to_string())
                        .next("lockstep prepare ... --to restapi/7.0/restapi-7.0.40.spr")
                })?;
        let mut component = vendors.component(&path)?;
        component.share(installed);
        for pin in &component.recipe.release {
            let mut pinned = vendors.pinned(&component, pin)?;
            pinned.share(installed);
            wanted.push(pinned);
        }
        wanted.push(component);
    }
    Ok(wanted)
}

fn remember(
    desk: &Desk,
    nodes: &Nodes,
    request: &Request,
    made: &assemble::Made,
    now: Time,
) -> Result<(), Refusal> {
    let mut record = desk
        .environment(nodes.environment())?
        .unwrap_or_else(|| nodes.record().clone());
    for word in nodes.words() {
        let node = &word.snapshot.get().node;
        if let Some(known) = record.node(&node.name) {
            check_key(known, node, made.file())?;
        }
        record.take_in(word, request.accepted_fork(), now)?;
    }
    record.prepared.push(PreparedRecord {
        apply_before: made.apply_before,
        created: now,
        file: made
            .file()
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

/// A patch that did not get its name after all was not prepared.
fn forget(desk: &Desk, nodes: &Nodes, patch: Sha256) -> Result<(), Refusal> {
    if let Some(mut record) = desk.environment(nodes.environment())? {
        record.prepared.retain(|prepared| prepared.patch != patch);
        desk.store_environment(&record)?;
    }
    Ok(())
}

/// Components without their recipes.
fn plain(components: Vec<Component>) -> Vec<Installed> {
    components.into_iter().map(|c| c.installed).collect()
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
