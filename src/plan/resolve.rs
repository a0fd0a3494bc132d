//! From what was asked for to the set of components afterwards, or the reasons why not.
//!
//! Exact recipes are asked for: components, hotfixes, add-ons or releases. A release brings the
//! component versions it names and drops those that the release before it named and it does not.
//! What a recipe replaces goes. Then everything must fit: [`check`].

use std::collections::BTreeMap;

use super::Component;
use super::tree::Tree;
use crate::model::patch::Downgrade;
use crate::model::snapshot::Installed;
use crate::model::{Name, Refusal, RefusalName, Version};

/// Most reasons that a refusal lists: two recipes may clash at every path that they have.
const FAULTS_SHOWN: usize = 20;

/// What was asked for.
#[derive(Debug, Default)]
pub struct Ask {
    /// The recipes named, and those that named releases bring.
    pub wanted: Vec<Component>,
    /// Components to take away.
    pub remove: Vec<Name>,
}

/// The set of components afterwards, each with the ones it came from.
#[derive(Debug)]
pub struct Resolved {
    /// All that is installed afterwards, rising by name.
    pub target: Vec<Component>,
    /// Versions lowered and components removed, replaced hotfixes left out.
    pub downgrades: Vec<Downgrade>,
}

/// Finds the target set and checks that it fits.
pub fn resolve(installed: &[Component], ask: Ask) -> Result<Resolved, Refusal> {
    let mut target: BTreeMap<Name, Component> = installed
        .iter()
        .map(|c| (c.installed.name.clone(), c.clone()))
        .collect();
    for component in dropped_by_releases(installed, &ask.wanted) {
        target.remove(&component);
    }
    let mut faults = Vec::new();
    for name in &ask.remove {
        if target.remove(name).is_none() {
            faults.push(format!("{name} is not installed, so it cannot be removed"));
        }
    }
    let wanted: BTreeMap<Name, Version> = ask
        .wanted
        .iter()
        .map(|c| (c.installed.name.clone(), c.installed.version.clone()))
        .collect();
    for component in ask.wanted {
        let new = &component.installed;
        if wanted.get(&new.name) != Some(&new.version) {
            faults.push(format!("{} is asked for in two versions", new.name));
        }
        target.insert(new.name.clone(), component);
    }
    take_replaced(&mut target, &wanted, &mut faults);
    let target: Vec<Component> = target.into_values().collect();
    faults.extend(check(installed, &target));
    if !faults.is_empty() {
        return Err(unsatisfiable(&faults));
    }
    let downgrades = downgrades(installed, &target);
    Ok(Resolved { target, downgrades })
}

/// Components that an installed release named, and the newer release of that name does not.
fn dropped_by_releases(installed: &[Component], wanted: &[Component]) -> Vec<Name> {
    let mut dropped = Vec::new();
    for new in wanted.iter().filter(|c| c.recipe.is_release()) {
        let before = installed
            .iter()
            .filter(|old| old.installed.name == new.installed.name);
        for pin in before.flat_map(|old| &old.recipe.release) {
            if !new
                .recipe
                .release
                .iter()
                .any(|kept| kept.component == pin.component)
            {
                dropped.push(pin.component.clone());
            }
        }
    }
    dropped
}

/// Takes away what the target's recipes replace; asking for both is a fault.
fn take_replaced(
    target: &mut BTreeMap<Name, Component>,
    wanted: &BTreeMap<Name, Version>,
    faults: &mut Vec<String>,
) {
    let all: Vec<Component> = target.values().cloned().collect();
    for component in &all {
        for gone in all
            .iter()
            .filter(|gone| replaces(component, &gone.installed))
        {
            if wanted.contains_key(&gone.installed.name) {
                faults.push(format!(
                    "{} {} replaces {}, and both are asked for",
                    component.installed.name, component.installed.version, gone.installed.name
                ));
            }
            target.remove(&gone.installed.name);
        }
    }
}

/// Whether installing `new` removes `old`. A publisher replaces what is its own alone: recipes of its
/// own family, and hotfixes for it. What else is to go is a removal that somebody must state.
fn replaces(new: &Component, old: &Installed) -> bool {
    let family = new.installed.path.family();
    let own = old.path.family() == family || old.path.hotfix_of() == Some(family);
    own && new.installed.vendor == old.vendor
        && new.installed.name != old.name
        && new
            .recipe
            .replaces
            .iter()
            .any(|gone| gone.component == old.name && gone.range.contains(&old.version))
}

/// Where a component that stays would come from another publisher than before.
fn strangers(before: &[Component], after: &[Component]) -> Vec<String> {
    let mut faults = Vec::new();
    for new in after.iter().map(|c| &c.installed) {
        let old = before
            .iter()
            .map(|c| &c.installed)
            .find(|old| old.name == new.name);
        if let Some(old) = old
            && (old.vendor != new.vendor || old.path.family() != new.path.family())
        {
            faults.push(format!(
                "{} is installed from {} of {}, and would come from {} of {}",
                new.name, old.path, old.vendor, new.path, new.vendor
            ));
        }
    }
    faults
}

/// Everything that does not fit in a set of components, or not with the one before it, one sentence
/// each. The desk asks, and the host asks again.
#[must_use]
pub fn check(before: &[Component], target: &[Component]) -> Vec<String> {
    let mut faults = strangers(before, target);
    let version = |name: &Name| {
        target
            .iter()
            .find(|c| &c.installed.name == name)
            .map(|c| &c.installed.version)
    };
    for component in target {
        let who = format!(
            "{} {}",
            component.installed.name, component.installed.version
        );
        for need in &component.recipe.requires {
            match version(&need.component) {
                Some(found) if need.range.contains(found) => {}
                Some(found) => faults.push(format!(
                    "{who} requires {} {}; it would be {found}",
                    need.component, need.range
                )),
                None => faults.push(format!(
                    "{who} requires {} {}; it would not be installed",
                    need.component, need.range
                )),
            }
        }
        for need in &component.recipe.joint {
            if let Some(found) =
                version(&need.component).filter(|found| !need.range.contains(found))
            {
                faults.push(format!(
                    "{who} goes together with {} {}; it would be {found}: ask for both in one patch",
                    need.component, need.range
                ));
            }
        }
        for pin in &component.recipe.takes {
            let taken = target.iter().find(|c| c.installed.name == pin.component);
            let found = taken.map_or("not installed".to_owned(), |c| {
                c.installed.version.to_string()
            });
            if version(&pin.component) != Some(&pin.version) {
                faults.push(format!(
                    "{who} is made for {} {}; it would be {found}: take {} away with --remove, or ask \
                     for a recipe that replaces it",
                    pin.component, pin.version, component.installed.name
                ));
            }
        }
    }
    faults.extend(unfulfilled(before, target));
    if let Err(owners) = Tree::of(target) {
        faults.extend(owners);
    }
    faults
}

/// What a release that was not there before names, and the target has not in that version: whoever
/// reads that the release is installed believes that its components are.
fn unfulfilled(before: &[Component], target: &[Component]) -> Vec<String> {
    let mut faults = Vec::new();
    let new = target.iter().filter(|c| {
        c.recipe.is_release() && !before.iter().any(|old| old.installed == c.installed)
    });
    for release in new {
        for pin in &release.recipe.release {
            let found = target.iter().find(|c| c.installed.name == pin.component);
            let found = found.map(|c| &c.installed.version);
            if found != Some(&pin.version) {
                faults.push(format!(
                    "{} {} names {} {}; it would be {}",
                    release.installed.name,
                    release.installed.version,
                    pin.component,
                    pin.version,
                    found.map_or("not installed".to_owned(), ToString::to_string)
                ));
            }
        }
    }
    faults
}

/// Versions lowered and components removed between two sets, rising by name. What the target's own
/// recipes replace is not removed against anybody's will.
#[must_use]
pub fn downgrades(before: &[Component], after: &[Component]) -> Vec<Downgrade> {
    let mut found = Vec::new();
    for old in before.iter().map(|c| &c.installed) {
        let to = after.iter().find(|new| new.installed.name == old.name);
        let to = to.map(|new| new.installed.version.clone());
        let lowered = match &to {
            Some(to) => to < &old.version,
            None => !after.iter().any(|new| replaces(new, old)),
        };
        if lowered {
            let (component, from) = (old.name.clone(), old.version.clone());
            found.push(Downgrade {
                component,
                from,
                to,
            });
        }
    }
    found.sort_by(|a, b| a.component.cmp(&b.component));
    found
}

/// The refusal that lists what does not fit.
#[must_use]
pub fn unsatisfiable(faults: &[String]) -> Refusal {
    let mut refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        "the components asked for do not fit",
    );
    for fault in faults.iter().take(FAULTS_SHOWN) {
        refusal = refusal.value("because", fault);
    }
    let more = faults.len().saturating_sub(FAULTS_SHOWN);
    if more > 0 {
        refusal = refusal.value("and", format!("{more} more"));
    }
    refusal.next("lockstep prepare ... --to RECIPE,RECIPE with recipes that fit together")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_recipes_that_clash_everywhere_fill_no_screen() {
        let faults: Vec<String> = (0..250_000).map(|n| format!("{n} clashes")).collect();
        let refusal = unsatisfiable(&faults);
        assert_eq!(refusal.values.len(), FAULTS_SHOWN + 1);
        let last = refusal.values.last().unwrap();
        assert_eq!(last, &("and".to_owned(), "249980 more".to_owned()));
        let few = unsatisfiable(&faults[..FAULTS_SHOWN]);
        assert_eq!(few.values.len(), FAULTS_SHOWN);
    }
}
