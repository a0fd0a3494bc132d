//! Writers that count what goes through them, and hash it.

use std::io::Write;

use crate::model::digest::Sha256Hasher;

/// Hashes and counts what it writes on.
pub(super) struct Hashed<W> {
    pub(super) out: W,
    pub(super) hasher: Sha256Hasher,
    pub(super) size: u64,
}

impl<W: Write> Hashed<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            hasher: Sha256Hasher::default(),
            size: 0,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.size = self
            .size
            .saturating_add(u64::try_from(written).unwrap_or(0));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Counts what it is given, and keeps nothing.
#[derive(Default)]
pub(super) struct Counted(pub(super) u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self
            .0
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
