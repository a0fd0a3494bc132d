//! POSIX ACLs as Linux stores them, and what a new file or folder makes of its folder's default.
//!
//! The form of `system.posix_acl_access` and `system.posix_acl_default`: a version (2), then one
//! entry after the other, all little-endian: tag and permissions of 16 bits each, and an id of 32
//! bits, which counts for a named user or group alone. Entries rise by tag.
//!
//! | attack | defence |
//! |---|---|
//! | an attribute that is cut, or of another version | [`Acl::parse`] takes the one form, or nothing |
//! | an ACL that gives more than the recipe's mode | [`Acl::create`] takes from each class what the mode has not, as POSIX.1e says of `creat` and `mkdir` |

/// The attribute that holds who may do what.
pub const ACCESS: &str = "system.posix_acl_access";
/// The attribute of a folder that holds what is handed on to what is made in it.
pub const DEFAULT: &str = "system.posix_acl_default";

/// The version of the form.
const VERSION: u32 = 2;
/// The id of an entry that names nobody.
const NOBODY: u32 = u32::MAX;
/// All rights of one class.
const RIGHTS: u16 = 0o7;

/// Whom an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The owner.
    Owner,
    /// A named user.
    User(u32),
    /// The file's group.
    Group,
    /// A named group.
    NamedGroup(u32),
    /// The most that named users, the group and named groups have.
    Mask,
    /// Everybody else.
    Other,
}

/// An ACL: entries that rise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<(Who, u16)>);

impl Acl {
    /// Reads the stored form; nothing where it is not exactly that.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (entries, []) = rest.as_chunks::<8>() else {
            return None;
        };
        if u32::from_le_bytes(*version) != VERSION {
            return None;
        }
        let acl = Self(entries.iter().copied().map(entry).collect::<Option<_>>()?);
        acl.is_whole().then_some(acl)
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (who, rights) in &self.0 {
            let (tag, id) = who.stored();
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&rights.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    }

    /// What something made with `mode` in a folder with this default ACL gets: its ACL, and its
    /// permission bits. The umask plays no part.
    #[must_use]
    pub fn create(&self, mode: u32) -> (Self, u32) {
        let class = |shift: u32| u16::try_from((mode >> shift) & 0o7).unwrap_or(0);
        // The group class is the mask where there is one: the group's own entry is then left.
        let group_class = if self.rights(Who::Mask).is_some() {
            Who::Mask
        } else {
            Who::Group
        };
        let entries = self.0.iter().map(|(who, rights)| {
            let rights = match who {
                Who::Owner => rights & class(6),
                Who::Other => rights & class(0),
                who if *who == group_class => rights & class(3),
                _ => *rights,
            };
            (*who, rights)
        });
        let made = Self(entries.collect());
        let bits = |who| u32::from(made.rights(who).unwrap_or(0));
        let mode =
            (mode & !0o777) | (bits(Who::Owner) << 6) | (bits(group_class) << 3) | bits(Who::Other);
        (made, mode)
    }

    /// Whether it says more than permission bits do.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.0.len() > 3
    }

    fn rights(&self, who: Who) -> Option<u16> {
        let found = self.0.iter().find(|(entry, _)| *entry == who);
        found.map(|(_, rights)| *rights)
    }

    /// Entries rise, the three that every file has are there once, and names come with a mask.
    fn is_whole(&self) -> bool {
        let mut rising = self.0.iter().zip(self.0.iter().skip(1));
        let named = |(who, _): &(Who, u16)| matches!(who, Who::User(_) | Who::NamedGroup(_));
        // The kernel does not ask in which order the names stand.
        rising.all(|(a, b)| {
            a.0.stored().0 < b.0.stored().0
                || (named(a) && named(b) && a.0.stored().0 == b.0.stored().0)
        }) && [Who::Owner, Who::Group, Who::Other]
            .into_iter()
            .all(|who| self.rights(who).is_some())
            && (self.rights(Who::Mask).is_some() || !self.0.iter().any(named))
    }
}

impl Who {
    /// Tag and id.
    const fn stored(self) -> (u16, u32) {
        match self {
            Self::Owner => (0x01, NOBODY),
            Self::User(id) => (0x02, id),
            Self::Group => (0x04, NOBODY),
            Self::NamedGroup(id) => (0x08, id),
            Self::Mask => (0x10, NOBODY),
            Self::Other => (0x20, NOBODY),
        }
    }
}

fn entry(bytes: [u8; 8]) -> Option<(Who, u16)> {
    let [t0, t1, r0, r1, i0, i1, i2, i3] = bytes;
    let rights = u16::from_le_bytes([r0, r1]);
    let id = u32::from_le_bytes([i0, i1, i2, i3]);
    let who = match u16::from_le_bytes([t0, t1]) {
        0x01 => Who::Owner,
        0x02 => Who::User(id),
        0x04 => Who::Group,
        0x08 => Who::NamedGroup(id),
        0x10 => Who::Mask,
        0x20 => Who::Other,
        _ => return None,
    };
    (rights <= RIGHTS).then_some((who, rights))
}

#[cfg(test)]
#[path = "acl_tests.rs"]
mod tests;
