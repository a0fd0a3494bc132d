//! Room and rights, asked before anything is written.

use rustix::fs::{Access, AtFlags, accessat, fstatvfs};

use super::DiskError;
use super::root::Root;
use crate::model::TreePath;

/// Whether the root's file system has this much room.
pub fn check_space(root: &Root, bytes: u64, inodes: u64) -> Result<(), DiskError> {
    let free = fstatvfs(root.folder()).map_err(DiskError::os("look at", root.path()))?;
    let bytes_free = free.f_bavail.saturating_mul(free.f_frsize);
    // File systems that make inodes as they go count none.
    let counted = free.f_files > 0;
    if bytes <= bytes_free && (!counted || inodes <= free.f_favail) {
        return Ok(());
    }
    Err(DiskError::NoSpace {
        path: root.path().to_owned(),
        bytes,
        bytes_free,
        inodes,
        inodes_free: free.f_favail,
    })
}

/// Whether names may be made and removed in the folder of `path`, or the nearest one above it that
/// exists.
pub fn check_writable(root: &Root, path: &TreePath) -> Result<(), DiskError> {
    let above: Vec<TreePath> = path.ancestors().collect();
    let rights = Access::WRITE_OK | Access::EXEC_OK;
    for folder in above.iter().rev() {
        match root.open_folder(folder) {
            Ok(open) => {
                return accessat(&open, ".", rights, AtFlags::EACCESS)
                    .map_err(DiskError::os("change names in", root.absolute(folder)));
            }
            // A file that becomes a folder in the same change is none yet.
            Err(DiskError::Blocked { .. }) => {}
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => {}
            Err(e) => return Err(e),
        }
    }
    accessat(root.folder(), ".", rights, AtFlags::EACCESS)
        .map_err(DiskError::os("change names in", root.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use crate::model::{Refusal, RefusalName};

    #[test]
    fn too_little_room_says_how_much() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        check_space(&root, 1, 1).unwrap();
        let refusal = Refusal::from(check_space(&root, u64::MAX, 7).unwrap_err());
        assert_eq!(refusal.name, RefusalName::NoSpace);
        assert!(refusal.values[0].1.contains("7 inodes"), "{refusal}");
    }
}
