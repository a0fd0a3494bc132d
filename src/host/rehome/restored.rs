//! `--restored`: what a desk knows of the node, against what came back with the backup; of each the
//! higher.
//!
//! Floors fall where the enrolment says that a vendor's keys were changed since: without that, a key that was
//! replaced would come back with the backup, or the node would take no patch any more. The metadata that
//! shows the change is not in an enrolment, so that its preparer is believed, and a person is told.

use std::collections::BTreeMap;
use std::path::Path;

use super::salvage::Found;
use super::{Next, nothing_to_do, same};
use crate::disk::durable;
use crate::host::node::read_site;
use crate::model::enrolment::Enrolment;
use crate::model::rehome::RehomeHow;
use crate::model::snapshot::{Floor, SiteRef};
use crate::model::text::shell_word;
use crate::model::{Name, Refusal, RefusalName};
use crate::spr::{Opened, RawStatement};
use crate::trust::TrustedSite;
use crate::trust::site::Renewal;
use crate::trust::vendor::highest_floors;
use crate::trust::verified::by_signers;

/// Largest enrolment file, in bytes.
const ENROLMENT_MAX: u64 = 16 * 1024 * 1024;
/// By how much the sequence number jumps: room for what the node signed, and no desk has seen. So a
/// jump is told from a step.
const ROOM: u64 = 1_000;
/// The largest sequence number that a statement holds.
const SEQUENCE_MAX: u64 = 1 << 52;

/// What the node goes on with; `line` is what is typed with a newer site file.
pub(super) fn next(
    found: &Found,
    enrolment: &Path,
    site: Option<&Path>,
    line: &str,
) -> Result<Next, Refusal> {
    let file = durable::read(enrolment, ENROLMENT_MAX)?;
    let opened = Opened::open(file.as_slice()).map_err(|e| e.refuse(enrolment))?;
    let claimed: Enrolment = opened.decode().map_err(|e| e.refuse(enrolment))?;
    let (raw, _) = opened
        .into_memory(&claimed.members, ENROLMENT_MAX)
        .map_err(|e| e.refuse(enrolment))?;
    let site = site_in_force(found, site)?;
    let root = found.node.root().path().to_string_lossy();
    let line = format!("{line} --root {}", shell_word(&root));
    // Asked of the claim already: who signed it may be known to the newer site file alone.
    check_site(&claimed.site, "the desk knows", &site, &line)?;
    if let Some(known) = &found.witness.site {
        check_site(known, "this folder knows", &site, &line)?;
    }
    let enrolment = verified(&raw, &site)?;
    check_node(&enrolment, found)?;
    check_needed(&enrolment, found)?;
    let known = known(&enrolment, found)?;
    let mut next = same(found, RehomeHow::Restored);
    next.above = known.saturating_add(ROOM);
    next.floors = floors(Some(&enrolment), found, &site);
    next.notes = notes(&enrolment, found);
    next.notes
        .extend(fallen(&floors(None, found, &site), &next.floors));
    next.time_floor = next
        .time_floor
        .max(found.witness.time_floor.unwrap_or(next.time_floor));
    next.site = site;
    Ok(next)
}

/// The greatest sequence number that the desk knows, or that anything here has: a second restore with the same
/// enrolment writes over no key and no state of the first one, however little is left of it.
fn known(enrolment: &Enrolment, found: &Found) -> Result<u64, Refusal> {
    let here = found.node.store.greatest()?.unwrap_or_default();
    let here = here.max(found.witness.sequence);
    let known = enrolment.sequence.max(here);
    if known <= SEQUENCE_MAX {
        return Ok(known);
    }
    Err(Refusal::new(
        RefusalName::Corrupt,
        "the enrolment or this folder has a sequence number that no node comes to",
    )
    .value("the enrolment", enrolment.sequence)
    .value("this folder", here)
    .next(
        "have whoever signed the enrolment write it anew from the node's last receipt; a state or key of that number \
         in .lockstep was not written by this program",
    ))
}

/// The floors that count under `site`, by this folder and by the enrolment, if it is asked too: a vendor whose
/// root was replaced since they were kept has none.
fn floors(enrolment: Option<&Enrolment>, found: &Found, site: &TrustedSite) -> Vec<Floor> {
    let state = found.node.state();
    let kept = (state.site.version, state.floors.as_slice());
    let known = enrolment.map(|known| (known.site.version, known.floors.as_slice()));
    let witness = found.witness.floors.iter();
    let sets: Vec<Vec<Floor>> = witness
        .map(|(under, floors)| (*under, floors.as_slice()))
        .chain(known)
        .chain([kept])
        .map(|(under, floors)| site.floors_since(under, floors))
        .collect();
    highest_floors(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// What falls by the enrolment's word, for each vendor. A change of keys that the node knew and forgot lets
/// floors fall, and nothing but the preparer's signature bears it out: so it is said to whoever can ask the
/// vendor.
fn fallen(own: &[Floor], next: &[Floor]) -> Vec<String> {
    let mut fallen: BTreeMap<&Name, Vec<String>> = BTreeMap::new();
    for floor in own {
        let role = |f: &&Floor| (&f.vendor, &f.role) == (&floor.vendor, &floor.role);
        let now = next.iter().find(role).map_or(0, |f| f.version);
        if now < floor.version {
            let line = format!("{} from {} to {now}", floor.role, floor.version);
            fallen.entry(&floor.vendor).or_default().push(line);
        }
    }
    let line = |(vendor, roles): (&Name, Vec<String>)| {
        let first = roles.first().map_or("", String::as_str);
        format!(
            "{} floor(s) of {vendor} fall by the enrolment's word, {first} among them: make sure that {vendor} changed \
             its keys since the backup",
            roles.len()
        )
    };
    fallen.into_iter().map(line).collect()
}

/// The site file that came back, or a newer one of its owner.
fn site_in_force(found: &Found, given: Option<&Path>) -> Result<TrustedSite, Refusal> {
    let kept = found.node.site();
    let Some(path) = given else {
        return Ok(kept.clone());
    };
    let (raw, members) = read_site(path)?;
    Ok(match kept.renew(raw, members)? {
        Renewal::Same => kept.clone(),
        Renewal::Newer(newer) => *newer,
    })
}

/// The backup must not bring back whom a newer site file took out.
fn check_site(
    known: &SiteRef,
    whose: &'static str,
    site: &TrustedSite,
    line: &str,
) -> Result<(), Refusal> {
    let here = site.site_ref();
    if known.version < here.version || *known == here {
        return Ok(());
    }
    let told = |site: &SiteRef| format!("version {} ({})", site.version, site.sha256.short());
    let what = if known.version > here.version {
        "the node worked under a newer site file than the one that came back"
    } else {
        "the node worked under another site file of the same version than the one that came back"
    };
    Err(Refusal::new(RefusalName::UntrustedSigner, what)
        .value(whose, told(known))
        .value("here is", told(&here))
        .next(format!(
            "lockstep {line}, with the owner's site file of version {} or later",
            known.version
        )))
}

fn verified(raw: &RawStatement, site: &TrustedSite) -> Result<Enrolment, Refusal> {
    let (verified, _) = by_signers::<Enrolment>(raw, &site.preparers)?;
    Ok(verified.get().clone())
}

fn check_node(enrolment: &Enrolment, found: &Found) -> Result<(), Refusal> {
    let node = &found.node;
    let same =
        enrolment.environment.id == node.environment().id && enrolment.node.name == *node.name();
    if same {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::WrongEnvironment,
        "the enrolment is of another environment or node",
    )
    .value(
        "made for",
        format!("{}, node {}", enrolment.environment, enrolment.node.name),
    )
    .value(
        "this is",
        format!("{}, node {}", node.environment(), node.name()),
    )
    .next("have the desk write the one of this node: lockstep enrol SNAPSHOT.spr --output FILE --key KEY"))
}

/// Refused where nothing is wrong: every mark fits, nothing is lost, and the desk knows nothing that
/// this node does not.
fn check_needed(enrolment: &Enrolment, found: &Found) -> Result<(), Refusal> {
    let fits = found.lost.is_empty() && found.node.displaced()?.is_empty();
    let node = &found.node;
    let ahead = enrolment.sequence > node.state().sequence;
    let strange = enrolment
        .receipt
        .is_some_and(|receipt| !found.witness.heads.contains(&receipt))
        || enrolment.node != found.former && enrolment.sequence >= node.state().sequence;
    if fits && !ahead && !strange {
        return Err(nothing_to_do(found)
            .value("the desk knows", format!("sequence {}", enrolment.sequence))
            .value("this node", format!("sequence {}", node.state().sequence))
            .next("lockstep status"));
    }
    Ok(())
}

fn notes(enrolment: &Enrolment, found: &Found) -> Vec<String> {
    let state = found.node.state();
    let mut notes = vec![format!(
        "it goes on from sequence {}; the desk knew {}, this folder says up to {}",
        state.sequence, enrolment.sequence, found.witness.sequence
    )];
    notes.extend(found.lost.iter().map(|lost| format!("lost: {lost}")));
    if enrolment.sequence > state.sequence {
        notes.push(
            "compare what is installed with the desk's last receipt: what was applied since the backup is not here"
                .to_owned(),
        );
    }
    notes
}
