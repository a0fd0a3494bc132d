//! Whether a recipe keeps within what its role may own: better refused here than on every host.

use crate::model::recipe::Recipe;
use crate::model::{RecipePath, Refusal, RefusalName};
use crate::release::Repository;
use crate::trust::vendor::{may_own, may_replace};

/// Checks a recipe that is about to be published at `path`.
pub(super) fn check(
    repository: &Repository,
    path: &RecipePath,
    recipe: &Recipe,
) -> Result<(), Refusal> {
    let state = repository.state();
    let role = state.role_for(path)?;
    let granted = state
        .delegation(&role)
        .and_then(|delegation| delegation.install_paths.as_deref());
    let Some(granted) = granted else {
        return Ok(());
    };
    within(&role, granted, recipe)?;
    let listed = state.delegated.get(&role);
    let listed = listed
        .iter()
        .flat_map(|file| file.signed.body.targets.keys());
    replaces_own(&role, recipe, &listed)
}

/// Refuses a recipe that owns a path outside of `granted`.
pub(super) fn within(role: &str, granted: &[String], recipe: &Recipe) -> Result<(), Refusal> {
    let outside = recipe
        .files
        .iter()
        .find(|entry| !may_own(granted, &entry.path));
    match outside {
        None => Ok(()),
        Some(entry) => Err(Refusal::new(
            RefusalName::Conflict,
            "the recipe owns a path that its role may not install to",
        )
        .value("path", &entry.path)
        .value("role", role)
        .value("it may own", granted.join(", "))
        .next("take the path out, or have the repository's owner grant it: publish delegate --role NAME --install-path DIR")),
    }
}

/// Refuses a delegate's recipe that removes components of others.
pub(super) fn replaces_own<'a>(
    role: &str,
    recipe: &Recipe,
    listed: &(impl Iterator<Item = &'a RecipePath> + Clone),
) -> Result<(), Refusal> {
    let foreign = recipe
        .replaces
        .iter()
        .find(|gone| !may_replace(recipe, &gone.component, listed.clone()));
    match foreign {
        None => Ok(()),
        Some(gone) => Err(Refusal::new(
            RefusalName::Conflict,
            "the recipe replaces a component that its role does not publish",
        )
        .value("replaces", &gone.component)
        .value("role", role)
        .next("leave --replaces away; whoever publishes that component can replace it")),
    }
}
