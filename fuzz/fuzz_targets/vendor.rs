//! A vendor's metadata: what the chain hands out stands in a file that the right keys signed, floors
//! are kept, and an unedited repository verifies.

#![no_main]

mod shared;
use shared::json;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::model::site::Vendor;
use lockstep::model::snapshot::Floor;
use lockstep::model::{RecipePath, Sha256, Time};
use lockstep::trust::vendor::{self, Expiry, VendorFiles, VerifiedVendor};
use serde_json::{Value, json as value};
use sigstore_tuf::canonical_json::to_canonical_bytes;

use json::Json;
use shared::Bytes;
use shared::dice::Dice;

const TODAY: &str = "2026-11-24T00:00:00Z";
const RECIPE: &str = "restapi/7.0/restapi-7.0.40.spr";
const RECIPES: [&str; 3] = [
    RECIPE,
    "restapi/7.0/restapi-7.0.41.spr",
    "core/9.0/core-9.0.0.spr",
];
/// The roles, each with the seed of its key.
const ROLES: [(&str, u8); 5] = [
    ("root", 1),
    ("timestamp", 2),
    ("snapshot", 3),
    ("targets", 4),
    ("restapi", 5),
];
const POOL: [&str; 8] = [
    "restapi", "targets", "key-1", "key-5", "*", "lib", "core/9.0/core-9.0.0.spr", "ed25519",
];

/// One file of the repository: what is signed, by whom, and what stands in the file.
#[derive(Clone)]
struct Role {
    name: &'static str,
    seed: u8,
    signed: Vec<u8>,
    file: Vec<u8>,
}

fuzz_target!(|input: &[u8]| {
    let mut dice = Bytes::new(input);
    let edits = if dice.once_in(16) { 0 } else { 1 + dice.below(3) };
    let second = dice.once_in(3);
    let roles = if second { TWO_ROOTS.clone() } else { ONE_ROOT.clone() };
    check(edited(roles, edits, &mut dice), edits == 0, &mut dice);
});

static ONE_ROOT: LazyLock<Vec<Role>> = LazyLock::new(|| signed(false));
static TWO_ROOTS: LazyLock<Vec<Role>> = LazyLock::new(|| signed(true));

fn signed(second: bool) -> Vec<Role> {
    let all = repository(second).into_iter();
    all.map(|(name, seed, signed)| role(name, seed, signed)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys(seeds: &[u8]) -> Value {
    let key = |seed: u8| {
        let public = hex(&shared::key(seed).public_raw().expect("a key"));
        value!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
    };
    let named = seeds.iter().map(|s| (format!("key-{s}"), key(*s)));
    value!(named.collect::<BTreeMap<_, _>>())
}

/// Version 1 of everything; `second` adds root 2, which has another key for targets at first.
fn repository(second: bool) -> Vec<(&'static str, u8, Value)> {
    let head = |kind: &str, version: u64| value!({"_type": kind, "spec_version": "1.0.31", "version": version, "expires": "2029-01-01T00:00:00Z"});
    let of = |seed: u8| value!({"keyids": [format!("key-{seed}")], "threshold": 1});
    let mut root = head("root", 1);
    root["consistent_snapshot"] = value!(true);
    root["keys"] = keys(&[1, 2, 3, 4]);
    root["roles"] = value!({"root": of(1), "timestamp": of(2), "snapshot": of(3), "targets": of(4)});
    let mut next = root.clone();
    next["version"] = value!(2);
    let mut timestamp = head("timestamp", 1);
    timestamp["issued"] = value!("2026-11-20T00:00:00Z");
    timestamp["meta"] = value!({"snapshot.json": {"version": 1}});
    let mut snapshot = head("snapshot", 1);
    snapshot["meta"] = value!({"targets.json": {"version": 1}, "restapi.json": {"version": 1}});
    let file = |bytes: &[u8]| value!({"length": bytes.len(), "hashes": {"sha256": Sha256::of(bytes).to_string()}});
    let mut targets = head("targets", 1);
    targets["issued"] = value!("2026-11-20T00:00:00Z");
    targets["targets"] = value!({"core/9.0/core-9.0.0.spr": file(b"core")});
    targets["delegations"] = value!({"keys": keys(&[5]), "roles": [
        {"name": "restapi", "keyids": ["key-5"], "threshold": 1, "terminating": true,
         "paths": ["restapi/*/*"], "install_paths": ["webapps/restapi", "lib/"]}]});
    let mut family = head("targets", 1);
    family["targets"] = value!({RECIPE: file(b"recipe")});
    let mut all = vec![("root", 1, root)];
    if second {
        all.push(("root", 1, next));
    }
    all.extend([
        ("timestamp", 2, timestamp),
        ("snapshot", 3, snapshot),
        ("targets", 4, targets),
        ("restapi", 5, family),
    ]);
    all
}

fn role(name: &'static str, seed: u8, signed: Value) -> Role {
    let file = envelope(&signed, seed, seed);
    Role {
        name,
        seed,
        signed: signed.to_string().into_bytes(),
        file,
    }
}

/// `signed` with a signature by the key of seed `by` under the id of seed `named`.
fn envelope(signed: &Value, named: u8, by: u8) -> Vec<u8> {
    let bytes = to_canonical_bytes(signed).unwrap_or_default();
    let signature = hex(&shared::key(by).sign_raw(&bytes).expect("a signature"));
    value!({"signed": signed, "signatures": [{"keyid": format!("key-{named}"), "sig": signature}]})
        .to_string()
        .into_bytes()
}

/// The repository with edits: of what is signed, then signed by the right key or by another; or of
/// the file as it is.
fn edited(mut roles: Vec<Role>, edits: usize, dice: &mut Bytes<'_>) -> Vec<Role> {
    let pool: Vec<String> = POOL.iter().map(|text| (*text).to_owned()).collect();
    for _ in 0..edits {
        let at = dice.below(roles.len());
        let other = dice.below(roles.len());
        match dice.below(6) {
            0 => {
                let file = roles[other].file.clone();
                roles[at].file = file;
            }
            1 => {
                let mut file = Json::parse(&roles[at].file).unwrap_or(Json::List(Vec::new()));
                json::edit(&mut file, &pool, dice);
                roles[at].file = file.bytes();
            }
            choice => {
                let mut signed = Json::parse(&roles[at].signed).unwrap_or(Json::List(Vec::new()));
                json::edit(&mut signed, &pool, dice);
                // What is no JSON to start with cannot be signed.
                let Ok(signed) = serde_json::from_slice(&signed.bytes()) else {
                    continue;
                };
                let right = choice > 2;
                let by = if right { roles[at].seed } else { roles[other].seed };
                roles[at].file = envelope(&signed, roles[at].seed, by);
                roles[at].signed = signed.to_string().into_bytes();
            }
        }
    }
    roles
}

fn files(roles: &[Role]) -> (Vec<u8>, VendorFiles) {
    let of = |name: &str| {
        let mut found = roles.iter().filter(|role| role.name == name);
        found.next().map(|role| role.file.clone()).unwrap_or_default()
    };
    let roots = roles.iter().filter(|role| role.name == "root");
    let files = VendorFiles {
        roots: roots.skip(1).map(|role| role.file.clone()).collect(),
        timestamp: of("timestamp"),
        snapshot: of("snapshot"),
        targets: of("targets"),
        delegated: BTreeMap::from([("restapi".to_owned(), of("restapi"))]),
    };
    (of("root"), files)
}

fn check(roles: Vec<Role>, unedited: bool, dice: &mut Bytes<'_>) {
    let (site_root, files) = files(&roles);
    let vendor = Vendor {
        name: "stibo".parse().expect("a name"),
        prefixes: Vec::new(),
        root: Sha256::of(&site_root),
        since: None,
    };
    let now: Time = TODAY.parse().expect("a time");
    let expiry = if dice.once_in(2) {
        Expiry::Desk {
            now,
            source_age_days: None,
        }
    } else {
        Expiry::Host {
            now,
            time_floor: Time::EPOCH,
            age_days: 90,
            accept_expired: false,
        }
    };
    let verify = |floors: &[Floor]| vendor::verify(&vendor, &site_root, &files, floors, &expiry);
    match verify(&[]) {
        Ok(verified) => {
            was_signed(&verified, &roles);
            // What was accepted is accepted again, and one version above it is not.
            let again = verify(verified.floors()).expect("its own floors");
            assert_eq!(again.floors(), verified.floors());
            let mut floors = verified.floors().to_vec();
            let at = dice.below(floors.len());
            floors[at].version += 1;
            assert!(verify(&floors).is_err(), "below the floor of {}", floors[at].role);
        }
        Err(why) => assert!(!unedited, "an unedited repository is refused: {why}"),
    }
}

/// Every recipe that the chain names stands, in these words, in a file that its role's key signed. The
/// site's root is the word of the site's owner, who may name other keys; then nothing can be said.
fn was_signed(verified: &VerifiedVendor, roles: &[Role]) {
    let untouched = |name: &str| {
        let mut all = roles.iter().filter(|role| role.name == name);
        let mut first = ONE_ROOT.iter().filter(|role| role.name == name);
        let (now, then) = (all.next(), first.next());
        now.zip(then).is_some_and(|(now, then)| now.signed == then.signed)
    };
    if !untouched("root") || roles.iter().filter(|role| role.name == "root").count() > 1 {
        return;
    }
    for path in RECIPES {
        let path: RecipePath = path.parse().expect("a path");
        let Ok(found) = verified.target(&path) else {
            continue;
        };
        let named = ROLES.iter().find(|(name, _)| *name == found.role);
        // A delegation that was edited and signed by the right key may name other keys.
        if found.role != "targets" && !untouched("targets") {
            continue;
        }
        let (name, _) = named.expect("a role that there is");
        let role = roles.iter().find(|role| role.name == *name);
        let role = role.expect("its file");
        // Whichever edit came last, what stands in the file was signed by the key of the role.
        let file: Value = serde_json::from_slice(&role.file).expect("JSON");
        let listed = &file["signed"]["targets"][path.as_str()];
        assert_eq!(
            listed["hashes"]["sha256"].as_str(),
            Some(found.sha256.to_string().as_str())
        );
        assert_eq!(listed["length"].as_u64(), Some(found.size));
        assert!(
            signed_by(&file, role.seed),
            "{path} is named by role {name}, whose key did not sign: {file}"
        );
    }
}

/// Whether any signature in the file is by this key, over what stands in it.
fn signed_by(file: &Value, seed: u8) -> bool {
    let bytes = to_canonical_bytes(&file["signed"]).expect("canonical");
    let wanted = hex(&shared::key(seed).sign_raw(&bytes).expect("a signature"));
    let signatures = file["signatures"].as_array().cloned().unwrap_or_default();
    // ed25519 as it is made here is deterministic: the right signature is these digits, in either case.
    let is = |sig: &Value| sig.as_str().is_some_and(|sig| sig.eq_ignore_ascii_case(&wanted));
    signatures.iter().any(|s| is(&s["sig"]))
}
