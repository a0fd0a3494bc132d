//! The members of a patch that are no packs: read into memory, within one bound for all of them.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Members, SprError};

/// Most bytes of them, together.
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
        if let Some(member) = members.peek()?
            && member.size > self.left
        {
            return Err(too_large());
        }
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

fn too_large() -> SprError {
    SprError::Corrupt(format!(
        "its members besides packs have more than {HEAD_MAX} bytes"
    ))
}
