//! Writing a release repository: one publisher at a time, and readers see the old or the new.
//!
//! All files but the timestamp have a name that stands for one content for ever; what a crash left
//! behind is passed over by taking the next free version. The order in which a change is written is
//! that of [`super::commit`].
//!
//! | attack | defence |
//! |---|---|
//! | metadata planted in the repository, to be signed along with the next release | a role is signed anew only where its current file bears the signatures that its readers ask for |
//! | two publishers at once | a lock on `.lock`, held as long as the [`Repository`] |
//! | a version written over another | written once; only a missing signature is added to a file |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::envelope::Envelope;
use super::layout::{self, TIMESTAMP};
use super::seal::{Signers, check, check_readable, date, seal, tally_of};
use super::tuf::{Lifetimes, Meta, Root, Targets};
use super::{Directory, ReleaseError, Source as _, State};
use crate::disk::{DiskError, durable};
use crate::model::Time;

/// A repository that this process alone may write.
pub struct Repository {
    pub(super) source: Directory,
    pub(super) state: State,
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
        date(&mut next.targets, now, lifetimes);
        let listed = next.root.signed.body.roles.get("targets").cloned();
        signers.sign(
            "targets",
            &mut next.targets,
            &listed.iter().collect::<Vec<_>>(),
        )?;
        let before = next.clone();
        seal(&mut next, &before, signers, now)?;
        let files = [
            ("root", next.root.to_bytes()?),
            ("targets", next.targets.to_bytes()?),
            ("snapshot", next.snapshot.to_bytes()?),
            ("timestamp", next.timestamp.to_bytes()?),
        ];
        for (role, bytes) in &files {
            check_readable(bytes, || next.file(role))?;
        }
        for (role, bytes) in files {
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

    /// Goes on from the newest file of a delegated role, although no snapshot names it yet: a
    /// delegate publishes several times before the repository's owner takes that in.
    pub fn look_ahead(&mut self, role: &str) -> Result<(), ReleaseError> {
        let known = self
            .state
            .delegated
            .get(role)
            .map_or(0, |file| file.signed.version);
        if let Some(newest) = self.source.newest(role, known)? {
            let mut ahead = self.state.clone();
            ahead.delegated.insert(role.to_owned(), newest);
            check(&ahead, role)?;
            self.state = ahead;
        }
        Ok(())
    }

    /// Writes `bytes` over a metadata file to which a signature was added.
    pub(super) fn rewrite(&mut self, file: &str, bytes: &[u8]) -> Result<(), ReleaseError> {
        check_readable(bytes, || Ok(file.to_owned()))?;
        let path = self.source.path().join(layout::METADATA).join(file);
        durable::write(&path, bytes, 0o644)?;
        self.state = State::load(&self.source)?;
        Ok(())
    }

    pub(super) fn lifetimes(&self) -> Lifetimes {
        self.state.root.signed.body.lifetimes
    }

    /// The lowest version above `current` of which there is no file.
    pub(super) fn free(&self, role: &str, current: u64) -> Result<u64, ReleaseError> {
        let mut version = current.saturating_add(1);
        while self.taken(role, version)? {
            version = version.saturating_add(1);
        }
        Ok(version)
    }

    /// Whether there is a file of this version.
    pub(super) fn taken(&self, role: &str, version: u64) -> Result<bool, ReleaseError> {
        let file = layout::metadata_file(role, version)?;
        Ok(self.source.metadata(&file)?.is_some())
    }

    /// Every file that is about to be continued is what the keys in force signed.
    pub(super) fn check_current(&self, roles: &[&str]) -> Result<(), ReleaseError> {
        roles.iter().try_for_each(|role| check(&self.state, role))
    }

    /// The same where a root came into force and the work below it was cut short: what the keys of the
    /// root before signed will do. Asked by the rotation alone that brought that root; a key that was
    /// rotated out may be in a thief's hands.
    pub(super) fn check_cut_short(&self, roles: &[&str]) -> Result<(), ReleaseError> {
        for role in roles {
            let Err(fault) = check(&self.state, role) else {
                continue;
            };
            let before = self.before_root()?;
            let tally = before.map(|before| tally_of(&before, role, &self.state));
            if !tally.transpose()?.is_some_and(super::Tally::complete) {
                return Err(fault);
            }
        }
        Ok(())
    }

    /// The state as the root before the current one judges it.
    fn before_root(&self) -> Result<Option<State>, ReleaseError> {
        let version = self.state.root.signed.version.saturating_sub(1);
        let file = layout::metadata_file("root", version)?;
        let Some(bytes) = self.source.metadata(&file)? else {
            return Ok(None);
        };
        Ok(Some(State {
            root: Envelope::parse(&file, "root", &bytes)?,
            ..self.state.clone()
        }))
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

pub(super) fn write_once(path: &Path, bytes: &[u8]) -> Result<(), ReleaseError> {
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
