//! `trust`: take a newer site file, or show the one in force.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Node;
use super::node::read_site;
use super::output::{commit, place, unfinished, write_out};
use super::statement::{Deed, NextState, Signing};
use super::survey::{Reading, Survey};
use crate::disk::operator;
use crate::model::receipt::Action;
use crate::model::site::Signer;
use crate::model::text::{Shown, any_path_as_text};
use crate::model::{Refusal, RefusalName, Time, Watch};
use crate::trust::TrustedSite;
use crate::trust::site::Renewal;

/// The site in force.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The site's name.
    pub site: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of its statement.
    pub sha256: String,
    /// Its owner.
    pub owner: String,
    /// Who may prepare.
    pub preparers: Vec<String>,
    /// Who may approve.
    pub approvers: Vec<String>,
    /// How many must.
    pub approvals: u64,
    /// Whose recipes may be installed.
    pub vendors: Vec<String>,
    /// Whether it was taken just now.
    pub taken: bool,
    /// The receipt of that.
    #[serde(serialize_with = "any_path_as_text")]
    pub receipt: Option<PathBuf>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = if self.taken {
            "now trusted"
        } else {
            "in force"
        };
        writeln!(f, "{word}: site {} version {}", self.site, self.version)?;
        writeln!(f, "  sha256     {}", self.sha256)?;
        writeln!(f, "  owner      {}", self.owner)?;
        for preparer in &self.preparers {
            writeln!(f, "  preparer   {preparer}")?;
        }
        for approver in &self.approvers {
            writeln!(f, "  approver   {approver}")?;
        }
        writeln!(f, "  approvals  {} per patch", self.approvals)?;
        for vendor in &self.vendors {
            writeln!(f, "  vendor     {vendor}")?;
        }
        match &self.receipt {
            Some(receipt) => write!(
                f,
                "  next       carry the receipt to the desk: lockstep receive {}",
                Shown(receipt)
            ),
            None => write!(f, "  next       lockstep trust SITE.spr takes a newer one"),
        }
    }
}

/// Shows the site in force.
pub fn show(root: &Path) -> Result<Outcome, Refusal> {
    let node = Node::open(root)?;
    node.check_recovered()?;
    Ok(outcome(&node, node.site(), None))
}

/// What `trust` is asked.
#[derive(Debug)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// The newer site file.
    pub site: PathBuf,
    /// Where the receipt goes: a file or a folder.
    pub receipt: Option<PathBuf>,
}

/// Takes a newer site file, signed by the owner that is trusted now.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let (raw, members) = read_site(&request.site)?;
    let node = Node::open_to_change(&request.root, "trust", now, watch)?;
    watch.say(&node.header());
    let newer = match node.site().renew(raw, members)? {
        Renewal::Newer(newer) => *newer,
        Renewal::Same => {
            return Err(Refusal::new(
                RefusalName::NothingToDo,
                "this site file is in force already",
            )
            .value("version", node.site().version)
            .next("lockstep trust show"));
        }
    };
    let sequence = node.state().sequence.saturating_add(1);
    let name = format!("{}-{sequence:04}.receipt.spr", node.environment().name);
    let receipt = request.receipt.as_deref();
    place(receipt, &name)?;
    let key = node.key()?;
    let reading = Reading::by_policy(&node.site().policy, now);
    let survey = Survey::of(&node, &node.components()?, reading, watch)?;
    let next = NextState {
        site: &newer,
        installed: node.installed().to_vec(),
        drift: survey.scan.drift.clone(),
        config: survey.scan.config.clone(),
        indexed: survey.scan.indexed,
        floors: newer.floors_since(node.site().version, &node.state().floors),
        time_floor: node.state().time_floor,
        now,
        inventory: None,
        deed: Some(Deed::plain(Action::Trust, operator::User::current().name)),
        only: true,
    };
    watch.go_on()?;
    let written = next.write(&Signing::of(&node, &key))?;
    commit(&node.store, written.prepared, written.sequence)?;
    let receipt = write_out(receipt, &name, &written.receipt.unwrap_or_default());
    let receipt = receipt.map_err(|refusal| {
        unfinished(
            &refusal,
            "the receipt could not be written",
            written.sequence,
        )
    })?;
    survey.keep_index(now);
    Ok(outcome(&node, &newer, Some(receipt)))
}

fn outcome(node: &Node, site: &TrustedSite, receipt: Option<PathBuf>) -> Outcome {
    let person = |signer: &Signer| format!("{} {}", signer.principal, signer.key.fingerprint());
    Outcome {
        environment: node.environment().to_string(),
        site: site.name.to_string(),
        version: site.version,
        sha256: site.sha256().to_string(),
        owner: person(&site.owner),
        preparers: site.preparers.iter().map(person).collect(),
        approvers: site.approvers.iter().map(person).collect(),
        approvals: site.policy.approvals,
        vendors: site
            .vendors
            .iter()
            .map(|vendor| {
                let paths = if vendor.prefixes.is_empty() {
                    "all recipes".to_owned()
                } else {
                    vendor.prefixes.join(", ")
                };
                format!("{} (root {}): {paths}", vendor.name, vendor.root.short())
            })
            .collect(),
        taken: receipt.is_some(),
        receipt,
    }
}
