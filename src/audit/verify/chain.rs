//! The receipts of a node, all together: whether they are its whole chain, from `init` to the head that
//! its newest snapshot names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::outcome::Outcome;
use super::{Auditor, Request, finish};
use crate::disk::durable;
use crate::disk::medium::{Lying, Medium, PassedOver};
use crate::model::receipt::Receipt;
use crate::model::snapshot::Snapshot;
use crate::model::{Kind, Refusal, RefusalName, Sha256, Time, Watch};
use crate::spr::{Opened, RawStatement, STATEMENT_MAX, SprError};
use crate::trust::chain::Chain;
use crate::trust::receipt::{ReceiptParts, by_node};

/// What was found, by digest, so that a copy counts once.
#[derive(Default)]
struct Files {
    receipts: BTreeMap<(u64, Sha256), ReceiptParts>,
    snapshots: BTreeMap<(u64, Sha256), RawStatement>,
}

/// Verifies the receipts and snapshots that were named, or lie in the folders named.
pub(super) fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let files = Files::read(request)?;
    let receipts: Vec<ReceiptParts> = files.receipts.into_values().collect();
    let snapshots: Vec<RawStatement> = files.snapshots.into_values().collect();
    let first = request.files.first();
    let first = first.map_or(Path::new("."), PathBuf::as_path);
    let mut auditor = Auditor::new(request, first, now, watch);
    let failed = auditor.chain(&receipts, snapshots.last()).err();
    let count = receipts.len();
    Ok(Outcome {
        receipts: Some(count),
        ..finish(auditor, Kind::Receipt, failed.as_ref())
    })
}

impl Files {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let mut medium = Medium::look(&request.files)?;
        let mut passed_over = PassedOver::default();
        let mut files = Self::default();
        for Lying { path, named, kind } in std::mem::take(&mut medium.files) {
            match kind {
                Ok(Kind::Receipt) => {
                    let file = durable::read(&path, STATEMENT_MAX)?;
                    let parts = ReceiptParts::open(&file).map_err(|e| e.refuse(&path))?;
                    let receipt: Receipt = parts.raw.decode().map_err(|e| e.refuse(&path))?;
                    let named = (receipt.sequence, parts.raw.sha256());
                    files.receipts.insert(named, parts);
                }
                Ok(Kind::Snapshot) => {
                    let (snapshot, raw) = snapshot(&path)?;
                    let named = (snapshot.sequence, raw.sha256());
                    files.snapshots.insert(named, raw);
                }
                Ok(found) if named => {
                    let wanted = Kind::Receipt;
                    return Err(SprError::Kind { wanted, found }.refuse(&path).next(
                        "one file at a time; several are the receipts and snapshots of one node",
                    ));
                }
                Ok(found) => passed_over.count(Some(found)),
                Err(SprError::Foreign(_)) if !named => passed_over.count(None),
                Err(error) => return Err(error.refuse(&path)),
            }
        }
        if files.receipts.is_empty() {
            return Err(medium.nothing("receipt", &passed_over));
        }
        Ok(files)
    }
}

/// A snapshot file's statement, once every member has the digest that the statement says.
fn snapshot(path: &Path) -> Result<(Snapshot, RawStatement), Refusal> {
    let file = durable::read(path, STATEMENT_MAX)?;
    let opened = Opened::open(file.as_slice()).map_err(|e| e.refuse(path))?;
    let snapshot: Snapshot = opened.decode().map_err(|e| e.refuse(path))?;
    let read = opened.into_memory(&snapshot.members, STATEMENT_MAX);
    let (raw, _) = read.map_err(|e| e.refuse(path))?;
    Ok((snapshot, raw))
}

impl Auditor<'_> {
    fn chain(
        &mut self,
        receipts: &[ReceiptParts],
        newest: Option<&RawStatement>,
    ) -> Result<(), Refusal> {
        let Some(last) = receipts.last() else {
            return Ok(());
        };
        self.line(
            "ok",
            "encoding",
            "one tar encoding, canonical JSON, members as stated",
        );
        let last: Receipt = last
            .raw
            .decode()
            .map_err(|e| e.refuse(Path::new("receipt.json")))?;
        let chain = Chain::check(receipts, &last.node.key)?;
        self.line(
            "ok",
            "signatures",
            format!(
                "the last by the key it states, {}",
                last.node.key.fingerprint()
            ),
        );
        for receipt in chain.receipts() {
            if let Some(rehome) = &receipt.get().rehome {
                self.line("ok", "rehome", told(receipt.get(), rehome));
            }
        }
        let sequences = chain
            .receipts()
            .iter()
            .map(|receipt| receipt.get().sequence);
        let sequences: Vec<String> = sequences.map(|sequence| sequence.to_string()).collect();
        self.line(
            "ok",
            "chain",
            format!(
                "{}, node {}: {}, from init on",
                last.environment,
                last.node.name,
                sequences.join(", ")
            ),
        );
        self.tail(&chain, &last, newest)?;
        self.pinned = self.node_key(&last.node.key)?;
        Ok(())
    }

    /// That nothing is missing at the end shows in what the node signed afterwards, and in nothing else.
    fn tail(
        &mut self,
        chain: &Chain,
        last: &Receipt,
        newest: Option<&RawStatement>,
    ) -> Result<(), Refusal> {
        let told =
            "no snapshot newer than the last receipt was named: later receipts may be missing";
        let Some(raw) = newest else {
            self.line("not checked", "tail", told);
            return Ok(());
        };
        let claimed: Snapshot = raw
            .decode()
            .map_err(|e| e.refuse(Path::new("snapshot.json")))?;
        let same =
            claimed.environment.id == last.environment.id && claimed.node.name == last.node.name;
        if !same {
            return Err(Refusal::new(
                RefusalName::WrongEnvironment,
                "the newest snapshot is of another node than the receipts",
            )
            .value(
                "receipts of",
                format!("{}, node {}", last.environment, last.node.name),
            )
            .value(
                "snapshot of",
                format!("{}, node {}", claimed.environment, claimed.node.name),
            )
            .next("name the receipts and snapshots of one node"));
        }
        if claimed.sequence <= last.sequence {
            self.line("not checked", "tail", told);
            return Ok(());
        }
        let snapshot = by_node::<Snapshot>(raw, &last.node.key)?;
        chain.check_head(snapshot.get().sequence, snapshot.get().receipt)?;
        self.line(
            "ok",
            "tail",
            format!(
                "the snapshot of sequence {} names the last one",
                snapshot.get().sequence
            ),
        );
        Ok(())
    }
}

fn told(receipt: &Receipt, rehome: &crate::model::rehome::Rehome) -> String {
    let former = &rehome.former;
    format!(
        "sequence {}, {}: before it {}, key {}",
        receipt.sequence,
        rehome.how.word(),
        former.environment,
        former.node.key.fingerprint()
    )
}
