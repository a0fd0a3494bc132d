//! The first moment of a node: its state folder and key.
//!
//! All is made in `.lockstep.init` and gets the name `.lockstep` in one rename, so that there is
//! never a half-made environment that could be taken for a first use.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::entropy::random_bytes;
use super::lock::Lock;
use super::root::Root;
use super::rules::service::ServiceFile;
use super::state::{EnvironmentFile, StateStore};
use super::{DiskError, durable, folder};
use crate::model::path::STATE_FOLDER;
use crate::trust::key::SigningKey;

/// Largest key file, in bytes.
const KEY_MAX: u64 = 16 * 1024;

/// A state folder under way; dropped before [`Founding::finish`], it leaves only a folder that
/// the next `init` removes.
pub struct Founding<'a> {
    root: &'a Root,
    store: StateStore,
    key: SigningKey,
}

impl<'a> Founding<'a> {
    /// Makes the folder, `environment.json`, the first rules with the service's commands if any are
    /// named, and a new key. Refused where `.lockstep` exists.
    pub fn begin(
        root: &'a Root,
        environment: &EnvironmentFile,
        service: Option<&ServiceFile>,
    ) -> Result<Self, DiskError> {
        let path = root.state_folder();
        if path.symlink_metadata().is_ok() {
            return Err(DiskError::AlreadyThere { path });
        }
        let store = StateStore::at(nursery(root));
        folder::remove_tree(store.folder())?;
        durable::make_folders(store.folder(), 0o700)?;
        for name in ["generations", "installed", "stage", "states", "vendor"] {
            durable::make_folders(&store.folder().join(name), 0o700)?;
        }
        durable::write(&store.folder().join("lock"), &Lock::blank(), 0o600)?;
        store.write_environment(environment)?;
        store.write_first_rules(service)?;
        let key = make_key(&store.key_path(None))?;
        Ok(Self { root, store, key })
    }

    /// The node's key.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The store, to commit the first state into.
    #[must_use]
    pub fn store(&self) -> &StateStore {
        &self.store
    }

    /// Gives the folder its name, durably, once a first state is committed in it.
    pub fn finish(self) -> Result<SigningKey, DiskError> {
        self.store.current()?;
        let path = self.root.state_folder();
        durable::rename_new(self.store.folder(), &path)?;
        durable::sync_parent(&path)?;
        Ok(self.key)
    }
}

/// The state folder under way.
pub(super) fn nursery(root: &Root) -> PathBuf {
    root.path().join(format!("{STATE_FOLDER}.init"))
}

/// Makes a new key, durable at `path`.
pub fn make_key(path: &Path) -> Result<SigningKey, DiskError> {
    let key =
        SigningKey::from_seed(&random_bytes()?).map_err(|e| DiskError::Random(e.to_string()))?;
    let text = key
        .to_openssh()
        .map_err(|e| DiskError::Random(e.to_string()))?;
    durable::write(path, text.as_bytes(), 0o600)?;
    Ok(key)
}

/// Reads the node's key; a key file that others can read is refused, and one that is missing is told
/// as damage to the node's state.
pub fn load_key(path: &Path) -> Result<SigningKey, DiskError> {
    let path = path.to_owned();
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(DiskError::KeyLost { path });
        }
        Err(e) => return Err(DiskError::io("look at", &path)(e)),
    };
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_file() || mode & 0o077 != 0 {
        return Err(DiskError::KeyOpen { path, mode });
    }
    let text = zeroize::Zeroizing::new(durable::read(&path, KEY_MAX)?);
    SigningKey::from_openssh(&text, None).map_err(|e| DiskError::Damaged {
        path,
        reason: e.to_string(),
    })
}

#[cfg(test)]
pub(super) mod samples {
    //! A node as the tests of this room found it.

    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::state::{STATE_FILE, TrustedState};
    use crate::model::snapshot::{EnvironmentId, Marks, SiteRef};
    use crate::model::{Sha256, Time};
    use crate::spr::canonical;

    pub(crate) fn environment() -> EnvironmentFile {
        EnvironmentFile {
            created: Time::EPOCH,
            environment: EnvironmentId {
                id: uuid::Uuid::nil(),
                name: "TEST".parse().unwrap(),
            },
            format: 0,
            node: "n1".parse().unwrap(),
            service_none: true,
        }
    }

    pub(crate) fn state(sequence: u64) -> TrustedState {
        TrustedState {
            born: None,
            challenges: vec![],
            floors: vec![],
            format: 0,
            generation: sequence,
            home: None,
            installed: vec![],
            marks: Marks {
                hardware: None,
                inode: 1,
                machine: None,
                root: Sha256::of(b"/"),
            },
            receipt: Sha256::of(b""),
            sequence,
            state: Sha256::of(b""),
            site: SiteRef {
                sha256: Sha256::of(b"site"),
                version: 1,
            },
            time_floor: Time::EPOCH,
        }
    }

    pub(crate) fn commit(store: &StateStore, sequence: u64) {
        let bytes = canonical::encode(&state(sequence)).unwrap();
        let files = BTreeMap::from([(STATE_FILE.to_owned(), bytes)]);
        store
            .commit(store.prepare(sequence, &files).unwrap())
            .unwrap();
    }

    /// A founded node with state 1.
    pub(crate) fn node(folder: &std::path::Path) -> Root {
        let root = Root::open(folder).unwrap();
        let founding = Founding::begin(&root, &environment(), None).unwrap();
        commit(founding.store(), 1);
        founding.finish().unwrap();
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Refusal, RefusalName};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn founded_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::open(folder.path()).unwrap();
        let first = Founding::begin(&root, &samples::environment(), None).unwrap();
        // Interrupted before a state was committed: nothing to finish, and no environment.
        assert!(first.finish().is_err());
        assert!(!root.state_folder().exists());
        let root = samples::node(folder.path());
        assert!(matches!(
            Founding::begin(&root, &samples::environment(), None),
            Err(DiskError::AlreadyThere { .. })
        ));
        let mode = root.state_folder().metadata().unwrap().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let store = StateStore::open(&root);
        assert_eq!(store.environment().unwrap(), samples::environment());
        assert_eq!(folder::names(folder.path()).unwrap(), [".lockstep"]);
    }

    #[test]
    fn a_key_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let store = StateStore::open(&root);
        let key = store.key_path(None);
        load_key(&key).unwrap();
        assert_eq!(key.metadata().unwrap().mode() & 0o7777, 0o600);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = Refusal::from(load_key(&key).err().unwrap());
        assert_eq!(refusal.name, RefusalName::NotPermitted);
        assert_eq!(refusal.next, format!("chmod 600 {}", key.display()));
        std::fs::remove_file(&key).unwrap();
        let refusal = Refusal::from(load_key(&key).err().unwrap());
        assert_eq!(refusal.name, RefusalName::Corrupt);
        assert!(refusal.next.contains("rehome --restored"), "{refusal}");
    }
}
