//! The streams of a delta that is being made, and the delta.

use std::io::Write as _;

use rayon::prelude::*;

use super::error::Outcome;
use super::pace::Steps;
use super::source::ReadAt;
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
    pub(super) fn pack(
        &self,
        (archive, size): (bool, u64),
        level: i32,
        steps: &Steps<'_>,
    ) -> Outcome<Vec<u8>> {
        let mut delta = MAGIC.to_vec();
        delta.push(u8::from(archive));
        varint::put(&mut delta, size);
        // In the order of `streams::Name`.
        let plain: [&[u8]; STREAMS] = [
            &self.columns,
            &self.adds,
            &self.inserts,
            &self.seeks,
            &self.alike,
            &self.unlike,
            &self.literals,
        ];
        let frames = plain
            .par_iter()
            .map(|plain| frame(plain, level, steps))
            .collect::<Outcome<Vec<Vec<u8>>>>()?;
        for (plain, frame) in plain.iter().zip(&frames) {
            varint::put(&mut delta, plain.size());
            varint::put(&mut delta, frame.as_slice().size());
        }
        delta.extend(frames.concat());
        Ok(delta)
    }
}

/// Bytes that are compressed between two steps.
const STRIDE: usize = 1024 * 1024;

fn frame(plain: &[u8], level: i32, steps: &Steps<'_>) -> Outcome<Vec<u8>> {
    if plain.is_empty() {
        return Ok(Vec::new());
    }
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
    // The size stands in the head, and what comes of it all is checked by its digests.
    encoder.include_contentsize(false)?;
    encoder.include_checksum(false)?;
    // The compressor prepares itself for that much, though it does not write it down.
    encoder.set_pledged_src_size(Some(plain.size()))?;
    // A larger window than the reader allows would be of a file that cannot be read.
    encoder.window_log(window_log(plain.size()))?;
    for piece in plain.chunks(STRIDE) {
        encoder.write_all(piece)?;
        steps.step(piece.size())?;
    }
    Ok(encoder.finish()?)
}
