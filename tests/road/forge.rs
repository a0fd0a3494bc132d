//! Files taken apart, changed and put together again, signed by whoever is asked to: what an
//! attacker with a key of their own can do.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lockstep::model::operation::OPERATIONS_MEMBER;
use lockstep::model::{Kind, Member, Sha256};
use lockstep::spr::{RawSignature, SprWriter};
use lockstep::trust::SigningKey;
use serde_json::{Value, json};

use crate::world::{Outcome, Tested};

/// A `.spr` file in parts.
pub(crate) struct Parts {
    pub(crate) kind: Kind,
    pub(crate) statement: Value,
    pub(crate) signatures: Vec<(String, Vec<u8>)>,
    pub(crate) members: Vec<(String, Vec<u8>)>,
}

impl Parts {
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let bytes = fs::read(path)?;
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = entry.path()?.display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content)?;
            all.push((name, content));
        }
        let (name, statement) = all.remove(0);
        let kind = Kind::of_member(&name).ok_or("no statement")?;
        let own = |member: &str| {
            member.starts_with(&format!("{name}.")) && member.rsplit('.').next() == Some("sig")
        };
        let (signatures, members) = all.into_iter().partition(|(member, _)| own(member));
        Ok(Self {
            kind,
            statement: serde_json::from_slice(&statement)?,
            signatures,
            members,
        })
    }

    /// Brings the statement's list of members in line with the members, but for the packs' order.
    pub(crate) fn relist(&mut self) -> Tested {
        let list: Vec<Member> = self
            .members
            .iter()
            .map(|(name, bytes)| Member::of(name.clone(), bytes))
            .collect();
        self.statement["members"] = serde_json::to_value(list)?;
        Ok(())
    }

    /// The operations of a patch.
    pub(crate) fn operations(&self) -> Outcome<Vec<Value>> {
        let list = self
            .members
            .iter()
            .find(|(name, _)| name == OPERATIONS_MEMBER);
        let Some((_, packed)) = list else {
            return Ok(Vec::new());
        };
        let plain = zstd::decode_all(packed.as_slice())?;
        let lines = plain.split_inclusive(|byte| *byte == b'\n');
        Ok(lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?)
    }

    /// Puts these operations in the place of a patch's own, and says so in the statement.
    pub(crate) fn set_operations(&mut self, list: &[Value]) -> Tested {
        let mut lines = String::new();
        for one in list {
            writeln!(lines, "{one}")?;
        }
        let packed = zstd::encode_all(lines.as_bytes(), 3)?;
        let count = |codec: &str| {
            let is = |one: &&Value| {
                one["codec"]
                    .as_str()
                    .is_some_and(|of| of.starts_with(codec))
            };
            list.iter().filter(is).count()
        };
        if let Some(statement) = self.statement.as_object_mut() {
            statement.remove("operations");
            if !list.is_empty() {
                let stated = json!({
                    "copied": count("copy"), "deltas": count("delta"), "size": lines.len(), "whole": count("whole")
                });
                statement.insert("operations".to_owned(), stated);
            }
        }
        self.members.retain(|(name, _)| name != OPERATIONS_MEMBER);
        if !list.is_empty() {
            let mut members = self.members.iter();
            let packs = members.position(|(name, _)| name.starts_with("packs/"));
            let at = packs.unwrap_or(self.members.len());
            self.members
                .insert(at, (OPERATIONS_MEMBER.to_owned(), packed));
        }
        self.relist()
    }

    /// Puts the vendors' metadata of another patch in the place of its own.
    pub(crate) fn take_vendors_of(&mut self, other: &Self) -> Tested {
        let vendors = |(name, _): &&(String, Vec<u8>)| name.starts_with("vendor/");
        let first = self.members.iter().position(|member| vendors(&member));
        let first = first.ok_or("no vendor is inside")?;
        self.members.retain(|member| !vendors(&member));
        let theirs: Vec<_> = other.members.iter().filter(vendors).cloned().collect();
        self.members.splice(first..first, theirs);
        self.statement["vendors"] = other.statement["vendors"].clone();
        self.relist()
    }

    /// Writes the file with its signatures as they are.
    pub(crate) fn write(&self, path: &Path) -> Tested {
        self.put(
            path,
            &serde_json::to_vec(&self.statement)?,
            &self.signatures,
        )
    }

    /// Writes the file, signed by the key in `key_file`.
    pub(crate) fn write_signed(&self, path: &Path, key_file: &Path) -> Tested {
        let statement = serde_json::to_vec(&self.statement)?;
        let signature = sign(
            key_file,
            self.kind.namespace().unwrap_or_default(),
            &statement,
        )?;
        let name = format!("{}.{}.sig", self.kind.member(), signature.key);
        self.put(path, &statement, &[(name, signature.armoured)])
    }

    /// Writes the file around these very bytes of a statement.
    pub(crate) fn put(
        &self,
        path: &Path,
        statement: &[u8],
        signatures: &[(String, Vec<u8>)],
    ) -> Tested {
        let mut writer = SprWriter::new(Vec::new(), self.kind, statement)?;
        for (name, bytes) in signatures.iter().chain(&self.members) {
            writer.bytes(name, bytes)?;
        }
        Ok(fs::write(path, writer.finish()?)?)
    }
}

/// Signs bytes in a namespace.
pub(crate) fn sign(key_file: &Path, namespace: &str, bytes: &[u8]) -> Outcome<RawSignature> {
    let key = SigningKey::from_openssh(&fs::read(key_file)?, None)?;
    let id: Sha256 = key.public()?.id();
    Ok(RawSignature {
        key: id,
        armoured: key.sign(namespace, bytes)?,
    })
}
