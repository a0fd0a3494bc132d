//! A new content from an old one and a delta.
//!
//! Whoever asks checks both digests of what comes out. What is promised here: it ends, it never makes more
//! than the size that is asked for, and it never takes more than it may.
//!
//! | attack | defence |
//! |---|---|
//! | a delta that makes more than it states, or less | what is given is counted against the size that the patch states, byte by byte |
//! | an entry of gigabytes that is made again | its size is at most what 32 bits say, and past [`SPILL`] it goes to the scratch, which is counted |
//! | archives, entries and texts without number | each is counted, and bounded, before it is read |
//! | a directory that names an entry that is not there | damage; one that names an entry twice makes another content, which its digests find |
//! | bytes that nobody reads, so that one content has many deltas | columns and streams are read to their ends |

use flate2::Crc;

use super::apply::Applying;
use super::budget::{Budget, Room};
use super::columns::{Coder as _, Field, Reading};
use super::error::{Outcome, damaged};
use super::flate::{Deflating, Recipe};
use super::headers::{self, Before, Central, Facts, Local};
use super::source::{ReadAt, Scratch};
use super::streams::Head;
use super::tree::{Content, Draft, Node, Place, Store, Tree, walk};
use super::zip;

/// Bytes moved at a time.
const CHUNK: usize = 64 * 1024;
/// Bytes of an entry that are kept in memory until its header is written.
const SPILL: usize = 1024 * 1024;

/// Memory for what is read and made piece by piece.
const BUFFERS: u64 = 1024 * 1024;

type Give<'a> = &'a mut dyn FnMut(&[u8]) -> Outcome<()>;

/// Makes the new content, of `size` bytes: hands it to `give` from front to back, and says what that took.
///
/// # Errors
///
/// [`super::DeltaError`]; what was given until then is worth nothing.
pub fn decode(
    delta: &dyn ReadAt,
    old: &dyn ReadAt,
    scratch: &dyn Scratch,
    (size, most): (u64, Room),
    give: Give<'_>,
) -> Outcome<Room> {
    let head = Head::read(delta)?;
    if head.size != size {
        return damaged("it makes another number of bytes than it should");
    }
    let budget = Budget::new(most);
    budget.memory(head.memory().saturating_add(BUFFERS))?;
    let mut left = size;
    let mut bounded = |bytes: &[u8]| match left.checked_sub(bytes.size()) {
        Some(rest) => {
            left = rest;
            give(bytes)
        }
        None => damaged("it makes more bytes than it states"),
    };
    let mut store = Store::new(old, scratch, &budget);
    let mut reading = Reading::new(head.columns(delta)?, &budget)?;
    let mut applying = Applying::new(&head, delta)?;
    let whole = store.whole();
    let tree = if head.archive {
        let blank = Draft::default();
        Some(walk(&mut reading, &mut store, whole, &blank, 0)?)
    } else {
        store.lay(whole);
        None
    };
    let mut decoding = Decoding {
        store: &store,
        applying: &mut applying,
        reading: &mut reading,
    };
    match tree {
        Some(tree) => decoding.archive(&tree, &mut bounded)?,
        None => decoding.plain(size, &mut bounded)?,
    }
    reading.end()?;
    applying.end()?;
    if left == 0 {
        Ok(budget.used())
    } else {
        damaged("it makes fewer bytes than it states")
    }
}

struct Decoding<'a, 'b> {
    store: &'a Store<'b>,
    applying: &'a mut Applying<'b>,
    reading: &'a mut Reading<'b>,
}

impl<'b> Decoding<'_, 'b> {
    /// The next `size` new plain bytes.
    fn plain(&mut self, size: u64, give: Give<'_>) -> Outcome<()> {
        let most = usize::try_from(size).map_or(CHUNK, |size| size.min(CHUNK));
        let mut chunk = vec![0_u8; most];
        let mut left = size;
        while left > 0 {
            let now = usize::try_from(left).map_or(most, |left| left.min(most));
            let piece = chunk.get_mut(..now).unwrap_or_default();
            self.applying.fill(self.store, piece)?;
            give(piece)?;
            left = left.saturating_sub(piece.len().try_into().unwrap_or(left));
        }
        Ok(())
    }

    /// An archive, from its first entry to its end.
    fn archive(&mut self, tree: &Tree, give: Give<'_>) -> Outcome<()> {
        let mut made = Vec::with_capacity(tree.nodes.len());
        let mut before = Before::default();
        let mut total = 0_u64;
        for node in &tree.nodes {
            let old = tree.base(node);
            let mut spill = Spill::new(self.store);
            let facts = self.content(tree, node, &mut spill)?;
            let gap = self.reading.text(Field::GapIs, &[], &[&[]])?;
            let local = headers::local(self.reading, &Local::blank(), facts, old, &mut before)?;
            let Some(descriptor) =
                zip::make_descriptor(local.descriptor, facts.crc, facts.stored, facts.size)
            else {
                return damaged("a descriptor has an unknown length");
            };
            for bytes in [&gap[..], &local.fixed, &local.name, &local.extra] {
                give(bytes)?;
            }
            let offset = total.saturating_add(gap.as_slice().size());
            match &node.content {
                Content::Same => {
                    let place = old.map(|old| Store::stored(tree.place, old));
                    if let Some(place) = place {
                        self.store.each(place, &mut *give)?;
                    }
                }
                Content::Opaque { size } => self.plain(*size, &mut *give)?,
                Content::Plain { .. } | Content::Nested { .. } => spill.give(&mut *give)?,
            }
            give(&descriptor)?;
            let written: u64 = [&gap, &local.name, &local.extra, &descriptor]
                .map(|bytes| bytes.as_slice().size())
                .into_iter()
                .fold(local.fixed.as_slice().size(), u64::saturating_add);
            total = total
                .saturating_add(written)
                .saturating_add(u64::from(facts.stored));
            made.push((local, facts, offset));
        }
        let gap = self.reading.text(Field::GapIs, &[], &[&[]])?;
        give(&gap)?;
        let start = total.saturating_add(gap.as_slice().size());
        let size = self.directory(tree, &made, &mut *give)?;
        let entries = u64::try_from(made.len()).unwrap_or(0);
        let tail = headers::tail(self.reading, &[], &tree.old.tail, (entries, size, start))?;
        give(&tail)
    }

    fn directory(
        &mut self,
        tree: &Tree,
        made: &[(Local, Facts, u64)],
        give: Give<'_>,
    ) -> Outcome<u64> {
        let mut before = Before::default();
        let mut size = 0_u64;
        for place in 0..made.len() {
            let usual = u64::try_from(place).unwrap_or(0);
            let index = self.reading.number(Field::Order, 0, usual)?;
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let (Some((local, facts, offset)), Some(node)) =
                (made.get(index), tree.nodes.get(index))
            else {
                return damaged("the directory names an entry that is not there");
            };
            let offset = u32::try_from(*offset).unwrap_or(u32::MAX);
            let known = (local, *facts, offset);
            let central = headers::central(
                self.reading,
                &Central::blank(),
                known,
                tree.base(node),
                &mut before,
            )?;
            for bytes in [
                &central.fixed[..],
                &local.name,
                &central.extra,
                &central.comment,
            ] {
                size = size.saturating_add(bytes.size());
                give(bytes)?;
            }
        }
        Ok(size)
    }

    /// Makes an entry's stored bytes, where they do not lie there already, and says what is known of
    /// them.
    fn content(&mut self, tree: &Tree, node: &Node, spill: &mut Spill<'_, 'b>) -> Outcome<Facts> {
        let old = tree.base(node);
        match &node.content {
            Content::Same => Ok(old.map_or_else(Facts::default, Facts::of)),
            Content::Opaque { size } => Ok(Facts::opaque(*size, old)),
            Content::Plain { size, recipe } => {
                let mut packing = Packing::new(*recipe, spill)?;
                self.plain(*size, &mut |piece| packing.take(piece))?;
                packing.end()
            }
            Content::Nested { recipe, inner } => {
                let mut packing = Packing::new(*recipe, spill)?;
                self.archive(inner, &mut |piece| packing.take(piece))?;
                packing.end()
            }
        }
    }
}

/// Plain bytes that become stored ones: counted, summed and deflated.
struct Packing<'a, 'b, 'c> {
    crc: Crc,
    size: u64,
    stored: u64,
    deflating: Option<Deflating>,
    spill: &'a mut Spill<'b, 'c>,
}

impl<'a, 'b, 'c> Packing<'a, 'b, 'c> {
    fn new(recipe: Option<Recipe>, spill: &'a mut Spill<'b, 'c>) -> Outcome<Self> {
        Ok(Self {
            crc: Crc::new(),
            size: 0,
            stored: 0,
            deflating: recipe.map(Deflating::new).transpose()?,
            spill,
        })
    }

    fn take(&mut self, piece: &[u8]) -> Outcome<()> {
        self.crc.update(piece);
        self.size = self.size.saturating_add(piece.size());
        if self.size > u64::from(u32::MAX) {
            return damaged("an entry is larger than an entry can be");
        }
        let Self {
            deflating,
            spill,
            stored,
            ..
        } = self;
        let mut keep = |bytes: &[u8]| {
            *stored = stored.saturating_add(bytes.size());
            spill.take(bytes).map(|()| true)
        };
        match deflating {
            Some(deflating) => deflating.write(piece, &mut keep).map(drop),
            None => keep(piece).map(drop),
        }
    }

    fn end(mut self) -> Outcome<Facts> {
        let Self {
            deflating,
            spill,
            stored,
            ..
        } = &mut self;
        if let Some(deflating) = deflating {
            deflating.end(&mut |bytes| {
                *stored = stored.saturating_add(bytes.size());
                spill.take(bytes).map(|()| true)
            })?;
        }
        let short = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        Ok(Facts {
            crc: self.crc.sum(),
            stored: short(self.stored),
            size: short(self.size),
        })
    }
}

/// An entry's stored bytes, until its header is known: in memory, and past [`SPILL`] in the scratch.
struct Spill<'a, 'b> {
    store: &'a Store<'b>,
    kept: Vec<Place>,
    memory: Vec<u8>,
}

impl<'a, 'b> Spill<'a, 'b> {
    fn new(store: &'a Store<'b>) -> Self {
        Self {
            store,
            kept: Vec::new(),
            memory: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.memory.extend_from_slice(bytes);
        if self.memory.len() < SPILL {
            return Ok(());
        }
        let at = self.store.next_kept();
        self.store.keep(&self.memory)?;
        self.kept.push(self.store.kept_since(at));
        self.memory.clear();
        Ok(())
    }

    fn give(self, give: Give<'_>) -> Outcome<()> {
        for place in self.kept {
            self.store.each(place, &mut *give)?;
        }
        give(&self.memory)
    }
}
