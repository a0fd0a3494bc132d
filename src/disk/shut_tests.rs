//! Tests of read-only folders: a change in them is cut after each move, with the folders open or
//! closed, and the whole tree is compared, modes and all.
//!
//! Root needs no folder opened, so each test runs as a user of its own, in a thread that gives its
//! rights up.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::sync::Arc;

use super::*;
use crate::disk::exchange::{Exchange, Moved};
use crate::disk::founding::samples;
use crate::disk::mounts::Layout;
use crate::disk::recover::{Recovered, recover};
use crate::disk::stage::Stage;
use crate::disk::state::StateStore;
use crate::disk::{durable, folder, generations, journal, rights};
use crate::model::recipe::{FileContent, Mode};
use crate::model::{ContentId, Unwatched};
use crate::plan::recovery::{Action, Move};
use crate::plan::slots::Slots;
use crate::plan::work::{Intent, Put};

/// A user without a name.
const USER: u32 = 4242;

/// Every path with its mode and content.
type Tree = BTreeMap<String, (u32, String)>;

fn tree(root: &Path) -> Tree {
    fn walk(root: &Path, folder: &Path, all: &mut Tree) {
        for name in folder::names(folder).unwrap() {
            let path = folder.join(&name);
            let key = path.strip_prefix(root).unwrap().display().to_string();
            if key == ".lockstep" {
                continue;
            }
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_dir() {
                walk(root, &path, all);
                "folder".to_owned()
            } else {
                String::from_utf8(durable::read(&path, 100_000).unwrap()).unwrap()
            };
            all.insert(key, (metadata.permissions().mode() & 0o7777, content));
        }
    }
    let mode = root.metadata().unwrap().permissions().mode() & 0o7777;
    let mut all = Tree::from([(String::new(), (mode, "folder".to_owned()))]);
    walk(root, root, &mut all);
    all
}

/// Runs a test as a user without rights, in a folder of its own.
fn as_a_user(test: impl Fn(&Path) + Sync) {
    let folder = tempfile::tempdir().unwrap();
    if !rustix::process::geteuid().is_root() {
        return test(folder.path());
    }
    chown(folder.path(), Some(USER), Some(USER)).unwrap();
    let dropped = || {
        let (uid, gid) = (
            rustix::process::Uid::from_raw(USER),
            rustix::process::Gid::from_raw(USER),
        );
        rustix::thread::set_thread_groups(&[]).unwrap();
        rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        test(folder.path());
    };
    std::thread::scope(|scope| {
        if let Err(panic) = scope.spawn(dropped).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn chmod_path(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn file(text: &str) -> What {
    let id = ContentId::of(text.as_bytes());
    What::File(Arc::new(FileContent {
        blake3: id.blake3,
        mode: Mode::from_bits(0o644),
        sha256: id.sha256,
        size: id.size,
        stored_sha256: id.sha256,
        stored_size: id.size,
    }))
}

fn made(mode: u32) -> What {
    What::Folder {
        mode: Mode::from_bits(mode),
    }
}

/// What the change makes, in its order; removals come first, by path.
const AWAY: [&str; 4] = ["ro/gone", "ro/sub/x", "ro/sub/sub", "ro/sub"];

fn puts() -> Vec<(Turn, &'static str, What)> {
    vec![
        (Turn::Exchange, "ro/a", file("new a")),
        (Turn::Place, "fresh", made(0o555)),
        (Turn::Place, "fresh/deep", made(0o100)),
        (Turn::Place, "ro/in", made(0o2755)),
        (Turn::Place, "fresh/deep/z", file("z")),
        (Turn::Place, "fresh/y", file("y")),
        (Turn::Place, "ro/in/b", file("b")),
        (Turn::Place, "top", file("top")),
    ]
}

struct Change {
    root: Root,
    store: StateStore,
    journal: Journal,
    old: Tree,
}

impl Change {
    /// A tree of read-only folders, and a sealed journal that changes them all.
    fn sealed(folder: &Path) -> Self {
        let root = samples::node(folder);
        for (path, text) in [
            ("ro/a", "old a"),
            ("ro/gone", "gone"),
            ("ro/keep", "keep"),
            ("ro/sub/x", "x"),
        ] {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            durable::write(&path, text.as_bytes(), 0o644).unwrap();
        }
        std::fs::create_dir(folder.join("ro/sub/sub")).unwrap();
        for (path, mode) in [
            ("ro/sub/sub", 0o500),
            ("ro/sub", 0o555),
            ("ro", 0o555),
            ("", 0o555),
        ] {
            chmod_path(&folder.join(path), mode);
        }
        let old = tree(folder);
        let mut work = Work::default();
        for (slot, (turn, path, what)) in (0..).zip(puts()) {
            let path: TreePath = path.parse().unwrap();
            let replaces = turn == Turn::Exchange;
            work.puts.push(Put {
                what,
                path: path.clone(),
                replaces,
            });
            work.moves.push(Intent { turn, path, slot });
        }
        let away = (100..).zip(AWAY).map(|(slot, path)| Intent {
            turn: Turn::Remove,
            path: path.parse().unwrap(),
            slot,
        });
        work.moves.splice(..0, away);
        let layout = Layout::of(&root, work.moves.iter().map(|intent| &intent.path)).unwrap();
        rights::check(&root, &work, &layout).unwrap();
        assert_eq!(tree(folder), old, "asking for rights changes nothing");
        let journal = seal(&root, &work);
        assert_eq!(tree(folder), old, "staging changes nothing");
        Self {
            store: StateStore::open(&root),
            root,
            journal,
            old,
        }
    }

    fn perform(&self, moves: usize) -> Result<Moved, DiskError> {
        let mut part = self.journal.clone();
        part.entries.truncate(moves);
        Exchange::open(&self.root, &part)?.perform(&Unwatched)
    }

    /// Every folder as it is in the middle of the exchange.
    fn open_all(&self) {
        let stages = Stages::open(&self.root, &self.journal).unwrap();
        let folders = Folders::of(&self.root, &self.journal, Some(&stages));
        for shut in &self.journal.shut {
            folders.set(shut, shut.mode | OPEN, true).unwrap();
        }
    }

    fn tree(&self) -> Tree {
        tree(self.root.path())
    }

    fn goes_back(&self, after: &str) {
        let Recovered::WentBack(moved) = recover(&self.root, &self.store).unwrap() else {
            panic!("recovery went forward {after}");
        };
        assert_eq!(moved.left, []);
        assert_eq!(self.tree(), self.old, "{after}");
        let stage = self.root.state_folder().join("stage");
        assert_eq!(folder::names(&stage).unwrap().len(), 0, "{after}");
        assert_eq!(
            recover(&self.root, &self.store).unwrap(),
            Recovered::Nothing
        );
        assert_eq!(self.tree(), self.old);
    }

    /// Opens what a test left closed, so that its folder can be removed and used again.
    fn clear(self) {
        chmod_path(self.root.path(), 0o755);
        for (path, (_, what)) in self.tree() {
            if what == "folder" {
                chmod_path(&self.root.path().join(path), 0o755);
            }
        }
        for name in folder::names(self.root.path()).unwrap() {
            folder::remove_tree(&self.root.path().join(name)).unwrap();
        }
    }
}

fn seal(root: &Root, work: &Work) -> Journal {
    let stage = Stage::create(root, 2).unwrap();
    let mut slots = Slots::of(work.puts.len());
    for (slot, put) in (0..).zip(&work.puts) {
        let (mark, mode) = match &put.what {
            What::File(content) => {
                let text = puts()
                    .into_iter()
                    .find_map(|(_, path, _)| (path == put.path.as_str()).then_some(path));
                let text = match text.unwrap() {
                    "ro/a" => "new a",
                    path => path.rsplit('/').next().unwrap(),
                };
                let mut file = stage.file(slot, content.mode).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                (file.finish(&content.id()).unwrap(), content.mode)
            }
            What::Folder { mode } => (stage.folder(slot, *mode).unwrap(), *mode),
            What::Link { .. } => panic!("no link is made"),
        };
        stage.adopt(slot, root, &put.path, mode).unwrap();
        slots.fill(slot, mark);
    }
    stage.settle().unwrap();
    let entry = |intent: &Intent| {
        let displaced = root
            .look(&intent.path)
            .unwrap()
            .and_then(|stamp| stamp.mark(None));
        let staged = slots.get(intent.slot).cloned();
        let action = match (staged, displaced) {
            (Some(staged), Some(displaced)) => Action::Exchange { displaced, staged },
            (Some(staged), None) => Action::Place { staged },
            (None, displaced) => Action::Remove {
                displaced: displaced.unwrap(),
            },
        };
        Move {
            action,
            area: 0,
            path: intent.path.clone(),
            slot: intent.slot,
        }
    };
    let sealed = Journal {
        areas: Vec::new(),
        entries: work.moves.iter().map(entry).collect(),
        sequence: 2,
        shut: list(root, work, &slots).unwrap(),
    };
    journal::seal(root, &sealed).unwrap();
    assert_eq!(journal::read(root).unwrap().as_ref(), Some(&sealed));
    sealed
}

/// The tree after the change.
fn new_tree(old: &Tree) -> Tree {
    let mut new = old.clone();
    new.retain(|path, _| !AWAY.contains(&path.as_str()));
    for (path, mode, content) in [
        ("ro/a", 0o644, "new a"),
        ("fresh", 0o555, "folder"),
        ("fresh/deep", 0o100, "folder"),
        ("ro/in", 0o755, "folder"),
        ("fresh/deep/z", 0o644, "z"),
        ("fresh/y", 0o644, "y"),
        ("ro/in/b", 0o644, "b"),
        ("top", 0o644, "top"),
    ] {
        new.insert(path.to_owned(), (mode, content.to_owned()));
    }
    new
}

#[test]
fn every_cut_goes_back_and_closes_what_it_opened() {
    let moves = AWAY.len() + puts().len();
    as_a_user(|folder| {
        for done in 0..=moves {
            for open in [false, true] {
                let change = Change::sealed(folder);
                assert_eq!(
                    change.perform(done).unwrap().moves,
                    u64::try_from(done).unwrap()
                );
                if open {
                    change.open_all();
                    assert_ne!(change.tree(), change.old, "the folders stand open");
                }
                change.goes_back(&format!("after {done} moves, open {open}"));
                change.clear();
            }
        }
    });
}

#[test]
fn recovery_that_is_cut_is_run_again() {
    let moves = AWAY.len() + puts().len();
    as_a_user(|folder| {
        for undone in 0..=moves {
            let change = Change::sealed(folder);
            change.perform(moves).unwrap();
            let mut part = change.journal.clone();
            part.entries.drain(..moves - undone);
            let back = Exchange::open(&change.root, &part).unwrap().undo().unwrap();
            assert_eq!(back.moves, u64::try_from(undone).unwrap());
            change.open_all();
            change.goes_back(&format!("{undone} undone"));
            change.clear();
        }
    });
}

#[test]
fn after_the_commit_all_are_closed() {
    as_a_user(|folder| {
        for open in [false, true] {
            let change = Change::sealed(folder);
            change.perform(change.journal.entries.len()).unwrap();
            samples::commit(&change.store, 2);
            if open {
                change.open_all();
            }
            assert_eq!(
                recover(&change.root, &change.store).unwrap(),
                Recovered::Tidied
            );
            chmod_path(&change.root.path().join("fresh/deep"), 0o500);
            let mut wanted = new_tree(&change.old);
            wanted.get_mut("fresh/deep").unwrap().0 = 0o500;
            assert_eq!(change.tree(), wanted, "open {open}");
            // What was removed is kept as it was.
            let kept = tree(&generations::path_of(&change.root, 2));
            assert_eq!(kept["103"].0, 0o555);
            assert_eq!(kept["102"].0, 0o500);
            assert_eq!(generations::prune(&change.root, 0).unwrap(), [2]);
            change.clear();
        }
    });
}

/// Without the journal's list the same change cannot be made: the list is what makes it go.
#[test]
fn a_folder_that_is_not_listed_stays_shut() {
    as_a_user(|folder| {
        let change = Change::sealed(folder);
        let listed: Vec<_> = change
            .journal
            .shut
            .iter()
            .map(|shut| (shut.path.as_ref().map(TreePath::as_str), shut.mode))
            .collect();
        let wanted = [
            (None, 0o555),
            (Some("fresh"), 0o555),
            (Some("fresh/deep"), 0o100),
            (Some("ro"), 0o555),
            (Some("ro/sub"), 0o555),
            (Some("ro/sub/sub"), 0o500),
        ];
        assert_eq!(listed, wanted);
        let mut unlisted = change.journal.clone();
        unlisted.shut.clear();
        let error = Exchange::open(&change.root, &unlisted)
            .unwrap()
            .perform(&Unwatched)
            .unwrap_err();
        assert_eq!(
            error.kind(),
            Some(std::io::ErrorKind::PermissionDenied),
            "{error}"
        );
        change.goes_back("nothing was done");
        change.clear();
    });
}

/// A new folder that holds what the change did not bring is left, and closed.
#[test]
fn a_new_folder_that_is_left_is_closed() {
    as_a_user(|folder| {
        let change = Change::sealed(folder);
        change.perform(change.journal.entries.len()).unwrap();
        change.open_all();
        durable::write(&folder.join("fresh/log"), b"log", 0o644).unwrap();
        let Recovered::WentBack(moved) = recover(&change.root, &change.store).unwrap() else {
            panic!("recovery went forward");
        };
        assert_eq!(moved.left, ["fresh".parse().unwrap()]);
        let mut wanted = change.old.clone();
        wanted.insert("fresh".to_owned(), (0o555, "folder".to_owned()));
        wanted.insert("fresh/log".to_owned(), (0o644, "log".to_owned()));
        assert_eq!(change.tree(), wanted);
        change.clear();
    });
}

/// A folder that somebody put in the place of a listed one is not the one that is meant.
#[test]
fn another_folder_at_the_path_keeps_its_mode() {
    as_a_user(|folder| {
        let change = Change::sealed(folder);
        chmod_path(folder, 0o755);
        durable::rename(&folder.join("ro"), &folder.join("moved")).unwrap();
        std::fs::create_dir(folder.join("ro")).unwrap();
        chmod_path(&folder.join("ro"), 0o711);
        let folders = Folders::of(&change.root, &change.journal, None);
        folders.close(true).unwrap();
        let mode = folder.join("ro").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o711);
        chmod_path(folder, 0o755);
        chmod_path(&folder.join("moved"), 0o755);
        change.clear();
    });
}
