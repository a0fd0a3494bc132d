//! What ties a node's key to its place: machine, hardware, root and the key file itself.
//!
//! None of the values leaves the host as it is: each but the inode is an HMAC under a constant of
//! this program, so that a snapshot can be compared but tells nobody a machine-id.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit as _, Mac as _};

use super::root::Root;
use super::{DiskError, durable};
use crate::model::Sha256;
use crate::model::snapshot::Marks;

/// This program's application id, drawn at random once: `systemd-id128 machine-id
/// --app-specific=5b1d6f0e9c2a4b7f8a3e71c4d90b26ef` prints the machine mark.
pub const APPLICATION: [u8; 16] = [
    0x5b, 0x1d, 0x6f, 0x0e, 0x9c, 0x2a, 0x4b, 0x7f, 0x8a, 0x3e, 0x71, 0xc4, 0xd9, 0x0b, 0x26, 0xef,
];
/// The largest integer that a statement holds; an inode is cut to it.
const INTEGER_MAX: u64 = (1 << 53) - 1;
/// Most bytes read from either identity file.
const IDENTITY_MAX: u64 = 4_096;

/// Where a machine says who it is.
#[derive(Debug, Clone)]
pub struct Sources {
    /// 32 hexadecimal digits.
    pub machine_id: PathBuf,
    /// The DMI UUID; only root can read it on most systems.
    pub product_uuid: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            machine_id: "/etc/machine-id".into(),
            product_uuid: "/sys/class/dmi/id/product_uuid".into(),
        }
    }
}

/// The marks of this place, with the node's key at `key`. What cannot be read is absent: unknown, not
/// different.
pub fn live(root: &Root, key: &Path, sources: &Sources) -> Result<Marks, DiskError> {
    use std::os::unix::ffi::OsStrExt as _;
    let inode = match key.symlink_metadata() {
        Ok(metadata) => inode_of(&metadata),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let path = key.to_owned();
            return Err(DiskError::KeyLost { path });
        }
        Err(e) => return Err(DiskError::io("look at", key)(e)),
    };
    Ok(Marks {
        hardware: text(&sources.product_uuid)
            .map(|uuid| keyed(&APPLICATION, uuid.to_lowercase().as_bytes())),
        inode,
        machine: text(&sources.machine_id).and_then(|id| machine(&id)),
        root: keyed(&APPLICATION, root.path().as_os_str().as_bytes()),
    })
}

/// A file's inode, cut to what a statement holds.
#[must_use]
pub fn inode_of(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ino() & INTEGER_MAX
}

/// When a file was born; nothing where its file system does not say it.
#[must_use]
pub fn born_of(metadata: &Metadata) -> Option<String> {
    let born = metadata.created().ok()?;
    let born = born.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{}.{:09}", born.as_secs(), born.subsec_nanos()))
}

/// [`born_of`] the file at `path`.
#[must_use]
pub fn born(path: &Path) -> Option<String> {
    born_of(&path.symlink_metadata().ok()?)
}

/// Whether two values of a mark differ; one that is unknown does not.
#[must_use]
pub fn differ(mark: Mark, stored: Option<&String>, live: Option<&String>) -> Option<Difference> {
    let (old, new) = (stored?, live?);
    (old != new).then(|| Difference {
        mark,
        values: format!(
            "{}: it was {}, it is {}",
            mark.word(),
            mark.shown(old),
            mark.shown(new)
        ),
    })
}

/// A mark that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which mark.
    pub mark: Mark,
    /// Both values, the stored one first.
    pub values: String,
}

/// What ties a key to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The machine-id.
    Machine,
    /// The hardware's UUID.
    Hardware,
    /// The path of the root.
    Root,
    /// The inode of the key file.
    Inode,
    /// When the key file was born: a restored one may have the inode that it had.
    Born,
    /// The inode of the file that says which state counts.
    StateInode,
    /// When that file was born: one that was written over keeps its inode, and says another birth.
    StateBorn,
}

impl Mark {
    const fn word(self) -> &'static str {
        match self {
            Self::Machine => "machine-id",
            Self::Hardware => "hardware",
            Self::Root => "path of the root",
            Self::Inode => "inode of the key",
            Self::Born => "birth of the key",
            Self::StateInode => "inode of the state",
            Self::StateBorn => "birth of the state",
        }
    }

    /// A digest is told apart by its beginning; a number or a time may differ in its last digit.
    fn shown(self, value: &str) -> String {
        match self {
            Self::Machine | Self::Hardware | Self::Root => value.chars().take(12).collect(),
            Self::Inode | Self::Born | Self::StateInode | Self::StateBorn => value.to_owned(),
        }
    }
}

/// Every mark that differs. One that is unknown on either side does not.
#[must_use]
pub fn compare(stored: &Marks, live: &Marks) -> Vec<Difference> {
    let hex = |sha256: Option<Sha256>| sha256.map(|sha256| sha256.to_string());
    let inode = |marks: &Marks| Some(marks.inode.to_string());
    let values = |marks: &Marks| {
        [
            (Mark::Machine, marks.machine.clone()),
            (Mark::Hardware, hex(marks.hardware)),
            (Mark::Root, hex(Some(marks.root))),
            (Mark::Inode, inode(marks)),
        ]
    };
    let pairs = values(stored).into_iter().zip(values(live));
    pairs
        .filter_map(|((mark, old), (_, new))| differ(mark, old.as_ref(), new.as_ref()))
        .collect()
}

fn text(path: &Path) -> Option<String> {
    let bytes = durable::read(path, IDENTITY_MAX).ok()?;
    let text = String::from_utf8(bytes).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// As `sd_id128_get_machine_app_specific(3)`: HMAC-SHA256 keyed with the machine-id over the
/// application id, its first 16 bytes, made a UUID of version 4.
fn machine(id: &str) -> Option<String> {
    let id = uuid::Uuid::try_parse(id).ok().filter(|id| !id.is_nil())?;
    let code = keyed(id.as_bytes(), &APPLICATION);
    let head: [u8; 16] = code.as_bytes().first_chunk().copied()?;
    let made = uuid::Builder::from_random_bytes(head).into_uuid();
    Some(made.simple().to_string())
}

fn keyed(key: &[u8], message: &[u8]) -> Sha256 {
    // A key of any length is taken; the other arm cannot be reached, and differs from everything.
    Hmac::<sha2::Sha256>::new_from_slice(key).map_or_else(
        |_| Sha256::from_bytes([0; 32]),
        |mac| Sha256::from_bytes(mac.chain_update(message).finalize().into_bytes().into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(machine: Option<&str>, inode: u64) -> Marks {
        Marks {
            hardware: None,
            inode,
            machine: machine.map(str::to_owned),
            root: Sha256::of(b"/opt/step"),
        }
    }

    #[test]
    fn unknown_is_not_different() {
        let told = |stored: &Marks, live: &Marks| -> Vec<String> {
            let differing = compare(stored, live).into_iter();
            differing.map(|difference| difference.values).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(told(&marks(Some("a"), 1), &marks(None, 1)), none);
        assert_eq!(
            told(&marks(Some("a"), 1), &marks(Some("b"), 2)),
            [
                "machine-id: it was a, it is b",
                "inode of the key: it was 1, it is 2"
            ]
        );
        assert_eq!(
            told(&marks(None, 1), &marks(Some("b"), 2)),
            ["inode of the key: it was 1, it is 2"]
        );
        // A file system of this size numbers its files so.
        let large = 9_007_199_254_740_990;
        assert_eq!(
            told(&marks(None, large), &marks(None, large + 1)),
            ["inode of the key: it was 9007199254740990, it is 9007199254740991"]
        );
        assert_eq!(
            told(
                &marks(Some(&"a".repeat(32)), 1),
                &marks(Some(&"b".repeat(32)), 1)
            ),
            ["machine-id: it was aaaaaaaaaaaa, it is bbbbbbbbbbbb"]
        );
    }

    #[test]
    fn read_where_readable() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        durable::write(&key, b"", 0o600).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let sources = Sources {
            machine_id: folder.path().join("id"),
            product_uuid: folder.path().join("uuid"),
        };
        let bare = live(&root, &key, &sources).unwrap();
        assert_eq!((&bare.machine, &bare.hardware), (&None, &None));
        durable::write(&sources.machine_id, b"uninitialized\n", 0o644).unwrap();
        durable::write(&sources.product_uuid, b"AB-C\n", 0o644).unwrap();
        let upper = live(&root, &key, &sources).unwrap();
        assert_eq!(upper.machine, None);
        durable::write(&sources.product_uuid, b"ab-c", 0o644).unwrap();
        assert_eq!(live(&root, &key, &sources).unwrap(), upper);
    }

    /// As a file-level restore does it: the same name, and often the same inode.
    #[test]
    fn a_file_made_anew_is_born_anew() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        durable::write(&key, b"one", 0o600).unwrap();
        let first = born(&key);
        assert_eq!(
            differ(Mark::Born, first.as_ref(), born(&key).as_ref()),
            None
        );
        assert_eq!(differ(Mark::Born, first.as_ref(), None), None);
        std::fs::remove_file(&key).unwrap();
        durable::write(&key, b"one", 0o600).unwrap();
        let again = born(&key);
        let told = differ(Mark::Born, first.as_ref(), again.as_ref());
        assert_eq!(told.is_some(), first.is_some() && again.is_some());
    }

    /// An invented machine-id; the same computation was compared with systemd 252 on a real one.
    #[test]
    fn as_systemd_computes_it() {
        assert_eq!(
            machine("00112233445566778899aabbccddeeff").unwrap(),
            "52f597e24ca04e889f5a9cce3aa61653"
        );
    }
}
