//! Whether a file system can make two files change places: asked with two files of its own, before
//! anything of the product is touched.
//!
//! One that cannot is refused. Two renames in place of the exchange would leave a moment in which
//! the path is empty (`docs/decisions/0009-mounts.md`).

use rustix::fs::{CWD, NFS_SUPER_MAGIC, RenameFlags, fstatfs, renameat_with};
use rustix::io::Errno;

use super::area::{Area, Tenant};
use super::mount_error::MountError;
use super::root::Root;
use super::state::EnvironmentFile;
use super::{DiskError, durable, folder, founding, mounts};
use crate::model::TreePath;

use std::path::Path;

/// Asks the file system of the root, and of each of these mounts.
pub fn check(root: &Root, points: &[TreePath]) -> Result<(), DiskError> {
    let own = Area::own(root)?;
    check_type(root, None)?;
    durable::make_folders(&own.stages(), 0o700)?;
    try_in(root.path(), &own.stages())?;
    if points.is_empty() {
        return Ok(());
    }
    let tenant = Tenant::of(root)?;
    points
        .iter()
        .try_for_each(|point| check_mount(root, point, &tenant))
}

/// The same before there is an environment: the root must be able to, and what is to be known of
/// the mounts below it is told in words.
pub fn at_founding(root: &Root, environment: &EnvironmentFile) -> Result<Vec<String>, DiskError> {
    check_type(root, None)?;
    let nursery = founding::nursery(root);
    folder::remove_tree(&nursery)?;
    durable::make_folder_new(&nursery, 0o700)?;
    let answer = try_in(root.path(), &nursery);
    folder::remove_tree(&nursery)?;
    answer?;
    let tenant = Tenant::new(environment);
    let mut words = Vec::new();
    for (point, listed) in mounts::below(root)? {
        let answer = if listed.is_distant() {
            Err(format!("{} cannot exchange files", listed.kind))
        } else {
            check_mount(root, &point, &tenant).map_err(|e| e.to_string())
        };
        if let Err(why) = answer {
            words.push(format!("a patch may not touch files below {point}: {why}"));
        }
    }
    Ok(words)
}

fn check_mount(root: &Root, point: &TreePath, tenant: &Tenant) -> Result<(), DiskError> {
    check_type(root, Some(point))?;
    let area = Area::at(root, point, tenant)?;
    area.claim(root)?;
    let answer = try_in(&root.absolute(point), &area.stages());
    let released = area.release();
    answer.and(released)
}

/// NFS is refused by its type: a server may take the call and not keep its promise in a crash.
fn check_type(root: &Root, point: Option<&TreePath>) -> Result<(), DiskError> {
    let path = point.map_or_else(|| root.path().to_owned(), |point| root.absolute(point));
    let answer = match point {
        None => fstatfs(root.folder()),
        Some(point) => fstatfs(root.open_folder(point)?),
    };
    let found = answer.map_err(DiskError::os("look at", &path))?;
    refuse_type(&path, found.f_type == NFS_SUPER_MAGIC)
}

fn refuse_type(point: &Path, is_nfs: bool) -> Result<(), DiskError> {
    if is_nfs {
        return Err(unable(point, "it is NFS, which is not asked".to_owned()));
    }
    Ok(())
}

/// Two files are made in `folder`, exchanged, and moved without replacing; then they go.
fn try_in(point: &Path, folder: &Path) -> Result<(), DiskError> {
    let id = uuid::Uuid::new_v4().simple();
    let [first, second, free] =
        ["a", "b", "c"].map(|name| folder.join(format!(".probe-{name}-{id}.tmp")));
    let answer = durable::touch(&first)
        .and_then(|()| durable::touch(&second))
        .and_then(|()| {
            let exchanged = renameat_with(CWD, &first, CWD, &second, RenameFlags::EXCHANGE);
            judge(point, "RENAME_EXCHANGE", exchanged)?;
            let moved = renameat_with(CWD, &first, CWD, &free, RenameFlags::NOREPLACE);
            judge(point, "RENAME_NOREPLACE", moved)
        });
    for path in [&first, &second, &free] {
        folder::remove_file(path)?;
    }
    answer
}

fn judge(point: &Path, call: &str, answer: rustix::io::Result<()>) -> Result<(), DiskError> {
    match answer {
        Ok(()) => Ok(()),
        Err(errno @ (Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)) => {
            Err(unable(point, format!("{call}: {errno}")))
        }
        Err(errno) => Err(DiskError::os("rename a probe in", point)(errno)),
    }
}

fn unable(point: &Path, answer: String) -> DiskError {
    MountError::NoExchange {
        path: point.to_owned(),
        kind: mounts::describe(point),
        answer,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use crate::model::{Refusal, RefusalName};

    #[test]
    fn a_file_system_that_can_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        check(&root, &[]).unwrap();
        assert_eq!(
            folder::names(&root.state_folder().join("stage"))
                .unwrap()
                .len(),
            0
        );
        let fresh = tempfile::tempdir().unwrap();
        let root = Root::open(fresh.path()).unwrap();
        assert_eq!(
            at_founding(&root, &samples::environment()).unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(folder::names(fresh.path()).unwrap().len(), 0);
    }

    /// Every answer of a file system, whichever there are on this machine.
    #[test]
    fn what_the_answers_mean() {
        let point = Path::new("/srv/step/data");
        judge(point, "RENAME_EXCHANGE", Ok(())).unwrap();
        refuse_type(point, false).unwrap();
        let unable = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP]
            .map(|errno| judge(point, "RENAME_EXCHANGE", Err(errno)));
        for answer in unable.into_iter().chain([refuse_type(point, true)]) {
            let refusal = Refusal::from(answer.unwrap_err());
            assert_eq!(refusal.name, RefusalName::NotPermitted);
            assert_eq!(refusal.values[0].1, "/srv/step/data");
            assert_eq!(refusal.values.len(), 3);
        }
        let other = judge(point, "RENAME_EXCHANGE", Err(Errno::IO)).unwrap_err();
        assert_eq!(Refusal::from(other).name, RefusalName::Internal);
    }
}
