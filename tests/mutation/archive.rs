//! A tar as it stands in a file: headers, contents, padding and tail, each of which can be edited
//! into what no writer would write.

use super::dice::Dice;

/// Bytes of a header, and what contents are padded to.
pub(crate) const BLOCK: usize = 512;
/// Where the fields of a ustar header stand: name, offset, length.
const FIELDS: [(&str, usize, usize); 12] = [
    ("name", 0, 100),
    ("mode", 100, 8),
    ("uid", 108, 8),
    ("gid", 116, 8),
    ("size", 124, 12),
    ("mtime", 136, 12),
    ("typeflag", 156, 1),
    ("linkname", 157, 100),
    ("magic", 257, 8),
    ("uname", 265, 32),
    ("devmajor", 329, 16),
    ("prefix", 345, 155),
];

/// One member with its header as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The header.
    pub(crate) header: [u8; BLOCK],
    /// The content.
    pub(crate) content: Vec<u8>,
    /// What stands behind it up to the next block.
    pub(crate) padding: Vec<u8>,
}

/// A whole archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The members, the statement first.
    pub(crate) entries: Vec<Entry>,
    /// What stands behind the last: two zero blocks.
    pub(crate) tail: Vec<u8>,
}

impl Entry {
    /// A member as `template` is written.
    pub(crate) fn new(template: &Self, name: &str, content: Vec<u8>) -> Self {
        let mut entry = Self {
            header: template.header,
            content: Vec::new(),
            padding: Vec::new(),
        };
        entry.rename(name);
        entry.fill(content);
        entry
    }

    /// The name in the header.
    pub(crate) fn name(&self) -> String {
        let field = self.header.get(..100).unwrap_or_default();
        let end = field.iter().position(|b| *b == 0).unwrap_or(100);
        String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
    }

    /// Another name.
    pub(crate) fn rename(&mut self, name: &str) {
        self.put(0, 100, name.as_bytes());
        self.sum();
    }

    /// Another content, with header and padding to fit.
    pub(crate) fn fill(&mut self, content: Vec<u8>) {
        let size = format!("{:011o}", content.len());
        self.put(124, 12, size.as_bytes());
        self.sum();
        let over = content.len() % BLOCK;
        self.padding = vec![0; if over == 0 { 0 } else { BLOCK - over }];
        self.content = content;
    }

    fn put(&mut self, at: usize, length: usize, bytes: &[u8]) {
        for (index, place) in self.header[at..at + length].iter_mut().enumerate() {
            *place = bytes.get(index).copied().unwrap_or(0);
        }
    }

    /// The checksum that fits the header.
    fn sum(&mut self) {
        self.header[148..156].copy_from_slice(b"        ");
        let sum: u32 = self.header.iter().map(|b| u32::from(*b)).sum();
        self.header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
    }
}

impl Archive {
    /// Reads a well-formed file.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        loop {
            let (header, behind) = rest.split_first_chunk::<BLOCK>()?;
            if *header == [0; BLOCK] {
                let tail = rest.to_vec();
                return Some(Self { entries, tail });
            }
            let size = std::str::from_utf8(&header[124..135]).ok()?;
            let size = usize::from_str_radix(size, 8).ok()?;
            let padded = size.checked_next_multiple_of(BLOCK)?;
            let (content, padding) = behind.get(..padded)?.split_at_checked(size)?;
            entries.push(Entry {
                header: *header,
                content: content.to_vec(),
                padding: padding.to_vec(),
            });
            rest = behind.get(padded..)?;
        }
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for entry in &self.entries {
            out.extend_from_slice(&entry.header);
            out.extend_from_slice(&entry.content);
            out.extend_from_slice(&entry.padding);
        }
        out.extend_from_slice(&self.tail);
        out
    }

    /// The statement's bytes.
    pub(crate) fn statement(&self) -> &[u8] {
        self.entries
            .first()
            .map_or(&[], |entry| entry.content.as_slice())
    }

    /// The statement's name.
    pub(crate) fn statement_name(&self) -> String {
        self.entries.first().map(Entry::name).unwrap_or_default()
    }

    /// Whether the member at this place is a signature of the statement.
    pub(crate) fn is_signature(&self, at: usize) -> bool {
        let own = format!("{}.", self.statement_name());
        let name = self.entries.get(at).map(Entry::name).unwrap_or_default();
        let digits = name
            .strip_prefix(&own)
            .and_then(|rest| rest.strip_suffix(".sig"));
        digits.is_some_and(|digits| digits.len() == 64)
    }
}

/// Edits the members: which there are, in which order, under which names, with which contents.
/// `other` is a file to take members from.
pub(crate) fn edit_members(
    archive: &mut Archive,
    other: &Archive,
    dice: &mut impl Dice,
) -> &'static str {
    let count = archive.entries.len();
    if count < 2 {
        let taken = dice.pick(&other.entries).cloned();
        archive.entries.extend(taken);
        return "member added";
    }
    let (a, b) = (1 + dice.below(count - 1), 1 + dice.below(count - 1));
    match dice.below(9) {
        0 => {
            archive.entries.remove(a);
            "member dropped"
        }
        1 => {
            let entry = archive.entries[a].clone();
            archive.entries.insert(b, entry);
            "member doubled"
        }
        2 => {
            archive.entries.swap(a, b);
            "members reordered"
        }
        3 => {
            let names = [
                "x",
                "packs/0001.zst",
                "site.spr",
                "../x",
                "snapshots/x.json",
            ];
            let name = dice.pick(&names).copied().unwrap_or_default();
            archive.entries[a].rename(name);
            "member renamed"
        }
        4 => {
            let content = archive.entries[b].content.clone();
            archive.entries[a].fill(content);
            "contents exchanged"
        }
        5 => {
            if let Some(taken) = dice.pick(&other.entries) {
                archive.entries[a].fill(taken.content.clone());
            }
            "content of another file"
        }
        6 => {
            archive.entries.extend(dice.pick(&other.entries).cloned());
            "member added"
        }
        7 => {
            let mut content = archive.entries[a].content.clone();
            let length = dice.below(content.len().max(1) * 2);
            content.resize(length, 0);
            archive.entries[a].fill(content);
            "member resized"
        }
        _ => {
            let mut content = archive.entries[a].content.clone();
            let at = dice.below(content.len().max(1));
            if let Some(byte) = content.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
            archive.entries[a].fill(content);
            "content changed"
        }
    }
}

/// Edits how the tar is written, and nothing that tar would unpack differently if it were lenient.
pub(crate) fn edit_encoding(archive: &mut Archive, dice: &mut impl Dice) -> &'static str {
    let at = dice.below(archive.entries.len().max(1));
    match dice.below(8) {
        0..=2 => field(archive, at, dice),
        3 => {
            let extra = dice.bytes(600);
            archive.tail.extend_from_slice(&extra);
            "trailing bytes"
        }
        4 => {
            archive.tail.truncate(dice.below(2 * BLOCK));
            "end blocks missing"
        }
        5 => {
            archive.tail.extend_from_slice(&[0; BLOCK]);
            "zero blocks more"
        }
        6 => {
            if let Some(byte) = archive
                .entries
                .get_mut(at)
                .and_then(|e| e.padding.first_mut())
            {
                *byte = 1;
            }
            "padding in use"
        }
        _ => extended(archive, at, dice),
    }
}

fn field(archive: &mut Archive, at: usize, dice: &mut impl Dice) -> &'static str {
    let Some(entry) = archive.entries.get_mut(at) else {
        return "nothing";
    };
    let (name, start, length) = dice.pick(&FIELDS).copied().unwrap_or(FIELDS[0]);
    match dice.below(3) {
        0 => {
            let bytes = dice.bytes(length);
            entry.put(start, length, &bytes);
        }
        // A number that GNU writes in base 256, and one padded with blanks.
        1 => entry.header[start] = 0x80,
        _ => entry.header[start + length - 1] = b' ',
    }
    if name == "typeflag" {
        entry.header[start] = dice.pick(b"\x00017Lxg5S").copied().unwrap_or(0);
    }
    if !dice.once_in(8) {
        entry.sum();
    }
    name
}

/// Puts an extension in front of a member: of pax, or GNU's long name.
fn extended(archive: &mut Archive, at: usize, dice: &mut impl Dice) -> &'static str {
    let Some(entry) = archive.entries.get(at) else {
        return "nothing";
    };
    let pax = dice.once_in(2);
    let content = if pax {
        b"19 path=packs/other\n".to_vec()
    } else {
        b"packs/other\0".to_vec()
    };
    let mut extension = Entry::new(entry, "././@LongLink", content);
    extension.header[156] = if pax { b'x' } else { b'L' };
    extension.sum();
    archive.entries.insert(at, extension);
    if pax { "pax" } else { "long name of GNU" }
}
