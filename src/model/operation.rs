//! How a patch obtains each content that a change needs.
//!
//! The list of operations is a member of the patch: one canonical JSON object a line, compressed. Its
//! statement says how many there are, and is signed; the member's digest is in it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Sha256;
use super::statement::RuleError;
use super::wire::string_serde;

/// The member that holds the list.
pub const OPERATIONS_MEMBER: &str = "operations.jsonl.zst";
/// Largest list, in bytes: of two million operations, which have about 250 each.
pub const OPERATIONS_MAX: u64 = 512 * 1024 * 1024;

/// What the statement of a patch says of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operations {
    /// How many contents are copied on the host.
    pub copied: u64,
    /// How many travel as deltas.
    pub deltas: u64,
    /// Bytes that the list decompresses to, at most [`OPERATIONS_MAX`].
    pub size: u64,
    /// How many travel whole.
    pub whole: u64,
}

impl Operations {
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
        if self.size == 0 || self.size > OPERATIONS_MAX {
            return Err(RuleError(format!(
                "its operations have {} bytes, of at most {OPERATIONS_MAX}",
                self.size
            )));
        }
        Ok(())
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
