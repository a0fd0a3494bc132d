//! Of many files, the one patch that is for this node and whose snapshot is open here.
//!
//! Only statements are read, one at a time; nothing is believed that decides more than which file
//! is opened. The one that is taken goes the whole way of a patch that was named by itself.

mod judge;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::Node;
use super::claim::Claimed;
use super::{Outcome, Request, apply, decided, typed};
use crate::disk::medium::{Lying, Medium, PassedOver};
use crate::disk::volumes::other_signatures;
use crate::model::text::{Escaped, Shown, path_as_text};
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};
use crate::plan::claim::NodeFacts;
use crate::spr::SprError;
use judge::{Fitting, Nearness, Unfit, judge};

/// Most files of which a refusal tells one by one.
const TOLD_MAX: usize = 40;

/// What became of the files: the one that was applied, and those that were not taken.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// The file that was taken, where there was a choice; of volumes, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What it did.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The files that were not taken, and why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_taken: Vec<NotTaken>,
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
        });
    }
    Node::check_operator(&request.root, &typed(places, request.dry_run))?;
    let node = Node::open(&request.root)?;
    watch.say(&node.header());
    let mut sorted = Sorted::of(&node, places, now)?;
    let Fitting { volumes, .. } = sorted.the_one(&node, places)?;
    let taken = volumes.firsts().next();
    let taken = taken.map(|(_, file)| file.to_owned()).unwrap_or_default();
    let not_taken = sorted.not_taken();
    if volumes.count() == 1 {
        watch.say(&format!("taken      {}", Shown(&taken)));
    }
    for other in &not_taken {
        watch.say(&format!("not taken  {}", other.line()));
    }
    let request = Request {
        file: taken.clone(),
        ..request.clone()
    };
    let claimed = Claimed::among(&taken, volumes)?;
    Ok(Chosen {
        outcome: apply(claimed, node, &request, now, watch)?,
        file: Some(taken.to_string_lossy().into_owned()),
        not_taken,
    })
}

impl NotTaken {
    fn line(&self) -> String {
        format!("{}: {}", Shown(&self.file), Escaped(&self.reason))
    }
}

/// A patch of which volumes are missing, with the files of it that are there.
struct Incomplete {
    near: Nearness,
    files: Vec<NotTaken>,
    refusal: Refusal,
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
    fn of(node: &Node, places: &[PathBuf], now: Time) -> Result<Self, Refusal> {
        let mut sorted = Self {
            medium: Medium::look(places)?,
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
        for lying in std::mem::take(&mut sorted.medium.files) {
            sorted.sort(lying, &facts)?;
        }
        sorted.complete(places)?;
        Ok(sorted)
    }

    fn sort(&mut self, lying: Lying, facts: &NodeFacts<'_>) -> Result<(), Refusal> {
        let Lying { path, named, kind } = lying;
        match kind {
            Ok(Kind::Patch) => {
                match judge(&path, facts) {
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
    /// one. The other is read where the first is damaged.
    fn fit(&mut self, path: &Path, index: usize, mut one: Fitting) {
        let near = one.nearness();
        let plain = |path: &Path| path.to_string_lossy().ends_with(".patch.spr");
        let patch = one.volumes.patch();
        let mut fitting = self.fitting.iter_mut();
        let Some(known) = fitting.find(|known| known.volumes.patch() == patch) else {
            one.volumes.put(index, path, false);
            self.fitting.push(one);
            return;
        };
        if !known.volumes.is_of(&one.volumes) {
            let refusal = other_signatures(path);
            let reason = refusal.what.clone();
            self.leave(
                path,
                Unfit {
                    near,
                    refusal,
                    reason,
                },
            );
            return;
        }
        let volumes = &mut known.volumes;
        let first = volumes.files(index).first().cloned();
        let preferred = first
            .as_ref()
            .is_some_and(|first| plain(path) && !plain(first));
        volumes.put(index, path, preferred);
        if let Some(first) = first {
            let reason = match volumes.count() {
                1 => "another copy of the same patch".to_owned(),
                _ => format!("another copy of {}", volumes.called(index)),
            };
            let not_taken = NotTaken {
                file: if preferred { first } else { path.to_owned() },
                refusal: RefusalName::Usage,
                reason,
            };
            self.not_taken.push((near, not_taken));
        }
    }

    /// Looks for what is missing of each patch that fits beside what was found of it, and leaves those
    /// that are not whole even so.
    fn complete(&mut self, places: &[PathBuf]) -> Result<(), Refusal> {
        for mut one in std::mem::take(&mut self.fitting) {
            one.volumes.has_looked(places);
            one.volumes.look_beside()?;
            let Err(refusal) = one
                .volumes
                .check(&format!("lockstep {} DIR", typed(places, false)))
            else {
                self.fitting.push(one);
                continue;
            };
            let file = |(index, file): (usize, &Path)| NotTaken {
                file: file.to_owned(),
                refusal: refusal.name,
                reason: format!("{}, and {}", one.volumes.called(index), refusal.what),
            };
            self.incomplete.push(Incomplete {
                near: one.nearness(),
                files: one.volumes.every().map(file).collect(),
                refusal,
            });
        }
        Ok(())
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

    fn the_one(&mut self, node: &Node, places: &[PathBuf]) -> Result<Fitting, Refusal> {
        match (self.fitting.pop(), self.fitting.is_empty()) {
            (Some(one), true) => {
                self.leave_incomplete();
                Ok(one)
            }
            (None, _) => Err(self.lacking().unwrap_or_else(|| self.none(node))),
            (Some(one), false) => {
                self.fitting.push(one);
                Err(self.several(places))
            }
        }
    }

    fn leave_incomplete(&mut self) {
        for Incomplete { near, files, .. } in std::mem::take(&mut self.incomplete) {
            self.not_taken
                .extend(files.into_iter().map(|file| (near, file)));
        }
    }

    /// Which volumes are missing of the newest patch that fits, and what else lies there.
    fn lacking(&mut self) -> Option<Refusal> {
        self.incomplete.sort_by_key(|one| one.near);
        let Incomplete { refusal, .. } = self.incomplete.pop()?;
        self.leave_incomplete();
        let line = |refusal: Refusal, other: NotTaken| refusal.value("not taken", other.line());
        let others = self.not_taken().into_iter().take(TOLD_MAX);
        Some(others.fold(refusal, line))
    }

    fn none(&mut self, node: &Node) -> Refusal {
        let Some((near, nearest)) = self
            .nearest
            .take()
            .filter(|(near, _)| *near > Nearness::NoPatch)
        else {
            return self
                .medium
                .nothing("patch", &self.passed_over)
                .next("name the patch file, or the folder it lies in: lockstep apply /media/usb");
        };
        let mut refusal = Refusal::new(nearest.name, "none of the files is for this node now");
        refusal = refusal.value(
            "this is",
            format!("{}, node {}", node.environment(), node.name()),
        );
        let not_taken = self.not_taken();
        for other in not_taken.iter().take(TOLD_MAX) {
            refusal = refusal.value("not taken", other.line());
        }
        let more = not_taken.len().saturating_sub(TOLD_MAX);
        if more > 0 {
            refusal = refusal.value("not taken", format!("{more} more"));
        }
        refusal.next(match near {
            Nearness::OtherEnvironment => format!(
                "look for the file made for {}: lockstep apply {}-NNNN.patch.spr",
                node.environment().name,
                node.environment().name
            ),
            _ => nearest.next,
        })
    }

    fn several(&self, places: &[PathBuf]) -> Refusal {
        let mut fitting: Vec<&Fitting> = self.fitting.iter().collect();
        fitting.sort_by_key(|one| (one.sequence, one.created));
        let mut refusal = Refusal::new(
            RefusalName::Usage,
            "several patches fit this node, and only one can be applied",
        );
        for one in &fitting {
            refusal = refusal.value(
                "fits",
                format!(
                    "{}: made {} for the snapshot of sequence {}",
                    Shown(one.path()),
                    one.created,
                    one.sequence
                ),
            );
        }
        let newest = fitting.last().map(|one| one.path());
        let newest = newest.or_else(|| places.first().map(PathBuf::as_path));
        refusal.next(format!(
            "choose one, such as the newest: lockstep apply {}",
            newest.unwrap_or(Path::new("PATCH.spr")).display()
        ))
    }
}
