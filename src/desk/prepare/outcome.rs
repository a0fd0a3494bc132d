//! What `prepare` tells the operator.

use std::path::PathBuf;

use serde::Serialize;

use super::adopt::Adoption;
use super::explain::Explained;
use crate::model::text::{Shown, bytes, path_as_text};

/// What `prepare` made.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The patch file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// The same without packs, for approvers.
    #[serde(serialize_with = "path_as_text")]
    pub head: PathBuf,
    /// Bytes in the patch file.
    pub size: u64,
    /// SHA-256 of the patch file, for the ticket.
    pub sha256: String,
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
        writeln!(
            f,
            "  file       {} ({})",
            Shown(&self.file),
            bytes(self.size)
        )?;
        writeln!(f, "  sha256     {}", self.sha256)?;
        writeln!(f, "  head       {} (for approvers)", Shown(&self.head))?;
        if self.approvals_needed > 0 {
            writeln!(
                f,
                "  approvals  {} needed: lockstep approve {} --key KEY",
                self.approvals_needed,
                Shown(&self.head)
            )?;
        }
        write!(
            f,
            "  next       carry the file to the host and run: lockstep apply {}",
            Shown(&self.file)
        )
    }
}
