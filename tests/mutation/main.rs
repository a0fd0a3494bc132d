//! Mutations of every kind of `.spr`: each is refused, or does what the good file does.
//!
//! `cargo test --test mutation` runs a few of each kind; `scripts/mutate.sh` runs as many as it is
//! asked for, and the controls: the program with a check taken out, which must be found bad.

#![cfg(all(feature = "desk", feature = "publish"))]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test works on its own files, and may fail loudly"
)]

mod archive;
mod bench;
mod dice;
mod json;
mod lawful;
mod measure;
mod mutate;
mod nested;
mod place;
mod run;
mod seed;
mod signing;
mod stage;
mod streams;
#[expect(dead_code, reason = "the tests of the whole road use more of it")]
#[path = "../road/world.rs"]
mod world;

use run::{HEADING, Plan, Run, Tally};
use stage::Stage;
use world::{Outcome, Tested};

/// Cases of each kind where nothing else is asked for.
const CASES: u64 = 60;
/// Where the choices begin where nothing else is asked for.
const SEED: u64 = 1;
/// Faults that are printed.
const SHOWN: usize = 20;

fn asked<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn plan() -> Plan {
    Plan {
        seed: asked("LOCKSTEP_MUTATION_SEED").unwrap_or(SEED),
        count: asked("LOCKSTEP_MUTATIONS").unwrap_or(CASES),
        only: asked("LOCKSTEP_MUTATION_ONLY"),
        to_first: false,
    }
}

/// Runs the kinds that are asked for, and prints a row for each.
fn run(plan: Plan) -> Outcome<Vec<Tally>> {
    let stage = ready()?;
    let kinds: Option<String> = asked("LOCKSTEP_MUTATION_KIND");
    println!("seed {}\n{HEADING}", plan.seed);
    let mut tallies = Vec::new();
    for bench in bench::all(&stage)? {
        if kinds.as_ref().is_none_or(|kind| kind == bench.name()) {
            let tally = Run::new(&stage, bench.as_ref())?.go(plan)?;
            println!("{tally}");
            tallies.push(tally);
        }
    }
    if tallies.is_empty() {
        return Err("no such kind".into());
    }
    Ok(tallies)
}

/// The stage, with commands that hand files out putting them where nobody looks.
fn ready() -> Outcome<Stage> {
    let stage = Stage::build()?;
    std::env::set_current_dir(stage.out("."))?;
    Ok(stage)
}

fn faults(tallies: &[Tally]) -> Vec<&str> {
    let all = tallies.iter().flat_map(|tally| &tally.faults);
    all.map(String::as_str).collect()
}

#[test]
fn every_mutation_is_refused_or_does_the_same() -> Tested {
    let plan = plan();
    let tallies = run(plan)?;
    let faults = faults(&tallies);
    assert!(
        faults.is_empty(),
        "seed {}: {} faults, of which\n{}",
        plan.seed,
        faults.len(),
        faults[..faults.len().min(SHOWN)].join("\n")
    );
    Ok(())
}

/// Checks that are taken out of the program, and a kind that must miss each.
#[cfg(feature = "faulty")]
const CONTROLS: [(&str, &str); 7] = [
    ("signatures", "site"),
    ("signers", "patch"),
    ("recipes", "recipe"),
    ("contents", "patch"),
    ("contents", "delta"),
    ("bounds", "patch"),
    ("leftovers", "patch"),
];
/// Cases in which a control must be found bad.
#[cfg(feature = "faulty")]
const CONTROL_CASES: u64 = 3_000;

/// With a check taken out of the program, the run above must find it bad.
#[cfg(feature = "faulty")]
#[test]
#[ignore = "scripts/mutate.sh runs it"]
fn a_program_without_a_check_is_found_bad() -> Tested {
    let stage = ready()?;
    let plan = Plan {
        count: CONTROL_CASES,
        to_first: true,
        ..plan()
    };
    let mut missed = Vec::new();
    for (check, kind) in CONTROLS {
        let all = bench::all(&stage)?;
        let bench = all.iter().find(|bench| bench.name() == kind);
        // What the good files do is found out before the check is gone.
        let run = Run::new(&stage, bench.ok_or("no such kind")?.as_ref())?;
        lockstep::model::faulty::build_in(Some(check.parse()?));
        let tally = run.go(plan)?;
        lockstep::model::faulty::build_in(None);
        match tally.faults.first() {
            Some(first) => println!(
                "control {check}: {kind} {} of {CONTROL_CASES}: {}",
                tally.cases,
                first.lines().next().unwrap_or_default()
            ),
            None => missed.push((check, kind)),
        }
    }
    assert!(missed.is_empty(), "nobody missed the checks {missed:?}");
    Ok(())
}
