//! Snapshots and receipts, on the desk that knows the node.

use std::path::Path;

use lockstep::desk::many::Told;
use lockstep::desk::{Desk, prepare, receive};
use lockstep::model::{Kind, Refusal, Unwatched};

use super::super::archive::Archive;
use super::super::json::Json;
use super::super::place::Place;
use super::super::signing::Keys;
use super::super::stage::Stage;
use super::super::world::{MP5, Outcome};
use super::host::applied;
use super::{Bench, Ran, keys};

/// Who may not sign what a node signs.
const OTHERS: [&str; 4] = [
    "keys/desk",
    "keys/owner",
    "keys/anna",
    "OTHER/.lockstep/key",
];

/// Snapshots, answered by `prepare`.
pub(crate) struct Snapshots {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 2],
}

/// Receipts, taken by `receive`.
pub(crate) struct Receipts {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 1],
}

/// A desk keeps every statement of a node that it knows: two of one sequence number are the evidence
/// of a fork.
const EVIDENCE: &str = "state/statements";

fn desk(place: &Place) -> Desk {
    Desk {
        state: place.path().join("state"),
        cache: place.path().join("cache"),
    }
}

impl Snapshots {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        Ok(Self {
            bases: vec![stage.read("usb/snapshot.spr")?, stage.read("usb/full.spr")?],
            keys: keys(stage, "PROD/.lockstep/key", &OTHERS)?,
            places: [
                Place::keep(&stage.world, "desk")?,
                Place::keep(&stage.world, "PROD")?,
            ],
        })
    }
}

impl Bench for Snapshots {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn kind(&self) -> Kind {
        Kind::Snapshot
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

    fn evidence(&self) -> Option<&'static str> {
        Some(EVIDENCE)
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let [place, _] = &self.places;
        let (patch, head) = (stage.out("made.patch.spr"), stage.out("made.head.spr"));
        for old in [&patch, &head] {
            drop(std::fs::remove_file(old));
        }
        let request = prepare::Request {
            snapshots: vec![file.to_owned()],
            to: vec![MP5.to_owned()],
            site: Some(stage.world.path("site.spr")),
            sources: vec![stage.world.path("repository").display().to_string()],
            key: Some(stage.world.path("keys/desk")),
            output: Some(patch.clone()),
            ..prepare::Request::default()
        };
        let said = match prepare::run(&desk(place), &request, stage.now, &Unwatched) {
            Err(refusal) => Err(refusal),
            Ok(o) => {
                let made = Archive::read(&std::fs::read(&patch)?).ok_or("no patch")?;
                let statement = String::from_utf8(made.statement().to_vec())?;
                Ok(format!(
                    "{:?} {:?} {:?} {:?}\n{statement}",
                    o.changes, o.downgrades, o.adoption, o.warnings
                ))
            }
        };
        Ok(vec![("prepare", said)])
    }

    /// A patch for what the host never said is refused there.
    fn faults(&self, stage: &Stage, file: &Path) -> Outcome<Vec<String>> {
        let given = Archive::read(&std::fs::read(file)?).ok_or("no archive")?;
        let same = |base: &Vec<u8>| {
            Archive::read(base).is_some_and(|base| base.statement() == given.statement())
        };
        let [_, host] = &self.places;
        let taken = applied(stage, host, &stage.out("made.patch.spr"))?.is_ok();
        if taken && !self.bases.iter().any(same) {
            return Ok(vec![
                "the host takes a patch for a snapshot it never made".to_owned(),
            ]);
        }
        Ok(Vec::new())
    }
}

impl Receipts {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        Ok(Self {
            bases: vec![stage.read("usb/PROD.receipt.spr")?],
            keys: keys(stage, "PROD/.lockstep/key", &OTHERS)?,
            places: [Place::keep(&stage.world, "waiting")?],
        })
    }
}

/// What `receive` says of one file, and what the desk holds afterwards.
fn received(stage: &Stage, place: &Place, file: &Path) -> Outcome<Result<String, Refusal>> {
    let request = receive::Request {
        places: vec![file.to_owned()],
        accept_forked: None,
    };
    match receive::run(&desk(place), &request, stage.now, &Unwatched) {
        Err(refusal) => Ok(Err(refusal)),
        Ok(Told::Many(_)) => Err("one file, and many were told of".into()),
        Ok(Told::One(outcome)) => {
            let tree = place.now(&stage.world)?;
            Ok(Ok(format!("{outcome}\n{tree:?}")))
        }
    }
}

impl Bench for Receipts {
    fn name(&self) -> &'static str {
        "receipt"
    }

    fn kind(&self) -> Kind {
        Kind::Receipt
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

    fn evidence(&self) -> Option<&'static str> {
        Some(EVIDENCE)
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let [place] = &self.places;
        Ok(vec![("receive", received(stage, place, file)?)])
    }

    /// What the desk knows of other environments stays, and nothing that it knew is lost.
    fn faults(&self, stage: &Stage, file: &Path) -> Outcome<Vec<String>> {
        let [place] = &self.places;
        let now = place.now(&stage.world)?;
        let given = Archive::read(&std::fs::read(file)?).ok_or("no archive")?;
        let statement = Json::parse(given.statement()).ok_or("no statement")?;
        let environment = statement.get("environment").and_then(|e| e.get("id"));
        let Some(Json::Text(id)) = environment else {
            return Ok(vec!["a receipt of no environment".to_owned()]);
        };
        let mut faults = Vec::new();
        for (path, was) in &place.before {
            let own = path.to_string_lossy().contains(id.as_str()) || path.ends_with("lock");
            if now.get(path) != Some(was) && !own {
                faults.push(format!(
                    "{} changed, of another environment",
                    path.display()
                ));
            }
        }
        Ok(faults)
    }
}
