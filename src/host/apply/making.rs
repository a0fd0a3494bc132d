//! Contents, made beside the tree by several threads: of bytes that were brought, of a delta, or of an
//! installed file. What one of them meets ends all that come after it; the first in the order of the
//! patch is told, so that the same patch is refused in the same words each time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::delta::{Taken, old};
use super::preflight::no_base;
use crate::disk::DiskError;
use crate::disk::root::{Root, Spot};
use crate::disk::stage::{Stage, StagedFile};
use crate::disk::stages::Stages;
use crate::model::operation::Operation;
use crate::model::recipe::{FileContent, Mode};
use crate::model::{Refusal, Sha256, TreePath, Watch};
use crate::plan::recovery::Mark;
use crate::plan::slots::Slots;
use crate::plan::work::Put;

/// A slot that wants a content, with what is to be made there.
pub(super) type Want<'a> = (u64, &'a FileContent, &'a Put);

/// A content to be made.
#[derive(Clone, Copy)]
pub(super) struct One<'a> {
    /// Its place among the operations.
    pub(super) number: usize,
    pub(super) operation: &'a Operation,
    /// Who wants it.
    pub(super) slots: &'a [Want<'a>],
}

/// What came out of the packs for a content.
pub(super) enum Brought {
    /// The content itself.
    Bytes(Vec<u8>),
    /// A delta, to be applied to the operation's base.
    Delta(Taken),
    /// Nothing: the base is the content.
    Nothing,
}

/// What is made in the stages.
pub(super) struct Making<'a> {
    pub(super) root: &'a Root,
    pub(super) stages: &'a Stages,
    /// The area of each slot.
    pub(super) areas: Vec<u64>,
    /// Where the contents lie that others start from.
    pub(super) bases: BTreeMap<Sha256, TreePath>,
    pub(super) progress: Progress<'a>,
    pub(super) made: Mutex<Made>,
}

/// What the slots hold, and what went wrong first.
pub(super) struct Made {
    slots: Slots,
    /// The refusal, and the number of its content.
    refused: Option<(usize, Refusal)>,
}

/// How far staging is.
pub(super) struct Progress<'a> {
    pub(super) watch: &'a dyn Watch,
    pub(super) done: AtomicU64,
    pub(super) total: u64,
}

impl Progress<'_> {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed);
        let done = done.saturating_add(bytes);
        self.watch.progress("staging", done, self.total);
    }
}

impl Made {
    /// Nothing yet, in any of so many slots.
    pub(super) fn nothing(slots: usize) -> Self {
        Self {
            slots: Slots::of(slots),
            refused: None,
        }
    }
}

impl Making<'_> {
    /// Whether to go on with a content: nobody has ended the command, and nothing went wrong before it.
    pub(super) fn go_on(&self, number: usize) -> Result<(), Refusal> {
        self.progress.watch.go_on()?;
        match &self.made().refused {
            Some((first, refusal)) if *first < number => Err(refusal.clone()),
            _ => Ok(()),
        }
    }

    /// Notes why a content is not made.
    pub(super) fn refuse(&self, number: usize, refusal: Refusal) {
        let mut made = self.made();
        let first = made.refused.as_ref().map(|(first, _)| *first);
        if first.is_none_or(|first| number < first) {
            made.refused = Some((number, refusal));
        }
    }

    /// Makes one content in the first slot that wants it, and copies it to the others.
    pub(super) fn make(&self, one: One<'_>, brought: Brought) {
        let made = self
            .first(one, brought)
            .and_then(|mark| mark.map_or(Ok(()), |mark| self.everywhere(mark, one.slots)));
        if let Err(refusal) = made {
            self.refuse(one.number, refusal);
        }
    }

    fn first(&self, one: One<'_>, brought: Brought) -> Result<Option<Mark>, Refusal> {
        self.go_on(one.number)?;
        let Some(&(slot, file, _)) = one.slots.first() else {
            return Ok(None);
        };
        let mark = match brought {
            Brought::Bytes(bytes) => {
                let mut begun = self.begin(slot, file)?;
                self.add(&mut begun, &bytes)?;
                begun.end(file)
            }
            Brought::Delta(taken) => self.delta(one, &taken, (slot, file)),
            Brought::Nothing => {
                let from = self.base(one.operation)?;
                self.copy(&from, slot, file)
            }
        };
        mark.map(Some)
    }

    /// A content whose first slot is made: settled there, and in the others that want it.
    pub(super) fn everywhere(&self, mark: Mark, slots: &[Want<'_>]) -> Result<(), Refusal> {
        let Some(((first, file, put), others)) = slots.split_first() else {
            return Ok(());
        };
        self.settle(*first, put, file.mode, mark)?;
        for (other, file, put) in others {
            let from = self.stage(*first)?.spot(*first)?;
            let mark = self.copy(&from, *other, file)?;
            self.settle(*other, put, file.mode, mark)?;
        }
        Ok(())
    }

    /// Gives a finished slot its owner, mode and attributes, and remembers what it is.
    pub(super) fn settle(
        &self,
        slot: u64,
        put: &Put,
        mode: Mode,
        mark: Mark,
    ) -> Result<(), Refusal> {
        self.stage(slot)?.adopt(slot, self.root, &put.path, mode)?;
        self.made().slots.fill(slot, mark);
        Ok(())
    }

    /// A file in a free slot, to be filled from front to back.
    pub(super) fn begin(&self, slot: u64, file: &FileContent) -> Result<Begun<'_>, Refusal> {
        let stage = self.stage(slot)?;
        Ok(Begun {
            file: stage.file(slot, file.mode)?,
            stage: stage.path(),
            slot,
        })
    }

    pub(super) fn add(&self, begun: &mut Begun<'_>, bytes: &[u8]) -> Result<(), Refusal> {
        begun.file.write_all(bytes).map_err(|error| {
            DiskError::io("write", begun.stage.join(begun.slot.to_string()))(error)
        })?;
        self.progress
            .advance(u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }

    fn delta(
        &self,
        one: One<'_>,
        taken: &Taken,
        (slot, file): (u64, &FileContent),
    ) -> Result<Mark, Refusal> {
        let operation = one.operation;
        let watch = self.progress.watch;
        let from = self.base(operation)?;
        let old = old(&from, &operation.base.unwrap_or(file.sha256), watch)?;
        let mut begun = self.begin(slot, file)?;
        taken.make(operation, &old, watch, |bytes| {
            self.go_on(one.number)?;
            self.add(&mut begun, bytes)
        })?;
        begun.end(file)
    }

    /// A slot with what lies there already, installed or in another slot.
    fn copy(&self, from: &Spot, slot: u64, file: &FileContent) -> Result<Mark, Refusal> {
        let watch = self.progress.watch;
        let stage = self.stage(slot)?;
        let mark = stage.copy(slot, from, &file.id(), file.mode, watch)?;
        self.progress.advance(file.size);
        Ok(mark)
    }

    /// Where the installed content lies that an operation starts from.
    fn base(&self, operation: &Operation) -> Result<Spot, Refusal> {
        match operation.base.and_then(|base| self.bases.get(&base)) {
            Some(path) => Ok(self.root.spot(path)?),
            None => Err(no_base(operation)),
        }
    }

    /// The stage in which a slot lies.
    pub(super) fn stage(&self, slot: u64) -> Result<&Stage, Refusal> {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        Ok(self
            .stages
            .of(self.areas.get(index).copied().unwrap_or(0))?)
    }

    /// What stands in each slot.
    pub(super) fn end(self) -> Result<Slots, Refusal> {
        let made = self.made.into_inner();
        let Made { slots, refused } = made.unwrap_or_else(PoisonError::into_inner);
        refused.map_or(Ok(slots), |(_, refusal)| Err(refusal))
    }

    // Whoever panicked held it for a single insertion.
    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A content under way.
pub(super) struct Begun<'a> {
    file: StagedFile,
    stage: &'a Path,
    slot: u64,
}

impl Begun<'_> {
    pub(super) fn end(self, file: &FileContent) -> Result<Mark, Refusal> {
        Ok(self.file.finish(&file.id())?)
    }
}
