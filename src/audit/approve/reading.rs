//! What an approver needs of a patch: the statement and the members before its packs, which is all of
//! a head.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use crate::disk::durable;
use crate::model::operation::OPERATIONS_MEMBER;
use crate::model::patch::{Patch, PatchNode};
use crate::model::snapshot::Snapshot;
use crate::model::{PublicKey, Refusal, Sha256};
use crate::spr::{Opened, RawStatement, Small, SprError, canonical};
use crate::trust::TrustError;
use crate::trust::patch::operations;
use crate::trust::verified::signing_keys;

/// A patch without its packs; of its trust, nothing is known.
pub(super) struct Head {
    pub(super) raw: RawStatement,
    pub(super) patch: Patch,
    pub(super) members: BTreeMap<String, Vec<u8>>,
}

impl Head {
    /// Reads up to the first pack; each member has the digest that the statement gives.
    pub(super) fn read(path: &Path) -> Result<Self, Refusal> {
        let refuse = |e: SprError| e.refuse(path);
        let file = durable::open_plain(path)?;
        let opened = Opened::open(BufReader::new(file)).map_err(refuse)?;
        let patch: Patch = opened.decode().map_err(refuse)?;
        let listed = opened.members(&patch.members, Patch::is_pack);
        let (raw, mut reader) = listed.map_err(refuse)?;
        let mut small = Small::default();
        while reader
            .peek()
            .map_err(refuse)?
            .is_some_and(|m| !Patch::is_pack(m))
        {
            small.take_next(&mut reader).map_err(refuse)?;
        }
        let members = small.into_members();
        // What is said of them is shown to whoever signs.
        let list = members.get(OPERATIONS_MEMBER).map(Vec::as_slice);
        operations(&patch, list).map_err(|e| Refusal::from(e).value("file", path.display()))?;
        Ok(Self {
            raw,
            patch,
            members,
        })
    }

    /// The one key that signed the patch; whether the site trusts it is another question.
    pub(super) fn preparer(&self) -> Result<PublicKey, TrustError> {
        let mut keys = signing_keys::<Patch>(&self.raw)?;
        let count = keys.len();
        match keys.pop() {
            Some(key) if count == 1 => Ok(key),
            _ => Err(TrustError::ManyPreparers(count)),
        }
    }

    /// The snapshot that the statement names for a node.
    pub(super) fn snapshot(&self, node: &PatchNode) -> Result<Snapshot, TrustError> {
        let name = Patch::snapshot_member(&node.name);
        let bytes = self.members.get(&name);
        let bytes = bytes.filter(|bytes| Sha256::of(bytes) == node.snapshot);
        let bytes = bytes.ok_or_else(|| {
            TrustError::corrupt(format!("{name} is not the snapshot that patch.json names"))
        })?;
        Ok(canonical::decode(bytes)?)
    }
}
