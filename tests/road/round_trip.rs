//! The road from an empty folder to the second release, and what the customer keeps.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::{MP5, Tested, World};

#[test]
fn two_releases() -> Tested {
    let world = World::installed()?;
    assert_eq!(
        fs::read_to_string(world.path("PROD/lib/core.jar"))?,
        "core 9.0"
    );
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/PROD-2.patch.spr")?;
    world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    for (path, text) in [
        ("lib/core.jar", "core 9.1"),
        ("lib/new.txt", "new"),
        ("api/restapi.jar", "restapi 40"),
        ("conf/a.properties", "a=2"),
    ] {
        assert_eq!(
            fs::read_to_string(world.path("PROD").join(path))?,
            text,
            "{path}"
        );
    }
    assert!(!world.path("PROD/lib/old.txt").exists());
    assert_eq!(
        fs::read_dir(world.path("PROD/.lockstep/stage")).map_or(0, Iterator::count),
        0
    );
    assert!(!world.path("PROD/.lockstep/journal").exists());
    let status = world.ok("lockstep status --check --root PROD")?.out;
    assert!(
        status.contains("none: every file is as its recipe has it"),
        "{status}"
    );
    world.ok("lockstep history --check --root PROD")?;
    let received = world
        .ok("lockstep receive usb/PROD-2.receipt.spr --desk desk")?
        .out;
    assert!(
        received.contains("confirms   PROD-2.patch.spr"),
        "{received}"
    );
    Ok(())
}

#[test]
fn what_the_customer_edited_is_kept() -> Tested {
    let world = World::installed()?;
    world.write("PROD/conf/a.properties", "a=customer")?;
    world.write("PROD/own.txt", "the customer's")?;
    world.ok("lockstep snapshot --root PROD --output usb/s.spr")?;
    let inspected = world.ok("lockstep inspect usb/s.spr --json")?.out;
    let snapshot: serde_json::Value = serde_json::from_str(&inspected)?;
    assert_eq!(
        snapshot["statement"]["config"][0]["path"],
        "conf/a.properties"
    );
    assert_eq!(
        snapshot["statement"]["config"][0]
            .as_object()
            .map(serde_json::Map::len),
        Some(2),
        "no digest leaves the host"
    );
    world.prepare("usb/s.spr", MP5, "usb/PROD-2.patch.spr")?;
    let applied = world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    assert!(
        applied
            .out
            .contains("the new one lies beside as conf/a.properties.new"),
        "{}",
        applied.out
    );
    assert_eq!(
        fs::read_to_string(world.path("PROD/conf/a.properties"))?,
        "a=customer"
    );
    assert_eq!(
        fs::read_to_string(world.path("PROD/conf/a.properties.new"))?,
        "a=2"
    );
    assert_eq!(
        fs::read_to_string(world.path("PROD/own.txt"))?,
        "the customer's"
    );
    Ok(())
}

#[test]
fn a_component_alone_and_its_removal() -> Tested {
    let world = World::installed()?;
    world.prepare(
        "usb/PROD.receipt.spr",
        "to:customer/acme/portal/1.0/portal-1.0.0.spr",
        "usb/p.spr",
    )?;
    world.apply("PROD", "usb/p.spr", "usb/p.receipt.spr")?;
    let listed = world.ok("lockstep components --root PROD")?.out;
    assert!(
        listed.contains("add-on") && listed.contains("release"),
        "{listed}"
    );
    world.ok("lockstep receive usb/p.receipt.spr --desk desk")?;
    world.ok("lockstep prepare --environment PROD --remove portal --desk desk --output usb/r.spr --accept downgrade --reason unused")?;
    world.ok(
        "lockstep apply usb/r.spr --root PROD --accept downgrade --reason unused --receipt usb",
    )?;
    assert!(
        !world.path("PROD/portal").exists(),
        "a folder that nobody needs any more goes"
    );
    Ok(())
}

#[test]
fn a_mode_and_a_link_travel() -> Tested {
    let world = World::new()?;
    for (version, target) in [("1.0", "run.sh"), ("1.1", "stop.sh")] {
        let folder = format!("vendor/tool/{version}/tool-{version}");
        fs::create_dir_all(world.path(&folder).join("bin/empty"))?;
        for name in ["run.sh", "stop.sh"] {
            let path = world.path(&folder).join("bin").join(name);
            fs::write(&path, name)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o750))?;
        }
        std::os::unix::fs::symlink(target, world.path(&folder).join("bin/default"))?;
        world.component(&format!("tool/{version}/tool-{version}"), &[], "")?;
    }
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", "tool/1.0/tool-1.0", "usb/1.spr")?;
    world.apply("PROD", "usb/1.spr", "usb/1.receipt.spr")?;
    world.prepare("usb/1.receipt.spr", "tool/1.1/tool-1.1", "usb/2.spr")?;
    world.apply("PROD", "usb/2.spr", "usb/2.receipt.spr")?;
    assert_eq!(
        fs::read_link(world.path("PROD/bin/default"))?.to_str(),
        Some("stop.sh")
    );
    assert_eq!(
        fs::metadata(world.path("PROD/bin/run.sh"))?
            .permissions()
            .mode()
            & 0o777,
        0o750
    );
    assert!(world.path("PROD/bin/empty").is_dir());
    Ok(())
}

#[test]
fn the_demonstration_runs() -> Tested {
    let world = World::new()?;
    let demo = world.ok("lockstep demo --folder demo")?;
    assert!(
        demo.out.contains("refused as they should be"),
        "{}",
        demo.out
    );
    assert!(demo.err.contains("$ lockstep prepare"), "{}", demo.err);
    Ok(())
}

#[test]
fn json_is_one_document() -> Tested {
    let world = World::installed()?;
    for line in [
        "status",
        "components",
        "history",
        "snapshot --output usb/j.spr",
    ] {
        let ran = world.ok(&format!("lockstep {line} --root PROD --json"))?;
        serde_json::from_str::<serde_json::Value>(&ran.out)?;
    }
    let refused = world.run("lockstep apply usb/PROD.patch.spr --root PROD --json")?;
    let document: serde_json::Value = serde_json::from_str(&refused.out)?;
    assert_eq!(document["refusal"], "already-applied");
    assert_eq!(document["exit"], 12);
    Ok(())
}
