//! A patch in volumes: which of them the file at hand is, where the others are, and whether all of them
//! are as the statement says.
//!
//! What stands against files that only pass for a volume is in [`crate::disk::volumes`].

use std::fs::File;
use std::io::{BufReader, sink};
use std::path::{Path, PathBuf};

use super::{Auditor, Read, Request};
use crate::disk::durable;
use crate::disk::medium::{Lying, Medium};
use crate::disk::volumes::{self, Volumes};
use crate::model::patch::Patch;
use crate::model::text::Shown;
use crate::model::{Kind, Refusal, RefusalName, Sha256, Watch};
use crate::spr::{Holds, Opened, RawStatement, Shares, SprError};
use crate::trust::verified::check_intact;

/// The volumes of the patch that is verified, and the index of the one that was read first.
pub(super) struct Set {
    volumes: Volumes,
    own: usize,
}

/// The file that is read first, of several.
pub(super) struct Among {
    pub(super) file: PathBuf,
    /// Others that hold the same, for where that one is damaged.
    pub(super) copies: Vec<PathBuf>,
    /// Files that cannot be used, each with the reason.
    pub(super) passed_over: Vec<String>,
}

impl Among {
    /// The only one.
    pub(super) fn one(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            copies: Vec::new(),
            passed_over: Vec::new(),
        }
    }
}

/// Of several files or folders, the best file of the one patch that they hold. Where patches were named,
/// those in folders count as far as they are the same one. Nothing where anything else was named, or no
/// patch was and receipts lie there.
pub(super) fn patch_among(request: &Request, watch: &dyn Watch) -> Result<Option<Among>, Refusal> {
    let mut patches = Vec::new();
    let mut unfit: Vec<(PathBuf, Refusal)> = Vec::new();
    let mut receipts = false;
    for Lying { path, named, kind } in Medium::look(&request.files)?.files {
        match kind {
            Ok(Kind::Patch) => patches.push((path, named)),
            Err(error) if !matches!(error, SprError::Foreign(_)) => {
                let refusal = error.refuse(&path);
                unfit.push((path, refusal));
            }
            _ if named => return Ok(None),
            Ok(Kind::Receipt) => receipts = true,
            Ok(_) | Err(_) => {}
        }
    }
    let any_named = patches.iter().any(|(_, named)| *named);
    if patches.is_empty() || (receipts && !any_named) {
        return Ok(None);
    }
    patches.sort_by_key(|(_, named)| !named);
    let mut found = Vec::new();
    for (path, named) in patches {
        watch.go_on()?;
        match Found::at(&path, named) {
            Ok(one) => found.push(one),
            Err(refusal) => unfit.push((path, refusal)),
        }
    }
    // What nobody signed as it is says nothing, but where there is nothing else.
    if found.iter().any(|one| one.rank < Rank::Damaged) {
        let damaged = found.extract_if(.., |one| one.rank == Rank::Damaged);
        unfit.extend(damaged.filter_map(|one| Some((one.path, one.unfit?))));
    }
    let mut found = one_patch(found)?;
    found.sort_by_key(|one| one.rank);
    let mut found = found.into_iter();
    let Some(first) = found.next() else {
        return unfit.into_iter().next().map_or(Ok(None), |(_, e)| Err(e));
    };
    let (copies, others): (Vec<_>, Vec<_>) = found.partition(|one| one.held == first.held);
    unfit.extend(
        others
            .into_iter()
            .filter_map(|one| Some((one.path, one.unfit?))),
    );
    let line = |(path, refusal): (PathBuf, Refusal)| format!("{}: {}", Shown(&path), refusal.what);
    Ok(Some(Among {
        file: first.path,
        copies: copies.into_iter().map(|one| one.path).collect(),
        passed_over: unfit.into_iter().map(line).collect(),
    }))
}

/// How good a file is to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A volume, or the patch in one file.
    Volume,
    /// One that is cut short, or holds something else: what is wrong with it is said where it is read.
    Poor,
    /// A head: there is nothing else.
    Head,
    /// Its statement is not what was signed.
    Damaged,
}

/// A patch file, by its statement.
struct Found {
    path: PathBuf,
    named: bool,
    patch: Sha256,
    held: Holds,
    rank: Rank,
    /// What is wrong with it.
    unfit: Option<Refusal>,
}

impl Found {
    fn at(path: &Path, named: bool) -> Result<Self, Refusal> {
        let file = durable::open_plain(path)?;
        let opened = Opened::open(BufReader::new(&file)).map_err(|e| e.refuse(path))?;
        let patch: Patch = opened.decode().map_err(|e| e.refuse(path))?;
        let raw = opened.into_raw();
        let shares = Shares::of(&raw, &patch);
        let held = shares.held(&file).map_err(|e| e.refuse(path))?;
        let (rank, unfit) = match (check_intact::<Patch>(&raw), held) {
            (Err(error), _) => (Rank::Damaged, Some(error.into())),
            (Ok(()), Holds::Volume(_)) => (Rank::Volume, None),
            (Ok(()), Holds::Head) => (Rank::Head, None),
            (Ok(()), Holds::Cut { .. } | Holds::Stray) => {
                (Rank::Poor, volumes::held(&shares, path, &file).err())
            }
        };
        Ok(Self {
            path: path.to_owned(),
            named,
            patch: raw.sha256(),
            held,
            rank,
            unfit,
        })
    }
}

/// The files of the first patch; another one may lie in a folder, where files were named.
fn one_patch(mut found: Vec<Found>) -> Result<Vec<Found>, Refusal> {
    let any_named = found.iter().any(|one| one.named);
    let Some(first) = found.first() else {
        return Ok(found);
    };
    let patch = first.patch;
    let other = found
        .iter()
        .find(|one| one.patch != patch && (one.named || !any_named));
    if let Some(other) = other {
        return Err(Refusal::new(
            RefusalName::Usage,
            "files of several patches lie there, and one at a time is verified",
        )
        .value(
            "one is",
            format!("{}: {}", patch.short(), Shown(&first.path)),
        )
        .value(
            "another",
            format!("{}: {}", other.patch.short(), Shown(&other.path)),
        )
        .next("name the files of one patch: lockstep verify FILE... --site SITE.spr"));
    }
    found.retain(|one| one.patch == patch);
    Ok(found)
}

impl Set {
    /// Every file of the patch.
    pub(super) fn files(&self) -> Vec<&Path> {
        self.volumes.every().map(|(_, file)| file).collect()
    }
}

impl Auditor<'_> {
    /// Reads a patch file, and finds the other volumes; where it is damaged, another file that holds the
    /// same is read in its place.
    pub(super) fn intact(
        &mut self,
        opened: Opened<BufReader<File>>,
    ) -> Result<(Read<Patch>, Option<Set>), Refusal> {
        let said = self.lines.len();
        let mut read = self.whole(opened);
        for copy in self.copies {
            let Err(refusal) = &read else {
                break;
            };
            self.watch.go_on()?;
            let line = Volumes::instead(self.file, refusal, copy);
            self.lines.truncate(said);
            self.line("warning", "volume", line);
            self.file = copy;
            let opened = durable::open_plain(copy)
                .map_err(Refusal::from)
                .and_then(|file| Opened::open(BufReader::new(file)).map_err(|e| e.refuse(copy)));
            read = opened.and_then(|opened| self.whole(opened));
        }
        read
    }

    fn whole(
        &mut self,
        opened: Opened<BufReader<File>>,
    ) -> Result<(Read<Patch>, Option<Set>), Refusal> {
        let read = self.read::<Patch>(opened)?;
        let (patch, raw, _, packs) = &read;
        let set = self.find_volumes(raw, patch, packs)?;
        Ok((read, set))
    }

    /// Finds the volumes of a patch, of which one was read and holds `packs`; nothing where the patch is
    /// in one file, or this is its head.
    fn find_volumes(
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
        volumes.look(&self.request.files, self.watch)?;
        volumes.look_beside(self.watch)?;
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
        let watch = self.watch;
        let mut warnings = Vec::new();
        let warn = |line: &str| warnings.push(line.to_owned());
        let read = |open| volumes.read(index, open, "verifying", watch, |_| Ok(sink()));
        let read = volumes.read_any(index, None, watch, warn, read);
        for line in warnings {
            self.line("warning", "volume", line);
        }
        if let Some(path) = read? {
            self.line("ok", "volume", said(volumes, index, &path));
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
