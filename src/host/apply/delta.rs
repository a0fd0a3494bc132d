//! A content that is made from an installed one.
//!
//! The old file is hashed from the descriptor that it is read from; what comes out is checked by both
//! digests, as every content is. What it takes in memory and on disk is what the patch declared, or it
//! is refused in the middle.

use std::io::ErrorKind;
use std::num::NonZeroU64;
use std::path::Path;

use crate::delta::{DeltaError, ReadAt, Room, Scratch as _, decode};
use crate::disk::DiskError;
use crate::disk::pieces::{Old, Spill};
use crate::disk::root::Spot;
use crate::model::operation::Operation;
use crate::model::{Refusal, RefusalName, Sha256, Watch};

/// A delta that was taken out of the packs.
pub(super) struct Taken {
    bytes: Spill,
    scratch: Spill,
}

impl Taken {
    /// Room for the delta of a slot and for what it writes down, in `folder`.
    pub(super) fn create(folder: &Path, slot: u64) -> Result<Self, DiskError> {
        Ok(Self {
            bytes: Spill::create(folder, &format!("delta-{slot}"))?,
            scratch: Spill::create(folder, &format!("scratch-{slot}"))?,
        })
    }

    /// Takes some of the delta.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.bytes.path();
        self.bytes
            .append(bytes)
            .map_err(DiskError::io("write", path))
    }

    /// Makes the content, from front to back.
    pub(super) fn make(
        &self,
        operation: &Operation,
        old: &Old<'_>,
        watch: &dyn Watch,
        mut give: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let most = Room {
            memory: operation.memory,
            scratch: operation.scratch.map_or(0, NonZeroU64::get),
        };
        let mut failed = None;
        let size = operation.size;
        let made = decode(
            &self.bytes,
            old,
            &self.scratch,
            (size, most),
            &mut |bytes| {
                give(bytes).map_err(|refusal| {
                    failed = Some(refusal);
                    DeltaError::Io(ErrorKind::Other.into())
                })
            },
        );
        match (made, failed) {
            (_, Some(refusal)) => Err(refusal),
            (Ok(_), None) => Ok(()),
            (Err(DeltaError::Io(error)), None) if error.kind() == ErrorKind::Interrupted => {
                watch.go_on()?;
                Err(DiskError::io("read the old content for", self.scratch.path())(error).into())
            }
            (Err(DeltaError::Io(error)), None) => {
                let path = old.failed().or_else(|| self.bytes.failed());
                let path = path.unwrap_or_else(|| self.scratch.path());
                Err(DiskError::io("make a content with", path)(error).into())
            }
            (Err(error), None) => Err(Refusal::new(RefusalName::Corrupt, error.to_string())
                .value("content", operation.content)
                .value("delta", format!("{} bytes", self.bytes.size()))
                .next("copy the file again; if it stays so, prepare the patch again")),
        }
    }
}

/// Opens an installed file that a content is made from.
pub(super) fn old<'a>(
    spot: &Spot,
    base: &Sha256,
    watch: &'a dyn Watch,
) -> Result<Old<'a>, Refusal> {
    Old::open(spot, base, watch)?.ok_or_else(|| {
        Refusal::new(
            RefusalName::Stale,
            "an installed file changed while the patch was staged",
        )
        .value("file", spot.path.display())
        .value("it was", base)
        .next("take a new snapshot and prepare again: lockstep snapshot")
    })
}
