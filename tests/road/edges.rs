//! What is left to others at the edges: who reads what a desk keeps, where a vendor's keys come to
//! lie, whose word a desk's trust begins with, and names that a delegate chooses.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use lockstep::trust::SigningKey;

use crate::world::{MP4, MP5, Outcome, Tested, World};

fn mode(world: &World, name: &str) -> Outcome<u32> {
    Ok(fs::metadata(world.path(name))?.permissions().mode() & 0o7777)
}

#[test]
fn what_a_desk_keeps_is_its_operators_alone() -> Tested {
    let world = World::installed()?;
    let kept = world.tree("desk")?;
    let statements = |name: &str| kept.keys().filter(|path| path.starts_with(name)).count();
    for name in ["state/environments", "state/statements", "cache/recipes"] {
        assert!(statements(name) > 1, "{name} in {kept:?}");
    }
    assert!(kept.contains_key(Path::new("state/site.spr")));
    for (path, (bits, content)) in kept {
        let wanted = if content == "folder" { 0o700 } else { 0o600 };
        assert_eq!(bits & 0o7777, wanted, "{}", path.display());
    }
    assert_eq!(mode(&world, "desk")?, 0o700);
    Ok(())
}

#[test]
fn a_full_snapshot_is_its_owners_alone() -> Tested {
    let world = World::installed()?;
    for (line, wanted) in [("", 0o644), ("--full", 0o600)] {
        let file = format!("usb/modes{line}.spr");
        world.ok(&format!(
            "lockstep snapshot --root PROD {line} --output {file}"
        ))?;
        assert_eq!(mode(&world, &file)?, wanted, "{line}");
    }
    Ok(())
}

/// However the two folders are spelled, and whichever of them is there already.
#[test]
fn keys_never_lie_in_what_is_published() -> Tested {
    let world = World::new()?;
    fs::create_dir_all(world.path("there/in"))?;
    symlink("there", world.path("link"))?;
    symlink("repo", world.path("soon"))?;
    let rows = [
        ("repo", "repo/keys", "the keys would lie in the repository"),
        (
            "repo",
            "$PWD/repo/keys",
            "the keys would lie in the repository",
        ),
        ("$PWD/repo", "repo", "the keys would lie in the repository"),
        (
            "repo",
            "./x/../repo/keys",
            "the keys would lie in the repository",
        ),
        ("there", "link/keys", "the keys would lie in the repository"),
        (
            "link/new",
            "there/new/keys",
            "the keys would lie in the repository",
        ),
        (
            "there",
            "x/../link/in/keys",
            "the keys would lie in the repository",
        ),
        (
            "keys2/repo",
            "keys2",
            "the repository would lie among the keys",
        ),
        (
            "link/in/repo",
            "$PWD/there/in",
            "the repository would lie among the keys",
        ),
    ];
    for (repository, keys, words) in rows {
        let line = format!("lockstep publish init --repository {repository} --keys {keys}");
        world.refused(".", &line, 2, &[words, "--keys DIR"])?;
    }
    world.ok("lockstep publish init --repository there/in/repo --keys there/keys")?;
    world.ok("lockstep publish init --repository repo --keys repo-keys")?;
    Ok(())
}

/// The first site file of a desk decides on all that come after it.
#[test]
fn a_desk_says_whose_word_it_begins_with() -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    let owner = SigningKey::from_openssh(&fs::read(world.path("keys/owner"))?, None)?;
    let owner = owner.public()?.fingerprint();
    let other = SigningKey::from_openssh(&fs::read(world.path("keys/stranger"))?, None)?;
    let other = other.public()?.fingerprint();
    let prepare = format!(
        "lockstep prepare usb/PROD.snapshot.spr --to {MP4} --desk desk --key keys/desk --source repository"
    );
    let given = format!("{prepare} --site site.spr");
    world.refused(
        "desk",
        &format!("{given} --fingerprint {other} --output usb/1.patch.spr"),
        26,
        &[&owner, &other],
    )?;
    let first = world.ok(&format!("{given} --quiet --output usb/2.patch.spr"))?;
    let words = format!("{owner} from now on");
    for part in ["warning: trusting site acme of owner ", &words] {
        assert!(first.err.contains(part), "{part}: {}", first.err);
    }
    // Once it is known, it is not said again; and a fingerprint is compared all the same.
    let again = world.ok(&format!("{prepare} --output usb/3.patch.spr"))?;
    assert!(!again.err.contains("from now on"), "{}", again.err);
    let line = format!("{given} --fingerprint {other} --output usb/4.patch.spr");
    world.refused("desk", &line, 26, &[&owner, &other])?;
    // Where it is given, there is nothing left to compare.
    world.ok("lockstep enrol usb/PROD.snapshot.spr --desk fresh")?;
    let line = given.replace("--desk desk", "--desk fresh");
    let compared = world.ok(&format!(
        "{line} --fingerprint {owner} --output usb/5.patch.spr"
    ))?;
    assert!(!compared.err.contains("from now on"), "{}", compared.err);
    Ok(())
}

/// Whoever may publish below `customer/acme` calls a component there like one of the vendor's own.
#[test]
fn a_delegate_squats_on_no_release() -> Tested {
    let world = World::installed()?;
    let addon = "to:step/trailblazer/step-trailblazer-9.1-mp1.spr";
    world.publish(
        "release",
        &format!(
            "--recipe {addon} --component core=9.1.0 --component portal=1.0.0 --component restapi=7.0.40"
        ),
    )?;
    let squatted = "customer/acme/restapi/7.0/restapi-7.0.40";
    world.component(squatted, &[("portal/restapi.jar", "squatted")], "")?;
    // The same in a family that a delegate has keys of its own for.
    world.ok("mkdir guest-keys && mv keys/stranger guest-keys/guest")?;
    world.publish(
        "delegate",
        "--role guest --key keys/stranger.pub --path 'rest/*/*' --install-path guest",
    )?;
    let guests = "rest/7.0/restapi-7.0.40";
    world
        .ok("mkdir -p copy squat/guest && cp -a repository/metadata copy/ && echo squatted > squat/guest/file")?;
    world.ok(&format!(
        "lockstep publish component --repository copy --keys guest-keys --recipe {guests} --files squat"
    ))?;
    world.ok(
        "lockstep publish renew --repository repository --keys keys/vendor --take guest=copy",
    )?;
    world.ok(&format!(
        "lockstep prepare --environment PROD --to {MP5} --desk desk --source repository --output usb/2.patch.spr"
    ))?;
    let inspected = world.ok("lockstep inspect usb/2.patch.spr")?;
    assert!(
        inspected.out.contains("to:restapi/7.0/restapi-7.0.40.spr"),
        "{}",
        inspected.out
    );
    assert!(!inspected.out.contains(squatted), "{}", inspected.out);
    assert!(!inspected.out.contains(guests), "{}", inspected.out);
    // An add-on that nothing else is called like can still be named by a release.
    world.ok(&format!(
        "lockstep prepare --environment PROD --to {addon} --desk desk --source repository --output usb/3.patch.spr"
    ))?;
    Ok(())
}
