//! Deltas: each of a patch, edited behind its compression, and put back into that patch, which the right
//! preparer signs. What comes of it is what the vendor published, or it is refused.

use std::path::Path;

use lockstep::model::Kind;
use lockstep::model::operation::OPERATIONS_MEMBER;
use serde_json::{Value, json};

use super::super::archive::Archive;
use super::super::dice::Dice;
use super::super::json::Json;
use super::super::lawful::Published;
use super::super::mutate::Mutation;
use super::super::place::Place;
use super::super::seed::Seeded;
use super::super::signing::{self, By, Keys};
use super::super::stage::Stage;
use super::super::streams::Delta;
use super::super::world::Outcome;
use super::host::{applied, lawful};
use super::{Bench, Ran, keys};

/// The pack that all contents of the small patch lie in.
const PACK: &str = "packs/0000.zst";
/// Most bytes of it.
const MOST: usize = 1 << 20;

/// Deltas, inside of a patch.
pub(crate) struct Deltas {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 1],
    published: Published,
}

impl Deltas {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        let base = stage.read("usb/based.patch.spr")?;
        let kinds: Vec<Option<u8>> = Pieces::read(&base)?
            .deltas()
            .map(|(_, delta)| delta.get(4).copied())
            .collect();
        // Else less would be tried than is said.
        if kinds != [Some(0), Some(1)] && kinds != [Some(1), Some(0)] {
            return Err(format!("the patch holds deltas of the kinds {kinds:?}").into());
        }
        Ok(Self {
            bases: vec![base],
            keys: keys(stage, "keys/desk", &["keys/owner"])?,
            places: [Place::keep(&stage.world, "PROD")?],
            published: Published::read(&stage.world.path("repository"))?,
        })
    }
}

/// A patch, with its operations and the piece of the stream that each has.
struct Pieces {
    file: Archive,
    operations: Vec<Value>,
    contents: Vec<Vec<u8>>,
}

impl Pieces {
    fn read(patch: &[u8]) -> Outcome<Self> {
        let file = Archive::read(patch).ok_or("no archive")?;
        let packs = file
            .entries
            .iter()
            .filter(|e| e.name().starts_with("packs/"));
        let names: Vec<String> = packs
            .clone()
            .map(super::super::archive::Entry::name)
            .collect();
        if names != [PACK] {
            return Err(format!("the patch has the packs {names:?}").into());
        }
        let mut stream = Vec::new();
        for pack in packs {
            stream.extend(zstd::bulk::decompress(&pack.content, MOST)?);
        }
        let mut left = stream.as_slice();
        let list = file.entries.iter().find(|e| e.name() == OPERATIONS_MEMBER);
        let list = &list.ok_or("no operations")?.content;
        let list = zstd::bulk::decompress(list, MOST)?;
        let lines = list.split_inclusive(|byte| *byte == b'\n');
        let operations: Vec<Value> = lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        let mut contents = Vec::new();
        for operation in &operations {
            let length = operation["length"].as_u64().ok_or("no length")?;
            let (piece, rest) = left.split_at(usize::try_from(length)?);
            contents.push(piece.to_vec());
            left = rest;
        }
        Ok(Self {
            file,
            operations,
            contents,
        })
    }

    /// The operations that are deltas, and their bytes.
    fn deltas(&self) -> impl Iterator<Item = (usize, &Vec<u8>)> {
        self.contents.iter().enumerate().filter(|(at, _)| {
            let codec = self.operations[*at]["codec"].as_str();
            codec.is_some_and(|codec| codec.starts_with("delta-"))
        })
    }

    /// What the operation `at` says of its delta becomes something else.
    fn said(&mut self, at: usize, dice: &mut impl Dice) -> &'static str {
        let bases: Vec<Value> = self
            .deltas()
            .map(|(at, _)| self.operations[at]["base"].clone())
            .collect();
        let base = dice.pick(&bases).cloned().unwrap_or_default();
        let operation = &mut self.operations[at];
        let number = dice.below(1 << 24);
        match dice.below(5) {
            0 | 1 => operation["base"] = base,
            2 => operation["size"] = json!(number),
            3 => operation["memory"] = json!(number),
            _ => operation["scratch"] = json!(1 + dice.below(1 << 16)),
        }
        "the operation says something else"
    }

    /// The patch again, signed by the right key.
    fn signed(mut self, keys: &Keys) -> Outcome<Vec<u8>> {
        let mut offset = 0;
        for (at, piece) in self.contents.iter().enumerate() {
            let operation = &mut self.operations[at];
            operation["offset"] = json!(offset);
            operation["length"] = json!(piece.len());
            offset += piece.len();
        }
        let pack = zstd::bulk::compress(&self.contents.concat(), 3)?;
        for entry in &mut self.file.entries {
            if entry.name() == PACK {
                entry.fill(pack.clone());
            }
        }
        let lines: Vec<u8> = self
            .operations
            .into_iter()
            .flat_map(|one| [Json::of(one).bytes(), b"\n".to_vec()].concat())
            .collect();
        let mut statement: Value = serde_json::from_slice(self.file.statement())?;
        statement["operations"]["size"] = json!(lines.len());
        let list = zstd::bulk::compress(&lines, 3)?;
        for entry in &mut self.file.entries {
            if entry.name() == OPERATIONS_MEMBER {
                entry.fill(list.clone());
            }
        }
        self.file.entries[0].fill(Json::of(statement).bytes());
        signing::relist(&mut self.file);
        // One choice has no other: the right key signs.
        let mut dice = Seeded::of(0, "delta", 0);
        signing::sign(&mut self.file, Kind::Patch, keys, By::Right, &mut dice)?;
        Ok(self.file.bytes())
    }
}

/// Edits a delta behind its compression, or the bytes as they are.
fn edited(delta: &mut Vec<u8>, dice: &mut impl Dice) -> Outcome<&'static str> {
    if dice.once_in(6) {
        let place = dice.below(delta.len());
        delta[place] ^= 1 << dice.below(8);
        return Ok("a byte of the delta");
    }
    let mut parts = Delta::read(delta).ok_or("no delta")?;
    let mut how = parts.edit(dice);
    while dice.once_in(3) {
        how = parts.edit(dice);
    }
    *delta = parts.bytes();
    Ok(how)
}

impl Bench for Deltas {
    fn name(&self) -> &'static str {
        "delta"
    }

    fn kind(&self) -> Kind {
        Kind::Patch
    }

    fn bases(&self) -> &[Vec<u8>] {
        &self.bases
    }

    fn keys(&self) -> &Keys {
        &self.keys
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn mutate(&self, _: &Stage, at: usize, dice: &mut Seeded) -> Outcome<Mutation> {
        let mut patch = Pieces::read(&self.bases[at])?;
        let all: Vec<usize> = patch.deltas().map(|(at, _)| at).collect();
        let at = *dice.pick(&all).ok_or("no delta")?;
        let mut how = Vec::new();
        if dice.once_in(8) {
            how.push(patch.said(at, dice));
        }
        if how.is_empty() || dice.once_in(2) {
            how.push(edited(&mut patch.contents[at], dice)?);
        }
        Ok(Mutation {
            bytes: patch.signed(&self.keys)?,
            how,
            by: By::Right,
        })
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let [place] = &self.places;
        Ok(vec![("apply", applied(stage, place, file)?)])
    }

    /// The target is the same: whatever else came of it is no vendor's.
    fn faults(&self, stage: &Stage, _: &Path) -> Outcome<Vec<String>> {
        let [place] = &self.places;
        let mut faults = lawful(stage, place, &self.published)?;
        faults.push("a delta made another change".to_owned());
        Ok(faults)
    }
}
