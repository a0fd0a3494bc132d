//! What the targets of deltas share: making a content under a count of what it really takes, small
//! archives, and the golden deltas to start from.
#![allow(dead_code, reason = "no target uses all of it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use lockstep::delta::{DeltaError, Effort, ReadAt, Room, Scratch, decode, encode};

use super::shared::Bytes;
use super::shared::dice::Dice as _;

/// Largest content that is made here: larger ones only take longer.
pub(crate) const SIZE_MAX: u64 = 1 << 20;
/// What a content may take where nothing else is said.
pub(crate) const ROOM: Room = Room {
    memory: 64 << 20,
    scratch: 4 << 20,
};

/// Counts what is held, so that what the reader says it takes is compared with what it takes. The C of zstd
/// and zlib asks elsewhere; what it takes is what the limit of the whole process is for.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: each call is the system's own; beside it numbers are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once.
        taken(size);
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A scratch that takes what it may, and no more.
struct Bounded {
    bytes: RefCell<Vec<u8>>,
    most: u64,
}

impl ReadAt for Bounded {
    fn size(&self) -> u64 {
        self.bytes.borrow().size()
    }

    fn read_at(&self, at: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.bytes.borrow().read_at(at, buffer)
    }
}

impl Scratch for Bounded {
    fn append(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes.borrow_mut().extend_from_slice(bytes);
        assert!(self.size() <= self.most, "more is written than may be");
        Ok(())
    }
}

/// Makes a content: never more than it should be, with no more than it may take.
pub(crate) fn apply(
    delta: &[u8],
    old: &[u8],
    size: u64,
    most: Room,
) -> Result<(Vec<u8>, Room), DeltaError> {
    let scratch = Bounded {
        bytes: RefCell::new(Vec::with_capacity(most.scratch.min(ROOM.scratch) as usize)),
        most: most.scratch,
    };
    let mut content = Vec::with_capacity(size as usize);
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let made = decode(&delta, &old, &scratch, (size, most), &mut |bytes| {
        content.extend_from_slice(bytes);
        assert!(content.len() as u64 <= size, "more is made than was asked for");
        Ok(())
    });
    let peak = (PEAK.load(Relaxed) - before) as u64;
    let room = *made.as_ref().unwrap_or(&most);
    assert!(peak <= room.memory, "{peak} bytes are held, and {} were counted", room.memory);
    made?;
    assert!(room.memory <= most.memory && room.scratch <= most.scratch);
    assert_eq!(content.len() as u64, size, "less is made than was asked for");
    assert_eq!(scratch.size(), room.scratch, "scratch is counted otherwise than written");
    Ok((content, room))
}

/// The size that a delta states; nothing where it states none, or one that takes too long here.
fn states(delta: &[u8]) -> Option<u64> {
    let mut size = 0_u64;
    for (shift, byte) in (0..63).step_by(7).zip(delta.get(5..)?) {
        size |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (size <= SIZE_MAX).then_some(size);
        }
    }
    None
}

/// Whatever a delta is: it ends within its bounds, and makes one content, for which it takes what it says.
pub(crate) fn any(delta: &[u8], old: &[u8], most: Room) {
    let size = states(delta).unwrap_or(7);
    let Ok((made, room)) = apply(delta, old, size, most) else {
        return;
    };
    exactly(delta, old, &made, room);
    assert!(apply(delta, old, size + 1, ROOM).is_err(), "of any size");
}

/// It makes this with this much room, and with less it is refused for that.
fn exactly(delta: &[u8], old: &[u8], made: &[u8], room: Room) {
    let size = made.len() as u64;
    let (again, used) = apply(delta, old, size, room).expect("with the room that it took");
    assert!(again == made, "another content the second time");
    assert_eq!(used, room, "another count the second time");
    let less = Room {
        memory: room.memory - 1,
        ..room
    };
    let refused = apply(delta, old, size, less);
    assert!(matches!(refused, Err(DeltaError::TooLarge { .. })), "with less memory");
    let Some(scratch) = room.scratch.checked_sub(1) else {
        return;
    };
    let refused = apply(delta, old, size, Room { scratch, ..room });
    assert!(matches!(refused, Err(DeltaError::TooLarge { .. })), "with less scratch");
}

/// A delta from one to the other, which makes the other.
pub(crate) fn round(old: &[u8], new: &[u8], effort: Effort) -> Vec<u8> {
    let delta = encode(&old, &new, effort, &|_, _| true).expect("a delta");
    let size = new.len() as u64;
    let endless = Room {
        memory: u64::MAX,
        scratch: 64 << 20,
    };
    let (made, room) = apply(&delta, old, size, endless).expect("what was made is read");
    assert!(made == new, "another content came out");
    exactly(&delta, old, &made, room);
    delta
}

/// Whether archives were taken apart.
pub(crate) fn is_archive(delta: &[u8]) -> bool {
    delta.get(4) == Some(&1)
}

/// Two files: two bytes say how long the first one is.
pub(crate) fn two(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first_chunk::<2>() else {
        return (input, &[]);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    rest.split_at(length.min(rest.len()))
}

/// The golden deltas: old, new, delta.
pub(crate) fn golden() -> Vec<[Vec<u8>; 3]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/delta");
    let read = |name: &str, end: &str| {
        let path = folder.join(name).with_extension(end);
        std::fs::read(path).expect("a golden delta")
    };
    let files = |name| ["old", "new", "delta"].map(|end| read(name, end));
    ["jar", "text"].map(files).to_vec()
}

/// Edits as they happen: bytes replaced, taken out, put in, moved, doubled.
pub(crate) fn edit(bytes: &mut Vec<u8>, dice: &mut Bytes<'_>) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + 1 + dice.below(64)).min(bytes.len());
    let part = bytes.get(at..end).unwrap_or_default().to_vec();
    match dice.below(6) {
        0 => drop(bytes.drain(at.min(end)..end)),
        1 => drop(bytes.splice(at..at, dice.bytes(24))),
        2 => drop(bytes.splice(at..at, part)),
        3 => {
            bytes.drain(at.min(end)..end);
            bytes.extend(part);
        }
        4 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        _ => bytes
            .iter_mut()
            .skip(at)
            .take(end.saturating_sub(at))
            .for_each(|byte| *byte = byte.wrapping_add(3)),
    }
}

/// A content of a few kilobytes: some that repeats itself, some that does not.
pub(crate) fn content(dice: &mut Bytes<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    for part in 0..dice.below(5) {
        match dice.below(4) {
            0 => all.extend(dice.bytes(64)),
            1 => {
                let (byte, times) = (dice.byte(), dice.below(3000));
                all.extend(std::iter::repeat_n(byte, times));
            }
            2 => {
                let seed = dice.below(1 << 16);
                for line in 0..dice.below(40) {
                    let word = (seed + line).wrapping_mul(2_654_435_761) >> 3;
                    all.extend(format!("{part} {line}: {word:x} is what it says\n").bytes());
                }
            }
            _ => {
                let from = dice.below(all.len() + 1);
                let again = all.get(from..).unwrap_or_default().to_vec();
                all.extend(again);
                all.truncate(1 << 14);
            }
        }
    }
    all
}

/// An entry of a small archive.
#[derive(Clone)]
pub(crate) struct Entry {
    name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    /// None is stored.
    level: Option<u32>,
    described: bool,
    date: [u8; 4],
    extra: Vec<u8>,
    comment: Vec<u8>,
    gap: Vec<u8>,
}

/// An entry of this name: mostly a plain one, sometimes one with everything that there is.
pub(crate) fn entry(name: usize, dice: &mut Bytes<'_>, depth: usize) -> Entry {
    let odd = dice.once_in(3);
    let content = if depth < 5 && dice.once_in(6) {
        zip(&entries(dice, depth + 1), dice)
    } else {
        content(dice)
    };
    Entry {
        name: format!("lib/{name}-1.{}.jar", dice.below(3)).into_bytes(),
        content,
        level: (!dice.once_in(4)).then(|| 1 + dice.below(9) as u32),
        described: dice.once_in(4),
        date: [dice.byte(), 0x60, 0x21, 0x5a],
        extra: if odd { dice.bytes(12) } else { Vec::new() },
        comment: if odd { dice.bytes(5) } else { Vec::new() },
        gap: if odd { vec![0; dice.below(9)] } else { Vec::new() },
    }
}

/// A few of them.
pub(crate) fn entries(dice: &mut Bytes<'_>, depth: usize) -> Vec<Entry> {
    (0..dice.below(5)).map(|name| entry(name, dice, depth)).collect()
}

/// What becomes of them: some change, some go, some come.
pub(crate) fn changed(entries: &[Entry], dice: &mut Bytes<'_>) -> Vec<Entry> {
    let mut all = entries.to_vec();
    for _ in 0..dice.below(4) {
        let at = dice.below(all.len());
        match (dice.below(6), all.get_mut(at)) {
            (0, Some(_)) => drop(all.remove(at)),
            (1, Some(_)) => {
                let one = all.remove(at);
                all.push(one);
            }
            (2, Some(one)) => one.level = (!dice.once_in(4)).then(|| 1 + dice.below(9) as u32),
            (3, _) => all.push(entry(7, dice, 0)),
            (_, Some(one)) => edit(&mut one.content, dice),
            (_, None) => {}
        }
    }
    all
}

/// An archive of these, with a comment.
pub(crate) fn zip(entries: &[Entry], dice: &mut Bytes<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut directory = Vec::new();
    let short = |length: usize| (length as u16).to_le_bytes();
    let long = |length: usize| (length as u32).to_le_bytes();
    for one in entries {
        all.extend(&one.gap);
        let at = all.len();
        let stored = match one.level {
            None => one.content.clone(),
            Some(level) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
                encoder.write_all(&one.content).expect("in memory");
                encoder.finish().expect("in memory")
            }
        };
        let mut crc = Crc::new();
        crc.update(&one.content);
        let sums = [crc.sum().to_le_bytes(), long(stored.len()), long(one.content.len())].concat();
        let flags = if one.described { [8, 0] } else { [0, 0] };
        let method = if one.level.is_some() { [8, 0] } else { [0, 0] };
        let head = [&[20, 0][..], &flags, &method, &one.date].concat();
        let lengths = [short(one.name.len()), short(one.extra.len())].concat();
        let local = if one.described { vec![0; 12] } else { sums.clone() };
        all.extend([&b"PK\x03\x04"[..], &head, &local, &lengths, &one.name, &one.extra].concat());
        all.extend(stored);
        if one.described {
            all.extend([&b"PK\x07\x08"[..], &sums].concat());
        }
        directory.extend([&b"PK\x01\x02\x14\x03"[..], &head, &sums, &lengths].concat());
        directory.extend(short(one.comment.len()));
        directory.extend([0, 0, 0, 0, 0xa4, 0x81, 0, 0]);
        directory.extend(long(at));
        directory.extend([&one.name[..], &one.extra, &one.comment].concat());
    }
    let at = all.len();
    all.extend(&directory);
    all.extend(b"PK\x05\x06\0\0\0\0");
    all.extend([short(entries.len()), short(entries.len())].concat());
    all.extend([long(directory.len()), long(at)].concat());
    let comment = dice.bytes(3);
    all.extend(short(comment.len()));
    all.extend(comment);
    all
}
