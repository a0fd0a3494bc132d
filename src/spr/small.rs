//! The members of a patch that are no packs: read into memory, within one bound for all of them.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Members, SprError};

/// Most bytes of the members of a patch that are no packs, together: recipes of 1,250,000 files have about
/// 140 MB, operations as many as 105 MB, and vendors' metadata a few.
pub const HEAD_MAX: u64 = 256 * 1024 * 1024;

/// Members by name.
pub struct Small {
    members: BTreeMap<String, Vec<u8>>,
    left: u64,
}

impl Default for Small {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
            left: HEAD_MAX,
        }
    }
}

impl Small {
    /// Takes the next member, if there is one.
    pub fn take_next<R: Read>(&mut self, members: &mut Members<R>) -> Result<(), SprError> {
        if let Some((member, bytes)) = members.next_in_memory(self.left)? {
            self.left = self.left.saturating_sub(member.size);
            self.members.insert(member.name, bytes);
        }
        Ok(())
    }

    /// All that were taken.
    #[must_use]
    pub fn into_members(self) -> BTreeMap<String, Vec<u8>> {
        self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Kind, Member};
    use crate::spr::{Opened, SprWriter};

    #[test]
    fn one_bound_for_all_of_them() {
        let list: Vec<Member> = ["a", "b"].map(|name| Member::of(name, &[7; 100])).into();
        let mut writer = SprWriter::new(Vec::new(), Kind::Patch, b"{}").unwrap();
        for member in &list {
            writer.bytes(&member.name, &[7; 100]).unwrap();
        }
        let file = writer.finish().unwrap();
        for (left, taken) in [(200, true), (199, false), (99, false)] {
            let opened = Opened::open(file.as_slice()).unwrap();
            let (_, mut members) = opened.members(&list, |_| false).unwrap();
            let mut small = Small {
                left,
                ..Small::default()
            };
            let read = (0..3).try_for_each(|_| small.take_next(&mut members));
            assert_eq!(read.is_ok(), taken, "{left}");
            assert!(!taken || small.into_members().len() == 2);
        }
    }
}
