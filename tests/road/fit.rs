//! What fits together, and what the customer's files do to it: hotfixes, joint upgrades, drift by
//! policy, paths that change their kind.

use std::fs;

use crate::world::{Outcome, Tested, World};

const RESTAPI_40: &str = "to:restapi/7.0/restapi-7.0.40.spr";

/// Prepares for the last word that the desk has of PROD, applies, and hands the receipt in.
fn patch(world: &World, to: &str, number: u32) -> Outcome<String> {
    let out = prepare(world, to, number)?;
    world.apply(
        "PROD",
        &format!("usb/{number}.spr"),
        &format!("usb/{number}.receipt.spr"),
    )?;
    world.ok(&format!(
        "lockstep receive usb/{number}.receipt.spr --desk desk"
    ))?;
    world.ok("lockstep history --check --root PROD")?;
    stands_as_signed(world, number)?;
    Ok(out)
}

fn prepare(world: &World, to: &str, number: u32) -> Outcome<String> {
    Ok(world
        .ok(&format!(
            "lockstep prepare --environment PROD --desk desk --to {to} --output usb/{number}.spr"
        ))?
        .out)
}

/// The state that the receipt signs is the one that a scan finds: its snapshot is not stale at birth.
fn stands_as_signed(world: &World, number: u32) -> Tested {
    let receipt = world
        .ok(&format!("lockstep inspect usb/{number}.receipt.spr --json"))?
        .out;
    let receipt: serde_json::Value = serde_json::from_str(&receipt)?;
    let status = world.ok("lockstep status --root PROD --json")?.out;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    assert_eq!(
        receipt["statement"]["after"], status["state"],
        "after patch {number}"
    );
    Ok(())
}

fn text(world: &World, path: &str) -> Outcome<String> {
    Ok(fs::read_to_string(world.path("PROD").join(path))?)
}

#[test]
fn a_hotfix_takes_a_path_over_and_is_replaced() -> Tested {
    let world = World::installed()?;
    world.component(
        "hotfix/restapi/restapi-7.0.39-hf1",
        &[("api/restapi.jar", "restapi 39 hotfix")],
        "--takes restapi=7.0.39",
    )?;
    world.component(
        "restapi/7.0/restapi-7.0.42",
        &[("api/restapi.jar", "restapi 42")],
        "--replaces restapi-7.0.39-hf1",
    )?;
    patch(&world, "hotfix/restapi/restapi-7.0.39-hf1", 1)?;
    assert_eq!(text(&world, "api/restapi.jar")?, "restapi 39 hotfix");
    // An upgrade that knows nothing of the hotfix does not fit, and says what to do.
    let words = [
        "restapi-7.0.39-hf1 1 is made for restapi 7.0.39",
        "it would be 7.0.40",
        "--remove",
    ];
    world.refused(
        "PROD",
        &format!("lockstep prepare --environment PROD --desk desk --to {RESTAPI_40}"),
        31,
        &words,
    )?;
    // One that replaces it takes it away, and that is no downgrade.
    let out = patch(&world, "restapi/7.0/restapi-7.0.42", 2)?;
    assert!(!out.contains("downgrade"), "{out}");
    assert_eq!(text(&world, "api/restapi.jar")?, "restapi 42");
    let listed = world.ok("lockstep components --root PROD")?.out;
    assert!(!listed.contains("hf1"), "{listed}");
    Ok(())
}

#[test]
fn a_hotfix_for_another_version_does_not_take_over() -> Tested {
    let world = World::installed()?;
    world.component(
        "hotfix/restapi/restapi-7.0.40-hf1",
        &[("api/restapi.jar", "x")],
        "--takes restapi=7.0.40",
    )?;
    let line =
        "lockstep prepare --environment PROD --desk desk --to hotfix/restapi/restapi-7.0.40-hf1";
    let words = [
        "is made for restapi 7.0.40",
        "api/restapi.jar would belong to both",
    ];
    world.refused("PROD", line, 31, &words)?;
    Ok(())
}

#[test]
fn a_joint_upgrade_is_asked_for_together() -> Tested {
    let world = World::installed()?;
    world.component(
        "customer/acme/portal/1.1/portal-1.1.0",
        &[("portal/portal.jar", "portal 11")],
        "--joint 'restapi >=7.0.40'",
    )?;
    let portal = "customer/acme/portal/1.1/portal-1.1.0";
    let words = [
        "portal 1.1.0 goes together with restapi >=7.0.40",
        "it would be 7.0.39",
    ];
    world.refused(
        "PROD",
        &format!("lockstep prepare --environment PROD --desk desk --to {portal}"),
        31,
        &words,
    )?;
    patch(&world, &format!("{portal},{RESTAPI_40}"), 1)?;
    assert_eq!(text(&world, "portal/portal.jar")?, "portal 11");
    Ok(())
}

#[test]
fn drift_is_overwritten_where_policy_says_so() -> Tested {
    let world = World::with_policy("drift = \"overwrite\"\n")?;
    world.install("PROD")?;
    world.write("PROD/api/restapi.jar", "mended by hand")?;
    world.write("PROD/lib/new.txt", "nobody's")?;
    world.ok("lockstep snapshot --root PROD --output usb/s.spr && lockstep prepare usb/s.spr --desk desk --to restapi/7.0/restapi-7.0.40 --output usb/o.spr")?;
    world.apply("PROD", "usb/o.spr", "usb/0.receipt.spr")?;
    stands_as_signed(&world, 0)?;
    assert_eq!(text(&world, "api/restapi.jar")?, "restapi 40");
    let kept = world.ok("cat PROD/.lockstep/generations/*/0")?.out;
    assert_eq!(
        kept, "mended by hand",
        "what was displaced is in the generation"
    );
    Ok(())
}

#[test]
fn drift_is_kept_where_policy_says_so() -> Tested {
    let world = World::with_policy("drift = \"keep\"\n")?;
    world.install("PROD")?;
    world.write("PROD/api/restapi.jar", "mended by hand")?;
    fs::remove_file(world.path("PROD/lib/old.txt"))?;
    world.ok("lockstep snapshot --root PROD --output usb/s.spr && lockstep prepare usb/s.spr --desk desk --to restapi/7.0/restapi-7.0.40 --output usb/k.spr")?;
    world.apply("PROD", "usb/k.spr", "usb/0.receipt.spr")?;
    stands_as_signed(&world, 0)?;
    assert_eq!(text(&world, "api/restapi.jar")?, "mended by hand");
    Ok(())
}

#[test]
fn a_file_becomes_a_folder_and_back() -> Tested {
    let world = World::installed()?;
    world.component("shape/1.0/shape-1.0", &[("thing", "a file")], "")?;
    world.component(
        "shape/1.1/shape-1.1",
        &[("thing/inside/deep", "a folder")],
        "",
    )?;
    world.component("shape/1.2/shape-1.2", &[("thing", "a file again")], "")?;
    patch(&world, "shape/1.0/shape-1.0", 1)?;
    patch(&world, "shape/1.1/shape-1.1", 2)?;
    assert_eq!(text(&world, "thing/inside/deep")?, "a folder");
    patch(&world, "shape/1.2/shape-1.2", 3)?;
    assert_eq!(text(&world, "thing")?, "a file again");
    Ok(())
}

#[test]
fn a_folder_with_the_customers_files_is_no_place_for_a_file() -> Tested {
    let world = World::installed()?;
    world.component("shape/1.1/shape-1.1", &[("thing/deep", "a folder")], "")?;
    world.component("shape/1.2/shape-1.2", &[("thing", "a file")], "")?;
    patch(&world, "shape/1.1/shape-1.1", 1)?;
    world.write("PROD/thing/own.txt", "the customer's")?;
    prepare(&world, "shape/1.2/shape-1.2", 2)?;
    world.refused(
        "PROD",
        "lockstep apply usb/2.spr --root PROD",
        30,
        &["thing", "not empty"],
    )?;
    Ok(())
}

#[test]
fn an_earlier_new_file_beside_config_is_not_lost() -> Tested {
    let world = World::installed()?;
    world.component(
        "core/9.2/core-9.2.0",
        &[("lib/core.jar", "core 9.2"), ("conf/a.properties", "a=3")],
        "--config 'conf/*'",
    )?;
    world.write("PROD/conf/a.properties", "a=customer")?;
    world.write("PROD/conf/a.properties.new", "half a merge")?;
    patch(&world, "core/9.2/core-9.2.0", 1)?;
    assert_eq!(text(&world, "conf/a.properties")?, "a=customer");
    assert_eq!(text(&world, "conf/a.properties.new")?, "half a merge");
    assert_eq!(text(&world, "conf/a.properties.new2")?, "a=3");
    Ok(())
}

#[test]
fn a_renamed_file_is_copied_on_the_host() -> Tested {
    let world = World::installed()?;
    world.component(
        "move/1.0/move-1.0",
        &[("old/name.jar", "the same content")],
        "",
    )?;
    world.component(
        "move/1.1/move-1.1",
        &[
            ("new/name.jar", "the same content"),
            ("twice.jar", "the same content"),
        ],
        "",
    )?;
    patch(&world, "move/1.0/move-1.0", 1)?;
    let out = patch(&world, "move/1.1/move-1.1", 2)?;
    assert!(
        out.contains("0 travel whole (0 B), 0 as deltas (0 B), 1 are copied on the host"),
        "{out}"
    );
    assert_eq!(text(&world, "new/name.jar")?, "the same content");
    assert_eq!(text(&world, "twice.jar")?, "the same content");
    assert!(!world.path("PROD/old").exists());
    Ok(())
}

#[test]
fn a_newer_site_file_rides_in_a_patch() -> Tested {
    let world = World::installed()?;
    world.ok(
        "lockstep site renew --from site.spr --remove ben --key keys/owner --output site-2.spr",
    )?;
    world.ok(&format!("lockstep prepare --environment PROD --desk desk --to {RESTAPI_40} --site site-2.spr --output usb/1.spr"))?;
    let applied = world.apply("PROD", "usb/1.spr", "usb/1.receipt.spr")?;
    assert!(
        applied.out.contains("site acme version 1 -> 2"),
        "{}",
        applied.out
    );
    let trusted = world.ok("lockstep trust show --root PROD")?.out;
    assert!(
        trusted.contains("version 2") && !trusted.contains("ben"),
        "{trusted}"
    );
    world.refused(
        "PROD",
        "lockstep trust site.spr --root PROD",
        26,
        &["1", "2"],
    )?;
    Ok(())
}
