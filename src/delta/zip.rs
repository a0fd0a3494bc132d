//! Where everything lies in a zip archive: jars and wars too, and zips inside of them.
//!
//! Strict: what is taken apart here is put together again byte by byte, so that an archive is either
//! understood to its last byte or no archive at all, and then handled as plain bytes.
//!
//! | attack | defence |
//! |---|---|
//! | extra fields and gaps of gigabytes | counted before they are read |
//! | entries that overlap, so that a few bytes inflate to very many | each lies behind the one before |

use super::budget::Budget;
use super::error::Outcome;
use super::source::{ReadAt, Span, read_all};
use super::zip_end as end;

/// Bytes of a local header, without name and extra field.
pub(super) const LOCAL: usize = 30;
/// Bytes of an entry in the directory, without name, extra field and comment.
pub(super) const CENTRAL: usize = 46;

/// Most bytes between two entries: what aligns them, or lets an archive start itself.
const GAP_MAX: u64 = 64 * 1024;
/// Memory that a byte of the directory takes: an entry without a name has 46 bytes there, and here some
/// 700, with all that is made of it, and a list that doubles as it grows.
const DIRECTORY_MEMORY: u64 = 16;

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const CENTRAL_SIGNATURE: &[u8] = b"PK\x01\x02";
/// What a data descriptor may begin with.
const DESCRIPTOR_SIGNATURE: &[u8] = b"PK\x07\x08";

/// A zip archive, taken apart.
#[cfg_attr(
    not(feature = "desk"),
    expect(
        dead_code,
        reason = "some of it is asked of new archives alone, by the desk"
    )
)]
pub(super) struct Archive {
    /// In the order in which they lie in the file.
    pub(super) entries: Vec<Entry>,
    /// The directory's order: an index into `entries` each.
    pub(super) order: Vec<usize>,
    /// What follows the directory.
    pub(super) tail: Vec<u8>,
    /// Bytes between the last entry and the directory.
    pub(super) gap: Vec<u8>,
    /// Where the directory lies, from the archive's beginning.
    pub(super) directory: Span,
}

/// One entry.
pub(super) struct Entry {
    /// Its fixed part, as it stands before the data.
    pub(super) local: [u8; LOCAL],
    /// Its fixed part in the directory.
    pub(super) central: [u8; CENTRAL],
    pub(super) name: Vec<u8>,
    pub(super) local_extra: Vec<u8>,
    pub(super) central_extra: Vec<u8>,
    pub(super) comment: Vec<u8>,
    /// Bytes between the entry before and this one: none in most archives.
    pub(super) gap: Vec<u8>,
    /// The data, as they are stored.
    pub(super) data: Span,
    /// What stands behind the data and repeats sizes and checksum, if anything does.
    pub(super) descriptor: Vec<u8>,
}

/// The two bytes at `at`, low one first.
pub(super) fn two(bytes: &[u8], at: usize) -> u16 {
    let pair = at.checked_add(2).and_then(|end| bytes.get(at..end));
    pair.and_then(|pair| pair.try_into().ok())
        .map_or(0, u16::from_le_bytes)
}

/// The four bytes at `at`, low one first.
pub(super) fn four(bytes: &[u8], at: usize) -> u32 {
    let four = at.checked_add(4).and_then(|end| bytes.get(at..end));
    four.and_then(|four| four.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

impl Entry {
    /// 0 is stored, 8 is deflated.
    pub(super) fn method(&self) -> u16 {
        two(&self.central, 10)
    }

    pub(super) fn crc(&self) -> u32 {
        four(&self.central, 16)
    }

    /// Bytes that it has once it is inflated.
    pub(super) fn size(&self) -> u64 {
        u64::from(four(&self.central, 24))
    }

    fn stored(&self) -> u64 {
        u64::from(four(&self.central, 20))
    }

    /// Where it begins, from the archive's beginning.
    pub(super) fn offset(&self) -> u64 {
        u64::from(four(&self.central, 42))
    }

    /// Whether its sizes stand behind its data.
    pub(super) fn is_described(&self) -> bool {
        two(&self.local, 6) & 8 != 0
    }
}

/// Takes an archive apart. Nothing where it is none, or one of a kind that is not understood to the
/// last byte.
pub(super) fn parse(source: &dyn ReadAt, span: Span, budget: &Budget) -> Outcome<Option<Archive>> {
    let Some((directory, tail)) = end::find(source, span)? else {
        return Ok(None);
    };
    let memory = directory.size.saturating_mul(DIRECTORY_MEMORY);
    budget.memory(memory.saturating_add(tail.as_slice().size()))?;
    let bytes = read_all(source, directory)?;
    let Some(mut entries) = central(&bytes) else {
        return Ok(None);
    };
    // By place; the directory's order is kept beside it.
    let mut sorted: Vec<usize> = (0..entries.len()).collect();
    sorted.sort_by_key(|index| entries.get(*index).map(Entry::offset));
    let mut order = vec![0; entries.len()];
    for (place, index) in sorted.iter().enumerate() {
        if let Some(slot) = order.get_mut(*index) {
            *slot = place;
        }
    }
    entries.sort_by_key(Entry::offset);
    let mut at = span.at;
    for index in 0..entries.len() {
        let next = entries.get(index.saturating_add(1)).map(Entry::offset);
        // An offset behind the directory is for the entry itself to refuse.
        let next = next.map_or(directory.at, |offset| span.at.saturating_add(offset));
        let next = next.min(directory.at);
        let Some(entry) = entries.get_mut(index) else {
            return Ok(None);
        };
        match place(source, span, at, next, entry)? {
            Some(end) => at = end,
            None => return Ok(None),
        }
        budget.memory(
            entry
                .local_extra
                .as_slice()
                .size()
                .saturating_add(entry.gap.as_slice().size()),
        )?;
    }
    if at > directory.at || directory.at.saturating_sub(at) > GAP_MAX {
        return Ok(None);
    }
    let gap = Span {
        at,
        size: directory.at.saturating_sub(at),
    };
    budget.memory(gap.size)?;
    let gap = read_all(source, gap)?;
    let directory = Span {
        at: directory.at.saturating_sub(span.at),
        size: directory.size,
    };
    Ok(Some(Archive {
        entries,
        order,
        tail,
        gap,
        directory,
    }))
}

/// The entries of a directory, to its last byte.
fn central(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let central: [u8; CENTRAL] = take(&mut bytes, CENTRAL)?.try_into().ok()?;
        if !central.starts_with(CENTRAL_SIGNATURE) {
            return None;
        }
        let length = |at| usize::from(two(&central, at));
        let name = take(&mut bytes, length(28))?.to_vec();
        let central_extra = take(&mut bytes, length(30))?.to_vec();
        let comment = take(&mut bytes, length(32))?.to_vec();
        let entry = Entry {
            local: [0; LOCAL],
            central,
            name,
            local_extra: Vec::new(),
            central_extra,
            comment,
            gap: Vec::new(),
            data: Span { at: 0, size: 0 },
            descriptor: Vec::new(),
        };
        // Sizes and places past 4 GiB stand elsewhere.
        if [entry.stored(), entry.size(), entry.offset()].contains(&u64::from(u32::MAX)) {
            return None;
        }
        entries.push(entry);
    }
    Some(entries)
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(first)
}

/// Finds the local parts of an entry, between the end of the one before and the start of the next.
fn place(
    source: &dyn ReadAt,
    span: Span,
    before: u64,
    next: u64,
    entry: &mut Entry,
) -> Outcome<Option<u64>> {
    let at = span.at.saturating_add(entry.offset());
    let fixed = u64::try_from(LOCAL).unwrap_or(0);
    if at < before || at.saturating_sub(before) > GAP_MAX || at.saturating_add(fixed) > next {
        return Ok(None);
    }
    source.read_at(at, &mut entry.local)?;
    let name = u64::from(two(&entry.local, 26));
    let extra = u64::from(two(&entry.local, 28));
    let data = Span {
        at: at
            .saturating_add(fixed)
            .saturating_add(name)
            .saturating_add(extra),
        size: entry.stored(),
    };
    if !entry.local.starts_with(LOCAL_SIGNATURE) || data.end() > next || data.end() > span.end() {
        return Ok(None);
    }
    let named = Span {
        at: at.saturating_add(fixed),
        size: name,
    };
    if read_all(source, named)? != entry.name {
        return Ok(None);
    }
    entry.local_extra = read_all(
        source,
        Span {
            at: named.end(),
            size: extra,
        },
    )?;
    entry.gap = read_all(
        source,
        Span {
            at: before,
            size: at.saturating_sub(before),
        },
    )?;
    entry.data = data;
    let mut end = data.end();
    if entry.is_described() {
        let rest = Span {
            at: end,
            size: next.saturating_sub(end).min(16),
        };
        let bytes = read_all(source, rest)?;
        let size = described(entry, &bytes);
        entry.descriptor = bytes.get(..size).unwrap_or_default().to_vec();
        end = end.saturating_add(size.try_into().unwrap_or(0));
    }
    Ok(Some(end))
}

/// Bytes of the descriptor at the beginning of `bytes`, none where there is no such thing.
fn described(entry: &Entry, bytes: &[u8]) -> usize {
    let plain = descriptor(
        entry.crc(),
        four(&entry.central, 20),
        four(&entry.central, 24),
    );
    let signed = [DESCRIPTOR_SIGNATURE, &plain].concat();
    if bytes.starts_with(&signed) {
        signed.len()
    } else if bytes.starts_with(&plain) {
        plain.len()
    } else {
        0
    }
}

/// What a descriptor says.
fn descriptor(crc: u32, stored: u32, size: u32) -> [u8; 12] {
    let mut bytes = [0; 12];
    for (slot, value) in bytes.chunks_mut(4).zip([crc, stored, size]) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// A descriptor of `length` bytes: 0, 12, or 16 with its signature.
pub(super) fn make_descriptor(length: usize, crc: u32, stored: u32, size: u32) -> Option<Vec<u8>> {
    let plain = descriptor(crc, stored, size);
    match length {
        0 => Some(Vec::new()),
        12 => Some(plain.to_vec()),
        16 => Some([DESCRIPTOR_SIGNATURE, &plain].concat()),
        _ => None,
    }
}
