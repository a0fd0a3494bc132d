//! The inventory of a full snapshot: everything below the root, hashed on all cores.
//!
//! What may not be told by its content is told by an HMAC under the environment's secret, which
//! lies in `.lockstep/secret` and never leaves the host. A file that cannot be read is listed as
//! something else, so that one of root's own files does not stop a snapshot.

use std::collections::BTreeSet;
use std::io::{Read, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::entropy::random_bytes;
use super::root::{Root, Spot};
use super::scan::{CHUNK, Progress};
use super::stamp::{FileKind, Stamp};
use super::state::StateStore;
use super::walk::{Seen, Walked};
use super::{DiskError, durable};
use crate::model::inventory::{Line, Listed};
use crate::model::{Blake3, Sha256, TreePath, Watch};

/// zstd level of the compressed text: digests do not compress, so more is for nothing.
const LEVEL: i32 = 3;
/// Bytes of a secret.
const SECRET: usize = 32;

/// 32 random bytes that stay on this host.
pub struct Secret {
    bytes: Zeroizing<[u8; SECRET]>,
    // Whether it lies on disk.
    kept: bool,
}

impl StateStore {
    /// The environment's secret; where there is none yet, one that is to be kept.
    pub fn secret(&self) -> Result<Secret, DiskError> {
        let path = self.folder().join("secret");
        let Some(bytes) = durable::read_if_there(&path, 64)?.map(Zeroizing::new) else {
            let bytes = random_bytes()?;
            return Ok(Secret { bytes, kept: false });
        };
        let bytes: [u8; SECRET] =
            bytes
                .as_slice()
                .try_into()
                .ok()
                .ok_or_else(|| DiskError::Damaged {
                    path,
                    reason: format!("it has {} bytes, not {SECRET}", bytes.len()),
                })?;
        Ok(Secret {
            bytes: Zeroizing::new(bytes),
            kept: true,
        })
    }

    /// Keeps a new secret, once something is told by it.
    pub fn keep(&self, secret: &Secret) -> Result<(), DiskError> {
        if secret.kept {
            return Ok(());
        }
        let path = self.folder().join("secret");
        durable::write(&path, secret.bytes.as_slice(), 0o600)
    }
}

/// One line for everything that was walked over, rising by path; `private` says whose digest stays
/// here.
pub fn take(
    root: &Root,
    walked: &Walked,
    secret: &Secret,
    private: &(dyn Fn(&TreePath) -> bool + Sync),
    watch: &dyn Watch,
) -> Result<Vec<Line>, DiskError> {
    let total = walked.paths.iter().map(|seen| seen.size);
    let progress = Progress::new(total.fold(0, u64::saturating_add), watch);
    let mut lines = walked
        .paths
        .par_iter()
        .filter(|seen| seen.kind != FileKind::Folder)
        .map_init(
            || vec![0; CHUNK],
            |buffer, seen| {
                progress.go_on()?;
                let key = private(&seen.path).then_some(secret);
                line(root, seen, key, buffer, &progress)
            },
        )
        .filter_map(Result::transpose)
        .collect::<Result<Vec<_>, _>>()?;
    lines.extend(bare_folders(walked, &lines));
    lines.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(lines)
}

/// The lines as one zstd frame.
pub fn compress(lines: &[Line]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
    let mut text = String::new();
    for line in lines {
        line.write(&mut text);
        if text.len() >= CHUNK {
            encoder.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

/// What stands at a path; nothing where it went since the walk.
fn line(
    root: &Root,
    seen: &Seen,
    secret: Option<&Secret>,
    buffer: &mut [u8],
    progress: &Progress<'_>,
) -> Result<Option<Line>, DiskError> {
    let what = match seen.kind {
        FileKind::Link => match root.spot(&seen.path).and_then(|spot| spot.read_link()) {
            Ok(text) => Listed::Link {
                blake3: Blake3::of(&text),
            },
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            Err(e) => return Err(e),
        },
        FileKind::File => match root.spot(&seen.path).and_then(|spot| open(&spot)) {
            Ok(Some((file, stamp))) => content(root, seen, file, stamp, secret, buffer, progress)?,
            Ok(None) => Listed::Other,
            Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => return Ok(None),
            Err(e) if e.is_unreadable() => Listed::Other,
            Err(e) => return Err(e),
        },
        FileKind::Folder | FileKind::Other => Listed::Other,
    };
    Ok(Some(Line {
        path: seen.path.clone(),
        what,
    }))
}

fn open(spot: &Spot) -> Result<Option<(std::fs::File, Stamp)>, DiskError> {
    let (file, stamp) = spot.open()?;
    Ok((stamp.kind == FileKind::File).then_some((file, stamp)))
}

fn content(
    root: &Root,
    seen: &Seen,
    mut file: std::fs::File,
    stamp: Stamp,
    secret: Option<&Secret>,
    buffer: &mut [u8],
    progress: &Progress<'_>,
) -> Result<Listed, DiskError> {
    let mut blake3 = blake3::Hasher::new();
    let mut keyed = secret.map(mac).transpose()?;
    let mut size = 0_u64;
    loop {
        let count = match file.read(buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(DiskError::io("read", root.absolute(&seen.path))(e)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        match &mut keyed {
            Some(keyed) => keyed.update(bytes),
            None => drop(blake3.update(bytes)),
        }
        let count = u64::try_from(count).unwrap_or(0);
        size = size.saturating_add(count);
        progress.add(count);
        progress.go_on()?;
    }
    Ok(match keyed {
        Some(keyed) => Listed::Config {
            hmac: Sha256::from_bytes(keyed.finalize().into_bytes().into()),
            size,
        },
        None => Listed::File {
            blake3: Blake3::from_bytes(*blake3.finalize().as_bytes()),
            executable: stamp.executable(),
            size,
        },
    })
}

fn mac(secret: &Secret) -> Result<Hmac<sha2::Sha256>, DiskError> {
    Hmac::new_from_slice(secret.bytes.as_slice()).map_err(|e| DiskError::Random(e.to_string()))
}

/// The folders in which nothing else is listed, the deepest of each branch.
fn bare_folders(walked: &Walked, lines: &[Line]) -> Vec<Line> {
    let mut filled: BTreeSet<TreePath> = lines.iter().filter_map(|l| l.path.parent()).collect();
    let above: Vec<TreePath> = filled.iter().flat_map(TreePath::ancestors).collect();
    filled.extend(above);
    let mut bare = Vec::new();
    let folders = walked.paths.iter().filter(|s| s.kind == FileKind::Folder);
    // What lies in a folder comes after it, so backwards the deepest are first.
    for seen in folders.rev() {
        if !filled.contains(&seen.path) {
            filled.extend(seen.path.ancestors());
            bare.push(Line {
                path: seen.path.clone(),
                what: Listed::Folder,
            });
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::founding::samples;
    use crate::disk::walk::walk;
    use crate::model::Unwatched;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_line_for_everything() {
        let folder = tempfile::tempdir().unwrap();
        let root = samples::node(folder.path());
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("lib/deep/er")).unwrap();
        std::fs::create_dir_all(at("conf")).unwrap();
        for (path, text) in [("lib/a", "a"), ("conf/x.properties", "secret=1")] {
            durable::write(&at(path), text.as_bytes(), 0o644).unwrap();
        }
        symlink("a", at("lib/l")).unwrap();
        let store = StateStore::open(&root);
        let secret = store.secret().unwrap();
        assert!(!store.folder().join("secret").exists());
        store.keep(&secret).unwrap();
        let private = |path: &TreePath| path.as_str().ends_with(".properties");
        let take = |secret: &Secret| {
            let walked = walk(&root, &|_| false, &Unwatched).unwrap();
            take(&root, &walked, secret, &private, &Unwatched).unwrap()
        };
        let lines = take(&secret);
        let found: Vec<(&str, Listed)> = lines.iter().map(|l| (l.path.as_str(), l.what)).collect();
        let hmac = match found.first() {
            Some(("conf/x.properties", Listed::Config { hmac, size: 8 })) => *hmac,
            other => panic!("{other:?}"),
        };
        assert_ne!(hmac, Sha256::of(b"secret=1"));
        let (blake3, executable, size) = (Blake3::of(b"a"), false, 1);
        assert_eq!(
            found[1..],
            [
                (
                    "lib/a",
                    Listed::File {
                        blake3,
                        executable,
                        size
                    }
                ),
                ("lib/deep/er", Listed::Folder),
                ("lib/l", Listed::Link { blake3 }),
            ]
        );
        // The secret is kept once, and another one gives another HMAC.
        assert_eq!(take(&store.secret().unwrap()), lines);
        let bytes = random_bytes().unwrap();
        assert_ne!(take(&Secret { bytes, kept: false }), lines);
        durable::write(&store.folder().join("secret"), b"short", 0o600).unwrap();
        assert!(matches!(store.secret(), Err(DiskError::Damaged { .. })));
    }
}
