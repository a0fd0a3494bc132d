//! How a node moved between two statements of it, in words.

use std::collections::BTreeMap;

use super::change::describe;
use crate::model::snapshot::{Drift, Installed};

/// What a statement says of a node's state.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// What is installed.
    pub components: &'a [Installed],
    /// What drifted.
    pub drift: &'a [Drift],
}

/// What differs between two holdings, one line each: components first, then files.
#[must_use]
pub fn differences(then: Holding<'_>, now: Holding<'_>) -> Vec<String> {
    let mut lines = components(then.components, now.components);
    let before: BTreeMap<_, _> = then.drift.iter().map(|d| (&d.path, &d.found)).collect();
    let after: BTreeMap<_, _> = now.drift.iter().map(|d| (&d.path, &d.found)).collect();
    for (path, found) in &after {
        if before.get(path) != Some(found) {
            lines.push(format!("{path}: {}", describe(found)));
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        lines.push(format!("{path}: as its recipe has it again"));
    }
    lines
}

fn components(then: &[Installed], now: &[Installed]) -> Vec<String> {
    let before: BTreeMap<_, _> = then.iter().map(|c| (&c.name, c)).collect();
    let after: BTreeMap<_, _> = now.iter().map(|c| (&c.name, c)).collect();
    let mut lines = Vec::new();
    for (name, new) in &after {
        match before.get(name) {
            Some(old) if old.version != new.version => {
                lines.push(format!("{name}: {} -> {}", old.version, new.version));
            }
            Some(old) if old.recipe != new.recipe => {
                lines.push(format!("{name} {}: another recipe", new.version));
            }
            Some(_) => {}
            None => lines.push(format!("{name} {}: added", new.version)),
        }
    }
    for (name, old) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        lines.push(format!("{name} {}: removed", old.version));
    }
    lines
}
