//! The file: members in their order, the statement over them, the signature, and a check of it all.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::hashed::{Counted, Hashed};
use super::nodes::Nodes;
use super::packs::Stream;
use super::sign::Preparer;
use super::vendors::Vendors;
use super::workshop::{Workshop, head_name};
use crate::disk::durable::Draft;
use crate::disk::{DiskError, durable, folder, handout};
use crate::model::patch::{Accepted, CarriedRecipe, CarriedVendor, Downgrade, Patch, PatchNode};
use crate::model::snapshot::{Drift, Installed};
use crate::model::state::state_digest;
use crate::model::statement::FORMAT;
use crate::model::{Kind, Member, Refusal, RefusalName, Sha256, Time, Watch};
use crate::spr::{MemberBytes, Members, Opened, RawSignature, SprWriter, Told, canonical};
use crate::trust::TrustedSite;
use crate::trust::patch::{Approvals, Checklist, PatchContext, PatchParts, verify};
use crate::trust::vendor::Expiry;

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
    pub(super) now: Time,
}

/// The file that was made.
pub(super) struct Made {
    pub(super) file: PathBuf,
    pub(super) head: PathBuf,
    pub(super) size: u64,
    pub(super) file_sha256: Sha256,
    pub(super) patch: Sha256,
    pub(super) apply_before: Time,
    pub(super) warnings: Vec<String>,
}

/// The file, complete and verified, and not yet under its name.
pub(super) struct Drafted {
    pub(super) made: Made,
    patch: Draft,
    head: Draft,
}

impl Drafted {
    /// Gives patch and head their names, or neither. The head has its own before the patch: where the
    /// patch is, both are.
    pub(super) fn commit(self) -> Result<Made, Refusal> {
        let Self { made, patch, head } = self;
        // Somebody may have taken them since they were asked for.
        handout::check_free(&made.file)?;
        handout::check_free(&made.head)?;
        head.commit_new()?;
        patch.commit_new().or_else(|error| {
            folder::remove_file(&made.head)?;
            Err(error)
        })?;
        Ok(made)
    }
}

impl Parts<'_> {
    /// Writes patch and head beside each other, reads the patch back and verifies it.
    pub(super) fn write(
        mut self,
        shop: &Workshop,
        preparer: &Preparer,
        watch: &dyn Watch,
    ) -> Result<Drafted, Refusal> {
        let refuse = |e: crate::spr::SprError| e.refuse(&shop.output);
        let (recipes, carried) = self.recipes()?;
        let (metadata, vendors, apply_before) = self.metadata()?;
        let mut small = self.snapshots();
        small.extend(metadata);
        small.extend(recipes);
        if self.nodes.lack_site(self.site) {
            small.push(("site.spr".to_owned(), self.site.to_spr()?));
        }
        let patch = self.statement(&small, carried, vendors, apply_before);
        let statement = canonical::encode(&patch).map_err(refuse)?;
        drop(patch);
        let signature = preparer.sign(&statement)?;
        let sha256 = Sha256::of(&statement);

        let mut draft = durable::Draft::create(&shop.output, 0o644)?;
        let (file_sha256, size) = {
            let out = BufWriter::new(draft.file());
            let mut out = Hashed::new(out);
            self.spr(&mut out, &statement, &signature, &small, true)
                .map_err(refuse)?;
            (out.hasher.finish(), out.size)
        };
        let head = head_name(&shop.output);
        let mut head_draft = durable::Draft::create(&head, 0o644)?;
        let mut out = BufWriter::new(head_draft.file());
        self.spr(&mut out, &statement, &signature, &small, false)
            .map_err(refuse)?;
        drop(out);
        // All of it is read back from the file.
        drop((statement, small));
        let warnings = self.verify_own(draft.file(), &shop.output, preparer, watch);
        // What ends the command ends the reading with an error of its own.
        watch.go_on()?;
        let warnings = warnings?;
        let made = Made {
            file: shop.output.clone(),
            head,
            size,
            file_sha256,
            patch: sha256,
            apply_before,
            warnings,
        };
        Ok(Drafted {
            made,
            patch: draft,
            head: head_draft,
        })
    }

    fn spr(
        &self,
        out: &mut dyn Write,
        statement: &[u8],
        signature: &RawSignature,
        small: &[MemberBytes],
        packs: bool,
    ) -> Result<(), crate::spr::SprError> {
        let mut writer = SprWriter::new(out, Kind::Patch, statement)?;
        writer.signature(&signature.key, &signature.armoured)?;
        for (name, bytes) in small {
            writer.bytes(name, bytes)?;
        }
        for made in self.stream.packs.iter().filter(|_| packs) {
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

    /// The statement, which takes the operations over.
    fn statement(
        &mut self,
        small: &[MemberBytes],
        recipes: Vec<CarriedRecipe>,
        vendors: Vec<CarriedVendor>,
        apply_before: Time,
    ) -> Patch {
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
            operations: std::mem::take(&mut self.stream.operations),
            packs: self
                .stream
                .packs
                .iter()
                .map(|made| made.pack.clone())
                .collect(),
            recipes,
            site: self.site.site_ref(),
            target: self.target.to_vec(),
            vendors,
            volumes: vec![u64::try_from(self.stream.packs.len()).unwrap_or(u64::MAX)],
        }
    }

    /// Reads the file back as the host will: signatures, vendor chain, recipes, every pack.
    fn verify_own(
        &self,
        file: &mut std::fs::File,
        path: &Path,
        preparer: &Preparer,
        watch: &dyn Watch,
    ) -> Result<Vec<String>, Refusal> {
        use std::io::Seek as _;
        let refuse = |e: crate::spr::SprError| e.refuse(path);
        file.rewind().map_err(DiskError::io("read", path))?;
        let opened = Opened::open(std::io::BufReader::new(&*file)).map_err(refuse)?;
        let patch: Patch = opened.decode().map_err(refuse)?;
        let (raw, mut members) = opened.members(&patch.members, |_| false).map_err(refuse)?;
        let total = patch.packs.iter().map(|pack| pack.size).sum();
        let packs: BTreeMap<String, u64> = patch
            .packs
            .into_iter()
            .map(|pack| (pack.member, pack.size))
            .collect();
        let mut small = BTreeMap::new();
        let mut packed = 0_u64;
        while let Some(name) = members.peek().map_err(refuse)?.map(|m| m.name.clone()) {
            if let Some(stated) = packs.get(&name) {
                let told = Told {
                    out: Counted::default(),
                    done: packed,
                    total,
                    stage: "checking",
                    watch,
                };
                let decoded = decoded_size(&mut members, told, path)?;
                if decoded != *stated {
                    return Err(Refusal::new(
                        RefusalName::Internal,
                        "a pack does not decode to its size",
                    )
                    .value("stated", stated)
                    .value("decoded", decoded));
                }
                packed = packed.saturating_add(decoded);
            } else if let Some((member, bytes)) = members
                .next_in_memory(crate::spr::STATEMENT_MAX)
                .map_err(refuse)?
            {
                small.insert(member.name, bytes);
            }
        }
        let floors: Vec<_> = self
            .nodes
            .snapshots()
            .flat_map(|s| self.site.floors_since(s.site.version, &s.floors))
            .collect();
        let context = PatchContext {
            site: self.site,
            floors: &floors,
            approvals: Approvals::NotYet,
            expiry: Expiry::Desk {
                now: self.now,
                source_age_days: self.site.policy.source_age_days,
            },
            recipe_files: &|recipe: &Sha256| self.vendors.recipe_file(recipe),
        };
        let mut checks = Checklist::default();
        let verified = verify(
            PatchParts {
                raw,
                members: small,
            },
            &context,
            &mut checks,
        )?;
        debug_assert_eq!(verified.preparer(), preparer.signer());
        Ok(verified.warnings().map(str::to_owned).collect())
    }
}

/// Bytes that the next member decodes to; they are counted while it is read, and kept nowhere.
fn decoded_size<R: Read>(
    members: &mut Members<R>,
    told: Told<'_, Counted>,
    path: &Path,
) -> Result<u64, Refusal> {
    let wrap = || DiskError::io("decode", path);
    let mut decoder = zstd::stream::write::Decoder::new(told).map_err(wrap())?;
    members
        .copy_next(&mut decoder)
        .map_err(|e| e.refuse(path))?;
    decoder.flush().map_err(wrap())?;
    Ok(decoder.into_inner().out.0)
}
