//! The packs: contents that travel, joined into one stream, cut into frames of at most 64 MiB.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Contents;
use super::bases::Sources;
use super::deltas::{self, Compared, Wanted};
use super::explain::Explained;
use super::hashed::Hashed;
use super::kept::Delta;
use super::vendors::Vendors;
use super::volumes;
use super::workshop::Workshop;
use crate::delta::{Effort, ReadAt as _};
use crate::disk::DiskError;
use crate::model::digest::ContentHasher;
use crate::model::operation::{Codec, Operation};
use crate::model::patch::{Pack, Patch};
use crate::model::recipe::FileContent;
use crate::model::{Member, Refusal, RefusalName, Sha256, TreePath, Watch};
use crate::plan::change::Changes;
use crate::plan::content::needed;

/// zstd level of packs. Measured on 349 MB of a Java product (archives, mostly compressed already):
/// level 9 takes 6 s for 312.2 MB, level 15 takes 33 s for 311.7 MB.
const fn level(effort: Effort) -> i32 {
    match effort {
        Effort::Fast => 3,
        Effort::Default => 9,
        Effort::Best => 19,
    }
}

/// Bytes moved at a time.
const CHUNK: usize = 128 * 1024;
/// Memory that decoding a whole content takes: the window of a frame and two buffers.
pub(super) const WHOLE_MEMORY: u64 = 16 * 1024 * 1024;

/// Operations and the packs they cut from.
pub(super) struct Stream {
    pub(super) operations: Vec<Operation>,
    pub(super) packs: Vec<MadePack>,
    pub(super) contents: Contents,
    /// How each content travels, in the order of the operations.
    pub(super) explained: Vec<Explained>,
}

/// A pack on disk.
pub(super) struct MadePack {
    pub(super) pack: Pack,
    pub(super) member: Member,
    pub(super) path: PathBuf,
}

/// What contents are made with.
pub(super) struct Means<'a> {
    pub(super) shop: &'a Workshop,
    pub(super) cache: &'a Path,
    pub(super) effort: Effort,
    /// Bytes that a file of the patch may have, where it goes into several.
    pub(super) volume_size: Option<u64>,
    pub(super) watch: &'a dyn Watch,
}

/// Chooses an operation for each content that is needed, and fills the packs: what is at hand is copied
/// on the host, what resembles something there travels as a delta, and the rest whole.
pub(super) fn fill(
    means: &Means<'_>,
    vendors: &Vendors<'_>,
    sources: &Sources,
    changes: &Changes,
) -> Result<Stream, Refusal> {
    let needed = needed(changes);
    let owner = |path: &TreePath| changes.at(path)?.to.as_ref().map(|owned| &owned.owner);
    let wanted: Vec<Wanted<'_>> = needed
        .iter()
        .filter_map(|(path, file)| {
            let base = sources.bases.get(&file.sha256)?;
            let owner = owner(path);
            Some(Wanted { file, owner, base })
        })
        .collect();
    let compared = deltas::make(means, vendors, &wanted)?;
    let explained: Vec<Explained> = needed
        .iter()
        .map(|one| explained(*one, sources, &compared))
        .collect();
    let sizes = explained.iter().map(|one| one.travels);
    let total = sizes.fold(0, u64::saturating_add);
    let mut packer = Packer {
        shop: means.shop,
        level: level(means.effort),
        pack_max: volumes::pack_max(means.volume_size, total),
        packs: Vec::new(),
        open: None,
        at: 0,
    };
    let mut operations = Vec::new();
    let mut contents = Contents::default();
    for (path, file) in needed {
        means.watch.go_on()?;
        let progress = |at| means.watch.progress("packing", at, total);
        let delta = compared.get(&file.sha256);
        let delta = delta.and_then(|compared| compared.result.as_ref().ok());
        if sources.at_hand.contains_key(&file.sha256) {
            operations.push(copied(file, packer.at));
            contents.copied = contents.copied.saturating_add(1);
        } else if let Some(delta) = delta {
            operations.push(differing(file, delta, packer.at));
            packer.delta(delta, progress)?;
            contents.deltas = contents.deltas.saturating_add(1);
            contents.delta_bytes = contents.delta_bytes.saturating_add(delta.length);
        } else {
            operations.push(whole(file, packer.at));
            packer.content(vendors.blob(owner(path), file)?, file, progress)?;
            contents.whole = contents.whole.saturating_add(1);
            contents.bytes = contents.bytes.saturating_add(file.size);
        }
    }
    let packs = packer.finish()?;
    Ok(Stream {
        operations,
        packs,
        contents,
        explained,
    })
}

/// Why a content travels as it does.
fn explained(
    (path, file): (&TreePath, &FileContent),
    sources: &Sources,
    compared: &BTreeMap<Sha256, Compared>,
) -> Explained {
    if let Some(at) = sources.at_hand.get(&file.sha256) {
        return Explained::copied((path, file), at);
    }
    let base = sources.bases.get(&file.sha256);
    match (base, compared.get(&file.sha256)) {
        (Some(base), Some(compared)) => Explained::compared((path, file), &base.path, compared),
        _ => Explained::whole((path, file), None, sources.why_none),
    }
}

fn whole(file: &FileContent, offset: u64) -> Operation {
    Operation {
        base: None,
        codec: Codec::Whole,
        content: file.sha256,
        length: file.size,
        memory: WHOLE_MEMORY,
        offset,
        scratch: None,
        size: file.size,
    }
}

fn copied(file: &FileContent, offset: u64) -> Operation {
    Operation {
        base: Some(file.sha256),
        codec: Codec::Copy,
        length: 0,
        memory: 0,
        ..whole(file, offset)
    }
}

fn differing(file: &FileContent, delta: &Delta, offset: u64) -> Operation {
    Operation {
        base: Some(delta.base),
        codec: Codec::Delta,
        length: delta.length,
        // The pack that it comes out of is open meanwhile.
        memory: delta.memory.saturating_add(WHOLE_MEMORY),
        scratch: delta.scratch,
        ..whole(file, offset)
    }
}

/// Hands a blob to `give`, piece by piece, checking both digests of what it holds.
pub(super) fn each_checked(
    mut blob: Box<dyn Read + Send>,
    file: &FileContent,
    mut give: impl FnMut(&[u8]) -> Result<(), Refusal>,
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
        give(bytes)?;
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

struct Packer<'a> {
    shop: &'a Workshop,
    level: i32,
    /// Bytes of content in a pack, at most.
    pack_max: u64,
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
    /// Adds a content.
    fn content(
        &mut self,
        blob: Box<dyn Read + Send>,
        file: &FileContent,
        progress: impl Fn(u64),
    ) -> Result<(), Refusal> {
        each_checked(blob, file, |bytes| {
            self.write(bytes)?;
            progress(self.at);
            Ok(())
        })
    }

    /// Adds a delta.
    fn delta(&mut self, delta: &Delta, progress: impl Fn(u64)) -> Result<(), Refusal> {
        let file = delta.open()?;
        let mut chunk = vec![0_u8; CHUNK];
        let mut at = 0;
        while at < file.size() {
            let left = usize::try_from(file.size().saturating_sub(at)).unwrap_or(CHUNK);
            let piece = chunk.get_mut(..left.min(CHUNK)).unwrap_or_default();
            file.read_at(at, piece)
                .map_err(DiskError::io("read the delta", &self.shop.output))?;
            at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(0));
            self.write(piece)?;
            progress(self.at);
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let pack_max = self.pack_max;
            let open = self.opened()?;
            let room = usize::try_from(pack_max.saturating_sub(open.size)).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room));
            open.encoder
                .write_all(now)
                .map_err(DiskError::io("write", &open.path))?;
            let length = u64::try_from(now.len()).unwrap_or(0);
            open.size = open.size.saturating_add(length);
            let full = open.size == pack_max;
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
            let path = self.shop.pack(&format!("{:04}.zst", self.packs.len()));
            let file = File::create_new(&path).map_err(DiskError::io("create", &path))?;
            let hashed = Hashed::new(BufWriter::new(file));
            let mut encoder = zstd::stream::write::Encoder::new(hashed, self.level)
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
