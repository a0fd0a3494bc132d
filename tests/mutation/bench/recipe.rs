//! Recipes: put in the place of the vendor's own into a patch that the right preparer signs, with and
//! without the vendor's metadata brought in line by somebody who is not the vendor.

use std::path::Path;

use lockstep::model::{Kind, Sha256};

use super::super::archive::Archive;
use super::super::nested;
use super::super::place::Place;
use super::super::seed::Seeded;
use super::super::signing::{self, By, Keys};
use super::super::stage::Stage;
use super::super::world::Outcome;
use super::host::applied;
use super::{Bench, Ran, keys};

/// Recipes, inside of a patch.
pub(crate) struct Recipes {
    bases: Vec<Vec<u8>>,
    patch: Archive,
    keys: Keys,
    places: [Place; 1],
}

impl Recipes {
    pub(crate) fn new(stage: &Stage) -> Outcome<Self> {
        let patch = Archive::read(&stage.read("usb/whole.patch.spr")?).ok_or("no patch")?;
        let mut bases = Vec::new();
        for entry in &patch.entries {
            if entry.name().starts_with("recipes/") {
                bases.push(zstd::bulk::decompress(&entry.content, 1 << 20)?);
            }
        }
        Ok(Self {
            bases,
            patch,
            keys: keys(stage, "keys/desk", &["keys/owner"])?,
            places: [Place::keep(&stage.world, "PROD")?],
        })
    }

    /// The patch with the recipe `file` in the place of the one with its name, or of any other.
    fn carrying(&self, stage: &Stage, file: &[u8], targets: bool) -> Outcome<Vec<u8>> {
        let mut patch = self.patch.clone();
        let name = |bytes: &[u8]| {
            let archive = Archive::read(bytes)?;
            let statement: serde_json::Value = serde_json::from_slice(archive.statement()).ok()?;
            statement["name"].as_str().map(str::to_owned)
        };
        let wanted = name(file);
        let base = self.bases.iter().find(|base| name(base) == wanted);
        let base = base.or(self.bases.first()).ok_or("no recipe")?;
        let member = format!("recipes/{}.spr.zst", Sha256::of(base));
        let at = patch.entries.iter().position(|e| e.name() == member);
        let at = at.ok_or("the recipe is not in the patch")?;
        let stranger = targets.then_some(stage.inside().stranger);
        nested::carry(&mut patch, at, base, file, stranger).ok_or("it cannot be carried")?;
        // One choice has no other: the right key signs.
        let mut dice = Seeded::of(0, "recipe", 0);
        signing::sign(&mut patch, Kind::Patch, &self.keys, By::Right, &mut dice)?;
        Ok(patch.bytes())
    }
}

impl Bench for Recipes {
    fn name(&self) -> &'static str {
        "recipe"
    }

    fn kind(&self) -> Kind {
        Kind::Recipe
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
        let [place] = &self.places;
        let bytes = std::fs::read(file)?;
        let mut all = Vec::new();
        for (name, targets) in [("apply", false), ("apply, other targets", true)] {
            between()?;
            let patch = stage.out("carrying.spr");
            std::fs::write(&patch, self.carrying(stage, &bytes, targets)?)?;
            all.push((name, applied(stage, place, &patch)?));
        }
        Ok(all)
    }

    fn faults(&self, _: &Stage, _: &Path) -> Outcome<Vec<String>> {
        Ok(vec!["no key but the vendor's signs a recipe".to_owned()])
    }
}
