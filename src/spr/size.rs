//! How long a file is, from its statement and signatures alone.
//!
//! The encoding is one, so the length follows from the members' sizes. That tells a head, or a file
//! cut short, from a whole one without reading what lies behind the statement; whether the bytes are
//! the right ones is for whoever reads them to say.

use super::header::{BLOCK, padding};
use super::read::RawStatement;
use crate::model::Member;

impl RawStatement {
    /// Bytes of a file with this statement, its signatures and `members`.
    #[must_use]
    pub fn file_size<'a>(&self, members: impl Iterator<Item = &'a Member>) -> u64 {
        let own = std::iter::once(&self.bytes)
            .chain(self.signatures.iter().map(|signature| &signature.armoured))
            .map(|bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let end = block().saturating_mul(2);
        own.chain(members.map(|member| member.size))
            .map(framed)
            .fold(end, u64::saturating_add)
    }
}

/// Bytes of a member with its header and padding.
#[must_use]
pub fn framed(size: u64) -> u64 {
    let fill = u64::try_from(padding(size)).unwrap_or(u64::MAX);
    block().saturating_add(size).saturating_add(fill)
}

fn block() -> u64 {
    u64::try_from(BLOCK).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::model::{Kind, Member, Sha256};
    use crate::spr::{RawSignature, RawStatement, encode_small};

    #[test]
    fn it_is_the_length_of_the_file() {
        for (statement, members) in [
            (1, vec![]),
            (512, vec![0, 1]),
            (513, vec![511, 512, 513, 70_000]),
        ] {
            let raw = RawStatement {
                kind: Kind::Patch,
                bytes: vec![b'x'; statement],
                signatures: vec![RawSignature {
                    key: Sha256::of(b"k"),
                    armoured: vec![b's'; 300],
                }],
            };
            let members: Vec<(String, Vec<u8>)> = members
                .iter()
                .enumerate()
                .map(|(index, size)| (format!("packs/{index}"), vec![0; *size]))
                .collect();
            let file = encode_small(raw.kind, &raw.bytes, &raw.signatures, &members).unwrap();
            let list: Vec<Member> = members
                .iter()
                .map(|(name, bytes)| Member::of(name.clone(), bytes))
                .collect();
            assert_eq!(
                raw.file_size(list.iter()),
                u64::try_from(file.len()).unwrap()
            );
        }
    }
}
