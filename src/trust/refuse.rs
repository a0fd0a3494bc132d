//! What a person is told of a [`TrustError`]: both values, and what to do next.

use crate::model::Refusal;

use super::TrustError;
use super::error::{Act, Values};

impl TrustError {
    /// The values that a person compares, each with its label, the file's side first.
    fn values(&self) -> Values {
        match self {
            Self::Spr(_)
            | Self::Corrupt(_)
            | Self::Unsigned { .. }
            | Self::ManyPreparers(_)
            | Self::ShortFingerprint(_)
            | Self::Keep(_) => Vec::new(),
            Self::Signature { name, .. } => vec![("signature", name.clone())],
            Self::Misnamed { named, made_by, .. } => {
                vec![
                    ("named by", named.to_string()),
                    ("made by", made_by.to_string()),
                ]
            }
            Self::NodeSignatures { count, .. } => vec![
                ("signatures", count.to_string()),
                ("allowed", "1".to_owned()),
            ],
            Self::NoSnapshot { found } => vec![
                ("wanted", "snapshot.json and its signature".to_owned()),
                ("found", found.join(", ")),
            ],
            Self::Disagree {
                receipt, snapshot, ..
            } => vec![("receipt", receipt.clone()), ("snapshot", snapshot.clone())],
            Self::TwoSites {
                offered, in_force, ..
            } => versus(offered, in_force),
            Self::Untrusted { found, trusted, .. } => {
                let found = found.iter().map(|key| ("signed by", key.clone()));
                let nobody = trusted.is_empty().then(|| ("trusted", "nobody".to_owned()));
                let trusted = trusted.iter().map(|key| ("trusted", key.clone()));
                found.chain(trusted).chain(nobody).collect()
            }
            Self::Fingerprint { owner, wanted } => {
                vec![("owner", owner.clone()), ("you named", wanted.clone())]
            }
            Self::OtherSite { offered, in_force } => versus(offered, in_force),
            Self::OlderSite { offered, in_force }
            | Self::OutdatedSite { offered, in_force }
            | Self::NewerSite { offered, in_force } => versus(offered, in_force),
            Self::NotApproved {
                needed,
                have,
                passed_over,
            } => {
                let counts = [
                    ("approved by", listed_or(have, "nobody")),
                    ("needed", format!("{needed} besides the preparer")),
                ];
                let others = passed_over.iter().map(|line| ("not counted", line.clone()));
                counts.into_iter().chain(others).collect()
            }
            Self::OwnPatch { preparer, key } => {
                vec![("prepared by", preparer.clone()), ("your key", key.clone())]
            }
            Self::Vendor { values, .. } => values.clone(),
            Self::Beyond(beyond) => match &beyond.act {
                Act::Owns { path, granted } => vec![
                    ("owns", path.to_string()),
                    ("may own", listed_or(granted, "nothing")),
                ],
                Act::Replaces(component) => vec![("replaces", component.to_string())],
            },
            Self::Rollback { offered, floor, .. } => vec![
                ("version", offered.to_string()),
                ("accepted", format!("{floor} and later")),
            ],
            Self::Expired { expires, now, .. } => {
                vec![("expired", expires.to_string()), ("now", now.to_string())]
            }
            Self::Outdated { issued, now, .. } => {
                vec![("issued", issued.to_string()), ("now", now.to_string())]
            }
            Self::BaseMissing { recipe, base } => {
                vec![("recipe", recipe.to_string()), ("needs", base.to_string())]
            }
        }
    }

    /// The next thing to do.
    fn next(&self) -> &'static str {
        match self {
            Self::Spr(_) | Self::Corrupt(_) => {
                "copy the file again; if it stays so, ask whoever made it"
            }
            Self::Unsigned { .. }
            | Self::Signature { .. }
            | Self::Misnamed { .. }
            | Self::ManyPreparers(_) => "copy the file again from whoever signed it",
            Self::NodeSignatures { .. } => "copy the file again from the host",
            Self::NoSnapshot { .. } | Self::Disagree { .. } => {
                "ask for the receipt again: lockstep receipt --output FILE on the host"
            }
            Self::TwoSites { .. } => {
                "ask the site owner which one is right, and for a site file with a higher version"
            }
            Self::Untrusted { .. } => {
                "if the signer should be trusted, ask the site owner for a newer site file, then \
                 lockstep trust SITE.spr"
            }
            Self::Fingerprint { .. } => {
                "read the owner's fingerprint from a second source; if it is the one you named, \
                 this file is not the owner's"
            }
            Self::ShortFingerprint(_) => "type more of the fingerprint, as ssh-keygen -l prints it",
            Self::OtherSite { .. } => "name the site file of this environment's own site",
            Self::OlderSite { .. } => {
                "prepare the patch again with the newer site file (lockstep prepare --site \
                 SITE.spr)"
            }
            Self::OutdatedSite { .. } => {
                "the newer one stays in force; ask the site owner for the newest"
            }
            Self::NewerSite { .. } => "lockstep trust SITE.spr, then run the same command again",
            Self::NotApproved { .. } => {
                "lockstep approve PATCH.spr --key KEY, by somebody else, then lay the signature \
                 beside the patch"
            }
            Self::OwnPatch { .. } => {
                "somebody else approves it: lockstep approve PATCH.spr --key KEY, with their key"
            }
            Self::Vendor { .. } => {
                "fetch the vendor's metadata again and prepare anew; if it stays so, ask the vendor"
            }
            Self::Beyond(beyond) => match &beyond.act {
                Act::Owns { .. } => {
                    "tell the vendor: whoever holds the keys of this role publishes a version without \
                     the path, or the vendor grants it (lockstep publish delegate --install-path DIR); \
                     until then prepare without this recipe"
                }
                Act::Replaces(_) => {
                    "tell the vendor: whoever holds the keys of this role publishes a version without \
                     --replaces, or the vendor publishes it; until then prepare without this recipe"
                }
            },
            Self::Rollback { .. } => {
                "prepare again from a source that is up to date; an old copy of the repository was \
                 used"
            }
            Self::Expired { .. } => {
                "check the clock; if it is right: at the desk, prepare from a fresh source; on a host, \
                 apply ... --accept expired --reason TEXT"
            }
            Self::Outdated { .. } => "prepare again from a fresh source",
            Self::Keep(_) => "do what that refusal says",
            Self::BaseMissing { .. } => {
                "an auditor names it: lockstep verify ... --recipe RECIPE.spr (from the repository's \
                 targets/), or asks for a patch prepared with --whole"
            }
        }
    }
}

impl From<TrustError> for Refusal {
    fn from(error: TrustError) -> Self {
        let error = match error {
            TrustError::Keep(refusal) => return *refusal,
            other => other,
        };
        let start = Self::new(error.refusal(), error.to_string());
        error
            .values()
            .into_iter()
            .fold(start, |refusal, (label, value)| refusal.value(label, value))
            .next(error.next())
    }
}

fn versus(offered: &impl ToString, in_force: &impl ToString) -> Values {
    vec![
        ("offered", offered.to_string()),
        ("in force", in_force.to_string()),
    ]
}

fn listed_or(names: &[String], none: &str) -> String {
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, RefusalName, Time};

    #[test]
    fn a_refusal_shows_both_values_and_the_way_on() {
        let vendor: Name = "stibo".parse().unwrap();
        let cases: [(TrustError, RefusalName, [&str; 2]); 5] = [
            (
                TrustError::Rollback {
                    vendor: vendor.clone(),
                    role: "timestamp".to_owned(),
                    offered: 3,
                    floor: 5,
                },
                RefusalName::VendorUntrusted,
                ["3", "5 and later"],
            ),
            (
                TrustError::NotApproved {
                    needed: 2,
                    have: vec!["anna".to_owned()],
                    passed_over: Vec::new(),
                },
                RefusalName::NotApproved,
                ["anna", "2 besides"],
            ),
            (
                TrustError::OlderSite {
                    offered: 1,
                    in_force: 2,
                },
                RefusalName::UntrustedSigner,
                ["1", "2"],
            ),
            (
                TrustError::OutdatedSite {
                    offered: 1,
                    in_force: 2,
                },
                RefusalName::UntrustedSigner,
                ["1", "2"],
            ),
            (
                TrustError::Expired {
                    vendor,
                    role: "targets".to_owned(),
                    expires: Time::EPOCH,
                    now: Time::EPOCH.plus_days(365),
                },
                RefusalName::Expired,
                ["1970-01-01T00:00:00Z", "1971-01-01T00:00:00Z"],
            ),
        ];
        for (error, name, parts) in cases {
            let refusal = Refusal::from(error);
            assert_eq!(refusal.name, name);
            assert!(!refusal.next.is_empty());
            let values: Vec<&str> = refusal.values.iter().map(|(_, v)| v.as_str()).collect();
            for (value, part) in values.iter().zip(parts) {
                assert!(value.contains(part), "{value} / {part}");
            }
        }
    }
}
