//! What travels beside the packs: snapshots, vendor metadata and recipes, as members.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use zstd::zstd_safe::{self, CParameter};

use super::assemble::Parts;
use super::hashed::Counted;
use crate::model::operation::{OPERATIONS_MEMBER, Operation, Tally};
use crate::model::patch::{CarriedRecipe, CarriedVendor, Patch};
use crate::model::snapshot::Installed;
use crate::model::{Name, Refusal, RefusalName, Sha256, Time};
use crate::spr::lines::LineWriter;
use crate::spr::{MemberBytes, SprError};
use crate::trust::unzstd::WINDOW_LOG_MAX;

/// zstd level of metadata and recipes: they are small, and travel with every patch.
const LEVEL: i32 = 19;
/// Largest recipe that is compressed at [`LEVEL`], in bytes.
const SMALL_RECIPE: usize = 128 * 1024;
/// zstd level of larger ones. Measured on a recipe of 20,000 files, 7.3 MB: level 19 takes 11 s for
/// 2.17 MB, level 1 with long distances 0.1 s for 2.24 MB; levels between make more, because digests
/// only look as if they matched.
const LEVEL_LARGE: i32 = 1;
/// Largest list of operations that is compressed at [`LEVEL`], in bytes; and the level of larger ones.
const SMALL_LIST: u64 = 1024 * 1024;
const LEVEL_LIST: i32 = 3;
/// Days for which a patch may be applied when it carries no vendor metadata.
const UNBOUND_DAYS: i64 = 365;

impl Parts<'_> {
    pub(super) fn snapshots(&self) -> Vec<MemberBytes> {
        let mut members = Vec::new();
        for word in self.nodes.words() {
            let node = &word.snapshot.get().node.name;
            members.push((Patch::snapshot_member(node), word.raw.bytes.clone()));
            for signature in &word.raw.signatures {
                members.push((
                    Patch::snapshot_signature_member(node),
                    signature.armoured.clone(),
                ));
            }
        }
        members
    }

    /// Recipes that the nodes lack, each compressed against the one it takes the place of.
    pub(super) fn recipes(&self) -> Result<(Vec<MemberBytes>, Vec<CarriedRecipe>), Refusal> {
        let mut made: BTreeMap<Sha256, (MemberBytes, CarriedRecipe)> = BTreeMap::new();
        for new in self.target {
            let recipe = new.recipe;
            if self.installed.iter().any(|old| old.recipe == recipe) {
                continue;
            }
            let old = self.installed.iter().find(|old| old.name == new.name);
            let base = old.filter(|_| !self.whole).map(|old| old.recipe);
            let bytes = self.vendors.recipe_file(&recipe).ok_or_else(|| {
                Refusal::new(
                    RefusalName::Corrupt,
                    "a recipe that this desk has just read cannot be read again from its cache",
                )
                .value("recipe", new.path.as_str())
                .next("look at the disk of the desk's cache folder, and run the command again")
            })?;
            let dictionary = base
                .and_then(|base| self.vendors.recipe_file(&base))
                .unwrap_or_default();
            let packed = pack_recipe(&bytes, &dictionary)?;
            let carried = CarriedRecipe {
                base: base.filter(|_| !dictionary.is_empty()),
                recipe,
                size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            };
            made.insert(recipe, ((Patch::recipe_member(&recipe), packed), carried));
        }
        Ok(made.into_values().unzip())
    }

    /// The list of operations, and what the statement says of it.
    pub(super) fn operations(&self) -> Result<(Option<MemberBytes>, Option<Tally>), Refusal> {
        let list = &self.stream.operations;
        let counted = write_all(Counted::default(), list).map_err(|e| unpacked(&e))?;
        let tally = Tally::of(list, counted.0);
        let pack = |tally: Tally| -> Result<Vec<u8>, SprError> {
            // Digests, which no level makes much smaller.
            let level = if tally.size > SMALL_LIST {
                LEVEL_LIST
            } else {
                LEVEL
            };
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(tally.size))?;
            Ok(write_all(encoder, list)?.finish()?)
        };
        let packed = tally.map(pack).transpose().map_err(|e| unpacked(&e))?;
        Ok((
            packed.map(|bytes| (OPERATIONS_MEMBER.to_owned(), bytes)),
            tally,
        ))
    }

    /// The metadata of every vendor that a carried recipe is of: only the roles that vouch for it.
    pub(super) fn metadata(&self) -> Result<(Vec<MemberBytes>, Vec<CarriedVendor>, Time), Refusal> {
        let mut wanted: BTreeMap<&Name, Vec<&Installed>> = BTreeMap::new();
        for new in self.target {
            if !self.installed.iter().any(|old| old.recipe == new.recipe) {
                wanted.entry(&new.vendor).or_default().push(new);
            }
        }
        let mut members = Vec::new();
        let mut vendors = Vec::new();
        let mut apply_before = self.now.plus_days(UNBOUND_DAYS);
        for (name, recipes) in wanted {
            let Some(vendor) = self.vendors.get(name) else {
                continue;
            };
            let paths: Vec<_> = recipes.iter().map(|recipe| &recipe.path).collect();
            let expires = vendor.verified.apply_before_of(paths)?;
            let mut roles = BTreeSet::new();
            for recipe in recipes {
                roles.insert(vendor.verified.target(&recipe.path)?.role);
            }
            for (file, bytes) in vendor
                .fetched
                .files()
                .filter(|(file, _)| travels(file, &roles))
            {
                members.push((format!("vendor/{name}/{file}.zst"), compress(bytes, &[])?));
            }
            // The host takes expired snapshots and timestamps for as long as policy says.
            let limit = i64::try_from(self.site.policy.metadata_age_days).unwrap_or(0);
            let aged = vendor.verified.issued().plus_days(limit);
            apply_before = apply_before.min(expires).min(aged);
            vendors.push(CarriedVendor {
                issued: vendor.verified.issued(),
                name: name.clone(),
            });
        }
        Ok((members, vendors, apply_before))
    }
}

/// Whether a metadata file goes into the patch: the top-level roles, and those that vouch for what
/// it brings. What others a vendor delegates to is nobody's business.
fn travels(file: &str, roles: &BTreeSet<String>) -> bool {
    let role = file.strip_suffix(".json").unwrap_or(file);
    let role = role.split_once('.').map_or(role, |(_, role)| role);
    matches!(role, "root" | "timestamp" | "snapshot" | "targets") || roles.contains(role)
}

/// A recipe, compressed against the one it takes the place of.
///
/// A large one is compressed for speed, by matches far apart: what stays from one version to the
/// next stands in long runs. Neither it nor the other is copied.
fn pack_recipe(bytes: &[u8], base: &[u8]) -> Result<Vec<u8>, Refusal> {
    if bytes.len() <= SMALL_RECIPE {
        return compress(bytes, base);
    }
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    let mut context = zstd_safe::CCtx::create();
    let far = [
        CParameter::CompressionLevel(LEVEL_LARGE),
        CParameter::ChecksumFlag(true),
        CParameter::EnableLongDistanceMatching(true),
        CParameter::WindowLog(WINDOW_LOG_MAX),
    ];
    far.into_iter()
        .try_for_each(|parameter| context.set_parameter(parameter).map(drop))
        .and_then(|()| context.ref_prefix(base).map(drop))
        .and_then(|()| context.compress2(&mut packed, bytes))
        .map_err(|code| unpacked(&zstd_safe::get_error_name(code)))?;
    packed.shrink_to_fit();
    Ok(packed)
}

/// Writes a list, a line each.
fn write_all<W: Write>(out: W, list: &[Operation]) -> Result<W, SprError> {
    let mut lines = LineWriter::new(out);
    for operation in list {
        lines.write(operation)?;
    }
    Ok(lines.into_inner())
}

fn compress(bytes: &[u8], dictionary: &[u8]) -> Result<Vec<u8>, Refusal> {
    let work = || -> std::io::Result<Vec<u8>> {
        let mut encoder =
            zstd::stream::write::Encoder::with_dictionary(Vec::new(), LEVEL, dictionary)?;
        encoder.include_checksum(true)?;
        // Else it takes the tables of a large file, a hundred megabytes, for each small one.
        encoder.set_pledged_src_size(u64::try_from(bytes.len()).ok())?;
        encoder.write_all(bytes)?;
        encoder.finish()
    };
    work().map_err(|e| unpacked(&e))
}

fn unpacked(why: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(
        RefusalName::Internal,
        format!("compressing did not work: {why}"),
    )
}
