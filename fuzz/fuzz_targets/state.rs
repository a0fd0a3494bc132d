//! The trusted state: whatever is written, cut short, damaged, pruned or left over, what is read is
//! exactly what was committed last, or it is refused.

#![no_main]

mod shared;
use shared::json;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::disk::root::Root;
use lockstep::disk::state::{EnvironmentFile, STATE_FILE, StateStore, TrustedState};
use lockstep::model::Sha256;
use lockstep::spr::canonical;
use serde_json::{Value, json as value};

use json::Json;
use shared::Bytes;
use shared::dice::Dice;

type Files = BTreeMap<String, Vec<u8>>;

static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let texts = ["stibo", "root 1", "targets 9007199254740991", "core/9.0/core-9.0.0.spr", "-1"];
    texts.iter().map(|text| (*text).to_owned()).collect()
});

/// A folder in memory, of this process alone.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let temporary = std::env::temp_dir();
    let above = if memory.is_dir() { memory } else { &temporary };
    above.join(format!("lockstep-fuzz-state-{}", std::process::id()))
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    let mut dice = Bytes::new(rest);
    match mode % 4 {
        0 => decoded(rest),
        1 | 2 => decoded(&edited(&mut dice)),
        _ => lives(&mut dice),
    }
});

/// What is decoded is encoded to the same bytes.
fn decoded(bytes: &[u8]) {
    if let Ok(state) = canonical::decode_value::<TrustedState>(bytes) {
        let again = canonical::encode(&state).expect("what was decoded can be encoded");
        assert_eq!(again, bytes, "a state in a second spelling");
    }
    if let Ok(file) = canonical::decode_value::<EnvironmentFile>(bytes) {
        let again = canonical::encode(&file).expect("what was decoded can be encoded");
        assert_eq!(again, bytes, "an environment in a second spelling");
    }
}

fn edited(dice: &mut Bytes<'_>) -> Vec<u8> {
    let mut json = if dice.once_in(8) {
        Json::of(value!({"created": "1970-01-01T00:00:00Z",
            "environment": {"id": "00000000-0000-0000-0000-000000000000", "name": "TEST"},
            "format": 0, "node": "n1", "service_none": true}))
    } else {
        Json::of(state(1))
    };
    for _ in 0..dice.below(4) {
        json::edit(&mut json, &POOL, dice);
    }
    json.bytes()
}

fn state(sequence: u64) -> Value {
    let digest = Sha256::of(b"x").to_string();
    value!({
        "challenges": [{"challenge": digest, "created": "1970-01-01T00:00:00Z", "sequence": 1,
            "snapshot": digest, "state": digest}],
        "floors": [{"keys": digest, "roles": ["root 1", "targets 2"], "vendor": "stibo"}],
        "format": 0, "generation": sequence,
        "installed": [format!("{digest} stibo core/9.0/core-9.0.0.spr")],
        "marks": {"inode": 1, "root": digest}, "receipt": digest, "sequence": sequence,
        "site": {"sha256": digest, "version": 1}, "state": digest,
        "time_floor": "1970-01-01T00:00:00Z",
    })
}

/// A store with what was committed to it.
struct Life {
    store: StateStore,
    folder: PathBuf,
    committed: Option<(u64, Files)>,
    damaged: bool,
}

fn lives(dice: &mut Bytes<'_>) {
    drop(std::fs::remove_dir_all(&*FOLDER));
    let folder = FOLDER.join(".lockstep");
    std::fs::create_dir_all(&folder).expect("a folder in memory");
    let root = Root::open(&FOLDER).expect("a root");
    let mut life = Life {
        store: StateStore::open(&root),
        folder,
        committed: None,
        damaged: false,
    };
    for _ in 0..1 + dice.below(8) {
        if dice.is_empty() {
            break;
        }
        life.step(dice);
        life.judge();
    }
    drop(std::fs::remove_dir_all(&*FOLDER));
}

impl Life {
    fn step(&mut self, dice: &mut Bytes<'_>) {
        let next = self.committed.as_ref().map_or(1, |(n, _)| n + 1);
        match dice.below(8) {
            0..=2 => self.write(next, true, dice),
            3 => self.write(next, false, dice),
            4 => drop(self.store.prune()),
            5 => drop(self.store.remove_uncommitted()),
            _ => self.damage(dice),
        }
    }

    fn write(&mut self, sequence: u64, commit: bool, dice: &mut Bytes<'_>) {
        let mut files = Files::from([(
            STATE_FILE.to_owned(),
            state(sequence).to_string().into_bytes(),
        )]);
        for name in ["receipt.spr", "snapshot.spr", "site.spr"] {
            if dice.once_in(2) {
                files.insert(name.to_owned(), dice.bytes(40));
            }
        }
        // A damaged store may refuse what the one before it is not known of.
        let Ok(prepared) = self.store.prepare(sequence, &files) else {
            assert!(self.damaged, "a whole store takes the next state");
            return;
        };
        if commit {
            self.store.commit(prepared).expect("a commit");
            self.committed = Some((sequence, files));
            self.damaged = false;
        }
    }

    /// Changes one file below the folder: cut, edited, removed, copied over another, or a new one.
    fn damage(&mut self, dice: &mut Bytes<'_>) {
        let Some((sequence, _)) = &self.committed else {
            return;
        };
        let own = self.folder.join("states").join(sequence.to_string());
        let mut places = vec![self.folder.join("current"), own.join("more")];
        let listed = std::fs::read_dir(&own).into_iter().flatten();
        places.extend(listed.map(|entry| entry.expect("an entry").path()));
        places.sort();
        let place = dice.pick(&places).cloned().unwrap_or_default();
        let mut bytes = std::fs::read(&place).unwrap_or_default();
        match dice.below(4) {
            0 => bytes.truncate(dice.below(bytes.len().max(1))),
            1 => {
                let at = dice.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            2 => bytes.push(dice.byte()),
            _ => {
                drop(std::fs::remove_file(&place));
                self.damaged = true;
                return;
            }
        }
        drop(std::fs::write(&place, bytes));
        self.damaged = true;
    }

    fn judge(&self) {
        match (self.store.current(), &self.committed) {
            (Ok(read), Some((sequence, files))) => {
                assert_eq!(read.sequence, *sequence, "another state");
                assert_eq!(read.files, *files, "other files");
                assert_eq!(read.state.sequence, *sequence);
            }
            (Ok(read), None) => panic!("state {} out of nothing", read.sequence),
            (Err(why), Some(_)) => assert!(self.damaged, "a whole state is refused: {why}"),
            (Err(_), None) => {}
        }
    }
}
