//! What a publisher should see coming: ends of validity, a clock gone wrong, a root half signed.

use super::keys::KEYS_MAX;
use crate::model::{Refusal, Time, Watch};
use crate::release::{Paper, Repository, State};

/// Days before its end that the root is warned of: it takes people with keys.
const ROOT_WARNING_DAYS: i64 = 120;
/// Days before their end that targets and delegations are warned of.
const TARGETS_WARNING_DAYS: i64 = 45;

/// Warns of all that is not yet wrong with the repository.
pub(super) fn warn(repository: &Repository, now: Time, watch: &dyn Watch) -> Result<(), Refusal> {
    let state = repository.state();
    let root = &state.root.signed;
    let paper = Paper::of(repository, "root")?;
    let tally = paper.tally()?;
    if paper.is_draft() {
        watch.warn("a new root waits for signatures: lockstep publish sign --role root, then the command that began it again");
    } else if !tally.complete() {
        watch.warn(&format!(
            "{}.root.json has {} of {} signatures and is of no use yet: lockstep publish sign --role root",
            root.version, tally.have, tally.threshold
        ));
    }
    if root.expires < now.plus_days(ROOT_WARNING_DAYS) {
        watch.warn(&format!(
            "the root is valid until {}, and a new one has new keys: {}",
            root.expires.date(),
            rotation(state)
        ));
    }
    let own = state.signers("targets").map(|(keys, _)| keys.clone());
    let mut first_end = state.targets.signed.expires;
    for (role, file) in &state.delegated {
        let end = file.signed.expires;
        let signers = state.signers(role).map(|(keys, _)| keys);
        if signers
            .zip(own.as_ref())
            .is_some_and(|(keys, own)| keys.alike(own))
        {
            first_end = first_end.min(end);
        } else if end < now.plus_days(TARGETS_WARNING_DAYS) {
            watch.warn(&format!(
                "the recipes of {role} are valid until {}: have whoever holds its keys sign them anew: lockstep publish renew",
                end.date()
            ));
        }
    }
    if first_end < now.plus_days(TARGETS_WARNING_DAYS) {
        watch.warn(&format!(
            "recipes are valid until {}: lockstep publish renew --targets",
            first_end.date()
        ));
    }
    if let Some(issued) = state.timestamp.signed.issued.filter(|issued| *issued > now) {
        watch.warn(&format!(
            "the clock says {now}, the repository was signed at {issued}: check the clock"
        ));
    }
    Ok(())
}

/// The line that makes a new root, with as many keys as now. A folder does not hold more of them than
/// [`KEYS_MAX`]; those of `--key` are all that the new root has.
fn rotation(state: &State) -> String {
    let line = "lockstep publish rotate --role root";
    let given = "--key PUB for every key of the new root, your own included";
    let count = state
        .signers("root")
        .map_or(1, |(keys, _)| keys.keyids.len());
    match u64::try_from(count) {
        Ok(0 | 1) => line.to_owned(),
        Ok(count) if count <= KEYS_MAX => format!("{line} --make {count}, or {given}"),
        _ => format!("{line} {given}"),
    }
}
