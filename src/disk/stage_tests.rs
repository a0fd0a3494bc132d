//! Tests of the stage.

use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::disk::founding::samples;
use crate::model::{Refusal, RefusalName, Unwatched};
use crate::plan::recovery::Kind;

const PLAIN: Mode = Mode::from_bits(0o644);

#[test]
fn slots_hold_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let root = samples::node(folder.path());
    durable::write(&folder.path().join("old"), b"content", 0o644).unwrap();
    let first = Stage::create(&root, 2).unwrap();
    first.folder(9, PLAIN).unwrap();
    // A second try begins with an empty stage.
    let stage = Stage::create(&root, 2).unwrap();
    let id = ContentId::of(b"content");
    let mut file = stage.file(0, Mode::from_bits(0o750)).unwrap();
    file.write_all(b"con").unwrap();
    file.write_all(b"tent").unwrap();
    let file = file.finish(&id).unwrap();
    let copied = stage.copy(
        1,
        &root.spot(&"old".parse().unwrap()).unwrap(),
        &id,
        PLAIN,
        &Unwatched,
    );
    let link = stage.link(2, "old").unwrap();
    let made = stage.folder(3, Mode::from_bits(0o777)).unwrap();
    stage.settle().unwrap();
    assert_eq!(file.blake3, Some(id.blake3));
    assert_eq!(copied.unwrap().blake3, Some(id.blake3));
    assert_eq!(
        (file.kind, link.kind, made.kind),
        (Kind::File, Kind::Link, Kind::Folder)
    );
    let modes: Vec<u32> = [0, 1, 3]
        .iter()
        .map(|slot| stage.look(*slot).unwrap().unwrap().mode)
        .collect();
    assert_eq!(modes, [0o750, 0o644, 0o777]);
    assert_eq!(folder::numbers(stage.path()).unwrap(), [0, 1, 2, 3]);
    assert!(stage.file(0, PLAIN).is_err());
}

#[test]
fn other_content_is_refused_with_both_values() {
    let folder = tempfile::tempdir().unwrap();
    let root = samples::node(folder.path());
    durable::write(&folder.path().join("old"), b"other", 0o644).unwrap();
    let stage = Stage::create(&root, 2).unwrap();
    let good = ContentId::of(b"content");
    let half = [
        ContentId { size: 8, ..good },
        ContentId {
            sha256: crate::model::Sha256::of(b""),
            ..good
        },
        ContentId {
            blake3: Blake3::of(b""),
            ..good
        },
    ];
    for (slot, expected) in (0..).zip(half) {
        let mut file = stage.file(slot, PLAIN).unwrap();
        file.write_all(b"content").unwrap();
        let refusal = Refusal::from(file.finish(&expected).unwrap_err());
        assert_eq!(refusal.name, RefusalName::Corrupt);
        assert_eq!(refusal.values.len(), 2);
        // It never got its mode.
        let path = stage.path().join(slot.to_string());
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    }
    let copied = stage.copy(
        9,
        &root.spot(&"old".parse().unwrap()).unwrap(),
        &good,
        PLAIN,
        &Unwatched,
    );
    assert!(matches!(copied, Err(DiskError::Content { .. })));
}

#[test]
fn a_link_in_place_of_the_source_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let root = samples::node(folder.path());
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("old")).unwrap();
    let stage = Stage::create(&root, 2).unwrap();
    let id = ContentId::of(b"content");
    assert!(
        stage
            .copy(
                0,
                &root.spot(&"old".parse().unwrap()).unwrap(),
                &id,
                PLAIN,
                &Unwatched
            )
            .is_err()
    );
}

/// Zeros with a few bytes behind them take little room, and have size and digests all the same.
#[test]
fn zeros_take_no_room() {
    const ZEROS: usize = 64 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let root = samples::node(folder.path());
    let stage = Stage::create(&root, 2).unwrap();
    let mut content = vec![0; ZEROS];
    content.extend_from_slice(b"the end");
    let id = ContentId::of(&content);
    let mut file = stage.file(0, PLAIN).unwrap();
    for piece in content.chunks(100_000) {
        file.write_all(piece).unwrap();
    }
    file.finish(&id).unwrap();
    // The same size without the end has other digests, and is refused.
    let mut cut = stage.file(1, PLAIN).unwrap();
    cut.write_all(&vec![0; content.len()]).unwrap();
    assert!(matches!(cut.finish(&id), Err(DiskError::Content { .. })));
    let staged = stage.path().join("0").metadata().unwrap();
    assert_eq!(staged.len(), id.size);
    assert!(
        staged.blocks() * 512 < 1024 * 1024,
        "{} blocks",
        staged.blocks()
    );
    let read = durable::read(&stage.path().join("0"), id.size).unwrap();
    assert!(read == content);
}
