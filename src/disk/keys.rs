//! Key files of people: read with their passphrase, refused when others can read them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{DiskError, durable};
use crate::model::{Kind, PublicKey, Refusal, RefusalName, Sha256, Watch};
use crate::trust::{KeyFileError, SigningKey};

/// Largest key file, in bytes.
const KEY_MAX: u64 = 64 * 1024;
/// Bits of a mode that let others read or change a private key.
const OTHERS: u32 = 0o077;

/// A private key, and the file it came from.
pub struct KeyFile {
    key: SigningKey,
    public: PublicKey,
    path: PathBuf,
}

/// Loads a private key file; where it has a passphrase, `watch` is asked for it.
pub fn load(path: &Path, watch: &dyn Watch) -> Result<KeyFile, Refusal> {
    let refuse = |error: &KeyFileError| {
        Refusal::new(
            RefusalName::Usage,
            format!("the key file cannot be used: {error}"),
        )
        .value("key file", path.display())
        .next("name an OpenSSH ed25519 private key: --key FILE")
    };
    let text = zeroize::Zeroizing::new(durable::read(path, KEY_MAX)?);
    let mode = std::fs::metadata(path)
        .map_err(DiskError::io("read", path))?
        .mode();
    if mode & OTHERS != 0 {
        return Err(Refusal::new(
            RefusalName::NotPermitted,
            "others can read this private key",
        )
        .value("key file", path.display())
        .value(
            "mode",
            format!("{:04o}, at most 0600 is taken", mode & 0o7777),
        )
        .next(format!("chmod 600 {}", path.display())));
    }
    let key = match SigningKey::from_openssh(&text, None) {
        Err(KeyFileError::NeedsPassphrase) => {
            let passphrase = watch.passphrase(&path.display().to_string());
            let passphrase = passphrase.ok_or_else(|| refuse(&KeyFileError::NeedsPassphrase))?;
            SigningKey::from_openssh(&text, Some(passphrase.as_bytes()))
        }
        other => other,
    }
    .map_err(|e| refuse(&e))?;
    let public = key.public().map_err(|e| refuse(&e))?;
    Ok(KeyFile {
        key,
        public,
        path: path.to_owned(),
    })
}

/// Loads a public key file, or the public half that lies beside a private one.
pub fn load_public(path: &Path) -> Result<(PublicKey, String), Refusal> {
    let text = durable::read(path, KEY_MAX)?;
    let text = String::from_utf8_lossy(&text);
    let key: PublicKey = text.parse().map_err(|e: crate::model::key::KeyError| {
        Refusal::new(RefusalName::Usage, e.to_string())
            .value("file", path.display())
            .next("name the .pub file that ssh-keygen wrote")
    })?;
    let comment = text
        .trim()
        .splitn(3, ' ')
        .nth(2)
        .unwrap_or_default()
        .to_owned();
    Ok((key, comment))
}

/// The public half of a private key file, whose passphrase is not asked for.
pub fn public_half(path: &Path) -> Result<PublicKey, Refusal> {
    let text = zeroize::Zeroizing::new(durable::read(path, KEY_MAX)?);
    SigningKey::public_half(&text).map_err(|e| {
        Refusal::new(
            RefusalName::Usage,
            format!("the key file cannot be used: {e}"),
        )
        .value("key file", path.display())
        .next("take it out of the key folder, or put an OpenSSH ed25519 private key in its place")
    })
}

impl KeyFile {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// SHA-256 of the public key's blob, which names its signatures.
    #[must_use]
    pub fn id(&self) -> Sha256 {
        self.public.id()
    }

    /// The key itself, for those who sign other things than statements.
    #[must_use]
    pub fn into_key(self) -> SigningKey {
        self.key
    }

    /// The comment that the key file carries.
    #[must_use]
    pub fn comment(&self) -> String {
        self.key.comment()
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Signs a statement of a kind that has signatures.
    pub fn sign(&self, kind: Kind, statement: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.sign_in(kind.namespace().unwrap_or_default(), statement)
    }

    /// Signs bytes in a namespace.
    pub fn sign_in(&self, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        self.key.sign(namespace, bytes).map_err(|e| {
            Refusal::new(RefusalName::Internal, format!("signing did not work: {e}"))
                .value("key file", self.path.display())
        })
    }
}
