//! The grammar of `rehome`: what had happened to the node, in exactly one of three ways.

use std::path::PathBuf;

use clap::Args;

use super::args::Root;
use super::world;
use crate::host::rehome::{How, Request};
use crate::model::{Name, Refusal};

/// A node whose key is not where it was made signs nothing (wrong-machine). Here it gets a new key, and
/// goes on: with the sequence number, receipts, floors and site file that it has. Every patch that was
/// prepared for it is refused from then on; the desk enrols it anew, from the receipt that is written.
///
/// --restored goes on from the newest state that is intact, and takes from the enrolment what is higher
/// there, so that an old backup brings back no old trust. The desk writes one from the last receipt or
/// snapshot that it has: lockstep enrol FILE --output ENROLMENT.spr --key KEY
#[derive(Args)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["moved", "copy", "restored"])))]
pub(super) struct Rehome {
    #[command(flatten)]
    root: Root,
    /// It was moved: the same environment, elsewhere; the original is gone
    #[arg(long)]
    moved: bool,
    /// It is a copy: it becomes an environment of its own, under another name
    #[arg(long, requires = "name")]
    copy: bool,
    /// It was put back from a backup, or set back
    #[arg(long, requires = "enrolment")]
    restored: bool,
    /// What the copy is called
    #[arg(long, conflicts_with_all = ["moved", "restored"])]
    name: Option<Name>,
    /// What the copy's node is called [default: as the environment, where that was so before]
    #[arg(long, conflicts_with_all = ["moved", "restored"])]
    node: Option<Name>,
    /// What the desk knows of this node, signed by a preparer
    #[arg(long, value_name = "ENROLMENT.spr", conflicts_with_all = ["moved", "copy"])]
    enrolment: Option<PathBuf>,
    /// A newer site file, where the one in the backup is older than the desk knows
    #[arg(long, value_name = "SITE.spr", conflicts_with_all = ["moved", "copy"])]
    site: Option<PathBuf>,
    /// Why; it is written into the receipt
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The environment that is meant, by the name that it had; without it the name is asked for
    #[arg(long, value_name = "NAME")]
    environment: Option<Name>,
    /// Where the receipt goes: a file or a folder
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Rehome {
    /// What is asked; which of the three, the grammar has seen to.
    pub(super) fn request(self) -> Result<Request, Refusal> {
        let how = match (self.name, self.enrolment) {
            (Some(name), _) => How::Copy {
                name,
                node: self.node,
            },
            (None, Some(enrolment)) => How::Restored {
                enrolment,
                site: self.site,
            },
            (None, None) => How::Moved,
        };
        Ok(Request {
            root: world::root(self.root.root)?,
            how,
            reason: self.reason,
            environment: self.environment,
            receipt: self.receipt,
        })
    }
}
