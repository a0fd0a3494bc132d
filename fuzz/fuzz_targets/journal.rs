//! The journal: one spelling under one seal; and whatever stands at a path and in a slot, a move is
//! judged old, new or neither, never old and new.

#![no_main]

mod shared;
use shared::json;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::disk::journal;
use lockstep::model::{Blake3, Sha256};
use lockstep::plan::recovery::{
    Direction, Inode, Journal, Kind, Mark, Move, Seen, Standing, classify, decide,
};
use serde_json::json as value;

use json::Json;
use shared::Bytes;
use shared::dice::Dice;

static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let texts = [
        "0", "1", "18446744073709551615", "-1", "01", "data/x", "data", "logs/y", "lib/a", "file",
        "folder", "link", ".lockstep/key", "../x",
    ];
    texts.iter().map(|text| (*text).to_owned()).collect()
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode % 3 {
        0 => check(rest),
        1 => check(&sealed(rest)),
        _ => check(&built(&mut Bytes::new(rest))),
    }
});

/// The bytes under a seal that fits: what is behind it is what is asked about.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{}\n", Sha256::of(body)).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A journal of a few moves, with edits, under a seal that fits or not.
fn built(dice: &mut Bytes<'_>) -> Vec<u8> {
    let entries: Vec<_> = (0..dice.below(5)).map(|slot| entry(slot, dice)).collect();
    let areas: &[&str] = if dice.once_in(2) { &["data", "logs"] } else { &[] };
    let shut = usize::from(dice.once_in(2));
    let head = value!({
        "areas": areas.len(), "format": 0, "moves": entries.len(), "sequence": dice.below(4), "shut": shut
    });
    let folder = value!({"inode": "7", "mode": dice.below(0o20000), "path": "lib"});
    let points = areas.iter().map(|point| value!({"point": point}));
    let lines = std::iter::once(head).chain(points).chain(entries).chain((0..shut).map(|_| folder.clone()));
    let mut lines: Vec<Json> = lines.map(Json::of).collect();
    for _ in 0..dice.below(3) {
        let at = dice.below(lines.len());
        json::edit(&mut lines[at], &POOL, dice);
    }
    let line = |line: Json| [line.bytes(), b"\n".to_vec()].concat();
    let mut bytes = sealed(&lines.into_iter().flat_map(line).collect::<Vec<u8>>());
    if dice.once_in(8) {
        let at = dice.below(bytes.len());
        bytes[at] = dice.byte();
    }
    bytes
}

fn entry(slot: usize, dice: &mut Bytes<'_>) -> serde_json::Value {
    let (staged, displaced) = (mark(dice), mark(dice));
    let action = match dice.below(3) {
        0 => value!({"exchange": {"displaced": displaced, "staged": staged}}),
        1 => value!({"place": {"staged": staged}}),
        _ => value!({"remove": {"displaced": displaced}}),
    };
    let places = ["", "data/", "logs/"];
    let place = dice.pick(&places).copied().unwrap_or_default();
    let mut entry = value!({"action": action, "path": format!("{place}f{slot}"), "slot": slot});
    if !place.is_empty() && dice.once_in(2) {
        entry["area"] = value!(1 + dice.below(3));
    }
    entry
}

fn mark(dice: &mut Bytes<'_>) -> serde_json::Value {
    let kinds = ["file", "folder", "link"];
    let kind = dice.pick(&kinds).copied().unwrap_or("file");
    let mut mark = value!({"inode": dice.below(4).to_string(), "kind": kind});
    if dice.once_in(2) {
        mark["blake3"] = value!(Blake3::of(b"x").to_string());
    }
    mark
}

fn check(bytes: &[u8]) {
    let Ok(journal) = journal::decode(Cursor::new(bytes)) else {
        return;
    };
    let mut again = Cursor::new(Vec::new());
    journal::encode(&mut again, &journal).expect("what was decoded can be encoded");
    assert_eq!(again.into_inner(), bytes, "a second spelling");
    let paths: BTreeSet<_> = journal.entries.iter().map(|e| &e.path).collect();
    let slots: BTreeSet<_> = journal.entries.iter().map(|e| e.slot).collect();
    assert_eq!(paths.len(), journal.entries.len(), "a path twice");
    assert_eq!(slots.len(), journal.entries.len(), "a slot twice");
    for entry in &journal.entries {
        judged(entry);
        let area = journal.area(entry.area).expect("an area that there is");
        let inside = area.is_none_or(|point| {
            let below = format!("{}/", point.as_str());
            entry.path.as_str().starts_with(&below)
        });
        assert!(inside, "{} outside of its area", entry.path);
        assert!(!entry.path.as_str().starts_with(".lockstep"), "the node's state moves");
    }
    went(&journal);
}

/// Every pair of what can stand at path and slot: the pair before is old, the pair after is new, and
/// every other is neither.
fn judged(entry: &Move) {
    let seen = |mark: Option<&Mark>| {
        mark.map(|mark| Seen {
            inode: mark.inode,
            kind: Some(mark.kind),
        })
    };
    let (old, new) = (seen(entry.displaced()), seen(entry.staged()));
    let alien = Some(Seen {
        inode: Inode(99),
        kind: Some(Kind::File),
    });
    let device = old.or(new).map(|seen| Seen { kind: None, ..seen });
    let all = [None, old, new, alien, device];
    for path in all {
        for slot in all {
            let wanted = if (path, slot) == (old, new) {
                Standing::Old
            } else if (path, slot) == (new, old) {
                Standing::New
            } else {
                Standing::Neither
            };
            assert_eq!(classify(entry, path, slot), wanted, "{entry:?} {path:?} {slot:?}");
        }
    }
}

/// The commit alone says which way.
fn went(journal: &Journal) {
    for current in [journal.sequence.saturating_sub(1), journal.sequence, journal.sequence + 1] {
        let wanted = if current < journal.sequence {
            Direction::Back
        } else {
            Direction::Tidy
        };
        assert_eq!(decide(journal, current), wanted);
    }
}
