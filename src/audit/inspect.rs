//! `inspect`: what a file says, for a person or as JSON. Nothing in it is believed.

mod receipt;
mod volumes;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::disk::DiskError;
use crate::model::enrolment::Enrolment;
use crate::model::patch::Patch;
use crate::model::recipe::{Hot, Recipe};
use crate::model::site::Site;
use crate::model::snapshot::{SiteRef, Snapshot};
use crate::model::text::{Escaped, Shown, bytes, escaped_lines, path_as_text};
use crate::model::{Kind, Member, Refusal, Sha256, Statement};
use crate::plan::change::describe;
use crate::spr::{Opened, RawStatement, SprError};
pub use volumes::Volume;

/// What a file says.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The file.
    #[serde(serialize_with = "path_as_text")]
    pub file: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// SHA-256 of its statement.
    pub sha256: Sha256,
    /// The ids of the keys that signed it, as the member names have them.
    pub signatures: Vec<Sha256>,
    /// Members present, of those that the statement lists.
    pub members: (usize, usize),
    /// The volumes of a patch that has several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// The statement itself.
    pub statement: Box<RawValue>,
    #[serde(skip)]
    lines: Vec<(&'static str, String)>,
    #[serde(skip)]
    holds: String,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{}: a {}, not verified (lockstep verify checks it)",
            Shown(&self.file),
            self.kind
        )?;
        writeln!(f, "  statement    {}", self.sha256)?;
        for key in &self.signatures {
            writeln!(f, "  signed by    key {key}")?;
        }
        for (label, text) in &self.lines {
            writeln!(f, "  {label:<11}  {text}")?;
        }
        for volume in &self.volumes {
            let count = self.volumes.len();
            writeln!(f, "  volume       {} of {count}: {volume}", volume.number)?;
        }
        write!(f, "  members      {}", self.holds)
    }
}

/// Reads a file to its end and says what it says.
pub fn run(path: &Path) -> Result<Outcome, Refusal> {
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    let opened = Opened::open(BufReader::new(file)).map_err(|e| e.refuse(path))?;
    let (list, lines) = describe_statement(opened.raw()).map_err(|e| e.refuse(path))?;
    let listed = list.len();
    let (raw, mut members) = opened
        .members(&list, Patch::is_pack)
        .map_err(|e| e.refuse(path))?;
    let mut present = 0_usize;
    let mut packs = Vec::new();
    while let Some(member) = members
        .copy_next(&mut std::io::sink())
        .map_err(|e| e.refuse(path))?
    {
        present = present.saturating_add(1);
        if Patch::is_pack(&member) {
            packs.push(member.name);
        }
    }
    let volumes = volumes::of(&raw, &packs).map_err(|e| e.refuse(path))?;
    let holds = volumes::holds(&volumes, (present, listed), packs.is_empty());
    let sha256 = raw.sha256();
    let statement = String::from_utf8(raw.bytes)
        .map_err(|e| SprError::Corrupt(e.to_string()).refuse(path))
        .and_then(|text| {
            RawValue::from_string(text).map_err(|e| SprError::Corrupt(e.to_string()).refuse(path))
        })?;
    Ok(Outcome {
        file: path.to_owned(),
        kind: raw.kind,
        sha256,
        signatures: raw
            .signatures
            .iter()
            .map(|signature| signature.key)
            .collect(),
        members: (present, listed),
        volumes,
        statement,
        lines,
        holds,
    })
}

type Lines = Vec<(&'static str, String)>;

fn describe_statement(raw: &RawStatement) -> Result<(Vec<Member>, Lines), SprError> {
    fn with<S: Statement>(
        raw: &RawStatement,
        lines: fn(&S) -> Lines,
    ) -> Result<(Vec<Member>, Lines), SprError> {
        let statement: S = raw.decode()?;
        Ok((statement.members().to_vec(), lines(&statement)))
    }
    match raw.kind {
        Kind::Enrolment => with(raw, enrolment),
        Kind::Patch => with(raw, patch),
        Kind::Receipt => with(raw, receipt::receipt),
        Kind::Recipe => with(raw, recipe),
        Kind::Site => with(raw, site),
        Kind::Snapshot => with(raw, snapshot),
    }
}

fn enrolment(e: &Enrolment) -> Lines {
    vec![
        (
            "environment",
            format!("{} ({})", e.environment.name, e.environment.id),
        ),
        (
            "node",
            format!("{} {}", e.node.name, e.node.key.fingerprint()),
        ),
        ("created", e.created.to_string()),
        ("sequence", e.sequence.to_string()),
        ("site", site_ref(&e.site)),
    ]
}

fn snapshot(s: &Snapshot) -> Lines {
    let mut lines = vec![
        (
            "environment",
            format!("{} ({})", s.environment.name, s.environment.id),
        ),
        (
            "node",
            format!("{} {}", s.node.name, s.node.key.fingerprint()),
        ),
        ("created", s.created.to_string()),
        ("sequence", s.sequence.to_string()),
        ("challenge", s.challenge.to_string()),
        ("state", s.state.to_string()),
        ("site", site_ref(&s.site)),
        ("program", Escaped(&s.program.version).to_string()),
    ];
    lines.extend(s.indexed.map(|count| {
        let why = "they did not change since they were, by the node's index";
        (
            "index",
            format!("{count} file(s) were not read for it: {why}"),
        )
    }));
    lines.extend(s.components.iter().map(|c| {
        (
            "component",
            format!("{} {} of {} (to:{})", c.name, c.version, c.vendor, c.path),
        )
    }));
    lines.extend(
        s.drift
            .iter()
            .map(|d| ("drift", format!("{}: {}", d.path, describe(&d.found)))),
    );
    lines.extend(s.config.iter().map(|c| {
        (
            "config",
            format!("{}: {:?} by the customer", c.path, c.state),
        )
    }));
    lines.extend(s.members.iter().map(|m| {
        (
            "inventory",
            format!(
                "{} of everything below the root, in {}",
                bytes(m.size),
                m.name
            ),
        )
    }));
    lines
}

fn patch(p: &Patch) -> Lines {
    let mut lines = vec![
        (
            "environment",
            format!("{} ({})", p.environment.name, p.environment.id),
        ),
        ("created", p.created.to_string()),
        ("apply", format!("before {}", p.apply_before.date())),
    ];
    for node in &p.nodes {
        lines.push(("node", format!("{}, sequence {}", node.name, node.sequence)));
        lines.push(("state", format!("{} before", node.before)));
        lines.push(("state", format!("{} afterwards", node.after)));
        if let Some(drift) = &node.adopted {
            lines.push((
                "adopts",
                format!(
                    "what lies there already, {} file(s) of it as drift; no file is touched",
                    drift.len()
                ),
            ));
            lines.extend(
                drift
                    .iter()
                    .map(|d| ("drift", format!("{}: {}", d.path, describe(&d.found)))),
            );
        }
    }
    lines.extend(p.target.iter().map(|c| {
        (
            "target",
            format!("{} {} of {} (to:{})", c.name, c.version, c.vendor, c.path),
        )
    }));
    lines.extend(p.downgrades.iter().map(|d| ("downgrade", d.to_string())));
    lines.extend(
        p.accepted
            .iter()
            .map(|a| ("accepted", format!("{}: {}", a.name, Escaped(&a.reason)))),
    );
    lines.extend(
        p.vendors
            .iter()
            .map(|v| ("vendor", format!("{}, metadata of {}", v.name, v.issued))),
    );
    lines.push(("site", site_ref(&p.site)));
    let (whole, deltas, copied) = p
        .operations
        .map_or((0, 0, 0), |all| (all.whole, all.deltas, all.copied));
    let travels = p
        .packs
        .iter()
        .map(|pack| pack.size)
        .fold(0, u64::saturating_add);
    lines.push((
        "contents",
        format!(
            "{whole} whole, {deltas} as deltas ({} in all), {copied} copied on the host",
            bytes(travels)
        ),
    ));
    lines
}

/// A site file, as another statement names it.
fn site_ref(site: &SiteRef) -> String {
    format!("version {}, sha256 {}", site.version, site.sha256)
}

fn site(s: &Site) -> Lines {
    let mut lines = vec![
        ("site", format!("{} version {}", s.name, s.version)),
        ("created", s.created.to_string()),
        (
            "owner",
            format!("{} {}", s.owner.principal, s.owner.key.fingerprint()),
        ),
    ];
    lines.extend(s.preparers.iter().map(|p| {
        (
            "preparer",
            format!("{} {}", p.principal, p.key.fingerprint()),
        )
    }));
    lines.extend(s.approvers.iter().map(|p| {
        (
            "approver",
            format!("{} {}", p.principal, p.key.fingerprint()),
        )
    }));
    lines.push(("approvals", s.policy.approvals.to_string()));
    if s.policy.allows_index() {
        let may = "a node may take its index for files that did not change";
        lines.push(("index", format!("{may}, in what it signs too")));
    }
    lines.extend(s.vendors.iter().map(|v| {
        let prefixes = if v.prefixes.is_empty() {
            "all recipes".to_owned()
        } else {
            v.prefixes.join(", ")
        };
        (
            "vendor",
            format!(
                "{} (root {}): {}",
                v.name,
                v.root.short(),
                Escaped(&prefixes)
            ),
        )
    }));
    lines
}

fn recipe(r: &Recipe) -> Lines {
    let mut lines = vec![("component", format!("{} {}", r.name, r.version))];
    lines.extend(
        r.release
            .iter()
            .map(|pin| ("brings", format!("{} {}", pin.component, pin.version))),
    );
    lines.extend(
        r.requires
            .iter()
            .map(|n| ("requires", format!("{} {}", n.component, n.range))),
    );
    lines.extend(
        r.joint
            .iter()
            .map(|n| ("together", format!("{} {}", n.component, n.range))),
    );
    lines.extend(
        r.replaces
            .iter()
            .map(|n| ("replaces", format!("{} {}", n.component, n.range))),
    );
    lines.extend(
        r.takes
            .iter()
            .map(|pin| ("takes over", format!("{} {}", pin.component, pin.version))),
    );
    lines.push(("files", format!("{} ({})", r.files.len(), bytes(r.size()))));
    lines.extend(
        r.config
            .iter()
            .map(|glob| ("config", Escaped(glob).to_string())),
    );
    lines.push((
        "hot",
        match &r.hot {
            Hot::Yes => "yes".to_owned(),
            Hot::No(reason) => format!("no: {}", Escaped(reason)),
        },
    ));
    lines.extend(
        r.one_way
            .iter()
            .map(|reason| ("one way", Escaped(reason).to_string())),
    );
    lines.extend(
        r.licence
            .iter()
            .map(|licence| ("licence", Escaped(licence).to_string())),
    );
    lines.extend(
        r.notes
            .iter()
            .flat_map(|notes| escaped_lines(notes))
            .map(|line| ("note", line)),
    );
    lines
}
