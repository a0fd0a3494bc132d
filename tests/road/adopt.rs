//! An installation that was there before Lockstep: listed, recognised, registered as it is, patched.

use std::fs;
use std::os::unix::fs::symlink;

use crate::world::{MP4, MP5, Outcome, Ran, Tested, World};

/// A world in which OLD holds, unpacked by hand, what the first release would bring; enrolled.
fn unpacked() -> Outcome<World> {
    let world = World::new()?;
    world.ok(
        "mkdir OLD && cp -a vendor/core/9.0/core-9.0.0/. vendor/restapi/7.0/restapi-7.0.39/. OLD",
    )?;
    Ok(world)
}

/// `init --adopt`, a full snapshot and its enrolment.
fn listed(world: &World) -> Tested {
    world.ok("lockstep init --root OLD --name OLD --site site.spr --service none --adopt --output usb/thin.spr")?;
    world.ok("lockstep snapshot --full --root OLD --output usb/full.spr")?;
    world.ok("lockstep enrol usb/full.spr --desk desk")?;
    Ok(())
}

fn prepare(world: &World, more: &str) -> Outcome<Ran> {
    world.run(&line(more))
}

fn line(more: &str) -> String {
    format!(
        "lockstep prepare usb/full.spr --adopt {more} --desk desk --site site.spr --key keys/desk --source repository --output usb/adopt.patch.spr"
    )
}

fn ok(ran: Outcome<Ran>) -> Outcome<Ran> {
    let ran = ran?;
    if ran.code == 0 {
        Ok(ran)
    } else {
        Err(format!("exit code {}\n{}{}", ran.code, ran.out, ran.err).into())
    }
}

#[test]
fn a_whole_release_is_adopted_exactly_and_then_patched() -> Tested {
    let world = unpacked()?;
    world.write("OLD/conf/a.properties", "a=the customer's")?;
    world.write("OLD/notes.txt", "nobody's")?;
    symlink("core.jar", world.path("OLD/lib/link"))?;
    listed(&world)?;
    let prepared = ok(prepare(&world, ""))?.out;
    for words in [
        "adopts     core 9.0.0: exactly, 2 file(s)",
        "adopts     restapi 7.0.39: exactly, 1 file(s)",
        "adopts     step-trailblazer 9.0-mp4-2026-10-01-12-00-00: all that it names is there",
        "nobody's   2 file(s)",
    ] {
        assert!(prepared.contains(words), "{words}\n{prepared}");
    }
    world.ok("lockstep verify usb/adopt.patch.spr --site site.spr")?;
    let inspected = world.ok("lockstep inspect usb/adopt.patch.spr")?.out;
    assert!(
        inspected.contains("adopts       what lies there already"),
        "{inspected}"
    );
    let before = files(&world)?;
    let tried = world.ok("lockstep apply usb/adopt.patch.spr --dry-run --root OLD")?;
    assert!(tried.out.contains("would adopt"), "{}", tried.out);
    let applied = world.apply("OLD", "usb/adopt.patch.spr", "usb/adopt.receipt.spr")?;
    assert!(
        applied.out.contains("0 added, 0 changed, 0 removed"),
        "{}",
        applied.out
    );
    assert_eq!(files(&world)?, before, "no file was touched");
    let status = world.ok("lockstep status --check --root OLD")?.out;
    assert!(status.contains("conf/a.properties: edited"), "{status}");
    let history = world.ok("lockstep history --check --root OLD")?.out;
    assert!(history.contains("adopt "), "{history}");
    let received = world
        .ok("lockstep receive usb/adopt.receipt.spr --desk desk")?
        .out;
    assert!(
        received.contains("confirms   adopt.patch.spr"),
        "{received}"
    );

    world.prepare("usb/adopt.receipt.spr", MP5, "usb/mp5.patch.spr")?;
    world.apply("OLD", "usb/mp5.patch.spr", "usb/mp5.receipt.spr")?;
    for (path, text) in [
        ("lib/core.jar", "core 9.1"),
        ("conf/a.properties", "a=the customer's"),
        ("conf/a.properties.new", "a=2"),
        ("notes.txt", "nobody's"),
    ] {
        assert_eq!(
            fs::read_to_string(world.path("OLD").join(path))?,
            text,
            "{path}"
        );
    }
    Ok(())
}

/// Everything under OLD but the node's own state.
fn files(world: &World) -> Outcome<crate::world::Tree> {
    let mut tree = world.tree("OLD")?;
    tree.retain(|path, _| !path.starts_with(".lockstep"));
    Ok(tree)
}

#[test]
fn the_nearest_is_adopted_with_its_differences_as_drift() -> Tested {
    let world = unpacked()?;
    world.write("OLD/lib/old.txt", "hacked at night")?;
    listed(&world)?;
    let prepared = ok(prepare(&world, ""))?.out;
    assert!(
        prepared.contains("core 9.0.0: the nearest; 1 of 2 file(s) differ"),
        "{prepared}"
    );
    assert!(
        prepared.contains("differs    lib/old.txt: changed"),
        "{prepared}"
    );
    let applied = world
        .apply("OLD", "usb/adopt.patch.spr", "usb/adopt.receipt.spr")?
        .out;
    for words in [
        "drift      1 file(s) are registered",
        "drift      lib/old.txt: changed",
    ] {
        assert!(applied.contains(words), "{words}\n{applied}");
    }
    let status = world.run("lockstep status --check --root OLD")?;
    assert_eq!(status.code, 30, "{}", status.out);
    assert!(
        status.out.contains("drift      lib/old.txt: changed"),
        "{}",
        status.out
    );
    assert_eq!(
        fs::read_to_string(world.path("OLD/lib/old.txt"))?,
        "hacked at night"
    );
    // A patch that touches the drifted file is a conflict, as anywhere.
    world.refused(
        "OLD",
        "lockstep prepare usb/adopt.receipt.spr --to core/9.1/core-9.1.0 --desk desk --output usb/x.spr",
        30,
        &["lib/old.txt"],
    )?;
    Ok(())
}

#[test]
fn what_moves_between_listing_and_adoption_is_stale() -> Tested {
    for (change, word) in [
        ("printf x >> OLD/lib/core.jar", "lib/core.jar: changed"),
        ("rm OLD/lib/old.txt", "lib/old.txt: deleted"),
        ("chmod +x OLD/api/restapi.jar", "api/restapi.jar: changed"),
    ] {
        let world = unpacked()?;
        listed(&world)?;
        ok(prepare(&world, ""))?;
        world.ok(change)?;
        let apply = "lockstep apply usb/adopt.patch.spr --root OLD";
        world.refused("OLD", apply, 13, &[word])?;
        world.refused("OLD", &format!("{apply} --dry-run"), 13, &[word])?;
    }
    Ok(())
}

#[test]
fn what_may_be_named_and_what_is_not_there() -> Tested {
    let world = unpacked()?;
    listed(&world)?;
    let named = ok(prepare(&world, "--to core/9.0/core-9.0.0"))?.out;
    assert!(named.contains("core 9.0.0: exactly"), "{named}");
    assert!(named.contains("nobody's   1 file(s)"), "{named}");
    fs::remove_file(world.path("usb/adopt.patch.spr"))?;
    fs::remove_file(world.path("usb/adopt.head.spr"))?;
    for (asked, words) in [
        (
            "customer/acme/portal/1.0/portal-1.0.0",
            "does not lie there",
        ),
        (MP5, "does not lie there"),
    ] {
        world.refused("OLD", &line(&format!("--to {asked}")), 31, &[words])?;
    }
    // The release by name brings its components, and the release itself.
    let release = ok(prepare(&world, &format!("--to {MP4}")))?.out;
    assert!(release.contains("all that it names is there"), "{release}");
    Ok(())
}

#[test]
fn an_empty_folder_and_a_thin_snapshot_have_nothing_to_adopt() -> Tested {
    let world = World::new()?;
    fs::create_dir(world.path("OLD"))?;
    world.write("OLD/own.txt", "nobody's")?;
    world.refused(
        "OLD",
        "lockstep init --root OLD --name OLD --site site.spr --service none --output usb/no.spr",
        30,
        &["--adopt"],
    )?;
    listed(&world)?;
    world.refused("OLD", &line(""), 31, &["1 file(s)"])?;
    world.ok("lockstep enrol usb/thin.spr --desk desk")?;
    let thin = line("").replace("full.spr", "thin.spr");
    world.refused("OLD", &thin, 2, &["snapshot --full"])?;
    Ok(())
}

#[test]
fn private_files_are_not_told_and_the_host_checks_them() -> Tested {
    let world = unpacked()?;
    world.component(
        "tool/1.0/tool-1.0.0",
        &[
            ("tool/tool.jar", "tool"),
            ("tool/v.properties", "version=1"),
        ],
        "",
    )?;
    world.ok("cp -a vendor/tool/1.0/tool-1.0.0/. OLD")?;
    listed(&world)?;
    let text = world
        .ok("tar -xOf usb/full.spr inventory.txt.zst | zstd -dc")?
        .out;
    let digest = world
        .ok("sha256sum < OLD/tool/v.properties | cut -d' ' -f1")?
        .out;
    assert!(
        text.contains(" 9 tool/v.properties\n") && text.contains("config "),
        "{text}"
    );
    assert!(!text.contains(digest.trim()), "{text}");
    let prepared = ok(prepare(&world, ""))?.out;
    assert!(
        prepared.contains("private    1 file(s) are taken to be"),
        "{prepared}"
    );
    // Of the same size, so that only the host can tell.
    world.write("OLD/tool/v.properties", "version=2")?;
    let apply = "lockstep apply usb/adopt.patch.spr --root OLD";
    world.refused(
        "OLD",
        apply,
        13,
        &["tool/v.properties: changed", "node.toml"],
    )?;
    world.write("OLD/tool/v.properties", "version=1")?;
    world.apply("OLD", "usb/adopt.patch.spr", "usb/adopt.receipt.spr")?;

    let other = unpacked()?;
    other.component(
        "tool/1.0/tool-1.0.0",
        &[
            ("tool/tool.jar", "tool"),
            ("tool/v.properties", "version=1"),
        ],
        "",
    )?;
    other.ok("cp -a vendor/tool/1.0/tool-1.0.0/. OLD && echo more >> OLD/tool/v.properties")?;
    listed(&other)?;
    other.refused(
        "OLD",
        &line(""),
        31,
        &["private    tool/v.properties", "node.toml"],
    )?;
    other.ok("sed -i 's/\"..\\/\\*.properties\\*\", //' OLD/.lockstep/node.toml")?;
    other.ok("rm usb/full.spr; lockstep snapshot --full --root OLD --output usb/full.spr")?;
    let told = ok(prepare(&other, ""))?.out;
    assert!(told.contains("tool 1.0.0: the nearest; 1 of 2"), "{told}");
    Ok(())
}

#[test]
fn ignored_files_are_not_listed_unless_a_component_owns_them() -> Tested {
    let world = World::installed()?;
    fs::create_dir_all(world.path("PROD/logs/old"))?;
    world.write("PROD/logs/old/x.log", "noise")?;
    world.write("PROD/lib/mine.txt", "mine")?;
    world.write(
        "PROD/.lockstep/node.toml",
        "ignore = [\"logs\", \"lib/**\"]\nprivate = []\n",
    )?;
    world.ok("lockstep snapshot --full --root PROD --output usb/full.spr")?;
    let text = world
        .ok("tar -xOf usb/full.spr inventory.txt.zst | zstd -dc")?
        .out;
    let paths: Vec<&str> = text.lines().filter_map(|l| l.rsplit(' ').next()).collect();
    assert_eq!(
        paths,
        [
            "api/restapi.jar",
            "conf/a.properties",
            "lib/core.jar",
            "lib/old.txt"
        ],
        "{text}"
    );
    assert!(
        text.contains("config "),
        "a recipe's config file is private:\n{text}"
    );
    let status = world.ok("lockstep status --full --root PROD")?.out;
    assert!(status.contains("nobody's   none"), "{status}");
    world.write("PROD/.lockstep/node.toml", "ignore = 7\n")?;
    world.refused(
        "PROD",
        "lockstep snapshot --root PROD",
        2,
        &["node.toml", "ignore"],
    )?;
    world.refused(
        "PROD",
        "lockstep status --full --root PROD",
        2,
        &["node.toml"],
    )?;
    Ok(())
}

#[test]
fn what_hardly_fits_is_registered_only_by_name() -> Tested {
    let world = unpacked()?;
    world.write("OLD/api/restapi.jar", "patched by hand")?;
    listed(&world)?;
    let guessed = ok(prepare(&world, ""))?.out;
    let words =
        "restapi 7.0.41 perhaps, but only 0 of 1 file(s) fit; --to restapi/7.0/restapi-7.0.41";
    assert!(guessed.contains(words), "{guessed}");
    world.ok("rm usb/adopt.*.spr")?;
    let named = "--to core/9.0/core-9.0.0,restapi/7.0/restapi-7.0.39";
    let named = ok(prepare(&world, named))?.out;
    assert!(
        named.contains("restapi 7.0.39: the nearest; 1 of 1"),
        "{named}"
    );
    world.apply("OLD", "usb/adopt.patch.spr", "usb/adopt.receipt.spr")?;
    let status = world.ok("lockstep status --root OLD")?.out;
    assert!(status.contains("drift      api/restapi.jar"), "{status}");
    Ok(())
}

/// What is registered already stays; what lies beside it is added.
#[test]
fn an_add_on_beside_a_managed_product_is_adopted() -> Tested {
    let world = World::installed()?;
    world.ok("cp -a vendor/customer/acme/portal/1.0/portal-1.0.0/. PROD")?;
    world.ok("lockstep snapshot --full --root PROD --output usb/full.spr")?;
    let prepared = ok(prepare(&world, ""))?.out;
    assert!(prepared.contains("portal 1.0.0: exactly"), "{prepared}");
    assert!(!prepared.contains("core"), "{prepared}");
    world.apply("PROD", "usb/adopt.patch.spr", "usb/adopt.receipt.spr")?;
    let components = world.ok("lockstep components --root PROD")?.out;
    assert!(
        components.contains("portal") && components.contains("core"),
        "{components}"
    );
    world.ok("lockstep snapshot --full --root PROD --output usb/again.spr")?;
    let again = line("")
        .replace("full.spr", "again.spr")
        .replace("adopt.patch", "again.patch");
    world.refused("PROD", &again, 3, &["registered"])?;
    Ok(())
}
