//! What is said where none of the files can be applied, or more than one.

use std::path::Path;

use super::super::super::Node;
use super::super::typed;
use super::judge::{Fitting, Nearness};
use super::sets::Incomplete;
use super::{Asked, NotTaken, Sorted};
use crate::model::text::Shown;
use crate::model::{Refusal, RefusalName};

/// Most files of which a refusal tells one by one.
const TOLD_MAX: usize = 40;

impl Sorted {
    /// Which volumes are missing of the newest patch that fits, and what else lies there.
    pub(super) fn lacking(&mut self) -> Option<Refusal> {
        self.incomplete.sort_by_key(Incomplete::rank);
        let Incomplete { one, refusal } = self.incomplete.pop()?;
        self.leave_incomplete(one.volumes.patch());
        let line = |refusal: Refusal, other: NotTaken| refusal.value("not taken", other.line());
        let others = self.not_taken().into_iter().take(TOLD_MAX);
        Some(others.fold(refusal, line))
    }

    pub(super) fn none(&mut self, node: &Node) -> Refusal {
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

    /// All patches that fit, and of those that are not whole, what is missing: the newest may be among
    /// them, and with an older one applied it would not fit any more.
    pub(super) fn several(&self, asked: Asked<'_>) -> Refusal {
        let whole = self.fitting.iter().map(|one| (one, None));
        let incomplete = self.incomplete.iter();
        let incomplete = incomplete.map(|set| (&set.one, Some(&set.refusal)));
        let mut fitting: Vec<(&Fitting, Option<&Refusal>)> = whole.chain(incomplete).collect();
        fitting.sort_by_key(|(one, lacks)| (one.sequence, one.created, lacks.is_none()));
        let mut refusal = Refusal::new(
            RefusalName::Usage,
            "several patches fit this node, and only one can be applied",
        );
        for (one, lacks) in &fitting {
            let lacks = lacks.map_or(String::new(), |lacks| format!("; {}", lacks.what));
            refusal = refusal.value(
                "fits",
                format!(
                    "{}: made {} for the snapshot of sequence {}{lacks}",
                    Shown(one.path()),
                    one.created,
                    one.sequence
                ),
            );
        }
        let newest = fitting.last().map(|(one, _)| one.path());
        let newest = newest.unwrap_or(Path::new("PATCH.spr")).to_owned();
        refusal.next(format!(
            "choose one, such as the newest: lockstep {}",
            typed(&[newest], asked.dry_run)
        ))
    }
}
