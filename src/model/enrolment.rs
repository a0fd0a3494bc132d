//! The enrolment file: what a desk knows of a node, signed by a preparer.
//!
//! It is the outside memory of an environment: `rehome --restored` takes the floors in it, so that
//! a restored backup cannot be walked back.

use serde::{Deserialize, Serialize};

use super::snapshot::{EnvironmentId, Floor, NodeId, SiteRef};
use super::statement::RuleError;
use super::{Kind, Member, Sha256, Statement, Time, floor};

/// What a desk says of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// When it was written, by the desk's clock.
    pub created: Time,
    /// Which environment.
    pub environment: EnvironmentId,
    /// The floors that the node last stated.
    #[serde(with = "floor::grouped")]
    pub floors: Vec<Floor>,
    /// The file format.
    pub format: u32,
    /// Always [`Kind::Enrolment`].
    pub kind: Kind,
    /// Always empty.
    pub members: Vec<Member>,
    /// Which node.
    pub node: NodeId,
    /// SHA-256 of the last receipt that the desk knows of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Sha256>,
    /// The greatest sequence number that the desk knows of.
    pub sequence: u64,
    /// The site file that the node last stated.
    pub site: SiteRef,
}

impl Statement for Enrolment {
    const KIND: Kind = Kind::Enrolment;

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn check(&self) -> Result<(), RuleError> {
        if self.members.is_empty() {
            Ok(())
        } else {
            Err(RuleError("an enrolment has no members".to_owned()))
        }
    }
}
