//! `publish release`: a recipe that names component versions which were checked to fit together.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::component::{by_component, notes};
use super::words::Named;
use super::{KeyFolder, deliver, fit, named, outlook, standing};
use crate::model::recipe::{Hot, Pin, Recipe};
use crate::model::statement::FORMAT;
use crate::model::{Kind, RecipePath, Refusal, RefusalName, Sha256, Time, Watch};
use crate::release::{Repository, Standing, Written};

/// What `publish release` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// Where the recipe will stand.
    pub recipe: RecipePath,
    /// The component versions; each is published already.
    pub components: Vec<Named>,
    /// A file with what the administrator should know.
    pub notes: Option<PathBuf>,
}

/// What `publish release` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The recipe.
    pub recipe: RecipePath,
    /// SHA-256 of the recipe file.
    pub sha256: Sha256,
    /// Whether it was published before, with these very components; then nothing was written.
    pub unchanged: bool,
    /// The recipes that it names.
    pub components: Vec<RecipePath>,
    /// Metadata and recipe files written, in order.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
}

/// Publishes the release.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let signers = request
        .keys
        .for_recipe(&mut repository, &request.recipe, watch)?;
    outlook::warn(&repository, now, watch)?;
    let (components, recipes) = resolve(&repository, request)?;
    check_fit(&recipes)?;
    let recipe = compose(request)?;
    let bytes = deliver::encode(&recipe, &[])?;
    let standing = deliver::standing(&repository, &request.recipe, &recipe)?;
    let (sha256, written) = match standing {
        Some(sha256) => (sha256, Written::default()),
        None => (
            Sha256::of(&bytes),
            repository.deliver(&request.recipe, &bytes, &signers, now)?,
        ),
    };
    Ok(Outcome {
        recipe: request.recipe.clone(),
        sha256,
        unchanged: written.files.is_empty(),
        components,
        written: written.files,
        standing: written.standing,
    })
}

/// Finds the recipe of every component.
fn resolve(
    repository: &Repository,
    request: &Request,
) -> Result<(Vec<RecipePath>, Vec<Recipe>), Refusal> {
    if request.components.is_empty() {
        return Err(
            Refusal::new(RefusalName::Usage, "a release names at least one component")
                .next("add --component NAME=VERSION for each"),
        );
    }
    let mut paths = Vec::new();
    let mut recipes = Vec::new();
    for component in &request.components {
        let path = named::find(repository, &request.keys, &request.recipe, component)?;
        let Some(published) = deliver::published(repository, &path)? else {
            return Err(named::absent(repository, &component.pin));
        };
        if published.recipe.is_release() {
            return Err(Refusal::new(
                RefusalName::Unsatisfiable,
                format!("{path} is a release, and a release names components alone"),
            )
            .next("name the components of that release instead"));
        }
        paths.push(path);
        recipes.push(published.recipe);
    }
    Ok((paths, recipes))
}

fn check_fit(recipes: &[Recipe]) -> Result<(), Refusal> {
    let faults = fit::faults(recipes);
    if faults.is_empty() {
        return Ok(());
    }
    let refusal = Refusal::new(
        RefusalName::Unsatisfiable,
        "the components do not fit together",
    )
    .next("choose other versions, or publish a version that fits");
    Err(faults.iter().fold(refusal, |refusal, (component, why)| {
        refusal.value(component, why)
    }))
}

fn compose(request: &Request) -> Result<Recipe, Refusal> {
    let pins: Vec<Pin> = request.components.iter().map(|c| c.pin.clone()).collect();
    Ok(Recipe {
        config: Vec::new(),
        files: Vec::new(),
        format: FORMAT,
        // It changes no file itself: its components say whether they are.
        hot: Hot::Yes,
        joint: Vec::new(),
        kind: Kind::Recipe,
        licence: None,
        members: Vec::new(),
        name: request.recipe.name().clone(),
        notes: request.notes.as_deref().map(notes).transpose()?,
        one_way: None,
        release: by_component(&pins, |pin| &pin.component),
        replaces: Vec::new(),
        requires: Vec::new(),
        takes: Vec::new(),
        version: request.recipe.version().clone(),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.unchanged {
            "nothing to do: already published with these components:"
        } else {
            standing::verb(&self.standing)
        };
        writeln!(f, "{verb} {}", self.recipe)?;
        for component in &self.components {
            writeln!(f, "  names    {component}")?;
        }
        writeln!(f, "  sha256   {}", self.sha256)?;
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next     copy the repository to where customers read it, metadata/timestamp.json last; then lockstep prepare --to to:{}",
            self.recipe
        )
    }
}
