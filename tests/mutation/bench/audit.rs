//! Enrolments: what a preparer signed, checked by `verify` under the site file.

use std::path::Path;

use lockstep::model::Kind;

use super::super::place::Place;
use super::super::signing::Keys;
use super::super::stage::Stage;
use super::super::world::Outcome;
use super::host::verified;
use super::{Bench, Ran, keys};

/// Enrolments, verified.
pub(crate) struct Enrolments {
    bases: Vec<Vec<u8>>,
    keys: Keys,
}

impl Enrolments {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        Ok(Self {
            bases: vec![stage.read("usb/enrolment.spr")?],
            keys: keys(
                stage,
                "keys/desk",
                &["keys/owner", "keys/anna", "PROD/.lockstep/key"],
            )?,
        })
    }
}

impl Bench for Enrolments {
    fn name(&self) -> &'static str {
        "enrolment"
    }

    fn kind(&self) -> Kind {
        Kind::Enrolment
    }

    fn bases(&self) -> &[Vec<u8>] {
        &self.bases
    }

    fn keys(&self) -> &Keys {
        &self.keys
    }

    fn places(&self) -> &[Place] {
        &[]
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        Ok(vec![("verify", verified(stage, file))])
    }

    fn faults(&self, _: &Stage, _: &Path) -> Outcome<Vec<String>> {
        Ok(Vec::new())
    }
}
