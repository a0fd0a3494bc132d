//! A publisher that owns some recipes of a vendor and reaches for what is not its own.

use crate::forge::Parts;
use crate::world::{Tested, World};

const PREPARE: &str = "lockstep prepare --environment PROD --desk desk --output usb/x.spr";

#[test]
fn a_replacement_of_what_is_another_familys_is_a_removal() -> Tested {
    let world = World::installed()?;
    world.component(
        "customer/acme/addon/1.0/addon-1.0.0",
        &[("addon/a.jar", "a")],
        "--replaces restapi",
    )?;
    world.ok(&format!(
        "{PREPARE} --to customer/acme/addon/1.0/addon-1.0.0"
    ))?;
    // A desk that takes it by its word, and away without one of its own, gains nothing.
    let mut parts = Parts::read(&world.path("usb/x.spr"))?;
    let target = parts.statement["target"]
        .as_array_mut()
        .ok_or("no target")?;
    target.retain(|one| !one.as_str().is_some_and(|one| one.contains(" restapi/")));
    parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
    for more in ["", " --accept downgrade --reason test"] {
        let apply = format!("lockstep apply usb/forged.spr --root PROD{more}");
        world.refused(
            "PROD",
            &apply,
            16,
            &["restapi 7.0.39 -> removed", "it states"],
        )?;
    }
    world.apply("PROD", "usb/x.spr", "usb/x.receipt.spr")?;
    let listed = world.ok("lockstep components --root PROD")?.out;
    assert!(
        listed.contains("to:restapi/7.0/restapi-7.0.39.spr"),
        "{listed}"
    );
    Ok(())
}

#[test]
fn a_take_over_by_what_is_no_hotfix_or_one_of_another_component() -> Tested {
    let world = World::installed()?;
    for recipe in [
        "customer/acme/addon/1.0/addon-1.0.0",
        "hotfix/core/core-9.0.0-hf1",
    ] {
        let folder = format!("vendor/{recipe}/api");
        world.ok(&format!(
            "mkdir -p {folder} && echo x > {folder}/restapi.jar"
        ))?;
        world.refused(
            "repository",
            &format!("lockstep publish component --repository repository --keys keys/vendor --recipe {recipe} --files vendor/{recipe} --takes restapi=7.0.39"),
            2,
            &["only a hotfix of it may"],
        )?;
    }
    Ok(())
}

#[test]
fn a_folder_that_two_would_have_in_two_modes() -> Tested {
    let world = World::installed()?;
    for (recipe, mode) in [("a/1/a-1", "0755"), ("b/1/b-1", "0777")] {
        let folder = format!("vendor/{recipe}");
        world.ok(&format!(
            "mkdir -p {folder}/shared && chmod {mode} {folder}/shared && echo x > {folder}/{}.txt",
            &recipe[..1]
        ))?;
        world.publish("component", &format!("--recipe {recipe} --files {folder}"))?;
    }
    let both = format!("{PREPARE} --to a/1/a-1,b/1/b-1");
    world.refused("PROD", &both, 31, &["the folder shared has mode"])?;
    Ok(())
}
