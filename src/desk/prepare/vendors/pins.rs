//! What a release names: the component of its own vendor, and no delegate's of the same name.

use super::Vendors;
use crate::model::recipe::Pin;
use crate::model::{RecipePath, Refusal, RefusalName};
use crate::plan::Component;

impl Vendors<'_> {
    /// The component that a release names, from the release's own vendor.
    pub(in crate::desk::prepare) fn pinned(
        &self,
        release: &Component,
        pin: &Pin,
    ) -> Result<Component, Refusal> {
        let name = &release.installed.vendor;
        let refuse = |what: &str, found: &str| {
            Refusal::new(RefusalName::Unsatisfiable, what)
                .value("release", &release.installed.path)
                .value("names", format!("{} {}", pin.component, pin.version))
                .value("found", found)
                .next("tell the vendor; ask for another release meanwhile")
        };
        let Some(vendor) = self.open.get(name) else {
            return Err(refuse(
                "the vendor of the release is not at hand",
                "no source",
            ));
        };
        let fits =
            |path: &&RecipePath| path.name() == &pin.component && path.version() == &pin.version;
        let paths: Vec<RecipePath> = vendor.verified.recipes().filter(fits).cloned().collect();
        match nearest(&paths).as_slice() {
            [path] => self.component_of(name, vendor, path),
            [] => Err(refuse(
                "the release names a component that its vendor does not have",
                "none",
            )),
            several => {
                let found: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(refuse(
                    "the release names a component that could be several",
                    &found.join(", "),
                ))
            }
        }
    }
}

/// Of the recipes that a pin fits, those of the vendor's own families, where there are any. Anybody to
/// whom `customer/NAME` is delegated may call a component there as they like, and would else have every
/// release that names that component be refused for naming several.
fn nearest(paths: &[RecipePath]) -> Vec<&RecipePath> {
    let others = |path: &&RecipePath| path.is_hotfix() || path.as_str().starts_with("customer/");
    let (others, own): (Vec<_>, Vec<_>) = paths.iter().partition(others);
    if own.is_empty() { others } else { own }
}
