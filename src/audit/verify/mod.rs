//! `verify`: check a file against a pinned site file, and list every check with its outcome.
//!
//! Without something pinned, a good signature says only that some key made it: the outcome is "not
//! verified", and the exit code is not 0.

mod chain;
mod outcome;
mod reading;
mod volumes;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::disk::{DiskError, beside};
use crate::model::enrolment::Enrolment;
use crate::model::patch::Patch;
use crate::model::receipt::Receipt;
use crate::model::recipe::Recipe;
use crate::model::site::Site;
use crate::model::snapshot::Snapshot;
use crate::model::{Kind, PublicKey, Refusal, RefusalName, Sha256, Statement, Time, Watch};
use crate::spr::{Opened, RawStatement, SprError};
use crate::trust::approval::Offered;
use crate::trust::patch::{Approvals, Checklist, PatchContext, PatchParts, verify};
use crate::trust::receipt::{ReceiptParts, by_node};
use crate::trust::site::TrustedSite;
use crate::trust::vendor::Expiry;
use crate::trust::verified::by_signers;
pub use outcome::{Line, Outcome};
pub(super) use reading::pin;
use reading::{allowed_signers, read_members, recipes};
use volumes::{Among, Set, absent};

/// What `verify` is asked.
#[derive(Debug)]
pub struct Request {
    /// Any one `.spr` file; or the receipts and snapshots of a node, or the volumes of a patch, and
    /// folders with such files.
    pub files: Vec<PathBuf>,
    /// The site file that is trusted.
    pub site: Option<PathBuf>,
    /// The site owner's fingerprint.
    pub fingerprint: Option<String>,
    /// Nodes' keys, as an `allowed_signers` file.
    pub allowed_signers: Option<PathBuf>,
    /// Detached approvals; those that lie beside the patch are found without being named.
    pub approvals: Vec<PathBuf>,
    /// Recipe files that recipes inside a patch are compressed against.
    pub recipes: Vec<PathBuf>,
}

/// Verifies a file; or of several, and of what lies in folders, the receipts of a node as one chain, or
/// a patch with all of its volumes.
pub fn run(request: &Request, now: Time, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let among = match request.files.as_slice() {
        [file] if !file.is_dir() => Among::one(file),
        _ => match volumes::patch_among(request, watch)? {
            Some(among) => among,
            None => return chain::run(request, now, watch),
        },
    };
    let path = among.file.as_path();
    let file = File::open(path).map_err(DiskError::io("open", path))?;
    let opened = Opened::open(BufReader::new(file)).map_err(|e| e.refuse(path))?;
    let kind = opened.raw().kind;
    let mut auditor = Auditor::new(request, path, now, watch);
    auditor.copies = &among.copies;
    for line in &among.passed_over {
        auditor.line("warning", "file", line);
    }
    let failed = auditor.check(opened).err();
    Ok(finish(auditor, kind, failed.as_ref()))
}

/// What every check together comes to.
fn finish(mut auditor: Auditor<'_>, kind: Kind, failed: Option<&Refusal>) -> Outcome {
    if let Some(refusal) = failed {
        let values: Vec<String> = refusal
            .values
            .iter()
            .map(|(label, value)| format!("{label}: {value}"))
            .collect();
        auditor.line(
            "failed",
            refusal.name.word(),
            format!("{} ({})", refusal.what, values.join("; ")),
        );
    }
    let code = match failed {
        Some(refusal) => Some(refusal.name.code()),
        None if auditor.pinned => None,
        None => Some(RefusalName::UntrustedSigner.code()),
    };
    Outcome {
        file: auditor.file.to_owned(),
        kind,
        receipts: None,
        verified: code.is_none(),
        checks: auditor.lines,
        next: failed.map(|refusal| refusal.next.clone()),
        code,
    }
}

/// A statement, its bytes and signatures, the members other than packs, and the packs that were present.
type Read<S> = (S, RawStatement, BTreeMap<String, Vec<u8>>, Vec<String>);

struct Auditor<'a> {
    request: &'a Request,
    /// The file that is read first.
    file: &'a Path,
    /// Others that hold the same, for where it is damaged.
    copies: &'a [PathBuf],
    now: Time,
    watch: &'a dyn Watch,
    lines: Vec<Line>,
    pinned: bool,
}

impl<'a> Auditor<'a> {
    fn new(request: &'a Request, file: &'a Path, now: Time, watch: &'a dyn Watch) -> Self {
        Self {
            request,
            file,
            copies: &[],
            now,
            watch,
            lines: Vec::new(),
            pinned: false,
        }
    }

    fn line(&mut self, result: &'static str, check: &str, detail: impl Into<String>) {
        self.lines.push(Line::new(result, check, detail.into()));
    }

    fn refuse(&self) -> impl Fn(SprError) -> Refusal + use<'a> {
        let file = self.file;
        move |e| e.refuse(file)
    }

    fn check(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        match opened.raw().kind {
            Kind::Snapshot => self.snapshot(opened),
            Kind::Receipt => self.receipt(opened),
            Kind::Enrolment => self.enrolment(opened),
            Kind::Site => self.site_file(opened),
            Kind::Recipe => self.recipe(opened),
            Kind::Patch => self.patch(opened),
        }
    }

    /// Decodes the statement, reads every member, and says so.
    fn read<S: Statement>(&mut self, opened: Opened<BufReader<File>>) -> Result<Read<S>, Refusal> {
        let statement: S = opened.decode().map_err(self.refuse())?;
        self.line(
            "ok",
            "encoding",
            "one tar encoding, canonical JSON, rules of its kind",
        );
        let list = statement.members().to_vec();
        let (raw, mut members) = opened
            .members(&list, Patch::is_pack)
            .map_err(self.refuse())?;
        let (small, packs) =
            read_members(&mut members, &list, self.watch).map_err(self.refuse())?;
        let detail = format!(
            "{} of {} present, sizes and SHA-256 as stated",
            small.len().saturating_add(packs.len()),
            list.len()
        );
        self.line("ok", "members", detail);
        Ok((statement, raw, small, packs))
    }

    fn snapshot(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        let (snapshot, raw, ..) = self.read::<Snapshot>(opened)?;
        by_node::<Snapshot>(&raw, &snapshot.node.key)?;
        self.signed_by(&snapshot.node.key)
    }

    fn receipt(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        let (receipt, raw, mut small, _) = self.read::<Receipt>(opened)?;
        let members = receipt.members.iter();
        let members = members.filter_map(|member| small.remove_entry(&member.name));
        let members = members.collect();
        ReceiptParts { raw, members }.verify(&receipt.node.key)?;
        self.line("ok", "snapshot", "the one inside says the same");
        self.signed_by(&receipt.node.key)
    }

    fn signed_by(&mut self, key: &PublicKey) -> Result<(), Refusal> {
        let detail = format!("by the key it states, {}", key.fingerprint());
        self.line("ok", "signature", detail);
        self.pinned = self.node_key(key)?;
        Ok(())
    }

    fn site(&mut self) -> Result<Option<TrustedSite>, Refusal> {
        let Some(path) = &self.request.site else {
            self.line(
                "not checked",
                "signature",
                "name the site file that you trust: --site SITE.spr",
            );
            return Ok(None);
        };
        let site = pin(path, self.request.fingerprint.as_deref())?;
        let pinned = if self.request.fingerprint.is_some() {
            "the fingerprint given"
        } else {
            "the file given"
        };
        let detail = format!(
            "{} version {}, owner {}, by {pinned}",
            site.name,
            site.version,
            site.owner.key.fingerprint()
        );
        self.line("ok", "site file", detail);
        Ok(Some(site))
    }

    fn enrolment(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        let (_, raw, ..) = self.read::<Enrolment>(opened)?;
        let Some(site) = self.site()? else {
            return Ok(());
        };
        let (_, signer) = by_signers::<Enrolment>(&raw, &site.preparers)?;
        self.pinned = true;
        self.line(
            "ok",
            "signature",
            format!("by the preparer {}", signer.principal),
        );
        Ok(())
    }

    fn site_file(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        let (_, raw, members, _) = self.read::<Site>(opened)?;
        let members: Vec<_> = members.into_iter().collect();
        let fingerprint = self.request.fingerprint.as_deref();
        let site = TrustedSite::pin(raw.clone(), members.clone(), fingerprint)?;
        self.line(
            "ok",
            "signature",
            format!("by the owner it states, {}", site.owner.key.fingerprint()),
        );
        if fingerprint.is_some() {
            self.pinned = true;
            self.line("ok", "owner", "the fingerprint given");
        } else if let Some(path) = &self.request.site {
            let pinned = pin(path, None)?;
            pinned.renew(raw, members)?;
            self.pinned = true;
            self.line(
                "ok",
                "owner",
                format!(
                    "the owner of {}, version {}",
                    path.display(),
                    pinned.version
                ),
            );
        } else {
            self.line(
                "not checked",
                "owner",
                "name the owner's fingerprint: --fingerprint SHA256:...",
            );
        }
        Ok(())
    }

    fn recipe(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        self.read::<Recipe>(opened)?;
        self.line(
            "not checked",
            "vendor",
            "a recipe is signed by its vendor's TUF metadata; a patch carries both",
        );
        Ok(())
    }

    fn patch(&mut self, opened: Opened<BufReader<File>>) -> Result<(), Refusal> {
        let ((patch, raw, small, packs), set) = self.intact(opened)?;
        let present = small.len().saturating_add(packs.len());
        let Some(site) = self.site()? else {
            return set.map_or(Ok(()), |set| self.other_volumes(&set));
        };
        let files = set.as_ref().map_or(vec![self.file], Set::files);
        let approvals = beside::all(&files, &self.request.approvals, self.watch)?;
        let snapshots: Vec<Snapshot> = patch
            .nodes
            .iter()
            .filter_map(|node| small.get(&Patch::snapshot_member(&node.name)))
            .filter_map(|bytes| crate::spr::canonical::decode(bytes).ok())
            .collect();
        let floors: Vec<_> = snapshots
            .iter()
            .flat_map(|snapshot| site.floors_since(snapshot.site.version, &snapshot.floors))
            .collect();
        let bases = recipes(&self.request.recipes)?;
        let context = PatchContext {
            site: &site,
            floors: &floors,
            approvals: Approvals::Offered(Offered {
                named: &approvals.named,
                found: &approvals.found,
            }),
            expiry: Expiry::Host {
                now: self.now,
                time_floor: Time::EPOCH,
                age_days: site.policy.metadata_age_days,
                accept_expired: false,
            },
            recipe_files: &|recipe: &Sha256| bases.get(recipe).cloned(),
        };
        let mut checks = Checklist::default();
        let verified = verify(
            PatchParts {
                raw,
                members: small,
            },
            &context,
            &mut checks,
        );
        for check in &checks.0 {
            self.line("ok", check.name, check.detail.clone());
        }
        let verified = verified?;
        self.pinned = true;
        for warning in verified.warnings() {
            self.line("warning", "vendor", warning);
        }
        for snapshot in &snapshots {
            self.node_key(&snapshot.node.key)?;
        }
        match set {
            Some(set) => self.other_volumes(&set)?,
            None => {
                if let Some(absent) = absent(self.file, &patch, present)? {
                    self.line("not checked", "packs", absent);
                }
            }
        }
        Ok(())
    }

    /// A node's key among those named, where any were.
    fn node_key(&mut self, key: &PublicKey) -> Result<bool, Refusal> {
        let Some(path) = &self.request.allowed_signers else {
            self.line(
                "not checked",
                "node key",
                "name the nodes' keys: --allowed-signers FILE",
            );
            return Ok(false);
        };
        let known = allowed_signers(path)?;
        if let Some(signer) = known.iter().find(|signer| &signer.key == key) {
            self.line("ok", "node key", format!("known as {}", signer.principal));
            return Ok(true);
        }
        Err(Refusal::new(
            RefusalName::UntrustedSigner,
            "the node's key is not among those named",
        )
        .value("key", key.fingerprint())
        .value(
            "named",
            format!("{} key(s) in {}", known.len(), path.display()),
        )
        .next("add the key, if it is the node's: lockstep status on the host shows it"))
    }
}
