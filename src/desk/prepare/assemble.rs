//! The files: members in their order, the statement over them, the signature; and their names, once all
//! of them were read back.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::hashed::Hashed;
use super::nodes::Nodes;
use super::outcome::MadeFile;
use super::packs::{MadePack, Stream};
use super::sign::Preparer;
use super::vendors::Vendors;
use super::volumes;
use super::workshop::{Workshop, head_name};
use crate::disk::durable::Draft;
use crate::disk::{durable, folder, handout};
use crate::model::operation::{OPERATIONS_MAX, Tally};
use crate::model::patch::{Accepted, CarriedRecipe, CarriedVendor, Downgrade, Patch, PatchNode};
use crate::model::snapshot::{Drift, Installed};
use crate::model::state::state_digest;
use crate::model::statement::FORMAT;
use crate::model::{Kind, Member, Refusal, RefusalName, Sha256, Time, Watch};
use crate::spr::{HEAD_MAX, MemberBytes, RawSignature, SprError, SprWriter, Told};
use crate::trust::TrustedSite;
use crate::trust::patch::RECIPES_MAX;

/// All that goes into the file.
pub(super) struct Parts<'a> {
    pub(super) nodes: &'a Nodes,
    pub(super) site: &'a TrustedSite,
    pub(super) vendors: &'a Vendors<'a>,
    pub(super) installed: &'a [Installed],
    pub(super) target: &'a [Installed],
    pub(super) downgrades: &'a [Downgrade],
    pub(super) drift: &'a [Vec<Drift>],
    pub(super) accepted: &'a [Accepted],
    /// Whether what is there already is registered, with that drift, and nothing is changed.
    pub(super) adopts: bool,
    /// Whether recipes travel whole, and not against those that are installed.
    pub(super) whole: bool,
    pub(super) stream: Stream,
    /// Bytes that a file may have, where it goes into several.
    pub(super) volume_size: Option<u64>,
    pub(super) now: Time,
}

/// The files that were made.
pub(super) struct Made {
    /// The patch, or its volumes in order.
    pub(super) files: Vec<MadeFile>,
    pub(super) head: MadeFile,
    pub(super) patch: Sha256,
    pub(super) apply_before: Time,
    pub(super) warnings: Vec<String>,
}

impl Made {
    /// The patch file, or the first volume.
    pub(super) fn file(&self) -> &Path {
        self.files
            .first()
            .map_or(&self.head.path, |file| &file.path)
    }
}

/// The files, complete and verified, and not yet under their names.
pub(super) struct Drafted {
    pub(super) made: Made,
    files: Vec<Draft>,
    head: Draft,
}

impl Drafted {
    /// Gives patch and head their names, or none of them. All are durable before the first one has its
    /// name, and the first volume has it last: where that is, everything is.
    pub(super) fn commit(self) -> Result<Made, NotOut> {
        let mut named = Vec::new();
        self.give_names(&mut named).map_err(|why| {
            let removed = |path: &PathBuf| {
                folder::remove_file(path).is_ok() || path.symlink_metadata().is_err()
            };
            // Each is tried, whatever became of the one before.
            let left: Vec<&PathBuf> = named.iter().filter(|path| !removed(path)).collect();
            NotOut {
                nothing_left: left.is_empty(),
                why: left
                    .into_iter()
                    .fold(why, |why, path| why.value("still there", path.display())),
            }
        })
    }

    fn give_names(self, named: &mut Vec<PathBuf>) -> Result<Made, Refusal> {
        let Self { made, files, head } = self;
        let all = made.files.iter().chain([&made.head]);
        // Somebody may have taken them since they were asked for.
        all.clone()
            .try_for_each(|file| handout::check_free(&file.path))?;
        for draft in files.iter().chain([&head]) {
            draft.settle()?;
        }
        let paths = all.map(|file| file.path.as_path()).rev();
        let drafts = std::iter::once(head).chain(files.into_iter().rev());
        for (path, draft) in paths.zip(drafts) {
            draft.name_new()?;
            // From here on it has to be taken back.
            named.push(path.to_owned());
            durable::sync_parent(path)?;
        }
        Ok(made)
    }
}

/// Why the files did not get their names.
pub(super) struct NotOut {
    pub(super) why: Refusal,
    /// Whether none of them has one.
    pub(super) nothing_left: bool,
}

/// What the statement says of members that are no packs.
struct Carried {
    operations: Option<Tally>,
    recipes: Vec<CarriedRecipe>,
    vendors: Vec<CarriedVendor>,
}

impl Carried {
    /// Whether a host would take so much: it is asked before anything is signed.
    fn check(&self, small: &[MemberBytes]) -> Result<(), Refusal> {
        let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let members = small.iter().map(|(_, content)| bytes(content.len()));
        let recipes = self.recipes.iter().map(|recipe| recipe.size);
        for (what, size, most) in [
            (
                "all that is no content",
                members.fold(0, u64::saturating_add),
                HEAD_MAX,
            ),
            (
                "recipes, decompressed",
                recipes.fold(0, u64::saturating_add),
                RECIPES_MAX,
            ),
            (
                "operations, decompressed",
                self.operations.map_or(0, |tally| tally.size),
                OPERATIONS_MAX,
            ),
        ] {
            if size > most {
                return Err(Refusal::new(
                    RefusalName::Unsatisfiable,
                    "the patch would have more beside its contents than a host takes",
                )
                .value(what, format!("{size} bytes"))
                .value("at most", format!("{most} bytes"))
                .next("prepare it in parts: some components first, the others in a second patch"));
            }
        }
        Ok(())
    }
}

/// What every file of the patch begins with.
struct Repeated {
    statement: Vec<u8>,
    signature: RawSignature,
    small: Vec<MemberBytes>,
}

impl Parts<'_> {
    /// Writes patch and head beside each other, reads the patch back and verifies it.
    pub(super) fn write(
        self,
        shop: &Workshop,
        preparer: &Preparer,
        watch: &dyn Watch,
    ) -> Result<Drafted, Refusal> {
        let (members, recipes) = self.recipes()?;
        let (metadata, vendors, apply_before) = self.metadata()?;
        let mut small = self.snapshots();
        small.extend(metadata);
        small.extend(members);
        if self.nodes.lack_site(self.site) {
            small.push(("site.spr".to_owned(), self.site.to_spr()?));
        }
        let (list, operations) = self.operations()?;
        small.extend(list);
        let carried = Carried {
            operations,
            recipes,
            vendors,
        };
        carried.check(&small)?;
        let mut patch = self.statement(&small, carried, apply_before);
        let statement = volumes::fix(&mut patch, self.volume_size)?;
        let shares = patch.shares();
        drop(patch);
        let repeated = Repeated {
            signature: preparer.sign(&statement)?,
            statement,
            small,
        };
        let sha256 = Sha256::of(&repeated.statement);

        let paths = shop.files(shares.len());
        let mut files = Vec::new();
        let mut drafts = Vec::new();
        for (path, share) in paths.into_iter().zip(shares) {
            watch.go_on()?;
            let (file, draft) = self.file((path, share), &repeated, watch)?;
            files.push(file);
            drafts.push(draft);
        }
        let (head, head_draft) = self.file((head_name(&shop.output), 0..0), &repeated, watch)?;
        // All of it is read back from the files.
        drop(repeated);
        let warnings = self.verify_own(&mut drafts, &shop.output, preparer, watch);
        // What ends the command ends the reading with an error of its own.
        watch.go_on()?;
        let mut warnings = warnings?;
        if let (None, [one]) = (self.volume_size, files.as_slice()) {
            warnings.extend(volumes::warning(one.size));
        }
        let made = Made {
            files,
            head,
            patch: sha256,
            apply_before,
            warnings,
        };
        volumes::check_sizes(&made, self.volume_size)?;
        Ok(Drafted {
            made,
            files: drafts,
            head: head_draft,
        })
    }

    /// Writes a file that holds these packs.
    fn file(
        &self,
        (path, packs): (PathBuf, Range<usize>),
        repeated: &Repeated,
        watch: &dyn Watch,
    ) -> Result<(MadeFile, Draft), Refusal> {
        let mut draft = Draft::create(&path, 0o644)?;
        let stored = |packs: &[MadePack]| packs.iter().map(|pack| pack.member.size).sum();
        let before = self.stream.packs.get(..packs.start).unwrap_or_default();
        let (sha256, size) = {
            let mut out = Told {
                out: Hashed::new(BufWriter::new(draft.file())),
                done: stored(before),
                total: stored(&self.stream.packs),
                stage: "writing",
                watch,
            };
            let written = self.spr(&mut out, repeated, packs);
            // What ends the command ends the writing with an error of its own.
            watch.go_on()?;
            written.map_err(|e| e.refuse(&path))?;
            let Hashed { hasher, size, .. } = out.out;
            (hasher.finish(), size)
        };
        Ok((MadeFile { path, size, sha256 }, draft))
    }

    fn spr(
        &self,
        out: &mut dyn Write,
        repeated: &Repeated,
        packs: Range<usize>,
    ) -> Result<(), SprError> {
        let mut writer = SprWriter::new(out, Kind::Patch, &repeated.statement)?;
        writer.signature(&repeated.signature.key, &repeated.signature.armoured)?;
        for (name, bytes) in &repeated.small {
            writer.bytes(name, bytes)?;
        }
        for made in self.stream.packs.get(packs).unwrap_or_default() {
            writer.member(
                &made.member.name,
                made.member.size,
                std::fs::File::open(&made.path)?,
            )?;
            // It is in the file now; kept, all of them would take their room twice.
            std::fs::remove_file(&made.path)?;
        }
        writer.finish()?.flush()?;
        Ok(())
    }

    fn statement(&self, small: &[MemberBytes], carried: Carried, apply_before: Time) -> Patch {
        let nodes = self
            .nodes
            .words()
            .iter()
            .zip(self.drift)
            .map(|(word, drift)| {
                let snapshot = word.snapshot.get();
                PatchNode {
                    adopted: self.adopts.then(|| drift.clone()),
                    after: state_digest(self.target, drift),
                    before: snapshot.state,
                    challenge: snapshot.challenge,
                    name: snapshot.node.name.clone(),
                    sequence: snapshot.sequence,
                    snapshot: word.snapshot.sha256(),
                }
            });
        let members = small
            .iter()
            .map(|(name, bytes)| Member::of(name.clone(), bytes));
        let packs = self.stream.packs.iter().map(|made| made.member.clone());
        Patch {
            accepted: self.accepted.to_vec(),
            apply_before,
            created: self.now,
            downgrades: self.downgrades.to_vec(),
            environment: self.nodes.environment().clone(),
            format: FORMAT,
            kind: Kind::Patch,
            members: members.chain(packs).collect(),
            memory: self
                .stream
                .operations
                .iter()
                .map(|op| op.memory)
                .max()
                .unwrap_or(0),
            nodes: nodes.collect(),
            operations: carried.operations,
            packs: self
                .stream
                .packs
                .iter()
                .map(|made| made.pack.clone())
                .collect(),
            recipes: carried.recipes,
            site: self.site.site_ref(),
            target: self.target.to_vec(),
            vendors: carried.vendors,
            volumes: vec![u64::try_from(self.stream.packs.len()).unwrap_or(u64::MAX)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_host_takes_is_not_signed() {
        let carried = |size, recipe| Carried {
            operations: Some(Tally {
                copied: 0,
                deltas: 0,
                size,
                whole: 1,
            }),
            recipes: vec![CarriedRecipe {
                base: None,
                recipe: Sha256::of(b""),
                size: recipe,
            }],
            vendors: Vec::new(),
        };
        let member = |size: u64| {
            let bytes = vec![0; usize::try_from(size).unwrap()];
            vec![("site.spr".to_owned(), bytes)]
        };
        let most = carried(OPERATIONS_MAX, RECIPES_MAX);
        assert!(most.check(&member(HEAD_MAX)).is_ok());
        for (carried, size, word) in [
            (carried(OPERATIONS_MAX + 1, 1), 1, "operations"),
            (carried(1, RECIPES_MAX + 1), 1, "recipes"),
            (carried(1, 1), HEAD_MAX + 1, "no content"),
        ] {
            let refusal = carried.check(&member(size)).unwrap_err();
            assert_eq!(refusal.name, RefusalName::Unsatisfiable);
            assert!(refusal.to_string().contains(word), "{refusal}");
        }
    }
}
