//! One patch file, by its statement alone: would it be taken here, and if not, why not?
//!
//! Nothing is believed that decides more than which file is opened next: whoever writes a statement
//! of a stranger's only has that file refused by what verifies it whole.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::disk::durable;
use crate::disk::volumes::{Volumes, held};
use crate::model::patch::Patch;
use crate::model::site::Signer;
use crate::model::{Name, Refusal, RefusalName, Time};
use crate::plan::claim::{NodeFacts, check_claim, check_identity};
use crate::spr::{Opened, RawStatement, Shares};
use crate::trust::verified::signing_keys;

/// A patch that would be taken, with the files of it that were found.
pub(super) struct Fitting {
    pub(super) volumes: Volumes,
    pub(super) sequence: u64,
    pub(super) created: Time,
    /// Whether it states the signature of a preparer that the site names. That decides between files of
    /// one statement, and nothing else.
    pub(super) trusted: bool,
}

/// How near a file that is not taken comes to being the one: the nearest gives the refusal its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Nearness {
    /// No patch at all.
    NoPatch,
    /// Made for another environment.
    OtherEnvironment,
    /// Made for another node of this one.
    OtherNode,
    /// Nobody can say whose it is.
    Unreadable,
    /// Made for this node, by sequence number and day: the newest tells how things stand.
    Own(u64, Time),
}

/// Why a file is not taken.
pub(super) struct Unfit {
    pub(super) near: Nearness,
    pub(super) refusal: Refusal,
    /// The same in a few words.
    pub(super) reason: String,
}

impl Unfit {
    pub(super) fn unreadable(refusal: Refusal) -> Box<Self> {
        Box::new(Self {
            near: Nearness::Unreadable,
            reason: refusal.what.clone(),
            refusal,
        })
    }
}

impl Fitting {
    pub(super) fn nearness(&self) -> Nearness {
        Nearness::Own(self.sequence, self.created)
    }

    /// The first file of its first volume that there is one of.
    pub(super) fn path(&self) -> &Path {
        let first = self.volumes.firsts().next();
        first.map_or(Path::new(""), |(_, path)| path)
    }
}

/// Judges the patch file at `path`, and says which volume it holds.
pub(super) fn judge(
    path: &Path,
    facts: &NodeFacts<'_>,
    preparers: &[Signer],
) -> Result<(usize, Fitting), Box<Unfit>> {
    let (raw, patch, file) = statement(path).map_err(Unfit::unreadable)?;
    check_place(&patch, facts)?;
    let own = patch.nodes.iter().find(|node| &node.name == facts.name);
    let sequence = own.map_or(0, |node| node.sequence);
    // Whether it is intact comes before whether it is open, so that damage is not taken for age.
    let open = signing_keys::<Patch>(&raw)
        .map_err(Refusal::from)
        .and_then(|keys| {
            check_claim(&patch, raw.sha256(), facts)?;
            Ok((held(&Shares::of(&raw, &patch), path, &file)?, keys))
        });
    match open {
        Ok((index, keys)) => {
            let fitting = Fitting {
                volumes: Volumes::of(&raw, &patch),
                sequence,
                created: patch.created,
                trusted: preparers.iter().any(|signer| keys.contains(&signer.key)),
            };
            Ok((index, fitting))
        }
        Err(refusal) => Err(Box::new(Unfit {
            near: Nearness::Own(sequence, patch.created),
            reason: match refusal.name {
                RefusalName::AlreadyApplied => "applied here already".to_owned(),
                RefusalName::Stale => format!("its snapshot, sequence {sequence}, is closed"),
                _ => refusal.what.clone(),
            },
            refusal,
        })),
    }
}

/// The statement of a patch file, and the file.
fn statement(path: &Path) -> Result<(RawStatement, Patch, File), Refusal> {
    let file = durable::open_plain(path)?;
    let opened = Opened::open(BufReader::new(&file)).map_err(|e| e.refuse(path))?;
    let patch = opened.decode().map_err(|e| e.refuse(path))?;
    Ok((opened.into_raw(), patch, file))
}

fn check_place(patch: &Patch, facts: &NodeFacts<'_>) -> Result<(), Box<Unfit>> {
    let nodes: Vec<Name> = patch.nodes.iter().map(|node| node.name.clone()).collect();
    check_identity(&patch.environment, &nodes, facts.environment, facts.name).map_err(|refusal| {
        let names: Vec<&str> = nodes.iter().map(Name::as_str).collect();
        let (near, reason) = if patch.environment.id == facts.environment.id {
            let reason = format!("for node {} of this environment", names.join(", "));
            (Nearness::OtherNode, reason)
        } else {
            let reason = format!("for environment {}", patch.environment);
            (Nearness::OtherEnvironment, reason)
        };
        Box::new(Unfit {
            near,
            refusal,
            reason,
        })
    })
}
