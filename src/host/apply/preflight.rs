//! Whether the patch brings, or the installation has, every content that its recipes need.

use std::collections::BTreeSet;

use super::super::survey::Survey;
use crate::model::operation::{Codec, Operation};
use crate::model::{Refusal, RefusalName, Sha256};
use crate::plan::admit::Admitted;
use crate::plan::content::{check_operations, pristine};

/// The installed contents that others are copied or made from.
pub(super) fn bases(operations: &[Operation]) -> BTreeSet<Sha256> {
    operations.iter().filter_map(|op| op.base).collect()
}

/// Every content that the recipes need is brought, or comes of a file that is certain.
pub(super) fn check_contents(admitted: &Admitted, survey: &Survey<'_>) -> Result<(), Refusal> {
    let operations = admitted.patch().operations();
    check_operations(operations, admitted.changes())?;
    let here = pristine(&survey.tree, &survey.scan.drift, &bases(operations));
    let lacks = |op: &&Operation| op.base.is_some_and(|base| !here.contains_key(&base));
    match operations.iter().find(lacks) {
        None => Ok(()),
        Some(operation) => Err(no_base(operation)),
    }
}

/// A patch that builds on what is not certain to be here.
pub(super) fn no_base(operation: &Operation) -> Refusal {
    let what = match operation.codec {
        Codec::Copy => "the patch copies from a content that no pristine file has",
        Codec::Delta | Codec::Whole => {
            "the patch has a delta for a content that no pristine file has"
        }
    };
    Refusal::new(RefusalName::Corrupt, what)
        .value("content", operation.base.unwrap_or(operation.content))
        .value("installed", "nowhere")
        .next("prepare the patch again: lockstep prepare")
}
