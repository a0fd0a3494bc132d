//! Under which site file, and as which preparer.

use std::path::Path;

use crate::desk::Desk;
use crate::desk::store::{FILE_MODE, FOLDER_MODE, Settings};
use crate::disk::{durable, keys};
use crate::model::site::Signer;
use crate::model::{Kind, Refusal, RefusalName, Watch};
use crate::spr::RawSignature;
use crate::trust::site::{self, Renewal, SITE_MAX, TrustedSite};

use super::Request;
use super::nodes::Nodes;

/// The site file in force on this desk: the one kept, or a newer one that its owner signed. It must
/// be at least as new as the nodes' own.
pub(super) fn in_force(
    desk: &Desk,
    request: &Request,
    nodes: &Nodes,
    watch: &dyn Watch,
) -> Result<TrustedSite, Refusal> {
    let kept = durable::read_if_there(&desk.site_path(), SITE_MAX)?;
    let kept = kept.map(|bytes| pin(&bytes, None)).transpose()?;
    let given = request
        .site
        .as_deref()
        .map(|path| durable::read(path, SITE_MAX))
        .transpose()?;
    let site = match (kept, given) {
        (None, None) => {
            return Err(
                Refusal::new(RefusalName::Usage, "this desk has no site file yet")
                    .next("lockstep prepare ... --site SITE.spr (it is remembered)"),
            );
        }
        (Some(site), None) => site,
        (kept, Some(bytes)) => take(kept, &bytes, request.fingerprint.as_deref(), watch)?,
    };
    for snapshot in nodes.snapshots() {
        let (theirs, ours) = (&snapshot.site, site.site_ref());
        let same_site = theirs.version < ours.version || theirs == &ours;
        if !same_site {
            return Err(Refusal::new(
                RefusalName::UntrustedSigner,
                "the node works under another site file than this desk, or a newer one",
            )
            .value(
                "node has",
                format!("version {} ({})", theirs.version, theirs.sha256.short()),
            )
            .value(
                "desk has",
                format!("version {} ({})", ours.version, ours.sha256.short()),
            )
            .next("lockstep prepare ... --site with the newest site file of the owner"));
        }
    }
    Ok(site)
}

/// Keeps the site file that a patch was made under, for the next one; a newer one that came in since
/// stays.
pub(super) fn keep(desk: &Desk, site: &TrustedSite) -> Result<(), Refusal> {
    let kept = durable::read_if_there(&desk.site_path(), SITE_MAX)?;
    let kept = kept.map(|bytes| pin(&bytes, None)).transpose()?;
    if kept.is_some_and(|kept| kept.version > site.version) {
        return Ok(());
    }
    durable::make_folders(&desk.state, FOLDER_MODE)?;
    Ok(durable::write(
        &desk.site_path(),
        &site.to_spr()?,
        FILE_MODE,
    )?)
}

/// The first one is pinned, and everything the desk will ever take follows from that: it is said whose
/// it is, unless the owner's fingerprint was given.
fn take(
    kept: Option<TrustedSite>,
    bytes: &[u8],
    fingerprint: Option<&str>,
    watch: &dyn Watch,
) -> Result<TrustedSite, Refusal> {
    let Some(kept) = kept else {
        let first = pin(bytes, fingerprint)?;
        if fingerprint.is_none() {
            watch.warn(&first_word(&first));
        }
        return Ok(first);
    };
    if fingerprint.is_some() {
        pin(bytes, fingerprint)?;
    }
    let (raw, members) = site::open(bytes)?;
    Ok(match kept.renew(raw, members)? {
        Renewal::Same => kept,
        Renewal::Newer(newer) => *newer,
    })
}

fn first_word(site: &TrustedSite) -> String {
    let Signer { key, principal } = &site.owner;
    let (name, fingerprint) = (&site.name, key.fingerprint());
    format!(
        "trusting site {name} of owner {principal} {fingerprint} from now on: compare that with the owner's own word (--fingerprint does)"
    )
}

fn pin(bytes: &[u8], fingerprint: Option<&str>) -> Result<TrustedSite, Refusal> {
    let (raw, members) = site::open(bytes)?;
    Ok(TrustedSite::pin(raw, members, fingerprint)?)
}

/// The key that signs, and the person the site knows it as.
pub(super) struct Preparer {
    key: keys::KeyFile,
    signer: Signer,
}

impl Preparer {
    pub(super) fn load(
        request: &Request,
        settings: &Settings,
        site: &TrustedSite,
        watch: &dyn Watch,
    ) -> Result<Self, Refusal> {
        let Some(path) = request.key.as_ref().or(settings.key.as_ref()) else {
            return Err(Refusal::new(
                RefusalName::Usage,
                "a patch is signed, and no key was named",
            )
            .next("lockstep prepare ... --key KEY (it is remembered)"));
        };
        let key = keys::load(path, watch)?;
        if let Some(signer) = site
            .preparers
            .iter()
            .find(|signer| &signer.key == key.public())
        {
            return Ok(Self {
                signer: signer.clone(),
                key,
            });
        }
        let trusted: Vec<String> = site
            .preparers
            .iter()
            .map(|signer| format!("{} {}", signer.principal, signer.key.fingerprint()))
            .collect();
        Err(Refusal::new(
            RefusalName::UntrustedSigner,
            "the site does not trust this key to prepare",
        )
        .value("your key", key.public().fingerprint())
        .value("preparers", trusted.join(", "))
        .next("use a preparer's key, or ask the site owner: lockstep site renew --preparer PUB"))
    }

    pub(super) fn path(&self) -> &Path {
        self.key.path()
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Signs `patch.json`: the key's id and the armoured signature.
    pub(super) fn sign(&self, statement: &[u8]) -> Result<RawSignature, Refusal> {
        Ok(RawSignature {
            key: self.key.id(),
            armoured: self.key.sign(Kind::Patch, statement)?,
        })
    }
}
