//! Archives: whatever the bytes of two files are, what is taken apart is put together again to the last
//! byte; and an archive that is in order is taken apart.

#![no_main]

mod shared;
#[path = "shared/deltas.rs"]
mod deltas;

use libfuzzer_sys::fuzz_target;
use lockstep::delta::Effort;

use deltas::{ROOM, any, edit, is_archive, round, two};
use shared::dice::Dice as _;
use shared::Bytes;

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode % 3 {
        0 => {
            let (old, new) = two(rest);
            round(old, new, Effort::Fast);
            round(new, new, Effort::Fast);
        }
        1 => built(&mut Bytes::new(rest), false),
        _ => built(&mut Bytes::new(rest), true),
    }
});

/// Two archives of which one comes of the other, as they were built or with edits.
fn built(dice: &mut Bytes<'_>, edits: bool) {
    let entries = deltas::entries(dice, 0);
    let mut old = deltas::zip(&entries, dice);
    let mut new = deltas::zip(&deltas::changed(&entries, dice), dice);
    for _ in 0..if edits { 1 + dice.below(3) } else { 0 } {
        let one = if dice.once_in(2) { &mut old } else { &mut new };
        edit(one, dice);
    }
    let delta = round(&old, &new, Effort::Fast);
    assert!(edits || is_archive(&delta), "an archive that is in order is not taken apart");
    // On another old file it makes another content, or none, within what may be taken.
    edit(&mut old, dice);
    any(&delta, &old, ROOM);
}
