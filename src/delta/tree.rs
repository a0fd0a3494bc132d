//! How a new archive is made from an old one: each entry's content, and the old bytes that it needs.
//!
//! The old bytes are laid end to end, in the order of the new entries: matches point into them. They
//! follow from the tree alone, so that nothing has to say where they are.
//!
//! | attack | defence |
//! |---|---|
//! | archives inside of archives, without end | [`DEPTH_MAX`] |
//! | old entries that inflate to more than the disk holds | what is written into the scratch is counted, and bounded |
//! | one old entry laid down, or opened, again and again | each is used once within its archive |
//! | an old entry that cannot be inflated, so that its whole archive cannot be a base | it gives no old bytes, and the others do |

use std::collections::HashSet;

use super::budget::Budget;
use super::columns::{Coder, Field};
use super::error::{DeltaError, Outcome, damaged};
use super::flate::{self, Recipe};
use super::source::{ReadAt, Scratch, Span, each_piece};
use super::zip::{self, Archive, Entry};

/// Most archives inside of each other: a war holds jars, which hold few jars themselves.
pub(super) const DEPTH_MAX: u32 = 4;

/// Memory that an entry of a new archive takes, without its texts.
const NODE_MEMORY: u64 = 512;

/// What an entry of a new archive holds.
pub(super) enum Content<T> {
    /// The stored bytes of the old one.
    Same,
    /// The next `size` of the new plain bytes, deflated or not.
    Plain { size: u64, recipe: Option<Recipe> },
    /// An archive, made from the old one's, deflated or not.
    Nested { recipe: Option<Recipe>, inner: T },
    /// The next `size` of the new plain bytes, which are stored bytes that no recipe makes.
    Opaque { size: u64 },
}

impl<T> Content<T> {
    /// As it is written down.
    fn kind(&self) -> u64 {
        match self {
            Self::Same => 0,
            Self::Plain { .. } => 1,
            Self::Nested { .. } => 2,
            Self::Opaque { .. } => 3,
        }
    }
}

/// What a new archive is to be, before it is written down.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) nodes: Vec<(Option<usize>, Content<Box<Draft>>)>,
}

/// A new archive, read or written down.
pub(super) struct Tree {
    /// Where the old archive lies.
    pub(super) place: Place,
    pub(super) old: Archive,
    pub(super) nodes: Vec<Node>,
}

/// An entry of a new archive.
pub(super) struct Node {
    /// The old entry that it is made from.
    pub(super) base: Option<usize>,
    pub(super) content: Content<Box<Tree>>,
}

impl Tree {
    pub(super) fn base(&self, node: &Node) -> Option<&Entry> {
        self.old.entries.get(node.base?)
    }
}

/// Bytes in the old file, or in the scratch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    kept: bool,
    pub(super) span: Span,
}

/// The old file, the scratch, and the old bytes laid end to end.
pub(super) struct Store<'a> {
    old: &'a dyn ReadAt,
    scratch: &'a dyn Scratch,
    pub(super) budget: &'a Budget,
    /// Each with where it begins.
    regions: Vec<(u64, Place)>,
    size: u64,
}

impl<'a> Store<'a> {
    pub(super) fn new(old: &'a dyn ReadAt, scratch: &'a dyn Scratch, budget: &'a Budget) -> Self {
        Self {
            old,
            scratch,
            budget,
            regions: Vec::new(),
            size: 0,
        }
    }

    /// The old file.
    pub(super) fn whole(&self) -> Place {
        Place {
            kept: false,
            span: Span::whole(self.old),
        }
    }

    pub(super) fn source(&self, place: Place) -> &'a dyn ReadAt {
        if place.kept { self.scratch } else { self.old }
    }

    /// Writes into the scratch.
    pub(super) fn keep(&self, bytes: &[u8]) -> Outcome<()> {
        self.budget.scratch(bytes.size())?;
        Ok(self.scratch.append(bytes)?)
    }

    /// What was written, as the end of the scratch.
    pub(super) fn kept_since(&self, at: u64) -> Place {
        let size = self.scratch.size().saturating_sub(at);
        Place {
            kept: true,
            span: Span { at, size },
        }
    }

    /// Where the next byte that is kept will lie.
    pub(super) fn next_kept(&self) -> u64 {
        self.scratch.size()
    }

    /// The stored bytes of an entry of the archive at `within`.
    pub(super) fn stored(within: Place, entry: &Entry) -> Place {
        Place {
            kept: within.kept,
            span: entry.data,
        }
    }

    /// The plain bytes of an entry, inflated into the scratch where they have to be. Nothing where they
    /// cannot be had: whoever writes a delta and whoever reads it find that out in the same way.
    fn plain(&self, within: Place, entry: &Entry) -> Outcome<Option<Place>> {
        let stored = Self::stored(within, entry);
        match entry.method() {
            0 => Ok(Some(stored)),
            8 => {
                let at = self.next_kept();
                let source = self.source(stored);
                let keep = |piece: &[u8]| self.keep(piece);
                match flate::inflate(source, stored.span, entry.size(), keep) {
                    Ok(()) => Ok(Some(self.kept_since(at))),
                    Err(DeltaError::Damaged(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            _ => Ok(None),
        }
    }

    /// Lays old bytes down behind the others.
    pub(super) fn lay(&mut self, place: Place) {
        if place.span.size > 0 {
            self.regions.push((self.size, place));
            self.size = self.size.saturating_add(place.span.size);
        }
    }

    /// Hands all bytes of `place` to `give`.
    pub(super) fn each(&self, place: Place, give: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
        each_piece(self.source(place), place.span, give)
    }
}

impl ReadAt for Store<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, mut at: u64, mut buffer: &mut [u8]) -> std::io::Result<()> {
        let after = self.regions.partition_point(|(start, _)| *start <= at);
        let regions = self
            .regions
            .get(after.saturating_sub(1)..)
            .unwrap_or_default();
        for (start, place) in regions {
            if buffer.is_empty() {
                return Ok(());
            }
            let skip = at.saturating_sub(*start);
            let left = place.span.size.saturating_sub(skip);
            let size = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let (piece, rest) = buffer.split_at_mut(size);
            self.source(*place)
                .read_at(place.span.at.saturating_add(skip), piece)?;
            at = at.saturating_add(u64::try_from(size).unwrap_or(0));
            buffer = rest;
        }
        if buffer.is_empty() {
            Ok(())
        } else {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// Walks the tree of a new archive, for writing it down or reading it, and lays down the old bytes.
pub(super) fn walk(
    coder: &mut dyn Coder,
    store: &mut Store<'_>,
    place: Place,
    there: &Draft,
    depth: u32,
) -> Outcome<Tree> {
    store.budget.level(depth)?;
    let Some(old) = zip::parse(store.source(place), place.span, store.budget)? else {
        return damaged("the old bytes are no archive");
    };
    let usual = old.entries.len().try_into().unwrap_or(u64::MAX);
    let drafted = there.nodes.len().try_into().unwrap_or(u64::MAX);
    let entries = coder.number(Field::Entries, drafted, usual)?;
    let mut tree = Tree {
        place,
        old,
        nodes: Vec::new(),
    };
    let mut walk = Walk {
        coder,
        store,
        depth,
        next: 1,
        recipe: 0,
        laid: HashSet::new(),
    };
    let blank = (None, Content::Same);
    for index in 0..entries {
        walk.store.budget.memory(NODE_MEMORY)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let node = walk.node(&tree, there.nodes.get(index).unwrap_or(&blank))?;
        tree.nodes.push(node);
    }
    Ok(tree)
}

/// A walk through the entries of one archive.
struct Walk<'a, 'b> {
    coder: &'a mut dyn Coder,
    store: &'a mut Store<'b>,
    /// How many archives it lies in.
    depth: u32,
    /// The number of the old entry that follows the last one, from 1.
    next: u64,
    /// What the last entry that had a recipe says of the next one.
    recipe: u64,
    /// Old entries that were used.
    laid: HashSet<usize>,
}

/// An old entry, and its index.
type Base<'a> = (usize, &'a Entry);

impl Walk<'_, '_> {
    fn node(
        &mut self,
        tree: &Tree,
        (base, there): &(Option<usize>, Content<Box<Draft>>),
    ) -> Outcome<Node> {
        let old = self.base(tree, *base)?;
        let kind = self.coder.number(Field::Kind, there.kind(), 0)?;
        let content = match (kind, old) {
            (0, Some(_)) => Content::Same,
            (1, _) => self.plain(tree, old, there)?,
            (2, Some(old)) => self.nested(tree, old, there)?,
            (3, _) => self.opaque(tree, old, there)?,
            _ => return damaged("an entry is of an unknown kind"),
        };
        let base = old.map(|(base, _)| base);
        Ok(Node { base, content })
    }

    /// The old entry; 0 is none, then come their indices.
    fn base<'a>(&mut self, tree: &'a Tree, there: Option<usize>) -> Outcome<Option<Base<'a>>> {
        let number = |base: usize| u64::try_from(base).unwrap_or(0).saturating_add(1);
        let base = self
            .coder
            .number(Field::Base, there.map_or(0, number), self.next)?;
        let Some(base) = base.checked_sub(1) else {
            return Ok(None);
        };
        self.next = base.saturating_add(2);
        let base = usize::try_from(base).unwrap_or(usize::MAX);
        match tree.old.entries.get(base) {
            Some(old) => Ok(Some((base, old))),
            None => damaged("there is no such old entry"),
        }
    }

    fn plain<T>(
        &mut self,
        tree: &Tree,
        old: Option<Base<'_>>,
        there: &Content<Box<Draft>>,
    ) -> Outcome<Content<T>> {
        let recipe = self.recipe(there)?;
        let size = self.size(old, there)?;
        if let Some((_, old)) = old.filter(|(base, _)| self.laid.insert(*base))
            && let Some(plain) = self.store.plain(tree.place, old)?
        {
            self.store.lay(plain);
        }
        Ok(Content::Plain { size, recipe })
    }

    fn nested(
        &mut self,
        tree: &Tree,
        (base, old): Base<'_>,
        there: &Content<Box<Draft>>,
    ) -> Outcome<Content<Box<Tree>>> {
        let recipe = self.recipe(there)?;
        if self.depth >= DEPTH_MAX {
            return damaged("archives lie too deep in each other");
        }
        if !self.laid.insert(base) {
            return damaged("an archive is made twice from the same one");
        }
        let Some(plain) = self.store.plain(tree.place, old)? else {
            return damaged("the old archive inside cannot be inflated");
        };
        let blank = Draft::default();
        let there = match there {
            Content::Nested { inner, .. } => inner,
            _ => &blank,
        };
        let depth = self.depth.saturating_add(1);
        let inner = walk(self.coder, self.store, plain, there, depth)?;
        let inner = Box::new(inner);
        Ok(Content::Nested { recipe, inner })
    }

    fn opaque<T>(
        &mut self,
        tree: &Tree,
        old: Option<Base<'_>>,
        there: &Content<Box<Draft>>,
    ) -> Outcome<Content<T>> {
        let size = self.size(old, there)?;
        if let Some((_, old)) = old.filter(|(base, _)| self.laid.insert(*base)) {
            self.store.lay(Store::stored(tree.place, old));
        }
        Ok(Content::Opaque { size })
    }

    /// Foretold is the size of the old entry, once it is inflated.
    fn size<T>(&mut self, old: Option<Base<'_>>, there: &Content<T>) -> Outcome<u64> {
        let there = match there {
            Content::Plain { size, .. } | Content::Opaque { size } => *size,
            Content::Same | Content::Nested { .. } => 0,
        };
        let usual = old.map_or(0, |(_, old)| old.size());
        self.coder.number(Field::Size, there, usual)
    }

    /// 0 is stored, then come the recipes.
    fn recipe<T>(&mut self, there: &Content<T>) -> Outcome<Option<Recipe>> {
        let there = match there {
            Content::Plain { recipe, .. } | Content::Nested { recipe, .. } => *recipe,
            Content::Same | Content::Opaque { .. } => None,
        };
        let there = there.map_or(0, |recipe| u64::from(recipe.number()).saturating_add(1));
        let number = self.coder.number(Field::Recipe, there, self.recipe)?;
        self.recipe = number;
        match number.checked_sub(1) {
            None => Ok(None),
            Some(number) => match u8::try_from(number).ok().and_then(Recipe::of) {
                Some(recipe) => Ok(Some(recipe)),
                None => damaged("there is no such recipe"),
            },
        }
    }
}
