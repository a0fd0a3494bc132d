//! A staging area: where files of one mount are staged, exchanged from and kept.
//!
//! The root's own is `.lockstep`. Another mount has `.lockstep-mount` at its mount point, made when
//! a change touches the mount and removed when nothing is left in it. In both lie `stage/<n>/` and
//! `generations/<n>/`.
//!
//! | attack, or mishap | defence |
//! |---|---|
//! | one folder mounted into two installations, so that each takes the other's stage for its own leftover | the file `owner` says whose the area is, and where it is mounted; another's is refused, and never emptied |
//! | a `.lockstep-mount` that somebody else made beforehand, or a link of that name | it must be a folder of the operator's own, closed to others, on that very mount |
//! | the mount is gone, and the folder below it is taken for it | an area is only where a mount begins |

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::mount_error::MountError;
use super::root::Root;
use super::stamp::{Mount, Stamp};
use super::state::{EnvironmentFile, StateStore};
use super::{DiskError, durable, folder, mounts};
use crate::model::TreePath;
use crate::model::path::MOUNT_FOLDER;

/// The file that says whose an area is.
const OWNER: &str = "owner";
/// Largest such file, in bytes: two names and a path.
const OWNER_MAX: u64 = 8_192;
/// The file in a stage, and in the generation it becomes, that lists the change's other areas:
/// some are mounts that the kernel does not list (subvolumes).
const RECORD: &str = "areas";
/// Largest such file, in bytes.
const RECORD_MAX: u64 = 16 * 1024 * 1024;

/// Whose areas are meant: an environment's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(String);

impl Tenant {
    /// The node that lives under a root.
    pub fn of(root: &Root) -> Result<Self, DiskError> {
        StateStore::open(root)
            .environment()
            .map(|file| Self::new(&file))
    }

    /// The node that this file makes.
    #[must_use]
    pub fn new(file: &EnvironmentFile) -> Self {
        Self(format!(
            "environment {}\nnode {}\n",
            file.environment.id, file.node
        ))
    }
}

/// A staging area, made or not.
#[derive(Debug)]
pub struct Area {
    home: PathBuf,
    mount: Mount,
    // The mount point, and what `owner` must say; nothing for the root's own area.
    other: Option<(TreePath, String)>,
}

/// Whose the folder of an area is.
#[derive(Debug, PartialEq, Eq)]
enum Tenancy {
    Absent,
    Ours,
    Others(String),
    Vacant,
}

impl Area {
    /// The root's own.
    pub fn own(root: &Root) -> Result<Self, DiskError> {
        Ok(Self {
            home: root.state_folder(),
            mount: root.mount()?,
            other: None,
        })
    }

    /// The one of another mount; [`MountError::AreaMissing`] where none begins at `point`.
    pub fn at(root: &Root, point: &TreePath, tenant: &Tenant) -> Result<Self, DiskError> {
        if !mounts::is_point(root, point)? {
            return Err(missing(root, point, "nothing is mounted there").into());
        }
        Ok(Self {
            home: root.absolute(point).join(MOUNT_FOLDER),
            mount: root.mount_of(point)?,
            other: Some((point.clone(), format!("{}mounted at {point}\n", tenant.0))),
        })
    }

    /// The area of a change that is under way, or done: it must be there.
    pub fn of_change(root: &Root, point: &TreePath, tenant: &Tenant) -> Result<Self, DiskError> {
        let area = Self::at(root, point, tenant)?;
        let tenancy = match area.tenancy(root) {
            // Not to be moved away now: the files of the change may be in it.
            Err(DiskError::InTheWay { reason, .. }) => {
                return Err(missing(root, point, reason).into());
            }
            tenancy => tenancy?,
        };
        match tenancy {
            Tenancy::Ours => Ok(area),
            Tenancy::Absent | Tenancy::Vacant => {
                Err(missing(root, point, "what is mounted there has no staging area").into())
            }
            Tenancy::Others(_) => Err(missing(
                root,
                point,
                "what is mounted there belongs to another environment",
            )
            .into()),
        }
    }

    /// The mount point; nothing for the root.
    #[must_use]
    pub fn point(&self) -> Option<&TreePath> {
        self.other.as_ref().map(|(point, _)| point)
    }

    /// The mount.
    #[must_use]
    pub const fn mount(&self) -> Mount {
        self.mount
    }

    /// The folder of it all.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where stages lie.
    #[must_use]
    pub fn stages(&self) -> PathBuf {
        self.home.join("stage")
    }

    /// Where generations lie.
    #[must_use]
    pub fn generations(&self) -> PathBuf {
        self.home.join("generations")
    }

    /// Makes the area ours, unless it is already. Another's is refused.
    pub fn claim(&self, root: &Root) -> Result<(), DiskError> {
        let Some((_, owner)) = &self.other else {
            return durable::make_folders(&self.stages(), 0o700);
        };
        match self.tenancy(root)? {
            Tenancy::Ours => {}
            Tenancy::Others(found) => {
                return Err(MountError::OthersArea {
                    path: self.home.clone(),
                    found,
                    ours: owner.clone(),
                }
                .into());
            }
            Tenancy::Absent | Tenancy::Vacant => self.make(owner).inspect_err(|_| {
                // What was begun is a leftover; that it cannot be removed either is told by the
                // error that is on its way.
                drop(self.release());
            })?,
        }
        durable::make_folders(&self.stages(), 0o700)
    }

    fn make(&self, owner: &str) -> Result<(), DiskError> {
        durable::make_folders(&self.home, 0o700)?;
        durable::write(&self.home.join(OWNER), owner.as_bytes(), 0o600)?;
        durable::make_folders(&self.stages(), 0o700)
    }

    /// Removes the area where nothing is left in it. What a mount point that is not the operator's
    /// does not let go of stays, and is empty.
    pub fn release(&self) -> Result<(), DiskError> {
        if self.other.is_none() {
            return Ok(());
        }
        let stages = folder::remove_empty(&self.stages())?;
        let generations = folder::remove_empty(&self.generations())?;
        if !(stages && generations) {
            return Ok(());
        }
        folder::sweep_drafts(&self.home)?;
        folder::remove_file(&self.home.join(OWNER))?;
        match folder::remove_empty(&self.home) {
            Err(e) if e.kind() == Some(ErrorKind::PermissionDenied) => Ok(()),
            removed => removed.map(|_| ()),
        }
    }

    /// Whose it is. A folder without `owner` in which nothing was begun was left by a crash.
    fn tenancy(&self, root: &Root) -> Result<Tenancy, DiskError> {
        let Some((point, owner)) = &self.other else {
            return Ok(Tenancy::Ours);
        };
        let at = root.open_folder(point)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let home = match openat(&at, MOUNT_FOLDER, flags, Mode::empty()) {
            Ok(home) => home,
            Err(Errno::NOENT) => return Ok(Tenancy::Absent),
            Err(Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Err(self.unfit()),
            Err(errno) => return Err(DiskError::os("open", &self.home)(errno)),
        };
        let wrap = || DiskError::os("look at", &self.home);
        let stamp = Stamp::of(&home).map_err(wrap())?;
        let user = rustix::process::geteuid().as_raw();
        if (stamp.uid, stamp.mode & 0o077) != (user, 0)
            || Mount::of(home.as_fd()).map_err(wrap())? != self.mount
        {
            return Err(self.unfit());
        }
        match durable::read_if_there(&self.home.join(OWNER), OWNER_MAX)? {
            Some(found) if found == owner.as_bytes() => Ok(Tenancy::Ours),
            Some(found) => Ok(Tenancy::Others(
                String::from_utf8_lossy(&found).into_owned(),
            )),
            None if folder::is_there(&self.stages())? || folder::is_there(&self.generations())? => {
                Err(self.unfit())
            }
            None => Ok(Tenancy::Vacant),
        }
    }

    fn unfit(&self) -> DiskError {
        DiskError::InTheWay {
            path: self.home.clone(),
            reason: "its .lockstep-mount is not a folder that the operator alone can use",
        }
    }
}

/// Every area of this node on another mount: those that the kernel lists and those that a stage or
/// generation names. What is not mounted, and what is not ours, is passed over.
pub fn known(root: &Root) -> Result<Vec<Area>, DiskError> {
    let mut points: BTreeSet<TreePath> = mounts::below(root)?
        .into_iter()
        .filter(|(_, listed)| !listed.is_distant())
        .map(|(point, _)| point)
        .collect();
    let own = Area::own(root)?;
    for folder in [own.stages(), own.generations()] {
        for name in folder::names(&folder)? {
            points.extend(recorded(&folder.join(name))?);
        }
    }
    if points.is_empty() {
        return Ok(Vec::new());
    }
    let tenant = Tenant::of(root)?;
    let mut areas = Vec::new();
    for point in points {
        let area = match Area::at(root, &point, &tenant) {
            Ok(area) => area,
            Err(e) if is_elsewhere(&e) => continue,
            Err(e) => return Err(e),
        };
        match area.tenancy(root) {
            Ok(Tenancy::Ours | Tenancy::Vacant) => areas.push(area),
            Ok(Tenancy::Absent | Tenancy::Others(_)) | Err(DiskError::InTheWay { .. }) => {}
            Err(e) if is_elsewhere(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(areas)
}

/// Notes the other areas of a change in its stage, before anything is made in them.
pub fn record(stage: &Path, points: &[TreePath]) -> Result<(), DiskError> {
    if points.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = points.iter().map(TreePath::as_str).collect();
    durable::write(&stage.join(RECORD), lines.join("\n").as_bytes(), 0o600)
}

fn recorded(stage: &Path) -> Result<Vec<TreePath>, DiskError> {
    let path = stage.join(RECORD);
    let bytes = match durable::read_if_there(&path, RECORD_MAX) {
        // A leftover that is no folder has no record.
        Err(e) if e.kind() == Some(ErrorKind::NotADirectory) => None,
        read => read?,
    };
    let damaged = || DiskError::Damaged {
        path: path.clone(),
        reason: "it does not list mount points".to_owned(),
    };
    let text = String::from_utf8(bytes.unwrap_or_default())
        .ok()
        .ok_or_else(damaged)?;
    text.lines()
        .map(|line| line.parse().ok().ok_or_else(damaged))
        .collect()
}

fn missing(root: &Root, point: &TreePath, reason: &'static str) -> MountError {
    MountError::AreaMissing {
        path: root.absolute(point),
        reason,
    }
}

/// Whether an error only says that no area of ours can be there.
fn is_elsewhere(error: &DiskError) -> bool {
    matches!(
        error,
        DiskError::Mount(MountError::AreaMissing { .. }) | DiskError::Blocked { .. }
    ) || error.kind() == Some(ErrorKind::NotFound)
        || error.is_unreadable()
}
