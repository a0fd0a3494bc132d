//! Which volume of a patch a file is: by its length, and by the one pack header that follows what all
//! volumes repeat. Nothing else of the file is read for that.
//!
//! | attack | defence |
//! |---|---|
//! | a volume under another one's name | no name is looked at |
//! | packs of two volumes in one file, or from the middle of one | a file begins with the first pack of a volume and is exactly as long as that volume |
//! | sizes in a statement that add up past every number, to read before the file or behind it | sums stop at the largest number; what lies behind the end is a cut file |
//!
//! What is said here is good for sorting files. Whoever uses a pack reads the file from its front, where
//! every header, digest and the end are checked.

use std::cmp::Ordering;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use super::blocks::Blocks;
use super::header::BLOCK;
use super::{RawStatement, SprError};
use crate::model::Member;
use crate::model::patch::Patch;

/// What a file holds of the packs of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The volume with this index; a patch in one file has one.
    Volume(usize),
    /// None of them, although there are some.
    Head,
    /// Less than it should: so many bytes of so many.
    Cut {
        /// Bytes in the file.
        has: u64,
        /// Bytes in the file that it began as.
        whole: u64,
    },
    /// Other packs than any volume has, or other bytes at their place.
    Stray,
}

/// The packs of each volume of a patch, and how long its file is.
#[derive(Debug, Clone)]
pub struct Shares {
    head: u64,
    volumes: Vec<Share>,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which packs it holds.
    pub packs: Range<usize>,
    /// Bytes in its file.
    pub size: u64,
}

impl Shares {
    /// By the statement of a patch, and the signatures in its files.
    #[must_use]
    pub fn of(raw: &RawStatement, patch: &Patch) -> Self {
        let head = raw.file_size(patch.members.iter().filter(|m| !Patch::is_pack(m)));
        let packs: Vec<&Member> = patch.members.iter().filter(|m| Patch::is_pack(m)).collect();
        let share = |packs_of: Range<usize>| {
            let members = packs.get(packs_of.clone()).unwrap_or_default();
            let framed = members.iter().map(|member| super::framed(member.size));
            Share {
                size: framed.fold(head, u64::saturating_add),
                packs: packs_of,
            }
        };
        Self {
            head,
            volumes: patch.shares().into_iter().map(share).collect(),
        }
    }

    /// Each volume, in order.
    #[must_use]
    pub fn volumes(&self) -> &[Share] {
        &self.volumes
    }

    /// What `file`, which has this statement and these signatures, holds.
    pub fn held(&self, mut file: impl Read + Seek) -> Result<Holds, SprError> {
        let has = file.seek(SeekFrom::End(0))?;
        let end = u64::try_from(BLOCK).unwrap_or(u64::MAX).saturating_mul(2);
        let behind = self.head.saturating_sub(end);
        let cut = |whole| Ok(Holds::Cut { has, whole });
        let header = if has >= self.head {
            file.seek(SeekFrom::Start(behind))?;
            Blocks::new(file).header("the first pack")
        } else {
            return cut(self.head);
        };
        let first = match header {
            Ok(None) => None,
            Ok(Some((name, _))) => Some(name),
            Err(SprError::Io(error)) => return Err(error.into()),
            Err(_) => return Ok(Holds::Stray),
        };
        let begins = |share: &&Share| match &first {
            None => share.packs.is_empty(),
            Some(name) => !share.packs.is_empty() && *name == Patch::pack_member(share.packs.start),
        };
        let mut volumes = (0..).zip(&self.volumes);
        let Some((index, share)) = volumes.find(|(_, share)| begins(share)) else {
            return Ok(match first {
                None => Holds::Head,
                Some(_) => Holds::Stray,
            });
        };
        match has.cmp(&share.size) {
            Ordering::Less => cut(share.size),
            Ordering::Equal => Ok(Holds::Volume(index)),
            Ordering::Greater => Ok(Holds::Stray),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::model::Kind;
    use crate::spr::encode_small;

    fn file(packs: &[usize]) -> Vec<u8> {
        let packs = packs
            .iter()
            .map(|pack| (Patch::pack_member(*pack), vec![7; 600]));
        let small = [("site.spr".to_owned(), vec![1; 513])];
        let members: Vec<_> = small.into_iter().chain(packs).collect();
        encode_small(Kind::Patch, b"{}", &[], &members).unwrap()
    }

    #[test]
    fn a_file_is_what_its_first_pack_and_its_length_say() {
        let length = |packs: &[usize]| u64::try_from(file(packs).len()).unwrap();
        let share = |packs: Range<usize>| Share {
            size: length(&packs.clone().collect::<Vec<_>>()),
            packs,
        };
        let shares = Shares {
            head: length(&[]),
            volumes: vec![share(0..2), share(2..3), share(3..5)],
        };
        for (packs, held) in [
            (&[0, 1][..], Holds::Volume(0)),
            (&[2], Holds::Volume(1)),
            (&[3, 4], Holds::Volume(2)),
            (&[], Holds::Head),
            (&[1], Holds::Stray),
            (&[2, 3], Holds::Stray),
            (&[0, 1, 2, 3, 4], Holds::Stray),
        ] {
            let file = file(packs);
            assert_eq!(shares.held(Cursor::new(&file)).unwrap(), held, "{packs:?}");
        }
        let file = file(&[3, 4]);
        for has in 0..file.len() {
            let held = shares.held(Cursor::new(&file[..has])).unwrap();
            assert!(matches!(held, Holds::Cut { .. }), "{has}: {held:?}");
        }
        let endless = Shares {
            head: u64::MAX,
            ..shares
        };
        let held = endless.held(Cursor::new(&file)).unwrap();
        assert!(matches!(held, Holds::Cut { .. }), "{held:?}");
    }
}
