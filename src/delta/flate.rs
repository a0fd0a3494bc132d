//! Deflated bytes: inflated within bounds, and deflated again to the very same bytes by a recipe that
//! was found, and tried, where the delta was made.
//!
//! | attack | defence |
//! |---|---|
//! | an entry that inflates without end | it ends at the size that its archive states, or is damage |
//! | bytes behind the end of what is deflated | the end must be where the entry's is |
//! | a level that zlib does not know | levels 1 to 9, memory levels 8 and 9 |

use flate2::{Decompress, FlushDecompress, Status};

use super::error::{DeltaError, Outcome, damaged};
use super::source::{ReadAt, Span, each_piece};
use super::zlib::Deflater;

/// Bytes made at a time.
const CHUNK: usize = 64 * 1024;

/// How zlib makes the bytes again: a number below [`RECIPES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recipe(u8);

/// The levels, in the order in which they are tried.
const LEVELS: [u8; 9] = [6, 9, 1, 5, 4, 7, 8, 3, 2];
/// Each level with memory level 8, as nearly everybody has it, then each with 9, as Info-ZIP has it.
const RECIPES: u8 = 18;

impl Recipe {
    /// Its number.
    pub(super) fn number(self) -> u8 {
        self.0
    }

    /// The recipe of a number.
    pub(super) fn of(number: u8) -> Option<Self> {
        (number < RECIPES).then_some(Self(number))
    }

    fn level(self) -> u8 {
        let index = usize::from(self.0).checked_rem(LEVELS.len());
        index
            .and_then(|index| LEVELS.get(index))
            .copied()
            .unwrap_or(6)
    }

    fn memory(self) -> u8 {
        if usize::from(self.0) < LEVELS.len() {
            8
        } else {
            9
        }
    }

    #[cfg(feature = "desk")]
    /// The first recipe by which `plain` becomes `packed`, if there is one.
    pub(super) fn find(plain: &[u8], packed: &[u8]) -> Outcome<Option<Self>> {
        for recipe in (0..RECIPES).map(Self) {
            if recipe.makes(plain, packed)? {
                return Ok(Some(recipe));
            }
        }
        Ok(None)
    }

    #[cfg(feature = "desk")]
    fn makes(self, plain: &[u8], packed: &[u8]) -> Outcome<bool> {
        let mut left = Some(packed);
        let mut deflating = Deflating::new(self)?;
        let mut compare = |piece: &[u8]| {
            left = left.and_then(|left| left.strip_prefix(piece));
            Ok(left.is_some())
        };
        Ok(deflating.write(plain, &mut compare)?
            && deflating.end(&mut compare)?
            && left == Some(&[]))
    }
}

/// Bytes that are being deflated.
pub(super) struct Deflating {
    deflater: Deflater,
    chunk: Vec<u8>,
}

impl Deflating {
    /// Begins.
    pub(super) fn new(recipe: Recipe) -> Outcome<Self> {
        Ok(Self {
            deflater: Deflater::new(recipe.level(), recipe.memory())?,
            chunk: vec![0; CHUNK],
        })
    }

    /// Takes bytes in and gives what comes of them; whether `give` wants more.
    pub(super) fn write(
        &mut self,
        mut bytes: &[u8],
        give: &mut dyn FnMut(&[u8]) -> Outcome<bool>,
    ) -> Outcome<bool> {
        while !bytes.is_empty() {
            let step = self.deflater.step(bytes, &mut self.chunk, false)?;
            bytes = bytes.get(step.taken..).unwrap_or_default();
            if !give(self.chunk.get(..step.made).unwrap_or_default())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the rest.
    pub(super) fn end(&mut self, give: &mut dyn FnMut(&[u8]) -> Outcome<bool>) -> Outcome<bool> {
        loop {
            let step = self.deflater.step(&[], &mut self.chunk, true)?;
            if !give(self.chunk.get(..step.made).unwrap_or_default())? {
                return Ok(false);
            }
            if step.ended {
                return Ok(true);
            }
            if step.made == 0 {
                return damaged("zlib does not end");
            }
        }
    }
}

/// Hands what `span` inflates to, exactly `size` bytes, to `give`.
pub(super) fn inflate(
    source: &dyn ReadAt,
    span: Span,
    size: u64,
    mut give: impl FnMut(&[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut inflater = Decompress::new(false);
    let mut chunk = vec![0_u8; CHUNK];
    let mut ended = false;
    each_piece(source, span, |mut piece: &[u8]| {
        while !piece.is_empty() {
            if ended {
                return damaged("bytes lie behind what is deflated");
            }
            let (taken, made) = (inflater.total_in(), inflater.total_out());
            let status = inflater
                .decompress(piece, &mut chunk, FlushDecompress::None)
                .map_err(|_e| DeltaError::Damaged("an entry cannot be inflated"))?;
            let taken = length(inflater.total_in().saturating_sub(taken));
            let made = length(inflater.total_out().saturating_sub(made));
            if inflater.total_out() > size {
                return damaged("an entry inflates past its size");
            }
            piece = piece.get(taken..).unwrap_or_default();
            give(chunk.get(..made).unwrap_or_default())?;
            ended = status == Status::StreamEnd;
            if taken == 0 && made == 0 && !ended {
                return damaged("an entry cannot be inflated");
            }
        }
        Ok(())
    })?;
    // What is left in the window comes without more input.
    while !ended {
        let before = inflater.total_out();
        let status = inflater
            .decompress(&[], &mut chunk, FlushDecompress::None)
            .map_err(|_e| DeltaError::Damaged("an entry cannot be inflated"))?;
        let made = length(inflater.total_out().saturating_sub(before));
        if inflater.total_out() > size || (made == 0 && status != Status::StreamEnd) {
            return damaged("an entry cannot be inflated");
        }
        give(chunk.get(..made).unwrap_or_default())?;
        ended = status == Status::StreamEnd;
    }
    if inflater.total_out() == size {
        Ok(())
    } else {
        damaged("an entry inflates to less than its size")
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sha256;

    /// Deflated by every recipe: what a codec's name promises, in every build of this program.
    #[test]
    fn every_recipe_makes_the_bytes_that_it_always_made() {
        let mut seed = 1_u64;
        let mut plain = Vec::new();
        for line in 0..4000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = seed >> 44;
            plain.extend(format!("{line}: {word:x} is {}\n", word % 97).bytes());
        }
        let mut all = Vec::new();
        for recipe in (0..RECIPES).map(Recipe) {
            let mut packed = Vec::new();
            let mut keep = |piece: &[u8]| {
                packed.extend_from_slice(piece);
                Ok(true)
            };
            let mut deflating = Deflating::new(recipe).unwrap();
            deflating.write(&plain, &mut keep).unwrap();
            deflating.end(&mut keep).unwrap();
            let sha256 = Sha256::of(&packed).to_string();
            all.push((recipe.0, packed.len(), sha256.get(..16).unwrap().to_owned()));
            let mut again = Vec::new();
            let span = Span::whole(&packed);
            inflate(&packed, span, plain.as_slice().size(), |piece| {
                again.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert!(again == plain);
        }
        let release = super::super::zlib::RELEASE.to_str().unwrap();
        let codec = crate::model::operation::Codec::Delta.to_string();
        assert!(codec.ends_with(release), "{codec} is named after {release}");
        assert_eq!(all, GOLDEN.map(|(a, b, c)| (a, b, c.to_owned())));
    }

    const GOLDEN: [(u8, usize, &str); 18] = [
        (0, 30101, "1e5a7563bb311d83"),
        (1, 29984, "c072b3610a075d53"),
        (2, 33738, "dac755a05997206d"),
        (3, 30398, "e22f06a5874bda60"),
        (4, 31048, "d5b8a163b7d74cbd"),
        (5, 30007, "0b82490deb21b6a8"),
        (6, 29987, "1bc2bae39c7596c4"),
        (7, 32223, "c528b860d62da9c0"),
        (8, 33064, "1ce40efa435818c7"),
        (9, 30144, "0dc7ad2ce0fab21d"),
        (10, 30017, "c0fb4ba395d38c32"),
        (11, 33873, "7b30fe3a3d7d7cce"),
        (12, 30473, "ed61d4a20624aaaa"),
        (13, 31088, "6ef73141df3cb88b"),
        (14, 30034, "5f97817acfe6c714"),
        (15, 30017, "058a85aec50cb828"),
        (16, 32254, "23735f1bf8b719df"),
        (17, 33151, "d2786121442a5468"),
    ];

    #[test]
    fn an_entry_ends_where_it_says() {
        let mut packed = Vec::new();
        let mut keep = |piece: &[u8]| {
            packed.extend_from_slice(piece);
            Ok(true)
        };
        let mut deflating = Deflating::new(Recipe(0)).unwrap();
        deflating.write(&vec![7; 100_000], &mut keep).unwrap();
        deflating.end(&mut keep).unwrap();
        let ends = |packed: &Vec<u8>, size| inflate(packed, Span::whole(packed), size, |_| Ok(()));
        ends(&packed, 100_000).unwrap();
        for size in [0, 99_999, 100_001] {
            assert!(ends(&packed, size).is_err(), "{size}");
        }
        let mut longer = packed.clone();
        longer.push(0);
        assert!(ends(&longer, 100_000).is_err());
        packed.pop();
        assert!(ends(&packed, 100_000).is_err());
    }
}
