//! `rehome`: a copied, moved or restored node gets a key of its own, and goes on from what it was.
//!
//! | attack | defence |
//! |---|---|
//! | a copy that passes as the original | `--copy` makes another environment; every rehome makes another key, which no desk knows |
//! | a backup put back, to apply a patch again or to accept old metadata | every challenge closes; `--restored` takes sequence number, floors and site version from what a desk signed, where they are higher |
//! | an enrolment of somebody else, or of another node | signed by a preparer of the site in force, for this environment and node |
//! | a site file of before somebody left, come back with the backup | the enrolment says which version was in force; a newer site file must be given |
//! | a change cut short in the original, finished in a copy | a journal is by inode: it is recovered where the file system itself came along, and nowhere else |
//!
//! The key is durable under a name of its own before the state that names it; the rename of `current`
//! is the commit of both. Whatever is cut short before it leaves the node as it was.

mod commit;
mod outcome;
mod restored;
mod salvage;

use std::path::{Path, PathBuf};

use super::Node;
use super::marks::{refuse, state_put_back};
use super::output::place;
use crate::disk::home::Home;
use crate::disk::marks::{Difference, Mark};
use crate::disk::{journal, recover};
use crate::model::rehome::{REASON_MAX, RehomeHow};
use crate::model::snapshot::{EnvironmentId, Floor};
use crate::model::text::shell_word;
use crate::model::{Name, Refusal, RefusalName, Time, Watch};
use crate::trust::TrustedSite;
pub use outcome::Outcome;
use salvage::Found;

/// What had happened to the node.
#[derive(Debug, Clone)]
pub enum How {
    /// It is the same environment, elsewhere.
    Moved,
    /// It is a copy, and becomes an environment of its own.
    Copy {
        /// What it is called.
        name: Name,
        /// What its node is called; if it is not said: as the environment, where that was so before.
        node: Option<Name>,
    },
    /// It came back from a backup.
    Restored {
        /// What a desk knows of the node, signed by a preparer.
        enrolment: PathBuf,
        /// A site file that is newer than the one that came back.
        site: Option<PathBuf>,
    },
}

/// What `rehome` is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// What had happened.
    pub how: How,
    /// Why, for the receipt.
    pub reason: String,
    /// The environment's name, as it was until now, typed by the person or the script.
    pub environment: Option<Name>,
    /// Where the receipt goes: a file or a folder.
    pub receipt: Option<PathBuf>,
}

impl Request {
    /// What was typed, for the line that a refusal names.
    fn line(&self) -> String {
        let site = match &self.how {
            How::Restored { site, .. } => site.as_deref(),
            How::Moved | How::Copy { .. } => None,
        };
        self.line_under(site)
    }

    /// The same, with this site file.
    fn line_under(&self, site: Option<&Path>) -> String {
        let word = |path: &Path| shell_word(&path.to_string_lossy());
        let option = |name: &str, value: Option<String>| {
            value.map_or(String::new(), |value| format!(" --{name} {value}"))
        };
        let how = match &self.how {
            How::Moved => "--moved".to_owned(),
            How::Copy { name, node } => {
                let node = option("node", node.as_ref().map(ToString::to_string));
                format!("--copy --name {name}{node}")
            }
            How::Restored { enrolment, .. } => {
                let site = option("site", site.map(word));
                format!("--restored --enrolment {}{site}", word(enrolment))
            }
        };
        let environment = option(
            "environment",
            self.environment.as_ref().map(Name::to_string),
        );
        let receipt = option("receipt", self.receipt.as_deref().map(word));
        let reason = shell_word(&self.reason);
        format!("rehome {how} --reason {reason}{environment}{receipt}")
    }
}

/// What the node goes on with.
pub(super) struct Next {
    pub(super) how: RehomeHow,
    pub(super) environment: EnvironmentId,
    pub(super) node: Name,
    /// The greatest sequence number that the node is known to have had, with room above it.
    pub(super) above: u64,
    pub(super) floors: Vec<Floor>,
    pub(super) time_floor: Time,
    pub(super) site: TrustedSite,
    /// What a person is told besides.
    pub(super) notes: Vec<String>,
}

/// Rehomes the node.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    check_reason(&request.reason)?;
    let line = request.line();
    let found = match &request.how {
        How::Restored { .. } => salvage::open(&request.root, &line, now)?,
        How::Moved | How::Copy { .. } => {
            Found::whole(Node::open_to_rehome(&request.root, &line, now)?)?
        }
    };
    watch.say(&found.node.header());
    let next = match &request.how {
        How::Moved => moved(&found)?,
        How::Copy { name, node } => copied(&found, name, node.as_ref())?,
        How::Restored { enrolment, site } => {
            let line = request.line_under(Some(Path::new("SITE.spr")));
            restored::next(&found, enrolment, site.as_deref(), &line)?
        }
    };
    let sequence = next.above.saturating_add(1);
    let name = format!("{}-{sequence:04}.receipt.spr", next.environment.name);
    place(request.receipt.as_deref(), &name)?;
    check_change(&found.node)?;
    found
        .node
        .confirm(request.environment.as_ref(), &about(&found, &next), watch)?;
    put_right(&found.node, watch)?;
    let home = Home {
        after: found.node.state().sequence,
        environment: next.environment.clone(),
        node: next.node.clone(),
        since: sequence,
    };
    let committed = commit::go_on(&found, &next, &home, request, now, watch)
        .map_err(|refusal| commit::taken_back(&found.node, &home, refusal))?;
    let receipt = commit::tidied(&found.node, request, &name, &committed)?;
    let fingerprint = &committed.fingerprint;
    Ok(outcome::outcome(&found, next, &home, fingerprint, receipt))
}

fn check_reason(reason: &str) -> Result<(), Refusal> {
    if !reason.trim().is_empty() && reason.len() <= REASON_MAX {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Usage,
        "a rehome needs a reason, which its receipt keeps",
    )
    .value("given", format!("{} bytes", reason.len()))
    .value("wanted", format!("1 to {REASON_MAX} bytes"))
    .next("--reason TEXT, such as 'moved to the new rack'"))
}

/// The same environment, of which nothing was lost.
fn same(found: &Found, how: RehomeHow) -> Next {
    let node = &found.node;
    Next {
        how,
        environment: node.environment().clone(),
        node: node.name().clone(),
        above: node.state().sequence,
        floors: node.state().floors.clone(),
        time_floor: node.state().time_floor,
        site: node.site().clone(),
        notes: Vec::new(),
    }
}

fn moved(found: &Found) -> Result<Next, Refusal> {
    let displaced = found.node.displaced()?;
    if displaced.is_empty() {
        return Err(nothing_to_do(found).next(
            "lockstep status; a copy with a name of its own: lockstep rehome --copy --name NAME",
        ));
    }
    check_state(&displaced)?;
    Ok(same(found, RehomeHow::Moved))
}

/// Moved or copied, it would go on from a state that was put back, and no desk would be asked what is lost.
fn check_state(displaced: &[Difference]) -> Result<(), Refusal> {
    match refuse(displaced) {
        Some(refusal) if state_put_back(displaced) => Err(refusal),
        _ => Ok(()),
    }
}

/// Not refused where the marks fit: a clone of a whole machine has them all, and its name is asked for.
fn copied(found: &Found, name: &Name, node: Option<&Name>) -> Result<Next, Refusal> {
    let former = found.node.environment();
    if *name == former.name {
        return Err(Refusal::new(
            RefusalName::Usage,
            "a copy needs a name of its own, so that nobody takes it for the original",
        )
        .value("you named", name)
        .value("the original is", former)
        .next("lockstep rehome --copy --name ANOTHER-NAME --reason TEXT"));
    }
    // Without the key nobody knows where it lay.
    if let Ok(displaced) = found.node.displaced() {
        check_state(&displaced)?;
    }
    let named_alike = found.node.name() == &former.name;
    let kept = if named_alike { name } else { found.node.name() };
    Ok(Next {
        environment: EnvironmentId {
            id: uuid::Uuid::new_v4(),
            name: name.clone(),
        },
        node: node.unwrap_or(kept).clone(),
        ..same(found, RehomeHow::Copied)
    })
}

pub(super) fn nothing_to_do(found: &Found) -> Refusal {
    Refusal::new(
        RefusalName::NothingToDo,
        "this node is at home here: every mark is as its key has it",
    )
    .value("environment", found.node.environment())
    .value("root", found.node.root().path().display())
}

/// A change that was cut short is recovered first, if it can be: its journal knows files by inode, so
/// only where the file system itself came along, and the inode of the key with it.
fn check_change(node: &Node) -> Result<(), Refusal> {
    if !journal::is_there(node.root())? {
        return Ok(());
    }
    // Without the key nobody knows whether the inodes are those of the journal, and without the state
    // that counted, whether the change is to go back.
    let counts = node.store.sequence().is_ok();
    let displaced = node.displaced().ok().filter(|_| counts);
    let differs = |marks: Vec<Difference>| {
        marks
            .iter()
            .any(|one| matches!(one.mark, Mark::Inode | Mark::Born))
    };
    if displaced.is_some_and(|displaced| !differs(displaced)) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::NeedsRecovery,
        "this copy was made in the middle of a change, which can only be undone where it was begun",
    )
    .value("journal", node.root().state_folder().join("journal").display())
    .value("why", "it knows files by their inodes, and a copied file has another")
    .unchanged("nothing was changed; some files here are old, some may be new")
    .next(
        "run lockstep recover on the original and copy it again; without an original, put back a backup that \
         was not made in the middle of a change",
    ))
}

fn put_right(node: &Node, watch: &dyn Watch) -> Result<(), Refusal> {
    if !recover::needs_recovery(node.root())? {
        return Ok(());
    }
    // With a journal the product may run on files that go back; without one it is only down.
    let change = journal::is_there(node.root())?;
    if !change && node.store.sequence().is_err() {
        watch.warn(
            "the product was stopped for a change when this was copied: lockstep recover says more",
        );
        return Ok(());
    }
    let put_right = super::recover::put_right(node, change, watch)?;
    if let Some(refusal) = put_right.not_started {
        return Err(refusal);
    }
    if !change {
        watch.warn("the product was stopped for a change when this was copied: start it by hand");
    }
    if let Some(line) = super::recover::describe(&put_right.recovered) {
        watch.warn(&line);
    }
    Ok(())
}

fn about(found: &Found, next: &Next) -> String {
    let node = &found.node;
    let fits = node.displaced().is_ok_and(|displaced| displaced.is_empty());
    let doubt = if fits {
        "; every mark fits, so make sure that this is not the original"
    } else {
        ""
    };
    let what = match next.how {
        RehomeHow::Moved => "it gets a new key here, and the old one counts no more".to_owned(),
        RehomeHow::Copied => format!(
            "this copy becomes the environment {} with a key of its own, and is {} no more{doubt}",
            next.environment.name,
            node.environment().name
        ),
        RehomeHow::Restored => format!(
            "it goes on from sequence {} with a new key; what it did after that is lost",
            node.state().sequence
        ),
    };
    format!("{what}; every patch that was prepared for it is refused from then on")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_was_typed() {
        let path = |text: &str| PathBuf::from(text);
        for (how, line) in [
            (How::Moved, "rehome --moved"),
            (
                How::Copy {
                    name: "TEST".parse().unwrap(),
                    node: None,
                },
                "rehome --copy --name TEST",
            ),
            (
                How::Copy {
                    name: "TEST".parse().unwrap(),
                    node: "n2".parse().ok(),
                },
                "rehome --copy --name TEST --node n2",
            ),
            (
                How::Restored {
                    enrolment: path("e.spr"),
                    site: Some(path("the site.spr")),
                },
                "rehome --restored --enrolment e.spr --site 'the site.spr'",
            ),
        ] {
            for (environment, receipt, rest) in [
                (None, None, "--reason 'a b'"),
                (
                    "PROD".parse().ok(),
                    None,
                    "--reason 'a b' --environment PROD",
                ),
                (
                    "PROD".parse().ok(),
                    Some(path("my usb/r.spr")),
                    "--reason 'a b' --environment PROD --receipt 'my usb/r.spr'",
                ),
            ] {
                let request = Request {
                    root: path("/opt/step"),
                    how: how.clone(),
                    reason: "a b".to_owned(),
                    environment,
                    receipt,
                };
                assert_eq!(request.line(), format!("{line} {rest}"));
            }
        }
    }
}
