//! Where a release repository is read from.
//!
//! | attack | defence |
//! |---|---|
//! | metadata without end | [`METADATA_MAX`]; targets and blobs have a limit from what points to them |
//! | a file name that leaves the folder | only names that [`layout`] makes are opened |
//! | a recipe swapped for another | its digest is checked before it is handed out |

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::envelope::Envelope;
use super::layout::{self, METADATA_MAX};
use super::tuf::Targets;
use super::{ReleaseError, blob};
use crate::disk::{DiskError, durable};
use crate::model::{Blake3, RecipePath, Sha256};

/// A release repository to read from: a directory, or (elsewhere) a web server.
pub trait Source: Sync {
    /// A metadata file by its name, such as `3.targets.json`; nothing if it does not exist.
    fn metadata(&self, file: &str) -> Result<Option<Vec<u8>>, ReleaseError>;

    /// The bytes of a recipe file of at most `limit` bytes; their digest is `sha256`.
    fn target(
        &self,
        path: &RecipePath,
        sha256: &Sha256,
        limit: u64,
    ) -> Result<Vec<u8>, ReleaseError>;

    /// A content as it is stored, compressed and unchecked: the recipe says what it must be.
    fn blob(&self, blake3: &Blake3) -> Result<Box<dyn Read + Send>, ReleaseError>;

    /// What to call it in a message.
    fn describe(&self) -> String;
}

/// A repository in a folder.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

impl Directory {
    /// The repository in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file of a delegated role with the highest version above `known`; nothing if none is.
    pub fn newest(
        &self,
        role: &str,
        known: u64,
    ) -> Result<Option<Envelope<Targets>>, ReleaseError> {
        let folder = self.0.join(layout::METADATA);
        let entries = std::fs::read_dir(&folder).map_err(DiskError::io("list", &folder))?;
        let mut newest = known;
        for entry in entries {
            let name = entry.map_err(DiskError::io("list", &folder))?.file_name();
            let name = name.to_string_lossy();
            let version = name
                .split_once('.')
                .and_then(|(version, _)| version.parse::<u64>().ok());
            let named =
                |version| layout::metadata_file(role, version).is_ok_and(|file| *file == *name);
            newest = newest.max(version.filter(|version| named(*version)).unwrap_or(0));
        }
        if newest == known {
            return Ok(None);
        }
        let file = layout::metadata_file(role, newest)?;
        let bytes = self
            .metadata(&file)?
            .ok_or_else(|| self.missing(file.clone()))?;
        let parsed: Envelope<Targets> = Envelope::parse(&file, "targets", &bytes)?;
        if parsed.signed.version == newest {
            Ok(Some(parsed))
        } else {
            Err(ReleaseError::corrupt(
                file,
                format!("it says that it is version {}", parsed.signed.version),
            ))
        }
    }

    /// The digest of another file than `sha256` that lies here under the path of a recipe, whether
    /// or not metadata names it still.
    pub fn other_target(
        &self,
        path: &RecipePath,
        sha256: &Sha256,
    ) -> Result<Option<Sha256>, ReleaseError> {
        let folder = self.0.join(layout::TARGETS).join(path.folder());
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(DiskError::io("list", folder)(e).into()),
        };
        for entry in entries {
            let name = entry.map_err(DiskError::io("list", &folder))?.file_name();
            let name = name.to_string_lossy();
            let digest = name
                .strip_suffix(path.file_name())
                .and_then(|digest| digest.strip_suffix('.'))
                .and_then(|digest| digest.parse::<Sha256>().ok());
            if let Some(other) = digest.filter(|digest| digest != sha256) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    fn missing(&self, file: String) -> ReleaseError {
        ReleaseError::Missing {
            file,
            place: self.describe(),
        }
    }
}

impl Source for Directory {
    fn metadata(&self, file: &str) -> Result<Option<Vec<u8>>, ReleaseError> {
        if !layout::is_metadata_file(file) {
            return Err(ReleaseError::Name {
                name: file.chars().take(80).collect(),
                why: "it is not the name of a metadata file",
            });
        }
        let path = self.0.join(layout::METADATA).join(file);
        Ok(durable::read_if_there(&path, METADATA_MAX)?)
    }

    fn target(
        &self,
        path: &RecipePath,
        sha256: &Sha256,
        limit: u64,
    ) -> Result<Vec<u8>, ReleaseError> {
        let file = layout::target_file(path, sha256);
        let bytes = durable::read_if_there(&self.0.join(layout::TARGETS).join(&file), limit)?
            .ok_or_else(|| self.missing(file.clone()))?;
        let found = Sha256::of(&bytes);
        if found == *sha256 {
            Ok(bytes)
        } else {
            Err(ReleaseError::Digest {
                file,
                wanted: sha256.to_string(),
                found: found.to_string(),
            })
        }
    }

    fn blob(&self, blake3: &Blake3) -> Result<Box<dyn Read + Send>, ReleaseError> {
        let path = blob::path(&self.0, blake3);
        match File::open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                Err(self.missing(layout::blob_file(blake3)))
            }
            Err(e) => Err(DiskError::io("open", path)(e).into()),
        }
    }

    fn describe(&self) -> String {
        self.0.display().to_string()
    }
}
