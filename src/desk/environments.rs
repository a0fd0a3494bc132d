//! `environments`: what this desk knows of each environment, one line each.

use serde::Serialize;

use super::Desk;
use super::statements::Unread;
use super::store::{EnvironmentRecord, NodeRecord};
use crate::model::snapshot::Snapshot;
use crate::model::{Refusal, Time};

/// All environments.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// One entry each, rising by name.
    pub environments: Vec<Line>,
}

/// What is known of an environment.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its nodes' names.
    pub nodes: Vec<String>,
    /// The release that is installed, or the newest component where there is none.
    pub release: String,
    /// Days since the last word of any of its nodes.
    pub age_days: Option<u64>,
    /// Drifted files that the nodes last stated.
    pub drift: usize,
    /// Patch files prepared and not yet confirmed.
    pub prepared: Vec<String>,
    /// The first day after which a prepared patch is refused.
    pub apply_before: Option<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.environments.is_empty() {
            return write!(
                f,
                "no environment is enrolled here\n  next       lockstep enrol SNAPSHOT.spr"
            );
        }
        write!(
            f,
            "{:<20} {:>5}  {:<44} {:>8} {:>5}  prepared",
            "environment", "nodes", "release", "last", "drift"
        )?;
        for line in &self.environments {
            let age = line
                .age_days
                .map_or("never".to_owned(), |days| format!("{days} d"));
            let prepared = match (&line.apply_before, line.prepared.as_slice()) {
                (_, []) => "-".to_owned(),
                (Some(before), files) => format!("{} (apply before {before})", files.join(", ")),
                (None, files) => files.join(", "),
            };
            write!(
                f,
                "\n{:<20} {:>5}  {:<44} {age:>8} {:>5}  {prepared}",
                line.name,
                line.nodes.len(),
                line.release,
                line.drift
            )?;
        }
        Ok(())
    }
}

/// Lists the environments.
pub fn run(desk: &Desk, now: Time) -> Result<Outcome, Refusal> {
    let environments = desk
        .environments()?
        .iter()
        .map(|record| line(desk, record, now))
        .collect::<Result<_, _>>()?;
    Ok(Outcome { environments })
}

fn line(desk: &Desk, record: &EnvironmentRecord, now: Time) -> Result<Line, Refusal> {
    let mut last = Vec::new();
    for node in &record.nodes {
        last.extend(last_snapshot(desk, node)?);
    }
    let newest = last.iter().map(|snapshot| snapshot.created).max();
    Ok(Line {
        name: record.environment.name.to_string(),
        id: record.environment.id.to_string(),
        nodes: record
            .nodes
            .iter()
            .map(|node| node.name.to_string())
            .collect(),
        release: last.first().map_or("unknown".to_owned(), release),
        age_days: newest.map(|created| now.days_since(created)),
        drift: last
            .iter()
            .map(|snapshot| snapshot.drift.len())
            .fold(0, usize::saturating_add),
        prepared: record
            .prepared
            .iter()
            .map(|prepared| prepared.file.clone())
            .collect(),
        apply_before: record
            .prepared
            .iter()
            .map(|p| p.apply_before)
            .min()
            .map(Time::date),
    })
}

/// The last snapshot that the desk has of a node.
pub(super) fn last_snapshot(desk: &Desk, node: &NodeRecord) -> Result<Option<Snapshot>, Refusal> {
    let Some(seen) = node.last() else {
        return Ok(None);
    };
    let Some(file) = desk.statement(seen.sha256)? else {
        return Ok(None);
    };
    let Ok(unread) = Unread::parse(file) else {
        return Ok(None);
    };
    Ok(Some(unread.verify(&node.key)?.snapshot.get().clone()))
}

/// The installed baseline, for a person.
fn release(snapshot: &Snapshot) -> String {
    match snapshot.components.as_slice() {
        [] => "nothing installed".to_owned(),
        components => components.iter().find(|c| c.release).map_or_else(
            || format!("{} component(s), no release", components.len()),
            |c| format!("{} {}", c.name, c.version),
        ),
    }
}
