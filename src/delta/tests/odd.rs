//! Archives as few tools write them: with entries that cannot be read, and of the larger kind, ZIP64.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "places in archives that were made just before"
)]

use super::super::tree::{Content, Draft, Store, walk};
use super::*;

/// Where in an archive the two headers of an entry begin.
fn headers(archive: &[u8], name: &str) -> (usize, usize) {
    let find = |signature: &[u8], length: usize| {
        let starts = |at: &usize| {
            archive[*at..].starts_with(signature)
                && archive[at + length..].starts_with(name.as_bytes())
        };
        (0..archive.len() - length).find(starts).unwrap()
    };
    (find(b"PK\x03\x04", 30), find(b"PK\x01\x02", 46))
}

/// The archive, whose entry says that it is compressed so.
pub(super) fn compressed(mut archive: Vec<u8>, name: &str, method: u8) -> Vec<u8> {
    let (local, central) = headers(&archive, name);
    archive[local + 8] = method;
    archive[central + 10] = method;
    archive
}

/// The archive, whose entry says that it inflates to so many bytes.
fn sized_as(mut archive: Vec<u8>, name: &str, size: u32) -> Vec<u8> {
    let (local, central) = headers(&archive, name);
    for at in [local + 22, central + 24] {
        archive[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }
    archive
}

fn stored(name: &'static str, bytes: &[u8]) -> Packed {
    Packed {
        recipe: None,
        ..entry(name, bytes)
    }
}

/// A large entry that changes a little, beside the one that is odd.
fn beside(odd: Packed, word: &[u8]) -> Vec<u8> {
    let mut text = prose(21, 3000);
    text.splice(700..700, word.iter().copied());
    zipped(b"", &[entry("text", &text), odd], "")
}

/// An entry that cannot be inflated gives no old bytes, and all others do.
#[test]
fn an_old_entry_that_cannot_be_inflated_costs_what_it_holds() {
    let odd = prose(22, 20);
    let whole = deflated(&odd, 0);
    let cut = &whole[..whole.len() - 9];
    let longer = [&whole[..], b"more"].concat();
    let olds = [
        compressed(beside(stored("odd", b"is not deflated"), b"one"), "odd", 8),
        compressed(beside(stored("odd", cut), b"one"), "odd", 8),
        compressed(beside(stored("odd", &longer), b"one"), "odd", 8),
        compressed(beside(stored("odd", b""), b"one"), "odd", 8),
        compressed(beside(entry("odd", &odd), b"one"), "odd", 12),
        compressed(beside(entry("odd", &odd), b"one"), "odd", 99),
        sized_as(beside(entry("odd", &odd), b"one"), "odd", 7),
        sized_as(beside(entry("odd", &odd), b"one"), "odd", 70_000),
    ];
    let new = beside(entry("odd", &prose(23, 20)), b"two");
    for (case, old) in olds.iter().enumerate() {
        let delta = round(old, &new, Effort::Default);
        assert!(is_archive(&delta), "case {case}");
        assert!(delta.len() < 1_000, "case {case}: {} bytes", delta.len());
        // The other way round its stored bytes travel.
        let delta = round(&new, old, Effort::Default);
        assert!(is_archive(&delta), "case {case}");
        // And where both are odd.
        let other = beside(stored("odd", b"is something else"), b"two");
        let other = compressed(other, "odd", 8);
        assert!(
            is_archive(&round(old, &other, Effort::Default)),
            "case {case}"
        );
    }
}

#[test]
fn an_old_archive_inside_that_cannot_be_inflated_is_no_base() {
    let inner = |word: &[u8]| {
        let text = [&prose(24, 30)[..], word].concat();
        zipped(b"", &[entry("x", &text)], "")
    };
    let old = sized_as(beside(entry("odd", &inner(b"one")), b"one"), "odd", 9);
    let new = beside(entry("odd", &inner(b"two")), b"two");
    assert!(is_archive(&round(&old, &new, Effort::Default)));
    // Whoever says that it is one all the same is refused.
    let scratch = Memory::default();
    let budget = super::super::budget::Budget::new(Room::ENDLESS);
    let mut store = Store::new(&old, &scratch, &budget);
    let inner = Content::Nested {
        recipe: None,
        inner: Box::new(Draft::default()),
    };
    let draft = Draft {
        nodes: vec![(Some(1), inner)],
    };
    let mut writing = super::super::writing::Writing::new();
    let place = store.whole();
    let error = walk(&mut writing, &mut store, place, &draft, 0).map(drop);
    let said = error.unwrap_err().to_string();
    assert!(said.contains("cannot be inflated"), "{said}");
}

/// An archive with the two records of ZIP64 before its end; in the end itself is what is true, or all ones.
fn large(archive: &[u8], ones: bool, more: &[u8]) -> Vec<u8> {
    let end = archive.len() - 22;
    let (rest, tail) = archive.split_at(end);
    let mut tail = tail.to_vec();
    let number = |at: usize, size: usize| {
        let mut eight = [0; 8];
        eight[..size].copy_from_slice(&tail[at..at + size]);
        eight
    };
    let (entries, size, at) = (number(8, 2), number(12, 4), number(16, 4));
    if ones {
        tail[8..20].fill(0xff);
    }
    let length = u64::try_from(44 + more.len()).unwrap().to_le_bytes();
    let versions = [45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let record = [&b"PK\x06\x06"[..], &length, &versions, &entries, &entries];
    let record = [&record.concat()[..], &size, &at, more].concat();
    let place = u64::try_from(end).unwrap().to_le_bytes();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &place, &[1, 0, 0, 0]].concat();
    [rest, &record, &locator, &tail].concat()
}

#[test]
fn a_directory_that_zip64_records_name_is_opened() {
    let plain = |word: &[u8]| beside(entry("odd", b"same"), word);
    let (old, new) = (plain(b"one"), plain(b"two"));
    let small = round(&old, &new, Effort::Default).len();
    for ones in [false, true] {
        let larger = |archive| large(archive, ones, b"");
        let delta = round(&larger(&old), &larger(&new), Effort::Default);
        assert!(is_archive(&delta));
        // All ones are not foretold where what is true would have room.
        let more = if ones { 150 } else { 20 };
        assert!(delta.len() < small + more, "{} bytes", delta.len());
        for (old, new) in [
            (larger(&old), new.clone()),
            (old.clone(), larger(&new)),
            (larger(&old), large(&new, ones, b"more of a later version")),
        ] {
            let delta = round(&old, &new, Effort::Default);
            assert!(is_archive(&delta));
            assert!(delta.len() < small + 150, "{} bytes", delta.len());
        }
    }
}

#[test]
fn a_zip64_record_that_is_not_where_it_should_be_makes_no_archive() {
    let (old, new) = (
        beside(entry("odd", b"same"), b"one"),
        large(&beside(entry("odd", b"same"), b"two"), true, b""),
    );
    let record = new.len() - 22 - 20 - 56;
    for (at, byte) in [
        (record, b'X'),
        // The place of the directory, and its size.
        (record + 48, new[record + 48] ^ 1),
        (record + 40, new[record + 40] ^ 1),
        (record + 47, 0xff),
        // The place of the record.
        (record + 56 + 8, new[record + 64] ^ 1),
        (record + 56 + 15, 0xff),
    ] {
        let mut bad = new.clone();
        bad[at] = byte;
        assert!(!is_archive(&round(&old, &bad, Effort::Default)), "{at}");
        assert!(!is_archive(&round(&bad, &old, Effort::Default)), "{at}");
    }
}

/// What a tool writes that does not know how large an entry becomes: all ones in front of the data, the
/// sizes in an extra field, and in a descriptor of eight bytes each. Or it does know, and says it in the
/// directory: such an entry is not understood.
#[test]
fn entries_with_zip64_fields_are_opened_or_are_bytes_like_others() {
    let extra = |size: u64| {
        let sizes = [size.to_le_bytes(), size.to_le_bytes()].concat();
        [&[1, 0, 16, 0][..], &sizes].concat()
    };
    let streamed = |word: &[u8]| {
        let mut odd = entry("odd", b"some words");
        odd.extra = extra(0);
        let mut archive = beside(odd, word);
        let (local, _) = headers(&archive, "odd");
        archive[local + 4] = 45;
        archive[local + 18..local + 26].fill(0xff);
        archive
    };
    let delta = round(&streamed(b"one"), &streamed(b"two"), Effort::Default);
    assert!(is_archive(&delta));
    assert!(delta.len() < 300, "{} bytes", delta.len());
    let described = |word: &[u8]| {
        let archive = streamed(word);
        let (local, central) = headers(&archive, "odd");
        let mut archive = archive;
        archive[local + 6] |= 8;
        archive[central + 8] |= 8;
        let end = archive.len() - 22;
        let directory = u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap());
        let at = usize::try_from(directory).unwrap();
        let sums = [
            &b"PK\x07\x08"[..],
            &[7; 4],
            &[9, 0, 0, 0, 0, 0, 0, 0].repeat(2),
        ]
        .concat();
        archive.splice(at..at, sums);
        let end = archive.len() - 22;
        archive[end + 16..end + 20].copy_from_slice(&(directory + 24).to_le_bytes());
        archive
    };
    let delta = round(&described(b"one"), &described(b"two"), Effort::Default);
    assert!(is_archive(&delta));
    let known = |word: &[u8]| {
        let mut odd = entry("odd", b"some words");
        odd.extra = extra(10);
        let mut archive = beside(odd, word);
        let (local, central) = headers(&archive, "odd");
        archive[local + 18..local + 26].fill(0xff);
        archive[central + 20..central + 28].fill(0xff);
        archive
    };
    assert!(!is_archive(&round(
        &known(b"one"),
        &known(b"two"),
        Effort::Default
    )));
    assert!(!is_archive(&round(
        &known(b"one"),
        &streamed(b"two"),
        Effort::Default
    )));
}
