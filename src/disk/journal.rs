//! The journal on disk: `.lockstep/journal`, sealed before the first move and gone after the last.
//!
//! Its first line is the SHA-256 of the rest, which is canonical JSON: a line that says what the journal is
//! of and how much follows, then a line for each mount point with a staging area, for each move, and for each
//! folder that is opened for them. It is written durably beside its name and renamed, so that it is whole or
//! missing, never torn; one that does not fit its seal was damaged by something else, and is for a person,
//! and nothing of it is read but its digest. A missing journal means that nothing is under way.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::root::Root;
use super::{DiskError, durable, folder};
use crate::model::digest::Sha256Hasher;
use crate::model::statement::FORMAT;
use crate::model::{Sha256, TreePath};
use crate::plan::recovery::Journal;
use crate::spr::SprError;
use crate::spr::lines::{LineWriter, Lines};

/// Bytes of the seal: a digest and a line feed.
const SEAL: usize = 65;
/// Bytes that a line of a mount point, a move or a folder has at least: what is said of their number is held
/// against the length of the file before room is made for them.
const POINT: u64 = 12;
const MOVE: u64 = 64;
const SHUT: u64 = 16;

/// What a journal is of, and how many lines follow.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    areas: u64,
    format: u32,
    moves: u64,
    sequence: u64,
    shut: u64,
}

/// A line for a mount point.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    point: TreePath,
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
    journal.check().map_err(|e| unwritable(&path, &e))?;
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Journal) {
        return Ok(());
    }
    write(&path, journal)
}

/// The sealed journal; nothing where no change is under way.
pub fn read(root: &Root) -> Result<Option<Journal>, DiskError> {
    match read_file(&path(root)) {
        Ok(read) => read.map(Some).map_err(|error| match error {
            SprError::Format { found, .. } => later(path(root), found),
            error => damaged(root, error),
        }),
        Err(e) if e.kind() == Some(ErrorKind::NotFound) && !is_there(root)? => Ok(None),
        Err(e @ DiskError::NotAFile { .. }) => Err(damaged(root, e)),
        Err(e) => Err(e),
    }
}

/// The journal of a change that was kept, in a file.
pub(super) fn read_kept(path: PathBuf) -> Result<Journal, DiskError> {
    read_file(&path)?.map_err(|error| match error {
        SprError::Format { found, .. } => later(path, found),
        error => DiskError::Damaged {
            path,
            reason: error.to_string(),
        },
    })
}

/// The journal in a file, or what is wrong with it.
fn read_file(path: &Path) -> Result<Result<Journal, SprError>, DiskError> {
    let file = durable::open_plain(path)?;
    match decode(file) {
        Err(SprError::Io(error)) => Err(DiskError::io("read", path)(error)),
        decoded => Ok(decoded),
    }
}

const fn later(path: PathBuf, found: u64) -> DiskError {
    DiskError::Format { path, found }
}

/// Whether a journal stands. It is not read.
pub fn is_there(root: &Root) -> Result<bool, DiskError> {
    let path = path(root);
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(DiskError::io("look at", path)(e)),
    }
}

/// Gives the journal a second name, durably: a link, which takes no room on a disk that is full. Where
/// links are not to be had, a copy.
pub(super) fn keep_as(root: &Root, journal: &Journal, name: &Path) -> Result<(), DiskError> {
    match std::fs::hard_link(path(root), name) {
        Ok(()) => durable::sync_parent(name),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
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
        error => unwritable(path, &error),
    })?;
    draft.commit()
}

fn unwritable(path: &Path, why: &dyn std::fmt::Display) -> DiskError {
    DiskError::Unwritable {
        path: path.to_owned(),
        reason: why.to_string(),
    }
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
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let mut lines = LineWriter::new(Sealing {
        inner: BufWriter::new(file),
        hasher: Sha256Hasher::default(),
    });
    lines.write(&Head {
        areas: count(journal.areas.len()),
        format: FORMAT,
        moves: count(journal.entries.len()),
        sequence: journal.sequence,
        shut: count(journal.shut.len()),
    })?;
    for point in &journal.areas {
        let point = point.clone();
        lines.write(&Point { point })?;
    }
    for entry in &journal.entries {
        lines.write(entry)?;
    }
    for folder in &journal.shut {
        lines.write(folder)?;
    }
    let mut out = lines.into_inner();
    out.inner.flush()?;
    Ok(out.hasher.finish())
}

/// The journal in sealed bytes, or what is wrong with them. They are read twice: what does not fit its
/// seal is not looked into.
pub fn decode(mut file: impl Read + Seek) -> Result<Journal, SprError> {
    let corrupt = |what: &str| SprError::Corrupt(what.to_owned());
    let mut seal = [0; SEAL];
    file.read_exact(&mut seal).map_err(|error| {
        if error.kind() == ErrorKind::UnexpectedEof {
            corrupt("it is too short for a seal")
        } else {
            error.into()
        }
    })?;
    let seal = seal.strip_suffix(b"\n");
    let seal = seal.ok_or_else(|| corrupt("its seal has no end"))?;
    let mut found = Sealing {
        inner: std::io::sink(),
        hasher: Sha256Hasher::default(),
    };
    let size = std::io::copy(&mut file, &mut found)?;
    if found.hasher.finish().to_string().as_bytes() != seal {
        return Err(corrupt("it does not fit its seal"));
    }
    file.seek(SeekFrom::Start(u64::try_from(SEAL).unwrap_or(u64::MAX)))?;
    let journal = read_lines(&mut Lines::new(BufReader::new(file)), size)?;
    journal
        .check()
        .map_err(|e| SprError::Corrupt(e.to_string()))?;
    Ok(journal)
}

/// Reads lines of `size` bytes in all.
fn read_lines<R: BufRead>(lines: &mut Lines<R>, size: u64) -> Result<Journal, SprError> {
    let head: Head = lines.need_head()?;
    let areas = read_some(lines, head.areas, size / POINT)?.into_iter();
    let journal = Journal {
        areas: areas.map(|Point { point }| point).collect(),
        entries: read_some(lines, head.moves, size / MOVE)?,
        sequence: head.sequence,
        shut: read_some(lines, head.shut, size / SHUT)?,
    };
    match lines.next_line::<Head>() {
        Ok(None) => Ok(journal),
        Ok(Some(_)) | Err(SprError::Corrupt(_)) => Err(SprError::Corrupt(
            "there is more than its first line says".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

fn read_some<T: DeserializeOwned, R: BufRead>(
    lines: &mut Lines<R>,
    count: u64,
    most: u64,
) -> Result<Vec<T>, SprError> {
    let mut all = Vec::with_capacity(usize::try_from(count.min(most)).unwrap_or(0));
    for _ in 0..count {
        all.push(lines.need_line()?);
    }
    Ok(all)
}

/// Hashes what is written.
struct Sealing<W> {
    inner: W,
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
    use std::io::Cursor;

    use super::*;
    use crate::disk::founding::samples;
    use crate::plan::recovery::{Action, Inode, Kind, Mark, Move, Shut};

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
        let of = |text: &str| decode(Cursor::new(text.as_bytes()));
        let sealed = |body: &str| format!("{}\n{body}", Sha256::of(body.as_bytes()));
        assert_eq!(of(&sealed(&body)).unwrap(), journal());
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
            let error = of(&sealed(&bad)).unwrap_err();
            let later = bad.contains("\"format\":1");
            assert_eq!(matches!(error, SprError::Format { .. }), later, "{error}");
            assert!(!error.to_string().contains("seal"), "{bad}: {error}");
        }
        for bad in ["", "x", &body] {
            let error = of(bad).unwrap_err().to_string();
            assert!(error.contains("seal"), "{bad}: {error}");
        }
    }

    /// Longer than any line may be, taken together.
    #[test]
    fn as_many_mount_points_as_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let deep = |n: usize| format!("{n:04}/{}", vec!["d".repeat(250); 12].join("/"));
        let mut journal = journal();
        journal.areas = (0..50).map(|n| deep(n).parse().unwrap()).collect();
        let shut = |n: u64| Shut {
            inode: Inode(n),
            mode: 0o555,
            path: Some(format!("shut/{n:06}").parse().unwrap()),
        };
        journal.shut = (0..500).map(shut).collect();
        seal(&root, &journal).unwrap();
        assert_eq!(read(&root).unwrap(), Some(journal));
    }

    #[test]
    fn what_is_no_file_is_for_a_person() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let path = path(&root);
        let needs = || matches!(read(&root), Err(DiskError::NeedsRecovery { .. }));
        std::fs::create_dir(&path).unwrap();
        assert!(needs());
        std::fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(needs());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        let error = read(&root).unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::NotFound), "a link to nothing");
    }

    #[test]
    fn no_path_twice() {
        let mut twice = journal();
        twice.entries.extend(journal().entries);
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        assert!(matches!(
            seal(&root, &twice),
            Err(DiskError::Unwritable { .. })
        ));
        assert!(!is_there(&root).unwrap());
    }
}
