//! What a staged file takes over from the file it replaces, or, where it is new, from its folder.
//!
//! A replaced file leaves its owner, group, ACL, attributes, label and mode to the new one; only
//! the execute bits follow the recipe, where it and the old file disagree about the owner's. What
//! this user cannot hand on is refused while nothing has been moved yet.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode as Bits, Uid, XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::Errno;

use super::DiskError;
use super::root::Root;
use super::stage::Stage;
use super::stamp::{FileKind, Stamp};
use crate::model::TreePath;
use crate::model::recipe::Mode;

/// Largest attribute, and list of attribute names, of Linux.
const ATTRIBUTE_MAX: usize = 65_536;
/// Attributes that are a signature of the old content, or are made by the kernel for the new.
const OF_CONTENT: [&str; 2] = ["security.ima", "security.evm"];
/// The label of `SELinux`.
const LABEL: &str = "security.selinux";

impl Stage {
    /// Gives a finished slot what stands at `replaced` has: owner, group, and for a file that
    /// replaces a file its attributes and mode; `mode` is the recipe's.
    pub fn inherit(
        &self,
        slot: u64,
        root: &Root,
        replaced: &TreePath,
        mode: Mode,
    ) -> Result<(), DiskError> {
        let installed = root.spot(replaced)?;
        let Some(old) = installed.look()? else {
            return self.adopt(slot, root, replaced);
        };
        let new = self.slot_stamp(slot)?;
        self.own(slot, &new, old.uid, old.gid)?;
        if (old.kind, new.kind) != (FileKind::File, FileKind::File) {
            return Ok(());
        }
        let (source, old) = installed.open()?;
        let (target, _) = self.spot(slot)?.open()?;
        copy_attributes(&source, &target, &installed.path)?;
        // Last, because a change of owner clears bits and an ACL sets some.
        rustix::fs::fchmod(&target, Bits::from_raw_mode(kept_mode(&old, mode)))
            .map_err(DiskError::os("set the mode of", &installed.path))
    }

    /// Gives a finished slot that will be new at `path` what its folder hands on: the group where
    /// the folder says so, the owner where root works for another, and the label.
    pub fn adopt(&self, slot: u64, root: &Root, path: &TreePath) -> Result<(), DiskError> {
        let above: Vec<TreePath> = path.ancestors().collect();
        let mut nearest = None;
        for folder in above.iter().rev() {
            match root.open_folder(folder) {
                Ok(open) => {
                    nearest = Some(open);
                    break;
                }
                Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => {}
                // A file that becomes a folder in the same change hands nothing on.
                Err(DiskError::Blocked { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        let folder = nearest.as_ref().map_or_else(|| root.folder(), AsFd::as_fd);
        let above = Stamp::of(folder).map_err(DiskError::os("look at", root.absolute(path)))?;
        let new = self.slot_stamp(slot)?;
        let uid = if new.uid == 0 { above.uid } else { new.uid };
        let gid = if new.uid == 0 || above.mode & 0o2000 != 0 {
            above.gid
        } else {
            new.gid
        };
        self.own(slot, &new, uid, gid)?;
        if new.kind == FileKind::Link {
            return Ok(());
        }
        let (target, new) = self.spot(slot)?.open()?;
        if let Some(label) = attribute(folder, LABEL) {
            set_attribute(&target, LABEL, &label, &root.absolute(path))?;
        }
        let folder_bit = if new.kind == FileKind::Folder {
            above.mode & 0o2000
        } else {
            0
        };
        rustix::fs::fchmod(&target, Bits::from_raw_mode(new.mode | folder_bit))
            .map_err(DiskError::os("set the mode of", self.path()))
    }

    fn slot_stamp(&self, slot: u64) -> Result<Stamp, DiskError> {
        self.look(slot)?.ok_or_else(|| DiskError::InTheWay {
            path: self.path().join(slot.to_string()),
            reason: "the slot is empty",
        })
    }

    fn own(&self, slot: u64, new: &Stamp, uid: u32, gid: u32) -> Result<(), DiskError> {
        let uid = (uid != new.uid).then(|| Uid::from_raw(uid));
        let gid = (gid != new.gid).then(|| Gid::from_raw(gid));
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        let new = self.spot(slot)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&new.folder, &new.name, uid, gid, flags).map_err(|errno| {
            let who = match (uid, gid) {
                (Some(uid), _) => format!("owner {}", uid.as_raw()),
                (None, Some(gid)) => format!("group {}", gid.as_raw()),
                (None, None) => String::new(),
            };
            DiskError::CannotKeep {
                path: new.path.clone(),
                reason: format!("its {who} ({errno})"),
            }
        })
    }
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

fn copy_attributes(source: &File, target: &File, path: &Path) -> Result<(), DiskError> {
    let mut list = vec![0; ATTRIBUTE_MAX];
    let length = match flistxattr(source, list.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(errno) => return Err(DiskError::os("list the attributes of", path)(errno)),
    };
    let names = list.get(..length).unwrap_or_default();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let name = String::from_utf8_lossy(name);
        if OF_CONTENT.contains(&name.as_ref()) {
            continue;
        }
        let value = attribute(source, &name).ok_or_else(|| DiskError::CannotKeep {
            path: path.to_owned(),
            reason: format!("its attribute {name} cannot be read"),
        })?;
        set_attribute(target, &name, &value, path)?;
    }
    Ok(())
}

fn attribute(file: impl AsFd, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; ATTRIBUTE_MAX];
    let length = fgetxattr(file, name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

fn set_attribute(file: &File, name: &str, value: &[u8], path: &Path) -> Result<(), DiskError> {
    if attribute(file, name).as_deref() == Some(value) {
        return Ok(());
    }
    fsetxattr(file, name, value, XattrFlags::empty()).map_err(|errno| match errno {
        Errno::PERM | Errno::ACCESS => DiskError::CannotKeep {
            path: path.to_owned(),
            reason: format!("its attribute {name} ({errno})"),
        },
        other => DiskError::os("set the attributes of", path)(other),
    })
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
        let attributes = fsetxattr(&handle, "user.note", b"mine", XattrFlags::empty()).is_ok();
        if rustix::process::geteuid().is_root() {
            chown(&old, Some(1234), Some(4321)).unwrap();
        }
        let stage = Stage::create(&root, 2).unwrap();
        staged(&stage, 0);
        let path = "old".parse().unwrap();
        stage
            .inherit(0, &root, &path, Mode::from_bits(0o755))
            .unwrap();
        let (wanted, found) = (
            old.metadata().unwrap(),
            stage.path().join("0").metadata().unwrap(),
        );
        assert_eq!((found.uid(), found.gid()), (wanted.uid(), wanted.gid()));
        assert_eq!(found.mode() & 0o7777, 0o770);
        let target = std::fs::File::open(stage.path().join("0")).unwrap();
        let note = attribute(&target, "user.note");
        assert_eq!(note.as_deref() == Some(b"mine"), attributes);
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
            .adopt(0, &root, &"lib/none/new".parse().unwrap())
            .unwrap();
        let found = stage.path().join("0").metadata().unwrap();
        assert_eq!(found.gid(), lib.metadata().unwrap().gid());
        assert_eq!(found.mode() & 0o7777, 0o644);
    }
}
