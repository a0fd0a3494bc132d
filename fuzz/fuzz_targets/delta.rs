//! Deltas from hostile hands: whatever their bytes are, and those of the old file, a content comes of them or
//! a refusal, within what may be taken, and what is counted is what is taken.

#![no_main]

mod shared;
#[path = "shared/deltas.rs"]
mod deltas;
#[path = "../../tests/mutation/streams.rs"]
mod streams;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::delta::{Effort, Room, encode};

use deltas::{ROOM, any, edit, two};
use shared::dice::{self, Dice as _};
use shared::Bytes;
use streams::Delta;

static GOLDEN: LazyLock<Vec<[Vec<u8>; 3]>> = LazyLock::new(|| {
    let golden = deltas::golden();
    for [old, new, delta] in &golden {
        // The editors write as the program does, or what they touch is refused for its spelling.
        let parts = Delta::read(delta).expect("a delta");
        let (made, _) = deltas::apply(&parts.bytes(), old, new.len() as u64, ROOM).expect("a delta");
        assert!(made == *new, "the editors write another delta");
    }
    golden
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode % 3 {
        0 => {
            let (old, delta) = two(rest);
            any(delta, old, ROOM);
        }
        1 => edited(&mut Bytes::new(rest)),
        _ => foreign(&mut Bytes::new(rest)),
    }
});

/// A golden delta with edits behind its compression and in front of it, and sometimes other old bytes.
fn edited(dice: &mut Bytes<'_>) {
    let Some([old, new, delta]) = dice.pick(&GOLDEN) else {
        return;
    };
    let Some(mut parts) = Delta::read(delta) else {
        return;
    };
    for _ in 0..1 + dice.below(3) {
        parts.edit(dice);
    }
    let mut delta = parts.bytes();
    if dice.once_in(4) {
        edit(&mut delta, dice);
    }
    let mut old = if dice.once_in(4) { new } else { old }.clone();
    for _ in 0..dice.below(3) {
        edit(&mut old, dice);
    }
    let most = Room {
        memory: (1 + dice.below(16) as u64) << 20,
        scratch: (dice.below(64) as u64) << 10,
    };
    any(&delta, &old, if dice.once_in(4) { most } else { ROOM });
}

/// A delta of small archives, edited or not, on the old one or another; and a golden one on that.
fn foreign(dice: &mut Bytes<'_>) {
    let entries = deltas::entries(dice, 0);
    let old = deltas::zip(&entries, dice);
    let new = deltas::zip(&deltas::changed(&entries, dice), dice);
    let delta = encode(&old, &new, Effort::Fast, &|_, _| true).expect("a delta");
    let Some(mut parts) = Delta::read(&delta) else {
        return;
    };
    for _ in 0..dice.below(3) {
        parts.edit(dice);
    }
    let delta = parts.bytes();
    let mut other = old.clone();
    edit(&mut other, dice);
    let Some([golden_old, _, golden]) = dice.pick(&GOLDEN) else {
        return;
    };
    match dice.below(4) {
        0 => any(&delta, &old, ROOM),
        1 => any(&delta, &other, ROOM),
        2 => any(&delta, golden_old, ROOM),
        _ => any(golden, &other, ROOM),
    }
}
