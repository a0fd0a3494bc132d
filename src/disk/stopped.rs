//! That the product was stopped for a change: `.lockstep/stopped`, durable before the stop command
//! runs, gone once the product is up again or a person was told that it is not.
//!
//! So a crash anywhere in between, also where no file was exchanged yet or all were put back already,
//! leaves word that somebody has to start it: `recover` does.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::root::Root;
use super::{DiskError, durable, folder};
use crate::model::statement::FORMAT;
use crate::plan::recovery::Restart;
use crate::spr::canonical;

/// Largest such file, in bytes.
const MAX: u64 = 4_096;

/// A product that was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// The file format.
    pub format: u32,
    /// When it is to be started again.
    pub restart: Restart,
    /// The number of the state that the change would commit.
    pub sequence: u64,
}

impl Stopped {
    /// For the change to the state `sequence`.
    #[must_use]
    pub const fn new(restart: Restart, sequence: u64) -> Self {
        Self {
            format: FORMAT,
            restart,
            sequence,
        }
    }

    /// Whether it is still to be started, where the state `current` is in force.
    #[must_use]
    pub const fn is_due(&self, current: u64) -> bool {
        match self.restart {
            // The commit came after the start.
            Restart::BeforeCommit => current < self.sequence,
            Restart::AfterCommit => true,
        }
    }
}

/// Notes it, durably.
pub fn note(root: &Root, stopped: &Stopped) -> Result<(), DiskError> {
    let path = path(root);
    let bytes = canonical::encode(stopped).map_err(|e| DiskError::Damaged {
        path: path.clone(),
        reason: e.to_string(),
    })?;
    durable::write(&path, &bytes, 0o600)
}

/// What was noted; nothing where no product was stopped.
pub fn read(root: &Root) -> Result<Option<Stopped>, DiskError> {
    let path = path(root);
    let Some(bytes) = durable::read_if_there(&path, MAX)? else {
        return Ok(None);
    };
    let damaged = |reason: String| DiskError::Damaged {
        path: path.clone(),
        reason,
    };
    let stopped: Stopped = canonical::decode_value(&bytes).map_err(|e| damaged(e.to_string()))?;
    if stopped.format == FORMAT {
        Ok(Some(stopped))
    } else {
        Err(damaged(format!("it has format {}", stopped.format)))
    }
}

/// Whether it is noted. It is not read.
pub fn is_there(root: &Root) -> Result<bool, DiskError> {
    let path = path(root);
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(DiskError::io("look at", path)(e)),
    }
}

/// It is up again, or a person knows.
pub fn forget(root: &Root) -> Result<(), DiskError> {
    if is_there(root)? {
        folder::remove_file(&path(root))?;
    }
    Ok(())
}

fn path(root: &Root) -> PathBuf {
    root.state_folder().join("stopped")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;

    #[test]
    fn it_is_noted_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        forget(&root).unwrap();
        assert_eq!(read(&root).unwrap(), None);
        for restart in [Restart::BeforeCommit, Restart::AfterCommit] {
            let stopped = Stopped::new(restart, 7);
            note(&root, &stopped).unwrap();
            assert!(is_there(&root).unwrap());
            assert_eq!(read(&root).unwrap().as_ref(), Some(&stopped));
            assert!(stopped.is_due(6));
            assert_eq!(stopped.is_due(7), restart == Restart::AfterCommit);
        }
        forget(&root).unwrap();
        assert!(!is_there(&root).unwrap());
    }
}
