//! One installed recipe, and the one line of text that it is in statements.
//!
//! A thin snapshot lists every component, so the line says nothing twice: name and version follow
//! from the recipe's path.

use std::fmt;
use std::str::FromStr;

use super::wire::string_serde;
use super::{Name, RecipePath, Sha256, Version};

/// The word behind a release's path.
const RELEASE: &str = "release";

/// One installed recipe; a release counts as one, without files.
///
/// In text: `RECIPE-SHA256 VENDOR PATH`, and ` release` behind it where it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The component, as its path has it.
    pub name: Name,
    /// Its recipe's path in the vendor's repository.
    pub path: RecipePath,
    /// SHA-256 of the recipe file, the TUF target.
    pub recipe: Sha256,
    /// Whether it is a release: a baseline that names components and owns no files.
    pub release: bool,
    /// Which of the site's vendors it came from.
    pub vendor: Name,
    /// Its version, as its path has it.
    pub version: Version,
}

/// A text that is not such a line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not an installed recipe: SHA256 VENDOR PATH, and release where it is one")]
pub struct InstalledError(String);

impl Installed {
    /// The recipe of `vendor` at `path`, whose file has the digest `recipe`.
    #[must_use]
    pub fn new(vendor: Name, path: RecipePath, recipe: Sha256, release: bool) -> Self {
        Self {
            name: path.name().clone(),
            version: path.version().clone(),
            path,
            recipe,
            release,
            vendor,
        }
    }
}

/// What a set of installed recipes is, in a few words: its release, or how many components.
#[must_use]
pub fn describe(installed: &[Installed]) -> String {
    match installed {
        [] => "nothing installed".to_owned(),
        components => components.iter().find(|c| c.release).map_or_else(
            || format!("{} component(s), no release", components.len()),
            |c| format!("{} {}", c.name, c.version),
        ),
    }
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.recipe, self.vendor, self.path)?;
        if self.release {
            write!(f, " {RELEASE}")
        } else {
            Ok(())
        }
    }
}

impl FromStr for Installed {
    type Err = InstalledError;

    fn from_str(text: &str) -> Result<Self, InstalledError> {
        let parse = || {
            let words: Vec<&str> = text.split(' ').collect();
            let (recipe, vendor, path, release) = match words.as_slice() {
                [recipe, vendor, path] => (recipe, vendor, path, false),
                [recipe, vendor, path, RELEASE] => (recipe, vendor, path, true),
                _ => return None,
            };
            let known: RecipePath = path.parse().ok()?;
            // In statements a path has one spelling: without `to:`, with `.spr`.
            let spelled = known.as_str() == *path;
            let (vendor, recipe) = (vendor.parse().ok()?, recipe.parse().ok()?);
            spelled.then(|| Self::new(vendor, known, recipe, release))
        };
        parse().ok_or_else(|| InstalledError(text.chars().take(200).collect()))
    }
}

string_serde!(Installed);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_back() {
        let sha = Sha256::of(b"r");
        for (text, name, version, release) in [
            (
                format!("{sha} stibo restapi/7.0/restapi-7.0.40.spr"),
                "restapi",
                "7.0.40",
                false,
            ),
            (
                format!("{sha} stibo step/trailblazer/step-trailblazer-9.0-mp5.spr release"),
                "step-trailblazer",
                "9.0-mp5",
                true,
            ),
        ] {
            let installed: Installed = text.parse().unwrap();
            assert_eq!(installed.to_string(), text);
            assert_eq!(installed.name.as_str(), name);
            assert_eq!(installed.version.to_string(), version);
            assert_eq!(installed.release, release);
        }
    }

    #[test]
    fn one_spelling_alone() {
        let sha = Sha256::of(b"r");
        for text in [
            String::new(),
            format!("{sha} stibo"),
            format!("{sha} stibo to:restapi/7.0/restapi-7.0.40.spr"),
            format!("{sha} stibo restapi/7.0/restapi-7.0.40"),
            format!("{sha}  stibo restapi/7.0/restapi-7.0.40.spr"),
            format!("{sha} stibo restapi/7.0/restapi-7.0.40.spr Release"),
            format!("{sha} stibo restapi/7.0/restapi-7.0.40.spr release "),
            format!("{} stibo restapi/7.0/restapi-7.0.40.spr", "A".repeat(64)),
        ] {
            assert!(text.parse::<Installed>().is_err(), "{text}");
        }
    }
}
