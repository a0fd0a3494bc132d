//! Attacks on the top-level roles: who signed, which version, how old, and what belongs together.

use std::time::Duration;

use lockstep::model::Time;
use serde_json::json;

use crate::Done;
use crate::repository::{ALL, DOWN, LATER, PAST, id, key, place};
use crate::server::Answer;
use crate::world::{World, failed};

#[test]
fn a_refresh_asks_for_what_it_needs_and_keeps_the_bytes_that_were_served() -> Done {
    let world = World::new()?;
    world.refresh()?;
    let first = ["2.root", "timestamp", "1.snapshot", "1.targets"];
    let urls = |names: &[&str]| -> Vec<String> {
        names
            .iter()
            .map(|name| format!("metadata/{name}.json"))
            .collect()
    };
    assert_eq!(world.server.asked(), urls(&first));
    for role in ALL {
        let kept = std::fs::read(world.metadata().join(format!("{role}.json")))?;
        assert_eq!(kept, world.repository.file(role, 1)?, "{role}");
    }
    let names = crate::world::listing(&world.metadata())?;
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "floors",
        "lock",
        "root.json",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ];
    assert_eq!(names, expected);
    world.refresh()?;
    assert_eq!(world.server.asked(), urls(&first[..2]));
    Ok(())
}

#[test]
fn a_client_begins_once_and_with_a_root_that_signed_itself() -> Done {
    let mut world = World::new()?;
    let root = world.artifacts().with_extension("json");
    std::fs::write(&root, world.repository.file("root", 1)?)?;
    failed(&world.init(&root)?, "already")?;
    for name in ["root.json", "floors"] {
        std::fs::remove_file(world.metadata().join(name))?;
    }
    world.repository.sign_by("root", &[99]);
    std::fs::write(&root, world.repository.sign("root")?)?;
    failed(&world.init(&root)?, "0 of its keys signed")?;
    world.refused("root.json")?;
    assert!(world.server.asked().is_empty());
    Ok(())
}

#[test]
fn an_older_version_of_each_role_is_refused() -> Done {
    for (role, trusted) in [
        ("timestamp", [1, 2, 2, 2]),
        ("snapshot", [1, 2, 2, 2]),
        ("targets", [1, 2, 2, 2]),
        ("family", [1, 2, 2, 2]),
    ] {
        let mut world = World::new()?;
        world
            .repository
            .delegate("targets", "family", 9, &json!({"paths": ["*"]}))?;
        world.repository.publish(&["family"])?;
        world.repository.publish(&["family"])?;
        world.repository.publish(&DOWN)?;
        world.refresh()?;
        world.repository.publish_as(role, 1)?;
        match role {
            "timestamp" => {}
            "snapshot" => world.repository.publish(&["timestamp"])?,
            _ => world.repository.publish(&["snapshot", "timestamp"])?,
        }
        world.refused("version 1 is offered, version 2 was seen before")?;
        let mut kept = world.trusted()?;
        // The timestamp before a refused snapshot was in order, and stays.
        if matches!(role, "targets" | "family") {
            assert_eq!(kept[3], 3, "{role}");
            kept[3] = 2;
        }
        assert_eq!(kept, trusted, "{role}");
    }
    Ok(())
}

#[test]
fn a_timestamp_of_the_same_version_changes_nothing() -> Done {
    let mut world = World::new()?;
    world.refresh()?;
    let kept = world.repository.file("timestamp", 1)?;
    world.repository.role("timestamp")?["meta"]["snapshot.json"] = json!({"version": 100});
    world.repository.publish_as("timestamp", 1)?;
    world.refresh()?;
    assert_eq!(
        std::fs::read(world.metadata().join("timestamp.json"))?,
        kept
    );
    Ok(())
}

#[test]
fn each_role_that_has_expired_is_refused_and_what_came_before_it_is_kept() -> Done {
    for (role, trusted) in [
        ("root", [2, 1, 1, 1]),
        ("timestamp", [2, 1, 1, 1]),
        ("snapshot", [2, 1, 1, 2]),
        ("targets", [2, 1, 2, 2]),
    ] {
        let mut world = World::new()?;
        world.refresh()?;
        world.repository.role(role)?["expires"] = json!(PAST);
        world.repository.publish(&ALL)?;
        world.refused(&format!("{role}: it expired at {PAST}"))?;
        assert_eq!(world.trusted()?, trusted, "{role}");
    }
    Ok(())
}

#[test]
fn a_timestamp_that_is_never_renewed_expires_although_it_is_kept() -> Done {
    let mut world = World::new()?;
    // Long enough for the first refresh on a busy machine.
    let start = jiff::Timestamp::now().as_second();
    let soon = Time::from_unix(start.saturating_add(10));
    world.repository.role("timestamp")?["expires"] = json!(soon.to_string());
    world.repository.publish(&["timestamp"])?;
    world.refresh()?;
    std::thread::sleep(Duration::from_secs(11));
    world.refused("timestamp: it expired")?;
    world.repository.role("timestamp")?["expires"] = json!(LATER);
    world.repository.publish(&["timestamp"])?;
    world.refresh()
}

#[test]
fn files_of_different_states_do_not_mix() -> Done {
    for role in ["snapshot", "targets"] {
        for keep_pin in [true, false] {
            let mut world = World::new()?;
            world.repository.role(role)?["expires"] = json!("2098-01-01T00:00:00Z");
            world.repository.publish(&DOWN)?;
            if !keep_pin {
                // Named by version alone, as other repositories do.
                let (above, file) = match role {
                    "snapshot" => ("timestamp", "snapshot.json"),
                    _ => ("snapshot", "targets.json"),
                };
                world.repository.role(above)?["meta"][file] = json!({"version": 2});
                let again = ["snapshot", "timestamp"];
                let again = if role == "snapshot" {
                    &again[1..]
                } else {
                    &again
                };
                world.repository.publish(again)?;
            }
            let older = world.repository.file(role, 1)?;
            world
                .repository
                .files
                .insert(place(role, 2), Answer::File(older));
            let why = if keep_pin {
                "digest is"
            } else {
                "version 2 is named"
            };
            world.refused(&format!("{role}: it"))?;
            world.refused(why)?;
        }
    }
    Ok(())
}

#[test]
fn a_new_timestamp_is_kept_although_the_snapshot_after_it_is_missing() -> Done {
    let mut world = World::new()?;
    world.refresh()?;
    world.repository.publish(&["snapshot", "timestamp"])?;
    world.repository.files.remove(&place("snapshot", 2));
    world.refused("the repository has no 2.snapshot.json")?;
    assert_eq!(world.trusted()?, [1, 1, 1, 2]);
    world.repository.publish_as("timestamp", 1)?;
    world.refused("version 1 is offered, version 2 was seen before")
}

#[test]
fn one_key_under_two_ids_is_one_signer() -> Done {
    for role in ALL {
        for (other, twins) in [(21, false), (20, true)] {
            let mut world = World::new()?;
            world.repository.rotate(role, &[20, 21], 2)?;
            if twins {
                // The same public key in another spelling of its hexadecimal digits.
                let mut twin = key(20);
                let public = twin["keyval"]["public"].as_str().ok_or("no key")?;
                twin["keyval"]["public"] = json!(public.to_uppercase());
                world.repository.role("root")?["keys"][id(21)] = twin;
            }
            let mut signers = vec![(id(20), 20), (id(21), other)];
            if role == "root" {
                signers.push((id(1), 1));
            }
            world.repository.sign_as(role, signers);
            world.repository.publish(&ALL)?;
            if twins {
                world.refused(&format!("{role}: 1 of its keys signed, 2 are needed"))?;
            } else {
                world.refresh().map_err(|e| format!("{role}: {e}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_root_chain_has_no_gap_and_each_root_is_signed_by_the_one_before_and_by_itself() -> Done {
    for (case, why) in [
        ("gap", "version 3 is offered after version 1"),
        ("own keys alone", "0 of its keys signed"),
        ("old keys alone", "0 of its keys signed"),
        ("same version", "version 1 is offered after version 1"),
    ] {
        let mut world = World::new()?;
        match case {
            "gap" => {
                world.repository.publish_as("root", 3)?;
                let third = world.repository.file("root", 3)?;
                world
                    .repository
                    .files
                    .insert(place("root", 2), Answer::File(third));
            }
            "same version" => {
                let first = world.repository.file("root", 1)?;
                world
                    .repository
                    .files
                    .insert(place("root", 2), Answer::File(first));
            }
            _ => {
                world.repository.rotate("root", &[30], 1)?;
                let signer = if case == "own keys alone" { 30 } else { 1 };
                world.repository.sign_by("root", &[signer]);
                world.repository.publish(&["root"])?;
            }
        }
        world.refused(why)?;
        assert_eq!(world.trusted()?, [1, 0, 0, 0], "{case}");
    }
    Ok(())
}

#[test]
fn new_keys_sign_once_a_root_signed_by_old_and_new_ones_says_so() -> Done {
    let mut world = World::new()?;
    world.refresh()?;
    for (role, seed, version) in [
        ("root", 40, 2),
        ("targets", 41, 3),
        ("snapshot", 42, 4),
        ("timestamp", 43, 5),
    ] {
        world.repository.rotate(role, &[seed], 1)?;
        if role == "root" {
            world.repository.sign_by("root", &[1, seed]);
        }
        world.repository.publish(&ALL)?;
        world.repository.sign_by("root", &[40]);
        world.refresh()?;
        assert_eq!(world.trusted()?, [version; 4], "{role}");
    }
    Ok(())
}

#[test]
fn a_role_that_was_counted_up_comes_back_through_a_root_with_new_keys_for_it_alone() -> Done {
    const FAR: u64 = 1 << 40;
    // The role that was counted up, whose keys are changed, and whether that is the way out.
    for (role, rotated, back) in [
        ("timestamp", &["timestamp"] as &[&str], true),
        ("timestamp", &[], false),
        ("timestamp", &["snapshot", "targets"], false),
        ("snapshot", &["snapshot", "timestamp"], true),
        ("snapshot", &["snapshot"], false),
        ("snapshot", &["timestamp"], false),
        ("targets", &["snapshot"], true),
        ("targets", &["targets", "timestamp"], false),
    ] {
        let mut world = World::new()?;
        world.repository.publish_down(role, FAR)?;
        world.refresh()?;
        for (name, seed) in rotated.iter().zip(50..) {
            world.repository.rotate(name, &[seed], 1)?;
        }
        world.repository.publish(&["root"])?;
        world.repository.publish_down(role, 1)?;
        let case = |e| format!("{role} with new keys for {rotated:?}: {e}");
        if back {
            world.refresh().map_err(case)?;
        } else {
            let why = format!("version {FAR} was seen before");
            world.refused(&why).map_err(case)?;
        }
    }
    Ok(())
}
