//! The example, built by the same cargo with the same features as this test, and found by its word.
//!
//! `cargo test` builds examples, `cargo test --test tuf_client` does not; asking cargo works for
//! both, wherever its target folder is, and never runs a program older than the library.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cargo_metadata::Message;

use crate::Done;

/// The path of the program.
pub(crate) fn path() -> Done<&'static PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|e| e.to_string()));
    Ok(built.as_ref().map_err(String::as_str)?)
}

fn build() -> Done<PathBuf> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["build", "--locked", "--quiet", "--message-format=json"]);
    command.args(["--example", "tuf-client", "--no-default-features"]);
    let features = [
        ("desk", cfg!(feature = "desk")),
        ("publish", cfg!(feature = "publish")),
        ("tuf-client", cfg!(feature = "tuf-client")),
        ("faulty", cfg!(feature = "faulty")),
    ];
    for (feature, _) in features.iter().filter(|(_, on)| *on) {
        command.args(["--features", feature]);
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    let mut found = None;
    for message in Message::parse_stream(output.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message?
            && artifact.target.name == "tuf-client"
        {
            found = artifact.executable;
        }
    }
    let found = found.ok_or("cargo built no example tuf-client")?;
    Ok(found.into_std_path_buf())
}
