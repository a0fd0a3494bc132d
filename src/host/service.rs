//! The product's service as a change of its files needs it: whether it runs, stop it, start it and
//! wait until it is well.
//!
//! [`crate::disk::rules::service`] says what stands in `node.toml`, and [`crate::disk::command`] how
//! a command is run. Nothing here decides what becomes of the files when a step fails.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Node;
use crate::disk::command::{self, End, Ran};
use crate::disk::rules::service::{ServiceCommand, ServiceRules};
use crate::model::service::{Failure, Step};
use crate::model::{Refusal, RefusalName};

/// Between two questions whether the product is well.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Most lines of a command's output that a message shows; a receipt has all that was kept.
const LINES_SHOWN: usize = 12;

/// What to do where files do not go back because the product may run.
pub(super) const STOP_FIRST: &str = "stop the product, then lockstep recover: it puts the old files back and starts \
     it (where the stop command never ends with 0: lockstep recover --before-start, and start it)";

/// How this node's product is stopped and started; nothing of it is done yet.
#[derive(Debug)]
pub struct Service {
    root: PathBuf,
    rules: Option<ServiceRules>,
}

impl Service {
    /// As `node.toml` says it, or `--service none` at `init`; refused where neither does.
    pub fn of(node: &Node) -> Result<Self, Refusal> {
        let rules = node.store.rules()?.service().cloned();
        if rules.is_none() && !node.store.environment()?.service_none {
            let folder = node.root().state_folder();
            return Err(Refusal::new(
                RefusalName::Usage,
                "nothing says how the product is stopped and started, nor that somebody does it by hand",
            )
            .value("environment", node.environment())
            .value("rules", folder.join("node.toml").display())
            .next(format!(
                "put the tables [service.stop] and [service.start] back into {}; or, if somebody stops \
                 and starts it by hand, \"service_none\":true into {}",
                folder.join("node.toml").display(),
                folder.join("environment.json").display()
            )));
        }
        Ok(Self {
            root: node.root().path().to_owned(),
            rules,
        })
    }

    /// Whether there are no commands: somebody stops and starts the product by hand.
    #[must_use]
    pub fn names_none(&self) -> bool {
        self.rules.is_none()
    }

    /// Whether the product runs. Only a command that ended by itself with another code than 0 says
    /// that it does not: without an answer it is taken to run, and is stopped.
    #[must_use]
    pub fn runs(&self) -> bool {
        let Some(rules) = &self.rules else {
            return false;
        };
        let Some(running) = &rules.running else {
            return true;
        };
        !matches!(self.run(running).end, End::Exit(code) if code != 0)
    }

    /// Whether a command says that the product runs: without one, or without an answer, not.
    #[must_use]
    pub fn surely_runs(&self) -> bool {
        let running = self.rules.as_ref().and_then(|rules| rules.running.as_ref());
        running.is_some_and(|running| self.run(running).well())
    }

    /// Whether a command says twice that the product does not run: one that is starting or stopping is
    /// for a moment neither up nor down.
    fn surely_down(&self) -> bool {
        let running = self.rules.as_ref().and_then(|rules| rules.running.as_ref());
        running.is_some_and(|running| {
            let down = || matches!(self.run(running).end, End::Exit(code) if code != 0);
            down() && {
                sleep(ASK_AGAIN);
                down()
            }
        })
    }

    /// Stops a product that may be up or down. A stop command that fails is believed, unless the
    /// product is surely down.
    pub fn stop_if_up(&self) -> Result<(), Failure> {
        match self.stop() {
            Err(_) if self.surely_down() => Ok(()),
            stopped => stopped,
        }
    }

    /// Stops the product.
    pub fn stop(&self) -> Result<(), Failure> {
        self.rules
            .as_ref()
            .map_or(Ok(()), |rules| self.step(Step::Stop, &rules.stop))
    }

    /// Starts the product and waits until it is well.
    pub fn start(&self) -> Result<(), Failure> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        self.step(Step::Start, &rules.start)?;
        rules
            .health
            .as_ref()
            .map_or(Ok(()), |health| self.wait_until_well(health))
    }

    /// What stops and starts the product, for a person.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        words(self.rules.as_ref())
    }

    /// Adds to a refusal which command did not do what it is for, and what is known of it.
    #[must_use]
    pub fn tell(&self, refusal: Refusal, failure: &Failure) -> Refusal {
        let refusal = match self.command(failure.step) {
            Some(command) => refusal.value(failure.step.word(), command),
            None => refusal,
        };
        let refusal = refusal.value("ended", &failure.ended);
        let lines: Vec<&str> = failure.output.lines().collect();
        let shown = lines.len().saturating_sub(LINES_SHOWN);
        let lines = lines.get(shown..).unwrap_or_default();
        lines
            .iter()
            .enumerate()
            .fold(refusal, |refusal, (at, line)| {
                refusal.value(
                    if at == 0 { "printed" } else { "" },
                    line.replace('\t', "    "),
                )
            })
    }

    /// The refusal of a change before which the product did not stop.
    #[must_use]
    pub fn not_stopped(&self, node: &Node, failure: &Failure) -> Refusal {
        let refusal = Refusal::new(
            RefusalName::ServiceFailed,
            "the product's service did not stop, so nothing was exchanged",
        )
        .value("environment", node.environment());
        let start = self.command(Step::Start).map(|start| format!("{start}; "));
        self.tell(refusal, failure)
            .unchanged("no file was changed; the product may be half stopped")
            .next(format!(
                "{}once it can be stopped, run the same command again",
                start.unwrap_or_default()
            ))
    }

    fn command(&self, step: Step) -> Option<&ServiceCommand> {
        let rules = self.rules.as_ref()?;
        match step {
            Step::Stop => Some(&rules.stop),
            Step::Start => Some(&rules.start),
            Step::Health => rules.health.as_ref(),
        }
    }

    fn run(&self, command: &ServiceCommand) -> Ran {
        let limit = Duration::from_secs(command.seconds);
        command::run(&self.root, &command.command, limit)
    }

    fn step(&self, step: Step, command: &ServiceCommand) -> Result<(), Failure> {
        let ran = self.run(command);
        if ran.well() {
            return Ok(());
        }
        Err(Failure {
            ended: ran.end.to_string(),
            output: ran.output,
            step,
        })
    }

    /// Asks until the answer is 0 or the time is over. What cannot be run is not asked again: no
    /// time makes it right, and the product is down.
    fn wait_until_well(&self, health: &ServiceCommand) -> Result<(), Failure> {
        let begun = Instant::now();
        let limit = Duration::from_secs(health.seconds);
        let mut asked: u64 = 0;
        loop {
            let left = limit.saturating_sub(begun.elapsed());
            let ran = command::run(&self.root, &health.command, left);
            if ran.well() {
                return Ok(());
            }
            asked = asked.saturating_add(1);
            let left = limit.saturating_sub(begun.elapsed());
            if left <= ASK_AGAIN || matches!(ran.end, End::NotRun(_)) {
                return Err(unwell(ran, asked, health.seconds));
            }
            sleep(ASK_AGAIN);
        }
    }
}

/// What stops and starts the product, for a person.
pub(super) fn words(rules: Option<&ServiceRules>) -> Vec<String> {
    let Some(rules) = rules else {
        return vec!["none: stop and start the product by hand around lockstep apply".to_owned()];
    };
    let line = |step: &str, command: &ServiceCommand| {
        format!("{step}: {command} (at most {} s)", command.seconds)
    };
    let named = [
        ("running", rules.running.as_ref()),
        ("stop", Some(&rules.stop)),
        ("start", Some(&rules.start)),
        ("health", rules.health.as_ref()),
    ];
    named
        .iter()
        .filter_map(|(step, command)| command.map(|command| line(step, command)))
        .collect()
}

fn unwell(ran: Ran, asked: u64, seconds: u64) -> Failure {
    let ended = match ran.end {
        // Of several, the last was given only what was left of the whole.
        End::Late { remains, .. } if asked > 1 => {
            let still = if remains { ", and still runs" } else { "" };
            format!("no end when asked for the last of {asked} times within {seconds} s{still}")
        }
        End::Exit(_) | End::Signal(_) => {
            format!("{}, asked {asked} time(s) within {seconds} s", ran.end)
        }
        end => end.to_string(),
    };
    Failure {
        ended,
        output: ran.output,
        step: Step::Health,
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
