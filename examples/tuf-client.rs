//! A TUF client over Lockstep's own verification, with the command line of TUF conformance clients:
//! something to test from outside, and no part of the product.
//!
//! ```text
//! tuf-client --metadata-dir D init ROOT.json
//! tuf-client --metadata-dir D --metadata-url U refresh
//! tuf-client --metadata-dir D --metadata-url U --target-name T [--target-name T2 ...]
//!            --target-base-url B --target-dir X download
//! ```
//!
//! It exits with 0 or 1. Every decision is made in `lockstep::trust::vendor::client`; here are files,
//! plain HTTP on the loopback, and the clock. `docs/trust.md` says how a suite is run against it.

#[path = "tuf-client/cryptography.rs"]
mod cryptography;
#[path = "tuf-client/download.rs"]
mod download;
#[path = "tuf-client/http.rs"]
mod http;
#[path = "tuf-client/refresh.rs"]
mod refresh;
#[path = "tuf-client/store.rs"]
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use lockstep::model::Time;
use lockstep::trust::vendor::client::check_first_root;

use http::Site;
use store::Store;

/// A TUF client to test Lockstep's verification with
#[derive(Parser)]
struct Arguments {
    /// Where trusted metadata is kept
    #[arg(long)]
    metadata_dir: PathBuf,
    /// Where the repository serves metadata
    #[arg(long)]
    metadata_url: Option<Site>,
    /// A path of the repository's targets
    #[arg(long)]
    target_name: Vec<String>,
    /// Where the repository serves targets
    #[arg(long)]
    target_base_url: Option<Site>,
    /// Where artifacts are put
    #[arg(long)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Begin with a root that is trusted
    Init {
        /// The root's file
        root: PathBuf,
    },
    /// Bring the top-level metadata up to date
    Refresh,
    /// Bring the metadata up to date and fetch artifacts
    Download,
}

#[expect(
    clippy::print_stderr,
    reason = "this is a program, and what it says is for whoever tests it"
)]
fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            eprint!("{usage}");
            return ExitCode::from(u8::from(usage.use_stderr()));
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tuf-client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    cryptography::install()?;
    let folder = &arguments.metadata_dir;
    if let Command::Init { root } = &arguments.command {
        let root = store::read_root(root)?;
        check_first_root(&root)?;
        return Store::found(folder, &root);
    }
    let url = arguments.metadata_url.as_ref();
    let metadata = url.context("--metadata-url is missing")?;
    let store = Store::open(folder)?;
    let roles = refresh::refresh(&store, metadata, now()?)?;
    if let Command::Download = arguments.command {
        let url = arguments.target_base_url.as_ref();
        let download = download::Download {
            roles: &roles,
            store: &store,
            metadata,
            targets: url.context("--target-base-url is missing")?,
            folder: arguments
                .target_dir
                .as_deref()
                .context("--target-dir is missing")?,
        };
        anyhow::ensure!(
            !arguments.target_name.is_empty(),
            "--target-name is missing"
        );
        for path in &arguments.target_name {
            download.fetch(path).with_context(|| format!("{path:?}"))?;
        }
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the edge of this program, as cli/ is that of the product"
)]
fn now() -> Result<Time> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Time::from_unix(i64::try_from(since.as_secs())?))
}
