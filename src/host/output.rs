//! Files that are handed out: snapshots and receipts.

use std::path::{Path, PathBuf};

use crate::disk::handout;
use crate::disk::state::{PreparedState, StateStore};
use crate::model::{Refusal, RefusalName};

/// Where a file that is handed out goes: the file named, the default name in the folder named, or
/// the default name here. A name that is taken is refused.
pub(super) fn place(output: Option<&Path>, name: &str) -> Result<PathBuf, Refusal> {
    let path = match output {
        None => PathBuf::from(name),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path.to_owned(),
    };
    handout::check_free(&path)?;
    Ok(path)
}

/// [`place`], and the file in it.
pub(super) fn write_out(
    output: Option<&Path>,
    name: &str,
    bytes: &[u8],
) -> Result<PathBuf, Refusal> {
    let path = place(output, name)?;
    handout::write(&path, bytes)?;
    Ok(path)
}

/// Commits. An error may come after the rename that counts: what stands then is the new state, and
/// that is what is said.
pub(super) fn commit(
    store: &StateStore,
    prepared: PreparedState,
    sequence: u64,
) -> Result<(), Refusal> {
    match store.commit(prepared) {
        Ok(_) => Ok(()),
        Err(error) if store.sequence().is_ok_and(|now| now >= sequence) => {
            Err(
                unfinished(&error.into(), "its commit was not confirmed", sequence)
                    .next("lockstep recover, then lockstep status"),
            )
        }
        Err(error) => Err(error.into()),
    }
}

/// A step after the commit went wrong: the new state stands, and is never reported as the old one.
pub(super) fn unfinished(refusal: &Refusal, what: &str, sequence: u64) -> Refusal {
    let mut unfinished = Refusal::new(
        RefusalName::AppliedUnfinished,
        format!("the new state stands, but {what}: {}", refusal.what),
    )
    .value("sequence", sequence);
    unfinished.values.extend(refusal.values.clone());
    unfinished
        .unchanged("nothing needs to be undone")
        .next(format!(
            "lockstep receipt --output FILE, once {} is mended",
            refusal.name
        ))
}
