//! A small release repository in memory, and one test for each attack on a vendor's chain.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::model::digest::hex;
use crate::model::{Refusal, RefusalName, Sha256};
use crate::trust::site::tests::test_key;

/// The day on which the tests take place.
pub(in crate::trust) const TODAY: &str = "2026-11-24T00:00:00Z";
const ISSUED: &str = "2026-11-20T00:00:00Z";
const ROOT: u8 = 40;
const TIMESTAMP: u8 = 41;
const SNAPSHOT: u8 = 42;
const TARGETS: u8 = 43;
const FAMILY: u8 = 44;
pub(in crate::trust) const RECIPE: &str = "restapi/7.0/restapi-7.0.40.spr";

fn tuf_key(seed: u8) -> Value {
    let public = hex(&test_key(seed).public_raw().unwrap());
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

fn id(seed: u8) -> String {
    format!("key-{seed}")
}

fn keys(seeds: &[u8]) -> Value {
    let keys: BTreeMap<String, Value> = seeds.iter().map(|s| (id(*s), tuf_key(*s))).collect();
    json!(keys)
}

fn role(seed: u8) -> Value {
    json!({"keyids": [id(seed)], "threshold": 1})
}

fn sign(signed: &Value, seeds: &[u8]) -> Vec<u8> {
    let bytes = sigstore_tuf::canonical_json::to_canonical_bytes(signed).unwrap();
    let signatures: Vec<Value> = seeds
        .iter()
        .map(|s| json!({"keyid": id(*s), "sig": hex(&test_key(*s).sign_raw(&bytes).unwrap())}))
        .collect();
    serde_json::to_vec(&json!({"signed": signed, "signatures": signatures})).unwrap()
}

fn target(bytes: &[u8]) -> Value {
    json!({"length": bytes.len(), "hashes": {"sha256": Sha256::of(bytes).to_string()}})
}

/// A repository whose parts a test changes before they are signed.
pub(in crate::trust) struct Repository {
    pub(in crate::trust) roots: Vec<(Value, Vec<u8>)>,
    pub(in crate::trust) timestamp: Value,
    pub(in crate::trust) timestamp_key: u8,
    pub(in crate::trust) snapshot: Value,
    pub(in crate::trust) targets: Value,
    pub(in crate::trust) delegated: BTreeMap<String, (Value, u8)>,
}

impl Repository {
    /// Version 1 of everything; the role `restapi` lists `recipe` as [`RECIPE`].
    pub(in crate::trust) fn new(recipe: &[u8]) -> Self {
        let head = |kind: &str, expires: &str| json!({"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": expires});
        let mut root = head("root", "2029-01-01T00:00:00Z");
        root["consistent_snapshot"] = json!(true);
        root["keys"] = keys(&[ROOT, TIMESTAMP, SNAPSHOT, TARGETS]);
        root["roles"] = json!({"root": role(ROOT), "timestamp": role(TIMESTAMP),
            "snapshot": role(SNAPSHOT), "targets": role(TARGETS)});
        let mut timestamp = head("timestamp", "2026-12-01T00:00:00Z");
        timestamp["issued"] = json!(ISSUED);
        timestamp["meta"] = json!({"snapshot.json": {"version": 1}});
        let mut snapshot = head("snapshot", "2026-12-10T00:00:00Z");
        snapshot["meta"] = json!({"targets.json": {"version": 1}, "restapi.json": {"version": 1}});
        let mut targets = head("targets", "2028-01-01T00:00:00Z");
        targets["issued"] = json!(ISSUED);
        targets["targets"] = json!({});
        targets["delegations"] = json!({"keys": keys(&[FAMILY]), "roles": [
            {"name": "restapi", "keyids": [id(FAMILY)], "threshold": 1, "terminating": true,
             "paths": ["restapi/*/*"], "install_paths": ["webapps/restapi", "lib/"]}]});
        let mut family = head("targets", "2027-06-01T00:00:00Z");
        family["targets"] = json!({RECIPE: target(recipe)});
        Self {
            roots: vec![(root, vec![ROOT])],
            timestamp,
            timestamp_key: TIMESTAMP,
            snapshot,
            targets,
            delegated: BTreeMap::from([("restapi".to_owned(), (family, FAMILY))]),
        }
    }

    pub(in crate::trust) fn site_root(&self) -> Vec<u8> {
        sign(&self.roots[0].0, &self.roots[0].1)
    }

    pub(in crate::trust) fn files(&self) -> VendorFiles {
        VendorFiles {
            roots: self.roots[1..].iter().map(|(r, by)| sign(r, by)).collect(),
            timestamp: sign(&self.timestamp, &[self.timestamp_key]),
            snapshot: sign(&self.snapshot, &[SNAPSHOT]),
            targets: sign(&self.targets, &[TARGETS]),
            delegated: self
                .delegated
                .iter()
                .map(|(name, (signed, by))| (name.clone(), sign(signed, &[*by])))
                .collect(),
        }
    }

    /// Adds root N+1, signed by `by`, with `change` made to the root before it.
    fn next_root(&mut self, by: &[u8], change: impl FnOnce(&mut Value)) {
        let (mut root, _) = self.roots.last().unwrap().clone();
        root["version"] = json!(root["version"].as_u64().unwrap().saturating_add(1));
        change(&mut root);
        self.roots.push((root, by.to_vec()));
    }

    fn raise(&mut self, timestamp: u64, snapshot: u64, targets: u64, family: u64) {
        self.timestamp["version"] = json!(timestamp);
        self.timestamp["meta"]["snapshot.json"]["version"] = json!(snapshot);
        self.snapshot["version"] = json!(snapshot);
        self.snapshot["meta"]["targets.json"]["version"] = json!(targets);
        self.snapshot["meta"]["restapi.json"]["version"] = json!(family);
        self.targets["version"] = json!(targets);
        self.delegated.get_mut("restapi").unwrap().0["version"] = json!(family);
    }

    fn verify(&self, floors: &[Floor], expiry: &Expiry) -> Result<VerifiedVendor, TrustError> {
        super::verify(&stibo(), &self.site_root(), &self.files(), floors, expiry)
    }

    fn here(&self) -> Result<VerifiedVendor, TrustError> {
        self.verify(&[], &host(TODAY))
    }

    fn refusal(&self, word: &str) {
        let error = self.here().err().unwrap();
        assert_eq!(error.refusal(), RefusalName::VendorUntrusted, "{error}");
        let text = Refusal::from(error).to_string();
        assert!(text.contains(word), "{text}");
    }
}

fn stibo() -> Vendor {
    Vendor {
        name: "stibo".parse().unwrap(),
        prefixes: Vec::new(),
        root: Sha256::of(b""),
        since: None,
    }
}

pub(in crate::trust) fn at(text: &str) -> Time {
    text.parse().unwrap()
}

pub(in crate::trust) fn host(now: &str) -> Expiry {
    Expiry::Host {
        now: at(now),
        time_floor: Time::EPOCH,
        age_days: 90,
        accept_expired: false,
    }
}

fn desk(now: &str) -> Expiry {
    Expiry::Desk {
        now: at(now),
        source_age_days: None,
    }
}

fn path(text: &str) -> RecipePath {
    text.parse().unwrap()
}

#[test]
fn a_recipe_is_found_with_all_that_binds_it() {
    let verified = Repository::new(b"recipe").here().unwrap();
    let found = verified.target(&path(RECIPE)).unwrap();
    assert_eq!((found.sha256, found.size), (Sha256::of(b"recipe"), 6));
    assert_eq!(found.role, "restapi");
    assert_eq!(verified.issued(), at(ISSUED));
    assert_eq!(verified.apply_before(), at("2027-06-01T00:00:00Z"));
    assert!(verified.warnings().is_empty());
    let recipes: Vec<&str> = verified.recipes().map(RecipePath::as_str).collect();
    assert_eq!(recipes, [RECIPE]);
    let roles: Vec<&str> = verified.floors().iter().map(|f| f.role.as_str()).collect();
    assert_eq!(
        roles,
        ["restapi", "root", "snapshot", "targets", "timestamp"]
    );
    let names = [
        "1.restapi.json",
        "1.snapshot.json",
        "1.targets.json",
        "timestamp.json",
    ];
    assert!(verified.file_names().iter().eq(names));
    for (owned, may) in [
        ("webapps/restapi", true),
        ("webapps/restapi/a.jar", true),
        ("lib/x", true),
        ("webapps/restapi2/a.jar", false),
        ("bin/run", false),
    ] {
        assert_eq!(found.may_own(&owned.parse().unwrap()), may, "{owned}");
    }
}

#[test]
fn one_key_under_two_ids_does_not_meet_a_threshold_of_two() {
    let mut repository = Repository::new(b"r");
    let root = &mut repository.roots[0].0;
    root["keys"]["alias"] = tuf_key(ROOT);
    root["roles"]["root"] = json!({"keyids": [id(ROOT), "alias"], "threshold": 2});
    let bytes = sigstore_tuf::canonical_json::to_canonical_bytes(root).unwrap();
    let signature = hex(&test_key(ROOT).sign_raw(&bytes).unwrap());
    let file = serde_json::to_vec(&json!({"signed": root, "signatures": [
        {"keyid": id(ROOT), "sig": signature}, {"keyid": "alias", "sig": signature}]}))
    .unwrap();
    assert!(provider::install());
    assert!(
        sigstore_tuf::TrustedMetadataSet::from_root(&file).is_ok(),
        "the attack works against the library alone"
    );
    let error = check_root(&stibo().name, &file).unwrap_err().to_string();
    assert!(
        error.contains("role root") && error.contains("alias"),
        "{error}"
    );
    let all = repository.files();
    let error = super::verify(&stibo(), &file, &all, &[], &host(TODAY)).unwrap_err();
    assert_eq!(error.refusal(), RefusalName::VendorUntrusted);
}

#[test]
fn every_top_level_role_and_every_delegation_lists_distinct_keys() {
    for name in ["timestamp", "snapshot", "targets"] {
        let mut repository = Repository::new(b"r");
        let root = &mut repository.roots[0].0;
        let seed = [
            ("timestamp", TIMESTAMP),
            ("snapshot", SNAPSHOT),
            ("targets", TARGETS),
        ]
        .into_iter()
        .find(|(role, _)| *role == name)
        .unwrap()
        .1;
        root["keys"]["alias"] = tuf_key(seed);
        root["roles"][name]["keyids"] = json!([id(seed), "alias"]);
        repository.refusal(&format!("role {name} lists the public key"));
    }
    let mut repository = Repository::new(b"r");
    let delegations = &mut repository.targets["delegations"];
    delegations["keys"]["alias"] = tuf_key(FAMILY);
    delegations["roles"][0]["keyids"] = json!([id(FAMILY), "alias"]);
    repository.refusal("role restapi lists the public key");
}

#[test]
fn upper_case_is_no_second_key_and_other_algorithms_are_refused() {
    let change = |field: &str, value: Value| {
        let mut repository = Repository::new(b"r");
        repository.roots[0].0["keys"][id(TIMESTAMP)][field] = value;
        repository
    };
    let upper = hex(&test_key(TIMESTAMP).public_raw().unwrap()).to_uppercase();
    change("keyval", json!({"public": upper})).refusal("lower-case");
    let neutral = format!("01{}", "0".repeat(62));
    change("keyval", json!({"public": neutral})).refusal("large order");
    change("scheme", json!("rsassa-pss-sha256")).refusal("not an ed25519 key");
}

#[test]
fn a_threshold_of_nought_is_refused() {
    let mut repository = Repository::new(b"r");
    repository.roots[0].0["roles"]["timestamp"]["threshold"] = json!(0);
    repository.refusal("threshold 0");
}

#[test]
fn a_root_chain_is_followed_one_by_one() {
    let mut repository = Repository::new(b"r");
    repository.next_root(&[ROOT], |_| ());
    repository.next_root(&[ROOT], |_| ());
    let verified = repository.here().unwrap();
    assert_eq!(verified.root_version(), 3);
    assert!(verified.file_names().contains("2.root.json"));
    repository.roots.remove(1);
    repository.refusal("root 3");
}

#[test]
fn a_root_signed_by_the_new_keys_only_is_refused() {
    let rotate = |by: &[u8]| {
        let mut repository = Repository::new(b"r");
        repository.next_root(by, |root| {
            root["keys"][id(50)] = tuf_key(50);
            root["roles"]["root"] = role(50);
        });
        repository
    };
    assert!(rotate(&[ROOT, 50]).here().is_ok());
    rotate(&[50]).refusal("threshold not met");
    rotate(&[ROOT]).refusal("threshold not met");
}

#[test]
fn a_version_below_its_floor_is_refused_with_both_versions() {
    let mut repository = Repository::new(b"r");
    repository.raise(9, 8, 7, 6);
    let floors = repository.here().unwrap().floors().to_vec();
    for (versions, role, word) in [
        ((8, 8, 7, 6), "timestamp", "9 and later"),
        ((9, 7, 7, 6), "snapshot", "8 and later"),
        ((9, 8, 6, 6), "targets", "7 and later"),
        ((9, 8, 7, 5), "restapi", "6 and later"),
    ] {
        repository.raise(versions.0, versions.1, versions.2, versions.3);
        let error = repository.verify(&floors, &host(TODAY)).err().unwrap();
        assert!(
            matches!(&error, TrustError::Rollback { role: r, .. } if r == role),
            "{error}"
        );
        let text = Refusal::from(error).to_string();
        assert!(text.contains("rollback") && text.contains(word), "{text}");
    }
}

#[test]
fn a_listed_delegation_has_a_floor_though_it_was_not_loaded() {
    let mut repository = Repository::new(b"r");
    repository.raise(1, 1, 1, 6);
    repository.delegated.clear();
    let floors = repository.here().unwrap().floors().to_vec();
    assert!(floors.iter().any(|f| f.role == "restapi" && f.version == 6));
    let mut older = Repository::new(b"r");
    older.raise(2, 2, 2, 5);
    assert!(older.verify(&floors, &host(TODAY)).is_err());
}

#[test]
fn a_root_below_its_floor_is_always_refused() {
    let mut repository = Repository::new(b"r");
    repository.next_root(&[ROOT], |_| ());
    let floors = repository.here().unwrap().floors().to_vec();
    let error = Repository::new(b"r").verify(&floors, &host(TODAY)).err();
    assert!(matches!(error, Some(TrustError::Rollback { role, .. }) if role == "root"));
}

#[test]
fn a_verified_new_root_with_another_timestamp_key_resets_the_timestamp() {
    let mut repository = Repository::new(b"r");
    repository.raise(900, 8, 7, 6);
    let floors = repository.here().unwrap().floors().to_vec();
    repository.raise(1, 8, 7, 6);
    repository.next_root(&[ROOT], |root| {
        root["keys"][id(51)] = tuf_key(51);
        root["roles"]["timestamp"] = role(51);
    });
    repository.timestamp_key = 51;
    let verified = repository.verify(&floors, &host(TODAY)).unwrap();
    let floor = verified.floors().iter().find(|f| f.role == "timestamp");
    assert_eq!(floor.unwrap().version, 1);
}

#[test]
fn a_version_that_no_floor_can_hold_is_refused() {
    let mut repository = Repository::new(b"r");
    repository.raise(1 << 53, 1, 1, 1);
    repository.refusal("version 9007199254740992");
}

#[test]
fn a_delegation_does_not_reach_into_subfolders() {
    let mut repository = Repository::new(b"r");
    let deep = "customer/acme/portal/7.0/portal-7.0.3.spr";
    repository.targets["delegations"]["roles"][0]["paths"] = json!(["customer/acme/*"]);
    repository.delegated.get_mut("restapi").unwrap().0["targets"] = json!({deep: target(b"r")});
    let verified = repository.here().unwrap();
    assert!(verified.target(&path(deep)).is_err());
    assert_eq!(verified.recipes().count(), 0);
}

#[test]
fn a_delegate_cannot_speak_for_anothers_path() {
    let mut repository = Repository::new(b"r");
    let other = "core/9.0/core-9.0.1.spr";
    repository.delegated.get_mut("restapi").unwrap().0["targets"] = json!({other: target(b"r")});
    let verified = repository.here().unwrap();
    let error = verified.target(&path(other)).unwrap_err();
    assert_eq!(error.refusal(), RefusalName::VendorUntrusted);
}

#[test]
fn an_unknown_target_is_refused() {
    let verified = Repository::new(b"r").here().unwrap();
    let error = verified
        .target(&path("restapi/7.0/restapi-7.0.41.spr"))
        .unwrap_err();
    assert_eq!(error.refusal(), RefusalName::VendorUntrusted);
}

#[test]
fn a_role_left_out_is_an_error_for_its_paths() {
    let mut repository = Repository::new(b"r");
    repository.delegated.clear();
    let verified = repository.here().unwrap();
    let error = verified.target(&path(RECIPE)).unwrap_err().to_string();
    assert!(error.contains("role restapi is missing"), "{error}");
}

#[test]
fn the_site_limits_what_a_vendor_serves() {
    let repository = Repository::new(b"r");
    let vendor = Vendor {
        prefixes: vec!["customer/acme/".to_owned()],
        ..stibo()
    };
    let root = repository.site_root();
    let verified = super::verify(&vendor, &root, &repository.files(), &[], &host(TODAY)).unwrap();
    let error = verified.target(&path(RECIPE)).unwrap_err();
    assert_eq!(error.refusal(), RefusalName::VendorUntrusted);
    assert_eq!(verified.recipes().count(), 0);
}

#[test]
fn a_terminating_role_ends_the_search() {
    let find = |terminating: bool| {
        let mut repository = Repository::new(b"r");
        let roles = &mut repository.targets["delegations"]["roles"];
        let mut first = roles[0].clone();
        first["name"] = json!("first");
        first["terminating"] = json!(terminating);
        let second = roles[0].clone();
        *roles = json!([first, second]);
        repository.snapshot["meta"]["first.json"] = json!({"version": 1});
        let mut empty = repository.delegated["restapi"].clone();
        empty.0["targets"] = json!({});
        repository.delegated.insert("first".to_owned(), empty);
        repository.here().unwrap().target(&path(RECIPE)).is_ok()
    };
    assert!(find(false));
    assert!(!find(true));
}

#[test]
fn malformed_delegations_are_refused() {
    let change = |change: &dyn Fn(&mut Repository)| {
        let mut repository = Repository::new(b"r");
        change(&mut repository);
        repository
    };
    change(&|r| {
        let twice = r.targets["delegations"]["roles"][0].clone();
        r.targets["delegations"]["roles"] = json!([twice, twice]);
    })
    .refusal("delegated twice");
    change(&|r| {
        let mut deeper = r.targets["delegations"].clone();
        deeper["roles"][0]["name"] = json!("deeper");
        r.delegated.get_mut("restapi").unwrap().0["delegations"] = deeper;
    })
    .refusal("delegates further");
    change(&|r| r.targets["delegations"]["roles"][0]["name"] = json!("snapshot"))
        .refusal("may not be a delegated role");
    change(&|r| {
        let long = "r".repeat(ROLE_MAX + 1);
        r.targets["delegations"]["roles"][0]["name"] = json!(long);
    })
    .refusal("may not be a delegated role");
    change(&|r| r.targets["delegations"]["roles"][0]["install_paths"] = json!(["../x"]))
        .refusal("install_paths");
    change(&|r| r.snapshot["meta"]["root.json"] = json!({"version": 1}))
        .refusal("the snapshot lists");
    change(&|r| r.targets["targets"] = json!({"../x": target(b"r")})).refusal("is no recipe");
    change(&|r| r.roots[0].0["consistent_snapshot"] = json!(false)).refusal("consistent");
}

#[test]
fn a_time_of_issue_is_required_and_precedes_expiry() {
    for take in ["timestamp", "targets"] {
        let mut repository = Repository::new(b"r");
        let signed = if take == "targets" {
            &mut repository.targets
        } else {
            &mut repository.timestamp
        };
        signed.as_object_mut().unwrap().remove("issued");
        repository.refusal("does not say when it was issued");
    }
    let mut repository = Repository::new(b"r");
    repository.timestamp["issued"] = json!("2999-01-01T00:00:00Z");
    repository.refusal("expired before it was issued");
}

#[test]
fn a_duplicate_key_in_a_file_is_refused() {
    let repository = Repository::new(b"r");
    let mut files = repository.files();
    let text = String::from_utf8(files.targets).unwrap();
    files.targets = text
        .replacen("\"signed\":", "\"signed\":{},\"signed\":", 1)
        .into_bytes();
    let root = repository.site_root();
    let error = super::verify(&stibo(), &root, &files, &[], &host(TODAY)).unwrap_err();
    assert!(error.to_string().contains("stands twice"), "{error}");
}

#[test]
fn another_vendors_file_is_refused() {
    let repository = Repository::new(b"r");
    let mut other = Repository::new(b"r");
    other.timestamp_key = 60;
    other.roots[0].0["keys"][id(60)] = tuf_key(60);
    other.roots[0].0["roles"]["timestamp"] = role(60);
    let root = repository.site_root();
    let error = super::verify(&stibo(), &root, &other.files(), &[], &host(TODAY)).unwrap_err();
    assert_eq!(error.refusal(), RefusalName::VendorUntrusted);
}

#[test]
fn the_desk_enforces_every_expiry() {
    let repository = Repository::new(b"r");
    assert!(repository.verify(&[], &desk(TODAY)).is_ok());
    for (now, role) in [
        ("2026-12-01T00:00:00Z", "timestamp"),
        ("2030-01-01T00:00:00Z", "root"),
    ] {
        let error = repository.verify(&[], &desk(now)).err().unwrap();
        assert_eq!(error.refusal(), RefusalName::Expired);
        assert!(error.to_string().contains(role), "{error}");
    }
    let limited = Expiry::Desk {
        now: at("2026-11-28T00:00:01Z"),
        source_age_days: Some(8),
    };
    let error = repository.verify(&[], &limited).err().unwrap();
    assert!(matches!(error, TrustError::Outdated { days: 8, .. }));
}

#[test]
fn the_host_warns_of_old_snapshots_up_to_policys_limit() {
    let repository = Repository::new(b"r");
    let verified = repository
        .verify(&[], &host("2027-01-15T00:00:00Z"))
        .unwrap();
    assert_eq!(verified.warnings().len(), 2);
    let error = repository.verify(&[], &host("2027-03-01T00:00:00Z")).err();
    assert!(matches!(error, Some(TrustError::Outdated { days: 90, .. })));
}

#[test]
fn the_host_enforces_root_targets_and_delegations() {
    let mut repository = Repository::new(b"r");
    repository.delegated.get_mut("restapi").unwrap().0["expires"] = json!("2026-11-22T00:00:00Z");
    let verified = repository.here().unwrap();
    let error = verified.target(&path(RECIPE)).unwrap_err();
    assert!(matches!(error, TrustError::Expired { role, .. } if role == "restapi"));
    let mut repository = Repository::new(b"r");
    repository.targets["expires"] = json!("2026-11-22T00:00:00Z");
    let error = repository.here().err();
    assert!(matches!(error, Some(TrustError::Expired { role, .. }) if role == "targets"));
}

#[test]
fn a_clock_at_1970_does_not_bring_expired_metadata_back() {
    let repository = Repository::new(b"r");
    let set_back = |time_floor: &str| Expiry::Host {
        now: Time::EPOCH,
        time_floor: at(time_floor),
        age_days: 90,
        accept_expired: false,
    };
    assert!(repository.verify(&[], &set_back(ISSUED)).is_ok());
    let error = repository.verify(&[], &set_back("2030-01-01T00:00:00Z"));
    assert_eq!(error.err().unwrap().refusal(), RefusalName::Expired);
}

#[test]
fn a_timestamp_key_cannot_push_the_time_floor_past_the_expiry_of_targets() {
    let mut repository = Repository::new(b"r");
    repository.timestamp["expires"] = json!("2999-01-01T00:00:00Z");
    repository.snapshot["expires"] = json!("2999-01-01T00:00:00Z");
    repository.timestamp["issued"] = json!("2027-05-31T00:00:00Z");
    assert!(repository.here().unwrap().target(&path(RECIPE)).is_ok());
    // The delegation's expiry, that of targets, that of the root.
    for (issued, expired) in [
        ("2027-06-01T00:00:00Z", "restapi"),
        ("2028-01-01T00:00:00Z", "targets"),
        ("2900-01-01T00:00:00Z", "root"),
    ] {
        repository.timestamp["issued"] = json!(issued);
        let refused = repository.here().and_then(|v| v.target(&path(RECIPE)));
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, TrustError::Expired { role, .. } if role == expired),
            "{issued}: {error}"
        );
    }
}

#[test]
fn a_clock_at_2030_refuses_and_can_be_accepted() {
    let repository = Repository::new(b"r");
    let ahead = host("2030-01-01T00:00:00Z");
    let error = repository.verify(&[], &ahead).err().unwrap();
    assert_eq!(error.refusal(), RefusalName::Expired);
    let accepted = Expiry::Host {
        now: at("2030-01-01T00:00:00Z"),
        time_floor: Time::EPOCH,
        age_days: 90,
        accept_expired: true,
    };
    let verified = repository.verify(&[], &accepted).unwrap();
    assert_eq!(verified.warnings().len(), 5);
    assert!(verified.target(&path(RECIPE)).is_ok());
}

#[test]
fn acceptance_needs_policys_leave() {
    let accepted = Expiry::Host {
        now: at(TODAY),
        time_floor: Time::EPOCH,
        age_days: 1,
        accept_expired: true,
    };
    let four_eyes = crate::model::site::Policy {
        approvals: 1,
        ..Default::default()
    };
    assert_eq!(accepted.under(&four_eyes), host(TODAY));
}
