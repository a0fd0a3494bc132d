//! Expiry, judged here and not by the TUF library, because desk and host judge differently.
//!
//! The desk enforces all of it. The host, which nobody brings fresh metadata every day, enforces
//! root, targets and delegations; for timestamp and snapshot it enforces versions (the ratchet) and
//! only warns of their expiry, up to policy's limit after `issued`.
//!
//! | attack | defence |
//! |---|---|
//! | a host clock set back, to make old metadata fresh | the time floor: the greatest `issued` that a vendor signed and a commit accepted |
//! | a host clock far ahead, which refuses everything | `--accept expired`, recorded; no clock is ever stored as a floor |
//! | a timestamp key that dates itself years ahead, to push the time floor there | it is then as late as it says: what has expired by its own date is expired, so that the floor passes no expiry of root or targets |

use crate::model::site::Policy;
use crate::model::{Name, RefusalName, Time};

use crate::trust::TrustError;

/// By whose rules, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At `prepare`: everything is enforced.
    Desk {
        /// The desk's clock.
        now: Time,
        /// Policy's limit for the age of a source, in days after `issued`.
        source_age_days: Option<u64>,
    },
    /// At `apply`, and for an auditor who does as the host does.
    Host {
        /// The host's clock.
        now: Time,
        /// The greatest `issued` that a commit accepted.
        time_floor: Time,
        /// Policy's limit for an expired timestamp or snapshot, in days after `issued`.
        age_days: u64,
        /// Whether `--accept expired` was given: expiry is warned of and no more.
        accept_expired: bool,
    },
}

impl Expiry {
    /// The same under the policy of the site file in force, whose limits count.
    #[must_use]
    pub fn under(self, policy: &Policy) -> Self {
        match self {
            Self::Desk { now, .. } => Self::Desk {
                now,
                source_age_days: policy.source_age_days,
            },
            Self::Host {
                now,
                time_floor,
                accept_expired,
                ..
            } => Self::Host {
                now,
                time_floor,
                age_days: policy.metadata_age_days,
                accept_expired: accept_expired && policy.may_accept(RefusalName::Expired),
            },
        }
    }

    /// The clock, or the time floor where that is later.
    fn floored_now(self) -> Time {
        match self {
            Self::Desk { now, .. } => now,
            Self::Host {
                now, time_floor, ..
            } => now.max(time_floor),
        }
    }

    fn accepts(self) -> bool {
        matches!(
            self,
            Self::Host {
                accept_expired: true,
                ..
            }
        )
    }
}

/// Judges the roles of one vendor and gathers what is only warned of.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    vendor: Name,
    expiry: Expiry,
    issued: Time,
}

impl Judge {
    pub(super) fn new(vendor: &Name, expiry: Expiry, issued: Time) -> Self {
        Self {
            vendor: vendor.clone(),
            expiry,
            issued,
        }
    }

    /// It is at least as late as the vendor signed that it was.
    fn now(&self) -> Time {
        self.expiry.floored_now().max(self.issued)
    }

    /// A role that may not have expired: root, targets, delegations. Gives the warning, if any.
    pub(super) fn firm(&self, role: &str, expires: Time) -> Result<Option<String>, TrustError> {
        let now = self.now();
        if now < expires {
            return Ok(None);
        }
        self.lifted(TrustError::Expired {
            vendor: self.vendor.clone(),
            role: role.to_owned(),
            expires,
            now,
        })
    }

    /// Timestamp or snapshot: firm on the desk, up to policy's limit only warned of on the host.
    pub(super) fn soft(&self, role: &str, expires: Time) -> Result<Option<String>, TrustError> {
        let now = self.now();
        match self.expiry {
            Expiry::Desk { .. } => self.firm(role, expires),
            Expiry::Host { .. } if now < expires => Ok(None),
            Expiry::Host { age_days, .. } if now <= self.issued.plus_days(signed(age_days)) => {
                Ok(Some(format!(
                    "the {role} metadata of vendor {} expired on {}; it is taken until {}",
                    self.vendor,
                    expires.date(),
                    self.issued.plus_days(signed(age_days)).date()
                )))
            }
            Expiry::Host { age_days, .. } => self.lifted(self.outdated(age_days)),
        }
    }

    /// The age of a source, where policy limits it.
    pub(super) fn age(&self) -> Result<(), TrustError> {
        match self.expiry {
            // What a commit accepts becomes the host's time floor; a build server's clock that runs
            // years ahead would lock every later release out.
            Expiry::Desk { now, .. } if self.issued > now.plus_days(1) => Err(TrustError::Vendor {
                vendor: self.vendor.clone(),
                what: "it was issued in the future".to_owned(),
                values: vec![
                    ("issued", self.issued.to_string()),
                    ("here it is", now.to_string()),
                ],
            }),
            Expiry::Desk {
                now,
                source_age_days: Some(days),
            } if now > self.issued.plus_days(signed(days)) => Err(self.outdated(days)),
            _ => Ok(()),
        }
    }

    fn outdated(&self, days: u64) -> TrustError {
        TrustError::Outdated {
            vendor: self.vendor.clone(),
            issued: self.issued,
            now: self.now(),
            days,
        }
    }

    fn lifted(&self, error: TrustError) -> Result<Option<String>, TrustError> {
        if self.expiry.accepts() {
            Ok(Some(format!("accepted although expired: {error}")))
        } else {
            Err(error)
        }
    }
}

fn signed(days: u64) -> i64 {
    i64::try_from(days).unwrap_or(i64::MAX)
}
