//! Which parts of the new bytes lie in the old ones, about alike: the kernel of every delta.
//!
//! The old bytes are sorted by their suffixes, so that the longest match for any place is found by
//! halving. A match goes on past bytes that differ, as long as at least every other byte is alike: what a
//! compiler makes of a small change has the same bytes at other addresses. After Colin Percival, "Naive
//! differences of executable code" (2003).
//!
//! With [`super::Effort::Fast`] the old bytes are looked up by their hashes instead, sixteen bytes at a time.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the kernel: indices into two slices, each bounded by the loop that makes it"
)]

use std::cmp::Ordering;

/// A part of the new bytes: first bytes that are about as in the old ones, then others that are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    /// Where in the old bytes it lies.
    pub(super) old: usize,
    /// Where in the new bytes it begins.
    pub(super) new: usize,
    /// How many bytes are about alike.
    pub(super) add: usize,
    /// How many follow that are nowhere.
    pub(super) insert: usize,
}

/// Finds a long match for the beginning of `new` in old bytes.
pub(super) trait Find {
    /// Where it lies, and its length.
    fn find(&self, old: &[u8], new: &[u8]) -> (usize, usize);
}

/// The old bytes, sorted by their suffixes.
pub(super) struct Suffixes {
    sorted: Vec<i32>,
    /// Where in `sorted` the suffixes that begin with two bytes begin.
    pairs: Vec<u32>,
}

impl Suffixes {
    /// Sorts up to 2 GiB.
    pub(super) fn of(old: &[u8]) -> Option<Self> {
        let sorted = libsais::SuffixArrayConstruction::for_text(old)
            .in_owned_buffer32()
            .single_threaded()
            .run()
            .ok()?
            .into_vec();
        let mut pairs = vec![0_u32; 0x1_0001];
        for pair in old.windows(2) {
            pairs[usize::from(pair[0]) << 8 | usize::from(pair[1])] += 1;
        }
        // The last suffix is a single byte, and stands before all that go on from it.
        let mut at = 0;
        let last = old.last().map(|byte| usize::from(*byte) << 8);
        for (pair, slot) in pairs.iter_mut().enumerate() {
            if last == Some(pair) {
                at += 1;
            }
            let count = *slot;
            *slot = at;
            at += count;
        }
        Some(Self { sorted, pairs })
    }

    fn suffix(&self, index: usize) -> usize {
        usize::try_from(self.sorted[index]).unwrap_or(0)
    }
}

/// How many bytes are alike at the beginning.
fn alike(a: &[u8], b: &[u8]) -> usize {
    let size = a.len().min(b.len());
    let (a, b) = (&a[..size], &b[..size]);
    let mut at = 0;
    while at + 8 <= size {
        let left = u64::from_le_bytes(a[at..at + 8].try_into().unwrap_or([0; 8]));
        let right = u64::from_le_bytes(b[at..at + 8].try_into().unwrap_or([0; 8]));
        let differ = left ^ right;
        if differ != 0 {
            return at + usize::try_from(differ.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 8;
    }
    while at < size && a[at] == b[at] {
        at += 1;
    }
    at
}

impl Find for Suffixes {
    fn find(&self, old: &[u8], new: &[u8]) -> (usize, usize) {
        let [first, second, ..] = new else {
            return (0, 0);
        };
        let pair = usize::from(*first) << 8 | usize::from(*second);
        let (mut low, mut high) = (
            usize::try_from(self.pairs[pair]).unwrap_or(0),
            usize::try_from(self.pairs[pair + 1]).unwrap_or(0),
        );
        if pair & 0xff == 0xff
            && old
                .last()
                .is_some_and(|last| usize::from(*last) == (pair >> 8) + 1)
        {
            high -= 1;
        }
        let (mut best, mut length) = (0, 0);
        let (mut alike_low, mut alike_high) = (2, 2);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.suffix(middle);
            let known = alike_low.min(alike_high);
            let found = known + alike(&old[at + known..], &new[known.min(new.len())..]);
            if found > length {
                (best, length) = (at, found);
            }
            let order = match (old.get(at + found), new.get(found)) {
                (_, None) => return (best, length),
                (None, Some(_)) => Ordering::Less,
                (Some(a), Some(b)) => a.cmp(b),
            };
            if order == Ordering::Less {
                low = middle + 1;
                alike_low = found;
            } else {
                high = middle;
                alike_high = found;
            }
        }
        (best, length)
    }
}

/// Bytes that are hashed together.
const KEY: usize = 16;
/// Every which place of the old bytes is remembered.
const STRIDE: usize = 4;

/// The old bytes, by the hashes of every fourth sixteen of them.
pub(super) struct Hashes {
    /// Places, from 1.
    table: Vec<u32>,
    shift: u32,
}

impl Hashes {
    pub(super) fn of(old: &[u8]) -> Self {
        let bits = (old.len() / STRIDE * 2).max(16).ilog2() + 1;
        let mut hashes = Self {
            table: vec![0; 1 << bits],
            shift: 64 - bits,
        };
        let mut at = 0;
        while at + KEY <= old.len() {
            let slot = hashes.slot(&old[at..at + KEY]);
            // The first one stays: what repeats itself lies together with what came before it.
            if hashes.table[slot] == 0 {
                hashes.table[slot] = u32::try_from(at + 1).unwrap_or(0);
            }
            at += STRIDE;
        }
        hashes
    }

    fn slot(&self, key: &[u8]) -> usize {
        let half = |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().unwrap_or([0; 8]));
        let mixed = half(0).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ half(8).rotate_left(29);
        let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        usize::try_from(mixed >> self.shift).unwrap_or(0)
    }
}

impl Find for Hashes {
    fn find(&self, old: &[u8], new: &[u8]) -> (usize, usize) {
        if new.len() < KEY {
            return (0, 0);
        }
        match self.table[self.slot(&new[..KEY])].checked_sub(1) {
            None => (0, 0),
            Some(at) => {
                let at = usize::try_from(at).unwrap_or(0);
                let length = alike(&old[at..], new);
                if length < KEY { (0, 0) } else { (at, length) }
            }
        }
    }
}

/// Bytes by which a match must be better than going on with the one before.
const BETTER: isize = 8;
/// A match that goes on for so long is not weighed against others.
const SURE: usize = 64;

/// Matches for all of the new bytes, in their order.
pub(super) fn matches(finder: &dyn Find, old: &[u8], new: &[u8], mut give: impl FnMut(Match)) {
    let mut scan = Scan {
        finder,
        old,
        new,
        at: 0,
        found: 0,
        length: 0,
        last_new: 0,
        last_old: 0,
        offset: 0,
    };
    while scan.at < new.len() {
        if scan.seek()
            && let Some(found) = scan.cut()
        {
            give(found);
        }
    }
}

/// How far the new bytes are matched.
struct Scan<'a> {
    finder: &'a dyn Find,
    old: &'a [u8],
    new: &'a [u8],
    /// Where in the new bytes a match is looked for.
    at: usize,
    /// The match that was found there: where in the old bytes it lies, and its length.
    found: usize,
    length: usize,
    /// Where in the new and in the old bytes the match begins that was found before.
    last_new: usize,
    last_old: usize,
    /// How much further in the old bytes that match lies than in the new ones.
    offset: isize,
}

impl Scan<'_> {
    /// Looks for a match that is better than going on with the last one, until the end of the new bytes;
    /// whether what lies before it is to be given.
    fn seek(&mut self) -> bool {
        // What the last match would have of the one that is found, if it went on; bytes that were passed
        // count against it.
        let mut score = 0_isize;
        self.at += self.length;
        let mut counted = self.at;
        while self.at < self.new.len() {
            let on = self.goes_on();
            if on >= SURE {
                self.found = self.at.checked_add_signed(self.offset).unwrap_or(0);
                self.length = on;
                score = on.cast_signed();
                break;
            }
            (self.found, self.length) = self.finder.find(self.old, &self.new[self.at..]);
            while counted < self.at + self.length {
                score += isize::from(self.is_alike(counted));
                counted += 1;
            }
            let found_more = self.length.cast_signed() > score + BETTER;
            if self.length != 0 && (self.length.cast_signed() == score || found_more) {
                break;
            }
            score -= isize::from(self.is_alike(self.at));
            self.at += 1;
        }
        self.length.cast_signed() != score || self.at >= self.new.len()
    }

    /// How many bytes are alike from here on, if the last match goes on.
    fn goes_on(&self) -> usize {
        let on = self.at.checked_add_signed(self.offset);
        let on = on.and_then(|on| self.old.get(on..));
        on.map_or(0, |on| alike(on, &self.new[self.at..]))
    }

    /// Whether a new byte is as the old one, if the last match goes on.
    fn is_alike(&self, at: usize) -> bool {
        let place = at.checked_add_signed(self.offset);
        place.and_then(|place| self.old.get(place)) == Some(&self.new[at])
    }

    /// What lies between the last match and the one that was found: the last one goes on as far as it is about
    /// alike, and the other begins as early.
    fn cut(&mut self) -> Option<Match> {
        let passed = &self.new[self.last_new..self.at];
        let last = &self.old[self.last_old.min(self.old.len())..];
        let forward = reach(last.iter(), passed.iter());
        let mut backward = 0;
        if self.at < self.new.len() {
            backward = reach(self.old[..self.found].iter().rev(), passed.iter().rev());
        }
        let (forward, backward) = self.shared(forward, backward);
        let next = self.at - backward;
        let insert = next - self.last_new - forward;
        let given = Match {
            old: self.last_old,
            new: self.last_new,
            add: forward,
            insert,
        };
        self.last_new = next;
        self.last_old = self.found - backward.min(self.found);
        self.offset = self.found.cast_signed() - self.at.cast_signed();
        (forward > 0 || insert > 0).then_some(given)
    }

    /// Where both matches reach for the same bytes: cut where most are alike.
    fn shared(&self, forward: usize, backward: usize) -> (usize, usize) {
        let shared = (self.last_new + forward).saturating_sub(self.at - backward);
        let (mut sum, mut best, mut cut) = (0_isize, 0_isize, 0);
        for index in 0..shared {
            let on = forward - shared + index;
            let byte = self.new[self.last_new + on];
            sum += isize::from(byte == self.old[self.last_old + on]);
            sum -= isize::from(byte == self.old[self.found - backward + index]);
            if sum > best {
                best = sum;
                cut = index + 1;
            }
        }
        (forward + cut - shared, backward - cut)
    }
}

/// How far two go on about alike: as far as more than every other byte is.
fn reach<'a>(old: impl Iterator<Item = &'a u8>, new: impl Iterator<Item = &'a u8>) -> usize {
    let (mut same, mut best, mut best_at) = (0_isize, 0_isize, 0);
    for (index, (a, b)) in old.zip(new).enumerate() {
        let size = index + 1;
        if a == b {
            same += 1;
        }
        let score = same * 2 - size.cast_signed();
        if score > best {
            best = score;
            best_at = size;
        }
    }
    best_at
}
