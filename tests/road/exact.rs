//! An installation, path by path, with all that a replaced file must keep: what is expected is
//! compared with what stands there, and nothing else may.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::world::{Outcome, Tested, World};

/// A user, and a group, without a name.
pub(crate) const OPERATOR: u32 = 4242;

/// Every path but the node's own state, with kind, mode, owner, group and content.
pub(crate) type Exact = BTreeMap<String, String>;

/// What stands below a folder.
pub(crate) fn exact(root: &Path) -> Outcome<Exact> {
    let mut all = Exact::new();
    walk(root, root, &mut all)?;
    Ok(all)
}

fn walk(root: &Path, folder: &Path, all: &mut Exact) -> Tested {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        if name == ".lockstep" {
            continue;
        }
        let metadata = fs::symlink_metadata(&path)?;
        let content = if metadata.is_dir() {
            walk(root, &path, all)?;
            "folder".to_owned()
        } else if metadata.is_symlink() {
            format!("-> {}", fs::read_link(&path)?.display())
        } else {
            format!("file {:?}", fs::read_to_string(&path)?)
        };
        let mode = metadata.permissions().mode() & 0o7777;
        let line = if metadata.is_symlink() {
            format!("{}:{} {content}", metadata.uid(), metadata.gid())
        } else {
            format!("{mode:o} {}:{} {content}", metadata.uid(), metadata.gid())
        };
        all.insert(name, line);
    }
    Ok(())
}

/// Compares what stands below a folder with exactly these lines, the test's own user and group
/// written as `ME`.
pub(crate) fn stands(root: &Path, wanted: &[(&str, &str)]) -> Tested {
    let me = format!(
        "{}:{}",
        rustix::process::geteuid(),
        rustix::process::getegid()
    );
    let wanted: Exact = wanted
        .iter()
        .map(|(path, line)| ((*path).to_owned(), line.replace("ME", &me)))
        .collect();
    same(&exact(root)?, &wanted)
}

/// Compares two trees, and names the first path that differs.
pub(crate) fn same(found: &Exact, wanted: &Exact) -> Tested {
    for path in wanted.keys().chain(found.keys()) {
        if found.get(path) != wanted.get(path) {
            let message = format!(
                "{path:?} is {:?}, wanted {:?}",
                found.get(path),
                wanted.get(path)
            );
            return Err(message.into());
        }
    }
    Ok(())
}

/// Every path below a folder, the node's own state included, that has not this owner and group.
pub(crate) fn owned_by_others(folder: &Path, id: u32) -> Outcome<Vec<String>> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if (metadata.uid(), metadata.gid()) != (id, id) {
            others.push(path.display().to_string());
        }
        if metadata.is_dir() {
            others.extend(owned_by_others(&path, id)?);
        }
    }
    Ok(others)
}

/// Whether this test runs as root. Where it does not, it says so; where every test must run, that
/// is an error.
pub(crate) fn as_root(what: &str) -> Outcome<bool> {
    needed(
        rustix::process::geteuid().is_root(),
        &format!("{what} needs root"),
    )
}

/// Whether a command line works here; else as [`as_root`].
pub(crate) fn needed_tool(world: &World, line: &str, what: &str) -> Outcome<bool> {
    needed(world.run(line)?.code == 0, what)
}

fn needed(there: bool, what: &str) -> Outcome<bool> {
    if !there {
        if std::env::var_os("CI").is_some() {
            return Err(format!("not tested, and it must be: {what}").into());
        }
        eprintln!("skipped: {what}");
    }
    Ok(there)
}

/// The `next` line of a refusal as a root shell takes it.
pub(crate) fn next_line(err: &str) -> Outcome<String> {
    let line = err
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("next "))
        .ok_or("no next line")?;
    let line = line.trim().split(", then the same command").next();
    Ok(line.unwrap_or_default().replace("sudo ", ""))
}

/// Goes from one component version to the next: prepares from the last word of the node, applies.
pub(crate) fn step(world: &World, n: u32, recipe: &str) -> Tested {
    let from = match n {
        0 => "usb/PROD.snapshot.spr".to_owned(),
        n => format!("usb/{}.receipt.spr", n - 1),
    };
    world.prepare(&from, recipe, &format!("usb/{n}.spr"))?;
    world.apply(
        "PROD",
        &format!("usb/{n}.spr"),
        &format!("usb/{n}.receipt.spr"),
    )?;
    world.ok(&format!("lockstep receive usb/{n}.receipt.spr --desk desk"))?;
    world.ok("lockstep status --check --root PROD")?;
    let stage = fs::read_dir(world.path("PROD/.lockstep/stage"))?.count();
    if stage != 0 || world.path("PROD/.lockstep/journal").exists() {
        return Err(format!("step {n} left something over").into());
    }
    Ok(())
}
