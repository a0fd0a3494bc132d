//! A statement whose signature was checked: [`Verified`], and the three ways to make one.
//!
//! | attack | defence |
//! |---|---|
//! | bytes that verify and other bytes that are read | the verified bytes are decoded, nothing is encoded again |
//! | a signature under a name that is not its key's | the member must be named by the id of the key that made it |
//! | a bad signature hidden beside a good one | every signature in the file must verify |
//! | a good signature by somebody else | the key, never its id or a file name, is compared with the trusted ones |

use crate::model::site::Signer;
use crate::model::{PublicKey, Sha256, Statement};
use crate::spr::RawStatement;

use super::{TrustError, sshsig};

/// A statement that a trusted key signed. Made here alone.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    statement: T,
    bytes: Vec<u8>,
    sha256: Sha256,
    signer: PublicKey,
}

impl<T> Verified<T> {
    /// The statement.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.statement
    }

    /// SHA-256 of the statement's bytes: its identity.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The trusted key that signed it.
    #[must_use]
    pub fn signer(&self) -> &PublicKey {
        &self.signer
    }

    /// The statement and its identity alone, for whoever proves in a type of its own that it was
    /// verified: the bytes may be many.
    #[must_use]
    pub(super) fn into_statement(self) -> (T, Sha256) {
        (self.statement, self.sha256)
    }

    /// The very bytes that were signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Verifies a statement that one of `trusted` must have signed, and says who did.
pub fn by_signers<S: Statement>(
    raw: &RawStatement,
    trusted: &[Signer],
) -> Result<(Verified<S>, Signer), TrustError> {
    let keys = signing_keys::<S>(raw)?;
    #[cfg(feature = "faulty")]
    if let Some(signer) = trusted.first()
        && crate::model::faulty::has(crate::model::faulty::Fault::Signers)
    {
        let verified = seal(raw, raw.decode()?, signer.key.clone());
        return Ok((verified, signer.clone()));
    }
    let signer = trusted
        .iter()
        .find(|signer| keys.contains(&signer.key))
        .ok_or_else(|| TrustError::untrusted(raw.kind.word(), &keys, trusted))?;
    let verified = seal(raw, raw.decode()?, signer.key.clone());
    Ok((verified, signer.clone()))
}

/// Verifies a statement that exactly `key` must have signed.
pub fn by_key<S: Statement>(
    raw: &RawStatement,
    key: &PublicKey,
) -> Result<Verified<S>, TrustError> {
    let keys = signing_keys::<S>(raw)?;
    if keys.contains(key) {
        Ok(seal(raw, raw.decode()?, key.clone()))
    } else {
        Err(TrustError::other_key(raw.kind.word(), &keys, key))
    }
}

/// Verifies a statement that says itself whose it is: that key must have signed it. Whether the
/// key is the right one is for the caller to say.
pub fn by_stated_key<S: Statement>(
    raw: &RawStatement,
    stated: fn(&S) -> &PublicKey,
) -> Result<Verified<S>, TrustError> {
    let keys = signing_keys::<S>(raw)?;
    let statement: S = raw.decode()?;
    let key = stated(&statement).clone();
    if keys.contains(&key) {
        Ok(seal(raw, statement, key))
    } else {
        Err(TrustError::other_key(raw.kind.word(), &keys, &key))
    }
}

/// Checks that a statement is what its signers signed, whoever they are: it is not damaged. Whether
/// anybody trusts them is another question.
pub fn check_intact<S: Statement>(raw: &RawStatement) -> Result<(), TrustError> {
    signing_keys::<S>(raw).map(drop)
}

fn seal<S>(raw: &RawStatement, statement: S, signer: PublicKey) -> Verified<S> {
    Verified {
        statement,
        bytes: raw.bytes.clone(),
        sha256: raw.sha256(),
        signer,
    }
}

/// The keys of all signatures in the file, each of which must verify; whether anybody trusts them is
/// another question.
pub fn signing_keys<S: Statement>(raw: &RawStatement) -> Result<Vec<PublicKey>, TrustError> {
    let what = raw.kind.word();
    let unsigned = || TrustError::Unsigned { what };
    let namespace = S::KIND.namespace().ok_or_else(unsigned)?;
    let mut keys = Vec::new();
    for signature in &raw.signatures {
        let key = sshsig::verify(&signature.armoured, namespace, &raw.bytes).map_err(|why| {
            TrustError::Signature {
                what,
                name: signature.key.to_string(),
                why,
            }
        })?;
        if key.id() != signature.key {
            return Err(TrustError::Misnamed {
                what,
                named: signature.key,
                made_by: key.id(),
            });
        }
        keys.push(key);
    }
    if keys.is_empty() {
        Err(unsigned())
    } else {
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::{enrolment, raw_signed, signer, test_key};
    use super::*;
    use crate::model::enrolment::Enrolment;
    use crate::model::{Kind, RefusalName};

    fn refused<T>(result: Result<T, TrustError>) -> RefusalName {
        result.err().map(|e| e.refusal()).unwrap()
    }

    #[test]
    fn one_trusted_signer_is_enough_and_is_named() {
        let raw = raw_signed(&enrolment(), &[&test_key(1), &test_key(2)]);
        let trusted = [signer("ben", 3), signer("anna", 2)];
        let (verified, who) = by_signers::<Enrolment>(&raw, &trusted).unwrap();
        assert_eq!(who, trusted[1]);
        assert_eq!(verified.sha256(), raw.sha256());
        assert_eq!(verified.bytes(), raw.bytes);
        assert_eq!(verified.signer(), &test_key(2).public().unwrap());
    }

    #[test]
    fn without_a_signature_nothing_is_verified() {
        let raw = raw_signed(&enrolment(), &[]);
        let result = by_signers::<Enrolment>(&raw, &[signer("anna", 1)]);
        assert_eq!(refused(result), RefusalName::BadSignature);
    }

    #[test]
    fn an_untrusted_signer_is_refused_with_both_sides() {
        let raw = raw_signed(&enrolment(), &[&test_key(1)]);
        let error = by_signers::<Enrolment>(&raw, &[signer("anna", 2)]).unwrap_err();
        assert_eq!(error.refusal(), RefusalName::UntrustedSigner);
        let text = crate::model::Refusal::from(error).to_string();
        for key in [test_key(1), test_key(2)] {
            assert!(
                text.contains(&key.public().unwrap().fingerprint()),
                "{text}"
            );
        }
        assert!(text.contains("anna"), "{text}");
        let by_another = by_key::<Enrolment>(&raw, &test_key(2).public().unwrap());
        assert_eq!(refused(by_another), RefusalName::UntrustedSigner);
    }

    #[test]
    fn a_bad_signature_beside_a_good_one_is_refused() {
        let mut raw = raw_signed(&enrolment(), &[&test_key(1), &test_key(2)]);
        raw.signatures[1].armoured = test_key(2).sign("lockstep-patch", &raw.bytes).unwrap();
        let id = test_key(1).public().unwrap().id();
        raw.signatures[0].armoured = if raw.signatures[0].key == id {
            test_key(1)
        } else {
            test_key(2)
        }
        .sign("lockstep-enrolment", &raw.bytes)
        .unwrap();
        let result = by_signers::<Enrolment>(&raw, &[signer("anna", 1), signer("ben", 2)]);
        assert_eq!(refused(result), RefusalName::BadSignature);
    }

    #[test]
    fn a_signature_under_another_keys_name_is_refused() {
        let mut raw = raw_signed(&enrolment(), &[&test_key(1)]);
        raw.signatures[0].key = test_key(2).public().unwrap().id();
        let result = by_signers::<Enrolment>(&raw, &[signer("anna", 1)]);
        assert_eq!(refused(result), RefusalName::BadSignature);
    }

    #[test]
    fn another_kind_is_refused() {
        let mut raw = raw_signed(&enrolment(), &[&test_key(1)]);
        raw.kind = Kind::Snapshot;
        assert!(by_signers::<Enrolment>(&raw, &[signer("anna", 1)]).is_err());
    }
}
