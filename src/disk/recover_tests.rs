//! Tests of exchange and recovery: a change is cut after each of its moves, and the whole tree is
//! compared with what it was, or shall be.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::disk::founding::samples;
use crate::disk::stage::Stage;
use crate::disk::{durable, folder};
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
            if key == ".lockstep" {
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
/// come and go, and a file that becomes a link, a link that becomes a file.
struct Change {
    folder: tempfile::TempDir,
    root: Root,
    store: StateStore,
    journal: Journal,
    old: BTreeMap<String, String>,
    new: BTreeMap<String, String>,
}

impl Change {
    fn sealed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        for (path, text) in [
            ("bin/run", "old run"),
            ("lib/a", "old a"),
            ("gone/deep/x", "old x"),
            ("becomes/link", "old file"),
            ("kept", "kept"),
        ] {
            put(folder.path(), path, text);
        }
        symlink("a", folder.path().join("lib/alias")).unwrap();
        let old = tree(folder.path());
        let stage = Stage::create(&root, 2).unwrap();
        let mut entries = Vec::new();
        for path in ["gone/deep/x", "gone/deep", "gone"] {
            entry(&root, &mut entries, path, None);
        }
        for path in ["fresh", "fresh/sub"] {
            let slot = slot(&entries);
            let staged = stage.folder(slot, Mode::FOLDER).unwrap();
            entry(&root, &mut entries, path, Some(staged));
        }
        for (path, text) in [("bin/run", "new run"), ("lib/alias", "new alias")] {
            let staged = write(&stage, slot(&entries), text);
            entry(&root, &mut entries, path, Some(staged));
        }
        let staged = stage.link(slot(&entries), "../kept").unwrap();
        entry(&root, &mut entries, "becomes/link", Some(staged));
        for path in ["fresh/sub/y", "lib/b"] {
            let staged = write(&stage, slot(&entries), path);
            entry(&root, &mut entries, path, Some(staged));
        }
        stage.settle().unwrap();
        let journal = Journal {
            entries,
            format: 0,
            sequence: 2,
            shut: Vec::new(),
        };
        journal::seal(&root, &journal).unwrap();
        let mut new = old.clone();
        new.retain(|path, _| !path.starts_with("gone"));
        for (path, what) in [
            ("fresh", "folder"),
            ("fresh/sub", "folder"),
            ("fresh/sub/y", "fresh/sub/y"),
            ("bin/run", "new run"),
            ("lib/alias", "new alias"),
            ("lib/b", "lib/b"),
            ("becomes/link", "-> ../kept"),
        ] {
            new.insert(path.to_owned(), what.to_owned());
        }
        let store = StateStore::open(&root);
        Self {
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
        assert!(
            !folder::names(&state)
                .unwrap()
                .iter()
                .any(|name| { name.to_string_lossy().starts_with('.') })
        );
    }
}

fn slot(entries: &[Move]) -> u64 {
    u64::try_from(entries.len()).unwrap()
}

fn write(stage: &Stage, slot: u64, text: &str) -> Mark {
    let mut file = stage.file(slot, Mode::from_bits(0o644)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.finish(&ContentId::of(text.as_bytes())).unwrap()
}

fn entry(root: &Root, entries: &mut Vec<Move>, path: &str, staged: Option<Mark>) {
    let slot = slot(entries);
    let path: TreePath = path.parse().unwrap();
    let stamp = root.look(&path).unwrap();
    let displaced = stamp.and_then(|stamp| stamp.mark(None));
    let action = match (staged, displaced) {
        (Some(staged), Some(displaced)) => Action::Exchange { displaced, staged },
        (Some(staged), None) => Action::Place { staged },
        (None, Some(displaced)) => Action::Remove { displaced },
        (None, None) => panic!("nothing to do at {path}"),
    };
    entries.push(Move { action, path, slot });
}

#[test]
fn every_prefix_goes_back() {
    let all = Change::sealed().journal.entries.len();
    for done in 0..=all {
        let change = Change::sealed();
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

/// Recovery itself is cut after each of its moves, and run again.
#[test]
fn recovery_that_is_cut_is_run_again() {
    let all = Change::sealed().journal.entries.len();
    for undone in 0..=all {
        let change = Change::sealed();
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
    }
}

#[test]
fn performed_twice_is_performed_once() {
    let change = Change::sealed();
    let all = change.journal.entries.len();
    change.perform(4).unwrap();
    assert_eq!(
        change.perform(all).unwrap().moves,
        slot(&change.journal.entries) - 4
    );
    assert_eq!(change.perform(all).unwrap().moves, 0);
    assert_eq!(change.tree(), change.new);
}

#[test]
fn after_the_commit_only_leftovers_go() {
    // Cut before, in and after the tidying.
    for cut in 0..3 {
        let change = Change::sealed();
        change.perform(change.journal.entries.len()).unwrap();
        samples::commit(&change.store, 2);
        if cut > 0 {
            generations::keep(&change.root, &change.journal).unwrap();
        }
        if cut > 1 {
            journal::remove(&change.root).unwrap();
        }
        let wanted = if cut > 1 {
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
        let slot = change
            .journal
            .entries
            .iter()
            .find(|e| e.path.as_str() == "bin/run");
        assert_eq!(kept[&slot.unwrap().slot.to_string()], "old run");
        assert_eq!(change.recover().unwrap(), Recovered::Nothing);
        assert_eq!(generations::prune(&change.root, 1).unwrap(), 0);
        assert_eq!(generations::prune(&change.root, 0).unwrap(), 1);
        assert_eq!(generations::list(&change.root).unwrap(), Vec::<u64>::new());
        change.nothing_left_over();
    }
}

#[test]
fn before_the_seal_leftovers_go() {
    let change = Change::sealed();
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

/// Somebody else's file at any path of the change: recovery names it, and touches nothing.
#[test]
fn a_third_file_is_for_a_person() {
    let all = Change::sealed().journal.entries.len();
    for done in [0, all] {
        for path in ["bin/run", "lib/b", "lib/alias"] {
            let change = Change::sealed();
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
    assert!(matches!(error, DiskError::InTheWay { .. }), "{error}");
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
