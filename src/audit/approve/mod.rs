//! `approve`: sign the bytes of `patch.json`, detached, so that the patch file stays as it is.
//!
//! | attack | defence |
//! |---|---|
//! | a patch that says something else on this screen than on the host | what is shown is decoded from the very bytes that are signed, and its texts are escaped |
//! | a patch that nobody prepared, or that was changed since | its own signature is checked before anything is signed |
//! | a snapshot laid in it to show another change | it must be the one that the signed statement names |
//! | a preparer who approves the own patch | refused before the signature: the same key always, the same person with `--site` |
//! | a signature made elsewhere for another patch or purpose | it is checked over these bytes in the approvals' namespace, and never written unchecked |
//!
//! The contents are for `verify` to check: an approval says that this change is wanted.

mod outcome;
mod reading;

use std::path::PathBuf;

use crate::disk::{beside, durable, handout, keys};
use crate::model::statement::APPROVAL_NAMESPACE;
use crate::model::{PublicKey, Refusal, RefusalName, Watch};
use crate::spr::SIGNATURE_MAX;
use crate::trust::approval::{self, Offered};
use crate::trust::patch::{Checklist, Chosen, chosen};
use crate::trust::{TrustError, sshsig};

use super::verify::pin;
pub use outcome::{Count, Outcome, Proposal};
use reading::Head;

/// What `approve` is asked.
#[derive(Debug)]
pub struct Request {
    /// A patch, or its head.
    pub file: PathBuf,
    /// Who signs, or what was signed.
    pub by: By,
    /// The site file that is trusted.
    pub site: Option<PathBuf>,
    /// Where the signature goes; beside the file where nothing is said.
    pub output: Option<PathBuf>,
}

/// Where the approval comes from.
#[derive(Debug)]
pub enum By {
    /// A private key file, or the public key of one that an agent holds.
    Key(PathBuf),
    /// A signature that `ssh-keygen -Y sign` made.
    Signature(PathBuf),
}

/// Approves a patch or its head.
pub fn run(request: &Request, watch: &dyn Watch) -> Result<Outcome, Refusal> {
    let head = Head::read(&request.file)?;
    let preparer = head.preparer()?;
    let under = request
        .site
        .as_ref()
        .map(|site| {
            let site = pin(site, None)?;
            chosen(&head.raw, &head.members, &site, &mut Checklist::default())
                .map_err(Refusal::from)
        })
        .transpose()?;
    let proposal = Proposal::of(&head, &preparer, under.as_ref())?;
    proposal
        .to_string()
        .lines()
        .for_each(|line| watch.say(line));
    let may = |key: &PublicKey| may_approve(under.as_ref(), &preparer, key);
    let place = |key: &PublicKey| {
        let named = request.output.clone();
        named.unwrap_or_else(|| beside::name(&request.file, &key.id()))
    };
    let (key, armoured) = match &request.by {
        By::Key(path) => {
            // Nobody types a passphrase for what cannot be written, or would not count.
            if let Some(key) = keys::stated(path) {
                may(&key)?;
                handout::check_free(&place(&key))?;
            }
            let key = keys::load(path, watch)?;
            may(key.public())?;
            let made = key.sign_in(APPROVAL_NAMESPACE, &head.raw.bytes)?;
            (key.public().clone(), made)
        }
        By::Signature(path) => {
            let armoured = durable::read_plain(path, SIGNATURE_MAX)?;
            let key = sshsig::verify(&armoured, APPROVAL_NAMESPACE, &head.raw.bytes)
                .map_err(|why| not_of_this(path, &why))?;
            may(&key)?;
            (key, armoured)
        }
    };
    let count = under
        .as_ref()
        .map(|under| count(request, under, &head, &armoured, &key))
        .transpose()?;
    let signature = place(&key);
    handout::write(&signature, &armoured)?;
    Ok(Outcome {
        signature,
        proposal,
        fingerprint: key.fingerprint(),
        count,
    })
}

/// Asked before anything is signed or written.
fn may_approve(
    under: Option<&Chosen>,
    preparer: &PublicKey,
    key: &PublicKey,
) -> Result<(), TrustError> {
    match under {
        Some(under) => approval::may_approve(&under.site, &under.preparer, key).map(drop),
        None => approval::check_not_own(preparer, key),
    }
}

/// Who has approved with this one, of those whose signatures lie beside the file.
fn count(
    request: &Request,
    under: &Chosen,
    head: &Head,
    armoured: &[u8],
    key: &PublicKey,
) -> Result<Count, Refusal> {
    let named = [armoured.to_vec()];
    let found = beside::read(&request.file).found;
    let offered = Offered {
        named: &named,
        found: &found,
    };
    let counted = approval::count(&head.raw.bytes, offered, &under.site, &under.preparer)?;
    let approver = approval::may_approve(&under.site, &under.preparer, key)?;
    let people: Vec<String> = counted.people.iter().map(ToString::to_string).collect();
    let have = u64::try_from(people.len()).unwrap_or(u64::MAX);
    let needed = under.site.policy.approvals;
    Ok(Count {
        approver: approver.principal.to_string(),
        people,
        needed,
        missing: needed.saturating_sub(have),
    })
}

fn not_of_this(path: &std::path::Path, why: &sshsig::SignatureError) -> Refusal {
    Refusal::new(
        RefusalName::BadSignature,
        format!("this is no approval of this patch: {why}"),
    )
    .value("signature", path.display())
    .next(
        "tar xOf FILE patch.json > patch.json; ssh-keygen -Y sign -f KEY -n lockstep-approval patch.json",
    )
}
