//! Several vendors in one site, each with the recipes that the site lets it serve.

use std::fs;

use lockstep::model::Sha256;

use crate::forge::Parts;
use crate::world::{Tested, World};

/// A world with a second vendor, `acme`, which the site lets serve `customer/acme` alone.
fn two_vendors() -> Result<World, Box<dyn std::error::Error>> {
    let world = World::installed()?;
    world.ok("lockstep publish init --repository other --keys keys/other")?;
    world.ok("lockstep site renew --from site.spr --vendor acme=other/metadata/1.root.json --prefix acme=customer/acme --prefix acme=hotfix/core --key keys/owner --output site2.spr")?;
    Ok(world)
}

fn publish(world: &World, recipe: &str, path: &str, more: &str) -> Tested {
    let file = world.path(&format!("acme/{recipe}")).join(path);
    fs::create_dir_all(file.parent().ok_or("no folder")?)?;
    fs::write(file, "acme's")?;
    world.ok(&format!(
        "lockstep publish component --repository other --keys keys/other --recipe {recipe} --files acme/{recipe} {more}"
    ))?;
    Ok(())
}

fn prepare(to: &str, site: &str, out: &str) -> String {
    format!(
        "lockstep prepare --environment PROD --desk desk --site {site} --source stibo=repository --source acme=other --to {to} --output {out}"
    )
}

#[test]
fn two_vendors_in_one_patch() -> Tested {
    let world = two_vendors()?;
    publish(
        &world,
        "customer/acme/shop/1.0/shop-1.0.0",
        "shop/a",
        "--requires restapi",
    )?;
    let to = "to:restapi/7.0/restapi-7.0.40.spr,to:customer/acme/shop/1.0/shop-1.0.0.spr";
    world.ok(&(prepare(to, "site2.spr", "usb/2.spr") + " --whole"))?;
    let out = world.ok("lockstep verify usb/2.spr --site site2.spr")?.out;
    assert!(
        out.contains("by acme, role customer-acme") && out.contains("by stibo, role restapi"),
        "{out}"
    );
    world.apply("PROD", "usb/2.spr", "usb/2.receipt.spr")?;
    assert_eq!(fs::read_to_string(world.path("PROD/shop/a"))?, "acme's");
    assert_eq!(
        fs::read_to_string(world.path("PROD/api/restapi.jar"))?,
        "restapi 40"
    );
    world.ok("lockstep history --check --root PROD")?;
    Ok(())
}

#[test]
fn a_vendor_outside_of_its_prefix_is_refused() -> Tested {
    let world = two_vendors()?;
    publish(&world, "core/9.5/core-9.5.0", "lib/core.jar", "")?;
    publish(
        &world,
        "customer/acme-two/shop/1.0/shop-1.0.0",
        "shop/a",
        "",
    )?;
    publish(&world, "customer/acme/shop/1.0/shop-1.0.0", "shop/a", "")?;
    for to in [
        "to:core/9.5/core-9.5.0.spr",
        "to:customer/acme-two/shop/1.0/shop-1.0.0.spr",
    ] {
        world.refused(
            "PROD",
            &prepare(to, "site2.spr", "usb/2.spr"),
            31,
            &["no vendor of the site has this recipe"],
        )?;
    }
    // A desk that does not care: prepared under a wide prefix, with a newer, narrower site file inside.
    let to = "to:customer/acme/shop/1.0/shop-1.0.0.spr";
    world.ok(&prepare(to, "site2.spr", "usb/2.spr"))?;
    world.ok("lockstep site renew --from site2.spr --prefix acme=customer/acme/other --key keys/owner --output site3.spr")?;
    let mut parts = Parts::read(&world.path("usb/2.spr"))?;
    let narrow = Parts::read(&world.path("site3.spr"))?;
    let digest = Sha256::of(&serde_json::to_vec(&narrow.statement)?);
    parts.statement["site"] = serde_json::json!({"sha256": digest.to_string(), "version": 3});
    for (name, bytes) in &mut parts.members {
        if name == "site.spr" {
            *bytes = fs::read(world.path("site3.spr"))?;
        }
    }
    parts.relist()?;
    parts.write_signed(&world.path("usb/narrow.spr"), &world.path("keys/desk"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/narrow.spr --root PROD",
        21,
        &["does not let it serve", "customer/acme/other"],
    )?;
    Ok(())
}

#[test]
fn two_vendors_do_not_own_one_path_nor_one_component() -> Tested {
    let world = two_vendors()?;
    for (recipe, path, more) in [
        ("customer/acme/shop/1.0/shop-1.0.0", "lib/core.jar", ""),
        ("customer/acme/shop/1.0/shop-1.0.1", "LIB/core.jar", ""),
        (
            "hotfix/core/shop-1.0.2",
            "lib/core.jar",
            "--takes core=9.0.0",
        ),
        ("customer/acme/core/9.9/core-9.9.0", "shop/a", ""),
        (
            "customer/acme/shop/1.0/shop-1.0.3",
            "shop/a",
            "--replaces core",
        ),
    ] {
        publish(&world, recipe, path, more)?;
    }
    for (recipe, code, words) in [
        (
            "customer/acme/shop/1.0/shop-1.0.0",
            31,
            "would belong to both core 9.0.0 and shop 1.0.0",
        ),
        ("customer/acme/shop/1.0/shop-1.0.1", 31, "by case alone"),
        // Taking over, like replacing, is for a publisher's own.
        ("hotfix/core/shop-1.0.2", 31, "would belong to both"),
        ("customer/acme/core/9.9/core-9.9.0", 31, "is installed from"),
    ] {
        let to = format!("to:{recipe}.spr");
        world.refused(
            "PROD",
            &prepare(&to, "site2.spr", "usb/2.spr"),
            code,
            &[words],
        )?;
    }
    let to = "to:customer/acme/shop/1.0/shop-1.0.3.spr";
    world.ok(&prepare(to, "site2.spr", "usb/2.spr"))?;
    world.apply("PROD", "usb/2.spr", "usb/2.receipt.spr")?;
    assert!(world.path("PROD/lib/core.jar").exists());
    Ok(())
}
