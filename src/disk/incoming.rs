//! Recipe files on their way in: verified one by one, kept on disk until the commit that needs them.
//!
//! A recipe of a large component has a hundred megabytes, so none waits in memory. They lie in
//! `.lockstep/stage/recipes/`, where recovery removes what a crash leaves, and are gone when this
//! value is dropped before [`Incoming::install`].

use std::path::PathBuf;

use super::root::Root;
use super::state::StateStore;
use super::{DiskError, durable, folder};
use crate::model::Sha256;

/// Recipe files that no commit stands for yet.
pub struct Incoming {
    folder: PathBuf,
}

impl Incoming {
    /// Starts with none; what an interrupted command left is removed.
    pub fn create(root: &Root) -> Result<Self, DiskError> {
        let folder = root.state_folder().join("stage").join("recipes");
        folder::remove_tree(&folder)?;
        durable::make_folders(&folder, 0o700)?;
        Ok(Self { folder })
    }

    /// Keeps a file whose digest was checked, durably.
    pub fn keep(&self, recipe: &Sha256, file: &[u8]) -> Result<(), DiskError> {
        durable::write(&self.folder.join(recipe.to_string()), file, 0o600)
    }

    /// Moves every file to the installed ones, durably.
    pub fn install(&self, store: &StateStore) -> Result<(), DiskError> {
        for name in folder::names(&self.folder)? {
            let Some(recipe) = name.to_str().and_then(|name| name.parse::<Sha256>().ok()) else {
                continue;
            };
            store.take_recipe(&recipe, &self.folder.join(&name))?;
        }
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // A leftover is harmless: the next command that changes anything empties the stage.
        drop(folder::remove_tree(&self.folder));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;

    #[test]
    fn a_recipe_counts_once_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let store = StateStore::open(&root);
        let recipe = Sha256::of(b"recipe");
        for installed in [false, true] {
            let incoming = Incoming::create(&root).unwrap();
            incoming.keep(&recipe, b"recipe").unwrap();
            assert!(store.recipe(&recipe).is_err());
            if installed {
                incoming.install(&store).unwrap();
            }
            let path = incoming.folder.clone();
            drop(incoming);
            assert!(!path.exists());
            assert_eq!(store.recipe(&recipe).is_ok(), installed);
        }
    }
}
