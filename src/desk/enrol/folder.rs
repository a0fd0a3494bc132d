//! Many files at once: each node in them is enrolled, or refused by itself.
//!
//! | attack | defence |
//! |---|---|
//! | a file slipped in beside the true one, claiming the same node with another key | neither is enrolled: which is true, only a fingerprint says |
//! | a second environment of the same name, to be taken for the first | the same |

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::fingerprint::{fits, prefix};
use super::{Outcome, Request, is_known, one};
use crate::desk::Desk;
use crate::desk::gather::{self, Claim};
use crate::desk::many::Many;
use crate::model::{Kind, Refusal, RefusalName, Time, Watch};

pub(super) fn run(
    desk: &Desk,
    places: &[PathBuf],
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Many<Outcome>, Refusal> {
    let takes = [Kind::Snapshot, Kind::Receipt];
    let found = gather::claims(places, &takes, "snapshot or receipt");
    let (claims, mut many) = found.map_err(|refusal| {
        refusal.next("name the snapshots, or the folder they lie in: lockstep enrol /media/usb")
    })?;
    let claims = picked(claims, request, &mut many)?;
    check_one_node(&claims, request)?;
    let mut known = Vec::new();
    for claim in &claims {
        let record = desk.environment(&claim.environment)?;
        known.push(record.is_some_and(|record| is_known(&record, &claim.node)));
    }
    for (claim, is_known) in claims.iter().zip(&known) {
        let rivals: Vec<_> = claims
            .iter()
            .zip(&known)
            .filter(|(other, _)| rivals(claim, other))
            .collect();
        // Where one of them is enrolled already, that one is the true one.
        let open = !is_known && rivals.iter().all(|(_, known)| !**known);
        let enrolled = match rivals.first() {
            Some((rival, _)) if open => Err(two_keys(claim, rival)),
            _ => one(desk, &claim.path, request, now, watch),
        };
        many.take(claim.path.display(), enrolled);
    }
    Ok(many)
}

/// With a fingerprint, the files of the one node that it fits; others are left out.
fn picked(
    claims: Vec<Claim>,
    request: &Request,
    many: &mut Many<Outcome>,
) -> Result<Vec<Claim>, Refusal> {
    let Some(wanted) = &request.fingerprint else {
        return Ok(claims);
    };
    let prefix = prefix(wanted)?;
    let (picked, others): (Vec<_>, Vec<_>) = claims
        .into_iter()
        .partition(|claim| fits(&claim.node, prefix));
    if picked.is_empty() {
        return Err(Refusal::new(
            RefusalName::NotEnrolled,
            "none of the files is from the node with that fingerprint",
        )
        .value("files of nodes", others.len())
        .value("you gave", wanted)
        .next("read the fingerprint again on the host (lockstep status), and bring its snapshot"));
    }
    for claim in others {
        let whose = format!(
            "environment {}, node {}",
            claim.environment, claim.node.name
        );
        many.leave_out(
            claim.path.display(),
            format!("{whose}: another fingerprint"),
        );
    }
    Ok(picked)
}

/// Another key, and an enrolment file, are of one node each.
fn check_one_node(claims: &[Claim], request: &Request) -> Result<(), Refusal> {
    let keys: BTreeSet<String> = claims
        .iter()
        .map(|claim| claim.node.key.fingerprint())
        .collect();
    let option = match (request.replace, &request.output) {
        (true, _) => "--replace",
        (false, Some(_)) => "--output",
        (false, None) => return Ok(()),
    };
    if keys.len() <= 1 && (request.output.is_none() || claims.len() == 1) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalName::Usage,
        format!("{option} is for one node, and these files are of several, or several of one"),
    )
    .value("files", claims.len())
    .value("nodes", keys.len())
    .next(format!(
        "lockstep enrol SNAPSHOT.spr {option} ..., one node at a time"
    )))
}

/// Whether both claim to be what only one of them can be.
fn rivals(a: &Claim, b: &Claim) -> bool {
    if a.environment.id == b.environment.id {
        a.node.name == b.node.name && a.node.key != b.node.key
    } else {
        a.environment.name == b.environment.name
    }
}

fn two_keys(claim: &Claim, rival: &Claim) -> Refusal {
    Refusal::new(
        RefusalName::NotEnrolled,
        "two files claim the same name with different keys, and nothing says which is true",
    )
    .value(
        "this file",
        format!("{}: {}", claim.path.display(), claim.environment),
    )
    .value(
        "the other",
        format!("{}: {}", rival.path.display(), rival.environment),
    )
    .next("read the fingerprint on the host (lockstep status): lockstep enrol ... --fingerprint PREFIX")
}
