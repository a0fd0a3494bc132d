//! How a patch obtains each content that a change needs.
//!
//! The list of operations is a member of the patch: one canonical JSON object a line, compressed. Its
//! statement says how many there are, and is signed; the member's digest is in it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Sha256;
use super::patch::PATHS_MAX;
use super::statement::RuleError;
use super::wire::string_serde;

/// The member that holds the list.
pub const OPERATIONS_MEMBER: &str = "operations.jsonl.zst";
/// Largest list, in bytes: a delta's line, the longest, has about 270.
pub const OPERATIONS_MAX: u64 = 512 * 1024 * 1024;

/// What the statement of a patch says of the list: how many operations there are, at most [`PATHS_MAX`], and
/// how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// How many contents are copied on the host.
    pub copied: u64,
    /// How many travel as deltas.
    pub deltas: u64,
    /// Bytes that the list decompresses to, at most [`OPERATIONS_MAX`].
    pub size: u64,
    /// How many travel whole.
    pub whole: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            copied,
            deltas,
            whole,
            ..
        } = self;
        write!(f, "{whole} whole, {deltas} as deltas, {copied} copied")
    }
}

impl Tally {
    /// What is to be said of a list that has `size` bytes; nothing where it is empty.
    #[must_use]
    pub fn of(list: &[Operation], size: u64) -> Option<Self> {
        let count = |codec| {
            let count = list.iter().filter(|op| op.codec == codec).count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        (!list.is_empty()).then(|| Self {
            copied: count(Codec::Copy),
            deltas: count(Codec::Delta),
            size,
            whole: count(Codec::Whole),
        })
    }

    pub(super) fn check(self) -> Result<(), RuleError> {
        let Self { size, .. } = self;
        if size == 0 || size > OPERATIONS_MAX {
            return Err(RuleError(format!(
                "its operations have {size} bytes, of at most {OPERATIONS_MAX}"
            )));
        }
        match self.count() {
            Some(1..=PATHS_MAX) => Ok(()),
            _ => Err(RuleError(format!(
                "it has no operations, or more than {PATHS_MAX}"
            ))),
        }
    }

    /// How many operations there are.
    #[must_use]
    pub fn count(self) -> Option<usize> {
        let few = self.copied.checked_add(self.deltas)?;
        usize::try_from(few.checked_add(self.whole)?).ok()
    }
}

/// How to obtain the content with a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// SHA-256 of the installed content it starts from: a pristine, vendor-owned, non-config file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Sha256>,
    /// How the bytes of the stream become the content.
    pub codec: Codec,
    /// SHA-256 of the content it makes.
    pub content: Sha256,
    /// Bytes it takes from the stream.
    pub length: u64,
    /// Bytes of memory that decoding takes, at most.
    pub memory: u64,
    /// Where in the stream it starts.
    pub offset: u64,
    /// Bytes that decoding writes beside the tree and reads again, at most; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<NonZeroU64>,
    /// Bytes in the content it makes.
    pub size: u64,
}

impl Operation {
    /// Whether what its codec needs is there, and nothing besides.
    #[must_use]
    pub fn is_shaped(&self) -> bool {
        let shaped = match self.codec {
            Codec::Copy => self.length == 0 && self.base == Some(self.content),
            Codec::Whole => self.length == self.size && self.base.is_none(),
            Codec::Delta => self.length > 0 && self.base.is_some_and(|base| base != self.content),
        };
        shaped && (self.codec == Codec::Delta || self.scratch.is_none())
    }

    /// Bytes on disk that are needed while it is under way, besides what it makes.
    #[must_use]
    pub fn room(&self) -> u64 {
        match self.codec {
            Codec::Copy | Codec::Whole => 0,
            Codec::Delta => {
                let scratch = self.scratch.map_or(0, NonZeroU64::get);
                scratch.saturating_add(self.length)
            }
        }
    }
}

/// How an operation makes content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    /// The base as it is; nothing from the stream.
    Copy,
    /// The stream as it is; no base.
    Whole,
    /// The base and a delta, in the form that `crate::delta` reads.
    Delta,
}

impl Codec {
    /// Every codec this program reads.
    pub const ALL: [Self; 3] = [Self::Copy, Self::Whole, Self::Delta];
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Copy => "copy",
            Self::Whole => "whole",
            // With the release of zlib: another one may deflate to other bytes.
            Self::Delta => "delta-0-zlib-1.3.2",
        })
    }
}

/// A codec that this program does not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the codec {0:?} is not one this program reads")]
pub struct CodecError(String);

impl FromStr for Codec {
    type Err = CodecError;

    fn from_str(text: &str) -> Result<Self, CodecError> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.to_string() == text)
            .ok_or_else(|| CodecError(text.chars().take(32).collect()))
    }
}

string_serde!(Codec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_of_a_list_that_there_can_be() {
        let most = u64::try_from(PATHS_MAX).unwrap();
        let tally = |copied, deltas, whole, size| Tally {
            copied,
            deltas,
            size,
            whole,
        };
        for good in [
            tally(0, 0, 1, 1),
            tally(1, 0, 0, OPERATIONS_MAX),
            tally(1, most - 2, 1, 9),
        ] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
        for bad in [
            tally(0, 0, 0, 1),
            tally(0, 0, 1, 0),
            tally(0, 1, 0, OPERATIONS_MAX + 1),
            tally(1, most - 1, 1, 9),
            tally(u64::MAX, 1, 0, 9),
            tally(u64::MAX, 2, u64::MAX, 9),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
