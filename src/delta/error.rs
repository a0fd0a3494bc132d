//! Why a delta could not be made or used.

use std::io;

/// Why a delta could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// The bytes are no delta, or not one for this old file.
    #[error("the delta is damaged: {0}")]
    Damaged(&'static str),
    /// A bound would be passed.
    #[error("the delta asks for {asked} bytes of {what}, more than the {most} that are allowed")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// What it asks for, in bytes.
        asked: u64,
        /// What is allowed, in bytes.
        most: u64,
    },
    /// What was handed in could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What this room returns.
pub(super) type Outcome<T> = Result<T, DeltaError>;

/// A delta that does not fit.
pub(super) fn damaged<T>(why: &'static str) -> Outcome<T> {
    Err(DeltaError::Damaged(why))
}
