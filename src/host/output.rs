//! Files that are handed out: snapshots and receipts.

use std::path::{Path, PathBuf};

use crate::disk::state::{PreparedState, StateStore};
use crate::disk::{DiskError, handout};
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
/// that is what is said; where it cannot be read what stands, that.
pub(super) fn commit(
    store: &StateStore,
    prepared: PreparedState,
    sequence: u64,
) -> Result<(), Refusal> {
    let Err(error) = store.commit(prepared) else {
        return Ok(());
    };
    Err(not_committed(error, store.sequence(), sequence))
}

/// What a commit that ended with `error` left, by the sequence number that counts now.
fn not_committed(error: DiskError, counts: Result<u64, DiskError>, sequence: u64) -> Refusal {
    match counts {
        Ok(now) if now >= sequence => {
            unfinished(&error.into(), "its commit was not confirmed", sequence)
                .next("lockstep recover, then lockstep status")
        }
        // The rename leaves a whole file or none of its own: damaged, it is not the new one.
        Ok(_) | Err(DiskError::Damaged { .. }) => error.into(),
        Err(unread) => {
            let refusal = Refusal::from(error);
            let mut unknown = Refusal::new(
                RefusalName::NeedsRecovery,
                format!(
                    "nobody knows yet whether the new state counts: {}",
                    refusal.what
                ),
            )
            .value("sequence", sequence)
            .value("cannot be read", unread);
            unknown.values.extend(refusal.values);
            unknown
                .unchanged("that is not known: the old state stands, or the new one")
                .next("lockstep recover, once the disk can be read again; then lockstep status")
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn io() -> DiskError {
        DiskError::io("sync", "/opt/.lockstep")(std::io::ErrorKind::Other.into())
    }

    /// "Nothing was changed" is said only where that is known.
    #[test]
    fn a_commit_that_failed_says_what_is_known_of_it() {
        let damaged = DiskError::Damaged {
            path: "/opt/.lockstep/current".into(),
            reason: "it is missing".to_owned(),
        };
        for (counts, name, unchanged, next) in [
            (
                Ok(7),
                RefusalName::AppliedUnfinished,
                "nothing needs to be undone",
                "lockstep recover",
            ),
            (Ok(6), RefusalName::Internal, "nothing was changed", "dmesg"),
            (
                Err(damaged),
                RefusalName::Internal,
                "nothing was changed",
                "dmesg",
            ),
            (
                Err(io()),
                RefusalName::NeedsRecovery,
                "that is not known: the old state stands, or the new one",
                "lockstep recover",
            ),
        ] {
            let refusal = not_committed(io(), counts, 7);
            assert_eq!((refusal.name, &*refusal.unchanged), (name, unchanged));
            assert!(refusal.next.contains(next), "{refusal}");
        }
    }
}
