//! `init`: make an environment under a root, empty or with a product to adopt, and pin whom it trusts.

use std::path::PathBuf;

use serde::Serialize;
use uuid::Uuid;

use super::node::read_site;
use super::output::{place, unfinished, write_out};
use super::service::words;
use super::statement::{Deed, NextState, Signing};
use crate::disk::founding::Founding;
use crate::disk::root::Root;
use crate::disk::rules::service::ServiceFile;
use crate::disk::state::EnvironmentFile;
use crate::disk::{marks, mounts, operator, probe, systemd};
use crate::model::path::STATE_FOLDER;
use crate::model::receipt::Action;
use crate::model::snapshot::EnvironmentId;
use crate::model::statement::FORMAT;
use crate::model::text::{Shown, path_as_text, shell_word};
use crate::model::{Name, Refusal, RefusalName, Time};
use crate::trust::TrustedSite;

/// Who stops and starts the product.
#[derive(Debug)]
pub enum Service {
    /// Somebody, by hand.
    None,
    /// The commands in this file, which become part of `node.toml`.
    File(PathBuf),
}

/// What `init` is asked.
#[derive(Debug)]
pub struct Request {
    /// The folder that the product is installed in, or will be.
    pub root: PathBuf,
    /// The environment's name.
    pub name: Name,
    /// The node's name; the environment's where there is one node.
    pub node: Option<Name>,
    /// The site file.
    pub site: PathBuf,
    /// The site owner's fingerprint, read from elsewhere.
    pub fingerprint: Option<String>,
    /// Whether the product is there already, to be registered by `prepare --adopt`.
    pub adopt: bool,
    /// Who stops and starts the product; refused where it is not said.
    pub service: Option<Service>,
    /// This program's own file, for the product's unit.
    pub program: PathBuf,
    /// Where the first snapshot goes: a file or a folder.
    pub output: Option<PathBuf>,
}

impl Request {
    /// The service's commands, or nothing where none was said. Read before anything is made.
    fn service(&self) -> Result<Option<ServiceFile>, Refusal> {
        match &self.service {
            Some(Service::None) => Ok(None),
            Some(Service::File(path)) => Ok(Some(ServiceFile::read(path)?)),
            None => Err(Refusal::new(
                RefusalName::Usage,
                "it must be said how the product is stopped and started around a change",
            )
            .value("by hand", self.line("none"))
            .value("by commands", self.line("FILE.toml"))
            .next("one of these two lines; lockstep init --help shows what stands in FILE.toml")),
        }
    }

    /// What was typed, with who stops and starts the product.
    fn line(&self, service: &str) -> String {
        let path = |path: &PathBuf| path.display().to_string();
        let options = [
            ("root", Some(path(&self.root))),
            ("name", Some(self.name.to_string())),
            ("node", self.node.as_ref().map(ToString::to_string)),
            ("site", Some(path(&self.site))),
            ("fingerprint", self.fingerprint.clone()),
            ("output", self.output.as_ref().map(path)),
            ("service", Some(service.to_owned())),
        ];
        let adopt = if self.adopt { " --adopt" } else { "" };
        options
            .iter()
            .filter_map(|(option, value)| value.as_ref().map(|value| (option, value)))
            .fold(format!("lockstep init{adopt}"), |line, (option, value)| {
                format!("{line} --{option} {}", shell_word(value))
            })
    }
}

/// What `init` made.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The environment's name.
    pub environment: String,
    /// The environment's id.
    pub id: String,
    /// The node's name.
    pub node: String,
    /// The canonical root.
    #[serde(serialize_with = "path_as_text")]
    pub root: PathBuf,
    /// The node key's fingerprint, to be compared when the node is enrolled.
    pub fingerprint: String,
    /// The site's name and owner.
    pub site: String,
    /// Whether the owner's fingerprint was compared.
    pub site_compared: bool,
    /// What stops and starts the product.
    pub service: Vec<String>,
    /// What is to be known of the mounts below the root.
    pub mounts: Vec<String>,
    /// The first snapshot.
    #[serde(serialize_with = "path_as_text")]
    pub snapshot: PathBuf,
    /// Whether what is there already is to be adopted.
    pub adopting: bool,
    /// The node's own rules.
    #[serde(serialize_with = "path_as_text")]
    pub rules: PathBuf,
    /// What to put beside the product's service, so that it never starts on half a change.
    pub systemd: String,
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
        writeln!(f, "  site       {}", self.site)?;
        if !self.site_compared {
            writeln!(
                f,
                "  compare    is this the site owner's fingerprint? (--fingerprint checks it)"
            )?;
        }
        for line in &self.service {
            writeln!(f, "  service    {line}")?;
        }
        writeln!(
            f,
            "  systemd    add to the product's unit (systemctl edit), so that it never starts on half a change:"
        )?;
        for line in self.systemd.lines() {
            writeln!(f, "               {line}")?;
        }
        for mount in &self.mounts {
            writeln!(f, "  mount      {mount}")?;
        }
        writeln!(f, "  snapshot   {}", Shown(&self.snapshot))?;
        if self.adopting {
            return write!(
                f,
                "  rules      {}: look at what is private there, and what to ignore\n  \
                 next       lockstep snapshot --full --root {}, and carry that snapshot to the desk",
                Shown(&self.rules),
                Shown(&self.root)
            );
        }
        write!(
            f,
            "  next       carry the snapshot to the desk: lockstep enrol {}",
            Shown(&self.snapshot)
        )
    }
}

/// Makes the environment.
pub fn run(request: &Request, now: Time) -> Result<Outcome, Refusal> {
    let service = request.service()?;
    let (raw, members) = read_site(&request.site)?;
    let site = TrustedSite::pin(raw, members, request.fingerprint.as_deref())?;
    let root = Root::open(&request.root)?;
    check_fresh(&root, request.adopt)?;
    operator::found(&root)?;
    let name = format!("{}-0001.snapshot.spr", request.name);
    place(request.output.as_deref(), &name)?;
    let file = EnvironmentFile {
        created: now,
        environment: EnvironmentId {
            id: Uuid::new_v4(),
            name: request.name.clone(),
        },
        format: FORMAT,
        node: request.node.clone().unwrap_or_else(|| request.name.clone()),
        service_none: service.is_none(),
    };
    let mounts = probe::at_founding(&root, &file)?;
    let founding = Founding::begin(&root, &file, service.as_ref())?;
    let store = founding.store();
    let signing = Signing {
        store,
        environment: &file.environment,
        node: &file.node,
        key: founding.key(),
        marks: marks::live(&root, &store.key_path(None), &marks::Sources::default())?,
        before: None,
        sequence: 1,
        home: None,
        born: marks::born(&store.key_path(None)),
    };
    let next = NextState {
        site: &site,
        installed: Vec::new(),
        drift: Vec::new(),
        config: Vec::new(),
        indexed: 0,
        floors: Vec::new(),
        time_floor: Time::EPOCH,
        now,
        inventory: None,
        deed: Some(Deed::plain(Action::Init, operator::User::current().name)),
        only: true,
    };
    let written = next.write(&signing)?;
    let sequence = written.sequence;
    store.commit(written.prepared)?;
    let key = founding.finish()?;
    let public = key
        .public()
        .map_err(|e| Refusal::new(RefusalName::Internal, e.to_string()))?;
    let snapshot =
        write_out(request.output.as_deref(), &name, &written.snapshot).map_err(|refusal| {
            unfinished(&refusal, "the snapshot could not be written", sequence).next(format!(
                "lockstep snapshot --root {} --output FILE",
                root.path().display()
            ))
        })?;
    Ok(Outcome {
        environment: file.environment.name.to_string(),
        id: file.environment.id.to_string(),
        node: file.node.to_string(),
        root: root.path().to_owned(),
        fingerprint: public.fingerprint(),
        site: format!(
            "{} version {}, owner {} {}",
            site.name,
            site.version,
            site.owner.principal,
            site.owner.key.fingerprint()
        ),
        site_compared: request.fingerprint.is_some(),
        service: words(service.as_ref().map(ServiceFile::rules)),
        mounts,
        snapshot,
        adopting: request.adopt,
        rules: root.state_folder().join("node.toml"),
        systemd: systemd::drop_in(&request.program, root.path()),
    })
}

/// The folder must hold no environment, and nothing that an empty environment would deny.
fn check_fresh(root: &Root, adopt: bool) -> Result<(), Refusal> {
    if root.state_folder().exists() {
        return Err(Refusal::new(
            RefusalName::NothingToDo,
            "there is an environment here already",
        )
        .value("root", root.path().display())
        .next("lockstep status"));
    }
    let unfinished = format!("{STATE_FOLDER}.init");
    let others = mounts::strangers(root, &[&unfinished])?;
    if others == 0 || adopt {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Conflict,
        "the folder is not empty, and a new environment starts empty",
    )
    .value("root", root.path().display())
    .value("found", format!("{others} file(s) or folder(s)"))
    .next("add --adopt if the product is there already; or name an empty folder, and the first patch brings it"))
}
