//! The file that crosses the gap: bytes to a statement, its signatures and its members, bounded.
//!
//! A `.spr` file is a plain tar in exactly one encoding: ustar, regular files, mode 0644, owner 0,
//! time 0, no extensions, ended by two zero blocks and the end of the file. First the statement,
//! then the statement's signatures, then the members that the statement lists, in its order.
//!
//! | attack | defence |
//! |---|---|
//! | two readings of one header (base-256 numbers, odd padding, pax or GNU extensions, links) | each header is encoded again from name and size, and compared byte for byte |
//! | a member added, left out, reordered, doubled or changed | the next name and size must be the statement's next; the digest is checked before its last byte is handed out as good |
//! | names that leave the folder when unpacked by hand, or differ by case alone | [`name`]: plain segments, unlike each other when case-folded |
//! | bytes behind the end, or a file cut short | the end is checked; a cut is told apart from damage |
//! | a statement of gigabytes, or nested a million deep; members without end | [`STATEMENT_MAX`], [`canonical::DEPTH_MAX`], [`HEAD_MAX`]; nothing is allocated from a length that was not bounded first |
//! | duplicate or unknown keys, two spellings of one value | [`canonical`]: one spelling, checked on the bytes |
//! | signatures without end | [`SIGNATURES_MAX`] of [`SIGNATURE_MAX`] bytes |
//!
//! Whether a signature is any good is for `trust` to say.

mod blocks;
pub mod canonical;
mod header;
pub mod lines;
mod name;
mod read;
mod size;
mod small;
mod told;
mod volume;
mod write;

pub use read::{MemberBytes, Members, Opened, RawSignature, RawStatement, kind_of, sort_of};
pub use size::framed;
pub use small::{HEAD_MAX, Small};
pub use told::Told;
pub use volume::{Holds, Share, Shares};
pub use write::{SprWriter, encode_small, encode_unsigned};

use std::io::ErrorKind;
use std::path::Path;

use crate::model::{Kind, Refusal, RefusalName};

/// Largest statement, in bytes: a recipe of 250,000 files, about 400 bytes each, stays below.
pub const STATEMENT_MAX: u64 = 128 * 1024 * 1024;
/// Largest signature member, in bytes; an armoured ed25519 signature has about 300.
pub const SIGNATURE_MAX: u64 = 4_096;
/// Most signatures on one statement.
pub const SIGNATURES_MAX: usize = 32;
/// Most members in one file.
pub const MEMBERS_MAX: usize = 100_000;

/// What is wrong with a `.spr` file.
#[derive(Debug, thiserror::Error)]
pub enum SprError {
    /// The file ends before it is complete.
    #[error("the file ends in the middle of {0}")]
    Cut(String),
    /// Not a file of this program.
    #[error("this is not a lockstep file: {0}")]
    Foreign(&'static str),
    /// A file of the right shape with something wrong in it.
    #[error("{0}")]
    Corrupt(String),
    /// Another kind than was asked for.
    #[error("this is a {found} file, not a {wanted} file")]
    Kind {
        /// What was asked for.
        wanted: Kind,
        /// What it is.
        found: Kind,
    },
    /// A format that this program does not read.
    #[error("the file has format {found}; this program reads format {wanted}")]
    Format {
        /// What this program reads.
        wanted: u32,
        /// What the file says.
        found: u64,
    },
    /// The medium that is read from, or copied to, failed.
    #[error("the file could not be read or copied: {0}")]
    Io(#[from] std::io::Error),
}

impl SprError {
    /// The refusal that this is.
    #[must_use]
    pub fn refusal(&self) -> RefusalName {
        match self {
            Self::Cut(_) => RefusalName::Incomplete,
            Self::Foreign(_) | Self::Corrupt(_) => RefusalName::Corrupt,
            Self::Kind { .. } => RefusalName::Usage,
            Self::Format { .. } => RefusalName::UnsupportedFormat,
            Self::Io(error) => match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => RefusalName::NoSpace,
                ErrorKind::PermissionDenied => RefusalName::NotPermitted,
                ErrorKind::IsADirectory => RefusalName::Usage,
                _ => RefusalName::Internal,
            },
        }
    }

    /// The refusal of the file at `path`, with what to do about it.
    #[must_use]
    pub fn refuse(&self, path: &Path) -> Refusal {
        let name = self.refusal();
        let next = match self {
            Self::Cut(_) => "copy the file again, and compare its sha256sum on both sides",
            Self::Foreign(_) => {
                "a .spr made by SPOT itself is not readable here; prepare the patch with lockstep"
            }
            Self::Corrupt(_) => "copy the file again; if it stays so, ask whoever made it",
            Self::Kind { .. } => "name the right file (lockstep inspect FILE says what a file is)",
            Self::Format { .. } => {
                "use the release of lockstep that wrote the file, or a later one"
            }
            Self::Io(error) if error.kind() == ErrorKind::StorageFull => {
                "make room and run it again"
            }
            Self::Io(error) if error.kind() == ErrorKind::IsADirectory => {
                "name the file in the folder"
            }
            Self::Io(_) => "check the medium, then copy the file again",
        };
        Refusal::new(name, self.to_string())
            .value("file", path.display())
            .next(next)
    }
}
