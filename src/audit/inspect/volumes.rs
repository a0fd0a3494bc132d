//! What `inspect` says of volumes.

use std::fmt;

use serde::Serialize;

use crate::model::Kind;
use crate::model::patch::Patch;
use crate::model::text::bytes;
use crate::spr::{RawStatement, Share, Shares, SprError};

/// One volume of a patch.
#[derive(Debug, Serialize)]
pub struct Volume {
    /// Which one, from 1.
    pub number: usize,
    /// How many packs it holds.
    pub packs: usize,
    /// Bytes in its file.
    pub size: u64,
    /// Whether it is this file.
    pub this: bool,
}

/// `3 pack(s), 1.2 MB (1234944 bytes), this file`.
impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packs, size, .. } = self;
        let this = if self.this { ", this file" } else { "" };
        write!(f, "{packs} pack(s), {} ({size} bytes){this}", bytes(*size))
    }
}

/// The volumes of a patch that has several, by its statement, and which of them holds these packs.
pub(super) fn of(raw: &RawStatement, packs: &[String]) -> Result<Vec<Volume>, SprError> {
    if raw.kind != Kind::Patch {
        return Ok(Vec::new());
    }
    let patch: Patch = raw.decode()?;
    let shares = Shares::of(raw, &patch);
    let several = shares.volumes().len() > 1;
    let volume = |(number, share): (usize, &Share)| {
        let held = patch.packs.get(share.packs.clone()).unwrap_or_default();
        Volume {
            number,
            packs: held.len(),
            size: share.size,
            this: held.iter().map(|pack| &pack.member).eq(packs),
        }
    };
    let numbered = (1..).zip(shares.volumes()).filter(|_| several);
    Ok(numbered.map(volume).collect())
}

/// What a file holds of the members that are listed.
pub(super) fn holds(
    volumes: &[Volume],
    (present, listed): (usize, usize),
    no_packs: bool,
) -> String {
    if present == listed {
        return format!("{listed}, each with the digest that the statement gives");
    }
    let what = match volumes.iter().find(|volume| volume.this) {
        Some(this) => format!("volume {} of {}", this.number, volumes.len()),
        None if no_packs => "a head".to_owned(),
        None => "neither a head nor a volume of its patch".to_owned(),
    };
    format!("{present} of {listed}: {what}")
}
