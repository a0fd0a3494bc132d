//! What must hold of an installation whatever a trusted preparer signed: what stands in it is what a
//! vendor's recipe says, or what stood there before; what is nobody's stays; the state that was
//! committed is the one that the recipes make.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lockstep::disk::state::TrustedState;
use lockstep::model::Sha256;
use lockstep::model::glob::PathGlobs;
use lockstep::model::recipe::{Recipe, What};
use lockstep::model::snapshot::Installed;
use lockstep::model::state::state_digest;
use lockstep::spr::Opened;

use super::world::{Outcome, Tested, Tree};

/// Every recipe that the vendor published, by the digest of its file.
pub(crate) struct Published(BTreeMap<Sha256, Recipe>);

/// What a path is, in the words of a [`Tree`].
type Seen = (u32, String);

impl Published {
    /// Reads the targets of a repository.
    pub(crate) fn read(repository: &Path) -> Outcome<Self> {
        let mut recipes = BTreeMap::new();
        gather(&repository.join("targets"), &mut recipes)?;
        if recipes.is_empty() {
            return Err("no recipe was published".into());
        }
        Ok(Self(recipes))
    }

    /// Everything that is wrong with `after`, where `before` stood.
    pub(crate) fn faults(
        &self,
        before: (&Tree, &TrustedState),
        after: (&Tree, &TrustedState),
    ) -> Vec<String> {
        let mut faults = Vec::new();
        let (old, new) = (self.of(&before.1.installed), self.of(&after.1.installed));
        let (Some(old), Some(new)) = (old, new) else {
            return vec!["something is installed that no vendor published".to_owned()];
        };
        let wanted = owned(&new);
        for (path, seen) in product(after.0) {
            let was = before.0.get(path);
            if was != Some(seen) && !says(&wanted, path, was, seen) {
                faults.push(format!("{} is what no recipe says", path.display()));
            }
        }
        let owned_before = owned(&old);
        for (path, _) in product(before.0) {
            let mine = owned_before.contains_key(path) || above(&owned_before, path);
            if !after.0.contains_key(path) && (!mine || wanted.contains_key(path)) {
                faults.push(format!("{} is gone", path.display()));
            }
        }
        for path in wanted.keys().filter(|path| !after.0.contains_key(*path)) {
            faults.push(format!("{} is missing", path.display()));
        }
        let digest = state_digest(&after.1.installed, &[]);
        if digest != after.1.state {
            faults.push(format!(
                "state {}, the recipes make {digest}",
                after.1.state
            ));
        }
        faults.extend(lowered(&before.1.installed, &after.1.installed));
        faults
    }

    fn of(&self, installed: &[Installed]) -> Option<Vec<&Recipe>> {
        installed.iter().map(|i| self.0.get(&i.recipe)).collect()
    }
}

fn gather(folder: &Path, recipes: &mut BTreeMap<Sha256, Recipe>) -> Tested {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, recipes)?;
        } else {
            let bytes = fs::read(&path)?;
            recipes.insert(Sha256::of(&bytes), Opened::of_file(bytes)?.decode()?);
        }
    }
    Ok(())
}

/// What the site's policy does not allow and nobody accepted: no release of a component goes back.
fn lowered(before: &[Installed], after: &[Installed]) -> Vec<String> {
    let kept = |old: &&Installed| {
        let new = after.iter().find(|new| new.name == old.name);
        new.is_none_or(|new| new.version < old.version)
    };
    let words = |old: &Installed| format!("{} {} was lowered or removed", old.name, old.version);
    before.iter().filter(kept).map(words).collect()
}

/// Everything but the node's own state.
fn product(tree: &Tree) -> impl Iterator<Item = (&PathBuf, &Seen)> {
    tree.iter()
        .filter(|(path, _)| !path.starts_with(".lockstep"))
}

/// What the recipes own: what lies there, and whether the customer may edit it.
fn owned<'a>(recipes: &[&'a Recipe]) -> BTreeMap<PathBuf, (&'a What, bool)> {
    let mut paths = BTreeMap::new();
    for recipe in recipes {
        let config = PathGlobs::new(&recipe.config).unwrap_or_default();
        for entry in &recipe.files {
            let path = PathBuf::from(entry.path.as_str());
            paths.insert(path, (&entry.what, config.matches(&entry.path)));
        }
    }
    paths
}

/// Whether something owned lies below `path`.
fn above(owned: &BTreeMap<PathBuf, (&What, bool)>, path: &Path) -> bool {
    let folders: BTreeSet<&Path> = owned.keys().flat_map(|p| p.ancestors().skip(1)).collect();
    folders.contains(path)
}

/// Whether a recipe says what is seen at `path`, where `was` stood.
fn says(
    wanted: &BTreeMap<PathBuf, (&What, bool)>,
    path: &Path,
    was: Option<&Seen>,
    (mode, content): &Seen,
) -> bool {
    if let Some((what, _)) = wanted.get(path) {
        return match what {
            What::File(file) => {
                let bits = was.map_or(file.mode.bits(), |(mode, _)| *mode);
                *content == file.sha256.to_string() && mode & 0o7777 == bits & 0o7777
            }
            What::Folder { .. } => content == "folder",
            What::Link { target } => *content == format!("link {target}"),
        };
    }
    let beside = path.to_string_lossy();
    let beside = beside.strip_suffix(".new").map(PathBuf::from);
    match beside.and_then(|path| wanted.get(&path)) {
        Some((What::File(file), true)) => *content == file.sha256.to_string(),
        _ => content == "folder" && above(wanted, path),
    }
}
