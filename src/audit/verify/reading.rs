//! What a verification reads besides the file itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::disk::durable;
use crate::model::patch::Patch;
use crate::model::site::Signer;
use crate::model::{Member, Refusal, RefusalName, Sha256, Watch};
use crate::spr::{Members, STATEMENT_MAX, Small, SprError, Told};
use crate::trust::site::{self, SITE_MAX, TrustedSite};

/// Largest `allowed_signers` file, in bytes.
const SIGNERS_MAX: u64 = 1024 * 1024;

/// Members but packs by name, and the names of the packs.
pub(super) type Present = (BTreeMap<String, Vec<u8>>, Vec<String>);

/// Members by name, packs left out, and the names of the packs.
pub(super) fn read_members(
    members: &mut Members<BufReader<File>>,
    list: &[Member],
    watch: &dyn Watch,
) -> Result<Present, SprError> {
    let mut small = Small::default();
    let mut present = Vec::new();
    let packs = list.iter().filter(|member| Patch::is_pack(member));
    let total = packs.map(|m| m.size).fold(0, u64::saturating_add);
    let mut done = 0;
    while let Some(member) = members.peek()?.cloned() {
        if Patch::is_pack(&member) {
            let mut told = Told {
                out: std::io::sink(),
                done,
                total,
                stage: "verifying",
                watch,
            };
            members.copy_next(&mut told)?;
            done = told.done;
            present.push(member.name);
        } else {
            small.take_next(members)?;
        }
    }
    Ok((small.into_members(), present))
}

pub(in crate::audit) fn pin(
    path: &Path,
    fingerprint: Option<&str>,
) -> Result<TrustedSite, Refusal> {
    let (raw, members) = site::open(&durable::read(path, SITE_MAX)?)?;
    Ok(TrustedSite::pin(raw, members, fingerprint)?)
}

pub(super) fn allowed_signers(path: &Path) -> Result<Vec<Signer>, Refusal> {
    let bytes = durable::read(path, SIGNERS_MAX)?;
    String::from_utf8_lossy(&bytes)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.parse().map_err(|e: crate::model::site::SignerError| {
                Refusal::new(RefusalName::Usage, e.to_string())
                    .value("file", path.display())
                    .next("one line a key: PRINCIPAL ssh-ed25519 BASE64")
            })
        })
        .collect()
}

/// Recipe files by digest.
pub(super) fn recipes(paths: &[PathBuf]) -> Result<BTreeMap<Sha256, Vec<u8>>, Refusal> {
    paths
        .iter()
        .map(|path| {
            let bytes = durable::read(path, STATEMENT_MAX)?;
            Ok((Sha256::of(&bytes), bytes))
        })
        .collect()
}
