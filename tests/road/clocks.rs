//! Clocks that are wrong, on the host and on the desk: they add warnings and refusals that a person
//! can lift, and nothing of theirs stays behind.

use std::fs;
use std::path::PathBuf;

use lockstep::desk::{self, Desk};
use lockstep::host;
use lockstep::model::patch::Accepted;
use lockstep::model::{Refusal, RefusalName, Time, Unwatched};
use serde_json::Value;

use crate::forge::Parts;
use crate::world::{MP4, MP5, Outcome, Tested, World};

const PORTAL: &str = "to:customer/acme/portal/1.0/portal-1.0.0.spr";

pub(crate) fn now() -> Time {
    Time::from_unix(
        std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |t| t.as_secs().cast_signed()),
    )
}

fn day(text: &str) -> Time {
    format!("{text}T12:00:00Z").parse().unwrap_or(Time::EPOCH)
}

/// The commands of the road, through the library, by a clock of the test's choosing.
struct At<'a> {
    world: &'a World,
    now: Time,
}

impl At<'_> {
    fn desk(&self) -> Desk {
        Desk {
            state: self.world.path("desk/state"),
            cache: self.world.path("desk/cache"),
        }
    }

    fn snapshot(&self, output: &str) -> Result<(), Refusal> {
        let request = host::snapshot::Request {
            root: self.world.path("PROD"),
            output: Some(self.world.path(output)),
            only: false,
            full: false,
        };
        host::snapshot::run(&request, self.now, &Unwatched).map(drop)
    }

    fn enrol(&self, snapshot: &str) -> Result<(), Refusal> {
        let request = desk::enrol::Request {
            places: vec![self.world.path(snapshot)],
            ..Default::default()
        };
        desk::enrol::run(&self.desk(), &request, self.now, &Unwatched).map(drop)
    }

    fn prepare(&self, statement: &str, to: &str, output: &str) -> Result<(), Refusal> {
        let request = desk::prepare::Request {
            snapshots: vec![self.world.path(statement)],
            to: vec![to.to_owned()],
            sources: vec![self.world.path("repository").display().to_string()],
            site: Some(self.world.path("site.spr")),
            key: Some(self.world.path("keys/desk")),
            output: Some(self.world.path(output)),
            ..Default::default()
        };
        desk::prepare::run(&self.desk(), &request, self.now, &Unwatched).map(drop)
    }

    fn apply(&self, patch: &str, receipt: &str, accepted: Vec<Accepted>) -> Result<(), Refusal> {
        let request = host::apply::Request {
            root: self.world.path("PROD"),
            file: self.world.path(patch),
            approvals: Vec::new(),
            accepted,
            memory: host::apply::MEMORY,
            dry_run: false,
            hot: false,
            receipt: Some(self.world.path(receipt)),
            environment: None,
        };
        host::apply::run(&request, self.now, &Unwatched).map(drop)
    }

    fn rollback(&self, receipt: &str) -> Result<(), Refusal> {
        let request = host::rollback::Request {
            root: self.world.path("PROD"),
            to: None,
            environment: "PROD".parse().ok(),
            accepted: Vec::new(),
            dry_run: false,
            receipt: Some(self.world.path(receipt)),
        };
        host::rollback::run(&request, self.now, &Unwatched).map(drop)
    }

    fn trust(&self, site: &str, receipt: &str) -> Result<(), Refusal> {
        let request = host::trust::Request {
            root: self.world.path("PROD"),
            site: self.world.path(site),
            receipt: Some(self.world.path(receipt)),
        };
        host::trust::run(&request, self.now, &Unwatched).map(drop)
    }

    fn receive(&self, receipt: &str) -> Result<(), Refusal> {
        let request = desk::receive::Request {
            places: vec![self.world.path(receipt)],
            accept_forked: None,
        };
        desk::receive::run(&self.desk(), &request, self.now, &Unwatched).map(drop)
    }
}

fn name<T>(result: Result<T, Refusal>) -> Result<(), RefusalName> {
    result.map(drop).map_err(|refusal| refusal.name)
}

fn although_expired() -> Vec<Accepted> {
    vec![Accepted {
        name: RefusalName::Expired,
        reason: "the battery of the clock is flat".to_owned(),
    }]
}

/// The trusted state that counts.
fn state(world: &World) -> Outcome<Value> {
    let current: Value = serde_json::from_slice(&fs::read(world.path("PROD/.lockstep/current"))?)?;
    let folder = PathBuf::from("PROD/.lockstep/states").join(current["sequence"].to_string());
    let file = world.path(&folder.join("state.json").display().to_string());
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// What the vendor signed as the time of issue of the repository's timestamp.
fn issued(world: &World) -> Outcome<Value> {
    let file = fs::read(world.path("repository/metadata/timestamp.json"))?;
    let timestamp: Value = serde_json::from_slice(&file)?;
    Ok(timestamp["signed"]["issued"].clone())
}

/// Every command of a host whose clock is `wrong`, with a desk whose clock is right; afterwards the
/// clock is put right and the road goes on.
fn host_at(wrong: Time, expired: bool) -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    let (right, wrong) = (
        At {
            world: &world,
            now: now(),
        },
        At {
            world: &world,
            now: wrong,
        },
    );
    wrong.snapshot("usb/1.snapshot.spr")?;
    right.prepare("usb/1.snapshot.spr", MP4, "usb/1.patch.spr")?;
    let plainly = wrong.apply("usb/1.patch.spr", "usb/1.receipt.spr", Vec::new());
    if expired {
        assert_eq!(name(plainly), Err(RefusalName::Expired));
        wrong.apply("usb/1.patch.spr", "usb/1.receipt.spr", although_expired())?;
    } else {
        plainly?;
    }
    // No clock of the host is kept as a floor: only what the vendor signed.
    assert_eq!(state(&world)?["time_floor"], issued(&world)?);
    right.receive("usb/1.receipt.spr")?;
    right.prepare("usb/1.receipt.spr", MP5, "usb/2.patch.spr")?;
    wrong.apply("usb/2.patch.spr", "usb/2.receipt.spr", although_expired())?;
    wrong.rollback("usb/3.receipt.spr")?;
    world.ok("lockstep site renew --from site.spr --key keys/owner --output site-2.spr --approver carl=keys/stranger.pub")?;
    wrong.trust("site-2.spr", "usb/4.receipt.spr")?;
    assert_eq!(state(&world)?["time_floor"], issued(&world)?);
    world.ok("lockstep history --check --root PROD")?;

    right.snapshot("usb/5.snapshot.spr")?;
    for receipt in [
        "usb/2.receipt.spr",
        "usb/3.receipt.spr",
        "usb/4.receipt.spr",
    ] {
        right.receive(receipt)?;
    }
    world.ok("cp site-2.spr site.spr")?;
    right.prepare("usb/5.snapshot.spr", MP5, "usb/5.patch.spr")?;
    right.apply("usb/5.patch.spr", "usb/5.receipt.spr", Vec::new())?;
    right.receive("usb/5.receipt.spr")?;
    Ok(())
}

#[test]
fn a_host_in_1970() -> Tested {
    host_at(Time::EPOCH, false)
}

#[test]
fn a_host_one_day_back() -> Tested {
    host_at(now().plus_days(-1), false)
}

#[test]
fn a_host_in_2030() -> Tested {
    host_at(day("2030-01-01"), true)
}

#[test]
fn a_host_in_2100() -> Tested {
    host_at(day("2100-01-01"), true)
}

/// A desk with a wrong clock builds no patch on metadata that it takes for expired, or for signed
/// in the future; what it did meanwhile stands in nobody's way afterwards.
#[test]
fn a_desk_at_any_time() -> Tested {
    let world = World::new()?;
    fs::create_dir(world.path("PROD"))?;
    world.ok("lockstep init --root PROD --name PROD --site site.spr --service none --output usb/1.snapshot.spr")?;
    for (clock, expected) in [
        (Time::EPOCH, Err(RefusalName::VendorUntrusted)),
        (now().plus_days(-1), Ok(())),
        (day("2030-01-01"), Err(RefusalName::Expired)),
        (day("2100-01-01"), Err(RefusalName::Expired)),
        (now(), Ok(())),
    ] {
        let desk = At {
            world: &world,
            now: clock,
        };
        desk.enrol("usb/1.snapshot.spr")?;
        let patch = format!("usb/{}.patch.spr", clock.date());
        let prepared = desk.prepare("usb/1.snapshot.spr", MP4, &patch);
        assert_eq!(name(prepared), expected, "{clock}");
    }
    let right = At {
        world: &world,
        now: now(),
    };
    let patch = format!("usb/{}.patch.spr", right.now.date());
    right.apply(&patch, "usb/1.receipt.spr", Vec::new())?;
    for clock in [Time::EPOCH, day("2100-01-01")] {
        At {
            world: &world,
            now: clock,
        }
        .receive("usb/1.receipt.spr")?;
    }
    right.prepare("usb/1.receipt.spr", MP5, "usb/2.patch.spr")?;
    Ok(())
}

/// A fork that a restored node tells of is on the desk's record by the desk's clock.
#[test]
fn a_restored_host_in_1970_is_on_the_desks_record_as_of_today() -> Tested {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/2.patch.spr")?;
    world.ok("tar cf backup.tar PROD")?;
    world.apply("PROD", "usb/2.patch.spr", "usb/2.receipt.spr")?;
    world.ok("lockstep enrol usb/2.receipt.spr --desk desk --key keys/desk --output usb/e.spr")?;
    world.ok("rm -r PROD && tar xf backup.tar")?;
    let request = host::rehome::Request {
        root: world.path("PROD"),
        how: host::rehome::How::Restored {
            enrolment: world.path("usb/e.spr"),
            site: None,
        },
        reason: "disk".to_owned(),
        environment: "PROD".parse().ok(),
        receipt: Some(world.path("usb/r.spr")),
    };
    host::rehome::run(&request, Time::EPOCH, &Unwatched)?;
    world.ok("lockstep enrol usb/r.spr --desk desk --replace")?;
    let known = world.ok("lockstep environments --desk desk --json")?.out;
    let known: Value = serde_json::from_str(&known)?;
    let accepted = &known["environments"][0]["forks"][0]["accepted"];
    let today = [now(), now().plus_days(-1)].map(Time::date);
    assert!(
        today
            .iter()
            .any(|day| accepted.as_str() == Some(day.as_str())),
        "{accepted}"
    );
    Ok(())
}

/// Change boards take their time: timestamp and snapshot expire meanwhile, and that is no reason.
#[test]
fn an_ordinary_patch_sixty_days_later_passes_without_an_override() -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    let at = |days| At {
        world: &world,
        now: now().plus_days(days),
    };
    let apply = |days, accepted| at(days).apply("usb/PROD.patch.spr", "usb/r.spr", accepted);
    assert_eq!(name(apply(91, Vec::new())), Err(RefusalName::Expired));
    apply(60, Vec::new())?;
    Ok(())
}

/// A repository of last year is well signed. A desk with a trusted key puts it into a patch, and the
/// host's clock stands at a time at which it was new.
#[test]
fn older_metadata_is_refused_whatever_the_clock_says() -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/older.spr")?;
    let older = Parts::read(&world.path("usb/older.spr"))?;
    world.component("core/9.2/core-9.2.0", &[("lib/core.jar", "core 9.2")], "")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/1.patch.spr")?;
    world.apply("PROD", "usb/1.patch.spr", "usb/1.receipt.spr")?;
    world.prepare("usb/1.receipt.spr", PORTAL, "usb/2.patch.spr")?;

    let mut forged = Parts::read(&world.path("usb/2.patch.spr"))?;
    forged.take_vendors_of(&older)?;
    forged.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
    for clock in [Time::EPOCH, now(), day("2100-01-01")] {
        let host = At {
            world: &world,
            now: clock,
        };
        let before = world.tree("PROD")?;
        let refusal = host.apply("usb/forged.spr", "usb/r.spr", although_expired());
        let refusal = refusal.err().ok_or("an older repository was taken")?;
        assert_eq!(refusal.name, RefusalName::VendorUntrusted, "{refusal}");
        assert!(refusal.to_string().contains("rollback"), "{refusal}");
        assert_eq!(world.tree("PROD")?, before);
    }
    world.apply("PROD", "usb/2.patch.spr", "usb/2.receipt.spr")?;
    Ok(())
}
