//! Bytes that are read at a place, handed in by whoever has them: a file, a part of one, memory.
//!
//! | attack | defence |
//! |---|---|
//! | a place past the end | `UnexpectedEof`, and never other bytes in its stead |
//! | a part that reaches out of its whole | [`Span::part`] gives none |
//! | a length that is no memory | pieces of 64 KiB; who asks for all at once has counted it |

use std::cell::RefCell;
use std::io;

/// Bytes that do not change, read at any place.
pub trait ReadAt {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `at` on.
    ///
    /// # Errors
    ///
    /// Whatever reading meets; `UnexpectedEof` where there are fewer.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Room for bytes that are needed again: what old archives hold, inflated.
pub trait Scratch: ReadAt {
    /// Adds bytes at the end.
    ///
    /// # Errors
    ///
    /// Whatever writing meets.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(at).ok();
        let rest = from.and_then(|from| self.get(from..)).unwrap_or_default();
        match rest.get(..buffer.len()) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(at, buffer)
    }
}

/// A scratch in memory.
#[derive(Debug, Default)]
pub struct Memory(RefCell<Vec<u8>>);

impl ReadAt for Memory {
    fn size(&self) -> u64 {
        self.0.borrow().size()
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.borrow().read_at(at, buffer)
    }
}

impl Scratch for Memory {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(at, buffer)
    }
}

/// A range of bytes: where it begins, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) at: u64,
    pub(super) size: u64,
}

impl Span {
    pub(super) fn whole(of: &dyn ReadAt) -> Self {
        Self {
            at: 0,
            size: of.size(),
        }
    }

    pub(super) fn end(self) -> u64 {
        self.at.saturating_add(self.size)
    }

    /// A part of this one, if it is within.
    pub(super) fn part(self, at: u64, size: u64) -> Option<Self> {
        let end = at.checked_add(size)?;
        (end <= self.size).then(|| Self {
            at: self.at.saturating_add(at),
            size,
        })
    }
}

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;

/// Hands the bytes of `span` to `give`, piece by piece.
pub(super) fn each_piece<E: From<io::Error>>(
    source: &dyn ReadAt,
    span: Span,
    mut give: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let most = usize::try_from(span.size).map_or(CHUNK, |size| size.min(CHUNK));
    let mut chunk = vec![0_u8; most];
    let mut at = span.at;
    while at < span.end() {
        let left = span.end().saturating_sub(at);
        let size = usize::try_from(left).map_or(most, |left| left.min(most));
        let piece = chunk.get_mut(..size).unwrap_or_default();
        source.read_at(at, piece)?;
        give(piece)?;
        at = at.saturating_add(u64::try_from(size).unwrap_or(0));
    }
    Ok(())
}

/// All bytes of `span`.
pub(super) fn read_all(source: &dyn ReadAt, span: Span) -> io::Result<Vec<u8>> {
    let size =
        usize::try_from(span.size).map_err(|_e| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut bytes = vec![0_u8; size];
    source.read_at(span.at, &mut bytes)?;
    Ok(bytes)
}
