//! The metadata files of one vendor, as a repository names them.

use std::collections::{BTreeMap, BTreeSet};

/// A vendor's metadata, unverified: the roots after the site's, and one file of each other role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorFiles {
    /// The roots after the site's, rising, without a gap.
    pub roots: Vec<Vec<u8>>,
    /// `timestamp.json`.
    pub timestamp: Vec<u8>,
    /// The snapshot that the timestamp names.
    pub snapshot: Vec<u8>,
    /// The top-level targets that the snapshot names.
    pub targets: Vec<u8>,
    /// Delegated targets, by role.
    pub delegated: BTreeMap<String, Vec<u8>>,
}

impl VendorFiles {
    /// Sorts files named as in a repository (`2.root.json`, `timestamp.json`, `7.targets.json`) into
    /// their roles; the error says which name does not fit.
    pub fn from_named(named: BTreeMap<String, Vec<u8>>) -> Result<Self, String> {
        let mut files = Self::default();
        let mut roots = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (name, bytes) in named {
            let Some((version, role)) = split(&name) else {
                return Err(format!("{name} is no metadata file"));
            };
            if role != "root" && !seen.insert(role.to_owned()) {
                return Err(format!("there are two {role} files"));
            }
            match role {
                "root" => {
                    roots.insert(version, bytes);
                }
                "timestamp" => files.timestamp = bytes,
                "snapshot" => files.snapshot = bytes,
                "targets" => files.targets = bytes,
                other => {
                    files.delegated.insert(other.to_owned(), bytes);
                }
            }
        }
        for role in ["timestamp", "snapshot", "targets"] {
            if !seen.contains(role) {
                return Err(format!("the {role} file is missing"));
            }
        }
        files.roots = roots.into_values().collect();
        Ok(files)
    }
}

/// The name of a metadata file in a repository with consistent snapshots.
#[must_use]
pub fn file_name(role: &str, version: u64) -> String {
    if role == "timestamp" {
        "timestamp.json".to_owned()
    } else {
        format!("{version}.{role}.json")
    }
}

fn split(name: &str) -> Option<(u64, &str)> {
    if name == "timestamp.json" {
        return Some((0, "timestamp"));
    }
    let (version, rest) = name.split_once('.')?;
    let role = rest.strip_suffix(".json")?;
    let version: u64 = version.parse().ok()?;
    (role != "timestamp" && file_name(role, version) == name).then_some((version, role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> Result<VendorFiles, String> {
        VendorFiles::from_named(
            names
                .iter()
                .map(|name| ((*name).to_owned(), name.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn roots_rise_by_number() {
        let rest = ["timestamp.json", "3.snapshot.json", "4.targets.json"];
        let names = [["10.root.json", "9.root.json", "2.a.b.json"], rest].concat();
        let files = sorted(&names).unwrap();
        assert_eq!(
            files.roots,
            [b"9.root.json".to_vec(), b"10.root.json".to_vec()]
        );
        assert!(files.delegated.contains_key("a.b"));
        for bad in [
            "targets.json",
            "1.timestamp.json",
            "01.root.json",
            "+1.root.json",
            "5.targets.json",
            "x",
        ] {
            assert!(
                sorted(&[names.as_slice(), &[bad]].concat()).is_err(),
                "{bad}"
            );
        }
        assert!(sorted(&rest[1..]).is_err());
    }
}
