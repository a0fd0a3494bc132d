//! New plain bytes from old plain bytes: matches with their differences, and what lies between them.
//!
//! | attack | defence |
//! |---|---|
//! | a match outside of the old bytes | each is asked for within them, or it is damage |
//! | matches without bytes, without end | each step must make at least one byte, or be the last |

use super::error::{Outcome, damaged};
use super::source::ReadAt;
use super::streams::{Head, Name, Open};
use super::varint;

/// Differences added at a time, in bytes.
const CHUNK: usize = 256;

/// Reads the new plain bytes from front to back.
pub(super) struct Applying<'a> {
    adds: Open<'a>,
    inserts: Open<'a>,
    seeks: Open<'a>,
    alike: Open<'a>,
    unlike: Open<'a>,
    literals: Open<'a>,
    /// Where in the old bytes the current match goes on.
    at: u64,
    /// Bytes left of the current match, and of what is inserted behind it.
    add: u64,
    insert: u64,
    /// Bytes that are as in the old ones, and then others that are not.
    same: u64,
    other: u64,
}

impl<'a> Applying<'a> {
    /// Begins.
    pub(super) fn new(head: &Head, delta: &'a dyn ReadAt) -> Outcome<Self> {
        Ok(Self {
            adds: head.open(delta, Name::Adds)?,
            inserts: head.open(delta, Name::Inserts)?,
            seeks: head.open(delta, Name::Seeks)?,
            alike: head.open(delta, Name::Alike)?,
            unlike: head.open(delta, Name::Unlike)?,
            literals: head.open(delta, Name::Literals)?,
            at: 0,
            add: 0,
            insert: 0,
            same: 0,
            other: 0,
        })
    }

    /// Fills `buffer` with the next new bytes.
    pub(super) fn fill(&mut self, old: &dyn ReadAt, mut buffer: &mut [u8]) -> Outcome<()> {
        while !buffer.is_empty() {
            if self.add == 0 && self.insert == 0 {
                self.step(old)?;
            }
            let left = if self.add > 0 { self.add } else { self.insert };
            let size = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let Some((piece, rest)) = buffer.split_at_mut_checked(size) else {
                return Ok(());
            };
            let made = u64::try_from(size).unwrap_or(0);
            if self.add > 0 {
                old.read_at(self.at, piece)?;
                self.differ(piece)?;
                self.at = self.at.saturating_add(made);
                self.add = self.add.saturating_sub(made);
            } else {
                self.literals.fill(piece)?;
                self.insert = self.insert.saturating_sub(made);
            }
            buffer = rest;
        }
        Ok(())
    }

    /// The next match and what follows it.
    fn step(&mut self, old: &dyn ReadAt) -> Outcome<()> {
        let seek = self.seeks.number()?;
        self.at = varint::apply(self.at, seek);
        self.add = self.adds.number()?;
        self.insert = self.inserts.number()?;
        if self.add == 0 && self.insert == 0 {
            return damaged("a match has no bytes");
        }
        match self.at.checked_add(self.add) {
            Some(end) if end <= old.size() => Ok(()),
            None | Some(_) => damaged("a match lies outside of the old bytes"),
        }
    }

    fn differ(&mut self, mut piece: &mut [u8]) -> Outcome<()> {
        while !piece.is_empty() {
            if self.same == 0 && self.other == 0 {
                self.same = self.alike.number()?;
                self.other = self.unlike.number()?;
                if self.same == 0 && self.other == 0 {
                    return damaged("a run has no bytes");
                }
            }
            let (left, same) = match self.same {
                0 => (&mut self.other, false),
                _ => (&mut self.same, true),
            };
            let size = usize::try_from(*left).map_or(piece.len(), |left| left.min(piece.len()));
            *left = left.saturating_sub(u64::try_from(size).unwrap_or(0));
            let (now, rest) = piece.split_at_mut(size);
            if !same {
                for part in now.chunks_mut(CHUNK) {
                    let mut differences = [0_u8; CHUNK];
                    let differences = differences.get_mut(..part.len()).unwrap_or_default();
                    self.unlike.fill(differences)?;
                    for (byte, difference) in part.iter_mut().zip(differences) {
                        *byte = byte.wrapping_add(*difference);
                    }
                }
            }
            piece = rest;
        }
        Ok(())
    }

    /// Refuses streams that were not read to their ends.
    pub(super) fn end(mut self) -> Outcome<()> {
        if self.add > 0 || self.insert > 0 || self.same > 0 || self.other > 0 {
            return damaged("more bytes are made than are asked for");
        }
        for stream in [
            &mut self.adds,
            &mut self.inserts,
            &mut self.seeks,
            &mut self.alike,
            &mut self.unlike,
            &mut self.literals,
        ] {
            stream.end()?;
        }
        Ok(())
    }
}
