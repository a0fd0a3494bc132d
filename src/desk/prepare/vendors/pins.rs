//! What a release names: the component of its own vendor, and no delegate's of the same name.

use super::Vendors;
use crate::model::recipe::Pin;
use crate::model::{RecipePath, Refusal, RefusalName};
use crate::plan::Component;
use crate::plan::pins::meant;

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
        let verified = &vendor.verified;
        let own = |path: &RecipePath| verified.signs_itself(path);
        let found = meant(&release.installed.path, pin, verified.recipes(), own);
        match found.as_slice() {
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
