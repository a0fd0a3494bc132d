//! One SSHSIG signature: armour, namespace and message in, the key that made it out.
//!
//! | attack | defence |
//! |---|---|
//! | a good signature made for another purpose | the namespace must be the one asked for, exactly |
//! | a key or a commitment of small order, under which one signature fits many messages | `verify_strict` of ed25519-dalek; the check of `ssh-key` itself is not strict and is not used |
//! | a security key that signs without anybody near it | the "user present" flag is required; it is part of what is signed |
//! | a security key's counter of another length, which moves what is signed | one byte of flags and four of counter, exactly |
//! | the same signature passed off for another application of the security key | the application is part of the key, and of what is signed |
//! | an algorithm or hash of somebody else's choice | ed25519 with SHA-256 or SHA-512 only |
//! | armour without end | [`SIGNATURE_MAX`] |
//!
//! Whose key it is, and whether anybody trusts it, is for [`super::verified`] to say. For a private
//! half that somebody else holds, [`to_sign`] says what it must sign and [`assemble`] makes the armour.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Digest as _;
use ssh_key::public::{KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};

use crate::model::PublicKey;
use crate::model::key::KeyError;
use crate::model::text::Escaped;
use crate::spr::SIGNATURE_MAX;

/// The version of the format, the only one that exists (PROTOCOL.sshsig).
const VERSION: u32 = 1;
/// What a message is hashed with before it is signed, as `ssh-keygen -Y sign` does.
const HASH: HashAlg = HashAlg::Sha512;
/// The flag of a security key that says a person touched it (PROTOCOL.u2f).
const USER_PRESENT: u8 = 0x01;
/// Bytes of a security key's counter.
const COUNTER: usize = 4;

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

/// The bytes that a key must sign, so that it signs `message` in `namespace`.
pub fn to_sign(namespace: &str, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
    SshSig::signed_data(namespace, HASH, message).map_err(|e| unreadable(&e))
}

/// The armour around what a key made of [`to_sign`]: a signature as SSH agents answer it. It is
/// checked as any other, so that nothing is handed out that nobody would take.
pub fn assemble(
    key: &PublicKey,
    namespace: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<Vec<u8>, SignatureError> {
    let signature = ssh_key::Signature::try_from(signature).map_err(|e| unreadable(&e))?;
    let armoured = SshSig::new(key.data().clone(), namespace, HASH, signature)
        .and_then(|made| made.to_pem(LineEnding::LF))
        .map_err(|e| unreadable(&e))?
        .into_bytes();
    verify(&armoured, namespace, message)?;
    Ok(armoured)
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
    if counter.len() != COUNTER {
        return Err(SignatureError::Mismatch);
    }
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

    /// A security key in software: what it signs, and what it says of itself.
    struct Held {
        signs_for: &'static str,
        says: &'static str,
        flags: u8,
        says_flags: u8,
    }

    impl Held {
        /// One that signs for `ssh:` with these flags, and says so.
        const fn honest(flags: u8) -> Self {
            Self {
                signs_for: "ssh:",
                says: "ssh:",
                flags,
                says_flags: flags,
            }
        }

        fn key(&self) -> KeyData {
            let pair = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
            let public = Ed25519PublicKey(pair.verifying_key().to_bytes());
            KeyData::SkEd25519(SkEd25519::new(public, self.says))
        }

        /// The signature of 64 bytes, the flags, and the counter.
        fn bytes(&self, message: &[u8]) -> Vec<u8> {
            let pair = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
            let counter = 7_u32.to_be_bytes();
            let data = SshSig::signed_data("n", HASH, message).unwrap();
            let mut signed = sha2::Sha256::digest(self.signs_for.as_bytes()).to_vec();
            signed.push(self.flags);
            signed.extend_from_slice(&counter);
            signed.extend_from_slice(&sha2::Sha256::digest(&data));
            let mut bytes = pair.sign(&signed).to_bytes().to_vec();
            bytes.push(self.says_flags);
            bytes.extend_from_slice(&counter);
            bytes
        }

        fn sign(&self, message: &[u8]) -> Vec<u8> {
            armour(self.key(), Algorithm::SkEd25519, self.bytes(message))
        }
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
    fn a_security_key_must_have_been_touched_for_this_application() {
        use SignatureError::{Mismatch, NotPresent};
        let table = [
            ("touched", Held::honest(0x01), Ok(())),
            ("touched, and verified by PIN", Held::honest(0x05), Ok(())),
            ("not touched", Held::honest(0x00), Err(NotPresent)),
            (
                "verified by PIN, not touched",
                Held::honest(0x04),
                Err(NotPresent),
            ),
            (
                "not touched, and says so only now",
                Held {
                    says_flags: 0x01,
                    ..Held::honest(0x00)
                },
                Err(Mismatch),
            ),
            (
                "signed for another application",
                Held {
                    signs_for: "ssh:web",
                    ..Held::honest(0x01)
                },
                Err(Mismatch),
            ),
        ];
        for (what, held, expected) in table {
            let found = verify(&held.sign(b"m"), "n", b"m");
            assert_eq!(
                found.map(|key| assert!(key.is_security_key())),
                expected,
                "{what}"
            );
            assert!(verify(&held.sign(b"m"), "n", b"x").is_err(), "{what}");
        }
        // The same point under another application is another key.
        let web = Held {
            signs_for: "ssh:web",
            says: "ssh:web",
            ..Held::honest(0x01)
        };
        let key = verify(&web.sign(b"m"), "n", b"m").unwrap();
        assert_ne!(key.data(), &Held::honest(0x01).key());
    }

    #[test]
    fn what_openssh_made_with_a_security_key_is_taken_only_where_it_was_touched() {
        let patch = include_bytes!("../../fixtures/approval/patch.json");
        let touched = include_bytes!("../../fixtures/approval/touched.sig");
        let line = include_str!("../../fixtures/approval/touched.pub");
        let found = verify(touched, "lockstep-approval", patch);
        assert_eq!(found, Ok(line.parse().unwrap()));
        // OpenSSH's own check takes this one.
        let untouched = include_bytes!("../../fixtures/approval/untouched.sig");
        assert_eq!(
            verify(untouched, "lockstep-approval", patch),
            Err(SignatureError::NotPresent)
        );
        assert_eq!(
            verify(untouched, "lockstep-approval", b"{}"),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_security_keys_trailer_is_five_bytes() {
        let held = Held::honest(0x01);
        let KeyData::SkEd25519(key) = held.key() else {
            panic!("a security key");
        };
        let data = SshSig::signed_data("n", HASH, b"m").unwrap();
        let good = held.bytes(b"m");
        assert_eq!(touched(&key, &data, &good), Ok(()));
        for length in [0, 63, 64, 65, good.len() - 1] {
            let cut = touched(&key, &data, &good[..length]);
            assert_eq!(cut, Err(SignatureError::Mismatch), "{length}");
        }
        let mut long = good;
        long.push(0);
        assert_eq!(touched(&key, &data, &long), Err(SignatureError::Mismatch));
        // The armour cannot even carry one: what is cut in the file is no signature.
        let text = String::from_utf8(held.sign(b"m")).unwrap();
        let cut = text.replacen("AAAA", "", 1);
        assert!(matches!(
            verify(cut.as_bytes(), "n", b"m"),
            Err(SignatureError::Unreadable(_))
        ));
    }

    #[test]
    fn what_an_agent_answers_is_put_into_armour_and_checked() {
        let pair = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        let bytes = pair.sign(&to_sign("n", b"m").unwrap()).to_bytes();
        let answer = ssh_key::Signature::new(Algorithm::Ed25519, bytes.to_vec()).unwrap();
        let answer: Vec<u8> = answer.try_into().unwrap();
        let public = key(1).public().unwrap();
        let armoured = assemble(&public, "n", b"m", &answer).unwrap();
        assert_eq!(armoured, key(1).sign("n", b"m").unwrap());
        let other = key(2).public().unwrap();
        for (key, namespace, message) in [
            (&other, "n", b"m"),
            (&public, "x", b"m"),
            (&public, "n", b"x"),
        ] {
            assert_eq!(
                assemble(key, namespace, message, &answer),
                Err(SignatureError::Mismatch)
            );
        }
        assert!(assemble(&public, "n", b"m", b"noise").is_err());
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
