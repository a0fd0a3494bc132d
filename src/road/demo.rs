//! `demo`: the whole road in one folder, command by command, so that a reader can type it again.
//!
//! Every step is a command line, run by the shell as it is printed, with the exit code that it must
//! have. The demonstration fails when a step ends otherwise, so it is a test as well.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::disk::{DiskError, durable, entropy};
use crate::model::text::{Shown, path_as_text};
use crate::model::{Refusal, RefusalName, Watch};
use crate::trust::SigningKey;

mod script;

use script::{ROAD, Step};

/// The product's files: those of two releases, and a customer's add-on.
const FILES: [(&str, &[u8]); 13] = [
    (
        "vendor/core-9.0.0/bin/start.sh",
        b"#!/bin/sh\nexec java -cp lib/core.jar example.core.Core\n",
    ),
    (
        "vendor/core-9.0.0/conf/server.properties",
        b"port=8080\nthreads=4\n",
    ),
    (
        "vendor/core-9.0.0/lib/core.jar",
        include_bytes!("../../fixtures/demo/core-9.0.0.jar"),
    ),
    ("vendor/core-9.0.0/lib/README.txt", b"core 9.0.0\n"),
    (
        "vendor/core-9.1.0/bin/start.sh",
        b"#!/bin/sh\nexec java -cp lib/core.jar example.core.Core\n",
    ),
    (
        "vendor/core-9.1.0/conf/server.properties",
        b"port=8080\nthreads=8\n",
    ),
    (
        "vendor/core-9.1.0/lib/core.jar",
        include_bytes!("../../fixtures/demo/core-9.1.0.jar"),
    ),
    (
        "vendor/core-9.1.0/lib/NEWS.txt",
        b"core 9.1.0 adds numbers\n",
    ),
    (
        "vendor/restapi-7.0.39/restapi/restapi.jar",
        include_bytes!("../../fixtures/demo/restapi-7.0.39.jar"),
    ),
    (
        "vendor/restapi-7.0.40/restapi/restapi.jar",
        include_bytes!("../../fixtures/demo/restapi-7.0.40.jar"),
    ),
    (
        "vendor/restapi-7.0.41/restapi/restapi.jar",
        b"not really a jar\n",
    ),
    (
        "vendor/portal-1.0.0/portal/portal.jar",
        include_bytes!("../../fixtures/demo/portal-1.0.0.jar"),
    ),
    (
        "vendor/portal-1.0.0/portal/welcome.txt",
        b"welcome to ACME\n",
    ),
];

/// People of the demonstration, and their keys.
const PEOPLE: [(&str, &str); 2] = [
    ("owner", "owner@acme.example"),
    ("desk", "desk@acme.example"),
];

/// How the demonstration went.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The folder with everything in it.
    #[serde(serialize_with = "path_as_text")]
    pub folder: PathBuf,
    /// Commands that ran.
    pub commands: usize,
    /// Of these, refusals that were meant.
    pub refusals: usize,
    /// Where the files lie.
    pub files: Vec<(String, String)>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "\n{} commands ran, {} of them refused as they should be",
            self.commands, self.refusals
        )?;
        writeln!(f, "\neverything lies in {}", Shown(&self.folder))?;
        for (path, what) in &self.files {
            writeln!(f, "  {path:<40} {what}")?;
        }
        writeln!(
            f,
            "\nto go on by hand:\n  cd {}\n  PATH=$PWD/bin:$PATH",
            self.folder.display()
        )?;
        write!(
            f,
            "  lockstep inspect usb/PROD.patch.spr\nto remove it:\n  rm -r {}",
            self.folder.display()
        )
    }
}

/// Runs the demonstration in `folder`, which must not exist yet, with `program` as `lockstep`.
pub fn run(program: &Path, folder: &Path, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    if folder.exists() {
        return Err(
            Refusal::new(RefusalName::Usage, "the folder is there already")
                .value("folder", folder.display())
                .next("name one that is not: lockstep demo --folder DIR"),
        );
    }
    // The desk of the demonstration keeps the places that it is given in a statement.
    if folder.to_str().is_none() {
        return Err(
            Refusal::new(RefusalName::Usage, "the folder's name is not UTF-8")
                .value("folder", Shown(folder))
                .next("name one that is: lockstep demo --folder DIR"),
        );
    }
    lay_out(program, folder)?;
    let folder = folder
        .canonicalize()
        .map_err(DiskError::io("read", folder))?;
    watch.say(&format!("the demonstration runs in {}", folder.display()));
    watch.say("two people have keys, as ssh-keygen makes them:");
    for (name, comment) in PEOPLE {
        watch.say(&format!(
            "$ ssh-keygen -q -t ed25519 -N '' -C {comment} -f keys/{name}"
        ));
        write_key(&folder, name, comment)?;
    }
    for step in ROAD {
        take(&folder, step, watch)?;
    }
    let commands = ROAD
        .iter()
        .filter(|step| matches!(step, Step::Run(..)))
        .count();
    let refusals = ROAD
        .iter()
        .filter(|step| matches!(step, Step::Run(code, _) if *code != 0))
        .count();
    let files = script::FILES
        .iter()
        .map(|(path, what)| ((*path).to_owned(), (*what).to_owned()));
    Ok(Outcome {
        folder,
        commands,
        refusals,
        files: files.collect(),
    })
}

fn lay_out(program: &Path, folder: &Path) -> Result<(), Refusal> {
    for (path, bytes) in FILES {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            durable::make_folders(parent, 0o755)?;
        }
        let mode = if path.extension().is_some_and(|e| e == "sh") {
            0o755
        } else {
            0o644
        };
        durable::write(&path, bytes, mode)?;
    }
    for name in ["keys", "bin", "desk", "usb", "prod/step", "test/step"] {
        durable::make_folders(&folder.join(name), 0o755)?;
    }
    for name in ["lockstep", "spot"] {
        let link = folder.join("bin").join(name);
        std::os::unix::fs::symlink(program, &link).map_err(DiskError::io("link", &link))?;
    }
    Ok(())
}

fn write_key(folder: &Path, name: &str, comment: &str) -> Result<(), Refusal> {
    let fault = |e: &dyn std::error::Error| Refusal::new(RefusalName::Internal, e.to_string());
    let key = SigningKey::from_seed(&entropy::random_bytes()?).map_err(|e| fault(&e))?;
    let private = key.to_openssh().map_err(|e| fault(&e))?;
    let public = key.public().map_err(|e| fault(&e))?;
    let path = folder.join("keys").join(name);
    durable::write(
        &path,
        Zeroizing::new(private.as_bytes().to_vec()).as_slice(),
        0o600,
    )?;
    durable::write(
        &path.with_extension("pub"),
        format!("{public} {comment}\n").as_bytes(),
        0o644,
    )?;
    Ok(())
}

fn take(folder: &Path, step: &Step, watch: &dyn Watch) -> Result<(), Refusal> {
    let (code, line) = match step {
        Step::Say(text) => {
            watch.say(&format!("\n# {text}"));
            return Ok(());
        }
        Step::Run(code, line) => (*code, *line),
    };
    watch.say(&format!("$ {line}"));
    let path = format!("{}/bin:/usr/local/bin:/usr/bin:/bin", folder.display());
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .output()
        .map_err(DiskError::io("run", "/bin/sh"))?;
    for stream in [&output.stderr, &output.stdout] {
        for text in String::from_utf8_lossy(stream).lines() {
            watch.say(&format!("  {text}"));
        }
    }
    let found = output.status.code().unwrap_or(-1);
    if found == code {
        if code != 0 {
            watch.say(&format!("  (exit code {code}, as it should be)"));
        }
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Internal,
        "a step of the demonstration did not end as it should",
    )
    .value("command", line)
    .value("exit code", format!("{found}, and {code} was expected"))
    .unchanged(format!("everything lies in {}", folder.display()))
    .next("read what it printed above; then report it"))
}
