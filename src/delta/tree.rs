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

use std::collections::HashSet;

use super::budget::Budget;
use super::columns::{Coder, Field};
use super::error::{Outcome, damaged};
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

    /// The plain bytes of an entry, inflated into the scratch where they have to be.
    fn plain(&self, within: Place, entry: &Entry) -> Outcome<Place> {
        let stored = Self::stored(within, entry);
        match entry.method() {
            0 => Ok(stored),
            8 => {
                let at = self.next_kept();
                let source = self.source(stored);
                flate::inflate(source, stored.span, entry.size(), |piece| self.keep(piece))?;
                Ok(self.kept_since(at))
            }
            _ => damaged("an old entry is compressed in an unknown way"),
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
        next: 1,
        recipe: 0,
        laid: HashSet::new(),
    };
    let blank = (None, Content::Same);
    for index in 0..entries {
        store.budget.memory(NODE_MEMORY)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let there = there.nodes.get(index).unwrap_or(&blank);
        let node = walk.node(coder, store, &tree, there, depth)?;
        tree.nodes.push(node);
    }
    Ok(tree)
}

/// What the entries before say of the next one.
struct Walk {
    /// The number of the old entry that follows the last one, from 1.
    next: u64,
    recipe: u64,
    laid: HashSet<usize>,
}

impl Walk {
    fn node(
        &mut self,
        coder: &mut dyn Coder,
        store: &mut Store<'_>,
        tree: &Tree,
        (base, content): &(Option<usize>, Content<Box<Draft>>),
        depth: u32,
    ) -> Outcome<Node> {
        let there = base.map_or(0, |base| u64::try_from(base).unwrap_or(0).saturating_add(1));
        let base = coder.number(Field::Base, there, self.next)?;
        let base = base.checked_sub(1);
        if let Some(base) = base {
            self.next = base.saturating_add(2);
        }
        let base = base.map(|base| usize::try_from(base).unwrap_or(usize::MAX));
        let old = base.map(|base| tree.old.entries.get(base));
        let old = match old {
            Some(None) => return damaged("there is no such old entry"),
            Some(Some(old)) => Some(old),
            None => None,
        };
        let kind = match content {
            Content::Same => 0,
            Content::Plain { .. } => 1,
            Content::Nested { .. } => 2,
            Content::Opaque { .. } => 3,
        };
        let usual = old.map_or(0, Entry::size);
        let kind = coder.number(Field::Kind, kind, 0)?;
        let content = match (kind, old) {
            (0, Some(_)) => Content::Same,
            (1, _) => {
                let recipe = self.recipe(coder, content)?;
                let there = if let Content::Plain { size, .. } = content {
                    *size
                } else {
                    0
                };
                let size = coder.number(Field::Size, there, usual)?;
                if let Some(old) = old.filter(|_| base.is_some_and(|base| self.laid.insert(base))) {
                    let plain = store.plain(tree.place, old)?;
                    store.lay(plain);
                }
                Content::Plain { size, recipe }
            }
            (2, Some(old)) => {
                let recipe = self.recipe(coder, content)?;
                if depth >= DEPTH_MAX {
                    return damaged("archives lie too deep in each other");
                }
                if !base.is_some_and(|base| self.laid.insert(base)) {
                    return damaged("an archive is made twice from the same one");
                }
                let blank = Draft::default();
                let there = if let Content::Nested { inner, .. } = content {
                    inner
                } else {
                    &blank
                };
                let plain = store.plain(tree.place, old)?;
                let inner = walk(coder, store, plain, there, depth.saturating_add(1))?;
                Content::Nested {
                    recipe,
                    inner: Box::new(inner),
                }
            }
            (3, _) => {
                let there = if let Content::Opaque { size } = content {
                    *size
                } else {
                    0
                };
                let size = coder.number(Field::Size, there, usual)?;
                if let Some(old) = old.filter(|_| base.is_some_and(|base| self.laid.insert(base))) {
                    store.lay(Store::stored(tree.place, old));
                }
                Content::Opaque { size }
            }
            _ => return damaged("an entry is of an unknown kind"),
        };
        Ok(Node { base, content })
    }

    /// 0 is stored, then come the recipes.
    fn recipe<T>(&mut self, coder: &mut dyn Coder, there: &Content<T>) -> Outcome<Option<Recipe>> {
        let there = match there {
            Content::Plain { recipe, .. } | Content::Nested { recipe, .. } => *recipe,
            Content::Same | Content::Opaque { .. } => None,
        };
        let there = there.map_or(0, |recipe| u64::from(recipe.number()).saturating_add(1));
        let number = coder.number(Field::Recipe, there, self.recipe)?;
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
