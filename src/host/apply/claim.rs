//! `Claimed` and the way to `Verified`: whose patch this says it is, and whether that is so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::Node;
use super::Request;
use super::content::{PackList, PackReader};
use crate::disk::incoming::Incoming;
use crate::disk::{DiskError, durable};
use crate::model::patch::Patch;
use crate::model::site::Site;
use crate::model::statement::APPROVAL_NAMESPACE;
use crate::model::{Name, Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::claim::{NodeFacts, check_claim, check_identity};
use crate::spr::{Opened, SIGNATURE_MAX, STATEMENT_MAX};
use crate::trust::patch::{
    Approvals, Checklist, PatchContext, PatchParts, RecipeFiles, VerifiedPatch, verify,
};
use crate::trust::sshsig;
use crate::trust::vendor::Expiry;
use crate::trust::verified::check_intact;

/// Most detached approvals that are looked at.
const APPROVALS_MAX: usize = 32;

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
        let approvals = approvals(&path, &raw.bytes, node.site(), &request.approvals, watch)?;
        let context = PatchContext {
            site: node.site(),
            floors: &node.state().floors,
            approvals: Approvals::Given(&approvals),
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

/// The approvals named, and those that lie beside the patch: `NAME.<key>.sig`. A named one must be
/// good; a found one that is not (of yesterday's patch, of a stranger) is passed over.
fn approvals(
    patch: &Path,
    statement: &[u8],
    site: &Site,
    named: &[PathBuf],
    watch: &dyn Watch,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut approvals = named
        .iter()
        .map(|path| Ok(durable::read(path, SIGNATURE_MAX)?))
        .collect::<Result<Vec<_>, Refusal>>()?;
    for path in beside(patch)
        .into_iter()
        .filter(|path| !named.contains(path))
    {
        let good = durable::read(&path, SIGNATURE_MAX).ok().filter(|armoured| {
            sshsig::verify(armoured, APPROVAL_NAMESPACE, statement)
                .is_ok_and(|key| site.approvers.iter().any(|approver| approver.key == key))
        });
        match good {
            Some(armoured) if !approvals.contains(&armoured) => approvals.push(armoured),
            Some(_) => {}
            None => watch.warn(&format!("{} does not approve this patch", path.display())),
        }
    }
    Ok(approvals)
}

/// Files beside the patch that are named like approvals of it; a folder that cannot be listed holds
/// none.
fn beside(patch: &Path) -> Vec<PathBuf> {
    let name = patch
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let stem = [".patch.spr", ".spr"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    let folder = match patch.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name
                .strip_prefix(stem)
                .and_then(|rest| rest.strip_prefix('.'));
            let key = rest.and_then(|rest| rest.strip_suffix(".sig"));
            key.is_some_and(|key| key.parse::<Sha256>().is_ok())
        })
        .map(|entry| entry.path())
        .take(APPROVALS_MAX)
        .collect();
    found.sort();
    found
}
