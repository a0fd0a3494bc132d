//! `recover`: put right what a crash interrupted: back until the commit, tidy after it.

use std::path::Path;
use std::sync::Mutex;

use serde::Serialize;

use super::Node;
use crate::disk::recover::Recovered;
use crate::model::{Refusal, Time, Watch};

/// What `recover` did.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// Whether there was anything to recover.
    pub did_something: bool,
    /// What was done, in words.
    pub done: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.done)
    }
}

/// Recovers.
pub fn run(root: &Path, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let heard = Heard {
        watch,
        lines: Mutex::new(Vec::new()),
    };
    let node = Node::open_to_change(root, "recover", now, &heard)?;
    watch.say(&node.header());
    let done = heard.lines.into_inner().unwrap_or_default();
    Ok(Outcome {
        environment: node.environment().to_string(),
        did_something: !done.is_empty(),
        done: done
            .first()
            .cloned()
            .unwrap_or_else(|| "nothing was interrupted here".to_owned()),
    })
}

/// Keeps what recovery says, to be the command's own outcome.
struct Heard<'a> {
    watch: &'a dyn Watch,
    lines: Mutex<Vec<String>>,
}

impl Watch for Heard<'_> {
    fn say(&self, line: &str) {
        self.watch.say(line);
    }

    fn warn(&self, line: &str) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.push(line.to_owned());
        }
    }

    fn progress(&self, stage: &str, done: u64, total: u64) {
        self.watch.progress(stage, done, total);
    }

    fn count(&self, stage: &str, done: u64, total: u64) {
        self.watch.count(stage, done, total);
    }
}

/// What recovery did, for a person; nothing where it did nothing.
pub(super) fn describe(recovered: &Recovered) -> Option<String> {
    match recovered {
        Recovered::Nothing => None,
        Recovered::WentBack(moved) => {
            let left: Vec<String> = moved
                .left
                .iter()
                .map(|folder| format!("; {folder} is left, it holds files that nobody owns"))
                .collect();
            Some(format!(
                "recovered: an interrupted change was undone ({} move(s)); the old state stands, and \
                 the patch may be applied again{}",
                moved.moves,
                left.concat()
            ))
        }
        Recovered::Tidied => Some(
            "recovered: a change had been committed; what it left over was tidied up".to_owned(),
        ),
    }
}
