//! Metadata that waits for signatures of people who are not here: `.pending/<role>.json`.
//!
//! No reader looks there. The command that began a change is typed again once all have signed: it
//! composes the same change, finds the draft to say the same, and takes its dates and signatures.
//!
//! | attack | defence |
//! |---|---|
//! | a draft planted or edited, to be put in force with the next command | only one that says exactly what the command says itself is taken, with a date and version no later than its own, and each signature is checked |
//! | a draft of another change, signed along unnoticed | refused, with its path |

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ReleaseError;
use super::envelope::{Envelope, canonical};
use super::layout::METADATA_MAX;
use super::seal::check_readable;
use crate::disk::{durable, folder};

/// The folder of drafts, in the repository's own.
const PENDING: &str = ".pending";

/// The name of the draft of a role under the repository's folder.
pub(super) fn name(role: &str) -> String {
    format!("{PENDING}/{role}.json")
}

/// Where the draft of a role lies.
pub(super) fn path(repository: &Path, role: &str) -> PathBuf {
    repository.join(name(role))
}

/// The draft of a role, where there is one.
pub(super) fn read<T: Serialize + DeserializeOwned>(
    repository: &Path,
    role: &str,
) -> Result<Option<Envelope<T>>, ReleaseError> {
    let path = path(repository, role);
    let Some(bytes) = durable::read_if_there(&path, METADATA_MAX)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| ReleaseError::corrupt(path.display().to_string(), e))
}

/// Puts the draft of a role in the place of `new` where it says the same; `taken` says whether a
/// version is in use already, and a draft of such a version is of no use any more.
pub(super) fn resume<T: Serialize + DeserializeOwned>(
    repository: &Path,
    role: &str,
    new: &mut Envelope<T>,
    taken: impl Fn(u64) -> Result<bool, ReleaseError>,
) -> Result<(), ReleaseError> {
    let Some(draft) = read::<T>(repository, role)? else {
        return Ok(());
    };
    if taken(draft.signed.version)? {
        return Ok(());
    }
    let (old, now) = (&draft.signed, &new.signed);
    // It was dated and numbered earlier, by the same rules.
    let earlier = old.version <= now.version
        && old.expires <= now.expires
        && old.issued.is_some() == now.issued.is_some()
        && old.issued <= now.issued;
    let same = old.kind == now.kind && canonical(&old.body)? == canonical(&now.body)?;
    if !(earlier && same) {
        return Err(ReleaseError::OtherDraft {
            role: role.to_owned(),
            path: path(repository, role),
        });
    }
    *new = draft;
    Ok(())
}

/// The bytes of the draft of a role, where readers would take the file that becomes of it.
pub(super) fn bytes_of<T: Serialize + DeserializeOwned>(
    role: &str,
    envelope: &Envelope<T>,
) -> Result<Vec<u8>, ReleaseError> {
    let bytes = envelope.to_bytes()?;
    check_readable(&bytes, || Ok(name(role)))?;
    Ok(bytes)
}

/// Writes the draft of a role; returns its name under the repository's folder.
pub(super) fn write(repository: &Path, role: &str, bytes: &[u8]) -> Result<String, ReleaseError> {
    durable::make_folders(&repository.join(PENDING), 0o755)?;
    durable::write(&path(repository, role), bytes, 0o644)?;
    Ok(name(role))
}

/// Takes the draft of a role away: it is in force, or nothing any more.
pub(super) fn remove(repository: &Path, role: &str) -> Result<(), ReleaseError> {
    Ok(folder::remove_file(&path(repository, role))?)
}
