//! The folder of role keys: OpenSSH private keys called after their roles.
//!
//! ```text
//! root  targets  snapshot  timestamp  restapi     the key of each role
//! targets+2  targets+3                            more keys of one role
//! +next/timestamp                                 made by a rotation that is not in force yet
//! +old/timestamp-1f0c6f0e2a41b3c7                 set aside by one that is, with the key's id
//! ```
//!
//! The folder is 0700 and each key 0600. A key that is there is used, never overwritten, and never
//! deleted. No role's name begins with `+` or holds one.

use std::path::{Path, PathBuf};

use crate::disk::{durable, entropy, keys};
use crate::model::{RecipePath, Refusal, RefusalName, Sha256, Watch};
use crate::release::tuf::Key;
use crate::release::{Repository, Signers};
use crate::trust::{KeyFileError, SigningKey};

/// Where the keys lie that a rotation made.
const NEXT: &str = "+next";
/// Where keys lie that sign for nothing any more.
const OLD: &str = "+old";
/// Most keys of one role that a folder holds.
pub(super) const KEYS_MAX: u64 = 16;
/// Hexadecimal digits of a key's id in the name of a key that was set aside.
const ID_SHOWN: usize = 16;

/// Where the role keys lie, and what opens them.
#[derive(Clone)]
pub struct KeyFolder {
    /// The folder.
    pub path: PathBuf,
}

impl KeyFolder {
    /// A folder of keys; where one has a passphrase, it is asked for.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Whether there is a key of this role.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.path.join(role).is_file()
    }

    /// Reads the first key of a role.
    pub fn load(&self, role: &str, watch: &dyn Watch) -> Result<SigningKey, Refusal> {
        keys::load(&self.path.join(role), watch)?.into_key()
    }

    /// Reads the key of a role, or makes one; says whether it was made.
    pub fn load_or_make(
        &self,
        role: &str,
        watch: &dyn Watch,
    ) -> Result<(SigningKey, bool), Refusal> {
        let path = self.path.join(role);
        if path.symlink_metadata().is_ok() {
            return Ok((self.load(role, watch)?, false));
        }
        Ok((self.make(&path)?, true))
    }

    /// Every key of these roles, at least one of each, and those of daily work where `online`.
    pub fn signers(
        &self,
        roles: &[&str],
        online: bool,
        watch: &dyn Watch,
    ) -> Result<Signers, Refusal> {
        let mut signers = Signers::new(online);
        let daily = ["snapshot", "timestamp"];
        for role in roles.iter().chain(daily.iter().filter(|_| online)) {
            self.add(role, &mut signers, watch)?;
        }
        Ok(signers)
    }

    /// Adds every key of a role, of which there must be one.
    pub fn add(&self, role: &str, signers: &mut Signers, watch: &dyn Watch) -> Result<(), Refusal> {
        let files = files(&self.path, role);
        let first = [self.path.join(role)];
        let files: &[PathBuf] = if files.is_empty() { &first } else { &files };
        for file in files {
            signers.add(role, keys::load(file, watch)?.into_key()?)?;
        }
        Ok(())
    }

    /// The keys that a rotation of this role made, those that are missing made now; not
    /// more than the folder holds.
    pub fn next(
        &self,
        role: &str,
        count: u64,
        watch: &dyn Watch,
    ) -> Result<Vec<SigningKey>, Refusal> {
        let folder = self.path.join(NEXT);
        if count > KEYS_MAX {
            return Err(Refusal::new(
                RefusalName::Usage,
                "more keys are to be made for a role than a key folder holds",
            )
            .value("role", role)
            .value("to be made", count)
            .value("at most", KEYS_MAX)
            .next(format!(
                "lockstep publish rotate --role {role} --make {KEYS_MAX}, or fewer; more people bring their own: --key PUB for each"
            )));
        }
        (1..=count)
            .map(|number| {
                let path = folder.join(numbered(role, number));
                if path.is_file() {
                    keys::load(&path, watch)?.into_key()
                } else {
                    self.make(&path)
                }
            })
            .collect()
    }

    /// Adds the keys that a rotation of this role will bring, where there are any.
    pub fn add_next(
        &self,
        role: &str,
        signers: &mut Signers,
        watch: &dyn Watch,
    ) -> Result<(), Refusal> {
        for file in files(&self.path.join(NEXT), role) {
            signers.add(role, keys::load(&file, watch)?.into_key()?)?;
        }
        Ok(())
    }

    /// Whether this folder holds the keys that put things in force; a delegate's does not.
    #[must_use]
    pub fn is_owners(&self) -> bool {
        self.has("snapshot") && self.has("timestamp")
    }

    /// The keys that publish a recipe. A delegate goes on from what it has signed last.
    pub fn for_recipe(
        &self,
        repository: &mut Repository,
        path: &RecipePath,
        watch: &dyn Watch,
    ) -> Result<Signers, Refusal> {
        let role = repository.state().role_for(path)?;
        let delegated = repository.state().delegation(&role).is_some();
        if self.is_owners() {
            let signs = if delegated && self.has(&role) {
                &role
            } else {
                "targets"
            };
            return self.signers(&[signs], true, watch);
        }
        if !(delegated && self.has(&role)) {
            return Err(Refusal::new(
                RefusalName::UntrustedSigner,
                "the key folder has no key for this recipe",
            )
            .value("recipe", path)
            .value("role that answers for it", &role)
            .value("wanted", self.path.join(&role).display())
            .value("or", "the owner's keys: targets, snapshot and timestamp")
            .next(format!(
                "put the role's private key in the key folder under the name {role}, or name another folder: --keys DIR"
            )));
        }
        let signers = self.signers(&[&role], false, watch)?;
        repository.look_ahead(&role)?;
        Ok(signers)
    }

    /// Sets aside the keys of a role that are not `listed` any more, and brings those in that are.
    /// Says what lies where now: set aside, brought in.
    pub fn settle(
        &self,
        role: &str,
        listed: &[Sha256],
    ) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Refusal> {
        let (mut aside, mut brought) = (Vec::new(), Vec::new());
        for file in files(&self.path, role) {
            let id = id_of(&file)?;
            if !listed.contains(&id) {
                let short: String = id.to_string().chars().take(ID_SHOWN).collect();
                aside.push(put(
                    &file,
                    &self.path.join(OLD),
                    &format!("{role}-{short}"),
                )?);
            }
        }
        for file in files(&self.path.join(NEXT), role) {
            if listed.contains(&id_of(&file)?) {
                brought.push(put(&file, &self.path, role)?);
            }
        }
        Ok((aside, brought))
    }

    fn make(&self, path: &Path) -> Result<SigningKey, Refusal> {
        let refuse = |e: &KeyFileError| {
            Refusal::new(
                RefusalName::Internal,
                format!("the key could not be made: {e}"),
            )
            .value("key", path.display())
            .next("run the same command again")
        };
        durable::make_folders(path.parent().unwrap_or(&self.path), 0o700)?;
        let key = new_key().map_err(|e| refuse(&e))?;
        let text = key.to_openssh().map_err(|e| refuse(&e))?;
        durable::write(path, text.as_bytes(), 0o600)?;
        Ok(key)
    }
}

/// A public key file, as TUF metadata lists it.
pub(super) fn public_key(file: &Path) -> Result<Key, Refusal> {
    let (key, _) = keys::load_public(file)?;
    Key::of(&key).ok_or_else(|| {
        Refusal::new(
            RefusalName::Usage,
            "a key held by a security key cannot sign TUF metadata",
        )
        .value("file", file.display())
        .next("name a plain ed25519 public key")
    })
}

/// `targets`, `targets+2`, `targets+3`.
fn numbered(role: &str, number: u64) -> String {
    if number < 2 {
        role.to_owned()
    } else {
        format!("{role}+{number}")
    }
}

fn files(folder: &Path, role: &str) -> Vec<PathBuf> {
    (1..=KEYS_MAX)
        .map(|number| folder.join(numbered(role, number)))
        .filter(|path| path.is_file())
        .collect()
}

fn id_of(file: &Path) -> Result<Sha256, Refusal> {
    let public = keys::public_half(file)?;
    let key = Key::of(&public).ok_or_else(|| {
        Refusal::new(RefusalName::Usage, "it is not a plain ed25519 key")
            .value("key", file.display())
            .next("take it out of the key folder")
    })?;
    Ok(key.id()?)
}

/// Gives a key the first free name of its kind in another folder, durably.
fn put(file: &Path, folder: &Path, name: &str) -> Result<PathBuf, Refusal> {
    durable::make_folders(folder, 0o700)?;
    let mut number = 1;
    let path = loop {
        let path = folder.join(numbered(name, number));
        if path.symlink_metadata().is_err() {
            break path;
        }
        number = number.saturating_add(1);
    };
    durable::rename_new(file, &path)?;
    durable::sync_parent(&path)?;
    durable::sync_parent(file)?;
    Ok(path)
}

fn new_key() -> Result<SigningKey, KeyFileError> {
    let seed = entropy::random_bytes().map_err(|e| KeyFileError::Internal(e.to_string()))?;
    SigningKey::from_seed(&seed)
}
