//! `receipt`: write a receipt out again, or all of them.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Node;
use super::output::write_out;
use crate::disk::handout;
use crate::model::receipt::Receipt;
use crate::model::text::{Shown, path_as_text, paths_as_text};
use crate::model::{Refusal, RefusalName};
use crate::spr::Opened;

/// What was written.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The receipt file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Its sequence number.
    pub sequence: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "receipt {} is in {}", self.sequence, Shown(&self.file))?;
        write!(
            f,
            "  next       carry it to the desk: lockstep receive {}",
            Shown(&self.file)
        )
    }
}

/// Writes the receipt with this sequence number, or the last one.
pub fn run(root: &Path, sequence: Option<u64>, output: Option<&Path>) -> Result<Outcome, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    let receipts = node.receipts()?;
    let there: Vec<String> = receipts
        .iter()
        .map(|(sequence, _)| sequence.to_string())
        .collect();
    let found = receipts
        .into_iter()
        .rev()
        .find(|(found, _)| sequence.is_none_or(|wanted| wanted == *found));
    let Some((sequence, file)) = found else {
        return Err(
            Refusal::new(RefusalName::Usage, "there is no receipt with this number")
                .value("asked for", sequence.unwrap_or(0))
                .value("there are", there.join(", "))
                .next("lockstep history lists them"),
        );
    };
    let name = name(&node, &file)?;
    Ok(Outcome {
        file: write_out(output, &name, &file)?,
        sequence,
    })
}

/// What was written, of all.
#[derive(Debug, Serialize)]
pub struct All {
    /// The folder.
    #[serde(serialize_with = "path_as_text")]
    pub folder: PathBuf,
    /// The receipt files, rising by sequence number.
    #[serde(serialize_with = "paths_as_text")]
    pub files: Vec<PathBuf>,
}

impl std::fmt::Display for All {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for file in &self.files {
            writeln!(f, "receipt    {}", Shown(file))?;
        }
        write!(
            f,
            "{} receipt(s) are in {}\n  next       take a snapshot into it too, and anybody can check that none is missing: \
             lockstep verify {} --allowed-signers FILE",
            self.files.len(),
            Shown(&self.folder),
            Shown(&self.folder)
        )
    }
}

/// Writes every receipt into a folder, each under its own name; those that lie there already stay.
pub fn all(root: &Path, output: Option<&Path>) -> Result<All, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    let folder = output.unwrap_or(Path::new(".")).to_owned();
    if !folder.is_dir() {
        return Err(Refusal::new(
            RefusalName::Usage,
            "all receipts go into a folder, each under its own name",
        )
        .value("output", folder.display())
        .next("name a folder that is there: --output DIR"));
    }
    let mut wanted = Vec::new();
    for (_, file) in node.receipts()? {
        let path = folder.join(name(&node, &file)?);
        let there = handout::is_there(&path, &file)?;
        if !there {
            handout::check_free(&path)?;
        }
        wanted.push((path, file, there));
    }
    for (path, file, _) in wanted.iter().filter(|(.., there)| !there) {
        handout::write(path, file)?;
    }
    Ok(All {
        folder,
        files: wanted.into_iter().map(|(path, ..)| path).collect(),
    })
}

/// The name under which a receipt was handed out: that of its environment, which a copy left behind.
fn name(node: &Node, file: &[u8]) -> Result<String, Refusal> {
    let at = node.root().state_folder();
    let opened = Opened::open(file).map_err(|e| e.refuse(&at))?;
    let receipt: Receipt = opened.decode().map_err(|e| e.refuse(&at))?;
    let (name, sequence) = (receipt.environment.name, receipt.sequence);
    Ok(format!("{name}-{sequence:04}.receipt.spr"))
}
