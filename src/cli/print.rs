//! Printing: results to standard output, words and progress to standard error.

use std::io::{BufRead as _, BufWriter, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use zeroize::Zeroizing;

use super::document;
use super::progress::{Progress, Unit};
use super::signals::{self, Obeyed, Signals};
#[cfg(feature = "desk")]
use crate::desk::many::{OneLine, Told};
use crate::disk::terminal::{self, Answer};
use crate::model::text::Escaped;
use crate::model::{Refusal, Watch};

/// Longest answer to a question, in bytes.
const ANSWER_MAX: u64 = 1_024;

/// Prints what a command says, as the person asked for it.
pub(super) struct Printer {
    json: bool,
    quiet: bool,
    progress: Progress,
    signals: Option<Signals>,
    /// Whether somebody was told to end because of one.
    told: AtomicBool,
    obeyed: OnceLock<Option<Obeyed>>,
    // From a descriptor: for every key file that has one.
    passphrase: Option<Zeroizing<String>>,
    agent: Option<PathBuf>,
}

impl Printer {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        let seen = !quiet && std::io::stderr().is_terminal();
        Self {
            json,
            quiet,
            progress: Progress::new(seen),
            signals: None,
            told: AtomicBool::new(false),
            obeyed: OnceLock::new(),
            passphrase: None,
            agent: None,
        }
    }

    /// What opens keys without a question: a passphrase, and an agent's socket.
    pub(super) fn with_keys(
        self,
        passphrase: Option<Zeroizing<String>>,
        agent: Option<PathBuf>,
    ) -> Self {
        Self {
            passphrase,
            agent,
            ..self
        }
    }

    /// From here on, signals are noted and not obeyed by the system.
    pub(super) fn note_signals(&mut self) -> Result<(), Refusal> {
        self.signals = Some(Signals::note()?);
        Ok(())
    }

    /// Whether somebody asked whether to end, and was told so.
    pub(super) fn was_told_to_end(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// The signal that came, where signals are noted and one did.
    pub(super) fn signal(&self) -> Option<&'static str> {
        self.signals.as_ref().and_then(Signals::name)
    }

    /// A result: words, or one JSON document.
    pub(super) fn outcome<T: Serialize + std::fmt::Display>(&self, outcome: &T) {
        self.progress.clear();
        if self.json {
            json_to_stdout(outcome);
        } else if !self.quiet {
            // Whatever a file or a name smuggled in, the terminal shows it and does not obey it.
            for line in outcome.to_string().split('\n') {
                line_to_stdout(&Escaped(line).to_string());
            }
        }
    }

    /// Columns of the terminal that results go to; none where they go into a file or a pipe.
    #[cfg(feature = "desk")]
    pub(super) fn columns() -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (size.ws_col > 0).then(|| usize::from(size.ws_col))
    }

    /// What became of one or many: the list, then each refusal in full, once where it is the same for
    /// several. Returns the exit code.
    #[cfg(feature = "desk")]
    pub(super) fn told<T: Serialize + std::fmt::Display + OneLine>(
        &self,
        told: &Told<T>,
    ) -> std::process::ExitCode {
        self.outcome(told);
        if !self.json {
            for alike in told.refused().chunk_by(|a, b| a.refusal == b.refusal) {
                let subjects: Vec<&str> = alike.iter().map(|one| one.subject.as_str()).collect();
                line_to_stderr(&format!("\n{}", Escaped(&subjects.join(", "))));
                if let Some(one) = alike.first() {
                    line_to_stderr(&one.refusal.to_string());
                }
            }
        }
        std::process::ExitCode::from(told.exit())
    }

    /// A refusal: words to standard error, and with `--json` a document as well.
    pub(super) fn refusal(&self, refusal: &Refusal) {
        self.progress.clear();
        if self.json {
            json_to_stdout(refusal);
        } else {
            line_to_stderr(&refusal.to_string());
        }
    }
}

impl Printer {
    /// Asks a person, and only where one sits at both ends: a script is not held up by a question.
    fn ask(&self, about: &[&str], question: &str) -> Option<String> {
        let person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.quiet || self.json || !person {
            return None;
        }
        for line in about {
            self.progress.words(&Escaped(line).to_string());
        }
        let _asking = self.signals.as_ref().map(Signals::asking);
        drop(write!(std::io::stderr(), "{question}"));
        let mut typed = String::new();
        let read = std::io::stdin()
            .lock()
            .take(ANSWER_MAX)
            .read_line(&mut typed);
        read.ok()?;
        let typed = typed.trim();
        (!typed.is_empty()).then(|| typed.to_owned())
    }
}

impl Watch for Printer {
    fn say(&self, line: &str) {
        if !self.quiet {
            for line in line.split('\n') {
                self.progress.words(&Escaped(line).to_string());
            }
        }
    }

    fn warn(&self, line: &str) {
        self.progress.words(&format!("warning: {}", Escaped(line)));
    }

    fn progress(&self, stage: &str, done: u64, total: u64) {
        self.progress.show(stage, Unit::Bytes, done, total);
    }

    fn count(&self, stage: &str, done: u64, total: u64) {
        self.progress.show(stage, Unit::Files, done, total);
    }

    fn interrupted(&self) -> bool {
        let came = self.signals.as_ref().is_some_and(Signals::came);
        if came {
            self.told.store(true, Ordering::Relaxed);
        }
        came
    }

    fn passphrase(&self, key_file: &str) -> Option<Zeroizing<String>> {
        if let Some(passphrase) = &self.passphrase {
            return Some(passphrase.clone());
        }
        self.progress.clear();
        let prompt = format!("passphrase of {}: ", Escaped(key_file));
        let ask = || terminal::ask_secret(&prompt).ok();
        let obeyed = self.signals.is_none();
        let obeyed = obeyed.then(|| self.obeyed.get_or_init(|| Obeyed::from_here().ok()));
        let answer = match obeyed {
            Some(Some(obeyed)) => obeyed.but_for(ask),
            _ => ask(),
        };
        match answer? {
            Answer::Typed(secret) => Some(secret),
            Answer::Signal(signal) => {
                signals::obey(signal);
                None
            }
        }
    }

    fn agent(&self) -> Option<PathBuf> {
        self.agent.clone()
    }

    fn fingerprint(&self, whom: &str) -> Option<String> {
        self.ask(
            &[
                &format!("the key of {whom}"),
                "read its fingerprint on the host: lockstep status",
            ],
            "fingerprint (12 characters or more; nothing to go on without): ",
        )
    }

    fn name(&self, about: &str) -> Option<String> {
        self.ask(&[about], "type the environment's name to go on: ")
    }
}

fn json_to_stdout<T: Serialize>(value: &T) {
    // As it is written: a statement that is shown may have a hundred megabytes.
    match document::write(BufWriter::new(std::io::stdout().lock()), value) {
        Ok(()) => line_to_stdout(""),
        // A reader that has gone away (`| head`) is no reason to complain.
        Err(error) if error.is_io() => {}
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
