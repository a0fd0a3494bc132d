//! The packs: copied in and hashed, then read as one stream.
//!
//! | attack | defence |
//! |---|---|
//! | a pack changed on the medium | its digest is checked while it is copied; the copy is what is used |
//! | a frame that decompresses without end | it must yield exactly the size stated, at most 64 MiB |
//! | a window of gigabytes | [`WINDOW_LOG_MAX`] |
//! | the file changed between check and use | the file is read once, front to back |

use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::rc::Rc;

use super::super::Node;
use super::super::change::space;
use crate::disk::space::Room;
use crate::disk::stage::Stage;
use crate::disk::{DiskError, durable};
use crate::model::patch::{Operation, Pack, Patch};
use crate::model::{Refusal, RefusalName, Watch};
use crate::spr::{Members, Told};

/// Largest zstd window, as a power of two: 8 MiB, what every level up to 19 stays within.
const WINDOW_LOG_MAX: u32 = 23;

/// The folder of the copied packs, in the stage.
pub(super) const PACKS: &str = "packs";

/// The packs that a statement lists, in order.
pub(super) struct PackList {
    packs: Vec<Pack>,
    /// Bytes of all packs, as they stand in the file.
    stored: u64,
    /// What they take once they are copied.
    room: Room,
}

impl PackList {
    pub(super) fn of(patch: &Patch) -> Self {
        let stored = patch
            .members
            .iter()
            .filter(|member| member.name.starts_with("packs/"))
            .map(|member| member.size);
        // One delta at a time lies beside its pack, with what it writes down.
        let deltas = patch.operations.iter().map(Operation::room).max();
        let room = space::files(stored.clone()).plus(space::files(deltas.into_iter()));
        Self {
            packs: patch.packs.clone(),
            room,
            stored: stored.fold(0, u64::saturating_add),
        }
    }
}

/// A patch file that stands at its first pack.
pub(super) struct PackReader {
    path: PathBuf,
    list: PackList,
    members: Members<BufReader<File>>,
}

/// The packs, on this side of the gap.
pub(super) struct CopiedPacks {
    pub(super) stage: Stage,
    pub(super) packs: Vec<(Pack, PathBuf)>,
}

impl PackReader {
    pub(super) fn new(path: PathBuf, list: PackList, members: Members<BufReader<File>>) -> Self {
        Self {
            path,
            list,
            members,
        }
    }

    /// What the copied packs will take.
    pub(super) fn room(&self) -> Room {
        self.list.room
    }

    /// Hashes every pack and keeps none.
    pub(super) fn check(mut self, watch: &dyn Watch) -> Result<(), Refusal> {
        self.each(watch, &mut |_| Ok(Box::new(std::io::sink())))
    }

    /// Copies every pack into the staging folder, hashing it on the way.
    pub(super) fn copy(mut self, node: &Node, watch: &dyn Watch) -> Result<CopiedPacks, Refusal> {
        space::check_packs(node, self.list.room)?;
        let stage = Stage::create(node.root(), node.state().sequence.saturating_add(1))?;
        let folder = stage.path().join(PACKS);
        durable::make_folders(&folder, 0o700)?;
        let mut packs = Vec::new();
        let failed = Rc::new(Cell::new(None));
        let copied = self.each(watch, &mut |index| {
            let path = folder.join(format!("{index:04}"));
            let file = File::create_new(&path).map_err(DiskError::io("create", &path))?;
            packs.push(path.clone());
            Ok(Box::new(Kept {
                file,
                path,
                failed: Rc::clone(&failed),
            }))
        });
        copied.map_err(|refusal| failed.take().map_or(refusal, Refusal::from))?;
        Ok(CopiedPacks {
            packs: self.list.packs.into_iter().zip(packs).collect(),
            stage,
        })
    }

    fn each(
        &mut self,
        watch: &dyn Watch,
        sink: &mut dyn FnMut(usize) -> Result<Box<dyn Write>, Refusal>,
    ) -> Result<(), Refusal> {
        let refuse = |e: crate::spr::SprError| e.refuse(&self.path);
        let mut done = 0_u64;
        for (index, pack) in self.list.packs.iter().enumerate() {
            if self
                .members
                .peek()
                .map_err(refuse)?
                .is_none_or(|member| member.name != pack.member)
            {
                return Err(missing(&self.path, &pack.member, self.list.packs.len()));
            }
            let mut told = Told {
                out: sink(index)?,
                done,
                total: self.list.stored,
                stage: "copying",
                watch,
            };
            if let Err(e) = self.members.copy_next(&mut told) {
                // What ends the command ends the copy with an error of its own.
                watch.go_on()?;
                return Err(refuse(e));
            }
            done = told.done;
        }
        match self.members.peek().map_err(refuse)? {
            None => Ok(()),
            Some(extra) => Err(missing(&self.path, &extra.name, self.list.packs.len())),
        }
    }
}

/// A pack's copy. What goes wrong with it is no fault of the medium that the patch is read from.
struct Kept {
    file: File,
    path: PathBuf,
    failed: Rc<Cell<Option<DiskError>>>,
}

impl Write for Kept {
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

fn missing(path: &std::path::Path, pack: &str, packs: usize) -> Refusal {
    Refusal::new(
        RefusalName::Incomplete,
        "the file does not hold every pack: it is a head, or one of several volumes",
    )
    .value("file", path.display())
    .value("missing", pack)
    .value("patch has", format!("{packs} pack(s)"))
    .next("apply the whole .patch.spr file")
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
