//! Printing: results to standard output, words and progress to standard error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::model::text::Escaped;
use crate::model::{Refusal, Watch};

/// Prints what a command says, as the person asked for it.
pub(super) struct Printer {
    json: bool,
    quiet: bool,
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl Printer {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            bar: Mutex::new(None),
        }
    }

    /// A result: words, or one JSON document.
    pub(super) fn outcome<T: Serialize + std::fmt::Display>(&self, outcome: &T) {
        self.clear();
        if self.json {
            json_to_stdout(outcome);
        } else if !self.quiet {
            // Whatever a file or a name smuggled in, the terminal shows it and does not obey it.
            for line in outcome.to_string().split('\n') {
                line_to_stdout(&Escaped(line).to_string());
            }
        }
    }

    /// A refusal: words to standard error, and with `--json` a document as well.
    pub(super) fn refusal(&self, refusal: &Refusal) {
        self.clear();
        if self.json {
            json_to_stdout(&RefusalDocument::of(refusal));
        } else {
            line_to_stderr(&refusal.to_string());
        }
    }

    fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some((_, bar)) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    fn words(&self, line: &str) {
        match self.bar.lock().as_deref() {
            Ok(Some((_, bar))) => bar.suspend(|| line_to_stderr(line)),
            _ => line_to_stderr(line),
        }
    }
}

impl Watch for Printer {
    fn say(&self, line: &str) {
        if !self.quiet {
            for line in line.split('\n') {
                self.words(&Escaped(line).to_string());
            }
        }
    }

    fn warn(&self, line: &str) {
        self.words(&format!("warning: {}", Escaped(line)));
    }

    fn progress(&self, stage: &str, done: u64, total: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let Ok(mut current) = self.bar.lock() else {
            return;
        };
        if current.as_ref().is_none_or(|(name, _)| name != stage) {
            if let Some((_, old)) = current.take() {
                old.finish_and_clear();
            }
            *current = Some((stage.to_owned(), bar(stage, total)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_position(done);
        }
    }

    fn passphrase(&self, key_file: &str) -> Option<Zeroizing<String>> {
        crate::disk::terminal::ask_secret(&format!("passphrase of {key_file}: ")).ok()
    }
}

fn bar(stage: &str, total: u64) -> ProgressBar {
    const SHAPE: &str = "{msg:10} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(SHAPE) {
        bar.set_style(style);
    }
    bar.set_message(stage.to_owned());
    bar
}

#[derive(Serialize)]
struct RefusalDocument<'a> {
    refusal: &'static str,
    exit: u8,
    what: &'a str,
    values: Vec<[&'a str; 2]>,
    unchanged: &'a str,
    next: &'a str,
}

impl<'a> RefusalDocument<'a> {
    fn of(refusal: &'a Refusal) -> Self {
        Self {
            refusal: refusal.name.word(),
            exit: refusal.name.code(),
            what: &refusal.what,
            values: refusal
                .values
                .iter()
                .map(|(label, value)| [label.as_str(), value.as_str()])
                .collect(),
            unchanged: &refusal.unchanged,
            next: &refusal.next,
        }
    }
}

fn json_to_stdout<T: Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line_to_stdout(&text),
        Err(error) => line_to_stderr(&error.to_string()),
    }
}

/// Prints a line; a reader that has gone away (`| head`) is no reason to fail.
pub(super) fn line_to_stdout(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

/// Prints a line to standard error; a closed terminal changes nothing.
pub(super) fn line_to_stderr(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
