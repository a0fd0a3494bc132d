//! The vendors' metadata inside a patch: decompressed within bounds, sorted by name, verified.

use std::collections::BTreeMap;

use crate::model::Name;
use crate::model::patch::{CarriedVendor, Patch};
use crate::model::snapshot::Floor;

use super::Checklist;
use super::members::Parts;
use crate::trust::TrustError;
use crate::trust::site::TrustedSite;
use crate::trust::unzstd::unzstd;
use crate::trust::vendor::{self, Expiry, FILE_MAX, TOTAL_MAX, VendorFiles, VerifiedVendor};

/// The verified metadata, and the files it was in.
pub(super) struct Metadata {
    pub(super) vendors: Vec<VerifiedVendor>,
    pub(super) files: Vec<(Name, String, Vec<u8>)>,
}

pub(super) fn verify(
    patch: &Patch,
    site: &TrustedSite,
    parts: &mut Parts,
    floors: &[Floor],
    expiry: &Expiry,
    checks: &mut Checklist,
) -> Result<Metadata, TrustError> {
    let mut metadata = Metadata {
        vendors: Vec::new(),
        files: Vec::new(),
    };
    let mut left = TOTAL_MAX;
    for carried in &patch.vendors {
        let name = &carried.name;
        let named = decompressed(name, parts, &mut left)?;
        let verified = one(carried, site, &named, floors, expiry)?;
        checks.pass("vendor", said(&verified));
        metadata.vendors.push(verified);
        let files = named.into_iter();
        metadata
            .files
            .extend(files.map(|(file, bytes)| (name.clone(), file, bytes)));
    }
    Ok(metadata)
}

fn one(
    carried: &CarriedVendor,
    site: &TrustedSite,
    named: &BTreeMap<String, Vec<u8>>,
    floors: &[Floor],
    expiry: &Expiry,
) -> Result<VerifiedVendor, TrustError> {
    let name = &carried.name;
    let trusted = site.site().vendor(name).zip(site.root(name));
    let (vendor, root) = trusted.ok_or_else(|| unknown(name, site))?;
    let files = VendorFiles::from_named(named.clone())
        .map_err(|what| TrustError::corrupt(format!("vendor/{name}: {what}")))?;
    let verified = vendor::verify(vendor, root, &files, floors, expiry)?;
    if !verified.file_names().iter().eq(named.keys()) {
        return Err(TrustError::corrupt(format!(
            "vendor/{name}: a file is named by another version than its own"
        )));
    }
    if verified.issued() != carried.issued {
        return Err(TrustError::corrupt(format!(
            "vendor/{name}: its metadata was issued {}, the patch says {}",
            verified.issued(),
            carried.issued
        )));
    }
    Ok(verified)
}

pub(super) fn unknown(vendor: &Name, site: &TrustedSite) -> TrustError {
    let known: Vec<&str> = site.roots().keys().map(Name::as_str).collect();
    TrustError::Vendor {
        vendor: vendor.clone(),
        what: "the site does not name it".to_owned(),
        values: vec![("trusted", known.join(", "))],
    }
}

/// The vendor's members, without folder and `.zst`, as long as they fit what is left of the bound.
fn decompressed(
    vendor: &Name,
    parts: &mut Parts,
    left: &mut u64,
) -> Result<BTreeMap<String, Vec<u8>>, TrustError> {
    let mut files = BTreeMap::new();
    let folder = format!("vendor/{vendor}/");
    let file = |name: &str| {
        let file = name.strip_prefix(&folder)?.strip_suffix(".zst")?;
        Some(file.to_owned())
    };
    for (name, packed) in parts.take_named(file) {
        let bytes = unzstd(&packed, None, FILE_MAX.min(*left))
            .map_err(|e| TrustError::corrupt(format!("{folder}{name}.zst: {e}")))?;
        *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        files.insert(name, bytes);
    }
    Ok(files)
}

fn said(vendor: &VerifiedVendor) -> String {
    let versions: Vec<String> = vendor
        .versions()
        .iter()
        .map(|(role, version)| format!("{role} {version}"))
        .collect();
    format!(
        "{}, issued {}: {}",
        vendor.name(),
        vendor.issued().date(),
        versions.join(", ")
    )
}
