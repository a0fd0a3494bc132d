//! `Admitted` to `Staged`: every new file beside the tree, checked by both digests, durable. The
//! product still runs, and the tree is untouched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use super::super::Node;
use super::super::change::{After, Staged};
use super::super::survey::Survey;
use super::content::{CopiedPacks, PACKS, Stream};
use super::decided::Decision;
use super::delta::{Taken, old};
use super::preflight::{bases, no_base};
use crate::disk::mounts::Layout;
use crate::disk::root::Spot;
use crate::disk::stage::Stage;
use crate::disk::stages::Stages;
use crate::disk::{DiskError, folder};
use crate::model::patch::{Codec, Operation};
use crate::model::recipe::{FileContent, Mode, What};
use crate::model::{Refusal, RefusalName, Sha256, TreePath, Watch};
use crate::plan::content::pristine;
use crate::plan::recovery::Mark;
use crate::plan::work::{Put, Work};

/// Bytes moved at a time.
const CHUNK: usize = 128 * 1024;

/// A slot that wants a content, with what is to be made there.
type Want<'a> = (u64, &'a FileContent, &'a Put);

/// Stages the work.
pub(super) fn stage(
    node: &Node,
    mut decision: Decision,
    survey: &Survey<'_>,
    (work, layout, after): (Work, Layout, After),
    copied: CopiedPacks,
    watch: &dyn Watch,
) -> Result<Staged<Decision>, Refusal> {
    let CopiedPacks { stage, packs } = copied;
    let (total, _) = work.space();
    let copies = stage.path().join(PACKS);
    let sequence = node.state().sequence.saturating_add(1);
    let stages = Stages::create(node.root(), stage, layout.points(), sequence)?;
    let operations = decision.admitted.take_operations();
    let mut hand = Hand {
        node,
        stages: &stages,
        areas: work.puts.iter().map(|put| layout.area(&put.path)).collect(),
        bases: pristine(&survey.tree, &survey.scan.drift, &bases(&operations)),
        copies: copies.clone(),
        stream: Stream::new(packs),
        marks: BTreeMap::new(),
        watch,
        total,
        done: 0,
    };
    let mut wanted: Vec<Want<'_>> = Vec::new();
    for (slot, put) in (0_u64..).zip(&work.puts) {
        watch.go_on()?;
        match &put.what {
            What::File(file) => wanted.push((slot, file, put)),
            What::Link { target } => {
                let mark = hand.stage(slot)?.link(slot, target)?;
                hand.settle(slot, put, Mode::from_bits(0o777), mark)?;
            }
            What::Folder { mode } => {
                let mark = hand.stage(slot)?.folder(slot, *mode)?;
                hand.settle(slot, put, *mode, mark)?;
            }
        }
    }
    wanted.sort_by_key(|(slot, file, _)| (file.sha256, *slot));
    let mut made = BTreeSet::new();
    for operation in &operations {
        let from = wanted.partition_point(|(_, file, _)| file.sha256 < operation.content);
        let wants = wanted.get(from..).unwrap_or_default();
        let end = wants.partition_point(|(_, file, _)| file.sha256 == operation.content);
        let wants = wants.get(..end).unwrap_or_default();
        let first = !wants.is_empty() && made.insert(from);
        hand.operate(operation, if first { wants } else { &[] })?;
    }
    hand.end()?;
    let contents = wanted.chunk_by(|(_, a, _), (_, b, _)| a.sha256 == b.sha256);
    let left = contents
        .filter_map(<[_]>::first)
        .find(|(slot, ..)| !hand.marks.contains_key(slot));
    if let Some((_, file, _)) = left {
        return Err(Refusal::new(
            RefusalName::Corrupt,
            "the patch does not bring a content that its recipes need",
        )
        .value("needed", file.sha256)
        .value("brought", format!("{} content(s)", operations.len()))
        .next("prepare the patch again: lockstep prepare"));
    }
    drop((wanted, operations));
    let marks = hand.marks;
    folder::remove_tree(&copies)?;
    stages.settle()?;
    Ok(Staged {
        decided: decision,
        work,
        layout,
        marks,
        after,
    })
}

struct Hand<'a> {
    node: &'a Node,
    stages: &'a Stages,
    /// The area of each slot.
    areas: Vec<u64>,
    bases: BTreeMap<Sha256, TreePath>,
    /// Where packs and deltas lie until they are used.
    copies: PathBuf,
    stream: Stream,
    marks: BTreeMap<u64, Mark>,
    watch: &'a dyn Watch,
    total: u64,
    done: u64,
}

impl Hand<'_> {
    /// The stage in which a slot lies.
    fn stage(&self, slot: u64) -> Result<&Stage, Refusal> {
        let index = usize::try_from(slot).unwrap_or(usize::MAX);
        Ok(self
            .stages
            .of(self.areas.get(index).copied().unwrap_or(0))?)
    }

    /// Makes one content in the first slot that wants it, and copies it to the others. What nobody
    /// wants (the customer keeps the file) is passed over.
    fn operate(&mut self, operation: &Operation, slots: &[Want<'_>]) -> Result<(), Refusal> {
        self.watch.go_on()?;
        let Some(((slot, file, put), others)) = slots.split_first() else {
            return self.skip(operation);
        };
        let mark = match operation.codec {
            Codec::Whole => self.whole(operation, *slot, file)?,
            Codec::Delta => self.delta(operation, *slot, file)?,
            Codec::Copy => {
                let mark = self.copy(operation, *slot, file)?;
                self.advance(file.size);
                mark
            }
        };
        self.settle(*slot, put, file.mode, mark)?;
        for (other, file, put) in others {
            let mark = self.duplicate(*slot, *other, file)?;
            self.settle(*other, put, file.mode, mark)?;
            self.advance(file.size);
        }
        Ok(())
    }

    /// Gives a finished slot its owner, mode and attributes, and remembers what it is.
    fn settle(&mut self, slot: u64, put: &Put, mode: Mode, mark: Mark) -> Result<(), Refusal> {
        self.stage(slot)?
            .adopt(slot, self.node.root(), &put.path, mode)?;
        self.marks.insert(slot, mark);
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.watch.progress("staging", self.done, self.total);
    }

    fn whole(
        &mut self,
        operation: &Operation,
        slot: u64,
        file: &FileContent,
    ) -> Result<Mark, Refusal> {
        let stage = self.stage(slot)?;
        let mut writer = stage.file(slot, file.mode)?;
        let path = stage.path().join(slot.to_string());
        self.take(operation.length, |hand, bytes| {
            writer
                .write_all(bytes)
                .map_err(DiskError::io("write", &path))?;
            hand.advance(u64::try_from(bytes.len()).unwrap_or(0));
            Ok(())
        })?;
        Ok(writer.finish(&file.id())?)
    }

    fn copy(&self, operation: &Operation, slot: u64, file: &FileContent) -> Result<Mark, Refusal> {
        let from = self.base(operation)?;
        Ok(self
            .stage(slot)?
            .copy(slot, &from, &file.id(), file.mode, self.watch)?)
    }

    fn delta(
        &mut self,
        operation: &Operation,
        slot: u64,
        file: &FileContent,
    ) -> Result<Mark, Refusal> {
        let taken = Taken::create(&self.copies)?;
        self.take(operation.length, |_, bytes| Ok(taken.take(bytes)?))?;
        let from = self.base(operation)?;
        let watch = self.watch;
        let old = old(&from, &operation.base.unwrap_or(file.sha256), watch)?;
        let stage = self.stage(slot)?;
        let mut writer = stage.file(slot, file.mode)?;
        let path = stage.path().join(slot.to_string());
        let (done, total) = (self.done, self.total);
        let mut made = 0_u64;
        taken.make(operation, &old, watch, |bytes| {
            watch.go_on()?;
            writer
                .write_all(bytes)
                .map_err(DiskError::io("write", &path))?;
            made = made.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
            watch.progress("staging", done.saturating_add(made), total);
            Ok(())
        })?;
        self.done = done.saturating_add(made);
        Ok(writer.finish(&file.id())?)
    }

    /// Where the installed content lies that an operation starts from.
    fn base(&self, operation: &Operation) -> Result<Spot, Refusal> {
        match operation.base.and_then(|base| self.bases.get(&base)) {
            Some(path) => Ok(self.node.root().spot(path)?),
            None => Err(no_base(operation)),
        }
    }

    /// The same content once more, from the slot that has it.
    fn duplicate(&self, from: u64, slot: u64, file: &FileContent) -> Result<Mark, Refusal> {
        let from = self.stage(from)?.spot(from)?;
        Ok(self
            .stage(slot)?
            .copy(slot, &from, &file.id(), file.mode, self.watch)?)
    }

    /// The last pack ends where the operations do.
    fn end(&mut self) -> Result<(), Refusal> {
        match self.stream.read(&mut [0_u8; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(undecodable("there is more than the operations take")),
            Err(e) => Err(undecodable(&e.to_string())),
        }
    }

    fn skip(&mut self, operation: &Operation) -> Result<(), Refusal> {
        self.take(operation.length, |_, _| Ok(()))
    }

    fn take(
        &mut self,
        length: u64,
        mut give: impl FnMut(&mut Self, &[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut chunk =
            vec![0_u8; usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK))];
        let mut left = length;
        while left > 0 {
            self.watch.go_on()?;
            let room = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let read = self
                .stream
                .read(chunk.get_mut(..room).unwrap_or_default())
                .map_err(|e| undecodable(&e.to_string()))?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Err(Refusal::new(
                    RefusalName::Corrupt,
                    "the packs end before the operations do",
                ));
            }
            give(self, bytes)?;
            left = left.saturating_sub(u64::try_from(read).unwrap_or(left));
        }
        Ok(())
    }
}

fn undecodable(why: &str) -> Refusal {
    Refusal::new(
        RefusalName::Corrupt,
        format!("a pack cannot be decoded: {why}"),
    )
    .next("copy the file again; if it stays so, prepare the patch again")
}
