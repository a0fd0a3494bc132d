//! Edits inside of members: compressed ones packed anew, damaged or made a bomb, the vendor's metadata
//! signed by a key of one's own, recipes edited with all that names them brought in line.

use std::io::Write as _;

use lockstep::model::Sha256;
use lockstep::model::digest::hex;
use lockstep::model::operation::OPERATIONS_MEMBER;
use lockstep::trust::SigningKey;
use serde_json::Value;
use sigstore_tuf::canonical_json::to_canonical_bytes;

use super::archive::{Archive, Entry};
use super::dice::Dice;
use super::json::{self, Json};
use super::signing;
use super::world::Outcome;

/// Most bytes that a member of a good file unpacks to here.
const MOST: usize = 1 << 20;
/// Bytes of zeros in a bomb: more than a case may take.
const BOMB: usize = 400 << 20;

/// What nested edits need.
pub(crate) struct Inside<'a> {
    /// Strings of other statements.
    pub(crate) pool: &'a [String],
    /// A key that no vendor has.
    pub(crate) stranger: &'a SigningKey,
    /// A bomb, packed once.
    pub(crate) bomb: &'a [u8],
}

/// Few bytes that unpack to very many.
pub(crate) fn bomb() -> Outcome<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..BOMB / zeros.len() {
        encoder.write_all(&zeros)?;
    }
    Ok(encoder.finish()?)
}

fn ends(entry: &Entry, with: &str) -> bool {
    let name = entry.name();
    name.rsplit_once('.').is_some_and(|(_, end)| end == with)
}

fn pack(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::bulk::compress(bytes, level).unwrap_or_default()
}

fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::decompress(bytes, MOST).ok()
}

/// Edits the inside of one member; `None` where there is none to edit.
pub(crate) fn edit(
    archive: &mut Archive,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Option<&'static str> {
    let packed: Vec<usize> = (1..archive.entries.len())
        .filter(|at| ends(&archive.entries[*at], "zst"))
        .collect();
    if packed.is_empty() || dice.once_in(8) {
        return text(archive, inside, dice);
    }
    let at = *dice.pick(&packed)?;
    let name = archive.entries[at].name();
    match dice.below(10) {
        0..=2 => Some(frame(archive, at, inside, dice)),
        _ if name.starts_with("vendor/") => metadata(archive, at, inside, dice),
        _ if name.starts_with("recipes/") => recipe(archive, at, inside, dice),
        _ if name == OPERATIONS_MEMBER => operation(archive, at, inside, dice),
        _ => content(archive, at, dice),
    }
}

/// The compressed frame itself.
fn frame(
    archive: &mut Archive,
    at: usize,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> &'static str {
    let old = archive.entries[at].content.clone();
    let plain = unpack(&old).unwrap_or_default();
    let (new, how) = match dice.below(9) {
        0 => (
            pack(&plain, 1 + i32::try_from(dice.below(19)).unwrap_or(0)),
            "packed anew",
        ),
        1 | 7 | 8 => (inside.bomb.to_vec(), "a bomb"),
        2 => ([old.clone(), pack(b"", 1)].concat(), "two frames"),
        3 => (
            [b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec(), old].concat(),
            "a frame to skip",
        ),
        4 => (Vec::new(), "an empty member"),
        5 => (plain, "not packed"),
        _ => {
            let mut bytes = old;
            let place = dice.below(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << dice.below(8);
            }
            (bytes, "a damaged frame")
        }
    };
    archive.entries[at].fill(new);
    how
}

/// A pack with other content, of the same length or another.
fn content(archive: &mut Archive, at: usize, dice: &mut impl Dice) -> Option<&'static str> {
    let mut plain = unpack(&archive.entries[at].content)?;
    if dice.once_in(3) {
        plain.push(dice.byte());
    } else {
        let place = dice.below(plain.len().max(1));
        *plain.get_mut(place)? ^= 1 << dice.below(8);
    }
    archive.entries[at].fill(pack(&plain, 3));
    Some("other content in a pack")
}

/// One operation says something else, or stands somewhere else; mostly the statement says how many there
/// are then, and how long the list is.
fn operation(
    archive: &mut Archive,
    at: usize,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Option<&'static str> {
    let plain = unpack(&archive.entries[at].content)?;
    let mut lines: Vec<Vec<u8>> = plain
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let place = dice.below(lines.len().max(1));
    lines.get(place)?;
    let how = match dice.below(6) {
        0 => {
            lines.remove(place);
            "an operation less"
        }
        1 => {
            let line = lines.get(place)?.clone();
            lines.push(line);
            "an operation twice"
        }
        2 => {
            lines.reverse();
            "operations in another order"
        }
        _ => {
            let line = lines.get_mut(place)?;
            let mut one = Json::parse(line.strip_suffix(b"\n")?)?;
            json::edit(&mut one, inside.pool, dice);
            *line = [one.bytes(), b"\n".to_vec()].concat();
            "an operation edited"
        }
    };
    let list = lines.concat();
    if !dice.once_in(4) {
        let mut statement: Value = serde_json::from_slice(archive.statement()).ok()?;
        statement["operations"]["size"] = list.len().into();
        for (kind, codec) in [("copied", "copy"), ("deltas", "delta"), ("whole", "whole")] {
            let word = format!("\"codec\":\"{codec}");
            let says = |line: &&Vec<u8>| String::from_utf8_lossy(line).contains(&word);
            statement["operations"][kind] = lines.iter().filter(says).count().into();
        }
        archive
            .entries
            .first_mut()?
            .fill(Json::of(statement).bytes());
    }
    archive.entries[at].fill(pack(&list, 3));
    Some(how)
}

/// The vendor's metadata, edited, and signed under the old key id by a key of one's own or not at all.
fn metadata(
    archive: &mut Archive,
    at: usize,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Option<&'static str> {
    let plain = unpack(&archive.entries[at].content)?;
    let mut file = Json::parse(&plain)?;
    if dice.once_in(3) {
        json::edit(&mut file, inside.pool, dice);
        archive.entries[at].fill(pack(&file.bytes(), 3));
        return Some("metadata edited");
    }
    let mut signed = file.get("signed")?.clone();
    json::edit(&mut signed, inside.pool, dice);
    let value: Value = serde_json::from_slice(&signed.bytes()).ok()?;
    let mut whole: Value = serde_json::from_slice(&plain).ok()?;
    whole["signed"] = value;
    resign(&mut whole, inside.stranger)?;
    archive.entries[at].fill(pack(whole.to_string().as_bytes(), 3));
    Some("metadata signed by a stranger")
}

fn resign(file: &mut Value, key: &SigningKey) -> Option<()> {
    let bytes = to_canonical_bytes(&file["signed"]).ok()?;
    let signature = key.sign_raw(&bytes).ok()?;
    let hex = hex(&signature);
    for entry in file["signatures"].as_array_mut()? {
        entry["sig"] = Value::from(hex.as_str());
    }
    Some(())
}

/// A recipe, edited; the statement names it by its new digest, and so, where the dice say so, does the
/// vendor's metadata, signed by a stranger.
fn recipe(
    archive: &mut Archive,
    at: usize,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Option<&'static str> {
    let plain = unpack(&archive.entries[at].content)?;
    let mut file = Archive::read(&plain)?;
    let mut statement = Json::parse(file.statement())?;
    if dice.once_in(3) {
        destinations(&mut statement, dice);
    } else {
        json::edit(&mut statement, inside.pool, dice);
    }
    file.entries.first_mut()?.fill(statement.bytes());
    let target = dice.once_in(2).then_some(inside.stranger);
    carry(archive, at, &plain, &file.bytes(), target)?;
    Some(if target.is_some() {
        "recipe and targets edited"
    } else {
        "recipe edited"
    })
}

/// What an attacker would write into a recipe: another place, another content, another mode, a file more or
/// less; all in order, so that nothing is wrong with it but who says it.
pub(crate) fn destinations(statement: &mut Json, dice: &mut impl Dice) {
    let Some(Json::List(mut files)) = statement.get("files").cloned() else {
        return;
    };
    let places = [
        "bin/sh",
        "conf/a.properties",
        "custom/notes.txt",
        "lib/evil.jar",
    ];
    let place = Json::Text(dice.pick(&places).copied().unwrap_or_default().to_owned());
    let (a, b) = (
        dice.below(files.len().max(1)),
        dice.below(files.len().max(1)),
    );
    match (dice.below(5), files.get(a).cloned(), files.get(b).cloned()) {
        (0, Some(_), _) => files[a].set("path", &place),
        (1, Some(_), _) => drop(files.remove(a)),
        (2, Some(mut more), _) => {
            more.set("path", &place);
            files.push(more);
        }
        (3, Some(_), Some(other)) => {
            if let Some(what) = other.get("what") {
                files[a].set("what", what);
            }
        }
        _ => {
            let text = Json::List(files).bytes();
            let text = String::from_utf8_lossy(&text).replace("\"0644\"", "\"0755\"");
            files = match Json::parse(text.as_bytes()) {
                Some(Json::List(files)) => files,
                _ => return,
            };
        }
    }
    let path = |file: &Json| match file.get("path") {
        Some(Json::Text(path)) => path.clone(),
        _ => String::new(),
    };
    files.sort_by_key(path);
    statement.set("files", &Json::List(files));
}

/// Puts `new` in the place of the recipe file `old`, under its own digest, wherever the statement
/// says so; with `targets`, in the vendor's metadata too, signed by that key.
pub(crate) fn carry(
    archive: &mut Archive,
    at: usize,
    old: &[u8],
    new: &[u8],
    targets: Option<&SigningKey>,
) -> Option<()> {
    let (was, is) = (Sha256::of(old).to_string(), Sha256::of(new).to_string());
    let text = String::from_utf8(archive.statement().to_vec()).ok()?;
    let mut statement = Json::parse(text.replace(&was, &is).as_bytes())?;
    if let Some(Json::List(mut carried)) = statement.get("recipes").cloned() {
        for entry in &mut carried {
            if entry.get("recipe") == Some(&Json::Text(is.clone())) {
                entry.set("size", &Json::Raw(new.len().to_string()));
            }
        }
        statement.set("recipes", &Json::List(carried));
    }
    signing::predict(&mut statement);
    archive.entries[0].fill(statement.bytes());
    archive.entries[at].fill(pack(new, 3));
    archive.entries[at].rename(&format!("recipes/{is}.spr.zst"));
    if let Some(key) = targets {
        name_in_targets(archive, (&was, &is), new.len(), key);
    }
    signing::relist(archive);
    Some(())
}

fn name_in_targets(archive: &mut Archive, (was, is): (&str, &str), size: usize, key: &SigningKey) {
    for entry in &mut archive.entries {
        let named = entry.name().starts_with("vendor/");
        let Some(plain) = named.then(|| unpack(&entry.content)).flatten() else {
            continue;
        };
        let text = String::from_utf8_lossy(&plain).replace(was, is);
        if text.as_bytes() == plain {
            continue;
        }
        let Ok(mut file) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        if let Some(targets) = file["signed"]["targets"].as_object_mut() {
            for target in targets.values_mut() {
                if target["hashes"]["sha256"].as_str() == Some(is) {
                    target["length"] = Value::from(size);
                }
            }
        }
        if resign(&mut file, key).is_some() {
            entry.fill(pack(file.to_string().as_bytes(), 3));
        }
    }
}

/// A JSON member that is not compressed: a snapshot inside a patch, a vendor's root in a site file.
fn text(archive: &mut Archive, inside: &Inside<'_>, dice: &mut impl Dice) -> Option<&'static str> {
    let plain: Vec<usize> = (1..archive.entries.len())
        .filter(|at| ends(&archive.entries[*at], "json"))
        .collect();
    let at = *dice.pick(&plain)?;
    let mut file = Json::parse(&archive.entries[at].content)?;
    json::edit(&mut file, inside.pool, dice);
    archive.entries[at].fill(file.bytes());
    Some("a statement inside edited")
}
