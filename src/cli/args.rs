//! The command line's grammar. Each command's help says what it does and what comes next.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::disk::rules::service::TABLES;
use crate::model::{Name, RefusalName};

/// Offline patches, bound to one environment in one state.
#[derive(Parser)]
#[command(name = "lockstep", version, max_term_width = 100)]
#[command(
    after_help = "the monthly road:  snapshot (host)  ->  prepare (desk)  ->  apply (host)  ->  receive (desk)\n\
                        see it run:        lockstep demo"
)]
pub(super) struct Cli {
    /// Print one JSON document on standard output
    #[arg(long, global = true, display_order = 900)]
    pub(super) json: bool,
    /// Print nothing but warnings and refusals
    #[arg(long, global = true, display_order = 901)]
    pub(super) quiet: bool,
    /// Read the passphrase of key files from this open descriptor, to its first line feed; without it,
    /// the terminal is asked
    #[arg(long, global = true, value_name = "N", display_order = 902)]
    pub(super) passphrase_fd: Option<u32>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// host: make an environment under a root, trusting a site file
    Init(Init),
    /// host: state, signed, what is installed here now
    Snapshot(Snapshot),
    /// host: check a patch offline and apply it
    Apply(Apply),
    /// host: put right what a crash interrupted
    Recover(Recover),
    /// host: give a copied, moved or restored environment a key of its own
    Rehome(Rehome),
    /// host: bring back the files of an earlier generation
    Rollback(Rollback),
    /// host: make room: remove old generations, which only a rollback needs
    Gc(Gc),
    /// host: is all well here?
    Status(Status),
    /// host: what is installed here
    Components(Root),
    /// host: what was done here
    History(History),
    /// host: write a receipt out again
    Receipt(Receipt),
    /// host: take a newer site file, or show the one in force
    Trust(Trust),
    /// audit: say what a file says, without believing it
    Inspect(Inspect),
    /// audit: check a file against a site file, and list every check
    Verify(Verify),
    /// audit: sign a patch as an approver
    Approve(Approve),
    /// desk: write the file that says whom environments trust
    #[cfg(feature = "desk")]
    #[command(subcommand)]
    Site(Site),
    /// desk: make nodes known here, by their first snapshots
    #[cfg(feature = "desk")]
    Enrol(Enrol),
    /// desk: build one patch per environment, for exactly that environment in exactly its state
    #[cfg(feature = "desk")]
    Prepare(Prepare),
    /// desk: take in the receipts that hosts wrote
    #[cfg(feature = "desk")]
    Receive(Receive),
    /// desk: what is known of each environment
    #[cfg(feature = "desk")]
    Environments(DeskFolder),
    /// desk: what differs between two snapshots or receipts
    #[cfg(feature = "desk")]
    Compare(Compare),
    /// vendor: write a release repository
    #[cfg(feature = "publish")]
    #[command(subcommand)]
    Publish(Publish),
    /// see the whole road run, in a temporary folder
    #[cfg(all(feature = "desk", feature = "publish"))]
    Demo(Demo),
}

impl Command {
    /// Whether a refusal of it belongs into the host's log.
    pub(super) fn changes_a_host(&self) -> bool {
        matches!(
            self,
            Self::Init(_)
                | Self::Snapshot(_)
                | Self::Apply(_)
                | Self::Recover(_)
                | Self::Rehome(_)
                | Self::Rollback(_)
                | Self::Gc(_)
                | Self::Trust(_)
        )
    }

    /// Whether it asks for signals and leaves nothing behind when one comes.
    pub(super) fn asks_for_signals(&self) -> bool {
        #[cfg(feature = "desk")]
        if matches!(self, Self::Prepare(_)) {
            return true;
        }
        self.changes_a_host()
    }
}

#[derive(Args)]
pub(super) struct Root {
    /// The installation [default: the nearest parent folder that holds .lockstep/]
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
}

/// `--accept NAME --reason TEXT`.
#[derive(Args)]
pub(super) struct Accept {
    /// Lift a refusal that may be lifted, such as too-old or downgrade
    #[arg(long, value_name = "NAME", requires = "reason")]
    pub(super) accept: Vec<RefusalName>,
    /// Why; it is written into the patch or the receipt
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

#[derive(Args)]
#[command(after_long_help = init_help())]
pub(super) struct Init {
    /// The folder that the product is, or will be, installed in
    #[arg(long, value_name = "DIR")]
    pub(super) root: PathBuf,
    /// The environment's name, such as PROD-EU
    #[arg(long)]
    pub(super) name: Name,
    /// The node's name [default: the environment's]
    #[arg(long)]
    pub(super) node: Option<Name>,
    /// The site file: whom this environment trusts
    #[arg(long, value_name = "SITE.spr")]
    pub(super) site: PathBuf,
    /// The site owner's fingerprint, read from somewhere else than the file
    #[arg(long, value_name = "SHA256:...")]
    pub(super) fingerprint: Option<String>,
    /// The product is there already: leave every file as it is, and register it later
    #[arg(long)]
    pub(super) adopt: bool,
    /// How the product is stopped and started around a change: none, by hand; or the commands in a
    /// file, which are copied into .lockstep/node.toml (--help shows one)
    #[arg(long, value_name = "none|FILE.toml")]
    pub(super) service: Option<String>,
    /// Where the first snapshot goes: a file or a folder
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

fn init_help() -> String {
    format!("FILE.toml, for --service:\n\n{}", TABLES.trim_end())
}

#[derive(Args)]
pub(super) struct Snapshot {
    #[command(flatten)]
    pub(super) root: Root,
    /// Where the snapshot goes: a file or a folder
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Close all earlier snapshots: only a patch for this one will be taken
    #[arg(long)]
    pub(super) only: bool,
    /// List everything below the root by digest, for prepare --adopt; config files stay private
    #[arg(long)]
    pub(super) full: bool,
}

#[derive(Args)]
pub(super) struct Apply {
    /// The patch file; of several, or of those in a folder, the one made for this node is taken. Of a
    /// patch in volumes, any one of them, or the folders they lie in, in any order
    #[arg(value_name = "FILE|DIR", required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) root: Root,
    /// The environment that is meant; another one is refused
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<Name>,
    /// Check everything and change nothing; exits as apply would
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Only if it can be done without a restart
    #[arg(long)]
    pub(super) hot: bool,
    /// An approval made with lockstep approve; those beside the patch are found
    #[arg(long, value_name = "SIG")]
    pub(super) approval: Vec<PathBuf>,
    /// Where the receipt goes: a file or a folder
    #[arg(long, value_name = "FILE")]
    pub(super) receipt: Option<PathBuf>,
    /// Memory that decoding may take, such as 256M
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256M")]
    pub(super) memory: u64,
    #[command(flatten)]
    pub(super) accept: Accept,
}

#[derive(Args)]
pub(super) struct Recover {
    #[command(flatten)]
    pub(super) root: Root,
    /// As a service manager calls it before it starts the product: recovers the files, starts and stops
    /// nothing, is quiet where there is nothing to do, and refuses while files are being exchanged
    #[arg(long)]
    pub(super) before_start: bool,
}

/// A generation is what stood after a change of files; history lists those that can be brought back.
/// Edited config files stay as they are. What is displaced is kept too: a rollback can be taken back.
#[derive(Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    pub(super) root: Root,
    /// The generation to bring back [default: the one before]
    #[arg(long, value_name = "N")]
    pub(super) to: Option<u64>,
    /// The environment that is meant; another one is refused, and without it the name is asked for
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<Name>,
    /// Check everything and change nothing; exits as rollback would
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Where the receipt goes: a file or a folder
    #[arg(long, value_name = "FILE")]
    pub(super) receipt: Option<PathBuf>,
    #[command(flatten)]
    pub(super) accept: Accept,
}

/// What changes have displaced is kept for a rollback. It is removed on every mount that holds some, for
/// good, with the recipes that only it needed: the generations before cannot be brought back any more.
#[derive(Args)]
pub(super) struct Gc {
    #[command(flatten)]
    pub(super) root: Root,
    /// The environment that is meant; another one is refused, and without it the name is asked for
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<Name>,
    /// Of how many changes, the newest, what they displaced stays: so many rollbacks are left
    #[arg(long, value_name = "N")]
    pub(super) keep: usize,
}

#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    pub(super) root: Root,
    /// Exit with another code than 0 on drift, or when recovery is due
    #[arg(long)]
    pub(super) check: bool,
    /// Read every byte, also of files that did not change since they were read; list every drifted
    /// file, and count what no component owns
    #[arg(long)]
    pub(super) full: bool,
}

#[derive(Args)]
pub(super) struct History {
    #[command(flatten)]
    pub(super) root: Root,
    /// Verify every receipt and every link of the chain
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Args)]
pub(super) struct Receipt {
    /// Its sequence number [default: the last]
    #[arg(conflicts_with = "all")]
    pub(super) sequence: Option<u64>,
    /// Every receipt, each under its own name, into the folder that --output names [default: here]
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) root: Root,
    /// Where it goes: a file or a folder
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Trust {
    /// A newer site file, or the word show
    #[arg(value_name = "SITE.spr|show")]
    pub(super) site: PathBuf,
    #[command(flatten)]
    pub(super) root: Root,
    /// Where the receipt goes: a file or a folder
    #[arg(long, value_name = "FILE")]
    pub(super) receipt: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Inspect {
    /// Any .spr file
    pub(super) file: PathBuf,
}

#[derive(Args)]
pub(super) struct Verify {
    /// Any one .spr file; or all receipts of a node, and a snapshot newer than the last, or a folder with
    /// them: whether they are its whole chain; or the volumes of a patch, or folders with them
    #[arg(value_name = "FILE|DIR", required = true)]
    pub(super) files: Vec<PathBuf>,
    /// The site file that is trusted
    #[arg(long, value_name = "SITE.spr")]
    pub(super) site: Option<PathBuf>,
    /// The site owner's fingerprint, read from somewhere else than the file
    #[arg(long, value_name = "SHA256:...")]
    pub(super) fingerprint: Option<String>,
    /// Nodes' keys for their snapshots and receipts, as an `allowed_signers` file
    #[arg(long, value_name = "FILE")]
    pub(super) allowed_signers: Option<PathBuf>,
    /// Detached approvals to count; those beside the patch are found
    #[arg(long, value_name = "SIG")]
    pub(super) approval: Vec<PathBuf>,
    /// A recipe that one in the patch is compressed against, from the repository's targets/
    #[arg(long, value_name = "RECIPE.spr")]
    pub(super) recipe: Vec<PathBuf>,
}

#[derive(Args)]
pub(super) struct Approve {
    /// A patch, its head, or any volume of it
    #[arg(value_name = "PATCH.spr|HEAD.spr")]
    pub(super) file: PathBuf,
    /// The approver's private key, or the .pub file of one that an SSH agent holds
    #[arg(long, required_unless_present = "signature")]
    pub(super) key: Option<PathBuf>,
    /// What ssh-keygen -Y sign -n lockstep-approval made of the file's patch.json
    #[arg(long, value_name = "SIG", conflicts_with = "key")]
    pub(super) signature: Option<PathBuf>,
    /// The site file that is trusted: checks preparer and approver, and says how many are missing
    #[arg(long, value_name = "SITE.spr")]
    pub(super) site: Option<PathBuf>,
    /// Where the signature goes [default: beside the file, where apply finds it]
    #[arg(long, short, value_name = "SIG")]
    pub(super) output: Option<PathBuf>,
}

#[cfg(all(feature = "desk", feature = "publish"))]
#[derive(Args)]
pub(super) struct Demo {
    /// The folder to make [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
}

#[cfg(feature = "desk")]
pub(super) use super::desk_args::{Compare, DeskFolder, Enrol, Prepare, Receive, Site, SiteFile};
#[cfg(feature = "publish")]
pub(super) use super::publish_args::Publish;
pub(super) use super::rehome_args::Rehome;

/// A size in bytes, with K, M or G for powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'M', 'G', 'k', 'm', 'g']) {
        Some(digits) => (
            digits,
            text.chars().last().unwrap_or_default().to_ascii_uppercase(),
        ),
        None => (text, ' '),
    };
    let factor: u64 = match unit {
        'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        _ => 1,
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("{text:?} is not a size such as 256M"))
}
