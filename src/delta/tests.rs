//! What goes in comes out: plain bytes, archives, archives inside of archives, and what only looks like
//! one; and what was damaged on the way is refused, or is found by its digest.

#![cfg(feature = "desk")]

mod golden;
mod odd;

use flate2::Crc;
use proptest::prelude::*;

use super::flate::{Deflating, Recipe};
use super::*;

/// Makes a delta, and checks that it makes `new` again within what it says that it took.
fn round(old: &[u8], new: &[u8], effort: Effort) -> Vec<u8> {
    let delta = encode(&old, &new, effort, &|_, _| true).unwrap();
    let (made, room) = sized(&delta, old, new.len(), Room::ENDLESS).unwrap();
    assert!(made == new, "another content came out");
    let (again, _) = apply(&delta, old, room).unwrap();
    assert_eq!(again.len(), new.len());
    for less in [
        Room {
            memory: room.memory.saturating_sub(1),
            ..room
        },
        Room {
            scratch: room.scratch.saturating_sub(1),
            ..room
        },
    ] {
        if less != room {
            let refused = apply(&delta, old, less);
            assert!(matches!(refused, Err(DeltaError::TooLarge { .. })));
        }
    }
    delta
}

/// So much done of so much, each time that it is told.
type Told = Vec<(u64, u64)>;

/// What somebody who waits is told: all steps, and an end when `last` of them were made.
fn ended_after(old: &[u8], new: &[u8], last: usize) -> (Result<Vec<u8>, DeltaError>, Told) {
    let told = std::sync::Mutex::new(Vec::new());
    let made = encode(&old, &new, Effort::Default, &|done: u64, total: u64| {
        let mut told = told.lock().unwrap();
        told.push((done, total));
        told.len() <= last
    });
    (made, told.into_inner().unwrap())
}

#[test]
fn making_one_tells_how_far_it_is_and_ends_at_every_step() {
    let old: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| (n / 7).to_le_bytes())
        .collect();
    let mut new = old.clone();
    let noise = |n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes();
    new.splice(200_000..200_000, (0..40_000).flat_map(noise));
    let (made, told) = ended_after(&old, &new, usize::MAX);
    let delta = made.unwrap();
    assert_eq!(apply(&delta, &old, Room::ENDLESS).unwrap().0, new);
    assert!(told.len() >= 6, "{told:?}");
    assert!(told.iter().all(|(done, total)| done <= total), "{told:?}");
    let (done, total) = told.last().unwrap();
    assert_eq!(done, total, "all is done at the end");
    for last in 0..told.len() {
        let (made, _) = ended_after(&old, &new, last);
        match made {
            Err(DeltaError::Io(error)) => {
                assert_eq!(error.kind(), std::io::ErrorKind::Interrupted);
            }
            other => panic!(
                "not ended after step {last}: {:?}",
                other.map(|delta| delta.len())
            ),
        }
    }
}

/// Whatever size the delta states.
fn apply(delta: &[u8], old: &[u8], most: Room) -> Result<(Vec<u8>, Room), DeltaError> {
    let size = super::streams::Head::read(&delta)?.size;
    sized(
        delta,
        old,
        usize::try_from(size).unwrap_or(usize::MAX),
        most,
    )
}

fn sized(delta: &[u8], old: &[u8], size: usize, most: Room) -> Result<(Vec<u8>, Room), DeltaError> {
    let mut made = Vec::new();
    let size = size.try_into().unwrap_or(u64::MAX);
    let room = decode(
        &delta,
        &old,
        &Memory::default(),
        (size, most),
        &mut |bytes| {
            made.extend_from_slice(bytes);
            Ok(())
        },
    )?;
    Ok((made, room))
}

/// An entry of an archive that a test makes.
#[derive(Clone)]
struct Packed {
    name: &'static str,
    bytes: Vec<u8>,
    /// None is stored; then level by [`Recipe`]'s number.
    recipe: Option<u8>,
    described: bool,
    date: u32,
    extra: Vec<u8>,
    comment: &'static str,
}

fn entry(name: &'static str, bytes: &[u8]) -> Packed {
    Packed {
        name,
        bytes: bytes.to_vec(),
        recipe: Some(0),
        described: false,
        date: 0x5a21_6000,
        extra: Vec::new(),
        comment: "",
    }
}

fn deflated(bytes: &[u8], recipe: u8) -> Vec<u8> {
    let mut deflating = Deflating::new(Recipe::of(recipe).unwrap()).unwrap();
    let mut packed = Vec::new();
    let mut keep = |piece: &[u8]| {
        packed.extend_from_slice(piece);
        Ok(true)
    };
    deflating.write(bytes, &mut keep).unwrap();
    deflating.end(&mut keep).unwrap();
    packed
}

/// A zip archive of these entries.
fn zipped(prefix: &[u8], entries: &[Packed], comment: &str) -> Vec<u8> {
    let mut all = prefix.to_vec();
    let mut directory = Vec::new();
    let short = |value: usize| u16::try_from(value).unwrap().to_le_bytes();
    let long = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    for one in entries {
        let at = all.len();
        let stored = one
            .recipe
            .map_or(one.bytes.clone(), |recipe| deflated(&one.bytes, recipe));
        let mut crc = Crc::new();
        crc.update(&one.bytes);
        let sums = [
            crc.sum().to_le_bytes(),
            long(stored.len()),
            long(one.bytes.len()),
        ]
        .concat();
        let flags = if one.described { [8, 0] } else { [0, 0] };
        let method = if one.recipe.is_some() { [8, 0] } else { [0, 0] };
        let shared = [&[20, 0][..], &flags, &method, &one.date.to_le_bytes()].concat();
        let local_sums = if one.described {
            vec![0; 12]
        } else {
            sums.clone()
        };
        let lengths = [short(one.name.len()), short(one.extra.len())].concat();
        all.extend([&b"PK\x03\x04"[..], &shared, &local_sums, &lengths].concat());
        all.extend(one.name.as_bytes());
        all.extend(&one.extra);
        all.extend(stored);
        if one.described {
            all.extend(b"PK\x07\x08");
            all.extend(&sums);
        }
        directory.extend([&b"PK\x01\x02"[..], &[20, 3], &shared, &sums, &lengths].concat());
        directory.extend(short(one.comment.len()));
        directory.extend([0, 0, 0, 0, 0xa4, 0x81, 0, 0]);
        directory.extend(long(at));
        directory.extend(one.name.as_bytes());
        directory.extend(&one.extra);
        directory.extend(one.comment.as_bytes());
    }
    let at = all.len();
    all.extend(&directory);
    all.extend(b"PK\x05\x06\0\0\0\0");
    all.extend([short(entries.len()), short(entries.len())].concat());
    all.extend([long(directory.len()), long(at)].concat());
    all.extend(short(comment.len()));
    all.extend(comment.as_bytes());
    all
}

/// Text that deflates well and is nowhere the same.
fn prose(seed: u32, lines: u32) -> Vec<u8> {
    let line = |n: u32| {
        let word = n.wrapping_mul(seed | 1).wrapping_mul(2_654_435_761) >> 7;
        format!("line {n} of {seed}: {word:08x} is what it says\n")
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

fn is_archive(delta: &[u8]) -> bool {
    delta[4] == 1
}

#[test]
fn a_small_change_in_plain_bytes_makes_a_small_delta() {
    let old = prose(1, 4000);
    let mut new = old.clone();
    new.splice(1000..1010, *b"something else stands here now");
    new[90_000] ^= 1;
    for effort in [Effort::Fast, Effort::Default, Effort::Best] {
        let delta = round(&old, &new, effort);
        assert!(delta.len() < 250, "{effort:?}: {} bytes", delta.len());
    }
}

#[test]
fn the_smallest_contents_go_round() {
    for old in [&b""[..], b"a", b"ab", b"abcabcabcabcabcabcabc"] {
        for new in [&b""[..], b"a", b"b", b"abcabcabcabcabcabcabd"] {
            round(old, new, Effort::Default);
            round(old, new, Effort::Fast);
        }
    }
}

#[test]
fn a_change_deep_in_an_archive_costs_what_it_is() {
    let class = prose(7, 2000);
    let mut changed = class.clone();
    changed.splice(500..520, *b"another way to say it");
    let inner = |class: &[u8], date| {
        let mut all = vec![
            entry("a/A.class", class),
            entry("b/B.class", &prose(9, 900)),
        ];
        for one in &mut all {
            one.date = date;
        }
        zipped(b"", &all, "inner")
    };
    let outer = |class: &[u8], date| {
        let mut jar = entry("lib/inner-1.0.jar", &inner(class, date));
        jar.recipe = None;
        let mut deep = entry("lib/deep.jar", &inner(class, date));
        deep.date = date;
        let mut text = entry("readme.txt", &prose(3, 300));
        text.date = date;
        zipped(b"#!/bin/sh\n", &[jar, deep, text], "")
    };
    let old = outer(&class, 0x5a21_6000);
    let new = outer(&changed, 0x5b42_7123);
    let delta = round(&old, &new, Effort::Default);
    assert!(is_archive(&delta));
    assert!(delta.len() < 700, "{} bytes", delta.len());
}

#[test]
fn every_recipe_is_found_again() {
    let old = zipped(b"", &[entry("x", &prose(1, 3000))], "");
    for number in 0..18 {
        let mut one = entry("x", &prose(2, 3000));
        one.recipe = Some(number);
        let delta = round(&old, &zipped(b"", &[one], ""), Effort::Fast);
        assert!(is_archive(&delta));
    }
}

#[test]
fn what_no_recipe_makes_travels_as_it_is_stored() {
    let plain = prose(5, 2000);
    let mut stored = deflated(&plain[..30_000], 0);
    // Two streams end to end are what no deflater makes; the second one is never looked at by a reader
    // that stops at the first. As an entry it cannot be inflated to its end.
    stored.extend(deflated(&plain[30_000..], 3));
    let old = zipped(b"", &[entry("x", &plain)], "");
    let mut raw = entry("x", &stored);
    raw.recipe = None;
    let mut new = zipped(b"", &[raw], "");
    // It says that it is deflated.
    let directory = new.len() - 22 - 46 - 1;
    new[8] = 8;
    new[directory + 10] = 8;
    let delta = round(&old, &new, Effort::Default);
    assert!(is_archive(&delta));
}

#[test]
fn entries_come_go_move_and_are_renamed() {
    let texts: Vec<Vec<u8>> = (0..8).map(|seed| prose(seed, 400)).collect();
    let old = zipped(
        b"",
        &[
            entry("lib/guava-31.1.jar", &texts[0]),
            entry("a", &texts[1]),
            entry("b", &texts[2]),
            entry("gone", &texts[3]),
        ],
        "old",
    );
    let mut described = entry("new", &texts[4]);
    described.described = true;
    described.extra = vec![0xfe, 0xca, 0, 0];
    described.comment = "it is new";
    let mut renamed = texts[0].clone();
    renamed.splice(10..12, *b"else");
    let new = zipped(
        b"",
        &[
            entry("b", &texts[2]),
            described,
            entry("lib/guava-32.0.jar", &renamed),
            entry("a-moved", &texts[1]),
            entry("empty", b""),
        ],
        "new",
    );
    let delta = round(&old, &new, Effort::Default);
    assert!(is_archive(&delta));
    round(&new, &old, Effort::Default);
}

#[test]
fn what_only_looks_like_an_archive_is_bytes_like_others() {
    let good = zipped(
        b"",
        &[entry("a", &prose(1, 100)), entry("b", &prose(2, 100))],
        "c",
    );
    let mut overlap = good.clone();
    let place = good.len() - 1 - 22 - 47 + 42;
    overlap[place..place + 4].copy_from_slice(&3_u32.to_le_bytes());
    let mut cut = good.clone();
    cut.truncate(good.len() - 5);
    let mut behind = good.clone();
    behind.extend(b"more");
    let mut beyond = good.clone();
    beyond[place..place + 4].copy_from_slice(&u32::try_from(good.len() + 9).unwrap().to_le_bytes());
    for bad in [
        overlap,
        cut,
        behind,
        beyond,
        b"PK\x03\x04PK\x05\x06".to_vec(),
    ] {
        let delta = round(&good, &bad, Effort::Default);
        assert!(!is_archive(&delta));
        round(&bad, &good, Effort::Default);
    }
}

#[test]
fn a_damaged_delta_ends_within_its_bounds() {
    let old = zipped(
        b"",
        &[entry("a", &prose(1, 900)), entry("b", &prose(2, 900))],
        "",
    );
    let mut a = entry("a", &prose(1, 950));
    a.described = true;
    let new = zipped(b"", &[a, entry("c", &prose(4, 300))], "");
    let plain = (prose(6, 500), prose(6, 520));
    for (old, new) in [(&old, &new), (&plain.0, &plain.1)] {
        let good = round(old, new, Effort::Default);
        let (_, room) = apply(&good, old, Room::ENDLESS).unwrap();
        let room = Room {
            memory: room.memory + (1 << 20),
            scratch: room.scratch + 4096,
        };
        for at in 0..good.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                if let Ok((made, _)) = sized(&bad, old, new.len(), room) {
                    assert_eq!(made.len(), new.len());
                }
            }
            assert!(apply(&good[..at], old, room).is_err(), "cut at {at}");
        }
        let mut longer = good.clone();
        longer.push(0);
        assert!(apply(&longer, old, room).is_err());
        // Another old content: it is refused, or its digest is another one.
        let mut other = old.clone();
        other.reverse();
        assert!(
            apply(&good, &other, room).is_err() || apply(&good, &other, room).unwrap().0 != *new
        );
    }
}

/// The numbers of a delta's head, and its frames.
fn head(delta: &[u8]) -> (Vec<u64>, &[u8]) {
    let mut left = &delta[5..];
    let numbers = (0..15).map(|_| {
        super::varint::take(|| {
            let (first, rest) = left.split_first().unwrap();
            left = rest;
            Ok(*first)
        })
    });
    let numbers = numbers.collect::<Result<_, _>>().unwrap();
    (numbers, left)
}

/// A delta with another last frame.
fn with_last_frame(delta: &[u8], frame: &[u8]) -> Vec<u8> {
    let (mut numbers, frames) = head(delta);
    let last = usize::try_from(numbers[14]).unwrap();
    let kept = frames.len().checked_sub(last).unwrap();
    numbers[14] = frame.len().try_into().unwrap();
    let mut forged = delta[..5].to_vec();
    for number in numbers {
        super::varint::put(&mut forged, number);
    }
    forged.extend(&frames[..kept]);
    forged.extend(frame);
    forged
}

#[test]
fn a_forged_head_or_frame_is_refused() {
    let old = prose(1, 300);
    let new = [
        &old[..],
        b"what is nowhere in the old bytes is a literal of its own",
    ]
    .concat();
    let good = round(&old, &new, Effort::Default);
    let (numbers, frames) = head(&good);
    let last = usize::try_from(numbers[14]).unwrap();
    let (_, last) = frames.split_at(frames.len().checked_sub(last).unwrap());
    let refused = |delta: &[u8]| {
        let made = sized(delta, &old, new.len(), Room::ENDLESS);
        made.map(drop).unwrap_err()
    };
    assert_eq!(with_last_frame(&good, last), good);
    let says = |error: DeltaError| error.to_string();
    // Another size than the content's: nothing is made of it.
    let error = sized(&good, &old, new.len() + 1, Room::ENDLESS)
        .map(drop)
        .unwrap_err();
    assert!(says(error).contains("another number of bytes"));
    // Bytes behind a frame.
    let error = refused(&with_last_frame(&good, &[last, b"more"].concat()));
    let said = says(error);
    assert!(said.contains("more than was asked for"), "{said}");
    // A window of 8 MiB for a few kilobytes.
    let plain = zstd::decode_all(last).unwrap();
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(23).unwrap();
    std::io::Write::write_all(&mut wide, &plain).unwrap();
    let error = refused(&with_last_frame(&good, &wide.finish().unwrap()));
    assert!(says(error).contains("cannot be decompressed"));
}

#[test]
fn an_old_archive_is_opened_once() {
    let inner = zipped(b"", &[entry("x", &prose(1, 50))], "");
    let old = zipped(b"", &[entry("a.jar", &inner)], "");
    let nested = || {
        let inner = Box::new(super::tree::Draft::default());
        (
            Some(0),
            super::tree::Content::Nested {
                recipe: None,
                inner,
            },
        )
    };
    let walked = |nodes| {
        let scratch = Memory::default();
        let budget = super::budget::Budget::new(Room::ENDLESS);
        let mut store = super::tree::Store::new(&old, &scratch, &budget);
        let place = store.whole();
        let draft = super::tree::Draft { nodes };
        let mut writing = super::writing::Writing::new();
        super::tree::walk(&mut writing, &mut store, place, &draft, 0).map(drop)
    };
    assert!(walked(vec![nested()]).is_ok());
    let error = walked(vec![nested(), nested()]).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn many_archives_in_one_take_no_more_than_one() {
    const NAMES: [&str; 60] = {
        let mut names = [""; 60];
        let all = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567";
        let mut at = 0;
        while at < 60 {
            names[at] = all.split_at(at + 1).0;
            at += 1;
        }
        names
    };
    let war = |word: u32| {
        let jars: Vec<Packed> = NAMES
            .iter()
            .map(|name| {
                let mut text = prose(3, 40);
                text.extend(word.to_be_bytes());
                entry(name, &zipped(b"", &[entry("x", &text)], ""))
            })
            .collect();
        zipped(b"", &jars, "")
    };
    let (old, new) = (war(1), war(2));
    let delta = round(&old, &new, Effort::Default);
    let (_, room) = apply(&delta, &old, Room::ENDLESS).unwrap();
    assert!(is_archive(&delta));
    assert!(room.memory < 20 * 1024 * 1024, "{} bytes", room.memory);
}

/// Where a match goes on, nothing is compared again byte by byte: a block that comes twice, each time a
/// little different, would take hours.
#[test]
fn blocks_that_come_again_take_no_time() {
    let block = prose(4, 20_000);
    let mut other = block.clone();
    other[100] ^= 1;
    let end = other.len() - 100;
    other[end] ^= 1;
    let start = prose(5, 100);
    let old = [&start[..], &block, &other].concat();
    let new = [&start[..], &other].concat();
    round(&old, &new, Effort::Default);
}

/// Edits as they happen: bytes replaced, taken out, put in, moved.
fn edited(old: &[u8], edits: &[(u8, u16, u8)]) -> Vec<u8> {
    let mut new = old.to_vec();
    for (kind, place, size) in edits {
        let at = usize::from(*place).min(new.len());
        let end = at.saturating_add(usize::from(*size)).min(new.len());
        match kind % 4 {
            0 => new[at..end]
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(3)),
            1 => drop(new.drain(at..end)),
            2 => drop(new.splice(at..at, old.iter().copied().take(usize::from(*size)))),
            _ => {
                let moved: Vec<u8> = new.drain(at..end).collect();
                new.extend(moved);
            }
        }
    }
    new
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn edits_go_round(
        seed in any::<u32>(),
        lines in 0_u32..200,
        edits in prop::collection::vec((any::<u8>(), 0_u16..8000, any::<u8>()), 0..12),
        fast in any::<bool>(),
    ) {
        let old = prose(seed, lines);
        let new = edited(&old, &edits);
        let effort = if fast { Effort::Fast } else { Effort::Default };
        round(&old, &new, effort);
    }

    #[test]
    fn any_bytes_go_round(
        old in prop::collection::vec(0_u8..4, 0..600),
        new in prop::collection::vec(0_u8..4, 0..600),
    ) {
        round(&old, &new, Effort::Default);
        round(&old, &new, Effort::Fast);
    }

    #[test]
    fn edited_archives_go_round(
        edits in prop::collection::vec((any::<u8>(), 0_u16..4000, any::<u8>()), 0..6),
        inside in prop::collection::vec((any::<u8>(), 0_u16..4000, any::<u8>()), 0..6),
        recipe in 0_u8..18,
        described in any::<bool>(),
    ) {
        let text = prose(11, 150);
        let mut one = entry("x/y.class", &text);
        let old = zipped(b"", &[one.clone(), entry("z", &prose(12, 50))], "");
        one.bytes = edited(&text, &inside);
        one.recipe = Some(recipe);
        one.described = described;
        let new = zipped(b"", &[one, entry("z", &prose(12, 50))], "");
        round(&old, &new, Effort::Default);
        // And archives that were damaged.
        round(&old, &edited(&new, &edits), Effort::Default);
        round(&edited(&old, &edits), &new, Effort::Default);
    }
}
