//! Finds an artifact and brings it in: into a file of one name per path, checked while it is read,
//! and visible under that name only once it is whole and right.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use lockstep::disk::durable::{Draft, make_folders};
use lockstep::model::Sha256;
use lockstep::trust::vendor::client::{Artifact, Roles, Step, quote};

use crate::http::Site;
use crate::refresh::stored_or_fetched;
use crate::store::Store;

/// Longest file name before it is replaced by a digest; file systems take 255 bytes.
const NAME_MAX: usize = 200;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Where artifacts come from and go to.
pub(crate) struct Download<'a> {
    pub(crate) roles: &'a Roles,
    pub(crate) store: &'a Store,
    pub(crate) metadata: &'a Site,
    pub(crate) targets: &'a Site,
    pub(crate) folder: &'a Path,
}

impl Download<'_> {
    /// Brings in the artifact at `path`, unless it is there.
    pub(crate) fn fetch(&self, path: &str) -> Result<()> {
        let artifact = self.find(path)?;
        let place = self.folder.join(local_name(path));
        if is_there(&artifact, &place)? {
            return Ok(());
        }
        make_folders(self.folder, 0o755)?;
        let mut check = artifact.check()?;
        let mut draft = Draft::create(&place, 0o644)?;
        let url = artifact.url_path()?;
        let found = self.targets.get_into(&url, artifact.length, &mut |bytes| {
            check.update(bytes);
            Ok(draft.file().write_all(bytes)?)
        })?;
        if !found {
            bail!("the repository has no {url}");
        }
        check.finish()?;
        Ok(draft.commit()?)
    }

    fn find(&self, path: &str) -> Result<Artifact> {
        let mut search = self.roles.search(path);
        loop {
            match search.step()? {
                Step::Found(artifact) => return Ok(artifact),
                Step::Nobody => bail!("no role that may names it"),
                Step::Need(wanted) => stored_or_fetched(
                    self.store,
                    self.metadata,
                    &wanted,
                    |bytes| search.offer(bytes),
                    |()| Ok(()),
                )?,
            }
        }
    }
}

/// Whether the very artifact is at `place`.
fn is_there(artifact: &Artifact, place: &PathBuf) -> Result<bool> {
    let mut file = match std::fs::File::open(place) {
        Ok(file) => file.take(artifact.length.saturating_add(1)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e).with_context(|| place.display().to_string()),
    };
    let mut check = artifact.check()?;
    let mut bytes = vec![0; CHUNK];
    loop {
        let read = file.read(&mut bytes)?;
        match bytes.get(..read) {
            Some([]) | None => return Ok(check.finish().is_ok()),
            Some(piece) => check.update(piece),
        }
    }
}

/// One file name for each path, in one folder, never a hidden one.
fn local_name(path: &str) -> String {
    let quoted = quote(path);
    match quoted.strip_prefix('.') {
        _ if quoted.is_empty() || quoted.len() > NAME_MAX => {
            Sha256::of(path.as_bytes()).to_string()
        }
        Some(rest) => format!("%2E{rest}"),
        None => quoted,
    }
}
