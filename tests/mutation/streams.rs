//! A delta taken apart into its streams, and the first of them into its columns: what is edited there
//! lies behind the compression, and is packed again into a delta whose frames and lengths are in order.

use super::dice::Dice;

/// What a delta begins with.
const MAGIC: &[u8] = b"LSD0";
/// Columns of the first stream.
const COLUMNS: usize = 89;
/// Streams behind the columns: adds, inserts, seeks, alike, unlike, literals.
const STREAMS: usize = 6;
/// Most bytes that a stream of a good delta yields here.
const MOST: usize = 1 << 20;
/// Numbers at the limits.
const LIMITS: [u64; 12] = [
    0,
    1,
    2,
    3,
    127,
    128,
    0xffff,
    0xffff_ffff,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// A delta, with what its frames yield.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delta {
    /// 1 where archives were taken apart.
    archive: u8,
    /// Bytes that it makes.
    pub(crate) size: u64,
    columns: Vec<Vec<u8>>,
    streams: Vec<Vec<u8>>,
}

impl Delta {
    /// Takes a well-formed delta apart.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (archive, mut left) = bytes.strip_prefix(MAGIC)?.split_first()?;
        let size = number(&mut left)?;
        let mut lengths = Vec::new();
        for _ in 0..=STREAMS {
            let plain = number(&mut left)?;
            lengths.push((plain, usize::try_from(number(&mut left)?).ok()?));
        }
        let mut streams = Vec::new();
        for (_, packed) in lengths {
            let (frame, rest) = left.split_at_checked(packed)?;
            left = rest;
            streams.push(unpack(frame)?);
        }
        let columns = columns(&streams.remove(0))?;
        Some(Self {
            archive: *archive,
            size,
            columns,
            streams,
        })
    }

    /// The delta again.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for column in &self.columns {
            put(&mut all, length(column));
        }
        all.extend(self.columns.concat());
        let mut delta = [MAGIC, &[self.archive]].concat();
        put(&mut delta, self.size);
        let mut frames = Vec::new();
        for stream in std::iter::once(&all).chain(&self.streams) {
            let frame = pack(stream);
            put(&mut delta, length(stream));
            put(&mut delta, length(&frame));
            frames.extend(frame);
        }
        [delta, frames].concat()
    }

    /// Edits it once, and says how.
    pub(crate) fn edit(&mut self, dice: &mut impl Dice) -> &'static str {
        match dice.below(16) {
            0 => {
                self.size = changed(self.size, dice);
                "another size"
            }
            1 => {
                self.archive = u8::try_from(dice.below(3)).unwrap_or(0);
                "another kind"
            }
            2 => {
                let (a, b) = (dice.below(STREAMS), dice.below(STREAMS));
                self.streams.swap(a, b);
                "streams exchanged"
            }
            3..=8 => edit(&mut self.columns, dice),
            _ => edit(&mut self.streams, dice),
        }
    }
}

/// Edits one of these, mostly one that is not empty.
fn edit(parts: &mut [Vec<u8>], dice: &mut impl Dice) -> &'static str {
    let full: Vec<usize> = (0..parts.len())
        .filter(|at| !parts[*at].is_empty())
        .collect();
    let at = if dice.once_in(8) {
        None
    } else {
        dice.pick(&full).copied()
    };
    let at = at.unwrap_or_else(|| dice.below(parts.len()));
    let part = &mut parts[at];
    match dice.below(8) {
        0..=2 => numbers(part, dice),
        3 => {
            let place = dice.below(part.len() + 1);
            let more = dice.bytes(16);
            part.splice(place..place, more);
            "bytes put in"
        }
        4 => {
            part.truncate(dice.below(part.len() + 1));
            "cut"
        }
        5 => {
            part.resize(part.len() + (1 << dice.below(20)), dice.byte());
            "made long"
        }
        6 => {
            let again = part.clone();
            part.extend(again);
            "twice"
        }
        _ => {
            let place = dice.below(part.len());
            if let Some(byte) = part.get_mut(place) {
                *byte ^= 1 << dice.below(8);
            }
            "a bit"
        }
    }
}

/// One number of those that `part` holds becomes another; it has few numbers that is none of numbers.
fn numbers(part: &mut Vec<u8>, dice: &mut impl Dice) -> &'static str {
    let mut all = Vec::new();
    let mut left = part.as_slice();
    while let Some(number) = number(&mut left) {
        all.push(number);
    }
    let rest = left.to_vec();
    let at = dice.below(all.len());
    match (dice.below(4), all.get_mut(at)) {
        (0, Some(_)) => drop(all.remove(at)),
        (1, Some(number)) => {
            let number = *number;
            all.insert(at, number);
        }
        (_, Some(number)) => *number = changed(*number, dice),
        (_, None) => all.push(changed(0, dice)),
    }
    part.clear();
    for number in all {
        put(part, number);
    }
    part.extend(rest);
    "another number"
}

fn changed(number: u64, dice: &mut impl Dice) -> u64 {
    let small = u64::try_from(1 + dice.below(64)).unwrap_or(1);
    match dice.below(3) {
        0 => number.wrapping_add(small),
        1 => number.wrapping_sub(small),
        _ => dice.pick(&LIMITS).copied().unwrap_or(0),
    }
}

fn columns(stream: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut left = stream;
    let mut lengths = Vec::new();
    for _ in 0..COLUMNS {
        lengths.push(usize::try_from(number(&mut left)?).ok()?);
    }
    let mut columns = Vec::new();
    for length in lengths {
        let (column, rest) = left.split_at_checked(length)?;
        columns.push(column.to_vec());
        left = rest;
    }
    Some(columns)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn number(left: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = left.split_first()?;
        *left = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn unpack(frame: &[u8]) -> Option<Vec<u8>> {
    if frame.is_empty() {
        return Some(Vec::new());
    }
    zstd::bulk::decompress(frame, MOST).ok()
}

/// A frame with the window that the reader allows.
fn pack(plain: &[u8]) -> Vec<u8> {
    if plain.is_empty() {
        return Vec::new();
    }
    let window = plain.len().next_power_of_two().ilog2().clamp(10, 23);
    let packed = zstd::bulk::Compressor::new(1).and_then(|mut compressor| {
        compressor.include_contentsize(false)?;
        compressor.window_log(window)?;
        compressor.compress(plain)
    });
    packed.unwrap_or_default()
}
