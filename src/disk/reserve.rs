//! Room that is taken beforehand, so that what must be written while the product stands still finds it,
//! whoever else fills the disk meanwhile.
//!
//! A reserve is a file of the size that is needed, in the stage, where recovery removes what a crash
//! leaves. Its room is given back just before the real thing is written. A file system that cannot take
//! room for a file (`fallocate`) has none reserved: preflight has asked for it all the same.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::root::Root;
use super::{DiskError, durable, folder};

/// Room for one thing that is yet to be written; given back when it is dropped.
#[must_use = "what is dropped is reserved no longer"]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Takes `bytes` on the root's own mount for what `name` says; no room is told as such.
    pub fn take(root: &Root, name: &str, bytes: u64) -> Result<Self, DiskError> {
        let stage = root.state_folder().join("stage");
        durable::make_folders(&stage, 0o700)?;
        let path = stage.join(format!("reserve-{name}"));
        folder::remove_file(&path)?;
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(DiskError::io("create", &path))?;
        let reserve = Self { path };
        match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(reserve),
            Err(errno) => Err(DiskError::os("reserve room in", &reserve.path)(errno)),
        }
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // What cannot be removed is a leftover of the stage, and goes with it.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn room_is_taken_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let path = root.state_folder().join("stage/reserve-journal");
        for _ in 0..2 {
            let reserve = Reserve::take(&root, "journal", 1 << 20).unwrap();
            let blocks = path.metadata().unwrap().blocks();
            // A file system without fallocate takes none.
            assert!(blocks == 0 || blocks * 512 >= 1 << 20, "{blocks}");
            std::mem::forget(reserve);
        }
        drop(Reserve::take(&root, "journal", 1).unwrap());
        assert!(!path.exists());
        let all = Reserve::take(&root, "state", 1 << 60);
        if let Err(error) = all {
            assert!(error.to_string().contains("reserve"), "{error}");
        }
        assert!(!root.state_folder().join("stage/reserve-state").exists());
    }
}
