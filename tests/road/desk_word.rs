//! What a desk takes from a file that says more than its node may say.

use std::fs;

use crate::forge::{Parts, sign};
use crate::world::{Tested, World};

/// A snapshot of PROD, edited and signed by a key of somebody else's host.
fn another_nodes(world: &World, edit: impl FnOnce(&mut serde_json::Value), output: &str) -> Tested {
    let mut parts = Parts::read(&world.path("usb/PROD.snapshot.spr"))?;
    let public = fs::read_to_string(world.path("keys/stranger.pub"))?;
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    parts.statement["node"]["key"] = key.join(" ").into();
    edit(&mut parts.statement);
    parts.write_signed(&world.path(output), &world.path("keys/stranger"))
}

#[test]
fn a_node_does_not_join_an_environment_by_itself() -> Tested {
    let world = World::installed()?;
    another_nodes(
        &world,
        |statement| statement["node"]["name"] = "second".into(),
        "usb/join.spr",
    )?;
    world.refused(
        "desk/state/environments",
        "lockstep enrol usb/join.spr --desk desk",
        18,
        &["second", "PROD", "--fingerprint"],
    )?;
    // Whoever compared its key lets it in.
    let public = fs::read_to_string(world.path("keys/stranger.pub"))?;
    let public: lockstep::model::PublicKey = public.parse()?;
    world.ok(&format!(
        "lockstep enrol usb/join.spr --desk desk --fingerprint {}",
        public.fingerprint()
    ))?;
    Ok(())
}

#[test]
fn another_key_under_a_known_name_is_refused() -> Tested {
    let world = World::installed()?;
    another_nodes(&world, |_| (), "usb/other.spr")?;
    for line in [
        "lockstep enrol usb/other.spr --desk desk",
        "lockstep prepare usb/other.spr --desk desk --to restapi/7.0/restapi-7.0.40 --output usb/p.spr",
    ] {
        let said = ["enrolled here with another key", "--replace"];
        world.refused("desk/state", line, 18, &said)?;
    }
    Ok(())
}

#[test]
fn an_environment_keeps_its_name() -> Tested {
    let world = World::installed()?;
    world.ok("lockstep snapshot --root PROD --output usb/3.spr")?;
    let mut parts = Parts::read(&world.path("usb/3.spr"))?;
    parts.statement["environment"]["name"] = "PROD-US".into();
    // The node itself says so: its own key is at hand on a host that somebody else has.
    parts.write_signed(
        &world.path("usb/renamed.spr"),
        &world.path("PROD/.lockstep/key"),
    )?;
    for line in [
        "lockstep enrol usb/renamed.spr --desk desk",
        "lockstep prepare usb/renamed.spr --desk desk --to restapi/7.0/restapi-7.0.40",
    ] {
        world.refused("desk/state", line, 10, &["PROD-US", "known here", "PROD ("])?;
    }
    Ok(())
}

#[test]
fn a_signature_that_somebody_added_is_refused() -> Tested {
    let world = World::installed()?;
    world.ok("lockstep snapshot --root PROD --output usb/3.spr")?;
    let mut parts = Parts::read(&world.path("usb/3.spr"))?;
    let statement = serde_json::to_vec(&parts.statement)?;
    let more = sign(
        &world.path("keys/stranger"),
        "lockstep-snapshot",
        &statement,
    )?;
    let name = format!("snapshot.json.{}.sig", more.key);
    parts.signatures.push((name, more.armoured));
    parts.signatures.sort();
    parts.write(&world.path("usb/two.spr"))?;
    for line in [
        "lockstep enrol usb/two.spr --desk desk",
        "lockstep prepare usb/two.spr --desk desk --to restapi/7.0/restapi-7.0.40",
    ] {
        world.refused("desk/state", line, 22, &["one signature", "signatures  2"])?;
    }
    world.ok(
        "lockstep prepare usb/3.spr --desk desk --to restapi/7.0/restapi-7.0.40 --output usb/p.spr",
    )?;
    Ok(())
}
