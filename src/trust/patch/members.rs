//! The members of a patch, each compared with the signed list, then handed out once.
//!
//! Attack: a hundred thousand packs, so that looking for each member among them takes minutes.
//! Defence: every list is gone through once.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::patch::Patch;
use crate::model::{Member, Statement as _};

use crate::trust::TrustError;

/// Members that the statement lists; what nobody takes is left over, and refused.
pub(super) struct Parts(BTreeMap<String, Vec<u8>>);

impl Parts {
    /// Compares `members` with the statement: all but packs, and none besides.
    pub(super) fn of(
        patch: &Patch,
        members: BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, TrustError> {
        let packs: BTreeSet<&str> = patch
            .packs
            .iter()
            .map(|pack| pack.member.as_str())
            .collect();
        let mut listed: BTreeMap<&str, &Member> = patch
            .members()
            .iter()
            .map(|member| (member.name.as_str(), member))
            .filter(|(name, _)| !packs.contains(name))
            .collect();
        for (name, bytes) in &members {
            let expected = listed.remove(name.as_str());
            if expected != Some(&Member::of(name.as_str(), bytes)) {
                return Err(TrustError::corrupt(format!(
                    "{name} is not as patch.json lists it"
                )));
            }
        }
        match listed.pop_first() {
            None => Ok(Self(members)),
            Some((name, _)) => Err(TrustError::corrupt(format!("{name} is missing"))),
        }
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }

    /// Takes a member out that must be there.
    pub(super) fn need(&mut self, name: &str) -> Result<Vec<u8>, TrustError> {
        self.take(name)
            .ok_or_else(|| TrustError::corrupt(format!("{name} is missing")))
    }

    /// Takes all members out that `read` finds something in the name of.
    pub(super) fn take_named<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Vec<(T, Vec<u8>)> {
        let names: Vec<String> = self.0.keys().cloned().collect();
        names
            .into_iter()
            .filter_map(|name| Some((read(&name)?, self.0.remove(&name)?)))
            .collect()
    }

    /// Nothing may be left that nobody took.
    pub(super) fn finish(mut self) -> Result<(), TrustError> {
        match self.0.pop_first() {
            None => Ok(()),
            Some((name, _)) => Err(TrustError::corrupt(format!(
                "{name} has no place in a patch"
            ))),
        }
    }
}
