//! `publish init`: an empty release repository and the keys of its roles.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::KeyFolder;
use super::keys::public_key;
use crate::disk::{DiskError, durable};
use crate::model::text::{Shown, path_as_text};
use crate::model::{Refusal, RefusalName, Sha256, Time, Watch};
use crate::release::layout::{METADATA, TOP_LEVEL};
use crate::release::tuf::{Key, Lifetimes, RoleKeys, Root};
use crate::release::{Envelope, Paper, Repository, Signers, paper::Tally};
use crate::trust::SigningKey;

/// Longest lifetime of a role, in days.
const LIFETIME_MAX: u16 = 3_660;

/// What `publish init` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// How many root keys must sign a root.
    pub threshold: u64,
    /// Public key files of other holders of a root key.
    pub root_keys: Vec<PathBuf>,
    /// Days that each role is valid for.
    pub lifetimes: Lifetimes,
}

/// What `publish init` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The root file.
    #[serde(serialize_with = "path_as_text")]
    pub root: PathBuf,
    /// Its SHA-256, once it has all signatures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<Sha256>,
    /// Its signatures.
    pub signatures: Tally,
    /// When it ends to be valid.
    pub root_expires: Time,
    /// The folder of the keys.
    #[serde(serialize_with = "path_as_text")]
    pub keys: PathBuf,
    /// The keys that were made; the others were there.
    pub keys_made: Vec<String>,
}

/// Makes the repository.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    check_apart(request)?;
    Repository::vacant(&request.repository)?;
    check_lifetimes(request.lifetimes)?;
    let others = other_root_keys(&request.root_keys)?;
    check_threshold(request.threshold, others.len())?;
    let made = Made::new(&request.keys, watch)?;
    let root = root(request, &made, &others, now)?;
    let repository = Repository::create(&request.repository, root, &made.signers, now)?;
    let tally = Paper::of(&repository, "root")?.tally()?;
    let path = request.repository.join(METADATA).join("1.root.json");
    let root_sha256 = if tally.complete() {
        Some(digest(&path)?)
    } else {
        None
    };
    Ok(Outcome {
        root: path,
        root_sha256,
        signatures: tally,
        root_expires: repository.state().root.signed.expires,
        keys: request.keys.path.clone(),
        keys_made: made.new,
    })
}

/// The keys of all roles, found or made.
struct Made {
    root: SigningKey,
    public: BTreeMap<&'static str, Key>,
    signers: Signers,
    new: Vec<String>,
}

impl Made {
    fn new(folder: &KeyFolder, watch: &dyn Watch) -> Result<Self, Refusal> {
        let mut made_now = Vec::new();
        let mut key = |role: &str| {
            folder.load_or_make(role, watch).map(|(key, new)| {
                made_now.extend(new.then(|| role.to_owned()));
                key
            })
        };
        let [root, targets, snapshot, timestamp] = TOP_LEVEL;
        let root = key(root)?;
        let mut signers = Signers::new(true);
        let mut ids = BTreeMap::new();
        for role in [targets, snapshot, timestamp] {
            ids.insert(role, Key::of_private(role, &key(role)?)?);
            signers.add(role, key(role)?)?;
        }
        Ok(Self {
            root,
            public: ids,
            signers,
            new: made_now,
        })
    }
}

/// The first root, signed with the one root key that is here.
fn root(
    request: &Request,
    made: &Made,
    others: &[Key],
    now: Time,
) -> Result<Envelope<Root>, Refusal> {
    let own = Key::of_private("root", &made.root)?;
    if others.contains(&own) {
        return Err(Refusal::new(
            RefusalName::Usage,
            "a --root-key is the root key in the key folder itself",
        )
        .next("name the public keys of the other holders alone"));
    }
    let mut keys = BTreeMap::new();
    let mut roles = BTreeMap::new();
    let mut root_ids = Vec::new();
    for key in [&own].into_iter().chain(others) {
        let id = key.id()?;
        root_ids.push(id);
        keys.insert(id, key.clone());
    }
    roles.insert(
        "root".to_owned(),
        RoleKeys::new(root_ids, request.threshold),
    );
    for (role, key) in &made.public {
        let id = key.id()?;
        keys.insert(id, key.clone());
        roles.insert((*role).to_owned(), RoleKeys::new(vec![id], 1));
    }
    let body = Root {
        consistent_snapshot: true,
        keys,
        lifetimes: request.lifetimes,
        roles,
        extra: serde_json::Map::new(),
    };
    let expires = now.plus_days(request.lifetimes.root.into());
    let mut envelope = Envelope::unsigned("root", 1, expires, None, body);
    envelope.sign(&made.root)?;
    Ok(envelope)
}

fn check_lifetimes(lifetimes: Lifetimes) -> Result<(), Refusal> {
    let days = [
        lifetimes.root,
        lifetimes.snapshot,
        lifetimes.targets,
        lifetimes.timestamp,
    ];
    if days.iter().all(|days| (1..=LIFETIME_MAX).contains(days)) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Usage,
        format!("a role is valid for 1 to {LIFETIME_MAX} days"),
    )
    .next("leave --expires-days away, or give it a number of days in that range"))
}

fn check_threshold(threshold: u64, others: usize) -> Result<(), Refusal> {
    let keys = u64::try_from(others).unwrap_or(u64::MAX).saturating_add(1);
    if (1..=keys).contains(&threshold) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Usage,
        "the threshold asks for more root keys than there are, or for none",
    )
    .value("threshold", threshold)
    .value("root keys", keys)
    .next("add --root-key PUB for each further holder of a root key, or lower --threshold"))
}

fn other_root_keys(files: &[PathBuf]) -> Result<Vec<Key>, Refusal> {
    let mut keys = Vec::new();
    for file in files {
        let key = public_key(file)?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// A repository is copied to where everybody reads it; keys are not, however either is spelled.
fn check_apart(request: &Request) -> Result<(), Refusal> {
    let (keys, repository) = (real(&request.keys.path)?, real(&request.repository)?);
    let what = if keys.starts_with(&repository) {
        "the keys would lie in the repository, which is published"
    } else if repository.starts_with(&keys) {
        "the repository would lie among the keys, and is copied to where everybody reads it"
    } else {
        return Ok(());
    };
    Err(Refusal::new(RefusalName::Usage, what)
        .value("keys", request.keys.path.display())
        .value("repository", request.repository.display())
        .next("name another folder: --keys DIR"))
}

/// Where a path leads, links followed as far as it exists: what does not exist yet becomes folders.
fn real(path: &Path) -> Result<PathBuf, Refusal> {
    let start = if path.is_absolute() { "/" } else { "." };
    let start = Path::new(start);
    let mut real = start.canonicalize().map_err(DiskError::io("find", start))?;
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                real.push(name);
                if let Ok(led) = real.canonicalize() {
                    real = led;
                }
            }
            Component::ParentDir => drop(real.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(real)
}

fn digest(path: &Path) -> Result<Sha256, Refusal> {
    let bytes = durable::read(path, crate::release::layout::METADATA_MAX)?;
    Ok(Sha256::of(&bytes))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "made an empty release repository")?;
        writeln!(f, "  root     {}", Shown(&self.root))?;
        if let Some(sha256) = &self.root_sha256 {
            writeln!(f, "  sha256   {sha256}")?;
        }
        writeln!(
            f,
            "  signed   {} of {}, valid until {}",
            self.signatures.have,
            self.signatures.threshold,
            self.root_expires.date()
        )?;
        let made = if self.keys_made.is_empty() {
            "all were there".to_owned()
        } else {
            format!("made {}", self.keys_made.join(", "))
        };
        writeln!(f, "  keys     {}: {made}", Shown(&self.keys))?;
        let key = self.keys.join("root");
        if self.root_sha256.is_some() {
            write!(
                f,
                "  next     give {} and its sha256 to the site owner, and move {} to a safe place: no daily command needs it",
                Shown(&self.root),
                Shown(&key)
            )
        } else {
            write!(
                f,
                "  next     have the other holders sign it: lockstep publish sign --role root --bytes OUT, then --signature FILE"
            )
        }
    }
}
