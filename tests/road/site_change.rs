//! A newer site file, by `trust` and inside a patch: whom it takes out is out at once and everywhere,
//! and no older one comes back.

use std::fs;

use crate::forge::Parts;
use crate::world::{MP5, Outcome, Tested, World};

/// How a newer site file comes to a host.
const WAYS: [&str; 2] = ["by trust", "inside a patch"];

/// What the person is told whose patch rests on an older site file, whether it carries that or not.
const AGAIN: &str = "prepare the patch again with the newer site file";

fn has(text: &str, words: &[&str]) -> Tested {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is not in:\n{text}").into()),
    }
}

/// PROD with a patch that desk prepared, and a site file of version 2 in which ben prepares instead.
fn world() -> Outcome<World> {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/desk.patch.spr")?;
    world.ok("lockstep site renew --from site.spr --remove desk --remove ben --preparer ben=keys/ben.pub --key keys/owner --output site2.spr")?;
    Ok(world)
}

/// Brings version 2 to the host.
fn bring(world: &World, way: &str) -> Tested {
    if way == "by trust" {
        world.ok(
            "lockstep trust site2.spr --root PROD && mv PROD-0003.receipt.spr usb/3.receipt.spr",
        )?;
    } else {
        world.ok("lockstep prepare usb/PROD.receipt.spr --to customer/acme/portal/1.0/portal-1.0.0 --desk desk --site site2.spr --key keys/ben --source repository --output usb/ben.patch.spr")?;
        let inside = world.ok("tar tf usb/ben.patch.spr")?.out;
        has(&inside, &["site.spr"])?;
        world.apply("PROD", "usb/ben.patch.spr", "usb/3.receipt.spr")?;
    }
    Ok(())
}

/// Prepared under version 1, for the very state that stands, with a challenge that is open.
fn by_desk_for_now(world: &World) -> Tested {
    world.ok("rm -rf old && mkdir old && lockstep snapshot --root PROD --output usb/now.spr")?;
    // The desk that was taken out has a folder of its own, and does not know version 2.
    world.ok("lockstep enrol usb/now.spr --desk old")?;
    Ok(())
}

#[test]
fn a_removed_preparers_patches_are_refused_from_then_on() -> Tested {
    for way in WAYS {
        let world = world()?;
        bring(&world, way)?;
        // The host: by its closed snapshot, and by who signed it.
        world.refused(
            "PROD",
            "lockstep apply usb/desk.patch.spr --root PROD",
            13,
            &["closed by"],
        )?;
        by_desk_for_now(&world)?;
        let prepare = format!(
            "lockstep prepare usb/now.spr --to {MP5} --desk old --source repository --key keys/desk --output usb/late.patch.spr"
        );
        // The desk itself refuses to work under an older site file than the node's.
        world.refused(
            "old/state/environments",
            &format!("{prepare} --site site.spr"),
            26,
            &["version 2", "version 1"],
        )?;
        // With the right site file it refuses the key.
        world.refused(
            "old/state/environments",
            &format!("{prepare} --site site2.spr"),
            26,
            &["your key", "preparers", "ben"],
        )?;
        // One that is prepared by ben and signed anew by the departed preparer.
        world.ok(&format!("lockstep prepare usb/now.spr --to {MP5} --desk old --source repository --key keys/ben --site site2.spr --output usb/good.patch.spr"))?;
        let parts = Parts::read(&world.path("usb/good.patch.spr"))?;
        parts.write_signed(
            &world.path("usb/forged.patch.spr"),
            &world.path("keys/desk"),
        )?;
        world.refused(
            "PROD",
            "lockstep apply usb/forged.patch.spr --root PROD",
            26,
            &["signed by", "trusted"],
        )?;
        let ran = world.run("lockstep verify usb/forged.patch.spr --site site2.spr")?;
        assert_eq!(ran.code, 26, "{way}: {}", ran.out);
        world.apply("PROD", "usb/good.patch.spr", "usb/good.receipt.spr")?;
    }
    Ok(())
}

#[test]
fn an_older_site_file_is_refused_everywhere() -> Tested {
    for way in WAYS {
        let world = world()?;
        bring(&world, way)?;
        world.refused(
            "PROD",
            "lockstep trust site.spr --root PROD",
            26,
            &["1", "2"],
        )?;
        world.refused(
            "PROD",
            "lockstep trust site2.spr --root PROD",
            3,
            &["in force already"],
        )?;
        // In a patch that its preparer made under version 1 and that carries it.
        by_desk_for_now(&world)?;
        world.ok(&format!("lockstep prepare usb/now.spr --to {MP5} --desk old --source repository --key keys/ben --site site2.spr --output usb/good.patch.spr"))?;
        for carried in [true, false] {
            let mut parts = Parts::read(&world.path("usb/good.patch.spr"))?;
            let old = Parts::read(&world.path("site.spr"))?;
            let bytes = serde_json::to_vec(&old.statement)?;
            parts.statement["site"]["version"] = 1.into();
            parts.statement["site"]["sha256"] =
                lockstep::model::Sha256::of(&bytes).to_string().into();
            if carried {
                let at = parts
                    .members
                    .iter()
                    .position(|(name, _)| name.starts_with("packs/"));
                let site = ("site.spr".to_owned(), fs::read(world.path("site.spr"))?);
                parts
                    .members
                    .insert(at.unwrap_or(parts.members.len()), site);
                parts.relist()?;
            }
            parts.write_signed(&world.path("usb/older.patch.spr"), &world.path("keys/ben"))?;
            let line = "lockstep apply usb/older.patch.spr --root PROD";
            world
                .refused("PROD", line, 26, &["1", "2", AGAIN])
                .map_err(|e| format!("{way}, carried {carried}: {e}"))?;
            let ran = world.run("lockstep verify usb/older.patch.spr --site site2.spr")?;
            assert_eq!(ran.code, 26, "{way}: {}", ran.out);
            has(&format!("{}{}", ran.out, ran.err), &[AGAIN])?;
            let line = "lockstep approve usb/older.patch.spr --site site2.spr --key keys/owner";
            world.refused("PROD", line, 26, &["1", "2", AGAIN])?;
            world.ok("rm usb/older.patch.spr")?;
        }
        // The desk that has version 2 takes no older one.
        if way == "inside a patch" {
            world.refused(
                "desk/state/environments",
                &format!("lockstep prepare usb/3.receipt.spr --to {MP5} --desk desk --site site.spr --output usb/x.spr"),
                26,
                &["1", "2"],
            )?;
        }
    }
    Ok(())
}

#[test]
fn of_two_site_files_of_one_version_the_second_is_refused() -> Tested {
    for way in WAYS {
        let world = world()?;
        world.ok("lockstep site renew --from site.spr --remove anna --key keys/owner --output other2.spr")?;
        bring(&world, way)?;
        world.refused(
            "PROD",
            "lockstep trust other2.spr --root PROD",
            20,
            &["version 2", "higher version"],
        )?;
        by_desk_for_now(&world)?;
        world.refused(
            "old/state/environments",
            &format!("lockstep prepare usb/now.spr --to {MP5} --desk old --source repository --key keys/desk --site other2.spr --output usb/x.spr"),
            26,
            &["another site file", "version 2 ("],
        )?;
    }
    Ok(())
}

#[test]
fn version_and_digest_are_said_wherever_somebody_looks() -> Tested {
    for way in WAYS {
        let world = world()?;
        bring(&world, way)?;
        let bytes = serde_json::to_vec(&Parts::read(&world.path("site2.spr"))?.statement)?;
        let sha256 = lockstep::model::Sha256::of(&bytes).to_string();
        world.ok("lockstep snapshot --root PROD --output usb/s.spr")?;
        for line in [
            "lockstep status --root PROD",
            "lockstep trust show --root PROD",
            "lockstep inspect usb/s.spr",
            "lockstep inspect usb/3.receipt.spr",
            "lockstep inspect site2.spr",
        ] {
            let said = world.ok(line)?.out;
            has(&said, &["version 2", &sha256[..12]]).map_err(|e| format!("{way}, {line}: {e}"))?;
        }
        for line in [
            "lockstep status --root PROD --json",
            "lockstep trust show --root PROD --json",
        ] {
            has(&world.ok(line)?.out, &[&sha256])?;
        }
    }
    Ok(())
}
