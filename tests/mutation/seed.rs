//! Choices that a seed gives: the same seed, kind and number choose alike in every run.

use lockstep::model::Sha256;

use super::dice::Dice;

/// `splitmix64`: small, and every start is a good one.
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The choices of one case.
    pub(crate) fn of(seed: u64, kind: &str, number: u64) -> Self {
        let start = Sha256::of(format!("{seed} {kind} {number}").as_bytes());
        let (first, _) = start
            .as_bytes()
            .split_first_chunk()
            .unwrap_or((&[0; 8], &[]));
        Self(u64::from_le_bytes(*first))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Dice for Seeded {
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }
}
