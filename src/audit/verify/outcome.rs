//! What a verification found, check by check.

use std::path::PathBuf;

use serde::Serialize;

use crate::model::Kind;
use crate::model::text::{Escaped, Shown, path_as_text};

/// Every check, and what came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// How many receipts there are, where they were verified as a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipts: Option<usize>,
    /// Whether every check passed and what was pinned vouches for the file.
    pub verified: bool,
    /// The checks, in the order in which they were made.
    pub checks: Vec<Line>,
    /// What to do about the check that did not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    #[serde(skip)]
    pub(super) code: Option<u8>,
}

/// One check.
#[derive(Debug, Serialize)]
pub struct Line {
    /// `ok`, `warning`, `failed` or `not checked`.
    pub result: &'static str,
    /// What was checked.
    pub check: String,
    /// What was found.
    pub detail: String,
}

impl Outcome {
    /// The exit code, where it is not 0.
    #[must_use]
    pub fn exit(&self) -> Option<u8> {
        self.code
    }
}

impl Outcome {
    /// What was verified, in words.
    pub(super) fn subject(&self) -> String {
        match self.receipts {
            None => format!("a {}", self.kind),
            Some(count) => format!("the chain of {count} receipt(s)"),
        }
    }
}

impl Line {
    pub(super) fn new(result: &'static str, check: &str, detail: String) -> Self {
        Self {
            result,
            check: check.to_owned(),
            detail,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", Shown(&self.file), self.subject())?;
        for line in &self.checks {
            writeln!(
                f,
                "  {:<12} {:<22} {}",
                line.result,
                line.check,
                Escaped(&line.detail)
            )?;
        }
        if let Some(next) = &self.next {
            writeln!(f, "  {:<12} {}", "next", Escaped(next))?;
        }
        f.write_str(if self.verified {
            "verified"
        } else {
            "not verified"
        })
    }
}
