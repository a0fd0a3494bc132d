//! The operator: the user who owns `.lockstep`, and the only one who changes the environment.
//!
//! Another user is refused with the line to type. Root becomes the operator for good, so that no
//! file of the installation ends up owned by root; where that is not safe, root is refused too.
//! Whoever owns the root's folder when the environment is made becomes its operator.

use std::path::Path;

use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::root::Root;
use super::{DiskError, durable, folder};
use crate::model::text::shell_word;

/// Largest user or group file that is read, in bytes.
const ACCOUNTS_MAX: u64 = 4 * 1024 * 1024;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Primary group.
    pub gid: u32,
    /// Name from `/etc/passwd`, or `#UID` (which sudo takes) where it has none there.
    pub name: String,
    /// User id.
    pub uid: u32,
}

impl User {
    /// Who runs this process.
    #[must_use]
    pub fn current() -> Self {
        let uid = geteuid().as_raw();
        Self::known(uid, getegid().as_raw())
    }

    /// Who owns the installation's `.lockstep`.
    pub fn operator(root: &Root) -> Result<Self, DiskError> {
        use std::os::unix::fs::MetadataExt as _;
        let path = root.state_folder();
        let metadata = path
            .symlink_metadata()
            .map_err(DiskError::io("look at", &path))?;
        Ok(Self::known(metadata.uid(), metadata.gid()))
    }

    /// Whether this process acts as the operator of an installation, as far as that can be told.
    #[must_use]
    pub fn is_operator(root: &Root) -> bool {
        Self::operator(root).is_ok_and(|operator| operator.uid == geteuid().as_raw())
    }

    fn known(uid: u32, gid: u32) -> Self {
        passwd_line(&accounts("/etc/passwd"), uid).unwrap_or_else(|| Self {
            gid,
            name: format!("#{uid}"),
            uid,
        })
    }
}

/// The name of a user, or `#UID` where it has none.
pub(super) fn named(uid: u32) -> String {
    User::known(uid, 0).name
}

/// Makes sure that this process acts as the operator, and says who that is.
///
/// `command` is what was typed (`apply x.patch.spr`), for the line that a refusal names: it says
/// the root, so that it can be typed from anywhere.
/// Call it first of all: user ids belong to threads, so root can become the operator only while
/// this is the process's one thread; threads started later inherit them.
pub fn check(root: &Root, command: &str) -> Result<User, DiskError> {
    let user = User::current();
    let operator = User::operator(root)?;
    if user.uid == operator.uid {
        return Ok(user);
    }
    let refusal = || {
        let line = format!(
            "lockstep {command} --root {}",
            shell_word(&root.path().display().to_string())
        );
        refuse(&user, &operator, &line)
    };
    if user.uid != 0 || !alone() {
        return Err(refusal());
    }
    become_user(&operator).ok().ok_or_else(refusal)?;
    Ok(operator)
}

/// Makes whoever owns the root's folder the operator of an environment that is about to be made:
/// root becomes that user. The first of all calls, as for [`check`].
pub fn found(root: &Root) -> Result<User, DiskError> {
    use std::os::unix::fs::MetadataExt as _;
    let user = User::current();
    let metadata = root.path().symlink_metadata();
    let metadata = metadata.map_err(DiskError::io("look at", root.path()))?;
    let owner = User::known(metadata.uid(), metadata.gid());
    if user.uid != 0 || owner.uid == 0 || !alone() {
        return Ok(user);
    }
    become_user(&owner).map_err(DiskError::os("become the owner of", root.path()))?;
    Ok(owner)
}

fn alone() -> bool {
    folder::names(Path::new("/proc/self/task")).is_ok_and(|tasks| tasks.len() == 1)
}

/// Makes sure that this user may read the node's own state: the operator may, and root.
pub fn check_reader(root: &Root) -> Result<(), DiskError> {
    let user = User::current();
    let operator = User::operator(root)?;
    if user.uid == operator.uid || user.uid == 0 {
        return Ok(());
    }
    let line = format!(
        "lockstep status --root {}",
        shell_word(&root.path().display().to_string())
    );
    Err(refuse(&user, &operator, &line))
}

fn refuse(user: &User, operator: &User, line: &str) -> DiskError {
    DiskError::NotOperator {
        operator: operator.name.clone(),
        user: user.name.clone(),
        line: format!("sudo -u {} {line}", shell_word(&operator.name)),
    }
}

fn become_user(user: &User) -> rustix::io::Result<()> {
    let groups: Vec<Gid> = group_ids(&accounts("/etc/group"), user)
        .into_iter()
        .map(Gid::from_raw)
        .collect();
    set_thread_groups(&groups)?;
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid)
}

/// A user or group file; what cannot be read names nobody.
fn accounts(path: &str) -> String {
    durable::read(Path::new(path), ACCOUNTS_MAX)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn passwd_line(text: &str, uid: u32) -> Option<User> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found == uid).then(|| User {
            gid,
            name: name.to_owned(),
            uid,
        })
    })
}

fn group_ids(text: &str, user: &User) -> Vec<u32> {
    let mut ids: Vec<u32> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse().ok()?;
            let members = fields.next()?;
            members
                .split(',')
                .any(|member| member == user.name)
                .then_some(gid)
        })
        .collect();
    ids.push(user.gid);
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Refusal, RefusalName};

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nbroken\nstep:x:1001:1002:S:/opt:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nstep:x:1002:\nlogs:x:77:anna,step\nother:x:78:steps\n";

    #[test]
    fn accounts_are_read() {
        let step = passwd_line(PASSWD, 1001).unwrap();
        assert_eq!((step.name.as_str(), step.gid), ("step", 1002));
        assert_eq!(passwd_line(PASSWD, 5), None);
        assert_eq!(group_ids(GROUP, &step), [77, 1002]);
        assert_eq!(User::known(4_000_000, 1).name, "#4000000");
    }

    /// The test runner has many threads, so even root is refused here rather than half changed.
    #[test]
    fn another_user_gets_the_line_to_type() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join(".lockstep");
        std::fs::create_dir(&state).unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(check(&root, "gc").unwrap(), User::current());
        if geteuid().is_root() {
            std::os::unix::fs::chown(&state, Some(4_000_000), Some(1)).unwrap();
            let refusal = Refusal::from(check(&root, "gc").unwrap_err());
            assert_eq!(refusal.name, RefusalName::NotPermitted);
            let line = format!("lockstep gc --root {}", root.path().display());
            assert_eq!(refusal.next, format!("sudo -u '#4000000' {line}"));
            assert_eq!(geteuid().as_raw(), 0);
        }
    }
}
