//! `prepare --adopt`: find out what lies in an installation, and register it as it is.
//!
//! The recipes of the vendors are held one by one against what the full snapshot lists. What is
//! recognised is registered with its differences as drift; no file travels, and none is touched.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};

use serde::Serialize;

use super::bases::Sources;
use super::nodes::Nodes;
use super::plan::{Plan, tree};
use super::vendors::Vendors;
use super::{Request, wanted};
use crate::model::inventory::{Inventory, Line, TEXT_MAX};
use crate::model::snapshot::Installed;
use crate::model::text::{Escaped, bytes};
use crate::model::{Name, RecipePath, Refusal, RefusalName, TreePath, Watch};
use crate::plan::Component;
use crate::plan::change::{Changes, describe};
use crate::plan::recognise::{Fit, Outlook, Recognised, Recogniser, Recognition};
use crate::plan::resolve::{check, unsatisfiable};
use crate::plan::tree::Tree;

/// Longest line of an inventory, in bytes: a path and two digests stay below.
const LINE_MAX: u64 = 8_192;
/// Most differences of a component, and folders that nobody owns, that are shown.
const SHOWN: usize = 10;

/// What is registered, and what is not.
#[derive(Debug, Serialize)]
pub struct Adoption {
    /// One entry per component, rising by name; releases last.
    pub components: Vec<Adopted>,
    /// What fits, but wants paths of something that fits better.
    pub left_out: Vec<String>,
    /// What fits at less than half, though something stands at its paths; not registered.
    pub traces: Vec<String>,
    /// Files that the host keeps private and that are taken to be as their recipe has them.
    pub untold: usize,
    /// Files and links that no component owns.
    pub unowned: usize,
    /// Bytes in them.
    pub unowned_bytes: u64,
    /// Where they lie: the topmost folder, or the file itself, and how many.
    pub unowned_at: Vec<(String, usize)>,
}

/// A component that is registered.
#[derive(Debug, Serialize)]
pub struct Adopted {
    /// Name and version.
    pub component: String,
    /// Files that are as its recipe has them.
    pub same: usize,
    /// The paths that are not, with what stands there.
    pub differs: Vec<String>,
}

impl std::fmt::Display for Adoption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for adopted in &self.components {
            writeln!(f, "  adopts     {adopted}")?;
            for line in adopted.differs.iter().take(SHOWN) {
                writeln!(f, "  differs    {line}")?;
            }
            if adopted.differs.len() > SHOWN {
                let more = adopted.differs.len().saturating_sub(SHOWN);
                writeln!(f, "  differs    and {more} more (--json lists all)")?;
            }
        }
        for line in &self.left_out {
            writeln!(f, "  left out   {line}")?;
        }
        for line in &self.traces {
            writeln!(f, "  not known  {line}")?;
        }
        if self.untold > 0 {
            writeln!(
                f,
                "  private    {} file(s) are taken to be as their recipe has them; the host checks",
                self.untold
            )?;
        }
        let places: Vec<String> = self
            .unowned_at
            .iter()
            .take(SHOWN)
            .map(|(place, count)| format!("{} ({count})", Escaped(place)))
            .collect();
        let size = bytes(self.unowned_bytes);
        match (self.unowned, self.unowned_at.len().saturating_sub(SHOWN)) {
            (0, _) => writeln!(f, "  nobody's   nothing: every file has an owner"),
            (count, 0) => writeln!(
                f,
                "  nobody's   {count} file(s), {size}: {}",
                places.join(", ")
            ),
            (count, more) => writeln!(
                f,
                "  nobody's   {count} file(s), {size}: {}, and {more} more place(s)",
                places.join(", ")
            ),
        }
    }
}

impl std::fmt::Display for Adopted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.same, self.differs.len()) {
            (0, 0) => write!(f, "{}: all that it names is there", self.component),
            (same, 0) => write!(f, "{}: exactly, {same} file(s)", self.component),
            (same, other) => write!(
                f,
                "{}: the nearest; {other} of {} file(s) differ, and are registered as drift",
                self.component,
                same.saturating_add(other)
            ),
        }
    }
}

/// Recognises what lies on the nodes, and plans to register it.
pub(super) fn plan(
    nodes: &Nodes,
    vendors: &Vendors,
    installed: &[Component],
    request: &Request,
    watch: &dyn Watch,
) -> Result<Plan, Refusal> {
    let inventories = nodes
        .words()
        .iter()
        .map(|word| inventory(&word.snapshot.get().node.name, word.inventory.as_deref()))
        .collect::<Result<Vec<_>, _>>()?;
    // The nodes hold the same components; what lies on the first is held against the others below.
    let Some(first) = inventories.first() else {
        return Err(Refusal::new(RefusalName::Usage, "no snapshot was named"));
    };
    let recognition = recognise(vendors, installed, request, first, watch)?;
    for (name, inventory) in nodes.names().zip(&inventories).skip(1) {
        check_alike(name, inventory, &recognition)?;
    }
    let mut target: Vec<Component> = installed.to_vec();
    for new in &recognition.found {
        vendors.chosen(&new.component.installed)?;
        target.push(new.component.clone());
    }
    target.sort_by(|a, b| a.installed.name.cmp(&b.installed.name));
    let faults = check(installed, &target);
    if !faults.is_empty() {
        return Err(unsatisfiable(&faults)
            .next("name what lies there: lockstep prepare ... --adopt --to RECIPE,RECIPE"));
    }
    let tree = tree(&target)?;
    let outlooks: Vec<Outlook> = inventories
        .iter()
        .map(|inventory| Outlook::of(&tree, inventory))
        .collect();
    for outlook in &outlooks {
        check_told(outlook)?;
    }
    let adoption = outlooks
        .first()
        .map(|outlook| report(recognition, outlook, &tree));
    Ok(Plan {
        target,
        downgrades: Vec::new(),
        changes: Changes::default(),
        drift: outlooks.into_iter().map(|outlook| outlook.drift).collect(),
        sources: Sources::none("it is there already"),
        adoption,
    })
}

/// What lies on the first node must lie on every other, too.
fn check_alike(
    node: &Name,
    inventory: &Inventory,
    recognition: &Recognition,
) -> Result<(), Refusal> {
    for found in &recognition.found {
        let fit = Fit::of(&found.component.recipe, inventory);
        if !found.component.recipe.is_release() && fit != found.fit {
            let installed = &found.component.installed;
            let said = |fit: &Fit| format!("{} file(s) fit, {} do not", fit.same, fit.other);
            return Err(Refusal::new(
                RefusalName::MixedCluster,
                "the nodes do not hold the same of what would be registered",
            )
            .value(
                "component",
                format!("{} {}", installed.name, installed.version),
            )
            .value("on the first node", said(&found.fit))
            .value("node", node)
            .value("there", said(&fit))
            .next("prepare --adopt for one node at a time"));
        }
    }
    Ok(())
}

fn recognise(
    vendors: &Vendors,
    installed: &[Component],
    request: &Request,
    inventory: &Inventory,
    watch: &dyn Watch,
) -> Result<Recognition, Refusal> {
    let mut recogniser = Recogniser::default();
    let named = wanted(vendors, installed, request)?;
    if named.is_empty() {
        let mut seen = 0_u64;
        vendors.each(&mut |component| {
            seen = seen.saturating_add(1);
            watch.count("recipes", seen, seen);
            recogniser.consider(component, inventory, false);
        })?;
    }
    // What a release brings along must fit; what is named by itself need not.
    let by_itself = |component: &Component| {
        let asked = request.to.iter().flat_map(|list| list.split(','));
        asked
            .filter_map(|text| text.trim().parse::<RecipePath>().ok())
            .any(|path| path == component.installed.path)
    };
    for component in &named {
        recogniser.consider(component.clone(), inventory, by_itself(component));
    }
    let recognition = recogniser.finish(installed);
    for asked in &named {
        let found = |r: &Recognised| r.component.installed == asked.installed;
        let known = installed.iter().any(|c| c.installed == asked.installed);
        if !known && !recognition.found.iter().any(found) {
            return Err(not_there(asked, inventory, &recognition));
        }
    }
    if recognition.found.is_empty() {
        return Err(nothing_found(installed, inventory));
    }
    Ok(recognition)
}

fn not_there(asked: &Component, inventory: &Inventory, recognition: &Recognition) -> Refusal {
    let fit = Fit::of(&asked.recipe, inventory);
    let mut refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        "what was asked for does not lie there",
    )
    .value("asked for", format!("to:{}", asked.installed.path))
    .value(
        "of its files",
        format!(
            "{} are as its recipe has them, {} are not",
            fit.same, fit.other
        ),
    );
    for line in &recognition.left_out {
        refusal = refusal.value("because", line);
    }
    refusal.next("leave --to away, and see what is recognised")
}

fn nothing_found(installed: &[Component], inventory: &Inventory) -> Refusal {
    let name = if installed.is_empty() {
        RefusalName::Unsatisfiable
    } else {
        RefusalName::NothingToDo
    };
    Refusal::new(
        name,
        "nothing lies there that is not registered and that a vendor has a recipe of",
    )
    .value("listed", format!("{} file(s)", inventory.lines().len()))
    .value("registered", format!("{} component(s)", installed.len()))
    .next("name the vendor's repository that it came from: --source FOLDER")
}

/// A file that only the host can tell about, and that is not as its recipe has it, cannot be foretold.
fn check_told(outlook: &Outlook) -> Result<(), Refusal> {
    if outlook.sealed.is_empty() {
        return Ok(());
    }
    let mut refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        "files that the host keeps private are no config files, and are not as their recipe has them",
    );
    for path in outlook.sealed.iter().take(SHOWN) {
        refusal = refusal.value("private", path);
    }
    Err(refusal
        .value("in all", format!("{} file(s)", outlook.sealed.len()))
        .next("on the host, take them out of private in .lockstep/node.toml, and lockstep snapshot --full"))
}

fn report(recognition: Recognition, outlook: &Outlook, tree: &Tree) -> Adoption {
    let mut differs: BTreeMap<&Name, Vec<String>> = BTreeMap::new();
    for drift in &outlook.drift {
        if let Some(owned) = tree.paths.get(&drift.path) {
            let line = format!("{}: {}", drift.path, describe(&drift.found));
            differs.entry(&owned.owner).or_default().push(line);
        }
    }
    let components = recognition.found.iter().map(|found| {
        let installed = &found.component.installed;
        Adopted {
            component: format!("{} {}", installed.name, installed.version),
            same: found.fit.same,
            differs: differs.remove(&installed.name).unwrap_or_default(),
        }
    });
    Adoption {
        components: components.collect(),
        traces: recognition.traces.iter().map(trace).collect(),
        left_out: recognition.left_out,
        untold: outlook.untold.len(),
        unowned: outlook.unowned.len(),
        unowned_bytes: outlook
            .unowned
            .iter()
            .fold(0, |sum, (_, size)| sum.saturating_add(*size)),
        unowned_at: places(&outlook.unowned),
    }
}

fn trace((installed, fit): &(Installed, Fit)) -> String {
    format!(
        "{} {} perhaps, but only {} of {} file(s) fit; --to {} registers it as it is",
        installed.name,
        installed.version,
        fit.same,
        fit.same.saturating_add(fit.other),
        installed.path
    )
}

/// The topmost folders, or files, with how many lie in each; the fullest first.
fn places(unowned: &[(TreePath, u64)]) -> Vec<(String, usize)> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (path, _) in unowned {
        let place = match path.as_str().split_once('/') {
            Some((top, _)) => format!("{top}/"),
            None => path.as_str().to_owned(),
        };
        let count = places.entry(place).or_default();
        *count = count.saturating_add(1);
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    places
}

/// Reads the inventory of a node's full snapshot, line by line.
fn inventory(node: &Name, compressed: Option<&[u8]>) -> Result<Inventory, Refusal> {
    let Some(compressed) = compressed else {
        return Err(Refusal::new(
            RefusalName::Usage,
            "the snapshot is a thin one: it does not list what lies on the host",
        )
        .value("node", node)
        .next("on the host: lockstep snapshot --full; then prepare --adopt with that snapshot"));
    };
    let corrupt = |what: String| {
        Refusal::new(
            RefusalName::Corrupt,
            format!("the inventory of node {node} cannot be read: {what}"),
        )
        .next("take the full snapshot again: lockstep snapshot --full on the host")
    };
    let decoder =
        zstd::stream::read::Decoder::new(compressed).map_err(|e| corrupt(e.to_string()))?;
    let mut text = BufReader::new(decoder.take(TEXT_MAX));
    let mut inventory = Inventory::default();
    let mut line = String::new();
    loop {
        line.clear();
        let read = (&mut text)
            .take(LINE_MAX)
            .read_line(&mut line)
            .map_err(|e| corrupt(e.to_string()))?;
        if read == 0 {
            return Ok(inventory);
        }
        let whole = line
            .strip_suffix('\n')
            .ok_or_else(|| corrupt("a line has no end".to_owned()))?;
        Line::parse(whole)
            .and_then(|line| inventory.push(line))
            .map_err(|e| corrupt(e.to_string()))?;
    }
}
