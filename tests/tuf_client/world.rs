//! A repository, its server, and a client with its folders.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::repository::{ALL, Repository};
use crate::server::Server;
use crate::{Done, program};

/// All of it; the client was begun with the repository's first root.
pub(crate) struct World {
    pub(crate) repository: Repository,
    pub(crate) server: Server,
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Done<Self> {
        let world = Self {
            repository: Repository::new()?,
            server: Server::start()?,
            folder: tempfile::tempdir()?,
        };
        std::fs::create_dir(world.metadata())?;
        let root = world.folder.path().join("first.json");
        std::fs::write(&root, world.repository.file("root", 1)?)?;
        let output = world.init(&root)?;
        passed(&output)?;
        Ok(world)
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.folder.path().join("metadata")
    }

    pub(crate) fn artifacts(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    pub(crate) fn init(&self, root: &Path) -> Done<Output> {
        let mut command = Command::new(program::path()?);
        command.arg("--metadata-dir").arg(self.metadata());
        Ok(command.arg("init").arg(root).output()?)
    }

    /// What `refresh` does with the repository as it is.
    pub(crate) fn try_refresh(&self) -> Done<Output> {
        self.server.serve(self.repository.files.clone());
        let mut command = Command::new(program::path()?);
        command.arg("--metadata-dir").arg(self.metadata());
        command.args(["--metadata-url", &self.server.url("metadata")]);
        Ok(command.arg("refresh").output()?)
    }

    /// What `download` does with the repository as it is.
    pub(crate) fn try_download(&self, paths: &[&str]) -> Done<Output> {
        self.server.serve(self.repository.files.clone());
        let mut command = Command::new(program::path()?);
        command.arg("--metadata-dir").arg(self.metadata());
        command.args(["--metadata-url", &self.server.url("metadata")]);
        command.args(paths.iter().flat_map(|path| ["--target-name", path]));
        command.args(["--target-base-url", &self.server.url("targets")]);
        command.arg("--target-dir").arg(self.artifacts());
        Ok(command.arg("download").output()?)
    }

    pub(crate) fn refresh(&self) -> Done {
        passed(&self.try_refresh()?)
    }

    pub(crate) fn download(&self, paths: &[&str]) -> Done {
        passed(&self.try_download(paths)?)
    }

    /// That `refresh` is refused for this reason.
    pub(crate) fn refused(&self, why: &str) -> Done {
        failed(&self.try_refresh()?, why)
    }

    /// That `download` is refused for this reason.
    pub(crate) fn not_downloaded(&self, paths: &[&str], why: &str) -> Done {
        failed(&self.try_download(paths)?, why)
    }

    /// The versions of root, targets, snapshot and timestamp that the client trusts; 0 for none.
    pub(crate) fn trusted(&self) -> Done<[u64; 4]> {
        let mut versions = [0; 4];
        for (role, version) in ALL.into_iter().zip(&mut versions) {
            let path = self.metadata().join(format!("{role}.json"));
            if path.exists() {
                let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
                *version = file["signed"]["version"].as_u64().ok_or("no version")?;
            }
        }
        Ok(versions)
    }

    /// The contents of the artifacts that were brought in, by name; a draft would be among them.
    pub(crate) fn brought(&self) -> Done<Vec<(String, Vec<u8>)>> {
        listing(&self.artifacts())
    }
}

/// A folder's files, by name; none where there is no folder.
pub(crate) fn listing(folder: &Path) -> Done<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    if folder.exists() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, std::fs::read(entry.path())?));
        }
    }
    found.sort();
    Ok(found)
}

/// That the client ended well.
pub(crate) fn passed(output: &Output) -> Done {
    ended(output, 0, "")
}

/// That the client ended with 1, for this reason.
pub(crate) fn failed(output: &Output, why: &str) -> Done {
    ended(output, 1, why)
}

fn ended(output: &Output, code: i32, why: &str) -> Done {
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(code) && words.contains(why) {
        return Ok(());
    }
    let found = output.status;
    Err(format!("it ended with {found}, not {code} and {why:?}: {words}").into())
}
