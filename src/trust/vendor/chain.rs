//! The chain of signatures from the site's root down to delegated targets.
//!
//! The TUF library checks signatures, the order of roots, and what a file says of the next; it is
//! told that it is 1970, so that it never judges expiry. Around each of its steps stand our rules.
//!
//! | attack | defence |
//! |---|---|
//! | a root chain with a gap, or a root that only its own keys signed | N to N+1 exactly, each signed by both (the library) |
//! | threshold collapse | [`keys`], on every root and every delegation, before the next file counts |
//! | one delegated role twice in a list, with other keys for the same name | role names are unique and plain |
//! | a delegate that delegates further | one level only |
//! | a delegated role named like a top-level one | refused, in targets and in the snapshot |
//! | a role whose file name is longer than names may be, refused only once the change stands | [`ROLE_MAX`] |
//! | a version that no floor can hold | 1 to 2^53 - 1 |

use std::collections::BTreeSet;

use sigstore_tuf::{Error, Targets, TrustedMetadataSet};

use crate::model::text::clipped;
use crate::model::{Name, RecipePath, Time};

use super::floors::Offered;
use super::keys::{self, ROLE_MAX, TOP_LEVEL};
use super::{VendorFiles, provider, strict};
use crate::trust::TrustError;

/// First version that the statements that keep floors cannot hold.
pub const VERSION_END: u64 = 1 << 53;
/// What the library is told of the time.
const NEVER: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// A verified set.
pub(super) struct Chain<'a> {
    vendor: &'a Name,
    pub(super) set: TrustedMetadataSet,
}

impl<'a> Chain<'a> {
    /// Follows roots from the one in force, each the next version, signed by the keys of the one
    /// before and by its own.
    pub(super) fn from_root(
        vendor: &'a Name,
        site_root: &[u8],
        roots: &[Vec<u8>],
    ) -> Result<Self, TrustError> {
        let refuse = |what: String| untrusted(vendor, what);
        if !provider::install() {
            return Err(refuse("another cryptography is installed".to_owned()));
        }
        strict::check(site_root).map_err(|e| refuse(format!("the site's root: {e}")))?;
        let set = TrustedMetadataSet::from_root(site_root)
            .map_err(|e| refuse(format!("the site's root: {}", words(&e))))?;
        keys::check_root(set.root()).map_err(refuse)?;
        let mut chain = Self { vendor, set };
        for root in roots {
            chain.step("root", root, TrustedMetadataSet::update_root)?;
            keys::check_root(chain.set.root()).map_err(refuse)?;
        }
        Ok(chain)
    }

    /// Verifies all files, from the site's root down.
    pub(super) fn build(
        vendor: &'a Name,
        site_root: &[u8],
        files: &VendorFiles,
    ) -> Result<Self, TrustError> {
        let mut chain = Self::from_root(vendor, site_root, &files.roots)?;
        let refuse = |what: String| untrusted(vendor, what);
        chain.step("timestamp", &files.timestamp, |set, bytes| {
            set.update_timestamp(bytes, NEVER)
        })?;
        chain.step("snapshot", &files.snapshot, |set, bytes| {
            set.update_snapshot(bytes, NEVER)
        })?;
        chain.step("targets", &files.targets, |set, bytes| {
            set.update_targets(bytes, NEVER).map(drop)
        })?;
        chain.check_delegations().map_err(refuse)?;
        for (role, bytes) in &files.delegated {
            chain.step(role, bytes, |set, bytes| {
                set.update_delegated_targets(bytes, role, "targets", NEVER)
                    .map(drop)
            })?;
            chain.check_delegate(role).map_err(refuse)?;
        }
        Ok(chain)
    }

    fn step(
        &mut self,
        role: &str,
        bytes: &[u8],
        update: impl FnOnce(&mut TrustedMetadataSet, &[u8]) -> Result<(), Error>,
    ) -> Result<(), TrustError> {
        strict::check(bytes).map_err(|e| untrusted(self.vendor, format!("{role}: {e}")))?;
        update(&mut self.set, bytes).map_err(|error| self.explain(role, &error))
    }

    /// The library's errors, with the two values where there are two.
    fn explain(&self, role: &str, error: &Error) -> TrustError {
        let values = match error {
            Error::BadRootVersion { trusted, new } => vec![
                ("offered", format!("root {new}")),
                ("trusted", format!("root {trusted}")),
            ],
            Error::ThresholdNotMet {
                found, threshold, ..
            } => vec![
                ("signatures", format!("{found} good")),
                ("needed", threshold.to_string()),
            ],
            _ => Vec::new(),
        };
        TrustError::Vendor {
            vendor: self.vendor.clone(),
            what: clipped(format!("{role}: {}", words(error))),
            values,
        }
    }

    /// The top-level targets.
    pub(super) fn targets(&self) -> Result<&Targets, TrustError> {
        self.set
            .targets_role("targets")
            .ok_or_else(|| untrusted(self.vendor, "there are no targets".to_owned()))
    }

    fn check_delegations(&self) -> Result<(), String> {
        let targets = self.set.targets_role("targets");
        let targets = targets.ok_or("there are no targets")?;
        check_names(targets)?;
        let mut seen = BTreeSet::new();
        let Some(delegations) = &targets.delegations else {
            return Ok(());
        };
        for role in &delegations.roles {
            let plain = role.name.parse::<Name>().is_ok() && role.name.len() <= ROLE_MAX;
            if !plain || TOP_LEVEL.contains(&role.name.as_str()) {
                return Err(format!("{:?} may not be a delegated role", role.name));
            }
            if !seen.insert(&role.name) {
                return Err(format!("role {} is delegated twice", role.name));
            }
            keys::of_delegation(delegations, role)?;
            role.matches_path("").map_err(|e| words(&e))?;
        }
        Ok(())
    }

    fn check_delegate(&self, role: &str) -> Result<(), String> {
        let loaded = self.set.targets_role(role);
        let loaded = loaded.ok_or_else(|| format!("role {role} is not loaded"))?;
        if loaded
            .delegations
            .as_ref()
            .is_some_and(|d| !d.roles.is_empty())
        {
            return Err(format!("role {role} delegates further"));
        }
        check_names(loaded)
    }

    /// The versions that floors are kept of: the four files, and all that the snapshot lists.
    pub(super) fn offered(&self) -> Result<Vec<Offered>, TrustError> {
        self.versions().map_err(|what| untrusted(self.vendor, what))
    }

    fn versions(&self) -> Result<Vec<Offered>, String> {
        let root = self.set.root();
        let snapshot = self.set.snapshot().ok_or("there is no snapshot")?;
        let timestamp = self.set.timestamp().ok_or("there is no timestamp")?;
        let targets = self.set.targets_role("targets");
        let targets = targets.ok_or("there are no targets")?;
        let mut offered = Vec::new();
        for (role, version) in [
            ("root", root.version),
            ("timestamp", timestamp.version),
            ("snapshot", snapshot.version),
            ("targets", targets.version),
        ] {
            offered.push(Offered {
                role: role.to_owned(),
                version: bounded(role, version)?,
                keys: Some(keys::of_top_level(root, role)?),
            });
        }
        for (file, listed) in &snapshot.meta {
            let role = file
                .strip_suffix(".json")
                .filter(|role| role.parse::<Name>().is_ok())
                .ok_or_else(|| format!("the snapshot lists {file:?}"))?;
            match role {
                "targets" => continue,
                "root" | "timestamp" | "snapshot" => {
                    return Err(format!("the snapshot lists {file}"));
                }
                _ => {}
            }
            let delegations = targets.delegations.as_ref();
            let keys = delegations.and_then(|all| {
                let role = all.roles.iter().find(|delegated| delegated.name == role)?;
                Some(keys::of_delegation(all, role))
            });
            offered.push(Offered {
                role: role.to_owned(),
                version: bounded(role, listed.version)?,
                keys: keys.transpose()?,
            });
        }
        Ok(offered)
    }

    /// When a role's file was issued: a field of ours beside TUF's own. It must stand in timestamp
    /// and targets, and cannot be later than the file's own expiry, so that a stolen key cannot
    /// push the time floor past what it could itself serve.
    pub(super) fn issued(&self, role: &str) -> Result<Time, TrustError> {
        let found = if role == "timestamp" {
            self.set
                .timestamp()
                .map(|t| (t.extra.get("issued"), t.expires))
        } else {
            self.set
                .targets_role(role)
                .map(|t| (t.extra.get("issued"), t.expires))
        };
        let (issued, expires) = found.unwrap_or((None, NEVER));
        let issued: Time = issued
            .and_then(serde_json::Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                untrusted(
                    self.vendor,
                    format!("{role} does not say when it was issued"),
                )
            })?;
        if issued <= time(expires) {
            return Ok(issued);
        }
        Err(TrustError::Vendor {
            vendor: self.vendor.clone(),
            what: format!("{role} expired before it was issued"),
            values: vec![
                ("issued", issued.to_string()),
                ("expires", time(expires).to_string()),
            ],
        })
    }
}

/// A moment of the library as ours.
pub(super) fn time(stamp: jiff::Timestamp) -> Time {
    Time::from_unix(stamp.as_second())
}

pub(super) fn untrusted(vendor: &Name, what: String) -> TrustError {
    TrustError::Vendor {
        vendor: vendor.clone(),
        // It may repeat a name of the file, however long.
        what: clipped(what),
        values: Vec::new(),
    }
}

/// Every target is a recipe, in the one spelling of its path.
fn check_names(targets: &Targets) -> Result<(), String> {
    for name in targets.targets.keys() {
        let recipe: Option<RecipePath> = name.parse().ok();
        if recipe.is_none_or(|path| path.as_str() != name) {
            return Err(format!("the target {name:?} is no recipe"));
        }
    }
    Ok(())
}

/// A version that floors can hold.
pub(super) fn bounded(role: &str, version: u64) -> Result<u64, String> {
    if version == 0 || version >= VERSION_END {
        return Err(format!("role {role} has version {version}"));
    }
    Ok(version)
}

/// An error of the library with its causes, none of which it repeats itself.
pub(super) fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
