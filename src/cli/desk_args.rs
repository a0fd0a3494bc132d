//! The grammar of the desk's commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::args::{Accept, size};
use crate::model::Name;
use crate::model::volume::FAT32_MAX;

#[derive(Args)]
pub(super) struct DeskFolder {
    /// The desk's own folder [default: the XDG state and cache folders]
    #[arg(long, value_name = "DIR")]
    pub(super) desk: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(super) enum Site {
    /// Write the first site file; its key is kept offline
    New(SiteFile),
    /// Write the next site file; what is not named again stays
    #[command(after_help = RENEW_EXAMPLES)]
    Renew(SiteFile),
}

const RENEW_EXAMPLES: &str = "examples:
  lockstep site renew --from site.spr --remove anna@acme.example --key owner --output site2.spr
  lockstep site renew --from site.spr --vendor acme=acme/metadata/1.root.json --prefix acme=customer/acme --key owner --output site2.spr
  lockstep site renew --from site.spr --vendor stibo=anew/metadata/1.root.json --replace-root stibo --key owner --output site2.spr

a vendor that changes its keys is followed without a new site file; --replace-root is for one that lost
its root keys and started anew.";

#[derive(Args)]
pub(super) struct SiteFile {
    /// The site file to renew
    #[arg(long, value_name = "SITE.spr")]
    pub(super) from: Option<PathBuf>,
    /// The site's name
    #[arg(long)]
    pub(super) name: Option<Name>,
    /// A vendor and its TUF root
    #[arg(long, value_name = "NAME=ROOT.json")]
    pub(super) vendor: Vec<String>,
    /// A vendor whose root takes the place of one that it does not follow: it started anew, and the
    /// versions that hosts have seen of it count no more
    #[arg(long, value_name = "NAME")]
    pub(super) replace_root: Vec<Name>,
    /// Recipes that a vendor may serve [default: all]
    #[arg(long, value_name = "VENDOR=PREFIX")]
    pub(super) prefix: Vec<String>,
    /// Who may prepare patches: a public key file
    #[arg(long, value_name = "[PRINCIPAL=]PUB")]
    pub(super) preparer: Vec<String>,
    /// Who may approve them: a public key file
    #[arg(long, value_name = "[PRINCIPAL=]PUB")]
    pub(super) approver: Vec<String>,
    /// Who is trusted no longer
    #[arg(long, value_name = "PRINCIPAL")]
    pub(super) remove: Vec<String>,
    /// The rules, as TOML
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Option<PathBuf>,
    /// The owner's private key
    #[arg(long)]
    pub(super) key: PathBuf,
    /// Where the site file goes
    #[arg(long, short, value_name = "SITE.spr")]
    pub(super) output: PathBuf,
}

#[derive(Args)]
pub(super) struct Enrol {
    /// Snapshots of the nodes, or folders with snapshots in them
    #[arg(value_name = "SNAPSHOT.spr|DIR", required = true)]
    pub(super) places: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) desk: DeskFolder,
    /// The node key's fingerprint, 12 characters or more, read from lockstep status on the host;
    /// of many files, it picks those of that node
    #[arg(long, value_name = "PREFIX")]
    pub(super) fingerprint: Option<String>,
    /// Let another key take the place of the one that is known
    #[arg(long)]
    pub(super) replace: bool,
    #[command(flatten)]
    pub(super) accept: Accept,
    /// Write an enrolment file, which a restored host will need
    #[arg(long, short, value_name = "ENROLMENT.spr", requires = "key")]
    pub(super) output: Option<PathBuf>,
    /// The preparer's private key, to sign the enrolment
    #[arg(long)]
    pub(super) key: Option<PathBuf>,
}

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(super) struct Prepare {
    /// A snapshot of each node, or the receipt that holds it; or folders with such files in them, for
    /// one patch per environment
    #[arg(value_name = "SNAPSHOT.spr|DIR", required_unless_present_any = ["environment", "all"])]
    pub(super) places: Vec<PathBuf>,
    /// The environment, whose last snapshots are known here; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "places")]
    pub(super) environment: Vec<Name>,
    /// Every environment that is known here
    #[arg(long, conflicts_with_all = ["places", "environment"])]
    pub(super) all: bool,
    /// The recipes wanted, such as to:restapi/7.0/restapi-7.0.40.spr
    #[arg(
        long,
        value_name = "RECIPE[,RECIPE...]",
        required_unless_present_any = ["remove", "adopt"]
    )]
    pub(super) to: Vec<String>,
    /// A component to take away
    #[arg(long, value_name = "COMPONENT")]
    pub(super) remove: Vec<Name>,
    /// Register what lies there already, as a full snapshot lists it; no file is changed
    #[arg(long, conflicts_with = "remove")]
    pub(super) adopt: bool,
    /// Leave nothing in the patch that only this program can decode or that needs the host's files
    #[arg(long)]
    pub(super) whole: bool,
    /// How hard to try to make the patch small; what it makes is the same
    #[arg(long, value_name = "EFFORT", default_value = "default")]
    pub(super) effort: Effort,
    /// Say of each file how it travels, why, and what that costs
    #[arg(long)]
    pub(super) explain: bool,
    /// The vendor's repository; remembered
    #[arg(long, value_name = "[VENDOR=]DIR")]
    pub(super) source: Vec<String>,
    /// The site file; remembered
    #[arg(long, value_name = "SITE.spr")]
    pub(super) site: Option<PathBuf>,
    /// The fingerprint of the site's owner, from a second source: the site file must be by that key
    #[arg(long, value_name = "SHA256:...", requires = "site")]
    pub(super) fingerprint: Option<String>,
    /// The preparer's private key; remembered
    #[arg(long)]
    pub(super) key: Option<PathBuf>,
    /// Where the patch goes: a file or a folder; for several environments, a folder
    #[arg(long, short, value_name = "FILE|DIR")]
    pub(super) output: Option<PathBuf>,
    /// Make files of at most this many bytes, such as 2G or 700M; fat32 is the most that a FAT32 stick
    /// holds in one file (4G less one byte). Where one is not enough, the patch goes into several volumes
    #[arg(long, value_name = "SIZE|fat32", value_parser = volume_size)]
    pub(super) volume_size: Option<u64>,
    #[command(flatten)]
    pub(super) desk: DeskFolder,
    #[command(flatten)]
    pub(super) accept: Accept,
}

/// How hard `prepare` tries.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Effort {
    /// Quick: deltas are 10 to 30 % larger
    Fast,
    /// What is meant for every day
    Default,
    /// The smallest that there is, for many times the work
    Best,
}

impl From<Effort> for crate::delta::Effort {
    fn from(effort: Effort) -> Self {
        match effort {
            Effort::Fast => Self::Fast,
            Effort::Default => Self::Default,
            Effort::Best => Self::Best,
        }
    }
}

/// A size, or the name of a medium.
fn volume_size(text: &str) -> Result<u64, String> {
    if text.eq_ignore_ascii_case("fat32") {
        return Ok(FAT32_MAX);
    }
    size(text).map_err(|_not_a_size| format!("{text:?} is neither a size such as 700M nor fat32"))
}

#[derive(Args)]
pub(super) struct Receive {
    /// Receipts, of any environments known here, or folders with receipts in them
    #[arg(value_name = "RECEIPT.spr|DIR", required = true)]
    pub(super) places: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) desk: DeskFolder,
    #[command(flatten)]
    pub(super) accept: Accept,
}

#[derive(Args)]
pub(super) struct Compare {
    /// A snapshot or receipt
    pub(super) first: PathBuf,
    /// Another one
    pub(super) second: PathBuf,
}
