//! The journal on disk: `.lockstep/journal`, sealed before the first move and gone after the last.
//!
//! Its first line is the SHA-256 of the rest, which is canonical JSON. It is written durably beside
//! its name and renamed, so that it is whole or missing, never torn; one that does not fit its
//! seal was damaged by something else, and is for a person. A missing journal means that nothing
//! is under way.

use std::path::{Path, PathBuf};

use super::root::Root;
use super::{DiskError, durable, folder};
use crate::model::Sha256;
use crate::model::statement::FORMAT;
use crate::plan::recovery::Journal;
use crate::spr::{STATEMENT_MAX, canonical};

/// Bytes in front of the JSON: a digest and a line feed.
const SEAL: usize = 65;

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
    durable::write(&path, &encode(root, journal)?, 0o600)
}

/// The sealed journal; nothing where no change is under way.
pub fn read(root: &Root) -> Result<Option<Journal>, DiskError> {
    // A seal, a line feed, and the largest statement.
    let limit = STATEMENT_MAX.saturating_add(65);
    let Some(bytes) = durable::read_if_there(&path(root), limit)? else {
        return Ok(None);
    };
    decode(&bytes)
        .map(Some)
        .map_err(|reason| damaged(root, reason))
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
        Err(_) => durable::write(name, &encode(root, journal)?, 0o600),
    }
}

/// Removes the journal, durably: the change is over.
pub fn remove(root: &Root) -> Result<(), DiskError> {
    folder::remove_file(&path(root))
}

/// The sealed bytes of a journal.
fn encode(root: &Root, journal: &Journal) -> Result<Vec<u8>, DiskError> {
    let mut sealed =
        canonical::encode_behind(journal, SEAL, 0).map_err(|e| damaged(root, e.to_string()))?;
    if let Some((seal, body)) = sealed.split_at_mut_checked(SEAL) {
        seal.copy_from_slice(format!("{}\n", Sha256::of(body)).as_bytes());
    }
    Ok(sealed)
}

/// The journal in sealed bytes, or what is wrong with them.
pub fn decode(bytes: &[u8]) -> Result<Journal, String> {
    let (seal, rest) = bytes
        .split_first_chunk::<64>()
        .ok_or("it is too short for a seal")?;
    let body = rest.strip_prefix(b"\n").ok_or("its seal has no end")?;
    if Sha256::of(body).to_string().as_bytes() != seal {
        return Err("it does not fit its seal".to_owned());
    }
    let journal: Journal = canonical::decode_value(body).map_err(|e| e.to_string())?;
    journal.check().map_err(|e| e.to_string())?;
    if journal.format == FORMAT {
        Ok(journal)
    } else {
        Err(format!("it has format {}", journal.format))
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

    /// What is left out where it says nothing is not taken where it is there, and a number in text has
    /// no sign and no zeros in front.
    #[test]
    fn a_second_spelling_is_refused() {
        let mut whole = journal();
        whole.entries.clear();
        let body = String::from_utf8(canonical::encode(&whole).unwrap()).unwrap();
        let place = serde_json::to_string(&journal().entries).unwrap();
        let moved = body.replace("[]", &place);
        let sealed = |body: &str| format!("{}\n{body}", Sha256::of(body.as_bytes()));
        for good in [&body, &moved] {
            assert!(decode(sealed(good).as_bytes()).is_ok(), "{good}");
        }
        let max = u64::MAX.to_string();
        for bad in [
            body.replace("{\"entries", "{\"areas\":[],\"entries"),
            body.replace('}', ",\"shut\":[]}"),
            moved.replace("\"path\"", "\"area\":0,\"path\""),
            moved.replace(&max, "+1"),
            moved.replace(&max, "01"),
        ] {
            assert!(bad != body && bad != moved);
            assert!(decode(sealed(&bad).as_bytes()).is_err(), "{bad}");
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
