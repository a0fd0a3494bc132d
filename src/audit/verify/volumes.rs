//! A patch in volumes: which of them the file at hand is, where the others are, and whether all of them
//! are as the statement says.
//!
//! What stands against files that only pass for a volume is in [`crate::disk::volumes`].

use std::fs::File;
use std::io::{BufReader, sink};
use std::path::{Path, PathBuf};

use super::{Auditor, Request};
use crate::disk::DiskError;
use crate::disk::medium::{Lying, Medium};
use crate::disk::volumes::{Unread, Volumes};
use crate::model::patch::Patch;
use crate::model::text::Shown;
use crate::model::{Kind, Refusal, RefusalName, Sha256};
use crate::spr::{Holds, Opened, RawStatement, Shares};

/// The volumes of the patch that is verified, and the index of the one that was read first.
pub(super) struct Set {
    volumes: Volumes,
    own: usize,
}

/// Of several files or folders, the first file of the one patch that they hold. Where patches were named,
/// those in folders count as far as they are the same one. Nothing where anything else was named, or no
/// patch was and receipts lie there.
pub(super) fn patch_among(request: &Request) -> Result<Option<PathBuf>, Refusal> {
    let mut patches = Vec::new();
    let mut receipts = false;
    for Lying { path, named, kind } in Medium::look(&request.files)?.files {
        match kind {
            Ok(Kind::Patch) => patches.push((path, named)),
            _ if named => return Ok(None),
            Ok(Kind::Receipt) => receipts = true,
            Ok(_) | Err(_) => {}
        }
    }
    let any_named = patches.iter().any(|(_, named)| *named);
    if receipts && !any_named {
        return Ok(None);
    }
    patches.sort_by_key(|(_, named)| !named);
    // A head is good for the beginning where there is nothing else.
    let mut found: Option<(PathBuf, Sha256, bool)> = None;
    for (path, named) in patches {
        let (sha256, head) = match sort(&path) {
            Ok(sorted) => sorted,
            Err(_) if any_named && !named => continue,
            Err(refusal) => return Err(refusal),
        };
        match &found {
            Some((_, other, _)) if *other != sha256 && any_named && !named => {}
            Some((first, other, _)) if *other != sha256 => {
                return Err(Refusal::new(
                    RefusalName::Usage,
                    "files of several patches lie there, and one at a time is verified",
                )
                .value("one is", format!("{}: {}", other.short(), Shown(first)))
                .value("another", format!("{}: {}", sha256.short(), Shown(&path)))
                .next("name the files of one patch: lockstep verify FILE... --site SITE.spr"));
            }
            Some((.., false)) => {}
            Some(_) if head => {}
            _ => found = Some((path, sha256, head)),
        }
    }
    Ok(found.map(|(path, ..)| path))
}

/// Whose file it is, and whether it holds nothing of the contents.
fn sort(path: &Path) -> Result<(Sha256, bool), Refusal> {
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    let opened = Opened::open(BufReader::new(&file)).map_err(|e| e.refuse(path))?;
    let patch: Patch = opened.decode().map_err(|e| e.refuse(path))?;
    let raw = opened.into_raw();
    let held = Shares::of(&raw, &patch).held(&file);
    let held = held.map_err(|e| e.refuse(path))?;
    Ok((raw.sha256(), held == Holds::Head))
}

impl Set {
    /// Every file of the patch.
    pub(super) fn files(&self) -> Vec<&Path> {
        self.volumes.every().map(|(_, file)| file).collect()
    }
}

impl Auditor<'_> {
    /// Finds the volumes of a patch, of which one was read and holds `packs`; nothing where the patch is
    /// in one file, or this is its head.
    pub(super) fn find_volumes(
        &mut self,
        raw: &RawStatement,
        patch: &Patch,
        packs: &[String],
    ) -> Result<Option<Set>, Refusal> {
        if patch.volumes.len() == 1 || packs.is_empty() {
            return Ok(None);
        }
        let mut volumes = Volumes::of(raw, patch);
        let own = volumes.take(self.file)?;
        let share = patch.shares().into_iter().nth(own).unwrap_or(0..0);
        let listed = patch.packs.get(share).unwrap_or_default();
        if !listed.iter().map(|pack| &pack.member).eq(packs) {
            return Err(Refusal::new(
                RefusalName::Corrupt,
                "the file holds other packs than its volume",
            )
            .value("file", self.file.display())
            .value("volume", volumes.called(own))
            .next("copy the file again; if it stays so, ask whoever made it"));
        }
        self.line("ok", "volume", said(&volumes, own, self.file));
        volumes.look(&self.request.files)?;
        volumes.look_beside()?;
        Ok(Some(Set { volumes, own }))
    }

    /// Reads the volumes that were not read yet; none may be missing.
    pub(super) fn other_volumes(&mut self, set: &Set) -> Result<(), Refusal> {
        let Set { volumes, own } = set;
        for index in (0..volumes.count()).filter(|index| index != own) {
            self.other_volume(volumes, index)?;
        }
        volumes.check("lockstep verify FILE|DIR... --site SITE.spr")
    }

    fn other_volume(&mut self, volumes: &Volumes, index: usize) -> Result<(), Refusal> {
        let mut files = volumes.files(index).iter().peekable();
        while let Some(path) = files.next() {
            let open = volumes.open(path, self.watch);
            let read = open.and_then(|open| {
                volumes.read(index, open, "verifying", self.watch, |_| Ok(sink()))
            });
            match (read, files.peek()) {
                (Ok(()), _) => {
                    self.line("ok", "volume", said(volumes, index, path));
                    return Ok(());
                }
                (Err(Unread::Damaged(refusal)), Some(other)) => {
                    self.line("warning", "volume", Volumes::instead(path, &refusal, other));
                }
                (Err(unread), _) => return Err(unread.into()),
            }
        }
        Ok(())
    }
}

fn said(volumes: &Volumes, index: usize, path: &Path) -> String {
    format!("{}: {}", volumes.called(index), Shown(path))
}

/// What is said of the packs where there is one file: a head has none of them, and says so in its name;
/// anything else is incomplete.
pub(super) fn absent(
    path: &Path,
    patch: &Patch,
    present: usize,
) -> Result<Option<String>, Refusal> {
    let absent = patch.members.len().saturating_sub(present);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if absent == 0 {
        return Ok(None);
    }
    if absent == patch.packs.len() && name.contains(".head.") {
        let detail = format!("{absent} pack(s) are in the patch and not in its head");
        return Ok(Some(detail));
    }
    Err(Refusal::new(RefusalName::Incomplete, "packs are missing")
        .value("present", present)
        .value("listed", patch.members.len())
        .next("verify the whole .patch.spr file"))
}
