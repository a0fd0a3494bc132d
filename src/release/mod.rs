//! The release repository: read and write.
