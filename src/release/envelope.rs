//! A TUF metadata file: the signed part in one envelope with its signatures.
//!
//! Signatures are ed25519 over the OLPC canonical form of `signed`; files are indented, because
//! people read them. What is checked is the typed value itself: a field that was lost in reading
//! breaks the signature, so nothing is signed again that this program did not understand. Whether
//! foreign metadata is to be trusted is for `trust` to say; here a publisher looks at its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ReleaseError;
use super::tuf::{Key, RoleKeys};
use crate::model::digest::hex;
use crate::model::{Sha256, Time};
use crate::trust::SigningKey;

/// The edition of the TUF specification that the metadata follows.
pub const SPEC_VERSION: &str = "1.0.31";

/// A metadata file: the signed part and its signatures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The signatures, one for each key.
    pub signatures: Vec<Signature>,
    /// What they are over.
    pub signed: Signed<T>,
}

/// One signature, as TUF writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The id of the key.
    pub keyid: Sha256,
    /// The signature in hexadecimal.
    pub sig: String,
}

impl Signature {
    /// The signature with these bytes.
    #[must_use]
    pub fn new(keyid: Sha256, sig: &[u8; 64]) -> Self {
        Self {
            keyid,
            sig: hex(sig),
        }
    }
}

/// What every role has in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signed<T> {
    /// The kind of role: `root`, `targets`, `snapshot`, `timestamp`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// When it ends to be valid.
    pub expires: Time,
    /// When it was signed; in timestamp, targets and delegated targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Time>,
    /// See [`SPEC_VERSION`].
    pub spec_version: String,
    /// Grows with each file of the role.
    pub version: u64,
    /// The role's own fields.
    #[serde(flatten)]
    pub body: T,
}

impl<T: Serialize + DeserializeOwned> Envelope<T> {
    /// Metadata without a signature.
    pub fn unsigned(
        kind: &str,
        version: u64,
        expires: Time,
        issued: Option<Time>,
        body: T,
    ) -> Self {
        Self {
            signatures: Vec::new(),
            signed: Signed {
                kind: kind.to_owned(),
                expires,
                issued,
                spec_version: SPEC_VERSION.to_owned(),
                version,
                body,
            },
        }
    }

    /// Reads the metadata file called `file`, of the role type `kind`.
    pub fn parse(file: &str, kind: &str, bytes: &[u8]) -> Result<Self, ReleaseError> {
        let parsed: Self =
            serde_json::from_slice(bytes).map_err(|e| ReleaseError::corrupt(file, e))?;
        if parsed.signed.kind == kind {
            Ok(parsed)
        } else {
            Err(ReleaseError::corrupt(
                file,
                format!("it says that it is {:?}, not {kind}", parsed.signed.kind),
            ))
        }
    }

    /// The file's bytes: indented, one line feed at the end.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReleaseError> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| ReleaseError::corrupt(self.signed.kind.as_str(), e))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The bytes that signatures are over.
    pub fn canonical(&self) -> Result<Vec<u8>, ReleaseError> {
        canonical(&self.signed)
    }

    /// Adds the signature of `key`.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), ReleaseError> {
        let keyid = Key::of_private(&self.signed.kind, key)?.id()?;
        let sig = key
            .sign_raw(&self.canonical()?)
            .map_err(|source| ReleaseError::Key {
                role: self.signed.kind.clone(),
                source,
            })?;
        self.add(Signature::new(keyid, &sig));
        Ok(())
    }

    /// Puts a signature in the place of an older one by the same key.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|old| old.keyid != signature.keyid);
        self.signatures.push(signature);
        self.signatures.sort_by_key(|signature| signature.keyid);
    }

    /// The ids of `signers` with a good signature, one for each distinct public key.
    pub fn signed_by(
        &self,
        signers: &RoleKeys,
        keys: &BTreeMap<Sha256, Key>,
    ) -> Result<Vec<Sha256>, ReleaseError> {
        let message = self.canonical()?;
        let mut seen = BTreeSet::new();
        let good = self.signatures.iter().filter(|signature| {
            signers.keyids.contains(&signature.keyid)
                && keys.get(&signature.keyid).is_some_and(|key| {
                    key.verifies(&message, &signature.sig) && seen.insert(key.keyval.public)
                })
        });
        Ok(good.map(|signature| signature.keyid).collect())
    }
}

/// The OLPC canonical form of a value.
pub(super) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, ReleaseError> {
    let value =
        serde_json::to_value(value).map_err(|e| ReleaseError::corrupt("TUF metadata", e))?;
    sigstore_tuf::canonical_json::to_canonical_bytes(&value)
        .map_err(|e| ReleaseError::corrupt("TUF metadata", e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tuf::Meta;
    use serde_json::Value;
    use zeroize::Zeroizing;

    #[test]
    fn one_key_under_two_ids_counts_once() {
        let key = SigningKey::from_seed(&Zeroizing::new([7; 32])).unwrap();
        let public = Key::of_private("root", &key).unwrap();
        let (one, two) = (public.id().unwrap(), Sha256::of(b"another name"));
        let mut root = Envelope::unsigned("snapshot", 1, Time::from_unix(9), None, Meta::default());
        root.sign(&key).unwrap();
        let sig = root.signatures[0].sig.clone();
        root.add(Signature { keyid: two, sig });
        let keys = BTreeMap::from([(one, public.clone()), (two, public)]);
        let signers = RoleKeys::new(vec![one, two], 2);
        assert_eq!(root.signed_by(&signers, &keys).unwrap().len(), 1);
    }

    #[test]
    fn unknown_fields_survive_and_a_changed_one_breaks_the_signature() {
        let key = SigningKey::from_seed(&Zeroizing::new([8; 32])).unwrap();
        let public = Key::of_private("snapshot", &key).unwrap();
        let id = public.id().unwrap();
        let mut body = Meta::default();
        body.extra.insert("x-other".to_owned(), Value::from(1));
        let mut meta = Envelope::unsigned("snapshot", 1, Time::from_unix(9), None, body);
        meta.sign(&key).unwrap();
        let bytes = meta.to_bytes().unwrap();
        let mut again: Envelope<Meta> = Envelope::parse("x", "snapshot", &bytes).unwrap();
        let keys = BTreeMap::from([(id, public)]);
        let signers = RoleKeys::new(vec![id], 1);
        assert_eq!(again.signed_by(&signers, &keys).unwrap(), [id]);
        again.signed.version = 2;
        assert!(again.signed_by(&signers, &keys).unwrap().is_empty());
        assert!(Envelope::<Meta>::parse("x", "timestamp", &bytes).is_err());
    }
}
