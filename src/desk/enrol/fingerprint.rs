//! The comparison that makes trust on first use more than a hope: the key in the file, and the
//! fingerprint that its host shows.

use super::{Request, is_known};
use crate::desk::Desk;
use crate::model::snapshot::{EnvironmentId, NodeId};
use crate::model::{Refusal, RefusalName, Watch};

/// Fewest characters of a fingerprint that count, after `SHA256:`.
const PREFIX_MIN: usize = 12;

/// Compares the key with the fingerprint that was given, or that whoever sits there types; a node
/// that is known by this key is not asked for. Says whether there was one to compare.
pub(super) fn compare(
    desk: &Desk,
    environment: &EnvironmentId,
    node: &NodeId,
    request: &Request,
    watch: &dyn Watch,
) -> Result<bool, Refusal> {
    if let Some(given) = &request.fingerprint {
        return check_fingerprint(node, given).map(|()| true);
    }
    let record = desk.environment(environment)?;
    if record.is_some_and(|record| is_known(&record, node)) {
        return Ok(false);
    }
    let whom = format!("environment {environment}, node {}", node.name);
    match watch.fingerprint(&whom) {
        Some(typed) => check_fingerprint(node, &typed).map(|()| true),
        None => Ok(false),
    }
}

fn check_fingerprint(node: &NodeId, wanted: &str) -> Result<(), Refusal> {
    let found = node.key.fingerprint();
    if fits(node, prefix(wanted)?) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::NotEnrolled,
        "the file is not from the node with that fingerprint",
    )
    .value("file has", found)
    .value("you gave", wanted)
    .next("read the fingerprint again on the host (lockstep status); if it differs, do not enrol"))
}

/// A fingerprint, or the beginning of one that is long enough, without `SHA256:`.
pub(super) fn prefix(wanted: &str) -> Result<&str, Refusal> {
    let short = wanted.strip_prefix("SHA256:").unwrap_or(wanted);
    if short.len() >= PREFIX_MIN {
        return Ok(short);
    }
    Err(Refusal::new(
        RefusalName::Usage,
        "the fingerprint is too short to mean anything",
    )
    .value("given", wanted)
    .value(
        "wanted",
        format!("at least {PREFIX_MIN} characters after SHA256:"),
    )
    .next("read it from lockstep status on the host"))
}

pub(super) fn fits(node: &NodeId, prefix: &str) -> bool {
    node.key
        .fingerprint()
        .strip_prefix("SHA256:")
        .is_some_and(|full| full.starts_with(prefix))
}
