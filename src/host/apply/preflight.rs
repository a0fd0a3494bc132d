//! What can be known before anything is staged: room, rights, mounts, and that the patch brings what
//! its recipes need. A dry run asks the same; what it asks with files of its own, it removes.

use std::collections::BTreeSet;

use super::super::Node;
use super::super::survey::Survey;
use super::space;
use crate::disk::mounts::{self, Layout};
use crate::disk::operator::User;
use crate::disk::space::{Room, check as check_space};
use crate::disk::{DiskError, MountError, probe, rights};
use crate::model::patch::{Codec, Operation};
use crate::model::{Refusal, RefusalName, Sha256};
use crate::plan::admit::Admitted;
use crate::plan::content::{needed, pristine};
use crate::plan::work::{Intent, Turn, Work};

/// Checks all of it, and says on which mount each path lies. `coming` is what the packs take that
/// are yet to be copied.
pub(super) fn check(
    node: &Node,
    admitted: &Admitted,
    survey: &Survey<'_>,
    work: &Work,
    coming: Room,
) -> Result<Layout, Refusal> {
    let root = node.root();
    for intent in &work.moves {
        check_mounted_file(node, intent)?;
    }
    let layout = Layout::of(root, work.moves.iter().map(|intent| &intent.path))?;
    rights::check(root, work, &layout)?;
    check_space(root, &space::needs(work, &layout, coming))?;
    check_contents(admitted, survey)?;
    // The last, because it writes; as another user it would leave files that are not the operator's.
    if User::current().uid == User::operator(root)?.uid {
        probe::check(root, layout.points())?;
    }
    Ok(layout)
}

/// What is mounted on the path itself cannot be moved. A folder is not planned to go then.
fn check_mounted_file(node: &Node, intent: &Intent) -> Result<(), Refusal> {
    if intent.turn == Turn::Place || !mounts::is_point(node.root(), &intent.path)? {
        return Ok(());
    }
    let path = node.root().absolute(&intent.path);
    let turn = match intent.turn {
        Turn::Remove => "removes it",
        Turn::Exchange | Turn::Place => "puts another file in its place",
    };
    let kind = mounts::describe(&path);
    Err(DiskError::from(MountError::MountedFile { path, kind, turn }).into())
}

/// The contents that are copied from files that are installed.
pub(super) fn copied(operations: &[Operation]) -> BTreeSet<Sha256> {
    let copies = operations.iter().filter(|op| op.codec == Codec::Copy);
    copies.map(|op| op.content).collect()
}

/// Every content that the recipes need is brought, or copied from a file that is certain.
fn check_contents(admitted: &Admitted, survey: &Survey<'_>) -> Result<(), Refusal> {
    let patch = admitted.patch().patch();
    let brought: BTreeSet<Sha256> = patch.operations.iter().map(|op| op.content).collect();
    let missing = needed(admitted.changes())
        .into_iter()
        .find(|(_, f)| !brought.contains(&f.sha256));
    if let Some((path, file)) = missing {
        return Err(Refusal::new(
            RefusalName::Corrupt,
            "the patch does not bring a content that its recipes need",
        )
        .value("needed for", path)
        .value("content", file.sha256)
        .next("prepare the patch again: lockstep prepare"));
    }
    let copied = copied(&patch.operations);
    let bases = pristine(&survey.tree, &survey.scan.drift, &copied);
    let copies = patch.operations.iter().filter(|op| op.codec == Codec::Copy);
    for operation in copies {
        if !bases.contains_key(&operation.content) {
            return Err(Refusal::new(
                RefusalName::Corrupt,
                "the patch copies from a content that no pristine file has",
            )
            .value("content", operation.content)
            .value("installed", "nowhere")
            .next("prepare the patch again: lockstep prepare"));
        }
    }
    Ok(())
}
