//! The site file, through which trust enters an environment: pinned once, renewed by its owner.
//!
//! | attack | defence |
//! |---|---|
//! | a site file of somebody else at the first installation | the owner's fingerprint, read from a second source |
//! | a newer site file that another owner made | a renewal is signed by the owner in force |
//! | an owner named in a site file who has no such key | every site file is signed by the owner it states, too |
//! | an older site file, to bring a departed operator back | versions only grow |
//! | two site files of one version, shown to different hosts | the same version is the same bytes |
//! | another vendor root behind a signed statement | each root has the digest that the vendor's entry says |

use std::collections::BTreeMap;

use crate::model::site::Site;
use crate::model::snapshot::SiteRef;
use crate::model::{Kind, Name, PublicKey, Sha256};
use crate::spr::{MemberBytes, Opened, RawStatement, encode_small};

use super::TrustError;
use super::verified::{self, Verified};

/// Largest site file, in bytes: some tens of vendors' roots.
pub const SITE_MAX: u64 = 16 * 1024 * 1024;
/// Fewest characters of a fingerprint that tell two keys apart.
const FINGERPRINT_MIN: usize = 12;
/// What OpenSSH puts in front of a fingerprint.
const FINGERPRINT_START: &str = "SHA256:";

/// A site file that is trusted here.
#[derive(Debug, Clone)]
pub struct TrustedSite {
    site: Verified<Site>,
    raw: RawStatement,
    roots: BTreeMap<Name, Vec<u8>>,
}

/// What an offered site file means beside the one in force.
#[derive(Debug)]
pub enum Renewal {
    /// It is the one in force.
    Same,
    /// It takes the place of the one in force.
    Newer(Box<TrustedSite>),
}

impl TrustedSite {
    /// Takes a site file on first sight: it is signed by the owner it states, whose key has this
    /// fingerprint (`SHA256:` and 12 characters or more), where one is given.
    pub fn pin(
        raw: RawStatement,
        members: Vec<MemberBytes>,
        fingerprint: Option<&str>,
    ) -> Result<Self, TrustError> {
        let site = verified::by_stated_key(&raw, |site: &Site| &site.owner.key)?;
        if let Some(wanted) = fingerprint {
            check_fingerprint(&site.get().owner.key, wanted)?;
        }
        Self::assemble(site, raw, members)
    }

    /// Takes again a site file that the node keeps under its own protected state.
    pub fn reload(raw: RawStatement, members: Vec<MemberBytes>) -> Result<Self, TrustError> {
        Self::pin(raw, members, None)
    }

    /// Compares an offered site file with this one. A newer one must be signed by the owner in
    /// force and, where it names another owner, by that one as well.
    pub fn renew(
        &self,
        raw: RawStatement,
        members: Vec<MemberBytes>,
    ) -> Result<Renewal, TrustError> {
        let in_force = self.site.get();
        let by_owner: Verified<Site> = verified::by_key(&raw, &in_force.owner.key)?;
        let offered = by_owner.get();
        if offered.name != in_force.name {
            return Err(TrustError::OtherSite {
                offered: offered.name.clone(),
                in_force: in_force.name.clone(),
            });
        }
        match offered.version.cmp(&in_force.version) {
            std::cmp::Ordering::Less => Err(TrustError::OutdatedSite {
                offered: offered.version,
                in_force: in_force.version,
            }),
            std::cmp::Ordering::Equal if by_owner.bytes() == self.site.bytes() => Ok(Renewal::Same),
            std::cmp::Ordering::Equal => Err(TrustError::TwoSites {
                version: offered.version,
                offered: by_owner.sha256(),
                in_force: self.site.sha256(),
            }),
            std::cmp::Ordering::Greater => Self::pin(raw, members, None)
                .map(Box::new)
                .map(Renewal::Newer),
        }
    }

    fn assemble(
        site: Verified<Site>,
        raw: RawStatement,
        members: Vec<MemberBytes>,
    ) -> Result<Self, TrustError> {
        let mut left: BTreeMap<String, Vec<u8>> = members.into_iter().collect();
        let mut roots = BTreeMap::new();
        for vendor in &site.get().vendors {
            let member = Site::root_member(&vendor.name);
            let root = left
                .remove(&member)
                .filter(|root| Sha256::of(root) == vendor.root)
                .ok_or_else(|| {
                    TrustError::corrupt(format!("{member} is not the root that site.json names"))
                })?;
            roots.insert(vendor.name.clone(), root);
        }
        match left.pop_first() {
            None => Ok(Self { site, raw, roots }),
            Some((name, _)) => Err(TrustError::corrupt(format!("{name} should not stand here"))),
        }
    }

    /// The statement.
    #[must_use]
    pub fn site(&self) -> &Site {
        self.site.get()
    }

    /// The statement with its proof.
    #[must_use]
    pub fn verified(&self) -> &Verified<Site> {
        &self.site
    }

    /// The site file by version and digest, as other statements name it.
    #[must_use]
    pub fn site_ref(&self) -> SiteRef {
        SiteRef {
            sha256: self.sha256(),
            version: self.site.get().version,
        }
    }

    /// SHA-256 of the statement.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.site.sha256()
    }

    /// The root of each vendor, by name.
    #[must_use]
    pub fn roots(&self) -> &BTreeMap<Name, Vec<u8>> {
        &self.roots
    }

    /// The root of one vendor.
    #[must_use]
    pub fn root(&self, vendor: &Name) -> Option<&[u8]> {
        self.roots.get(vendor).map(Vec::as_slice)
    }

    /// The site file as it was read, to be stored or sent on.
    pub fn to_spr(&self) -> Result<Vec<u8>, TrustError> {
        let members: Vec<MemberBytes> = self
            .roots
            .iter()
            .map(|(vendor, root)| (Site::root_member(vendor), root.clone()))
            .collect();
        let raw = &self.raw;
        Ok(encode_small(
            Kind::Site,
            &raw.bytes,
            &raw.signatures,
            &members,
        )?)
    }
}

impl std::ops::Deref for TrustedSite {
    type Target = Site;

    fn deref(&self) -> &Site {
        self.site.get()
    }
}

/// Reads a whole site file from memory; nothing of it is verified.
pub fn open(file: &[u8]) -> Result<(RawStatement, Vec<MemberBytes>), TrustError> {
    let opened = Opened::open(file)?;
    let site: Site = opened.decode()?;
    Ok(opened.into_memory(&site.members, SITE_MAX)?)
}

fn check_fingerprint(owner: &PublicKey, wanted: &str) -> Result<(), TrustError> {
    let wanted = wanted.trim();
    let start = wanted
        .strip_prefix(FINGERPRINT_START)
        .filter(|start| start.len() >= FINGERPRINT_MIN)
        .ok_or_else(|| TrustError::ShortFingerprint(wanted.chars().take(80).collect()))?;
    let found = owner.fingerprint();
    let fits = found
        .strip_prefix(FINGERPRINT_START)
        .is_some_and(|found| found.starts_with(start));
    if fits {
        Ok(())
    } else {
        Err(TrustError::Fingerprint {
            owner: found,
            wanted: wanted.to_owned(),
        })
    }
}

#[cfg(test)]
pub(in crate::trust) mod tests {
    use super::*;
    use crate::model::enrolment::Enrolment;
    use crate::model::site::{Policy, Signer, Vendor};
    use crate::model::snapshot::{EnvironmentId, NodeId};
    use crate::model::statement::FORMAT;
    use crate::model::{Member, RefusalName, Statement, Time};
    use crate::spr::{RawSignature, canonical};
    use crate::trust::SigningKey;
    use zeroize::Zeroizing;

    pub(in crate::trust) fn test_key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&Zeroizing::new([seed; 32])).unwrap()
    }

    pub(in crate::trust) fn signer(principal: &str, seed: u8) -> Signer {
        Signer {
            principal: principal.parse().unwrap(),
            key: test_key(seed).public().unwrap(),
        }
    }

    pub(in crate::trust) fn raw_signed<S: Statement>(
        statement: &S,
        keys: &[&SigningKey],
    ) -> RawStatement {
        let bytes = canonical::encode(statement).unwrap();
        let mut signatures: Vec<RawSignature> = keys
            .iter()
            .map(|key| RawSignature {
                key: key.public().unwrap().id(),
                armoured: key.sign(S::KIND.namespace().unwrap(), &bytes).unwrap(),
            })
            .collect();
        signatures.sort_by_key(|signature| signature.key);
        RawStatement {
            kind: S::KIND,
            bytes,
            signatures,
        }
    }

    pub(in crate::trust) fn environment() -> EnvironmentId {
        EnvironmentId {
            id: uuid::Uuid::from_bytes([9; 16]),
            name: "PROD-EU".parse().unwrap(),
        }
    }

    pub(in crate::trust) fn enrolment() -> Enrolment {
        Enrolment {
            created: Time::EPOCH,
            environment: environment(),
            floors: Vec::new(),
            format: FORMAT,
            kind: Kind::Enrolment,
            members: Vec::new(),
            node: NodeId {
                key: test_key(30).public().unwrap(),
                name: "node-1".parse().unwrap(),
            },
            receipt: Some(Sha256::of(b"")),
            sequence: 1,
            site: SiteRef {
                sha256: Sha256::of(b""),
                version: 1,
            },
        }
    }

    pub(in crate::trust) const OWNER: u8 = 1;

    /// A site of this version, with vendor `stibo`, whose owner has key [`OWNER`] and whose
    /// preparer `anna` has key 2.
    pub(in crate::trust) fn site(version: u64, root: &[u8]) -> Site {
        let vendor: Name = "stibo".parse().unwrap();
        Site {
            approvers: Vec::new(),
            created: Time::EPOCH,
            format: FORMAT,
            kind: Kind::Site,
            members: vec![Member::of(Site::root_member(&vendor), root)],
            name: "acme".parse().unwrap(),
            owner: signer("owner", OWNER),
            policy: Policy::default(),
            preparers: vec![signer("anna", 2)],
            vendors: vec![Vendor {
                name: vendor,
                prefixes: Vec::new(),
                root: Sha256::of(root),
                since: None,
            }],
            version,
        }
    }

    pub(in crate::trust) fn site_members(root: &[u8]) -> Vec<MemberBytes> {
        vec![("vendor/stibo/root.json".to_owned(), root.to_vec())]
    }

    pub(in crate::trust) fn pinned(site: &Site, root: &[u8]) -> TrustedSite {
        let raw = raw_signed(site, &[&test_key(OWNER)]);
        TrustedSite::pin(raw, site_members(root), None).unwrap()
    }

    fn refused<T>(result: Result<T, TrustError>) -> RefusalName {
        result.err().map(|e| e.refusal()).unwrap()
    }

    fn renew(
        version: u64,
        change: impl FnOnce(&mut Site),
        keys: &[u8],
    ) -> Result<Renewal, TrustError> {
        let current = pinned(&site(3, b"root"), b"root");
        let mut offered = site(version, b"root");
        change(&mut offered);
        let keys: Vec<SigningKey> = keys.iter().map(|seed| test_key(*seed)).collect();
        let keys: Vec<&SigningKey> = keys.iter().collect();
        current.renew(raw_signed(&offered, &keys), site_members(b"root"))
    }

    #[test]
    fn a_pinned_site_is_stored_and_reloaded() {
        let trusted = pinned(&site(1, b"root"), b"root");
        let file = trusted.to_spr().unwrap();
        let (raw, members) = open(&file).unwrap();
        let again = TrustedSite::reload(raw, members).unwrap();
        assert_eq!(again.sha256(), trusted.sha256());
        assert_eq!(
            again.root(&"stibo".parse().unwrap()),
            Some(b"root".as_slice())
        );
    }

    #[test]
    fn the_owners_fingerprint_is_asked_for() {
        let pin = |fingerprint: &str| {
            let raw = raw_signed(&site(1, b"r"), &[&test_key(OWNER)]);
            TrustedSite::pin(raw, site_members(b"r"), Some(fingerprint))
        };
        let full = test_key(OWNER).public().unwrap().fingerprint();
        assert!(pin(&full).is_ok());
        assert!(pin(&full[..19]).is_ok());
        assert_eq!(refused(pin(&full[..18])), RefusalName::Usage);
        let other = test_key(2).public().unwrap().fingerprint();
        assert_eq!(refused(pin(&other)), RefusalName::UntrustedSigner);
    }

    #[test]
    fn a_site_signed_by_another_than_its_owner_is_refused() {
        let raw = raw_signed(&site(1, b"r"), &[&test_key(7)]);
        let result = TrustedSite::pin(raw, site_members(b"r"), None);
        assert_eq!(refused(result), RefusalName::UntrustedSigner);
    }

    #[test]
    fn a_swapped_root_is_refused() {
        let raw = raw_signed(&site(1, b"root"), &[&test_key(OWNER)]);
        let result = TrustedSite::pin(raw, site_members(b"other"), None);
        assert_eq!(refused(result), RefusalName::Corrupt);
    }

    #[test]
    fn a_newer_site_takes_over_and_the_same_one_stays() {
        assert!(matches!(renew(3, |_| (), &[OWNER]), Ok(Renewal::Same)));
        assert!(matches!(renew(4, |_| (), &[OWNER]), Ok(Renewal::Newer(_))));
    }

    #[test]
    fn an_older_site_is_refused() {
        let error = renew(2, |_| (), &[OWNER]).unwrap_err();
        assert!(matches!(
            error,
            TrustError::OutdatedSite {
                offered: 2,
                in_force: 3
            }
        ));
    }

    #[test]
    fn a_site_of_another_owner_is_refused() {
        let result = renew(4, |site| site.owner = signer("mallory", 9), &[9]);
        assert_eq!(refused(result), RefusalName::UntrustedSigner);
    }

    #[test]
    fn two_site_files_of_one_version_are_refused() {
        let result = renew(3, |site| site.preparers.clear(), &[OWNER]);
        assert_eq!(refused(result), RefusalName::BadSignature);
    }

    #[test]
    fn a_site_of_another_name_is_refused() {
        let result = renew(4, |site| site.name = "other".parse().unwrap(), &[OWNER]);
        assert!(matches!(result, Err(TrustError::OtherSite { .. })));
    }

    #[test]
    fn ownership_is_handed_on_by_both() {
        let hand_on = |site: &mut Site| site.owner = signer("next", 9);
        assert_eq!(
            refused(renew(4, hand_on, &[OWNER])),
            RefusalName::UntrustedSigner
        );
        assert!(matches!(
            renew(4, hand_on, &[OWNER, 9]),
            Ok(Renewal::Newer(_))
        ));
    }
}
