//! Where a node is at home since its last rehome: which environment it is, and which key is its own.
//!
//! A rehome is one commit like any other. Its key lies under a name of its own, `key.<n>`, durable
//! before the state that names it; whichever state counts names the key that counts, so that no crash
//! leaves a node without one. What the rehome left behind goes once it is committed: the former key,
//! and to `set-aside/` the states that were lost between what it went on from and itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::state::StateStore;
use super::{DiskError, durable, folder};
use crate::model::Name;
use crate::model::snapshot::EnvironmentId;

/// The key of a node that was never rehomed.
const KEY: &str = "key";
/// Where states go that are no part of the chain any more.
const SET_ASIDE: &str = "set-aside";

/// What the last rehome made of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    /// The sequence number of the state that it went on from.
    pub after: u64,
    /// Which environment the node is since.
    pub environment: EnvironmentId,
    /// What the node is called since.
    pub node: Name,
    /// The sequence number of the rehome; it names the key.
    pub since: u64,
}

impl Home {
    /// Whether a state with this number was passed over.
    #[must_use]
    pub fn lost(&self, sequence: u64) -> bool {
        sequence > self.after && sequence < self.since
    }
}

impl StateStore {
    /// The key file of a node that is at home so.
    #[must_use]
    pub fn key_path(&self, home: Option<&Home>) -> PathBuf {
        self.folder().join(key_name(home))
    }

    /// Takes back a rehome that was not committed. Where it cannot be read which state counts, that may
    /// be the one of the rehome: then nothing is removed.
    pub fn abandon(&self, home: &Home) -> Result<(), DiskError> {
        match self.sequence() {
            Ok(current) if current == home.since => return Ok(()),
            Ok(_) | Err(DiskError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        folder::remove_tree(&self.state_folder(home.since))?;
        folder::remove_file(&self.key_path(Some(home)))
    }

    /// The greatest number that a state or a key has here, damaged or not: whatever it is of, a rehome under
    /// that number would write over it. Nothing where neither has one.
    pub fn greatest(&self) -> Result<Option<u64>, DiskError> {
        let counts = match self.sequence() {
            Ok(sequence) => Some(sequence),
            Err(DiskError::Damaged { .. }) => None,
            Err(error) => return Err(error),
        };
        let names = folder::names(self.folder())?;
        let keys = names
            .iter()
            .filter_map(|name| key_number(&name.to_string_lossy()));
        Ok(keys.chain(self.numbers()?).chain(counts).max())
    }

    /// Removes every key but the one that counts, and sets aside the states that a rehome passed over.
    pub(super) fn sweep_homes(&self) -> Result<(), DiskError> {
        let state = self.current()?.state;
        let home = state.home.as_ref();
        self.set_lost_aside(home)?;
        let counts = key_name(home);
        for name in folder::names(self.folder())? {
            let text = name.to_string_lossy();
            let is_key = text == KEY || key_number(&text).is_some();
            if is_key && text != counts {
                folder::remove_file(&self.folder().join(&name))?;
            }
        }
        Ok(())
    }

    /// Sets aside the states that the rehome `home` passed over. Which ones, only its own states say: it
    /// must be done before the next rehome is committed, or they are back in the chain.
    pub fn set_lost_aside(&self, home: Option<&Home>) -> Result<(), DiskError> {
        let Some(home) = home else {
            return Ok(());
        };
        for n in self.numbers()?.into_iter().filter(|n| home.lost(*n)) {
            self.set_aside(n, home.since)?;
        }
        Ok(())
    }

    fn set_aside(&self, sequence: u64, since: u64) -> Result<(), DiskError> {
        let folder = self.folder().join(SET_ASIDE);
        durable::make_folders(&folder, 0o700)?;
        let kept = folder.join(format!("{sequence}-{since}"));
        folder::remove_tree(&kept)?;
        let state = self.state_folder(sequence);
        durable::rename(&state, &kept)?;
        durable::sync_parent(&kept)?;
        durable::sync_parent(&state)
    }
}

fn key_name(home: Option<&Home>) -> String {
    home.map_or_else(|| KEY.to_owned(), |home| format!("{KEY}.{}", home.since))
}

/// The number of the rehome that made the key of this name.
fn key_number(name: &str) -> Option<u64> {
    name.strip_prefix("key.")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::disk::founding::{self, samples};
    use crate::disk::root::Root;
    use crate::disk::state::STATE_FILE;
    use crate::spr::canonical;

    fn home(after: u64, since: u64) -> Home {
        let file = samples::environment();
        Home {
            after,
            environment: file.environment,
            node: file.node,
            since,
        }
    }

    fn keys(root: &Root) -> Vec<String> {
        let names = folder::names(&root.state_folder()).unwrap();
        let names = names.iter().map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("key")).collect()
    }

    /// Up to the rename the former key counts, from it on the new one; and what was lost is set aside.
    #[test]
    fn one_rename_changes_state_and_key() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let store = StateStore::open(&root);
        samples::commit(&store, 2);
        let home = home(1, 9);
        founding::make_key(&store.key_path(Some(&home))).unwrap();
        let mut state = samples::state(9);
        state.home = Some(home.clone());
        let bytes = canonical::encode(&state).unwrap();
        let files = BTreeMap::from([(STATE_FILE.to_owned(), bytes)]);
        let prepared = store.prepare(9, &files).unwrap();
        assert_eq!(keys(&root), ["key", "key.9"]);
        drop(prepared);
        store.remove_uncommitted().unwrap();
        assert_eq!(keys(&root), ["key"], "not committed: the former key stays");
        founding::make_key(&store.key_path(Some(&home))).unwrap();
        store.commit(store.prepare(9, &files).unwrap()).unwrap();
        assert_eq!(keys(&root), ["key", "key.9"]);
        for _ in 0..2 {
            store.remove_uncommitted().unwrap();
            assert_eq!(keys(&root), ["key.9"], "committed: the former key goes");
            assert_eq!(store.numbers().unwrap(), [1, 9]);
            let kept = folder::names(&store.folder().join(SET_ASIDE)).unwrap();
            assert_eq!(kept, ["2-9"]);
        }
        store.abandon(&home).unwrap();
        assert_eq!(
            keys(&root),
            ["key.9"],
            "what is committed is not taken back"
        );
    }

    /// A number is taken by whatever bears it, whole or not.
    #[test]
    fn a_number_is_taken_by_a_state_a_key_or_what_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let store = StateStore::open(&root);
        let greatest = || store.greatest().unwrap();
        assert_eq!(greatest(), Some(1));
        durable::make_folders(&store.state_folder(5), 0o700).unwrap();
        assert_eq!(greatest(), Some(5), "a state of which nothing is left");
        let key = |name: &str| durable::write(&store.folder().join(name), b"", 0o600).unwrap();
        key("key.7");
        key("key.9.old");
        key("key.x");
        assert_eq!(greatest(), Some(7), "an empty key");
        samples::commit(&store, 8);
        folder::remove_tree(&store.state_folder(8)).unwrap();
        assert_eq!(greatest(), Some(8), "what counts is gone");
        folder::remove_file(&store.folder().join("current")).unwrap();
        assert_eq!(greatest(), Some(7));
    }

    /// What is done to the file that says which state counts.
    type Spoil = fn(&Path);

    /// What says which state counts may be damaged or of another state: then the rehome does not count.
    /// Where it cannot be read, nobody knows.
    #[test]
    fn a_rehome_that_may_be_committed_is_not_taken_back() {
        let rows: [(&str, Spoil, bool); 4] = [
            ("it is of another state", |_| {}, false),
            (
                "it is missing",
                |it| folder::remove_file(it).unwrap(),
                false,
            ),
            (
                "it is damaged",
                |it| durable::write(it, b"x", 0o600).unwrap(),
                false,
            ),
            (
                "it cannot be read",
                |it| {
                    folder::remove_file(it).unwrap();
                    durable::make_folders(it, 0o700).unwrap();
                },
                true,
            ),
        ];
        for (what, spoil, kept) in rows {
            let folder = tempfile::tempdir().unwrap();
            let root = samples::node(folder.path());
            let store = StateStore::open(&root);
            let home = home(1, 9);
            founding::make_key(&store.key_path(Some(&home))).unwrap();
            durable::make_folders(&store.state_folder(9), 0o700).unwrap();
            spoil(&store.folder().join("current"));
            assert_eq!(store.abandon(&home).is_err(), kept, "{what}");
            assert_eq!(keys(&root).contains(&"key.9".to_owned()), kept, "{what}");
            assert_eq!(store.numbers().unwrap().contains(&9), kept, "{what}");
        }
    }
}
