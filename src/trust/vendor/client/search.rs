//! Which role speaks for a path: delegations from the top, each before the ones after it, and
//! each checked by the role that one came through.
//!
//! | attack | defence |
//! |---|---|
//! | a role known through one delegator counts for another that trusts other keys | every edge is verified anew from the bytes; nothing verified is kept by role name |
//! | a delegation back to a role that was asked | each role once |
//! | a delegated role named like a top-level one | refused |
//! | a kind of delegation that is not read here | refused, not passed over |

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sigstore_tuf::{DelegatedRole, Key, Targets};

use super::{Artifact, ClientError, Roles, Wanted, signers, words};
use crate::trust::vendor::keys::TOP_LEVEL;

/// Most delegated roles that one search asks.
pub const ROLES_MAX: usize = 32;

/// A delegation that may lead to the path.
#[derive(Debug)]
struct Edge {
    role: DelegatedRole,
    keys: BTreeMap<String, Key>,
}

/// What a search comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The path is named.
    Found(Artifact),
    /// A delegated role is to be handed to [`Search::offer`], stored or fetched.
    Need(Wanted),
    /// No role that may speak for the path names it.
    Nobody,
}

/// A search under way.
#[derive(Debug)]
pub struct Search<'a> {
    roles: &'a Roles,
    path: &'a str,
    /// What the role asked last says.
    last: Option<Targets>,
    ahead: VecDeque<Edge>,
    asked: BTreeSet<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(roles: &'a Roles, path: &'a str) -> Self {
        Self {
            roles,
            path,
            last: Some(roles.targets.clone()),
            ahead: VecDeque::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Goes on to the next role that may speak for the path.
    pub fn step(&mut self) -> Result<Step, ClientError> {
        if let Some(targets) = self.last.take() {
            if let Some(file) = targets.target(self.path) {
                let consistent = self.roles.consistent();
                return Ok(Step::Found(Artifact::new(self.path, file, consistent)));
            }
            self.branch(&targets)?;
        }
        while let Some(edge) = self.ahead.front() {
            let name = &edge.role.name;
            if !self.asked.contains(name) {
                if self.asked.len() >= ROLES_MAX {
                    let what = format!("{ROLES_MAX} roles were asked, there are more");
                    return Err(ClientError::refused(self.path, what));
                }
                return self.roles.wanted(name).map(Step::Need);
            }
            self.ahead.pop_front();
        }
        Ok(Step::Nobody)
    }

    /// Hands in the role that was asked for last. Where it is refused, another copy may be offered.
    pub fn offer(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let nothing = || ClientError::refused(self.path, "no role was asked for");
        let edge = self.ahead.front().ok_or_else(nothing)?;
        let name = &edge.role.name;
        let targets = self.roles.read(name, bytes)?;
        signers::check(&targets, &edge.role.role_keys(), &edge.keys, name)?;
        self.asked.insert(name.clone());
        self.ahead.pop_front();
        self.last = Some(targets.into_signed());
        Ok(())
    }

    /// Puts the delegations of a role that match before those that are ahead; after a terminating
    /// one, nothing else is ahead.
    fn branch(&mut self, targets: &Targets) -> Result<(), ClientError> {
        let Some(delegations) = &targets.delegations else {
            return Ok(());
        };
        if delegations.extra.contains_key("succinct_roles") {
            let what = "a role delegates to succinct roles, which are not read here";
            return Err(ClientError::refused(self.path, what));
        }
        let mut edges = Vec::new();
        for role in &delegations.roles {
            let refuse = |what: String| ClientError::refused(&role.name, what);
            if TOP_LEVEL.contains(&role.name.as_str()) {
                return Err(refuse("it may not be a delegated role".to_owned()));
            }
            if !role
                .matches_path(self.path)
                .map_err(|e| refuse(words(&e)))?
            {
                continue;
            }
            edges.push(Edge {
                role: role.clone(),
                keys: delegations.keys.clone(),
            });
            if role.terminating {
                self.ahead.clear();
                break;
            }
        }
        for edge in edges.into_iter().rev() {
            self.ahead.push_front(edge);
        }
        Ok(())
    }
}
