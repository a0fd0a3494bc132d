//! Recognition: which components lie in an installation that nobody registered, told from what
//! stands at every path.
//!
//! Of each component the version wins that has the most files as its recipe has them, less those
//! that it has not; of equals the newest. What fits at less than half is not there. A hotfix is
//! there only whole, and on the very version that it is made for; a release only with all that it
//! names.
//!
//! A config file that is as its recipe has it speaks for the version, one that is not says nothing: the
//! customer may have changed it. A file that the host keeps
//! private, and that has the right size, is taken to be as its recipe has it; the host, which can
//! look, refuses the patch if it is not.

use std::collections::BTreeMap;

use super::Component;
use super::change::is_as;
use super::tree::{Owned, Tree};
use crate::model::glob::PathGlobs;
use crate::model::inventory::{Inventory, Listed};
use crate::model::recipe::{Recipe, What};
use crate::model::snapshot::{Drift, Found, Installed};
use crate::model::{Name, TreePath};

/// How well a recipe fits what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fit {
    /// Files and links that are as the recipe has them.
    pub same: usize,
    /// Those that are not, or are missing.
    pub other: usize,
    /// Those of them that are missing.
    pub missing: usize,
    /// Those that cannot be told: config files that are there, and private ones.
    pub untold: usize,
}

impl Fit {
    /// Holds a recipe against an inventory.
    #[must_use]
    pub fn of(recipe: &Recipe, inventory: &Inventory) -> Self {
        let mut fit = Self::default();
        let Ok(config) = PathGlobs::new(&recipe.config) else {
            return fit;
        };
        for entry in &recipe.files {
            if matches!(entry.what, What::Folder { .. }) {
                continue;
            }
            let count = match told(inventory, &entry.path, &entry.what) {
                Told::Same => &mut fit.same,
                Told::Untold => &mut fit.untold,
                Told::Other(found) if config.matches(&entry.path) && found != Found::Absent => {
                    &mut fit.untold
                }
                Told::Other(_) | Told::Sealed if config.matches(&entry.path) => continue,
                Told::Other(found) => {
                    let missing = usize::from(found == Found::Absent);
                    fit.missing = fit.missing.saturating_add(missing);
                    &mut fit.other
                }
                Told::Sealed => &mut fit.other,
            };
            *count = count.saturating_add(1);
        }
        fit
    }

    /// Whether the component is there at all: more of it as it should be than not, and something.
    #[must_use]
    pub const fn is_there(self) -> bool {
        self.same >= self.other && self.same > 0
    }

    /// Whether something stands at one of its paths, though perhaps something else.
    #[must_use]
    pub const fn has_traces(self) -> bool {
        self.other > self.missing || self.same.saturating_add(self.untold) > 0
    }

    /// Whether every file that can be told is as the recipe has it.
    #[must_use]
    pub const fn is_exact(self) -> bool {
        self.other == 0
    }

    /// The better of two fits has the greater rank.
    fn rank(self) -> (isize, usize) {
        let difference = isize::try_from(self.same)
            .unwrap_or(isize::MAX)
            .saturating_sub_unsigned(self.other);
        (difference, self.untold)
    }
}

/// A component that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Which one.
    pub component: Component,
    /// How well it fits.
    pub fit: Fit,
}

/// Collects candidates and keeps the best of each component, so that all the recipes of a
/// repository may be held against an inventory one after the other.
#[derive(Debug, Default)]
pub struct Recogniser {
    best: BTreeMap<Name, Recognised>,
    hotfixes: Vec<Recognised>,
    releases: Vec<Component>,
    // What does not fit well enough, though something stands at its paths.
    traces: BTreeMap<Name, (Installed, Fit)>,
}

/// What lies there.
#[derive(Debug, Default)]
pub struct Recognition {
    /// Components, rising by name; releases last, without files.
    pub found: Vec<Recognised>,
    /// What fits, but wants paths of something that fits better, one sentence each.
    pub left_out: Vec<String>,
    /// What does not fit well enough, though something stands at its paths; rising by name.
    pub traces: Vec<(Installed, Fit)>,
}

impl Recogniser {
    /// Holds a candidate against what is there. One that somebody `named` need not fit well, as long
    /// as something stands at its paths.
    pub fn consider(&mut self, component: Component, inventory: &Inventory, named: bool) {
        if component.recipe.is_release() {
            self.releases.push(component);
            return;
        }
        let fit = Fit::of(&component.recipe, inventory);
        let hotfix = !component.recipe.takes.is_empty();
        let fits = fit.is_there() && (fit.is_exact() || !hotfix);
        let enough = fits || (named && fit.has_traces());
        if !enough {
            self.trace(&component, fit);
            return;
        }
        let new = Recognised { component, fit };
        if hotfix {
            self.hotfixes.push(new);
            return;
        }
        let name = &new.component.installed.name;
        let better = self.best.get(name).is_none_or(|known| {
            let version = |r: &Recognised| r.component.installed.version.clone();
            (fit.rank(), version(&new)) > (known.fit.rank(), version(known))
        });
        if better {
            self.best.insert(name.clone(), new);
        }
    }

    fn trace(&mut self, component: &Component, fit: Fit) {
        let installed = &component.installed;
        let known = self.traces.get(&installed.name);
        let better = known.is_none_or(|(other, known)| {
            (fit.rank(), &installed.version) > (known.rank(), &other.version)
        });
        // A hotfix that is not there leaves no traces of its own: its paths are another's.
        if fit.has_traces() && better && component.recipe.takes.is_empty() {
            self.traces
                .insert(installed.name.clone(), (installed.clone(), fit));
        }
    }

    /// What lies there beside what is `installed` already.
    #[must_use]
    pub fn finish(self, installed: &[Component]) -> Recognition {
        let Self {
            best,
            hotfixes,
            releases,
            traces,
        } = self;
        let mut recognition = Recognition::default();
        let mut found: Vec<Recognised> = best.into_values().collect();
        found.extend(hotfixes);
        found.retain(|r| is_new(installed, &r.component));
        // Hotfixes come behind what they are for; the better fit has its paths first.
        found.sort_by_key(|r| {
            let hotfix = !r.component.recipe.takes.is_empty();
            let version = r.component.installed.version.clone();
            (hotfix, std::cmp::Reverse((r.fit.rank(), version)))
        });
        let mut all: Vec<Component> = installed.to_vec();
        for new in found {
            let known = !is_new(&all, &new.component);
            if known || !takes_what_is_there(&new.component, &all) {
                continue;
            }
            all.push(new.component.clone());
            match Tree::of(&all) {
                Ok(_) => recognition.found.push(new),
                Err(faults) => {
                    all.pop();
                    recognition.left_out.extend(faults.into_iter().take(1));
                }
            }
        }
        recognition
            .found
            .sort_by(|a, b| a.component.installed.name.cmp(&b.component.installed.name));
        recognition.found.extend(whole_releases(&all, releases));
        let known = |name: &Name| all.iter().any(|c| &c.installed.name == name);
        recognition.traces = traces
            .into_iter()
            .filter(|(name, _)| !known(name))
            .map(|(_, trace)| trace)
            .collect();
        recognition
    }
}

fn is_new(installed: &[Component], new: &Component) -> bool {
    !installed
        .iter()
        .any(|known| known.installed.name == new.installed.name)
}

fn takes_what_is_there(new: &Component, all: &[Component]) -> bool {
    new.recipe
        .takes
        .iter()
        .all(|pin| holds(all, &pin.component, &pin.version))
}

fn holds(all: &[Component], name: &Name, version: &crate::model::Version) -> bool {
    all.iter()
        .any(|c| &c.installed.name == name && &c.installed.version == version)
}

/// The newest release of each name whose every component is there.
fn whole_releases(all: &[Component], releases: Vec<Component>) -> Vec<Recognised> {
    let mut newest: BTreeMap<Name, Component> = BTreeMap::new();
    for release in releases.into_iter().filter(|release| is_new(all, release)) {
        let pins = &release.recipe.release;
        let whole = pins
            .iter()
            .all(|pin| holds(all, &pin.component, &pin.version));
        let newer = newest
            .get(&release.installed.name)
            .is_none_or(|known| known.installed.version < release.installed.version);
        if whole && newer {
            newest.insert(release.installed.name.clone(), release);
        }
    }
    newest
        .into_values()
        .map(|component| Recognised {
            component,
            fit: Fit::default(),
        })
        .collect()
}

/// What an inventory holds of a tree: what drifted, what is taken on trust, and what nobody owns.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Owned, non-config paths that are not as their recipe has them, rising by path.
    pub drift: Vec<Drift>,
    /// Files that the host keeps private, taken to be as their recipe has them.
    pub untold: Vec<TreePath>,
    /// Files that the host keeps private and that have another size than their recipe says: what
    /// they are can only be told there.
    pub sealed: Vec<TreePath>,
    /// Files and links that no component owns.
    pub unowned: Vec<(TreePath, u64)>,
}

impl Outlook {
    /// Looks over a tree.
    #[must_use]
    pub fn of(tree: &Tree, inventory: &Inventory) -> Self {
        let mut outlook = Self::default();
        for (path, owned) in tree.paths.iter().filter(|(_, owned)| !owned.config) {
            outlook.owned(path, owned, inventory);
        }
        let nobodys = inventory
            .lines()
            .iter()
            .filter(|line| line.what != Listed::Folder && !tree.paths.contains_key(&line.path));
        outlook.unowned = nobodys
            .map(|line| (line.path.clone(), line.what.size()))
            .collect();
        outlook
    }

    fn owned(&mut self, path: &TreePath, owned: &Owned, inventory: &Inventory) {
        match told(inventory, path, &owned.what) {
            Told::Same => {}
            Told::Untold => self.untold.push(path.clone()),
            Told::Sealed => self.sealed.push(path.clone()),
            Told::Other(found) => self.drift.push(Drift {
                found,
                path: path.clone(),
            }),
        }
    }
}

/// What an inventory tells of an owned path.
enum Told {
    Same,
    Other(Found),
    /// Private, and of the right size.
    Untold,
    /// Private, and of another size, or no file by its recipe.
    Sealed,
}

fn told(inventory: &Inventory, path: &TreePath, what: &What) -> Told {
    match (inventory.found(path), inventory.get(path), what) {
        (Some(found), ..) if is_as(&found, what) => Told::Same,
        (Some(found), ..) => Told::Other(found),
        (None, Some(listed), What::File(file)) if listed.size() == file.size => Told::Untold,
        (None, ..) => Told::Sealed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::inventory::Line;
    use crate::model::recipe::{Entry, FileContent, Hot, Mode, Pin};
    use crate::model::statement::FORMAT;
    use crate::model::{Blake3, Kind, Sha256};

    fn file(text: &str) -> What {
        What::File(Arc::new(FileContent {
            blake3: Blake3::of(text.as_bytes()),
            mode: Mode::from_bits(0o644),
            sha256: Sha256::of(text.as_bytes()),
            size: u64::try_from(text.len()).unwrap(),
            stored_sha256: Sha256::of(b""),
            stored_size: 0,
        }))
    }

    /// `path=content` for each file; a config glob `conf/*`.
    fn component(path: &str, files: &[&str]) -> Component {
        let path: crate::model::RecipePath = path.parse().unwrap();
        let mut entries: Vec<Entry> = files
            .iter()
            .map(|text| text.split_once('=').unwrap())
            .map(|(path, text)| Entry {
                path: path.parse().unwrap(),
                what: file(text),
            })
            .collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let recipe = Recipe {
            config: vec!["conf/*".to_owned()],
            files: entries,
            format: FORMAT,
            hot: Hot::Yes,
            joint: Vec::new(),
            kind: Kind::Recipe,
            licence: None,
            members: Vec::new(),
            name: path.name().clone(),
            notes: None,
            one_way: None,
            release: Vec::new(),
            replaces: Vec::new(),
            requires: Vec::new(),
            takes: Vec::new(),
            version: path.version().clone(),
        };
        let sha256 = Sha256::of(path.as_str().as_bytes());
        Component {
            installed: Installed::new("stibo".parse().unwrap(), path, sha256, false),
            recipe: Arc::new(recipe),
        }
    }

    fn pin(name: &str, version: &str) -> Pin {
        Pin {
            component: name.parse().unwrap(),
            version: version.parse().unwrap(),
        }
    }

    /// `path=content`, or `path!size` for a private file.
    fn inventory(files: &[&str]) -> Inventory {
        let mut lines: Vec<Line> = files
            .iter()
            .map(|text| {
                let (path, rest) = text.split_at(text.find(['=', '!']).unwrap());
                let (mark, text) = rest.split_at(1);
                let what = if mark == "!" {
                    Listed::Config {
                        hmac: Sha256::of(b"secret"),
                        size: text.parse().unwrap(),
                    }
                } else {
                    Listed::File {
                        blake3: Blake3::of(text.as_bytes()),
                        executable: false,
                        size: u64::try_from(text.len()).unwrap(),
                    }
                };
                let path = path.parse().unwrap();
                Line { path, what }
            })
            .collect();
        lines.sort_by(|a, b| a.path.cmp(&b.path));
        let mut inventory = Inventory::default();
        for line in lines {
            inventory.push(line).unwrap();
        }
        inventory
    }

    fn recognise(candidates: &[Component], inventory: &Inventory) -> Vec<(String, Fit)> {
        let mut recogniser = Recogniser::default();
        for candidate in candidates {
            recogniser.consider(candidate.clone(), inventory, false);
        }
        let found = recogniser.finish(&[]).found;
        found
            .iter()
            .map(|r| {
                let i = &r.component.installed;
                (format!("{} {}", i.name, i.version), r.fit)
            })
            .collect()
    }

    fn names(found: &[(String, Fit)]) -> Vec<&str> {
        found.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_version_that_fits_best() {
        let candidates = [
            component("core/9.0/core-9.0.0", &["lib/a=1", "lib/b=1", "conf/c=1"]),
            component("core/9.1/core-9.1.0", &["lib/a=2", "lib/b=1", "lib/d=1"]),
            component("restapi/7.0/restapi-7.0.40", &["api/r=40", "api/s=40"]),
        ];
        for (there, wanted, exact) in [
            (
                &["lib/a=1", "lib/b=1", "conf/c=mine"][..],
                &["core 9.0.0"][..],
                true,
            ),
            (
                &["lib/a=2", "lib/b=1", "lib/d=1"][..],
                &["core 9.1.0"][..],
                true,
            ),
            (
                &["lib/a=2", "lib/b=1", "lib/d=x"][..],
                &["core 9.1.0"][..],
                false,
            ),
            (
                &["lib/a=1", "lib/b=1", "api/r=40"][..],
                &["core 9.0.0", "restapi 7.0.40"][..],
                false,
            ),
            (&["other=1"][..], &[][..], true),
        ] {
            let found = recognise(&candidates, &inventory(there));
            assert_eq!(names(&found), wanted, "{there:?}");
            assert_eq!(
                found.iter().all(|(_, fit)| fit.is_exact()),
                exact,
                "{there:?}"
            );
        }
    }

    #[test]
    fn a_hotfix_lies_on_its_own_version_alone() {
        let core = component("core/9.0/core-9.0.0", &["lib/a=1", "lib/b=1", "lib/c=1"]);
        let mut hotfix = component("hotfix/core/hf-17", &["lib/a=fixed"]);
        Arc::get_mut(&mut hotfix.recipe).unwrap().takes = vec![pin("core", "9.0.0")];
        let mut other = component("hotfix/core/hf-18", &["lib/a=fixed"]);
        Arc::get_mut(&mut other.recipe).unwrap().takes = vec![pin("core", "9.9.0")];
        let there = inventory(&["lib/a=fixed", "lib/b=1", "lib/c=1"]);
        let all = [other, hotfix.clone(), core.clone()];
        assert_eq!(names(&recognise(&all, &there)), ["core 9.0.0", "hf-17 1"]);
        let tree = Tree::of(&[core, hotfix]).unwrap();
        assert_eq!(Outlook::of(&tree, &there), Outlook::default());
    }

    #[test]
    fn a_release_is_there_with_all_it_names() {
        let core = component("core/9.0/core-9.0.0", &["lib/a=1"]);
        let mut release = component("step/9/step-9.0-mp4", &[]);
        Arc::get_mut(&mut release.recipe).unwrap().release = vec![pin("core", "9.0.0")];
        let mut newer = component("step/9/step-9.0-mp5", &[]);
        Arc::get_mut(&mut newer.recipe).unwrap().release =
            vec![pin("core", "9.0.0"), pin("restapi", "7")];
        let all = [newer, release, core];
        let found = recognise(&all, &inventory(&["lib/a=1"]));
        assert_eq!(names(&found), ["core 9.0.0", "step 9.0-mp4"]);
    }

    #[test]
    fn who_fits_better_has_the_path() {
        let a = component("aa/1/aa-1", &["lib/x=1", "lib/y=1"]);
        let b = component("bb/1/bb-1", &["lib/x=1"]);
        let mut recogniser = Recogniser::default();
        let there = inventory(&["lib/x=1", "lib/y=1"]);
        for candidate in [b, a] {
            recogniser.consider(candidate, &there, false);
        }
        let recognition = recogniser.finish(&[]);
        assert_eq!(recognition.found.len(), 1);
        assert!(recognition.left_out[0].contains("lib/x"), "{recognition:?}");
    }

    #[test]
    fn what_fits_badly_leaves_traces_and_may_be_named() {
        let core = component("core/9.0/core-9.0.0", &["lib/a=1", "lib/b=1"]);
        let gone = component("gone/1/gone-1", &["gone/a=1"]);
        let there = inventory(&["lib/a=x", "lib/b=y"]);
        for (named, found, traces) in [(false, 0, 1), (true, 1, 0)] {
            let mut recogniser = Recogniser::default();
            for candidate in [&core, &gone] {
                recogniser.consider(candidate.clone(), &there, named);
            }
            let recognition = recogniser.finish(&[]);
            assert_eq!(recognition.found.len(), found, "{named}");
            assert_eq!(recognition.traces.len(), traces, "{named}");
        }
    }

    #[test]
    fn drift_private_files_and_what_nobody_owns() {
        let core = component(
            "core/9.0/core-9.0.0",
            &[
                "lib/a=1", "lib/b=1", "lib/c=1", "lib/p=12", "lib/q=12", "conf/c=1",
            ],
        );
        let there = inventory(&[
            "lib/a=1", "lib/b=x", "lib/p!2", "lib/q!3", "conf/c!9", "log=1",
        ]);
        let outlook = Outlook::of(&Tree::of(&[core]).unwrap(), &there);
        let path = |text: &str| -> TreePath { text.parse().unwrap() };
        let drifted: Vec<&str> = outlook.drift.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(drifted, ["lib/b", "lib/c"]);
        assert_eq!(outlook.drift[1].found, Found::Absent);
        assert_eq!(outlook.untold, [path("lib/p")]);
        assert_eq!(outlook.sealed, [path("lib/q")]);
        assert_eq!(outlook.unowned, [(path("log"), 1)]);
    }
}
