//! What `prepare` tells the operator.

use std::path::PathBuf;

use serde::Serialize;

use super::adopt::Adoption;
use super::explain::Explained;
use crate::model::Sha256;
use crate::model::text::{Shown, bytes, path_as_text};

/// What `prepare` made.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The patch file; of several volumes, the first.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// The files that are carried, in order: one, or the volumes.
    pub files: Vec<MadeFile>,
    /// The patch without packs, for approvers.
    pub head: MadeFile,
    /// SHA-256 of `patch.json`, the patch's identity.
    pub patch: String,
    /// For which environment.
    pub environment: String,
    /// For which nodes.
    pub nodes: Vec<String>,
    /// What changes.
    pub changes: Vec<String>,
    /// What is registered as it is, where that was asked for.
    pub adoption: Option<Adoption>,
    /// What is lowered or removed.
    pub downgrades: Vec<String>,
    /// How many contents travel, and how many the host has already.
    pub contents: Contents,
    /// How each content travels, what travels most first; where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Vec<Explained>>,
    /// The last day on which the host takes it.
    pub apply_before: String,
    /// How many people must approve it.
    pub approvals_needed: u64,
    /// Whether it can be applied hot, or why not.
    pub hot: String,
    /// What the publishers tell the administrator.
    pub notes: Vec<String>,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

/// A file that was made, as it stands in the ticket.
#[derive(Debug, Clone, Serialize)]
pub struct MadeFile {
    /// Where it lies.
    #[serde(rename = "file", serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// Bytes in it.
    pub size: u64,
    /// SHA-256 of it.
    pub sha256: Sha256,
}

/// Where contents come from.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Contents {
    /// How many travel whole.
    pub whole: u64,
    /// How many travel as deltas.
    pub deltas: u64,
    /// Bytes of these deltas.
    pub delta_bytes: u64,
    /// How many are copied from files that are installed.
    pub copied: u64,
    /// Bytes of content that travel whole.
    pub bytes: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "prepared for environment {}, node {}",
            self.environment,
            self.nodes.join(", ")
        )?;
        match &self.adoption {
            Some(adoption) => write!(f, "{adoption}")?,
            None => {
                for change in &self.changes {
                    writeln!(f, "  change     {change}")?;
                }
            }
        }
        for downgrade in &self.downgrades {
            writeln!(f, "  downgrade  {downgrade}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note       {note}")?;
        }
        if self.adoption.is_none() {
            let whole = bytes(self.contents.bytes);
            writeln!(
                f,
                "  contents   {} travel whole ({whole}), {} as deltas ({}), {} are copied on the host",
                self.contents.whole,
                self.contents.deltas,
                bytes(self.contents.delta_bytes),
                self.contents.copied
            )?;
            for one in self.explained.iter().flatten() {
                writeln!(f, "{one}")?;
            }
            writeln!(f, "  hot        {}", self.hot)?;
        }
        writeln!(f, "  apply      before {}", self.apply_before)?;
        for (label, file) in self
            .files
            .iter()
            .map(|file| ("file", file))
            .chain([("head", &self.head)])
        {
            let (path, size) = (Shown(&file.path), bytes(file.size));
            let note = if label == "head" {
                ", for approvers"
            } else {
                ""
            };
            writeln!(
                f,
                "  {label:<9}  {path} ({size}, {} bytes{note})",
                file.size
            )?;
            writeln!(f, "  sha256     {}", file.sha256)?;
        }
        if self.approvals_needed > 0 {
            writeln!(
                f,
                "  approvals  {} needed: lockstep approve {} --key KEY",
                self.approvals_needed,
                Shown(&self.head.path)
            )?;
        }
        match self.files.len() {
            0 | 1 => write!(
                f,
                "  next       carry the file to the host and run: lockstep apply {}",
                Shown(&self.file)
            ),
            count => write!(
                f,
                "  next       carry the {count} volumes to the host, in one folder or in several, and run: lockstep apply DIR..."
            ),
        }
    }
}
