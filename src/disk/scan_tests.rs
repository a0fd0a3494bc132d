//! Tests of the scan: a table of what stands at a path, and what is said of it.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::disk::durable;
use crate::model::recipe::{FileContent, Mode};
use crate::model::{ContentId, Refusal, RefusalName, Sha256, Unwatched};

fn file(content: &[u8], mode: u32) -> What {
    let id = ContentId::of(content);
    What::File(Arc::new(FileContent {
        blake3: id.blake3,
        mode: Mode::from_bits(mode),
        sha256: id.sha256,
        size: id.size,
        stored_sha256: Sha256::of(b""),
        stored_size: 0,
    }))
}

fn found(content: &[u8], executable: bool) -> Found {
    Found::File {
        blake3: Blake3::of(content),
        executable,
    }
}

fn put(path: &Path, content: &[u8], mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(path, content, 0o600).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Scans for one thing at `lib/a`.
fn one(folder: &Path, what: &What, config: bool) -> Scan {
    let path = "lib/a".parse().unwrap();
    let expected = Expected {
        path: &path,
        what,
        config,
        known: None,
    };
    scan(&Root::open(folder).unwrap(), &[expected], &Unwatched).unwrap()
}

#[test]
fn what_is_drift() {
    type Put = fn(&Path);
    let what_file = file(b"content", 0o644);
    let what_folder = What::Folder { mode: Mode::FOLDER };
    let what_link = What::Link {
        target: "b".to_owned(),
    };
    let link = |target: &[u8]| Found::Link {
        blake3: Blake3::of(target),
    };
    let nothing: Put = |_| {};
    let as_is: Put = |p| put(p, b"content", 0o644);
    let closed: Put = |p| put(p, b"content", 0o400);
    let executable: Put = |p| put(p, b"content", 0o744);
    let other: Put = |p| put(p, b"CONTENT", 0o644);
    let longer: Put = |p| put(p, b"content, and more", 0o644);
    let folder: Put = |p| std::fs::create_dir_all(p).unwrap();
    let to_b: Put = |p| {
        std::fs::create_dir_all(p.parent().unwrap()).unwrap();
        symlink("b", p).unwrap();
    };
    let pipe: Put = |p| {
        std::fs::create_dir_all(p.parent().unwrap()).unwrap();
        let bits = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, p, rustix::fs::FileType::Fifo, bits, 0).unwrap();
    };
    let behind_a_link: Put = |p| {
        put(&p.with_file_name("../real/a"), b"content", 0o644);
        std::fs::remove_dir(p.parent().unwrap()).unwrap();
        symlink("real", p.parent().unwrap()).unwrap();
    };
    let below_a_file: Put = |p| put(p.parent().unwrap(), b"", 0o644);
    let table: [(&What, Put, Option<Found>); 17] = [
        (&what_file, as_is, None),
        (&what_file, closed, None),
        (&what_file, nothing, Some(Found::Absent)),
        (&what_file, executable, Some(found(b"content", true))),
        (&what_file, other, Some(found(b"CONTENT", false))),
        (&what_file, longer, Some(found(b"content, and more", false))),
        (&what_file, folder, Some(Found::Folder)),
        (&what_file, to_b, Some(link(b"b"))),
        (&what_file, pipe, Some(Found::Other)),
        (&what_file, behind_a_link, Some(Found::Other)),
        (&what_file, below_a_file, Some(Found::Other)),
        (&what_folder, folder, None),
        (&what_folder, nothing, Some(Found::Absent)),
        (&what_folder, to_b, Some(link(b"b"))),
        (&what_link, to_b, None),
        (&what_link, as_is, Some(found(b"content", false))),
        (&what_link, nothing, Some(Found::Absent)),
    ];
    for (row, (what, put, wanted)) in table.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("real")).unwrap();
        if row == 9 {
            std::fs::create_dir_all(folder.path().join("lib")).unwrap();
        }
        put(&folder.path().join("lib/a"));
        let scan = one(folder.path(), what, false);
        let found = scan.drift.first().map(|drift| drift.found.clone());
        assert_eq!(found, wanted, "row {row}");
        assert_eq!(scan.config, []);
        let root = Root::open(folder.path()).unwrap();
        let path = "lib/a".parse().unwrap();
        assert_eq!(scan.stamp(&path).copied(), root.look(&path).ok().flatten());
        if let Some(wanted) = wanted {
            assert_eq!(found_at(&root, &path).unwrap(), wanted, "row {row}");
        }
    }
}

#[test]
fn config_is_changed_or_deleted_and_nothing_else() {
    let what = file(b"content", 0o644);
    for (content, mode, wanted) in [
        (Some(&b"content"[..]), 0o644, None),
        (Some(b"content"), 0o755, None),
        (Some(b"CONTENT"), 0o644, Some(ConfigState::Changed)),
        (Some(b"longer content"), 0o644, Some(ConfigState::Changed)),
        (None, 0, Some(ConfigState::Deleted)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        if let Some(content) = content {
            put(&folder.path().join("lib/a"), content, mode);
        }
        let scan = one(folder.path(), &what, true);
        assert_eq!(scan.config.first().map(|c| c.state), wanted);
        assert_eq!(scan.drift, []);
    }
}

#[test]
fn many_files_come_sorted_and_progress_ends_at_the_total() {
    struct Last(std::sync::Mutex<(u64, u64)>);
    impl Watch for Last {
        fn say(&self, _: &str) {}
        fn warn(&self, _: &str) {}
        fn progress(&self, _: &str, done: u64, total: u64) {
            let mut last = self.0.lock().unwrap();
            *last = (last.0.max(done), total);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let what = file(b"content", 0o644);
    let paths: Vec<TreePath> = (0..300)
        .map(|n| format!("d{}/{n}", n % 7).parse().unwrap())
        .collect();
    for (n, path) in paths.iter().enumerate() {
        let content: &[u8] = if n % 3 == 0 { b"CONTENT" } else { b"content" };
        put(&folder.path().join(path.as_str()), content, 0o644);
    }
    let expected: Vec<Expected<'_>> = paths
        .iter()
        .map(|path| Expected {
            path,
            what: &what,
            config: false,
            known: None,
        })
        .collect();
    let watch = Last(std::sync::Mutex::new((0, 0)));
    let scan = scan(&Root::open(folder.path()).unwrap(), &expected, &watch).unwrap();
    assert_eq!(scan.drift.len(), 100);
    assert!(scan.drift.is_sorted_by_key(|drift| drift.path.clone()));
    assert_eq!(*watch.0.lock().unwrap(), (2_100, 2_100));
}

/// Root reads everything, so the refusal itself is only seen by other users.
#[test]
fn a_file_that_may_not_be_read_is_not_permitted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lib/a");
    put(&path, b"content", 0o000);
    let expected_path = "lib/a".parse().unwrap();
    let what = file(b"content", 0o644);
    let expected = Expected {
        path: &expected_path,
        what: &what,
        config: false,
        known: None,
    };
    let scanned = scan(&Root::open(folder.path()).unwrap(), &[expected], &Unwatched);
    if rustix::process::geteuid().is_root() {
        assert!(scanned.is_ok());
    } else {
        let refusal = Refusal::from(scanned.unwrap_err());
        assert_eq!(refusal.name, RefusalName::NotPermitted);
        assert!(refusal.what.contains("lib/a"));
    }
}
