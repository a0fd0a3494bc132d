//! The folder of role keys: OpenSSH private keys called `root`, `targets`, `snapshot`, `timestamp`.
//!
//! The folder is 0700 and each key 0600. A key that is there is used, never overwritten.

use std::path::PathBuf;

use crate::disk::{durable, entropy, keys};
use crate::model::{Refusal, RefusalName, Watch};
use crate::release::Signers;
use crate::trust::{KeyFileError, SigningKey};

/// Where the role keys lie, and what opens them.
#[derive(Clone)]
pub struct KeyFolder {
    /// The folder.
    pub path: PathBuf,
}

impl KeyFolder {
    /// A folder of keys without a passphrase.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads the key of a role; where it has a passphrase, `watch` is asked for it.
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
        durable::make_folders(&self.path, 0o700)?;
        let key = new_key().map_err(|e| self.refuse(role, &e))?;
        let text = key.to_openssh().map_err(|e| self.refuse(role, &e))?;
        durable::write(&path, text.as_bytes(), 0o600)?;
        Ok((key, true))
    }

    /// The keys of daily work.
    pub fn signers(&self, with_targets: bool, watch: &dyn Watch) -> Result<Signers, Refusal> {
        let targets = if with_targets {
            Some(self.load("targets", watch)?)
        } else {
            None
        };
        Ok(Signers {
            targets,
            snapshot: self.load("snapshot", watch)?,
            timestamp: self.load("timestamp", watch)?,
        })
    }

    fn refuse(&self, role: &str, error: &KeyFileError) -> Refusal {
        let (name, next) = match error {
            KeyFileError::Internal(_) => (RefusalName::Internal, "run the same command again"),
            _ => (
                RefusalName::Usage,
                "name the folder that publish init made (--keys DIR)",
            ),
        };
        Refusal::new(name, format!("the {role} key cannot be used: {error}"))
            .value("key", self.path.join(role).display())
            .next(next)
    }
}

fn new_key() -> Result<SigningKey, KeyFileError> {
    let seed = entropy::random_bytes().map_err(|e| KeyFileError::Internal(e.to_string()))?;
    SigningKey::from_seed(&seed)
}
