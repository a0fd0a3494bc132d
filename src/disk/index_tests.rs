//! Tests of the index: what is believed, what is not, and that nothing but an index is taken for one.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::disk::root::Root;
use crate::disk::scan::{Scan, scan};
use crate::model::recipe::{FileContent, Mode, What};
use crate::model::{ContentId, Unwatched};

const FILES: [&str; 4] = ["a", "lib/one.jar", "lib/one.jar.md5", "lib/two/three"];

/// A tree of files that are as they should be, and a state folder beside it.
struct Ground {
    folder: tempfile::TempDir,
    paths: Vec<TreePath>,
    what: Vec<What>,
}

fn content(path: &str) -> Vec<u8> {
    format!("content of {path}").into_bytes()
}

fn place() -> Sha256 {
    Sha256::of(b"here")
}

const TMPFS: u64 = 0x0102_1994;
const OVERLAYFS: u64 = 0x794c_7630;

/// What a file system says it is.
fn file_system(folder: &Path) -> u64 {
    let told = rustix::fs::statfs(folder).unwrap();
    u64::try_from(told.f_type).unwrap()
}

fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Whether an index is kept where temporary files lie; if not, it is said.
fn kept() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let kept = ![TMPFS, OVERLAYFS].contains(&file_system(folder.path()));
    if !kept {
        say("skipped: temporary files lie on tmpfs or overlayfs, where no index is kept");
    }
    kept
}

impl Ground {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(folder: tempfile::TempDir) -> Self {
        let ground = Self {
            folder,
            paths: FILES.iter().map(|path| path.parse().unwrap()).collect(),
            what: FILES.iter().map(|path| file(&content(path))).collect(),
        };
        fs::create_dir(ground.state()).unwrap();
        for path in FILES {
            durable::make_folders(ground.at(path).parent().unwrap(), 0o755).unwrap();
            durable::write(&ground.at(path), &content(path), 0o644).unwrap();
        }
        ground
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    /// So long after every change that all is at rest.
    fn later(&self) -> Time {
        Time::from_unix(self.changed().saturating_add(REST + 2))
    }

    /// When the last file changed, in seconds.
    fn changed(&self) -> i64 {
        let root = Root::open(&self.at("")).unwrap();
        let stamps = self
            .paths
            .iter()
            .filter_map(|path| root.look(path).unwrap());
        stamps.map(|s| s.ctime_ns).max().unwrap() / 1_000_000_000
    }

    fn read(&self, now: Time) -> Option<Index> {
        let largest = largest(self.paths.iter());
        Index::read(&self.state(), &place(), largest, AtRest::at(now))
    }

    fn scan(&self, now: Time) -> Scan {
        let index = self.read(now);
        let mut expected: Vec<Expected<'_>> = (self.paths.iter().zip(&self.what))
            .map(|(path, what)| Expected {
                path,
                what,
                config: false,
                known: None,
            })
            .collect();
        if let Some(index) = &index {
            index.tell(&mut expected);
        }
        scan(&Root::open(&self.at("")).unwrap(), &expected, &Unwatched).unwrap()
    }

    /// Reads everything, and keeps it.
    fn indexed() -> Self {
        let ground = Self::new();
        let scan = ground.scan(ground.later());
        assert_eq!((scan.read, scan.indexed), (4, 0));
        let making = making(&scan, ground.later());
        assert_eq!(making.entries, 4);
        making.write(&ground.state()).unwrap();
        ground
    }
}

/// In memory nothing is written back, so that what is written through a mapping goes unnoticed for ever.
#[test]
fn nothing_is_kept_of_files_in_memory() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else {
        say("skipped: there is no /dev/shm");
        return;
    };
    if file_system(folder.path()) != TMPFS {
        say("skipped: /dev/shm is no tmpfs");
        return;
    }
    let ground = Ground::on(folder);
    let scan = ground.scan(ground.later());
    assert_eq!((scan.read, scan.clocks.len()), (4, 0));
    assert_eq!(making(&scan, ground.later()).entries, 0);
}

/// What a scan makes known of the files that are as they should be.
fn making(scan: &Scan, now: Time) -> Making {
    let mut making = Making::of(&place());
    for (path, stamp) in &scan.stamps {
        let rests = AtRest::at(now).holds(stamp) && scan.clocks.contains(&stamp.device);
        if rests && scan.drifted(path).is_none() {
            let blake3 = Blake3::of(&content(path.as_str()));
            making.add(path, stamp, &blake3);
        }
    }
    making
}

fn file(content: &[u8]) -> What {
    let id = ContentId::of(content);
    What::File(Arc::new(FileContent {
        blake3: id.blake3,
        mode: Mode::from_bits(0o644),
        sha256: id.sha256,
        size: id.size,
        stored_sha256: Sha256::of(b""),
        stored_size: 0,
    }))
}

#[test]
fn what_did_not_change_is_not_read_again() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    let scan = ground.scan(ground.later());
    assert_eq!((scan.read, scan.indexed), (0, 4));
    assert_eq!((scan.drift.len(), scan.stamps.len()), (0, 4));
    let mode = fs::metadata(ground.state().join(NAME))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

/// Whatever is done to a file, it is read; and only it.
#[test]
fn whatever_is_done_to_a_file_it_is_read_again() {
    type Do = fn(&Path);
    if !kept() {
        return;
    }
    let put_back: Do = |path| {
        let times = fs::metadata(path).unwrap();
        let times = FileTimes::new()
            .set_modified(times.modified().unwrap())
            .set_accessed(times.accessed().unwrap());
        let other = content("x").iter().map(|_| b'x').collect::<Vec<_>>();
        let size = usize::try_from(fs::metadata(path).unwrap().len()).unwrap();
        let other = other.into_iter().cycle().take(size).collect::<Vec<_>>();
        let mut open = File::options().write(true).open(path).unwrap();
        open.write_all(&other).unwrap();
        open.set_times(times).unwrap();
    };
    let replaced: Do = |path| {
        let times = fs::metadata(path).unwrap();
        let other = path.with_extension("other");
        let bytes = vec![b'x'; usize::try_from(times.len()).unwrap()];
        durable::write(&other, &bytes, 0o644).unwrap();
        let open = File::options().write(true).open(&other).unwrap();
        let times = FileTimes::new().set_modified(times.modified().unwrap());
        open.set_times(times).unwrap();
        durable::rename(&other, path).unwrap();
    };
    let longer: Do = |path| {
        let mut open = File::options().append(true).open(path).unwrap();
        open.write_all(b"x").unwrap();
    };
    let touched: Do = |path| {
        let open = File::options().write(true).open(path).unwrap();
        open.set_times(FileTimes::new().set_modified(std::time::UNIX_EPOCH))
            .unwrap();
    };
    let linked: Do = |path| fs::hard_link(path, path.with_extension("link")).unwrap();
    let table: [(&str, Do, bool); 5] = [
        ("other bytes, size and time put back", put_back, true),
        (
            "another file in its place, as large and as old",
            replaced,
            true,
        ),
        ("longer", longer, true),
        ("touched", touched, false),
        ("linked", linked, false),
    ];
    for (what, act, drifts) in table {
        let ground = Ground::indexed();
        // So that a change time differs even where the clock ticks slowly.
        std::thread::sleep(std::time::Duration::from_millis(20));
        let before = fs::metadata(ground.at("lib/one.jar")).unwrap();
        act(&ground.at("lib/one.jar"));
        if drifts && what != "longer" {
            let after = fs::metadata(ground.at("lib/one.jar")).unwrap();
            assert_eq!(before.len(), after.len(), "{what}");
            assert_eq!(
                before.modified().unwrap(),
                after.modified().unwrap(),
                "{what}"
            );
        }
        let scan = ground.scan(ground.later());
        assert_eq!((scan.read, scan.indexed), (1, 3), "{what}");
        let drifted: Vec<&str> = scan.drift.iter().map(|d| d.path.as_str()).collect();
        assert_eq!(
            drifted.as_slice(),
            if drifts { &["lib/one.jar"][..] } else { &[] },
            "{what}"
        );
    }
}

/// The mode is no part of it, but the change time tells of that too, and drift is seen.
#[test]
fn an_execute_bit_is_seen() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::set_permissions(ground.at("a"), fs::Permissions::from_mode(0o755)).unwrap();
    let scan = ground.scan(ground.later());
    assert_eq!((scan.indexed, scan.drift.len()), (3, 1));
}

/// What changed just before is neither kept, nor believed where somebody else kept it.
#[test]
fn what_does_not_rest_is_neither_kept_nor_believed() {
    if !kept() {
        return;
    }
    let ground = Ground::new();
    let scan = ground.scan(ground.later());
    let changed = ground.changed();
    for (after, kept) in [(-3600, 0), (0, 0), (REST - 1, 0), (REST, 0), (REST + 2, 4)] {
        let now = Time::from_unix(changed + after);
        assert_eq!(making(&scan, now).entries, kept, "{after} s after");
    }
    let ground = Ground::indexed();
    let early = Time::from_unix(ground.changed() + 1);
    assert!(ground.read(early).is_some());
    let scan = ground.scan(early);
    assert_eq!((scan.read, scan.indexed), (4, 0));
}

/// An index of which a byte is another, or missing, or that has one too many, is none.
#[test]
fn a_damaged_index_is_not_used() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    let now = ground.later();
    let path = ground.state().join(NAME);
    let whole = durable::read(&path, 1 << 20).unwrap();
    let put = |bytes: &[u8]| durable::write(&path, bytes, 0o600).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        put(&bytes);
        assert!(ground.read(now).is_none(), "byte {at}");
    }
    for end in [0, 1, 16, HEAD, HEAD + 31, HEAD + 32, whole.len() - 1] {
        put(&whole[..end]);
        assert!(ground.read(now).is_none(), "cut at {end}");
    }
    put(&[&whole[..], b"\0"].concat());
    assert!(ground.read(now).is_none());
    put(&whole);
    assert!(ground.read(now).is_some());
    let other = Index::read(
        &ground.state(),
        &Sha256::of(b"elsewhere"),
        1 << 20,
        AtRest::at(now),
    );
    assert!(other.is_none(), "another place");
}

#[test]
fn an_index_without_end_and_a_pipe_hold_nobody_up() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    let path = ground.state().join(NAME);
    let grown = File::options().write(true).open(&path).unwrap();
    grown.set_len(1 << 40).unwrap();
    assert!(ground.read(ground.later()).is_none());
    fs::remove_file(&path).unwrap();
    let bits = rustix::fs::Mode::RUSR;
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, kind, bits, 0).unwrap();
    assert!(ground.read(ground.later()).is_none());
    let scan = ground.scan(ground.later());
    assert_eq!((scan.read, scan.indexed), (4, 0));
}

/// Its own digest is right, and what is inside makes no sense: nothing comes of it.
#[test]
fn a_forged_index_that_makes_no_sense_tells_nothing() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    let now = ground.later();
    let path = ground.state().join(NAME);
    let head = [&MAGIC[..], place().as_bytes()].concat();
    let entry = |shared: u16, path: &[u8]| {
        let length = u16::try_from(path.len()).unwrap();
        let lengths = [shared.to_le_bytes(), length.to_le_bytes()].concat();
        [&lengths[..], path, &[0xff; FIXED]].concat()
    };
    let bodies: [Vec<u8>; 6] = [
        b"x".to_vec(),
        entry(9, b"a"),
        [&entry(0, b"a")[..], &entry(2, b"b")].concat(),
        [&entry(0, b"a")[..], b"\0\0\xff\xff"].concat(),
        [entry(0, b"lib/two/three"), entry(0, b"a")].concat(),
        [entry(0, b"a"), entry(1, b""), entry(1, b"")].concat(),
    ];
    for (row, body) in bodies.iter().enumerate() {
        let mut bytes = [&head[..], body].concat();
        let digest = Blake3::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        durable::write(&path, &bytes, 0o600).unwrap();
        assert!(ground.read(now).is_some(), "row {row}");
        let scan = ground.scan(now);
        assert_eq!(
            (scan.read, scan.indexed, scan.drift.len()),
            (4, 0, 0),
            "row {row}"
        );
    }
}

/// An index that cannot be written leaves the one before, and no draft.
#[test]
fn an_index_that_cannot_be_written_changes_nothing() {
    if !kept() {
        return;
    }
    let ground = Ground::indexed();
    let now = ground.later();
    let making = making(&ground.scan(now), now);
    let state = ground.state();
    fs::remove_file(state.join(NAME)).unwrap();
    fs::create_dir(state.join(NAME)).unwrap();
    assert!(making.write(&state).is_err());
    let left: Vec<_> = fs::read_dir(&state).unwrap().collect();
    assert_eq!(left.len(), 1);
    assert!(making.write(&state.join("missing")).is_err());
}
