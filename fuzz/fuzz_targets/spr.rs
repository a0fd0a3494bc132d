//! The tar reader: from a medium and from memory it reads the same; what it reads is the one encoding
//! of what it read; another tar reads the same out of it.

#![no_main]

mod shared;
use shared::{archive, dice, json};

use std::io::Read as _;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use lockstep::model::{Kind, Member, Sha256};
use lockstep::spr::{MemberBytes, Opened, RawStatement, SprError, SprWriter, encode_small, kind_of};

use archive::Archive;
use dice::Dice;
use shared::Bytes;

/// Most bytes of members that a target reads into memory.
const LIMIT: u64 = 1 << 20;

static GOLDEN: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| shared::golden(""));

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    if mode & 1 == 0 {
        check(rest);
    } else {
        check(&built(rest));
    }
});

/// A file that the writer wrote, or a golden one, with a few edits.
fn built(input: &[u8]) -> Vec<u8> {
    let mut dice = Bytes::new(input);
    let file = if dice.once_in(3) {
        written(&mut dice)
    } else {
        dice.pick(&GOLDEN).cloned().unwrap_or_default()
    };
    let (Some(mut archive), Some(other)) = (
        Archive::read(&file),
        dice.pick(&GOLDEN).and_then(|file| Archive::read(file)),
    ) else {
        return file;
    };
    for _ in 0..dice.below(4) {
        match dice.below(3) {
            0 => archive::edit_members(&mut archive, &other, &mut dice),
            1 => archive::edit_encoding(&mut archive, &mut dice),
            _ => relist(&mut archive),
        };
    }
    archive.bytes()
}

fn written(dice: &mut Bytes<'_>) -> Vec<u8> {
    let kind = dice.pick(&Kind::ALL).copied().unwrap_or(Kind::Patch);
    let names = ["a", "b/c", "packs/0000.zst", "A", "recipe.json", "x y", "é"];
    let members: Vec<MemberBytes> = (0..dice.below(4))
        .map(|_| {
            let name = dice.pick(&names).copied().unwrap_or_default();
            (name.to_owned(), dice.bytes(1500))
        })
        .collect();
    let list: Vec<Member> = members
        .iter()
        .map(|(name, bytes)| Member::of(name.clone(), bytes))
        .collect();
    let statement = serde_json::json!({"members": list}).to_string();
    let write = || -> Result<Vec<u8>, SprError> {
        let mut writer = SprWriter::new(Vec::new(), kind, statement.as_bytes())?;
        for (name, bytes) in &members {
            writer.bytes(name, bytes)?;
        }
        writer.finish()
    };
    write().unwrap_or_default()
}

/// The statement's list as the members stand.
fn relist(archive: &mut Archive) -> &'static str {
    let list: Vec<Member> = (1..archive.entries.len())
        .filter(|at| !archive.is_signature(*at))
        .map(|at| Member::of(archive.entries[at].name(), &archive.entries[at].content))
        .collect();
    if let Some(mut statement) = json::Json::parse(archive.statement()) {
        let list = serde_json::to_value(list).expect("a list");
        statement.set("members", &json::Json::of(list));
        archive.entries[0].fill(statement.bytes());
    }
    "relisted"
}

fn listed(raw: &RawStatement) -> Vec<Member> {
    let value: serde_json::Value = serde_json::from_slice(&raw.bytes).unwrap_or_default();
    value
        .get("members")
        .and_then(|list| serde_json::from_value(list.clone()).ok())
        .unwrap_or_default()
}

type Whole = Result<(RawStatement, Vec<MemberBytes>), String>;

fn whole<R: std::io::Read>(opened: Result<Opened<R>, SprError>) -> Whole {
    opened
        .and_then(|opened| {
            let list = listed(opened.raw());
            opened.into_memory(&list, LIMIT)
        })
        .map_err(|error| error.to_string())
}

fn check(file: &[u8]) {
    let medium = whole(Opened::open(file));
    let memory = whole(Opened::of_file(file.to_vec()));
    assert_eq!(medium, memory, "two ways of reading one file");
    let Ok((raw, members)) = medium else {
        return;
    };
    assert_eq!(kind_of(file).ok(), Some(raw.kind));
    let again = encode_small(raw.kind, &raw.bytes, &raw.signatures, &members);
    assert!(again.is_ok_and(|again| again == file), "a second encoding");
    let list = listed(&raw);
    assert_eq!(raw.file_size(list.iter()), file.len() as u64);
    assert_eq!(list.len(), members.len());
    for (member, (name, bytes)) in list.iter().zip(&members) {
        assert_eq!(member.name, *name);
        assert_eq!(member.sha256, Sha256::of(bytes));
    }
    as_tar_reads(file, &raw, &members);
}

/// What the `tar` crate unpacks is what ours read.
fn as_tar_reads(file: &[u8], raw: &RawStatement, members: &[MemberBytes]) {
    let own = |key: &Sha256| format!("{}.{key}.sig", raw.kind.member());
    let statement = (raw.kind.member().to_owned(), raw.bytes.clone());
    let signatures = raw.signatures.iter();
    let signatures = signatures.map(|s| (own(&s.key), s.armoured.clone()));
    let ours = std::iter::once(statement).chain(signatures).chain(members.iter().cloned());
    let mut theirs = Vec::new();
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a content");
        theirs.push((name, bytes));
    }
    assert!(ours.eq(theirs), "tar reads something else");
}
