//! Numbers of one to ten bytes, low bits first; signed ones with the sign in the lowest bit.
//!
//! | attack | defence |
//! |---|---|
//! | a number that does not end | ten bytes at most |
//! | one past 64 bits | the tenth byte is 0 or 1 |
//! | two spellings of one delta | the shortest one alone |
//! | a difference that leads past either end | modulo 2^64, without a panic; whoever uses what comes of it checks it |

use super::error::{Outcome, damaged};

#[cfg(feature = "desk")]
/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(feature = "desk")]
/// A signed number as an unsigned one: 0, -1, 1, -2, 2.
pub(super) fn fold(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// The signed number again.
pub(super) fn unfold(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).wrapping_neg().cast_signed()
}

#[cfg(feature = "desk")]
/// A difference that [`apply`] undoes, whatever the two are.
pub(super) fn difference(value: u64, from: u64) -> u64 {
    fold(value.wrapping_sub(from).cast_signed())
}

/// The value that `difference` was taken of.
pub(super) fn apply(from: u64, difference: u64) -> u64 {
    from.wrapping_add(unfold(difference).cast_unsigned())
}

/// Reads a number, a byte at a time. One that is longer than it needs to be is damage.
pub(super) fn take(mut byte: impl FnMut() -> Outcome<u8>) -> Outcome<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let next = byte()?;
        let bits = u64::from(next & 0x7f);
        if shift == 63 && bits > 1 {
            return damaged("a number is too large");
        }
        value |= bits << shift;
        if next & 0x80 == 0 {
            if next == 0 && shift > 0 {
                return damaged("a number is not spelled shortest");
            }
            return Ok(value);
        }
    }
    damaged("a number does not end")
}
