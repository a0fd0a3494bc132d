//! Approvals: detached signatures over the bytes of `patch.json`, counted as people.
//!
//! | attack | defence |
//! |---|---|
//! | one person with two keys, or one key under two names | people are counted: names that share a key, and keys that share a name, are one |
//! | one key listed twice, plainly and as a security key's | keys are compared by what they can sign |
//! | the preparer approves, under whatever name or key | nobody who shares a key or a name with the preparer counts |
//! | an approval of another patch, or a patch signature passed off as an approval | the signature is over these bytes, in its own namespace |
//! | noise that is named as an approval | each one named must be good and by an approver |
//! | noise laid beside the patch to bar its way | what was only found there, and is no good, is passed over and told |
//! | an approver whom a newer site file took away | they are counted by the site file that will be in force |

use std::collections::BTreeSet;

use crate::model::site::{Signer, Site};
use crate::model::statement::APPROVAL_NAMESPACE;
use crate::model::{Principal, PublicKey};

use super::{TrustError, sshsig};

const WHAT: &str = "approval";

/// Approvals as they came: armoured, and nothing of them is checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered<'a> {
    /// Those that somebody named: each must be good, and by an approver.
    pub named: &'a [Vec<u8>],
    /// Those that were found, each with where: what is no good is passed over.
    pub found: &'a [(String, Vec<u8>)],
}

/// What the approvals come to.
#[derive(Debug, Default)]
pub struct Counted {
    /// Who approved and counts, rising by name: one name a person.
    pub people: Vec<Principal>,
    /// What was found and does not count, each with the reason.
    pub passed_over: Vec<String>,
}

/// Who approved; fewer than the site's policy asks for are still no error.
pub fn count(
    patch_bytes: &[u8],
    offered: Offered<'_>,
    site: &Site,
    preparer: &Signer,
) -> Result<Counted, TrustError> {
    let mut known = same_person(site, preparer);
    let mut counted = Counted::default();
    for (index, armoured) in offered.named.iter().enumerate() {
        let name = format!("number {}", index.saturating_add(1));
        let approver = approver_of(patch_bytes, name, armoured, site)?;
        take(approver, site, &mut known, &mut counted);
    }
    for (place, armoured) in offered.found {
        match approver_of(patch_bytes, place.clone(), armoured, site) {
            Ok(approver) => take(approver, site, &mut known, &mut counted),
            Err(why) => counted
                .passed_over
                .push(format!("{place} does not approve this patch: {why}")),
        }
    }
    counted.people.sort();
    Ok(counted)
}

/// [`count`], and an error when fewer people than the site's policy asks for are among them.
pub fn enough(
    patch_bytes: &[u8],
    offered: Offered<'_>,
    site: &Site,
    preparer: &Signer,
) -> Result<Counted, TrustError> {
    let counted = count(patch_bytes, offered, site, preparer)?;
    let have = u64::try_from(counted.people.len()).unwrap_or(u64::MAX);
    if have < site.policy.approvals {
        return Err(TrustError::NotApproved {
            needed: site.policy.approvals,
            have: counted.people.iter().map(ToString::to_string).collect(),
            passed_over: counted.passed_over,
        });
    }
    Ok(counted)
}

/// Whether this key may approve what `preparer` prepared, and whose it is.
pub fn may_approve<'a>(
    site: &'a Site,
    preparer: &Signer,
    key: &PublicKey,
) -> Result<&'a Signer, TrustError> {
    let approver = listed(site, key)
        .ok_or_else(|| TrustError::untrusted(WHAT, std::slice::from_ref(key), &site.approvers))?;
    if same_person(site, preparer).contains(&approver.principal) {
        return Err(TrustError::own(preparer, key));
    }
    Ok(approver)
}

/// Without a site file only this is known of a preparer: the key that signed the patch.
pub fn check_not_own(preparer: &PublicKey, key: &PublicKey) -> Result<(), TrustError> {
    if preparer.point() == key.point() {
        return Err(TrustError::OwnPatch {
            preparer: preparer.fingerprint(),
            key: key.fingerprint(),
        });
    }
    Ok(())
}

/// Counts a person who was not counted yet, and is not the preparer.
fn take(approver: &Signer, site: &Site, known: &mut BTreeSet<Principal>, counted: &mut Counted) {
    let person = same_person(site, approver);
    if person.is_disjoint(known) {
        counted.people.push(approver.principal.clone());
    }
    known.extend(person);
}

fn approver_of<'a>(
    patch_bytes: &[u8],
    name: String,
    armoured: &[u8],
    site: &'a Site,
) -> Result<&'a Signer, TrustError> {
    let key = sshsig::verify(armoured, APPROVAL_NAMESPACE, patch_bytes).map_err(|why| {
        TrustError::Signature {
            what: WHAT,
            name,
            why,
        }
    })?;
    listed(site, &key).ok_or_else(|| TrustError::untrusted(WHAT, &[key], &site.approvers))
}

fn listed<'a>(site: &'a Site, key: &PublicKey) -> Option<&'a Signer> {
    site.approvers.iter().find(|signer| &signer.key == key)
}

/// Every name of the person behind a signer: whoever shares a key or a name is the same.
fn same_person(site: &Site, signer: &Signer) -> BTreeSet<Principal> {
    let everybody = || {
        let owner = std::iter::once(&site.owner);
        site.approvers.iter().chain(&site.preparers).chain(owner)
    };
    let mut names = BTreeSet::from([signer.principal.clone()]);
    let mut points = BTreeSet::from([signer.key.point()]);
    loop {
        let before = (names.len(), points.len());
        for other in everybody() {
            if names.contains(&other.principal) || points.contains(&other.key.point()) {
                names.insert(other.principal.clone());
                points.insert(other.key.point());
            }
        }
        if before == (names.len(), points.len()) {
            return names;
        }
    }
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
        let named = Offered {
            named: &approvals,
            found: &[],
        };
        let names = |counted: Counted| counted.people.iter().map(ToString::to_string).collect();
        let by_name = enough(PATCH, named, &site, &signer("anna", 2));
        // What was found counts as what was named does.
        let found: Vec<(String, Vec<u8>)> = approvals
            .iter()
            .map(|armoured| ("found.sig".to_owned(), armoured.clone()))
            .collect();
        let beside = Offered {
            named: &[],
            found: &found,
        };
        let by_place = enough(PATCH, beside, &site, &signer("anna", 2));
        if let (Ok(by_name), Ok(by_place)) = (&by_name, &by_place) {
            assert_eq!(by_name.people, by_place.people);
        }
        by_name.map(names).map_err(|e| e.refusal())
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
    fn names_that_hang_together_are_one_person() {
        // Key 4 is ben's and carl's, so ben and carl are one, also where each signs with another key.
        let approvers = [
            ("ben", 3),
            ("ben", 4),
            ("carl", 4),
            ("carl", 5),
            ("dora", 6),
        ];
        for both in [[3, 5], [5, 3], [3, 4], [4, 5]] {
            let counted = counted(&approvers, 2, &both);
            assert_eq!(counted, Err(RefusalName::NotApproved), "{both:?}");
        }
        assert!(counted(&approvers, 2, &[3, 6]).is_ok());
        // The preparer through two others: anna shares a name with key 7, and key 7 with eve.
        let approvers = [("anna", 7), ("eve", 7), ("eve", 8), ("dora", 6)];
        assert_eq!(counted(&approvers, 1, &[8]), Err(RefusalName::NotApproved));
        assert!(counted(&approvers, 1, &[6, 8]).is_ok());
    }

    #[test]
    fn a_key_is_the_same_key_in_a_security_keys_clothes() {
        use crate::model::PublicKey;
        use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
        let mut site = site(1, b"r");
        let plain = signer("ben", 3);
        let point = Ed25519PublicKey(plain.key.point().unwrap());
        let held = KeyData::SkEd25519(SkEd25519::new(point, "ssh:"));
        let held = Signer {
            principal: "benjamin".parse().unwrap(),
            key: PublicKey::from_data(&held).unwrap(),
        };
        site.approvers = vec![plain.clone(), held.clone()];
        assert_ne!(plain.key, held.key);
        assert_eq!(same_person(&site, &plain), same_person(&site, &held));
    }

    #[test]
    fn what_was_only_found_is_passed_over_and_told() {
        let mut site = site(1, b"r");
        site.approvers = vec![signer("ben", 3)];
        site.policy.approvals = 1;
        let sign = |key: u8, bytes: &[u8]| test_key(key).sign(APPROVAL_NAMESPACE, bytes).unwrap();
        let found = [
            ("a.sig".to_owned(), b"noise".to_vec()),
            ("b.sig".to_owned(), sign(5, PATCH)),
            ("c.sig".to_owned(), sign(3, b"{other}")),
            ("d.sig".to_owned(), sign(3, PATCH)),
        ];
        let offered = Offered {
            named: &[],
            found: &found,
        };
        let counted = enough(PATCH, offered, &site, &signer("anna", 2)).unwrap();
        assert_eq!(counted.people.len(), 1);
        let told: Vec<&str> = counted.passed_over.iter().map(|line| &line[..5]).collect();
        assert_eq!(told, ["a.sig", "b.sig", "c.sig"]);
    }

    #[test]
    fn who_may_approve_is_asked_before_anything_is_signed() {
        let mut site = site(1, b"r");
        site.approvers = vec![signer("anna", 4), signer("ben", 3)];
        let anna = signer("anna", 2);
        let may = |key: u8| {
            let key = test_key(key).public().unwrap();
            may_approve(&site, &anna, &key)
                .map(|who| who.principal.to_string())
                .map_err(|e| e.refusal())
        };
        assert_eq!(may(3), Ok("ben".to_owned()));
        assert_eq!(may(4), Err(RefusalName::NotApproved));
        assert_eq!(may(5), Err(RefusalName::UntrustedSigner));
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

    fn refused(named: &[Vec<u8>], site: &Site) -> TrustError {
        let offered = Offered { named, found: &[] };
        count(PATCH, offered, site, &signer("anna", 2)).unwrap_err()
    }

    #[test]
    fn a_patch_signature_is_no_approval() {
        let mut site = site(1, b"r");
        site.approvers = vec![signer("ben", 3)];
        let swapped = vec![test_key(3).sign("lockstep-patch", PATCH).unwrap()];
        let error = refused(&swapped, &site);
        assert_eq!(error.refusal(), RefusalName::BadSignature);
        let other = vec![test_key(3).sign(APPROVAL_NAMESPACE, b"{other}").unwrap()];
        let error = refused(&other, &site);
        assert_eq!(error.refusal(), RefusalName::BadSignature);
    }
}
