//! Approvals: detached signatures over the bytes of `patch.json`, counted as people.
//!
//! | attack | defence |
//! |---|---|
//! | one person with two keys, or one key under two names | distinct principals and distinct keys are counted |
//! | the preparer approves | no key or principal that the site file ties to the preparer counts |
//! | an approval of another patch, or a patch signature passed off as an approval | the signature is over these bytes, in its own namespace |
//! | noise beside good approvals | each one given must be good and by an approver |

use std::collections::BTreeSet;

use crate::model::site::{Signer, Site};
use crate::model::statement::APPROVAL_NAMESPACE;
use crate::model::{Principal, PublicKey};

use super::{TrustError, sshsig};

/// Who approved, rising by name; an error when fewer than the site's policy asks for.
pub fn count(
    patch_bytes: &[u8],
    approvals: &[Vec<u8>],
    site: &Site,
    preparer: &Signer,
) -> Result<Vec<Principal>, TrustError> {
    let own = principals_of(site, &preparer.key)
        .chain([&preparer.principal])
        .collect::<BTreeSet<_>>();
    let mut people = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for (index, armoured) in approvals.iter().enumerate() {
        let key = approver_key(patch_bytes, index, armoured, site)?;
        let names: Vec<&Principal> = principals_of(site, &key).collect();
        let is_preparer = key == preparer.key || names.iter().any(|name| own.contains(name));
        // A key that the site lists under two names is still one person.
        let approver = site.approvers.iter().find(|signer| signer.key == key);
        if let Some(approver) = approver
            && !is_preparer
            && keys.insert(key)
        {
            people.insert(approver.principal.clone());
        }
    }
    let have = u64::try_from(people.len()).unwrap_or(u64::MAX);
    if have < site.policy.approvals {
        return Err(TrustError::NotApproved {
            needed: site.policy.approvals,
            have: people.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(people.into_iter().collect())
}

fn approver_key(
    patch_bytes: &[u8],
    index: usize,
    armoured: &[u8],
    site: &Site,
) -> Result<PublicKey, TrustError> {
    const WHAT: &str = "approval";
    let key = sshsig::verify(armoured, APPROVAL_NAMESPACE, patch_bytes).map_err(|why| {
        TrustError::Signature {
            what: WHAT,
            name: format!("number {}", index.saturating_add(1)),
            why,
        }
    })?;
    if site.approvers.iter().any(|signer| signer.key == key) {
        Ok(key)
    } else {
        Err(TrustError::untrusted(WHAT, &[key], &site.approvers))
    }
}

/// Every name under which the site file lists a key.
fn principals_of<'a>(site: &'a Site, key: &PublicKey) -> impl Iterator<Item = &'a Principal> {
    let everybody = site.approvers.iter().chain(&site.preparers);
    everybody
        .filter(move |signer| &signer.key == key)
        .map(|signer| &signer.principal)
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::{signer, site, test_key};
    use super::*;
    use crate::model::RefusalName;

    const PATCH: &[u8] = b"{patch}";

    fn counted(
        approvers: &[(&str, u8)],
        needed: u64,
        signed_by: &[u8],
    ) -> Result<Vec<String>, RefusalName> {
        let mut site = site(1, b"r");
        site.approvers = approvers
            .iter()
            .map(|(who, key)| signer(who, *key))
            .collect();
        site.policy.approvals = needed;
        let approvals: Vec<Vec<u8>> = signed_by
            .iter()
            .map(|key| test_key(*key).sign(APPROVAL_NAMESPACE, PATCH).unwrap())
            .collect();
        count(PATCH, &approvals, &site, &signer("anna", 2))
            .map(|people| people.iter().map(ToString::to_string).collect())
            .map_err(|e| e.refusal())
    }

    #[test]
    fn two_people_are_two() {
        let people = counted(&[("carl", 4), ("ben", 3)], 2, &[4, 3]);
        assert_eq!(people, Ok(vec!["ben".to_owned(), "carl".to_owned()]));
    }

    #[test]
    fn one_person_with_two_keys_is_one() {
        let approvers = [("ben", 3), ("ben", 4)];
        assert_eq!(
            counted(&approvers, 2, &[3, 4]),
            Err(RefusalName::NotApproved)
        );
        assert!(counted(&approvers, 1, &[3, 4]).is_ok());
    }

    #[test]
    fn one_key_under_two_names_or_given_twice_is_one() {
        let approvers = [("ben", 3), ("benjamin", 3)];
        assert_eq!(
            counted(&approvers, 2, &[3, 3]),
            Err(RefusalName::NotApproved)
        );
    }

    #[test]
    fn the_preparer_never_counts() {
        for approvers in [
            [("anna", 2), ("ben", 3)],    // the same key
            [("anna", 4), ("ben", 3)],    // another key of the same name
            [("anna2", 2), ("anna2", 4)], // another key of a name that has the preparer's key
        ] {
            let keys: Vec<u8> = approvers.iter().map(|(_, key)| *key).collect();
            let not_ben: Vec<u8> = keys.into_iter().filter(|key| *key != 3).collect();
            assert_eq!(
                counted(&approvers, 1, &not_ben),
                Err(RefusalName::NotApproved)
            );
        }
    }

    #[test]
    fn a_stranger_is_refused_even_where_none_is_needed() {
        assert_eq!(
            counted(&[("ben", 3)], 0, &[5]),
            Err(RefusalName::UntrustedSigner)
        );
    }

    #[test]
    fn a_patch_signature_is_no_approval() {
        let mut site = site(1, b"r");
        site.approvers = vec![signer("ben", 3)];
        let swapped = vec![test_key(3).sign("lockstep-patch", PATCH).unwrap()];
        let error = count(PATCH, &swapped, &site, &signer("anna", 2)).unwrap_err();
        assert_eq!(error.refusal(), RefusalName::BadSignature);
        let other = vec![test_key(3).sign(APPROVAL_NAMESPACE, b"{other}").unwrap()];
        let error = count(PATCH, &other, &site, &signer("anna", 2)).unwrap_err();
        assert_eq!(error.refusal(), RefusalName::BadSignature);
    }
}
