//! Recipes: what is read is written as the same file, and no recipe that is read can name a place
//! outside of the root, the node's state, a mode beyond 0777, or one path twice.

#![no_main]

mod shared;
use shared::{archive, json};

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::model::glob::PathGlobs;
use lockstep::model::recipe::{Recipe, What};
use lockstep::spr::{Opened, encode_unsigned};

use archive::Archive;
use json::Json;
use shared::Bytes;
use shared::dice::Dice as _;

static RECIPES: LazyLock<Vec<Archive>> = LazyLock::new(|| {
    let files = shared::golden("recipe");
    files.iter().filter_map(|file| Archive::read(file)).collect()
});
static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut pool: Vec<String> = [
        "lib/core.jar", "LIB/core.jar", "lib", ".lockstep/x", ".Lockstep", "a/../b", "a//b", "a/",
        "/a", "../../x", "x/../..", "**", "[", "conf/*", ">=1, <2", "*", "1.0-mp5",
    ]
    .iter()
    .map(|text| (*text).to_owned())
    .collect();
    for archive in RECIPES.iter() {
        if let Some(statement) = Json::parse(archive.statement()) {
            statement.texts(&mut pool);
        }
    }
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
    let Some(mut archive) = dice.pick(&RECIPES).cloned() else {
        return Vec::new();
    };
    let Some(mut statement) = Json::parse(archive.statement()) else {
        return Vec::new();
    };
    more_files(&mut statement, &mut dice);
    for _ in 0..dice.below(4) {
        json::edit(&mut statement, &POOL, &mut dice);
    }
    if let Some(first) = archive.entries.first_mut() {
        first.fill(statement.bytes());
    }
    archive.bytes()
}

/// Entries of every kind: the golden recipe has few.
fn more_files(statement: &mut Json, dice: &mut Bytes<'_>) {
    let Some(Json::List(mut files)) = statement.get("files").cloned() else {
        return;
    };
    for index in 0..dice.below(4) {
        let path = match dice.below(3) {
            0 => format!("z{index}/a"),
            1 => format!("z{index}"),
            _ => dice.pick(&POOL).cloned().unwrap_or_default(),
        };
        let what = if dice.once_in(2) {
            let target = dice.pick(&POOL).cloned().unwrap_or_default();
            serde_json::json!({"link": {"target": target}})
        } else {
            serde_json::json!({"folder": {"mode": "0755"}})
        };
        files.push(Json::of(serde_json::json!({"path": path, "what": what})));
    }
    statement.set("files", &Json::List(files));
}

fn check(file: &[u8]) {
    let Ok(opened) = Opened::of_file(file.to_vec()) else {
        return;
    };
    let Ok(recipe) = opened.decode::<Recipe>() else {
        return;
    };
    keeps_inside(&recipe);
    PathGlobs::new(&recipe.config).expect("globs that were checked");
    let Ok((raw, members)) = opened.into_memory(&recipe.members, 1 << 20) else {
        return;
    };
    if raw.signatures.is_empty() {
        let again = encode_unsigned(&recipe, &members).expect("it can be written");
        assert_eq!(again, file, "another file of the same recipe");
    }
}

fn keeps_inside(recipe: &Recipe) {
    let mut seen = BTreeSet::new();
    for entry in &recipe.files {
        let path = entry.path.as_str();
        let segments: Vec<&str> = path.split('/').collect();
        assert!(segments.iter().all(|s| !matches!(*s, "" | "." | "..")), "{path:?}");
        assert!(!segments[0].eq_ignore_ascii_case(".lockstep"), "{path:?}");
        assert!(!path.contains(['\0', '\n', '\u{1b}']), "{path:?}");
        assert!(seen.insert(path.to_lowercase()), "{path:?} twice");
        match &entry.what {
            What::File(file) => assert!(file.mode.bits() <= 0o777),
            What::Folder { mode } => assert!(mode.bits() <= 0o777),
            What::Link { target } => stays(&segments, target),
        }
    }
}

/// Walks a link's text from the link's own folder: at no step above the root.
fn stays(segments: &[&str], target: &str) {
    assert!(!target.starts_with('/') && !target.is_empty(), "{target:?}");
    let mut depth = segments.len() - 1;
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => depth = depth.checked_sub(1).expect("a link out of the root"),
            _ => depth += 1,
        }
    }
}
