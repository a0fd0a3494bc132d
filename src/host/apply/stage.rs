//! `Admitted` to `Staged`: every new file beside the tree, checked by both digests, durable. The
//! product still runs, and the tree is untouched.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use rayon::ScopeFifo;

use super::super::Node;
use super::super::change::{After, Staged, space};
use super::super::survey::Survey;
use super::content::{CopiedPacks, PACKS, Stream};
use super::decided::Decision;
use super::delta::Taken;
use super::gate::{Gate, Load};
use super::making::{Brought, Made, Making, One, Progress, Want};
use super::preflight::bases;
use crate::disk::folder;
use crate::disk::mounts::Layout;
use crate::disk::stages::Stages;
use crate::model::operation::{Codec, Operation};
use crate::model::recipe::{Mode, What};
use crate::model::{Refusal, RefusalName, Watch};
use crate::plan::content::pristine;
use crate::plan::work::Work;

/// Bytes moved at a time.
const CHUNK: usize = 128 * 1024;
/// Largest content that is held until a thread makes it, in bytes; a larger one is written as it comes.
const HELD_MAX: u64 = 256 * 1024;
/// Contents that wait for each thread, at most.
const WAITING: u64 = 16;

/// Deltas that wait or are made at once, at most: each has two files open, and a process may have 1024.
const DELTAS: u64 = 64;

/// Stages the work, with `memory` bytes for what is made at a time.
pub(super) fn stage(
    node: &Node,
    mut decision: Decision,
    survey: &Survey<'_>,
    (work, layout, after): (Work, Layout, After),
    copied: CopiedPacks,
    (memory, watch): (u64, &dyn Watch),
) -> Result<Staged<Decision>, Refusal> {
    let CopiedPacks { stage, packs, .. } = copied;
    let copies = stage.path().join(PACKS);
    let sequence = node.state().sequence.saturating_add(1);
    let stages = Stages::create(node.root(), stage, layout.points(), sequence)?;
    let operations = decision.admitted.take_operations();
    let most = most(node, (&work, &layout), &operations, memory)?;
    let gate = Gate::new(most);
    let making = Making {
        root: node.root(),
        stages: &stages,
        areas: work.puts.iter().map(|put| layout.area(&put.path)).collect(),
        bases: pristine(&survey.tree, &survey.scan.drift, &bases(&operations)),
        progress: Progress {
            watch,
            done: AtomicU64::new(0),
            total: work.space().0,
        },
        made: Mutex::new(Made::nothing(work.puts.len())),
    };
    let wanted = plain(&making, &work, watch)?;
    let mut unpacking = Unpacking {
        making: &making,
        gate: &gate,
        delta: weight(most.contents),
        copies: &copies,
        stream: Stream::new(packs),
        number: 0,
    };
    rayon::in_place_scope_fifo(|scope| {
        let mut made = BTreeSet::new();
        for (number, operation) in operations.iter().enumerate() {
            let from = wanted.partition_point(|(_, file, _)| file.sha256 < operation.content);
            let wants = wanted.get(from..).unwrap_or_default();
            let end = wants.partition_point(|(_, file, _)| file.sha256 == operation.content);
            let wants = wants.get(..end).unwrap_or_default();
            let first = !wants.is_empty() && made.insert(from);
            let one = One {
                number,
                operation,
                slots: if first { wants } else { &[] },
            };
            if let Err(refusal) = unpacking.operate(scope, one) {
                return making.refuse(number, refusal);
            }
        }
        if let Err(refusal) = unpacking.end() {
            making.refuse(operations.len(), refusal);
        }
    });
    let slots = making.end()?;
    let contents = wanted.chunk_by(|(_, a, _), (_, b, _)| a.sha256 == b.sha256);
    let left = contents
        .filter_map(<[_]>::first)
        .find(|(slot, ..)| slots.get(*slot).is_none());
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
    folder::remove_tree(&copies)?;
    stages.settle()?;
    Ok(Staged {
        decided: decision,
        work,
        layout,
        slots,
        after,
    })
}

/// What may be made at a time. Room for the largest delta was asked for before anything was copied in;
/// others are made beside it as far as half of what nobody needs reaches.
fn most(
    node: &Node,
    (work, layout): (&Work, &Layout),
    operations: &[Operation],
    memory: u64,
) -> Result<Load, Refusal> {
    let largest = operations.iter().map(Operation::room).max().unwrap_or(0);
    let spare = space::spare(node, work, layout)?;
    let threads = u64::try_from(rayon::current_num_threads()).unwrap_or(1);
    Ok(Load {
        contents: threads.saturating_mul(WAITING),
        memory,
        room: (spare.saturating_sub(largest) / 2).saturating_add(largest),
    })
}

/// How many contents a delta counts for where so many are let in, so that no more than [`DELTAS`] are.
fn weight(contents: u64) -> u64 {
    contents.div_ceil(DELTAS).max(1)
}

/// Makes all links and folders; gives what wants a content, rising by content.
fn plain<'a>(
    making: &Making<'_>,
    work: &'a Work,
    watch: &dyn Watch,
) -> Result<Vec<Want<'a>>, Refusal> {
    let mut wanted: Vec<Want<'_>> = Vec::new();
    for (slot, put) in (0_u64..).zip(&work.puts) {
        watch.go_on()?;
        match &put.what {
            What::File(file) => wanted.push((slot, file, put)),
            What::Link { target } => {
                let mark = making.stage(slot)?.link(slot, target)?;
                making.settle(slot, put, Mode::from_bits(0o777), mark)?;
            }
            What::Folder { mode } => {
                let mark = making.stage(slot)?.folder(slot, *mode)?;
                making.settle(slot, put, *mode, mark)?;
            }
        }
    }
    wanted.sort_by_key(|(slot, file, _)| (file.sha256, *slot));
    Ok(wanted)
}

/// Takes the packs apart, from front to back, and has made of it what is wanted.
struct Unpacking<'a> {
    making: &'a Making<'a>,
    gate: &'a Gate,
    /// How many contents a delta counts for.
    delta: u64,
    /// Where deltas lie until they are used.
    copies: &'a Path,
    stream: Stream,
    /// The content that it is at.
    number: usize,
}

impl<'a> Unpacking<'a> {
    /// Takes what one operation cuts from the stream. What nobody wants (the customer keeps the file) is
    /// passed over.
    fn operate(&mut self, scope: &ScopeFifo<'a>, one: One<'a>) -> Result<(), Refusal> {
        let (making, operation, slots) = (self.making, one.operation, one.slots);
        self.number = one.number;
        making.go_on(one.number)?;
        let Some((slot, file, _)) = slots.first() else {
            return self.take(operation.length, |_| Ok(()));
        };
        let (contents, memory) = match operation.codec {
            Codec::Whole if operation.length > HELD_MAX => {
                let mut begun = making.begin(*slot, file)?;
                self.take(operation.length, |bytes| making.add(&mut begun, bytes))?;
                return making.everywhere(begun.end(file)?, slots);
            }
            Codec::Whole | Codec::Copy => (1, HELD_MAX),
            Codec::Delta => (self.delta, operation.memory),
        };
        let pass = self.gate.enter(Load {
            contents,
            memory,
            room: operation.room(),
        });
        let brought = self.bring(operation, *slot)?;
        scope.spawn_fifo(move |_| {
            making.make(one, brought);
            drop(pass);
        });
        Ok(())
    }

    /// What the stream has for an operation.
    fn bring(&mut self, operation: &Operation, slot: u64) -> Result<Brought, Refusal> {
        Ok(match operation.codec {
            Codec::Copy => Brought::Nothing,
            Codec::Whole => {
                let mut held = Vec::new();
                self.take(operation.length, |bytes| {
                    held.extend_from_slice(bytes);
                    Ok(())
                })?;
                Brought::Bytes(held)
            }
            Codec::Delta => {
                let taken = Taken::create(self.copies, slot)?;
                self.take(operation.length, |bytes| Ok(taken.take(bytes)?))?;
                Brought::Delta(taken)
            }
        })
    }

    /// The last pack ends where the operations do.
    fn end(&mut self) -> Result<(), Refusal> {
        match self.stream.read(&mut [0_u8; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(undecodable("there is more than the operations take")),
            Err(e) => Err(undecodable(&e.to_string())),
        }
    }

    fn take(
        &mut self,
        length: u64,
        mut give: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut chunk =
            vec![0_u8; usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK))];
        let mut left = length;
        while left > 0 {
            self.making.go_on(self.number)?;
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
            give(bytes)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_that_wait_do_not_use_up_the_open_files() {
        for threads in 1..=1_000 {
            let contents = threads * WAITING;
            let deltas = contents / weight(contents);
            assert!((1..=DELTAS).contains(&deltas), "{threads}: {deltas}");
            // Where there are few, each thread has some waiting.
            assert!(threads > 4 || deltas == contents, "{threads}: {deltas}");
        }
    }
}
