//! The grammar of `publish`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::model::recipe::{Hot, Pin, Requirement};
use crate::model::{RecipePath, Refusal, Time};
use crate::publish::words::{WordError, pin, requirement};
use crate::publish::{self, KeyFolder};
use crate::release::tuf::Lifetimes;

use super::print::Printer;

#[derive(Subcommand)]
pub(super) enum Publish {
    /// Make an empty repository and its keys
    Init(Init),
    /// Publish a folder as one version of a component, hotfix or add-on
    Component(Box<Component>),
    /// Publish a release: a set of component versions
    Release(Release),
    /// Add a signature made elsewhere to a role's newest file
    Sign(Sign),
    /// Date snapshot and timestamp anew, so that they do not expire
    Renew(Renew),
}

#[derive(Args)]
pub(super) struct Places {
    /// The repository's folder
    #[arg(long, value_name = "DIR")]
    repository: PathBuf,
    /// The folder of the role keys
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
}

impl Places {
    fn keys(&self) -> KeyFolder {
        KeyFolder::new(&self.keys)
    }
}

#[derive(Args)]
pub(super) struct Init {
    #[command(flatten)]
    places: Places,
    /// How many root keys must sign a root
    #[arg(long, default_value_t = 1)]
    threshold: u64,
    /// The public key of another holder of a root key
    #[arg(long, value_name = "PUB")]
    root_key: Vec<PathBuf>,
}

#[derive(Args)]
#[command(group(ArgGroup::new("heat").args(["hot", "not_hot"])))]
pub(super) struct Component {
    #[command(flatten)]
    places: Places,
    /// Where it stands, such as restapi/7.0/restapi-7.0.40
    #[arg(long)]
    recipe: RecipePath,
    /// The folder whose content is the component
    #[arg(long, value_name = "DIR")]
    files: PathBuf,
    /// What must be installed with it, such as 'core >=9.0, <10'
    #[arg(long, value_name = "NEED", value_parser = requirement_arg)]
    requires: Vec<Requirement>,
    /// What must, where it is installed, be in this range as well
    #[arg(long, value_name = "NEED", value_parser = requirement_arg)]
    joint: Vec<Requirement>,
    /// What installing it removes: hotfixes for it, and recipes of its own family
    #[arg(long, value_name = "NEED", value_parser = requirement_arg)]
    replaces: Vec<Requirement>,
    /// For a hotfix: the component whose paths it takes over, such as restapi=7.0.40
    #[arg(long, value_name = "COMPONENT=VERSION", value_parser = pin_arg)]
    takes: Vec<Pin>,
    /// It may be applied without a restart
    #[arg(long)]
    hot: bool,
    /// It may not, for this reason
    #[arg(long, value_name = "REASON")]
    not_hot: Option<String>,
    /// It cannot be rolled back after a start, for this reason
    #[arg(long, value_name = "REASON")]
    one_way: Option<String>,
    /// Files that the customer may edit, such as 'conf/*.properties'
    #[arg(long, value_name = "GLOB")]
    config: Vec<String>,
    /// What the administrator should know, as a text file
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// Its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX")]
    licence: Option<String>,
    /// Its software bill of materials, as JSON
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Release {
    #[command(flatten)]
    places: Places,
    /// Where it stands, such as step/trailblazer/step-trailblazer-9.0-mp5-2018-11-08-15-54-27
    #[arg(long)]
    recipe: RecipePath,
    /// A component version that it names
    #[arg(long, value_name = "COMPONENT=VERSION", value_parser = pin_arg, required = true)]
    component: Vec<Pin>,
    /// What the administrator should know, as a text file
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
}

#[derive(Args)]
#[command(group(ArgGroup::new("act").args(["bytes", "signature", "keys"]).required(true)))]
pub(super) struct Sign {
    /// The repository's folder
    #[arg(long, value_name = "DIR")]
    repository: PathBuf,
    /// Whose newest file: root, targets, snapshot, timestamp or a delegation
    #[arg(long)]
    role: String,
    /// Write the bytes that are to be signed
    #[arg(long, value_name = "OUT")]
    bytes: Option<PathBuf>,
    /// Add the signature in this file: {"keyid": "..", "sig": ".."}
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Sign here, with the role's key in this folder
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Renew {
    #[command(flatten)]
    places: Places,
    /// Targets and delegations as well
    #[arg(long)]
    targets: bool,
}

fn requirement_arg(text: &str) -> Result<Requirement, WordError> {
    requirement(text)
}

fn pin_arg(text: &str) -> Result<Pin, WordError> {
    pin(text)
}

/// Runs a `publish` command.
pub(super) fn run(command: Publish, now: Time, printer: &Printer) -> Result<(), Refusal> {
    match command {
        Publish::Init(args) => printer.outcome(&publish::init::run(
            &publish::init::Request {
                keys: args.places.keys(),
                repository: args.places.repository,
                threshold: args.threshold,
                root_keys: args.root_key,
                lifetimes: Lifetimes::default(),
            },
            now,
            printer,
        )?),
        Publish::Component(args) => {
            printer.outcome(&publish::component::run(&component(*args), now, printer)?);
        }
        Publish::Release(args) => printer.outcome(&publish::release::run(
            &publish::release::Request {
                keys: args.places.keys(),
                repository: args.places.repository,
                recipe: args.recipe,
                components: args.component,
                notes: args.notes,
            },
            now,
            printer,
        )?),
        Publish::Sign(args) => {
            let act = match (args.bytes, args.signature, args.keys) {
                (Some(out), _, _) => publish::sign::Act::Bytes(out),
                (_, Some(file), _) => publish::sign::Act::Signature(file),
                (_, _, keys) => publish::sign::Act::Keys(KeyFolder::new(keys.unwrap_or_default())),
            };
            let request = publish::sign::Request {
                repository: args.repository,
                role: args.role,
                act,
            };
            printer.outcome(&publish::sign::run(&request, now, printer)?);
        }
        Publish::Renew(args) => printer.outcome(&publish::renew::run(
            &publish::renew::Request {
                keys: args.places.keys(),
                repository: args.places.repository,
                targets: args.targets,
            },
            now,
            printer,
        )?),
    }
    Ok(())
}

fn component(args: Component) -> publish::component::Request {
    let hot = match (args.hot, args.not_hot) {
        (true, _) => Hot::Yes,
        (false, Some(reason)) => Hot::No(reason),
        (false, None) => Hot::No("the publisher has not said that it may".to_owned()),
    };
    publish::component::Request {
        keys: args.places.keys(),
        repository: args.places.repository,
        recipe: args.recipe,
        files: args.files,
        requires: args.requires,
        joint: args.joint,
        replaces: args.replaces,
        takes: args.takes,
        hot,
        one_way: args.one_way,
        config: args.config,
        notes: args.notes,
        licence: args.licence,
        sbom: args.sbom,
    }
}
