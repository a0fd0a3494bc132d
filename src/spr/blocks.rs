//! A tar, block by block: headers in their one encoding, contents with their padding, the end.

use std::io::Read;

use super::SprError;
use super::header::{self, BLOCK};
use crate::model::Kind;

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// The tar, block by block.
pub(super) struct Blocks<R> {
    reader: R,
    block: [u8; BLOCK],
}

impl<R: Read> Blocks<R> {
    /// Starts at the next block that `reader` yields.
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            block: [0; BLOCK],
        }
    }

    /// What was not read yet.
    pub(super) fn into_reader(self) -> R {
        self.reader
    }

    /// The first header: the kind of the statement, and its size.
    pub(super) fn statement(&mut self) -> Result<(Kind, u64), SprError> {
        let Some((first, size)) = self.header("the statement")? else {
            return Err(SprError::Foreign("it is an empty archive"));
        };
        match Kind::of_member(&first) {
            Some(kind) => Ok((kind, size)),
            None => Err(SprError::Foreign("its first member is no statement")),
        }
    }

    /// The next header; nothing at the two zero blocks that end the archive.
    pub(super) fn header(&mut self, what: &str) -> Result<Option<(String, u64)>, SprError> {
        self.fill(what)?;
        if self.block != [0; BLOCK] {
            return header::decode(&self.block).map(Some);
        }
        self.fill("the end of the archive")?;
        if self.block == [0; BLOCK] {
            Ok(None)
        } else {
            Err(SprError::Corrupt(
                "a single zero block inside the archive".to_owned(),
            ))
        }
    }

    fn fill(&mut self, what: &str) -> Result<(), SprError> {
        read_exact(&mut self.reader, &mut self.block, what)
    }

    /// The content of a member, which may have `limit` bytes at most.
    pub(super) fn bounded(
        &mut self,
        name: &str,
        size: u64,
        limit: u64,
    ) -> Result<Vec<u8>, SprError> {
        check_bound(name, size, limit)?;
        // Bounded just above; grown in steps, the same bytes would take up to twice as much.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        self.content(name, size, |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Hands out `size` bytes of content and checks the padding behind them.
    pub(super) fn content(
        &mut self,
        name: &str,
        size: u64,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), SprError> {
        let mut chunk = vec![0_u8; CHUNK];
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let part = chunk.get_mut(..length).unwrap_or_default();
            read_exact(&mut self.reader, part, name)?;
            take(part)?;
            left = left.saturating_sub(u64::try_from(length).unwrap_or(left));
        }
        let fill = chunk.get_mut(..header::padding(size)).unwrap_or_default();
        read_exact(&mut self.reader, fill, name)?;
        if fill.iter().all(|byte| *byte == 0) {
            Ok(())
        } else {
            Err(SprError::Corrupt(format!(
                "the padding behind {name} is not zero"
            )))
        }
    }

    /// Nothing may follow the two zero blocks.
    pub(super) fn end(&mut self) -> Result<(), SprError> {
        let mut byte = [0_u8; 1];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    return Err(SprError::Corrupt(
                        "bytes behind the end of the archive".to_owned(),
                    ));
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

pub(super) fn check_bound(name: &str, size: u64, limit: u64) -> Result<(), SprError> {
    if size <= limit {
        return Ok(());
    }
    Err(SprError::Corrupt(format!(
        "{name} has {size} bytes, more than {limit}"
    )))
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8], what: &str) -> Result<(), SprError> {
    reader.read_exact(buffer).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            SprError::Cut(what.to_owned())
        } else {
            SprError::Io(error)
        }
    })
}
