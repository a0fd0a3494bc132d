//! Reading a `.spr` file once, front to back.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Write};

use super::blocks::{Blocks, check_bound};
use super::header::BLOCK;
use super::write::signature_member;
use super::{MEMBERS_MAX, SIGNATURE_MAX, SIGNATURES_MAX, STATEMENT_MAX, SprError, canonical, name};
use crate::model::digest::Sha256Hasher;
use crate::model::{Kind, Member, Sha256, Statement};

/// Most room that is made for a member before it is read.
const CHUNK: usize = 64 * 1024;

/// A statement's bytes and signatures, as they stand in the file: nothing is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawStatement {
    /// What the file says it is.
    pub kind: Kind,
    /// The exact bytes that signatures are over.
    pub bytes: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<RawSignature>,
}

/// A signature member: the key it is named by, and its armoured bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawSignature {
    /// SHA-256 of the key blob, from the member's name.
    pub key: Sha256,
    /// The SSHSIG armour.
    pub armoured: Vec<u8>,
}

/// A member's name and bytes.
pub type MemberBytes = (String, Vec<u8>);

impl RawStatement {
    /// SHA-256 of the statement: its identity.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        Sha256::of(&self.bytes)
    }

    /// Decodes the statement as one of kind `S`.
    pub fn decode<S: Statement>(&self) -> Result<S, SprError> {
        if self.kind == S::KIND {
            canonical::decode(&self.bytes)
        } else {
            Err(SprError::Kind {
                wanted: S::KIND,
                found: self.kind,
            })
        }
    }
}

/// What a file says it is: its first header, and nothing behind it, is read.
pub fn kind_of(reader: impl Read) -> Result<Kind, SprError> {
    sort_of(reader).map(|(kind, _)| kind)
}

/// What a file says it is, and how many bytes its statement has: its first header alone is read.
pub fn sort_of(reader: impl Read) -> Result<(Kind, u64), SprError> {
    Blocks::new(reader).statement()
}

/// A file of which statement and signatures have been read.
pub struct Opened<R> {
    blocks: Blocks<R>,
    raw: RawStatement,
    // The header after the last signature, already read.
    pending: Option<(String, u64)>,
}

impl<R: Read> Opened<R> {
    /// Reads the statement and its signatures, and nothing behind them.
    pub fn open(reader: R) -> Result<Self, SprError> {
        let mut blocks = Blocks::new(reader);
        let (kind, size) = blocks.statement()?;
        let bytes = blocks.bounded(kind.member(), size, STATEMENT_MAX)?;
        Self::after_statement(blocks, kind, bytes)
    }

    /// Goes on behind the statement, to its signatures.
    fn after_statement(
        mut blocks: Blocks<R>,
        kind: Kind,
        bytes: Vec<u8>,
    ) -> Result<Self, SprError> {
        let mut raw = RawStatement {
            kind,
            bytes,
            signatures: Vec::new(),
        };
        let mut pending = blocks.header("the archive")?;
        while let Some((name, size)) = &pending {
            let Some(key) = signature_key(kind, name) else {
                break;
            };
            let fits = raw.signatures.len() < SIGNATURES_MAX
                && raw.signatures.last().is_none_or(|last| last.key < key);
            if !fits {
                return Err(SprError::Corrupt(format!(
                    "{name}: signatures rise, at most {SIGNATURES_MAX}"
                )));
            }
            let armoured = blocks.bounded(name, *size, SIGNATURE_MAX)?;
            raw.signatures.push(RawSignature { key, armoured });
            pending = blocks.header("the archive")?;
        }
        Ok(Self {
            blocks,
            raw,
            pending,
        })
    }

    /// The statement and its signatures alone; what stands behind them stays unread.
    #[must_use]
    pub fn into_raw(self) -> RawStatement {
        self.raw
    }

    /// The statement and its signatures, unverified.
    #[must_use]
    pub fn raw(&self) -> &RawStatement {
        &self.raw
    }

    /// Decodes the statement.
    pub fn decode<S: Statement>(&self) -> Result<S, SprError> {
        self.raw.decode()
    }

    /// Goes on to the members that the statement lists. Those for which `may_miss` holds may be
    /// absent (the packs of a head file, or of another volume); all others must come, in order.
    pub fn members(
        self,
        list: &[Member],
        may_miss: fn(&Member) -> bool,
    ) -> Result<(RawStatement, Members<R>), SprError> {
        check_list(self.raw.kind, list)?;
        let members = Members {
            blocks: self.blocks,
            pending: self.pending,
            list: Vec::from(list).into_iter(),
            may_miss,
        };
        Ok((self.raw, members))
    }

    /// Reads all members into memory, `limit` bytes of them at most, to the end of the file.
    pub fn into_memory(
        self,
        list: &[Member],
        limit: u64,
    ) -> Result<(RawStatement, Vec<MemberBytes>), SprError> {
        let (raw, mut members) = self.members(list, |_| false)?;
        let mut left = limit;
        let mut all = Vec::new();
        while let Some((member, bytes)) = members.next_in_memory(left)? {
            left = left.saturating_sub(member.size);
            all.push((member.name, bytes));
        }
        Ok((raw, all))
    }
}

impl Opened<Cursor<Vec<u8>>> {
    /// Opens a file that is in memory. The statement stays where it is: it may be most of the file,
    /// and the file of a hundred megabytes.
    pub fn of_file(mut file: Vec<u8>) -> Result<Self, SprError> {
        let mut start = Blocks::new(file.as_slice());
        let (kind, size) = start.statement()?;
        check_bound(kind.member(), size, STATEMENT_MAX)?;
        start.content(kind.member(), size, |_| Ok(()))?;
        let behind = start.into_reader().len();
        let rest = file.split_off(file.len().saturating_sub(behind));
        file.truncate(BLOCK.saturating_add(usize::try_from(size).unwrap_or(usize::MAX)));
        file.drain(..BLOCK);
        Self::after_statement(Blocks::new(Cursor::new(rest)), kind, file)
    }
}

/// Names that the reader will meet: plain, unlike each other, none a signature of the statement.
fn check_list(kind: Kind, list: &[Member]) -> Result<(), SprError> {
    if list.len() > MEMBERS_MAX {
        return Err(SprError::Corrupt(format!(
            "more than {MEMBERS_MAX} members"
        )));
    }
    let mut seen = BTreeSet::from([kind.member().to_owned()]);
    for member in list {
        let plain = name::is_plain(&member.name) && signature_key(kind, &member.name).is_none();
        if !plain || !seen.insert(member.name.to_ascii_lowercase()) {
            return Err(SprError::Corrupt(format!(
                "the member name {:?} may not stand here",
                member.name
            )));
        }
    }
    Ok(())
}

fn signature_key(kind: Kind, name: &str) -> Option<Sha256> {
    let key = name
        .strip_prefix(kind.member())?
        .strip_prefix('.')?
        .strip_suffix(".sig")?;
    let key: Sha256 = key.parse().ok()?;
    (name == signature_member(kind.member(), &key)).then_some(key)
}

/// The members behind the statement, one after the other.
pub struct Members<R> {
    blocks: Blocks<R>,
    pending: Option<(String, u64)>,
    list: std::vec::IntoIter<Member>,
    may_miss: fn(&Member) -> bool,
}

impl<R: Read> Members<R> {
    /// The next member's description, without reading it; nothing at the end of the archive.
    pub fn peek(&mut self) -> Result<Option<&Member>, SprError> {
        self.settle()?;
        Ok(if self.pending.is_some() {
            self.list.as_slice().first()
        } else {
            None
        })
    }

    /// Reads the next member, whose size must be at most `limit`, into memory.
    pub fn next_in_memory(&mut self, limit: u64) -> Result<Option<(Member, Vec<u8>)>, SprError> {
        let Some(member) = self.peek()? else {
            return Ok(None);
        };
        let size = member.size;
        if size > limit {
            return Err(SprError::Corrupt(format!(
                "{} has {size} bytes, and no more than {limit} may come in memory",
                member.name
            )));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(CHUNK));
        let member = self.copy_next(&mut bytes)?;
        Ok(member.map(|member| (member, bytes)))
    }

    /// Copies the next member to `sink`. Until this returns, what the sink got is unchecked.
    pub fn copy_next(&mut self, sink: &mut dyn Write) -> Result<Option<Member>, SprError> {
        self.settle()?;
        if self.pending.is_none() {
            return Ok(None);
        }
        let Some(member) = self.list.next() else {
            return Ok(None);
        };
        let mut hasher = Sha256Hasher::default();
        self.blocks.content(&member.name, member.size, |bytes| {
            hasher.update(bytes);
            sink.write_all(bytes)
        })?;
        let found = hasher.finish();
        if found != member.sha256 {
            return Err(SprError::Corrupt(format!(
                "{} has SHA-256 {found}, the statement says {}",
                member.name, member.sha256
            )));
        }
        self.pending = self.blocks.header("the archive")?;
        Ok(Some(member))
    }

    /// Brings the list to the member whose header is pending, past those that may miss.
    fn settle(&mut self) -> Result<(), SprError> {
        loop {
            let expected = self.list.as_slice().first();
            match (&self.pending, expected) {
                (None, None) => return self.blocks.end(),
                (Some((name, size)), Some(member)) if *name == member.name => {
                    if *size == member.size {
                        return Ok(());
                    }
                    return Err(SprError::Corrupt(format!(
                        "{name} has {size} bytes, the statement says {}",
                        member.size
                    )));
                }
                (_, Some(member)) if (self.may_miss)(member) => {
                    self.list.next();
                }
                (None, Some(member)) => {
                    return Err(SprError::Corrupt(format!("{} is missing", member.name)));
                }
                (Some((name, _)), _) => {
                    return Err(SprError::Corrupt(format!("{name} should not stand here")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recipe::{Hot, Recipe};
    use crate::spr::{canonical, encode_small, encode_unsigned};

    fn recipe(members: &[MemberBytes]) -> Recipe {
        Recipe {
            config: Vec::new(),
            files: Vec::new(),
            format: crate::model::statement::FORMAT,
            hot: Hot::Yes,
            joint: Vec::new(),
            kind: Kind::Recipe,
            licence: None,
            members: members
                .iter()
                .map(|(name, bytes)| Member::of(name.as_str(), bytes))
                .collect(),
            name: "core".parse().unwrap(),
            notes: Some("x".repeat(400)),
            one_way: None,
            release: Vec::new(),
            replaces: Vec::new(),
            requires: Vec::new(),
            takes: Vec::new(),
            version: "1".parse().unwrap(),
        }
    }

    #[test]
    fn a_recipe_written_in_place_is_the_same_file() {
        for members in [vec![], vec![("sbom.json".to_owned(), vec![b'{'; 700])]] {
            let recipe = recipe(&members);
            let statement = canonical::encode(&recipe).unwrap();
            let wanted = encode_small(Kind::Recipe, &statement, &[], &members).unwrap();
            assert_eq!(encode_unsigned(&recipe, &members).unwrap(), wanted);
        }
    }

    /// Whole, and cut at every place: from memory a file reads as it does from a medium.
    #[test]
    fn a_file_in_memory_reads_as_one_on_a_medium() {
        let members = vec![("sbom.json".to_owned(), vec![b'{'; 700])];
        let recipe = recipe(&members);
        let file = encode_unsigned(&recipe, &members).unwrap();
        let all = |opened: Opened<_>| opened.into_memory(&recipe.members, 1_000);
        let from_medium = |file: &[u8]| {
            Opened::open(file)
                .and_then(|opened| opened.into_memory(&recipe.members, 1_000))
                .map_err(|e| e.to_string())
        };
        for end in 0..=file.len() {
            let cut = &file[..end];
            let from_memory = Opened::of_file(cut.to_vec()).and_then(all);
            let from_memory = from_memory.map_err(|e| e.to_string());
            assert_eq!(from_memory, from_medium(cut), "{end}");
            assert_eq!(from_memory.is_ok(), end == file.len(), "{end}");
        }
    }
}
