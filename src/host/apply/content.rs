//! The packs: copied in and hashed, volume by volume, then read as one stream.
//!
//! | attack | defence |
//! |---|---|
//! | a pack changed on the medium | its digest is checked while it is copied; the copy is what is used |
//! | a frame that decompresses without end | it must yield exactly the size stated, at most 64 MiB |
//! | a window of gigabytes | [`WINDOW_LOG_MAX`] |
//! | the file changed between check and use | what is used was hashed in the same read: the copy is what came through the hash |
//! | of two files of one volume, the damaged one lies in front | what was copied of it is thrown away, and the other one is read |
//! | packs of another volume or of another patch | [`crate::disk::volumes`] |

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::super::Node;
use super::super::change::space;
use crate::disk::space::Room;
use crate::disk::stage::Stage;
use crate::disk::volumes::{OpenVolume, Unread, Volumes};
use crate::disk::{DiskError, durable};
use crate::model::operation::Operation;
use crate::model::patch::{Pack, Patch};
use crate::model::{Refusal, Watch};
use crate::trust::patch::VerifiedPatch;

/// Largest zstd window, as a power of two: 8 MiB, what every level up to 19 stays within.
const WINDOW_LOG_MAX: u32 = 23;

/// The folder of the copied packs, in the stage.
pub(super) const PACKS: &str = "packs";

/// The packs of a verified patch, in order.
pub(super) struct PackList {
    packs: Vec<Pack>,
    /// What they take once they are copied.
    room: Room,
}

impl PackList {
    pub(super) fn of(verified: &VerifiedPatch) -> Self {
        let patch = verified.patch();
        let packs = patch.members.iter().filter(|member| Patch::is_pack(member));
        let stored = packs.map(|member| member.size);
        // Room is asked for the largest delta and what it writes down; others are made beside it only as
        // far as there is room to spare.
        let deltas = verified.operations().iter().map(Operation::room).max();
        Self {
            packs: patch.packs.clone(),
            room: space::files(stored).plus(space::files(deltas.into_iter())),
        }
    }
}

/// The files of a patch, of which one stands at its first pack.
pub(super) struct PackReader {
    list: PackList,
    volumes: Volumes,
    /// That one, and the index of the volume in it.
    standing: Option<(usize, OpenVolume)>,
}

/// The packs, on this side of the gap.
pub(super) struct CopiedPacks {
    pub(super) stage: Stage,
    pub(super) packs: Vec<(Pack, PathBuf)>,
    /// The files that they were read from, one a volume.
    pub(super) files: Vec<PathBuf>,
}

impl PackReader {
    pub(super) fn new(list: PackList, volumes: Volumes, standing: (usize, OpenVolume)) -> Self {
        Self {
            list,
            volumes,
            standing: Some(standing),
        }
    }

    /// What the copied packs will take.
    pub(super) fn room(&self) -> Room {
        self.list.room
    }

    /// Hashes every pack and keeps none; gives the files that they were read from, one a volume.
    pub(super) fn check(mut self, watch: &dyn Watch) -> Result<Vec<PathBuf>, Refusal> {
        self.each(None, watch)
    }

    /// Copies every pack into the staging folder, hashing it on the way.
    pub(super) fn copy(mut self, node: &Node, watch: &dyn Watch) -> Result<CopiedPacks, Refusal> {
        space::check_packs(node, self.list.room)?;
        let stage = Stage::create(node.root(), node.state().sequence.saturating_add(1))?;
        let folder = stage.path().join(PACKS);
        durable::make_folders(&folder, 0o700)?;
        let files = self.each(Some(&folder), watch)?;
        let packs = self.list.packs.into_iter().enumerate();
        Ok(CopiedPacks {
            packs: packs.map(|(at, pack)| (pack, copy(&folder, at))).collect(),
            stage,
            files,
        })
    }

    /// Reads each volume from the first of its files that is intact, and gives these files.
    fn each(&mut self, folder: Option<&Path>, watch: &dyn Watch) -> Result<Vec<PathBuf>, Refusal> {
        let mut standing = self.standing.take();
        let volumes = &self.volumes;
        let mut files = Vec::new();
        for index in 0..volumes.count() {
            let open = standing.take_if(|(at, _)| *at == index);
            let open = open.map(|(_, open)| open);
            let warn = |line: &str| watch.warn(line);
            let read = |open: OpenVolume| self.read(index, open, folder, watch);
            let Some(file) = volumes.read_any(index, open, watch, warn, read)? else {
                volumes.check("lockstep apply FILE|DIR...")?;
                continue;
            };
            if volumes.files(index).first() != Some(&file) {
                watch.say(&volumes.taken(index, &file));
            }
            files.push(file);
        }
        Ok(files)
    }

    /// Reads a volume's packs into their copies.
    fn read(
        &self,
        index: usize,
        open: OpenVolume,
        folder: Option<&Path>,
        watch: &dyn Watch,
    ) -> Result<(), Unread> {
        let failed = Cell::new(None);
        let sink = |pack| -> Result<Box<dyn Write + '_>, Refusal> {
            Ok(match folder {
                None => Box::new(std::io::sink()),
                Some(folder) => Box::new(Kept::create(copy(folder, pack), &failed)?),
            })
        };
        let read = self.volumes.read(index, open, "copying", watch, sink);
        read.map_err(|unread| match failed.take() {
            Some(error) => Unread::Ended(Refusal::from(error)),
            None => unread,
        })
    }
}

/// Where the pack with this index is copied to.
fn copy(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("{index:04}"))
}

/// A pack's copy. What goes wrong with it is no fault of the medium that the patch is read from.
struct Kept<'a> {
    file: File,
    path: PathBuf,
    failed: &'a Cell<Option<DiskError>>,
}

impl<'a> Kept<'a> {
    /// Makes it anew, where a file that turned out to be damaged left one.
    fn create(path: PathBuf, failed: &'a Cell<Option<DiskError>>) -> Result<Self, DiskError> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(DiskError::io("remove", &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = File::create_new(&path).map_err(DiskError::io("create", &path))?;
        Ok(Self { file, path, failed })
    }
}

impl Write for Kept<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes).map_err(|error| {
            let kind = error.kind();
            let error = DiskError::io("write", &self.path)(error);
            self.failed.set(Some(error));
            kind.into()
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The packs decompressed and joined.
pub(super) struct Stream {
    left: std::vec::IntoIter<(Pack, PathBuf)>,
    open: Option<(zstd::stream::read::Decoder<'static, BufReader<File>>, u64)>,
}

impl Stream {
    pub(super) fn new(packs: Vec<(Pack, PathBuf)>) -> Self {
        Self {
            left: packs.into_iter(),
            open: None,
        }
    }
}

impl Read for Stream {
    /// Reads on into the next pack; a pack that yields less or more than it states is an error.
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wrong = || {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "a pack has another size than stated",
            )
        };
        loop {
            if let Some((decoder, left)) = &mut self.open {
                let room = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                if *left > 0 {
                    let read = decoder.read(buffer.get_mut(..room).unwrap_or_default())?;
                    if read == 0 && room > 0 {
                        return Err(wrong());
                    }
                    *left = left.saturating_sub(u64::try_from(read).unwrap_or(0));
                    return Ok(read);
                }
                if decoder.read(&mut [0_u8; 1])? != 0 {
                    return Err(wrong());
                }
            }
            let Some((pack, path)) = self.left.next() else {
                return Ok(0);
            };
            let mut decoder = zstd::stream::read::Decoder::new(File::open(&path)?)?;
            // Open, it can still be read; its room is free once it was.
            std::fs::remove_file(path)?;
            decoder.window_log_max(WINDOW_LOG_MAX)?;
            self.open = Some((decoder, pack.size));
        }
    }
}
