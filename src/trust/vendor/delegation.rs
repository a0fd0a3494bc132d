//! Which role may speak for a recipe path, and what it says.
//!
//! | attack | defence |
//! |---|---|
//! | a delegate that lists a path of somebody else | only a role whose delegation matches the path is asked, in order, up to a terminating one |
//! | a delegate left out, so that a later one answers | a matching role that was not loaded is an error |
//! | a pattern that reaches into subfolders | patterns match segment by segment (the library) |
//! | a delegate's recipe that owns another's files | `install_paths` travels with the target |
//! | a delegate's recipe that replaces another's component, which would take its files away | only what its own role lists |

use std::collections::{BTreeMap, BTreeSet};

use sigstore_tuf::{DelegatedRole, Targets};

use crate::model::recipe::Recipe;
use crate::model::{Name, RecipePath, Sha256, Time, TreePath};

use super::chain::{Chain, time, untrusted, words};
use super::keys;
use crate::trust::TrustError;

/// What a vendor says of a recipe path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeTarget {
    /// SHA-256 of the recipe file.
    pub sha256: Sha256,
    /// Bytes in the recipe file.
    pub size: u64,
    /// The folders and files that the recipe may own; nothing where it may own any.
    pub install_paths: Option<Vec<String>>,
    /// The role that listed it.
    pub role: String,
    /// When that role's metadata expires.
    pub expires: Time,
}

impl RecipeTarget {
    /// Whether the recipe may own `path`.
    #[must_use]
    pub fn may_own(&self, path: &TreePath) -> bool {
        let allowed = self.install_paths.as_deref();
        allowed.is_none_or(|allowed| may_own(allowed, path))
    }
}

/// Whether `path` is one of these folders and files, or lies in one of them.
#[must_use]
pub fn may_own(allowed: &[String], path: &TreePath) -> bool {
    allowed.iter().any(|folder| {
        path.as_str()
            .strip_prefix(folder.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether a delegate's recipe may replace a component: one that its own role lists, whose recipes
/// are `listed`.
pub fn may_replace<'a>(
    recipe: &Recipe,
    component: &Name,
    mut listed: impl Iterator<Item = &'a RecipePath>,
) -> bool {
    component == &recipe.name || listed.any(|path| path.name() == component)
}

/// What a loaded role lists.
#[derive(Debug, Clone)]
struct Listing {
    expires: Time,
    recipes: BTreeMap<RecipePath, (Sha256, u64)>,
}

#[derive(Debug, Clone)]
struct Delegated {
    role: DelegatedRole,
    install_paths: Option<Vec<String>>,
    /// Whether the keys of the top-level targets sign for it.
    own: bool,
    listing: Option<Listing>,
}

/// The top-level targets and their delegations, in order.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    top: Listing,
    delegated: Vec<Delegated>,
}

impl Tree {
    pub(super) fn of(vendor: &Name, chain: &Chain<'_>) -> Result<Self, TrustError> {
        let refuse = |what| untrusted(vendor, what);
        let targets = chain.targets()?;
        let mut delegated = Vec::new();
        let top = keys::of_top_level(chain.set.root(), "targets").map_err(refuse)?;
        let delegations = targets.delegations.iter();
        let roles = delegations.flat_map(|all| all.roles.iter().map(move |role| (all, role)));
        for (all, role) in roles {
            let loaded = chain.set.targets_role(&role.name);
            delegated.push(Delegated {
                role: role.clone(),
                install_paths: install_paths(role).map_err(refuse)?,
                own: keys::of_delegation(all, role).map_err(refuse)? == top,
                listing: loaded.map(listing).transpose().map_err(refuse)?,
            });
        }
        Ok(Self {
            top: listing(targets).map_err(refuse)?,
            delegated,
        })
    }

    pub(super) fn has(&self, role: &str) -> bool {
        self.delegated
            .iter()
            .any(|delegated| delegated.role.name == role && delegated.listing.is_some())
    }

    /// Whether the keys of the top-level targets sign for a role.
    pub(super) fn is_own(&self, role: &str) -> bool {
        let mut delegated = self.delegated.iter();
        role == "targets" || delegated.any(|d| d.role.name == role && d.own)
    }

    /// Walks to the first role that may speak for `path` and lists it.
    pub(super) fn find(
        &self,
        vendor: &Name,
        path: &RecipePath,
    ) -> Result<RecipeTarget, TrustError> {
        if let Some(found) = self.top.target(path, "targets", None) {
            return Ok(found);
        }
        for delegated in &self.delegated {
            let role = &delegated.role;
            let matches = role
                .matches_path(path.as_str())
                .map_err(|e| untrusted(vendor, words(&e)))?;
            if !matches {
                continue;
            }
            let listing = delegated.listing.as_ref().ok_or_else(|| {
                let name = &role.name;
                untrusted(
                    vendor,
                    format!("the metadata of role {name} is missing, which may name {path}"),
                )
            })?;
            let allowed = delegated.install_paths.as_ref();
            if let Some(found) = listing.target(path, &role.name, allowed) {
                return Ok(found);
            }
            if role.terminating {
                break;
            }
        }
        Err(untrusted(vendor, format!("no role that may names {path}")))
    }

    /// When each loaded delegation expires.
    pub(super) fn expiries(&self) -> impl Iterator<Item = Time> {
        self.delegated
            .iter()
            .filter_map(|delegated| delegated.listing.as_ref().map(|l| l.expires))
    }

    /// The warnings for delegations that are accepted although expired.
    pub(super) fn accepted(&self, judge: &super::Judge) -> Vec<String> {
        self.delegated
            .iter()
            .filter_map(|d| d.listing.as_ref().map(|l| (&d.role.name, l.expires)))
            .filter_map(|(role, expires)| judge.firm(role, expires).ok().flatten())
            .collect()
    }

    /// The recipes that a loaded role lists.
    pub(super) fn listed_by(&self, role: &str) -> impl Iterator<Item = &RecipePath> + Clone {
        let found = self.delegated.iter().find(move |d| d.role.name == role);
        let listing = found.and_then(|delegated| delegated.listing.as_ref());
        listing.into_iter().flat_map(|l| l.recipes.keys())
    }

    pub(super) fn listed(&self) -> BTreeSet<&RecipePath> {
        let delegated = self.delegated.iter().filter_map(|d| d.listing.as_ref());
        delegated
            .chain([&self.top])
            .flat_map(|listing| listing.recipes.keys())
            .collect()
    }
}

impl Listing {
    fn target(
        &self,
        path: &RecipePath,
        role: &str,
        allowed: Option<&Vec<String>>,
    ) -> Option<RecipeTarget> {
        self.recipes.get(path).map(|(sha256, size)| RecipeTarget {
            sha256: *sha256,
            size: *size,
            install_paths: allowed.cloned(),
            role: role.to_owned(),
            expires: self.expires,
        })
    }
}

fn listing(targets: &Targets) -> Result<Listing, String> {
    let mut recipes = BTreeMap::new();
    for (name, file) in &targets.targets {
        let path: RecipePath = name.parse().map_err(|e| format!("{e}"))?;
        let sha256 = file.hashes.get("sha256").and_then(|hex| hex.parse().ok());
        let sha256 = sha256.ok_or_else(|| format!("the target {name} has no SHA-256"))?;
        recipes.insert(path, (sha256, file.length));
    }
    Ok(Listing {
        expires: time(targets.expires),
        recipes,
    })
}

/// The custom field `install_paths` of a delegation: paths in an installation, without a slash
/// behind.
fn install_paths(role: &DelegatedRole) -> Result<Option<Vec<String>>, String> {
    let Some(value) = role.extra.get("install_paths") else {
        return Ok(None);
    };
    let malformed = || format!("the install_paths of role {} are malformed", role.name);
    let list = value.as_array().ok_or_else(malformed)?;
    let mut paths = Vec::new();
    for item in list {
        let text = item.as_str().ok_or_else(malformed)?;
        let text = text.strip_suffix('/').unwrap_or(text);
        let path: TreePath = text.parse().ok().ok_or_else(malformed)?;
        paths.push(path.as_str().to_owned());
    }
    Ok(Some(paths))
}
