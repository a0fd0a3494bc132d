//! Which recipe a release means by the name and version of a component. Whoever publishes the
//! release asks, and every desk asks again, so both ask here.
//!
//! | attack | defence |
//! |---|---|
//! | a delegate that calls a component like one of the vendor's own, so that releases find its recipe, or are refused for naming two | the nearest kind counts alone ([`Nearness`]) |

use crate::model::RecipePath;
use crate::model::recipe::Pin;

/// How near a recipe is to a release: the least is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// Of the same customer as the release.
    Customer,
    /// In a family that the vendor signs with the keys of its targets.
    Own,
    /// In another family: one that has keys of its own, the vendor's or a delegate's. Nothing in the
    /// metadata tells these two apart.
    Family,
    /// A hotfix, or an add-on of a customer that is not the release's.
    Other,
}

impl Nearness {
    /// How near `path` is; `own` says whether the keys of the targets sign for it.
    #[must_use]
    pub fn of(release: &RecipePath, path: &RecipePath, own: bool) -> Self {
        let is_customers = path.as_str().starts_with("customer/");
        if is_customers && path.family() == release.family() {
            Self::Customer
        } else if is_customers || path.is_hotfix() {
            Self::Other
        } else if own {
            Self::Own
        } else {
            Self::Family
        }
    }
}

/// Of the recipes that are `listed`, those that `pin` can mean in the release at `release`: one where
/// that is clear. `own` says for which the keys of the targets sign.
pub fn meant<'a>(
    release: &RecipePath,
    pin: &Pin,
    listed: impl Iterator<Item = &'a RecipePath>,
    own: impl Fn(&RecipePath) -> bool,
) -> Vec<&'a RecipePath> {
    let fits = |path: &&RecipePath| path.name() == &pin.component && path.version() == &pin.version;
    let fitting: Vec<(Nearness, &RecipePath)> = listed
        .filter(fits)
        .map(|path| (Nearness::of(release, path, own(path)), path))
        .collect();
    let nearest = fitting.iter().map(|(nearness, _)| *nearness).min();
    fitting
        .into_iter()
        .filter(|(nearness, _)| Some(*nearness) == nearest)
        .map(|(_, path)| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_kind_is_meant() {
        let pin = Pin {
            component: "tool".parse().unwrap(),
            version: "1.0".parse().unwrap(),
        };
        // The vendor's own, one with keys of its own, two customers'; and what does not fit.
        let all: Vec<RecipePath> = [
            "tool/1/tool-1.0",
            "to/1/tool-1.0",
            "too/1/tool-1.0",
            "customer/acme/tool/1/tool-1.0",
            "customer/beta/tool/1/tool-1.0",
            "tool/1/tool-1.1",
        ]
        .map(|text| text.parse().unwrap())
        .to_vec();
        let (vendors, acmes) = ("step/9/step-9.0", "customer/acme/all/1/all-1.0");
        let cases: [(&str, &[usize], &[usize]); 8] = [
            (vendors, &[0, 2, 3, 4, 5], &[0]),
            (vendors, &[2, 3, 4], &[2]),
            (vendors, &[3], &[3]),
            (vendors, &[3, 4], &[3, 4]),
            (vendors, &[0, 1, 2], &[0, 1]),
            (vendors, &[5], &[]),
            (acmes, &[0, 2, 3, 4], &[3]),
            (acmes, &[0, 2, 4], &[0]),
        ];
        for (release, listed, wanted) in cases {
            let release: RecipePath = release.parse().unwrap();
            let listed = listed.iter().map(|at| &all[*at]);
            let found = meant(&release, &pin, listed, |path| {
                !path.as_str().starts_with("too/")
            });
            let wanted: Vec<&RecipePath> = wanted.iter().map(|at| &all[*at]).collect();
            assert_eq!(found, wanted, "{release}");
        }
    }
}
