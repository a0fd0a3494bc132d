//! An environment under one policy for drift: what its user and its desk do, and what is seen there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;

use crate::drift::cells::Cell;
use crate::drift::judge::{Entry, Seen};
use crate::world::{Outcome, Ran, Tested, World};

/// The words with which a line about the customer's own begins.
const LABELS: [&str; 4] = ["config", "drift", "folder", "unowned"];

pub(crate) struct Place<'a> {
    world: &'a World,
    /// The policy, which is also the environment's name and the folder of its root.
    name: &'a str,
    files: u32,
}

/// Everything under a folder.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// What a patch did and said.
pub(crate) struct Applied {
    pub(crate) before: Tree,
    pub(crate) after: Tree,
    said: Vec<String>,
    status: Vec<String>,
    pub(crate) receipt: Value,
    /// The snapshot that the receipt holds.
    pub(crate) snapshot: Value,
}

impl<'a> Place<'a> {
    /// An environment that runs the first release, under its own site file, with its own desk.
    pub(crate) fn install(world: &'a World, name: &'a str) -> Outcome<Self> {
        let mut place = Self {
            world,
            name,
            files: 0,
        };
        world.write(&format!("{name}.toml"), &format!("drift = \"{name}\"\n"))?;
        world.ok(&format!("lockstep site new --name acme --vendor stibo=repository/metadata/1.root.json --preparer keys/desk.pub --policy {name}.toml --key keys/owner --output {name}.site.spr"))?;
        fs::create_dir(world.path(name))?;
        world.ok(&format!("lockstep init --root {name} --name {name} --site {name}.site.spr --service none --output usb/{name}.snapshot.spr"))?;
        world.ok(&format!(
            "lockstep enrol usb/{name}.snapshot.spr --desk {name}.desk"
        ))?;
        let (patch, prepared) =
            place.prepare(&format!("usb/{name}.snapshot.spr"), "cells/1.0/cells-1.0")?;
        succeeded(&prepared)?;
        place.apply(&patch)?;
        Ok(place)
    }

    /// What the user does, in the root.
    pub(crate) fn act(&self, cell: &Cell) -> Tested {
        self.world
            .ok(&format!("cd {} && {}", self.name, cell.act()))?;
        Ok(())
    }

    /// Keeps the folder of a cell aside, or puts it back as it was.
    pub(crate) fn keep_aside(&self, cell: &Cell) -> Tested {
        let (root, folder) = (self.name, &cell.folder);
        self.world.ok(&format!(
            "rm -rf aside && mkdir aside && if test -e {root}/{folder}; then cp -a {root}/{folder} aside; fi"
        ))?;
        Ok(())
    }

    pub(crate) fn put_back(&self, cell: &Cell) -> Tested {
        let (root, folder) = (self.name, &cell.folder);
        self.world.ok(&format!(
            "rm -rf {root}/{folder} && if test -e aside/{folder}; then cp -a aside/{folder} {root}; fi"
        ))?;
        Ok(())
    }

    /// Takes a snapshot and prepares the second release for it.
    pub(crate) fn prepare_second(&mut self) -> Outcome<(String, Ran)> {
        let snapshot = self.file("snapshot");
        let root = self.name;
        self.world.ok(&format!(
            "lockstep snapshot --root {root} --output {snapshot}"
        ))?;
        self.prepare(&snapshot, "cells/2.0/cells-2.0")
    }

    fn prepare(&mut self, snapshot: &str, to: &str) -> Outcome<(String, Ran)> {
        let patch = self.file("patch");
        let name = self.name;
        let ran = self.world.run(&format!("lockstep prepare {snapshot} --to {to} --desk {name}.desk --site {name}.site.spr --key keys/desk --source repository --output {patch}"))?;
        Ok((patch, ran))
    }

    /// `apply`, tried or done, however it ends.
    pub(crate) fn try_apply(&self, patch: &str, more: &str) -> Outcome<Ran> {
        let root = self.name;
        self.world
            .run(&format!("lockstep apply {patch} --root {root} {more}"))
    }

    /// Applies a patch and hands the receipt in. Words, document and dry run must say the same, and
    /// the state that the receipt signs must be the one that is found.
    pub(crate) fn apply(&mut self, patch: &str) -> Outcome<Applied> {
        let (name, file) = (self.name, self.file("receipt"));
        let before = self.tree()?;
        let dry = self.try_apply(patch, "--dry-run")?;
        let document = self.try_apply(patch, "--dry-run --json")?;
        let applied = self.try_apply(patch, &format!("--receipt {file}"))?;
        succeeded(&applied)?;
        self.world
            .ok(&format!("lockstep receive {file} --desk {name}.desk"))?;
        let done = Applied {
            before,
            after: self.tree()?,
            said: about(&applied.out),
            status: self.status()?,
            receipt: self.statement(&file, "receipt.json")?,
            snapshot: self.statement(&file, "snapshot.json")?,
        };
        let document: Value = serde_json::from_str(&document.out)?;
        assert_eq!(about(&dry.out), done.said, "a dry run says the same");
        assert_eq!(met(&document), done.said, "a document says the same");
        assert_eq!(document["kept"], done.receipt["kept"]);
        let found = self
            .world
            .ok(&format!("lockstep status --root {name} --json"))?;
        let found: Value = serde_json::from_str(&found.out)?;
        assert_eq!(
            done.receipt["after"], found["state"],
            "the state foretold is found"
        );
        Ok(done)
    }

    /// The lines of `status`, which must end and conclude as they say.
    fn status(&self) -> Outcome<Vec<String>> {
        let ran = self.world.run(&format!(
            "lockstep status --root {} --full --check",
            self.name
        ))?;
        let lines = about(&ran.out);
        let pristine = lines.iter().any(|line| line.starts_with("drift none:"));
        assert_eq!(ran.code, if pristine { 0 } else { 30 }, "{}", ran.out);
        assert!(
            pristine || ran.out.contains(self.foretells()),
            "{}",
            ran.out
        );
        Ok(lines)
    }

    /// What `status` says of drift under this policy.
    fn foretells(&self) -> &'static str {
        match self.name {
            "refuse" => "patches that touch them are refused",
            "keep" => "a patch that touches them leaves them as they are",
            _ => "a patch that touches them replaces them",
        }
    }

    /// A further patch, for the snapshot in the last receipt: it would be stale, were that not true.
    pub(crate) fn apply_third(&mut self) -> Tested {
        let (name, patch) = (self.name, self.file("patch"));
        self.world.ok(&format!(
            "lockstep prepare --environment {name} --desk {name}.desk --to cells/3.0/cells-3.0 --output {patch}"
        ))?;
        self.apply(&patch)?;
        assert!(self.world.path(name).join("further.txt").exists());
        self.world
            .ok(&format!("lockstep history --check --root {name}"))?;
        Ok(())
    }

    /// Whether a file of this name was made.
    pub(crate) fn stands_on_medium(&self, file: &str) -> bool {
        self.world.path(file).exists()
    }

    fn statement(&self, file: &str, member: &str) -> Outcome<Value> {
        let text = self.world.ok(&format!("tar -xOf {file} {member}"))?.out;
        Ok(serde_json::from_str(&text)?)
    }

    fn file(&mut self, kind: &str) -> String {
        self.files += 1;
        format!("usb/{}-{}.{kind}.spr", self.name, self.files)
    }

    pub(crate) fn tree(&self) -> Outcome<Tree> {
        let mut tree = Tree::new();
        walk(&self.world.path(self.name), "", &mut tree)?;
        Ok(tree)
    }

    /// What stands at a path, also behind a folder that became a link.
    fn entry(&self, path: &str) -> Outcome<Option<Entry>> {
        look(&self.world.path(self.name).join(path))
    }

    /// What became of the path that a cell is about. `stood` is what stood there before.
    pub(crate) fn seen(&self, cell: &Cell, stood: Option<Entry>, done: &Applied) -> Outcome<Seen> {
        let path = cell.path();
        let begin = |line: &&String| {
            let sentence = line.split_once(' ').map_or("", |(_, sentence)| sentence);
            sentence.starts_with(&format!("{path}: "))
        };
        let said: Vec<String> = done.said.iter().filter(begin).cloned().collect();
        let in_generation = match said
            .iter()
            .find_map(|line| line.split_once(" is .lockstep/"))
        {
            Some((_, named)) => self.entry(&format!(".lockstep/{named}"))? == stood,
            None => stood.as_ref().is_some_and(|stood| done.displaced(stood)),
        };
        let new = cell.brought();
        let beside = |suffix: &&&str| {
            let beside = format!("{path}{suffix}");
            let there = done.after.get(&beside).map(|entry| &entry.text);
            !done.before.contains_key(&beside) && there.is_some() && there == new.as_ref()
        };
        let suffixes = [".new", ".new2", ".new3", ".new4", ".new5"];
        Ok(Seen {
            before: stood,
            after: self.entry(&path)?,
            beside: suffixes
                .iter()
                .filter(beside)
                .map(|s| (*s).to_owned())
                .collect(),
            in_generation,
            said,
            status: done.status.iter().filter(begin).cloned().collect(),
            new,
            path,
        })
    }

    pub(crate) fn stands(&self, cell: &Cell) -> Outcome<Option<Entry>> {
        self.entry(&cell.path())
    }
}

impl Applied {
    /// Whether the generation of this change holds exactly this.
    fn displaced(&self, entry: &Entry) -> bool {
        let sequence = &self.receipt["sequence"];
        let slots = format!(".lockstep/generations/{sequence}/");
        let mut kept = self
            .after
            .iter()
            .filter(|(path, _)| path.starts_with(&slots));
        kept.any(|(_, kept)| kept == entry)
    }

    /// Config files that `apply` said it keeps.
    pub(crate) fn said_kept(&self) -> BTreeSet<String> {
        let keeps = |line: &&String| {
            line.contains("lies beside as")
                || (line.starts_with("config ") && line.contains(", kept;"))
        };
        self.said
            .iter()
            .filter(keeps)
            .filter_map(|line| path_of(line))
            .collect()
    }

    /// Config files that `status` says are not as their recipe has them.
    pub(crate) fn status_config(&self) -> BTreeSet<String> {
        let config = self
            .status
            .iter()
            .filter(|line| line.starts_with("config "));
        config.filter_map(|line| path_of(line)).collect()
    }
}

/// What a document of `apply --json` says of the customer's own, as lines.
fn met(document: &Value) -> Vec<String> {
    let met = document["met"].as_array().into_iter().flatten();
    let line = |met: &Value| Some(format!("{} {}", met[0].as_str()?, met[1].as_str()?));
    met.filter_map(line).collect()
}

fn path_of(line: &str) -> Option<String> {
    let (_, sentence) = line.split_once(' ')?;
    Some(sentence.split_once(": ")?.0.to_owned())
}

/// The lines about the customer's own: a word, one space, the sentence.
fn about(out: &str) -> Vec<String> {
    let lines = out.lines().filter_map(|line| line.trim().split_once(' '));
    let ours = lines.filter(|(word, _)| LABELS.contains(word));
    ours.map(|(word, sentence)| format!("{word} {}", sentence.trim()))
        .collect()
}

fn succeeded(ran: &Ran) -> Tested {
    if ran.code == 0 {
        return Ok(());
    }
    Err(format!("exit code {}\n{}{}", ran.code, ran.out, ran.err).into())
}

fn walk(folder: &Path, under: &str, tree: &mut Tree) -> Tested {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{under}{}", entry.file_name().to_string_lossy());
        let Some(found) = look(&entry.path())? else {
            continue;
        };
        let is_folder = found.text == "folder";
        tree.insert(path.clone(), found);
        if is_folder {
            walk(&entry.path(), &format!("{path}/"), tree)?;
        }
    }
    Ok(())
}

/// What stands somewhere. A pipe is not opened.
fn look(path: &Path) -> Outcome<Option<Entry>> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    let text = if metadata.is_dir() {
        "folder".to_owned()
    } else if metadata.is_symlink() {
        format!("link to {}", fs::read_link(path)?.display())
    } else if metadata.is_file() {
        String::from_utf8_lossy(&fs::read(path)?).into_owned()
    } else {
        "neither file, folder nor link".to_owned()
    };
    Ok(Some(Entry {
        inode: metadata.ino(),
        mode: metadata.mode() & 0o7777,
        text,
    }))
}
