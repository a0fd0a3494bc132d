//! Rights, asked before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode as Bits, OFlags, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use super::durable::Draft;
use super::inherit::Legacy;
use super::mounts::Layout;
use super::obstacle::{Hurdle, Obstacle};
use super::root::Root;
use super::stamp::{FileKind, Stamp};
use super::{DiskError, acl, shut};
use crate::model::TreePath;
use crate::model::recipe::{Mode, What};
use crate::plan::work::{Intent, Put, Turn, Work};

/// Refuses work that this user could not do, or not without losing an owner, a group or an
/// attribute: every obstacle, found from what stands there, with nothing changed.
///
/// What the new files take over is not judged by rules that another kernel, module or mount may
/// not share: the very calls are made, on a file without a name that is gone afterwards.
pub fn check(root: &Root, work: &Work, layout: &Layout) -> Result<(), DiskError> {
    let mut examiner = Examiner {
        root,
        layout,
        folders: BTreeSet::new(),
        parents: BTreeMap::new(),
        tried: BTreeMap::new(),
        all: BTreeSet::new(),
    };
    for intent in &work.moves {
        examiner.moved(intent)?;
    }
    let mut new = BTreeSet::new();
    for put in &work.puts {
        let (kind, mode) = match &put.what {
            What::File(file) => (FileKind::File, file.mode),
            What::Folder { mode } => (FileKind::Folder, *mode),
            What::Link { .. } => (FileKind::Link, Mode::from_bits(0o777)),
        };
        // What is new and of one kind in one folder takes over the same.
        if put.replaces || new.insert((put.path.parent(), kind)) {
            examiner.put(put, kind, mode)?;
        }
    }
    if examiner.all.is_empty() {
        return Ok(());
    }
    Err(DiskError::Obstacles {
        all: examiner.all.into_iter().collect(),
    })
}

/// What decides whether something can be given to a new file: the area, owner, group, and the
/// attributes;
/// what users note there is anybody's, so that its value does not count.
type Given = (u64, u32, u32, BTreeMap<String, Option<Vec<u8>>>);

struct Examiner<'a> {
    root: &'a Root,
    layout: &'a Layout,
    /// Folders that were looked at.
    folders: BTreeSet<Option<TreePath>>,
    /// The nearest folder of whatever lies in one.
    parents: BTreeMap<Option<TreePath>, Stamp>,
    tried: BTreeMap<Given, Option<Hurdle>>,
    /// Each once, though several paths meet it.
    all: BTreeSet<Obstacle>,
}

impl Examiner<'_> {
    fn moved(&mut self, intent: &Intent) -> Result<(), DiskError> {
        let above = self.above(&intent.path)?;
        if intent.turn == Turn::Place {
            return Ok(());
        }
        let spot = self.root.spot(&intent.path)?;
        let Some(stamp) = spot.look()? else {
            return Ok(());
        };
        if stamp.kind == FileKind::Folder {
            // To move a folder elsewhere is to write its "..".
            let open = self.root.open_folder(&intent.path)?;
            self.folder(Some(intent.path.clone()), &open)?;
            return Ok(());
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let lock = locked(&spot.folder, &spot.name, flags);
        self.note(
            &spot.path,
            lock.map_err(DiskError::os("look at", &spot.path))?,
        );
        let sticky = above.mode & 0o1000 != 0 && !owns(above.uid) && !owns(stamp.uid);
        if sticky && !overrides(CapabilitySet::FOWNER) {
            self.note(&spot.path, Some(Hurdle::Sticky(stamp.uid)));
        }
        Ok(())
    }

    /// The nearest folder above a path; each is looked at once.
    fn above(&mut self, path: &TreePath) -> Result<Stamp, DiskError> {
        let parent = path.parent();
        if let Some(known) = self.parents.get(&parent) {
            return Ok(*known);
        }
        let (nearest, open) = self.root.nearest_folder(path)?;
        let stamp = self.folder(nearest, &open)?;
        self.parents.insert(parent, stamp);
        Ok(stamp)
    }

    /// Names must be made and removed in a folder; one that is read-only and our own is opened for
    /// that (see [`super::shut`]).
    fn folder(&mut self, path: Option<TreePath>, open: &OwnedFd) -> Result<Stamp, DiskError> {
        let absolute = match &path {
            Some(path) => self.root.absolute(path),
            None => self.root.path().to_owned(),
        };
        let stamp = Stamp::of(open).map_err(DiskError::os("look at", &absolute))?;
        if !self.folders.insert(path) {
            return Ok(stamp);
        }
        let bar = if shut::is_shut(open, &absolute)? {
            shut_for_good(&stamp)
        } else {
            None
        };
        let lock = locked(open, "", AtFlags::EMPTY_PATH);
        let lock = lock.map_err(DiskError::os("look at", &absolute))?;
        self.note(&absolute, lock.or(bar));
        Ok(stamp)
    }

    fn put(&mut self, put: &Put, kind: FileKind, mode: Mode) -> Result<(), DiskError> {
        let mut legacy = match Legacy::of(self.root, &put.path, kind, mode) {
            Ok(legacy) => legacy,
            Err(DiskError::Obstacles { all }) => {
                self.all.extend(all);
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        // A file cannot have it; whoever owns a folder can give it.
        legacy.attributes.remove(acl::DEFAULT);
        let weight = |(name, value): (&String, &Vec<u8>)| {
            let value = (!name.starts_with("user.")).then(|| value.clone());
            (name.clone(), value)
        };
        let attributes = legacy.attributes.iter().map(weight).collect();
        let area = self.layout.area(&put.path);
        let given = (area, legacy.uid, legacy.gid, attributes);
        let known = self.tried.get(&given).cloned();
        let hurdle = match known {
            Some(known) => known,
            None => try_out(&self.trial_folder(area), &legacy)?,
        };
        self.tried.insert(given, hurdle.clone());
        self.note(&legacy.path, hurdle);
        Ok(())
    }

    /// Where something can be tried out on the mount of an area: what one file system keeps,
    /// another need not know.
    fn trial_folder(&self, area: u64) -> PathBuf {
        let index = area.checked_sub(1).and_then(|i| usize::try_from(i).ok());
        let point = index.and_then(|index| self.layout.points().get(index));
        point.map_or_else(
            || self.root.state_folder(),
            |point| self.root.absolute(point),
        )
    }

    fn note(&mut self, path: &Path, hurdle: Option<Hurdle>) {
        self.all.extend(hurdle.map(|hurdle| Obstacle {
            path: path.to_owned(),
            hurdle,
        }));
    }
}

/// Gives all of it to a file that has no name, or, where the file system knows of none, to a
/// draft.
fn try_out(folder: &Path, legacy: &Legacy) -> Result<Option<Hurdle>, DiskError> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let given = match rustix::fs::open(folder, flags, Bits::RUSR | Bits::WUSR) {
        Ok(file) => legacy.give(file, 0o600),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
            let mut draft = Draft::create(&folder.join("trial"), 0o600)?;
            legacy.give(draft.file(), 0o600)
        }
        Err(errno) => return Err(DiskError::os("make a file in", folder)(errno)),
    };
    match given {
        Ok(()) => Ok(None),
        Err(DiskError::Obstacles { all }) => Ok(all.into_iter().next().map(|one| one.hurdle)),
        Err(e) => Err(e),
    }
}

/// Why a shut folder cannot be opened and closed again; nothing where it can.
fn shut_for_good(stamp: &Stamp) -> Option<Hurdle> {
    if !owns(stamp.uid) {
        return Some(Hurdle::Folder {
            mode: stamp.mode,
            uid: stamp.uid,
        });
    }
    // The system takes the bit away where somebody outside the group sets a mode.
    let loses =
        stamp.mode & 0o2000 != 0 && !in_group(stamp.gid) && !overrides(CapabilitySet::FSETID);
    loses.then_some(Hurdle::SetGid(stamp.gid))
}

/// What `chattr` has locked. An append-only folder takes new names, but could not give them back.
fn locked(folder: &OwnedFd, name: &str, flags: AtFlags) -> rustix::io::Result<Option<Hurdle>> {
    let s = statx(folder, name, flags, StatxFlags::BASIC_STATS)?;
    let set = s.stx_attributes & s.stx_attributes_mask;
    Ok(if set.contains(StatxAttributes::IMMUTABLE) {
        Some(Hurdle::Immutable)
    } else if set.contains(StatxAttributes::APPEND) {
        Some(Hurdle::AppendOnly)
    } else {
        None
    })
}

fn owns(uid: u32) -> bool {
    geteuid().as_raw() == uid
}

fn in_group(gid: u32) -> bool {
    let groups = rustix::process::getgroups().unwrap_or_default();
    getegid().as_raw() == gid || groups.iter().any(|group| group.as_raw() == gid)
}

/// Whether this process may do what this capability lets it do to everybody's files.
fn overrides(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}
