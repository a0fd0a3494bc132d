//! What a new archive is made from: which old entry each of its entries resembles, and in which form its
//! bytes travel.
//!
//! Entries do not move between archives, and seldom within: an entry is matched by its path, then by
//! bytes that are stored alike, then by its path without versions.
//!
//! | attack | defence |
//! |---|---|
//! | entries that inflate to more than the memory holds | what changed is added up by what the directories say, over all archives inside of each other, up to [`PLAIN_MAX`], and an entry inflates to what its directory says |
//! | archives inside of archives, without end | [`DEPTH_MAX`] |
//! | one old archive opened for each of very many entries | for the first one alone |

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::budget::{Budget, Room};
use super::error::{DeltaError, Outcome};
use super::flate::{self, Recipe};
use super::headers::Facts;
use super::pace::Steps;
use super::source::{ReadAt, Span, each_piece, read_all};
use super::tree::{Content, DEPTH_MAX, Draft};
use super::zip::{self, Archive, Entry};
use crate::model::stem::unversioned;

/// Most plain bytes of what changed in one archive and all in it, old and new, in memory; what goes beyond
/// is no archive here.
const PLAIN_MAX: u64 = 1 << 30;

/// Bytes that several threads may read.
pub(super) type Source<'a> = &'a (dyn ReadAt + Sync);

/// A new archive, with the plain bytes of what changed.
pub(super) struct Made {
    pub(super) archive: Archive,
    nodes: Vec<(Option<usize>, Part)>,
}

/// What an entry is made of.
enum Part {
    Same,
    Plain(Vec<u8>, Option<Recipe>),
    Nested(Box<Made>, Option<Recipe>),
    Opaque(Vec<u8>),
}

impl Made {
    /// Takes `new` apart beside `old`, if both are archives.
    pub(super) fn of(
        old: Source<'_>,
        new: Source<'_>,
        depth: u32,
        steps: &Steps<'_>,
    ) -> Outcome<Option<Self>> {
        if depth > DEPTH_MAX {
            return Ok(None);
        }
        let budget = Budget::new(Room::ENDLESS);
        let Some(archive) = zip::parse(new, Span::whole(new), &budget)? else {
            return Ok(None);
        };
        let Some(before) = zip::parse(old, Span::whole(old), &budget)? else {
            return Ok(None);
        };
        let index = Index::of(&before);
        let bases: Vec<Option<usize>> = archive
            .entries
            .iter()
            .map(|entry| index.base(entry))
            .collect();
        let pairs: Vec<(&Entry, Option<&Entry>)> = archive
            .entries
            .iter()
            .zip(&bases)
            .map(|(entry, base)| (entry, base.and_then(|base| before.entries.get(base))))
            .collect();
        let same = pairs
            .iter()
            .map(|(entry, base)| same(old, new, entry, *base))
            .collect::<Outcome<Vec<bool>>>()?;
        let changed = pairs.iter().zip(&same).filter(|(_, same)| !**same);
        let plain = changed.map(|((entry, base), _)| {
            let before = base.map_or(0, Entry::size);
            entry.size().saturating_add(before)
        });
        // Of all archives that are open, those inside of others too.
        if steps.hold(plain.fold(0, u64::saturating_add)) > PLAIN_MAX {
            return Ok(None);
        }
        // An old archive is opened for the first entry that it is the base of, and for no other.
        let mut seen = HashSet::new();
        let first = |(base, same): (&Option<usize>, &bool)| {
            !*same && base.is_some_and(|base| seen.insert(base))
        };
        let opens: Vec<bool> = bases.iter().zip(&same).map(first).collect();
        let parts = pairs
            .par_iter()
            .zip(&same)
            .zip(&opens)
            .map(|(((entry, base), same), opens)| {
                if *same {
                    return Ok(Some(Part::Same));
                }
                let depth = if *opens { depth } else { DEPTH_MAX };
                steps.step(0)?;
                part((old, new), entry, *base, (depth, steps))
            })
            .collect::<Outcome<Option<Vec<Part>>>>()?;
        Ok(parts.map(|parts| Self {
            nodes: bases.into_iter().zip(parts).collect(),
            archive,
        }))
    }

    /// How it is to be made.
    pub(super) fn draft(&self) -> Draft {
        let size = |bytes: &Vec<u8>| bytes.size();
        let nodes = self.nodes.iter().map(|(base, part)| {
            let content = match part {
                Part::Same => Content::Same,
                Part::Plain(bytes, recipe) => Content::Plain {
                    size: size(bytes),
                    recipe: *recipe,
                },
                Part::Nested(inner, recipe) => Content::Nested {
                    recipe: *recipe,
                    inner: Box::new(inner.draft()),
                },
                Part::Opaque(bytes) => Content::Opaque { size: size(bytes) },
            };
            (*base, content)
        });
        Draft {
            nodes: nodes.collect(),
        }
    }

    /// The new plain bytes, end to end; nothing is held twice.
    pub(super) fn into_plain(self, all: &mut Vec<u8>) {
        for (_, part) in self.nodes {
            match part {
                Part::Same => {}
                Part::Plain(bytes, _) | Part::Opaque(bytes) => all.extend(bytes),
                Part::Nested(inner, _) => inner.into_plain(all),
            }
        }
    }

    /// The archive inside of an entry.
    pub(super) fn inner(&self, index: usize) -> Option<&Self> {
        match self.nodes.get(index) {
            Some((_, Part::Nested(inner, _))) => Some(inner),
            _ => None,
        }
    }
}

/// Whether an entry is stored as the old one is.
fn same(old: Source<'_>, new: Source<'_>, entry: &Entry, base: Option<&Entry>) -> Outcome<bool> {
    let Some(base) = base.filter(|base| stored_as(base) == stored_as(entry)) else {
        return Ok(false);
    };
    let (mut at, mut alike) = (base.data.at, true);
    each_piece(new, entry.data, |piece| {
        let size = piece.len().try_into().unwrap_or(0);
        let before = read_all(old, Span { at, size })?;
        at = at.saturating_add(size);
        alike = alike && before == piece;
        Ok::<(), DeltaError>(())
    })?;
    Ok(alike)
}

/// What two entries have in common whose stored bytes are the same.
fn stored_as(entry: &Entry) -> (u16, u32, u64, u64) {
    (entry.method(), entry.crc(), entry.size(), entry.data.size)
}

/// What an entry that changed is made of; nothing where the archive could not be made again.
fn part(
    (old, new): (Source<'_>, Source<'_>),
    entry: &Entry,
    base: Option<&Entry>,
    inside: (u32, &Steps<'_>),
) -> Outcome<Option<Part>> {
    let part = match unpacked(entry, read_all(new, entry.data)?)? {
        Part::Plain(plain, recipe) => match nested(old, base, &plain, inside)? {
            Some(inner) => Part::Nested(Box::new(inner), recipe),
            None => Part::Plain(plain, recipe),
        },
        other => other,
    };
    // What stands behind the data is made of what is known of it.
    let known = match &part {
        Part::Opaque(stored) => Facts::opaque(stored.size(), base) == Facts::of(entry),
        Part::Same | Part::Plain(..) | Part::Nested(..) => true,
    };
    Ok((known || entry.descriptor.is_empty()).then_some(part))
}

/// An entry's plain bytes and how they are deflated, where that is found out.
fn unpacked(entry: &Entry, stored: Vec<u8>) -> Outcome<Part> {
    let Some(plain) = inflated(entry, &stored) else {
        return Ok(Part::Opaque(stored));
    };
    if entry.method() == 0 {
        return Ok(Part::Plain(plain, None));
    }
    Ok(match Recipe::find(&plain, &stored)? {
        Some(recipe) => Part::Plain(plain, Some(recipe)),
        None => Part::Opaque(stored),
    })
}

/// The archive that an entry is, beside the archive that the old one is.
fn nested(
    old: Source<'_>,
    base: Option<&Entry>,
    plain: &[u8],
    (depth, steps): (u32, &Steps<'_>),
) -> Outcome<Option<Made>> {
    let opens = depth < DEPTH_MAX && plain.starts_with(b"PK\x03\x04");
    let Some(base) = base.filter(|_| opens) else {
        return Ok(None);
    };
    match inflated(base, &read_all(old, base.data)?) {
        Some(before) => Made::of(&before, &plain, depth.saturating_add(1), steps),
        None => Ok(None),
    }
}

/// What an entry's stored bytes are of, if that is what the entry says.
fn inflated(entry: &Entry, stored: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    match entry.method() {
        0 => plain.extend_from_slice(stored),
        8 => flate::inflate(&stored, Span::whole(&stored), entry.size(), |piece| {
            plain.extend_from_slice(piece);
            Ok(())
        })
        .ok()?,
        _ => return None,
    }
    let mut crc = flate2::Crc::new();
    crc.update(&plain);
    (crc.sum() == entry.crc() && plain.size() == entry.size()).then_some(plain)
}

/// The entries of an old archive, by what they are found by.
struct Index<'a> {
    paths: HashMap<&'a [u8], usize>,
    stored: HashMap<(u16, u32, u64, u64), usize>,
    stems: HashMap<String, usize>,
}

impl<'a> Index<'a> {
    fn of(archive: &'a Archive) -> Self {
        let mut index = Self {
            paths: HashMap::new(),
            stored: HashMap::new(),
            stems: HashMap::new(),
        };
        for (at, entry) in archive.entries.iter().enumerate() {
            index.paths.entry(&entry.name).or_insert(at);
            index.stored.entry(stored_as(entry)).or_insert(at);
            index.stems.entry(stem(&entry.name)).or_insert(at);
        }
        index
    }

    fn base(&self, entry: &Entry) -> Option<usize> {
        let path = self.paths.get(entry.name.as_slice());
        let stored = || self.stored.get(&stored_as(entry));
        let stem = || self.stems.get(&stem(&entry.name));
        path.or_else(stored).or_else(stem).copied()
    }
}

/// A path without versions.
fn stem(path: &[u8]) -> String {
    unversioned(&String::from_utf8_lossy(path))
}
