//! A TUF repository in memory: each role is a JSON value that a test changes, and `publish` signs.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer as _, SigningKey};
use lockstep::model::Sha256;
use lockstep::model::digest::hex;
use lockstep::trust::vendor::client::quote;
use serde_json::{Value, json};

use crate::Done;
use crate::server::{Answer, Files};

/// When nothing expires while the tests run.
pub(crate) const LATER: &str = "2099-01-01T00:00:00Z";
/// What has expired wherever the tests run.
pub(crate) const PAST: &str = "2001-01-01T00:00:00Z";

/// The four roles of every repository, in the order in which they are published.
pub(crate) const ALL: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];
/// What follows a change of targets.
pub(crate) const DOWN: [&str; 3] = ["targets", "snapshot", "timestamp"];

/// Under which id a key signs, and its seed.
pub(crate) type Signer = (String, u8);

/// A repository.
pub(crate) struct Repository {
    signed: BTreeMap<String, Value>,
    signers: BTreeMap<String, Vec<Signer>>,
    /// What is served.
    pub(crate) files: Files,
}

impl Repository {
    /// Version 1 of all four roles, each with a key of its own.
    pub(crate) fn new() -> Done<Self> {
        let mut new = Self {
            signed: BTreeMap::new(),
            signers: BTreeMap::new(),
            files: Files::new(),
        };
        for (role, more) in [
            (
                "root",
                json!({"consistent_snapshot": true, "keys": {}, "roles": {}}),
            ),
            ("timestamp", json!({"meta": {}})),
            ("snapshot", json!({"meta": {}})),
            ("targets", json!({"targets": {}})),
        ] {
            new.signed.insert(role.to_owned(), fresh(role, more));
        }
        for (role, seed) in ALL.into_iter().zip(1..) {
            new.rotate(role, &[seed], 1)?;
        }
        new.publish(&ALL)?;
        Ok(new)
    }

    /// A role, to change before it is published.
    pub(crate) fn role(&mut self, role: &str) -> Done<&mut Value> {
        let unknown = || format!("there is no role {role}");
        Ok(self.signed.get_mut(role).ok_or_else(unknown)?)
    }

    /// Gives a top-level role these keys.
    pub(crate) fn rotate(&mut self, role: &str, seeds: &[u8], threshold: u64) -> Done {
        let root = self.role("root")?;
        let ids: Vec<String> = seeds.iter().map(|seed| id(*seed)).collect();
        for seed in seeds {
            root["keys"][id(*seed)] = key(*seed);
        }
        root["roles"][role] = json!({"keyids": ids, "threshold": threshold});
        self.sign_by(role, seeds);
        Ok(())
    }

    /// Lets the keys of these seeds sign a role, whatever the root says.
    pub(crate) fn sign_by(&mut self, role: &str, seeds: &[u8]) {
        let signers = seeds.iter().map(|seed| (id(*seed), *seed)).collect();
        self.sign_as(role, signers);
    }

    /// [`Repository::sign_by`] under ids that the caller chooses.
    pub(crate) fn sign_as(&mut self, role: &str, signers: Vec<Signer>) {
        self.signers.insert(role.to_owned(), signers);
    }

    /// Lets `parent` delegate `paths` to the role `name`, which a key of this seed signs.
    pub(crate) fn delegate(&mut self, parent: &str, name: &str, seed: u8, rest: &Value) -> Done {
        let parent = self.role(parent)?;
        if parent.get("delegations").is_none() {
            parent["delegations"] = json!({"keys": {}, "roles": []});
        }
        parent["delegations"]["keys"][id(seed)] = key(seed);
        let mut role =
            json!({"name": name, "keyids": [id(seed)], "threshold": 1, "terminating": false});
        for (field, value) in rest.as_object().into_iter().flatten() {
            role[field] = value.clone();
        }
        let roles = parent["delegations"]["roles"].as_array_mut();
        roles.ok_or("delegations are no list")?.push(role);
        let empty = fresh("targets", json!({"targets": {}}));
        self.signed.entry(name.to_owned()).or_insert(empty);
        self.sign_by(name, &[seed]);
        Ok(())
    }

    /// Lets `role` name `bytes` as `path`, and serves them.
    pub(crate) fn artifact(&mut self, role: &str, path: &str, bytes: &[u8]) -> Done {
        let digest = Sha256::of(bytes).to_string();
        self.role(role)?["targets"][path] = pin(bytes);
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folders = if folders.is_empty() {
            String::new()
        } else {
            format!("{folders}/")
        };
        let place = format!("targets/{folders}{digest}.{name}");
        self.files.insert(place, Answer::File(bytes.to_vec()));
        Ok(())
    }

    /// Signs the next version of these roles, and names each in the one above it.
    pub(crate) fn publish(&mut self, roles: &[&str]) -> Done {
        for role in roles {
            let next = self.role(role)?["version"].as_u64().ok_or("no version")?;
            self.publish_as(role, next.saturating_add(1))?;
        }
        Ok(())
    }

    /// Publishes targets, snapshot and timestamp, one of them in a version of the caller's.
    pub(crate) fn publish_down(&mut self, role: &str, version: u64) -> Done {
        for name in DOWN {
            if name == role {
                self.publish_as(name, version)?;
            } else {
                self.publish(&[name])?;
            }
        }
        Ok(())
    }

    /// [`Repository::publish`] of one role in a version that need not be the next.
    pub(crate) fn publish_as(&mut self, role: &str, version: u64) -> Done {
        self.role(role)?["version"] = json!(version);
        let bytes = self.sign(role)?;
        let listed = json!({"version": version, "length": bytes.len(),
            "hashes": {"sha256": Sha256::of(&bytes).to_string()}});
        match role {
            "root" | "timestamp" => {}
            "snapshot" => self.role("timestamp")?["meta"]["snapshot.json"] = listed,
            other => self.role("snapshot")?["meta"][format!("{other}.json")] = listed,
        }
        self.files.insert(place(role, version), Answer::File(bytes));
        Ok(())
    }

    /// The file of a role as it is now, signed.
    pub(crate) fn sign(&mut self, role: &str) -> Done<Vec<u8>> {
        let signed = self.role(role)?.clone();
        let canonical = sigstore_tuf::canonical_json::to_canonical_bytes(&signed)?;
        let signers = self.signers.get(role).ok_or("nobody signs it")?;
        let signature = |(id, seed): &Signer| {
            let signature = secret(*seed).sign(&canonical);
            json!({"keyid": id, "sig": hex(&signature.to_bytes())})
        };
        let signatures: Vec<Value> = signers.iter().map(signature).collect();
        Ok(serde_json::to_vec(
            &json!({"signatures": signatures, "signed": signed}),
        )?)
    }

    /// What is served as the file of a role.
    pub(crate) fn file(&self, role: &str, version: u64) -> Done<Vec<u8>> {
        match self.files.get(&place(role, version)) {
            Some(Answer::File(bytes)) => Ok(bytes.clone()),
            other => Err(format!("{role} {version} is {other:?}").into()),
        }
    }
}

/// Where a role's file is served.
pub(crate) fn place(role: &str, version: u64) -> String {
    match role {
        "timestamp" => "metadata/timestamp.json".to_owned(),
        other => format!("metadata/{version}.{}.json", quote(other)),
    }
}

/// The id of the key of a seed.
pub(crate) fn id(seed: u8) -> String {
    format!("key-{seed}")
}

/// The public key of a seed.
pub(crate) fn key(seed: u8) -> Value {
    let public = hex(secret(seed).verifying_key().as_bytes());
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}})
}

/// What metadata says of a file.
pub(crate) fn pin(bytes: &[u8]) -> Value {
    json!({"length": bytes.len(), "hashes": {"sha256": Sha256::of(bytes).to_string()}})
}

fn fresh(kind: &str, mut more: Value) -> Value {
    more["_type"] = json!(kind);
    more["spec_version"] = json!("1.0.31");
    more["version"] = json!(0);
    more["expires"] = json!(LATER);
    more
}

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}
