//! A vendor's TUF metadata: from the root in the site file to the recipes that it names.
//!
//! On top of TUF 1.0 stand rules of ours: strict JSON ([`strict`]), distinct public keys for every
//! threshold ([`keys`]), one level of delegation ([`chain`]), floors that only rise ([`floors`]),
//! expiry judged by who asks ([`expiry`]), and, for a delegate, where its files may be installed
//! ([`delegation`]). `client` is the general kind of TUF client, without these rules, so that the
//! verification can be measured from outside; it is in no host build.

mod chain;
#[cfg(feature = "tuf-client")]
pub mod client;
mod delegation;
mod expiry;
mod files;
mod floors;
mod keys;
mod provider;
mod strict;
#[cfg(test)]
pub(in crate::trust) mod tests;

use std::collections::BTreeSet;

use crate::model::site::Vendor;
use crate::model::snapshot::Floor;
use crate::model::{Name, RecipePath, Time};

use super::TrustError;
pub use chain::VERSION_END;
use chain::{Chain, time, untrusted};
use delegation::Tree;
pub use delegation::{RecipeTarget, may_own, may_replace};
pub use expiry::Expiry;
use expiry::Judge;
pub use files::{VendorFiles, file_name};
pub use floors::{highest as highest_floors, merge as merge_floors};
pub use keys::ROLE_MAX;
pub use provider::strict as strict_cryptography;
pub use strict::{FILE_MAX, TOTAL_MAX, check as check_strict};

/// A vendor's metadata, verified against the site's root, the floors and the time.
#[derive(Debug, Clone)]
pub struct VerifiedVendor {
    vendor: Vendor,
    issued: Time,
    floors: Vec<Floor>,
    warnings: Vec<String>,
    versions: Vec<(String, u64)>,
    site_root_version: u64,
    /// The earlier of root's and targets' expiry.
    expires: Time,
    judge: Judge,
    tree: Tree,
}

/// Verifies a vendor's metadata.
///
/// `site_root` is the root in the site file in force, `floors` those of all vendors that the last
/// commit accepted. The expiry of delegations is judged where they are used, in
/// [`VerifiedVendor::target`].
pub fn verify(
    vendor: &Vendor,
    site_root: &[u8],
    files: &VendorFiles,
    floors: &[Floor],
    expiry: &Expiry,
) -> Result<VerifiedVendor, TrustError> {
    let name = &vendor.name;
    let chain = Chain::build(name, site_root, files)?;
    let offered = chain.offered()?;
    let floors = floors::ratchet(name, floors, &offered)?;
    let issued = chain.issued("timestamp")?;
    chain.issued("targets")?;
    let judge = Judge::new(name, *expiry, issued);
    let (expires, mut warnings) = judge_top_level(&chain, &judge)?;
    let tree = Tree::of(name, &chain)?;
    warnings.extend(tree.accepted(&judge));
    let loaded = offered
        .iter()
        .filter(|role| keys::TOP_LEVEL.contains(&role.role.as_str()) || tree.has(&role.role));
    Ok(VerifiedVendor {
        vendor: vendor.clone(),
        issued,
        floors,
        warnings,
        versions: loaded.map(|r| (r.role.clone(), r.version)).collect(),
        site_root_version: site_root_version(chain.set.root().version, files),
        expires,
        judge,
        tree,
    })
}

/// Checks that `root` is one that a site file may name: strict, self-signed, with distinct keys.
pub fn check_root(vendor: &Name, root: &[u8]) -> Result<u64, TrustError> {
    if !provider::install() {
        return Err(untrusted(
            vendor,
            "another cryptography is installed".to_owned(),
        ));
    }
    strict::check(root).map_err(|e| untrusted(vendor, e))?;
    let set = sigstore_tuf::TrustedMetadataSet::from_root(root)
        .map_err(|e| untrusted(vendor, chain::words(&e)))?;
    keys::check_root(set.root()).map_err(|e| untrusted(vendor, e))?;
    Ok(set.root().version)
}

/// Checks that `roots` follow `from` without a gap, each signed by the keys of the one before and by its
/// own; returns the last version.
pub fn check_roots_follow(
    vendor: &Name,
    from: &[u8],
    roots: &[Vec<u8>],
) -> Result<u64, TrustError> {
    Ok(Chain::from_root(vendor, from, roots)?.set.root().version)
}

fn judge_top_level(chain: &Chain<'_>, judge: &Judge) -> Result<(Time, Vec<String>), TrustError> {
    let root = time(chain.set.root().expires);
    let targets = time(chain.targets()?.expires);
    let timestamp = chain.set.timestamp().map(|t| time(t.expires));
    let snapshot = chain.set.snapshot().map(|s| time(s.expires));
    judge.age()?;
    let warnings = [
        judge.firm("root", root)?,
        judge.soft("timestamp", timestamp.unwrap_or(Time::EPOCH))?,
        judge.soft("snapshot", snapshot.unwrap_or(Time::EPOCH))?,
        judge.firm("targets", targets)?,
    ];
    Ok((root.min(targets), warnings.into_iter().flatten().collect()))
}

fn site_root_version(last: u64, files: &VendorFiles) -> u64 {
    last.saturating_sub(u64::try_from(files.roots.len()).unwrap_or(u64::MAX))
}

impl VerifiedVendor {
    /// The vendor's name in the site file.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.vendor.name
    }

    /// When its timestamp was issued, by the vendor's clock.
    #[must_use]
    pub fn issued(&self) -> Time {
        self.issued
    }

    /// What the time floor may rise to: when the timestamp was issued, or where that was accepted
    /// although root or targets had expired by then, when they did.
    #[must_use]
    pub fn time_floor(&self) -> Time {
        self.issued.min(self.expires)
    }

    /// The earliest expiry of root, targets and all delegations that were loaded.
    #[must_use]
    pub fn apply_before(&self) -> Time {
        self.tree.expiries().fold(self.expires, Time::min)
    }

    /// The earliest expiry of root, targets and the delegations that lead to these recipes.
    pub fn apply_before_of<'a>(
        &self,
        recipes: impl IntoIterator<Item = &'a RecipePath>,
    ) -> Result<Time, TrustError> {
        recipes
            .into_iter()
            .try_fold(self.expires, |earliest, path| {
                Ok(earliest.min(self.target(path)?.expires))
            })
    }

    /// The vendor's new floors, to be moved at the commit; rising by role.
    #[must_use]
    pub fn floors(&self) -> &[Floor] {
        &self.floors
    }

    /// What a person should know although it is no reason to refuse.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The version of the root in force.
    #[must_use]
    pub fn root_version(&self) -> u64 {
        self.versions.first().map_or(0, |(_, version)| *version)
    }

    /// Role and version of each file: root, timestamp, snapshot, targets, then delegations.
    #[must_use]
    pub fn versions(&self) -> &[(String, u64)] {
        &self.versions
    }

    /// The names under which a repository has the files that were verified, the site's root not
    /// among them.
    #[must_use]
    pub fn file_names(&self) -> BTreeSet<String> {
        let first = self.site_root_version.saturating_add(1);
        let roots = (first..=self.root_version()).map(|version| file_name("root", version));
        let others = self.versions.iter().filter(|(role, _)| role != "root");
        roots
            .chain(others.map(|(role, version)| file_name(role, *version)))
            .collect()
    }

    /// The recipe file that stands at `path`, by the vendor's word, within what the site lets the
    /// vendor serve.
    pub fn target(&self, path: &RecipePath) -> Result<RecipeTarget, TrustError> {
        if !self.vendor.serves(path.as_str()) {
            return Err(TrustError::Vendor {
                vendor: self.name().clone(),
                what: format!("the site does not let it serve {path}"),
                values: vec![("it may serve", self.vendor.prefixes.join(", "))],
            });
        }
        let found = self.tree.find(self.name(), path)?;
        if found.role != "targets" {
            self.judge.firm(&found.role, found.expires)?;
        }
        Ok(found)
    }

    /// Whether the keys of the vendor's targets sign for the recipe at `path`; a delegate's do not.
    #[must_use]
    pub fn signs_itself(&self, path: &RecipePath) -> bool {
        let found = self.tree.find(self.name(), path);
        found.is_ok_and(|target| self.tree.is_own(&target.role))
    }

    /// The recipes that a delegated role lists, where it was loaded.
    pub fn listed_by(&self, role: &str) -> impl Iterator<Item = &RecipePath> + Clone {
        self.tree.listed_by(role)
    }

    /// Every recipe that the loaded roles list and that this vendor may serve, rising by path.
    pub fn recipes(&self) -> impl Iterator<Item = &RecipePath> {
        self.tree
            .listed()
            .into_iter()
            .filter(|path| self.vendor.serves(path.as_str()))
            .filter(|path| self.tree.find(self.name(), path).is_ok())
    }
}
