//! Floors: the lowest versions of a vendor's metadata that a node still accepts.
//!
//! In statements they stand together by the key set that signs the roles: a vendor has a role for
//! each family of components, and nearly all of them are signed by the same keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::{at_most, string_serde};
use super::{Name, Sha256};

/// The floor of one metadata role of a vendor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor {
    /// SHA-256 over the sorted ids of the role's keys and its threshold: a floor falls only where
    /// a verified new root changed this.
    pub keys: Sha256,
    /// The role: `root`, `targets`, `snapshot`, `timestamp`, or a delegation's name.
    pub role: String,
    /// The vendor.
    pub vendor: Name,
    /// The lowest version still accepted.
    pub version: u64,
}

/// The floors of all roles that one key set of a vendor signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floors {
    /// The key set, as [`Floor::keys`] has it.
    pub keys: Sha256,
    /// The roles, rising by name.
    #[serde(deserialize_with = "at_most::<10_000, _, _>")]
    pub roles: Vec<RoleFloor>,
    /// The vendor.
    pub vendor: Name,
}

/// A role and its lowest version, in text `ROLE VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFloor {
    /// The role.
    pub role: String,
    /// The lowest version still accepted.
    pub version: u64,
}

/// A text that is no role with a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a role and a version")]
pub struct RoleFloorError(String);

impl fmt::Display for RoleFloor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.version)
    }
}

impl FromStr for RoleFloor {
    type Err = RoleFloorError;

    fn from_str(text: &str) -> Result<Self, RoleFloorError> {
        let parse = || {
            let (role, version) = text.rsplit_once(' ')?;
            let floor = Self {
                role: role.to_owned(),
                version: version.parse().ok()?,
            };
            (role.parse::<Name>().is_ok() && floor.to_string() == text).then_some(floor)
        };
        parse().ok_or_else(|| RoleFloorError(text.chars().take(100).collect()))
    }
}

string_serde!(RoleFloor);

fn group(floors: &[Floor]) -> Vec<Floors> {
    let mut sorted: Vec<&Floor> = floors.iter().collect();
    sorted.sort_by_key(|floor| (&floor.vendor, floor.keys, &floor.role));
    let mut groups: Vec<Floors> = Vec::new();
    for floor in sorted {
        let role = RoleFloor {
            role: floor.role.clone(),
            version: floor.version,
        };
        match groups.last_mut() {
            Some(last) if (&last.vendor, last.keys) == (&floor.vendor, floor.keys) => {
                last.roles.push(role);
            }
            _ => groups.push(Floors {
                keys: floor.keys,
                roles: vec![role],
                vendor: floor.vendor.clone(),
            }),
        }
    }
    groups
}

fn ungroup(groups: &[Floors]) -> Result<Vec<Floor>, &'static str> {
    let mut floors: Vec<Floor> = Vec::new();
    for group in groups {
        floors.extend(group.roles.iter().map(|role| Floor {
            keys: group.keys,
            role: role.role.clone(),
            vendor: group.vendor.clone(),
            version: role.version,
        }));
    }
    floors.sort_by(|a, b| (&a.vendor, &a.role).cmp(&(&b.vendor, &b.role)));
    let twice = floors
        .array_windows::<2>()
        .any(|[a, b]| (&a.vendor, &a.role) == (&b.vendor, &b.role));
    // One spelling: what is grouped again must be what was there.
    if twice || group(&floors) != groups {
        return Err("floors are not grouped by vendor and key set, rising");
    }
    Ok(floors)
}

pub mod grouped {
    //! How a list of floors crosses JSON: `#[serde(with = "floor::grouped")]` on the field.

    use super::{Deserialize, Deserializer, Floor, Floors, Serialize, Serializer, group, ungroup};

    /// Writes floors by vendor and key set.
    pub fn serialize<S: Serializer>(floors: &[Floor], serializer: S) -> Result<S::Ok, S::Error> {
        group(floors).serialize(serializer)
    }

    /// Reads floors in the one order in which they are written.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Floor>, D::Error> {
        ungroup(&Vec::<Floors>::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(vendor: &str, role: &str, version: u64, keys: &str) -> Floor {
        Floor {
            keys: Sha256::of(keys.as_bytes()),
            role: role.to_owned(),
            vendor: vendor.parse().unwrap(),
            version,
        }
    }

    #[test]
    fn grouped_and_back() {
        let floors = vec![
            floor("acme", "root", 1, "a"),
            floor("stibo", "core", 7, "t"),
            floor("stibo", "restapi", 9, "t"),
            floor("stibo", "root", 3, "r"),
        ];
        let groups = group(&floors);
        assert_eq!(groups.len(), 3);
        assert_eq!(ungroup(&groups), Ok(floors));
    }

    #[test]
    fn one_spelling_alone() {
        let floors = [
            floor("stibo", "core", 7, "t"),
            floor("stibo", "root", 3, "r"),
        ];
        let mut swapped = group(&floors);
        swapped.reverse();
        assert!(ungroup(&swapped).is_err());
        let mut twice = group(&floors);
        let again = twice[0].roles.clone();
        twice[1].roles = again;
        assert!(ungroup(&twice).is_err());
        for text in [
            "", "root", "root 01", " 1", "root +1", "root 1 ", "ro\rot 1", "a b 1",
        ] {
            assert!(text.parse::<RoleFloor>().is_err(), "{text}");
        }
    }
}
