//! A new file that leaves holes where zeros would be written.
//!
//! It is written front to back. Each aligned block of [`BLOCK`] bytes that is nothing but zeros is
//! passed over; the file system keeps no room for it, and reads it as zeros. Database files and
//! disk images stay as small as they were.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write};

/// Bytes of a block: what is passed over is a multiple of this. Smaller holes would cost more in
/// calls and fragments than they save.
pub(super) const BLOCK: usize = 64 * 1024;

static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A file under way.
pub(super) struct SparseFile {
    file: File,
    /// The begin of a block that is not whole yet.
    begun: Vec<u8>,
    /// Zeros passed over since the last byte that was written.
    hole: u64,
}

impl SparseFile {
    /// An empty file, open to write.
    pub(super) fn new(file: File) -> Self {
        Self {
            file,
            begun: Vec::new(),
            hole: 0,
        }
    }

    /// Writes what is left, and gives the file the size that it has with its holes.
    pub(super) fn finish(mut self) -> std::io::Result<File> {
        let begun = std::mem::take(&mut self.begun);
        self.put(&begun)?;
        if self.hole > 0 {
            let end = self.file.seek(SeekFrom::Current(signed(self.hole)?))?;
            self.file.set_len(end)?;
        }
        Ok(self.file)
    }

    /// Whole blocks, the zeros among them passed over.
    fn blocks(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        for run in bytes
            .as_chunks::<BLOCK>()
            .0
            .chunk_by(|a, b| is_zeros(a) == is_zeros(b))
        {
            let run = run.as_flattened();
            if is_zeros(run.get(..BLOCK).unwrap_or_default()) {
                self.hole = self
                    .hole
                    .saturating_add(u64::try_from(run.len()).unwrap_or(0));
            } else {
                self.put(run)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.hole > 0 {
            self.file.seek(SeekFrom::Current(signed(self.hole)?))?;
            self.hole = 0;
        }
        self.file.write_all(bytes)
    }
}

impl Write for SparseFile {
    /// Takes all of it; on an error the file is of no more use.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut rest = bytes;
        if !self.begun.is_empty() {
            let missing = BLOCK.saturating_sub(self.begun.len()).min(rest.len());
            let (first, behind) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
            self.begun.extend_from_slice(first);
            rest = behind;
            if self.begun.len() < BLOCK {
                return Ok(bytes.len());
            }
            let whole = std::mem::take(&mut self.begun);
            self.blocks(&whole)?;
        }
        let begun = rest.as_chunks::<BLOCK>().1;
        self.blocks(rest)?;
        self.begun.extend_from_slice(begun);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn is_zeros(block: &[u8]) -> bool {
    ZEROS.as_slice() == block
}

fn signed(length: u64) -> std::io::Result<i64> {
    i64::try_from(length).map_err(|_too_long| std::io::ErrorKind::FileTooLarge.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::durable;

    /// Writes the pieces; the content that the file then has, and the room that it takes.
    fn written(pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut file = SparseFile::new(File::create_new(&path).unwrap());
        for piece in pieces {
            assert_eq!(file.write(piece).unwrap(), piece.len());
        }
        durable::sync(&file.finish().unwrap()).unwrap();
        let room = path.metadata().unwrap().blocks().strict_mul(512);
        (durable::read(&path, 1 << 30).unwrap(), room)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Runs of zeros and of others, written in pieces of any size: what is read is what was
        /// written.
        #[test]
        fn what_is_written_is_read(
            runs in proptest::collection::vec((any::<bool>(), 0_usize..200_000), 0..6),
            piece in 1_usize..150_000,
        ) {
            let content: Vec<u8> = runs.iter().flat_map(|(zero, length)| vec![u8::from(!zero); *length]).collect();
            let pieces: Vec<&[u8]> = content.chunks(piece).collect();
            prop_assert!(written(&pieces).0 == content);
        }
    }

    #[test]
    fn only_aligned_blocks_are_passed_over() {
        let (zeros, ones) = (vec![0; 16 * BLOCK], vec![1; BLOCK]);
        let half = BLOCK / 2;
        for (pieces, most, least) in [
            (vec![zeros.as_slice()], 0, 0),
            (vec![&zeros, &ones], BLOCK, BLOCK),
            (vec![&ones, &zeros], BLOCK, BLOCK),
            // An end that is no whole block is written.
            (vec![&zeros, &zeros[..half]], half, half),
            // Shifted by half a block: what lies across the edges is written.
            (
                vec![&ones[..half], &zeros, &ones[..half]],
                2 * BLOCK,
                2 * BLOCK,
            ),
            (
                vec![&ones[..half], &zeros[..half], &ones],
                2 * BLOCK,
                2 * BLOCK,
            ),
        ] {
            let content = pieces.concat();
            let (read, room) = written(&pieces);
            assert!(read == content, "{} bytes", content.len());
            // A file system may take some for the list of holes.
            let slack = 64 * 1024;
            assert!(
                room <= u64::try_from(most).unwrap() + slack,
                "{room} for {most}"
            );
            assert!(room >= u64::try_from(least).unwrap(), "{room} for {least}");
        }
    }
}
