//! A vendor's new keys, a delegate's own, and a vendor that starts anew, from build server to host.

use std::fs;

use lockstep::model::Sha256;
use serde_json::Value;

use crate::forge::Parts;
use crate::world::{Outcome, Tested, World};

/// Prepares what is asked for from the last word that the desk has of `name`, and applies it.
fn bring(world: &World, name: &str, to: &str, more: &str) -> Tested {
    prepare(world, name, to, more)?;
    apply(world, name)
}

fn prepare(world: &World, name: &str, to: &str, more: &str) -> Tested {
    world.ok(&format!(
        "lockstep prepare --environment {name} --desk desk --to {to} --output usb/{name}.next.spr {more}"
    ))?;
    Ok(())
}

fn apply(world: &World, name: &str) -> Tested {
    world.ok(&format!(
        "lockstep apply usb/{name}.next.spr --root {name} --receipt usb/{name}.done.spr"
    ))?;
    world.ok(&format!("lockstep receive usb/{name}.done.spr --desk desk"))?;
    for part in ["next.spr", "next.head.spr", "done.spr"] {
        fs::remove_file(world.path(&format!("usb/{name}.{part}")))?;
    }
    Ok(())
}

fn release(world: &World, number: u32) -> Outcome<String> {
    let recipe = format!("core/9.0/core-9.0.{number}");
    world.component(&recipe, &[("lib/core.jar", &format!("core {number}"))], "")?;
    Ok(format!("to:{recipe}.spr"))
}

fn copy(world: &World, from: &str, to: &str) -> Tested {
    world.ok(&format!("cp -a {from} {to}"))?;
    Ok(())
}

#[test]
fn environments_of_the_first_day_catch_up_offline() -> Tested {
    let world = World::installed()?;
    world.install("STEPS")?;
    let mut number = 0;
    for role in ["root", "targets", "snapshot", "timestamp", "core"] {
        for keys in ["--make 1 --threshold 1", "--make 3 --threshold 2", ""] {
            let keys = if keys.is_empty() {
                "--make 2 --threshold 2"
            } else {
                keys
            };
            world.publish("rotate", &format!("--role {role} {keys}"))?;
        }
        number += 1;
        let to = release(&world, number)?;
        bring(&world, "STEPS", &to, "")?;
    }
    // One patch over twelve roots, and fifteen rotations.
    let to = format!("to:core/9.0/core-9.0.{number}.spr");
    bring(&world, "PROD", &to, "")?;
    assert!(world.path("repository/metadata/13.root.json").exists());
    for root in ["PROD", "STEPS"] {
        let text = fs::read_to_string(world.path(root).join("lib/core.jar"))?;
        assert_eq!(text, format!("core {number}"));
        world.ok(&format!("lockstep history --check --root {root}"))?;
    }
    Ok(())
}

/// Puts another repository's metadata into a patch: a desk with a trusted key can.
fn swap_metadata(
    world: &World,
    patch: &str,
    repository: &str,
    first_root: u32,
    out: &str,
) -> Tested {
    let mut parts = Parts::read(&world.path(patch))?;
    let metadata = world.path(repository).join("metadata");
    let file = |name: &str| fs::read(metadata.join(name));
    let timestamp: Value = serde_json::from_slice(&file("timestamp.json")?)?;
    let version = |document: &Value, name: &str| -> Outcome<u64> {
        document["signed"]["meta"][name]["version"]
            .as_u64()
            .ok_or_else(|| "no version".into())
    };
    let snapshot = format!("{}.snapshot.json", version(&timestamp, "snapshot.json")?);
    let listed: Value = serde_json::from_slice(&file(&snapshot)?)?;
    let mut names = vec![
        "timestamp.json".to_owned(),
        format!("{}.targets.json", version(&listed, "targets.json")?),
        format!("{}.core.json", version(&listed, "core.json")?),
        snapshot,
    ];
    names.extend(
        (first_root..)
            .map(|n| format!("{n}.root.json"))
            .take_while(|n| metadata.join(n).exists()),
    );
    let place = parts
        .members
        .iter()
        .position(|(name, _)| name.starts_with("vendor/"));
    let place = place.ok_or("no metadata")?;
    parts
        .members
        .retain(|(name, _)| !name.starts_with("vendor/"));
    for name in names {
        let packed = zstd::encode_all(file(&name)?.as_slice(), 3)?;
        parts
            .members
            .insert(place, (format!("vendor/stibo/{name}.zst"), packed));
    }
    parts.statement["vendors"][0]["issued"] = timestamp["signed"]["issued"].clone();
    parts.relist()?;
    parts.write_signed(&world.path(out), &world.path("keys/desk"))
}

#[test]
fn an_old_repository_is_refused_once_a_newer_root_was_taken() -> Tested {
    let world = World::installed()?;
    let to = release(&world, 1)?;
    copy(&world, "repository", "old")?;
    world.publish("rotate", "--role root")?;
    world.publish("rotate", "--role timestamp")?;
    bring(&world, "PROD", "to:restapi/7.0/restapi-7.0.40.spr", "")?;
    // The desk refuses it, and so does the host where the desk is somebody else's.
    world.refused(
        "PROD",
        &format!("lockstep prepare --environment PROD --desk desk --source old --to {to} --output usb/x.spr"),
        21,
        &["root metadata", "older"],
    )?;
    prepare(&world, "PROD", &to, "--source repository")?;
    swap_metadata(&world, "usb/PROD.next.spr", "old", 2, "usb/old.spr")?;
    world.refused(
        "PROD",
        "lockstep apply usb/old.spr --root PROD",
        21,
        &["root metadata", "older"],
    )?;
    // The chain with a root left out of it.
    let mut parts = Parts::read(&world.path("usb/PROD.next.spr"))?;
    parts
        .members
        .retain(|(name, _)| !name.ends_with("/2.root.json.zst"));
    parts.relist()?;
    parts.write_signed(&world.path("usb/gap.spr"), &world.path("keys/desk"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/gap.spr --root PROD",
        21,
        &["root 3", "root 1"],
    )?;
    apply(&world, "PROD")
}

/// The vendor's second life: other keys, a first root, low versions.
fn start_anew(world: &World) -> Outcome<String> {
    world.ok("lockstep publish init --repository anew --keys keys/anew")?;
    let recipe = "core/9.9/core-9.9.0";
    fs::create_dir_all(world.path("anew-files/lib"))?;
    fs::write(world.path("anew-files/lib/core.jar"), "core anew")?;
    world.ok(&format!(
        "lockstep publish component --repository anew --keys keys/anew --recipe {recipe} --files anew-files"
    ))?;
    Ok(format!("to:{recipe}.spr"))
}

const ANEW: &str = "lockstep site renew --from site.spr --vendor stibo=anew/metadata/1.root.json --key keys/owner --output site2.spr";

fn prepare_anew(name: &str, to: &str, site: &str) -> String {
    format!(
        "lockstep prepare --environment {name} --desk desk --site {site} --source anew --whole --to {to} --output usb/{name}.next.spr"
    )
}

#[test]
fn a_root_that_does_not_follow_needs_the_owners_word() -> Tested {
    let world = World::installed()?;
    start_anew(&world)?;
    world.refused(
        "anew",
        ANEW,
        21,
        &["in force", "given", "--replace-root stibo", "root 1"],
    )?;
    assert!(!world.path("site2.spr").exists());
    for _ in 0..3 {
        world.publish("rotate", "--role root")?;
    }
    let renew = |version: u32, more: &str| {
        format!(
            "lockstep site renew --from site.spr --vendor stibo=repository/metadata/{version}.root.json --key keys/owner --output site2.spr {more}"
        )
    };
    // One that follows needs no word, over several roots that lie beside it.
    world.ok(&renew(4, ""))?;
    fs::remove_file(world.path("site2.spr"))?;
    fs::rename(
        world.path("repository/metadata/3.root.json"),
        world.path("3.root.json"),
    )?;
    world.refused(
        "repository",
        &renew(4, ""),
        21,
        &["3.root.json", "--replace-root"],
    )?;
    fs::copy(
        world.path("anew/metadata/1.root.json"),
        world.path("repository/metadata/3.root.json"),
    )?;
    world.refused("repository", &renew(4, ""), 21, &["does not follow"])?;
    world.refused("repository", &renew(2, "--replace-root acme"), 2, &["acme"])?;
    Ok(())
}

#[test]
fn a_replaced_root_works_offline_by_trust_and_inside_a_patch() -> Tested {
    let world = World::installed()?;
    world.install("INSIDE")?;
    let old = release(&world, 1)?;
    let to = start_anew(&world)?;
    world.ok(&format!("{ANEW} --replace-root stibo"))?;
    // By trust, with a receipt of it, and then a patch of the new root's.
    world.ok("lockstep trust site2.spr --root PROD")?;
    world.ok("lockstep receive PROD-0003.receipt.spr --desk desk")?;
    world.ok(&prepare_anew("PROD", &to, "site2.spr"))?;
    apply(&world, "PROD")?;
    // Inside the patch.
    world.ok(&prepare_anew("INSIDE", &to, "site2.spr"))?;
    world.ok("lockstep verify usb/INSIDE.next.spr --site site.spr")?;
    apply(&world, "INSIDE")?;
    for root in ["PROD", "INSIDE"] {
        let text = fs::read_to_string(world.path(root).join("lib/core.jar"))?;
        assert_eq!(text, "core anew", "{root}");
        // The lineage before is nobody's any more.
        world.refused(
            root,
            &format!("lockstep prepare --environment {root} --desk desk --source repository --to {old} --accept downgrade --reason x --output usb/x.spr"),
            21,
            &["stibo", "threshold not met"],
        )?;
    }
    world.ok("cp -a anew anew-early")?;
    fs::write(world.path("anew-files/lib/core.jar"), "core later")?;
    world.ok("lockstep publish component --repository anew --keys keys/anew --recipe core/9.9/core-9.9.1 --files anew-files")?;
    world.ok(&prepare_anew(
        "PROD",
        "to:core/9.9/core-9.9.1.spr",
        "site2.spr",
    ))?;
    apply(&world, "PROD")?;
    // The floors of the new lineage hold: they were kept under the site file that replaced the root.
    world.refused(
        "PROD",
        &format!("lockstep prepare --environment PROD --desk desk --source anew-early --to {to} --accept downgrade --reason x --output usb/x.spr"),
        21,
        &["older"],
    )?;
    Ok(())
}

/// A site file of the owner's that names the new root and does not say that it replaces another.
fn without_the_word(world: &World) -> Outcome<Parts> {
    let mut parts = Parts::read(&world.path("site2.spr"))?;
    let vendor = parts.statement["vendors"][0]
        .as_object_mut()
        .ok_or("no vendor")?;
    vendor.remove("since").ok_or("no word")?;
    Ok(parts)
}

#[test]
fn a_replaced_root_without_the_owners_word_stays_refused() -> Tested {
    let world = World::installed()?;
    let to = start_anew(&world)?;
    world.ok(&format!("{ANEW} --replace-root stibo"))?;
    without_the_word(&world)?.write_signed(&world.path("silent.spr"), &world.path("keys/owner"))?;
    world.refused(
        "PROD",
        &prepare_anew("PROD", &to, "silent.spr"),
        21,
        &["older"],
    )?;
    // A hostile desk prepares under the owner's word, and leaves the word out.
    world.ok(&prepare_anew("PROD", &to, "site2.spr"))?;
    carry_site(&world, "silent.spr", "usb/silent.spr", "keys/desk")?;
    world.refused(
        "PROD",
        "lockstep apply usb/silent.spr --root PROD",
        21,
        &["older"],
    )?;
    Ok(())
}

/// Puts another site file into the patch for PROD, and names it.
fn carry_site(world: &World, site: &str, out: &str, key: &str) -> Tested {
    let mut parts = Parts::read(&world.path("usb/PROD.next.spr"))?;
    let inside = Parts::read(&world.path(site))?;
    let statement = serde_json::to_vec(&inside.statement)?;
    parts.statement["site"]["sha256"] = Sha256::of(&statement).to_string().into();
    parts.statement["site"]["version"] = inside.statement["version"].clone();
    let bytes = fs::read(world.path(site))?;
    for (name, member) in &mut parts.members {
        if name == "site.spr" {
            member.clone_from(&bytes);
        }
    }
    parts.relist()?;
    parts.write_signed(&world.path(out), &world.path(key))
}

#[test]
fn a_hostile_desk_cannot_say_that_a_root_was_replaced() -> Tested {
    let world = World::installed()?;
    let to = start_anew(&world)?;
    world.ok(&format!("{ANEW} --replace-root stibo"))?;
    world.ok(&prepare_anew("PROD", &to, "site2.spr"))?;
    // The desk's own key under a site file that says it: no owner's.
    let word = Parts::read(&world.path("site2.spr"))?;
    word.write_signed(&world.path("desks.spr"), &world.path("keys/desk"))?;
    carry_site(&world, "desks.spr", "usb/desks.spr", "keys/desk")?;
    world.refused(
        "PROD",
        "lockstep apply usb/desks.spr --root PROD",
        26,
        &["key"],
    )?;
    // The owner's signature over another statement: the word was put in afterwards.
    let mut edited = without_the_word(&world)?;
    edited.write_signed(&world.path("silent.spr"), &world.path("keys/owner"))?;
    edited = Parts::read(&world.path("silent.spr"))?;
    edited.statement["vendors"][0]["since"] = 2.into();
    edited.write(&world.path("edited.spr"))?;
    carry_site(&world, "edited.spr", "usb/edited.spr", "keys/desk")?;
    world.refused(
        "PROD",
        "lockstep apply usb/edited.spr --root PROD",
        20,
        &["signature"],
    )?;
    // A word for a site file that is still to come would make floors fall again and again.
    let mut ahead = Parts::read(&world.path("site2.spr"))?;
    ahead.statement["vendors"][0]["since"] = 9.into();
    ahead.write_signed(&world.path("ahead.spr"), &world.path("keys/owner"))?;
    world.refused(
        "PROD",
        "lockstep trust ahead.spr --root PROD",
        22,
        &["still to come"],
    )?;
    apply(&world, "PROD")?;
    Ok(())
}

const PORTAL: &str = "customer/beta/tool/1.0/tool-1.0.0";

/// A delegate with a key of its own and a copy of the metadata.
fn delegate(world: &World) -> Tested {
    fs::create_dir(world.path("beta-keys"))?;
    fs::rename(world.path("keys/stranger"), world.path("beta-keys/beta"))?;
    world.publish(
        "delegate",
        "--role beta --key keys/stranger.pub --path 'customer/beta/*/*/*' --path 'hotfix/core/beta-*' --path 'hotfix/restapi/beta-*' --install-path lib --install-path beta",
    )?;
    world.ok("mkdir copy && cp -a repository/metadata copy/")?;
    Ok(())
}

fn offer(world: &World, recipe: &str, files: &[(&str, &str)], more: &str) -> Outcome<String> {
    let folder = format!("beta/{recipe}");
    for (path, text) in files {
        let path = world.path(&folder).join(path);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, text)?;
    }
    Ok(format!(
        "lockstep publish component --repository copy --keys beta-keys --recipe {recipe} --files {folder} {more}"
    ))
}

const TAKE: &str =
    "lockstep publish renew --repository repository --keys keys/vendor --take beta=copy";

#[test]
fn a_delegates_recipe_is_installed_and_refused_once_it_is_revoked() -> Tested {
    let world = World::installed()?;
    delegate(&world)?;
    world.ok(&offer(&world, PORTAL, &[("beta/tool", "one")], "")?)?;
    world.ok(TAKE)?;
    bring(&world, "PROD", &format!("to:{PORTAL}.spr"), "")?;
    assert_eq!(fs::read_to_string(world.path("PROD/beta/tool"))?, "one");
    world.ok(&offer(
        &world,
        "customer/beta/tool/1.0/tool-1.0.1",
        &[("beta/tool", "two")],
        "",
    )?)?;
    world.ok(TAKE)?;
    let to = "to:customer/beta/tool/1.0/tool-1.0.1.spr";
    prepare(&world, "PROD", to, "")?;
    // Prepared before it was revoked, applied before the host has heard of that: it is still signed.
    world.publish("revoke", "--role beta")?;
    world.refused(
        "PROD",
        &format!("lockstep prepare --environment PROD --desk desk --to {to} --output usb/x.spr"),
        31,
        &["no vendor of the site has this recipe"],
    )?;
    let core = release(&world, 1)?;
    bring_other(&world, &core)?;
    // The host has heard of it now, by other means: the old metadata is below its floors.
    world.refused(
        "PROD",
        "lockstep apply usb/PROD.next.spr --root PROD",
        13,
        &[],
    )?;
    assert_eq!(fs::read_to_string(world.path("PROD/beta/tool"))?, "one");
    Ok(())
}

/// Another patch than the one that waits on the stick.
fn bring_other(world: &World, to: &str) -> Tested {
    world.ok(&format!(
        "lockstep prepare --environment PROD --desk desk --to {to} --output usb/other.spr"
    ))?;
    world.ok("lockstep apply usb/other.spr --root PROD --receipt usb/other.receipt.spr")?;
    world.ok("lockstep receive usb/other.receipt.spr --desk desk")?;
    Ok(())
}

#[test]
fn a_delegates_recipe_takes_nothing_from_the_vendors() -> Tested {
    let world = World::installed()?;
    delegate(&world)?;
    // Another's path, although its delegation covers the folder; one that names another's component;
    // hotfixes that name no version, a wrong one, and what is not granted.
    let cases = [
        (PORTAL, "lib/core.jar", "", "would belong to both"),
        (
            "customer/beta/core/1.0/core-1.0.0",
            "beta/core",
            "",
            "is installed from",
        ),
        (
            "hotfix/core/beta-none",
            "lib/core.jar",
            "",
            "would belong to both",
        ),
        (
            "hotfix/core/beta-wrong",
            "lib/core.jar",
            "--takes core=9.1.0",
            "is made for core 9.1.0",
        ),
    ];
    for (recipe, path, more, _) in cases {
        world.ok(&offer(&world, recipe, &[(path, "beta's")], more)?)?;
    }
    world.ok(&offer(
        &world,
        "hotfix/core/beta-right",
        &[("lib/core.jar", "beta's")],
        "--takes core=9.0.0",
    )?)?;
    let not_granted = offer(
        &world,
        "hotfix/restapi/beta-api",
        &[("api/restapi.jar", "x")],
        "--takes restapi=7.0.39",
    )?;
    world.refused("repository", &not_granted, 30, &["api/restapi.jar", "lib"])?;
    let beside = offer(
        &world,
        "hotfix/core/beta-libx",
        &[("libx/core.jar", "x")],
        "",
    )?;
    world.refused("repository", &beside, 30, &["libx/core.jar"])?;
    world.ok(TAKE)?;
    for (recipe, _, _, words) in cases {
        world.refused(
            "PROD",
            &format!("lockstep prepare --environment PROD --desk desk --to to:{recipe}.spr --output usb/x.spr"),
            31,
            &[words],
        )?;
    }
    bring(&world, "PROD", "to:hotfix/core/beta-right.spr", "")?;
    assert_eq!(
        fs::read_to_string(world.path("PROD/lib/core.jar"))?,
        "beta's"
    );
    Ok(())
}
