//! `publish component`: a folder of files becomes one component version in the repository.
//!
//! Everything is read and compared before anything is written; the folder itself is only read.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::walk::{Found, walk};
use super::{KeyFolder, contents, deliver, grant, outlook, standing};
use crate::disk::durable;
use crate::model::glob::PathGlobs;
use crate::model::recipe::{Entry, FILES_MAX, Hot, Pin, Recipe, Requirement};
use crate::model::statement::FORMAT;
use crate::model::{Kind, Member, RecipePath, Refusal, RefusalName, Sha256, Time, Watch, text};
use crate::release::{Repository, Standing, Written};
use crate::spr::MemberBytes;

/// Largest file of notes, in bytes.
const NOTES_MAX: u64 = 256 * 1024;
/// Largest SBOM, in bytes.
const SBOM_MAX: u64 = 16 * 1024 * 1024;
/// The member that holds the SBOM.
const SBOM_MEMBER: &str = "sbom.json";

/// What `publish component` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// Where the recipe will stand.
    pub recipe: RecipePath,
    /// The folder whose content is the component.
    pub files: PathBuf,
    /// What must be installed with it.
    pub requires: Vec<Requirement>,
    /// What must be upgraded with it.
    pub joint: Vec<Requirement>,
    /// What installing it removes.
    pub replaces: Vec<Requirement>,
    /// Whose paths it takes over.
    pub takes: Vec<Pin>,
    /// Whether it may be applied without a restart.
    pub hot: Hot,
    /// Why it cannot be rolled back after a start.
    pub one_way: Option<String>,
    /// Globs of files that the customer may edit.
    pub config: Vec<String>,
    /// A file with what the administrator should know.
    pub notes: Option<PathBuf>,
    /// SPDX expression of its licence.
    pub licence: Option<String>,
    /// A JSON file with its software bill of materials.
    pub sbom: Option<PathBuf>,
}

/// What `publish component` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The recipe.
    pub recipe: RecipePath,
    /// SHA-256 of the recipe file.
    pub sha256: Sha256,
    /// Whether it was published before, with this very content; then nothing was written.
    pub unchanged: bool,
    /// Files in the component.
    pub files: usize,
    /// Bytes in all files.
    pub bytes: u64,
    /// Metadata and recipe files written, in order.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
}

/// Publishes the component.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let signers = request
        .keys
        .for_recipe(&mut repository, &request.recipe, watch)?;
    outlook::warn(&repository, now, watch)?;
    let found = walk(&request.files)?;
    check_count(&found, &request.files)?;
    let files = contents::identify(&request.files, &found, watch)?;
    drop(found);
    let (mut recipe, members) = compose(request, files)?;
    grant::check(&repository, &request.recipe, &recipe)?;
    warn_of_idle_globs(&recipe, watch)?;
    // Checks the rules before the first content is stored; the bytes are made again below.
    recipe.check_path(&request.recipe).map_err(|e| {
        Refusal::new(RefusalName::Usage, e.to_string())
            .next("publish it as a hotfix of that component, or leave --takes away")
    })?;
    drop(deliver::encode(&recipe, &members)?);
    if let Some(sha256) = deliver::standing(&repository, &request.recipe, &recipe)? {
        return Ok(outcome(request, &recipe, sha256, Written::default()));
    }
    contents::store(
        &request.repository,
        &request.files,
        &mut recipe.files,
        watch,
    )?;
    let bytes = deliver::encode(&recipe, &members)?;
    let written = repository.deliver(&request.recipe, &bytes, &signers, now)?;
    Ok(outcome(request, &recipe, Sha256::of(&bytes), written))
}

fn outcome(request: &Request, recipe: &Recipe, sha256: Sha256, written: Written) -> Outcome {
    Outcome {
        recipe: request.recipe.clone(),
        sha256,
        unchanged: written.files.is_empty(),
        files: recipe.files.len(),
        bytes: recipe.size(),
        written: written.files,
        standing: written.standing,
    }
}

fn check_count(found: &[Found], folder: &Path) -> Result<(), Refusal> {
    let what = if found.is_empty() {
        "the folder is empty, and a component owns files".to_owned()
    } else if found.len() > FILES_MAX {
        format!("the folder holds more than {FILES_MAX} files")
    } else {
        return Ok(());
    };
    Err(Refusal::new(RefusalName::Usage, what)
        .value("folder", folder.display())
        .value("files", found.len())
        .next("check --files"))
}

/// The recipe as far as it does not depend on how contents are stored.
fn compose(request: &Request, files: Vec<Entry>) -> Result<(Recipe, Vec<MemberBytes>), Refusal> {
    let members = sbom(request.sbom.as_deref())?;
    let recipe = Recipe {
        config: request.config.clone(),
        files,
        format: FORMAT,
        hot: request.hot.clone(),
        joint: by_component(&request.joint, |r| &r.component),
        kind: Kind::Recipe,
        licence: request.licence.clone(),
        members: members
            .iter()
            .map(|(name, bytes)| Member::of(name.as_str(), bytes))
            .collect(),
        name: request.recipe.name().clone(),
        notes: request.notes.as_deref().map(notes).transpose()?,
        one_way: request.one_way.clone(),
        release: Vec::new(),
        replaces: by_component(&request.replaces, |r| &r.component),
        requires: by_component(&request.requires, |r| &r.component),
        takes: by_component(&request.takes, |pin| &pin.component),
        version: request.recipe.version().clone(),
    };
    Ok((recipe, members))
}

pub(super) fn by_component<T: Clone, K: Ord>(items: &[T], key: fn(&T) -> &K) -> Vec<T> {
    let mut sorted = items.to_vec();
    sorted.sort_by(|a, b| key(a).cmp(key(b)));
    sorted
}

/// Reads the notes, which are text.
pub(super) fn notes(path: &Path) -> Result<String, Refusal> {
    let bytes = durable::read(path, NOTES_MAX)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(e) => Err(
            Refusal::new(RefusalName::Usage, format!("the notes are not text: {e}"))
                .value("file", path.display())
                .next("save the notes as UTF-8 and publish again"),
        ),
    }
}

fn sbom(path: Option<&Path>) -> Result<Vec<MemberBytes>, Refusal> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let bytes = durable::read(path, SBOM_MAX)?;
    match serde_json::from_slice::<serde::de::IgnoredAny>(&bytes) {
        Ok(_) => Ok(vec![(SBOM_MEMBER.to_owned(), bytes)]),
        Err(e) => Err(
            Refusal::new(RefusalName::Usage, format!("the SBOM is not JSON: {e}"))
                .value("file", path.display())
                .next("export it as CycloneDX or SPDX in JSON and publish again"),
        ),
    }
}

fn warn_of_idle_globs(recipe: &Recipe, watch: &dyn Watch) -> Result<(), Refusal> {
    for glob in &recipe.config {
        let globs = PathGlobs::new(std::slice::from_ref(glob)).map_err(|e| {
            Refusal::new(RefusalName::Usage, e.to_string()).next("mend --config and publish again")
        })?;
        if !recipe.files.iter().any(|entry| globs.matches(&entry.path)) {
            watch.warn(&format!("the config glob {glob} matches no file"));
        }
    }
    Ok(())
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.unchanged {
            "nothing to do: already published with this content:"
        } else {
            standing::verb(&self.standing)
        };
        writeln!(f, "{verb} {}", self.recipe)?;
        writeln!(f, "  files    {} ({})", self.files, text::bytes(self.bytes))?;
        writeln!(f, "  sha256   {}", self.sha256)?;
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next     copy the repository to where customers read it, metadata/timestamp.json last; or name it in a release: lockstep publish release --component {}={}",
            self.recipe.name(),
            self.recipe.version()
        )
    }
}
