//! Delegations: who may speak for a path, in which order, and by whose keys.

use serde_json::{Value, json};

use crate::Done;
use crate::repository::{Repository, id, key};
use crate::world::World;

/// Lets `repository` delegate as the rows say (parent, role, what it is for) and publishes all.
fn graph(
    repository: &mut Repository,
    rows: &[(&str, &str, Value)],
    artifacts: &[(&str, &str)],
) -> Done {
    let mut roles: Vec<&str> = Vec::new();
    for ((parent, role, rest), seed) in rows.iter().zip(100..) {
        repository.delegate(parent, role, seed, rest)?;
        roles.extend((!roles.contains(role)).then_some(role));
    }
    for (role, path) in artifacts {
        repository.artifact(role, path, role.as_bytes())?;
    }
    roles.extend(["targets", "snapshot", "timestamp"]);
    repository.publish(&roles)
}

fn paths(pattern: &str) -> Value {
    json!({"paths": [pattern]})
}

fn terminating(pattern: &str) -> Value {
    json!({"paths": [pattern], "terminating": true})
}

/// The delegated roles that were asked for.
fn asked(world: &World) -> Vec<String> {
    let roles = world.server.asked().into_iter().filter_map(|path| {
        let name = path.strip_prefix("metadata/1.")?.strip_suffix(".json")?;
        let delegated = !matches!(name, "snapshot" | "root" | "targets");
        delegated.then(|| name.to_owned())
    });
    roles.collect()
}

#[test]
fn roles_are_asked_from_the_top_each_before_the_ones_after_it() -> Done {
    for (rows, order) in [
        (
            vec![("targets", "a", paths("*")), ("targets", "b", paths("*"))],
            "a b",
        ),
        (
            vec![
                ("targets", "a", paths("*")),
                ("targets", "b", paths("*")),
                ("a", "c", paths("*")),
            ],
            "a c b",
        ),
        (
            vec![
                ("targets", "a", paths("*")),
                ("targets", "b", paths("*")),
                ("a", "c", terminating("*")),
                ("a", "d", paths("*")),
                ("c", "e", paths("*")),
            ],
            "a c e",
        ),
        (
            vec![
                ("targets", "a", terminating("*.py")),
                ("targets", "b", paths("*")),
                ("a", "c", paths("*")),
            ],
            "b",
        ),
        (
            vec![
                ("targets", "a", paths("*")),
                ("a", "b", paths("*")),
                ("b", "a", paths("*")),
            ],
            "a b",
        ),
    ] {
        let mut world = World::new()?;
        // The signer of a role is the one of its last row; a circle needs the first one as well.
        graph(&mut world.repository, &rows, &[])?;
        if rows.iter().filter(|(_, role, _)| *role == "a").count() > 1 {
            world.repository.sign_by("a", &[100, 102]);
            let mut fresh = ["a", "snapshot", "timestamp"];
            world.repository.publish_as("a", 1)?;
            fresh.rotate_left(1);
            world.repository.publish(&fresh[..2])?;
        }
        world.not_downloaded(&["missing"], "no role that may names it")?;
        assert_eq!(asked(&world).join(" "), order);
    }
    Ok(())
}

#[test]
fn a_nested_role_speaks_for_its_paths_alone() -> Done {
    let rows = [
        ("targets", "releases", paths("releases/*/*")),
        ("releases", "x", paths("releases/x/*")),
    ];
    let files = [
        ("x", "releases/x/one"),
        ("x", "releases/y/two"),
        ("x", "three"),
    ];
    let mut world = World::new()?;
    graph(&mut world.repository, &rows, &files)?;
    world.download(&["releases/x/one"])?;
    assert_eq!(asked(&world), ["releases", "x"]);
    assert_eq!(
        world.brought()?,
        [("releases%2Fx%2Fone".to_owned(), b"x".to_vec())]
    );
    for elsewhere in ["releases/y/two", "three", "releases/x/sub/one"] {
        world.not_downloaded(&[elsewhere], "no role that may names it")?;
    }
    assert!(
        asked(&world).is_empty(),
        "stored roles are not fetched again"
    );
    Ok(())
}

#[test]
fn a_terminating_delegation_ends_the_search_and_another_does_not() -> Done {
    for (first, found) in [(paths("*"), true), (terminating("*"), false)] {
        let mut world = World::new()?;
        let rows = [("targets", "a", first), ("targets", "b", paths("*"))];
        graph(&mut world.repository, &rows, &[("b", "file")])?;
        if found {
            world.download(&["file"])?;
        } else {
            world.not_downloaded(&["file"], "no role that may names it")?;
        }
    }
    Ok(())
}

#[test]
fn paths_are_shared_out_by_the_digest_of_their_names() -> Done {
    let digest = lockstep::model::Sha256::of(b"file").to_string();
    let prefix = digest.get(..3).ok_or("a digest has 64 digits")?;
    for (prefix, found) in [(prefix, true), ("zzz", false)] {
        let mut world = World::new()?;
        let rows = [("targets", "bin", json!({"path_hash_prefixes": [prefix]}))];
        graph(&mut world.repository, &rows, &[("bin", "file")])?;
        if found {
            world.download(&["file"])?;
        } else {
            world.not_downloaded(&["file"], "no role that may names it")?;
        }
    }
    Ok(())
}

#[test]
fn a_role_must_be_signed_for_the_delegator_it_was_reached_through() -> Done {
    let rows = [
        ("targets", "a", paths("a/*")),
        ("targets", "b", paths("b/*")),
        ("a", "both", paths("a/*")),
        ("b", "both", paths("b/*")),
    ];
    let mut world = World::new()?;
    graph(
        &mut world.repository,
        &rows,
        &[("both", "a/file"), ("both", "b/file")],
    )?;
    // The row of b gave the key that signs; the one of a has another.
    world.not_downloaded(&["b/file", "a/file"], "both: 0 of its keys signed")?;
    assert_eq!(world.brought()?.len(), 1);
    Ok(())
}

#[test]
fn one_key_under_two_ids_is_one_signer_of_a_delegation_too() -> Done {
    let mut world = World::new()?;
    let rows = [(
        "targets",
        "a",
        json!({"paths": ["*"], "keyids": [id(100), "twin"], "threshold": 2}),
    )];
    graph(&mut world.repository, &rows, &[("a", "file")])?;
    world.repository.role("targets")?["delegations"]["keys"]["twin"] = key(100);
    world
        .repository
        .sign_as("a", vec![(id(100), 100), ("twin".to_owned(), 100)]);
    world
        .repository
        .publish(&["a", "targets", "snapshot", "timestamp"])?;
    world.not_downloaded(&["file"], "a: 1 of its keys signed, 2 are needed")?;
    world.repository.role("targets")?["delegations"]["keys"]["twin"] = key(101);
    world
        .repository
        .sign_as("a", vec![(id(100), 100), ("twin".to_owned(), 101)]);
    world
        .repository
        .publish(&["a", "targets", "snapshot", "timestamp"])?;
    world.download(&["file"])
}

#[test]
fn a_matching_role_that_the_snapshot_does_not_list_is_not_passed_over() -> Done {
    let mut world = World::new()?;
    let rows = [("targets", "a", paths("*")), ("targets", "b", paths("*"))];
    graph(&mut world.repository, &rows, &[("b", "file")])?;
    let snapshot = world.repository.role("snapshot")?;
    snapshot["meta"]
        .as_object_mut()
        .ok_or("no list")?
        .remove("a.json");
    world.repository.publish(&["snapshot", "timestamp"])?;
    world.not_downloaded(&["file"], "a: the snapshot does not list it")?;
    assert!(asked(&world).is_empty());
    Ok(())
}

#[test]
fn names_that_are_no_plain_ones_stay_in_their_place() -> Done {
    for role in ["../a", "/a", "?", "#", "a b", "..", "floors", "lock"] {
        let mut world = World::new()?;
        graph(
            &mut world.repository,
            &[("targets", role, paths("*"))],
            &[(role, "file")],
        )?;
        world
            .download(&["file"])
            .map_err(|e| format!("{role}: {e}"))?;
        let names = crate::world::listing(&world.metadata())?;
        assert_eq!(names.len(), 7, "{role}");
    }
    Ok(())
}

#[test]
fn delegations_that_mislead_are_refused() -> Done {
    let succinct = json!({"keyids": [], "threshold": 1, "bit_length": 4, "name_prefix": "bin"});
    for (name, rest, why) in [
        ("root", paths("*"), "it may not be a delegated role"),
        ("targets", paths("*"), "it may not be a delegated role"),
        ("a", paths("[x"), "invalid delegation path pattern"),
        (
            "a",
            json!({"paths": ["*"], "threshold": 0}),
            "its threshold is 0",
        ),
        ("", succinct, "succinct roles"),
    ] {
        let mut world = World::new()?;
        if name.is_empty() {
            world.repository.role("targets")?["delegations"] =
                json!({"keys": {}, "succinct_roles": rest});
            world
                .repository
                .publish(&["targets", "snapshot", "timestamp"])?;
        } else {
            let parent = world.repository.role("targets")?;
            let mut role =
                json!({"name": name, "keyids": [id(100)], "threshold": 1, "terminating": false});
            for (field, value) in rest.as_object().into_iter().flatten() {
                role[field] = value.clone();
            }
            parent["delegations"] = json!({"keys": {id(100): key(100)}, "roles": [role]});
            if name == "a" {
                world
                    .repository
                    .delegate("targets", "a", 100, &paths("none"))?;
                world.repository.publish(&["a"])?;
            }
            world
                .repository
                .publish(&["targets", "snapshot", "timestamp"])?;
        }
        world.not_downloaded(&["file"], why)?;
    }
    Ok(())
}
