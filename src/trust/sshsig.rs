//! One SSHSIG signature: armour, namespace and message in, the key that made it out.
//!
//! | attack | defence |
//! |---|---|
//! | a good signature made for another purpose | the namespace must be the one asked for, exactly |
//! | a key or a commitment of small order, under which one signature fits many messages | `verify_strict` of ed25519-dalek; the check of `ssh-key` itself is not strict and is not used |
//! | a security key that signs without anybody near it | the "user present" flag is required; it is part of what is signed |
//! | an algorithm or hash of somebody else's choice | ed25519 with SHA-256 or SHA-512 only |
//! | armour without end | [`SIGNATURE_MAX`] |
//!
//! Whose key it is, and whether anybody trusts it, is for [`super::verified`] to say.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest as _;
use ssh_key::public::{KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, SshSig};

use crate::model::PublicKey;
use crate::model::key::KeyError;
use crate::model::text::Escaped;
use crate::spr::SIGNATURE_MAX;

/// The version of the format, the only one that exists (PROTOCOL.sshsig).
const VERSION: u32 = 1;
/// The flag of a security key that says a person touched it (PROTOCOL.u2f).
const USER_PRESENT: u8 = 0x01;

/// Why a signature is no good.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Longer than any signature is.
    #[error("it is longer than {SIGNATURE_MAX} bytes")]
    TooLarge,
    /// Not SSHSIG armour, or not of version 1.
    #[error("it is not an SSH signature: {}", Escaped(.0))]
    Unreadable(String),
    /// Made for another purpose.
    #[error("it was made for the namespace {:?}, not {wanted:?}", found)]
    Namespace {
        /// What was asked for.
        wanted: String,
        /// What the signature says.
        found: String,
    },
    /// Made with an algorithm that is not taken.
    #[error("it is a signature by {0}")]
    Algorithm(String),
    /// Made by a key that is not taken.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Made by a security key that nobody touched.
    #[error("the security key signed without a touch")]
    NotPresent,
    /// Of other bytes, by another key, or not strictly formed.
    #[error("it does not fit the bytes")]
    Mismatch,
}

/// Checks `armoured` as a signature of `message` in `namespace`, and returns the key that made it.
pub fn verify(
    armoured: &[u8],
    namespace: &str,
    message: &[u8],
) -> Result<PublicKey, SignatureError> {
    if u64::try_from(armoured.len()).unwrap_or(u64::MAX) > SIGNATURE_MAX {
        return Err(SignatureError::TooLarge);
    }
    let parsed = SshSig::from_pem(armoured).map_err(|e| unreadable(&e))?;
    check_header(&parsed, namespace)?;
    let key = PublicKey::from_data(parsed.public_key())?;
    let data =
        SshSig::signed_data(namespace, parsed.hash_alg(), message).map_err(|e| unreadable(&e))?;
    let bytes = parsed.signature_bytes();
    match (parsed.public_key(), parsed.algorithm()) {
        (KeyData::Ed25519(plain), Algorithm::Ed25519) => strict(&plain.0, &data, bytes)?,
        (KeyData::SkEd25519(held), Algorithm::SkEd25519) => touched(held, &data, bytes)?,
        (_, other) => return Err(SignatureError::Algorithm(other.to_string())),
    }
    Ok(key)
}

fn unreadable(error: &ssh_key::Error) -> SignatureError {
    SignatureError::Unreadable(error.to_string())
}

fn check_header(parsed: &SshSig, namespace: &str) -> Result<(), SignatureError> {
    if parsed.version() != VERSION {
        return Err(SignatureError::Unreadable(format!(
            "version {}, not {VERSION}",
            parsed.version()
        )));
    }
    if parsed.namespace() != namespace {
        return Err(SignatureError::Namespace {
            wanted: namespace.to_owned(),
            found: parsed.namespace().chars().take(64).collect(),
        });
    }
    if !parsed.reserved().is_empty() {
        return Err(SignatureError::Unreadable(
            "its reserved field is in use".to_owned(),
        ));
    }
    match parsed.hash_alg() {
        HashAlg::Sha256 | HashAlg::Sha512 => Ok(()),
        other => Err(SignatureError::Algorithm(other.to_string())),
    }
}

/// A security key signs SHA-256 of its application, flags and counter, and SHA-256 of the message.
fn touched(key: &SkEd25519, data: &[u8], bytes: &[u8]) -> Result<(), SignatureError> {
    let (signature, trailer) = bytes
        .split_at_checked(Signature::BYTE_SIZE)
        .ok_or(SignatureError::Mismatch)?;
    let [flags, counter @ ..] = trailer else {
        return Err(SignatureError::Mismatch);
    };
    let mut message = sha2::Sha256::digest(key.application().as_bytes()).to_vec();
    message.push(*flags);
    message.extend_from_slice(counter);
    message.extend_from_slice(&sha2::Sha256::digest(data));
    strict(&key.public_key().0, &message, signature)?;
    if flags & USER_PRESENT == 0 {
        return Err(SignatureError::NotPresent);
    }
    Ok(())
}

fn strict(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Signatures) {
        return Ok(());
    }
    let good = VerifyingKey::from_bytes(key).is_ok_and(|key| {
        Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
    });
    good.then_some(()).ok_or(SignatureError::Mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SigningKey;
    use ed25519_dalek::{Signer as _, Verifier as _};
    use ssh_key::LineEnding;
    use ssh_key::public::Ed25519PublicKey;
    use zeroize::Zeroizing;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&Zeroizing::new([seed; 32])).unwrap()
    }

    fn armour(key: KeyData, algorithm: Algorithm, bytes: Vec<u8>) -> Vec<u8> {
        let signature = ssh_key::Signature::new(algorithm, bytes).unwrap();
        SshSig::new(key, "n", HashAlg::Sha512, signature)
            .unwrap()
            .to_pem(LineEnding::LF)
            .unwrap()
            .into_bytes()
    }

    /// What a security key would sign, with these flags.
    fn security_key_signature(flags: u8, message: &[u8]) -> Vec<u8> {
        let pair = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
        let public = Ed25519PublicKey(pair.verifying_key().to_bytes());
        let counter = 7_u32.to_be_bytes();
        let data = SshSig::signed_data("n", HashAlg::Sha512, message).unwrap();
        let mut signed = sha2::Sha256::digest(b"ssh:").to_vec();
        signed.push(flags);
        signed.extend_from_slice(&counter);
        signed.extend_from_slice(&sha2::Sha256::digest(&data));
        let mut bytes = pair.sign(&signed).to_bytes().to_vec();
        bytes.push(flags);
        bytes.extend_from_slice(&counter);
        let held = KeyData::SkEd25519(SkEd25519::new(public, "ssh:"));
        armour(held, Algorithm::SkEd25519, bytes)
    }

    #[test]
    fn a_good_signature_names_its_key() {
        let signature = key(1).sign("n", b"message").unwrap();
        assert_eq!(
            verify(&signature, "n", b"message"),
            Ok(key(1).public().unwrap())
        );
    }

    #[test]
    fn a_swapped_namespace_is_refused() {
        let signature = key(1).sign("lockstep-patch", b"m").unwrap();
        assert!(matches!(
            verify(&signature, "lockstep-approval", b"m"),
            Err(SignatureError::Namespace { .. })
        ));
    }

    #[test]
    fn a_signature_of_another_message_is_refused() {
        let signature = key(1).sign("n", b"message").unwrap();
        assert_eq!(
            verify(&signature, "n", b"massage"),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_key_of_small_order_is_refused() {
        // The neutral element as key and as commitment: it "signs" every message.
        let mut neutral = [0_u8; 32];
        neutral[0] = 1;
        let mut bytes = [0_u8; 64];
        bytes[0] = 1;
        let weak = VerifyingKey::from_bytes(&neutral).unwrap();
        let forged = Signature::from_bytes(&bytes);
        assert!(
            weak.verify(b"anything", &forged).is_ok(),
            "the attack works against a check that is not strict"
        );
        let data = KeyData::Ed25519(Ed25519PublicKey(neutral));
        let signature = armour(data, Algorithm::Ed25519, bytes.to_vec());
        assert_eq!(
            verify(&signature, "n", b"anything"),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_security_key_must_have_been_touched() {
        let touched = security_key_signature(0x01, b"m");
        assert!(verify(&touched, "n", b"m").unwrap().is_security_key());
        assert_eq!(verify(&touched, "n", b"x"), Err(SignatureError::Mismatch));
        assert_eq!(
            verify(&security_key_signature(0x04, b"m"), "n", b"m"),
            Err(SignatureError::NotPresent)
        );
    }

    #[test]
    fn noise_is_refused() {
        let good = key(1).sign("n", b"m").unwrap();
        let half = &good[..good.len() / 2];
        for bad in [b"".as_slice(), b"x", half] {
            assert!(matches!(
                verify(bad, "n", b"m"),
                Err(SignatureError::Unreadable(_))
            ));
        }
        assert_eq!(
            verify(&vec![b'a'; 5_000], "n", b"m"),
            Err(SignatureError::TooLarge)
        );
    }
}
