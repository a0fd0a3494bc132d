//! The kinds of keys that conformance suites sign with: Lockstep's own ed25519, and on top of it
//! ECDSA on P-256 and RSA-PSS, which no vendor's chain takes.

use anyhow::{Result, bail};
use lockstep::trust::vendor::strict_cryptography;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use sigstore_crypto::{CryptoProvider, Error, HashContext, SigningScheme};
use sigstore_types::HashAlgorithm;

/// Makes the client use these; from then on, a vendor's chain is refused in this process.
pub(crate) fn install() -> Result<()> {
    match sigstore_crypto::install_default_provider(&Wide) {
        Ok(()) => Ok(()),
        Err(_) => bail!("another cryptography is installed"),
    }
}

#[derive(Debug)]
struct Wide;

impl CryptoProvider for Wide {
    fn hash(&self, algorithm: HashAlgorithm) -> sigstore_crypto::Result<Box<dyn HashContext>> {
        strict_cryptography().hash(algorithm)
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> sigstore_crypto::Result<()> {
        let algorithm: &dyn VerificationAlgorithm = match scheme {
            SigningScheme::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            SigningScheme::RsaPssSha256 => &RSA_PSS_2048_8192_SHA256,
            other => return strict_cryptography().verify_raw(other, key, data, signature),
        };
        UnparsedPublicKey::new(algorithm, key)
            .verify(data, signature)
            .map_err(|e| Error::Verification(e.to_string()))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> sigstore_crypto::Result<()> {
        strict_cryptography().verify_prehashed(scheme, key, digest, signature)
    }
}
