//! Whether an installation is what a patch takes it for, and in which points it is not.

use super::Component;
use super::moved::{Holding, differences};
use crate::model::state::state_digest;
use crate::model::{Refusal, RefusalName, Sha256};

/// Most differences that a refusal names.
const SHOWN: usize = 8;

/// The state before a change: `live` must be as `expected`, whose digest is `state`.
pub(super) fn check(
    state: Sha256,
    expected: Holding<'_>,
    live: Holding<'_>,
) -> Result<(), Refusal> {
    compare(
        state,
        expected,
        live,
        "the installation moved since the snapshot that the patch was made for",
        "put it back as it was, or take a new snapshot and prepare again: lockstep snapshot",
    )
}

/// The state that an adoption would register.
pub(super) fn check_adopted(
    state: Sha256,
    expected: Holding<'_>,
    live: Holding<'_>,
) -> Result<(), Refusal> {
    compare(
        state,
        expected,
        live,
        "what lies here is not what the patch would register: files moved since the full snapshot, \
         or were private or ignored in it and are not as their recipe has them",
        "lockstep snapshot --full and prepare again; what .lockstep/node.toml calls private or \
         ignores must be taken out of it first, if it may be told",
    )
}

/// A patch that adopts leaves what is registered as it is.
pub(super) fn check_only_adds(
    installed: &[Component],
    target: &[Component],
) -> Result<(), Refusal> {
    let kept = |old: &&Component| target.iter().any(|new| new.installed == old.installed);
    match installed.iter().find(|old| !kept(old)) {
        None => Ok(()),
        Some(gone) => Err(Refusal::new(
            RefusalName::Corrupt,
            "the patch says that it registers what is there, and would change what is registered",
        )
        .value(
            "installed",
            format!("{} {}", gone.installed.name, gone.installed.version),
        )
        .value("afterwards", "not the same")
        .next("prepare it again: lockstep prepare --adopt, and another patch for the change")),
    }
}

fn compare(
    state: Sha256,
    expected: Holding<'_>,
    live: Holding<'_>,
    what: &str,
    next: &str,
) -> Result<(), Refusal> {
    let found = state_digest(live.components, live.drift);
    if found == state {
        return Ok(());
    }
    let mut refusal = Refusal::new(RefusalName::Stale, what)
        .value("patch expects state", state.short())
        .value("state found", found.short());
    let moved = differences(expected, live);
    for line in moved.iter().take(SHOWN) {
        refusal = refusal.value("moved", line);
    }
    if moved.len() > SHOWN {
        let more = moved.len().saturating_sub(SHOWN);
        refusal = refusal.value("and", format!("{more} more"));
    }
    Err(refusal.next(next))
}
