//! The streams of a delta that is being made, and the delta.

use super::error::Outcome;
use super::streams::{MAGIC, STREAMS, window_log};
use super::varint;

/// The streams' bytes, before they are compressed.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) columns: Vec<u8>,
    pub(super) adds: Vec<u8>,
    pub(super) inserts: Vec<u8>,
    pub(super) seeks: Vec<u8>,
    pub(super) alike: Vec<u8>,
    pub(super) unlike: Vec<u8>,
    pub(super) literals: Vec<u8>,
}

impl Streams {
    /// The delta that makes `size` bytes.
    pub(super) fn pack(&self, archive: bool, size: u64, level: i32) -> Outcome<Vec<u8>> {
        let mut delta = MAGIC.to_vec();
        delta.push(u8::from(archive));
        varint::put(&mut delta, size);
        let mut frames: Vec<Vec<u8>> = Vec::with_capacity(STREAMS);
        // In the order of `streams::Name`.
        for plain in [
            &self.columns,
            &self.adds,
            &self.inserts,
            &self.seeks,
            &self.alike,
            &self.unlike,
            &self.literals,
        ] {
            let frame = frame(plain, level)?;
            varint::put(&mut delta, plain.len().try_into().unwrap_or(u64::MAX));
            varint::put(&mut delta, frame.len().try_into().unwrap_or(u64::MAX));
            frames.push(frame);
        }
        delta.extend(frames.concat());
        Ok(delta)
    }
}

fn frame(plain: &[u8], level: i32) -> Outcome<Vec<u8>> {
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    let mut compressor = zstd::bulk::Compressor::new(level)?;
    // The size stands in the head, and what comes of it all is checked by its digests.
    compressor.include_contentsize(false)?;
    compressor.include_checksum(false)?;
    // A larger window than the reader allows would be of a file that cannot be read.
    compressor.set_pledged_src_size(None)?;
    compressor.window_log(window_log(plain.len().try_into().unwrap_or(u64::MAX)))?;
    Ok(compressor.compress(plain)?)
}
