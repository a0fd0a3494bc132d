//! Rollback: back to what stood, forward again, and what bars the way.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::{MP4, MP5, Outcome, Ran, Tested, Tree, World};

const BACK: &str = "lockstep rollback --root PROD --environment PROD";

/// PROD on the second release, and what stood before.
fn updated(world: &World) -> Outcome<Tree> {
    let before = files(world)?;
    update(world, "usb/5")?;
    Ok(before)
}

fn update(world: &World, name: &str) -> Tested {
    let (patch, receipt) = (format!("{name}.patch.spr"), format!("{name}.receipt.spr"));
    world.ok(&format!(
        "lockstep prepare --environment PROD --to {MP5} --desk desk --source repository --output {patch}"
    ))?;
    world.apply("PROD", &patch, &receipt)?;
    world.ok(&format!("lockstep receive {receipt} --desk desk"))?;
    Ok(())
}

/// The tree without the node's own state.
fn files(world: &World) -> Outcome<Tree> {
    let mut tree = world.tree("PROD")?;
    tree.retain(|path, _| !path.starts_with(".lockstep"));
    Ok(tree)
}

fn json(ran: &Ran) -> Outcome<serde_json::Value> {
    Ok(serde_json::from_str(&ran.out)?)
}

fn state(world: &World) -> Outcome<String> {
    let status = json(&world.ok("lockstep status --root PROD --json")?)?;
    Ok(status["state"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn back_and_forward_again() -> Tested {
    let world = World::installed()?;
    fs::set_permissions(
        world.path("PROD/lib/old.txt"),
        fs::Permissions::from_mode(0o640),
    )?;
    let old_state = state(&world)?;
    let old = updated(&world)?;
    let (new, new_state) = (files(&world)?, state(&world)?);
    world.ok("lockstep snapshot --root PROD --output usb/s.spr")?;
    world.ok(&format!("lockstep prepare usb/s.spr --to {MP4} --accept downgrade --reason test --desk desk --source repository --output usb/4.patch.spr"))?;

    let would = world.ok(&format!("{BACK} --dry-run"))?;
    assert!(would.out.starts_with("would roll back"), "{}", would.out);
    assert_eq!(files(&world)?, new);
    let ran = world.ok(&format!("{BACK} --receipt usb/back.receipt.spr"))?;
    let last = ran.out.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("done: staging ") && last.contains(" downtime "),
        "{last}"
    );
    assert_eq!(files(&world)?, old);
    assert_eq!(state(&world)?, old_state);
    world.ok("lockstep history --root PROD --check")?;
    let received = world.ok("lockstep receive usb/back.receipt.spr --desk desk")?;
    assert!(
        received.out.contains("rollback on environment PROD"),
        "{}",
        received.out
    );

    // What was prepared for the state before it, and what was applied before it.
    let apply = |patch: &str| format!("lockstep apply usb/{patch}.patch.spr --root PROD");
    world.refused(
        "PROD",
        &apply("4"),
        13,
        &["closed by", "rollback, sequence"],
    )?;
    world.refused("PROD", &apply("5"), 12, &["rolled back", "rollback --to 3"])?;

    world.ok(&format!("{BACK} --receipt usb/forward.receipt.spr"))?;
    assert_eq!((files(&world)?, state(&world)?), (new.clone(), new_state));
    world.ok("lockstep receive usb/forward.receipt.spr --desk desk")?;
    let back = world.ok(&format!(
        "{BACK} --to 2 --json --receipt usb/to.receipt.spr"
    ))?;
    assert_eq!(json(&back)?["restored"], 2);
    assert_eq!(files(&world)?, old);
    // And the patch for this state goes through again, prepared anew.
    world.ok("lockstep receive usb/to.receipt.spr --desk desk")?;
    update(&world, "usb/again")?;
    assert_eq!(files(&world)?, new);
    Ok(())
}

#[test]
fn what_was_overwritten_comes_back_as_it_was() -> Tested {
    let world = World::with_policy("drift = \"overwrite\"\n")?;
    world.install("PROD")?;
    fs::write(world.path("PROD/lib/core.jar"), "mended by hand")?;
    fs::set_permissions(
        world.path("PROD/lib/core.jar"),
        fs::Permissions::from_mode(0o600),
    )?;
    fs::remove_file(world.path("PROD/lib/old.txt"))?;
    world.ok("lockstep snapshot --root PROD --output usb/d.spr")?;
    let old_state = state(&world)?;
    let old = files(&world)?;
    world.ok(&format!("lockstep prepare usb/d.spr --to {MP5} --desk desk --source repository --output usb/5.patch.spr"))?;
    world.apply("PROD", "usb/5.patch.spr", "usb/5.receipt.spr")?;
    assert_eq!(
        fs::read_to_string(world.path("PROD/lib/core.jar"))?,
        "core 9.1"
    );
    world.ok(BACK)?;
    assert_eq!(files(&world)?, old);
    assert_eq!(state(&world)?, old_state);
    let drift = json(&world.ok("lockstep status --root PROD --json")?)?;
    assert_eq!(drift["drifted"], 2, "{drift}");
    Ok(())
}

#[test]
fn config_is_left_alone() -> Tested {
    let world = World::installed()?;
    let config = world.path("PROD/conf/a.properties");
    fs::write(&config, "a=mine")?;
    updated(&world)?;
    let beside = world.path("PROD/conf/a.properties.new");
    assert_eq!(fs::read_to_string(&beside)?, "a=2");
    world.ok(BACK)?;
    assert_eq!(fs::read_to_string(&config)?, "a=mine");
    assert_eq!(fs::read_to_string(&beside)?, "a=2");
    assert!(!world.path("PROD/conf/a.properties.new2").exists());

    // Edited since: what comes back does not touch it, and says so.
    world.ok(BACK)?;
    fs::write(&config, "a=mine again")?;
    let ran = world.ok(BACK)?;
    assert_eq!(fs::read_to_string(&config)?, "a=mine again");
    assert!(!ran.out.contains("a.properties.new"), "{}", ran.out);
    Ok(())
}

#[test]
fn drift_in_the_way_is_a_conflict() -> Tested {
    let world = World::installed()?;
    updated(&world)?;
    fs::write(world.path("PROD/lib/core.jar"), "mended by hand")?;
    world.refused("PROD", BACK, 30, &["lib/core.jar"])?;
    world.refused("PROD", &format!("{BACK} --dry-run"), 30, &["lib/core.jar"])?;
    Ok(())
}

/// A process that had the old file open may have written into it.
#[test]
fn a_kept_file_that_changed_is_not_used() -> Tested {
    let world = World::installed()?;
    updated(&world)?;
    let generation = world.path("PROD/.lockstep/generations/3");
    let mut changed = 0;
    for entry in fs::read_dir(&generation)? {
        let path = entry?.path();
        if fs::read_to_string(&path).is_ok_and(|text| text == "core 9.0") {
            fs::write(&path, "core 9,0")?;
            changed += 1;
        }
    }
    assert_eq!(changed, 1);
    let before = files(&world)?;
    let ran = world.run(BACK)?;
    assert_eq!(ran.code, 22, "{}", ran.err);
    assert!(ran.err.contains("generations/3/"), "{}", ran.err);
    assert_eq!(files(&world)?, before);
    assert_eq!(fs::read_dir(world.path("PROD/.lockstep/stage"))?.count(), 0);
    world.ok("lockstep status --root PROD --check")?;
    Ok(())
}

#[test]
fn what_cannot_be_brought_back_is_refused() -> Tested {
    let world = World::installed()?;
    updated(&world)?;
    let to = |n: u64| format!("{BACK} --to {n}");
    world.refused("PROD", &to(3), 3, &["stands already"])?;
    world.refused("PROD", &to(9), 2, &["no generation", "can be", "1, 2"])?;
    world.refused(
        "PROD",
        "lockstep rollback --root PROD --environment TEST",
        10,
        &["TEST", "PROD"],
    )?;
    world.refused(
        "PROD",
        "lockstep rollback --root PROD </dev/null",
        2,
        &["--environment PROD"],
    )?;
    world.ok(BACK)?;
    world.refused("PROD", &to(2), 3, &["what stands is what"])?;

    // Recipes go with the last generation that needs them.
    let recipes = || fs::read_dir(world.path("PROD/.lockstep/installed")).map(Iterator::count);
    assert_eq!(recipes()?, 6);
    world.ok("lockstep gc --keep 0 --root PROD --environment PROD")?;
    assert_eq!(recipes()?, 3);
    world.refused("PROD", BACK, 31, &["not kept", "none", "policy keeps 3"])?;
    world.ok("lockstep history --root PROD --check")?;
    world.ok("lockstep components --root PROD")?;
    Ok(())
}

#[test]
fn history_says_what_can_be_brought_back() -> Tested {
    let world = World::installed()?;
    updated(&world)?;
    let history = json(&world.ok("lockstep history --root PROD --json")?)?;
    let generations: Vec<(u64, bool)> = history["generations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|g| Some((g["generation"].as_u64()?, g["bytes"].is_u64())))
        .collect();
    assert_eq!(generations, [(3, false), (2, true), (1, true)]);
    let text = world.ok("lockstep history --root PROD")?.out;
    assert!(text.contains("generation 3 stands"), "{text}");
    assert!(
        text.contains("generation 2 can be brought back") && text.contains("rollback --to 2"),
        "{text}"
    );
    Ok(())
}

/// Nobody knows what stood before it.
#[test]
fn an_adoption_bars_the_way() -> Tested {
    let world = World::new()?;
    fs::create_dir_all(world.path("PROD/lib"))?;
    fs::create_dir_all(world.path("PROD/conf"))?;
    fs::create_dir_all(world.path("PROD/api"))?;
    world.write("PROD/lib/core.jar", "core 9.0")?;
    world.write("PROD/lib/old.txt", "old")?;
    world.write("PROD/conf/a.properties", "a=1")?;
    world.write("PROD/api/restapi.jar", "restapi 39")?;
    world.ok("lockstep init --root PROD --name PROD --site site.spr --service none --adopt --output usb/i.spr")?;
    world.ok("lockstep snapshot --root PROD --full --output usb/f.spr")?;
    world.ok("lockstep enrol usb/f.spr --desk desk")?;
    world.ok(&format!("lockstep prepare usb/f.spr --adopt --to {MP4} --desk desk --site site.spr --key keys/desk --source repository --output usb/a.patch.spr"))?;
    world.apply("PROD", "usb/a.patch.spr", "usb/a.receipt.spr")?;
    world.refused("PROD", BACK, 31, &["not kept"])?;
    world.ok("lockstep receive usb/a.receipt.spr --desk desk")?;
    let adopted = updated(&world)?;
    world.ok(BACK)?;
    assert_eq!(files(&world)?, adopted);
    Ok(())
}

#[test]
fn one_way_is_asked_about() -> Tested {
    let world = World::installed()?;
    world.one_way()?;
    world.apply("PROD", "usb/3.patch.spr", "usb/3.receipt.spr")?;
    world.refused(
        "PROD",
        BACK,
        16,
        &[
            "one-way",
            "core 9.3.0: the database is migrated",
            "--accept downgrade",
        ],
    )?;
    world.ok(&format!(
        "{BACK} --accept downgrade --reason 'database restored'"
    ))?;
    assert_eq!(
        fs::read_to_string(world.path("PROD/lib/core.jar"))?,
        "core 9.0"
    );
    let history = world.ok("lockstep history --root PROD")?.out;
    assert!(
        history.contains("accepted downgrade: database restored"),
        "{history}"
    );
    Ok(())
}

/// Policy kept the customer's file, and somebody has mended it since: it does not come back, and the
/// receipt says what stands.
#[test]
fn what_was_never_displaced_stays_and_is_told() -> Tested {
    let world = World::with_policy("drift = \"keep\"\n")?;
    world.install("PROD")?;
    let jar = world.path("PROD/lib/core.jar");
    fs::write(&jar, "handmade")?;
    world.ok("lockstep snapshot --root PROD --output usb/d.spr")?;
    world.ok(&format!("lockstep prepare usb/d.spr --to {MP5} --desk desk --source repository --output usb/5.patch.spr"))?;
    world.apply("PROD", "usb/5.patch.spr", "usb/5.receipt.spr")?;
    fs::write(&jar, "core 9.1")?;
    world.ok(&format!("{BACK} --json --receipt usb/b.receipt.spr"))?;
    assert_eq!(fs::read_to_string(&jar)?, "core 9.1");
    let found = state(&world)?;
    let said = world.ok("lockstep inspect usb/b.receipt.spr")?.out;
    assert!(
        said.contains(&format!("{found} afterwards")),
        "{found}\n{said}"
    );
    assert_eq!(
        json(&world.ok("lockstep status --root PROD --json")?)?["drifted"],
        1
    );
    Ok(())
}

/// One-way is what ran in between, also where neither end says so.
#[test]
fn one_way_in_between_is_asked_about() -> Tested {
    let world = World::installed()?;
    for (version, more) in [("9.3", "--one-way 'the database is migrated'"), ("9.4", "")] {
        let recipe = format!("core/{version}/core-{version}.0");
        let text = format!("core {version}");
        world.component(&recipe, &[("lib/core.jar", &text)], more)?;
        world.ok(&format!("lockstep prepare --environment PROD --to to:{recipe}.spr --accept downgrade --reason test --desk desk --source repository --output usb/{version}.patch.spr"))?;
        let receipt = format!("usb/{version}.receipt.spr");
        world.apply("PROD", &format!("usb/{version}.patch.spr"), &receipt)?;
        world.ok(&format!("lockstep receive {receipt} --desk desk"))?;
    }
    world.refused(
        "PROD",
        &format!("{BACK} --to 2"),
        16,
        &["one-way", "core 9.3.0"],
    )?;
    world.ok(BACK)?;
    Ok(())
}
