//! A sink that tells whoever watches how much went into it, and takes no more once the command is
//! to end.

use std::io::Write;

use crate::model::Watch;

/// Writes on to `out`, and tells of a stage that goes over several sinks.
pub struct Told<'a, W> {
    /// Where it goes.
    pub out: W,
    /// Bytes of the stage that are done.
    pub done: u64,
    /// Bytes of the stage in all.
    pub total: u64,
    /// What the stage is called.
    pub stage: &'static str,
    /// Who is told.
    pub watch: &'a dyn Watch,
}

impl<W: Write> Write for Told<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.watch.go_on().map_err(std::io::Error::other)?;
        let written = self.out.write(bytes)?;
        self.done = self
            .done
            .saturating_add(u64::try_from(written).unwrap_or(0));
        self.watch.progress(self.stage, self.done, self.total);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
