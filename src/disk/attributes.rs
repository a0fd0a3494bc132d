//! Extended attributes of something open: which there are, and reading, setting, removing one.
//!
//! A file system without attributes has none: that is no error until one is to be set.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{
    XattrFlags, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, fremovexattr, fsetxattr,
};
use rustix::io::Errno;

use super::DiskError;

/// Largest attribute, and list of attribute names, of Linux.
const LARGEST: usize = 65_536;

/// The names of all attributes that this user may know of.
pub(super) fn names(file: impl AsFd, path: &Path) -> Result<Vec<String>, DiskError> {
    let wrap = || DiskError::os("list the attributes of", path);
    // Nearly every file has none, and then no room is needed.
    match flistxattr_query(&file) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(errno) => return Err(wrap()(errno)),
    }
    let mut list = vec![0; LARGEST];
    let length = flistxattr(&file, list.as_mut_slice()).map_err(wrap())?;
    list.truncate(length);
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let name = String::from_utf8(name.to_vec());
            name.map_err(|_not_text| wrap()(Errno::ILSEQ))
        })
        .collect()
}

/// The value of an attribute; nothing where the file, or its file system, has it not.
pub(super) fn get(file: impl AsFd, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    match fgetxattr_query(&file, name) {
        Ok(_) => {}
        Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let mut value = vec![0; LARGEST];
    let length = fgetxattr(&file, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(Some(value))
}

/// Sets an attribute, where it has another value.
pub(super) fn set(file: impl AsFd, name: &str, value: &[u8]) -> Result<(), Errno> {
    if get(&file, name)?.as_deref() == Some(value) {
        return Ok(());
    }
    fsetxattr(&file, name, value, XattrFlags::empty())
}

/// Removes an attribute, where there is one.
pub(super) fn remove(file: impl AsFd, name: &str) -> Result<(), Errno> {
    // Asking costs no write where there is none, which is nearly always.
    match fgetxattr_query(&file, name) {
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        Err(errno) => Err(errno),
        Ok(_) => fremovexattr(&file, name),
    }
}
