//! Enrolments: what a preparer signed, checked by `verify` under the site file, and taken by a node that
//! came back from a backup.

use std::path::Path;

use lockstep::host::rehome::{self, How};
use lockstep::model::snapshot::Floor;
use lockstep::model::{Kind, Refusal, Unwatched};

use super::super::place::Place;
use super::super::signing::Keys;
use super::super::stage::Stage;
use super::super::world::Outcome;
use super::host::{product, verified, written};
use super::{Bench, Ran, keys};

/// Enrolments, verified and taken.
pub(crate) struct Enrolments {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 1],
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
            places: [Place::keep(&stage.world, "PROD")?],
        })
    }

    fn place(&self) -> &Place {
        let [place] = &self.places;
        place
    }

    /// Rehomes the node by what the enrolment says of it.
    fn rehomed(&self, stage: &Stage, file: &Path) -> Outcome<Result<String, Refusal>> {
        let receipt = stage.out("receipt.spr");
        drop(std::fs::remove_file(&receipt));
        let request = rehome::Request {
            root: self.place().path().to_owned(),
            how: How::Restored {
                enrolment: file.to_owned(),
                site: None,
            },
            reason: "the disk broke".to_owned(),
            environment: Some("PROD".parse()?),
            receipt: Some(receipt),
        };
        match rehome::run(&request, stage.now, &Unwatched) {
            Err(refusal) => Ok(Err(refusal)),
            Ok(o) => Ok(Ok(format!(
                "{:?} {} {} {:?}\n{}",
                (o.environment, o.id, o.node),
                o.former,
                o.site,
                o.notes,
                written(stage, self.place())?
            ))),
        }
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
        &self.places
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        between: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let verified = ("verify", verified(stage, file));
        between()?;
        Ok(vec![verified, ("rehome", self.rehomed(stage, file)?)])
    }

    /// The product stays, and nothing that the node knows by itself gets lower.
    fn faults(&self, stage: &Stage, _: &Path) -> Outcome<Vec<String>> {
        let (was, is) = (stage.before(), self.place().state()?.state);
        let mut faults = Vec::new();
        if product(&self.place().now(&stage.world)?) != product(&self.place().before) {
            faults.push("an enrolment changed the product".to_owned());
        }
        if is.installed != was.installed || is.state != was.state {
            faults.push("an enrolment changed what is installed".to_owned());
        }
        let kept = |floor: &&Floor| {
            let of = |f: &&Floor| f.vendor == floor.vendor && f.role == floor.role;
            is.floors
                .iter()
                .find(of)
                .is_some_and(|f| f.version >= floor.version)
        };
        let lower = was.floors.iter().find(|floor| !kept(floor));
        faults.extend(lower.map(|floor| format!("the floor of {} is lower", floor.role)));
        if is.sequence < was.sequence || is.site != was.site || is.time_floor < was.time_floor {
            faults.push("what the node knew by itself is lower".to_owned());
        }
        Ok(faults)
    }
}
