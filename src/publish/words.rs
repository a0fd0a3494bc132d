//! What a publisher types about other components: `core >=9.0, <10`, `restapi=7.0.40`, and a recipe.

use crate::model::RecipePath;
use crate::model::recipe::{Pin, Requirement};

/// A text that names no component, or none with a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WordError {
    /// Not a component in a range of versions.
    #[error("{0:?} is not a component and its versions, such as 'core >=9.0, <10'")]
    Requirement(String),
    /// Not a component in one version.
    #[error("{0:?} is not a component and its version, such as restapi=7.0.40")]
    Pin(String),
    /// Neither a component in one version nor a recipe.
    #[error("{0:?} is neither a component and its version, such as restapi=7.0.40, nor a recipe")]
    Named(String),
}

/// A component of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name and version.
    pub pin: Pin,
    /// Its recipe, where that was typed.
    pub recipe: Option<RecipePath>,
}

/// Reads `core >=9.0, <10`; a name alone means every version.
pub fn requirement(text: &str) -> Result<Requirement, WordError> {
    let error = || WordError::Requirement(text.chars().take(80).collect());
    let text = text.trim();
    let end = text
        .find(|c: char| c.is_whitespace() || "<>=".contains(c))
        .unwrap_or(text.len());
    let (name, range) = text.split_at_checked(end).ok_or_else(error)?;
    let range = match range.trim() {
        "" => "*",
        range => range,
    };
    Ok(Requirement {
        component: name.parse().ok().ok_or_else(error)?,
        range: range.parse().ok().ok_or_else(error)?,
    })
}

/// Reads `restapi=7.0.40`.
pub fn pin(text: &str) -> Result<Pin, WordError> {
    let error = || WordError::Pin(text.chars().take(80).collect());
    let (name, version) = text.split_once('=').ok_or_else(error)?;
    Ok(Pin {
        component: name.trim().parse().ok().ok_or_else(error)?,
        version: version.trim().parse().ok().ok_or_else(error)?,
    })
}

/// Reads `restapi=7.0.40`, or `customer/acme/portal/7.0/portal-7.0.3`.
pub fn named(text: &str) -> Result<Named, WordError> {
    let error = || WordError::Named(text.chars().take(80).collect());
    if !text.contains('/') {
        let pin = pin(text).ok().ok_or_else(error)?;
        return Ok(Named { pin, recipe: None });
    }
    let recipe: RecipePath = text.trim().parse().ok().ok_or_else(error)?;
    let (component, version) = (recipe.name().clone(), recipe.version().clone());
    Ok(Named {
        pin: Pin { component, version },
        recipe: Some(recipe),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_and_pins() {
        for (text, name, range) in [
            ("core >=9.0, <10", "core", ">=9.0, <10"),
            ("core>=9.0", "core", ">=9.0"),
            ("core", "core", "*"),
            (" core *", "core", "*"),
        ] {
            let found = requirement(text).unwrap();
            assert_eq!(found.component.as_str(), name);
            assert_eq!(found.range.to_string(), range);
        }
        for bad in ["", ">=9.0", "core 9.0", "a b"] {
            assert!(requirement(bad).is_err(), "{bad}");
        }
        let found = pin("restapi=7.0.40").unwrap();
        assert_eq!(found.version.as_str(), "7.0.40");
        for bad in ["restapi", "=1", "restapi=", "a=b=c"] {
            assert!(pin(bad).is_err(), "{bad}");
            assert!(named(bad).is_err(), "{bad}");
        }
        assert_eq!(named("restapi=7.0.40").unwrap().pin, found);
        let path = named("restapi/7.0/restapi-7.0.40").unwrap();
        assert_eq!(path.pin, found);
        assert_eq!(
            path.recipe.unwrap().as_str(),
            "restapi/7.0/restapi-7.0.40.spr"
        );
        assert!(named("restapi/restapi-7.0.40").is_err());
    }
}
