//! What was made, read back from the files as the host will read it: signatures, vendor chain, recipes,
//! every pack of every volume.

use std::io::{BufReader, Read, Seek as _, Write as _};
use std::path::Path;

use super::assemble::Parts;
use super::hashed::Counted;
use super::sign::Preparer;
use crate::disk::DiskError;
use crate::disk::durable::Draft;
use crate::model::patch::Patch;
use crate::model::{Refusal, RefusalName, Sha256, Watch};
use crate::spr::{Members, Opened, RawStatement, Small, SprError, Told};
use crate::trust::patch::{Approvals, Checklist, PatchContext, PatchParts, verify};
use crate::trust::vendor::Expiry;

impl Parts<'_> {
    /// Verifies the files; returns what the operator should know.
    pub(super) fn verify_own(
        &self,
        files: &mut [Draft],
        path: &Path,
        preparer: &Preparer,
        watch: &dyn Watch,
    ) -> Result<Vec<String>, Refusal> {
        let refuse = |e: SprError| e.refuse(path);
        let mut first: Option<(RawStatement, usize)> = None;
        let mut small = Small::default();
        let mut packed = 0_u64;
        let mut seen = 0_usize;
        for draft in files {
            // Each repeats them.
            small = Small::default();
            let file = draft.file();
            file.rewind().map_err(DiskError::io("read", path))?;
            let opened = Opened::open(BufReader::new(&*file)).map_err(refuse)?;
            let patch: Patch = opened.decode().map_err(refuse)?;
            let total = patch.packs.iter().map(|pack| pack.size).sum();
            let listed = opened.members(&patch.members, Patch::is_pack);
            let (raw, mut members) = listed.map_err(refuse)?;
            while let Some(member) = members.peek().map_err(refuse)?.cloned() {
                if let Some(pack) = patch.packs.get(seen)
                    && pack.member == member.name
                {
                    let told = Told {
                        out: Counted::default(),
                        done: packed,
                        total,
                        stage: "checking",
                        watch,
                    };
                    let decoded = decoded_size(&mut members, told, path)?;
                    if decoded != pack.size {
                        return Err(wrong("a pack does not decode to its size")
                            .value("stated", pack.size)
                            .value("decoded", decoded));
                    }
                    packed = packed.saturating_add(decoded);
                    seen = seen.saturating_add(1);
                } else if Patch::is_pack(&member) {
                    return Err(wrong("a pack stands in another place").value("pack", member.name));
                } else {
                    small.take_next(&mut members).map_err(refuse)?;
                }
            }
            match &first {
                None => first = Some((raw, patch.packs.len())),
                Some((other, _)) if *other == raw => {}
                Some(_) => return Err(wrong("the volumes do not repeat one statement")),
            }
        }
        let Some((raw, packs)) = first else {
            return Err(wrong("there is no file"));
        };
        if seen != packs {
            return Err(wrong("packs are missing").value("found", seen));
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
        let parts = PatchParts {
            raw,
            members: small.into_members(),
        };
        let verified = verify(parts, &context, &mut Checklist::default())?;
        debug_assert_eq!(verified.preparer(), preparer.signer());
        Ok(verified.warnings().map(str::to_owned).collect())
    }
}

fn wrong(what: &str) -> Refusal {
    Refusal::new(RefusalName::Internal, what)
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
