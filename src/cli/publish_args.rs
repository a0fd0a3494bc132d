//! The grammar of `publish`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::model::recipe::{Hot, Pin, Requirement};
use crate::model::{RecipePath, Refusal, Time};
use crate::publish::take::Take;
use crate::publish::words::{Named, WordError, named, pin, requirement};
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
    /// Date snapshot and timestamp anew, so that they do not expire; take in what delegates published
    Renew(Renew),
    /// Give a role new keys
    Rotate(Rotate),
    /// Give another publisher keys of its own for a part of the recipes
    Delegate(Delegate),
    /// Take a delegation back
    Revoke(Revoke),
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
    /// A component version that it names; another publisher's is named by its recipe, such as
    /// customer/acme/portal/7.0/portal-7.0.3
    #[arg(long, value_name = "COMPONENT=VERSION", value_parser = named_arg, required = true)]
    component: Vec<Named>,
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
#[command(after_help = RENEW_EXAMPLES)]
pub(super) struct Renew {
    #[command(flatten)]
    places: Places,
    /// Targets and delegations as well
    #[arg(long)]
    targets: bool,
    /// Put in force what a delegate published into its copy of the repository
    #[arg(long, value_name = "ROLE=FOLDER")]
    take: Vec<Take>,
}

#[derive(Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(super) struct Rotate {
    #[command(flatten)]
    places: Places,
    /// Whose keys: root, targets, snapshot, timestamp or a delegation
    #[arg(long, value_name = "ROLE", required = true)]
    role: Vec<String>,
    /// A new key, as a public key file [default: made in the key folder]
    #[arg(long, value_name = "PUB", conflicts_with = "make")]
    key: Vec<PathBuf>,
    /// How many keys are made [default: 1]
    #[arg(long, value_name = "N")]
    make: Option<u64>,
    /// How many of the new keys must sign [default: as many as now]
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// Start the versions of these roles anew: after a stolen key counted them to the end
    #[arg(long)]
    restart_versions: bool,
}

#[derive(Args)]
#[command(after_help = DELEGATE_EXAMPLES)]
pub(super) struct Delegate {
    #[command(flatten)]
    places: Places,
    /// The delegate's role, which is also the name of its private key file
    #[arg(long)]
    role: String,
    /// One of the delegate's public keys [default: those that it has]
    #[arg(long, value_name = "PUB")]
    key: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u64,
    /// Recipes that it publishes, such as 'customer/acme/*/*/*'
    #[arg(long, value_name = "PATTERN", required = true)]
    path: Vec<String>,
    /// A folder or file that its recipes may own [default: any that nobody else owns]
    #[arg(long, value_name = "DIR")]
    install_path: Vec<String>,
}

#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    places: Places,
    /// The delegate's role
    #[arg(long)]
    role: String,
}

const RENEW_EXAMPLES: &str = "examples:
  lockstep publish renew --repository repo --keys keys                        every day, by a machine
  lockstep publish renew --repository repo --keys keys --targets              once a year
  lockstep publish renew --repository repo --keys keys --take acme=/in/acme   what the delegate acme published";

const ROTATE_EXAMPLES: &str = "examples:
  lockstep publish rotate --repository repo --keys keys --role timestamp
  lockstep publish rotate --repository repo --keys keys --role root --make 3 --threshold 2
  lockstep publish rotate --repository repo --keys keys --role root --key anna.pub --key ben.pub --threshold 2
  lockstep publish rotate --repository repo --keys keys --role timestamp --role snapshot --restart-versions

the old private keys are set aside in the key folder (+old), never deleted. What waits for signatures of
people elsewhere, or was cut short, is continued by typing the same line again.";

const DELEGATE_EXAMPLES: &str = "examples:
  lockstep publish delegate --repository repo --keys keys --role acme --key acme.pub \\
    --path 'customer/acme/*/*/*' --install-path webapps/portal
then the delegate, in a copy of the repository, with a key folder that holds its private key as 'acme':
  lockstep publish component --repository copy --keys acme-keys --recipe customer/acme/portal/7.0/portal-7.0.3 --files DIR
and the owner again:
  lockstep publish renew --repository repo --keys keys --take acme=copy";

fn requirement_arg(text: &str) -> Result<Requirement, WordError> {
    requirement(text)
}

fn pin_arg(text: &str) -> Result<Pin, WordError> {
    pin(text)
}

fn named_arg(text: &str) -> Result<Named, WordError> {
    named(text)
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
                take: args.take,
            },
            now,
            printer,
        )?),
        Publish::Rotate(args) => {
            printer.outcome(&publish::rotate::run(&rotate(args), now, printer)?);
        }
        Publish::Delegate(args) => {
            printer.outcome(&publish::delegate::run(&delegate(args), now, printer)?);
        }
        Publish::Revoke(args) => printer.outcome(&publish::revoke::run(
            &publish::revoke::Request {
                keys: args.places.keys(),
                repository: args.places.repository,
                role: args.role,
            },
            now,
            printer,
        )?),
    }
    Ok(())
}

fn rotate(args: Rotate) -> publish::rotate::Request {
    publish::rotate::Request {
        keys: args.places.keys(),
        repository: args.places.repository,
        roles: args.role,
        public: args.key,
        make: args.make,
        threshold: args.threshold,
        restart: args.restart_versions,
    }
}

fn delegate(args: Delegate) -> publish::delegate::Request {
    publish::delegate::Request {
        keys: args.places.keys(),
        repository: args.places.repository,
        role: args.role,
        public: args.key,
        threshold: args.threshold,
        paths: args.path,
        install_paths: args.install_path,
    }
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
