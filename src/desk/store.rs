//! What a desk remembers: one record per environment, every statement seen, its settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::Desk;
use crate::disk::lock::Lock;
use crate::disk::{DiskError, durable};
use crate::model::snapshot::EnvironmentId;
use crate::model::statement::FORMAT;
use crate::model::{Name, PublicKey, Refusal, Sha256, Time};
use crate::spr::canonical;

/// Largest record, in bytes.
const RECORD_MAX: u64 = 16 * 1024 * 1024;
/// Largest statement file that is kept, in bytes.
pub(super) const STATEMENT_FILE_MAX: u64 = 160 * 1024 * 1024;
/// How many sequence numbers are remembered per node, to find forks.
pub(super) const SEEN_MAX: usize = 512;

/// What the desk knows of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentRecord {
    /// Which one.
    pub environment: EnvironmentId,
    /// Forks of its nodes that somebody accepted, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<AcceptedFork>,
    /// The format of this record.
    pub format: u32,
    /// Its nodes, rising by name.
    pub nodes: Vec<NodeRecord>,
    /// Patches prepared and not yet confirmed by a receipt.
    pub prepared: Vec<PreparedRecord>,
}

impl EnvironmentRecord {
    /// Earlier records do not tell which receipt closed the snapshots: it was the last. Nor do they list
    /// receipts: that one is known.
    fn completed(mut self) -> Self {
        for node in &mut self.nodes {
            if node.closed == 0 {
                node.closed = node.receipt_sequence;
            }
            if node.receipts.is_empty() && node.receipt_sequence > 0 {
                node.receipts.push(SeenReceipt {
                    closes: node.closed == node.receipt_sequence,
                    previous: None,
                    sequence: node.receipt_sequence,
                    sha256: node.receipt,
                });
            }
        }
        self
    }
}

/// A fork that somebody accepted: from then on one branch counts, and the other is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedFork {
    /// When.
    pub accepted: Time,
    /// Of which node.
    pub node: Name,
    /// Why.
    pub reason: String,
    /// The sequence number of the statement that was accepted.
    pub sequence: u64,
    /// What contradicted it.
    pub what: String,
}

/// What the desk knows of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRecord {
    /// The sequence number of the last receipt known that closed the snapshots before it: of any
    /// but one of a change that was taken back.
    #[serde(default)]
    pub closed: u64,
    /// Its enrolled key.
    pub key: PublicKey,
    /// Its name.
    pub name: Name,
    /// SHA-256 of the last receipt known.
    pub receipt: Sha256,
    /// The sequence number of the snapshot that came in that receipt.
    pub receipt_sequence: u64,
    /// Receipts known of the branch that counts, rising by sequence number.
    #[serde(default)]
    pub receipts: Vec<SeenReceipt>,
    /// Statements, snapshots and receipts, of branches that do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Sha256>,
    /// Snapshots seen, rising by sequence number.
    pub seen: Vec<SeenSnapshot>,
}

/// A snapshot that the desk has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenSnapshot {
    /// When it was taken, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Time>,
    /// Its sequence number.
    pub sequence: u64,
    /// SHA-256 of its statement, which lies in `statements/`.
    pub sha256: Sha256,
}

/// A receipt that the desk has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenReceipt {
    /// Whether it closed the snapshots before it.
    pub closes: bool,
    /// The receipt before it; nothing for the first, or where an earlier record did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Sha256>,
    /// Its sequence number.
    pub sequence: u64,
    /// SHA-256 of its statement.
    pub sha256: Sha256,
}

/// A patch that was prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreparedRecord {
    /// The day after which the host refuses it.
    pub apply_before: Time,
    /// When.
    pub created: Time,
    /// Into which file.
    pub file: String,
    /// SHA-256 of `patch.json`.
    pub patch: Sha256,
    /// The greatest sequence number of the snapshots that it answers.
    pub sequence: u64,
    /// The recipes asked for.
    pub to: Vec<String>,
}

/// What routine commands need not be told again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The preparer's key file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<PathBuf>,
    /// Sources, rising by vendor.
    pub sources: Vec<VendorSource>,
}

/// Where a vendor's repository is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorSource {
    /// A folder.
    pub place: String,
    /// The vendor.
    pub vendor: Name,
}

impl EnvironmentRecord {
    /// A record of an environment without nodes.
    #[must_use]
    pub fn new(environment: EnvironmentId) -> Self {
        Self {
            environment,
            forks: Vec::new(),
            format: FORMAT,
            nodes: Vec::new(),
            prepared: Vec::new(),
        }
    }

    /// The node with this name.
    #[must_use]
    pub fn node(&self, name: &Name) -> Option<&NodeRecord> {
        self.nodes.iter().find(|node| &node.name == name)
    }
}

impl NodeRecord {
    /// The last snapshot seen.
    #[must_use]
    pub fn last(&self) -> Option<&SeenSnapshot> {
        self.seen.last()
    }
}

impl Desk {
    /// Held while what the desk knows is read, changed and written: two commands at a time would
    /// each forget what the other learned. Another command is waited for, some seconds long.
    pub fn lock(&self, command: &str, now: Time) -> Result<Lock, Refusal> {
        durable::make_folders(&self.state, 0o755)?;
        Ok(Lock::wait(&self.state.join("lock"), command, now)?)
    }

    /// Every environment known, rising by name.
    pub fn environments(&self) -> Result<Vec<EnvironmentRecord>, Refusal> {
        let folder = self.state.join("environments");
        let mut records: Vec<EnvironmentRecord> = Vec::new();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(records),
            Err(e) => return Err(DiskError::io("read", &folder)(e).into()),
        };
        for entry in entries {
            let path = entry.map_err(DiskError::io("read", &folder))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(read_record(&path)?.map(EnvironmentRecord::completed));
            }
        }
        let key = |record: &EnvironmentRecord| {
            let EnvironmentId { id, name } = record.environment.clone();
            (name, id)
        };
        records.sort_by_key(key);
        Ok(records)
    }

    /// The record of an environment.
    pub fn environment(&self, id: &EnvironmentId) -> Result<Option<EnvironmentRecord>, Refusal> {
        let record: Option<EnvironmentRecord> = read_record(&self.record_path(id))?;
        Ok(record.map(EnvironmentRecord::completed))
    }

    /// Stores a record.
    pub fn store_environment(&self, record: &EnvironmentRecord) -> Result<(), Refusal> {
        write_record(&self.record_path(&record.environment), record)
    }

    fn record_path(&self, id: &EnvironmentId) -> PathBuf {
        self.state
            .join("environments")
            .join(format!("{}.json", id.id))
    }

    /// The settings; defaults where there are none yet.
    pub fn settings(&self) -> Result<Settings, Refusal> {
        Ok(read_record(&self.state.join("settings.json"))?.unwrap_or_default())
    }

    /// Stores the settings.
    pub fn store_settings(&self, settings: &Settings) -> Result<(), Refusal> {
        write_record(&self.state.join("settings.json"), settings)
    }

    /// Where the desk's site file lies.
    #[must_use]
    pub fn site_path(&self) -> PathBuf {
        self.state.join("site.spr")
    }

    /// Keeps a statement file under the digest of its statement.
    pub fn keep_statement(&self, sha256: Sha256, file: &[u8]) -> Result<(), Refusal> {
        let path = self.statement_path(sha256);
        // One that was damaged since is written again.
        if durable::read_if_there(&path, STATEMENT_FILE_MAX)?.as_deref() == Some(file) {
            return Ok(());
        }
        make_parent(&path)?;
        Ok(durable::write(&path, file, 0o644)?)
    }

    /// A statement file kept before.
    pub fn statement(&self, sha256: Sha256) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(durable::read_if_there(
            &self.statement_path(sha256),
            STATEMENT_FILE_MAX,
        )?)
    }

    fn statement_path(&self, sha256: Sha256) -> PathBuf {
        self.state.join("statements").join(format!("{sha256}.spr"))
    }

    /// Keeps a recipe file, so that it is at hand when a source no longer has it.
    pub fn keep_recipe(&self, sha256: Sha256, file: &[u8]) -> Result<(), Refusal> {
        let path = self.recipe_path(sha256);
        if self.recipe(sha256)?.is_some() {
            return Ok(());
        }
        make_parent(&path)?;
        Ok(durable::write(&path, file, 0o644)?)
    }

    /// A recipe file kept before, if it is still what it was.
    pub fn recipe(&self, sha256: Sha256) -> Result<Option<Vec<u8>>, Refusal> {
        let file = durable::read_if_there(&self.recipe_path(sha256), STATEMENT_FILE_MAX)?;
        Ok(file.filter(|bytes| Sha256::of(bytes) == sha256))
    }

    fn recipe_path(&self, sha256: Sha256) -> PathBuf {
        self.cache.join("recipes").join(format!("{sha256}.spr"))
    }
}

impl Settings {
    /// The sources as a map.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<Name, String> {
        self.sources
            .iter()
            .map(|s| (s.vendor.clone(), s.place.clone()))
            .collect()
    }
}

fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Refusal> {
    durable::read_if_there(path, RECORD_MAX)?
        .map(|bytes| canonical::decode_value(&bytes).map_err(|e| e.refuse(path)))
        .transpose()
}

fn write_record<T: Serialize>(path: &Path, record: &T) -> Result<(), Refusal> {
    make_parent(path)?;
    let bytes = canonical::encode(record).map_err(|e| e.refuse(path))?;
    Ok(durable::write(path, &bytes, 0o644)?)
}

fn make_parent(path: &Path) -> Result<(), Refusal> {
    if let Some(parent) = path.parent() {
        durable::make_folders(parent, 0o755)?;
    }
    Ok(())
}
