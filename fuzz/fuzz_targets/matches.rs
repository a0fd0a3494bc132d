//! Matches: whatever the bytes of two files are, a delta of either effort makes the one of the other.

#![no_main]

mod shared;
#[path = "shared/deltas.rs"]
mod deltas;

use libfuzzer_sys::fuzz_target;
use lockstep::delta::Effort;

use deltas::{edit, is_archive, round, two};
use shared::dice::Dice as _;
use shared::Bytes;

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode % 3 {
        0 => {
            let (old, new) = two(rest);
            both(old, new);
        }
        1 => edited(&mut Bytes::new(rest)),
        _ => few(rest),
    }
});

fn both(old: &[u8], new: &[u8]) {
    for effort in [Effort::Fast, Effort::Default] {
        let delta = round(old, new, effort);
        // What is the same is found, whatever it is.
        assert!(old != new || is_archive(&delta) || delta.len() < 100, "{effort:?}");
    }
}

/// A content and what edits make of it.
fn edited(dice: &mut Bytes<'_>) {
    let old = deltas::content(dice);
    let mut new = old.clone();
    for _ in 0..dice.below(8) {
        edit(&mut new, dice);
    }
    both(&old, &new);
}

/// Two files of very few values, where every place matches many others.
fn few(input: &[u8]) {
    let values = |bytes: &[u8]| -> Vec<u8> { bytes.iter().map(|byte| byte & 1).collect() };
    let (old, new) = two(input);
    both(&values(old), &values(new));
}
