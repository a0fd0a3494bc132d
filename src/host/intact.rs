//! A state folder that is not vouched for by `current`: whether its files bear each other out.
//!
//! The node signed the snapshot and the receipt in it, and the owner the site file; what the state
//! itself says is compared with them. So a state that was changed is found, and one that `current` can
//! no longer name may still be gone on from.

use crate::disk::state::{CurrentState, RECEIPT_FILE, StateStore};
use crate::model::snapshot::{EnvironmentId, Snapshot};
use crate::model::{Name, PublicKey, Refusal, RefusalName};
use crate::spr::{Opened, RawStatement, SprError};
use crate::trust::chain::Chain;
use crate::trust::receipt::{Agreed, ReceiptParts, check_alone};
use crate::trust::site;
use crate::trust::verified::{Verified, by_key, by_stated_key};
use crate::trust::{TrustError, TrustedSite};

/// A state whose files bear each other out.
pub(super) struct Intact {
    pub(super) state: CurrentState,
    pub(super) snapshot: Verified<Snapshot>,
}

impl Intact {
    /// Reads a state and checks it; `key` must have signed it, where it is given.
    pub(super) fn read(
        store: &StateStore,
        sequence: u64,
        key: Option<&PublicKey>,
    ) -> Result<Self, Refusal> {
        let state = store.uncertain(sequence)?;
        let at = store.folder().join(format!("states/{sequence}"));
        let damaged = |what: &str| {
            Refusal::new(
                RefusalName::Corrupt,
                "the files of a state do not bear each other out",
            )
            .value("state", at.display())
            .value("differs", what)
            .next("keep this folder as it is for whoever looks into it; compare with the receipts that the desk has")
        };
        let file = state.files.get("snapshot.spr");
        let file = file.ok_or_else(|| damaged("there is no snapshot"))?;
        let raw = whole(file).map_err(|e| e.refuse(&at))?;
        let snapshot = signed(&raw, key)?;
        let file = state.files.get(RECEIPT_FILE);
        let receipt = file.map(|file| ReceiptParts::open(file)).transpose();
        let receipt = receipt
            .map_err(|e| e.refuse(&at))?
            .map(|parts| parts.verify(&snapshot.get().node.key))
            .transpose()?;
        let (raw, members) = site::open(state.files.get("site.spr").map_or(&[], Vec::as_slice))?;
        let site = TrustedSite::reload(raw, members)?;
        let home = if let Some(home) = &state.state.home {
            (home.environment.clone(), home.node.clone())
        } else {
            let file = store.environment()?;
            (file.environment, file.node)
        };
        match difference(&state, &snapshot, receipt.as_ref(), &site, &home) {
            Some(what) => Err(damaged(what)),
            None => Ok(Self { state, snapshot }),
        }
    }
}

/// Every state of a chain that was checked, by the key that was the node's own then.
pub(super) fn check_all(store: &StateStore, chain: &Chain) -> Result<(), Refusal> {
    for receipt in chain.receipts() {
        let receipt = receipt.get();
        Intact::read(store, receipt.sequence, Some(&receipt.node.key))?;
    }
    Ok(())
}

/// The state's snapshot, every member of it checked by its digest.
fn whole(file: &[u8]) -> Result<RawStatement, SprError> {
    let opened = Opened::open(file)?;
    let statement: Snapshot = opened.decode()?;
    let limit = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let (raw, _) = opened.into_memory(&statement.members, limit)?;
    Ok(raw)
}

fn signed(raw: &RawStatement, key: Option<&PublicKey>) -> Result<Verified<Snapshot>, TrustError> {
    check_alone(raw)?;
    match key {
        Some(key) => by_key(raw, key),
        None => by_stated_key(raw, |snapshot: &Snapshot| &snapshot.node.key),
    }
}

/// What the state says otherwise than what was signed with it.
fn difference(
    CurrentState {
        sequence, state, ..
    }: &CurrentState,
    snapshot: &Verified<Snapshot>,
    receipt: Option<&Agreed>,
    site: &TrustedSite,
    home: &(EnvironmentId, Name),
) -> Option<&'static str> {
    let sha256 = snapshot.sha256();
    let said = snapshot.get();
    let opened = |open: &crate::model::state::OpenChallenge| {
        (open.sequence, open.snapshot, open.challenge) == (*sequence, sha256, said.challenge)
    };
    let head = receipt.map_or(said.receipt, |agreed| Some(agreed.receipt().sha256()));
    let inner = |agreed: &Agreed| agreed.snapshot().sha256() == sha256;
    let agrees: [(&'static str, bool); 12] = [
        ("sequence number", said.sequence == *sequence),
        ("environment", said.environment == home.0),
        ("node", said.node.name == home.1),
        ("floors", said.floors == state.floors),
        ("components", said.components == state.installed),
        ("marks", said.marks == state.marks),
        ("state digest", said.state == state.state),
        ("site file", said.site == state.site),
        ("site file", site.site_ref() == state.site),
        ("challenges", state.challenges.iter().any(opened)),
        ("last receipt", head == Some(state.receipt)),
        ("receipt", receipt.is_none_or(inner)),
    ];
    agrees
        .into_iter()
        .find(|(_, agrees)| !agrees)
        .map(|(what, _)| what)
}
