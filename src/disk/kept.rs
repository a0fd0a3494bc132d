//! What changes have displaced, to be read: files and links in the slots of generations.
//!
//! A process that had an old file open may have written into it since, so nothing that lies here is
//! believed before its digest is checked.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use super::DiskError;
use super::root::{Root, Spot};
use super::stages::Stages;
use crate::model::digest::ContentHasher;
use crate::model::recipe::{FileContent, Mode, What};
use crate::model::{Blake3, ContentId, Sha256};
use crate::plan::recovery::{Journal, Kind, Mark};
use crate::plan::way_back::{Kept, Returning};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// The slots of some changes.
pub struct KeptChanges {
    stages: BTreeMap<u64, Stages>,
}

impl KeptChanges {
    /// Opens what the changes of these journals displaced; each must be there whole.
    pub fn open(root: &Root, journals: &[Journal]) -> Result<Self, DiskError> {
        let stages = journals
            .iter()
            .map(|journal| Ok((journal.sequence, Stages::kept(root, journal)?)))
            .collect::<Result<_, DiskError>>()?;
        Ok(Self { stages })
    }

    /// A slot as the place of `*at` calls.
    pub fn spot(&self, kept: Kept) -> Result<Spot, DiskError> {
        let stages = self
            .stages
            .get(&kept.change)
            .ok_or_else(|| DiskError::Damaged {
                path: std::path::PathBuf::from(kept.change.to_string()),
                reason: "this change is not kept".to_owned(),
            })?;
        stages.of(kept.area)?.spot(kept.slot)
    }

    /// Whether what lies in a slot is what its recipe says, as far as its mark and its execute bit tell:
    /// its content is checked when it is used.
    pub fn is_as(&self, back: &Returning) -> Result<bool, DiskError> {
        let spot = self.spot(back.kept)?;
        Ok(match (&back.expected, back.mark.kind) {
            (What::File(file), Kind::File) => {
                let stamp = spot.look()?;
                let executable = stamp.is_some_and(|stamp| stamp.executable());
                back.mark.blake3 == Some(file.blake3) && executable == file.mode.executable()
            }
            (What::Link { target }, Kind::Link) => {
                back.mark.blake3 == Some(Blake3::of(target.as_bytes()))
            }
            _ => false,
        })
    }

    /// What lies in a slot, hashed; refused unless it is what its mark says.
    pub fn what(&self, kept: Kept, mark: &Mark) -> Result<What, DiskError> {
        let spot = self.spot(kept)?;
        let (what, found) = if mark.kind == Kind::Link {
            let target = spot.read_link()?;
            let found = Blake3::of(&target);
            let target = String::from_utf8(target).map_err(|error| DiskError::Damaged {
                path: spot.path.clone(),
                reason: format!("it is a link that is no text: {error}"),
            })?;
            (What::Link { target }, found)
        } else {
            let (id, mode) = hash(&spot)?;
            let file = FileContent {
                blake3: id.blake3,
                mode,
                sha256: id.sha256,
                size: id.size,
                // It was never a blob of a repository.
                stored_sha256: Sha256::of(b""),
                stored_size: 0,
            };
            (What::File(Arc::new(file)), id.blake3)
        };
        if mark.blake3 == Some(found) {
            return Ok(what);
        }
        Err(DiskError::Content {
            path: spot.path,
            expected: format!(
                "blake3 {}",
                mark.blake3.map_or("none".to_owned(), |b| b.to_string())
            ),
            found: format!("blake3 {found}"),
        })
    }
}

fn hash(spot: &Spot) -> Result<(ContentId, Mode), DiskError> {
    let (mut file, stamp) = spot.open()?;
    let mut hasher = ContentHasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(DiskError::io("read", &spot.path)(e)),
        }
    }
    Ok((hasher.finish(), Mode::from_bits(stamp.mode & 0o777)))
}
