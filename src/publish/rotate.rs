//! `publish rotate`: new keys for a role.
//!
//! For root, targets, snapshot and timestamp that is a new root, signed by the root keys before and
//! by those after; for a delegation, new targets. All that the new keys answer for is signed anew in
//! the same change. New private keys are made in the key folder's `+next`; once they are in force,
//! the old ones lie in `+old`. A command that was cut short, or waits for signatures of people
//! elsewhere, is continued by typing it again.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::keys::public_key;
use super::{KeyFolder, standing};
use crate::model::text::{Shown, paths_as_text};
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::release::layout::TOP_LEVEL;
use crate::release::tuf::{Key, RoleKeys};
use crate::release::{NewKeys, Repository, Rotation, Signers, Standing, Written};

/// What `publish rotate` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The folder of the keys.
    pub keys: KeyFolder,
    /// The roles.
    pub roles: Vec<String>,
    /// Public key files of the new keys; none where they are made here.
    pub public: Vec<PathBuf>,
    /// How many keys are made for each role; one, unless the role has several now.
    pub make: Option<u64>,
    /// How many of the keys must sign; as many as now.
    pub threshold: Option<u64>,
    /// Whether the versions of these roles start anew.
    pub restart: bool,
}

/// What `publish rotate` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The roles.
    pub roles: Vec<String>,
    /// The version of the root in force.
    pub root: u64,
    /// The files written, in order; none where all but the keys was in place already.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
    /// Private keys that were set aside, where they lie now.
    #[serde(serialize_with = "paths_as_text")]
    pub aside: Vec<PathBuf>,
    /// Private keys that took their place.
    #[serde(serialize_with = "paths_as_text")]
    pub brought: Vec<PathBuf>,
}

/// Changes the keys.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let mut signers = signers(request, watch)?;
    let rotation = rotation(request, &repository, watch)?;
    for role in &request.roles {
        request.keys.add_next(role, &mut signers, watch)?;
    }
    let done = repository.rotate(&rotation, &signers, now)?;
    let finished = done.is_none();
    let written = done.unwrap_or_default();
    let (mut aside, mut brought) = (Vec::new(), Vec::new());
    if written.standing == Standing::Force {
        for (role, new) in &rotation.roles {
            let settled = request.keys.settle(role, &new.signers.keyids);
            let (old, new) = settled.map_err(|refusal| {
                refusal.unchanged("the new keys are in force; the key folder does not follow yet")
            })?;
            aside.extend(old);
            brought.extend(new);
        }
    }
    if finished && aside.is_empty() && brought.is_empty() {
        return Err(Refusal::new(
            RefusalName::NothingToDo,
            "these keys sign for the role already",
        )
        .value("role", request.roles.join(", "))
        .next("name other public keys with --key, or leave --key away to have new keys made"));
    }
    let Written { files, standing } = written;
    Ok(Outcome {
        roles: request.roles.clone(),
        root: repository.state().root.signed.version,
        written: files,
        standing,
        aside,
        brought,
    })
}

/// The new keys of every role asked for.
fn rotation(
    request: &Request,
    repository: &Repository,
    watch: &dyn Watch,
) -> Result<Rotation, Refusal> {
    if request.roles.len() != 1 && !request.public.is_empty() {
        return Err(Refusal::new(
            RefusalName::Usage,
            "public keys are given for one role at a time",
        )
        .value("roles", request.roles.join(", "))
        .next("publish rotate --role NAME --key PUB, once for each role"));
    }
    let state = repository.state();
    Rotation::check(state, &request.roles, request.restart)?;
    let mut rotation = Rotation {
        roles: BTreeMap::new(),
        restart: request.restart,
    };
    for role in &request.roles {
        let Some((current, _)) = state.signers(role) else {
            continue;
        };
        let keys = new_keys(request, role, current, watch)?;
        rotation.roles.insert(role.clone(), keys);
    }
    Ok(rotation)
}

fn new_keys(
    request: &Request,
    role: &str,
    current: &RoleKeys,
    watch: &dyn Watch,
) -> Result<NewKeys, Refusal> {
    let given = count(request.public.len());
    let made = request.make.unwrap_or(1);
    let threshold = request.threshold.unwrap_or(current.threshold);
    let keys = if given > 0 { given } else { made };
    if !(1..=keys).contains(&threshold) {
        return Err(Refusal::new(
            RefusalName::Usage,
            "the threshold asks for more keys than there would be, or for none",
        )
        .value("role", role)
        .value("threshold", threshold)
        .value("new keys", keys)
        .value("now", format!("{} of {}", current.threshold, current.keyids.len()))
        .next("say both: publish rotate --role NAME --make 3 --threshold 2, or --key PUB for each key"));
    }
    let keys: Vec<Key> = if given > 0 {
        request
            .public
            .iter()
            .map(|file| public_key(file))
            .collect::<Result<_, _>>()?
    } else {
        let made = request.keys.next(role, made, watch)?;
        made.iter()
            .map(|key| Ok(Key::of_private(role, key)?))
            .collect::<Result<_, Refusal>>()?
    };
    let mut by_id = BTreeMap::new();
    let mut ids = Vec::new();
    for key in keys {
        let id = key.id()?;
        if by_id.insert(id, key).is_none() {
            ids.push(id);
        }
    }
    if count(ids.len()) < threshold {
        return Err(
            Refusal::new(RefusalName::Usage, "a key is named twice, and counts once")
                .value("threshold", threshold)
                .value("distinct keys", ids.len())
                .next("name another key with --key PUB for each signature that is asked for"),
        );
    }
    Ok(NewKeys {
        signers: RoleKeys::new(ids, threshold),
        keys: by_id,
    })
}

/// Every key at hand that may have to sign: those of the roles, and those above and below. A key that is
/// being replaced may be lost.
fn signers(request: &Request, watch: &dyn Watch) -> Result<Signers, Refusal> {
    let keys = &request.keys;
    let is_asked = |role: &str| request.roles.iter().any(|asked| asked == role);
    let is_top = |role: &String| TOP_LEVEL.contains(&role.as_str());
    let online = keys.is_owners() || request.roles.iter().any(|role| role != "root");
    let mut signers = Signers::new(online);
    for role in ["snapshot", "timestamp"] {
        if keys.has(role) || (online && !is_asked(role)) {
            keys.add(role, &mut signers, watch)?;
        }
    }
    let mut may: Vec<&str> = request.roles.iter().map(String::as_str).collect();
    may.extend(request.roles.iter().any(is_top).then_some("root"));
    may.extend((!request.roles.iter().all(is_top)).then_some("targets"));
    for role in may.into_iter().filter(|role| keys.has(role)) {
        keys.add(role, &mut signers, watch)?;
    }
    Ok(signers)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = self.roles.join(", ");
        match &self.standing {
            Standing::Waiting(_) => writeln!(f, "new keys of {roles} wait for signatures")?,
            _ if self.written.is_empty() => writeln!(
                f,
                "new keys of {roles} were in force; the key folder follows"
            )?,
            _ => writeln!(
                f,
                "new keys of {roles} are in force, under root {}",
                self.root
            )?,
        }
        for path in &self.brought {
            writeln!(f, "  key      {}", Shown(path))?;
        }
        for path in &self.aside {
            writeln!(
                f,
                "  aside    {} signs no more; keep it, or destroy it",
                Shown(path)
            )?;
        }
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next     copy metadata/ to where customers read it, {}; their environments follow with the next patch",
            self.order()
        )
    }
}

impl Outcome {
    /// What is copied last: the order in which the files were written.
    fn order(&self) -> &'static str {
        let at = |ends: &str| self.written.iter().position(|file| file.ends_with(ends));
        match (at(".root.json"), at("timestamp.json")) {
            (Some(root), Some(timestamp)) if timestamp < root => {
                "timestamp.json late and the new root last"
            }
            (Some(_), Some(_)) => "the new root and then timestamp.json last",
            _ => "timestamp.json last",
        }
    }
}
