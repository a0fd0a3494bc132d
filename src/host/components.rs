//! `components`: what is installed here.

use std::path::Path;

use serde::Serialize;

use super::Node;
use crate::model::Refusal;

/// What is installed.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The node's name.
    pub node: String,
    /// One entry per component, releases first.
    pub components: Vec<Line>,
}

/// One component.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `release`, `hotfix`, `add-on` or `component`.
    pub kind: &'static str,
    /// The recipe, as it is asked for.
    pub recipe: String,
    /// The vendor.
    pub vendor: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.components.is_empty() {
            return write!(
                f,
                "nothing is installed on {}\n  next       lockstep snapshot, and prepare a first patch",
                self.environment
            );
        }
        write!(
            f,
            "{:<28} {:<32} {:<10} {:<12} recipe",
            "component", "version", "kind", "vendor"
        )?;
        self.components.iter().try_for_each(|line| {
            write!(
                f,
                "\n{:<28} {:<32} {:<10} {:<12} {}",
                line.name, line.version, line.kind, line.vendor, line.recipe
            )
        })
    }
}

/// Lists what is installed.
pub fn run(root: &Path) -> Result<Outcome, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    let mut components: Vec<Line> = node
        .installed()
        .iter()
        .map(|c| Line {
            name: c.name.to_string(),
            version: c.version.to_string(),
            kind: match c.path.family().split('/').next() {
                _ if c.release => "release",
                Some("hotfix") => "hotfix",
                Some("customer") => "add-on",
                _ => "component",
            },
            recipe: format!("to:{}", c.path),
            vendor: c.vendor.to_string(),
        })
        .collect();
    components.sort_by_key(|line| line.kind != "release");
    Ok(Outcome {
        environment: node.environment().to_string(),
        node: node.name().to_string(),
        components,
    })
}
