//! Of many files, the one patch that is for this node and whose snapshot is open here.
//!
//! Only statements are read, one at a time; nothing is believed that decides more than which file
//! is opened. The one that is taken goes the whole way of a patch that was named by itself.

mod judge;
mod refused;
mod sets;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::Node;
use super::claim::Claimed;
use super::{Outcome, Request, apply, decided, typed};
use crate::disk::medium::{Lying, Medium, PassedOver};
use crate::disk::volumes::Volumes;
use crate::model::site::Signer;
use crate::model::text::{Escaped, Shown, path_as_text};
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};
use crate::plan::claim::NodeFacts;
use crate::spr::SprError;
use judge::{Fitting, Nearness, Unfit, judge};
use sets::Incomplete;

/// What became of the files: the one that was applied, and those that were not taken.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// The file that was read, where there was a choice; of volumes, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What it did.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The files that were not taken, and why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_taken: Vec<NotTaken>,
    /// Files that hold the same as those that were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.outcome.fmt(f)
    }
}

/// A file that is not for this node, or not for it now.
#[derive(Debug, Clone, Serialize)]
pub struct NotTaken {
    /// Which file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// The refusal that it would end in.
    pub refusal: RefusalName,
    /// Why, in a few words.
    pub reason: String,
}

/// Applies the one patch among `places`; `request` says all but the file. One file alone is taken as
/// what it is.
pub fn run(
    places: &[PathBuf],
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Chosen, Refusal> {
    if let [file] = places
        && !file.is_dir()
    {
        let request = Request {
            file: file.clone(),
            ..request.clone()
        };
        return Ok(Chosen {
            file: None,
            outcome: super::run(&request, now, watch)?,
            not_taken: Vec::new(),
            copies: Vec::new(),
        });
    }
    Node::check_operator(&request.root, &typed(places, request.dry_run))?;
    let node = Node::open(&request.root)?;
    watch.say(&node.header());
    let asked = Asked {
        places,
        dry_run: request.dry_run,
    };
    let mut sorted = Sorted::of(&node, asked, now, watch)?;
    let Fitting { volumes, .. } = sorted.the_one(&node, asked)?;
    let not_taken = sorted.not_taken();
    for other in &not_taken {
        watch.say(&format!("not taken  {}", other.line()));
    }
    let mut files = Vec::new();
    for (index, file) in volumes.every() {
        if volumes
            .files(index)
            .first()
            .is_none_or(|first| first != file)
        {
            watch.say(&format!("copy       {}", copy(&volumes, index, file)));
        }
        files.push(file.to_owned());
    }
    let taken = files.first().cloned().unwrap_or_default();
    let request = Request {
        file: taken.clone(),
        ..request.clone()
    };
    let outcome = apply(Claimed::among(&taken, volumes)?, node, &request, now, watch)?;
    files.retain(|file| !outcome.read.contains(file));
    let text = |file: &PathBuf| file.to_string_lossy().into_owned();
    Ok(Chosen {
        file: outcome.read.first().map(text),
        copies: files.iter().map(text).collect(),
        outcome,
        not_taken,
    })
}

/// What a file is that there are two of.
fn copy(volumes: &Volumes, index: usize, file: &Path) -> String {
    match volumes.count() {
        1 => format!("{}: another copy of the same patch", Shown(file)),
        _ => format!("{}: another copy of {}", Shown(file), volumes.called(index)),
    }
}

impl NotTaken {
    fn line(&self) -> String {
        format!("{}: {}", Shown(&self.file), Escaped(&self.reason))
    }
}

/// What was asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    places: &'a [PathBuf],
    dry_run: bool,
}

#[derive(Default)]
struct Sorted {
    medium: Medium,
    passed_over: PassedOver,
    fitting: Vec<Fitting>,
    /// Patches that would be taken, if all of their volumes were there.
    incomplete: Vec<Incomplete>,
    not_taken: Vec<(Nearness, NotTaken)>,
    nearest: Option<(Nearness, Refusal)>,
}

impl Sorted {
    fn of(node: &Node, asked: Asked<'_>, now: Time, watch: &dyn Watch) -> Result<Self, Refusal> {
        let mut sorted = Self {
            medium: Medium::look(asked.places)?,
            ..Self::default()
        };
        let key = node.public_key()?;
        let deeds = decided::deeds(node)?;
        let facts = NodeFacts {
            environment: node.environment(),
            name: node.name(),
            key: &key,
            components: &[],
            challenges: &node.state().challenges,
            deeds: &deeds,
            sequence: node.state().sequence,
            memory: 0,
            now,
        };
        let preparers = &node.site().preparers;
        for lying in std::mem::take(&mut sorted.medium.files) {
            watch.go_on()?;
            sorted.sort(lying, &facts, preparers)?;
        }
        sorted.complete(asked, watch)?;
        sorted.prefer();
        Ok(sorted)
    }

    fn sort(
        &mut self,
        lying: Lying,
        facts: &NodeFacts<'_>,
        preparers: &[Signer],
    ) -> Result<(), Refusal> {
        let Lying { path, named, kind } = lying;
        match kind {
            Ok(Kind::Patch) => {
                match judge(&path, facts, preparers) {
                    Ok((index, fitting)) => self.fit(&path, index, fitting),
                    Err(unfit) => self.leave(&path, *unfit),
                }
                Ok(())
            }
            Ok(found) => {
                let error = SprError::Kind {
                    wanted: Kind::Patch,
                    found,
                };
                self.pass_over(&path, named, Some(found), &error)
            }
            Err(error @ SprError::Foreign(_)) => self.pass_over(&path, named, None, &error),
            Err(error) => {
                self.leave(&path, *Unfit::unreadable(error.refuse(&path)));
                Ok(())
            }
        }
    }

    /// A file of another kind: refused where it was named itself, and counted in a folder.
    fn pass_over(
        &mut self,
        path: &Path,
        named: bool,
        kind: Option<Kind>,
        error: &SprError,
    ) -> Result<(), Refusal> {
        let refusal = error.refuse(path);
        if named {
            return Err(refusal);
        }
        self.passed_over.count(kind);
        let reason = kind.map_or("not a file of lockstep".to_owned(), |kind| {
            format!("not a patch: its kind is {kind}")
        });
        let near = Nearness::NoPatch;
        self.leave(
            path,
            Unfit {
                near,
                refusal,
                reason,
            },
        );
        Ok(())
    }

    /// Of two copies of one file, the one named as patches are comes first: approvals lie beside that
    /// one. The other is read where the first is damaged. Files that state other signatures are no copies,
    /// nor volumes of one set: which signatures are the right ones is not for the first of them to say.
    fn fit(&mut self, path: &Path, index: usize, mut one: Fitting) {
        let plain = |path: &Path| path.to_string_lossy().ends_with(".patch.spr");
        let mut fitting = self.fitting.iter_mut();
        let Some(known) = fitting.find(|known| known.volumes.is_of(&one.volumes)) else {
            one.volumes.put(index, path, false);
            self.fitting.push(one);
            return;
        };
        let first = known.volumes.files(index).first();
        let preferred = first.is_some_and(|first| plain(path) && !plain(first));
        known.volumes.put(index, path, preferred);
    }

    fn leave(&mut self, path: &Path, unfit: Unfit) {
        let not_taken = NotTaken {
            file: path.to_owned(),
            refusal: unfit.refusal.name,
            reason: unfit.reason,
        };
        self.not_taken.push((unfit.near, not_taken));
        if self
            .nearest
            .as_ref()
            .is_none_or(|(near, _)| unfit.near > *near)
        {
            self.nearest = Some((unfit.near, unfit.refusal));
        }
    }

    /// The nearest first: what others brought along is of the least interest.
    fn not_taken(&mut self) -> Vec<NotTaken> {
        self.not_taken.sort_by_key(|(near, _)| Reverse(*near));
        let not_taken = std::mem::take(&mut self.not_taken);
        not_taken.into_iter().map(|(_, other)| other).collect()
    }

    fn the_one(&mut self, node: &Node, asked: Asked<'_>) -> Result<Fitting, Refusal> {
        let alone = self.incomplete.is_empty() && self.fitting.len() == 1;
        match self.fitting.pop() {
            Some(one) if alone => Ok(one),
            Some(one) => {
                self.fitting.push(one);
                Err(self.several(asked))
            }
            None => Err(self.lacking().unwrap_or_else(|| self.none(node))),
        }
    }
}
