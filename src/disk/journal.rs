//! The journal on disk: `.lockstep/journal`, sealed before the first move and gone after the last.
//!
//! Its first line is the SHA-256 of the rest, which is canonical JSON: a line that says what the journal is
//! of and how much follows, one line for each move, and one for each folder that is opened for them. It
//! is written durably beside its name and renamed, so that it is whole or missing, never torn; one that
//! does not fit its seal was damaged by something else, and is for a person. A missing journal means
//! that nothing is under way.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::root::Root;
use super::{DiskError, durable, folder};
use crate::model::digest::Sha256Hasher;
use crate::model::statement::FORMAT;
use crate::model::{Sha256, TreePath};
use crate::plan::recovery::{Journal, Move, Shut};
use crate::spr::SprError;
use crate::spr::lines::{Lines, write_line};

/// Bytes of the seal: a digest and a line feed.
const SEAL: usize = 65;
/// Most moves, or folders, that room is made for before they are read.
const ROOM: usize = 65_536;

/// What a journal is of, and how many lines follow.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    areas: Vec<TreePath>,
    format: u32,
    moves: u64,
    sequence: u64,
    shut: u64,
}

/// Seals a journal: from here on, recovery can take over. Refused while another stands.
pub fn seal(root: &Root, journal: &Journal) -> Result<(), DiskError> {
    let path = path(root);
    if is_there(root)? {
        return Err(DiskError::NeedsRecovery {
            path,
            reason: "another change is under way".to_owned(),
        });
    }
    journal.check().map_err(|e| damaged(root, e.to_string()))?;
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Journal) {
        return Ok(());
    }
    write(&path, journal)
}

/// The sealed journal; nothing where no change is under way.
pub fn read(root: &Root) -> Result<Option<Journal>, DiskError> {
    if !is_there(root)? {
        return Ok(None);
    }
    let read = read_file(&path(root))?;
    read.map(Some).map_err(|reason| damaged(root, reason))
}

/// The journal in a file, or what is wrong with it.
pub(super) fn read_file(path: &Path) -> Result<Result<Journal, String>, DiskError> {
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    match decode(file) {
        Err(SprError::Io(error)) => Err(DiskError::io("read", path)(error)),
        decoded => Ok(decoded.map_err(|e| e.to_string())),
    }
}

/// Whether a journal stands. It is not read.
pub fn is_there(root: &Root) -> Result<bool, DiskError> {
    let path = path(root);
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(DiskError::io("look at", path)(e)),
    }
}

/// Gives the journal a second name, durably: a link, which takes no room on a disk that is full. Where
/// links are not to be had, a copy.
pub(super) fn keep_as(root: &Root, journal: &Journal, name: &Path) -> Result<(), DiskError> {
    match std::fs::hard_link(path(root), name) {
        Ok(()) => durable::sync_parent(name),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => write(name, journal),
    }
}

/// Removes the journal, durably: the change is over.
pub fn remove(root: &Root) -> Result<(), DiskError> {
    folder::remove_file(&path(root))
}

/// Writes a journal durably, under the seal that its lines turn out to have.
fn write(path: &Path, journal: &Journal) -> Result<(), DiskError> {
    let mut draft = durable::Draft::create(path, 0o600)?;
    let written = encode(draft.file(), journal);
    written.map_err(|error| match error {
        SprError::Io(error) => DiskError::io("write", path)(error),
        error => DiskError::NeedsRecovery {
            path: path.to_owned(),
            reason: format!("the journal cannot be written: {error}"),
        },
    })?;
    draft.commit()
}

/// Writes a journal into an empty file: its lines, and then their seal in front.
pub fn encode(file: &mut (impl Write + Seek), journal: &Journal) -> Result<(), SprError> {
    file.write_all(&[0; SEAL])?;
    let seal = write_lines(&mut *file, journal)?;
    file.rewind()?;
    Ok(writeln!(file, "{seal}")?)
}

/// Writes the lines of a journal, and gives their digest.
fn write_lines(file: impl Write, journal: &Journal) -> Result<Sha256, SprError> {
    let mut out = Sealing {
        inner: BufWriter::new(file),
        hasher: Sha256Hasher::default(),
    };
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let head = Head {
        areas: journal.areas.clone(),
        format: journal.format,
        moves: count(journal.entries.len()),
        sequence: journal.sequence,
        shut: count(journal.shut.len()),
    };
    write_line(&mut out, &head)?;
    for entry in &journal.entries {
        write_line(&mut out, entry)?;
    }
    for folder in &journal.shut {
        write_line(&mut out, folder)?;
    }
    out.inner.flush()?;
    Ok(out.hasher.finish())
}

/// The journal in sealed bytes, or what is wrong with them.
pub fn decode(mut bytes: impl Read) -> Result<Journal, SprError> {
    let corrupt = |what: &str| SprError::Corrupt(what.to_owned());
    let mut seal = [0; SEAL];
    bytes.read_exact(&mut seal).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            corrupt("it is too short for a seal")
        } else {
            error.into()
        }
    })?;
    let seal = seal.strip_suffix(b"\n");
    let seal = seal.ok_or_else(|| corrupt("its seal has no end"))?;
    let mut lines = Lines::new(BufReader::new(Sealing {
        inner: bytes,
        hasher: Sha256Hasher::default(),
    }));
    let journal = take(&mut lines);
    // To the end, whatever was wrong: of what does not fit its seal, nothing else is told.
    let mut rest = lines.into_inner();
    let behind = std::io::copy(&mut rest, &mut std::io::sink())?;
    if rest.into_inner().hasher.finish().to_string().as_bytes() != seal {
        return Err(corrupt("it does not fit its seal"));
    }
    let journal = journal?;
    if behind > 0 {
        return Err(corrupt("there is more than its first line says"));
    }
    journal
        .check()
        .map_err(|e| SprError::Corrupt(e.to_string()))?;
    Ok(journal)
}

fn take<R: std::io::BufRead>(lines: &mut Lines<R>) -> Result<Journal, SprError> {
    let head: Head = lines.need()?;
    if head.format != FORMAT {
        let format = head.format;
        return Err(SprError::Corrupt(format!("it has format {format}")));
    }
    let (mut entries, mut shut) = (Vec::new(), Vec::new());
    let room = |count| usize::try_from(count).unwrap_or(ROOM).min(ROOM);
    entries.reserve(room(head.moves));
    for _ in 0..head.moves {
        entries.push(lines.need::<Move>()?);
    }
    for _ in 0..head.shut {
        shut.push(lines.need::<Shut>()?);
    }
    Ok(Journal {
        areas: head.areas,
        entries,
        format: head.format,
        sequence: head.sequence,
        shut,
    })
}

/// Hashes what is written, or read.
struct Sealing<T> {
    inner: T,
    hasher: Sha256Hasher,
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Sealing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn path(root: &Root) -> PathBuf {
    root.state_folder().join("journal")
}

fn damaged(root: &Root, reason: impl std::fmt::Display) -> DiskError {
    DiskError::NeedsRecovery {
        path: path(root),
        reason: format!("the journal is damaged: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use crate::plan::recovery::{Action, Inode, Kind, Mark, Move};

    fn journal() -> Journal {
        let mark = Mark {
            blake3: None,
            inode: Inode(u64::MAX),
            kind: Kind::File,
        };
        Journal {
            areas: vec![],
            entries: vec![Move {
                action: Action::Place { staged: mark },
                area: 0,
                path: "lib/a".parse().unwrap(),
                slot: 0,
            }],
            format: 0,
            sequence: 2,
            shut: vec![],
        }
    }

    #[test]
    fn whole_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        assert_eq!(read(&root).unwrap(), None);
        seal(&root, &journal()).unwrap();
        assert_eq!(read(&root).unwrap(), Some(journal()));
        assert!(matches!(
            seal(&root, &journal()),
            Err(DiskError::NeedsRecovery { .. })
        ));
        let bytes = durable::read(&path(&root), 10_000).unwrap();
        for end in 0..bytes.len() {
            durable::write(&path(&root), &bytes[..end], 0o600).unwrap();
            let torn = read(&root).unwrap_err();
            assert!(matches!(torn, DiskError::NeedsRecovery { .. }), "{end}");
        }
        remove(&root).unwrap();
        assert!(!is_there(&root).unwrap());
    }

    /// What is left out where it says nothing is not taken where it is there, a number in text has no sign
    /// and no zeros in front, and there are as many lines as the first one says.
    #[test]
    fn a_second_spelling_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        seal(&root, &journal()).unwrap();
        let bytes = durable::read(&path(&root), 10_000).unwrap();
        let body = String::from_utf8(bytes[SEAL..].to_vec()).unwrap();
        let sealed = |body: &str| format!("{}\n{body}", Sha256::of(body.as_bytes()));
        assert_eq!(decode(sealed(&body).as_bytes()).unwrap(), journal());
        let (_, entry) = body.trim_end().split_once('\n').unwrap();
        let max = u64::MAX.to_string();
        for bad in [
            body.replace("\"path\"", "\"area\":0,\"path\""),
            body.replace(&max, "+1"),
            body.replace(&max, "01"),
            body.replace("\"moves\":1", "\"moves\":2"),
            body.replace("\"moves\":1", "\"moves\":0"),
            body.replace("\"shut\":0", "\"shut\":1"),
            body.replace("\"format\":0", "\"format\":1"),
            format!("{body}{entry}\n"),
            format!("{body}\n"),
            body.trim_end().to_owned(),
        ] {
            assert!(bad != body);
            let error = decode(sealed(&bad).as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("seal"), "{bad}: {error}");
        }
        for bad in ["", "x", &body] {
            let error = decode(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("seal"), "{bad}: {error}");
        }
    }

    #[test]
    fn no_path_twice() {
        let mut twice = journal();
        twice.entries.extend(journal().entries);
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        assert!(seal(&root, &twice).is_err());
    }
}
