//! `Claimed` and the way to `Verified`: whose patch this says it is, and whether that is so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::Node;
use super::Request;
use super::content::{PackList, PackReader};
use crate::disk::incoming::Incoming;
use crate::disk::{DiskError, beside};
use crate::model::patch::Patch;
use crate::model::{Name, Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::claim::{NodeFacts, check_claim, check_identity};
use crate::spr::{Opened, STATEMENT_MAX};
use crate::trust::approval::Offered;
use crate::trust::patch::{
    Approvals, Checklist, PatchContext, PatchParts, RecipeFiles, VerifiedPatch, verify,
};
use crate::trust::vendor::Expiry;
use crate::trust::verified::check_intact;

/// A patch file of which nothing but the statement was read, and nothing is believed.
pub(super) struct Claimed {
    path: PathBuf,
    opened: Opened<BufReader<File>>,
    patch: Patch,
}

impl Claimed {
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let file = File::open(path).map_err(DiskError::io("open", path))?;
        let opened =
            Opened::open(BufReader::with_capacity(128 * 1024, file)).map_err(|e| e.refuse(path))?;
        let patch: Patch = opened.decode().map_err(|e| e.refuse(path))?;
        Ok(Self {
            path: path.to_owned(),
            opened,
            patch,
        })
    }

    /// Made for this environment and node? Asked first, before any of the payload is read.
    pub(super) fn check_identity(&self, node: &Node) -> Result<(), Refusal> {
        let nodes: Vec<Name> = self.patch.nodes.iter().map(|n| n.name.clone()).collect();
        check_identity(
            &self.patch.environment,
            &nodes,
            node.environment(),
            node.name(),
        )
    }

    /// Applied already, or made for a snapshot that is closed? Asked of an intact statement alone, so
    /// that damage is not taken for age.
    pub(super) fn check_open(&self, facts: &NodeFacts<'_>) -> Result<(), Refusal> {
        check_intact::<Patch>(self.opened.raw())?;
        check_claim(&self.patch, self.opened.raw().sha256(), facts).map(drop)
    }

    /// Reads the head and verifies it: signatures, site, approvals, vendor chain, recipes. The file
    /// is left standing at its first pack.
    pub(super) fn verify(
        self,
        node: &Node,
        request: &Request,
        incoming: Option<&Incoming>,
        now: Time,
        watch: &dyn Watch,
    ) -> Result<(VerifiedPatch, PackReader), Refusal> {
        let Self {
            path,
            opened,
            patch,
        } = self;
        let refuse = |e: crate::spr::SprError| e.refuse(&path);
        // What the packs are copied by; the statement itself is decoded again once it is verified.
        let list = PackList::of(&patch);
        let is_pack = |member: &crate::model::Member| member.name.starts_with("packs/");
        let (raw, mut members) = opened.members(&patch.members, is_pack).map_err(refuse)?;
        drop(patch);
        let mut small = BTreeMap::new();
        let mut left = STATEMENT_MAX;
        while members
            .peek()
            .map_err(refuse)?
            .is_some_and(|member| !is_pack(member))
        {
            watch.go_on()?;
            let Some((member, bytes)) = members.next_in_memory(left).map_err(refuse)? else {
                break;
            };
            left = left.saturating_sub(member.size);
            small.insert(member.name, bytes);
        }
        let approvals = beside::all(&path, &request.approvals, watch)?;
        let context = PatchContext {
            site: node.site(),
            floors: &node.state().floors,
            approvals: Approvals::Offered(Offered {
                named: &approvals.named,
                found: &approvals.found,
            }),
            expiry: Expiry::Host {
                now,
                time_floor: node.state().time_floor,
                age_days: node.site().policy.metadata_age_days,
                accept_expired: request
                    .accepted
                    .iter()
                    .any(|a| a.name == RefusalName::Expired),
            },
            recipe_files: &Recipes {
                node,
                incoming,
                watch,
            },
        };
        let verified = verify(
            PatchParts {
                raw,
                members: small,
            },
            &context,
            &mut Checklist::default(),
        )?;
        Ok((verified, PackReader::new(path, list, members)))
    }
}

/// The node's recipes, and where new ones are kept: nowhere, when nothing is to be changed.
struct Recipes<'a> {
    node: &'a Node,
    incoming: Option<&'a Incoming>,
    watch: &'a dyn Watch,
}

impl RecipeFiles for Recipes<'_> {
    fn base(&self, recipe: &Sha256) -> Option<Vec<u8>> {
        self.node.recipe_file(recipe)
    }

    fn keep(&self, recipe: &Sha256, file: &[u8]) -> Result<(), Refusal> {
        self.watch.go_on()?;
        match self.incoming {
            Some(incoming) => Ok(incoming.keep(recipe, file)?),
            None => Ok(()),
        }
    }
}
