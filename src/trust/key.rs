//! Private keys: ed25519 in OpenSSH files, and what they sign.

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey, SshSig};
use zeroize::Zeroizing;

use crate::model::PublicKey;

/// A private key file that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyFileError {
    /// Not an OpenSSH private key.
    #[error("it is not an OpenSSH private key (make one with ssh-keygen -t ed25519)")]
    Unreadable,
    /// A key of another algorithm.
    #[error("it is a {0} key; ed25519 is wanted (ssh-keygen -t ed25519)")]
    Algorithm(String),
    /// Encrypted, and no passphrase was given.
    #[error("it is protected by a passphrase, and none was given")]
    NeedsPassphrase,
    /// Encrypted with another passphrase.
    #[error("the passphrase does not open it")]
    WrongPassphrase,
    /// Encrypted in a way that is not read here.
    #[error("it is encrypted with {0}; aes256-ctr is wanted (ssh-keygen -p -f FILE)")]
    Cipher(String),
    /// The system has no random bytes, or the key could not be written as text.
    #[error("the key could not be made or used: {0}")]
    Internal(String),
}

/// An ed25519 private key. Its bytes are wiped when it is dropped.
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// Makes a key from 32 random bytes.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Result<Self, KeyFileError> {
        let pair = Ed25519Keypair::from_seed(seed);
        PrivateKey::new(KeypairData::Ed25519(pair), "")
            .map(Self)
            .map_err(|e| KeyFileError::Internal(e.to_string()))
    }

    /// Reads an OpenSSH private key file; `passphrase` opens an encrypted one. Neither is kept: what
    /// `ssh-key` decrypts, it decrypts in memory that it wipes.
    pub fn from_openssh(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, KeyFileError> {
        let key = PrivateKey::from_openssh(text)
            .ok()
            .ok_or(KeyFileError::Unreadable)?;
        let key = match (key.is_encrypted(), passphrase) {
            (false, _) => key,
            (true, None) => return Err(KeyFileError::NeedsPassphrase),
            (true, Some(_)) if key.cipher() != ssh_key::Cipher::Aes256Ctr => {
                return Err(KeyFileError::Cipher(key.cipher().to_string()));
            }
            (true, Some(passphrase)) => key
                .decrypt(passphrase)
                .ok()
                .ok_or(KeyFileError::WrongPassphrase)?,
        };
        match key.key_data() {
            KeypairData::Ed25519(_) => Ok(Self(key)),
            other => Err(KeyFileError::Algorithm(
                other
                    .algorithm()
                    .map_or_else(|_| "unknown".to_owned(), |a| a.to_string()),
            )),
        }
    }

    /// The public half of a private key file, which is readable without its passphrase.
    pub fn public_half(text: &[u8]) -> Result<PublicKey, KeyFileError> {
        let key = PrivateKey::from_openssh(text)
            .ok()
            .ok_or(KeyFileError::Unreadable)?;
        PublicKey::from_data(key.public_key().key_data())
            .map_err(|e| KeyFileError::Algorithm(e.to_string()))
    }

    /// The key as an OpenSSH private key file without a passphrase: a node's own, or a test's.
    pub fn to_openssh(&self) -> Result<Zeroizing<String>, KeyFileError> {
        self.0
            .to_openssh(LineEnding::LF)
            .map_err(|e| KeyFileError::Internal(e.to_string()))
    }

    /// The public half.
    pub fn public(&self) -> Result<PublicKey, KeyFileError> {
        PublicKey::from_data(self.0.public_key().key_data())
            .map_err(|e| KeyFileError::Algorithm(e.to_string()))
    }

    /// The comment that the key file carries, often `user@host`.
    #[must_use]
    pub fn comment(&self) -> String {
        self.0.comment().to_string()
    }

    /// Signs a statement's bytes: an armoured SSHSIG with SHA-512, as `ssh-keygen -Y sign` makes.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<Vec<u8>, KeyFileError> {
        SshSig::sign(&self.0, namespace, ssh_key::HashAlg::Sha512, message)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map(String::into_bytes)
            .map_err(|e| KeyFileError::Internal(e.to_string()))
    }

    /// Signs bytes plainly with ed25519, as TUF does.
    pub fn sign_raw(&self, message: &[u8]) -> Result<[u8; 64], KeyFileError> {
        use ed25519_dalek::Signer as _;
        let KeypairData::Ed25519(pair) = self.0.key_data() else {
            return Err(KeyFileError::Unreadable);
        };
        let seed = Zeroizing::new(pair.private.to_bytes());
        Ok(ed25519_dalek::SigningKey::from_bytes(&seed)
            .sign(message)
            .to_bytes())
    }

    /// The 32 bytes of the public key.
    pub fn public_raw(&self) -> Result<[u8; 32], KeyFileError> {
        match self.0.key_data() {
            KeypairData::Ed25519(pair) => Ok(pair.public.0),
            _ => Err(KeyFileError::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_reads_back() {
        let key = SigningKey::from_seed(&Zeroizing::new([7; 32])).unwrap();
        let text = key.to_openssh().unwrap();
        let again = SigningKey::from_openssh(text.as_bytes(), None).unwrap();
        assert_eq!(key.public().unwrap(), again.public().unwrap());
        assert_eq!(
            SigningKey::from_openssh(b"x", None).err(),
            Some(KeyFileError::Unreadable)
        );
    }
}
