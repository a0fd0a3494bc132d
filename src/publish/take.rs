//! Taking in what a delegate has published: `publish renew --take ROLE=FOLDER`.
//!
//! | attack | defence |
//! |---|---|
//! | a recipe that owns what its delegation does not grant, or replaces others' components | refused before anything is written |
//! | a recipe file of another size, with signatures, that says something else than its path, or breaks a rule of recipes | opened by the very function that a host opens it with |
//! | contents that are not what the recipe says, or are missing | each is decoded and compared with both digests, then copied and compared again |

use std::path::{Path, PathBuf};

use super::grant;
use crate::disk::batch::Batch;
use crate::model::recipe::{FileContent, Recipe, What};
use crate::model::{RecipePath, Refusal, RefusalName, Time, Watch};
use crate::release::layout::{self, RECIPE_MAX};
use crate::release::{Directory, Offer, Repository, Signers, Source as _, Written, blob};
use crate::trust::TrustError;
use crate::trust::recipe::RecipeFile;

/// A folder to take from: `ROLE=FOLDER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The delegate's role.
    pub role: String,
    /// Its copy of the repository, which may be the repository itself.
    pub folder: PathBuf,
}

impl std::str::FromStr for Take {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((role, folder)) if !role.is_empty() && !folder.is_empty() => Ok(Self {
                role: role.to_owned(),
                folder: folder.into(),
            }),
            _ => Err(format!("{text:?} is not ROLE=FOLDER")),
        }
    }
}

/// Takes in what is new, and puts it in force.
pub(super) fn run(
    repository: &mut Repository,
    take: &Take,
    signers: &Signers,
    (now, watch): (Time, &dyn Watch),
) -> Result<Written, Refusal> {
    let from = Directory::new(&take.folder);
    let Some(offer) = repository.offer(&take.role, &from)? else {
        let known = repository.state().delegated.get(&take.role);
        return Err(Refusal::new(
            RefusalName::NothingToDo,
            "the folder has nothing newer of this role",
        )
        .value("folder", take.folder.display())
        .value(
            "in force",
            known.map_or("none yet".to_owned(), |file| {
                format!("version {}", file.signed.version)
            }),
        )
        .next("have the delegate publish into it, and hand it over again"));
    };
    if offer.expires() <= now {
        return Err(
            Refusal::new(RefusalName::Expired, "what the delegate signed has expired")
                .value("expired", offer.expires().date())
                .value("here it is", now)
                .next("have the delegate sign it anew: lockstep publish renew --keys ITS-KEYS"),
        );
    }
    for gone in &offer.gone {
        watch.warn(&format!(
            "{gone} is published no more: the delegate took it out"
        ));
    }
    let recipes = recipes(&offer, &take.role, &from)?;
    // A recipe file that is copied holds its path for ever: not where this is refused right after.
    repository.check_continued(signers, None)?;
    if take.folder != repository.source().path() {
        copy(repository.source().path(), &from, &recipes)?;
    }
    Ok(repository.take(offer, signers, now)?)
}

type Checked = (RecipePath, Vec<u8>, Recipe);

/// Every recipe that is new, read as a host reads it.
fn recipes(offer: &Offer, role: &str, from: &Directory) -> Result<Vec<Checked>, Refusal> {
    let mut checked = Vec::new();
    for (path, target) in &offer.new {
        let sha256 = &target.hashes.sha256;
        let bytes = from.target(path, sha256, target.length.min(RECIPE_MAX))?;
        let refuse = |e: TrustError| {
            Refusal::from(e)
                .value("recipe", path)
                .unchanged("nothing was taken in")
                .next("tell the delegate: every host refuses it; it takes a new version")
        };
        let recipe = RecipeFile::named(path, (sha256, Some(target.length)), bytes.clone())
            .and_then(RecipeFile::open)
            .map_err(refuse)?;
        if let Some(granted) = &offer.install_paths {
            grant::within(role, granted, &recipe)?;
            grant::replaces_own(role, &recipe, &offer.listed())?;
        }
        for file in files(&recipe) {
            check_content(from.path(), file)?;
        }
        checked.push((path.clone(), bytes, recipe));
    }
    Ok(checked)
}

fn files(recipe: &Recipe) -> impl Iterator<Item = &FileContent> {
    recipe.files.iter().filter_map(|entry| match &entry.what {
        What::File(file) => Some(&**file),
        What::Folder { .. } | What::Link { .. } => None,
    })
}

/// The content is there, is what the recipe says, and is stored as it says.
fn check_content(folder: &Path, file: &FileContent) -> Result<(), Refusal> {
    let stored = blob::verify(folder, &file.id())?;
    let fits = stored.is_some_and(|stored| {
        (stored.size, stored.sha256) == (file.stored_size, file.stored_sha256)
    });
    if fits {
        return Ok(());
    }
    let (name, what) = match stored {
        None => (
            RefusalName::Incomplete,
            "a content of the recipe is missing",
        ),
        Some(_) => (
            RefusalName::Corrupt,
            "a content is stored otherwise than the recipe says",
        ),
    };
    Err(Refusal::new(name, what)
        .value("content", layout::blob_file(&file.blake3))
        .value("folder", folder.display())
        .next(
            "have the delegate publish it again into a copy of this repository that has its blobs/",
        ))
}

/// Copies contents, then recipes, durably.
fn copy(into: &Path, from: &Directory, recipes: &[Checked]) -> Result<(), Refusal> {
    let batch = Batch::create(into)?;
    let mut seen = std::collections::BTreeSet::new();
    for file in recipes.iter().flat_map(|(_, _, recipe)| files(recipe)) {
        if !seen.insert(file.blake3) {
            continue;
        }
        if blob::verify(into, &file.id())?.is_some() {
            check_content(into, file)?;
        } else {
            blob::copy(from.path(), into, &batch, file)?;
        }
    }
    batch.finish()?;
    for (path, bytes, _) in recipes {
        Repository::place_target(into, path, bytes)?;
    }
    Ok(())
}
