//! A way back that was found: what the commit of a rollback says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Node;
use super::super::change::{After, Decided};
use super::super::generations::{self, Generation};
use super::super::node::read_recipe;
use super::super::statement::{Deed, NextState, Times};
use super::super::survey::Survey;
use super::Request;
use crate::disk::DiskError;
use crate::disk::kept::KeptChanges;
use crate::disk::operator;
use crate::model::patch::Accepted;
use crate::model::receipt::Action;
use crate::model::recipe::{FileContent, What};
use crate::model::site::DriftRule;
use crate::model::snapshot::Installed;
use crate::model::{Refusal, RefusalName, Sha256, Time, TreePath};
use crate::plan::change::components as component_changes;
use crate::plan::content::pristine;
use crate::plan::resolve::unsatisfiable;
use crate::plan::way_back::{Kept, WayBack};
use crate::plan::work::{Ground as _, Work};
use crate::plan::{Component, one_way};

/// A way back, with the places where its contents lie.
pub(super) struct Back {
    /// What is to be done.
    pub(super) way: WayBack,
    /// The generation that comes back.
    pub(super) generation: u64,
    /// What it held.
    pub(super) installed: Vec<Installed>,
    /// What later changes displaced.
    pub(super) kept: KeptChanges,
    accepted: Vec<Accepted>,
    one_way: Option<String>,
}

/// From where a content is copied.
pub(super) enum Source {
    Kept(Kept),
    Installed(TreePath),
}

/// What an earlier generation held, by its signed snapshot, with the recipes.
pub(super) fn past(node: &Node, generation: &Generation) -> Result<Vec<Component>, Refusal> {
    generations::snapshot(node, generation.sequence)?
        .components
        .iter()
        .map(|installed| {
            let file = node.store.recipe(&installed.recipe)?;
            let recipe = read_recipe(file).map_err(|e| e.refuse(&node.root().state_folder()))?;
            Ok(Component {
                installed: installed.clone(),
                recipe: Arc::new(recipe),
            })
        })
        .collect()
}

impl Back {
    /// Finds the way to `target`.
    pub(super) fn find(
        node: &Node,
        all: &[Generation],
        target: &Generation,
        past: &[Component],
        survey: &Survey<'_>,
        request: &Request,
    ) -> Result<Self, Refusal> {
        // Forward again to what is one-way.
        let one_way = one_way(node.installed(), past);
        let journals = generations::journals_after(node, all, target.sequence)?;
        let mut way = WayBack::find(&survey.tree, past, &journals)
            .map_err(|faults| unsatisfiable(&faults))?;
        let kept = KeptChanges::open(node.root(), &journals)?;
        for back in way.returning().to_vec() {
            if !kept.is_as(&back)? {
                let what = kept.what(back.kept, &back.mark).map_err(spoiled)?;
                way.put(&back.path, what);
            }
        }
        Ok(Self {
            way,
            generation: target.sequence,
            installed: past.iter().map(|c| c.installed.clone()).collect(),
            kept,
            accepted: request.accepted.clone(),
            one_way,
        })
    }

    /// What will not be as its recipe has it.
    pub(super) fn after(
        &self,
        survey: &Survey<'_>,
        work: &Work,
        rule: DriftRule,
    ) -> Result<After, Refusal> {
        let moved: BTreeSet<&TreePath> = work.moves.iter().map(|intent| &intent.path).collect();
        let scan = &survey.scan;
        let found = |path: &TreePath| survey.found(path);
        let now = (scan.drift.as_slice(), scan.config.as_slice());
        let (drift, config) = self.way.after(now, &moved, rule, &found)?;
        Ok(After {
            drift,
            config,
            indexed: scan.indexed,
        })
    }

    /// Whether every content is at hand that is to be put somewhere.
    pub(super) fn check_contents(&self, survey: &Survey<'_>, work: &Work) -> Result<(), Refusal> {
        let sources = self.sources(survey, work);
        for put in &work.puts {
            if let What::File(file) = &put.what
                && !sources.contains_key(&file.sha256)
            {
                return Err(Refusal::new(
                    RefusalName::Unsatisfiable,
                    "a content of that generation is neither kept nor installed",
                )
                .value("path", &put.path)
                .value("content", file.sha256)
                .next(
                    "lockstep status --full: was the file changed by hand? then put it back first",
                ));
            }
        }
        Ok(())
    }

    /// From where each content that is wanted is copied.
    pub(super) fn sources(&self, survey: &Survey<'_>, work: &Work) -> BTreeMap<Sha256, Source> {
        let files: Vec<&FileContent> = work
            .puts
            .iter()
            .filter_map(|put| match &put.what {
                What::File(file) => Some(&**file),
                What::Folder { .. } | What::Link { .. } => None,
            })
            .collect();
        let mut sources: BTreeMap<Sha256, Source> = BTreeMap::new();
        let mut others = BTreeSet::new();
        for file in files {
            match self.way.content(file.blake3) {
                Some(kept) => {
                    sources.insert(file.sha256, Source::Kept(kept));
                }
                None => {
                    others.insert(file.sha256);
                }
            }
        }
        let installed = pristine(&survey.tree, &survey.scan.drift, &others);
        sources.extend(
            installed
                .into_iter()
                .map(|(sha256, path)| (sha256, Source::Installed(path))),
        );
        sources
    }
}

/// What was kept is not what it was when it was displaced: a process that had the file open may have
/// written into it since.
pub(super) fn spoiled(error: DiskError) -> Refusal {
    match error {
        DiskError::Content {
            path,
            expected,
            found,
        } => Refusal::new(
            RefusalName::Corrupt,
            "a file that would come back is not what it was when it was displaced",
        )
        .value("file", path.display())
        .value("expected", expected)
        .value("found", found)
        .next("roll back to another generation, or prepare a patch to the release that is wanted"),
        other => other.into(),
    }
}

impl Decided for Back {
    fn one_way(&self) -> Option<String> {
        self.one_way.clone()
    }

    fn next<'a>(&'a self, node: &'a Node, after: &After, work: &Work, now: Time) -> NextState<'a> {
        let state = node.state();
        NextState {
            site: node.site(),
            installed: self.installed.clone(),
            drift: after.drift.clone(),
            config: after.config.clone(),
            indexed: after.indexed,
            floors: state.floors.clone(),
            time_floor: state.time_floor,
            now,
            inventory: None,
            deed: Some(Deed {
                accepted: self.accepted.clone(),
                changes: component_changes(node.installed(), &self.installed),
                files: work.counts,
                kept: work.kept(),
                times: Times::default(),
                restored: Some(self.generation),
                ..Deed::plain(Action::Rollback, operator::User::current().name)
            }),
            only: true,
        }
    }

    fn leaves_something(&self) -> bool {
        !self.installed.is_empty()
    }

    /// No desk foretold it.
    fn foretold(&self) -> Option<Sha256> {
        None
    }

    fn keep_generations(&self, node: &Node) -> u64 {
        node.site().policy.keep_generations
    }

    fn install(&self, _: &Node) -> Result<(), Refusal> {
        Ok(())
    }

    fn keep(&self, _: &Node) -> Result<(), Refusal> {
        Ok(())
    }
}
