//! How a patch is cut into volumes: each file at most as large as was asked for, to the byte.
//!
//! Every volume repeats all but the packs. So packs are made small enough for the size that was asked
//! for, and whole packs are laid into one volume after the other, before the statement is signed: it
//! says how many packs each holds.

use zstd::zstd_safe::compress_bound;

use super::assemble::Made;
use crate::model::patch::{PACK_MAX, Patch};
use crate::model::text::bytes;
use crate::model::volume::{COMMON_MAX, FAT32_MAX, VOLUMES_MAX};
use crate::model::{Refusal, RefusalName};
use crate::spr::{SprError, canonical, framed};

/// Smallest pack, in bytes of content: a smaller one would be little more than its lines in the
/// statement.
const PACK_MIN: u64 = 64 * 1024;
/// Into how many packs a volume can be cut at least: what the last one leaves free is less than one.
const PACKS_A_VOLUME: u64 = 32;
/// About how many packs there are at most: half of the members that a statement may list.
const PACKS_MOST: u64 = 50_000;
/// Room for the signature, in bytes; an armoured ed25519 signature has about 300, and takes whole blocks.
const SIGNATURE: u64 = 512;
/// Bytes that a frame has beyond what zstd calls its bound: the checksum.
const CHECKSUM: u64 = 4;

/// Bytes of content in a pack, at most, where a file may have `limit` bytes and `total` bytes travel: a
/// power of two.
pub(super) fn pack_max(limit: Option<u64>, total: u64) -> u64 {
    let Some(limit) = limit else {
        return PACK_MAX;
    };
    let share = limit.checked_div(PACKS_A_VOLUME).unwrap_or(0);
    let share = share.checked_ilog2().map_or(1, |power| 1_u64 << power);
    let few = total.div_ceil(PACKS_MOST).next_power_of_two();
    share.max(few).clamp(PACK_MIN, PACK_MAX)
}

/// Says in the statement what each volume holds, and encodes it.
pub(super) fn fix(patch: &mut Patch, limit: Option<u64>) -> Result<Vec<u8>, Refusal> {
    let encode = |patch: &Patch| {
        canonical::encode(patch)
            .map_err(|e: SprError| Refusal::new(RefusalName::Internal, e.to_string()))
    };
    let one = encode(patch)?;
    let Some(limit) = limit else {
        return Ok(one);
    };
    let content = Content::of(patch);
    let whole = content.packs.iter().copied();
    let whole = whole.fold(content.head(&one), u64::saturating_add);
    drop(one);
    if whole > limit {
        // A list of as many ones is the longest that can stand there.
        patch.volumes = vec![1; patch.packs.len().max(1)];
        let head = content.head(&encode(patch)?);
        patch.volumes = content
            .cut(head, limit)
            .ok_or_else(|| content.too_small(head, limit))?;
    }
    encode(patch)
}

/// What is laid into volumes.
struct Content {
    /// Bytes of the members that every volume repeats, as they stand in a file, and of the end.
    small: u64,
    /// Bytes of each pack, as it stands in a file.
    packs: Vec<u64>,
    /// Bytes of content in all packs.
    total: u64,
}

impl Content {
    fn of(patch: &Patch) -> Self {
        let framed_sizes = |packs: bool| {
            let members = patch.members.iter();
            let members = members.filter(move |member| Patch::is_pack(member) == packs);
            members.map(|member| framed(member.size))
        };
        // Two blocks end a file: a member without content, and one block more.
        let end = framed(0).saturating_mul(2);
        let total = patch.packs.iter().map(|pack| pack.size);
        Self {
            small: framed_sizes(false).fold(end, u64::saturating_add),
            packs: framed_sizes(true).collect(),
            total: total.fold(0, u64::saturating_add),
        }
    }

    /// Bytes of a file without packs.
    fn head(&self, statement: &[u8]) -> u64 {
        let statement = framed(u64::try_from(statement.len()).unwrap_or(u64::MAX));
        let signed = statement.saturating_add(framed(SIGNATURE));
        signed.saturating_add(self.small)
    }

    /// How many packs go into each volume, in their order; nothing where one does not fit, or there would
    /// be too many volumes.
    fn cut(&self, head: u64, limit: u64) -> Option<Vec<u64>> {
        let room = limit.checked_sub(head)?;
        let mut volumes = vec![0_u64];
        let mut left = room;
        for pack in &self.packs {
            if *pack > left {
                volumes.push(0);
                left = room;
            }
            left = left.checked_sub(*pack)?;
            let held = volumes.last_mut()?;
            *held = held.saturating_add(1);
            if volumes.len() > VOLUMES_MAX {
                return None;
            }
        }
        Some(volumes)
    }

    fn too_small(&self, head: u64, limit: u64) -> Refusal {
        let largest = self.packs.iter().copied().max().unwrap_or(0);
        let least = head.saturating_add(largest);
        let what = if limit < least {
            "a volume of that size does not hold what every volume repeats, and a pack".to_owned()
        } else {
            format!("the patch would have more than {VOLUMES_MAX} volumes of that size")
        };
        let works = self.least(head, limit);
        let stored = self.packs.iter().copied().fold(0, u64::saturating_add);
        Refusal::new(RefusalName::Usage, what)
            .value("asked for", format!("{limit} bytes"))
            .value("works", format!("{works} bytes"))
            .value("repeated", format!("{} in every volume", bytes(head)))
            .value("contents", format!("{} in all", bytes(stored)))
            .next(format!("lockstep prepare ... --volume-size {works}"))
    }

    /// A volume size that works: where packs would be no larger with it, the smallest.
    fn least(&self, head: u64, limit: u64) -> u64 {
        let pack = |limit| pack_max(Some(limit), self.total);
        let stored = self.packs.iter().copied().fold(0, u64::saturating_add);
        let most = u64::try_from(VOLUMES_MAX).unwrap_or(u64::MAX);
        let share = stored.checked_div(most).unwrap_or(0).saturating_add(1);
        let largest = self.packs.iter().copied().max().unwrap_or(0);
        let mut works = head.saturating_add(largest);
        let few = self.cut(head, works).is_some();
        if !few {
            works = works.saturating_add(share);
        }
        // Larger volumes have larger packs, which must fit as well.
        let mut known = pack(limit);
        while pack(works) > known {
            known = pack(works);
            let bound = usize::try_from(known).map_or(usize::MAX, compress_bound);
            let bound = u64::try_from(bound).unwrap_or(u64::MAX);
            let largest = framed(bound.saturating_add(CHECKSUM));
            let share = if few { 0 } else { share };
            works = works.max(head.saturating_add(largest).saturating_add(share));
        }
        works
    }
}

/// The file is as large as was allowed, at most: what was reckoned before is looked at after.
pub(super) fn check_sizes(made: &Made, limit: Option<u64>) -> Result<(), Refusal> {
    let larger = made.files.iter().find(|file| Some(file.size) > limit);
    match (limit, larger) {
        (Some(limit), Some(file)) => Err(Refusal::new(
            RefusalName::Internal,
            "a volume came out larger than was asked for",
        )
        .value("volume", file.path.display())
        .value("asked for", format!("{limit} bytes"))
        .value("has", format!("{} bytes", file.size))),
        _ => Ok(()),
    }
}

/// What to know of a patch in one file, where nobody asked for volumes.
pub(super) fn warning(size: u64) -> Option<String> {
    let has = format!("the patch has {} ({size} bytes)", bytes(size));
    if size > FAT32_MAX {
        Some(format!(
            "{has}: no FAT32 stick and few DVDs hold a file of 4 GiB or more; prepare --volume-size fat32 makes several files"
        ))
    } else if size > COMMON_MAX {
        Some(format!(
            "{has}: some writers of DVDs (ISO 9660) and some tools take no file of 2 GiB or more; prepare --volume-size {COMMON_MAX} makes several files"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(packs: &[u64]) -> Content {
        Content {
            small: 0,
            packs: packs.to_vec(),
            total: packs.iter().sum(),
        }
    }

    #[test]
    fn volumes_are_filled_in_order_and_never_past_the_limit() {
        for (packs, head, limit, cut) in [
            (&[5, 5, 5][..], 10, 20, Some(vec![2, 1])),
            (&[5, 5, 5], 10, 19, Some(vec![1, 1, 1])),
            (&[5, 5, 5], 10, 15, Some(vec![1, 1, 1])),
            (&[5, 5, 5], 10, 14, None),
            (&[1, 9, 1], 10, 19, Some(vec![1, 1, 1])),
            (&[9, 1, 1], 10, 18, None),
            (&[5, 5, 5], 10, 9, None),
            (&[], 10, 10, Some(vec![0])),
            (&[], 10, 9, None),
        ] {
            assert_eq!(content(packs).cut(head, limit), cut, "{packs:?} {limit}");
        }
        let most = vec![1; VOLUMES_MAX];
        assert_eq!(
            content(&most).cut(10, 11).map(|v| v.len()),
            Some(VOLUMES_MAX)
        );
        assert_eq!(content(&vec![1; VOLUMES_MAX + 1]).cut(10, 11), None);
    }

    #[test]
    fn what_is_said_to_work_works_and_is_the_least() {
        for (packs, head) in [
            (vec![512 * 3; 20], 9_000),
            (vec![512; 5_000], 9_000),
            (vec![70_144; 3_000], 100_000),
        ] {
            let content = content(&packs);
            let works = content.least(head, head);
            let cut = content.cut(head, works).unwrap();
            assert!(cut.len() <= VOLUMES_MAX);
            if cut.len() < VOLUMES_MAX && works < 2 * 1024 * 1024 {
                assert_eq!(content.cut(head, packs[0] + head - 1), None);
            }
        }
    }

    #[test]
    fn packs_are_small_where_volumes_are() {
        const MIB: u64 = 1024 * 1024;
        for (limit, total, pack) in [
            (None, 1, PACK_MAX),
            (Some(FAT32_MAX), 1, PACK_MAX),
            (Some(700 * MIB), 1, 16 * MIB),
            (Some(2 * MIB), 1, PACK_MIN),
            (Some(0), 1, PACK_MIN),
            (Some(2 * MIB), 100_000 * MIB, 2 * MIB),
        ] {
            assert_eq!(pack_max(limit, total), pack, "{limit:?}");
        }
    }

    #[test]
    fn large_files_are_told() {
        assert_eq!(warning(COMMON_MAX), None);
        assert!(warning(COMMON_MAX + 1).unwrap().contains("2147483647"));
        assert!(warning(FAT32_MAX).unwrap().contains("2 GiB"));
        assert!(warning(FAT32_MAX + 1).unwrap().contains("fat32"));
    }
}
