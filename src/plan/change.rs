//! What differs between two trees, and what drift is left afterwards.

use std::collections::BTreeSet;

use super::tree::{Owned, Tree};
use crate::model::receipt::Change as ComponentChange;
use crate::model::recipe::{Mode, What};
use crate::model::site::DriftRule;
use crate::model::snapshot::{ConfigFile, ConfigState, Drift, Found, Installed};
use crate::model::{Blake3, Refusal, RefusalName, TreePath};

/// One path that is not the same before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: TreePath,
    /// What stands there before, by recipe.
    pub from: Option<Owned>,
    /// What stands there afterwards, by recipe.
    pub to: Option<Owned>,
}

impl Change {
    /// Whether the customer's edits are kept: the file is config on every side it has.
    #[must_use]
    pub fn keeps_edits(&self) -> bool {
        self.from.iter().chain(&self.to).all(|owned| owned.config)
    }

    /// What is to stand there afterwards.
    #[must_use]
    pub fn to(&self) -> Option<What> {
        self.to.as_ref().map(|owned| owned.what.clone())
    }

    /// Whether the customer may edit the file afterwards.
    #[must_use]
    pub fn becomes_config(&self) -> bool {
        self.to.as_ref().is_some_and(|owned| owned.config)
    }
}

/// All that differs between two trees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files and links, rising by path.
    pub paths: Vec<Change>,
    /// Folders to make where they are missing, the topmost first.
    pub new_folders: Vec<(TreePath, Mode)>,
    /// Folders to remove where they are empty, the deepest first.
    pub gone_folders: Vec<TreePath>,
}

impl Changes {
    /// How many paths are touched: files, links and folders.
    #[must_use]
    pub fn count(&self) -> usize {
        let folders = self
            .new_folders
            .len()
            .saturating_add(self.gone_folders.len());
        self.paths.len().saturating_add(folders)
    }

    /// Compares two trees.
    #[must_use]
    pub fn between(old: &Tree, new: &Tree) -> Self {
        let mut paths = Vec::new();
        for (path, from) in &old.paths {
            let to = new.paths.get(path);
            // A file that stops being config must be as its recipe has it, so it is touched.
            let same =
                to.is_some_and(|to| same_what(&from.what, &to.what) && (to.config || !from.config));
            if !same {
                paths.push(Change {
                    path: path.clone(),
                    from: Some(from.clone()),
                    to: to.cloned(),
                });
            }
        }
        let added = new
            .paths
            .iter()
            .filter(|(path, _)| !old.paths.contains_key(path));
        paths.extend(added.map(|(path, to)| Change {
            path: path.clone(),
            from: None,
            to: Some(to.clone()),
        }));
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        let new_folders = new
            .folders
            .iter()
            .filter(|(path, _)| !old.folders.contains_key(path))
            .map(|(path, mode)| (path.clone(), *mode))
            .collect();
        let mut gone_folders: Vec<TreePath> = old
            .folders
            .keys()
            .filter(|path| !new.folders.contains_key(path))
            .cloned()
            .collect();
        gone_folders.reverse();
        Self {
            paths,
            new_folders,
            gone_folders,
        }
    }

    /// The change at a path, if there is one.
    #[must_use]
    pub fn at(&self, path: &TreePath) -> Option<&Change> {
        let at = self.paths.binary_search_by(|change| change.path.cmp(path));
        at.ok().and_then(|at| self.paths.get(at))
    }

    /// Whether anything is to be done at a path.
    #[must_use]
    pub fn touch(&self, path: &TreePath) -> bool {
        self.at(path).is_some() || self.new_folders.iter().any(|(folder, _)| folder == path)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.new_folders.is_empty() && self.gone_folders.is_empty()
    }
}

/// Whether two entries put the same content with the same mode at a path; how a blob is stored
/// does not count.
#[must_use]
pub fn same_what(a: &What, b: &What) -> bool {
    match (a, b) {
        (What::File(a), What::File(b)) => a.id() == b.id() && a.mode == b.mode,
        _ => a == b,
    }
}

/// Whether what was found is what a recipe asks for, in the terms in which drift is judged.
#[must_use]
pub fn is_as(found: &Found, what: &What) -> bool {
    match (found, what) {
        (Found::File { blake3, executable }, What::File(file)) => {
            *blake3 == file.blake3 && *executable == file.mode.executable()
        }
        (Found::Link { blake3 }, What::Link { target }) => *blake3 == Blake3::of(target.as_bytes()),
        (Found::Folder, What::Folder { .. }) => true,
        _ => false,
    }
}

/// Whether content and kind of what was found are those that a recipe asks for: all that is asked
/// of a config file.
#[must_use]
pub fn holds(found: &Found, what: &What) -> bool {
    match (found, what) {
        (Found::File { blake3, .. }, What::File(file)) => *blake3 == file.blake3,
        _ => is_as(found, what),
    }
}

/// The drift that is left once `changes` are made to a node with `drift`, or the conflict.
///
/// Desk and host compute this alike, so that the state digest afterwards can be foretold.
pub fn drift_after(
    drift: &[Drift],
    changes: &Changes,
    new: &Tree,
    rule: DriftRule,
) -> Result<Vec<Drift>, Refusal> {
    let mut conflicts = Vec::new();
    let mut left = Vec::new();
    for drift in drift {
        let to = new.paths.get(&drift.path);
        let change = changes.at(&drift.path);
        let in_the_way = change.is_some()
            && to.is_none_or(|to| !is_as(&drift.found, &to.what))
            && !(to.is_none() && drift.found == Found::Absent);
        let refused = match rule {
            DriftRule::Keep => false,
            // What cannot be moved away as one file cannot be overwritten either.
            DriftRule::Overwrite => in_the_way && !movable(&drift.found),
            DriftRule::Refuse => in_the_way,
        };
        if refused {
            let from = change.and_then(|change| change.from.as_ref());
            conflicts.push((&drift.path, against(from.map(|o| &o.what), &drift.found)));
        } else if rule != DriftRule::Overwrite || change.is_none() {
            let still = to.is_some_and(|to| !to.config && !is_as(&drift.found, &to.what));
            left.extend(still.then(|| drift.clone()));
        }
    }
    if conflicts.is_empty() {
        Ok(left)
    } else {
        Err(conflict(&conflicts, rule))
    }
}

/// Whether what was found can make room for something else: it is one file or link, or nothing.
#[must_use]
pub const fn movable(found: &Found) -> bool {
    !matches!(found, Found::Folder | Found::Other)
}

/// The config files that are not as their recipe has them, once the new tree stands: those that the
/// customer edited or deleted stay so, as long as they are config files; and drift that is kept at
/// a path that becomes one. What stands at the paths in `moved` is new, and as its recipe has it.
#[must_use]
pub fn config_after(
    config: &[ConfigFile],
    drift: &[Drift],
    new: &Tree,
    moved: &BTreeSet<&TreePath>,
) -> Vec<ConfigFile> {
    let is_config = |path: &TreePath| {
        let owned = new.paths.get(path).filter(|owned| owned.config);
        owned.filter(|_| !moved.contains(path))
    };
    let mut after: Vec<ConfigFile> = config
        .iter()
        .filter(|file| is_config(&file.path).is_some())
        .cloned()
        .collect();
    for drift in drift {
        if is_config(&drift.path).is_some_and(|owned| !holds(&drift.found, &owned.what)) {
            let gone = drift.found == Found::Absent;
            let state = if gone {
                ConfigState::Deleted
            } else {
                ConfigState::Changed
            };
            after.push(ConfigFile {
                path: drift.path.clone(),
                state,
            });
        }
    }
    after.sort_by(|a, b| a.path.cmp(&b.path));
    after
}

fn conflict(drift: &[(&TreePath, String)], rule: DriftRule) -> Refusal {
    const SHOWN: usize = 5;
    let mut refusal = Refusal::new(
        RefusalName::Conflict,
        format!(
            "{} file(s) that the patch touches are not as their recipe has them",
            drift.len()
        ),
    );
    for (path, why) in drift.iter().take(SHOWN) {
        refusal = refusal.value(path.as_str(), why);
    }
    if drift.len() > SHOWN {
        refusal = refusal.value(
            "and",
            format!(
                "{} more (lockstep status --full)",
                drift.len().saturating_sub(SHOWN)
            ),
        );
    }
    refusal.next(match rule {
        DriftRule::Overwrite => {
            "put the files back as they were, or move what stands there away; then lockstep snapshot"
        }
        _ => {
            "put the files back as they were, or let the site's policy say drift = \"keep\" or \"overwrite\""
        }
    })
}

/// What was found where a recipe has `what`, for a person.
#[must_use]
pub fn against(what: Option<&What>, found: &Found) -> String {
    let text = match (what, found) {
        (Some(What::File(file)), Found::File { blake3, executable }) if *blake3 == file.blake3 => {
            if *executable {
                "made executable"
            } else {
                "made not executable"
            }
        }
        (Some(What::Link { .. }), Found::Link { .. }) => "a link to something else",
        (Some(What::Link { .. }), Found::File { .. }) => "a file in place of a link",
        _ => return describe(found),
    };
    text.to_owned()
}

/// What was found, for a person.
#[must_use]
pub fn describe(found: &Found) -> String {
    match found {
        Found::Absent => "deleted".to_owned(),
        Found::File { blake3, executable } => {
            format!(
                "changed: BLAKE3 {}{}",
                blake3.short(),
                if *executable { ", executable" } else { "" }
            )
        }
        Found::Folder => "a folder stands there".to_owned(),
        Found::Link { .. } => "a link stands there".to_owned(),
        Found::Other => "neither file, folder nor link, or behind a link".to_owned(),
    }
}

/// The components that differ between two sets, rising by name.
#[must_use]
pub fn components(before: &[Installed], after: &[Installed]) -> Vec<ComponentChange> {
    let names: BTreeSet<_> = before.iter().chain(after).map(|c| &c.name).collect();
    let version = |set: &[Installed], name| {
        set.iter()
            .find(|c: &&Installed| &c.name == name)
            .map(|c| c.version.clone())
    };
    names
        .into_iter()
        .map(|name| ComponentChange {
            component: name.clone(),
            from: version(before, name),
            to: version(after, name),
        })
        .filter(|change| change.from != change.to)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::recipe::FileContent;
    use crate::model::{ContentId, Sha256};

    fn file(text: &[u8], mode: u32) -> What {
        let id = ContentId::of(text);
        What::File(Arc::new(FileContent {
            blake3: id.blake3,
            mode: Mode::from_bits(mode),
            sha256: id.sha256,
            size: id.size,
            stored_sha256: Sha256::of(b""),
            stored_size: 0,
        }))
    }

    #[test]
    fn drift_is_told_against_its_recipe() {
        let (plain, program) = (file(b"a", 0o644), file(b"a", 0o755));
        let link = What::Link {
            target: "b".to_owned(),
        };
        let found = |text: &[u8], executable| Found::File {
            blake3: Blake3::of(text),
            executable,
        };
        let to_c = Found::Link {
            blake3: Blake3::of(b"c"),
        };
        let table = [
            (&plain, found(b"a", true), "made executable"),
            (&program, found(b"a", false), "made not executable"),
            (&plain, found(b"b", false), "changed: BLAKE3"),
            (&plain, to_c.clone(), "a link stands there"),
            (&link, to_c, "a link to something else"),
            (&link, found(b"a", false), "a file in place of a link"),
            (&link, Found::Absent, "deleted"),
            (&plain, Found::Folder, "a folder stands there"),
        ];
        for (what, found, says) in table {
            let told = against(Some(what), &found);
            assert!(told.starts_with(says), "{told}");
        }
    }

    /// A config file is asked for its content and kind alone.
    #[test]
    fn an_execute_bit_is_no_edit() {
        let found = Found::File {
            blake3: Blake3::of(b"a"),
            executable: true,
        };
        let what = file(b"a", 0o644);
        assert!(holds(&found, &what) && !is_as(&found, &what));
        assert!(!holds(&Found::Absent, &what));
    }
}
