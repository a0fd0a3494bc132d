//! The operations of a patch: one spelling of one list, of as many as are spoken of, which take the packs from
//! front to back.

#![no_main]

mod shared;
use shared::json;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::model::operation::{Codec, Tally};
use lockstep::model::patch::{Pack, Patch};
use lockstep::model::Sha256;
use lockstep::spr::Opened;
use lockstep::spr::lines::LineWriter;
use lockstep::trust::patch::operations;
use serde_json::json as value;

use json::Json;
use shared::Bytes;
use shared::dice::Dice as _;

static PATCH: LazyLock<Patch> = LazyLock::new(|| {
    let files = shared::golden("patch-whole");
    let file = files.first().expect("a golden patch");
    Opened::open(file.as_slice())
        .and_then(|opened| opened.decode())
        .expect("it is in order")
});
static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let codecs = Codec::ALL.iter().map(ToString::to_string);
    codecs.chain([Sha256::of(b"").to_string(), "0".to_owned()]).collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let (plain, tally) = if mode & 1 == 0 {
        (rest.to_vec(), tally(rest))
    } else {
        built(&mut Bytes::new(rest))
    };
    let Ok(packed) = zstd::bulk::compress(&plain, 1) else {
        return;
    };
    check(&packed, &plain, tally);
    // Not packed at all.
    check(&plain, &plain, tally);
});

/// What is to be said of a list as it stands there.
fn tally(list: &[u8]) -> Tally {
    let text = String::from_utf8_lossy(list);
    let count = |codec: Codec| {
        let word = format!("\"codec\":\"{codec}\"");
        u64::try_from(text.matches(&word).count()).unwrap_or(0)
    };
    Tally {
        copied: count(Codec::Copy),
        deltas: count(Codec::Delta),
        size: u64::try_from(list.len()).unwrap_or(0),
        whole: count(Codec::Whole),
    }
}

/// A few operations in order, with edits, and what is said of them.
fn built(dice: &mut Bytes<'_>) -> (Vec<u8>, Tally) {
    let mut offset = 0;
    let mut counts = [0_u64; 3];
    let mut lines = Vec::new();
    for index in 0..dice.below(5) {
        let content = Sha256::of(&[u8::try_from(index).unwrap_or(0)]);
        let kind = dice.below(3);
        counts[kind] += 1;
        let length = if kind == 0 { 0 } else { 1 + dice.below(9) };
        let mut line = value!({
            "codec": Codec::ALL[kind].to_string(), "content": content, "length": length, "memory": 0,
            "offset": offset, "size": length
        });
        match kind {
            0 => line["base"] = value!(content),
            2 => line["base"] = value!(Sha256::of(b"base")),
            _ => {}
        }
        offset += length;
        lines.push(Json::of(line));
    }
    for _ in 0..dice.below(3) {
        let at = dice.below(lines.len().max(1));
        if let Some(line) = lines.get_mut(at) {
            json::edit(line, &POOL, dice);
        }
    }
    let mut plain: Vec<u8> = lines
        .into_iter()
        .flat_map(|line| [line.bytes(), b"\n".to_vec()].concat())
        .collect();
    if dice.once_in(8) && !plain.is_empty() {
        let at = dice.below(plain.len());
        plain[at] = dice.byte();
    }
    let mut tally = Tally {
        copied: counts[0],
        whole: counts[1],
        deltas: counts[2],
        size: u64::try_from(plain.len()).unwrap_or(0),
    };
    if dice.once_in(8) {
        tally.size = tally.size.wrapping_add(u64::from(dice.byte()) % 3).saturating_sub(1);
    }
    (plain, tally)
}

fn check(packed: &[u8], plain: &[u8], tally: Tally) {
    let mut patch = PATCH.clone();
    patch.operations = Some(tally);
    // No pack, or one of a size that fits the list.
    for total in 0..48 {
        let pack = Pack {
            member: Patch::pack_member(0),
            size: total,
        };
        patch.packs = if total == 0 { vec![] } else { vec![pack] };
        let Ok(list) = operations(&patch, Some(packed)) else {
            continue;
        };
        let mut again = LineWriter::new(Vec::new());
        for operation in &list {
            again.write(operation).expect("what was read can be written");
        }
        let again = again.into_inner();
        assert_ne!(packed, plain, "a list that is not packed");
        assert_eq!(again, plain, "a second spelling");
        assert_eq!(u64::try_from(again.len()).ok(), Some(tally.size));
        assert_eq!(Tally::of(&list, tally.size), Some(tally));
        let mut at = 0;
        for operation in &list {
            assert_eq!(operation.offset, at);
            assert!(operation.is_shaped() && operation.memory <= patch.memory);
            at += operation.length;
        }
        assert_eq!(at, total);
    }
}
