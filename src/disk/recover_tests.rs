//! Tests of exchange and recovery: a change is cut after each of its moves, and the whole tree is
//! compared with what it was, or shall be. Each is made on one mount, and on two where this user may
//! mount.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::disk::founding::samples;
use crate::disk::mounts::Layout;
use crate::disk::mounts::samples::Mounted;
use crate::disk::stage::Stage;
use crate::disk::stages::Stages;
use crate::disk::{MountError, durable, folder, probe};
use crate::model::recipe::Mode;
use crate::model::{ContentId, Refusal, RefusalName, TreePath, Unwatched};
use crate::plan::recovery::{Action, Journal, Mark, Move};

/// Every path below a folder but the node's own state, with what it is.
fn tree(root: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, all: &mut BTreeMap<String, String>) {
        for name in folder::names(folder).unwrap() {
            let path = folder.join(&name);
            let metadata = path.symlink_metadata().unwrap();
            let key = path.strip_prefix(root).unwrap().display().to_string();
            if key == ".lockstep" || name == ".lockstep-mount" {
                continue;
            }
            let what = if metadata.is_symlink() {
                format!("-> {}", path.read_link().unwrap().display())
            } else if metadata.is_dir() {
                "folder".to_owned()
            } else {
                String::from_utf8(durable::read(&path, 100_000).unwrap()).unwrap()
            };
            all.insert(key, what);
            if metadata.is_dir() {
                walk(root, &path, all);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(root, root, &mut all);
    all
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    durable::write(&path, text.as_bytes(), 0o644).unwrap();
}

/// A node with an old tree, and a sealed journal to a new one: every action and kind, folders that
/// come and go, and a file that becomes a link, a link that becomes a file. Where `data` is a mount
/// of its own, files of both change in turn.
struct Change {
    mounted: Option<Mounted>,
    folder: tempfile::TempDir,
    root: Root,
    store: StateStore,
    journal: Journal,
    old: BTreeMap<String, String>,
    new: BTreeMap<String, String>,
}

const DATA: &str = "data";

impl Change {
    fn sealed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::sealed_in(folder, None)
    }

    /// The same with `data` on a mount of its own; nothing where this user may not mount.
    fn sealed_over_two() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Mounted::tmpfs(&folder.path().join(DATA))?;
        Some(Self::sealed_in(folder, Some(mounted)))
    }

    /// The change on one mount, and on two.
    fn both() -> impl Iterator<Item = Self> {
        std::iter::once(Self::sealed()).chain(Self::sealed_over_two())
    }

    fn sealed_in(folder: tempfile::TempDir, mounted: Option<Mounted>) -> Self {
        let root = samples::node(folder.path());
        for (path, text) in [
            ("bin/run", "old run"),
            ("lib/a", "old a"),
            ("gone/deep/x", "old x"),
            ("becomes/link", "old file"),
            ("kept", "kept"),
            ("data/lib/a", "old data"),
            ("data/gone/x", "old data x"),
            ("data/kept", "kept"),
        ] {
            put(folder.path(), path, text);
        }
        symlink("a", folder.path().join("lib/alias")).unwrap();
        let old = tree(folder.path());
        let mut making = Making::begin(&root);
        for path in [
            "gone/deep/x",
            "data/gone/x",
            "gone/deep",
            "data/gone",
            "gone",
        ] {
            making.remove(path);
        }
        for (path, text) in [
            ("bin/run", "new run"),
            ("data/lib/a", "new data"),
            ("lib/alias", "new alias"),
        ] {
            making.write(path, text);
        }
        making.link("becomes/link", "../kept");
        for path in ["fresh", "data/fresh", "fresh/sub"] {
            making.folder(path);
        }
        for path in ["data/fresh/z", "fresh/sub/y", "lib/b", "data/lib/b"] {
            making.write(path, path);
        }
        let journal = making.seal();
        let mut new = old.clone();
        new.retain(|path, _| !path.starts_with("gone") && !path.starts_with("data/gone"));
        for (path, what) in [
            ("fresh", "folder"),
            ("fresh/sub", "folder"),
            ("fresh/sub/y", "fresh/sub/y"),
            ("bin/run", "new run"),
            ("lib/alias", "new alias"),
            ("lib/b", "lib/b"),
            ("becomes/link", "-> ../kept"),
            ("data/fresh", "folder"),
            ("data/fresh/z", "data/fresh/z"),
            ("data/lib/a", "new data"),
            ("data/lib/b", "data/lib/b"),
        ] {
            new.insert(path.to_owned(), what.to_owned());
        }
        let store = StateStore::open(&root);
        Self {
            mounted,
            folder,
            root,
            store,
            journal,
            old,
            new,
        }
    }

    fn perform(&self, moves: usize) -> Result<Moved, DiskError> {
        let mut part = self.journal.clone();
        part.entries.truncate(moves);
        Exchange::open(&self.root, &part)?.perform(&Unwatched)
    }

    fn recover(&self) -> Result<Recovered, DiskError> {
        recover(&self.root, &self.store)
    }

    fn tree(&self) -> BTreeMap<String, String> {
        tree(self.folder.path())
    }

    fn nothing_left_over(&self) {
        assert!(!needs_recovery(&self.root).unwrap());
        let state = self.root.state_folder();
        assert_eq!(folder::names(&state.join("stage")).unwrap().len(), 0);
        // Another mount has an area only for as long as a part of a generation lies in it.
        let kept = generations::list(&self.root).unwrap();
        let area = self.folder.path().join(DATA).join(".lockstep-mount");
        let there: &[&str] = match (&self.mounted, kept.as_slice()) {
            (None, _) | (_, []) => &[],
            _ => &["generations", "owner"],
        };
        assert_eq!(folder::names(&area).unwrap(), there);
        if !there.is_empty() {
            assert_eq!(folder::numbers(&area.join("generations")).unwrap(), kept);
        }
        assert!(
            !folder::names(&state)
                .unwrap()
                .iter()
                .any(|name| { name.to_string_lossy().starts_with('.') })
        );
    }
}

/// A change under way, its slots in the areas that their paths ask for.
struct Making<'a> {
    root: &'a Root,
    layout: Layout,
    stages: Stages,
    entries: Vec<Move>,
}

impl<'a> Making<'a> {
    fn begin(root: &'a Root) -> Self {
        let paths = ["data/x", "x"].map(|path| path.parse().unwrap());
        let points = Layout::of(root, &paths).unwrap();
        let own = Stage::create(root, 2).unwrap();
        let stages = Stages::create(root, own, points.points(), 2).unwrap();
        Self {
            root,
            layout: points,
            stages,
            entries: Vec::new(),
        }
    }

    fn area(&self, path: &str) -> u64 {
        let below = path.starts_with("data/").then_some("data/x");
        self.layout.area(&below.unwrap_or("x").parse().unwrap())
    }

    fn remove(&mut self, path: &str) {
        self.entry(path, None);
    }

    fn write(&mut self, path: &str, text: &str) {
        let stage = self.stages.of(self.area(path)).unwrap();
        let mut file = stage
            .file(count(&self.entries), Mode::from_bits(0o644))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let staged = file.finish(&ContentId::of(text.as_bytes())).unwrap();
        self.entry(path, Some(staged));
    }

    fn link(&mut self, path: &str, target: &str) {
        let stage = self.stages.of(self.area(path)).unwrap();
        let staged = stage.link(count(&self.entries), target).unwrap();
        self.entry(path, Some(staged));
    }

    fn folder(&mut self, path: &str) {
        let stage = self.stages.of(self.area(path)).unwrap();
        let staged = stage.folder(count(&self.entries), Mode::FOLDER).unwrap();
        self.entry(path, Some(staged));
    }

    fn entry(&mut self, path: &str, staged: Option<Mark>) {
        let (slot, area) = (count(&self.entries), self.area(path));
        let path: TreePath = path.parse().unwrap();
        let stamp = self.root.look(&path).unwrap();
        let displaced = stamp.and_then(|stamp| stamp.mark(None));
        let action = match (staged, displaced) {
            (Some(staged), Some(displaced)) => Action::Exchange { displaced, staged },
            (Some(staged), None) => Action::Place { staged },
            (None, Some(displaced)) => Action::Remove { displaced },
            (None, None) => panic!("nothing to do at {path}"),
        };
        self.entries.push(Move {
            action,
            area,
            path,
            slot,
        });
    }

    fn seal(self) -> Journal {
        self.stages.settle().unwrap();
        let journal = Journal {
            areas: self.layout.points().to_vec(),
            entries: self.entries,
            sequence: 2,
            shut: Vec::new(),
        };
        journal::seal(self.root, &journal).unwrap();
        journal
    }
}

fn count(entries: &[Move]) -> u64 {
    u64::try_from(entries.len()).unwrap()
}

#[test]
fn every_prefix_goes_back() {
    let all = Change::sealed().journal.entries.len();
    for done in 0..=all {
        for change in Change::both() {
            let moved = change.perform(done).unwrap();
            assert_eq!(
                moved.moves,
                u64::try_from(done).unwrap(),
                "a cut that did not happen"
            );
            assert!(done == 0 || change.tree() != change.old);
            let Recovered::WentBack(back) = change.recover().unwrap() else {
                panic!("recovery went forward after {done}");
            };
            assert_eq!((back.moves, back.left.len()), (moved.moves, 0));
            assert_eq!(change.tree(), change.old, "after {done} moves");
            change.nothing_left_over();
            assert_eq!(change.recover().unwrap(), Recovered::Nothing);
            assert_eq!(change.tree(), change.old);
        }
    }
}

/// Both areas really take part: a journal that names one alone would prove nothing.
#[test]
fn two_mounts_have_two_areas() {
    let Some(change) = Change::sealed_over_two() else {
        return;
    };
    assert_eq!(change.journal.areas, [DATA.parse().unwrap()]);
    let areas: Vec<u64> = change
        .journal
        .entries
        .iter()
        .map(|entry| entry.area)
        .collect();
    assert!(areas.contains(&0) && areas.contains(&1), "{areas:?}");
    for (entry, area) in change.journal.entries.iter().zip(areas) {
        assert_eq!(entry.path.as_str().starts_with("data/"), area == 1);
    }
}

/// Recovery itself is cut after each of its moves, and run again.
#[test]
fn recovery_that_is_cut_is_run_again() {
    let all = Change::sealed().journal.entries.len();
    for undone in 0..=all {
        for change in Change::both() {
            change.perform(all).unwrap();
            let mut part = change.journal.clone();
            part.entries.drain(..all - undone);
            let exchange = Exchange::open(&change.root, &part).unwrap();
            assert_eq!(
                exchange.undo().unwrap().moves,
                u64::try_from(undone).unwrap()
            );
            assert!(matches!(change.recover(), Ok(Recovered::WentBack(_))));
            assert_eq!(change.tree(), change.old, "{undone} undone");
            change.nothing_left_over();
        }
    }
}

#[test]
fn performed_twice_is_performed_once() {
    for change in Change::both() {
        let all = change.journal.entries.len();
        change.perform(4).unwrap();
        assert_eq!(
            change.perform(all).unwrap().moves,
            count(&change.journal.entries) - 4
        );
        assert_eq!(change.perform(all).unwrap().moves, 0);
        assert_eq!(change.tree(), change.new);
    }
}

/// What tidying does first: the parts on other mounts become a generation, and the root's has not.
fn keep_in_part(change: &Change) {
    for point in &change.journal.areas {
        let area = change.root.absolute(point).join(".lockstep-mount");
        std::fs::create_dir(area.join("generations")).unwrap();
        durable::rename(&area.join("stage/2"), &area.join("generations/2")).unwrap();
    }
}

#[test]
fn after_the_commit_only_leftovers_go() {
    // Cut before the tidying, in it, after it, and after the journal went.
    for cut in 0..4 {
        for change in Change::both() {
            change.perform(change.journal.entries.len()).unwrap();
            samples::commit(&change.store, 2);
            match cut {
                0 => {}
                1 => {
                    keep_in_part(&change);
                    let stage = change.root.state_folder().join("stage/2");
                    durable::touch(&stage.join(".journal.0123.tmp")).unwrap();
                }
                _ => generations::keep(&change.root, &change.journal).unwrap(),
            }
            if cut > 2 {
                journal::remove(&change.root).unwrap();
            }
            let wanted = if cut > 2 {
                Recovered::Nothing
            } else {
                Recovered::Tidied
            };
            assert_eq!(change.recover().unwrap(), wanted);
            assert_eq!(change.tree(), change.new);
            change.nothing_left_over();
            assert_eq!(generations::list(&change.root).unwrap(), [2]);
            assert_eq!(
                generations::journal(&change.root, 2).unwrap(),
                change.journal
            );
            let kept = tree(&generations::path_of(&change.root, 2));
            assert!(!kept.contains_key(".journal.0123.tmp"));
            assert_eq!(kept[&slot_of(&change, "bin/run")], "old run");
            if change.mounted.is_some() {
                let part = change
                    .folder
                    .path()
                    .join("data/.lockstep-mount/generations/2");
                assert_eq!(tree(&part)[&slot_of(&change, "data/lib/a")], "old data");
            }
            assert_eq!(change.recover().unwrap(), Recovered::Nothing);
            assert_eq!(
                generations::prune(&change.root, 1).unwrap(),
                Vec::<u64>::new()
            );
            assert_eq!(generations::prune(&change.root, 0).unwrap(), [2]);
            assert_eq!(generations::list(&change.root).unwrap(), Vec::<u64>::new());
            change.nothing_left_over();
        }
    }
}

fn slot_of(change: &Change, path: &str) -> String {
    let mut entries = change.journal.entries.iter();
    let entry = entries.find(|entry| entry.path.as_str() == path).unwrap();
    entry.slot.to_string()
}

/// A generation that was being removed when the machine stopped: out of the root's list, its part
/// on the other mount still there.
#[test]
fn a_part_that_no_generation_names_goes() {
    let Some(change) = Change::sealed_over_two() else {
        return;
    };
    change.perform(change.journal.entries.len()).unwrap();
    samples::commit(&change.store, 2);
    change.recover().unwrap();
    let gone = change.root.state_folder().join("stage/gone-2");
    durable::rename(&generations::path_of(&change.root, 2), &gone).unwrap();
    assert_eq!(change.recover().unwrap(), Recovered::Nothing);
    change.nothing_left_over();
}

/// The mount is not there: nothing is known of its paths, so nothing is touched, on the root's own
/// mount either.
#[test]
fn a_missing_mount_is_named_and_nothing_is_touched() {
    for committed in [false, true] {
        let Some(mut change) = Change::sealed_over_two() else {
            return;
        };
        let all = change.journal.entries.len();
        change.perform(all).unwrap();
        if committed {
            samples::commit(&change.store, 2);
        }
        let data = change.folder.path().join(DATA);
        let aside = tempfile::tempdir().unwrap();
        let held = Mounted::bind(&data, aside.path());
        change.mounted = None;
        let before = change.tree();
        let refusal = Refusal::from(change.recover().unwrap_err());
        assert_eq!(refusal.name, RefusalName::NeedsRecovery);
        assert!(
            refusal.next.starts_with("mount ") && refusal.next.contains("/data as it was"),
            "{refusal}"
        );
        assert_eq!(change.tree(), before);
        assert!(needs_recovery(&change.root).unwrap());
        // Another file system in its place is not taken for it.
        change.mounted = Mounted::tmpfs(&data);
        assert!(change.recover().is_err());
        change.mounted = None;
        change.mounted = Some(Mounted::bind(aside.path(), &data));
        change.recover().unwrap();
        let wanted = if committed { &change.new } else { &change.old };
        assert_eq!(&change.tree(), wanted);
        change.nothing_left_over();
        drop(held);
    }
}

/// One folder mounted into two installations: neither takes the other's stage for a leftover.
#[test]
fn an_area_of_another_environment_is_left_alone() {
    let Some(change) = Change::sealed_over_two() else {
        return;
    };
    let owner = change.folder.path().join("data/.lockstep-mount/owner");
    let text = String::from_utf8(durable::read(&owner, 1_000).unwrap()).unwrap();
    let other = text.replace("node n1", "node n2");
    assert_ne!(text, other);
    durable::write(&owner, other.as_bytes(), 0o600).unwrap();
    assert!(matches!(
        change.recover(),
        Err(DiskError::Mount(MountError::AreaMissing { .. }))
    ));
    journal::remove(&change.root).unwrap();
    change.recover().unwrap();
    assert!(
        owner.with_file_name("stage").join("2").is_dir(),
        "it was emptied"
    );
    let refused = probe::check(&change.root, &change.journal.areas).unwrap_err();
    let refusal = Refusal::from(refused);
    assert_eq!(refusal.name, RefusalName::NotPermitted);
    assert!(refusal.values[0].1.contains("node n2"), "{refusal}");
    assert!(
        owner.with_file_name("stage").join("2").is_dir(),
        "it was emptied"
    );
}

#[test]
fn drafts_go_wherever_they_are_made() {
    let change = Change::sealed();
    let state = change.root.state_folder();
    let drafts =
        [".current.0123.tmp", "vendor/stibo/.timestamp.json.0123.tmp"].map(|d| state.join(d));
    for draft in &drafts {
        durable::make_folders(draft.parent().unwrap(), 0o700).unwrap();
        durable::touch(draft).unwrap();
    }
    change.recover().unwrap();
    for draft in &drafts {
        assert!(!draft.exists(), "{}", draft.display());
    }
}

#[test]
fn before_the_seal_leftovers_go() {
    for change in Change::both() {
        journal::remove(&change.root).unwrap();
        let files = BTreeMap::from([("state.json".to_owned(), b"{}".to_vec())]);
        // Killed, so that the draft of `current` stays as well.
        std::mem::forget(change.store.prepare(2, &files).unwrap());
        assert_eq!(change.recover().unwrap(), Recovered::Nothing);
        change.nothing_left_over();
        assert_eq!(change.tree(), change.old);
        let states = change.root.state_folder().join("states");
        assert_eq!(folder::numbers(&states).unwrap(), [1]);
    }
}

/// Somebody else's file at any path of the change: recovery names it, and touches nothing.
#[test]
fn a_third_file_is_for_a_person() {
    let all = Change::sealed().journal.entries.len();
    for done in [0, all] {
        for path in ["bin/run", "lib/b", "lib/alias", "data/lib/a"] {
            let change = Change::sealed_over_two().unwrap_or_else(Change::sealed);
            change.perform(done).unwrap();
            put(change.folder.path(), path, "third");
            let before = change.tree();
            for _ in 0..2 {
                let refusal = Refusal::from(change.recover().unwrap_err());
                assert_eq!(refusal.name, RefusalName::NeedsRecovery);
                assert!(refusal.values[0].1.ends_with(path), "{refusal}");
                assert_eq!(change.tree(), before, "{path} after {done}");
                assert!(needs_recovery(&change.root).unwrap());
            }
        }
    }
}

#[test]
fn a_changed_path_stops_the_exchange_and_goes_back() {
    let change = Change::sealed();
    put(change.folder.path(), "lib/b", "third");
    let error = change.perform(change.journal.entries.len()).unwrap_err();
    assert!(matches!(error, DiskError::Changed { .. }), "{error}");
    std::fs::remove_file(change.folder.path().join("lib/b")).unwrap();
    change.recover().unwrap();
    assert_eq!(change.tree(), change.old);
}

#[test]
fn a_folder_that_became_a_link_is_not_written_through() {
    let change = Change::sealed();
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "a", "outside");
    let lib = change.folder.path().join("lib");
    durable::rename(&lib, &change.folder.path().join("moved")).unwrap();
    symlink(outside.path(), &lib).unwrap();
    assert!(change.perform(change.journal.entries.len()).is_err());
    assert!(matches!(
        change.recover(),
        Err(DiskError::NeedsRecovery { .. })
    ));
    assert_eq!(tree(outside.path()).len(), 1);
    std::fs::remove_file(&lib).unwrap();
    durable::rename(&change.folder.path().join("moved"), &lib).unwrap();
    change.recover().unwrap();
    assert_eq!(change.tree(), change.old);
}

/// What the service wrote into a new folder outlives the way back; what the customer has in an old
/// one keeps it standing on the way there.
#[test]
fn folders_with_foreign_files_are_left() {
    let change = Change::sealed();
    let all = change.journal.entries.len();
    put(change.folder.path(), "gone/mine", "mine");
    assert_eq!(change.perform(all).unwrap().left, ["gone".parse().unwrap()]);
    put(change.folder.path(), "fresh/log", "log");
    let Recovered::WentBack(back) = change.recover().unwrap() else {
        panic!("recovery went forward");
    };
    assert_eq!(back.left, ["fresh".parse().unwrap()]);
    let mut wanted = change.old.clone();
    for (path, what) in [
        ("gone/mine", "mine"),
        ("fresh", "folder"),
        ("fresh/log", "log"),
    ] {
        wanted.insert(path.to_owned(), what.to_owned());
    }
    assert_eq!(change.tree(), wanted);
    change.nothing_left_over();
}

#[test]
fn a_missing_stage_or_damaged_state_is_not_guessed_at() {
    let change = Change::sealed();
    folder::remove_tree(&Stage::path_of(&change.root, 2)).unwrap();
    assert!(matches!(
        change.recover(),
        Err(DiskError::NeedsRecovery { .. })
    ));
    let change = Change::sealed();
    std::fs::remove_file(change.root.state_folder().join("current")).unwrap();
    assert!(matches!(change.recover(), Err(DiskError::Damaged { .. })));
    assert!(needs_recovery(&change.root).unwrap());
}
