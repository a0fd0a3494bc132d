//! Names: short, printable, the same in a message, a file name and a command line.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::wire::string_serde;

/// Longest name, in bytes.
pub const NAME_MAX: usize = 64;
/// Longest principal, in bytes.
pub const PRINCIPAL_MAX: usize = 128;

/// A text that is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Does not match `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`.
    #[error("{0:?} is not a name: 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit")]
    Name(String),
    /// Does not match `[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}`.
    #[error(
        "{0:?} is not a principal: 1 to 128 of A-Z a-z 0-9 . _ @ + -, the first a letter or digit"
    )]
    Principal(String),
}

/// The name of an environment, node, component, vendor or site. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if shaped(text, NAME_MAX, b"._-") {
            Ok(Self(Arc::from(text)))
        } else {
            Err(NameError::Name(clipped(text)))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

string_serde!(Name);

/// Who holds a key: the first word of an `allowed_signers` line, such as `anna@acme.example`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(String);

impl Principal {
    /// The principal as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Principal {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if shaped(text, PRINCIPAL_MAX, b"._@+-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Principal(clipped(text)))
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

string_serde!(Principal);

fn shaped(text: &str, longest: usize, punctuation: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(byte))
}

fn clipped(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        for good in ["a", "PROD-EU", "7.0.40", "step-trailblazer", "0_x"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in [
            "",
            ".hidden",
            "-x",
            "a b",
            "a/b",
            "ä",
            "a\n",
            "a@b",
            "\u{1b}[31m",
            &long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_a_principal() {
        assert!("anna@acme.example".parse::<Principal>().is_ok());
        for bad in ["*", "a,b", "!a", "a b", "", "?"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad:?}");
        }
    }
}
