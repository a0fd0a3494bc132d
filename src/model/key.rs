//! Public keys as they stand in statements: OpenSSH text, algorithm and blob, no comment.
//!
//! Two algorithms exist here: `ssh-ed25519` for everybody, and `sk-ssh-ed25519@openssh.com` for
//! approvers. A key is named by the SHA-256 of its blob ([`PublicKey::id`]); that hexadecimal form
//! names signature members, because an OpenSSH `SHA256:` fingerprint may contain a slash.

use std::fmt;
use std::str::FromStr;

use ssh_key::public::KeyData;

use super::Sha256;
use super::wire::string_serde;

/// A text that is not a key we take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not an OpenSSH public key line.
    #[error("{0:?} is not an OpenSSH public key")]
    Unreadable(String),
    /// A key of another algorithm.
    #[error("the key is {0}; only ssh-ed25519 and sk-ssh-ed25519@openssh.com are taken")]
    Algorithm(String),
}

/// An ed25519 public key, plain or held by a security key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey(KeyData);

impl PublicKey {
    /// Takes over a key that `ssh-key` has parsed.
    pub fn from_data(data: &KeyData) -> Result<Self, KeyError> {
        match data {
            KeyData::Ed25519(_) | KeyData::SkEd25519(_) => Ok(Self(data.clone())),
            other => Err(KeyError::Algorithm(other.algorithm().to_string())),
        }
    }

    /// The key as `ssh-key` holds it.
    #[must_use]
    pub fn data(&self) -> &KeyData {
        &self.0
    }

    /// The key blob: what stands in base64 on the key's line.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        let key = ssh_key::PublicKey::from(self.0.clone());
        key.to_bytes().unwrap_or_default()
    }

    /// SHA-256 of the key blob: the key's name in member and file names.
    #[must_use]
    pub fn id(&self) -> Sha256 {
        Sha256::of(&self.blob())
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and unpadded base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(ssh_key::HashAlg::Sha256).to_string()
    }

    /// The 32 bytes that decide what the key can sign: a security key's application, or its being one,
    /// makes no second key of them.
    #[must_use]
    pub fn point(&self) -> Option<[u8; 32]> {
        match &self.0 {
            KeyData::Ed25519(plain) => Some(plain.0),
            KeyData::SkEd25519(held) => Some(held.public_key().0),
            _ => None,
        }
    }

    /// Whether the key lives in a security key and each signature says if a person touched it.
    #[must_use]
    pub fn is_security_key(&self) -> bool {
        matches!(self.0, KeyData::SkEd25519(_))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = ssh_key::PublicKey::from(self.0.clone())
            .to_openssh()
            .ok()
            .ok_or(fmt::Error)?;
        f.write_str(line.trim_end())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// Reads `ALGORITHM BASE64`, with or without a comment behind it; the comment is dropped.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = ssh_key::PublicKey::from_openssh(text.trim())
            .ok()
            .ok_or_else(|| KeyError::Unreadable(text.chars().take(80).collect()))?;
        Self::from_data(key.key_data())
    }
}

string_serde!(PublicKey);

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn the_comment_is_dropped_and_the_line_round_trips() {
        let key: PublicKey = format!("{LINE} anna@acme.example\n").parse().unwrap();
        assert_eq!(key.to_string(), LINE);
        assert!(key.fingerprint().starts_with("SHA256:"));
        assert_eq!(key.id().to_string().len(), 64);
    }

    #[test]
    fn other_text_is_refused() {
        for bad in ["", "ssh-rsa AAAA", "ssh-ed25519", "* ssh-ed25519 AAAA"] {
            assert!(bad.parse::<PublicKey>().is_err(), "{bad}");
        }
    }
}
