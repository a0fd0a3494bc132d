//! The commit of a rehome: the key, the state that names it, and the rename that puts both in force; then
//! the receipt, and last what is left over of the node that was.
//!
//! Until the rename whatever is refused leaves the node as it was. From it on nothing is refused, and what
//! goes wrong is told as unfinished.

use std::path::PathBuf;

use super::salvage::Found;
use super::{Next, Request};
use crate::disk::home::Home;
use crate::disk::{founding, marks, operator};
use crate::host::Node;
use crate::host::output::{commit, unfinished, write_out};
use crate::host::statement::{Deed, NextState, Signing};
use crate::host::survey::{Reading, Survey};
use crate::model::receipt::Action;
use crate::model::rehome::{Former, Rehome};
use crate::model::text::Shown;
use crate::model::{Refusal, RefusalName, Time, Watch};

/// What was committed.
pub(super) struct Committed {
    pub(super) fingerprint: String,
    sequence: u64,
    receipt: Vec<u8>,
}

/// The scan, the key, the state that names it, and the rename that puts both in force.
pub(super) fn go_on(
    found: &Found,
    next: &Next,
    home: &Home,
    request: &Request,
    now: Time,
    watch: &dyn Watch,
) -> Result<Committed, Refusal> {
    let node = &found.node;
    let survey = Survey::of(node, &node.components()?, Reading::Whole, watch)?;
    watch.go_on()?;
    // What the last rehome passed over is known from its own states alone, and its sweep may not have run.
    node.store.set_lost_aside(node.state().home.as_ref())?;
    let path = node.store.key_path(Some(home));
    let key = founding::make_key(&path)?;
    // All that can be refused is asked before the commit.
    let public = key
        .public()
        .map_err(|e| Refusal::new(RefusalName::Internal, e.to_string()))?;
    let state = NextState {
        site: &next.site,
        installed: node.installed().to_vec(),
        drift: survey.scan.drift.clone(),
        config: survey.scan.config.clone(),
        indexed: 0,
        floors: next.floors.clone(),
        time_floor: next.time_floor,
        now,
        inventory: None,
        deed: Some(deed(found, next, request)),
        only: true,
    };
    let written = state.write(&Signing {
        store: &node.store,
        environment: &next.environment,
        node: &next.node,
        key: &key,
        marks: marks::live(node.root(), &path, &marks::Sources::default())?,
        before: Some(node.state()),
        sequence: home.since,
        home: Some(home.clone()),
        born: marks::born(&path),
    })?;
    commit(&node.store, written.prepared, written.sequence)?;
    Ok(Committed {
        fingerprint: public.fingerprint(),
        sequence: written.sequence,
        receipt: written.receipt.unwrap_or_default(),
    })
}

/// The new node stands: its receipt is handed out, by which the desk gets to know it, and only then goes
/// what the rehome left behind. What goes wrong is told as unfinished.
pub(super) fn tidied(
    node: &Node,
    request: &Request,
    name: &str,
    committed: &Committed,
) -> Result<PathBuf, Refusal> {
    let untold = |refusal: &Refusal, what| unfinished(refusal, what, committed.sequence);
    let receipt = write_out(request.receipt.as_deref(), name, &committed.receipt)
        .map_err(|refusal| untold(&refusal, "the receipt could not be written"));
    match (receipt, node.store.remove_uncommitted()) {
        (receipt, Ok(())) => receipt,
        (Err(refusal), Err(left)) => Err(refusal.value("left over", left)),
        (Ok(receipt), Err(left)) => Err(untold(
            &left.into(),
            "what it left behind could not be removed",
        )
        .value("receipt", Shown(&receipt))
        .next("lockstep recover, once that is mended; the receipt is written, for lockstep enrol on the desk")),
    }
}

/// What the receipt tells.
fn deed(found: &Found, next: &Next, request: &Request) -> Deed {
    let node = &found.node;
    let former = Former {
        environment: node.environment().clone(),
        node: found.former.clone(),
        receipt: node.state().receipt,
        sequence: node.state().sequence,
    };
    Deed {
        rehome: Some(Rehome {
            former,
            how: next.how,
            reason: request.reason.clone(),
        }),
        ..Deed::plain(Action::Rehome, operator::User::current().name)
    }
}

/// What was written before the commit goes again.
pub(super) fn taken_back(node: &Node, home: &Home, refusal: Refusal) -> Refusal {
    match node.store.abandon(home) {
        Ok(()) => refusal,
        Err(left) => refusal.value("left over", left),
    }
}
