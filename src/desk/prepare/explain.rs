//! `--explain`: how each content travels, why so, and what that costs.

use std::fmt;

use serde::Serialize;

use super::deltas::Compared;
use super::kept::Why;
use super::packs::WHOLE_MEMORY;
use crate::model::operation::Codec;
use crate::model::recipe::FileContent;
use crate::model::text::{Escaped, bytes, seconds};
use crate::model::{Sha256, TreePath};

/// How a content travels.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// The first path that needs it.
    pub path: String,
    /// Its SHA-256.
    pub content: Sha256,
    /// `copy`, `whole`, or the codec of a delta.
    pub codec: Codec,
    /// Why, in words.
    pub why: String,
    /// The installed file that it is made from.
    pub base: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Bytes of it in the release repository, compressed by itself.
    pub stored: u64,
    /// Bytes of it in the packs, before these are compressed.
    pub travels: u64,
    /// Bytes of memory that it takes on the host.
    pub memory: u64,
    /// Bytes on disk that it takes on the host, besides itself, while it is made.
    pub scratch: u64,
    /// Milliseconds that the comparison took here; absent where nothing was compared, or long ago.
    pub compared_ms: Option<u64>,
}

impl Explained {
    /// A content that is installed, at `base`.
    pub(super) fn copied((path, file): (&TreePath, &FileContent), base: &TreePath) -> Self {
        Self {
            codec: Codec::Copy,
            base: Some(base.to_string()),
            travels: 0,
            memory: 0,
            ..Self::whole((path, file), None, "it is installed already")
        }
    }

    /// A content that travels as what came of its comparison with `base`.
    pub(super) fn compared(
        (path, file): (&TreePath, &FileContent),
        base: &TreePath,
        compared: &Compared,
    ) -> Self {
        let milliseconds = compared.took.map(|took| took.as_millis());
        let compared_ms = milliseconds.map(|took| took.try_into().unwrap_or(u64::MAX));
        let whole = Self::whole((path, file), Some(base), "");
        match &compared.result {
            Ok(delta) => Self {
                codec: Codec::Delta,
                why: "a delta is smaller".to_owned(),
                travels: delta.length,
                memory: delta.memory.saturating_add(WHOLE_MEMORY),
                scratch: delta.room(),
                compared_ms,
                ..whole
            },
            Err(why) => Self {
                why: why.to_string(),
                compared_ms,
                ..whole
            },
        }
    }

    /// A content that travels as it is.
    pub(super) fn whole(
        (path, file): (&TreePath, &FileContent),
        base: Option<&TreePath>,
        why: &str,
    ) -> Self {
        Self {
            path: path.to_string(),
            content: file.sha256,
            codec: Codec::Whole,
            why: why.to_owned(),
            base: base.map(ToString::to_string),
            size: file.size,
            stored: file.stored_size,
            travels: file.size,
            memory: WHOLE_MEMORY,
            scratch: 0,
            compared_ms: None,
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Escaped(&self.path);
        let base = self.base.as_deref().unwrap_or_default();
        match self.codec {
            Codec::Copy => write!(f, "  copied     {path}: 0 B of {}", bytes(self.size))?,
            Codec::Whole => write!(f, "  whole      {path}: {}", bytes(self.size))?,
            Codec::Delta => write!(
                f,
                "  delta      {path}: {} of {}",
                bytes(self.travels),
                bytes(self.size)
            )?,
        }
        if self.codec != Codec::Copy {
            write!(f, " ({} in the repository)", bytes(self.stored))?;
        }
        match self.codec {
            Codec::Copy => write!(f, ", installed as {}", Escaped(base))?,
            Codec::Whole => write!(f, ": {}", self.why)?,
            Codec::Delta => write!(
                f,
                ", from {}; takes {} of memory and {} of disk",
                Escaped(base),
                bytes(self.memory),
                bytes(self.scratch)
            )?,
        }
        match self.compared_ms {
            Some(took) => write!(f, "; compared in {} s", seconds(took)),
            None if self.codec == Codec::Delta => write!(f, "; kept from before"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Larger(delta) => write!(f, "a delta would take {}", bytes(*delta)),
            Self::Costly => f.write_str("a delta would take the host too much memory or disk"),
            Self::Unreadable => {
                f.write_str("what it could be made from cannot be read from the source")
            }
            Self::Wrong => {
                f.write_str("a delta was made that does not make it (a fault of lockstep)")
            }
        }
    }
}
