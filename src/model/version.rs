//! Versions and ranges of versions.
//!
//! A version is compared piece by piece: it is cut at `.`, `_` and `-`, and between digits and
//! letters. Numbers compare as numbers, words as words, a number stands before a word, and what
//! ends first is smaller: `9.0 < 9.0-2018-11 < 9.0-mp5-2018-11 < 9.0-mp12 < 9.1`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use super::Name;
use super::wire::string_serde;

/// Most comparisons in one range.
const RANGE_MAX: usize = 8;

/// A text that is not a version or a range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VersionError {
    /// Not a version.
    #[error("{0:?} is not a version: up to 64 of A-Z a-z 0-9 . _ -, the first a digit or letter")]
    Version(String),
    /// Not a range.
    #[error("{0:?} is not a version range such as '>=9.0, <10' or '=7.0.40'")]
    Range(String),
}

/// The version of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Name);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    // Leading zeros are cut, so a longer number is larger and text order does the rest.
    Number(usize, String),
    Word(String),
}

impl Version {
    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in self.as_str().split(['.', '_', '-']) {
            let mut rest = part;
            while let Some(first) = rest.chars().next() {
                let digit = first.is_ascii_digit();
                let end = rest
                    .find(|c: char| c.is_ascii_digit() != digit)
                    .unwrap_or(rest.len());
                let (run, tail) = rest.split_at(end);
                pieces.push(if digit {
                    let number = run.trim_start_matches('0');
                    Piece::Number(number.len(), number.to_owned())
                } else {
                    Piece::Word(run.to_owned())
                });
                rest = tail;
            }
        }
        pieces
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pieces()
            .cmp(&other.pieces())
            .then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError::Version(text.chars().take(64).collect());
        text.parse().map(Self).ok().ok_or_else(error)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

string_serde!(Version);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    Exactly,
    AtLeast,
    More,
}

impl Operator {
    const ALL: [(&'static str, Self); 5] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::More),
        ("=", Self::Exactly),
    ];

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Exactly => order.is_eq(),
            Self::AtLeast => order.is_ge(),
            Self::More => order.is_gt(),
        }
    }
}

/// Comparisons that must all hold, such as `>=9.0, <10`. `*` is every version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<(Operator, Version)>);

impl Range {
    /// The range that holds `version` alone.
    #[must_use]
    pub fn exactly(version: Version) -> Self {
        Self(vec![(Operator::Exactly, version)])
    }

    /// Whether `version` lies in the range.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.0
            .iter()
            .all(|(operator, bound)| operator.holds(version.cmp(bound)))
    }
}

impl FromStr for Range {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = || VersionError::Range(text.chars().take(80).collect());
        if text.trim() == "*" {
            return Ok(Self(Vec::new()));
        }
        let mut bounds = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            let (sign, operator) = Operator::ALL
                .into_iter()
                .find(|(sign, _)| part.starts_with(sign))
                .ok_or_else(error)?;
            let version = part
                .trim_start_matches(sign)
                .trim()
                .parse()
                .ok()
                .ok_or_else(error)?;
            bounds.push((operator, version));
        }
        if bounds.len() > RANGE_MAX {
            Err(error())
        } else {
            Ok(Self(bounds))
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("*");
        }
        for (index, (operator, version)) in self.0.iter().enumerate() {
            let sign = Operator::ALL
                .iter()
                .find(|(_, o)| o == operator)
                .map_or("", |(s, _)| s);
            write!(f, "{}{sign}{version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

string_serde!(Range);

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn order() {
        let rising = [
            "6.9.9",
            "7.0",
            "7.0.1",
            "7.0.4",
            "7.0.40",
            "7.0.40-hf1",
            "7.1",
            "9.0",
            "9.0-2018-11-08",
            "9.0-mp5-2018-11-08-15-54-27",
            "9.0-mp12-2019-06-01",
            "9.1",
            "10.0",
        ];
        for pair in rising.windows(2) {
            assert!(
                version(pair[0]) < version(pair[1]),
                "{} < {}",
                pair[0],
                pair[1]
            );
        }
        assert!(version("1.010") > version("1.9"));
    }

    #[test]
    fn ranges() {
        let range: Range = ">=9.0, <10".parse().unwrap();
        assert_eq!(range.to_string(), ">=9.0, <10");
        for (text, inside) in [
            ("8.9", false),
            ("9.0", true),
            ("9.5-mp3", true),
            ("10", false),
        ] {
            assert_eq!(range.contains(&version(text)), inside, "{text}");
        }
        assert!("*".parse::<Range>().unwrap().contains(&version("1")));
        for bad in ["", "9.0", "~9", ">=", ">=9.0,,<10", ">= 9 0"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
