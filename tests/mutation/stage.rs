//! The world that all cases play in: a host with one release installed, its files, and another host's.

use std::path::PathBuf;

use lockstep::disk::root::Root;
use lockstep::disk::state::{StateStore, TrustedState};
use lockstep::model::Time;
use lockstep::trust::SigningKey;

use super::archive::Archive;
use super::json::Json;
use super::nested::{self, Inside};
use super::signing::key;
use super::world::{MP4, MP5, Outcome, Tested, World};

/// The world, and what mutations take from it.
pub(crate) struct Stage {
    /// The vendor, the site, the desks and the hosts.
    pub(crate) world: World,
    /// The moment at which every command runs.
    pub(crate) now: Time,
    others: Vec<Archive>,
    pool: Vec<String>,
    stranger: SigningKey,
    bomb: Vec<u8>,
    before: TrustedState,
    installed: Vec<PathBuf>,
}

/// The files that the cases begin with, and others to take parts from.
const FILES: [&str; 13] = [
    "usb/based.patch.spr",
    "usb/whole.patch.spr",
    "usb/renewed.patch.spr",
    "usb/whole.head.spr",
    "usb/PROD.patch.spr",
    "usb/OTHER.patch.spr",
    "usb/PROD.receipt.spr",
    "usb/snapshot.spr",
    "usb/full.spr",
    "usb/OTHER.snapshot.spr",
    "usb/enrolment.spr",
    "site.spr",
    "usb/site-2.spr",
];

/// A jar and a text, and what becomes of them: small changes, so that they travel as deltas.
const KIT_OLD: [&[u8]; 2] = [
    include_bytes!("../../fixtures/delta/jar.old"),
    include_bytes!("../../fixtures/delta/text.old"),
];
const KIT_NEW: [&[u8]; 2] = [
    include_bytes!("../../fixtures/delta/jar.new"),
    include_bytes!("../../fixtures/delta/text.new"),
];

/// Publishes a version of the component that travels as deltas.
fn kit(world: &World, version: &str, contents: [&[u8]; 2]) -> Tested {
    let recipe = format!("kit/{version}/kit-{version}");
    let folder = format!("vendor/{recipe}");
    std::fs::create_dir_all(world.path(&folder))?;
    for (name, bytes) in ["kit.jar", "kit.txt"].into_iter().zip(contents) {
        std::fs::write(world.path(&folder).join(name), bytes)?;
    }
    world.publish("component", &format!("--recipe {recipe} --files {folder}"))
}

impl Stage {
    /// Builds it with the program, as people would.
    pub(crate) fn build() -> Outcome<Self> {
        let world = World::new()?;
        for (version, contents) in [("1.0", KIT_OLD), ("1.1", KIT_NEW)] {
            kit(&world, version, contents)?;
        }
        for line in [
            "mkdir out PROD OTHER",
            "for e in PROD OTHER; do lockstep init --root $e --name $e --site site.spr --service none --output usb/$e.snapshot.spr; lockstep enrol usb/$e.snapshot.spr --desk desk; done",
        ] {
            world.ok(line)?;
        }
        for name in ["OTHER", "PROD"] {
            world.prepare(
                &format!("usb/{name}.snapshot.spr"),
                &format!("{MP4},to:kit/1.0/kit-1.0.spr"),
                &format!("usb/{name}.patch.spr"),
            )?;
        }
        world.apply("PROD", "usb/PROD.patch.spr", "usb/PROD.receipt.spr")?;
        world.ok("cp -a desk waiting")?;
        world.ok("lockstep receive usb/PROD.receipt.spr --desk desk")?;
        // What is nobody's, and what the customer changed: no mutation may touch either.
        world.ok("mkdir PROD/custom && echo mine > PROD/custom/notes.txt && echo a=9 > PROD/conf/a.properties")?;
        world.ok("lockstep snapshot --root PROD --output usb/snapshot.spr && lockstep snapshot --full --root PROD --output usb/full.spr")?;
        let all = format!("{MP5},to:kit/1.1/kit-1.1.spr");
        world.prepare("usb/snapshot.spr", &all, "usb/based.patch.spr")?;
        let whole = format!("{all} --whole");
        world.prepare("usb/snapshot.spr", &whole, "usb/whole.patch.spr")?;
        world.ok("lockstep enrol usb/snapshot.spr --desk desk --output usb/enrolment.spr --key keys/desk")?;
        world.ok("lockstep site renew --from site.spr --preparer keys/desk.pub --approver carl=keys/stranger.pub --key keys/owner --output usb/site-2.spr")?;
        world.ok("cp -a desk newer && lockstep prepare usb/snapshot.spr --to to:restapi/7.0/restapi-7.0.40.spr --desk newer --site usb/site-2.spr --key keys/desk --source repository --output usb/renewed.patch.spr")?;
        let stranger = SigningKey::from_seed(&[99; 32].into())?;
        let root = Root::open(&world.path("PROD"))?;
        let before = StateStore::open(&root).current()?.state;
        let mut installed = Vec::new();
        for entry in std::fs::read_dir(world.path("PROD/.lockstep/installed"))? {
            installed.push(entry?.path());
        }
        let mut stage = Self {
            now: world
                .ok("date -u +%Y-%m-%dT%H:%M:%SZ")?
                .out
                .trim()
                .parse()?,
            world,
            others: Vec::new(),
            pool: Vec::new(),
            stranger,
            bomb: nested::bomb()?,
            before,
            installed,
        };
        for name in FILES {
            let file = Archive::read(&stage.read(name)?).ok_or("no archive")?;
            if let Some(statement) = Json::parse(file.statement()) {
                statement.texts(&mut stage.pool);
            }
            stage.others.push(file);
        }
        Ok(stage)
    }

    /// The bytes of a file of the world.
    pub(crate) fn read(&self, name: &str) -> Outcome<Vec<u8>> {
        Ok(std::fs::read(self.world.path(name))?)
    }

    /// A key file of the world.
    pub(crate) fn key(&self, name: &str) -> Outcome<SigningKey> {
        key(&self.world.path(name))
    }

    /// The state of PROD before anything is done to it.
    pub(crate) fn before(&self) -> &TrustedState {
        &self.before
    }

    /// The recipe files that PROD holds.
    pub(crate) fn installed(&self) -> &[PathBuf] {
        &self.installed
    }

    /// Where commands write what is not looked at.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.world.path("out").join(name)
    }

    /// Files to take parts from.
    pub(crate) fn others(&self) -> &[Archive] {
        &self.others
    }

    /// What edits inside of members take.
    pub(crate) fn inside(&self) -> Inside<'_> {
        Inside {
            pool: &self.pool,
            stranger: &self.stranger,
            bomb: &self.bomb,
        }
    }
}
