//! A delta's bytes: a short head, and seven streams, each a zstd frame of its own.
//!
//! | attack | defence |
//! |---|---|
//! | a frame that decompresses without end | each yields exactly the bytes that the head states |
//! | a window of gigabytes | [`WINDOW_LOG`] |
//! | columns that fill the memory | [`COLUMNS_MAX`], and what the patch declared |
//! | two heads for one delta | numbers are spelled shortest, and the frames fill the rest exactly |

use std::io::{BufRead as _, BufReader, Read};

use super::error::{DeltaError, Outcome, damaged};
use super::source::{ReadAt, Span};
use super::varint;

/// What a delta begins with.
pub(super) const MAGIC: &[u8; 4] = b"LSD0";
/// Largest zstd window, as a power of two: 8 MiB, as in packs.
const WINDOW_LOG: u32 = 23;
/// Largest head: four bytes, one byte, and fifteen numbers of up to ten bytes.
const HEAD_MAX: u64 = 155;
/// Most bytes of columns, which are held in memory.
const COLUMNS_MAX: u64 = 128 * 1024 * 1024;
/// What a stream takes besides its window, in bytes: zstd's state with two of its largest blocks, one more
/// for what comes in, and the buffers on either side.
const STREAM_MEMORY: u64 = 800 * 1024;

/// The streams, in their order in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// What archives say of their entries.
    Columns,
    /// How many bytes each match has.
    Adds,
    /// How many bytes come between matches.
    Inserts,
    /// How far the next match lies from where the last one ended.
    Seeks,
    /// How many bytes of a match are as in the old one, each time that it is so.
    Alike,
    /// How many are not, each time behind those, and by how much each of them differs.
    Unlike,
    /// The bytes between matches.
    Literals,
}

/// How many there are.
pub(super) const STREAMS: usize = 7;

/// What the head says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// Whether the old and the new bytes are archives that were taken apart.
    pub(super) archive: bool,
    /// Bytes of the new content.
    pub(super) size: u64,
    streams: [Stream; STREAMS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    /// Bytes that it yields.
    plain: u64,
    /// Its frame.
    frame: Option<Span>,
}

impl Head {
    /// Reads the head of a delta.
    pub(super) fn read(delta: &dyn ReadAt) -> Outcome<Self> {
        let size = usize::try_from(delta.size().min(HEAD_MAX)).unwrap_or(0);
        let mut bytes = vec![0_u8; size];
        delta.read_at(0, &mut bytes)?;
        let Some(mut left) = bytes.strip_prefix(MAGIC) else {
            return damaged("it does not begin as one");
        };
        let mut next = || match left.split_first() {
            Some((first, rest)) => {
                left = rest;
                Ok(*first)
            }
            None => damaged("it ends in its head"),
        };
        let archive = match next()? {
            0 => false,
            1 => true,
            _ => return damaged("it is of an unknown kind"),
        };
        let size = varint::take(&mut next)?;
        let mut lengths = [(0, 0); STREAMS];
        for length in &mut lengths {
            *length = (varint::take(&mut next)?, varint::take(&mut next)?);
        }
        let head = u64::try_from(bytes.len().saturating_sub(left.len())).unwrap_or(0);
        let mut at = head;
        let mut streams = [Stream::default(); STREAMS];
        for (stream, (plain, packed)) in streams.iter_mut().zip(lengths) {
            let frame = Span { at, size: packed };
            at = at.saturating_add(packed);
            if (plain == 0) != (packed == 0) {
                return damaged("a stream without bytes has a frame");
            }
            *stream = Stream {
                plain,
                frame: (packed > 0).then_some(frame),
            };
        }
        if at != delta.size() {
            return damaged("its streams have other lengths than stated");
        }
        Ok(Self {
            archive,
            size,
            streams,
        })
    }

    /// Bytes of memory that reading the streams takes.
    pub(super) fn memory(&self) -> u64 {
        let window = |stream: &Stream| 1_u64 << window_log(stream.plain);
        let open = self.streams.iter().filter(|stream| stream.frame.is_some());
        let windows = open.map(|stream| window(stream).saturating_add(STREAM_MEMORY));
        windows.fold(self.of(Name::Columns).plain, u64::saturating_add)
    }

    fn of(&self, name: Name) -> Stream {
        let index = match name {
            Name::Columns => 0,
            Name::Adds => 1,
            Name::Inserts => 2,
            Name::Seeks => 3,
            Name::Alike => 4,
            Name::Unlike => 5,
            Name::Literals => 6,
        };
        self.streams.get(index).copied().unwrap_or_default()
    }

    /// All columns, in memory.
    pub(super) fn columns(&self, delta: &dyn ReadAt) -> Outcome<Vec<u8>> {
        let asked = self.of(Name::Columns).plain;
        if asked > COLUMNS_MAX {
            return Err(DeltaError::TooLarge {
                what: "columns",
                asked,
                most: COLUMNS_MAX,
            });
        }
        let mut open = self.open(delta, Name::Columns)?;
        let mut bytes = vec![0_u8; usize::try_from(asked).unwrap_or(0)];
        open.fill(&mut bytes)?;
        open.end()?;
        Ok(bytes)
    }

    /// A stream, to be read.
    pub(super) fn open<'a>(&self, delta: &'a dyn ReadAt, name: Name) -> Outcome<Open<'a>> {
        let Stream { plain, frame } = self.of(name);
        let reader = match frame {
            None => None,
            Some(span) => {
                let mut decoder = zstd::stream::read::Decoder::new(Part { delta, span })?;
                decoder.window_log_max(window_log(plain))?;
                Some(BufReader::with_capacity(64 * 1024, decoder.single_frame()))
            }
        };
        Ok(Open {
            reader,
            left: plain,
        })
    }
}

/// The window of a stream of `plain` bytes, as a power of two: the smallest that holds all, from a kilobyte
/// up to [`WINDOW_LOG`].
pub(super) fn window_log(plain: u64) -> u32 {
    let log = plain.max(1024).checked_next_power_of_two();
    log.map_or(WINDOW_LOG, u64::ilog2).min(WINDOW_LOG)
}

/// A frame of a delta, read front to back.
struct Part<'a> {
    delta: &'a dyn ReadAt,
    span: Span,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size =
            usize::try_from(self.span.size).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = buffer.get_mut(..size).unwrap_or_default();
        self.delta.read_at(self.span.at, buffer)?;
        let read = u64::try_from(size).unwrap_or(0);
        self.span = Span {
            at: self.span.at.saturating_add(read),
            size: self.span.size.saturating_sub(read),
        };
        Ok(size)
    }
}

type Decoder<'a> = zstd::stream::read::Decoder<'static, BufReader<Part<'a>>>;

/// A stream that is being read.
pub(super) struct Open<'a> {
    reader: Option<BufReader<Decoder<'a>>>,
    left: u64,
}

impl Open<'_> {
    /// Fills `buffer`.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Outcome<()> {
        let asked = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(asked) else {
            return damaged("a stream is too short");
        };
        self.left = left;
        match &mut self.reader {
            Some(reader) => reader.read_exact(buffer).map_err(undecodable),
            None if buffer.is_empty() => Ok(()),
            None => damaged("a stream is too short"),
        }
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Outcome<u64> {
        varint::take(|| {
            let mut byte = [0];
            self.fill(&mut byte)?;
            let [byte] = byte;
            Ok(byte)
        })
    }

    /// Refuses a stream that has more, in what it states or in its frame.
    pub(super) fn end(&mut self) -> Outcome<()> {
        let ended = match &mut self.reader {
            Some(reader) => {
                let decoded = reader.fill_buf().map_err(undecodable)?.is_empty();
                let frame = reader.get_ref().get_ref();
                decoded && frame.buffer().is_empty() && frame.get_ref().span.size == 0
            }
            None => true,
        };
        if self.left == 0 && ended {
            Ok(())
        } else {
            damaged("a stream has more than was asked for")
        }
    }
}

/// What zstd cannot decode is damage; what cannot be read stays what it is.
fn undecodable(error: std::io::Error) -> DeltaError {
    match error.raw_os_error() {
        Some(_) => DeltaError::Io(error),
        None => DeltaError::Damaged("a stream cannot be decompressed"),
    }
}
