//! Writing a `.spr` file: statement, signatures, members.

use std::io::{Read, Write};

use super::header::{self, BLOCK};
use super::{MemberBytes, RawSignature, SprError, canonical};
use crate::model::{Kind, Sha256, Statement};

/// Writes a file in the one encoding. The caller hands over members in the statement's order.
pub struct SprWriter<W: Write> {
    out: W,
    statement: &'static str,
}

impl<W: Write> SprWriter<W> {
    /// Starts a file with its statement.
    pub fn new(out: W, kind: Kind, statement: &[u8]) -> Result<Self, SprError> {
        let mut writer = Self {
            out,
            statement: kind.member(),
        };
        writer.bytes(kind.member(), statement)?;
        Ok(writer)
    }

    /// Adds a signature of the statement. Signatures rise by key id.
    pub fn signature(&mut self, key: &Sha256, armoured: &[u8]) -> Result<(), SprError> {
        self.bytes(&signature_member(self.statement, key), armoured)
    }

    /// Adds a member from memory.
    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), SprError> {
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.member(name, size, bytes)
    }

    /// Adds a member of exactly `size` bytes from a reader.
    pub fn member(&mut self, name: &str, size: u64, content: impl Read) -> Result<(), SprError> {
        self.out.write_all(&header::encode(name, size)?)?;
        let copied = std::io::copy(&mut content.take(size), &mut self.out)?;
        if copied != size {
            return Err(SprError::Cut(format!("{name}, while it was copied")));
        }
        let zeros = [0_u8; BLOCK];
        self.out
            .write_all(zeros.get(..header::padding(size)).unwrap_or_default())?;
        Ok(())
    }

    /// Ends the archive and hands the writer back.
    pub fn finish(mut self) -> Result<W, SprError> {
        self.out.write_all(&[0_u8; BLOCK])?;
        self.out.write_all(&[0_u8; BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A whole unsigned file in memory: a recipe, whose statement is written where it will stand.
pub fn encode_unsigned<S: Statement>(
    statement: &S,
    members: &[MemberBytes],
) -> Result<Vec<u8>, SprError> {
    let behind = members.iter().map(|(_, bytes)| bytes.len());
    let behind = behind.fold(BLOCK.saturating_mul(8), usize::saturating_add);
    let mut out = canonical::encode_behind(statement, BLOCK, behind)?;
    let size = out.len().saturating_sub(BLOCK);
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    let header = header::encode(S::KIND.member(), size)?;
    if let Some(place) = out.get_mut(..BLOCK) {
        place.copy_from_slice(&header);
    }
    out.resize(out.len().saturating_add(header::padding(size)), 0);
    let mut writer = SprWriter {
        out,
        statement: S::KIND.member(),
    };
    for (name, bytes) in members {
        writer.bytes(name, bytes)?;
    }
    writer.finish()
}

/// The member name of a signature.
pub(super) fn signature_member(statement: &str, key: &Sha256) -> String {
    format!("{statement}.{key}.sig")
}

/// A whole small file in memory: statements whose members are small.
pub fn encode_small(
    kind: Kind,
    statement: &[u8],
    signatures: &[RawSignature],
    members: &[MemberBytes],
) -> Result<Vec<u8>, SprError> {
    // Counted first: grown step by step, the same bytes would take up to twice as much.
    let blocks = |size: usize| size.div_ceil(BLOCK).saturating_add(1);
    let sizes = signatures.iter().map(|signature| signature.armoured.len());
    let sizes = sizes.chain(members.iter().map(|(_, bytes)| bytes.len()));
    let all = sizes.map(blocks).fold(
        blocks(statement.len()).saturating_add(2),
        usize::saturating_add,
    );
    let out = Vec::with_capacity(all.saturating_mul(BLOCK));
    let mut writer = SprWriter::new(out, kind, statement)?;
    for signature in signatures {
        writer.signature(&signature.key, &signature.armoured)?;
    }
    for (name, bytes) in members {
        writer.bytes(name, bytes)?;
    }
    writer.finish()
}
