//! What stands in each slot of a stage: one mark a slot, of hundreds of thousands.

use super::recovery::Mark;

/// Marks by slot.
#[derive(Debug, Default)]
pub struct Slots(Vec<Option<Mark>>);

impl Slots {
    /// So many slots, each empty.
    #[must_use]
    pub fn of(count: usize) -> Self {
        Self(vec![None; count])
    }

    /// Says what stands in a slot, if it is one of them.
    pub fn fill(&mut self, slot: u64, mark: Mark) {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(mark);
        }
    }

    /// What stands in a slot; nothing in one that is empty.
    #[must_use]
    pub fn get(&self, slot: u64) -> Option<&Mark> {
        let index = usize::try_from(slot).ok()?;
        self.0.get(index)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::recovery::{Inode, Kind};

    #[test]
    fn each_slot_has_its_own() {
        let mark = |inode| Mark {
            blake3: None,
            inode: Inode(inode),
            kind: Kind::File,
        };
        let mut slots = Slots::of(4);
        slots.fill(1, mark(10));
        slots.fill(3, mark(30));
        slots.fill(4, mark(40));
        let all: Vec<_> = (0..5)
            .map(|slot| slots.get(slot).map(|mark| mark.inode.0))
            .collect();
        assert_eq!(all, [None, Some(10), None, Some(30), None]);
    }
}
