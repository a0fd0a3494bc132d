//! The tree that a set of components owns: every path once.
//!
//! | attack | defence |
//! |---|---|
//! | a recipe that owns another's file, or one that differs from it by case alone | every path has one owner; a hotfix takes over by name and version |
//! | a recipe that opens another's folder to everybody, or shuts it | two that state a folder's mode state the same |
//! | paths so deep that the folders above them fill the memory | [`FOLDERS_MAX`], and a bound on depth in each recipe |

use std::collections::{BTreeMap, HashMap};

use super::Component;
use crate::model::glob::PathGlobs;
use crate::model::recipe::{Mode, What};
use crate::model::{Blake3, Name, TreePath};

/// Who owns a path, and what belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The component.
    pub owner: Name,
    /// A file or a link.
    pub what: What,
    /// Whether the customer may edit it.
    pub config: bool,
}

/// Files and links by path, and the folders that they need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Files and links.
    pub paths: BTreeMap<TreePath, Owned>,
    /// Folders, stated or needed, with the mode a new one gets.
    pub folders: BTreeMap<TreePath, Mode>,
}

/// Most folders of a tree, stated or needed: real ones have fewer than files.
const FOLDERS_MAX: usize = 1_000_000;

/// Owner and path by the path's fold key.
type Owners<'a> = HashMap<Blake3, (&'a Component, &'a TreePath)>;

impl Tree {
    /// The tree of `components`, or every clash of owners, one sentence each.
    ///
    /// A path has one owner, compared with case folded away. A recipe that takes a component over
    /// ([`crate::model::recipe::Recipe::takes`]) owns the paths that both have. Folders are shared.
    pub fn of(components: &[Component]) -> Result<Self, Vec<String>> {
        let mut tree = Self::default();
        let mut owners = Owners::new();
        let mut faults = Vec::new();
        for component in components {
            let Ok(config) = PathGlobs::new(&component.recipe.config) else {
                faults.push(format!(
                    "{} has a malformed config glob",
                    component.installed.name
                ));
                continue;
            };
            for entry in &component.recipe.files {
                if let What::Folder { mode } = entry.what {
                    let stated = tree.folders.insert(entry.path.clone(), mode);
                    if let Some(other) = stated.filter(|other| *other != mode) {
                        let (name, path) = (&component.installed.name, &entry.path);
                        faults.push(format!(
                            "the folder {path} has mode {mode} by {name}, and {other} by another component"
                        ));
                    }
                    continue;
                }
                let owned = Owned {
                    owner: component.installed.name.clone(),
                    what: entry.what.clone(),
                    config: config.matches(&entry.path),
                };
                let key = entry.path.fold_key();
                match owners.get(&key) {
                    None => {}
                    Some((other, path)) if takes(other, component) && *path == &entry.path => {
                        continue;
                    }
                    Some((other, path)) if takes(component, other) && *path == &entry.path => {}
                    Some((other, path)) => {
                        faults.push(clash(other, path, component, &entry.path));
                        continue;
                    }
                }
                owners.insert(key, (component, &entry.path));
                tree.paths.insert(entry.path.clone(), owned);
            }
        }
        // Built at once, a map takes half the memory of one that grew path by path.
        tree.paths = std::mem::take(&mut tree.paths).into_iter().collect();
        faults.extend(tree.add_needed_folders());
        faults.extend(tree.files_where_folders_must_be(&owners));
        if faults.is_empty() {
            Ok(tree)
        } else {
            Err(faults)
        }
    }

    /// Adds the folders above every path; a sentence where there are too many.
    fn add_needed_folders(&mut self) -> Option<String> {
        let stated: Vec<TreePath> = self.folders.keys().cloned().collect();
        // Neighbours mostly share their folders, which are then added once.
        let mut seen = None;
        for path in self.paths.keys().chain(&stated) {
            if path.parent_str() == seen {
                continue;
            }
            seen = path.parent_str();
            for above in path.ancestors() {
                self.folders.entry(above).or_insert(Mode::FOLDER);
            }
            if self.folders.len() > FOLDERS_MAX {
                return Some(format!("there would be more than {FOLDERS_MAX} folders"));
            }
        }
        None
    }

    fn files_where_folders_must_be(&self, owners: &Owners<'_>) -> Vec<String> {
        self.folders
            .keys()
            .filter_map(|folder| owners.get(&folder.fold_key()))
            .map(|(owner, path)| {
                format!(
                    "{path} of {} stands where a folder must be",
                    owner.installed.name
                )
            })
            .collect()
    }
}

/// A publisher takes over what is its own alone.
fn takes(taker: &Component, from: &Component) -> bool {
    taker.installed.vendor == from.installed.vendor
        && taker.recipe.takes.iter().any(|pin| {
            pin.component == from.installed.name && pin.version == from.installed.version
        })
}

fn clash(a: &Component, a_path: &TreePath, b: &Component, b_path: &TreePath) -> String {
    let (a, b) = (&a.installed, &b.installed);
    if a_path == b_path {
        format!(
            "{a_path} would belong to both {} {} and {} {}",
            a.name, a.version, b.name, b.version
        )
    } else {
        format!(
            "{a_path} of {} {} and {b_path} of {} {} differ by case alone",
            a.name, a.version, b.name, b.version
        )
    }
}
