//! Statements: the canonical form is told exactly, and what is decoded is encoded to the same bytes.

#![no_main]

mod shared;
use shared::{archive, json};

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::model::enrolment::Enrolment;
use lockstep::model::patch::Patch;
use lockstep::model::receipt::Receipt;
use lockstep::model::recipe::Recipe;
use lockstep::model::site::Site;
use lockstep::model::snapshot::Snapshot;
use lockstep::model::{Kind, Statement};
use lockstep::spr::canonical;
use serde_json::Value;

use json::Json;
use shared::Bytes;
use shared::dice::Dice as _;

static STATEMENTS: LazyLock<Vec<Json>> = LazyLock::new(|| {
    let files = shared::golden("");
    let read = files.iter().filter_map(|file| archive::Archive::read(file));
    read.filter_map(|archive| Json::parse(archive.statement()))
        .collect()
});
static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut pool = Vec::new();
    STATEMENTS.iter().for_each(|s| s.texts(&mut pool));
    pool
});

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    if mode & 1 == 0 {
        check(rest);
    } else {
        check(&edited(rest));
    }
});

fn edited(input: &[u8]) -> Vec<u8> {
    let mut dice = Bytes::new(input);
    let Some(mut statement) = dice.pick(&STATEMENTS).cloned() else {
        return Vec::new();
    };
    for _ in 0..dice.below(4) {
        json::edit(&mut statement, &POOL, &mut dice);
    }
    let mut bytes = statement.bytes();
    if dice.once_in(16) {
        json::space(&mut bytes, &mut dice);
    }
    bytes
}

fn check(bytes: &[u8]) {
    let canonical = canonical::check(bytes).is_ok();
    assert_eq!(canonical, is_canonical(bytes), "two judges of one text");
    let decoded = [
        same::<Enrolment>(bytes),
        same::<Patch>(bytes),
        same::<Receipt>(bytes),
        same::<Recipe>(bytes),
        same::<Site>(bytes),
        same::<Snapshot>(bytes),
    ];
    let count = decoded.iter().filter(|kind| kind.is_some()).count();
    assert!(count <= 1, "one text, statements of two kinds");
    assert!(canonical || count == 0, "decoded without its one spelling");
}

/// Decoded and encoded again it is the same bytes, and the statement keeps its own rules.
fn same<S: Statement>(bytes: &[u8]) -> Option<Kind> {
    let statement: S = canonical::decode(bytes).ok()?;
    statement.check().expect("its rules");
    let again = canonical::encode(&statement).expect("what was decoded can be encoded");
    assert_eq!(again, bytes, "a {} in another spelling", S::KIND);
    Some(S::KIND)
}

/// The same question, asked of another JSON library: the text is what it writes of what it read, and
/// nothing in it is beyond the narrowed form.
fn is_canonical(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    value.is_object() && narrow(&value, 0) && value.to_string().as_bytes() == bytes
}

fn narrow(value: &Value, depth: usize) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    depth <= canonical::DEPTH_MAX
        && match value {
            Value::Null => false,
            Value::Bool(_) | Value::String(_) => true,
            Value::Number(number) => number.as_u64().is_some_and(|n| n < 1 << 53),
            Value::Array(items) => items.iter().all(|item| narrow(item, depth + 1)),
            Value::Object(entries) => entries
                .iter()
                .all(|(key, value)| key.chars().all(plain) && narrow(value, depth + 1)),
        }
}
