//! The cryptography under the TUF library: strict ed25519, and hashes; nothing else.

use std::sync::OnceLock;

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest;
use sigstore_crypto::{CryptoProvider, Error, HashContext, Result, SigningScheme};
use sigstore_types::HashAlgorithm;

/// Makes the library use this room's cryptography; false where another was installed before it.
pub(super) fn install() -> bool {
    static OURS: OnceLock<bool> = OnceLock::new();
    *OURS.get_or_init(|| sigstore_crypto::install_default_provider(&Strict).is_ok())
}

/// The cryptography that [`install`] installs, for one that does more to build upon. A vendor's
/// chain is refused under any other than this.
#[must_use]
pub fn strict() -> &'static dyn CryptoProvider {
    &Strict
}

#[derive(Debug)]
struct Strict;

struct Hashing<D>(D);

impl<D: Digest + Send> HashContext for Hashing<D> {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

impl CryptoProvider for Strict {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hashing(sha2::Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hashing(sha2::Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hashing(sha2::Sha512::new()))),
            other => Err(Error::UnsupportedAlgorithm(format!("{other:?}"))),
        }
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        spki_pubkey_bytes: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        if scheme != SigningScheme::Ed25519 {
            return Err(Error::UnsupportedAlgorithm(format!("{scheme:?}")));
        }
        let no_fit = || Error::Verification("the signature does not fit".to_owned());
        let key: &[u8; 32] = spki_pubkey_bytes.try_into().ok().ok_or_else(no_fit)?;
        let key = VerifyingKey::from_bytes(key).ok().ok_or_else(no_fit)?;
        let signature = Signature::from_slice(signature).ok().ok_or_else(no_fit)?;
        key.verify_strict(data, &signature).ok().ok_or_else(no_fit)
    }

    fn verify_prehashed(&self, scheme: SigningScheme, _: &[u8], _: &[u8], _: &[u8]) -> Result<()> {
        Err(Error::UnsupportedAlgorithm(format!(
            "{scheme:?} over a digest"
        )))
    }
}
