//! One mutation: a few edits of a good file, then the list of members brought in line, and a
//! signature made anew, or not.

use lockstep::model::Kind;

use super::archive::{self, Archive};
use super::dice::Dice;
use super::json::{self, Json};
use super::nested::{self, Inside};
use super::signing::{self, By, Keys};
use super::world::Outcome;

/// A changed file, and how it came about.
pub(crate) struct Mutation {
    /// The file.
    pub(crate) bytes: Vec<u8>,
    /// What was done to it, in order.
    pub(crate) how: Vec<&'static str>,
    /// Who signed it afterwards.
    pub(crate) by: By,
}

/// Tries for a mutation that changes anything at all.
const TRIES: usize = 20;
/// Edits from this number on are of the statement.
const STATEMENT: usize = 8;

/// Mutates `base`. `others` are files to take parts from.
pub(crate) fn mutate(
    base: &[u8],
    kind: Kind,
    others: &[Archive],
    keys: &Keys,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Outcome<Mutation> {
    let good = Archive::read(base).ok_or("the base is no archive")?;
    for _ in 0..TRIES {
        let made = once(good.clone(), kind, others, keys, inside, dice)?;
        if made.bytes != base {
            return Ok(made);
        }
    }
    Err("no mutation changed anything".into())
}

fn once(
    mut file: Archive,
    kind: Kind,
    others: &[Archive],
    keys: &Keys,
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> Outcome<Mutation> {
    let by = match kind.namespace() {
        Some(_) => By::choose(dice),
        None => By::Nobody,
    };
    let mut how = Vec::new();
    let mut edits: Vec<usize> = (0..=few(dice)).map(|_| dice.below(16)).collect();
    if by == By::Right && dice.once_in(16) {
        edits.clear();
    }
    // The statement last: what it lists is brought in line before it is edited itself.
    edits.sort_unstable();
    let outside = edits.iter().filter(|edit| **edit < STATEMENT).count();
    for edit in &edits[..outside] {
        how.push(outer(&mut file, *edit, others, inside, dice));
    }
    if outside > 0 && by != By::Nobody && !dice.once_in(10) {
        signing::relist(&mut file);
        how.push("relisted");
    }
    for _ in outside..edits.len() {
        how.push(statement(&mut file, others, inside, dice));
    }
    if kind == Kind::Patch && by != By::Nobody && dice.once_in(2) {
        predicted(&mut file);
    }
    how.extend(signing::sign(&mut file, kind, keys, by, dice)?);
    // The encoding last: what is written around statement and members, signed or not.
    if dice.once_in(20) {
        how.push(archive::edit_encoding(&mut file, dice));
    }
    if matches!(by, By::Nobody | By::Right) && dice.once_in(16) {
        how.push(signatures(&mut file, others, dice));
    }
    Ok(Mutation {
        bytes: file.bytes(),
        how,
        by,
    })
}

/// The statement with the state that its target makes, where it can be read at all.
fn predicted(file: &mut Archive) {
    let bytes = file.statement().to_vec();
    let Some(mut statement) = Json::parse(&bytes) else {
        return;
    };
    // Only what reads as it is written: the edit of a spelling is not to be undone here.
    if statement.bytes() == bytes {
        signing::predict(&mut statement);
        file.entries[0].fill(statement.bytes());
    }
}

/// How many edits there are besides the first: mostly none, for one gets further than three.
fn few(dice: &mut impl Dice) -> usize {
    if dice.once_in(3) { dice.below(3) } else { 0 }
}

/// Edits what is not the statement.
fn outer(
    file: &mut Archive,
    edit: usize,
    others: &[Archive],
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> &'static str {
    match (edit, dice.pick(others)) {
        (0..=2, Some(other)) => archive::edit_members(file, other, dice),
        (3, _) if dice.once_in(2) => archive::edit_encoding(file, dice),
        _ => nested::edit(file, inside, dice).unwrap_or("nothing"),
    }
}

/// Edits the statement; of eight edits, seven leave it in its canonical form.
fn statement(
    file: &mut Archive,
    others: &[Archive],
    inside: &Inside<'_>,
    dice: &mut impl Dice,
) -> &'static str {
    let mut bytes = file.statement().to_vec();
    let how = match dice.below(24) {
        0 => json::space(&mut bytes, dice),
        1 => {
            if let Some(other) = dice.pick(others) {
                other.statement().clone_into(&mut bytes);
            }
            "statement of another file"
        }
        _ => {
            let Some(mut statement) = Json::parse(&bytes) else {
                return "nothing";
            };
            let is_recipe = statement.get("files").is_some();
            let how = if is_recipe && dice.once_in(2) {
                nested::destinations(&mut statement, dice);
                "destinations"
            } else {
                json::edit(&mut statement, inside.pool, dice)
            };
            if !dice.once_in(8) {
                statement.settle();
            }
            bytes = statement.bytes();
            how
        }
    };
    file.entries[0].fill(bytes);
    how
}

/// Signatures of other files, in the place of the own or beside it.
fn signatures(file: &mut Archive, others: &[Archive], dice: &mut impl Dice) -> &'static str {
    let Some(other) = dice.pick(others) else {
        return "nothing";
    };
    let found = (0..other.entries.len()).find(|at| other.is_signature(*at));
    let own = (0..file.entries.len()).find(|at| file.is_signature(*at));
    let (Some(found), Some(own)) = (found, own) else {
        return "nothing";
    };
    let taken = other.entries[found].clone();
    if dice.once_in(2) {
        file.entries[own].fill(taken.content);
    } else {
        file.entries.insert(own, taken);
    }
    "signatures exchanged"
}
