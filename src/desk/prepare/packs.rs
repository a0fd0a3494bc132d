//! The packs: contents that travel, joined into one stream, cut into frames of at most 64 MiB.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;

use super::Contents;
use super::hashed::Hashed;
use super::nodes::Nodes;
use super::vendors::Vendors;
use super::workshop::Workshop;
use crate::disk::DiskError;
use crate::model::digest::ContentHasher;
use crate::model::patch::{Codec, Operation, PACK_MAX, Pack, Patch};
use crate::model::recipe::FileContent;
use crate::model::snapshot::Drift;
use crate::model::{Member, Refusal, RefusalName, Sha256, Watch};
use crate::plan::change::Changes;
use crate::plan::content::{needed, pristine};
use crate::plan::tree::Tree;

/// zstd level of packs. Measured on 349 MB of a Java product (archives, mostly compressed already):
/// level 9 takes 6 s for 312.2 MB, level 15 takes 33 s for 311.7 MB.
const LEVEL: i32 = 9;
/// Bytes moved at a time.
const CHUNK: usize = 128 * 1024;
/// Memory that decoding a whole content takes: the window of a frame and two buffers.
const WHOLE_MEMORY: u64 = 16 * 1024 * 1024;

/// Operations and the packs they cut from.
pub(super) struct Stream {
    pub(super) operations: Vec<Operation>,
    pub(super) packs: Vec<MadePack>,
    pub(super) contents: Contents,
}

/// A pack on disk.
pub(super) struct MadePack {
    pub(super) pack: Pack,
    pub(super) member: Member,
    pub(super) path: PathBuf,
}

/// The contents that `changes` need and that can be copied on every node: a file that drifted on any
/// of them is no source.
pub(super) fn at_hand(nodes: &Nodes, old: &Tree, changes: &Changes) -> BTreeSet<Sha256> {
    let drift: Vec<Drift> = nodes.drifts().flatten().cloned().collect();
    let wanted = needed(changes)
        .into_iter()
        .map(|(_, file)| file.sha256)
        .collect();
    pristine(old, &drift, &wanted).into_keys().collect()
}

/// Chooses an operation for each content that is needed, and fills the packs. What is `at_hand` is
/// copied on the host; the rest travels.
pub(super) fn fill(
    shop: &Workshop,
    vendors: &Vendors<'_>,
    at_hand: &BTreeSet<Sha256>,
    changes: &Changes,
    watch: &dyn Watch,
) -> Result<Stream, Refusal> {
    let wanted = needed(changes);
    let total = wanted
        .iter()
        .filter(|(_, file)| !at_hand.contains(&file.sha256))
        .map(|(_, file)| file.size)
        .fold(0, u64::saturating_add);
    let mut packer = Packer {
        shop,
        packs: Vec::new(),
        open: None,
        at: 0,
    };
    let mut operations = Vec::new();
    let mut contents = Contents::default();
    for (path, file) in wanted {
        if at_hand.contains(&file.sha256) {
            operations.push(operation(file, Codec::Copy, packer.at));
            contents.copied = contents.copied.saturating_add(1);
            continue;
        }
        operations.push(operation(file, Codec::Whole, packer.at));
        let owner = changes.at(path).and_then(|c| c.to.as_ref());
        let owner = owner.map(|owned| &owned.owner);
        let blob = vendors.blob(owner, file)?;
        packer.content(blob, file, |at| watch.progress("packing", at, total))?;
        contents.whole = contents.whole.saturating_add(1);
        contents.bytes = contents.bytes.saturating_add(file.size);
    }
    let packs = packer.finish()?;
    Ok(Stream {
        operations,
        packs,
        contents,
    })
}

fn operation(file: &FileContent, codec: Codec, offset: u64) -> Operation {
    Operation {
        base: (codec == Codec::Copy).then_some(file.sha256),
        codec,
        content: file.sha256,
        length: if codec == Codec::Copy { 0 } else { file.size },
        memory: if codec == Codec::Copy {
            0
        } else {
            WHOLE_MEMORY
        },
        offset,
        size: file.size,
    }
}

struct Packer<'a> {
    shop: &'a Workshop,
    packs: Vec<MadePack>,
    open: Option<OpenPack>,
    at: u64,
}

struct OpenPack {
    encoder: zstd::stream::write::Encoder<'static, Hashed<BufWriter<File>>>,
    path: PathBuf,
    size: u64,
}

impl Packer<'_> {
    /// Adds a content, checking both digests of what goes in.
    fn content(
        &mut self,
        mut blob: Box<dyn Read + Send>,
        file: &FileContent,
        progress: impl Fn(u64),
    ) -> Result<(), Refusal> {
        let mut hasher = ContentHasher::default();
        let mut chunk = vec![0_u8; CHUNK];
        loop {
            let read = blob
                .read(&mut chunk)
                .map_err(DiskError::io("read the blob", file.blake3.to_string()))?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            self.write(bytes)?;
            progress(self.at);
        }
        let found = hasher.finish();
        if found == file.id() {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalName::Corrupt,
            "a blob of the release repository is not what its recipe says",
        )
        .value(
            "recipe says",
            format!("{} bytes, SHA-256 {}", file.size, file.sha256),
        )
        .value(
            "found",
            format!("{} bytes, SHA-256 {}", found.size, found.sha256),
        )
        .next("tell whoever keeps the repository; nothing was prepared"))
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let open = self.opened()?;
            let room = usize::try_from(PACK_MAX.saturating_sub(open.size)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            open.encoder
                .write_all(now)
                .map_err(DiskError::io("write", &open.path))?;
            let length = u64::try_from(now.len()).unwrap_or(0);
            open.size = open.size.saturating_add(length);
            let full = open.size == PACK_MAX;
            self.at = self.at.saturating_add(length);
            if full {
                self.close()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn opened(&mut self) -> Result<&mut OpenPack, Refusal> {
        if self.open.is_none() {
            let path = self.shop.path(&format!("{:04}.zst", self.packs.len()));
            let file = File::create_new(&path).map_err(DiskError::io("create", &path))?;
            let hashed = Hashed::new(BufWriter::new(file));
            let mut encoder = zstd::stream::write::Encoder::new(hashed, LEVEL)
                .map_err(DiskError::io("compress", &path))?;
            encoder
                .include_checksum(true)
                .map_err(DiskError::io("compress", &path))?;
            self.open = Some(OpenPack {
                encoder,
                path,
                size: 0,
            });
        }
        self.open
            .as_mut()
            .ok_or_else(|| Refusal::new(RefusalName::Internal, "a pack could not be opened"))
    }

    fn close(&mut self) -> Result<(), Refusal> {
        let Some(OpenPack {
            encoder,
            path,
            size,
        }) = self.open.take()
        else {
            return Ok(());
        };
        let mut hashed = encoder.finish().map_err(DiskError::io("compress", &path))?;
        hashed.flush().map_err(DiskError::io("write", &path))?;
        let name = Patch::pack_member(self.packs.len());
        let member = Member {
            name: name.clone(),
            sha256: hashed.hasher.finish(),
            size: hashed.size,
        };
        self.packs.push(MadePack {
            pack: Pack { member: name, size },
            member,
            path,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<MadePack>, Refusal> {
        self.close()?;
        Ok(self.packs)
    }
}
