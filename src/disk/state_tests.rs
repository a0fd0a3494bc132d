//! Tests of the trusted state.

use super::*;
use crate::disk::founding::samples;
use crate::model::snapshot::Challenge;
use crate::model::{Refusal, RefusalName};

fn files(sequence: u64, receipt: bool) -> BTreeMap<String, Vec<u8>> {
    let state = canonical::encode(&samples::state(sequence)).unwrap();
    let mut files = BTreeMap::from([(STATE_FILE.to_owned(), state)]);
    if receipt {
        files.insert(RECEIPT_FILE.to_owned(), format!("r{sequence}").into_bytes());
    }
    files
}

fn commit(store: &StateStore, sequence: u64, receipt: bool) {
    let prepared = store.prepare(sequence, &files(sequence, receipt)).unwrap();
    store.commit(prepared).unwrap();
}

#[test]
fn a_prepared_state_counts_once_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::at(folder.path().to_owned());
    commit(&store, 1, true);
    let prepared = store.prepare(2, &files(2, false)).unwrap();
    assert_eq!(store.current().unwrap().sequence, 1);
    drop(prepared);
    // A second try finds the leftover of the first in its way, and goes on.
    durable::write(&folder.path().join("states/2/left"), b"x", 0o600).unwrap();
    commit(&store, 2, false);
    let current = store.current().unwrap();
    assert_eq!((current.sequence, current.state.sequence), (2, 2));
    assert_eq!(current.files, files(2, false));
    assert!(matches!(
        store.prepare(2, &files(2, false)),
        Err(DiskError::AlreadyThere { .. })
    ));
}

#[test]
fn damage_is_never_first_use() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 6] = [
        ("no current", |f| {
            std::fs::remove_file(f.join("current")).unwrap();
        }),
        ("current cut", |f| {
            durable::write(&f.join("current"), b"{\"fold", 0o600).unwrap();
        }),
        ("no folder", |f| {
            folder::remove_tree(&f.join("states/1")).unwrap();
        }),
        ("a file less", |f| {
            std::fs::remove_file(f.join("states/1/receipt.spr")).unwrap();
        }),
        ("a file more", |f| {
            durable::write(&f.join("states/1/x"), b"", 0o600).unwrap();
        }),
        ("a file cut", |f| {
            durable::write(&f.join("states/1/receipt.spr"), b"r", 0o600).unwrap();
        }),
    ];
    for (what, damage) in table {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        commit(&store, 1, true);
        store.current().unwrap();
        damage(folder.path());
        let refusal = Refusal::from(store.current().unwrap_err());
        assert_eq!(refusal.name, RefusalName::Corrupt, "{what}");
        assert!(refusal.next.contains("from a backup"), "{what}");
    }
}

#[test]
fn receipts_stay_and_the_rest_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::at(folder.path().to_owned());
    for (sequence, receipt) in [(1, true), (2, false), (3, true), (4, false), (5, false)] {
        commit(&store, sequence, receipt);
    }
    drop(store.prepare(6, &files(6, true)).unwrap());
    assert_eq!(store.receipts().unwrap(), [1, 3]);
    assert_eq!(store.receipt(3).unwrap().unwrap(), b"r3");
    assert_eq!(store.receipt(2).unwrap(), None);
    store.prune().unwrap();
    store.remove_uncommitted().unwrap();
    let left = folder::numbers(&folder.path().join("states")).unwrap();
    assert_eq!(left, [1, 3, 4, 5]);
    assert_eq!(store.current().unwrap().sequence, 5);
}

#[test]
fn the_oldest_challenge_makes_room() {
    let mut state = samples::state(1);
    for n in 0..70_u8 {
        state.open_challenge(OpenChallenge {
            challenge: Challenge::from_bytes([n; 32]),
            created: Time::EPOCH,
            sequence: 1,
            snapshot: Sha256::of(b"s"),
            state: Sha256::of(b""),
        });
    }
    assert_eq!(state.challenges.len(), CHALLENGES_MAX);
    let first = state.challenges.first().unwrap().challenge;
    assert_eq!(first, Challenge::from_bytes([6; 32]));
}
