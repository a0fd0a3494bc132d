//! What becomes of a file of each kind: the commands that believe it, in this process, and what each
//! did, said and wrote.

mod audit;
mod delta;
mod desk;
mod host;
mod recipe;

use std::path::Path;

use lockstep::model::{Kind, Refusal};

use super::mutate::{Mutation, mutate};
use super::place::Place;
use super::seed::Seeded;
use super::signing::Keys;
use super::stage::Stage;
use super::world::Outcome;

pub(crate) use audit::Enrolments;
pub(crate) use delta::Deltas;
pub(crate) use desk::{Receipts, Snapshots};
pub(crate) use host::{Heads, Patches, Sites};
pub(crate) use recipe::Recipes;

/// One command on a file: what it is called, and what it did, said and wrote, or why not.
pub(crate) type Ran = (&'static str, Result<String, Refusal>);

/// The files of one kind, and the commands that believe them.
pub(crate) trait Bench {
    /// What the kind is called in the table.
    fn name(&self) -> &'static str;

    /// What the files say they are.
    fn kind(&self) -> Kind;

    /// What the file is called on disk.
    fn file(&self) -> &'static str {
        "case.spr"
    }

    /// The good files.
    fn bases(&self) -> &[Vec<u8>];

    /// Who may sign them, and who may not.
    fn keys(&self) -> &Keys;

    /// The folders that a refusal must leave as they are.
    fn places(&self) -> &[Place];

    /// The folder in which what the right key signed may leave new files although it is refused.
    fn evidence(&self) -> Option<&'static str> {
        None
    }

    /// A mutation of the good file `at`: edits of the file as it stands, unless the kind has edits of its own.
    fn mutate(&self, stage: &Stage, at: usize, dice: &mut Seeded) -> Outcome<Mutation> {
        mutate(
            &self.bases()[at],
            self.kind(),
            stage.others(),
            self.keys(),
            &stage.inside(),
            dice,
        )
    }

    /// Runs the commands. What changed is put back between two of them by the caller's `between`.
    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        between: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>>;

    /// What must hold although the right key signed another file, once the first command took it.
    fn faults(&self, stage: &Stage, file: &Path) -> Outcome<Vec<String>>;
}

/// Every kind.
pub(crate) fn all(stage: &Stage) -> Outcome<Vec<Box<dyn Bench>>> {
    Ok(vec![
        Box::new(Snapshots::new(stage)?),
        Box::new(Patches::new(stage)?),
        Box::new(Heads::new(stage)?),
        Box::new(Receipts::new(stage)?),
        Box::new(Sites::new(stage)?),
        Box::new(Enrolments::new(stage)?),
        Box::new(Recipes::new(stage)?),
        Box::new(Deltas::new(stage)?),
    ])
}

/// The keys of files that `right` may sign.
fn keys(stage: &Stage, right: &str, others: &[&str]) -> Outcome<Keys> {
    let mut roles = Vec::new();
    for name in others {
        roles.push(stage.key(name)?);
    }
    Ok(Keys {
        right: stage.key(right)?,
        others: roles,
        stranger: stage.key("keys/stranger")?,
    })
}
