//! The stages of one change: one in each staging area that it touches.
//!
//! Slots are numbered over all of them, so that a journal names a slot once; the number of its area
//! says in which stage it lies.

use super::area::{self, Area, Tenant};
use super::root::Root;
use super::stage::Stage;
use super::{DiskError, folder};
use crate::model::TreePath;
use crate::plan::recovery::Journal;

/// Stages by the number of their area, the root's own first.
pub struct Stages {
    all: Vec<Stage>,
}

impl Stages {
    /// Takes the root's own stage, and makes an empty one in the area of each of `points`. They
    /// are noted in the root's own first, so that recovery finds what was begun.
    pub fn create(
        root: &Root,
        own: Stage,
        points: &[TreePath],
        sequence: u64,
    ) -> Result<Self, DiskError> {
        area::record(own.path(), points)?;
        // Generations of another past of this node, such as one before a restored backup.
        folder::remove_tree(&Area::own(root)?.generations().join(sequence.to_string()))?;
        let mut all = vec![own];
        if !points.is_empty() {
            let tenant = Tenant::of(root)?;
            for point in points {
                let area = Area::at(root, point, &tenant)?;
                area.claim(root)?;
                folder::remove_tree(&area.generations().join(sequence.to_string()))?;
                all.push(Stage::create_in(&area, sequence)?);
            }
        }
        Ok(Self { all })
    }

    /// Opens the stages of a sealed change; each must be there.
    pub fn open(root: &Root, journal: &Journal) -> Result<Self, DiskError> {
        let needs_recovery = |path, reason: &str| DiskError::NeedsRecovery {
            path,
            reason: reason.to_owned(),
        };
        let mut areas = vec![Area::own(root)?];
        if !journal.areas.is_empty() {
            let tenant = Tenant::of(root)?;
            for point in &journal.areas {
                areas.push(Area::of_change(root, point, &tenant)?);
            }
        }
        let mut all = Vec::new();
        for area in areas {
            let stage = Stage::open_in(&area, journal.sequence)?;
            all.push(stage.ok_or_else(|| {
                let path = area.stages().join(journal.sequence.to_string());
                needs_recovery(path, "the stage is missing")
            })?);
        }
        Ok(Self { all })
    }

    /// Opens the stages of a change that was kept as a generation; each must be there.
    pub fn kept(root: &Root, journal: &Journal) -> Result<Self, DiskError> {
        let mut all = vec![Stage::kept_in(&Area::own(root)?, journal.sequence)?];
        if !journal.areas.is_empty() {
            let tenant = Tenant::of(root)?;
            for point in &journal.areas {
                let area = Area::of_change(root, point, &tenant)?;
                all.push(Stage::kept_in(&area, journal.sequence)?);
            }
        }
        Ok(Self { all })
    }

    /// The stage of an area.
    pub fn of(&self, area: u64) -> Result<&Stage, DiskError> {
        let index = usize::try_from(area).unwrap_or(usize::MAX);
        let first = self.all.first();
        self.all.get(index).ok_or_else(|| DiskError::Damaged {
            path: first
                .map(|stage| stage.path().to_owned())
                .unwrap_or_default(),
            reason: format!("there is no staging area {area}"),
        })
    }

    /// The root's own.
    pub fn own(&self) -> Result<&Stage, DiskError> {
        self.of(0)
    }

    /// Makes everything in them durable.
    pub fn settle(&self) -> Result<(), DiskError> {
        self.all.iter().try_for_each(Stage::settle)
    }

    /// Makes the file systems of all of them durable, whatever was moved there.
    pub fn sync(&self) -> Result<(), DiskError> {
        self.all.iter().try_for_each(Stage::sync)
    }
}
