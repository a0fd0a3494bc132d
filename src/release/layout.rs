//! Names in a release repository: which file holds what, and which role answers for a recipe.
//!
//! | attack | defence |
//! |---|---|
//! | a role name from foreign metadata that leaves the folder (`../../x`) | [`metadata_file`] takes plain names alone |
//! | a family called `targets` or `customer-acme`, to take over another role's file | [`role_of`] refuses both |

use super::ReleaseError;
use crate::model::{Blake3, RecipePath, Sha256};
pub use crate::trust::recipe::RECIPE_MAX;
use crate::trust::vendor::ROLE_MAX;

/// The folder of TUF metadata.
pub const METADATA: &str = "metadata";
/// The folder of recipes.
pub const TARGETS: &str = "targets";
/// The folder of contents.
pub const BLOBS: &str = "blobs";
/// The file that names the current snapshot; the only one that is ever replaced.
pub const TIMESTAMP: &str = "timestamp.json";
/// The roles that every repository has.
pub const TOP_LEVEL: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];
/// Largest metadata file, in bytes.
pub const METADATA_MAX: u64 = 16 * 1024 * 1024;

/// What the roles of customers begin with.
const CUSTOMER: &str = "customer-";

/// The file of a role's metadata in this version: `3.targets.json`.
pub fn metadata_file(role: &str, version: u64) -> Result<String, ReleaseError> {
    if is_role_name(role) {
        Ok(format!("{version}.{role}.json"))
    } else {
        Err(ReleaseError::Name {
            name: role.chars().take(ROLE_MAX).collect(),
            why: "a role is 1 to 48 of A-Z a-z 0-9 . _ -, the first a letter or digit",
        })
    }
}

/// Whether `file` is a name that [`metadata_file`] makes, or [`TIMESTAMP`].
#[must_use]
pub fn is_metadata_file(file: &str) -> bool {
    let Some(stem) = file.strip_suffix(".json") else {
        return false;
    };
    stem.split_once('.')
        .map_or(stem == "timestamp", |(version, role)| {
            version.parse::<u64>().is_ok() && is_role_name(role)
        })
}

fn is_role_name(role: &str) -> bool {
    let bytes = role.as_bytes();
    bytes.len() <= ROLE_MAX
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

/// The file of a recipe, under [`TARGETS`]: TUF's consistent snapshots put the digest before the
/// file name.
#[must_use]
pub fn target_file(path: &RecipePath, sha256: &Sha256) -> String {
    format!("{}/{sha256}.{}", path.folder(), path.file_name())
}

/// The file of a content, under [`BLOBS`].
#[must_use]
pub fn blob_file(blake3: &Blake3) -> String {
    let name = blake3.to_string();
    let folder: String = name.chars().take(2).collect();
    format!("{folder}/{name}.zst")
}

/// The delegated role that answers for a recipe: `restapi`, `hotfix`, `customer-acme`.
pub fn role_of(path: &RecipePath) -> Result<String, ReleaseError> {
    let mut segments = path.as_str().split('/');
    let first = segments.next().unwrap_or_default();
    if first == "customer" {
        return Ok(format!("{CUSTOMER}{}", segments.next().unwrap_or_default()));
    }
    let taken = TOP_LEVEL
        .iter()
        .any(|role| role.eq_ignore_ascii_case(first))
        || first.to_ascii_lowercase().starts_with(CUSTOMER);
    if taken {
        Err(ReleaseError::Name {
            name: path.to_string(),
            why: "the family's name is that of another role",
        })
    } else {
        Ok(first.to_owned())
    }
}

/// The one path pattern of the role of `path`: a star for each segment that may vary.
#[must_use]
pub fn pattern_of(path: &RecipePath) -> String {
    let segments: Vec<&str> = path.as_str().split('/').collect();
    let fixed = if path.as_str().starts_with("customer/") {
        2
    } else {
        1
    };
    segments
        .iter()
        .enumerate()
        .map(|(at, segment)| if at < fixed { *segment } else { "*" })
        .collect::<Vec<_>>()
        .join("/")
}

/// Whether a TUF path pattern matches a recipe: segment by segment, `*` never across a `/`.
///
/// This decides what is downloaded, not what is trusted; a pattern that cannot be read matches
/// nothing.
#[must_use]
pub fn matches(pattern: &str, path: &RecipePath) -> bool {
    let patterns: Vec<&str> = pattern.split('/').collect();
    let segments: Vec<&str> = path.as_str().split('/').collect();
    patterns.len() == segments.len()
        && patterns.iter().zip(segments).all(|(pattern, segment)| {
            glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(segment))
        })
}

/// Refuses a name that no new delegation may have.
pub fn check_role(role: &str) -> Result<(), ReleaseError> {
    let why = if !is_role_name(role) {
        "a role is 1 to 48 of A-Z a-z 0-9 . _ -, the first a letter or digit"
    } else if TOP_LEVEL.iter().any(|top| role.eq_ignore_ascii_case(top)) {
        "that is a role of the root"
    } else {
        return Ok(());
    };
    Err(ReleaseError::Name {
        name: role.chars().take(ROLE_MAX).collect(),
        why,
    })
}

/// Refuses a pattern that matches no recipe, or that names no family.
pub fn check_pattern(pattern: &str) -> Result<(), ReleaseError> {
    let segments: Vec<&str> = pattern.split('/').collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-*?".contains(c);
    let depth = if segments.first() == Some(&"customer") {
        5
    } else {
        3
    };
    let open = segments
        .last()
        .is_some_and(|last| last.ends_with('*') || last.strip_suffix(".spr").is_some());
    let why = if segments
        .iter()
        .any(|s| s.is_empty() || s.starts_with(['.', '_', '-']) || !s.chars().all(plain))
    {
        "each part is of A-Z a-z 0-9 . _ - and the wildcards * and ?"
    } else if segments.len() != depth {
        "a star stands for one part, so it has as many parts as a recipe: restapi/*/*, customer/acme/*/*/*"
    } else if segments
        .first()
        .is_some_and(|family| family.contains(['*', '?']))
    {
        "the first part is a family, without wildcards"
    } else if !open {
        "the last part ends in * or .spr, as recipes do"
    } else {
        return Ok(());
    };
    Err(ReleaseError::Name {
        name: pattern.chars().take(120).collect(),
        why,
    })
}

/// Whether some recipe could match both patterns; said too often rather than too seldom.
#[must_use]
pub fn overlap(a: &str, b: &str) -> bool {
    let wild = |part: &str| part.contains(['*', '?']);
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('/').collect(), b.split('/').collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || wild(a) || wild(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RecipePath {
        text.parse().unwrap()
    }

    #[test]
    fn roles_and_patterns() {
        for (text, role, pattern) in [
            ("restapi/7.0/restapi-7.0.40", "restapi", "restapi/*/*"),
            ("hotfix/restapi/restapi-7.0.40-hf2", "hotfix", "hotfix/*/*"),
            (
                "customer/acme/portal/7.0/portal-7.0.3",
                "customer-acme",
                "customer/acme/*/*/*",
            ),
        ] {
            assert_eq!(role_of(&path(text)).unwrap(), role);
            assert_eq!(pattern_of(&path(text)), pattern);
            assert!(matches(pattern, &path(text)));
        }
        assert!(!matches(
            "customer/acme/*/*",
            &path("customer/acme/portal/7.0/portal-7.0.3")
        ));
    }

    #[test]
    fn a_family_takes_no_other_role() {
        for text in [
            "targets/1/targets-1",
            "Root/1/Root-1",
            "customer-acme/7.0/customer-acme-1.0",
        ] {
            assert!(role_of(&path(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn metadata_names_are_plain() {
        assert_eq!(metadata_file("restapi", 3).unwrap(), "3.restapi.json");
        let (longest, longer) = ("a".repeat(ROLE_MAX), "a".repeat(ROLE_MAX + 1));
        assert!(metadata_file(&longest, 1).is_ok());
        let why = metadata_file(&longer, 1).unwrap_err().to_string();
        assert!(why.contains(&format!("1 to {ROLE_MAX} of")), "{why}");
        for bad in ["", "../x", "a/b", ".x", "a b", &longer] {
            assert!(metadata_file(bad, 1).is_err(), "{bad}");
        }
        for (file, good) in [
            ("timestamp.json", true),
            ("1.root.json", true),
            ("root.json", false),
            ("1.../x.json", false),
            ("../1.root.json", false),
        ] {
            assert_eq!(is_metadata_file(file), good, "{file}");
        }
    }
}
