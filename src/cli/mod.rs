//! The command line: arguments in, words and exit codes out.
//!
//! The only room that prints, and the only one that reads the clock, the environment and the
//! current folder. Results go to standard output; words, warnings and progress to standard error.
//! With `--json`, standard output holds one document, also for a refusal.

mod args;
#[cfg(feature = "desk")]
mod desk_args;
mod document;
mod print;
mod progress;
#[cfg(feature = "publish")]
mod publish_args;
mod rehome_args;
mod run;
mod signals;
mod spot;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::disk::{secret, syslog};
use crate::model::text::{Escaped, shell_word};
use crate::model::{Refusal, RefusalName, Watch as _};
use args::Cli;
use print::Printer;

/// Runs the program with the process's own arguments.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(feature = "faulty")]
    if let Err(refusal) = world::fault() {
        Printer::new(false, false).refusal(&refusal);
        return ExitCode::from(refusal.name.code());
    }
    run_with(world::arguments())
}

/// Runs one command line; the first argument is the program's name.
fn run_with(arguments: Vec<OsString>) -> ExitCode {
    let json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match spoken(arguments) {
        Ok(arguments) => arguments,
        Err(refusal) => {
            Printer::new(json, false).refusal(&refusal);
            return ExitCode::from(refusal.name.code());
        }
    };
    let line = typed(&arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json),
    };
    let printer = Printer::new(cli.json, cli.quiet);
    let passphrase = match cli.passphrase_fd.map(secret::from_descriptor).transpose() {
        Ok(passphrase) => passphrase,
        Err(refusal) => {
            printer.refusal(&refusal);
            return ExitCode::from(refusal.name.code());
        }
    };
    let mut printer = printer.with_keys(passphrase, world::agent());
    let on_host = cli.command.changes_a_host();
    let noted = if cli.command.asks_for_signals() {
        printer.note_signals()
    } else {
        Ok(())
    };
    match noted.and_then(|()| run::run(cli.command, &printer)) {
        Ok(code) => {
            tell_of_signal(&printer);
            code
        }
        Err(refusal) => {
            let refusal = match refusal.name {
                RefusalName::Interrupted => interrupted(refusal, &printer, &line),
                _ => refusal,
            };
            if is_state(refusal.name) {
                tell_of_signal(&printer);
            }
            if on_host {
                syslog::note(&refusal.to_string());
            }
            printer.refusal(&refusal);
            ExitCode::from(refusal.name.code())
        }
    }
}

/// A signal that nobody obeyed, because it came too late for that.
fn tell_of_signal(printer: &Printer) {
    if let Some(signal) = printer.signal().filter(|_| !printer.was_told_to_end()) {
        printer.warn(&format!(
            "a signal ({signal}) came after the last moment at which it could be obeyed; it changed nothing"
        ));
    }
}

/// Whether a refusal says what a change has come to, and not that there was none.
const fn is_state(name: RefusalName) -> bool {
    matches!(
        name,
        RefusalName::RolledBack | RefusalName::NeedsRecovery | RefusalName::AppliedUnfinished
    )
}

/// What nobody but the command line knows of an interruption: by what, and what was typed.
fn interrupted(refusal: Refusal, printer: &Printer, line: &str) -> Refusal {
    let refusal = match printer.signal() {
        Some(signal) => refusal.value("signal", signal),
        None => refusal,
    };
    refusal.next(line)
}

/// The command as it was typed.
fn typed(arguments: &[OsString]) -> String {
    let given = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let words = std::iter::once("lockstep".to_owned()).chain(given.map(|word| shell_word(&word)));
    words.collect::<Vec<_>>().join(" ")
}

/// The command line in this program's own words, whatever it was called as.
fn spoken(arguments: Vec<OsString>) -> Result<Vec<OsString>, Refusal> {
    if !spot::is_spot(&arguments) {
        return Ok(arguments);
    }
    let spoken = spot::translate(&arguments)?;
    for hint in &spoken.hints {
        print::line_to_stderr(&Escaped(hint).to_string());
    }
    Ok(spoken.arguments)
}

/// clap prints its own help, version and usage errors; an error has the exit code of the table.
fn usage(error: &clap::Error, json: bool) -> ExitCode {
    let failed = error.use_stderr();
    if failed && json {
        let what = error.to_string();
        let what = what
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let refusal = Refusal::new(RefusalName::Usage, what).next("lockstep --help");
        Printer::new(true, false).refusal(&refusal);
    } else if let Err(error) = error.print() {
        print::line_to_stderr(&error.to_string());
    }
    if failed {
        ExitCode::from(RefusalName::Usage.code())
    } else {
        ExitCode::SUCCESS
    }
}
