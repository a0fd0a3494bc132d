//! The site file: whom an environment trusts, and by which rules. Trust enters through it alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::floor::Floor;
use super::statement::{RuleError, check_rising};
use super::wire::{at_most, string_serde};
use super::{Kind, Member, Name, Principal, PublicKey, RefusalName, Sha256, Statement, Time};

/// What the site owner signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Who may approve.
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub approvers: Vec<Signer>,
    /// When it was written.
    pub created: Time,
    /// The file format.
    pub format: u32,
    /// Always [`Kind::Site`].
    pub kind: Kind,
    /// The vendors' roots.
    pub members: Vec<Member>,
    /// What people call the site.
    pub name: Name,
    /// Who signs the next one.
    pub owner: Signer,
    /// The rules.
    pub policy: Policy,
    /// Who may choose what goes into a patch.
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub preparers: Vec<Signer>,
    /// Whose recipes may be installed, rising by name.
    #[serde(deserialize_with = "at_most::<256, _, _>")]
    pub vendors: Vec<Vendor>,
    /// Grows with each site file.
    pub version: u64,
}

/// A person and a key: one plain `allowed_signers` line, `PRINCIPAL ALGORITHM BASE64`.
///
/// No options, wildcards, certificate authorities or dates: what OpenSSH would understand beyond
/// this line is refused, so that both tools mean the same person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The person.
    pub principal: Principal,
    /// The key.
    pub key: PublicKey,
}

/// A text that is not a plain `allowed_signers` line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a plain allowed_signers line: PRINCIPAL ssh-ed25519 BASE64")]
pub struct SignerError(String);

impl FromStr for Signer {
    type Err = SignerError;

    fn from_str(text: &str) -> Result<Self, SignerError> {
        let error = || SignerError(text.chars().take(120).collect());
        let words: Vec<&str> = text.split(' ').collect();
        let [principal, algorithm, blob] = words.as_slice() else {
            return Err(error());
        };
        Ok(Self {
            principal: principal.parse().ok().ok_or_else(error)?,
            key: format!("{algorithm} {blob}")
                .parse()
                .ok()
                .ok_or_else(error)?,
        })
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.principal, self.key)
    }
}

string_serde!(Signer);

/// A vendor whose recipes may be installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// What the site calls it.
    pub name: Name,
    /// The beginnings of recipe paths that it may serve, in whole segments, such as
    /// `customer/acme`; empty for all.
    #[serde(deserialize_with = "at_most::<1_000, _, _>")]
    pub prefixes: Vec<String>,
    /// SHA-256 of the member `vendor/<name>/root.json`, a TUF root.
    pub root: Sha256,
    /// The version of the site file in which this root took the place of one that it does not follow:
    /// floors that were kept under an older site file do not count for this vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

impl Vendor {
    /// Whether the vendor may serve this recipe.
    #[must_use]
    pub fn serves(&self, path: &str) -> bool {
        self.prefixes.is_empty()
            || self.prefixes.iter().any(|prefix| {
                path.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            })
    }
}

/// What to do about something that policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Go on.
    Allow,
    /// Refuse.
    Refuse,
}

/// What to do about drift on a file that a patch touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftRule {
    /// Leave the file as it is.
    Keep,
    /// Put the new file in its place; the old one goes to the generation.
    Overwrite,
    /// Refuse the patch as a conflict.
    Refuse,
}

/// The rules of a site. Every field has a default; a policy file names those that differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Where approvals are asked for: the refusals that `--accept` may still lift.
    #[serde(deserialize_with = "at_most::<64, _, _>")]
    pub accept: Vec<RefusalName>,
    /// Days after which a snapshot is too old to prepare for and a patch too old to apply; without
    /// it, age is only warned of (after [`AGE_WARNING_DAYS`]).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub age_limit_days: Option<u64>,
    /// How many people must approve a patch.
    pub approvals: u64,
    /// Whether versions may be lowered and components removed.
    pub downgrade: Rule,
    /// What happens to drifted files that a patch touches.
    pub drift: DriftRule,
    /// Whether a node may take the digest of a file from its index where nothing about the file has
    /// changed since it was read, and sign that in a snapshot or rest a change on it; without it,
    /// every byte is read for that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub index: Option<Rule>,
    /// How many generations are kept for a rollback.
    pub keep_generations: u64,
    /// Days after `issued` for which the host takes vendor metadata whose snapshot or timestamp
    /// expired.
    pub metadata_age_days: u64,
    /// Whether nodes of one environment may differ.
    pub mixed_cluster: Rule,
    /// Days after `issued` from which the desk refuses a source as outdated; without it, only the
    /// metadata's own expiry counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_age_days: Option<u64>,
}

/// Age of a snapshot, in days, from which on it is warned of.
pub const AGE_WARNING_DAYS: u64 = 45;
/// Longest name of a vendor, in bytes: `vendor/<name>/<version>.<role>.json.zst` must fit in a
/// member name.
pub const VENDOR_NAME_MAX: usize = 24;
/// Most approvals a policy may ask for.
const APPROVALS_MAX: u64 = 16;

impl Default for Policy {
    fn default() -> Self {
        Self {
            accept: Vec::new(),
            age_limit_days: None,
            approvals: 0,
            downgrade: Rule::Refuse,
            drift: DriftRule::Refuse,
            index: None,
            keep_generations: 3,
            metadata_age_days: 90,
            mixed_cluster: Rule::Refuse,
            source_age_days: None,
        }
    }
}

impl Policy {
    /// Whether a signed statement may rest on a node's index.
    #[must_use]
    pub fn allows_index(&self) -> bool {
        self.index == Some(Rule::Allow)
    }

    /// Whether `--accept` may lift this refusal.
    #[must_use]
    pub fn may_accept(&self, name: RefusalName) -> bool {
        name.acceptable() && (self.approvals == 0 || self.accept.contains(&name))
    }
}

impl Site {
    /// The member name of a vendor's root.
    #[must_use]
    pub fn root_member(vendor: &Name) -> String {
        format!("vendor/{vendor}/root.json")
    }

    /// The floors among `floors` that count under this site file, where they were kept under the one of
    /// version `kept_under`: all, but those of a vendor whose root was replaced since.
    #[must_use]
    pub fn floors_since(&self, kept_under: u64, floors: &[Floor]) -> Vec<Floor> {
        let replaced = |floor: &Floor| {
            let vendor = self.vendor(&floor.vendor);
            vendor
                .and_then(|vendor| vendor.since)
                .is_some_and(|since| since > kept_under)
        };
        floors
            .iter()
            .filter(|floor| !replaced(floor))
            .cloned()
            .collect()
    }

    /// The vendor with this name.
    #[must_use]
    pub fn vendor(&self, name: &Name) -> Option<&Vendor> {
        self.vendors.iter().find(|vendor| &vendor.name == name)
    }
}

impl Statement for Site {
    const KIND: Kind = Kind::Site;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        check_rising("preparers", &self.preparers, ToString::to_string)?;
        check_rising("approvers", &self.approvers, ToString::to_string)?;
        check_rising("vendors", &self.vendors, |vendor| vendor.name.clone())?;
        for prefix in self.vendors.iter().flat_map(|vendor| &vendor.prefixes) {
            if prefix
                .split('/')
                .any(|segment| segment.parse::<Name>().is_err())
            {
                return Err(RuleError(format!(
                    "{prefix:?} is not the beginning of a recipe path"
                )));
            }
        }
        if let Some(long) = self
            .vendors
            .iter()
            .find(|v| v.name.as_str().len() > VENDOR_NAME_MAX)
        {
            return Err(RuleError(format!(
                "the vendor name {} is longer than {VENDOR_NAME_MAX}",
                long.name
            )));
        }
        if let Some(vendor) = self.vendors.iter().find(|vendor| {
            let since = vendor.since.unwrap_or(self.version);
            since == 0 || since > self.version
        }) {
            return Err(RuleError(format!(
                "the root of vendor {} was replaced in a site file that is still to come",
                vendor.name
            )));
        }
        if self.version == 0 {
            return Err(RuleError("site versions start at 1".to_owned()));
        }
        if self.policy.approvals > APPROVALS_MAX {
            return Err(RuleError(format!(
                "policy asks for more than {APPROVALS_MAX} approvals"
            )));
        }
        if self
            .preparers
            .iter()
            .chain([&self.owner])
            .any(|s| s.key.is_security_key())
        {
            return Err(RuleError(
                "only approvers may use a security key".to_owned(),
            ));
        }
        let roots: Vec<_> = self
            .vendors
            .iter()
            .map(|v| (Self::root_member(&v.name), v.root))
            .collect();
        let members: Vec<_> = self
            .members
            .iter()
            .map(|m| (m.name.clone(), m.sha256))
            .collect();
        if roots == members {
            Ok(())
        } else {
            Err(RuleError(
                "the members are not the vendors' roots".to_owned(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lines() {
        const KEY: &str =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let good = format!("anna@acme.example {KEY}");
        assert_eq!(good.parse::<Signer>().unwrap().to_string(), good);
        for bad in [
            format!("* {KEY}"),
            format!("a,b {KEY}"),
            format!("anna cert-authority {KEY}"),
            format!("anna namespaces=\"lockstep-patch\" {KEY}"),
            format!("anna valid-before=\"20300101\" {KEY}"),
            format!("anna {KEY} comment"),
            KEY.to_owned(),
        ] {
            assert!(bad.parse::<Signer>().is_err(), "{bad}");
        }
    }

    #[test]
    fn floors_fall_for_a_vendor_whose_root_was_replaced_since() {
        let floor = |vendor: &str| Floor {
            keys: Sha256::of(b""),
            role: "root".to_owned(),
            vendor: vendor.parse().unwrap(),
            version: 7,
        };
        let vendor = |name: &str, since| Vendor {
            name: name.parse().unwrap(),
            prefixes: Vec::new(),
            root: Sha256::of(b""),
            since,
        };
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let site = Site {
            approvers: Vec::new(),
            created: Time::EPOCH,
            format: 0,
            kind: Kind::Site,
            members: Vec::new(),
            name: "acme".parse().unwrap(),
            owner: format!("owner {key}").parse().unwrap(),
            policy: Policy::default(),
            preparers: Vec::new(),
            vendors: vec![vendor("other", None), vendor("stibo", Some(5))],
            version: 6,
        };
        let floors = [floor("gone"), floor("other"), floor("stibo")];
        for (kept_under, left) in [(1, 2), (4, 2), (5, 3), (6, 3), (7, 3)] {
            let counts = site.floors_since(kept_under, &floors);
            assert_eq!(counts.len(), left, "kept under {kept_under}");
            assert!(counts.iter().any(|f| f.vendor.as_str() == "other"));
        }
    }

    #[test]
    fn approvals_narrow_what_may_be_accepted() {
        let mut policy = Policy::default();
        assert!(policy.may_accept(RefusalName::TooOld));
        assert!(!policy.may_accept(RefusalName::BadSignature));
        policy.approvals = 2;
        assert!(!policy.may_accept(RefusalName::TooOld));
        policy.accept.push(RefusalName::TooOld);
        assert!(policy.may_accept(RefusalName::TooOld));
    }
}
