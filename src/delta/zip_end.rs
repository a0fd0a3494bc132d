//! The end of a zip archive: the records that say where its directory lies.
//!
//! | attack | defence |
//! |---|---|
//! | two places where the directory could be | the one that the last bytes name, and it ends where they begin |
//! | a directory of gigabytes | [`DIRECTORY_MAX`] |

use super::error::Outcome;
use super::source::{ReadAt, Span, read_all};
use super::zip::{four, two};

/// Bytes of the record at the end, without its comment.
const END: usize = 22;
/// Most bytes at the end that are looked at for that record: with the longest comment.
const END_MAX: u64 = 22 + 65_535;
/// Largest directory: some 600,000 entries.
const DIRECTORY_MAX: u64 = 64 * 1024 * 1024;

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
/// The locator of the larger record, right before the smaller one.
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const LOCATOR: usize = 20;
const LARGE_SIGNATURE: &[u8] = b"PK\x06\x06";
const LARGE: usize = 56;

fn eight(bytes: &[u8], at: usize) -> u64 {
    let eight = at.checked_add(8).and_then(|end| bytes.get(at..end));
    eight
        .and_then(|eight| eight.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Where the directory lies, and what stands behind it.
pub(super) fn find(source: &dyn ReadAt, span: Span) -> Outcome<Option<(Span, Vec<u8>)>> {
    let size = span.size.min(END_MAX);
    let last = Span {
        at: span.end().saturating_sub(size),
        size,
    };
    let bytes = read_all(source, last)?;
    let ends = |at: &usize| {
        let end = bytes.get(*at..).unwrap_or_default();
        end.starts_with(END_SIGNATURE) && end.len() == END.saturating_add(usize::from(two(end, 20)))
    };
    let Some(at) = (0..=bytes.len().saturating_sub(END)).rev().find(ends) else {
        return Ok(None);
    };
    let end = bytes.get(at..).unwrap_or_default();
    let mut size = u64::from(four(end, 12));
    let mut offset = u64::from(four(end, 16));
    let mut from = last.at.saturating_add(at.try_into().unwrap_or(u64::MAX));
    let locator = at
        .checked_sub(LOCATOR)
        .and_then(|start| bytes.get(start..at));
    if let Some(locator) = locator.filter(|bytes| bytes.starts_with(LOCATOR_SIGNATURE)) {
        let large = Span {
            at: span.at.saturating_add(eight(locator, 8)),
            size: LARGE.try_into().unwrap_or(0),
        };
        if large.end() > span.end() {
            return Ok(None);
        }
        let record = read_all(source, large)?;
        if !record.starts_with(LARGE_SIGNATURE) {
            return Ok(None);
        }
        size = eight(&record, 40);
        offset = eight(&record, 48);
        from = large.at;
    }
    let Some(directory) = span.part(offset, size) else {
        return Ok(None);
    };
    if directory.end() != from || size > DIRECTORY_MAX {
        return Ok(None);
    }
    let rest = Span {
        at: from,
        size: span.end().saturating_sub(from),
    };
    if rest.size > END_MAX.saturating_add(4096) {
        return Ok(None);
    }
    Ok(Some((directory, read_all(source, rest)?)))
}

/// Puts another count, size and place of the directory into what follows it.
pub(super) fn renew(tail: &mut [u8], entries: u64, size: u64, offset: u64) {
    let small = |value: u64| u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes();
    let middle = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
    let end = tail.len().checked_sub(END);
    let starts = |at: &usize| {
        tail.get(*at..)
            .is_some_and(|end| end.starts_with(END_SIGNATURE))
    };
    let at = end.and_then(|end| (0..=end).find(starts));
    let large = tail.starts_with(LARGE_SIGNATURE);
    let mut put = |at: usize, bytes: &[u8]| {
        let end = at.saturating_add(bytes.len());
        if let Some(slot) = tail.get_mut(at..end) {
            slot.copy_from_slice(bytes);
        }
    };
    if large {
        put(24, &entries.to_le_bytes());
        put(32, &entries.to_le_bytes());
        put(40, &size.to_le_bytes());
        put(48, &offset.to_le_bytes());
        put(
            LARGE.saturating_add(8),
            &offset.saturating_add(size).to_le_bytes(),
        );
    }
    if let Some(at) = at {
        put(at.saturating_add(8), &small(entries));
        put(at.saturating_add(10), &small(entries));
        put(at.saturating_add(12), &middle(size));
        put(at.saturating_add(16), &middle(offset));
    }
}
