//! Writing a release repository: one publisher at a time, and readers see the old or the new.
//!
//! Files are written bottom up: contents, recipes, delegated roles, targets, snapshot, and the
//! timestamp last, each durable before the next. All but the timestamp have a name that stands for
//! one content for ever; what a crash left behind is passed over by taking the next free version.
//!
//! | attack | defence |
//! |---|---|
//! | metadata planted in the repository, to be signed along with the next release | a role is signed anew only where its current file bears a good signature of that same key |
//! | two publishers at once | a lock on `.lock`, held as long as the [`Repository`] |
//! | a version written over another | written once; only a missing signature is added to a file |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::envelope::Envelope;
use super::layout::{self, TIMESTAMP};
use super::seal::{Signers, bytes_of, check, seal, sign_targets, targets_key};
use super::tuf::{
    Delegation, Delegations, Hashes, Key, Lifetimes, Meta, RoleKeys, Root, TargetFile, Targets,
};
use super::{Directory, ReleaseError, Source as _, State};
use crate::disk::{DiskError, durable};
use crate::model::{RecipePath, Sha256, Time};

/// A repository that this process alone may write.
pub struct Repository {
    source: Directory,
    state: State,
    // Held open for its lock.
    lock: File,
}

impl Repository {
    /// Makes a repository with this root and no recipes. A folder where an earlier attempt was cut
    /// short, before there was a timestamp, is taken over.
    pub fn create(
        folder: &Path,
        root: Envelope<Root>,
        signers: &Signers,
        now: Time,
    ) -> Result<Self, ReleaseError> {
        durable::make_folders(&folder.join(layout::METADATA), 0o755)?;
        let lock = lock(folder)?;
        Self::vacant(folder)?;
        let lifetimes = root.signed.body.lifetimes;
        let mut next = State {
            root,
            timestamp: Envelope::unsigned("timestamp", 1, now, Some(now), Meta::default()),
            snapshot: Envelope::unsigned("snapshot", 1, now, None, Meta::default()),
            targets: Envelope::unsigned("targets", 1, now, Some(now), Targets::default()),
            delegated: BTreeMap::new(),
        };
        sign_targets(&mut next.targets, signers, now, lifetimes)?;
        seal(&mut next, signers, now, lifetimes)?;
        for (role, bytes) in [
            ("root", next.root.to_bytes()?),
            ("targets", next.targets.to_bytes()?),
            ("snapshot", next.snapshot.to_bytes()?),
            ("timestamp", next.timestamp.to_bytes()?),
        ] {
            let path = folder.join(layout::METADATA).join(next.file(role)?);
            durable::write(&path, &bytes, 0o644)?;
        }
        Ok(Self {
            source: Directory::new(folder),
            state: next,
            lock,
        })
    }

    /// Refuses a folder where there is a repository.
    pub fn vacant(folder: &Path) -> Result<(), ReleaseError> {
        let signs = [
            folder.join(layout::METADATA).join(TIMESTAMP),
            folder.join(layout::TARGETS),
            folder.join(layout::BLOBS),
        ];
        if signs.iter().any(|path| path.symlink_metadata().is_ok()) {
            Err(ReleaseError::Exists(folder.to_owned()))
        } else {
            Ok(())
        }
    }

    /// Takes the lock of the repository in `folder` and reads its current metadata.
    pub fn open(folder: &Path) -> Result<Self, ReleaseError> {
        if !folder.join(layout::METADATA).join(TIMESTAMP).is_file() {
            return Err(ReleaseError::NoRepository(folder.to_owned()));
        }
        let lock = lock(folder)?;
        let source = Directory::new(folder);
        let state = State::load(&source)?;
        Ok(Self {
            source,
            state,
            lock,
        })
    }

    /// What it says now.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The repository to read from.
    #[must_use]
    pub fn source(&self) -> &Directory {
        &self.source
    }

    /// Publishes one recipe file; its contents are stored already. Returns the files written.
    pub fn deliver(
        &mut self,
        path: &RecipePath,
        bytes: &[u8],
        signers: &Signers,
        now: Time,
    ) -> Result<Vec<String>, ReleaseError> {
        let role = layout::role_of(path)?;
        let known = self.state.delegated.contains_key(&role);
        self.check_own(signers, known.then_some(role.as_str()))?;
        let lifetimes = self.lifetimes();
        let mut next = self.state.clone();
        let mut changed = vec![role.clone()];
        if !known {
            delegate(&mut next, &role, path, signers)?;
            next.targets.signed.version = self.free("targets", next.targets.signed.version)?;
            sign_targets(&mut next.targets, signers, now, lifetimes)?;
            changed.push("targets".to_owned());
        }
        let sha256 = Sha256::of(bytes);
        let version = next.delegated.get(&role).map_or(0, |r| r.signed.version);
        let version = self.free(&role, version)?;
        let delegated = next.delegated.entry(role).or_insert_with(empty_targets);
        delegated.signed.version = version;
        delegated
            .signed
            .body
            .targets
            .insert(path.clone(), target(bytes, sha256));
        sign_targets(delegated, signers, now, lifetimes)?;
        let file = format!("{}/{}", layout::TARGETS, layout::target_file(path, &sha256));
        self.commit(next, &changed, Some((file, bytes)), signers, now)
    }

    /// Signs snapshot and timestamp anew, and with `targets` every other role but the root.
    pub fn renew(
        &mut self,
        targets: bool,
        signers: &Signers,
        now: Time,
    ) -> Result<Vec<String>, ReleaseError> {
        let mut next = self.state.clone();
        let mut changed: Vec<String> = Vec::new();
        if targets {
            let lifetimes = self.lifetimes();
            for (role, delegated) in &mut next.delegated {
                self.check_own(signers, Some(role))?;
                delegated.signed.version = self.free(role, delegated.signed.version)?;
                sign_targets(delegated, signers, now, lifetimes)?;
                changed.push(role.clone());
            }
            next.targets.signed.version = self.free("targets", next.targets.signed.version)?;
            sign_targets(&mut next.targets, signers, now, lifetimes)?;
            changed.push("targets".to_owned());
        }
        self.check_own(signers, None)?;
        self.commit(next, &changed, None, signers, now)
    }

    /// Writes `bytes` over a metadata file to which a signature was added.
    pub(super) fn rewrite(&mut self, file: &str, bytes: &[u8]) -> Result<(), ReleaseError> {
        let path = self.source.path().join(layout::METADATA).join(file);
        durable::write(&path, bytes, 0o644)?;
        self.state = State::load(&self.source)?;
        Ok(())
    }

    fn lifetimes(&self) -> Lifetimes {
        self.state.root.signed.body.lifetimes
    }

    /// The lowest version above `current` of which there is no file.
    fn free(&self, role: &str, current: u64) -> Result<u64, ReleaseError> {
        let mut version = current.saturating_add(1);
        while self
            .source
            .metadata(&layout::metadata_file(role, version)?)?
            .is_some()
        {
            version = version.saturating_add(1);
        }
        Ok(version)
    }

    /// Every file that is about to be continued bears a signature of the key that continues it.
    fn check_own(&self, signers: &Signers, delegated: Option<&str>) -> Result<(), ReleaseError> {
        let state = &self.state;
        check(state, "snapshot", &state.snapshot, &signers.snapshot)?;
        check(state, "timestamp", &state.timestamp, &signers.timestamp)?;
        if let Some(key) = &signers.targets {
            check(state, "targets", &state.targets, key)?;
            if let Some((role, envelope)) =
                delegated.and_then(|role| state.delegated.get_key_value(role))
            {
                check(state, role, envelope, key)?;
            }
        }
        Ok(())
    }

    /// Seals the next state and writes it, the timestamp last.
    fn commit(
        &mut self,
        mut next: State,
        changed: &[String],
        target: Option<(String, &[u8])>,
        signers: &Signers,
        now: Time,
    ) -> Result<Vec<String>, ReleaseError> {
        next.snapshot.signed.version = self.free("snapshot", next.snapshot.signed.version)?;
        next.timestamp.signed.version = next.timestamp.signed.version.saturating_add(1);
        seal(&mut next, signers, now, self.lifetimes())?;
        let mut files: Vec<(String, Cow<'_, [u8]>)> = Vec::new();
        files.extend(target.map(|(file, bytes)| (file, bytes.into())));
        for role in changed.iter().map(String::as_str).chain(["snapshot"]) {
            let file = format!("{}/{}", layout::METADATA, next.file(role)?);
            files.push((file, bytes_of(&next, role)?.into()));
        }
        bytes_of(&next, "timestamp")?;
        for (file, bytes) in &files {
            write_once(&self.source.path().join(file), bytes)?;
        }
        let timestamp = self.source.path().join(layout::METADATA).join(TIMESTAMP);
        durable::write(&timestamp, &next.timestamp.to_bytes()?, 0o644)?;
        self.state = next;
        let mut written: Vec<String> = files.into_iter().map(|(file, _)| file).collect();
        written.push(format!("{}/{TIMESTAMP}", layout::METADATA));
        Ok(written)
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        // Closing the file would do it too; a lock that is already gone is no harm.
        drop(self.lock.unlock());
    }
}

fn lock(folder: &Path) -> Result<File, ReleaseError> {
    let path = folder.join(".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(DiskError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ReleaseError::Busy(folder.to_owned())),
        Err(TryLockError::Error(e)) => Err(DiskError::io("lock", path)(e).into()),
    }
}

fn empty_targets() -> Envelope<Targets> {
    Envelope::unsigned("targets", 0, Time::EPOCH, None, Targets::default())
}

fn target(bytes: &[u8], sha256: Sha256) -> TargetFile {
    TargetFile {
        hashes: Hashes { sha256 },
        length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        extra: serde_json::Map::new(),
    }
}

/// Adds the delegation of a family that is new, to the key that signs the targets.
fn delegate(
    next: &mut State,
    role: &str,
    path: &RecipePath,
    signers: &Signers,
) -> Result<(), ReleaseError> {
    let key = Key::of_private("targets", targets_key(signers)?)?;
    let id = key.id()?;
    let body = &mut next.targets.signed.body;
    let delegations = body.delegations.get_or_insert_with(Delegations::default);
    delegations.keys.insert(id, key);
    delegations.roles.push(Delegation {
        install_paths: None,
        name: role.to_owned(),
        paths: vec![layout::pattern_of(path)],
        terminating: true,
        signers: RoleKeys::new(vec![id], 1),
    });
    Ok(())
}

fn write_once(path: &Path, bytes: &[u8]) -> Result<(), ReleaseError> {
    let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match durable::read_if_there(path, limit) {
        Ok(Some(there)) if there == *bytes => return Ok(()),
        Ok(None) => {}
        Ok(Some(_)) | Err(DiskError::TooLarge { .. }) => {
            return Err(ReleaseError::WrittenOnce(path.to_owned()));
        }
        Err(e) => return Err(e.into()),
    }
    if let Some(parent) = path.parent() {
        durable::make_folders(parent, 0o755)?;
    }
    Ok(durable::write(path, bytes, 0o644)?)
}
