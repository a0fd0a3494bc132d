//! Node statements as the desk takes them in: snapshots, and receipts with the snapshot inside.

use std::path::Path;

use super::Desk;
use super::store::{EnvironmentRecord, NodeRecord, STATEMENT_FILE_MAX};
use crate::disk::durable;
use crate::model::receipt::Receipt;
use crate::model::snapshot::{EnvironmentId, NodeId, Snapshot};
use crate::model::{Kind, PublicKey, Refusal, RefusalName};
use crate::spr::{MemberBytes, Opened, RawStatement, SprError};
use crate::trust::Verified;
use crate::trust::receipt::{ReceiptParts, by_node};

/// A node's word: a verified snapshot, and the receipt that it came in, if any.
#[derive(Debug)]
pub struct Word {
    /// The snapshot.
    pub snapshot: Verified<Snapshot>,
    /// The snapshot's statement and signatures, as they go into a patch.
    pub raw: RawStatement,
    /// The receipt that it came in.
    pub receipt: Option<Verified<Receipt>>,
    /// The inventory of a full snapshot, compressed; its digest is the statement's.
    pub inventory: Option<Vec<u8>>,
    /// The whole file.
    pub file: Vec<u8>,
}

/// A file read from disk and not yet believed.
pub struct Unread {
    /// Its statement.
    pub raw: RawStatement,
    members: Vec<MemberBytes>,
    file: Vec<u8>,
}

impl Unread {
    /// Reads a snapshot or receipt file.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let file = durable::read(path, STATEMENT_FILE_MAX)?;
        Self::parse(file).map_err(|e| e.refuse(path))
    }

    /// Takes a file from memory.
    pub fn parse(file: Vec<u8>) -> Result<Self, SprError> {
        let opened = Opened::open(file.as_slice())?;
        let list = match opened.raw().kind {
            Kind::Snapshot => opened.decode::<Snapshot>()?.members,
            Kind::Receipt => opened.decode::<Receipt>()?.members,
            found => {
                return Err(SprError::Kind {
                    wanted: Kind::Snapshot,
                    found,
                });
            }
        };
        let (raw, members) = opened.into_memory(&list, STATEMENT_FILE_MAX)?;
        Ok(Self { raw, members, file })
    }

    /// Whose word it claims to be.
    pub fn claims(&self) -> Result<(EnvironmentId, NodeId), SprError> {
        Ok(if self.raw.kind == Kind::Receipt {
            let receipt: Receipt = self.raw.decode()?;
            (receipt.environment, receipt.node)
        } else {
            let snapshot: Snapshot = self.raw.decode()?;
            (snapshot.environment, snapshot.node)
        })
    }

    /// Believes it, if `key` signed it, and nobody else: signatures are no members, so that anybody on
    /// the way could add one, and a patch that carries the snapshot has room for the node's alone.
    pub fn verify(self, key: &PublicKey) -> Result<Word, Refusal> {
        let Self { raw, members, file } = self;
        if raw.kind == Kind::Snapshot {
            let snapshot = by_node::<Snapshot>(&raw, key)?;
            return Ok(Word {
                snapshot,
                raw,
                receipt: None,
                inventory: members.into_iter().next().map(|(_, bytes)| bytes),
                file,
            });
        }
        let agreed = ReceiptParts { raw, members }.verify(key)?;
        let (receipt, snapshot, raw) = agreed.into_parts();
        Ok(Word {
            snapshot,
            raw,
            receipt: Some(receipt),
            inventory: None,
            file,
        })
    }
}

/// Reads a node's statement and believes it by the key that the node is enrolled with.
pub fn read_enrolled(desk: &Desk, path: &Path) -> Result<Word, Refusal> {
    let unread = Unread::read(path)?;
    let (environment, node) = unread.claims().map_err(|e| e.refuse(path))?;
    let record = desk.environment(&environment)?;
    let Some(known) = record.as_ref().and_then(|record| record.node(&node.name)) else {
        return Err(not_enrolled(path, &environment, &node));
    };
    check_key(known, &node, path)?;
    if let Some(record) = &record {
        check_name(record, &environment, path)?;
    }
    unread.verify(&known.key)
}

/// An environment keeps its name: one that states another would be taken for that one by whoever reads
/// what this desk prints.
pub(super) fn check_name(
    record: &EnvironmentRecord,
    stated: &EnvironmentId,
    path: &Path,
) -> Result<(), Refusal> {
    if record.environment.name == stated.name {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::WrongEnvironment,
        "the file gives an environment that is known here another name",
    )
    .value("file", path.display())
    .value("file says", stated)
    .value("known here", &record.environment)
    .next("find out what happened on that host; a copy gets an identity of its own with lockstep rehome --copy"))
}

pub(super) fn not_enrolled(path: &Path, environment: &EnvironmentId, node: &NodeId) -> Refusal {
    Refusal::new(
        RefusalName::NotEnrolled,
        "this desk does not know the node that the file is from",
    )
    .value("file", path.display())
    .value(
        "from",
        format!(
            "{environment}, node {}, key {}",
            node.name,
            node.key.fingerprint()
        ),
    )
    .value("known here", "no such node")
    .next(format!(
        "lockstep enrol {} (compare the fingerprint with the host's lockstep status)",
        path.display()
    ))
}

/// Refuses a statement of a node that is known by another key.
pub(super) fn check_key(known: &NodeRecord, node: &NodeId, path: &Path) -> Result<(), Refusal> {
    if known.key == node.key {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::NotEnrolled,
        "the node is enrolled here with another key",
    )
    .value("file has", node.key.fingerprint())
    .value("known here", known.key.fingerprint())
    .next(format!(
        "find out why its key changed; if it was made anew: lockstep enrol {} --replace",
        path.display()
    )))
}
