//! Where choices come from: a seed for the mutation run, the fuzzer's bytes for the fuzz targets.

/// Something that chooses.
pub(crate) trait Dice {
    /// A number below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize;

    /// True once in `times`.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these; nothing where there are none.
    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            return None;
        }
        let at = self.below(from.len());
        from.get(at)
    }

    /// A byte.
    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }

    /// Bytes, `most` of them at most.
    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most.saturating_add(1));
        (0..length).map(|_| self.byte()).collect()
    }
}
