//! `approve`: sign the bytes of `patch.json`, detached, so that the patch file stays as it is.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::disk::{DiskError, handout, keys};
use crate::model::patch::Patch;
use crate::model::statement::APPROVAL_NAMESPACE;
use crate::model::text::Shown;
use crate::model::{Refusal, Watch};
use crate::spr::Opened;

/// What `approve` is asked.
#[derive(Debug)]
pub struct Request {
    /// A patch, or its head.
    pub file: PathBuf,
    /// The approver's key file.
    pub key: PathBuf,
    /// Where the signature goes; beside the file where nothing is said.
    pub output: Option<PathBuf>,
}

/// What was approved.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The signature file.
    pub signature: PathBuf,
    /// For which environment.
    pub environment: String,
    /// SHA-256 of `patch.json`, which was signed.
    pub patch: String,
    /// What is installed afterwards.
    pub target: Vec<String>,
    /// Versions lowered and components removed.
    pub downgrades: Vec<String>,
    /// Refusals that the preparer lifted, with reasons.
    pub accepted: Vec<String>,
    /// The key that signed.
    pub fingerprint: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "approved for environment {}", self.environment)?;
        for line in &self.target {
            writeln!(f, "  afterwards {line}")?;
        }
        for line in &self.downgrades {
            writeln!(f, "  downgrade  {line}")?;
        }
        for line in &self.accepted {
            writeln!(f, "  accepted   {line}")?;
        }
        writeln!(f, "  patch      {}", self.patch)?;
        writeln!(f, "  key        {}", self.fingerprint)?;
        writeln!(f, "  signature  {}", Shown(&self.signature))?;
        write!(
            f,
            "  next       carry it beside the patch, or: lockstep apply PATCH.spr --approval {}",
            Shown(&self.signature)
        )
    }
}

/// Approves a patch or its head.
pub fn run(request: &Request, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let file = std::fs::File::open(&request.file).map_err(DiskError::io("open", &request.file))?;
    let opened =
        Opened::open(std::io::BufReader::new(file)).map_err(|e| e.refuse(&request.file))?;
    let patch: Patch = opened.decode().map_err(|e| e.refuse(&request.file))?;
    let raw = opened.raw();
    let key = keys::load(&request.key, watch)?;
    let armoured = key.sign_in(APPROVAL_NAMESPACE, &raw.bytes)?;
    let signature = request
        .output
        .clone()
        .unwrap_or_else(|| beside(&request.file, &key.id().to_string()));
    handout::write(&signature, &armoured)?;
    Ok(Outcome {
        signature,
        environment: format!("{} ({})", patch.environment.name, patch.environment.id),
        patch: raw.sha256().to_string(),
        target: patch
            .target
            .iter()
            .map(|c| format!("{} {}", c.name, c.version))
            .collect(),
        downgrades: patch.downgrades.iter().map(ToString::to_string).collect(),
        accepted: patch
            .accepted
            .iter()
            .map(|a| format!("{}: {}", a.name, a.reason))
            .collect(),
        fingerprint: key.public().fingerprint(),
    })
}

/// `PROD-0007.head.spr` and `PROD-0007.patch.spr` are approved in `PROD-0007.<key>.sig`.
fn beside(file: &Path, key: &str) -> PathBuf {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let stem = [".head.spr", ".patch.spr", ".spr"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    file.with_file_name(format!("{stem}.{key}.sig"))
}
