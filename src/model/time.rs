//! A moment, to the second, in UTC: `2026-11-24T01:48:10Z`.
//!
//! Safety never rests on these values; they add warnings and policy. Nothing here reads a clock:
//! the moment called "now" is read once at the edge and handed down.

use std::fmt;
use std::str::FromStr;

use super::wire::string_serde;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// A text that is not a moment in the one form used here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a time of the form 2026-11-24T01:48:10Z")]
pub struct TimeError(String);

/// A moment in UTC with a resolution of one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// 1970-01-01T00:00:00Z: before everything that was ever signed.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The moment `seconds` after 1970-01-01T00:00:00Z; out of range is clamped to the years 1970
    /// and 9999.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(jiff::Timestamp::from_second(seconds.max(0)).unwrap_or(jiff::Timestamp::MAX))
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }

    /// The moment `days` later (earlier when negative).
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        Self::from_unix(self.unix().saturating_add(days.saturating_mul(DAY)))
    }

    /// Whole days from `earlier` to this moment; 0 when it is not earlier.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> u64 {
        let seconds = self.unix().saturating_sub(earlier.unix()).max(0);
        u64::try_from(seconds.checked_div(DAY).unwrap_or(0)).unwrap_or(0)
    }

    /// The day alone: `2026-11-24`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError(text.chars().take(40).collect());
        let stamp: jiff::Timestamp = text.parse().ok().ok_or_else(error)?;
        let time = Self::from_unix(stamp.as_second());
        // One spelling for one moment: what does not print as it was written is refused.
        if time.to_string() == text {
            Ok(time)
        } else {
            Err(error())
        }
    }
}

string_serde!(Time);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling() {
        let time: Time = "2026-11-24T01:48:10Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-24T01:48:10Z");
        assert_eq!(time.date(), "2026-11-24");
        for bad in [
            "2026-11-24",
            "2026-11-24T01:48:10.5Z",
            "2026-11-24T01:48:10+00:00",
            "",
        ] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
    }

    #[test]
    fn days() {
        let time = Time::from_unix(1_000_000);
        assert_eq!(time.plus_days(45).days_since(time), 45);
        assert_eq!(time.days_since(time.plus_days(1)), 0);
    }
}
