//! Whether the patch brings, or the installation has, every content that its recipes need.

use std::collections::BTreeSet;

use super::super::survey::Survey;
use crate::model::patch::{Codec, Operation};
use crate::model::{Refusal, RefusalName, Sha256};
use crate::plan::admit::Admitted;
use crate::plan::content::{check_operations, pristine};

/// The contents that are copied from files that are installed.
pub(super) fn copied(operations: &[Operation]) -> BTreeSet<Sha256> {
    let copies = operations.iter().filter(|op| op.codec == Codec::Copy);
    copies.map(|op| op.content).collect()
}

/// Every content that the recipes need is brought, or copied from a file that is certain.
pub(super) fn check_contents(admitted: &Admitted, survey: &Survey<'_>) -> Result<(), Refusal> {
    let patch = admitted.patch().patch();
    check_operations(&patch.operations, admitted.changes())?;
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
