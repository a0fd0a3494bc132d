//! The folder of trusted metadata, cut short or put back: nothing that was seen is forgotten.

use std::path::Path;

use serde_json::json;

use crate::Done;
use crate::repository::{ALL, DOWN, place};
use crate::server::Files;
use crate::world::World;

/// A client that saw version 2 of everything, and the repository's files of version 1.
fn ahead() -> Done<(World, Files)> {
    let mut world = World::new()?;
    let older = world.repository.files.clone();
    world.repository.publish(&ALL)?;
    world.refresh()?;
    Ok((world, older))
}

fn cut(path: &Path) -> Done {
    let bytes = std::fs::read(path)?;
    std::fs::write(path, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    Ok(())
}

#[test]
fn a_store_cut_short_does_not_let_an_older_repository_in() -> Done {
    for lost in [
        &["timestamp"] as &[&str],
        &["snapshot"],
        &["timestamp", "snapshot"],
        &["timestamp", "snapshot", "targets"],
    ] {
        for gone in [false, true] {
            let (mut world, older) = ahead()?;
            for role in lost {
                let path = world.metadata().join(format!("{role}.json"));
                if gone {
                    std::fs::remove_file(path)?;
                } else {
                    cut(&path)?;
                }
            }
            let newer = std::mem::replace(&mut world.repository.files, older);
            world
                .refused("version 1 is offered, version 2 was seen before")
                .map_err(|e| format!("{lost:?}: {e}"))?;
            world.repository.files = newer;
            world.refresh()?;
            assert_eq!(world.trusted()?, [2; 4], "{lost:?}");
        }
    }
    Ok(())
}

#[test]
fn a_root_or_floors_that_are_damaged_or_gone_are_no_first_use() -> Done {
    for (name, cut_why) in [
        ("root.json", "root.json"),
        ("floors", "the floors are damaged"),
    ] {
        for gone in [false, true] {
            let (world, _) = ahead()?;
            world.server.asked();
            let path = world.metadata().join(name);
            if gone {
                std::fs::remove_file(path)?;
            } else {
                cut(&path)?;
            }
            world.refused(if gone { name } else { cut_why })?;
            assert!(world.server.asked().is_empty(), "{name}");
        }
    }
    Ok(())
}

#[test]
fn an_older_root_in_the_store_must_lead_to_the_one_that_was_seen() -> Done {
    let (mut world, _) = ahead()?;
    let first = world.repository.file("root", 1)?;
    std::fs::write(world.metadata().join("root.json"), first)?;
    let second = world
        .repository
        .files
        .remove(&place("root", 2))
        .ok_or("no second root")?;
    world.refused("root: version 1 is offered, version 2 was seen before")?;
    world.repository.files.insert(place("root", 2), second);
    world.refresh()
}

#[test]
fn floors_that_moved_before_a_power_cut_lost_the_file_do_not_lock_anybody_out() -> Done {
    let (mut world, _) = ahead()?;
    world.repository.publish(&DOWN)?;
    let path = world.metadata();
    let before: Vec<Vec<u8>> = DOWN
        .iter()
        .map(|role| std::fs::read(path.join(format!("{role}.json"))))
        .collect::<Result<_, _>>()?;
    world.refresh()?;
    for (role, bytes) in DOWN.iter().zip(before) {
        std::fs::write(path.join(format!("{role}.json")), bytes)?;
    }
    world.refresh()?;
    assert_eq!(world.trusted()?, [2, 3, 3, 3]);
    Ok(())
}

#[test]
fn what_a_new_root_no_longer_stands_for_is_removed() -> Done {
    let (mut world, _) = ahead()?;
    world.repository.rotate("timestamp", &[60], 1)?;
    world.repository.publish(&["root"])?;
    world.repository.files.remove(&place("timestamp", 0));
    world.refused("the repository has no timestamp.json")?;
    assert_eq!(world.trusted()?, [3, 2, 2, 0]);
    Ok(())
}

#[test]
fn a_role_that_the_snapshot_listed_stays_listed() -> Done {
    let mut world = World::new()?;
    world
        .repository
        .delegate("targets", "family", 9, &json!({"paths": ["*"]}))?;
    world
        .repository
        .publish(&["family", "targets", "snapshot", "timestamp"])?;
    world.refresh()?;
    let snapshot = world.repository.role("snapshot")?;
    snapshot["meta"]
        .as_object_mut()
        .ok_or("no list")?
        .remove("family.json");
    world.repository.publish(&["snapshot", "timestamp"])?;
    world.refused("the snapshot no longer lists it, version 1 was seen before")
}
