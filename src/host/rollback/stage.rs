//! Staging of a way back: every file that comes back is copied beside the tree and checked by both
//! digests; what is kept stays as it is, for another way back.

use std::collections::BTreeMap;

use super::super::Node;
use super::super::change::{After, Staged};
use super::super::survey::Survey;
use super::back::{Back, Source, spoiled};
use crate::disk::DiskError;
use crate::disk::mounts::Layout;
use crate::disk::root::Spot;
use crate::disk::stage::Stage;
use crate::disk::stages::Stages;
use crate::model::recipe::{Mode, What};
use crate::model::{Refusal, RefusalName, Sha256, Watch};
use crate::plan::recovery::Mark;
use crate::plan::slots::Slots;
use crate::plan::work::{Put, Work};

/// Stages the work.
pub(super) fn stage(
    node: &Node,
    back: Back,
    survey: &Survey<'_>,
    (work, layout, after): (Work, Layout, After),
    watch: &dyn Watch,
) -> Result<Staged<Back>, Refusal> {
    let sequence = node.state().sequence.saturating_add(1);
    let own = Stage::create(node.root(), sequence)?;
    let stages = Stages::create(node.root(), own, layout.points(), sequence)?;
    let (total, _) = work.space();
    let hand = Hand {
        node,
        watch,
        back: &back,
        sources: back.sources(survey, &work),
    };
    let mut slots = Slots::of(work.puts.len());
    let mut done = 0_u64;
    for (slot, put) in (0_u64..).zip(&work.puts) {
        let stage = stages.of(layout.area(&put.path))?;
        watch.go_on()?;
        slots.fill(slot, hand.make(stage, slot, put)?);
        if let What::File(file) = &put.what {
            done = done.saturating_add(file.size);
            watch.progress("staging", done, total);
        }
    }
    stages.settle()?;
    Ok(Staged {
        decided: back,
        work,
        layout,
        slots,
        after,
    })
}

/// An error about a content names the file that it was read from.
fn of_source(error: DiskError, from: &Spot) -> Refusal {
    match error {
        DiskError::Content {
            expected, found, ..
        } => spoiled(DiskError::Content {
            path: from.path.clone(),
            expected,
            found,
        }),
        other => other.into(),
    }
}

struct Hand<'a> {
    node: &'a Node,
    watch: &'a dyn Watch,
    back: &'a Back,
    sources: BTreeMap<Sha256, Source>,
}

impl Hand<'_> {
    fn make(&self, stage: &Stage, slot: u64, put: &Put) -> Result<Mark, Refusal> {
        let root = self.node.root();
        let (mark, mode) = match &put.what {
            What::File(file) => {
                let from = match self.sources.get(&file.sha256) {
                    Some(Source::Kept(kept)) => self.back.kept.spot(*kept)?,
                    Some(Source::Installed(path)) => root.spot(path)?,
                    None => {
                        return Err(Refusal::new(
                            RefusalName::Internal,
                            format!("nothing holds what belongs at {}", put.path),
                        ));
                    }
                };
                let copied = stage.copy(slot, &from, &file.id(), file.mode, self.watch);
                (copied.map_err(|error| of_source(error, &from))?, file.mode)
            }
            What::Link { target } => (stage.link(slot, target)?, Mode::from_bits(0o777)),
            What::Folder { mode } => (stage.folder(slot, *mode)?, *mode),
        };
        match (&put.what, self.back.way.slot(&put.path)) {
            // Nothing stands there now that it could take owner and rights from.
            (What::File(_), Some(kept)) if !put.replaces => {
                stage.adopt_kept(slot, self.back.kept.spot(kept)?, mode)?;
            }
            _ => stage.adopt(slot, root, &put.path, mode)?,
        }
        Ok(mark)
    }
}
