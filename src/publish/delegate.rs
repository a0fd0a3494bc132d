//! `publish delegate`: another publisher gets keys of its own for a part of the recipes.
//!
//! The two share no key. The delegate publishes into a copy of the repository with its own key
//! folder; `publish renew --take` at the owner's takes that in.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::keys::public_key;
use super::{KeyFolder, outlook, standing};
use crate::model::{Refusal, RefusalName, Time, TreePath, Watch};
use crate::release::tuf::RoleKeys;
use crate::release::{Grant, Repository, Standing};

/// What `publish delegate` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The owner's keys.
    pub keys: KeyFolder,
    /// The delegate's role.
    pub role: String,
    /// The delegate's public key files; none keeps those that the role has.
    pub public: Vec<PathBuf>,
    /// How many of them must sign.
    pub threshold: u64,
    /// The recipes, as patterns.
    pub paths: Vec<String>,
    /// The folders and files that its recipes may own; none for all that nobody else owns.
    pub install_paths: Vec<String>,
}

/// What `publish delegate` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The role.
    pub role: String,
    /// Its keys, by TUF key id, and how many must sign.
    pub signers: RoleKeys,
    /// Its recipes.
    pub paths: Vec<String>,
    /// What they may own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_paths: Option<Vec<String>>,
    /// The files written, in order; none where all was so already.
    pub written: Vec<String>,
    /// Whether readers see it, or what it waits for.
    pub standing: Standing,
}

/// Delegates.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let grant = grant(request, &repository)?;
    let signers = request.keys.signers(&["targets"], true, watch)?;
    outlook::warn(&repository, now, watch)?;
    if grant.install_paths.is_none() {
        watch.warn("without --install-path its recipes may own any path that nobody else owns");
    }
    let written = repository
        .delegate(&grant, &signers, now)?
        .unwrap_or_default();
    Ok(Outcome {
        role: grant.role,
        signers: grant.signers,
        paths: grant.paths,
        install_paths: grant.install_paths,
        written: written.files,
        standing: written.standing,
    })
}

fn grant(request: &Request, repository: &Repository) -> Result<Grant, Refusal> {
    let mut keys = BTreeMap::new();
    let mut ids = Vec::new();
    for file in &request.public {
        let key = public_key(file)?;
        let id = key.id()?;
        if keys.insert(id, key).is_none() {
            ids.push(id);
        }
    }
    let known = repository.state().delegation(&request.role);
    let signers = match known.filter(|_| ids.is_empty()) {
        Some(known) => known.signers.clone(),
        None => RoleKeys::new(ids, request.threshold),
    };
    let distinct = u64::try_from(signers.keyids.len()).unwrap_or(u64::MAX);
    if !(1..=distinct).contains(&signers.threshold) {
        return Err(Refusal::new(
            RefusalName::Usage,
            "the threshold asks for more of the delegate's keys than there are, or for none",
        )
        .value("threshold", signers.threshold)
        .value("distinct keys", distinct)
        .next("add --key PUB for each of the delegate's keys, or lower --threshold"));
    }
    let mut paths = request.paths.clone();
    paths.sort();
    paths.dedup();
    Ok(Grant {
        role: request.role.clone(),
        signers,
        keys,
        paths,
        install_paths: install_paths(&request.install_paths)?,
    })
}

fn install_paths(given: &[String]) -> Result<Option<Vec<String>>, Refusal> {
    let mut paths = Vec::new();
    for text in given {
        let path: TreePath = text.strip_suffix('/').unwrap_or(text).parse().map_err(
            |e: crate::model::path::PathError| {
                Refusal::new(RefusalName::Usage, e.to_string())
                    .next("name a folder or file under the root: --install-path webapps/portal")
            },
        )?;
        paths.push(path.as_str().to_owned());
    }
    paths.sort();
    paths.dedup();
    Ok((!paths.is_empty()).then_some(paths))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.written.is_empty() {
            "nothing to do: delegated already to"
        } else {
            match self.standing {
                Standing::Waiting(_) => "laid aside, until others have signed: the delegation to",
                _ => "delegated to",
            }
        };
        writeln!(f, "{verb} {}", self.role)?;
        writeln!(f, "  recipes  {}", self.paths.join(", "))?;
        let owns = match &self.install_paths {
            Some(paths) => paths.join(", "),
            None => "whatever nobody else owns".to_owned(),
        };
        writeln!(f, "  may own  {owns}")?;
        writeln!(
            f,
            "  signed   by {} of {} keys",
            self.signers.threshold,
            self.signers.keyids.len()
        )?;
        if let Some(next) = standing::next(&self.standing) {
            return write!(f, "{next}");
        }
        write!(
            f,
            "  next     give the delegate a copy of metadata/; it publishes into that with its own keys (the private key called {}), and you take it in: lockstep publish renew --take {}=FOLDER",
            self.role, self.role
        )
    }
}
