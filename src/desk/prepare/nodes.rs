//! Whose snapshots these are, and whether they are the newest word of their nodes.

use crate::desk::Desk;
use crate::desk::statements::{Unread, Word, read_enrolled};
use crate::desk::store::EnvironmentRecord;
use crate::model::operation::Codec;
use crate::model::site::{AGE_WARNING_DAYS, Policy};
use crate::model::snapshot::{Drift, EnvironmentId, Installed, Snapshot};
use crate::model::{Name, Refusal, RefusalName, Time};
use crate::plan::lifting::too_old;
use crate::plan::moved::{Holding, differences};
use crate::trust::TrustedSite;

use super::Request;

/// The nodes that a patch is for, each with its verified word; rising by name, all of one
/// environment, all holding the same components.
pub(super) struct Nodes {
    record: EnvironmentRecord,
    words: Vec<Word>,
    warnings: Vec<String>,
}

impl Nodes {
    pub(super) fn gather(desk: &Desk, request: &Request, now: Time) -> Result<Self, Refusal> {
        let words = if let Some(name) = &request.environment {
            last_words(desk, name)?
        } else {
            request
                .snapshots
                .iter()
                .map(|path| read_enrolled(desk, path))
                .collect::<Result<Vec<_>, _>>()?
        };
        let Some(first) = words.first() else {
            return Err(Refusal::new(RefusalName::Usage, "no snapshot was named")
                .next("lockstep prepare SNAPSHOT.spr --to RECIPE"));
        };
        let environment = first.snapshot.get().environment.clone();
        let Some(record) = desk.environment(&environment)? else {
            return Err(Refusal::new(
                RefusalName::NotEnrolled,
                "this desk does not know the environment",
            ));
        };
        let mut nodes = Self {
            record,
            words,
            warnings: Vec::new(),
        };
        nodes
            .words
            .sort_by(|a, b| a.snapshot.get().node.name.cmp(&b.snapshot.get().node.name));
        nodes.check_one_environment(&environment)?;
        nodes.check_alike()?;
        nodes.check_newest(desk, request, now)?;
        let missing: Vec<String> = nodes
            .record
            .nodes
            .iter()
            .filter(|known| !nodes.names().any(|name| *name == known.name))
            .map(|known| known.name.to_string())
            .collect();
        if !missing.is_empty() {
            nodes.warnings.push(format!(
                "no snapshot of node {} was given: the patch is not for it, and it stays as it is",
                missing.join(", ")
            ));
        }
        let age = nodes.age(now);
        if age >= AGE_WARNING_DAYS {
            nodes.warnings.push(format!(
                "the snapshot is {age} days old; a newer one would be safer"
            ));
        }
        Ok(nodes)
    }

    pub(super) fn environment(&self) -> &EnvironmentId {
        &self.record.environment
    }

    pub(super) fn record(&self) -> &EnvironmentRecord {
        &self.record
    }

    pub(super) fn words(&self) -> &[Word] {
        &self.words
    }

    pub(super) fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.words.iter().map(|word| word.snapshot.get())
    }

    /// Whether every node reads what this codec makes.
    pub(super) fn read(&self, codec: Codec) -> bool {
        let codec = codec.to_string();
        self.snapshots()
            .all(|snapshot| snapshot.program.codecs.contains(&codec))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.snapshots().map(|snapshot| &snapshot.node.name)
    }

    pub(super) fn drifts(&self) -> impl Iterator<Item = &[Drift]> {
        self.snapshots().map(|snapshot| snapshot.drift.as_slice())
    }

    pub(super) fn components(&self) -> &[Installed] {
        self.snapshots()
            .next()
            .map_or(&[], |snapshot| snapshot.components.as_slice())
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The greatest sequence number: it names the patch file.
    pub(super) fn sequence(&self) -> u64 {
        self.snapshots()
            .map(|snapshot| snapshot.sequence)
            .max()
            .unwrap_or(0)
    }

    /// Whether any node works under an older site file.
    pub(super) fn lack_site(&self, site: &TrustedSite) -> bool {
        self.snapshots()
            .any(|snapshot| snapshot.site.version < site.version)
    }

    fn age(&self, now: Time) -> u64 {
        self.snapshots()
            .map(|snapshot| now.days_since(snapshot.created))
            .max()
            .unwrap_or(0)
    }

    pub(super) fn check_age(
        &self,
        policy: &Policy,
        request: &Request,
        now: Time,
    ) -> Result<(), Refusal> {
        let accepted = request
            .accepted
            .iter()
            .any(|a| a.name == RefusalName::TooOld);
        match policy.age_limit_days {
            Some(limit) if self.age(now) > limit && !accepted => Err(too_old(self.age(now), limit)),
            _ => Ok(()),
        }
    }

    fn check_one_environment(&self, environment: &EnvironmentId) -> Result<(), Refusal> {
        if let Some(other) = self
            .snapshots()
            .find(|s| s.environment.id != environment.id)
        {
            return Err(Refusal::new(
                RefusalName::WrongEnvironment,
                "the snapshots are of two environments, and a patch is for one",
            )
            .value("one is of", environment)
            .value("another of", &other.environment)
            .next("prepare for each environment on its own"));
        }
        let names: Vec<&Name> = self.names().collect();
        if let Some([twice, _]) = names.array_windows::<2>().find(|[a, b]| a == b) {
            return Err(
                Refusal::new(RefusalName::Usage, "two of the snapshots are of one node")
                    .value("node", twice)
                    .next("name one snapshot per node, its newest"),
            );
        }
        Ok(())
    }

    fn check_alike(&self) -> Result<(), Refusal> {
        let mut snapshots = self.snapshots();
        let Some(first) = snapshots.next() else {
            return Ok(());
        };
        for other in snapshots {
            if other.components != first.components {
                let lines = differences(
                    Holding {
                        components: &first.components,
                        drift: &[],
                    },
                    Holding {
                        components: &other.components,
                        drift: &[],
                    },
                );
                let mut refusal = Refusal::new(
                    RefusalName::MixedCluster,
                    "the nodes do not hold the same components",
                )
                .value(
                    "compared",
                    format!("{} with {}", first.node.name, other.node.name),
                );
                for line in lines.iter().take(6) {
                    refusal = refusal.value("differs", line);
                }
                return Err(refusal.next("prepare for one node at a time, until they are alike"));
            }
        }
        Ok(())
    }

    /// Superseded by a later receipt; a later snapshot of the same state is worth a note.
    fn check_newest(&mut self, desk: &Desk, request: &Request, now: Time) -> Result<(), Refusal> {
        let accepted = request.accepted_fork();
        for word in &self.words {
            let snapshot = word.snapshot.get();
            let name = &snapshot.node.name;
            let known = self.record.node(name);
            let last = known.and_then(|node| node.last().map(|last| last.sequence));
            // Kept first: where two words contradict each other, both are evidence.
            desk.keep_statement(word.snapshot.sha256(), &word.file)?;
            let learned = self.record.take_in(word, accepted, now)?;
            let Some(node) = self.record.node(name) else {
                continue;
            };
            if snapshot.sequence < node.closed {
                return Err(Refusal::new(
                    RefusalName::Superseded,
                    "this desk has a later receipt of the node, so the snapshot is history",
                )
                .value("snapshot", format!("sequence {}", snapshot.sequence))
                .value("receipt", format!("sequence {}", node.closed))
                .next(format!(
                    "lockstep prepare --environment {} --to RECIPE (uses the snapshot in that receipt)",
                    snapshot.environment.name
                )));
            }
            let mended = node.last().map(|last| last.sequence) < last;
            self.warnings.extend(learned.gap);
            if !mended && last > Some(snapshot.sequence) {
                self.warnings.push(format!(
                    "node {} has sent a later snapshot than sequence {}",
                    snapshot.node.name, snapshot.sequence
                ));
            }
        }
        Ok(())
    }
}

/// The last snapshot that the desk has of every node of an environment.
fn last_words(desk: &Desk, name: &Name) -> Result<Vec<Word>, Refusal> {
    let records = desk.environments()?;
    let Some(record) = records
        .iter()
        .find(|record| &record.environment.name == name)
    else {
        let known: Vec<String> = records
            .iter()
            .map(|r| r.environment.name.to_string())
            .collect();
        return Err(Refusal::new(
            RefusalName::NotEnrolled,
            "this desk knows no environment of that name",
        )
        .value("asked for", name)
        .value(
            "known here",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            },
        )
        .next("lockstep enrol SNAPSHOT.spr"));
    };
    let mut words = Vec::new();
    for node in &record.nodes {
        let file = node
            .last()
            .map(|seen| desk.statement(seen.sha256))
            .transpose()?
            .flatten();
        let Some(file) = file else {
            return Err(Refusal::new(
                RefusalName::NotEnrolled,
                "the desk has no snapshot of a node",
            )
            .value("node", &node.name)
            .next("lockstep prepare SNAPSHOT.spr --to RECIPE, with a snapshot of each node"));
        };
        let unread = Unread::parse(file).map_err(|e| e.refuse(&desk.state))?;
        words.push(unread.verify(&node.key)?);
    }
    Ok(words)
}
