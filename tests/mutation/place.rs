//! A folder that commands work on: looked at before and after each, and put back where one changed it.

use std::fs;
use std::path::{Path, PathBuf};

use lockstep::disk::root::Root;
use lockstep::disk::state::{CurrentState, StateStore};

use super::world::{Outcome, Tested, Tree, World};

/// What is put back as the very file that it was: a key is tied to its inode, and the state knows itself
/// by the file that names it. Both are only ever replaced, never written into.
const SAME_FILES: [&str; 2] = [".lockstep/key", ".lockstep/current"];

/// A folder of the world, and a copy of it as it was.
pub(crate) struct Place {
    name: &'static str,
    live: PathBuf,
    kept: PathBuf,
    /// What was in it.
    pub(crate) before: Tree,
}

impl Place {
    /// Keeps a copy of the folder `name` of the world.
    pub(crate) fn keep(world: &World, name: &'static str) -> Outcome<Self> {
        let links = SAME_FILES.map(|file| {
            format!("if [ -e {name}/{file} ]; then ln -f {name}/{file} kept/{name}/{file}; fi; ")
        });
        world.ok(&format!(
            "mkdir -p kept && if [ ! -e kept/{name} ]; then cp -a {name} kept/{name}; {} fi",
            links.concat()
        ))?;
        Ok(Self {
            name,
            live: world.path(name),
            kept: world.path("kept").join(name),
            before: world.tree(name)?,
        })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.live
    }

    /// What is in it now.
    pub(crate) fn now(&self, world: &World) -> Outcome<Tree> {
        world.tree(self.name)
    }

    /// The first difference to what was in it, in words.
    pub(crate) fn difference(&self, now: &Tree) -> Option<String> {
        let gone = |path: &&PathBuf| !now.contains_key(*path);
        let new = |path: &&PathBuf| !self.before.contains_key(*path);
        let other = self
            .before
            .iter()
            .find(|(path, was)| now.get(*path).is_some_and(|is| is != *was));
        if let Some(path) = self.before.keys().find(gone) {
            return Some(format!("{} is gone", path.display()));
        }
        if let Some(path) = now.keys().find(new) {
            return Some(format!("{} is new", path.display()));
        }
        other.map(|(path, _)| format!("{} is another", path.display()))
    }

    /// Makes it what it was.
    pub(crate) fn restore(&self, world: &World) -> Tested {
        clear(&self.live)?;
        fill(&self.kept, &self.kept, &self.live)?;
        match self.difference(&self.now(world)?) {
            None => Ok(()),
            Some(what) => Err(format!("{} could not be put back: {what}", self.name).into()),
        }
    }

    /// The node's state, of a folder that is a root.
    pub(crate) fn state(&self) -> Outcome<CurrentState> {
        Ok(StateStore::open(&Root::open(&self.live)?).current()?)
    }
}

fn clear(folder: &Path) -> Tested {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn fill(root: &Path, from: &Path, to: &Path) -> Tested {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if source.is_dir() {
            if !target.is_dir() {
                fs::create_dir(&target)?;
            }
            fill(root, &source, &target)?;
            fs::set_permissions(&target, source.metadata()?.permissions())?;
        } else if SAME_FILES.iter().any(|file| root.join(file) == source) {
            fs::hard_link(&source, &target)?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
