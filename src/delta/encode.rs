//! A delta from an old content to a new one.

use std::fmt;

use super::budget::{Budget, Room};
use super::columns::{Coder as _, Field};
use super::draft::{Made, Source};
use super::error::{DeltaError, Outcome};
use super::headers::{self, Before, Central, Facts, Local};
use super::matcher::{Find, Hashes, Match, Suffixes, matches};
use super::pace::{Pace, Paced, Steps};
use super::pack;
use super::source::{Memory, ReadAt, Span, read_all};
use super::tree::{Content, Store, Tree, walk};
use super::varint;
use super::writing::Writing;

/// How hard is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// By hashes, and with little compression.
    Fast,
    /// By suffixes.
    #[default]
    Default,
    /// By suffixes, with all the compression that there is.
    Best,
}

impl Effort {
    /// zstd's level for the streams.
    fn level(self) -> i32 {
        match self {
            Self::Fast => 9,
            Self::Default => 19,
            Self::Best => 22,
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Default => "default",
            Self::Best => "best",
        })
    }
}

/// Most new bytes that are matched at a time.
const GROUP: u64 = 64 * 1024 * 1024;
/// Most old bytes that they are matched against.
const WINDOW: u64 = 128 * 1024 * 1024;

/// How much is matched at a time: less in tests, so that a small file has many groups.
#[derive(Debug, Clone, Copy)]
struct Reach {
    group: u64,
    window: u64,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            group: GROUP,
            window: WINDOW,
        }
    }
}

impl Reach {
    /// The groups of the new bytes, each with the old bytes that it is matched against.
    fn groups(&self, old: u64, new: u64) -> Vec<(Span, Span)> {
        let mut groups = Vec::new();
        let mut at = 0;
        while at < new {
            let size = self.group.min(new.saturating_sub(at));
            let group = Span { at, size };
            groups.push((group, window(group, old, new, self.window)));
            at = group.end();
        }
        groups
    }
}

/// Most bytes of old entries that are inflated, in memory; an archive that has more is bytes like others.
const SCRATCH_MAX: u64 = 1 << 30;

/// Makes a delta.
///
/// # Errors
///
/// Whatever reading meets; `Interrupted` where `pace` says so.
pub fn encode(
    old: Source<'_>,
    new: Source<'_>,
    effort: Effort,
    pace: &dyn Pace,
) -> Outcome<Vec<u8>> {
    let steps = &Steps::new(pace);
    match archive(old, new, effort, steps) {
        Ok(Some(delta)) => Ok(delta),
        // An archive that cannot be taken apart is bytes like others.
        Ok(None) | Err(DeltaError::Damaged(_) | DeltaError::TooLarge { .. }) => {
            plain(old, new, effort, steps)
        }
        Err(error) => Err(error),
    }
}

fn plain(old: Source<'_>, new: Source<'_>, effort: Effort, steps: &Steps<'_>) -> Outcome<Vec<u8>> {
    let mut streams = Streams::default();
    streams.made.columns = Writing::new().finish();
    streams.groups(old, new, effort, steps)?;
    streams.finish((false, new.size()), effort, steps)
}

fn archive(
    old: Source<'_>,
    new: Source<'_>,
    effort: Effort,
    steps: &Steps<'_>,
) -> Outcome<Option<Vec<u8>>> {
    let Some(made) = Made::of(old, new, 0, steps)? else {
        return Ok(None);
    };
    let scratch = Memory::default();
    let budget = Budget::new(Room {
        memory: u64::MAX,
        scratch: SCRATCH_MAX,
    });
    let mut store = Store::new(old, &scratch, &budget);
    let mut writing = Writing::new();
    let place = store.whole();
    let tree = walk(&mut writing, &mut store, place, &made.draft(), 0)?;
    write_headers(&mut writing, &tree, &made)?;
    let mut streams = Streams::default();
    streams.made.columns = writing.finish();
    let mut plain = Vec::new();
    made.into_plain(&mut plain);
    streams.groups(&store, &plain, effort, steps)?;
    let delta = streams.finish((true, new.size()), effort, steps)?;
    Ok(Some(delta))
}

/// Writes down all headers, in the order in which they are read.
fn write_headers(writing: &mut Writing, tree: &Tree, made: &Made) -> Outcome<()> {
    let mut before = Before::default();
    let mut all = Vec::new();
    for (index, (node, entry)) in tree.nodes.iter().zip(&made.archive.entries).enumerate() {
        let old = tree.base(node);
        if let (Content::Nested { inner, .. }, Some(made)) = (&node.content, made.inner(index)) {
            write_headers(writing, inner, made)?;
        }
        let facts = match &node.content {
            Content::Same => old.map_or_else(Facts::default, Facts::of),
            Content::Opaque { size } => Facts::opaque(*size, old),
            Content::Plain { .. } | Content::Nested { .. } => Facts::of(entry),
        };
        writing.text(Field::GapIs, &entry.gap, &[&[]])?;
        let local = headers::local(writing, &Local::of(entry), facts, old, &mut before)?;
        all.push((local, facts, entry.offset()));
    }
    writing.text(Field::GapIs, &made.archive.gap, &[&[]])?;
    let mut before = Before::default();
    for (place, index) in made.archive.order.iter().enumerate() {
        let number = |index: usize| u64::try_from(index).unwrap_or(u64::MAX);
        writing.number(Field::Order, number(*index), number(place))?;
        let (Some((local, facts, offset)), Some(node), Some(entry)) = (
            all.get(*index),
            tree.nodes.get(*index),
            made.archive.entries.get(*index),
        ) else {
            continue;
        };
        let offset = u32::try_from(*offset).unwrap_or(u32::MAX);
        let known = (local, *facts, offset);
        headers::central(
            writing,
            &Central::of(entry),
            known,
            tree.base(node),
            &mut before,
        )?;
    }
    let directory = made.archive.directory;
    let entries = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let known = (entries, directory.size, directory.at);
    headers::tail(writing, &made.archive.tail, &tree.old.tail, known)?;
    Ok(())
}

#[derive(Default)]
struct Streams {
    made: pack::Streams,
    reach: Reach,
    /// Where in the old bytes the last match ended.
    at: u64,
    run: Run,
}

/// Bytes of a match that are as in the old one, and the differences of those behind that are not.
#[derive(Default)]
struct Run {
    alike: u64,
    unlike: Vec<u8>,
}

impl Streams {
    /// Matches group by group: each against the old bytes around the same place.
    fn groups(
        &mut self,
        old: &dyn ReadAt,
        new: &dyn ReadAt,
        effort: Effort,
        steps: &Steps<'_>,
    ) -> Outcome<()> {
        let (all_old, all_new) = (old.size(), new.size());
        let groups = self.reach.groups(all_old, all_new);
        // Windows are sorted, and new bytes looked up and packed.
        let mut windows: Vec<Span> = groups.iter().map(|(_, window)| *window).collect();
        windows.dedup();
        let sorted = windows.iter().map(|window| window.size);
        let sorted = sorted.fold(0, u64::saturating_add);
        steps.expect(sorted.saturating_add(all_new).saturating_add(all_new));
        let mut sorted: Option<(Span, Vec<u8>, Box<dyn Find>)> = None;
        for (group, window) in groups {
            let bytes = read_all(new, group)?;
            let kept = sorted.take().filter(|(span, ..)| *span == window);
            let (span, before, finder) = if let Some(kept) = kept {
                kept
            } else {
                let before = read_all(old, window)?;
                let finder = finder(&before, effort);
                steps.step(window.size)?;
                (window, before, finder)
            };
            let paced = Paced::new(finder.as_ref(), steps, bytes.len());
            matches(&paced, &before, &bytes, |found| {
                self.take(found, span, &before, &bytes);
            });
            paced.end()?;
            sorted = Some((span, before, finder));
        }
        Ok(())
    }

    fn take(&mut self, found: Match, window: Span, old: &[u8], new: &[u8]) {
        let place = window
            .at
            .saturating_add(u64::try_from(found.old).unwrap_or(0));
        let add = u64::try_from(found.add).unwrap_or(0);
        varint::put(&mut self.made.seeks, varint::difference(place, self.at));
        varint::put(&mut self.made.adds, add);
        varint::put(
            &mut self.made.inserts,
            u64::try_from(found.insert).unwrap_or(0),
        );
        self.at = place.saturating_add(add);
        let end = found.new.saturating_add(found.add);
        let before = old.get(found.old..found.old.saturating_add(found.add));
        let after = new.get(found.new..end);
        for (old, new) in before
            .unwrap_or_default()
            .iter()
            .zip(after.unwrap_or_default())
        {
            self.differ(new.wrapping_sub(*old));
        }
        let inserted = new.get(end..end.saturating_add(found.insert));
        self.made.literals.extend(inserted.unwrap_or_default());
    }

    fn differ(&mut self, difference: u8) {
        if difference == 0 {
            if !self.run.unlike.is_empty() {
                self.end_run();
            }
            self.run.alike = self.run.alike.saturating_add(1);
        } else {
            self.run.unlike.push(difference);
        }
    }

    fn end_run(&mut self) {
        let size = u64::try_from(self.run.unlike.len()).unwrap_or(u64::MAX);
        varint::put(&mut self.made.alike, self.run.alike);
        varint::put(&mut self.made.unlike, size);
        self.made.unlike.append(&mut self.run.unlike);
        self.run.alike = 0;
    }

    fn finish(
        mut self,
        (archive, size): (bool, u64),
        effort: Effort,
        steps: &Steps<'_>,
    ) -> Outcome<Vec<u8>> {
        if self.run.alike > 0 || !self.run.unlike.is_empty() {
            self.end_run();
        }
        let delta = self.made.pack((archive, size), effort.level(), steps)?;
        steps.end()?;
        Ok(delta)
    }
}

fn finder(old: &[u8], effort: Effort) -> Box<dyn Find> {
    match effort {
        Effort::Fast => Box::new(Hashes::of(old)),
        Effort::Default | Effort::Best => match Suffixes::of(old) {
            Some(suffixes) => Box::new(suffixes),
            None => Box::new(Hashes::of(old)),
        },
    }
}

/// The old bytes around the place where a group of new ones would lie, at most `most`.
fn window(group: Span, old: u64, new: u64, most: u64) -> Span {
    if old <= most {
        return Span { at: 0, size: old };
    }
    let middle = u128::from(group.at.saturating_add(group.end()) / 2);
    let there = middle
        .saturating_mul(u128::from(old))
        .checked_div(u128::from(new));
    let there = u64::try_from(there.unwrap_or(0)).unwrap_or(0);
    let at = there.saturating_sub(most / 2).min(old.saturating_sub(most));
    Span { at, size: most }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    /// Bytes that are nowhere the same.
    fn noise(size: usize, mut seed: u64) -> Vec<u8> {
        let next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()
        };
        let mut all: Vec<u8> = std::iter::repeat_with(next).flatten().take(size).collect();
        all.truncate(size);
        all
    }

    fn within(reach: Reach, old: &[u8], new: &[u8], effort: Effort) -> Vec<u8> {
        let mut streams = Streams {
            reach,
            ..Streams::default()
        };
        streams.made.columns = Writing::new().finish();
        let steps = Steps::new(&|_, _| true);
        streams.groups(&old, &new, effort, &steps).unwrap();
        let delta = streams.finish((false, new.size()), effort, &steps).unwrap();
        let mut made = Vec::new();
        let scratch = Memory::default();
        let most = (new.size(), Room::ENDLESS);
        decode(&delta, &old, &scratch, most, &mut |bytes| {
            made.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        assert!(made == new, "another content came out");
        delta
    }

    /// Files larger than a window, group by group: what moved a little is found, and what is out of reach
    /// costs its bytes and nothing else.
    #[test]
    fn files_beyond_the_window_go_round() {
        let reach = Reach {
            group: 1000,
            window: 3000,
        };
        let old = noise(20_000, 1);
        let mut new = old.clone();
        new.splice(5_000..5_000, noise(300, 2));
        new.drain(14_000..14_200);
        new[9_999] ^= 1;
        let far: Vec<u8> = [&old[17_000..], &old[..17_000]].concat();
        let longer = [&old[..], &old, &old].concat();
        for effort in [Effort::Fast, Effort::Default] {
            let near = within(reach, &old, &new, effort).len();
            assert!(near < 1_500, "{effort:?}: {near} bytes");
            within(reach, &old, &far, effort);
            within(reach, &longer, &new, effort);
            within(reach, &new, &longer, effort);
            within(reach, &old, &[], effort);
            within(reach, &old, &noise(1, 3), effort);
            let all = within(Reach::default(), &old, &far, effort).len();
            assert!(all < 300, "{effort:?}: {all} bytes");
        }
    }

    /// Every window lies within the old bytes, and one behind the other.
    #[test]
    fn windows_follow_the_groups() {
        for (old, new) in [(10_000, 10_000), (10_000, 1), (3_001, 90_000), (90_000, 5)] {
            let mut last = 0;
            for at in (0..new).step_by(1000) {
                let size = 1000.min(new - at);
                let window = window(Span { at, size }, old, new, 3_000);
                assert_eq!(window.size, 3_000);
                assert!(window.end() <= old && window.at >= last, "{window:?}");
                last = window.at;
            }
            assert!(new < 2_000 || last == old - 3_000, "the end is not reached");
        }
        assert_eq!(window(Span { at: 0, size: 9 }, 3_000, 9, 3_000).size, 3_000);
        let whole = Span { at: 0, size: 12 };
        assert_eq!(window(Span { at: 0, size: 9 }, 12, 9, 3_000), whole);
        // Without an overflow.
        let far = Span {
            at: u64::MAX - 9,
            size: 9,
        };
        let window = window(far, u64::MAX, u64::MAX, WINDOW);
        assert!(window.at.checked_add(WINDOW).is_some() && window.at > u64::MAX / 4);
    }
}
