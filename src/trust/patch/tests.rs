//! A whole patch in memory, and one test for each attack on it.

mod ownership;

use super::*;
use crate::model::Refusal;
use crate::model::patch::{CarriedRecipe, CarriedVendor, Pack, PatchNode};
use crate::model::recipe::{Entry, FileContent, Hot, Mode, Recipe, What};
use crate::model::site::Site;
use crate::model::snapshot::{Challenge, Installed, Marks, NodeId, Program};
use crate::model::state::state_digest;
use crate::model::statement::{APPROVAL_NAMESPACE, FORMAT};
use crate::model::{Blake3, Kind, Member, RefusalName};
use crate::spr::{canonical, encode_small};
use crate::trust::site::tests::{
    OWNER, environment, pinned, raw_signed, signer, site, site_members, test_key,
};
use crate::trust::vendor::tests::{RECIPE, Repository, TODAY, at, host};

const PREPARER: u8 = 2;
const NODE: u8 = 30;

/// A recipe that owns one file.
fn recipe(owns: &str) -> Recipe {
    let file = FileContent {
        blake3: Blake3::of(b"x"),
        mode: Mode::FOLDER,
        sha256: Sha256::of(b"x"),
        size: 1,
        stored_sha256: Sha256::of(b"x"),
        stored_size: 1,
    };
    Recipe {
        config: Vec::new(),
        files: vec![Entry {
            path: owns.parse().unwrap(),
            what: What::File(file.into()),
        }],
        format: FORMAT,
        hot: Hot::Yes,
        joint: Vec::new(),
        kind: Kind::Recipe,
        licence: None,
        members: Vec::new(),
        name: "restapi".parse().unwrap(),
        notes: None,
        one_way: None,
        release: Vec::new(),
        replaces: Vec::new(),
        requires: Vec::new(),
        takes: Vec::new(),
        version: "7.0.40".parse().unwrap(),
    }
}

fn recipe_file(recipe: &Recipe) -> Vec<u8> {
    let bytes = canonical::encode(recipe).unwrap();
    encode_small(Kind::Recipe, &bytes, &[], &[]).unwrap()
}

fn snapshot() -> Snapshot {
    Snapshot {
        challenge: Challenge::from_bytes([3; 32]),
        components: Vec::new(),
        config: Vec::new(),
        created: Time::EPOCH,
        drift: Vec::new(),
        environment: environment(),
        floors: Vec::new(),
        format: FORMAT,
        indexed: None,
        kind: Kind::Snapshot,
        marks: Marks {
            hardware: None,
            inode: 1,
            machine: None,
            root: Sha256::of(b"/opt"),
        },
        members: Vec::new(),
        node: NodeId {
            key: test_key(NODE).public().unwrap(),
            name: "node-1".parse().unwrap(),
        },
        node_rules: None,
        program: Program::this(),
        receipt: Some(Sha256::of(b"")),
        sequence: 5,
        site: SiteRef {
            sha256: Sha256::of(b""),
            version: 1,
        },
        state: state_digest(&[], &[]),
    }
}

fn pack(bytes: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let mut packer = zstd::bulk::Compressor::with_dictionary(9, dictionary).unwrap();
    packer.compress(bytes).unwrap()
}

/// Everything a patch is made of, before it is put together.
struct Bench {
    repository: Repository,
    recipe_file: Vec<u8>,
    base: Option<Vec<u8>>,
    kept: std::cell::RefCell<Vec<Vec<u8>>>,
    site: Site,
    members: BTreeMap<String, Vec<u8>>,
    patch: Patch,
    preparers: Vec<u8>,
    floors: Vec<Floor>,
    approvals: Vec<u8>,
}

impl RecipeFiles for Bench {
    fn base(&self, _: &Sha256) -> Option<Vec<u8>> {
        self.base.clone()
    }

    fn keep(&self, _: &Sha256, file: &[u8]) -> Result<(), Refusal> {
        self.kept.borrow_mut().push(file.to_vec());
        Ok(())
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(&recipe("lib/a.jar"))
    }

    fn with(recipe: &Recipe) -> Self {
        Self::with_file(recipe_file(recipe))
    }

    /// The vendor's chain names this file, whatever is in it.
    fn with_file(file: Vec<u8>) -> Self {
        let repository = Repository::new(&file);
        let site = site(1, &repository.site_root());
        let digest = Sha256::of(&file);
        let state = state_digest(&[], &[]);
        let patch = Patch {
            accepted: Vec::new(),
            apply_before: Time::EPOCH,
            created: Time::EPOCH,
            downgrades: Vec::new(),
            environment: environment(),
            format: FORMAT,
            kind: Kind::Patch,
            members: Vec::new(),
            memory: 0,
            nodes: vec![PatchNode {
                adopted: None,
                after: Sha256::of(b"after"),
                before: state,
                challenge: Challenge::from_bytes([3; 32]),
                name: "node-1".parse().unwrap(),
                sequence: 5,
                snapshot: Sha256::of(b""),
            }],
            operations: None,
            packs: Vec::new(),
            recipes: vec![CarriedRecipe {
                base: None,
                recipe: digest,
                size: u64::try_from(file.len()).unwrap(),
            }],
            site: SiteRef {
                sha256: Sha256::of(&canonical::encode(&site).unwrap()),
                version: 1,
            },
            target: vec![Installed::new(
                "stibo".parse().unwrap(),
                RECIPE.parse().unwrap(),
                digest,
                false,
            )],
            vendors: vec![CarriedVendor {
                issued: at("2026-11-20T00:00:00Z"),
                name: "stibo".parse().unwrap(),
            }],
            volumes: vec![0],
        };
        let mut bench = Self {
            repository,
            recipe_file: file,
            base: None,
            kept: Vec::new().into(),
            site,
            members: BTreeMap::new(),
            patch,
            preparers: vec![PREPARER],
            floors: Vec::new(),
            approvals: Vec::new(),
        };
        bench.add_snapshot(&snapshot(), NODE);
        bench.add_metadata();
        bench.add_recipe();
        bench
    }

    fn add_snapshot(&mut self, snapshot: &Snapshot, key: u8) {
        let raw = raw_signed(snapshot, &[&test_key(key)]);
        let member = "snapshots/node-1.json".to_owned();
        self.patch.nodes[0].snapshot = raw.sha256();
        self.members.retain(|name, _| !name.starts_with(&member));
        for signature in raw.signatures {
            self.members
                .insert(format!("{member}.sig"), signature.armoured);
        }
        self.members.insert(member, raw.bytes);
    }

    fn add_metadata(&mut self) {
        let files = self.repository.files();
        let mut add = |name: &str, bytes: &[u8]| {
            let name = format!("vendor/stibo/{name}.zst");
            self.members.insert(name, pack(bytes, b""));
        };
        add("timestamp.json", &files.timestamp);
        add("1.snapshot.json", &files.snapshot);
        add("1.targets.json", &files.targets);
        for (role, bytes) in &files.delegated {
            add(&format!("1.{role}.json"), bytes);
        }
    }

    fn add_recipe(&mut self) {
        let name = Patch::recipe_member(&Sha256::of(&self.recipe_file));
        let base = self.base.clone().unwrap_or_default();
        self.members.insert(name, pack(&self.recipe_file, &base));
    }

    /// Puts `newer` inside, and names it as the site that the patch was made under.
    fn carry_site(&mut self, newer: &Site, key: u8) {
        let root = self.repository.site_root();
        let raw = raw_signed(newer, &[&test_key(key)]);
        self.patch.site = SiteRef {
            sha256: raw.sha256(),
            version: newer.version,
        };
        let members = site_members(&root);
        let file = encode_small(Kind::Site, &raw.bytes, &raw.signatures, &members).unwrap();
        self.members.insert(SITE_MEMBER.to_owned(), file);
    }

    fn sealed(&self) -> PatchParts {
        let mut patch = self.patch.clone();
        patch.members = self
            .members
            .iter()
            .map(|(name, bytes)| Member::of(name.as_str(), bytes))
            .collect();
        let keys: Vec<_> = self.preparers.iter().map(|key| test_key(*key)).collect();
        let keys: Vec<_> = keys.iter().collect();
        PatchParts {
            raw: raw_signed(&patch, &keys),
            members: self.members.clone(),
        }
    }

    fn check(&self, parts: PatchParts) -> Result<(VerifiedPatch, Checklist), TrustError> {
        let site = pinned(&self.site, &self.repository.site_root());
        let approvals: Vec<Vec<u8>> = self
            .approvals
            .iter()
            .map(|key| {
                test_key(*key)
                    .sign(APPROVAL_NAMESPACE, &parts.raw.bytes)
                    .unwrap()
            })
            .collect();
        let context = PatchContext {
            site: &site,
            floors: &self.floors,
            approvals: Approvals::Offered(approval::Offered {
                named: &approvals,
                found: &[],
            }),
            expiry: host(TODAY),
            recipe_files: self,
        };
        let mut checks = Checklist::default();
        verify(parts, &context, &mut checks).map(|patch| (patch, checks))
    }

    fn passes(&self) -> (VerifiedPatch, Checklist) {
        self.check(self.sealed()).unwrap()
    }

    fn refused(&self) -> TrustError {
        self.check(self.sealed()).err().unwrap()
    }

    fn refusal(&self, name: RefusalName, word: &str) {
        let error = self.refused();
        assert_eq!(error.refusal(), name, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }

    /// The whole message names these words too.
    fn tells(&self, words: &[&str]) {
        let text = crate::model::Refusal::from(self.refused()).to_string();
        for word in words {
            assert!(text.contains(word), "{text}, not {word}");
        }
    }
}

#[test]
fn a_good_patch_says_all_that_was_checked() {
    let bench = Bench::new();
    let (patch, checks) = bench.passes();
    let names: Vec<&str> = checks.0.iter().map(|check| check.name).collect();
    assert_eq!(
        names,
        [
            "site file",
            "preparer",
            "made under",
            "approvals",
            "snapshot",
            "vendor",
            "recipe",
            "members"
        ]
    );
    assert_eq!(patch.preparer(), &signer("anna", PREPARER));
    assert_eq!(patch.time_floor(), Some(at("2026-11-20T00:00:00Z")));
    assert_eq!(patch.floors().len(), 5);
    assert_eq!(patch.vendor_files().count(), 4);
    assert_eq!(patch.warnings().count(), 0);
    assert!(!patch.newer_site());
    let digest = Sha256::of(&bench.recipe_file);
    assert_eq!(
        *bench.kept.borrow(),
        std::slice::from_ref(&bench.recipe_file)
    );
    assert_eq!(
        patch.recipes()[&digest].recipe(),
        &recipe("lib/a.jar").into()
    );
    let snapshot = patch.snapshot(&"node-1".parse().unwrap()).unwrap();
    assert_eq!(snapshot.get().sequence, 5);
}

#[test]
fn a_patch_edited_and_signed_by_a_stranger_is_refused() {
    let mut bench = Bench::new();
    bench.preparers = vec![9];
    bench.refusal(RefusalName::UntrustedSigner, "patch");
    let mut parts = Bench::new().sealed();
    let at = parts.raw.bytes.len() / 2;
    parts.raw.bytes[at] ^= 1;
    let error = Bench::new().check(parts).err().unwrap();
    assert_eq!(error.refusal(), RefusalName::BadSignature);
}

#[test]
fn a_second_preparer_cannot_stand_in_for_an_approver() {
    let mut bench = Bench::new();
    bench.site.preparers.push(signer("ben", 3));
    let raw = canonical::encode(&bench.site).unwrap();
    bench.patch.site.sha256 = Sha256::of(&raw);
    assert!(bench.check(bench.sealed()).is_ok());
    bench.preparers.push(3);
    bench.refusal(RefusalName::BadSignature, "2 signatures");
}

#[test]
fn members_are_the_ones_that_were_signed() {
    let bench = Bench::new();
    let change = |change: &dyn Fn(&mut PatchParts)| {
        let mut parts = bench.sealed();
        change(&mut parts);
        bench.check(parts).err().map(|e| e.refusal())
    };
    let name = "vendor/stibo/timestamp.json.zst";
    let corrupt = Some(RefusalName::Corrupt);
    assert_eq!(change(&|p| drop(p.members.remove(name))), corrupt);
    assert_eq!(
        change(&|p| p.members.get_mut(name).unwrap().push(0)),
        corrupt
    );
    assert_eq!(
        change(&|p| drop(p.members.insert("x".to_owned(), vec![]))),
        corrupt
    );
}

#[test]
fn a_hundred_thousand_packs_are_gone_through_once() {
    let bench = Bench::new();
    let mut patch = bench.patch.clone();
    for number in 0..100_000 {
        let member = format!("packs/{number:06}.zst");
        patch.members.push(Member::of(member.as_str(), b""));
        patch.packs.push(Pack { member, size: 1 });
    }
    let began = std::time::Instant::now();
    members::Parts::of(&patch, BTreeMap::new())
        .unwrap()
        .finish()
        .unwrap();
    let took = began.elapsed();
    // A scan of all packs for each of them takes minutes, this less than a second.
    assert!(took.as_secs() < 20, "{took:?}");
}

#[test]
fn a_member_without_a_place_is_refused() {
    for name in [
        "x",
        "vendor/other/timestamp.json.zst",
        "snapshots/other.json",
    ] {
        let mut bench = Bench::new();
        bench.members.insert(name.to_owned(), b"x".to_vec());
        bench.refusal(RefusalName::Corrupt, "no place");
    }
}

#[test]
fn a_newer_site_inside_counts() {
    let mut bench = Bench::new();
    let mut newer = bench.site.clone();
    newer.version = 2;
    newer.preparers = vec![signer("ben", 3)];
    bench.carry_site(&newer, OWNER);
    bench.preparers = vec![3];
    let (patch, _) = bench.passes();
    assert!(patch.newer_site());
    assert_eq!(patch.site().site().version, 2);
}

#[test]
fn a_removed_preparers_patch_is_refused() {
    let mut bench = Bench::new();
    let mut newer = bench.site.clone();
    newer.version = 2;
    newer.preparers = vec![signer("ben", 3)];
    bench.carry_site(&newer, OWNER);
    bench.refusal(RefusalName::UntrustedSigner, "patch");
}

#[test]
fn a_newer_site_by_another_owner_is_refused() {
    let mut bench = Bench::new();
    let mut newer = bench.site.clone();
    newer.version = 2;
    newer.owner = signer("anna", PREPARER);
    bench.carry_site(&newer, PREPARER);
    bench.refusal(RefusalName::UntrustedSigner, "site");
}

#[test]
fn a_newer_sites_policy_counts() {
    let mut bench = Bench::new();
    let mut newer = bench.site.clone();
    newer.version = 2;
    newer.policy.approvals = 1;
    newer.approvers = vec![signer("carl", 4)];
    bench.carry_site(&newer, OWNER);
    bench.refusal(RefusalName::NotApproved, "approvals");
    bench.approvals = vec![4];
    let (patch, _) = bench.passes();
    assert_eq!(patch.approvals()[0].as_str(), "carl");
}

#[test]
fn a_patch_under_another_site_file_is_refused() {
    let mut bench = Bench::new();
    bench.patch.site.version = 2;
    bench.refusal(RefusalName::UntrustedSigner, "newer site file");
    let mut bench = Bench::new();
    bench.site.version = 3;
    bench.refusal(RefusalName::UntrustedSigner, "older site file");
    bench.carry_site(&Bench::new().site, OWNER);
    bench.refusal(RefusalName::UntrustedSigner, "older site file");
    bench.tells(&["prepare the patch again with the newer site file"]);
    let mut bench = Bench::new();
    bench.patch.site.sha256 = Sha256::of(b"another");
    bench.refusal(RefusalName::BadSignature, "two different site files");
}

#[test]
fn a_snapshot_of_another_environment_or_state_is_refused() {
    let refused = |what: &str, change: fn(&mut Snapshot)| {
        let mut bench = Bench::new();
        let mut other = snapshot();
        change(&mut other);
        bench.add_snapshot(&other, NODE);
        bench.refusal(RefusalName::Corrupt, what);
    };
    refused("environment", |s| s.environment.id = uuid::Uuid::nil());
    refused("challenge", |s| {
        s.challenge = Challenge::from_bytes([4; 32]);
    });
    refused("sequence", |s| s.sequence = 6);
    refused("node", |s| s.node.name = "node-2".parse().unwrap());
    let mut bench = Bench::new();
    bench.patch.nodes[0].before = Sha256::of(b"another");
    bench.refusal(RefusalName::Corrupt, "state");
    let mut bench = Bench::new();
    bench.patch.nodes[0].snapshot = Sha256::of(b"another");
    bench.refusal(RefusalName::Corrupt, "digest");
}

#[test]
fn a_snapshot_signed_by_another_key_is_refused() {
    let mut bench = Bench::new();
    bench.add_snapshot(&snapshot(), 31);
    bench.refusal(
        RefusalName::BadSignature,
        "another key than the one that made it",
    );
    let mut bench = Bench::new();
    bench.members.remove("snapshots/node-1.json.sig");
    bench.refusal(RefusalName::Corrupt, "snapshots/node-1.json.sig");
}

#[test]
fn a_recipe_that_the_vendor_does_not_name_is_refused() {
    let mut bench = Bench::new();
    let other = recipe_file(&recipe("lib/b.jar"));
    bench
        .members
        .retain(|name, _| !name.starts_with("recipes/"));
    bench.recipe_file = other;
    let digest = Sha256::of(&bench.recipe_file);
    bench.patch.target[0].recipe = digest;
    bench.patch.recipes[0].recipe = digest;
    bench.add_recipe();
    bench.refusal(RefusalName::VendorUntrusted, "another file");
}

#[test]
fn a_recipe_at_anothers_path_is_refused() {
    let mut named_wrong = recipe("lib/a.jar");
    named_wrong.name = "core".parse().unwrap();
    let mut bench = Bench::with(&named_wrong);
    bench.refusal(RefusalName::Corrupt, "holds the recipe of core");
    bench = Bench::new();
    bench.patch.target[0].release = true;
    bench.refusal(RefusalName::Corrupt, "whether it is a release");
}

#[test]
fn a_delegates_recipe_owns_only_what_its_delegation_grants() {
    Bench::with(&recipe("bin/run")).refusal(RefusalName::VendorUntrusted, "may not install to");
    Bench::with(&recipe("library/x")).refusal(RefusalName::VendorUntrusted, "may not install to");
}

#[test]
fn a_recipe_outside_the_target_is_refused() {
    let mut bench = Bench::new();
    bench.patch.target.clear();
    bench.refusal(RefusalName::Corrupt, "of the target");
}

#[test]
fn a_recipe_whose_vendor_is_not_inside_or_not_trusted_is_refused() {
    let mut bench = Bench::new();
    bench.patch.vendors.clear();
    bench.members.retain(|name, _| !name.starts_with("vendor/"));
    bench.refusal(RefusalName::VendorUntrusted, "none that names");
    let mut bench = Bench::new();
    bench.patch.vendors[0].name = "mallory".parse().unwrap();
    bench.refusal(RefusalName::VendorUntrusted, "does not name it");
}

#[test]
fn a_recipe_compressed_against_an_installed_one_needs_it() {
    let mut bench = Bench::new();
    let base = recipe_file(&recipe("lib/old.jar"));
    bench.patch.recipes[0].base = Some(Sha256::of(&base));
    bench.base = Some(base);
    bench.add_recipe();
    bench.passes();
    let parts = bench.sealed();
    bench.base = None;
    let error = bench.check(parts).err().unwrap();
    assert_eq!(error.refusal(), RefusalName::Incomplete);
}

#[test]
fn a_recipe_with_other_bytes_than_its_digest_is_refused() {
    let mut bench = Bench::new();
    let name = Patch::recipe_member(&Sha256::of(&bench.recipe_file));
    let mut other = bench.recipe_file.clone();
    other[0] ^= 1;
    bench.members.insert(name, pack(&other, b""));
    bench.refusal(RefusalName::Corrupt, "holds another file");
}

#[test]
fn metadata_named_by_another_version_is_refused() {
    let mut bench = Bench::new();
    let bytes = bench
        .members
        .remove("vendor/stibo/1.targets.json.zst")
        .unwrap();
    bench
        .members
        .insert("vendor/stibo/2.targets.json.zst".to_owned(), bytes);
    bench.refusal(RefusalName::Corrupt, "another version than its own");
}

#[test]
fn a_time_of_issue_that_the_vendor_did_not_sign_is_refused() {
    let mut bench = Bench::new();
    bench.patch.vendors[0].issued = at(TODAY);
    bench.refusal(RefusalName::Corrupt, "issued");
}

#[test]
fn a_patch_of_an_old_repository_is_refused_and_other_floors_stay() {
    let mut bench = Bench::new();
    let (patch, _) = bench.passes();
    bench.floors = patch.floors().to_vec();
    let mut other = bench.floors[0].clone();
    other.vendor = "another".parse().unwrap();
    bench.floors.push(other.clone());
    let (patch, _) = bench.passes();
    assert_eq!(patch.floors()[0], other);
    assert_eq!(patch.floors().len(), 6);
    bench.floors[0].version = 9;
    bench.refusal(RefusalName::VendorUntrusted, "rollback");
}
