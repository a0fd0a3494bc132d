//! `publish sign`: a signature made elsewhere, for the newest file of a role.
//!
//! Three ways, for three places: `--bytes OUT` writes what is to be signed, `--signature FILE`
//! takes what came back, and `--keys DIR` signs here.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::KeyFolder;
use crate::disk::{durable, handout};
use crate::model::text::{Shown, any_path_as_text};
use crate::model::{Refusal, RefusalName, Sha256, Time, Watch};
use crate::release::envelope::Signature;
use crate::release::layout::TOP_LEVEL;
use crate::release::paper::Tally;
use crate::release::{Paper, Repository, Signers};

/// Largest signature file, in bytes.
const SIGNATURE_MAX: u64 = 4_096;

/// What `publish sign` is asked for.
#[derive(Clone)]
pub struct Request {
    /// The folder of the repository.
    pub repository: PathBuf,
    /// The role whose newest file is signed.
    pub role: String,
    /// What to do.
    pub act: Act,
}

/// The three ways to sign.
#[derive(Clone)]
pub enum Act {
    /// Write the bytes to be signed to this file.
    Bytes(PathBuf),
    /// Sign with every key in this folder of the role, new ones included; where there is none, of
    /// `targets` for a delegated role.
    Keys(KeyFolder),
    /// Add the signature in this file: `{"keyid": "..", "sig": ".."}`, as TUF writes it.
    Signature(PathBuf),
}

/// What `publish sign` did.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The file.
    pub file: String,
    /// Its signatures now.
    pub signatures: Tally,
    /// Whose signature was added; none where the bytes were written, or it was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<Sha256>,
    /// SHA-256 of the file, where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The file with the bytes to be signed.
    #[serde(
        serialize_with = "any_path_as_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub bytes: Option<PathBuf>,
    /// Whether it is a change that comes into force when its command is typed again.
    pub draft: bool,
    /// The ids of the keys that may sign.
    pub listed: Vec<Sha256>,
}

/// Signs, or says what is to be signed.
pub fn run(request: &Request, _now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let mut repository = Repository::open(&request.repository)?;
    let mut paper = Paper::of(&repository, &request.role)?;
    let signatures = match &request.act {
        Act::Bytes(out) => {
            handout::write(out, &paper.canonical()?)?;
            return outcome(&paper, None, Some(out.clone()));
        }
        Act::Signature(file) => vec![read_signature(file)?],
        Act::Keys(keys) => sign(keys, &request.role, &paper, watch)?,
    };
    let mut good = Vec::new();
    for signature in &signatures {
        if paper.accepts(signature)? {
            good.push(signature.clone());
        }
    }
    if let Some(bad) = signatures.first().filter(|_| good.is_empty()) {
        return Err(refuse(&paper, bad));
    }
    let mut added = None;
    for signature in good {
        let keyid = signature.keyid;
        if !paper.has(&keyid)? {
            added = Some((keyid, paper.add(&mut repository, signature)?));
        }
    }
    outcome(&paper, added, None)
}

fn outcome(
    paper: &Paper,
    added: Option<(Sha256, Sha256)>,
    bytes: Option<PathBuf>,
) -> Result<Outcome, Refusal> {
    Ok(Outcome {
        file: paper.file().to_owned(),
        signatures: paper.tally()?,
        added: added.map(|(key, _)| key),
        sha256: added.map(|(_, sha256)| sha256),
        bytes,
        draft: paper.is_draft(),
        listed: paper.listed(),
    })
}

fn read_signature(file: &Path) -> Result<Signature, Refusal> {
    let bytes = durable::read(file, SIGNATURE_MAX)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        Refusal::new(RefusalName::Usage, format!("it is not a TUF signature: {e}"))
            .value("file", file.display())
            .next("name a file of the form {\"keyid\": \"<64 hex digits>\", \"sig\": \"<128 hex digits>\"}")
    })
}

fn sign(
    keys: &KeyFolder,
    role: &str,
    paper: &Paper,
    watch: &dyn Watch,
) -> Result<Vec<Signature>, Refusal> {
    let message = paper.canonical()?;
    let mut signers = Signers::default();
    keys.add_next(role, &mut signers, watch)?;
    if keys.has(role) {
        keys.add(role, &mut signers, watch)?;
    } else if signers.ids().is_empty() {
        let name = if TOP_LEVEL.contains(&role) {
            role
        } else {
            "targets"
        };
        keys.add(name, &mut signers, watch)?;
    }
    Ok(signers.sign_raw(role, &message)?)
}

fn refuse(paper: &Paper, signature: &Signature) -> Refusal {
    let listed = paper.listed().contains(&signature.keyid);
    let (what, next) = if listed {
        (
            "the signature does not fit the file",
            "write the bytes again (--bytes OUT), and sign exactly those",
        )
    } else {
        (
            "the key that signed is none of the role's",
            "sign with one of the keys listed",
        )
    };
    let refusal = Refusal::new(RefusalName::BadSignature, what)
        .value("file", paper.file())
        .value("key", signature.keyid);
    paper
        .listed()
        .iter()
        .fold(refusal, |refusal, key| refusal.value("listed", key))
        .next(next)
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.bytes, &self.added) {
            (Some(out), _) => writeln!(f, "wrote what is to be signed to {}", Shown(out))?,
            (None, Some(key)) => writeln!(f, "signed {} with key {key}", self.file)?,
            (None, None) => writeln!(f, "nothing to do: this key has signed {}", self.file)?,
        }
        let Tally { have, threshold } = self.signatures;
        writeln!(f, "  signed   {have} of {threshold}")?;
        if let Some(sha256) = &self.sha256 {
            writeln!(f, "  sha256   {sha256}")?;
        }
        let next = match (&self.bytes, self.signatures.complete()) {
            (Some(_), _) => {
                "sign these bytes with ed25519, then lockstep publish sign --signature FILE"
            }
            (None, false) => "have another holder of a listed key sign it",
            (None, true) if self.draft => {
                "once no role waits, type the command that began the change again: it puts it in force"
            }
            (None, true) => {
                "copy the file to where customers read it; a first root goes to the site owner with its sha256"
            }
        };
        write!(f, "  next     {next}")
    }
}
