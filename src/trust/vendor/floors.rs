//! The ratchet: per vendor role the lowest version that is still accepted.
//!
//! Floors live in the node's protected state and move only at a commit, from a fully verified set.
//! They do not rest on cached metadata: a cache cut short by a power loss would start again at
//! version 1.
//!
//! | attack | defence |
//! |---|---|
//! | an old, once valid repository | a version below the floor is refused |
//! | a role counted up to the highest number by a stolen key, which bricks the node | a floor falls where a newer root (for a delegation: newer targets) changed that role's key set |
//! | two roots or targets of one version, to fake such a change | the one that brings the change must itself be newer than its floor |
//! | a stolen snapshot key that lists delegations at the highest number | their floors fall with a newer root that changed the keys of the snapshot |
//! | a role left out, to forget its floor | floors of roles no longer listed are kept |
//! | a snapshot that lists a hundred thousand roles, which would be kept for ever | a role that nobody delegates gets no floor |

use std::collections::BTreeMap;

use crate::model::snapshot::Floor;
use crate::model::{Name, Sha256};

use super::keys::{TOP_LEVEL, of_nobody};
use crate::trust::TrustError;

/// A role's version in a verified set.
pub(super) struct Offered {
    /// The role.
    pub(super) role: String,
    /// Its version, from the file itself or from the snapshot's list.
    pub(super) version: u64,
    /// Its key set; nothing where nobody delegates to it.
    pub(super) keys: Option<Sha256>,
}

/// Checks `offered` against the vendor's floors among `old`, and gives the vendor's new floors,
/// rising by role.
pub(super) fn ratchet(
    vendor: &Name,
    old: &[Floor],
    offered: &[Offered],
) -> Result<Vec<Floor>, TrustError> {
    let change = Change::between(vendor, old, offered);
    let mut floors: BTreeMap<&str, Floor> = change
        .floors
        .iter()
        .map(|(role, floor)| (*role, (*floor).clone()))
        .collect();
    for role in offered {
        let floor = change.floors.get(role.role.as_str());
        let known = match floor {
            // A snapshot may list what it likes; a role that nobody ever delegated needs no floor.
            None if role.keys.is_none() => continue,
            None => of_nobody(),
            Some(floor) => floor.keys,
        };
        if let Some(floor) = floor
            && role.version < floor.version
            && !change.resets(role)
        {
            return Err(TrustError::Rollback {
                vendor: vendor.clone(),
                role: role.role.clone(),
                offered: role.version,
                floor: floor.version,
            });
        }
        let floor = Floor {
            keys: role.keys.unwrap_or(known),
            role: role.role.clone(),
            vendor: vendor.clone(),
            version: role.version,
        };
        floors.insert(&role.role, floor);
    }
    Ok(floors.into_values().collect())
}

/// A vendor's floors beside what is offered, each by role.
struct Change<'a> {
    floors: BTreeMap<&'a str, &'a Floor>,
    offered: BTreeMap<&'a str, &'a Offered>,
}

impl<'a> Change<'a> {
    fn between(vendor: &Name, old: &'a [Floor], offered: &'a [Offered]) -> Self {
        let mut floors: BTreeMap<&str, &Floor> = BTreeMap::new();
        for floor in old.iter().filter(|floor| &floor.vendor == vendor) {
            let known = floors.entry(&floor.role).or_insert(floor);
            if floor.version > known.version {
                *known = floor;
            }
        }
        let offered = offered.iter().map(|role| (role.role.as_str(), role));
        Self {
            floors,
            offered: offered.collect(),
        }
    }

    fn both(&self, role: &str) -> Option<(&Floor, &Offered)> {
        Some((*self.floors.get(role)?, *self.offered.get(role)?))
    }

    fn is_newer(&self, role: &str) -> bool {
        self.both(role)
            .is_some_and(|(floor, offered)| offered.version > floor.version)
    }

    fn keys_changed(&self, role: &str) -> bool {
        self.both(role)
            .is_some_and(|(floor, offered)| offered.keys.is_some_and(|keys| keys != floor.keys))
    }

    /// Whether a newer root gave a top-level role other keys.
    fn renewed(&self, role: &str) -> bool {
        self.is_newer("root") && self.keys_changed(role)
    }

    /// Whether a verified change of keys lets the floor of `role` fall. The floor of a delegation
    /// rests on what the snapshot lists as well, so that new keys of the snapshot free it too.
    fn resets(&self, role: &Offered) -> bool {
        match role.role.as_str() {
            "root" => false,
            name if TOP_LEVEL.contains(&name) => self.renewed(name),
            name => {
                let targets_newer = self.renewed("targets") || self.is_newer("targets");
                targets_newer && self.keys_changed(name) || self.renewed("snapshot")
            }
        }
    }
}

/// All floors with those of one vendor replaced; rising by vendor and role.
#[must_use]
pub fn merge(old: &[Floor], vendor: &Name, new: &[Floor]) -> Vec<Floor> {
    let mut all: Vec<Floor> = old
        .iter()
        .filter(|floor| &floor.vendor != vendor)
        .chain(new)
        .cloned()
        .collect();
    all.sort_by(|a, b| (&a.vendor, &a.role).cmp(&(&b.vendor, &b.role)));
    all
}

/// Of several sets of floors that a node is known to have had, in each role the higher one. Where the
/// key set of a role differs (for a delegation: or that of the snapshot), the set with the newer root
/// (for a delegation: and newer targets) says which keys count, so that a floor that a verified change
/// let fall does not come back. Each set is believed in that: whoever takes one from outside says what falls
/// by it.
#[must_use]
pub fn highest(sets: &[&[Floor]]) -> Vec<Floor> {
    let mut all: Vec<Floor> = Vec::new();
    for floor in sets.iter().copied().flatten() {
        if all
            .iter()
            .any(|f| (&f.vendor, &f.role) == (&floor.vendor, &floor.role))
        {
            continue;
        }
        let (vendor, role) = (&floor.vendor, floor.role.as_str());
        let version = |set: &[Floor], role: &str| find(vendor, set, role).map(|f| f.version);
        let known = sets
            .iter()
            .filter_map(|set| Some((*set, find(vendor, set, role)?)));
        let newest = known.clone().max_by_key(|(set, floor)| {
            let targets = version(set, "targets").filter(|_| !TOP_LEVEL.contains(&role));
            (version(set, "root"), targets, floor.version)
        });
        // What frees a floor in [`Change::resets`] parts the sets here.
        let binding = |set: &[Floor], floor: &Floor| {
            let snapshot = find(vendor, set, "snapshot").filter(|_| !TOP_LEVEL.contains(&role));
            (floor.keys, snapshot.map(|snapshot| snapshot.keys))
        };
        let newest = newest.map(|(set, floor)| binding(set, floor));
        let of_keys = known.filter(|(set, floor)| Some(binding(set, floor)) == newest);
        let highest = of_keys.max_by_key(|(_, floor)| floor.version);
        all.extend(highest.map(|(_, floor)| floor.clone()));
    }
    all.sort_by(|a, b| (&a.vendor, &a.role).cmp(&(&b.vendor, &b.role)));
    all
}

fn find<'a>(vendor: &Name, old: &'a [Floor], role: &str) -> Option<&'a Floor> {
    old.iter()
        .filter(|floor| &floor.vendor == vendor && floor.role == role)
        .max_by_key(|floor| floor.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(versions: [(&str, u64, &str); 4]) -> Vec<Offered> {
        versions
            .into_iter()
            .map(|(role, version, keys)| Offered {
                role: role.to_owned(),
                version,
                keys: (!keys.is_empty()).then(|| Sha256::of(keys.as_bytes())),
            })
            .collect()
    }

    /// Floors after `first`, then `second` against them.
    fn then(
        first: [(&str, u64, &str); 4],
        second: [(&str, u64, &str); 4],
    ) -> Result<Vec<Floor>, TrustError> {
        let vendor: Name = "stibo".parse().unwrap();
        let floors = ratchet(&vendor, &[], &set(first)).unwrap();
        ratchet(&vendor, &floors, &set(second))
    }

    #[test]
    fn of_two_sets_the_higher_floor_but_for_keys_that_were_changed() {
        let vendor: Name = "stibo".parse().unwrap();
        let under = |snapshot: &str, root: u64, targets: u64, role: (&str, u64, &str)| {
            let snapshot = ("snapshot", 1, snapshot);
            let all = [
                ("root", root, "r"),
                ("targets", targets, "t"),
                snapshot,
                role,
            ];
            ratchet(&vendor, &[], &set(all)).unwrap()
        };
        let floors = |root, targets, role| under("s", root, targets, role);
        let version = |sets: &[&[Floor]], role: &str| {
            let all = highest(sets);
            let found = all.iter().find(|floor| floor.role == role).unwrap();
            (all.len(), found.version)
        };
        for (one, other, role, wanted) in [
            (
                under("s2", 3, 1, ("core", 7, "f")),
                under("s", 2, 1, ("core", 1 << 52, "f")),
                "core",
                7,
            ),
            (
                under("s2", 3, 1, ("timestamp", 7, "f")),
                under("s", 2, 1, ("timestamp", 9, "f")),
                "timestamp",
                9,
            ),
            (
                floors(1, 1, ("timestamp", 7, "a")),
                floors(1, 1, ("timestamp", 5, "a")),
                "timestamp",
                7,
            ),
            (
                floors(2, 1, ("timestamp", 5, "a")),
                floors(1, 1, ("timestamp", 7, "a")),
                "timestamp",
                7,
            ),
            (
                floors(2, 1, ("timestamp", 5, "b")),
                floors(1, 1, ("timestamp", 7, "a")),
                "timestamp",
                5,
            ),
            (
                floors(1, 2, ("timestamp", 5, "b")),
                floors(1, 1, ("timestamp", 7, "a")),
                "timestamp",
                7,
            ),
            (
                floors(1, 2, ("core", 5, "b")),
                floors(1, 1, ("core", 7, "a")),
                "core",
                5,
            ),
            (
                floors(1, 2, ("core", 5, "a")),
                floors(2, 1, ("core", 3, "a")),
                "root",
                2,
            ),
        ] {
            for sets in [[&one[..], &other[..]], [&other[..], &one[..]]] {
                assert_eq!(
                    version(&sets, role),
                    (4, wanted),
                    "{role} {one:?} {other:?}"
                );
            }
        }
        let core = floors(1, 1, ("core", 5, "a"));
        let timestamp = floors(1, 1, ("timestamp", 5, "a"));
        assert_eq!(
            highest(&[&core, &timestamp]).len(),
            5,
            "a role of either side stays"
        );
    }

    const START: [(&str, u64, &str); 4] = [
        ("root", 2, "r"),
        ("timestamp", 90, "t"),
        ("targets", 5, "g"),
        ("family", 7, "f"),
    ];

    #[test]
    fn the_same_and_newer_versions_pass() {
        assert!(then(START, START).is_ok());
        let mut newer = START;
        newer[1].1 = 91;
        let floors = then(START, newer).unwrap();
        assert!(
            floors
                .iter()
                .any(|f| f.role == "timestamp" && f.version == 91)
        );
    }

    #[test]
    fn each_role_below_its_floor_is_refused() {
        for index in 0..4 {
            let mut older = START;
            older[index].1 = 1;
            let error = then(START, older).unwrap_err();
            assert!(
                matches!(error, TrustError::Rollback { ref role, offered: 1, .. } if role == older[index].0)
            );
        }
    }

    #[test]
    fn a_newer_root_that_changed_the_keys_resets_the_role() {
        let mut rotated = START;
        rotated[0].1 = 3;
        rotated[1] = ("timestamp", 1, "t2");
        let floors = then(START, rotated).unwrap();
        assert!(
            floors
                .iter()
                .any(|f| f.role == "timestamp" && f.version == 1)
        );
    }

    #[test]
    fn changed_keys_without_a_newer_root_reset_nothing() {
        let mut faked = START;
        faked[1] = ("timestamp", 1, "t2");
        assert!(then(START, faked).is_err());
        faked[0] = ("root", 1, "r2");
        assert!(then(START, faked).is_err());
    }

    #[test]
    fn a_newer_root_alone_resets_nothing() {
        let mut newer = START;
        newer[0].1 = 3;
        newer[1].1 = 1;
        assert!(then(START, newer).is_err());
    }

    #[test]
    fn newer_targets_that_changed_the_keys_reset_a_delegation() {
        let mut rotated = START;
        rotated[3] = ("family", 1, "f2");
        assert!(then(START, rotated).is_err());
        rotated[2].1 = 6;
        assert!(then(START, rotated).is_ok());
    }

    #[test]
    fn a_role_left_out_keeps_its_floor() {
        let mut without = START;
        without[3] = ("another", 1, "f");
        let floors = then(START, without).unwrap();
        assert!(floors.iter().any(|f| f.role == "family" && f.version == 7));
    }

    #[test]
    fn a_role_that_nobody_delegates_keeps_its_keys_and_floor() {
        let mut revoked = START;
        revoked[2].1 = 6;
        revoked[3] = ("family", 6, "");
        assert!(then(START, revoked).is_err());
        revoked[3] = ("family", 8, "");
        let floors = then(START, revoked).unwrap();
        let family = floors.iter().find(|f| f.role == "family").unwrap();
        assert_eq!((family.version, family.keys), (8, Sha256::of(b"f")));
    }

    #[test]
    fn new_keys_of_the_snapshot_free_the_delegations_that_a_stolen_one_listed() {
        let four = |snapshot: &'static str, root: u64, family: u64| {
            [
                ("root", root, "r"),
                ("snapshot", 4, snapshot),
                ("targets", 5, "g"),
                ("family", family, "f"),
            ]
        };
        let stolen = four("s", 2, (1 << 53) - 1);
        assert!(then(stolen, four("s", 3, 7)).is_err(), "the same keys");
        assert!(then(stolen, four("s2", 2, 7)).is_err(), "no newer root");
        let floors = then(stolen, four("s2", 3, 7)).unwrap();
        assert!(floors.iter().any(|f| f.role == "family" && f.version == 7));
    }

    #[test]
    fn a_role_that_nobody_ever_delegated_gets_no_floor() {
        let mut offered = START;
        offered[3] = ("invented", 1 << 52, "");
        let floors = then(START, offered).unwrap();
        let roles: Vec<&str> = floors.iter().map(|f| f.role.as_str()).collect();
        assert_eq!(roles, ["family", "root", "targets", "timestamp"]);
    }

    #[test]
    fn merging_replaces_one_vendor() {
        let floor = |vendor: &str, version| Floor {
            keys: of_nobody(),
            role: "root".to_owned(),
            vendor: vendor.parse().unwrap(),
            version,
        };
        let merged = merge(
            &[floor("b", 1), floor("a", 1)],
            &"b".parse().unwrap(),
            &[floor("b", 2)],
        );
        assert_eq!(merged, [floor("a", 1), floor("b", 2)]);
    }
}
