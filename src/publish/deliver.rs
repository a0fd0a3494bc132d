//! Recipes on their way into the repository, and those that are there.
//!
//! A recipe path stands for one content for ever: the same again is nothing to do, another is
//! refused. How a content was compressed is not part of what is compared.

use std::sync::Arc;

use serde_json::Value;

use crate::model::recipe::{Entry, Recipe, What};
use crate::model::{RecipePath, Refusal, RefusalName, Sha256};
use crate::release::layout::RECIPE_MAX;
use crate::release::{Repository, Source as _};
use crate::spr::{MemberBytes, encode_unsigned};
use crate::trust::recipe::RecipeFile;

/// Longest value of a field that is shown in a message.
const SHOWN_MAX: usize = 120;

/// A recipe that is published, and the digest of its file.
pub(super) struct Published {
    /// The recipe.
    pub(super) recipe: Recipe,
    /// SHA-256 of its file.
    pub(super) sha256: Sha256,
}

/// Reads the recipe at `path`, where there is one.
pub(super) fn published(
    repository: &Repository,
    path: &RecipePath,
) -> Result<Option<Published>, Refusal> {
    let Some(file) = repository.state().recipe(path) else {
        return Ok(None);
    };
    let sha256 = file.hashes.sha256;
    let bytes = repository
        .source()
        .target(path, &sha256, file.length.min(RECIPE_MAX))?;
    let recipe = RecipeFile::named(path, (&sha256, Some(file.length)), bytes)
        .and_then(RecipeFile::open)
        .map_err(|e| {
            Refusal::from(e)
                .value("recipe", path)
                .next("restore the file from a copy of the repository that you trust")
        })?;
    Ok(Some(Published { recipe, sha256 }))
}

/// The digest of the published recipe if it says the same as `recipe`, which does not say how its
/// contents are stored; nothing if there is none.
pub(super) fn standing(
    repository: &Repository,
    path: &RecipePath,
    recipe: &Recipe,
) -> Result<Option<Sha256>, Refusal> {
    let Some(published) = published(repository, path)? else {
        return Ok(None);
    };
    match difference(&bare(published.recipe), recipe) {
        None => Ok(Some(published.sha256)),
        Some(values) => {
            let refusal = Refusal::new(
                RefusalName::Conflict,
                format!("{path} is published with other content"),
            )
            .next("give it a new version; what is published never changes");
            Err(values.into_iter().fold(refusal, |refusal, (label, value)| {
                refusal.value(label, value)
            }))
        }
    }
}

/// The bytes of a recipe file.
pub(super) fn encode(recipe: &Recipe, members: &[MemberBytes]) -> Result<Vec<u8>, Refusal> {
    use crate::model::Statement as _;
    let broken = |e: &dyn std::fmt::Display| {
        Refusal::new(
            RefusalName::Usage,
            format!("no recipe can be made of this: {e}"),
        )
        .next("change what the message names, and publish again")
    };
    recipe.check().map_err(|e| broken(&e))?;
    encode_unsigned(recipe, members).map_err(|e| broken(&e))
}

/// The recipe without what says how contents are stored.
fn bare(mut recipe: Recipe) -> Recipe {
    for entry in &mut recipe.files {
        if let What::File(file) = &mut entry.what {
            let file = Arc::make_mut(file);
            *file = super::contents::unstored(file.mode, file.id());
        }
    }
    recipe
}

type Values = Vec<(&'static str, String)>;

/// Where two recipes differ first, and both values there.
fn difference(published: &Recipe, now: &Recipe) -> Option<Values> {
    if published == now {
        return None;
    }
    Some(
        file_difference(&published.files, &now.files).unwrap_or_else(|| {
            let (field, there, here) = field_difference(published, now);
            vec![("differs in", field), ("published", there), ("now", here)]
        }),
    )
}

fn file_difference(published: &[Entry], now: &[Entry]) -> Option<Values> {
    let (old, new) = published
        .iter()
        .map(|entry| (Some(entry), find(now, entry)))
        .chain(
            now.iter()
                .map(|entry| (find(published, entry), Some(entry))),
        )
        .find(|(old, new)| old != new)?;
    let path = old.or(new)?.path.to_string();
    let content = |entry: Option<&Entry>| match entry.map(|entry| &entry.what) {
        Some(What::File(file)) => Some(file.sha256),
        _ => None,
    };
    let values = match (content(old), content(new)) {
        (Some(old), Some(new)) if old != new => [
            ("sha256 published", old.to_string()),
            ("sha256 now", new.to_string()),
        ],
        _ => [("published", shown(old)), ("now", shown(new))],
    };
    Some([("differs in", path)].into_iter().chain(values).collect())
}

/// The entry at the same path; both lists rise by it.
fn find<'a>(entries: &'a [Entry], entry: &Entry) -> Option<&'a Entry> {
    let at = entries
        .binary_search_by(|other| other.path.cmp(&entry.path))
        .ok()?;
    entries.get(at)
}

fn shown(entry: Option<&Entry>) -> String {
    match entry.map(|entry| &entry.what) {
        None => "not there".to_owned(),
        Some(What::File(file)) => format!("a file, mode {}", file.mode),
        Some(What::Folder { mode }) => format!("a folder, mode {mode}"),
        Some(What::Link { target }) => format!("a link to {target}"),
    }
}

fn field_difference(published: &Recipe, now: &Recipe) -> (String, String, String) {
    let fields = |recipe: &Recipe| match serde_json::to_value(recipe) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (there, here) = (fields(published), fields(now));
    let shown = |value: Option<&Value>| match value {
        Some(value) => value.to_string().chars().take(SHOWN_MAX).collect(),
        None => "nothing".to_owned(),
    };
    there
        .keys()
        .chain(here.keys())
        .find(|key| there.get(*key) != here.get(*key))
        .map(|key| (key.clone(), shown(there.get(key)), shown(here.get(key))))
        .unwrap_or_default()
}
