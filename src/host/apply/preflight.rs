//! What can be known before anything is staged: room, rights, mounts, and that the patch brings what
//! its recipes need. A dry run asks the same.

use std::collections::BTreeSet;

use super::super::Node;
use super::super::survey::Survey;
use crate::disk::rights;
use crate::model::patch::Codec;
use crate::model::{Refusal, RefusalName, Sha256};
use crate::plan::admit::Admitted;
use crate::plan::content::{needed, pristine};
use crate::plan::work::Work;

/// Bytes that journal, receipt, state and recipes may take besides the files themselves.
const OWN_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a journal entry, with room to spare.
const ENTRY_BYTES: u64 = 512;
/// Bytes by which a file may take more than its content: a block of the file system.
const BLOCK_BYTES: u64 = 4_096;
/// Inodes that the node's own state may take.
const OWN_INODES: u64 = 64;

/// Checks all of it.
pub(super) fn check(
    node: &Node,
    admitted: &Admitted,
    survey: &Survey<'_>,
    work: &Work,
) -> Result<(), Refusal> {
    let (content, slots) = work.space();
    let moves = u64::try_from(work.moves.len()).unwrap_or(u64::MAX);
    let bytes = content
        .saturating_add(slots.saturating_mul(BLOCK_BYTES))
        .saturating_add(moves.saturating_mul(ENTRY_BYTES))
        .saturating_add(OWN_BYTES);
    rights::check_space(node.root(), bytes, slots.saturating_add(OWN_INODES))?;
    let mut folders = BTreeSet::new();
    for intent in &work.moves {
        if folders.insert(intent.path.parent()) {
            node.root().check_mount(&intent.path)?;
        }
    }
    rights::check(node.root(), work)?;
    check_contents(admitted, survey)
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
    let bases = pristine(&survey.tree, &survey.scan.drift);
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
