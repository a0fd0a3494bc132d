//! What zip headers are foretold to say, and what is different.
//!
//! Most of a new archive's headers are those of the old one with another date. Sizes, checksums and
//! places follow from the contents; the directory repeats what stands before the data.
//!
//! | attack | defence |
//! |---|---|
//! | a header that is none, or says what is not so | it is bytes of the new content like others, which its digests are of; nothing here believes it |
//! | contents, places and lengths larger than a header can say | all ones, without a panic |
//! | a descriptor of any length | the decoder makes 0, 12 or 16 bytes, and refuses others |
//! | headers that refer to the one before, where there is none | zeros |

use super::columns::{Coder, Column, Field};
use super::error::Outcome;
use super::zip::{self, CENTRAL, Entry, LOCAL, two};
use super::zip_end;

/// What is known of an entry's content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) crc: u32,
    pub(super) stored: u32,
    pub(super) size: u32,
}

impl Facts {
    /// What an entry says of its own content.
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            crc: entry.crc(),
            stored: zip::four(&entry.central, 20),
            size: zip::four(&entry.central, 24),
        }
    }

    /// Of stored bytes that nobody looked into: how many there are. The rest is as it was.
    pub(super) fn opaque(stored: u64, old: Option<&Entry>) -> Self {
        Self {
            stored: u32::try_from(stored).unwrap_or(u32::MAX),
            ..old.map_or_else(Self::default, Self::of)
        }
    }
}

/// What the entries before say of the next one.
#[derive(Default)]
pub(super) struct Before {
    local: Option<[u8; LOCAL]>,
    extra: Vec<u8>,
    /// Whether the last entry that had an old one was dated otherwise than that.
    dated: bool,
    central: Option<[u8; CENTRAL]>,
    central_extra: Vec<u8>,
}

/// The header before an entry's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) fixed: [u8; LOCAL],
    pub(super) name: Vec<u8>,
    pub(super) extra: Vec<u8>,
    pub(super) descriptor: usize,
}

impl Local {
    #[cfg(feature = "desk")]
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            fixed: entry.local,
            name: entry.name.clone(),
            extra: entry.local_extra.clone(),
            descriptor: entry.descriptor.len(),
        }
    }

    /// An entry of which nothing is known, to be read.
    pub(super) fn blank() -> Self {
        Self {
            fixed: [0; LOCAL],
            name: Vec::new(),
            extra: Vec::new(),
            descriptor: 0,
        }
    }
}

/// Walks the header before an entry's data.
pub(super) fn local(
    coder: &mut dyn Coder,
    there: &Local,
    facts: Facts,
    old: Option<&Entry>,
    before: &mut Before,
) -> Outcome<Local> {
    let old_name = old.map(|old| old.name.as_slice());
    let name = coder.text(Field::NameIs, &there.name, old_name.as_slice())?;
    let old_extra = old.map_or(&[][..], |old| &old.local_extra);
    let extra = coder.text(Field::ExtraIs, &there.extra, &[old_extra, &before.extra])?;
    let model = old
        .map(|old| old.local)
        .or(before.local)
        .unwrap_or([0; LOCAL]);
    let dates = before.local.filter(|_| before.dated).unwrap_or(model);
    let lengths = [short(name.len()), short(extra.len())].concat();
    let counted = [facts.crc, facts.stored, facts.size]
        .map(u32::to_le_bytes)
        .concat();
    let mut fixed = [0; LOCAL];
    for at in 0..LOCAL {
        let foretold = match at {
            10..14 => byte(&dates, at),
            14..26 if two(&fixed, 6) & 8 == 0 => byte(&counted, at.saturating_sub(14)),
            26..30 => byte(&lengths, at.saturating_sub(26)),
            _ => byte(&model, at),
        };
        let value = coder.byte(Column::Local(at), byte(&there.fixed, at), foretold)?;
        if let Some(slot) = fixed.get_mut(at) {
            *slot = value;
        }
    }
    let usual = old.map_or(0, |old| old.descriptor.len());
    let length = |length: usize| length.try_into().unwrap_or(u64::MAX);
    let descriptor = coder.number(Field::Descriptor, length(there.descriptor), length(usual))?;
    before.dated = match old {
        Some(old) => old.local.get(10..14) != fixed.get(10..14),
        None => before.dated,
    };
    before.local = Some(fixed);
    before.extra.clone_from(&extra);
    Ok(Local {
        fixed,
        name,
        extra,
        descriptor: descriptor.try_into().unwrap_or(usize::MAX),
    })
}

/// An entry in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Central {
    pub(super) fixed: [u8; CENTRAL],
    pub(super) extra: Vec<u8>,
    pub(super) comment: Vec<u8>,
}

impl Central {
    #[cfg(feature = "desk")]
    pub(super) fn of(entry: &Entry) -> Self {
        Self {
            fixed: entry.central,
            extra: entry.central_extra.clone(),
            comment: entry.comment.clone(),
        }
    }

    /// An entry of which nothing is known, to be read.
    pub(super) fn blank() -> Self {
        Self {
            fixed: [0; CENTRAL],
            extra: Vec::new(),
            comment: Vec::new(),
        }
    }
}

/// Walks an entry in the directory, of which the header before the data is known.
pub(super) fn central(
    coder: &mut dyn Coder,
    there: &Central,
    (local, facts, offset): (&Local, Facts, u32),
    old: Option<&Entry>,
    before: &mut Before,
) -> Outcome<Central> {
    let old_extra = old.map_or(&[][..], |old| &old.central_extra);
    let foretold = [old_extra, &before.central_extra, &local.extra];
    let extra = coder.text(Field::ExtraIs, &there.extra, &foretold)?;
    let old_comment = old.map_or(&[][..], |old| &old.comment);
    let comment = coder.text(Field::CommentIs, &there.comment, &[old_comment])?;
    let model = old
        .map(|old| old.central)
        .or(before.central)
        .unwrap_or([0; CENTRAL]);
    let counted = [facts.crc, facts.stored, facts.size]
        .map(u32::to_le_bytes)
        .concat();
    let lengths = [local.name.len(), extra.len(), comment.len()]
        .map(short)
        .concat();
    let mut fixed = [0; CENTRAL];
    for at in 0..CENTRAL {
        let foretold = match at {
            6..16 => byte(&local.fixed, at.saturating_sub(2)),
            16..28 => byte(&counted, at.saturating_sub(16)),
            28..34 => byte(&lengths, at.saturating_sub(28)),
            42..46 => byte(&offset.to_le_bytes(), at.saturating_sub(42)),
            _ => byte(&model, at),
        };
        let value = coder.byte(Column::Central(at), byte(&there.fixed, at), foretold)?;
        if let Some(slot) = fixed.get_mut(at) {
            *slot = value;
        }
    }
    before.central = Some(fixed);
    before.central_extra.clone_from(&extra);
    Ok(Central {
        fixed,
        extra,
        comment,
    })
}

/// Walks what follows the directory: its count, size and place follow from what stands before.
pub(super) fn tail(
    coder: &mut dyn Coder,
    there: &[u8],
    old: &[u8],
    (entries, size, offset): (u64, u64, u64),
) -> Outcome<Vec<u8>> {
    let mut foretold = old.to_vec();
    zip_end::renew(&mut foretold, entries, size, offset);
    coder.text(Field::CommentIs, there, &[&foretold])
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}
