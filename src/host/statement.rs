//! What a node signs: the next snapshot, and the receipt of what it did, as one new state.
//!
//! Whatever changes a node's trusted state goes through [`NextState::write`]: it counts the
//! sequence up, opens a challenge, signs, and hands back a state that one rename will commit.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Node;
use crate::disk::home::Home;
use crate::disk::state::{PreparedState, RECEIPT_FILE, STATE_FILE, StateStore, TrustedState};
use crate::disk::{entropy, marks};
use crate::model::inventory::INVENTORY;
use crate::model::patch::Accepted;
use crate::model::receipt::{Action, Change, FileCounts, Receipt};
use crate::model::rehome::Rehome;
use crate::model::service::Failure;
use crate::model::snapshot::{
    Challenge, ConfigFile, Drift, EnvironmentId, Floor, Installed, Marks, NodeId, Program, Snapshot,
};
use crate::model::state::{OpenChallenge, state_digest};
use crate::model::statement::FORMAT;
use crate::model::{Kind, Member, Name, Principal, Refusal, RefusalName, Sha256, Time, TreePath};
use crate::spr::{MemberBytes, RawSignature, SprError, canonical, encode_small};
use crate::trust::{SigningKey, TrustedSite};

/// Who signs, and what came before.
pub(super) struct Signing<'a> {
    pub(super) store: &'a StateStore,
    pub(super) environment: &'a EnvironmentId,
    pub(super) node: &'a Name,
    pub(super) key: &'a SigningKey,
    pub(super) marks: Marks,
    /// The state before; nothing at `init`.
    pub(super) before: Option<&'a TrustedState>,
    /// The sequence number of the next state.
    pub(super) sequence: u64,
    /// What the last rehome made of the node.
    pub(super) home: Option<Home>,
    /// When the key's file was born.
    pub(super) born: Option<String>,
}

impl<'a> Signing<'a> {
    /// A node that signs its next state.
    pub(super) fn of(node: &'a Node, key: &'a SigningKey) -> Self {
        Self {
            store: &node.store,
            environment: node.environment(),
            node: node.name(),
            key,
            marks: node.state().marks.clone(),
            before: Some(node.state()),
            sequence: node.state().sequence.saturating_add(1),
            home: node.state().home.clone(),
            // A state of an earlier release does not say it.
            born: node
                .state()
                .born
                .clone()
                .or_else(|| marks::born(&node.key_path())),
        }
    }
}

/// What holds next.
pub(super) struct NextState<'a> {
    pub(super) site: &'a TrustedSite,
    pub(super) installed: Vec<Installed>,
    pub(super) drift: Vec<Drift>,
    pub(super) config: Vec<ConfigFile>,
    /// Files that the look at the tree did not read, by the index.
    pub(super) indexed: u64,
    pub(super) floors: Vec<Floor>,
    pub(super) time_floor: Time,
    pub(super) now: Time,
    /// The inventory of a full snapshot, compressed.
    pub(super) inventory: Option<Vec<u8>>,
    /// What was done; a plain snapshot does nothing.
    pub(super) deed: Option<Deed>,
    /// Whether earlier challenges are closed: by every commit of a change, and by a snapshot that is
    /// to be the only one.
    pub(super) only: bool,
}

/// What a receipt tells of.
pub(super) struct Deed {
    pub(super) action: Action,
    pub(super) accepted: Vec<Accepted>,
    pub(super) approvals: Vec<Principal>,
    pub(super) changes: Vec<Change>,
    pub(super) files: FileCounts,
    pub(super) kept: Vec<TreePath>,
    pub(super) patch: Option<Sha256>,
    pub(super) preparer: Option<Principal>,
    pub(super) operator: String,
    pub(super) times: Times,
    /// What the service did not do, where the change was taken back.
    pub(super) failure: Option<Failure>,
    /// The generation that was gone back to.
    pub(super) restored: Option<u64>,
    /// What a rehome goes on from.
    pub(super) rehome: Option<Rehome>,
}

/// How long a change took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// Staging, with the product running.
    pub staging_ms: u64,
    /// From asking the service to stop until it was well again; where nothing was stopped, that of the
    /// exchange.
    pub downtime_ms: u64,
    /// Exchange and syncs, a part of the downtime.
    pub exchange_ms: u64,
}

impl Deed {
    /// A deed that touched no file.
    pub(super) fn plain(action: Action, operator: String) -> Self {
        Self {
            action,
            operator,
            accepted: Vec::new(),
            approvals: Vec::new(),
            changes: Vec::new(),
            files: FileCounts::default(),
            kept: Vec::new(),
            patch: None,
            preparer: None,
            times: Times::default(),
            failure: None,
            restored: None,
            rehome: None,
        }
    }
}

/// A state on disk that is not in force yet, with the files to hand out once it is.
pub(super) struct Written {
    pub(super) prepared: PreparedState,
    pub(super) sequence: u64,
    pub(super) snapshot: Vec<u8>,
    pub(super) receipt: Option<Vec<u8>>,
    pub(super) state: Sha256,
}

impl NextState<'_> {
    /// Signs and writes the next state, durably; it counts from the commit on.
    pub(super) fn write(self, signing: &Signing<'_>) -> Result<Written, Refusal> {
        let sequence = signing.sequence;
        let public = signing.key.public().map_err(|e| internal(&e))?;
        let node = NodeId {
            key: public,
            name: signing.node.clone(),
        };
        let head = signing.before.map(|before| before.receipt);
        let inventory: Vec<MemberBytes> = self
            .inventory
            .iter()
            .map(|bytes| (INVENTORY.to_owned(), bytes.clone()))
            .collect();
        let snapshot = Snapshot {
            challenge: Challenge::from_bytes(*entropy::random_bytes()?),
            components: self.installed.clone(),
            config: self.config.clone(),
            created: self.now,
            drift: self.drift.clone(),
            environment: signing.environment.clone(),
            floors: self.floors.clone(),
            format: FORMAT,
            indexed: Some(self.indexed).filter(|count| *count > 0),
            kind: Kind::Snapshot,
            marks: signing.marks.clone(),
            members: members_of(&inventory),
            node: node.clone(),
            node_rules: signing.store.rules()?.sha256(),
            program: Program::this(),
            receipt: head,
            sequence,
            site: self.site.site_ref(),
            state: state_digest(&self.installed, &self.drift),
        };
        let (statement, signature) = sign(signing.key, Kind::Snapshot, &snapshot)?;
        let snapshot_file = encode_small(
            Kind::Snapshot,
            &statement,
            std::slice::from_ref(&signature),
            &inventory,
        )
        .map_err(|e| broken(&e))?;
        let snapshot_sha256 = Sha256::of(&statement);
        let inside = [
            (Kind::Snapshot.member().to_owned(), statement),
            (
                format!("{}.{}.sig", Kind::Snapshot.member(), signature.key),
                signature.armoured,
            ),
        ];
        let receipt = self
            .deed
            .as_ref()
            .map(|deed| self.receipt(deed, signing, &snapshot, &inside))
            .transpose()?;
        let state = self.state(
            signing,
            &snapshot,
            snapshot_sha256,
            receipt.as_ref().map(|(sha256, _)| *sha256),
        );
        let mut files = BTreeMap::from([
            ("site.spr".to_owned(), self.site.to_spr()?),
            ("snapshot.spr".to_owned(), snapshot_file.clone()),
        ]);
        let receipt = receipt.map(|(_, file)| file);
        files.extend(receipt.clone().map(|file| (RECEIPT_FILE.to_owned(), file)));
        let bytes = canonical::encode(&state).map_err(|e| broken(&e))?;
        files.insert(STATE_FILE.to_owned(), bytes);
        let prepared = signing.store.prepare(sequence, &files)?;
        Ok(Written {
            prepared,
            sequence,
            snapshot: snapshot_file,
            receipt,
            state: snapshot.state,
        })
    }

    fn receipt(
        &self,
        deed: &Deed,
        signing: &Signing<'_>,
        snapshot: &Snapshot,
        inside: &[MemberBytes],
    ) -> Result<(Sha256, Vec<u8>), Refusal> {
        let before = signing.before;
        let receipt = Receipt {
            accepted: deed.accepted.clone(),
            action: deed.action,
            after: snapshot.state,
            approvals: deed.approvals.clone(),
            before: before.map(|before| before.state),
            changes: deed.changes.clone(),
            created: self.now,
            downtime_ms: deed.times.downtime_ms,
            environment: snapshot.environment.clone(),
            exchange_ms: deed.times.exchange_ms,
            failure: deed.failure.clone(),
            files: deed.files,
            format: FORMAT,
            kind: Kind::Receipt,
            kept: deed.kept.clone(),
            members: members_of(inside),
            node: snapshot.node.clone(),
            operator: deed.operator.clone(),
            patch: deed.patch,
            preparer: deed.preparer.clone(),
            previous: before.map(|before| before.receipt),
            rehome: deed.rehome.clone(),
            restored: deed.restored,
            sequence: snapshot.sequence,
            site: snapshot.site.clone(),
            staging_ms: deed.times.staging_ms,
        };
        let (statement, signature) = sign(signing.key, Kind::Receipt, &receipt)?;
        let file = encode_small(Kind::Receipt, &statement, &[signature], inside)
            .map_err(|e| broken(&e))?;
        Ok((Sha256::of(&statement), file))
    }

    fn state(
        &self,
        signing: &Signing<'_>,
        snapshot: &Snapshot,
        snapshot_sha256: Sha256,
        receipt: Option<Sha256>,
    ) -> TrustedState {
        let before = signing.before;
        let challenges = match before {
            Some(before) if !self.only => before.challenges.clone(),
            _ => Vec::new(),
        };
        let deed = self.deed.as_ref();
        let generation = match before {
            Some(before) if !deed.is_some_and(|deed| deed.action.makes_generation()) => {
                before.generation
            }
            _ => snapshot.sequence,
        };
        let mut state = TrustedState {
            born: signing.born.clone(),
            challenges,
            floors: self.floors.clone(),
            format: FORMAT,
            generation,
            home: signing.home.clone(),
            installed: self.installed.clone(),
            marks: signing.marks.clone(),
            receipt: receipt
                .or(before.map(|before| before.receipt))
                .unwrap_or(snapshot_sha256),
            sequence: snapshot.sequence,
            site: snapshot.site.clone(),
            state: snapshot.state,
            time_floor: self.time_floor,
        };
        state.open_challenge(OpenChallenge {
            challenge: snapshot.challenge,
            created: snapshot.created,
            sequence: snapshot.sequence,
            snapshot: snapshot_sha256,
            state: snapshot.state,
        });
        state
    }
}

fn members_of(files: &[MemberBytes]) -> Vec<Member> {
    files
        .iter()
        .map(|(name, bytes)| Member::of(name.clone(), bytes))
        .collect()
}

fn sign<S: serde::Serialize>(
    key: &SigningKey,
    kind: Kind,
    statement: &S,
) -> Result<(Vec<u8>, RawSignature), Refusal> {
    let bytes = canonical::encode(statement).map_err(|e| broken(&e))?;
    let armoured = key
        .sign(kind.namespace().unwrap_or_default(), &bytes)
        .map_err(|e| internal(&e))?;
    let id = key.public().map_err(|e| internal(&e))?.id();
    Ok((bytes, RawSignature { key: id, armoured }))
}

fn internal(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(
        RefusalName::Internal,
        format!("signing did not work: {error}"),
    )
}

fn broken(error: &SprError) -> Refusal {
    Refusal::new(
        RefusalName::Internal,
        format!("a statement could not be written: {error}"),
    )
}
