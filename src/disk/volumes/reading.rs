//! A volume, read once from front to back: what all volumes repeat, its own packs, the end.

use std::fs::File;
use std::io::{BufReader, Write, sink};
use std::path::{Path, PathBuf};

use super::{CHUNK, Volumes, other_signatures};
use crate::disk::durable;
use crate::model::patch::Patch;
use crate::model::{Member, Refusal, RefusalName, Watch};
use crate::spr::{Members, Opened, SprError, Told};

/// A file that stands at the first pack of its volume.
pub struct OpenVolume {
    path: PathBuf,
    members: Members<BufReader<File>>,
}

/// Why a volume was not read to its end.
#[derive(Debug)]
pub enum Unread {
    /// Something is wrong with the file: another copy of it may be better.
    Damaged(Refusal),
    /// Something else ends the command.
    Ended(Refusal),
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Damaged(refusal) | Unread::Ended(refusal) => refusal,
        }
    }
}

impl OpenVolume {
    /// A file of which all that comes before its packs was read.
    #[must_use]
    pub fn standing(path: &Path, members: Members<BufReader<File>>) -> Self {
        Self {
            path: path.to_owned(),
            members,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Volumes {
    /// Opens a file of this patch, of which statement and signatures are read.
    pub fn statement(&self, path: &Path) -> Result<Opened<BufReader<File>>, Refusal> {
        let file = durable::open_plain(path)?;
        let opened = Opened::open(BufReader::with_capacity(CHUNK, file));
        let opened = opened.map_err(|e| e.refuse(path))?;
        if opened.raw().sha256() != self.patch {
            return Err(self.of_another(path));
        }
        if opened.raw().signatures != self.signatures {
            return Err(other_signatures(path));
        }
        Ok(opened)
    }

    /// Opens a file of this patch and reads what all volumes repeat, which must be as the statement says.
    pub fn open(&self, path: &Path, watch: &dyn Watch) -> Result<OpenVolume, Unread> {
        let damaged = |e: SprError| Unread::Damaged(e.refuse(path));
        let opened = self.statement(path).map_err(Unread::Damaged)?;
        let (_, members) = opened
            .members(&self.members, Patch::is_pack)
            .map_err(damaged)?;
        let mut open = OpenVolume::standing(path, members);
        while open
            .members
            .peek()
            .map_err(damaged)?
            .is_some_and(|member| !Patch::is_pack(member))
        {
            watch.go_on().map_err(|e| Unread::Ended(e.into()))?;
            open.members.copy_next(&mut sink()).map_err(damaged)?;
        }
        Ok(open)
    }

    /// Reads the volume with this index from the first of its files that is intact, and gives that file;
    /// nothing where there is none. `standing` is one of its files, at its first pack; it is read first.
    /// `warn` is told of each file that is not, where there is another one.
    pub fn read_any(
        &self,
        index: usize,
        standing: Option<OpenVolume>,
        watch: &dyn Watch,
        mut warn: impl FnMut(&str),
        mut read: impl FnMut(OpenVolume) -> Result<(), Unread>,
    ) -> Result<Option<PathBuf>, Refusal> {
        let mut files = self.files(index).to_vec();
        if let Some(open) = &standing {
            files.retain(|file| file != open.path());
            files.insert(0, open.path().to_owned());
        }
        let mut standing = standing;
        let mut files = files.into_iter().peekable();
        while let Some(path) = files.next() {
            let done = match standing.take() {
                Some(open) => read(open),
                None => self.open(&path, watch).and_then(&mut read),
            };
            match (done, files.peek()) {
                (Ok(()), _) => return Ok(Some(path)),
                (Err(Unread::Damaged(refusal)), Some(other)) => {
                    warn(&Self::instead(&path, &refusal, other));
                }
                (Err(unread), _) => return Err(unread.into()),
            }
        }
        Ok(None)
    }

    /// Reads the packs of the volume with this index, each into what `sink` makes for it, and the end of
    /// the file behind them.
    pub fn read<W: Write>(
        &self,
        index: usize,
        open: OpenVolume,
        stage: &'static str,
        watch: &dyn Watch,
        mut sink: impl FnMut(usize) -> Result<W, Refusal>,
    ) -> Result<(), Unread> {
        let OpenVolume { path, mut members } = open;
        let damaged = |e: SprError| Unread::Damaged(e.refuse(&path));
        let packs = self.members.get(self.first..).unwrap_or_default();
        let share = self.shares.volumes().get(index);
        let share = share.map_or(0..0, |share| share.packs.clone());
        let stored = |packs: &[Member]| {
            let sizes = packs.iter().map(|member| member.size);
            sizes.fold(0, u64::saturating_add)
        };
        let total = stored(packs);
        let mut done = stored(packs.get(..share.start).unwrap_or_default());
        let share_start = share.start;
        for (number, pack) in (share_start..).zip(packs.get(share).unwrap_or_default()) {
            let next = members.peek().map_err(damaged)?;
            if next != Some(pack) {
                let head = next.is_none() && number == share_start;
                return Err(Unread::Damaged(self.lacks(index, &path, &pack.name, head)));
            }
            let mut told = Told {
                out: sink(number).map_err(Unread::Ended)?,
                done,
                total,
                stage,
                watch,
            };
            if let Err(e) = members.copy_next(&mut told) {
                // What ends the command ends the copy with an error of its own.
                watch.go_on().map_err(|e| Unread::Ended(e.into()))?;
                return Err(damaged(e));
            }
            done = told.done;
        }
        match members.peek().map_err(damaged)? {
            None => Ok(()),
            Some(extra) => {
                let refusal = Refusal::new(
                    RefusalName::Corrupt,
                    "the file holds a pack of another volume as well",
                );
                let refusal = refusal.value("file", path.display());
                let refusal = refusal.value("holds", self.called(index));
                Err(Unread::Damaged(refusal.value("and", &extra.name).next(
                    "copy the file again; if it stays so, ask whoever made it",
                )))
            }
        }
    }

    fn lacks(&self, index: usize, path: &Path, pack: &str, head: bool) -> Refusal {
        let again = "copy the file again, and compare its sha256sum on both sides";
        let (what, next) = match (self.count(), head) {
            (1, true) => (
                "the file does not hold any pack: it is a head".to_owned(),
                "apply the whole .patch.spr file",
            ),
            (1, false) => ("the file does not hold every pack".to_owned(), again),
            _ => (
                format!("the file does not hold the packs of {}", self.called(index)),
                again,
            ),
        };
        let packs = self.members.len().saturating_sub(self.first);
        Refusal::new(RefusalName::Incomplete, what)
            .value("file", path.display())
            .value("missing", pack)
            .value("patch has", format!("{packs} pack(s)"))
            .next(next)
    }
}
