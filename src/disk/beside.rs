//! Approvals beside a patch: how their files are called, and which ones lie there.
//!
//! | attack | defence |
//! |---|---|
//! | thousands of files named like approvals | at most [`FOUND_MAX`] are read, and it is said that there are more |
//! | a pipe that nobody writes into, a device, a file without end | plain files alone, within [`SIGNATURE_MAX`] |
//!
//! What is found is not believed: whether it approves anything is for `trust` to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{DiskError, durable};
use crate::model::{Sha256, Watch, volume};
use crate::spr::SIGNATURE_MAX;

/// Most files that are looked at: far more than a policy can ask for.
const FOUND_MAX: usize = 256;

/// Approvals that lie beside a patch or its head.
#[derive(Debug, Default)]
pub struct Beside {
    /// Each with where it lies, armoured.
    pub found: Vec<(String, Vec<u8>)>,
    /// What was not read, each with the reason.
    pub not_read: Vec<String>,
}

/// Where the approval by a key goes: `PROD-0007.head.spr` and `PROD-0007.patch.spr` are approved in
/// `PROD-0007.<key>.sig`.
#[must_use]
pub fn name(patch: &Path, key: &Sha256) -> PathBuf {
    patch.with_file_name(format!("{}.{key}.sig", stem(patch)))
}

/// The approvals that a patch has, armoured: those that somebody named, and those that were found.
#[derive(Debug, Default)]
pub struct All {
    /// Named by whoever runs the command.
    pub named: Vec<Vec<u8>>,
    /// Found beside the patch, each with where it lies.
    pub found: Vec<(String, Vec<u8>)>,
}

/// Reads the approvals in the files `named`, all of which must be readable, and those beside the files
/// of a patch, of which a warning says which one was not.
pub fn all(patch: &[&Path], named: &[PathBuf], watch: &dyn Watch) -> Result<All, DiskError> {
    let named = named
        .iter()
        .map(|path| durable::read_plain(path, SIGNATURE_MAX))
        .collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    let mut places = BTreeSet::new();
    for patch in patch {
        // Volumes in one folder have the same beside them.
        if !places.insert((patch.parent(), stem(patch))) {
            continue;
        }
        let beside = read(patch);
        beside.not_read.iter().for_each(|line| watch.warn(line));
        for (path, armoured) in beside.found {
            let known =
                named.contains(&armoured) || found.iter().any(|(_, known)| *known == armoured);
            if !known {
                found.push((path, armoured));
            }
        }
    }
    Ok(All { named, found })
}

/// Reads the approvals that lie beside a patch or its head; a folder that cannot be listed holds none.
#[must_use]
pub fn read(patch: &Path) -> Beside {
    let mut beside = Beside::default();
    for path in list(patch) {
        if beside.found.len() >= FOUND_MAX {
            let more = format!(
                "beside the patch lie more than {FOUND_MAX} approvals; name those that count: --approval SIG"
            );
            beside.not_read.push(more);
            return beside;
        }
        match durable::read_plain(&path, SIGNATURE_MAX) {
            Ok(bytes) => beside.found.push((path.display().to_string(), bytes)),
            Err(why) => {
                let line = format!("{} does not approve this patch: {why}", path.display());
                beside.not_read.push(line);
            }
        }
    }
    beside
}

fn list(patch: &Path) -> Vec<PathBuf> {
    let stem = stem(patch);
    let folder = match patch.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name
                .strip_prefix(&stem)
                .and_then(|rest| rest.strip_prefix('.'));
            let key = rest.and_then(|rest| rest.strip_suffix(".sig"));
            key.is_some_and(|key| key.parse::<Sha256>().is_ok())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn stem(patch: &Path) -> String {
    let name = patch.file_name().unwrap_or_default().to_string_lossy();
    volume::stem(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_and_its_head_are_approved_under_one_name() {
        let key = Sha256::of(b"key");
        for patch in [
            "usb/P-1.head.spr",
            "usb/P-1.patch.spr",
            "usb/P-1.spr",
            "usb/P-1.2of3.patch.spr",
        ] {
            let name = name(Path::new(patch), &key);
            assert_eq!(name, PathBuf::from(format!("usb/P-1.{key}.sig")));
        }
    }

    #[test]
    fn noise_is_neither_waited_for_nor_read_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let patch = folder.path().join("P.patch.spr");
        let at = |number: usize| name(&patch, &Sha256::of(&number.to_be_bytes()));
        let write = |path: &Path, bytes: &[u8]| durable::write(path, bytes, 0o644).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at(0), pipe, 0o644.into(), 0).unwrap();
        write(&at(1), &[b'a'; 8_192]);
        std::fs::create_dir(at(2)).unwrap();
        write(&at(3), b"short");
        write(&folder.path().join("P.notakey.sig"), b"short");
        write(&folder.path().join("Q.patch.spr"), b"short");
        let beside = read(&patch);
        assert_eq!(beside.found.len(), 1);
        assert_eq!(beside.not_read.len(), 3, "{:?}", beside.not_read);
        for number in 4..300 {
            std::fs::File::create(at(number)).unwrap();
        }
        let beside = read(&patch);
        assert_eq!(beside.found.len(), FOUND_MAX);
        assert!(
            beside
                .not_read
                .iter()
                .any(|line| line.contains("more than"))
        );
    }
}
