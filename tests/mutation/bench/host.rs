//! Patches, their heads and site files, on the host that they are for.

use std::path::Path;

use lockstep::audit::verify;
use lockstep::host::{apply, trust};
use lockstep::model::{Kind, Refusal, RefusalName, Unwatched};

use super::super::lawful::Published;
use super::super::place::Place;
use super::super::signing::Keys;
use super::super::stage::Stage;
use super::super::world::{Outcome, Tree};
use super::{Bench, Ran, keys};

/// Patches, applied.
pub(crate) struct Patches {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 1],
    published: Published,
}

/// Patches without their packs, verified, and applied, which none can be.
pub(crate) struct Heads(Patches);

/// Site files, taken by `trust`.
pub(crate) struct Sites {
    bases: Vec<Vec<u8>>,
    keys: Keys,
    places: [Place; 1],
}

impl Patches {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        Self::of(stage, &["based.patch", "whole.patch", "renewed.patch"])
    }

    fn of(stage: &Stage, names: &[&str]) -> Outcome<Self> {
        let mut bases = Vec::new();
        for name in names {
            bases.push(stage.read(&format!("usb/{name}.spr"))?);
        }
        Ok(Self {
            bases,
            keys: keys(
                stage,
                "keys/desk",
                &["keys/owner", "keys/anna", "PROD/.lockstep/key"],
            )?,
            places: [Place::keep(&stage.world, "PROD")?],
            published: Published::read(&stage.world.path("repository"))?,
        })
    }

    fn place(&self) -> &Place {
        let [place] = &self.places;
        place
    }

    /// What must hold of the root as it stands.
    fn lawful(&self, stage: &Stage) -> Outcome<Vec<String>> {
        lawful(stage, self.place(), &self.published)
    }
}

/// What must hold of a root as it stands, whatever a trusted preparer signed.
pub(crate) fn lawful(stage: &Stage, place: &Place, published: &Published) -> Outcome<Vec<String>> {
    let after = place.now(&stage.world)?;
    let state = place.state()?.state;
    Ok(published.faults((&place.before, stage.before()), (&after, &state)))
}

/// Applies a patch to the root, and says all that came of it but for times and random bytes.
pub(crate) fn applied(
    stage: &Stage,
    place: &Place,
    file: &Path,
) -> Outcome<Result<String, Refusal>> {
    let receipt = stage.out("receipt.spr");
    drop(std::fs::remove_file(&receipt));
    let request = apply::Request {
        root: place.path().to_owned(),
        file: file.to_owned(),
        approvals: Vec::new(),
        accepted: Vec::new(),
        memory: apply::MEMORY,
        dry_run: false,
        hot: false,
        receipt: Some(receipt),
        environment: None,
    };
    match apply::run(&request, stage.now, &Unwatched) {
        Err(refusal) => Ok(Err(refusal)),
        Ok(o) => Ok(Ok(format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}\n{}",
            o.changes,
            o.files,
            o.kept,
            o.met,
            o.site,
            o.preparer,
            o.approvals,
            o.state,
            o.warnings,
            written(stage, place)?
        ))),
    }
}

/// What a tree has besides the node's own state.
pub(crate) fn product(tree: &Tree) -> Tree {
    let mut product = tree.clone();
    product.retain(|path, _| !path.starts_with(".lockstep"));
    product
}

/// The product's files and what the state says, but for what is random.
pub(crate) fn written(stage: &Stage, place: &Place) -> Outcome<String> {
    let tree = product(&place.now(&stage.world)?);
    let state = place.state()?.state;
    Ok(format!(
        "{tree:?}\n{:?} {:?} {} {} {:?} {} {}",
        state.installed,
        state.floors,
        state.generation,
        state.sequence,
        state.site,
        state.state,
        state.time_floor
    ))
}

impl Bench for Patches {
    fn name(&self) -> &'static str {
        "patch"
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

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        Ok(vec![("apply", applied(stage, self.place(), file)?)])
    }

    fn faults(&self, stage: &Stage, _: &Path) -> Outcome<Vec<String>> {
        self.lawful(stage)
    }
}

impl Heads {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        let names = ["whole.head", "based.head", "renewed.head"];
        Patches::of(stage, &names).map(Self)
    }
}

impl Bench for Heads {
    fn name(&self) -> &'static str {
        "patch head"
    }

    fn kind(&self) -> Kind {
        Kind::Patch
    }

    fn file(&self) -> &'static str {
        "case.head.spr"
    }

    fn bases(&self) -> &[Vec<u8>] {
        &self.0.bases
    }

    fn keys(&self) -> &Keys {
        &self.0.keys
    }

    fn places(&self) -> &[Place] {
        &self.0.places
    }

    fn run(
        &self,
        stage: &Stage,
        file: &Path,
        between: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let verified = ("verify", verified(stage, file));
        between()?;
        let applied = applied(stage, self.0.place(), file)?;
        Ok(vec![verified, ("apply", applied)])
    }

    /// What a right key signed may be fit to be applied: then it has no packs, and is a patch.
    fn faults(&self, stage: &Stage, _: &Path) -> Outcome<Vec<String>> {
        self.0.lawful(stage)
    }
}

/// What `verify` says under the site file in force, with the recipes that are installed.
pub(crate) fn verified(stage: &Stage, file: &Path) -> Result<String, Refusal> {
    let request = verify::Request {
        files: vec![file.to_owned()],
        site: Some(stage.world.path("site.spr")),
        fingerprint: None,
        allowed_signers: None,
        approvals: Vec::new(),
        recipes: stage.installed().to_vec(),
    };
    let outcome = verify::run(&request, stage.now, &Unwatched)?;
    let Some(code) = outcome.exit() else {
        return Ok(outcome.to_string());
    };
    // It lists the check that failed, and ends with its code.
    let name = RefusalName::ALL
        .into_iter()
        .find(|name| name.code() == code);
    let name = name.unwrap_or(RefusalName::Internal);
    Err(Refusal::new(name, outcome.to_string()).next("what the list says"))
}

impl Sites {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        Ok(Self {
            bases: vec![stage.read("usb/site-2.spr")?],
            keys: keys(
                stage,
                "keys/owner",
                &["keys/desk", "keys/anna", "PROD/.lockstep/key"],
            )?,
            places: [Place::keep(&stage.world, "PROD")?],
        })
    }

    fn place(&self) -> &Place {
        let [place] = &self.places;
        place
    }
}

impl Bench for Sites {
    fn name(&self) -> &'static str {
        "site"
    }

    fn kind(&self) -> Kind {
        Kind::Site
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
        _: &mut dyn FnMut() -> Outcome<()>,
    ) -> Outcome<Vec<Ran>> {
        let request = trust::Request {
            root: self.place().path().to_owned(),
            site: file.to_owned(),
            receipt: None,
        };
        let ran = trust::run(&request, stage.now, &Unwatched);
        let said = match ran {
            Err(refusal) => Err(refusal),
            Ok(mut outcome) => {
                if let Some(receipt) = outcome.receipt.take() {
                    std::fs::remove_file(receipt)?;
                }
                Ok(format!("{outcome}\n{}", written(stage, self.place())?))
            }
        };
        Ok(vec![("trust", said)])
    }

    /// The product stays as it was, what is installed too; and the site file only gets newer.
    fn faults(&self, stage: &Stage, _: &Path) -> Outcome<Vec<String>> {
        let place = self.place();
        let (was, is) = (stage.before(), place.state()?.state);
        let mut faults = Vec::new();
        if product(&place.now(&stage.world)?) != product(&place.before) {
            faults.push("a site file changed the product".to_owned());
        }
        if is.installed != was.installed || is.state != was.state || is.floors != was.floors {
            faults.push("a site file changed what is installed".to_owned());
        }
        if is.site.version <= was.site.version {
            faults.push(format!(
                "site {} after {}",
                is.site.version, was.site.version
            ));
        }
        Ok(faults)
    }
}
