//! What the targets share: the editors of the mutation run, driven by the fuzzer's bytes, and the
//! golden files to start from.
#![allow(dead_code, reason = "no target uses all of it")]

#[path = "../../../tests/mutation/archive.rs"]
pub(crate) mod archive;
#[path = "../../../tests/mutation/dice.rs"]
pub(crate) mod dice;
#[path = "../../../tests/mutation/json.rs"]
pub(crate) mod json;

use std::path::Path;

use arbitrary::Unstructured;
use lockstep::trust::SigningKey;

use dice::Dice;

/// Choices out of the fuzzer's bytes; zeros once they are used up.
pub(crate) struct Bytes<'a>(pub(crate) Unstructured<'a>);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// Whether there is nothing left to choose with.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Dice for Bytes<'_> {
    fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.max(1) - 1).unwrap_or(0)
    }
}

/// The good golden files whose name begins so, with their bytes; sorted, so that an input means the
/// same in every run.
pub(crate) fn golden(start: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .expect("fixtures/golden")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "spr"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(start) && !name.starts_with("bad-")
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no golden file begins with {start:?}");
    let read = |path| std::fs::read(path).expect("a golden file");
    let files: Vec<Vec<u8>> = found.into_iter().map(read).collect();
    files.iter().for_each(|file| same_again(file));
    files
}

/// The key made of this byte.
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32].into()).expect("a key")
}

/// The editors write as the program does: else whatever they touch would be refused for its spelling.
fn same_again(file: &[u8]) {
    let mut archive = archive::Archive::read(file).expect("an archive");
    for entry in &mut archive.entries {
        entry.rename(&entry.name());
        entry.fill(entry.content.clone());
    }
    assert!(archive.bytes() == file, "the editors write another tar");
}
