//! The recipes inside a patch: each the very file that its vendor's metadata names for its path.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::patch::{CarriedRecipe, Patch};
use crate::model::recipe::Recipe;
use crate::model::snapshot::Installed;
use crate::model::{Name, Refusal, Sha256};

use super::Checklist;
use super::members::Parts;
use crate::trust::TrustError;
use crate::trust::error::{Act, Beyond};
use crate::trust::recipe::{RECIPE_MAX, RecipeFile};
use crate::trust::unzstd::unzstd_exact;
use crate::trust::vendor::{RecipeTarget, VerifiedVendor, may_replace};

/// Most bytes of recipes in one patch, decompressed.
pub const RECIPES_MAX: u64 = 512 * 1024 * 1024;

/// The recipe files that whoever verifies has, or keeps.
pub trait RecipeFiles {
    /// The bytes of a recipe file that others are compressed against.
    fn base(&self, recipe: &Sha256) -> Option<Vec<u8>>;

    /// Takes a file that is what the vendor's metadata names, before it is given up. What is
    /// kept counts for nothing until the whole patch is verified.
    fn keep(&self, recipe: &Sha256, file: &[u8]) -> Result<(), Refusal> {
        let _ = (recipe, file);
        Ok(())
    }
}

/// Whoever keeps none only looks them up.
impl<F: Fn(&Sha256) -> Option<Vec<u8>>> RecipeFiles for F {
    fn base(&self, recipe: &Sha256) -> Option<Vec<u8>> {
        self(recipe)
    }
}

/// A recipe that a vendor signed for its path.
#[derive(Debug, Clone)]
pub struct VerifiedRecipe {
    installed: Installed,
    recipe: Arc<Recipe>,
}

impl VerifiedRecipe {
    /// The entry of the patch's target that it is for.
    #[must_use]
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// The statement.
    #[must_use]
    pub fn recipe(&self) -> &Arc<Recipe> {
        &self.recipe
    }
}

pub(super) fn verify(
    patch: &Patch,
    vendors: &[VerifiedVendor],
    parts: &mut Parts,
    files: &dyn RecipeFiles,
    checks: &mut Checklist,
) -> Result<BTreeMap<Sha256, VerifiedRecipe>, TrustError> {
    let mut left = RECIPES_MAX;
    let mut recipes = BTreeMap::new();
    for carried in &patch.recipes {
        if carried.size > RECIPE_MAX.min(left) {
            return Err(TrustError::corrupt(format!(
                "recipe {} has {} bytes, too many",
                carried.recipe, carried.size
            )));
        }
        left = left.saturating_sub(carried.size);
        let installed = target_entry(patch, carried)?;
        let (vendor, target) = named_by_vendor(installed, carried, vendors)?;
        let member = Patch::recipe_member(&carried.recipe);
        // One at a time, and each copy given up before the next is made: a recipe may have a
        // hundred megabytes.
        let file = decompressed(carried, &parts.need(&member)?, files)?;
        let named = (&carried.recipe, Some(carried.size));
        let file = RecipeFile::named(&installed.path, named, file)?;
        files
            .keep(&carried.recipe, file.bytes())
            .map_err(|refusal| TrustError::Keep(Box::new(refusal)))?;
        let recipe = file.open()?;
        if recipe.is_release() != installed.release {
            return Err(TrustError::corrupt(format!(
                "the patch and the recipe {} do not agree whether it is a release",
                installed.path
            )));
        }
        check_ownership(&installed.vendor, &recipe, installed, &target)?;
        check_replaces(vendor, &recipe, installed, &target)?;
        checks.pass(
            "recipe",
            format!(
                "{} by {}, role {}",
                installed.path, installed.vendor, target.role
            ),
        );
        let verified = VerifiedRecipe {
            installed: installed.clone(),
            recipe: Arc::new(recipe),
        };
        recipes.insert(carried.recipe, verified);
    }
    Ok(recipes)
}

fn target_entry<'a>(
    patch: &'a Patch,
    carried: &CarriedRecipe,
) -> Result<&'a Installed, TrustError> {
    let mut entries = patch
        .target
        .iter()
        .filter(|installed| installed.recipe == carried.recipe);
    match (entries.next(), entries.next()) {
        (Some(installed), None) => Ok(installed),
        _ => Err(TrustError::corrupt(format!(
            "recipe {} is not exactly one component of the target",
            carried.recipe
        ))),
    }
}

fn named_by_vendor<'a>(
    installed: &Installed,
    carried: &CarriedRecipe,
    vendors: &'a [VerifiedVendor],
) -> Result<(&'a VerifiedVendor, RecipeTarget), TrustError> {
    let refuse = |what: String, values| TrustError::Vendor {
        vendor: installed.vendor.clone(),
        what,
        values,
    };
    let vendor = vendors
        .iter()
        .find(|vendor| vendor.name() == &installed.vendor)
        .ok_or_else(|| {
            refuse(
                format!("the patch has none that names {}", installed.path),
                Vec::new(),
            )
        })?;
    let target = vendor.target(&installed.path)?;
    #[cfg(feature = "faulty")]
    if crate::model::faulty::has(crate::model::faulty::Fault::Recipes) {
        return Ok((vendor, target));
    }
    if (target.sha256, target.size) == (carried.recipe, carried.size) {
        return Ok((vendor, target));
    }
    Err(refuse(
        format!("it names another file for {}", installed.path),
        vec![
            (
                "patch",
                format!("{} ({} bytes)", carried.recipe, carried.size),
            ),
            (
                "vendor",
                format!("{} ({} bytes)", target.sha256, target.size),
            ),
        ],
    ))
}

fn decompressed(
    carried: &CarriedRecipe,
    packed: &[u8],
    files: &dyn RecipeFiles,
) -> Result<Vec<u8>, TrustError> {
    let dictionary = match &carried.base {
        None => Vec::new(),
        Some(wanted) => {
            let found = files
                .base(wanted)
                .filter(|bytes| &Sha256::of(bytes) == wanted);
            found.ok_or(TrustError::BaseMissing {
                recipe: carried.recipe,
                base: *wanted,
            })?
        }
    };
    let name = Patch::recipe_member(&carried.recipe);
    let size = usize::try_from(carried.size).unwrap_or(usize::MAX);
    unzstd_exact(packed, &dictionary, size).map_err(|e| TrustError::corrupt(format!("{name}: {e}")))
}

fn check_ownership(
    vendor: &Name,
    recipe: &Recipe,
    installed: &Installed,
    target: &RecipeTarget,
) -> Result<(), TrustError> {
    let mut owned = recipe.files.iter().map(|entry| &entry.path);
    match owned.find(|path| !target.may_own(path)) {
        None => Ok(()),
        Some(path) => Err(beyond(
            vendor,
            installed,
            target,
            Act::Owns {
                path: path.clone(),
                granted: target.install_paths.clone().unwrap_or_default(),
            },
        )),
    }
}

/// What replaces a component takes its files away: a delegate does so with its own alone.
fn check_replaces(
    vendor: &VerifiedVendor,
    recipe: &Recipe,
    installed: &Installed,
    target: &RecipeTarget,
) -> Result<(), TrustError> {
    if target.install_paths.is_none() {
        return Ok(());
    }
    let listed = vendor.listed_by(&target.role);
    let mut gone = recipe.replaces.iter().map(|gone| &gone.component);
    match gone.find(|component| !may_replace(recipe, component, listed.clone())) {
        None => Ok(()),
        Some(component) => {
            let act = Act::Replaces(component.clone());
            Err(beyond(vendor.name(), installed, target, act))
        }
    }
}

fn beyond(vendor: &Name, installed: &Installed, target: &RecipeTarget, act: Act) -> TrustError {
    TrustError::Beyond(Box::new(Beyond {
        vendor: vendor.clone(),
        recipe: installed.path.clone(),
        role: target.role.clone(),
        act,
    }))
}
