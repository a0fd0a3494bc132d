//! The command line: arguments in, words and exit codes out.
//!
//! The only room that prints, and the only one that reads the clock, the environment and the
//! current folder. Results go to standard output; words, warnings and progress to standard error.
//! With `--json`, standard output holds one document, also for a refusal.

mod args;
#[cfg(feature = "desk")]
mod desk_args;
mod print;
mod progress;
#[cfg(feature = "publish")]
mod publish_args;
mod run;
mod spot;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

use crate::disk::syslog;
use crate::model::{Refusal, RefusalName};
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
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, json),
    };
    let printer = Printer::new(cli.json, cli.quiet);
    let on_host = cli.command.changes_a_host();
    match run::run(cli.command, &printer) {
        Ok(code) => code,
        Err(refusal) => {
            if on_host {
                syslog::note(&refusal.to_string());
            }
            printer.refusal(&refusal);
            ExitCode::from(refusal.name.code())
        }
    }
}

/// The command line in this program's own words, whatever it was called as.
fn spoken(arguments: Vec<OsString>) -> Result<Vec<OsString>, Refusal> {
    if !spot::is_spot(&arguments) {
        return Ok(arguments);
    }
    let spoken = spot::translate(&arguments)?;
    for hint in &spoken.hints {
        print::line_to_stderr(hint);
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
