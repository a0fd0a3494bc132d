//! `enrol`: make a node known to this desk, by the key that its first snapshot states.
//!
//! The one moment of trust on first use, so a fingerprint may be asked for: it is read from the
//! host's own `status`, never shown here first.

mod fingerprint;
mod folder;
mod outside;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Desk;
use super::many::{OneLine, Told};
use super::statements::{self, Unread, Word, check_key};
use super::store::{EnvironmentRecord, NodeRecord, SeenSnapshot};
use crate::model::snapshot::NodeId;
use crate::model::text::{Shown, any_path_as_text};
use crate::model::{Refusal, RefusalName, Time, Watch};

/// What `enrol` is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// Snapshot or receipt files, or folders with such files in them.
    pub places: Vec<PathBuf>,
    /// The beginning of the node key's fingerprint, read from the host. Of many, it picks the one.
    pub fingerprint: Option<String>,
    /// Whether another key may take the place of the enrolled one.
    pub replace: bool,
    /// Why a fork is accepted, where one is.
    pub accept_forked: Option<String>,
    /// Where an enrolment file goes, signed by `key`.
    pub output: Option<PathBuf>,
    /// The preparer's key file.
    pub key: Option<PathBuf>,
}

/// What `enrol` did.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The environment's id.
    pub id: String,
    /// The node's name.
    pub node: String,
    /// The node key's fingerprint.
    pub fingerprint: String,
    /// Whether the fingerprint was compared with one read from the host.
    pub compared: bool,
    /// Whether it was known already.
    pub known: bool,
    /// The enrolment file, where one was written.
    #[serde(serialize_with = "any_path_as_text")]
    pub output: Option<PathBuf>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.known {
            "known already"
        } else {
            "enrolled"
        };
        writeln!(
            f,
            "{word}: environment {} ({}), node {}",
            self.environment, self.id, self.node
        )?;
        writeln!(f, "  key        {}", self.fingerprint)?;
        if !self.compared {
            writeln!(
                f,
                "  compare    it must be the key that `lockstep status` shows on the host"
            )?;
        }
        if let Some(output) = &self.output {
            writeln!(f, "  enrolment  {}", Shown(output))?;
        }
        write!(f, "  next       lockstep prepare SNAPSHOT.spr --to RECIPE")
    }
}

impl OneLine for Outcome {
    const NEXT: &'static str = "lockstep prepare --all --to RECIPE --output DIR";

    fn line(&self) -> String {
        let word = if self.known {
            "known     "
        } else {
            "enrolled  "
        };
        let compare = if self.compared || self.known {
            ""
        } else {
            " (compare it with lockstep status on the host)"
        };
        format!(
            "{word} environment {}, node {}, key {}{compare}",
            self.environment, self.node, self.fingerprint
        )
    }
}

/// Enrols a node, or the nodes of many files.
pub fn run(
    desk: &Desk,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Told<Outcome>, Refusal> {
    match request.places.as_slice() {
        [file] if !file.is_dir() => Ok(Told::One(one(desk, file, request, now, watch)?)),
        places => Ok(Told::Many(folder::run(desk, places, request, now, watch)?)),
    }
}

fn one(
    desk: &Desk,
    file: &Path,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let unread = Unread::read(file)?;
    let (environment, node) = unread.claims().map_err(|e| e.refuse(file))?;
    let compared = fingerprint::compare(desk, &environment, &node, request, watch)?;
    let word = unread.verify(&node.key)?;
    let outside = outside::Writer::open(desk, request, &word, watch)?;
    let lock = desk.lock("enrol", now)?;
    let mut record = desk
        .environment(&environment)?
        .unwrap_or_else(|| EnvironmentRecord::new(environment.clone()));
    statements::check_name(&record, &environment, file)?;
    check_name(desk, &record, &word)?;
    let known = is_known(&record, &node);
    if !known {
        if !compared {
            check_not_joined(&record, &node)?;
        }
        take_key(&mut record, &word, request, file)?;
    }
    // Kept first: where two words contradict each other, both are evidence.
    desk.keep_statement(word.snapshot.sha256(), &word.file)?;
    let learned = record.take_in(&word, request.accept_forked.as_deref(), now)?;
    if let Some(gap) = &learned.gap {
        watch.warn(gap);
    }
    if !known && let Some(node) = record.nodes.iter_mut().find(|n| n.name == node.name) {
        // What another key signed is answered no more.
        node.closed = node.closed.max(first_closed(node, &word));
    }
    let outside = outside
        .map(|writer| writer.of(newest(desk, &record, word)?))
        .transpose()
        .map_err(|refusal: Refusal| {
            refusal
                .unchanged("what this desk goes by is as it was, and no enrolment file was written")
        })?;
    desk.store_environment(&record)?;
    drop(lock);
    let output = outside.map(|file| file.write(now)).transpose()?;
    Ok(Outcome {
        environment: environment.name.to_string(),
        id: environment.id.to_string(),
        node: node.name.to_string(),
        fingerprint: node.key.fingerprint(),
        compared,
        known,
        output,
    })
}

/// A node that says it belongs to an environment that is known here has read the environment's id, which
/// stands in every file: nobody but a person who compared its key lets it in.
fn check_not_joined(record: &EnvironmentRecord, node: &NodeId) -> Result<(), Refusal> {
    if record.nodes.is_empty() || record.node(&node.name).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = record.nodes.iter().map(|n| n.name.as_str()).collect();
    Err(Refusal::new(
        RefusalName::NotEnrolled,
        "another node would join an environment that is known here, and its key was not compared",
    )
    .value("environment", &record.environment)
    .value("new node", &node.name)
    .value("known nodes", known.join(", "))
    .next("read the fingerprint from that host's lockstep status: lockstep enrol FILE --fingerprint SHA256:..."))
}

fn is_known(record: &EnvironmentRecord, node: &NodeId) -> bool {
    record
        .node(&node.name)
        .is_some_and(|known| known.key == node.key)
}

/// Lets a key in: of a node that was not known, or on purpose in place of the one that is known. What
/// is known of the node's receipts stays: a rehome goes on from them.
fn take_key(
    record: &mut EnvironmentRecord,
    word: &Word,
    request: &Request,
    file: &Path,
) -> Result<(), Refusal> {
    let node = &word.snapshot.get().node;
    match record
        .nodes
        .iter_mut()
        .find(|known| known.name == node.name)
    {
        Some(known) => {
            if !request.replace {
                check_key(known, node, file)?;
            }
            known.key = node.key.clone();
        }
        None => record.nodes.push(first_record(node, word)),
    }
    record.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}

/// The sequence number below which nothing is answered, where a new key took the place of another.
fn first_closed(node: &NodeRecord, word: &Word) -> u64 {
    let before = node
        .seen
        .iter()
        .any(|seen| seen.sequence < word.snapshot.get().sequence);
    if before {
        word.snapshot.get().sequence
    } else {
        0
    }
}

/// The newest word of the node that the desk has: an enrolment says what is known, not what the file
/// says that happened to be named.
fn newest(desk: &Desk, record: &EnvironmentRecord, word: Word) -> Result<Word, Refusal> {
    let snapshot = word.snapshot.get();
    let Some(last) = later(record, &word) else {
        return Ok(word);
    };
    // An older word in its place would say lower floors than the desk knows, signed.
    let Some(file) = desk.statement(last.sha256)? else {
        return Err(not_kept(desk, last, "is missing"));
    };
    let unread = Unread::parse(file).map_err(|e| e.refuse(&desk.state))?;
    let newest = unread.verify(&snapshot.node.key)?;
    if newest.snapshot.sha256() != last.sha256 {
        return Err(not_kept(desk, last, "is another one"));
    }
    Ok(newest)
}

/// The newest statement of the node that the desk has seen, where that is later than `word`.
fn later<'a>(record: &'a EnvironmentRecord, word: &Word) -> Option<&'a SeenSnapshot> {
    let snapshot = word.snapshot.get();
    let last = record.node(&snapshot.node.name).and_then(NodeRecord::last);
    last.filter(|last| last.sequence > snapshot.sequence)
}

fn not_kept(desk: &Desk, last: &SeenSnapshot, how: &str) -> Refusal {
    Refusal::new(
        RefusalName::Corrupt,
        format!("the newest statement of the node that this desk has seen {how}"),
    )
    .value("seen", format!("sequence {}, {}", last.sequence, last.sha256))
    .value("looked in", Shown(&desk.state.join("statements")))
    .next("enrol that statement again, or a newer one of the node; or put the desk's state back from its backup")
}

/// A node of which nothing is known yet but its key.
fn first_record(node: &NodeId, word: &Word) -> NodeRecord {
    NodeRecord {
        closed: 0,
        key: node.key.clone(),
        name: node.name.clone(),
        receipt: word
            .snapshot
            .get()
            .receipt
            .unwrap_or_else(|| word.snapshot.sha256()),
        receipt_sequence: 0,
        receipts: Vec::new(),
        refused: Vec::new(),
        seen: Vec::new(),
    }
}

/// Two environments of one name on one desk are the mix-up that this tool is here to prevent.
fn check_name(desk: &Desk, record: &EnvironmentRecord, word: &Word) -> Result<(), Refusal> {
    let environment = &word.snapshot.get().environment;
    for other in desk.environments()? {
        if other.environment.name == environment.name
            && other.environment.id != record.environment.id
        {
            return Err(Refusal::new(
                RefusalName::Forked,
                "another environment of this name is enrolled here",
            )
            .value(
                "file is from",
                format!("{} ({})", environment.name, environment.id),
            )
            .value(
                "enrolled",
                format!("{} ({})", other.environment.name, other.environment.id),
            )
            .next(
                "one of the two needs another name: on its host, lockstep rehome --copy --name NAME --reason TEXT",
            ));
        }
    }
    Ok(())
}
