//! Documents that the node keeps beside its trusted state: the recipes of what is installed, the
//! last accepted metadata of each vendor, and `environment.json`.
//!
//! A recipe is named by its SHA-256 and checked when it is read. Vendor metadata is signed and is
//! verified again by whoever uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::state::{EnvironmentFile, StateStore};
use super::{DiskError, durable, folder};
use crate::model::statement::FORMAT;
use crate::model::{Name, Sha256};
use crate::spr::canonical;

/// Largest recipe or metadata file, in bytes.
const DOCUMENT_MAX: u64 = 256 * 1024 * 1024;
/// Longest name of a metadata file, in bytes (`NAME_MAX` of Linux, with room for a draft's).
const FILE_NAME_MAX: usize = 128;

impl StateStore {
    /// What the node is.
    pub fn environment(&self) -> Result<EnvironmentFile, DiskError> {
        let path = self.folder().join("environment.json");
        let damaged = |reason: String| DiskError::Damaged {
            path: path.clone(),
            reason,
        };
        let bytes = durable::read_if_there(&path, 65_536)?
            .ok_or_else(|| damaged("it is missing".to_owned()))?;
        let file: EnvironmentFile =
            canonical::decode_value(&bytes).map_err(|e| damaged(e.to_string()))?;
        if file.format == FORMAT {
            Ok(file)
        } else {
            Err(damaged(format!("it has format {}", file.format)))
        }
    }

    /// Writes what the node is: `init`, and a copy that gets its own identity.
    pub fn write_environment(&self, file: &EnvironmentFile) -> Result<(), DiskError> {
        let path = self.folder().join("environment.json");
        let bytes = canonical::encode(file).map_err(|e| DiskError::Damaged {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        durable::write(&path, &bytes, 0o600)
    }

    /// Keeps the recipe file at `from`, whose digest was checked, by moving it here.
    pub(super) fn take_recipe(&self, sha256: &Sha256, from: &Path) -> Result<(), DiskError> {
        let path = self.recipe_path(sha256);
        durable::make_folders(&self.folder().join("installed"), 0o700)?;
        durable::rename(from, &path)?;
        durable::sync_parent(&path)
    }

    /// A kept recipe, checked by its digest.
    pub fn recipe(&self, sha256: &Sha256) -> Result<Vec<u8>, DiskError> {
        let path = self.recipe_path(sha256);
        let Some(bytes) = durable::read_if_there(&path, DOCUMENT_MAX)? else {
            return Err(DiskError::Damaged {
                path,
                reason: "it is missing".to_owned(),
            });
        };
        let found = Sha256::of(&bytes);
        if found == *sha256 {
            Ok(bytes)
        } else {
            Err(DiskError::Content {
                path,
                expected: format!("sha256 {sha256}"),
                found: format!("sha256 {found}"),
            })
        }
    }

    /// Removes the kept recipes that nobody goes back to: all but `kept`.
    pub fn prune_recipes(&self, kept: &BTreeSet<Sha256>) -> Result<(), DiskError> {
        let folder = self.folder().join("installed");
        for name in folder::names(&folder)? {
            let recipe = name.to_str().and_then(|name| name.strip_suffix(".spr"));
            let recipe = recipe.and_then(|name| name.parse::<Sha256>().ok());
            if recipe.is_none_or(|recipe| !kept.contains(&recipe)) {
                folder::remove_file(&folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Keeps the metadata files of a vendor in place of those kept before. Names are those of
    /// TUF metadata: `1.root.json`.
    pub fn store_vendor(
        &self,
        vendor: &Name,
        files: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), DiskError> {
        let folder = self.vendor_path(vendor);
        if let Some(name) = files.keys().find(|name| !is_plain(name)) {
            return Err(DiskError::Damaged {
                path: folder,
                reason: format!("{name:?} is no name of a metadata file"),
            });
        }
        durable::make_folders(&folder, 0o700)?;
        for (name, bytes) in files {
            let path = folder.join(name);
            if durable::read_if_there(&path, DOCUMENT_MAX)?.as_deref() != Some(bytes) {
                durable::write(&path, bytes, 0o600)?;
            }
        }
        for name in folder::names(&folder)? {
            let kept = name.to_str().is_some_and(|name| files.contains_key(name));
            if !kept {
                folder::remove_file(&folder.join(name))?;
            }
        }
        Ok(())
    }

    /// The kept metadata files of a vendor; none where nothing was kept.
    pub fn vendor(&self, vendor: &Name) -> Result<BTreeMap<String, Vec<u8>>, DiskError> {
        let folder = self.vendor_path(vendor);
        let mut files = BTreeMap::new();
        for name in folder::names(&folder)? {
            // Drafts of an interrupted command begin with a dot and are no names.
            if let Some(known) = name.to_str().filter(|name| is_plain(name)) {
                files.insert(
                    known.to_owned(),
                    durable::read(&folder.join(&name), DOCUMENT_MAX)?,
                );
            }
        }
        Ok(files)
    }

    fn recipe_path(&self, sha256: &Sha256) -> PathBuf {
        self.folder()
            .join("installed")
            .join(format!("{sha256}.spr"))
    }

    fn vendor_path(&self, vendor: &Name) -> PathBuf {
        self.folder().join("vendor").join(vendor.as_str())
    }
}

/// Whether a name of metadata stays in its folder. It may be longer than a [`Name`]: the version of
/// a role has up to 16 digits, and its own name 48 characters.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    name.len() <= FILE_NAME_MAX
        && !name.starts_with('.')
        && !name.is_empty()
        && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::vendor::ROLE_MAX;

    #[test]
    fn a_recipe_is_checked_when_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        let sha256 = Sha256::of(b"recipe");
        let keep = || {
            let incoming = folder.path().join("incoming");
            durable::write(&incoming, b"recipe", 0o600).unwrap();
            store.take_recipe(&sha256, &incoming).unwrap();
        };
        keep();
        assert_eq!(store.recipe(&sha256).unwrap(), b"recipe");
        durable::write(&store.recipe_path(&sha256), b"other", 0o600).unwrap();
        assert!(matches!(
            store.recipe(&sha256),
            Err(DiskError::Content { .. })
        ));
        keep();
        store.recipe(&sha256).unwrap();
    }

    #[test]
    fn vendor_metadata_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        let vendor = "stibo".parse().unwrap();
        let set = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
            names
                .iter()
                .map(|name| ((*name).to_owned(), name.as_bytes().to_vec()))
                .collect()
        };
        assert_eq!(store.vendor(&vendor).unwrap(), set(&[]));
        let longest = format!("{}.{}.json", (1_u64 << 53) - 1, "r".repeat(ROLE_MAX));
        let last = [longest.as_str()];
        for names in [
            &["1.root.json", "timestamp.json"][..],
            &["2.root.json"],
            &last,
        ] {
            store.store_vendor(&vendor, &set(names)).unwrap();
            assert_eq!(store.vendor(&vendor).unwrap(), set(names));
        }
        for bad in ["", ".hidden", "../../current", "a/b", "a\nb"] {
            assert!(
                store.store_vendor(&vendor, &set(&[bad])).is_err(),
                "{bad:?}"
            );
            assert_eq!(store.vendor(&vendor).unwrap(), set(&last), "{bad:?}");
        }
    }
}
