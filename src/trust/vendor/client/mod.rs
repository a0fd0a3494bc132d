//! A TUF client of the general kind: the detailed workflow of the TUF specification, over this
//! room's own verification.
//!
//! Bytes, the time and floors go in, and the next stage comes out; whoever has the files fetches,
//! stores and hands them in. Each stage can only be made by the one before, so no step is skipped:
//! [`Roots`], [`Timestamps`], [`Snapshots`], [`TopTargets`], [`Roles`], [`Search`], [`Artifact`].
//!
//! What only a vendor's chain asks for is not here: one level of delegation, plain role names,
//! consistent snapshots always, ed25519 alone, JSON that reads in one way, `issued`. What both ask
//! for stands once: the fingerprint of a key set ([`super::keys`]), the bounds of a version
//! ([`super::chain`]) and the cryptography ([`super::provider`]), unless another was installed
//! before, which a vendor's chain refuses.
//!
//! | attack | defence |
//! |---|---|
//! | an older repository after the store was damaged | [`Floors`], apart from the cached files: a cached file is never what a rollback is judged by |
//! | a role counted up to the end by a stolen key | a verified new root that changed the role's keys resets what that role said, and nothing else |
//! | one public key under two key ids | a public key counts once ([`signers`]) |
//! | a root chain with a gap, or one that ends below a root that was seen | N to N+1 exactly, and the root's own floor |
//! | metadata that is never renewed | each stage judges the expiry of what it rests on, kept files too |
//! | files of different states, mixed | version, length and hashes as the file above says |
//! | a role left out of the snapshot, so that another answers for it | an error, not a role to pass over |
//! | delegations in a circle, or without end | each role is asked once, [`ROLES_MAX`] in all |
//! | endless data | each file that is asked for comes with the most bytes that are read |

mod artifact;
mod error;
mod floors;
mod search;
mod signers;
mod snapshot;
#[cfg(test)]
mod tests;
mod timestamp;

pub use artifact::{Artifact, Check};
pub use error::ClientError;
pub use floors::Floors;
pub use search::{ROLES_MAX, Search, Step};
pub use snapshot::{Roles, Snapshots, TopTargets};
pub use timestamp::{Timestamps, Took};

use sigstore_tuf::{Metadata, Role, Root};

use super::chain::{bounded, time, words};
use super::provider;
use crate::model::Time;

/// Largest root, in bytes; this and the next three are python-tuf's defaults.
const ROOT_MAX: u64 = 512_000;
/// Largest timestamp, in bytes.
const TIMESTAMP_MAX: u64 = 16_384;
/// Largest snapshot, in bytes.
const SNAPSHOT_MAX: u64 = 2_000_000;
/// Largest targets file of any role, in bytes.
const TARGETS_MAX: u64 = 5_000_000;
/// Most new roots in one refresh.
pub const ROOTS_MAX: u32 = 256;

/// A file to fetch: under which name, and how many bytes at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The role, as the metadata spells it.
    pub role: String,
    /// The name in the repository's folder of metadata, ready for a URL.
    pub name: String,
    /// The most bytes that it may have.
    pub max: u64,
}

/// What every stage rests on: the root in force, the floors, and the start of the refresh.
#[derive(Debug, Clone)]
struct Ground {
    root: Metadata<Root>,
    floors: Floors,
    now: Time,
}

impl Ground {
    /// Parses a file of a top-level role and checks who signed it, by the root in force.
    fn read<T: Role>(&self, role: &str, bytes: &[u8]) -> Result<Metadata<T>, ClientError> {
        let metadata = parse(role, bytes)?;
        signers::check_top_level(&metadata, self.root.signed(), role)?;
        Ok(metadata)
    }

    fn fresh<T: Role>(&self, role: &str, metadata: &T) -> Result<(), ClientError> {
        let expires = time(metadata.expires());
        if self.now < expires {
            return Ok(());
        }
        Err(ClientError::Expired {
            role: role.to_owned(),
            expires,
            now: self.now,
        })
    }

    /// The file of `role` in the version that the file above it names.
    fn wanted(&self, role: &str, version: u64, max: u64) -> Wanted {
        let quoted = quote(role);
        let name = if self.root.signed().consistent_snapshot {
            format!("{version}.{quoted}.json")
        } else {
            format!("{quoted}.json")
        };
        Wanted {
            role: role.to_owned(),
            name,
            max,
        }
    }
}

/// The first stage: the root that is trusted, and the ones after it.
#[derive(Debug, Clone)]
pub struct Roots(Ground);

/// Whether `root` is one to begin with: it is signed by its own keys.
pub fn check_first_root(root: &[u8]) -> Result<(), ClientError> {
    own_signed(root).map(drop)
}

impl Roots {
    /// Begins a refresh with the root that was trusted last, and the floors stored with it.
    pub fn open(root: &[u8], floors: Floors, now: Time) -> Result<Self, ClientError> {
        let root = own_signed(root)?;
        Ok(Self(Ground { root, floors, now }))
    }

    /// The root to fetch next; where there is none, go on with [`Roots::end`].
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let next = self.0.root.signed().version.saturating_add(1);
        Wanted {
            role: "root".to_owned(),
            name: format!("{next}.root.json"),
            max: ROOT_MAX,
        }
    }

    /// Takes the next root: signed by the keys of the one in force, and by its own.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let new: Metadata<Root> = self.0.read("root", bytes)?;
        let trusted = self.0.root.signed().version;
        if trusted.checked_add(1) != Some(new.signed().version) {
            return Err(ClientError::Gap {
                trusted,
                offered: new.signed().version,
            });
        }
        signers::check_top_level(&new, new.signed(), "root")?;
        self.0.root = new;
        self.0.floors.saw_root(trusted.saturating_add(1));
        Ok(())
    }

    /// The floors to store with the root that was taken last.
    #[must_use]
    pub fn floors(&self) -> &Floors {
        &self.0.floors
    }

    /// Ends the chain of roots: the last one has not expired, nor is it older than one seen before.
    /// What roles said whose keys it changed is forgotten.
    pub fn end(mut self) -> Result<Timestamps, ClientError> {
        let root = self.0.root.signed();
        if root.version < self.0.floors.root() {
            return Err(ClientError::Rollback {
                role: "root".to_owned(),
                offered: root.version,
                floor: self.0.floors.root(),
            });
        }
        self.0.fresh("root", root)?;
        let keys = |role| signers::key_set(root, role);
        self.0.floors.reset(&keys("timestamp")?, &keys("snapshot")?);
        Ok(Timestamps::new(self.0))
    }
}

fn own_signed(bytes: &[u8]) -> Result<Metadata<Root>, ClientError> {
    // Where the caller has installed another cryptography, that one counts.
    let _ours = provider::install();
    let root: Metadata<Root> = parse("root", bytes)?;
    signers::check_top_level(&root, root.signed(), "root")?;
    Ok(root)
}

fn parse<T: Role>(role: &str, bytes: &[u8]) -> Result<Metadata<T>, ClientError> {
    let refuse = |what: String| ClientError::refused(role, what);
    let metadata = Metadata::<T>::from_slice(bytes).map_err(|e| refuse(words(&e)))?;
    bounded(role, metadata.signed().version()).map_err(refuse)?;
    Ok(metadata)
}

/// A name as one segment of a URL and one name of a file: all but `A-Z a-z 0-9 _ . - ~` as `%XX`.
#[must_use]
pub fn quote(name: &str) -> String {
    name.bytes().fold(String::new(), |text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
            text + char::from(byte).to_string().as_str()
        }
        other => format!("{text}%{other:02X}"),
    })
}
