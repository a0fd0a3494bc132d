//! New bytes from old bytes: small for what changed little, archives included.
//!
//! ```text
//!           old, new                                     old, delta
//!              |                                             |
//!   zip        take both apart, to the last byte             take the old one apart
//!   draft      what each new entry is made from      tree    the same tree, read from the columns
//!   flate      the recipe that deflates it again             the old entries, inflated, end to end
//!   matcher    what lies in the old bytes            apply   the new plain bytes, entry by entry
//!   headers    what is not as foretold                       headers, checksums, sizes, places
//!   pack       seven streams                         decode  the new file, from front to back
//! ```
//!
//! The new file is made from front to back, and nothing of it or of the old one is held: what has to be
//! inflated lies in a scratch that is handed in, and what is held in memory is counted before it is.
//!
//! What is not a zip archive, or not one that comes out again to the last byte, is bytes like others.
//! `docs/format.md` describes a delta byte by byte. Making one needs the feature `desk`; using one needs
//! nothing but zstd, zlib, and this room.

mod apply;
mod budget;
mod columns;
mod decode;
#[cfg(feature = "desk")]
mod draft;
#[cfg(feature = "desk")]
mod encode;
mod error;
mod flate;
mod headers;
#[cfg(feature = "desk")]
mod matcher;
#[cfg(feature = "desk")]
mod pace;
#[cfg(feature = "desk")]
mod pack;
mod source;
mod streams;
#[cfg(test)]
mod tests;
mod tree;
mod varint;
#[cfg(feature = "desk")]
mod writing;
mod zip;
mod zip_end;
mod zlib;

pub use budget::Room;
pub use decode::decode;
#[cfg(feature = "desk")]
pub use encode::{Effort, encode};
pub use error::DeltaError;
#[cfg(feature = "desk")]
pub use pace::Pace;
pub use source::{Memory, ReadAt, Scratch};
