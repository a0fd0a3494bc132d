//! Paths: of files in an installation ([`TreePath`]) and of recipes in a repository
//! ([`RecipePath`]).
//!
//! | attack | defence |
//! |---|---|
//! | `../../etc/passwd`, `/etc/passwd`, `a//b`, `a/./b` | every segment is a plain name, at least one |
//! | a recipe that owns the node's own key or state | the first segment is never `.lockstep`, in any case |
//! | a recipe that owns what is staged or kept on another mount | no segment is `.lockstep-mount`, in any case |
//! | line breaks, NUL, escapes in a name | no control characters |
//! | `README` and `readme` in one tree, carried to a case-blind disk | [`TreePath::folded`] names both alike |
//! | a link that leads out of the root | [`TreePath::link_stays_inside`] |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::wire::string_serde;
use super::{Blake3, Name, Version};

/// The folder of the node's own state, under the root; no recipe owns anything in it.
pub const STATE_FOLDER: &str = ".lockstep";
/// The folder of what is staged and kept on another mount, at its mount point. It is not called
/// [`STATE_FOLDER`], because the nearest folder that holds one of those is the root.
pub const MOUNT_FOLDER: &str = ".lockstep-mount";
/// Longest path, in bytes (`PATH_MAX` less the room that a root and a suffix need).
const PATH_MAX: usize = 3_072;
/// Longest segment, in bytes (`NAME_MAX` of Linux).
const SEGMENT_MAX: usize = 255;

/// A text that is not a path of the form asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PathError {
    /// Not a path inside an installation.
    #[error("{path:?} is not a path inside an installation: {reason}")]
    Tree {
        /// The text.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Not a recipe path.
    #[error("{path:?} is not a recipe: {reason}")]
    Recipe {
        /// The text.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
}

/// The path of a file, link or folder, relative to the root, with `/` between plain segments.
/// Clones share the text: an installation has hundreds of thousands, each in several lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Arc<str>);

impl TreePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path with case folded away: two paths that fold alike may not both be owned.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// A digest of [`Self::folded`], which stands for it where there are hundreds of thousands.
    #[must_use]
    pub fn fold_key(&self) -> Blake3 {
        Blake3::of(self.folded().as_bytes())
    }

    /// The folder it lies in; nothing for a path directly under the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(Arc::from(parent)))
    }

    /// The text of the folder it lies in; nothing for a path directly under the root.
    #[must_use]
    pub fn parent_str(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// How many segments it has.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Every folder above it, the topmost first.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        self.0
            .match_indices('/')
            .filter_map(|(at, _)| self.0.get(..at).map(|p| Self(Arc::from(p))))
    }

    /// The same path with `suffix` behind its last segment, such as `.new`. A name that would get
    /// too long is cut before it, between two characters: names cut so may be alike.
    pub fn with_suffix(&self, suffix: &str) -> Result<Self, PathError> {
        let start = self.0.rfind('/').map_or(0, |slash| slash.saturating_add(1));
        let longest = start.saturating_add(SEGMENT_MAX).min(PATH_MAX);
        let room = longest.saturating_sub(suffix.len());
        let end = self.0.floor_char_boundary(room);
        match self.0.get(..end) {
            Some(stem) if end > start => format!("{stem}{suffix}").parse(),
            _ => Err(PathError::Tree {
                path: self.0.chars().take(200).collect(),
                reason: "too long for a name beside it",
            }),
        }
    }

    /// Whether a link at this path with this target stays inside the root and out of
    /// [`STATE_FOLDER`] and [`MOUNT_FOLDER`], judged by its text alone.
    ///
    /// Text suffices because `..` may only lead the target: behind a plain segment, which could be
    /// another link, it would climb from wherever that one points.
    #[must_use]
    pub fn link_stays_inside(&self, target: &str) -> bool {
        if target.is_empty() || target.len() > PATH_MAX {
            return false;
        }
        let depth = self.ancestors().count();
        let rest: Vec<&str> = target
            .split('/')
            .skip_while(|segment| *segment == "..")
            .collect();
        let climbed = target.split('/').count().saturating_sub(rest.len());
        let plain = rest.iter().all(|segment| {
            segment_fault(segment).is_none() && segment.to_lowercase() != STATE_FOLDER
        });
        // A link to the root itself would make a path to everything in it, the node's state too.
        plain && (climbed < depth || (climbed == depth && !rest.is_empty()))
    }
}

impl FromStr for TreePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        match tree_fault(text) {
            None => Ok(Self(Arc::from(text))),
            Some(reason) => Err(PathError::Tree {
                path: text.chars().take(200).collect(),
                reason,
            }),
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::text::Escaped(&self.0).fmt(f)
    }
}

impl serde::Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TreePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::wire::parsed(deserializer)
    }
}

fn tree_fault(text: &str) -> Option<&'static str> {
    if text.len() > PATH_MAX {
        return Some("longer than 3072 bytes");
    }
    let first = text.split('/').next().unwrap_or_default();
    if first.starts_with('.') && first.to_lowercase() == STATE_FOLDER {
        return Some("lies in the node's own state");
    }
    text.split('/').find_map(segment_fault)
}

fn segment_fault(segment: &str) -> Option<&'static str> {
    match segment {
        "" => Some("an empty segment"),
        "." | ".." => Some("a segment that is . or .."),
        _ if segment.len() > SEGMENT_MAX => Some("a segment longer than 255 bytes"),
        _ if segment.chars().any(char::is_control) => Some("a control character"),
        _ if segment.starts_with('.') && segment.to_lowercase() == MOUNT_FOLDER => {
            Some("a segment that is .lockstep-mount")
        }
        _ => None,
    }
}

/// The path of a recipe, as SPOT spells it: `restapi/7.0/restapi-7.0.40.spr`.
///
/// The depth is fixed by the family: `customer/<customer>/<addon>/<series>/<addon>-<version>.spr`,
/// `hotfix/<component>/<hotfix>.spr`, and `<family>/<series>/<name>-<version>.spr` for all others.
/// Name and version follow from the path, cut at the first `-` before a digit; a hotfix is its
/// whole stem, with version `1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecipePath {
    text: String,
    name: Name,
    version: Version,
}

impl RecipePath {
    /// The path as text, without `to:`, with `.spr`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The component's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The component's version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The part that says whose it is: `restapi`, `customer/acme`, `hotfix/restapi`.
    #[must_use]
    pub fn family(&self) -> &str {
        let slash = usize::from(self.is_hotfix() || self.text.starts_with("customer/"));
        let end = self
            .text
            .match_indices('/')
            .nth(slash)
            .map_or(self.text.len(), |(at, _)| at);
        self.text.get(..end).unwrap_or(&self.text)
    }

    /// Whether it is a hotfix.
    #[must_use]
    pub fn is_hotfix(&self) -> bool {
        self.text.starts_with("hotfix/")
    }

    /// The component that a hotfix is for; nothing for another recipe.
    #[must_use]
    pub fn hotfix_of(&self) -> Option<&str> {
        self.family().strip_prefix("hotfix/")
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.text.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The file name alone.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.text
            .rsplit_once('/')
            .map_or(&self.text, |(_, file)| file)
    }
}

impl PartialOrd for RecipePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecipePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl FromStr for RecipePath {
    type Err = PathError;

    /// Takes the path with or without `to:` in front and `.spr` behind.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let error = |reason| PathError::Recipe {
            path: text.chars().take(200).collect(),
            reason,
        };
        let path = text.strip_prefix("to:").unwrap_or(text);
        let path = path.strip_suffix(".spr").unwrap_or(path);
        let segments: Vec<&str> = path.split('/').collect();
        if segments
            .iter()
            .any(|segment| segment.parse::<Name>().is_err())
        {
            return Err(error("each part is 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        let stem = match segments.as_slice() {
            ["customer", _, addon, _, stem] if belongs(stem, addon) => *stem,
            ["customer", ..] => {
                return Err(error(
                    "customer/<customer>/<addon>/<series>/<addon>-<version>.spr",
                ));
            }
            ["hotfix", _, stem] => {
                let name = stem
                    .parse()
                    .ok()
                    .ok_or_else(|| error("the hotfix has no name"))?;
                let version = "1"
                    .parse()
                    .ok()
                    .ok_or_else(|| error("the hotfix has no version"))?;
                return Ok(Self {
                    text: format!("{path}.spr"),
                    name,
                    version,
                });
            }
            [family, _, stem] if stem.starts_with(family) => *stem,
            _ => {
                return Err(error(
                    "<family>/<series>/<family...>-<version>.spr, as in restapi/7.0/restapi-7.0.40.spr",
                ));
            }
        };
        let (name, version) = cut(stem).ok_or_else(|| error("the file name has no version"))?;
        Ok(Self {
            text: format!("{path}.spr"),
            name,
            version,
        })
    }
}

impl fmt::Display for RecipePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

string_serde!(RecipePath);

fn belongs(stem: &str, name: &str) -> bool {
    stem.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with('-'))
}

fn cut(stem: &str) -> Option<(Name, Version)> {
    let at = stem.match_indices('-').map(|(at, _)| at).find(|at| {
        stem.get(at.saturating_add(1)..)
            .is_some_and(starts_with_digit)
    })?;
    let (name, version) = stem.split_at_checked(at)?;
    Some((name.parse().ok()?, version.strip_prefix('-')?.parse().ok()?))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_fits() {
        let path = |text: &str| text.parse::<TreePath>().unwrap();
        let beside = |text: &str| path(text).with_suffix(".new").map(|p| p.to_string());
        assert_eq!(beside("conf/a").unwrap(), "conf/a.new");
        let cut = |stem: &str| format!("conf/{stem}.new");
        for (name, stem) in [
            ("a".repeat(251), "a".repeat(251)),
            ("a".repeat(252), "a".repeat(251)),
            ("a".repeat(255), "a".repeat(251)),
            // Between two characters: 249 bytes and a whole one of two do, half of one does not.
            ("a".repeat(249) + "éabc", "a".repeat(249) + "é"),
            ("a".repeat(250) + "éabc", "a".repeat(250)),
            ("日".repeat(85), "日".repeat(83)),
        ] {
            assert_eq!(
                beside(&format!("conf/{name}")).unwrap(),
                cut(&stem),
                "{name}"
            );
        }
        // The longest path: what is cut is its last name, and no other folder is meant instead.
        let deep = "abcdefg/".repeat(383);
        assert_eq!(
            beside(&format!("{deep}12345678")).unwrap(),
            format!("{deep}1234.new")
        );
        for last in ["a/a/abc", "ab/éé"] {
            let full = format!("{deep}{last}");
            assert!(path(&full).with_suffix(".new").is_err(), "{last}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = "a".repeat(256);
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\0b",
            "a\nb",
            "a\u{1b}b",
            ".lockstep",
            ".lockstep/key",
            ".LockStep/key",
            ".lockstep-mount",
            "data/.lockstep-mount/stage/1/0",
            "a/.LocKstep-Mount",
            "a/.loc\u{212a}step-mount/b",
            &long,
        ] {
            assert!(bad.parse::<TreePath>().is_err(), "{bad:?}");
        }
        for good in [
            "a",
            "a/.lockstep/b",
            "lib/ü.jar",
            "a b/c",
            ".hidden",
            ".lockstep-mounts",
            "lockstep-mount",
            "...",
            "a\\b",
        ] {
            assert!(good.parse::<TreePath>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn links_stay_inside() {
        let path: TreePath = "lib/a/link".parse().unwrap();
        for good in ["b", "../b", "../../c", "x/y", ".."] {
            assert!(path.link_stays_inside(good), "{good}");
        }
        for bad in [
            "",
            "/etc",
            "../../../x",
            "../../.lockstep/key",
            "../../.LOCKSTEP",
            "a\nb",
            "x/../y",
            "../..",
            "u/../.lockstep/key",
            "x/.lockstep",
            ".lockstep-mount",
            "../.Lockstep-Mount/generations",
            "./x",
            "x/",
        ] {
            assert!(!path.link_stays_inside(bad), "{bad}");
        }
    }

    #[test]
    fn ancestors_come_topmost_first() {
        let path: TreePath = "a/b/c".parse().unwrap();
        let above: Vec<String> = path.ancestors().map(|p| p.as_str().to_owned()).collect();
        assert_eq!(above, ["a", "a/b"]);
    }

    #[test]
    fn recipe_paths() {
        let cases = [
            (
                "to:restapi/7.0/restapi-7.0.40.spr",
                "restapi",
                "7.0.40",
                "restapi",
            ),
            ("restapi/7.0/restapi-7.0.40", "restapi", "7.0.40", "restapi"),
            (
                "step/trailblazer/step-trailblazer-9.0-mp5-2018-11-08-15-54-27.spr",
                "step-trailblazer",
                "9.0-mp5-2018-11-08-15-54-27",
                "step",
            ),
            (
                "customer/acme/portal/7.0/portal-7.0.3.spr",
                "portal",
                "7.0.3",
                "customer/acme",
            ),
            (
                "hotfix/restapi/restapi-7.0.40-hf2.spr",
                "restapi-7.0.40-hf2",
                "1",
                "hotfix/restapi",
            ),
        ];
        for (text, name, version, family) in cases {
            let path: RecipePath = text.parse().unwrap();
            assert_eq!(path.name().as_str(), name);
            assert_eq!(path.version().as_str(), version);
            assert_eq!(path.family(), family);
            assert_eq!(path.as_str().rsplit_once('.').unwrap().1, "spr");
        }
        for bad in [
            "",
            "restapi",
            "restapi/restapi-7.0.40",
            "restapi/7.0/core-7.0.40",
            "restapi/7.0/restapi",
            "a/b/c/a-1.0",
            "customer/acme/portal-1.0",
            "restapi/../restapi-1.0",
            "/restapi/7.0/restapi-1",
        ] {
            assert!(bad.parse::<RecipePath>().is_err(), "{bad}");
        }
    }
}
