//! How the golden deltas under `fixtures/delta/` were made, which `tests/golden.rs` reads:
//! `cargo test --lib -- --ignored golden_deltas`.
#![expect(
    clippy::disallowed_methods,
    reason = "it writes fixtures, by hand alone"
)]

use std::path::Path;

use super::*;

/// An entry that was made at another time than most.
fn dated(one: Packed, date: u32) -> Packed {
    Packed { date, ..one }
}

fn inner(text: &[u8], date: u32) -> Vec<u8> {
    let all = [
        dated(entry("c/C.class", text), date),
        dated(entry("c/D.class", &prose(34, 30)), date),
    ];
    zipped(b"", &all, "inside")
}

/// What jars have: a manifest, classes of which one changed, a jar inside that changed as well.
fn old_jar() -> Vec<u8> {
    let mut library = entry("lib/inner-1.0.jar", &inner(&prose(33, 60), 0x5a21_6000));
    library.recipe = None;
    let all = [
        entry("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n\r\n"),
        entry("a/A.class", &prose(31, 60)),
        entry("a/B.class", &prose(32, 30)),
        library,
        entry("gone.txt", b"it is not there any more"),
        entry("raw.bin", &prose(35, 10)),
    ];
    zipped(b"#!/bin/sh\nexec java -jar $0\n", &all, "old")
}

/// The next one: another recipe, a descriptor, an extra field, a new entry, one that no recipe makes.
fn new_jar() -> Vec<u8> {
    let date = 0x5b42_7123;
    let mut class = prose(31, 60);
    class.splice(900..910, *b"another way to say it");
    class[1500] ^= 0x10;
    class[1502] ^= 0x01;
    let mut class = dated(entry("a/A.class", &class), date);
    class.recipe = Some(10);
    class.described = true;
    let mut text = prose(33, 60);
    text.splice(40..50, *b"said again");
    let mut library = dated(entry("lib/inner-1.1.jar", &inner(&text, date)), date);
    library.recipe = Some(1);
    let mut more = dated(entry("more.txt", b"there is more than before"), date);
    more.recipe = None;
    more.extra = vec![0xfe, 0xca, 4, 0, 1, 2, 3, 4];
    more.comment = "new";
    let raw = [deflated(&prose(35, 10)[..200], 0), deflated(b"and more", 3)].concat();
    let mut raw = dated(entry("raw.bin", &raw), date);
    raw.recipe = None;
    let manifest = b"Manifest-Version: 1.0\r\nBuild: 2\r\n\r\n";
    let all = [
        dated(entry("META-INF/MANIFEST.MF", manifest), date),
        class,
        entry("a/B.class", &prose(32, 30)),
        library,
        more,
        raw,
    ];
    let jar = zipped(b"#!/bin/sh\nexec java -jar $0\n", &all, "new");
    // It says that it is deflated, and is so, twice.
    odd::compressed(jar, "raw.bin", 8)
}

fn old_text() -> Vec<u8> {
    prose(41, 120)
}

fn new_text() -> Vec<u8> {
    let mut text = old_text();
    text.splice(2000..2100, *b"a line that was not there before\n");
    text[4000] ^= 0x20;
    let moved: Vec<u8> = text.drain(100..400).collect();
    text.extend(moved);
    text
}

#[test]
#[ignore = "it writes the golden deltas anew"]
fn golden_deltas() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, old, new) in [
        ("jar", old_jar(), new_jar()),
        ("text", old_text(), new_text()),
    ] {
        let delta = round(&old, &new, Effort::Best);
        assert_eq!(is_archive(&delta), name == "jar");
        let (numbers, _) = head(&delta);
        let full = numbers.iter().all(|number| *number > 0);
        assert!(full, "a stream of {name} is empty: {numbers:?}");
        for (end, bytes) in [("old", &old), ("new", &new), ("delta", &delta)] {
            std::fs::write(folder.join(name).with_extension(end), bytes).unwrap();
        }
    }
}
