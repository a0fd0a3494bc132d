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
    }
}

/// Runs the kinds that are asked for, and prints a row for each.
fn run(plan: Plan) -> Outcome<Vec<Tally>> {
    let stage = Stage::build()?;
    // Commands that hand files out put them where one stands.
    std::env::set_current_dir(stage.out("."))?;
    let kinds: Option<String> = asked("LOCKSTEP_MUTATION_KIND");
    let kinds: Option<Vec<&str>> = kinds.as_deref().map(|kinds| kinds.split(',').collect());
    println!("seed {}\n{HEADING}", plan.seed);
    let mut tallies = Vec::new();
    for bench in bench::all(&stage)? {
        if kinds
            .as_ref()
            .is_some_and(|kinds| !kinds.contains(&bench.name()))
        {
            continue;
        }
        let ready = Run::new(&stage, bench.as_ref())?;
        // Once it is known what the good files do.
        #[cfg(feature = "faulty")]
        build_in();
        let tally = ready.go(plan)?;
        println!("{tally}");
        tallies.push(tally);
    }
    if tallies.is_empty() {
        return Err("no such kind".into());
    }
    Ok(tallies)
}

#[cfg(feature = "faulty")]
fn build_in() {
    if let Some(fault) = asked("LOCKSTEP_FAULTY") {
        lockstep::model::faulty::build_in(fault);
    }
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

/// With a check taken out of the program, the run above must find it bad.
#[cfg(feature = "faulty")]
#[test]
#[ignore = "scripts/mutate.sh names the check that is taken out"]
fn a_program_without_a_check_is_found_bad() -> Tested {
    let missing: String = asked("LOCKSTEP_FAULTY").ok_or("LOCKSTEP_FAULTY names no check")?;
    let tallies = run(plan())?;
    let faults = faults(&tallies);
    let first = faults
        .first()
        .ok_or_else(|| format!("nobody missed {missing}"))?;
    println!(
        "control {missing}: {} faults, the first: {first}",
        faults.len()
    );
    Ok(())
}
