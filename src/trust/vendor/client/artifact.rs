//! What a verified role says of a file: its length and digests, checked while it is read.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256, Sha512};
use sigstore_tuf::TargetFile;

use super::{ClientError, quote};
use crate::model::digest::hex;

/// A file that a trusted role names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its path, as the metadata spells it.
    pub path: String,
    /// Its bytes.
    pub length: u64,
    hashes: BTreeMap<String, String>,
    consistent: bool,
}

impl Artifact {
    pub(super) fn new(path: &str, file: &TargetFile, consistent: bool) -> Self {
        Self {
            path: path.to_owned(),
            length: file.length,
            hashes: file.hashes.clone(),
            consistent,
        }
    }

    /// Where it lies below the repository's folder of targets, ready for a URL; with consistent
    /// snapshots, a digest stands before the last name.
    pub fn url_path(&self) -> Result<String, ClientError> {
        let (folders, name) = match self.path.rsplit_once('/') {
            Some((folders, name)) => (Some(folders), name),
            None => (None, self.path.as_str()),
        };
        let name = if self.consistent {
            format!("{}.{}", quote(self.digest()?), quote(name))
        } else {
            quote(name)
        };
        let folders = folders.iter().flat_map(|folders| folders.split('/'));
        let segments: Vec<String> = folders.map(quote).chain([name]).collect();
        Ok(segments.join("/"))
    }

    /// A check of its content.
    pub fn check(&self) -> Result<Check, ClientError> {
        Check::new(&self.path, Some(self.length), Some(&self.hashes))
    }

    fn digest(&self) -> Result<&str, ClientError> {
        let known = ["sha256", "sha512"];
        known
            .iter()
            .find_map(|name| self.hashes.get(*name))
            .map(String::as_str)
            .ok_or_else(|| ClientError::refused(&self.path, "no digest of it is of a known kind"))
    }
}

/// Length and digests of a file while it is read.
pub struct Check {
    what: String,
    expected: Option<u64>,
    length: u64,
    sha256: Option<(String, Sha256)>,
    sha512: Option<(String, Sha512)>,
}

impl Check {
    /// What is not named is not checked; but where digests are named, one must be of a known kind.
    pub(super) fn new(
        what: &str,
        length: Option<u64>,
        hashes: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, ClientError> {
        let named = |kind: &str| hashes.and_then(|hashes| hashes.get(kind)).cloned();
        let check = Self {
            what: what.to_owned(),
            expected: length,
            length: 0,
            sha256: named("sha256").map(|digest| (digest, Sha256::new())),
            sha512: named("sha512").map(|digest| (digest, Sha512::new())),
        };
        if hashes.is_some() && check.sha256.is_none() && check.sha512.is_none() {
            let what_is_wrong = "no digest of it is of a known kind";
            return Err(ClientError::refused(what, what_is_wrong));
        }
        Ok(check)
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.length = self.length.saturating_add(more);
        if let Some((_, hash)) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some((_, hash)) = &mut self.sha512 {
            hash.update(bytes);
        }
    }

    /// Whether all bytes were the ones that the metadata names.
    pub fn finish(self) -> Result<(), ClientError> {
        if let Some(expected) = self.expected
            && expected != self.length
        {
            let what = format!("it has {} bytes, {expected} are named", self.length);
            return Err(ClientError::refused(&self.what, what));
        }
        let found = [
            self.sha256
                .map(|(named, hash)| (named, hex(&hash.finalize()))),
            self.sha512
                .map(|(named, hash)| (named, hex(&hash.finalize()))),
        ];
        for (named, found) in found.into_iter().flatten() {
            if !named.eq_ignore_ascii_case(&found) {
                let what = format!("its digest is {found}, {named} is named");
                return Err(ClientError::refused(&self.what, what));
            }
        }
        Ok(())
    }
}
