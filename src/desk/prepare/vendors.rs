//! The vendors of the site, each with its repository: fetched, verified, asked for recipes.

mod pins;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use crate::desk::Desk;
use crate::desk::store::Settings;
use crate::model::recipe::FileContent;
use crate::model::snapshot::{Floor, Installed};
use crate::model::{Name, RecipePath, Refusal, RefusalName, Sha256, Time};
use crate::plan::Component;
use crate::release::layout::RECIPE_MAX;
use crate::release::read::{FetchedVendor, Wanted, fetch};
use crate::release::source::{Directory, Source};
use crate::trust::TrustedSite;
use crate::trust::recipe::RecipeFile;
use crate::trust::vendor::{Expiry, VendorFiles, VerifiedVendor, check_root, verify};

use super::Request;
use super::nodes::Nodes;
use super::places::places;

/// A vendor whose repository is at hand.
pub(super) struct OpenVendor {
    pub(super) verified: VerifiedVendor,
    pub(super) fetched: FetchedVendor,
    source: Box<dyn Source>,
    place: String,
}

impl OpenVendor {
    fn open(
        name: &Name,
        place: &str,
        site: &TrustedSite,
        floors: &[Floor],
        now: Time,
    ) -> Result<Self, Refusal> {
        let (Some(vendor), Some(root)) = (site.vendor(name), site.root(name)) else {
            return Err(
                Refusal::new(RefusalName::VendorUntrusted, "the site has no such vendor")
                    .value("vendor", name),
            );
        };
        let source = Directory::new(place);
        let fetched = fetch(&source, check_root(name, root)?, Wanted::All)?;
        let files = VendorFiles {
            roots: fetched.roots.clone(),
            timestamp: fetched.timestamp.clone(),
            snapshot: fetched.snapshot.clone(),
            targets: fetched.targets.clone(),
            delegated: fetched.delegated.clone(),
        };
        let source_age_days = site.policy.source_age_days;
        let verified = verify(
            vendor,
            root,
            &files,
            floors,
            &Expiry::Desk {
                now,
                source_age_days,
            },
        )?;
        Ok(Self {
            verified,
            fetched,
            source: Box::new(source),
            place: place.to_owned(),
        })
    }
}

/// All vendors whose repositories are at hand, by name.
pub(super) struct Vendors<'a> {
    open: BTreeMap<Name, OpenVendor>,
    // Vendors whose sources cannot be used, and why.
    shut: BTreeMap<Name, Refusal>,
    // Where recipe files are kept once they are verified: they may be too large to wait in memory.
    desk: &'a Desk,
    owners: std::cell::RefCell<BTreeMap<Name, Name>>,
}

impl<'a> Vendors<'a> {
    /// Opens every source that is known. One that cannot be used is missed only by a patch that
    /// needs it.
    pub(super) fn open(
        desk: &'a Desk,
        request: &Request,
        settings: &Settings,
        site: &TrustedSite,
        nodes: &Nodes,
        now: Time,
    ) -> Result<Self, Refusal> {
        let floors: Vec<Floor> = nodes
            .snapshots()
            .flat_map(|s| site.floors_since(s.site.version, &s.floors))
            .collect();
        let mut vendors = Self {
            open: BTreeMap::new(),
            shut: BTreeMap::new(),
            desk,
            owners: BTreeMap::new().into(),
        };
        for (name, place) in places(request, settings, site)? {
            match OpenVendor::open(&name, &place, site, &floors, now) {
                Ok(vendor) => drop(vendors.open.insert(name, vendor)),
                Err(refusal) => drop(vendors.shut.insert(name, refusal.value("source", &place))),
            }
        }
        Ok(vendors)
    }

    /// The vendors and where their repositories are.
    pub(super) fn places(&self) -> impl Iterator<Item = (Name, String)> + '_ {
        self.open
            .iter()
            .map(|(name, vendor)| (name.clone(), vendor.place.clone()))
    }

    /// The open vendor with this name.
    pub(super) fn get(&self, name: &Name) -> Option<&OpenVendor> {
        self.open.get(name)
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let shut = self
            .shut
            .iter()
            .map(|(name, why)| format!("the source of vendor {name} was not used: {}", why.what));
        let open = self
            .open
            .values()
            .flat_map(|vendor| vendor.verified.warnings().to_vec());
        open.chain(shut).collect()
    }

    /// The bytes of a recipe file that was read before.
    pub(super) fn recipe_file(&self, recipe: &Sha256) -> Option<Vec<u8>> {
        self.desk.recipe(*recipe).ok().flatten()
    }

    /// The component under this path, of the one vendor that vouches for it today.
    pub(super) fn component(&self, path: &RecipePath) -> Result<Component, Refusal> {
        let lists = |vendor: &OpenVendor| vendor.verified.recipes().any(|listed| listed == path);
        let by: Vec<_> = self
            .open
            .iter()
            .filter(|(_, vendor)| lists(vendor))
            .collect();
        match by.as_slice() {
            [] => Err(self.unknown(path)),
            [(name, vendor)] => self.component_of(name, vendor, path),
            several => {
                let names: Vec<String> = several.iter().map(|(name, _)| name.to_string()).collect();
                Err(Refusal::new(RefusalName::Unsatisfiable, "several vendors have this recipe")
                    .value("asked for", format!("to:{path}"))
                    .value("vendors", names.join(", "))
                    .next("let the site file say who serves it: lockstep site renew --prefix VENDOR=FAMILY"))
            }
        }
    }

    fn component_of(
        &self,
        name: &Name,
        vendor: &OpenVendor,
        path: &RecipePath,
    ) -> Result<Component, Refusal> {
        let target = vendor.verified.target(path)?;
        let file = vendor.source.target(path, &target.sha256, RECIPE_MAX)?;
        self.read(name, path, (target.sha256, Some(target.size)), file)
    }

    /// Every recipe of every vendor, one after the other; none is kept in memory.
    pub(super) fn each(&self, see: &mut dyn FnMut(Component)) -> Result<u64, Refusal> {
        let mut count = 0_u64;
        for (name, vendor) in &self.open {
            for path in vendor.verified.recipes() {
                let target = vendor.verified.target(path)?;
                let file = vendor.source.target(path, &target.sha256, RECIPE_MAX)?;
                let named = (target.sha256, Some(target.size));
                see(decode(name, path, named, file)?);
                count = count.saturating_add(1);
            }
        }
        Ok(count)
    }

    /// A component that was chosen from [`Vendors::each`], read again to go into a patch.
    pub(super) fn chosen(&self, installed: &Installed) -> Result<(), Refusal> {
        if let Some(vendor) = self.open.get(&installed.vendor) {
            self.component_of(&installed.vendor, vendor, &installed.path)?;
        }
        Ok(())
    }

    fn unknown(&self, path: &RecipePath) -> Refusal {
        // Where a source could not be used, that is why.
        if let Some(shut) = self.shut.values().next().filter(|_| self.open.is_empty()) {
            return shut.clone();
        }
        let like: Vec<String> = self
            .open
            .values()
            .flat_map(|vendor| vendor.verified.recipes())
            .filter(|listed| listed.name() == path.name())
            .map(|listed| format!("to:{listed}"))
            .collect();
        let places: Vec<String> = self
            .places()
            .map(|(name, place)| format!("{name} at {place}"))
            .collect();
        Refusal::new(
            RefusalName::Unsatisfiable,
            "no vendor of the site has this recipe",
        )
        .value("asked for", format!("to:{path}"))
        .value(
            "there are",
            if like.is_empty() {
                "none of that name".to_owned()
            } else {
                like.join(", ")
            },
        )
        .value(
            "looked in",
            if places.is_empty() {
                "no source".to_owned()
            } else {
                places.join(", ")
            },
        )
        .next("ask for one of these, or name the vendor's repository: --source FOLDER")
    }

    /// What is installed, with recipes: from the desk's own cache, or from the vendors.
    pub(super) fn installed(&self, nodes: &Nodes) -> Result<Vec<Component>, Refusal> {
        nodes
            .components()
            .iter()
            .map(|installed| {
                let file = match self.desk.recipe(installed.recipe)? {
                    Some(file) => file,
                    None => self.fetch_installed(installed)?,
                };
                let named = (installed.recipe, None);
                self.read(&installed.vendor, &installed.path, named, file)
            })
            .collect()
    }

    fn fetch_installed(&self, installed: &Installed) -> Result<Vec<u8>, Refusal> {
        if let Some(shut) = self.shut.get(&installed.vendor) {
            return Err(shut.clone());
        }
        let Some(vendor) = self.open.get(&installed.vendor) else {
            return Err(
                Refusal::new(RefusalName::Usage, "the repository of a vendor is needed")
                    .value("vendor", &installed.vendor)
                    .value(
                        "needed for",
                        format!(
                            "{} {}, which is installed",
                            installed.name, installed.version
                        ),
                    )
                    .next(format!("add --source {}=FOLDER", installed.vendor)),
            );
        };
        Ok(vendor
            .source
            .target(&installed.path, &installed.recipe, RECIPE_MAX)?)
    }

    fn read(
        &self,
        vendor: &Name,
        path: &RecipePath,
        named: (Sha256, Option<u64>),
        file: Vec<u8>,
    ) -> Result<Component, Refusal> {
        self.desk.keep_recipe(named.0, &file)?;
        let component = decode(vendor, path, named, file)?;
        self.owners
            .borrow_mut()
            .insert(component.installed.name.clone(), vendor.clone());
        Ok(component)
    }

    /// The content of a file, decompressed while it is read; `owner` is the component it is of.
    pub(super) fn blob(
        &self,
        owner: Option<&Name>,
        file: &FileContent,
    ) -> Result<Box<dyn Read + Send>, Refusal> {
        let owners = self.owners.borrow();
        let vendor = owner
            .and_then(|owner| owners.get(owner))
            .and_then(|name| self.open.get(name));
        let Some(vendor) = vendor else {
            return Err(
                Refusal::new(RefusalName::Usage, "the repository of a vendor is needed")
                    .value("needed for", format!("the content {}", file.sha256.short()))
                    .next("add --source VENDOR=FOLDER"),
            );
        };
        let stored = vendor.source.blob(&file.blake3)?;
        let content =
            zstd::stream::read::Decoder::new(stored.take(file.stored_size)).map_err(|e| {
                Refusal::new(
                    RefusalName::Internal,
                    format!("the blob {} cannot be read: {e}", file.blake3),
                )
            })?;
        // One byte more than the recipe says would be noticed, and no bomb goes beyond it.
        Ok(Box::new(content.take(file.size.saturating_add(1))))
    }
}

/// The component that a recipe file of a vendor describes, with the digest, and the size where it
/// is known, that the vendor's metadata states.
fn decode(
    vendor: &Name,
    path: &RecipePath,
    (sha256, size): (Sha256, Option<u64>),
    file: Vec<u8>,
) -> Result<Component, Refusal> {
    let recipe = RecipeFile::named(path, (&sha256, size), file)
        .and_then(RecipeFile::open)
        .map_err(|e| {
            Refusal::from(e)
                .value("recipe", path)
                .unchanged("nothing was prepared")
                .next("tell whoever keeps the repository")
        })?;
    let installed = Installed::new(vendor.clone(), path.clone(), sha256, recipe.is_release());
    Ok(Component {
        installed,
        recipe: Arc::new(recipe),
    })
}
