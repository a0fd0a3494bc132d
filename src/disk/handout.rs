//! Files that are handed out: a new one never takes the place of one that is there.
//!
//! What lies at a name may be an input, a key, or a patch that is out for approval.

use std::path::Path;

use super::durable::Draft;
use crate::model::{Refusal, RefusalName};

/// Refuses a name that is taken; asked before any work is done.
pub fn check_free(path: &Path) -> Result<(), Refusal> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(
        Refusal::new(RefusalName::Usage, "a file of that name is there already")
            .value("file", path.display())
            .value("wanted", "a new file")
            .next("name another one with --output, or move the old one away"),
    )
}

/// Writes a new file, durably.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    use std::io::Write as _;
    check_free(path)?;
    let mut draft = Draft::create(path, 0o644)?;
    draft
        .file()
        .write_all(bytes)
        .map_err(super::DiskError::io("write", path))?;
    Ok(draft.commit_new()?)
}
