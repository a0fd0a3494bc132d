//! Deltas in the desk's cache, so that the next environment that changes in the same way costs no work.
//!
//! What is kept is named by both digests, the codec and the effort. It is believed as far as its own digest
//! goes: a host refuses whatever else comes of a delta.
//!
//! | bytes | what |
//! |---|---|
//! | 32 | the SHA-256 of all that follows |
//! | 8 | bytes of memory that decoding takes; where there is no delta, bytes that it would have, or 0 where it would take too much |
//! | 8 | bytes that decoding writes down |
//! | the rest | the delta, or nothing |

use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use crate::delta::{ReadAt as _, Room};
use crate::disk::durable::Draft;
use crate::disk::pieces::Old;
use crate::disk::{DiskError, durable};
use crate::model::Sha256;
use crate::model::digest::Sha256Hasher;

/// How memory is counted and what is kept: raised whenever that changes, so that nothing of another kind is
/// used.
pub(super) const COUNTING: u32 = 2;
/// Bytes in front of a delta that is kept: the digest of all that follows, and two numbers.
const HEAD: usize = 48;
/// Bytes read at a time.
const CHUNK: usize = 128 * 1024;

/// A delta, with what decoding it takes.
pub(super) type Worth = (Room, Vec<u8>);

/// Why there is no delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It would be no smaller than what is stored: its bytes.
    Larger(u64),
    /// It takes more on the host than it is worth.
    Costly,
    /// The old content cannot be had.
    Unreadable,
    /// It does not make what it should: a fault of this program.
    Wrong,
}

/// A delta in a file, smaller than what it makes is stored as.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    path: PathBuf,
    pub(super) length: u64,
    pub(super) memory: u64,
    pub(super) scratch: Option<NonZeroU64>,
    pub(super) base: Sha256,
}

impl Delta {
    /// Bytes on disk that it takes on the host.
    pub(super) fn room(&self) -> u64 {
        let scratch = self.scratch.map_or(0, NonZeroU64::get);
        scratch.saturating_add(self.length)
    }

    /// Its bytes, to be read once.
    pub(super) fn open(&self) -> Result<Old<'_>, DiskError> {
        Old::of(&self.path, HEAD.try_into().unwrap_or(0))
    }

    /// What was kept, if it is still what it was. What cannot be read was not kept.
    pub(super) fn kept(path: &Path, base: Sha256) -> Option<Result<Self, Why>> {
        let mut file = durable::open_plain(path).ok()?;
        let mut head = [0_u8; HEAD];
        file.read_exact(&mut head).ok()?;
        let (digest, numbers) = head.split_at(32);
        let mut hasher = Sha256Hasher::default();
        hasher.update(numbers);
        let mut chunk = vec![0_u8; CHUNK];
        let mut length = 0_u64;
        loop {
            let read = file.read(&mut chunk).ok()?;
            if read == 0 {
                break;
            }
            hasher.update(chunk.get(..read).unwrap_or_default());
            length = length.saturating_add(u64::try_from(read).unwrap_or(0));
        }
        if hasher.finish().as_bytes() != digest {
            return None;
        }
        let number = |at: usize| {
            let bytes = numbers.get(at..at.saturating_add(8));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_le_bytes)
        };
        if length == 0 {
            let larger = NonZeroU64::new(number(0));
            return Some(Err(
                larger.map_or(Why::Costly, |size| Why::Larger(size.get()))
            ));
        }
        Some(Ok(Self {
            path: path.to_owned(),
            length,
            memory: number(0),
            scratch: NonZeroU64::new(number(8)),
            base,
        }))
    }

    /// Keeps what a comparison came to in `path`, and gives it as it is found there the next time. What
    /// another time may come out otherwise is not kept.
    pub(super) fn keep(
        path: PathBuf,
        worth: Result<Worth, Why>,
        base: Sha256,
    ) -> Result<Result<Self, Why>, DiskError> {
        let (numbers, delta) = match &worth {
            Ok((room, delta)) => ([room.memory, room.scratch], delta.as_slice()),
            Err(Why::Larger(size)) => ([*size, 0], [].as_slice()),
            Err(Why::Costly) => ([0, 0], [].as_slice()),
            Err(why @ (Why::Unreadable | Why::Wrong)) => return Ok(Err(*why)),
        };
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        let mut hasher = Sha256Hasher::default();
        hasher.update(&numbers);
        hasher.update(delta);
        let digest = hasher.finish();
        let mut draft = Draft::create(&path, 0o600)?;
        for bytes in [digest.as_bytes().as_slice(), &numbers, delta] {
            draft
                .file()
                .write_all(bytes)
                .map_err(DiskError::io("write", &path))?;
        }
        draft.commit()?;
        Ok(worth.map(|(room, delta)| Self {
            path,
            length: delta.as_slice().size(),
            memory: room.memory,
            scratch: NonZeroU64::new(room.scratch),
            base,
        }))
    }
}
