//! `enrol`: make a node known to this desk, by the key that its first snapshot states.
//!
//! The one moment of trust on first use, so a fingerprint may be asked for: it is read from the
//! host's own `status`, never shown here first.

use std::path::PathBuf;

use serde::Serialize;

use super::Desk;
use super::statements::{Unread, Word, check_key};
use super::store::{EnvironmentRecord, NodeRecord};
use crate::disk::{handout, keys};
use crate::model::enrolment::Enrolment;
use crate::model::snapshot::NodeId;
use crate::model::statement::FORMAT;
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};
use crate::spr::{RawSignature, canonical, encode_small};

/// Fewest characters of a fingerprint that count, after `SHA256:`.
const PREFIX_MIN: usize = 12;

/// What `enrol` is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// A snapshot or receipt file.
    pub file: PathBuf,
    /// The beginning of the node key's fingerprint, read from the host.
    pub fingerprint: Option<String>,
    /// Whether another key may take the place of the enrolled one.
    pub replace: bool,
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
            writeln!(f, "  enrolment  {}", output.display())?;
        }
        write!(f, "  next       lockstep prepare SNAPSHOT.spr --to RECIPE")
    }
}

/// Enrols a node.
pub fn run(
    desk: &Desk,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Outcome, Refusal> {
    let unread = Unread::read(&request.file)?;
    let (environment, node) = unread.claims().map_err(|e| e.refuse(&request.file))?;
    check_fingerprint(&node, request.fingerprint.as_deref())?;
    let word = unread.verify(&node.key)?;
    let mut record = desk
        .environment(&environment)?
        .unwrap_or_else(|| EnvironmentRecord::new(environment.clone()));
    check_name(desk, &record, &word)?;
    let known = record
        .node(&node.name)
        .is_some_and(|known| known.key == node.key);
    if !known {
        if let Some(known) = record.node(&node.name).filter(|_| !request.replace) {
            check_key(known, &node, &request.file)?;
        }
        record.nodes.retain(|other| other.name != node.name);
        record.nodes.push(first_record(&node, &word));
        record.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    }
    record.environment = environment.clone();
    record.take_in(&word, false)?;
    desk.keep_statement(word.snapshot.sha256(), &word.file)?;
    desk.store_environment(&record)?;
    let output = write_enrolment(request, &word, now, watch)?;
    Ok(Outcome {
        environment: environment.name.to_string(),
        id: environment.id.to_string(),
        node: node.name.to_string(),
        fingerprint: node.key.fingerprint(),
        compared: request.fingerprint.is_some(),
        known,
        output,
    })
}

/// A node of which nothing is known yet but its key.
fn first_record(node: &NodeId, word: &Word) -> NodeRecord {
    NodeRecord {
        key: node.key.clone(),
        name: node.name.clone(),
        receipt: word
            .snapshot
            .get()
            .receipt
            .unwrap_or_else(|| word.snapshot.sha256()),
        receipt_sequence: 0,
        seen: Vec::new(),
    }
}

fn check_fingerprint(node: &NodeId, wanted: Option<&str>) -> Result<(), Refusal> {
    let Some(wanted) = wanted else { return Ok(()) };
    let found = node.key.fingerprint();
    let short = wanted.strip_prefix("SHA256:").unwrap_or(wanted);
    if short.len() < PREFIX_MIN {
        return Err(Refusal::new(
            RefusalName::Usage,
            "the fingerprint is too short to mean anything",
        )
        .value("given", wanted)
        .value(
            "wanted",
            format!("at least {PREFIX_MIN} characters after SHA256:"),
        )
        .next("read it from lockstep status on the host"));
    }
    if found
        .strip_prefix("SHA256:")
        .is_some_and(|full| full.starts_with(short))
    {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::NotEnrolled,
        "the file is not from the node with that fingerprint",
    )
    .value("file has", found)
    .value("you gave", wanted)
    .next("read the fingerprint again on the host (lockstep status); if it differs, do not enrol"))
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
                "one of the two needs another name: make it anew with lockstep init --name NAME on its host",
            ));
        }
    }
    Ok(())
}

fn write_enrolment(
    request: &Request,
    word: &Word,
    now: Time,
    watch: &dyn Watch,
) -> Result<Option<PathBuf>, Refusal> {
    let Some(output) = &request.output else {
        return Ok(None);
    };
    let Some(key_file) = &request.key else {
        return Err(Refusal::new(
            RefusalName::Usage,
            "an enrolment file is signed, and no key was named",
        )
        .next("add --key KEY"));
    };
    let key = keys::load(key_file, watch)?;
    let snapshot = word.snapshot.get();
    let enrolment = Enrolment {
        created: now,
        environment: snapshot.environment.clone(),
        floors: snapshot.floors.clone(),
        format: FORMAT,
        kind: Kind::Enrolment,
        members: Vec::new(),
        node: snapshot.node.clone(),
        receipt: word
            .receipt
            .as_ref()
            .map_or(snapshot.receipt, |receipt| Some(receipt.sha256())),
        sequence: snapshot.sequence,
        site: snapshot.site.clone(),
    };
    let bytes = canonical::encode(&enrolment).map_err(|e| e.refuse(output))?;
    let signature = RawSignature {
        key: key.id(),
        armoured: key.sign(Kind::Enrolment, &bytes)?,
    };
    let file =
        encode_small(Kind::Enrolment, &bytes, &[signature], &[]).map_err(|e| e.refuse(output))?;
    handout::write(output, &file)?;
    Ok(Some(output.clone()))
}
