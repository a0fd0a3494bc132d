//! The product's service: what it did not do when it was asked, as messages and receipts say it.

use serde::{Deserialize, Serialize};

use super::statement::RuleError;

/// Most bytes of a command's last output that are kept.
pub const OUTPUT_MAX: usize = 2_000;

/// What the service was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// To stop.
    Stop,
    /// To start.
    Start,
    /// Whether it is well.
    Health,
}

impl Step {
    /// The step as one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Health => "health",
        }
    }
}

/// A service command that did not do what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// How it ended: `exit code 3`, `signal 9`, `no end within 120 s`, `cannot be run: ...`.
    pub ended: String,
    /// The last that it printed, at most [`OUTPUT_MAX`] bytes; lines are kept.
    pub output: String,
    /// What was asked for.
    pub step: Step,
}

impl Failure {
    /// Checks the length of what it printed.
    pub fn check(&self) -> Result<(), RuleError> {
        if self.output.len() <= OUTPUT_MAX {
            return Ok(());
        }
        Err(RuleError(format!(
            "a command's output has {} bytes, {OUTPUT_MAX} are the most",
            self.output.len()
        )))
    }
}
