//! What a staged file takes over from the file it replaces, or, where it is new, from its folder.
//!
//! A replaced file leaves its owner, group, ACL, attributes, label and mode to the new one; only
//! the execute bits follow the recipe, where it and the old file disagree about the owner's. A new
//! one gets what it would have had, had it been made in its folder: the group where the folder is
//! set-gid, the folder's default ACL, its label.
//!
//! Reading what is to be taken over ([`Legacy::of`]) and giving it to a file ([`Legacy::give`]) are
//! two steps, so that [`super::rights`] can try the second one before anything is staged.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Gid, Mode as Bits, Uid};
use rustix::io::Errno;
use rustix::process::{getegid, geteuid};

use super::DiskError;
use super::acl::{self, Acl};
use super::attributes;
use super::obstacle::{Hurdle, Obstacle};
use super::root::{Root, Spot};
use super::stage::Stage;
use super::stamp::{FileKind, Stamp};
use crate::model::TreePath;
use crate::model::recipe::Mode;

/// Attributes that are a signature of the old content, or are made by the kernel for the new.
const OF_CONTENT: [&str; 2] = ["security.ima", "security.evm"];
/// The label of `SELinux`.
const LABEL: &str = "security.selinux";

/// What a file, link or folder takes over from what stands at its path, or above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Legacy {
    /// Attributes by name, ACLs among them.
    pub(super) attributes: BTreeMap<String, Vec<u8>>,
    /// Group.
    pub(super) gid: u32,
    /// Permission bits at rest.
    pub(super) mode: u32,
    /// Whom it is taken over from: the old file, or the folder of a new one.
    pub(super) path: PathBuf,
    /// Owner.
    pub(super) uid: u32,
}

impl Legacy {
    /// What something of this kind and with this mode of the recipe takes over at `path`.
    pub(super) fn of(
        root: &Root,
        path: &TreePath,
        kind: FileKind,
        mode: Mode,
    ) -> Result<Self, DiskError> {
        let old = match root.look(path) {
            // Below a file that becomes a folder in the same change nothing stands.
            Err(DiskError::Blocked { .. }) => None,
            looked => looked?,
        };
        let Some(old) = old else {
            return Self::of_folder(root, path, kind, mode);
        };
        if (old.kind, kind) == (FileKind::File, FileKind::File) {
            return Self::of_file(root.spot(path)?, mode);
        }
        Ok(Self {
            uid: old.uid,
            gid: old.gid,
            path: root.absolute(path),
            ..Self::of_folder(root, path, kind, mode)?
        })
    }

    /// What a file leaves to the one that comes in its place.
    fn of_file(installed: Spot, mode: Mode) -> Result<Self, DiskError> {
        let (file, old) = installed.open()?;
        let mut all = BTreeMap::new();
        for name in attributes::names(&file, &installed.path)? {
            if !OF_CONTENT.contains(&name.as_str()) {
                let value = attributes::get(&file, &name);
                let value = value.and_then(|value| value.ok_or(Errno::NODATA));
                let unkept = |errno| attribute(&installed.path, &name, errno);
                all.insert(name.clone(), value.map_err(unkept)?);
            }
        }
        Ok(Self {
            attributes: all,
            gid: old.gid,
            mode: kept_mode(&old, mode),
            path: installed.path,
            uid: old.uid,
        })
    }

    fn of_folder(
        root: &Root,
        path: &TreePath,
        kind: FileKind,
        mode: Mode,
    ) -> Result<Self, DiskError> {
        let (nearest, folder) = root.nearest_folder(path)?;
        let folder = folder.as_fd();
        let path = match nearest {
            Some(nearest) => root.absolute(&nearest),
            None => root.path().to_owned(),
        };
        let above = Stamp::of(folder).map_err(DiskError::os("look at", &path))?;
        let sets_group = above.mode & 0o2000 != 0;
        // Root makes files for the folder's owner.
        let for_another = geteuid().is_root();
        let mut legacy = Self {
            attributes: BTreeMap::new(),
            gid: if for_another || sets_group {
                above.gid
            } else {
                getegid().as_raw()
            },
            mode: mode.bits(),
            path,
            uid: if for_another {
                above.uid
            } else {
                geteuid().as_raw()
            },
        };
        if kind == FileKind::Link {
            return Ok(legacy);
        }
        if let Some(label) = legacy.read(folder, LABEL)? {
            legacy.attributes.insert(LABEL.to_owned(), label);
        }
        if let Some(default) = legacy.read(folder, acl::DEFAULT)? {
            legacy.take_default(kind, default)?;
        }
        if kind == FileKind::Folder && sets_group {
            legacy.mode |= 0o2000;
        }
        Ok(legacy)
    }

    fn take_default(&mut self, kind: FileKind, default: Vec<u8>) -> Result<(), DiskError> {
        let read = Acl::parse(&default)
            .ok_or_else(|| attribute(&self.path, acl::DEFAULT, "its form is unknown"))?;
        let (access, mode) = read.create(self.mode);
        self.mode = mode;
        if access.is_extended() {
            let access = access.encode();
            self.attributes.insert(acl::ACCESS.to_owned(), access);
        }
        if kind == FileKind::Folder {
            self.attributes.insert(acl::DEFAULT.to_owned(), default);
        }
        Ok(())
    }

    fn read(&self, folder: impl AsFd, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        attributes::get(folder, name).map_err(|errno| attribute(&self.path, name, errno))
    }

    /// Gives all of it to an open file or folder; `mode` is the one it shall have for now.
    pub(super) fn give(&self, target: impl AsFd, mode: u32) -> Result<(), DiskError> {
        let target = target.as_fd();
        let new =
            Stamp::of(target).map_err(DiskError::os("give a new file the owner of", &self.path))?;
        self.own(&new, |uid, gid| rustix::fs::fchown(target, uid, gid))?;
        if !self.attributes.is_empty() {
            // Attributes of users are for whoever may write. Nobody else comes to it here.
            rustix::fs::fchmod(target, Bits::from_raw_mode(0o700))
                .map_err(DiskError::os("give a new file the mode of", &self.path))?;
        }
        // What the stage's own folder handed on.
        for name in [acl::ACCESS, acl::DEFAULT] {
            if !self.attributes.contains_key(name) {
                attributes::remove(target, name)
                    .map_err(|errno| attribute(&self.path, name, errno))?;
            }
        }
        for (name, value) in &self.attributes {
            attributes::set(target, name, value).map_err(|errno| match errno {
                Errno::PERM | Errno::ACCESS | Errno::NOTSUP => attribute(&self.path, name, errno),
                other => DiskError::os("give a new file the attributes of", &self.path)(other),
            })?;
        }
        // Last, because a change of owner clears bits and an ACL sets some.
        rustix::fs::fchmod(target, Bits::from_raw_mode(mode))
            .map_err(DiskError::os("give a new file the mode of", &self.path))
    }

    /// Gives owner and group, where they are others.
    fn own(
        &self,
        new: &Stamp,
        chown: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> Result<(), DiskError> {
        let uid = (self.uid != new.uid).then(|| Uid::from_raw(self.uid));
        let gid = (self.gid != new.gid).then(|| Gid::from_raw(self.gid));
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        let hurdle = if uid.is_some() {
            Hurdle::Owner(self.uid)
        } else {
            Hurdle::Group(self.gid)
        };
        chown(uid, gid).map_err(|errno| match errno {
            // INVAL: an id that this user namespace does not have.
            Errno::PERM | Errno::ACCESS | Errno::INVAL => Obstacle {
                path: self.path.clone(),
                hurdle,
            }
            .into(),
            other => DiskError::os("give a new file the owner of", &self.path)(other),
        })
    }

    /// Permission bits while other things are placed in it or removed: all that its owner needs.
    pub(super) const fn open_mode(&self) -> u32 {
        self.mode | 0o700
    }
}

impl Stage {
    /// Gives a finished slot what it takes over at `path`; `mode` is the recipe's. A folder stays
    /// open to its owner until the exchange is made.
    pub fn adopt(
        &self,
        slot: u64,
        root: &Root,
        path: &TreePath,
        mode: Mode,
    ) -> Result<(), DiskError> {
        let spot = self.spot(slot)?;
        let new = spot.look()?.ok_or_else(|| DiskError::InTheWay {
            path: spot.path.clone(),
            reason: "the slot is empty",
        })?;
        let legacy = Legacy::of(root, path, new.kind, mode)?;
        if new.kind == FileKind::Link {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            return legacy.own(&new, |uid, gid| {
                rustix::fs::chownat(&spot.folder, &spot.name, uid, gid, flags)
            });
        }
        let for_now = if new.kind == FileKind::Folder {
            legacy.open_mode()
        } else {
            legacy.mode
        };
        legacy.give(spot.open()?.0, for_now)
    }
}

impl Stage {
    /// Gives a finished slot all that `kept` has, a file of a generation: what is put back where
    /// nothing stands any more is as it was.
    pub fn adopt_kept(&self, slot: u64, kept: Spot, mode: Mode) -> Result<(), DiskError> {
        let legacy = Legacy::of_file(kept, mode)?;
        legacy.give(self.spot(slot)?.open()?.0, legacy.mode)
    }
}

/// The permission bits that a new folder at `path` has once all is in it.
pub(super) fn folder_at_rest(root: &Root, path: &TreePath, mode: Mode) -> Result<u32, DiskError> {
    Ok(Legacy::of(root, path, FileKind::Folder, mode)?.mode)
}

/// The old mode; where the recipe says otherwise than the old file about the owner's execute bit,
/// all execute bits follow the recipe, for whoever may read.
fn kept_mode(old: &Stamp, recipe: Mode) -> u32 {
    if old.executable() == recipe.executable() {
        old.mode
    } else if recipe.executable() {
        old.mode | ((old.mode & 0o444) >> 2) | 0o100
    } else {
        old.mode & !0o111
    }
}

fn attribute(path: &std::path::Path, name: &str, why: impl std::fmt::Display) -> DiskError {
    Obstacle {
        path: path.to_owned(),
        hurdle: Hurdle::Attribute(name.to_owned(), why.to_string()),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use crate::model::ContentId;
    use std::io::Write as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    #[test]
    fn execute_bits_follow_the_recipe_where_they_disagree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::File::create(&path).unwrap();
        for (old, recipe, kept) in [
            (0o640, 0o644, 0o640),
            (0o640, 0o755, 0o750),
            (0o604, 0o755, 0o705),
            (0o200, 0o755, 0o300),
            (0o700, 0o755, 0o700),
            (0o755, 0o644, 0o644),
            (0o4750, 0o755, 0o4750),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(old)).unwrap();
            let root = Root::open(folder.path()).unwrap();
            let stamp = root.look(&"f".parse().unwrap()).unwrap().unwrap();
            assert_eq!(
                kept_mode(&stamp, Mode::from_bits(recipe)),
                kept,
                "{old:o} {recipe:o}"
            );
        }
    }

    fn staged(stage: &Stage, slot: u64) {
        let mut file = stage.file(slot, Mode::from_bits(0o644)).unwrap();
        file.write_all(b"new").unwrap();
        file.finish(&ContentId::of(b"new")).unwrap();
    }

    #[test]
    fn owner_mode_and_attributes_are_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let old = folder.path().join("old");
        std::fs::File::create(&old).unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o660)).unwrap();
        let handle = std::fs::File::open(&old).unwrap();
        let noted = attributes::set(&handle, "user.note", b"mine").is_ok();
        if rustix::process::geteuid().is_root() {
            chown(&old, Some(1234), Some(4321)).unwrap();
        }
        let stage = Stage::create(&root, 2).unwrap();
        staged(&stage, 0);
        let path = "old".parse().unwrap();
        stage
            .adopt(0, &root, &path, Mode::from_bits(0o755))
            .unwrap();
        let (wanted, found) = (
            old.metadata().unwrap(),
            stage.path().join("0").metadata().unwrap(),
        );
        assert_eq!((found.uid(), found.gid()), (wanted.uid(), wanted.gid()));
        assert_eq!(found.mode() & 0o7777, 0o770);
        let target = std::fs::File::open(stage.path().join("0")).unwrap();
        let note = attributes::get(&target, "user.note").unwrap();
        assert_eq!(note.as_deref() == Some(b"mine"), noted);
    }

    #[test]
    fn a_new_file_takes_the_group_of_a_folder_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let lib = folder.path().join("lib");
        std::fs::create_dir(&lib).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&lib, None, Some(4321)).unwrap();
        }
        std::fs::set_permissions(&lib, std::fs::Permissions::from_mode(0o2755)).unwrap();
        let stage = Stage::create(&root, 2).unwrap();
        staged(&stage, 0);
        stage
            .adopt(
                0,
                &root,
                &"lib/none/new".parse().unwrap(),
                Mode::from_bits(0o644),
            )
            .unwrap();
        let found = stage.path().join("0").metadata().unwrap();
        assert_eq!(found.gid(), lib.metadata().unwrap().gid());
        assert_eq!(found.mode() & 0o7777, 0o644);
    }
}
