//! The files of one patch, wherever they lie: which of them holds which volume.
//!
//! | attack | defence |
//! |---|---|
//! | a volume of another patch under the right name | a file is of this patch by the SHA-256 of its statement; names only fill a message |
//! | a volume that says other signatures than the rest, or none | they must be the very same bytes in all |
//! | a volume with other packs than its own, or in another order | [`crate::spr::Shares`] before it is read, and while it is read each pack must be the next of that volume, and the last one the end |
//! | two files of one volume, of which one is damaged | each pack's digest is checked while it is read; the next file is taken for the damaged one |
//! | a file that is changed between the look at it and its use | it is opened and compared anew, and what is used is what was hashed |
//! | pipes, devices, folders full of files | only plain files are opened, and no more than [`Medium`] looks at |
//! | thousands of files of other patches, with large statements | where the first header says another length, nothing behind it is read; and the command can be ended between two files |
//!
//! Whose patch it is, and whether anybody trusts it, is for others to say.

mod reading;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};

use super::medium::{Lying, Medium};
use super::{DiskError, durable};
use crate::model::patch::Patch;
use crate::model::text::{Escaped, Shown};
use crate::model::{Kind, Member, Refusal, RefusalName, Sha256, Watch, volume};
use crate::spr::{Holds, Opened, RawSignature, RawStatement, Shares, SprError, sort_of};
pub use reading::{OpenVolume, Unread};

/// Bytes read at a time.
const CHUNK: usize = 128 * 1024;
/// Most files of which a refusal tells one by one.
const TOLD_MAX: usize = 40;

/// The volumes of one patch, and the files that were found to hold them.
pub struct Volumes {
    patch: Sha256,
    /// Bytes in the statement.
    length: u64,
    signatures: Vec<RawSignature>,
    environment: String,
    /// What the patch in one file would be called.
    name: String,
    members: Vec<Member>,
    /// Which of the members is the first pack.
    first: usize,
    shares: Shares,
    files: Vec<Vec<PathBuf>>,
    /// Files of this patch, or called like one, that hold no volume of it, each with the reason.
    unfit: Vec<(PathBuf, String)>,
    looked: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
}

impl Volumes {
    /// Of a patch, by its statement and the signatures in one of its files.
    #[must_use]
    pub fn of(raw: &RawStatement, patch: &Patch) -> Self {
        let sequence = patch.nodes.iter().map(|node| node.sequence).max();
        let shares = Shares::of(raw, patch);
        Self {
            patch: raw.sha256(),
            length: u64::try_from(raw.bytes.len()).unwrap_or(u64::MAX),
            signatures: raw.signatures.clone(),
            environment: patch.environment.to_string(),
            name: format!(
                "{}-{:04}.patch.spr",
                patch.environment.name,
                sequence.unwrap_or(0)
            ),
            members: patch.members.clone(),
            first: patch.members.len().saturating_sub(patch.packs.len()),
            files: vec![Vec::new(); shares.volumes().len()],
            shares,
            unfit: Vec::new(),
            looked: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// SHA-256 of the statement: the patch's identity.
    #[must_use]
    pub fn patch(&self) -> Sha256 {
        self.patch
    }

    /// How many volumes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The files of the volume with this index, in the order in which they were found.
    #[must_use]
    pub fn files(&self, index: usize) -> &[PathBuf] {
        self.files.get(index).map_or(&[], Vec::as_slice)
    }

    /// The first file of each volume that there is one of, with its index.
    pub fn firsts(&self) -> impl Iterator<Item = (usize, &Path)> {
        let files = self.files.iter().enumerate();
        files.filter_map(|(index, files)| Some((index, files.first()?.as_path())))
    }

    /// Every file that was found, with the index of its volume.
    pub fn every(&self) -> impl Iterator<Item = (usize, &Path)> {
        let files = self.files.iter().enumerate();
        files.flat_map(|(index, files)| files.iter().map(move |file| (index, file.as_path())))
    }

    /// Whether a file was found for every volume.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.files.iter().all(|files| !files.is_empty())
    }

    /// Whether others are of the same patch, and state the same signatures.
    #[must_use]
    pub fn is_of(&self, others: &Self) -> bool {
        self.patch == others.patch && self.signatures == others.signatures
    }

    /// Notes in which folders was looked already; files among them are passed over.
    pub fn has_looked(&mut self, places: &[PathBuf]) {
        let folders = places.iter().filter(|place| place.is_dir());
        self.looked.extend(folders.cloned());
    }

    /// Notes a file of which it is known which volume it holds; one that was preferred comes first.
    pub fn put(&mut self, index: usize, path: &Path, preferred: bool) {
        self.seen.insert(known(path));
        if let Some(files) = self.files.get_mut(index) {
            let at = if preferred { 0 } else { files.len() };
            files.insert(at, path.to_owned());
        }
    }

    /// Takes a file that must hold a volume of this patch, and says which.
    pub fn take(&mut self, path: &Path) -> Result<usize, Refusal> {
        match self.examine(path)? {
            Some(Holds::Volume(index)) => {
                self.put(index, path, false);
                Ok(index)
            }
            Some(other) => Err(self::unfit(&self.shares, path, other)),
            None => Err(self.of_another(path)),
        }
    }

    /// Looks at what lies at `places`, files or folders, for volumes of this patch.
    pub fn look(&mut self, places: &[PathBuf], watch: &dyn Watch) -> Result<(), Refusal> {
        self.has_looked(places);
        for Lying { path, kind, .. } in Medium::look(places)?.files {
            watch.go_on()?;
            if matches!(kind, Ok(Kind::Patch)) && !self.seen.contains(&known(&path)) {
                self.consider(&path);
            }
        }
        Ok(())
    }

    /// Looks into the folders of the files that were found, where volumes are missing.
    pub fn look_beside(&mut self, watch: &dyn Watch) -> Result<(), Refusal> {
        if self.is_complete() {
            return Ok(());
        }
        let mut folders: Vec<PathBuf> = Vec::new();
        for path in self.files.iter().flatten() {
            let folder = folder(path);
            let same = |other: &PathBuf| known(other) == known(&folder);
            if !folders.iter().any(same) && !self.looked.iter().any(same) {
                folders.push(folder);
            }
        }
        self.look(&folders, watch)
    }

    fn consider(&mut self, path: &Path) {
        let why = match self.examine(path) {
            Ok(Some(Holds::Volume(index))) => return self.put(index, path, false),
            Ok(Some(Holds::Head)) => return,
            Ok(Some(other)) => unfit(&self.shares, path, other).what,
            Ok(None) if !self.is_called_alike(path) => return,
            Ok(None) => "a file of another patch".to_owned(),
            Err(refusal) => refusal.what,
        };
        self.unfit.push((path.to_owned(), why));
    }

    /// What a file holds; nothing where it is of another patch.
    fn examine(&self, path: &Path) -> Result<Option<Holds>, Refusal> {
        let refuse = |e: SprError| e.refuse(path);
        let mut file = durable::open_plain(path)?;
        if sort_of(&file).map_err(refuse)? != (Kind::Patch, self.length) {
            return Ok(None);
        }
        file.rewind().map_err(DiskError::io("read", path))?;
        let opened = Opened::open(BufReader::with_capacity(CHUNK, &file)).map_err(refuse)?;
        let raw = opened.into_raw();
        if raw.sha256() != self.patch {
            return Ok(None);
        }
        if self.signatures != raw.signatures {
            return Err(other_signatures(path));
        }
        self.shares.held(&file).map(Some).map_err(refuse)
    }

    fn is_called_alike(&self, path: &Path) -> bool {
        let stem = |path: &Path| volume::stem(&file_name(path)).to_owned();
        let wanted = stem(path);
        self.files.iter().flatten().any(|file| stem(file) == wanted)
    }

    /// What the volume with this index is called by default, or as the others found are called.
    fn expected(&self, index: usize) -> String {
        let mut names = self.files.iter().flatten().map(|path| file_name(path));
        let whole = names.find_map(|name| volume::whole(&name));
        let whole = whole.as_deref().unwrap_or(&self.name);
        volume::name(whole, index.saturating_add(1), self.count())
    }

    /// Refuses where volumes are missing, and says which; `command` is what is typed again.
    pub fn check(&self, command: &str) -> Result<(), Refusal> {
        let missing: Vec<usize> = (0..self.count())
            .filter(|index| self.files(*index).is_empty())
            .collect();
        let count = self.count();
        let number = |index: usize| index.saturating_add(1);
        let what = match missing.as_slice() {
            [] => return Ok(()),
            [one] => format!("volume {} of {count} is missing", number(*one)),
            many => format!("{} of {count} volumes are missing", many.len()),
        };
        let mut refusal = Refusal::new(RefusalName::Incomplete, what).value(
            "patch",
            format!("{}, for {}", self.patch.short(), self.environment),
        );
        for index in missing.iter().take(TOLD_MAX) {
            let line = format!("volume {}: {}", number(*index), self.expected(*index));
            refusal = refusal.value("missing", line);
        }
        for (index, path) in self.firsts().take(TOLD_MAX) {
            let line = format!("volume {}: {}", number(index), Shown(path));
            refusal = refusal.value("found", line);
        }
        for (path, why) in self.unfit.iter().take(TOLD_MAX) {
            refusal = refusal.value("not taken", format!("{}: {why}", Shown(path)));
        }
        for place in self.looked.iter().take(TOLD_MAX) {
            refusal = refusal.value("looked in", place.display());
        }
        Err(refusal.next(format!(
            "name the missing file as well, or the folder that it lies in: {command}"
        )))
    }

    /// `volume 2 of 3`.
    #[must_use]
    pub fn called(&self, index: usize) -> String {
        format!("volume {} of {}", index.saturating_add(1), self.count())
    }

    /// The line that says which file a volume is read from; a patch in one file has no number.
    #[must_use]
    pub fn taken(&self, index: usize, path: &Path) -> String {
        match self.count() {
            1 => format!("taken      {}", Shown(path)),
            _ => format!("taken      {}: {}", Shown(path), self.called(index)),
        }
    }

    /// A warning: of two files that hold the same, the one that was read is no good.
    #[must_use]
    pub fn instead(bad: &Path, why: &Refusal, other: &Path) -> String {
        let (bad, why, other) = (Shown(bad), Escaped(&why.what), Shown(other));
        format!("{bad} is damaged: {why}; {other} is read in its place")
    }

    fn of_another(&self, path: &Path) -> Refusal {
        Refusal::new(RefusalName::Corrupt, "the file is of another patch")
            .value("file", path.display())
            .value("wanted", format!("patch {}", self.patch.short()))
            .next("copy the files of one patch, and run it again")
    }
}

/// The index of the volume that a file holds, which has the statement and signatures of `shares`.
pub fn held(shares: &Shares, path: &Path, file: &File) -> Result<usize, Refusal> {
    match shares.held(file).map_err(|e| e.refuse(path))? {
        Holds::Volume(index) => Ok(index),
        other => Err(unfit(shares, path, other)),
    }
}

fn unfit(shares: &Shares, path: &Path, held: Holds) -> Refusal {
    let (name, what) = match held {
        Holds::Head => (
            RefusalName::Incomplete,
            "the head of a patch, without its contents",
        ),
        Holds::Cut { .. } => (RefusalName::Incomplete, "the file is cut short"),
        Holds::Volume(_) | Holds::Stray => (
            RefusalName::Corrupt,
            "what the file holds is no volume of its patch",
        ),
    };
    let refusal = Refusal::new(name, what).value("file", path.display());
    let refusal = match held {
        Holds::Cut { has, whole } => refusal
            .value("has", format!("{has} bytes"))
            .value("should have", format!("{whole} bytes")),
        _ => refusal.value("patch has", format!("{} volume(s)", shares.volumes().len())),
    };
    refusal.next("copy the whole .patch.spr file again, and compare its sha256sum on both sides")
}

/// Which of two right files is the wrong one, a signature alone says, and not this comparison.
#[must_use]
pub fn other_signatures(path: &Path) -> Refusal {
    Refusal::new(
        RefusalName::Corrupt,
        "its signatures are not those of the other volumes",
    )
    .value("file", path.display())
    .next("copy the file again; if it stays so, ask whoever made it")
}

fn known(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Unwatched;
    use crate::spr::encode_small;

    const PATCH: &[u8] = include_bytes!("../../fixtures/golden/patch-whole.spr");

    /// Whoever watches has ended the command.
    struct Ended;

    impl Watch for Ended {
        fn say(&self, _: &str) {}
        fn warn(&self, _: &str) {}
        fn progress(&self, _: &str, _: u64, _: u64) {}
        fn interrupted(&self) -> bool {
            true
        }
    }

    fn volumes() -> Volumes {
        let opened = Opened::open(PATCH).unwrap();
        let patch = opened.decode().unwrap();
        Volumes::of(opened.raw(), &patch)
    }

    #[test]
    fn of_another_patch_the_first_header_is_read_and_no_statement() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // The statement that it says it has would be found cut short, if it were read.
        let other = encode_small(Kind::Patch, &vec![b' '; 100_000], &[], &[]).unwrap();
        durable::write(&at("p.2of2.patch.spr"), &other[..1_024], 0o644).unwrap();
        durable::write(&at("p.patch.spr"), PATCH, 0o644).unwrap();
        let mut volumes = volumes();
        assert!(volumes.examine(&at("p.2of2.patch.spr")).unwrap().is_none());
        volumes
            .look(&[folder.path().to_owned()], &Unwatched)
            .unwrap();
        assert_eq!(volumes.files(0), &[at("p.patch.spr")]);
    }

    /// Whoever opened a pipe would wait for ever.
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.patch.spr");
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, 0o644.into(), 0).unwrap();
        assert!(volumes().statement(&path).is_err());
        assert!(volumes().examine(&path).is_err());
    }

    #[test]
    fn a_look_at_many_files_can_be_ended() {
        let folder = tempfile::tempdir().unwrap();
        durable::write(&folder.path().join("p.patch.spr"), PATCH, 0o644).unwrap();
        let mut volumes = volumes();
        let refusal = volumes
            .look(&[folder.path().to_owned()], &Ended)
            .unwrap_err();
        assert_eq!(refusal.name, RefusalName::Interrupted);
        assert!(volumes.files(0).is_empty());
    }
}
