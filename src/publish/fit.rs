//! Whether the components of a release fit together.
//!
//! Every requirement is met inside the release, every joint upgrade is in range, and each path has
//! one owner, compared case-folded; a hotfix may own a path of a component that it takes over in
//! exactly that version.

use std::collections::HashMap;

use crate::model::recipe::{Pin, Recipe, Requirement, What};
use crate::model::{Blake3, TreePath};

/// Most faults that are listed.
const FAULTS_MAX: usize = 20;

/// What does not fit: the component and the reason, in words; empty when all do.
pub(super) fn faults(recipes: &[Recipe]) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for recipe in recipes {
        let own = label(recipe);
        let needs = recipe.requires.iter().map(|need| (need, true));
        let joint = recipe.joint.iter().map(|need| (need, false));
        for (need, must) in needs.chain(joint) {
            if let Some(why) = unmet(recipes, need, must) {
                faults.push((own.clone(), why));
            }
        }
        for pin in &recipe.takes {
            if !recipes.iter().any(|other| is(other, pin)) {
                let why = format!(
                    "takes over paths of {} {}, which the release does not have",
                    pin.component, pin.version
                );
                faults.push((own.clone(), why));
            }
        }
    }
    owners(recipes, &mut faults);
    faults.truncate(FAULTS_MAX);
    faults
}

fn unmet(recipes: &[Recipe], need: &Requirement, must: bool) -> Option<String> {
    let word = if must { "requires" } else { "goes with" };
    match recipes.iter().find(|other| other.name == need.component) {
        Some(other) if need.range.contains(&other.version) => None,
        Some(other) => Some(format!(
            "{word} {} {}; the release has {}",
            need.component, need.range, other.version
        )),
        None if must => Some(format!(
            "{word} {} {}; the release has none",
            need.component, need.range
        )),
        None => None,
    }
}

/// Who owns a path, or lies below it.
struct Owner<'a> {
    recipe: &'a Recipe,
    path: TreePath,
    // A folder that follows from what lies in it; anyone may share it under one spelling.
    implied: bool,
    folder: bool,
}

fn owners(recipes: &[Recipe], faults: &mut Vec<(String, String)>) {
    let mut known: HashMap<Blake3, Owner<'_>> = HashMap::new();
    for recipe in recipes {
        for entry in &recipe.files {
            let above = entry.path.ancestors().map(|path| Owner {
                recipe,
                path,
                implied: true,
                folder: true,
            });
            let own = Owner {
                recipe,
                path: entry.path.clone(),
                implied: false,
                folder: matches!(entry.what, What::Folder { .. }),
            };
            for claim in above.chain([own]) {
                settle(&mut known, claim, faults);
            }
        }
    }
}

/// Enters a claim, or says whom it meets.
fn settle<'a>(
    known: &mut HashMap<Blake3, Owner<'a>>,
    new: Owner<'a>,
    faults: &mut Vec<(String, String)>,
) {
    let key = new.path.fold_key();
    let Some(old) = known.get(&key) else {
        known.insert(key, new);
        return;
    };
    let itself = old.recipe.name == new.recipe.name;
    let shared = old.folder && new.folder && (old.implied || new.implied);
    let taken = !old.implied
        && !new.implied
        && (takes(new.recipe, old.recipe) || takes(old.recipe, new.recipe));
    if !itself && !(old.path == new.path && (shared || taken)) {
        let why = format!("{} is also owned by {}", new.path, label(old.recipe));
        faults.push((label(new.recipe), why));
    } else if (old.implied && !new.implied) || (taken && takes(new.recipe, old.recipe)) {
        // The stronger claim stays, for the comparison with those that come.
        known.insert(key, new);
    }
}

fn takes(taker: &Recipe, other: &Recipe) -> bool {
    taker.takes.iter().any(|pin| is(other, pin))
}

fn is(recipe: &Recipe, pin: &Pin) -> bool {
    recipe.name == pin.component && recipe.version == pin.version
}

fn label(recipe: &Recipe) -> String {
    format!("{} {}", recipe.name, recipe.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::model::recipe::{Entry, Hot, Mode};
    use crate::publish::words::{pin, requirement};

    fn recipe(name: &str, version: &str, files: &[&str]) -> Recipe {
        let files = files.iter().map(|path| Entry {
            path: path.trim_end_matches('/').parse().unwrap(),
            what: if path.ends_with('/') {
                What::Folder { mode: Mode::FOLDER }
            } else {
                What::Link {
                    target: "x".to_owned(),
                }
            },
        });
        Recipe {
            config: Vec::new(),
            files: files.collect(),
            format: 0,
            hot: Hot::Yes,
            joint: Vec::new(),
            kind: Kind::Recipe,
            licence: None,
            members: Vec::new(),
            name: name.parse().unwrap(),
            notes: None,
            one_way: None,
            release: Vec::new(),
            replaces: Vec::new(),
            requires: Vec::new(),
            takes: Vec::new(),
            version: version.parse().unwrap(),
        }
    }

    fn taking(mut recipe: Recipe, text: &str) -> Recipe {
        recipe.takes.push(pin(text).unwrap());
        recipe
    }

    #[test]
    fn one_owner_for_each_path() {
        let core = || recipe("core", "9.0", &["lib/a", "lib/b"]);
        let fix = |name| taking(recipe(name, "1", &["lib/a"]), "core=9.0");
        for (recipes, words) in [
            (vec![core(), recipe("other", "1", &["lib/c"])], ""),
            (vec![core(), recipe("other", "1", &["lib/"])], ""),
            (vec![core(), fix("fix")], ""),
            (vec![fix("fix"), core()], ""),
            (
                vec![core(), recipe("other", "1", &["lib/a"])],
                "lib/a is also owned",
            ),
            (
                vec![core(), recipe("other", "1", &["Lib/c"])],
                "Lib is also owned",
            ),
            (
                vec![core(), recipe("other", "1", &["lib/B"])],
                "lib/B is also owned",
            ),
            (
                vec![core(), recipe("other", "1", &["lib"])],
                "lib is also owned",
            ),
            (
                vec![core(), fix("fix"), fix("more")],
                "lib/a is also owned by fix",
            ),
            (vec![fix("fix")], "which the release does not have"),
            (
                vec![recipe("a", "1", &["x/"]), recipe("b", "1", &["x/"])],
                "x is also owned by a 1",
            ),
        ] {
            let found = faults(&recipes);
            let text = format!("{found:?}");
            assert_eq!(found.is_empty(), words.is_empty(), "{text}");
            assert!(text.contains(words), "{text}, not {words}");
        }
    }

    #[test]
    fn requirements_are_met_inside_the_release() {
        let core = recipe("core", "8.0", &[]);
        let mut rest = recipe("rest", "1", &[]);
        rest.requires = vec![requirement("core >=9.0").unwrap()];
        rest.joint = vec![requirement("absent >=2").unwrap()];
        assert_eq!(
            faults(&[core, rest.clone()]),
            [(
                "rest 1".to_owned(),
                "requires core >=9.0; the release has 8.0".to_owned()
            )]
        );
        assert_eq!(faults(&[rest]).len(), 1);
    }
}
