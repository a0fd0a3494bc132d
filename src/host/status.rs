//! `status`: is all well here?
//!
//! It changes nothing but the index, a cache: whoever looks again reads only what changed since.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Node;
use super::service::Service;
use super::survey::{Reading, Survey};
use crate::disk::operator::User;
use crate::disk::stamp::FileKind;
use crate::disk::systemd;
use crate::disk::walk::walk;
use crate::model::site::DriftRule;
use crate::model::snapshot::ConfigState;
use crate::model::text::{Escaped, Shown, bytes, path_as_text};
use crate::model::{Refusal, RefusalName, Time, TreePath, Watch};

/// The warning where no unit runs recovery.
const LACKS_RECOVERY: &str = "no unit recovers this root before it starts the product, which may so start on half a change; add \
                              (systemctl edit):";
/// Most files of a kind that are shown.
const SHOWN: usize = 10;

/// What `status` is asked.
#[derive(Debug)]
pub struct Request {
    /// The root.
    pub root: PathBuf,
    /// Whether every byte is read, every drifted file is listed, otherwise ten, and what nobody owns is
    /// counted.
    pub full: bool,
    /// This program's own file, for the product's unit.
    pub program: PathBuf,
}

/// How it stands.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The environment's id.
    pub id: String,
    /// The node's name.
    pub node: String,
    /// The root.
    #[serde(serialize_with = "path_as_text")]
    pub root: PathBuf,
    /// The node key's fingerprint, to be compared at `enrol`.
    pub fingerprint: String,
    /// The generation.
    pub generation: u64,
    /// The sequence number.
    pub sequence: u64,
    /// The release installed, or a count of components.
    pub release: String,
    /// How many components are installed.
    pub components: usize,
    /// The state digest found just now.
    pub state: String,
    /// How many files were read just now, every byte of them.
    pub read: u64,
    /// How many were not, because nothing about them changed since they were: the index knows them.
    pub indexed: u64,
    /// How many files are not as their recipe has them.
    pub drifted: usize,
    /// These files, the first ten unless all were asked for.
    pub drift: Vec<String>,
    /// What a patch does to a drifted file that it touches.
    pub drift_rule: DriftRule,
    /// Config files that the customer changed.
    pub config: Vec<String>,
    /// Files and links that no component owns, where all is listed.
    pub unowned: Option<Unowned>,
    /// What stops and starts the product.
    pub service: Vec<String>,
    /// Why nothing can be said to: the node's rules do not say it, or cannot be read.
    pub service_fault: Option<Refusal>,
    /// The lines that the product's unit lacks, where systemd starts the machine's services.
    pub systemd: Option<String>,
    /// Snapshots that a patch may still answer.
    pub open_snapshots: usize,
    /// The site file in force.
    pub site: String,
    /// SHA-256 of its statement.
    pub site_sha256: String,
    /// A mark that differs: this is a copy.
    pub copied: Option<String>,
    /// Whether a change was interrupted.
    pub needs_recovery: bool,
}

impl Outcome {
    /// The refusal that `--check` ends with; nothing where all is well.
    #[must_use]
    pub fn fault(&self) -> Option<Refusal> {
        if self.needs_recovery {
            return Some(
                Refusal::new(RefusalName::NeedsRecovery, "a change was interrupted here")
                    .value("environment", &self.environment)
                    .next("lockstep recover"),
            );
        }
        if self.drift.is_empty() {
            return self.service_fault.clone();
        }
        Some(
            Refusal::new(
                RefusalName::Conflict,
                "files are not as their recipe has them",
            )
            .value("environment", &self.environment)
            .value("drifted", format!("{} file(s)", self.drifted))
            .next("lockstep status --full lists them"),
        )
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "environment {} ({}), node {}",
            self.environment, self.id, self.node
        )?;
        writeln!(f, "  root       {}", Shown(&self.root))?;
        writeln!(f, "  key        {}", self.fingerprint)?;
        writeln!(
            f,
            "  installed  {}, {} component(s)",
            self.release, self.components
        )?;
        writeln!(
            f,
            "  generation {}, sequence {}",
            self.generation, self.sequence
        )?;
        let digest: String = self.site_sha256.chars().take(12).collect();
        writeln!(f, "  site       {}, sha256 {digest}", self.site)?;
        for line in &self.service {
            writeln!(f, "  service    {line}")?;
        }
        if let Some(fault) = &self.service_fault {
            let (what, next) = (Escaped(&fault.what), Escaped(&fault.next));
            writeln!(f, "  service    {what}; {next}")?;
        }
        if let Some(lines) = &self.systemd {
            writeln!(f, "  systemd    {LACKS_RECOVERY}")?;
            for line in lines.lines() {
                writeln!(f, "               {line}")?;
            }
        }
        writeln!(f, "  snapshots  {} open", self.open_snapshots)?;
        if let Some(copied) = &self.copied {
            writeln!(
                f,
                "  copied     {copied}: this copy signs nothing, and takes no patch"
            )?;
        }
        match (self.read, self.indexed) {
            (read, 0) => writeln!(f, "  read       every byte of {read} file(s)")?,
            (read, indexed) => writeln!(
                f,
                "  read       {read} file(s); {indexed} did not change since they were read, by the index (--full reads \
                 all)"
            )?,
        }
        for line in &self.config {
            writeln!(f, "  config     {line}")?;
        }
        for line in &self.drift {
            writeln!(f, "  drift      {line}")?;
        }
        if let Some(unowned) = &self.unowned {
            writeln!(f, "  nobody's   {unowned}")?;
        }
        if self.needs_recovery {
            return write!(
                f,
                "  recovery   a change was interrupted\n  next       lockstep recover"
            );
        }
        if self.drift.is_empty() {
            write!(f, "  drift      none: every file is as its recipe has it")
        } else {
            let then = match self.drift_rule {
                DriftRule::Keep => "a patch that touches them leaves them as they are",
                DriftRule::Overwrite => "a patch that touches them replaces them",
                DriftRule::Refuse => "patches that touch them are refused",
            };
            write!(
                f,
                "  next       put these files back, or ask why they changed; {then}"
            )
        }
    }
}

/// Files and links that no component owns: never touched, never removed.
#[derive(Debug, Serialize)]
pub struct Unowned {
    /// How many.
    pub count: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Unowned {
    fn find(node: &Node, survey: &Survey<'_>, watch: &dyn Watch) -> Result<Self, Refusal> {
        let rules = node.store.rules()?;
        let owned = |path: &TreePath| {
            survey.tree.paths.contains_key(path) || survey.tree.folders.contains_key(path)
        };
        let pass_over = |path: &TreePath| rules.ignores(path) && !owned(path);
        let walked = walk(node.root(), &pass_over, watch)?;
        let mut unowned = Self {
            count: walked.unnamed,
            bytes: 0,
            first: Vec::new(),
        };
        let nobodys = walked
            .paths
            .iter()
            .filter(|seen| seen.kind != FileKind::Folder && !owned(&seen.path));
        for seen in nobodys {
            unowned.count = unowned.count.saturating_add(1);
            if seen.kind == FileKind::File {
                unowned.bytes = unowned.bytes.saturating_add(seen.size);
            }
            if unowned.first.len() < SHOWN {
                unowned.first.push(seen.path.to_string());
            }
        }
        Ok(unowned)
    }
}

impl std::fmt::Display for Unowned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.count == 0 {
            return write!(
                f,
                "none: every file has an owner, or is ignored by node.toml"
            );
        }
        let first = self.first.join(", ");
        write!(f, "{} file(s), {}: {first}", self.count, bytes(self.bytes))?;
        if u64::try_from(self.first.len()).is_ok_and(|shown| shown < self.count) {
            write!(f, ", ...")?;
        }
        Ok(())
    }
}

/// Looks at everything.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let full = request.full;
    let node = Node::open(&request.root)?;
    let needs_recovery = node.check_recovered().is_err();
    let components = node.components()?;
    // That nothing says how to stop the product is no reason to show nothing else.
    let (service, service_fault) = match Service::of(&node) {
        Ok(service) => (service.words(), None),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let reading = if full {
        Reading::Whole
    } else {
        Reading::Indexed(now)
    };
    let survey = Survey::of(&node, &components, reading, watch)?;
    if !needs_recovery && User::is_operator(node.root()) {
        survey.keep_index(now);
    }
    let release = components.iter().find(|c| c.recipe.is_release());
    let mut drift = survey.drift_lines();
    if !full && drift.len() > SHOWN {
        let more = drift.len().saturating_sub(SHOWN);
        drift.truncate(SHOWN);
        drift.push(format!("and {more} more (--full lists all)"));
    }
    let state = crate::model::state::state_digest(node.installed(), &survey.scan.drift);
    Ok(Outcome {
        environment: node.environment().name.to_string(),
        id: node.environment().id.to_string(),
        node: node.name().to_string(),
        root: node.root().path().to_owned(),
        fingerprint: node.public_key()?.fingerprint(),
        generation: node.state().generation,
        sequence: node.state().sequence,
        release: release.map_or("no release".to_owned(), |c| {
            format!("{} {}", c.installed.name, c.installed.version)
        }),
        components: components.len(),
        state: state.to_string(),
        read: survey.scan.read,
        indexed: survey.scan.indexed,
        drifted: survey.scan.drift.len(),
        drift,
        drift_rule: node.site().policy.drift,
        config: survey
            .scan
            .config
            .iter()
            .map(|c| match c.state {
                ConfigState::Changed => format!("{}: edited by the customer, kept", c.path),
                ConfigState::Deleted => format!("{}: deleted by the customer", c.path),
            })
            .collect(),
        unowned: full
            .then(|| Unowned::find(&node, &survey, watch))
            .transpose()?,
        service,
        service_fault,
        systemd: lacking(node.root().path(), &request.program),
        open_snapshots: node.state().challenges.len(),
        site: format!(
            "{} version {}, owner {}",
            node.site().name,
            node.site().version,
            Escaped(node.site().owner.principal.as_str())
        ),
        site_sha256: node.site().sha256().to_string(),
        copied: node.check_marks().err().map(|refusal| {
            refusal
                .values
                .iter()
                .map(|(label, value)| format!("{label} {value}"))
                .collect::<Vec<_>>()
                .join(", ")
        }),
        needs_recovery,
    })
}

fn lacking(root: &Path, program: &Path) -> Option<String> {
    systemd::lacks_recovery(root, &systemd::Places::default())
        .then(|| systemd::drop_in(program, root))
}
