//! The table of attacks in docs/trust.md names tests that are there.

#![allow(
    clippy::disallowed_methods,
    clippy::map_err_ignore,
    reason = "a test works on its own files"
)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Tested = Result<(), Box<dyn Error>>;

/// How many attacks the table must have at least.
const FEWEST: usize = 60;

/// The rows of the table: attacker, attack, defence, test.
fn rows() -> Result<Vec<[String; 4]>, Box<dyn Error>> {
    let page = fs::read_to_string(root().join("docs/trust.md"))?;
    let (_, behind) = page.split_once("\n## Attacks\n").ok_or("no table")?;
    let table = behind.split("\n## ").next().unwrap_or_default();
    let lines = table.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells: Vec<String> = line
                .trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect();
            let found = cells.len();
            cells
                .try_into()
                .map_err(|_| format!("{found} cells in {line}").into())
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Whether `named`, such as `road/x::y`, is a test in the file that it says.
fn check(named: &str) -> Result<(), String> {
    let (file, function) = named.split_once("::").ok_or("it names no test")?;
    let folder = if file.starts_with("src/") {
        ""
    } else {
        "tests"
    };
    let path = root().join(folder).join(format!("{file}.rs"));
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with(&format!("fn {function}(")));
    let before = at.and_then(|at| lines.get(at.checked_sub(1)?));
    match before {
        Some(&"#[test]") => Ok(()),
        Some(_) => Err(format!("{function} is no test that is run")),
        None => Err(format!("there is no {function} in {file}.rs")),
    }
}

#[test]
fn every_attack_of_the_table_has_its_test() -> Tested {
    let rows = rows()?;
    assert!(rows.len() >= FEWEST, "{} attacks", rows.len());
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        let [attacker, attack, defence, test] = row;
        if row.iter().any(String::is_empty) {
            faults.push(format!("an empty cell: {attacker} {attack} {defence}"));
        }
        if !seen.insert((attacker, attack)) {
            faults.push(format!("twice: {attacker}, {attack}"));
        }
        let named = test.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
        if let Err(fault) = check(named.unwrap_or_default()) {
            faults.push(format!("{attack}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// A place that was to be filled is no page: a line of capitals alone.
#[test]
fn no_page_has_a_gap() -> Tested {
    let mut gaps = Vec::new();
    for entry in fs::read_dir(root().join("docs"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|end| end != "md") {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let capitals = |line: &&str| {
            line.len() > 3
                && line
                    .chars()
                    .all(|c| c.is_ascii_uppercase() || "-_ ".contains(c))
        };
        let found = text
            .lines()
            .filter(capitals)
            .filter(|line| line.contains(char::is_alphabetic));
        gaps.extend(found.map(|line| format!("{}: {line}", path.display())));
    }
    assert!(gaps.is_empty(), "{gaps:#?}");
    Ok(())
}

#[test]
fn a_test_that_is_not_there_is_found() {
    assert!(check("road/clocks::a_host_in_1970").is_ok());
    for bad in [
        "road/clocks::a_host_in_1971",
        "road/nowhere::x",
        "x",
        "road/clocks::day",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
