//! What a publisher types about other components: `core >=9.0, <10` and `restapi=7.0.40`.

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
        }
    }
}
