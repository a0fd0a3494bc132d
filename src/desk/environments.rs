//! `environments`: what this desk knows of each environment, in one line, and more where somebody
//! has to act.

mod table;

use serde::Serialize;

use super::Desk;
use super::statements::Unread;
use super::store::{AcceptedFork, EnvironmentRecord, NodeRecord, PreparedRecord};
use crate::model::installed::describe;
use crate::model::snapshot::Snapshot;
use crate::model::text::Escaped;
use crate::model::{Refusal, Time};

/// All environments.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// One entry each, rising by name.
    pub environments: Vec<Line>,
    /// What there is of everything.
    pub sums: Sums,
    /// Columns of the terminal; release names are cut to fit. Without one, nothing is cut.
    #[serde(skip)]
    pub columns: Option<usize>,
}

/// What is known of an environment.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its nodes, rising by name.
    pub nodes: Vec<Node>,
    /// The releases that its nodes state, each once; the count of components where there is none.
    pub releases: Vec<String>,
    /// Days since the last word of any of its nodes.
    pub age_days: Option<u64>,
    /// Drifted files that the nodes last stated.
    pub drift: usize,
    /// Forks of its nodes that somebody accepted, in order.
    pub forks: Vec<Fork>,
    /// Patches prepared and not yet confirmed by a receipt, in the order in which they were made.
    pub prepared: Vec<Prepared>,
}

/// What is known of a node.
#[derive(Debug, Serialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The sequence number of its last word; none where it never sent one.
    pub sequence: Option<u64>,
    /// Days since then; none as well where that word cannot be read any more.
    pub age_days: Option<u64>,
}

/// A fork that somebody accepted.
#[derive(Debug, Serialize)]
pub struct Fork {
    /// The day on which.
    pub accepted: String,
    /// Of which node.
    pub node: String,
    /// Why.
    pub reason: String,
    /// The sequence number of the statement that was accepted.
    pub sequence: u64,
    /// What contradicted it.
    pub what: String,
}

/// A patch that was prepared and not yet confirmed.
#[derive(Debug, Serialize)]
pub struct Prepared {
    /// Its file's name.
    pub file: String,
    /// The day on which it was made.
    pub created: String,
    /// The day after which a host refuses it.
    pub apply_before: String,
    /// Whether that day has passed.
    pub expired: bool,
}

/// The last line: how much there is to act on.
#[derive(Debug, Default, Serialize)]
pub struct Sums {
    /// Environments.
    pub environments: usize,
    /// Nodes.
    pub nodes: usize,
    /// Nodes that never sent a word.
    pub silent: usize,
    /// Environments with drift.
    pub drifted: usize,
    /// Environments with a patch out that no receipt has confirmed.
    pub waiting: usize,
    /// Prepared patches past their date.
    pub expired: usize,
}

/// Lists the environments, for a terminal of so many columns.
pub fn run(desk: &Desk, columns: Option<usize>, now: Time) -> Result<Outcome, Refusal> {
    let environments = desk
        .environments()?
        .iter()
        .map(|record| line(desk, record, now))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Outcome {
        sums: Sums::of(&environments),
        environments,
        columns,
    })
}

impl Sums {
    fn of(lines: &[Line]) -> Self {
        let count = |of: fn(&Line) -> usize| lines.iter().map(of).fold(0, usize::saturating_add);
        Self {
            environments: lines.len(),
            nodes: count(|line| line.nodes.len()),
            silent: count(|line| line.nodes.iter().filter(|n| n.sequence.is_none()).count()),
            drifted: count(|line| usize::from(line.drift > 0)),
            waiting: count(|line| usize::from(!line.prepared.is_empty())),
            expired: count(|line| line.prepared.iter().filter(|p| p.expired).count()),
        }
    }
}

fn line(desk: &Desk, record: &EnvironmentRecord, now: Time) -> Result<Line, Refusal> {
    let mut last = Vec::new();
    let mut nodes = Vec::new();
    for node in &record.nodes {
        let snapshot = last_snapshot(desk, node)?;
        nodes.push(Node {
            name: node.name.to_string(),
            sequence: node.last().map(|seen| seen.sequence),
            age_days: snapshot
                .as_ref()
                .map(|snapshot| now.days_since(snapshot.created)),
        });
        last.extend(snapshot);
    }
    // A receipt that came in with a snapshot for the next patch has closed it, received or not.
    let closed = record.nodes.iter().map(|node| node.closed).min();
    let open = |prepared: &&PreparedRecord| closed.is_none_or(|closed| prepared.sequence >= closed);
    let mut releases: Vec<String> = last
        .iter()
        .map(|snapshot| describe(&snapshot.components))
        .collect();
    releases.sort();
    releases.dedup();
    Ok(Line {
        name: record.environment.name.to_string(),
        id: record.environment.id.to_string(),
        age_days: nodes.iter().filter_map(|node| node.age_days).min(),
        nodes,
        releases,
        drift: last
            .iter()
            .map(|snapshot| snapshot.drift.len())
            .fold(0, usize::saturating_add),
        forks: record.forks.iter().map(fork).collect(),
        prepared: record
            .prepared
            .iter()
            .filter(open)
            .map(|prepared| self::prepared(prepared, now))
            .collect(),
    })
}

fn fork(record: &AcceptedFork) -> Fork {
    Fork {
        accepted: record.accepted.date(),
        node: record.node.to_string(),
        reason: Escaped(&record.reason).to_string(),
        sequence: record.sequence,
        what: record.what.clone(),
    }
}

fn prepared(record: &PreparedRecord, now: Time) -> Prepared {
    Prepared {
        file: record.file.clone(),
        created: record.created.date(),
        apply_before: record.apply_before.date(),
        expired: record.apply_before < now,
    }
}

/// The last snapshot that the desk has of a node; one that is damaged is none, and hides no others.
fn last_snapshot(desk: &Desk, node: &NodeRecord) -> Result<Option<Snapshot>, Refusal> {
    let Some(seen) = node.last() else {
        return Ok(None);
    };
    let Some(file) = desk.statement(seen.sha256)? else {
        return Ok(None);
    };
    let Ok(unread) = Unread::parse(file) else {
        return Ok(None);
    };
    let word = unread.verify(&node.key).ok();
    Ok(word.map(|word| word.snapshot.get().clone()))
}
