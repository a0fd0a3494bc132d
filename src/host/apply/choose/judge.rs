//! One patch file, by its statement alone: would it be taken here, and if not, why not?
//!
//! Nothing is believed that decides more than which file is opened next: whoever writes a statement
//! of a stranger's only has that file refused by what verifies it whole.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::disk::DiskError;
use crate::model::patch::Patch;
use crate::model::{Member, Name, Refusal, RefusalName, Sha256, Time};
use crate::plan::claim::{NodeFacts, check_claim, check_identity};
use crate::spr::{Opened, RawStatement};
use crate::trust::verified::check_intact;

/// A patch that would be taken.
pub(super) struct Fitting {
    pub(super) path: PathBuf,
    pub(super) patch: Sha256,
    pub(super) sequence: u64,
    pub(super) created: Time,
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

/// Judges the patch file at `path`.
pub(super) fn judge(path: &Path, facts: &NodeFacts<'_>) -> Result<Fitting, Box<Unfit>> {
    let (raw, patch, size) = statement(path).map_err(Unfit::unreadable)?;
    check_place(&patch, facts)?;
    let own = patch.nodes.iter().find(|node| &node.name == facts.name);
    let sequence = own.map_or(0, |node| node.sequence);
    // Whether it is intact comes before whether it is open, so that damage is not taken for age.
    let open = check_intact::<Patch>(&raw)
        .map_err(Refusal::from)
        .and_then(|()| check_claim(&patch, raw.sha256(), facts).map(drop))
        .and_then(|()| check_whole(path, &raw, &patch, size));
    match open {
        Ok(()) => Ok(Fitting {
            path: path.to_owned(),
            patch: raw.sha256(),
            sequence,
            created: patch.created,
        }),
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

/// The statement of a patch file, and how long the file is.
fn statement(path: &Path) -> Result<(RawStatement, Patch, u64), Refusal> {
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    let size = file.metadata().map_err(DiskError::io("read", path))?.len();
    let opened = Opened::open(BufReader::new(file)).map_err(|e| e.refuse(path))?;
    let patch = opened.decode().map_err(|e| e.refuse(path))?;
    Ok((opened.into_raw(), patch, size))
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

/// A head holds no contents, and a file that was cut short not all of them.
fn check_whole(path: &Path, raw: &RawStatement, patch: &Patch, size: u64) -> Result<(), Refusal> {
    let whole = raw.file_size(patch.members.iter());
    if size >= whole {
        return Ok(());
    }
    let small = |member: &&Member| !member.name.starts_with("packs/");
    let what = if size == raw.file_size(patch.members.iter().filter(small)) {
        "the head of a patch, without its contents"
    } else {
        "the file is cut short"
    };
    Err(Refusal::new(RefusalName::Incomplete, what)
        .value("file", path.display())
        .value("has", format!("{size} bytes"))
        .value("patch has", format!("{whole} bytes"))
        .next("copy the whole .patch.spr file again, and compare its sha256sum on both sides"))
}
