//! Contents: each stored once, compressed, under its BLAKE3, and never written again.
//!
//! A file is hashed first, so that a command can refuse before it writes anything, and again in
//! the pass that compresses it: what is stored is what was hashed, or nothing is. Both digests are
//! computed in the same pass over the bytes.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::ReleaseError;
use super::layout;
use crate::disk::DiskError;
use crate::disk::batch::Batch;
use crate::disk::durable;
use crate::model::digest::{ContentHasher, Sha256Hasher};
use crate::model::recipe::FileContent;
use crate::model::{Blake3, ContentId, Sha256};

/// Largest content that is compressed at [`LEVEL_SMALL`], in bytes: at 8 MiB that level takes 90 MB
/// of memory in each thread.
const SMALL_MAX: u64 = 1024 * 1024;
/// The zstd level of small contents: a recipe has thousands, and they are read far more often
/// than written.
const LEVEL_SMALL: i32 = 19;
/// The zstd level of large contents: chosen for speed, so that one archive does not hold up a build.
/// Measured on 338 MB of jars: level 9 takes 15 s for 306.3 MB, level 12 takes 34 s for 306.0 MB, and
/// 58 MB of memory instead of 21.
const LEVEL_LARGE: i32 = 9;
/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// A content as it lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size there, in bytes.
    pub size: u64,
    /// SHA-256 of the stored bytes.
    pub sha256: Sha256,
}

/// Is told how many bytes were read, piece by piece.
pub type Moved<'a> = &'a (dyn Fn(u64) + Sync);

/// Where a content lies in the repository in `folder`.
#[must_use]
pub fn path(folder: &Path, blake3: &Blake3) -> PathBuf {
    folder.join(layout::BLOBS).join(layout::blob_file(blake3))
}

/// The identity of the regular file at `file`; a link there is not followed.
pub fn identify(file: &Path, moved: Moved<'_>) -> Result<ContentId, ReleaseError> {
    let mut hasher = ContentHasher::default();
    each_chunk(&mut open_plain(file)?, file, moved, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Stores the file `input`, which must still be `id`; one that is stored already is verified. A new one
/// has its name once `batch` is finished.
pub fn store(
    folder: &Path,
    batch: &Batch,
    input: &Path,
    id: &ContentId,
    moved: Moved<'_>,
) -> Result<Stored, ReleaseError> {
    if let Some(stored) = verify(folder, id)? {
        moved(id.size);
        return Ok(stored);
    }
    let path = path(folder, &id.blake3);
    if let Some(parent) = path.parent() {
        durable::make_folders(parent, 0o755)?;
    }
    let mut draft = batch.file(&path, 0o644)?;
    match compress(&mut draft.file, &path, input, id, moved) {
        Ok(stored) => {
            batch.add(draft)?;
            Ok(stored)
        }
        Err(e) => {
            batch.give_up(&draft);
            Err(e)
        }
    }
}

fn compress(
    file: &mut File,
    path: &Path,
    input: &Path,
    id: &ContentId,
    moved: Moved<'_>,
) -> Result<Stored, ReleaseError> {
    let mut hasher = ContentHasher::default();
    let mut out = encoder(file, id.size).map_err(DiskError::io("compress", path))?;
    each_chunk(&mut open_plain(input)?, input, moved, |chunk| {
        hasher.update(chunk);
        out.write_all(chunk)
            .map_err(|e| DiskError::io("write", path)(e).into())
    })?;
    // Checked before the last block is compressed: zstd itself only knows that a size is wrong.
    if hasher.finish() != *id {
        return Err(ReleaseError::Changed(input.to_owned()));
    }
    let out = out.finish().map_err(DiskError::io("compress", path))?;
    Ok(out.stored())
}

/// Checks a stored content against all that its identity says; nothing if it is not stored.
pub fn verify(folder: &Path, id: &ContentId) -> Result<Option<Stored>, ReleaseError> {
    let path = path(folder, &id.blake3);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(DiskError::io("open", path)(e).into()),
    };
    let damaged = |e: std::io::Error| ReleaseError::corrupt(path.display().to_string(), e);
    let mut raw = Hashing::new(file);
    let mut hasher = ContentHasher::default();
    {
        let buffered = BufReader::with_capacity(room(id.size), &mut raw);
        let decoder = zstd::Decoder::with_buffer(buffered).map_err(damaged)?;
        // One byte more than there may be is enough to tell.
        let mut content = decoder.take(id.size.saturating_add(1));
        let mut chunk = vec![0_u8; room(id.size)];
        loop {
            match content.read(&mut chunk).map_err(damaged)? {
                0 => break,
                length => hasher.update(chunk.get(..length).unwrap_or_default()),
            }
        }
    }
    std::io::copy(&mut raw, &mut std::io::sink()).map_err(damaged)?;
    let found = hasher.finish();
    if found == *id {
        Ok(Some(raw.stored()))
    } else {
        Err(ReleaseError::Digest {
            file: path.display().to_string(),
            wanted: id.sha256.to_string(),
            found: found.sha256.to_string(),
        })
    }
}

/// Copies a stored content that was verified from another repository, as it is stored there.
pub fn copy(
    from: &Path,
    into: &Path,
    batch: &Batch,
    content: &FileContent,
) -> Result<(), ReleaseError> {
    let (source, target) = (path(from, &content.blake3), path(into, &content.blake3));
    if let Some(parent) = target.parent() {
        durable::make_folders(parent, 0o755)?;
    }
    let mut draft = batch.file(&target, 0o644)?;
    let mut out = Hashing::new(&mut draft.file);
    let copied = each_chunk(&mut open_plain(&source)?, &source, &|_| (), |chunk| {
        out.write_all(chunk)
            .map_err(|e| DiskError::io("write", &target)(e).into())
    });
    let stored = out.stored();
    let same = (stored.size, stored.sha256) == (content.stored_size, content.stored_sha256);
    match copied {
        Ok(()) if same => Ok(batch.add(draft)?),
        Ok(()) => {
            batch.give_up(&draft);
            Err(ReleaseError::Changed(source))
        }
        Err(e) => {
            batch.give_up(&draft);
            Err(e)
        }
    }
}

type Encoder<'a> = zstd::Encoder<'static, Hashing<&'a mut File>>;

fn encoder(file: &mut File, size: u64) -> std::io::Result<Encoder<'_>> {
    let level = if size > SMALL_MAX {
        LEVEL_LARGE
    } else {
        LEVEL_SMALL
    };
    let mut encoder = zstd::Encoder::new(Hashing::new(file), level)?;
    encoder.set_pledged_src_size(Some(size))?;
    Ok(encoder)
}

/// Opens a regular file that is no link, and is the one that its name stood for a moment ago.
fn open_plain(path: &Path) -> Result<File, ReleaseError> {
    let seen = std::fs::symlink_metadata(path).map_err(DiskError::io("look at", path))?;
    if !seen.is_file() {
        return Err(ReleaseError::Changed(path.to_owned()));
    }
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    let opened = file.metadata().map_err(DiskError::io("look at", path))?;
    if (opened.dev(), opened.ino()) == (seen.dev(), seen.ino()) {
        Ok(file)
    } else {
        Err(ReleaseError::Changed(path.to_owned()))
    }
}

fn each_chunk(
    file: &mut File,
    path: &Path,
    moved: Moved<'_>,
    mut take: impl FnMut(&[u8]) -> Result<(), ReleaseError>,
) -> Result<(), ReleaseError> {
    let mut chunk = vec![0_u8; room(file.metadata().map_or(u64::MAX, |m| m.len()))];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                take(chunk.get(..length).unwrap_or_default())?;
                moved(u64::try_from(length).unwrap_or(0));
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(DiskError::io("read", path)(e).into()),
        }
    }
}

/// Room to move `size` bytes through: most contents are much smaller than a [`CHUNK`].
fn room(size: u64) -> usize {
    usize::try_from(size).map_or(CHUNK, |size| size.saturating_add(1).min(CHUNK))
}

/// Hashes and counts the stored bytes on their way through.
struct Hashing<T> {
    inner: T,
    sha256: Sha256Hasher,
    size: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            sha256: Sha256Hasher::default(),
            size: 0,
        }
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size = self
            .size
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    fn stored(self) -> Stored {
        Stored {
            size: self.size,
            sha256: self.sha256.finish(),
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.take_in(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.take_in(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn lay(path: &Path, bytes: &[u8]) -> ContentId {
        durable::write(path, bytes, 0o644).unwrap();
        ContentId::of(bytes)
    }

    fn store_now(folder: &Path, input: &Path, id: &ContentId) -> Result<Stored, ReleaseError> {
        let batch = Batch::create(folder)?;
        let stored = store(folder, &batch, input, id, &|_| ())?;
        batch.finish()?;
        Ok(stored)
    }

    #[test]
    fn a_content_is_stored_once_and_verified_after() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        let long = vec![7; 300_000];
        for bytes in [&b""[..], b"abc", &long] {
            let id = lay(&input, bytes);
            assert_eq!(identify(&input, &|_| ()).unwrap(), id);
            assert_eq!(verify(folder.path(), &id).unwrap(), None);
            let stored = store_now(folder.path(), &input, &id).unwrap();
            let path = path(folder.path(), &id.blake3);
            let raw = durable::read(&path, 1_000_000).unwrap();
            assert_eq!(stored.sha256, Sha256::of(&raw));
            assert_eq!(stored.size, u64::try_from(raw.len()).unwrap());
            assert_eq!(zstd::decode_all(raw.as_slice()).unwrap(), bytes);
            let written = fs::metadata(&path).unwrap().ino();
            assert_eq!(store_now(folder.path(), &input, &id).unwrap(), stored);
            assert_eq!(fs::metadata(&path).unwrap().ino(), written);
        }
    }

    #[test]
    fn a_file_that_changed_is_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        lay(&input, b"new");
        for old in [&b"old"[..], b"older", b"n"] {
            let old = ContentId::of(old);
            assert!(store_now(folder.path(), &input, &old).is_err());
            assert_eq!(verify(folder.path(), &old).unwrap(), None);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("input", &link).unwrap();
        assert!(matches!(
            identify(&link, &|_| ()),
            Err(ReleaseError::Changed(_))
        ));
    }

    #[test]
    fn a_damaged_blob_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        let id = lay(&input, b"content");
        store_now(folder.path(), &input, &id).unwrap();
        let path = path(folder.path(), &id.blake3);
        let good = durable::read(&path, 1_000).unwrap();
        let other = zstd::encode_all(&b"CONTENT"[..], 1).unwrap();
        for bad in [
            &good[..good.len() - 1],
            &other,
            b"x",
            &[&good[..], b"x"].concat(),
        ] {
            durable::write(&path, bad, 0o644).unwrap();
            assert!(verify(folder.path(), &id).is_err());
        }
    }
}
