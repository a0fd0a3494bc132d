//! `Claimed` and the way to `Verified`: whose patch this says it is, whether all of it is there, and
//! whether what it says is so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::super::Node;
use super::content::{PackList, PackReader};
use super::{Request, typed};
use crate::disk::incoming::Incoming;
use crate::disk::volumes::{OpenVolume, Volumes};
use crate::disk::{beside, durable};
use crate::model::patch::Patch;
use crate::model::{Name, Refusal, RefusalName, Sha256, Time, Watch};
use crate::plan::claim::{NodeFacts, check_claim, check_identity};
use crate::spr::{Opened, RawStatement, Small};
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
    /// The files of the patch, as far as they are known.
    volumes: Option<Volumes>,
}

impl Claimed {
    pub(super) fn open(path: &Path) -> Result<Self, Refusal> {
        let file = durable::open_plain(path)?;
        let opened = Opened::open(BufReader::with_capacity(128 * 1024, file));
        Self::of(path, opened.map_err(|e| e.refuse(path))?, None)
    }

    /// One of several files, all of which are known. What lies there now must be of the patch that they
    /// are of, byte for byte: they are judged by what it says.
    pub(super) fn among(path: &Path, volumes: Volumes) -> Result<Self, Refusal> {
        let opened = volumes.statement(path)?;
        Self::of(path, opened, Some(volumes))
    }

    fn of(
        path: &Path,
        opened: Opened<BufReader<File>>,
        volumes: Option<Volumes>,
    ) -> Result<Self, Refusal> {
        let patch: Patch = opened.decode().map_err(|e| e.refuse(path))?;
        Ok(Self {
            path: path.to_owned(),
            opened,
            patch,
            volumes,
        })
    }

    /// The files that are known, to be typed again.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match &self.volumes {
            None => vec![self.path.clone()],
            Some(volumes) => volumes.firsts().map(|(_, file)| file.to_owned()).collect(),
        }
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

    /// All files of the patch: those that are known, else those that lie beside this one. They are found
    /// by what is in them, and each is said.
    pub(super) fn whole(self, dry_run: bool, watch: &dyn Watch) -> Result<Whole, Refusal> {
        let Self {
            path,
            opened,
            patch,
            volumes,
        } = self;
        let known = volumes.is_some();
        let mut volumes = volumes.unwrap_or_else(|| Volumes::of(opened.raw(), &patch));
        if volumes.count() == 1 && !known {
            // It is what it is; what is not there shows when it is read.
            volumes.put(0, &path, false);
        } else if !known {
            volumes.take(&path)?;
            volumes.look_beside(watch)?;
        }
        let line = typed(&[path.clone(), PathBuf::from("DIR")], dry_run);
        volumes.check(&format!("lockstep {line}"))?;
        if volumes.count() > 1 || known {
            for (index, file) in volumes.firsts() {
                watch.say(&volumes.taken(index, file));
            }
        }
        Ok(Whole {
            path,
            opened,
            patch,
            volumes,
        })
    }
}

/// A patch of which there is a file for each volume; nothing behind the statement was read yet.
pub(super) struct Whole {
    path: PathBuf,
    opened: Opened<BufReader<File>>,
    patch: Patch,
    volumes: Volumes,
}

/// What stands before the packs, and a file that stands at its first one.
struct Head {
    raw: RawStatement,
    members: BTreeMap<String, Vec<u8>>,
    standing: OpenVolume,
}

impl Whole {
    /// Reads the head and verifies it: signatures, site, approvals, vendor chain, recipes. A file is
    /// left standing at its first pack.
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
            volumes,
        } = self;
        let (index, head) = intact_head(&path, opened, &patch, &volumes, watch)?;
        drop(patch);
        let files: Vec<&Path> = std::iter::once(path.as_path())
            .chain(volumes.every().map(|(_, file)| file))
            .collect();
        let approvals = beside::all(&files, &request.approvals, watch)?;
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
        let Head {
            raw,
            members,
            standing,
        } = head;
        let parts = PatchParts { raw, members };
        let verified = verify(parts, &context, &mut Checklist::default())?;
        let packs = PackReader::new(PackList::of(&verified), volumes, (index, standing));
        Ok((verified, packs))
    }
}

/// The head, from the file that was opened; where that one is damaged, from another of the same volume.
/// Where there is no other, that volume cannot be read, whatever the others repeat of it.
fn intact_head(
    path: &Path,
    opened: Opened<BufReader<File>>,
    patch: &Patch,
    volumes: &Volumes,
    watch: &dyn Watch,
) -> Result<(usize, Head), Refusal> {
    let own = volumes.every().find(|(_, file)| *file == path);
    let own = own.map_or(0, |(index, _)| index);
    let mut failed = match read_head(path, opened, patch, watch) {
        Ok(head) => return Ok((own, head)),
        Err(refusal) => refusal,
    };
    let mut bad = path;
    let files = volumes.files(own).iter().map(PathBuf::as_path);
    for file in files.filter(|file| *file != path) {
        watch.go_on()?;
        watch.warn(&Volumes::instead(bad, &failed, file));
        let head = volumes
            .statement(file)
            .and_then(|opened| read_head(file, opened, patch, watch));
        match head {
            Ok(head) => return Ok((own, head)),
            Err(refusal) => (failed, bad) = (refusal, file),
        }
    }
    Err(failed)
}

fn read_head(
    path: &Path,
    opened: Opened<BufReader<File>>,
    patch: &Patch,
    watch: &dyn Watch,
) -> Result<Head, Refusal> {
    let refuse = |e: crate::spr::SprError| e.refuse(path);
    let (raw, mut members) = opened
        .members(&patch.members, Patch::is_pack)
        .map_err(refuse)?;
    let mut small = Small::default();
    while members
        .peek()
        .map_err(refuse)?
        .is_some_and(|member| !Patch::is_pack(member))
    {
        watch.go_on()?;
        small.take_next(&mut members).map_err(refuse)?;
    }
    Ok(Head {
        raw,
        members: small.into_members(),
        standing: OpenVolume::standing(path, members),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::spr::{RawSignature, encode_small};

    const PATCH: &[u8] = include_bytes!("../../../fixtures/golden/patch-whole.spr");
    const OTHER: &[u8] = include_bytes!("../../../fixtures/golden/patch-first.spr");

    /// A look at a file, and its use, with another file put in its place in between.
    #[test]
    fn a_file_swapped_between_look_and_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.patch.spr");
        let opened = Opened::open(PATCH).unwrap();
        let patch: Patch = opened.decode().unwrap();
        let raw = opened.into_raw();
        let use_of = |file: &[u8]| {
            let mut volumes = Volumes::of(&raw, &patch);
            volumes.put(0, &path, false);
            durable::write(&path, file, 0o644).unwrap();
            Claimed::among(&path, volumes).map(|claimed| claimed.opened.raw().sha256())
        };
        assert_eq!(use_of(PATCH).unwrap(), raw.sha256());
        let refusal = use_of(OTHER).unwrap_err();
        assert_eq!(
            (refusal.name, refusal.what.as_str()),
            (RefusalName::Corrupt, "the file is of another patch")
        );
        // The same statement, and a signature of somebody else.
        let other: RawSignature = Opened::open(OTHER).unwrap().into_raw().signatures[0].clone();
        let signed = encode_small(Kind::Patch, &raw.bytes, &[other], &[]).unwrap();
        let refusal = use_of(&signed).unwrap_err();
        assert_eq!(refusal.name, RefusalName::Corrupt);
        assert!(refusal.what.contains("signatures"), "{}", refusal.what);
    }
}
