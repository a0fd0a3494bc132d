//! A patch without its packs, verified: who chose it, who approved it, whom it answers, and that a
//! vendor signed each recipe in it. Host, desk and auditor all ask here.
//!
//! | attack | defence |
//! |---|---|
//! | a departed preparer's patch | a site file inside counts first; its preparers are the ones that may sign |
//! | floors that stand in the way of a vendor that started anew, or are made to fall by a desk | the owner's word in a newer site file alone lets them fall, once, in the same commit |
//! | a patch made under an older site file | refused: it may rest on trust that was withdrawn |
//! | a member swapped, added or left out by whoever handed the parts over | every member is compared with the signed list, and nothing may be left over |
//! | a desk that authors a recipe, or picks one of another path | each recipe is the very target that the vendor's metadata names for its path |
//! | a delegate's recipe that owns another's files | `install_paths` of its delegation |
//! | a list of operations that nobody spoke of, or without end | the statement says how many there are, within bounds |
//! | a snapshot that the patch does not answer | digest, challenge, state, sequence, node and environment agree |
//!
//! Left to others: whether a snapshot's key is this node's own, its challenge open and its state
//! the live one (the host); recipes that are in the target but not carried (`plan`); packs.

mod members;
mod metadata;
mod operations;
mod recipes;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::operation::{OPERATIONS_MEMBER, Operation};
use crate::model::patch::Patch;
use crate::model::site::Signer;
use crate::model::snapshot::{Floor, SiteRef, Snapshot};
use crate::model::{Name, Principal, Sha256, Time};
use crate::spr::RawStatement;

use super::site::{self, Renewal, TrustedSite};
use super::vendor::{Expiry, VerifiedVendor, merge_floors};
use super::verified::{self, Verified};
use super::{TrustError, approval};
use members::Parts;
pub use operations::operations;
pub use recipes::{RECIPES_MAX, RecipeFiles, VerifiedRecipe};

/// The member name of the site file that a patch may carry.
pub const SITE_MEMBER: &str = "site.spr";

/// A patch as it was read, without its packs; nothing of it is verified.
pub struct PatchParts {
    /// The statement and its signatures.
    pub raw: RawStatement,
    /// Every member but packs, by name.
    pub members: BTreeMap<String, Vec<u8>>,
}

/// What a patch is verified against.
pub struct PatchContext<'a> {
    /// The site file in force.
    pub site: &'a TrustedSite,
    /// The floors that the last commit accepted, under that site file.
    pub floors: &'a [Floor],
    /// Detached approvals.
    pub approvals: Approvals<'a>,
    /// By whose rules expiry is judged; the limits come from the policy in force.
    pub expiry: Expiry,
    /// The recipe files that are there, and where new ones are kept.
    pub recipe_files: &'a dyn RecipeFiles,
}

/// The approvals that a patch has.
#[derive(Debug, Clone, Copy)]
pub enum Approvals<'a> {
    /// These, armoured, some of which were only found beside the patch: policy says how many must be
    /// among them.
    Offered(approval::Offered<'a>),
    /// None can be there yet: the desk checks the patch that it has just made.
    NotYet,
}

/// What was checked, in order, for whoever wants it in writing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checklist(pub Vec<Check>);

/// One check that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// What was found.
    pub detail: String,
}

impl Checklist {
    /// Notes that a check passed.
    pub fn pass(&mut self, name: &'static str, detail: impl Into<String>) {
        self.0.push(Check {
            name,
            detail: detail.into(),
        });
    }
}

/// A patch that may be believed: made by [`verify`] alone.
#[derive(Debug)]
pub struct VerifiedPatch {
    patch: Patch,
    sha256: Sha256,
    site: TrustedSite,
    newer_site: bool,
    preparer: Signer,
    approvals: approval::Counted,
    snapshots: BTreeMap<Name, Verified<Snapshot>>,
    vendors: Vec<VerifiedVendor>,
    vendor_files: Vec<(Name, String, Vec<u8>)>,
    recipes: BTreeMap<Sha256, VerifiedRecipe>,
    operations: Vec<Operation>,
    floors: Vec<Floor>,
}

/// Verifies a patch; each check that passes is noted in `checks`, also when a later one fails.
pub fn verify(
    parts: PatchParts,
    context: &PatchContext<'_>,
    checks: &mut Checklist,
) -> Result<VerifiedPatch, TrustError> {
    let PatchParts { raw, members } = parts;
    let Chosen {
        site,
        newer_site,
        patch,
        preparer,
    } = chosen(&raw, &members, context.site, checks)?;
    drop(raw);
    let mut parts = Parts::of(patch.get(), members)?;
    parts.take(SITE_MEMBER);
    let approvals = match context.approvals {
        Approvals::Offered(offered) => {
            approval::enough(patch.bytes(), offered, site.site(), &preparer)?
        }
        Approvals::NotYet => approval::Counted::default(),
    };
    let needed = site.site().policy.approvals;
    checks.pass("approvals", said(&approvals.people, needed));
    let (statement, sha256) = patch.into_statement();
    // First what costs little, and leaves nothing on disk.
    let operations = operations(&statement, parts.take(OPERATIONS_MEMBER).as_deref())?;
    let snapshots = snapshots::verify(&statement, &mut parts, checks)?;
    let policy = &site.site().policy;
    let expiry = context.expiry.under(policy);
    // Those of the site file in force now; one inside may have replaced a vendor's root.
    let floors = site.floors_since(context.site.version, context.floors);
    let metadata = metadata::verify(&statement, &site, &mut parts, &floors, &expiry, checks)?;
    let recipes = recipes::verify(
        &statement,
        &metadata.vendors,
        &mut parts,
        context.recipe_files,
        checks,
    )?;
    parts.finish()?;
    checks.pass(
        "members",
        format!("{} as the statement lists them", statement.members.len()),
    );
    let floors = metadata.vendors.iter().fold(floors, |floors, vendor| {
        merge_floors(&floors, vendor.name(), vendor.floors())
    });
    Ok(VerifiedPatch {
        site,
        newer_site,
        preparer,
        approvals,
        snapshots,
        vendors: metadata.vendors,
        vendor_files: metadata.files,
        recipes,
        operations,
        floors,
        patch: statement,
        sha256,
    })
}

/// A patch of which it is known who chose it, under which site file, and nothing more.
#[derive(Debug)]
pub struct Chosen {
    /// The site file that will be in force.
    pub site: TrustedSite,
    /// Whether it came inside the patch.
    pub newer_site: bool,
    /// The statement, and the bytes that an approver signs.
    pub patch: Verified<Patch>,
    /// The preparer.
    pub preparer: Signer,
}

/// Verifies who chose what is in a patch, and that it rests on the site file that will be in force.
/// `members` need hold no more than the site file that the patch may carry.
pub fn chosen(
    raw: &RawStatement,
    members: &BTreeMap<String, Vec<u8>>,
    ours: &TrustedSite,
    checks: &mut Checklist,
) -> Result<Chosen, TrustError> {
    let (site, newer_site) = site_in_force(members, ours, checks)?;
    let (patch, preparer) = prepared(raw, &site, checks)?;
    check_site_ref(&patch.get().site, &site, checks)?;
    Ok(Chosen {
        site,
        newer_site,
        patch,
        preparer,
    })
}

/// The site file inside the patch counts where it is newer; it is the owner's word, so it is
/// verified before, and without, the preparer's.
fn site_in_force(
    members: &BTreeMap<String, Vec<u8>>,
    ours: &TrustedSite,
    checks: &mut Checklist,
) -> Result<(TrustedSite, bool), TrustError> {
    let renewal = match members.get(SITE_MEMBER) {
        None => Renewal::Same,
        Some(file) => {
            let (raw, members) = site::open(file)?;
            ours.renew(raw, members).map_err(of_a_patch)?
        }
    };
    let (site, newer) = match renewal {
        Renewal::Same => (ours.clone(), false),
        Renewal::Newer(newer) => (*newer, true),
    };
    let origin = if newer {
        "inside the patch"
    } else {
        "in force"
    };
    let detail = format!(
        "{} version {}, {origin}, by {}",
        site.site().name,
        site.site().version,
        site.site().owner.principal
    );
    checks.pass("site file", detail);
    Ok((site, newer))
}

/// An older site file inside: what has to be made again is the patch.
fn of_a_patch(error: TrustError) -> TrustError {
    match error {
        TrustError::OutdatedSite { offered, in_force } => {
            TrustError::OlderSite { offered, in_force }
        }
        other => other,
    }
}

fn prepared(
    raw: &RawStatement,
    site: &TrustedSite,
    checks: &mut Checklist,
) -> Result<(Verified<Patch>, Signer), TrustError> {
    let (patch, preparer) = verified::by_signers::<Patch>(raw, &site.site().preparers)?;
    // A second preparer who signed could not be told apart from an approver.
    if raw.signatures.len() != 1 {
        return Err(TrustError::ManyPreparers(raw.signatures.len()));
    }
    let key = preparer.key.fingerprint();
    checks.pass("preparer", format!("{} {key}", preparer.principal));
    Ok((patch, preparer))
}

fn check_site_ref(
    stated: &SiteRef,
    site: &TrustedSite,
    checks: &mut Checklist,
) -> Result<(), TrustError> {
    let version = site.site().version;
    match stated.version.cmp(&version) {
        std::cmp::Ordering::Less => Err(TrustError::OlderSite {
            offered: stated.version,
            in_force: version,
        }),
        std::cmp::Ordering::Greater => Err(TrustError::NewerSite {
            offered: stated.version,
            in_force: version,
        }),
        std::cmp::Ordering::Equal if stated.sha256 != site.sha256() => Err(TrustError::TwoSites {
            version,
            offered: stated.sha256,
            in_force: site.sha256(),
        }),
        std::cmp::Ordering::Equal => {
            checks.pass("made under", format!("site version {version}"));
            Ok(())
        }
    }
}

fn said(approvals: &[Principal], needed: u64) -> String {
    let names: Vec<&str> = approvals.iter().map(Principal::as_str).collect();
    let by = if names.is_empty() {
        "nobody".to_owned()
    } else {
        names.join(", ")
    };
    format!("{by}; policy asks for {needed}")
}

impl VerifiedPatch {
    /// The statement.
    #[must_use]
    pub fn patch(&self) -> &Patch {
        &self.patch
    }

    /// SHA-256 of the statement: the patch's identity.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The site file in force once the patch is applied.
    #[must_use]
    pub fn site(&self) -> &TrustedSite {
        &self.site
    }

    /// Whether that site file came inside the patch and is newer.
    #[must_use]
    pub fn newer_site(&self) -> bool {
        self.newer_site
    }

    /// Who chose what is in it.
    #[must_use]
    pub fn preparer(&self) -> &Signer {
        &self.preparer
    }

    /// Who approved it, rising by name.
    #[must_use]
    pub fn approvals(&self) -> &[Principal] {
        &self.approvals.people
    }

    /// The recipes inside, by digest.
    #[must_use]
    pub fn recipes(&self) -> &BTreeMap<Sha256, VerifiedRecipe> {
        &self.recipes
    }

    /// The snapshot of a node that the patch answers. Its own key signed it; whether that key is
    /// the right one is for the caller to say.
    #[must_use]
    pub fn snapshot(&self, node: &Name) -> Option<&Verified<Snapshot>> {
        self.snapshots.get(node)
    }

    /// The floors of all vendors, to be moved at the commit; rising by vendor and role.
    #[must_use]
    pub fn floors(&self) -> &[Floor] {
        &self.floors
    }

    /// The vendors whose metadata is inside.
    #[must_use]
    pub fn vendors(&self) -> &[VerifiedVendor] {
        &self.vendors
    }

    /// The vendors' metadata files, to be stored: vendor, name as in a repository, bytes.
    pub fn vendor_files(&self) -> impl Iterator<Item = (&Name, &str, &[u8])> {
        self.vendor_files
            .iter()
            .map(|(vendor, name, bytes)| (vendor, name.as_str(), bytes.as_slice()))
    }

    /// The greatest time that a vendor inside vouches for: the time floor, once it is committed.
    #[must_use]
    pub fn time_floor(&self) -> Option<Time> {
        self.vendors.iter().map(VerifiedVendor::time_floor).max()
    }

    /// What a person should know although it is no reason to refuse.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.vendors
            .iter()
            .flat_map(VerifiedVendor::warnings)
            .chain(&self.approvals.passed_over)
            .map(String::as_str)
    }
}
