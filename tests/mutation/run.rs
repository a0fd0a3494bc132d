//! The run over one kind: mutate, run the commands, judge, put back.
//!
//! A mutation is refused, or does what the good file does. Where the right key signed another file, that
//! may be taken; then the bench says what must hold all the same. Nothing panics, nothing takes more
//! than [`SECONDS`] or [`MEGABYTES`], and a refusal leaves every byte as it was.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lockstep::audit::inspect;
use lockstep::model::{Refusal, RefusalName};

use super::archive::Archive;
use super::bench::{Bench, Ran};
use super::dice::Dice as _;
use super::measure;
use super::mutate::Mutation;
use super::seed::Seeded;
use super::signing::By;
use super::stage::Stage;
use super::world::{Outcome, Tested};

/// Longest that one case may take, in seconds.
const SECONDS: u64 = 5;
/// Most memory that the process may hold in any case.
const MEGABYTES: u64 = 256;

/// Which cases are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Where the choices begin.
    pub(crate) seed: u64,
    /// How many cases of each kind.
    pub(crate) count: u64,
    /// Only this one.
    pub(crate) only: Option<u64>,
    /// Whether the first fault ends the run.
    pub(crate) to_first: bool,
}

/// What became of the cases of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    name: &'static str,
    pub(crate) cases: u64,
    refused: BTreeMap<&'static str, u64>,
    same: u64,
    others: u64,
    slowest: Duration,
    peak: u64,
    /// What must not be, each with the case.
    pub(crate) faults: Vec<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut refused: Vec<_> = self.refused.iter().collect();
        refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let refused: Vec<String> = refused
            .into_iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        write!(
            f,
            "{:<10}  {:>6}  {:>6}  {:>6}  {:>8}  {:>7}  {}",
            self.name,
            self.cases,
            self.same,
            self.others,
            self.slowest.as_millis(),
            self.peak,
            refused.join(", ")
        )
    }
}

/// The heading above the rows.
pub(crate) const HEADING: &str = "kind         cases    same   other   slowest     peak  refused by name\n\
     .                          lawful        ms       MB";

/// One kind, all set to be run.
pub(crate) struct Run<'a> {
    stage: &'a Stage,
    bench: &'a dyn Bench,
    file: PathBuf,
    /// What the commands do with each good file.
    good: Vec<Vec<Ran>>,
    tally: Tally,
}

impl<'a> Run<'a> {
    /// Finds out what the good files do, twice: what differs between two runs could not be judged.
    pub(crate) fn new(stage: &'a Stage, bench: &'a dyn Bench) -> Outcome<Self> {
        for base in bench.bases() {
            same_again(base)?;
        }
        let mut run = Self {
            stage,
            bench,
            file: stage.out(bench.file()),
            good: Vec::new(),
            tally: Tally {
                name: bench.name(),
                ..Tally::default()
            },
        };
        for base in bench.bases() {
            std::fs::write(&run.file, base)?;
            let first = run.commands()?;
            let second = run.commands()?;
            if first != second {
                return Err(format!("{first:?}\nand then\n{second:?}").into());
            }
            if first.iter().all(|(_, ran)| ran.is_err()) {
                return Err(format!("a good file is refused: {first:?}").into());
            }
            run.good.push(first);
        }
        Ok(run)
    }

    fn commands(&self) -> Outcome<Vec<Ran>> {
        let ran = self
            .bench
            .run(self.stage, &self.file, &mut || self.restore())?;
        self.restore()?;
        Ok(ran)
    }

    /// Runs the cases of the plan.
    pub(crate) fn go(mut self, plan: Plan) -> Outcome<Tally> {
        measure::forget_peak();
        let numbers = match plan.only {
            Some(number) => number..number + 1,
            None => 0..plan.count,
        };
        for number in numbers {
            let mut dice = Seeded::of(plan.seed, self.bench.name(), number);
            let at = dice.below(self.bench.bases().len());
            let mutation = self.bench.mutate(self.stage, at, &mut dice)?;
            measure::begin(format!("{} {number}", self.bench.name()));
            let faults = self.case(at, &mutation)?;
            measure::end();
            self.tally.cases += 1;
            self.note(plan, number, &mutation, faults)?;
            if plan.to_first && !self.tally.faults.is_empty() {
                break;
            }
        }
        Ok(self.tally)
    }

    /// Keeps the file of a case with faults, and says how to run it again.
    fn note(&mut self, plan: Plan, number: u64, made: &Mutation, faults: Vec<String>) -> Tested {
        if plan.only.is_some() {
            println!("case {number}: {:?}, signed by {:?}", made.how, made.by);
        }
        if faults.is_empty() {
            return Ok(());
        }
        let (name, seed) = (self.bench.name(), plan.seed);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutation");
        std::fs::create_dir_all(&folder)?;
        let kept = folder.join(format!("{}-{seed}-{number}.spr", name.replace(' ', "-")));
        std::fs::write(&kept, &made.bytes)?;
        self.tally.faults.extend(faults.into_iter().map(|fault| {
            format!(
                "{name} {number}: {fault}\n  {:?}, signed by {:?}; {}\n  scripts/mutate.sh --seed {seed} --kind '{name}' --only {number}",
                made.how, made.by, kept.display()
            )
        }));
        Ok(())
    }

    fn case(&mut self, at: usize, made: &Mutation) -> Outcome<Vec<String>> {
        std::fs::write(&self.file, &made.bytes)?;
        let begun = Instant::now();
        let looked = catch_unwind(AssertUnwindSafe(|| inspect::run(&self.file).is_ok()));
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.bench
                .run(self.stage, &self.file, &mut || self.restore())
        }));
        let took = begun.elapsed();
        let mut faults = Vec::new();
        match ran {
            Ok(ran) => faults.extend(self.judge(at, made.by, &ran?)?),
            Err(_) => faults.push("a command panicked".to_owned()),
        }
        if looked.is_err() {
            faults.push("inspect panicked".to_owned());
        }
        let peak = measure::peak();
        if peak > MEGABYTES {
            faults.push(format!("{peak} MB of memory"));
            measure::forget_peak();
        }
        if took > Duration::from_secs(SECONDS) {
            faults.push(format!("{} ms", took.as_millis()));
        }
        self.tally.slowest = self.tally.slowest.max(took);
        self.tally.peak = self.tally.peak.max(peak);
        self.restore()?;
        Ok(faults)
    }

    /// What is wrong with what the commands did.
    fn judge(&mut self, at: usize, by: By, ran: &[Ran]) -> Outcome<Vec<String>> {
        let mut faults = Vec::new();
        let mut other = false;
        for (index, (command, result)) in ran.iter().enumerate() {
            let good = self.good[at].get(index).map(|(_, result)| result);
            match result {
                Err(refusal) => faults.extend(words(command, refusal)),
                Ok(_) if by.is_forbidden() => {
                    faults.push(format!("{command} took a signature that is worth nothing"));
                }
                Ok(_) if good == Some(result) => {}
                Ok(_) if by == By::Right => other = true,
                Ok(said) => faults.push(format!("{command} took it: {said}")),
            }
        }
        match ran.first() {
            Some((_, Err(refusal))) => {
                *self.tally.refused.entry(refusal.name.word()).or_default() += 1;
            }
            _ if other => self.tally.others += 1,
            _ => self.tally.same += 1,
        }
        if other {
            faults.extend(self.bench.faults(self.stage, &self.file)?);
        }
        if ran.iter().all(|(_, result)| result.is_err()) {
            faults.extend(self.left(by)?);
        }
        Ok(faults)
    }

    /// What commands that refused all the same changed.
    fn left(&self, by: By) -> Outcome<Vec<String>> {
        let allowed = self.bench.evidence().filter(|_| by == By::Right);
        let mut faults = Vec::new();
        for place in self.bench.places() {
            let mut now = place.now(&self.stage.world)?;
            if let Some(folder) = allowed {
                now.retain(|path, _| place.before.contains_key(path) || !path.starts_with(folder));
            }
            let changed = place.difference(&now);
            faults.extend(changed.map(|what| format!("refused, and {what}")));
        }
        Ok(faults)
    }

    fn restore(&self) -> Tested {
        for place in self.bench.places() {
            let now = place.now(&self.stage.world)?;
            if place.difference(&now).is_some() {
                place.restore(&self.stage.world)?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a refusal: it is no refusal but a mistake of ours, or it does not say enough.
fn words(command: &str, refusal: &Refusal) -> Option<String> {
    let text = refusal.to_string();
    let control = |c: char| c.is_control() && c != '\n';
    if refusal.name == RefusalName::Internal {
        Some(format!("{command} ended as an internal error: {text}"))
    } else if refusal.next.is_empty() || refusal.unchanged.is_empty() {
        Some(format!("{command} does not say enough: {text}"))
    } else if text.contains(control) {
        Some(format!("{command} prints what a terminal obeys: {text:?}"))
    } else {
        None
    }
}

/// The editors write as the program does: an archive that is read and filled with what is in it is the
/// same file. Else every mutation would be refused for its spelling, and nothing else would be tried.
fn same_again(file: &[u8]) -> Tested {
    let mut archive = Archive::read(file).ok_or("a good file is no archive")?;
    for entry in &mut archive.entries {
        entry.rename(&entry.name());
        entry.fill(entry.content.clone());
    }
    if archive.bytes() == file {
        Ok(())
    } else {
        Err("the editors write another tar than the program".into())
    }
}
