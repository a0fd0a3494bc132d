//! The state digest: one SHA-256 for what is installed and how it drifted.

use serde::{Deserialize, Serialize};

use super::digest::Sha256Hasher;
use super::snapshot::{Challenge, Drift, Installed};
use super::{Sha256, Time};

/// Most challenges that may be open at a time; the oldest is closed first.
pub const CHALLENGES_MAX: usize = 64;

/// A challenge that a patch may still answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenChallenge {
    /// The challenge.
    pub challenge: Challenge,
    /// When it was opened, by the host's clock.
    pub created: Time,
    /// The sequence number of its snapshot.
    pub sequence: u64,
    /// SHA-256 of its snapshot's statement.
    pub snapshot: Sha256,
    /// The state digest that its snapshot states.
    pub state: Sha256,
}

/// The digest of `components` (rising by name) and `drift` (rising by path).
///
/// SHA-256 over lines of text, each ended by a line feed, so that it can be computed by hand:
/// `component RECIPE-SHA256 VENDOR PATH` for each component, as a snapshot lists it (` release`
/// behind a release), then `drift FOUND PATH` for each path, where FOUND is `absent`,
/// `file BLAKE3 x`, `file BLAKE3 -`, `folder`, `link BLAKE3` or `other`. A path holds no control
/// character, so a line is a line.
#[must_use]
pub fn state_digest(components: &[Installed], drift: &[Drift]) -> Sha256 {
    let mut hasher = Sha256Hasher::default();
    for c in components {
        hasher.update(format!("component {c}\n").as_bytes());
    }
    for d in drift {
        hasher.update(format!("drift {} {}\n", d.found, d.path.as_str()).as_bytes());
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Found;

    #[test]
    fn by_hand() {
        assert_eq!(state_digest(&[], &[]), Sha256::of(b""));
        let path = "restapi/7.0/restapi-7.0.40.spr".parse().unwrap();
        let installed = Installed::new("stibo".parse().unwrap(), path, Sha256::of(b"r"), false);
        let drift = Drift {
            found: Found::Absent,
            path: "lib/a b".parse().unwrap(),
        };
        let text = format!(
            "component {} stibo restapi/7.0/restapi-7.0.40.spr\ndrift absent lib/a b\n",
            Sha256::of(b"r")
        );
        assert_eq!(
            state_digest(&[installed], &[drift]),
            Sha256::of(text.as_bytes())
        );
    }
}
