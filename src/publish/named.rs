//! The recipes that a release names: found as every desk will find them, and refused where that is
//! not what was meant.
//!
//! A release holds names and versions alone. What [`meant`] finds for them is what customers get, so
//! a recipe that was named by its path must be that one; and a component that only others publish
//! has to be named so: whoever publishes the release then knows whose it is.

use super::KeyFolder;
use super::words::Named;
use crate::model::recipe::Pin;
use crate::model::{RecipePath, Refusal, RefusalName};
use crate::plan::pins::{Nearness, meant};
use crate::release::{Repository, State};

/// Most recipes that are listed where one was not found.
const LISTED_MAX: usize = 40;

/// The recipe of a component that the release at `release` names.
pub(super) fn find(
    repository: &Repository,
    keys: &KeyFolder,
    release: &RecipePath,
    named: &Named,
) -> Result<RecipePath, Refusal> {
    let state = repository.state();
    let listed = state.recipes().map(|(path, _)| path);
    let own = |path: &RecipePath| is_own(state, path);
    let found = meant(release, &named.pin, listed, own);
    if let Some(path) = &named.recipe {
        return match found.as_slice() {
            [one] if *one == path => Ok(path.clone()),
            _ if state.recipe(path).is_none() => Err(absent(repository, &named.pin)),
            others => Err(another(path, others)),
        };
    }
    match found.as_slice() {
        [] => Err(absent(repository, &named.pin)),
        [one] if is_anothers(state, keys, release, one) => Err(unasked(state, one, &named.pin)),
        [one] => Ok((*one).clone()),
        several => Err(ambiguous(several, &named.pin)),
    }
}

/// Whether the keys of the targets sign for a recipe.
fn is_own(state: &State, path: &RecipePath) -> bool {
    let signers = |role: &str| state.signers(role).map(|(keys, _)| keys);
    let role = state.role_for(path).ok();
    let role = role.as_deref().and_then(signers);
    role.zip(signers("targets"))
        .is_some_and(|(role, targets)| role.alike(targets))
}

/// Whether a recipe is of a publisher whose keys are not at hand, and no part of the release's own.
fn is_anothers(state: &State, keys: &KeyFolder, release: &RecipePath, path: &RecipePath) -> bool {
    let own = is_own(state, path);
    let at_hand = state.role_for(path).is_ok_and(|role| keys.has(&role));
    Nearness::of(release, path, own) != Nearness::Customer && !own && !at_hand
}

fn unasked(state: &State, path: &RecipePath, pin: &Pin) -> Refusal {
    let Pin { component, version } = pin;
    Refusal::new(
        RefusalName::Unsatisfiable,
        format!("only another publisher has {component} {version}"),
    )
    .value("recipe", path)
    .value("its role", state.role_for(path).unwrap_or_default())
    .next(format!(
        "if that one is meant, name it by its recipe: --component {path}"
    ))
}

fn another(path: &RecipePath, found: &[&RecipePath]) -> Refusal {
    let refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        "a release names a component by name and version alone, and these would not lead to the recipe",
    )
    .value("you named", path)
    .next("publish one of them under another name or version; a customer's is found by releases of that customer: --recipe customer/NAME/...");
    found.iter().fold(refusal, |refusal, path| {
        refusal.value("would be found", path)
    })
}

fn ambiguous(several: &[&RecipePath], pin: &Pin) -> Refusal {
    let Pin { component, version } = pin;
    let refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        format!("more than one recipe is {component} {version}, and a release names one"),
    )
    .next("publish one of them under another name or version; a customer's is found by releases of that customer: --recipe customer/NAME/...");
    several
        .iter()
        .fold(refusal, |refusal, path| refusal.value("recipe", path))
}

/// Says what there is instead: other versions, or else every component.
pub(super) fn absent(repository: &Repository, pin: &Pin) -> Refusal {
    let all = || repository.state().recipes().map(|(path, _)| path);
    let versions: Vec<&RecipePath> = all().filter(|path| path.name() == &pin.component).collect();
    let listed = if versions.is_empty() {
        all().collect()
    } else {
        versions
    };
    let refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        format!("the repository has no {} {}", pin.component, pin.version),
    )
    .next("publish the component first (lockstep publish component), or name one of these");
    listed
        .iter()
        .take(LISTED_MAX)
        .fold(refusal, |refusal, path| refusal.value("there is", path))
}
