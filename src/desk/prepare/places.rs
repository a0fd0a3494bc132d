//! Where each vendor's repository is.

use std::collections::BTreeMap;

use super::Request;
use crate::desk::store::Settings;
use crate::model::{Name, Refusal, RefusalName};
use crate::trust::TrustedSite;

/// As given now, else as remembered.
pub(super) fn places(
    request: &Request,
    settings: &Settings,
    site: &TrustedSite,
) -> Result<BTreeMap<Name, String>, Refusal> {
    let mut places = settings.sources();
    for source in &request.sources {
        let (vendor, place) = match (source.split_once('='), site.vendors.as_slice()) {
            (Some((vendor, place)), _)
                if site.vendors.iter().any(|v| v.name.as_str() == vendor) =>
            {
                (vendor.to_owned(), place)
            }
            (_, [only]) => (only.name.to_string(), source.as_str()),
            _ => {
                let names: Vec<String> = site.vendors.iter().map(|v| v.name.to_string()).collect();
                return Err(Refusal::new(
                    RefusalName::Usage,
                    "the site has several vendors, or none",
                )
                .value("source", source)
                .value("vendors", names.join(", "))
                .next("say whose it is: --source VENDOR=FOLDER"));
            }
        };
        let name = site
            .vendors
            .iter()
            .find(|v| v.name.as_str() == vendor)
            .map(|v| v.name.clone());
        places.extend(name.map(|name| (name, place.to_owned())));
    }
    Ok(places)
}
