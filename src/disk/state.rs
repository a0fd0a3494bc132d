//! The node's trusted state: one immutable folder for each sequence number, and the one file that
//! says which of them counts.
//!
//! `current` also names its own inode and birth: whoever restores an earlier one restores another file.
//!
//! `states/<n>/` is written whole and made durable; then `current`, which holds n and the folder's
//! SHA-256, is replaced by one rename: that is the commit. What is missing or does not fit its
//! digest is refused as damaged, never taken for a first use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::durable::{self, Draft};
use super::home::Home;
use super::marks::{self, Difference, Mark};
use super::root::Root;
use super::{DiskError, folder};
use crate::model::digest::Sha256Hasher;
use crate::model::snapshot::{EnvironmentId, Floor, Installed, Marks, SiteRef};
use crate::model::state::{CHALLENGES_MAX, OpenChallenge};
use crate::model::statement::FORMAT;
use crate::model::{Name, Sha256, Time};
use crate::spr::canonical;

/// Largest file of a state, in bytes.
const FILE_MAX: u64 = 256 * 1024 * 1024;
/// The file of a state that holds [`TrustedState`].
pub const STATE_FILE: &str = "state.json";
/// The file of a state that an action made: its receipt.
pub const RECEIPT_FILE: &str = "receipt.spr";

/// What a node is and stays, in `environment.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentFile {
    /// When `init` made it.
    pub created: Time,
    /// Which environment.
    pub environment: EnvironmentId,
    /// The file format.
    pub format: u32,
    /// What the node is called.
    pub node: Name,
    /// Whether `init` was told that there is no service to stop.
    pub service_none: bool,
}

/// All mutable trusted state of one sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedState {
    /// When the key's file was born, in seconds and nanoseconds, where the file system says it: a file
    /// that is restored may get the very inode that it had. It is a mark that never leaves the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<String>,
    /// Challenges that a patch may answer, the oldest first.
    pub challenges: Vec<OpenChallenge>,
    /// The lowest versions of vendor metadata still accepted.
    #[serde(with = "crate::model::floor::grouped")]
    pub floors: Vec<Floor>,
    /// The file format.
    pub format: u32,
    /// The generation that stands: the sequence number of the last change of files.
    pub generation: u64,
    /// What the last rehome made of the node; nothing where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
    /// What is installed, rising by name.
    pub installed: Vec<Installed>,
    /// What ties the key to its place.
    pub marks: Marks,
    /// SHA-256 of the last receipt's statement: the head of the chain.
    pub receipt: Sha256,
    /// The sequence number.
    pub sequence: u64,
    /// The site file in force.
    pub site: SiteRef,
    /// The state digest.
    pub state: Sha256,
    /// The greatest `issued` that a vendor signed and a commit accepted.
    pub time_floor: Time,
}

impl TrustedState {
    /// Opens a challenge; beyond [`CHALLENGES_MAX`] the oldest is dropped.
    pub fn open_challenge(&mut self, challenge: OpenChallenge) {
        self.challenges.push(challenge);
        let excess = self.challenges.len().saturating_sub(CHALLENGES_MAX);
        self.challenges.drain(..excess);
    }
}

/// The content of `current`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pointer {
    /// When this very file was born, where its file system says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<String>,
    folder_sha256: Sha256,
    format: u32,
    /// The inode of this very file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inode: Option<u64>,
    sequence: u64,
}

/// The state that counts, checked against its digest.
#[derive(Debug, Clone)]
pub struct CurrentState {
    /// Every file of the state's folder, [`STATE_FILE`] among them.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Its sequence number.
    pub sequence: u64,
    /// The trusted state.
    pub state: TrustedState,
}

/// A state that is durable on disk but does not count yet.
#[must_use = "a prepared state counts only once it is committed"]
pub struct PreparedState {
    current: Draft,
    sequence: u64,
}

/// The folder `.lockstep` as the keeper of trusted state.
#[derive(Debug, Clone)]
pub struct StateStore {
    folder: PathBuf,
}

impl StateStore {
    /// The store of an installation.
    #[must_use]
    pub fn open(root: &Root) -> Self {
        Self::at(root.state_folder())
    }

    /// The store in `folder`: `.lockstep`, or what will become it.
    #[must_use]
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// `.lockstep` itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sequence number that counts, without reading the state itself.
    pub fn sequence(&self) -> Result<u64, DiskError> {
        self.pointer().map(|pointer| pointer.sequence)
    }

    /// The state that counts.
    pub fn current(&self) -> Result<CurrentState, DiskError> {
        let pointer = self.pointer()?;
        let folder = self.state_folder(pointer.sequence);
        let files = read_files(&folder)?;
        let found = digest(&files);
        if found != pointer.folder_sha256 {
            let wanted = pointer.folder_sha256.short();
            let reason = format!("its digest is {}, {wanted} was committed", found.short());
            return Err(damaged(&folder, reason));
        }
        decoded(&folder, pointer.sequence, files)
    }

    /// The numbers of all state folders, rising, whether they were committed or not.
    pub fn numbers(&self) -> Result<Vec<u64>, DiskError> {
        folder::numbers(&self.folder.join("states"))
    }

    /// A state as its folder has it. Whether it was committed, and is what it was, nobody says: its
    /// signed files are for the caller to compare with it.
    pub fn uncertain(&self, sequence: u64) -> Result<CurrentState, DiskError> {
        let folder = self.state_folder(sequence);
        let files = read_files(&folder)?;
        decoded(&folder, sequence, files)
    }

    /// Writes the folder of the state `sequence`, durably. What an interrupted command left under
    /// that number is removed first; the state that counts cannot be written again.
    pub fn prepare(
        &self,
        sequence: u64,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<PreparedState, DiskError> {
        use std::io::Write as _;
        let folder = self.state_folder(sequence);
        if self.pointer().is_ok_and(|p| p.sequence >= sequence) {
            return Err(DiskError::AlreadyThere { path: folder });
        }
        folder::remove_tree(&folder)?;
        durable::make_folders(&folder, 0o700)?;
        for (name, bytes) in files {
            durable::write(&folder.join(name), bytes, 0o600)?;
        }
        let path = self.folder.join("current");
        let mut current = Draft::create(&path, 0o600)?;
        let itself = current.file().metadata();
        let itself = itself.map_err(DiskError::io("look at", &path))?;
        let pointer = Pointer {
            born: marks::born_of(&itself),
            folder_sha256: digest(files),
            format: FORMAT,
            inode: Some(marks::inode_of(&itself)),
            sequence,
        };
        let text = canonical::encode(&pointer).map_err(|e| damaged(&path, e.to_string()))?;
        current
            .file()
            .write_all(&text)
            .and_then(|()| durable::sync(current.file()))
            .map_err(DiskError::io("write", &path))?;
        Ok(PreparedState { current, sequence })
    }

    /// The commit: one rename of a durable file over `current`.
    ///
    /// An error may come after the rename (the folder's fsync): whoever gets one runs recovery,
    /// which looks at what counts, and does not go back by itself.
    pub fn commit(&self, prepared: PreparedState) -> Result<u64, DiskError> {
        prepared.current.commit()?;
        Ok(prepared.sequence)
    }

    /// The receipt of a state that an action made.
    pub fn receipt(&self, sequence: u64) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.state_folder(sequence).join(RECEIPT_FILE);
        durable::read_if_there(&path, FILE_MAX)
    }

    /// The snapshot of a state that is kept.
    pub fn snapshot(&self, sequence: u64) -> Result<Vec<u8>, DiskError> {
        durable::read(&self.state_folder(sequence).join("snapshot.spr"), FILE_MAX)
    }

    /// The numbers of all committed states that hold a receipt, rising.
    pub fn receipts(&self) -> Result<Vec<u64>, DiskError> {
        let CurrentState {
            sequence: current,
            state,
            ..
        } = self.current()?;
        // What a rehome passed over is no part of the chain, even before it is set aside.
        let lost = |n: u64| state.home.as_ref().is_some_and(|home| home.lost(n));
        let mut numbers = Vec::new();
        for n in self.numbers()? {
            if n <= current && !lost(n) && self.has_receipt(n)? {
                numbers.push(n);
            }
        }
        Ok(numbers)
    }

    /// A receipt that cannot be looked at is not taken for none: its state would go, and the chain
    /// of receipts with it.
    fn has_receipt(&self, sequence: u64) -> Result<bool, DiskError> {
        folder::is_there(&self.state_folder(sequence).join(RECEIPT_FILE))
    }

    /// Removes states without a receipt, but for the current one and the one before it.
    pub fn prune(&self) -> Result<(), DiskError> {
        let current = self.sequence()?;
        let states = self.numbers()?;
        let before = states.iter().copied().filter(|n| *n < current).max();
        for n in states {
            let kept = n >= current || Some(n) == before;
            if !kept && !self.has_receipt(n)? {
                folder::remove_tree(&self.state_folder(n))?;
            }
        }
        Ok(())
    }

    /// Removes what an interrupted command left: states beyond the current one, and drafts beside
    /// them and among the vendors' metadata.
    pub fn remove_uncommitted(&self) -> Result<(), DiskError> {
        let current = self.sequence()?;
        for n in self.numbers()? {
            if n > current {
                folder::remove_tree(&self.state_folder(n))?;
            }
        }
        let vendors = self.folder.join("vendor");
        for vendor in folder::names(&vendors)? {
            folder::sweep_drafts(&vendors.join(vendor))?;
        }
        self.sweep_homes()?;
        folder::sweep_drafts(&self.folder)
    }

    pub(super) fn state_folder(&self, sequence: u64) -> PathBuf {
        self.folder.join("states").join(sequence.to_string())
    }

    /// How the file that says what counts differs from the one that was committed: it names itself, so
    /// that a restored one is a stranger even where the key beside it was left as it was.
    pub fn put_back(&self) -> Result<Vec<Difference>, DiskError> {
        let pointer = self.pointer()?;
        let path = self.folder.join("current");
        let live = path
            .symlink_metadata()
            .map_err(DiskError::io("look at", &path))?;
        let (inode, born) = (marks::inode_of(&live), marks::born_of(&live));
        let inode = marks::differ(
            Mark::StateInode,
            pointer.inode.map(|n| n.to_string()).as_ref(),
            Some(&inode.to_string()),
        );
        let born = marks::differ(Mark::StateBorn, pointer.born.as_ref(), born.as_ref());
        Ok(inode.into_iter().chain(born).collect())
    }

    fn pointer(&self) -> Result<Pointer, DiskError> {
        let path = self.folder.join("current");
        let bytes =
            durable::read_if_there(&path, 4_096)?.ok_or_else(|| damaged(&path, "it is missing"))?;
        let pointer: Pointer =
            canonical::decode_value(&bytes).map_err(|e| damaged(&path, e.to_string()))?;
        if pointer.format == FORMAT {
            Ok(pointer)
        } else {
            Err(damaged(&path, format!("it has format {}", pointer.format)))
        }
    }
}

fn decoded(
    folder: &Path,
    sequence: u64,
    files: BTreeMap<String, Vec<u8>>,
) -> Result<CurrentState, DiskError> {
    let path = folder.join(STATE_FILE);
    let bytes = files
        .get(STATE_FILE)
        .ok_or_else(|| damaged(&path, "it is missing"))?;
    let state: TrustedState =
        canonical::decode_value(bytes).map_err(|e| damaged(&path, e.to_string()))?;
    if (state.sequence, state.format) != (sequence, FORMAT) {
        return Err(damaged(&path, "it has another number or format"));
    }
    Ok(CurrentState {
        files,
        sequence,
        state,
    })
}

fn damaged(path: &Path, reason: impl Into<String>) -> DiskError {
    DiskError::Damaged {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn read_files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, DiskError> {
    let mut files = BTreeMap::new();
    for name in folder::names(folder)? {
        let bytes = durable::read(&folder.join(&name), FILE_MAX)?;
        files.insert(name.to_string_lossy().into_owned(), bytes);
    }
    Ok(files)
}

/// SHA-256 over a line `NAME SIZE SHA256` for each file, sorted by name.
fn digest(files: &BTreeMap<String, Vec<u8>>) -> Sha256 {
    let mut hasher = Sha256Hasher::default();
    for (name, bytes) in files {
        hasher.update(format!("{name} {} {}\n", bytes.len(), Sha256::of(bytes)).as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
