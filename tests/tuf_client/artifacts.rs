//! Artifacts: where they lie, that they are the named ones, and that they are fetched once.

use serde_json::json;

use crate::Done;
use crate::repository::{DOWN, pin};
use crate::server::Answer;
use crate::world::World;

/// A repository with one artifact, and where it is served.
fn with_artifact(path: &str, bytes: &[u8]) -> Done<(World, String)> {
    let mut world = World::new()?;
    let before = world.repository.files.clone();
    world.repository.artifact("targets", path, bytes)?;
    let mut added = world
        .repository
        .files
        .keys()
        .filter(|place| !before.contains_key(*place));
    let place = added.next().ok_or("no artifact is served")?.clone();
    world.repository.publish(&DOWN)?;
    Ok((world, place))
}

fn fetched(world: &World) -> usize {
    let asked = world.server.asked();
    asked
        .iter()
        .filter(|path| path.starts_with("targets/"))
        .count()
}

#[test]
fn a_download_refreshes_first_and_brings_the_file_from_its_subfolder() -> Done {
    let (world, place) = with_artifact("path/to/file.txt", b"content")?;
    assert!(
        place.starts_with("targets/path/to/") && place.ends_with(".file.txt"),
        "{place}"
    );
    world.download(&["path/to/file.txt"])?;
    assert_eq!(world.trusted()?, [1, 2, 2, 2]);
    assert!(world.server.asked().contains(&place));
    assert_eq!(
        world.brought()?,
        [("path%2Fto%2Ffile.txt".to_owned(), b"content".to_vec())]
    );
    Ok(())
}

#[test]
fn without_consistent_snapshots_names_are_as_they_are() -> Done {
    let mut world = World::new()?;
    world.repository.role("root")?["consistent_snapshot"] = json!(false);
    world.repository.artifact("targets", "a/file", b"content")?;
    world
        .repository
        .publish(&["root", "targets", "snapshot", "timestamp"])?;
    for role in ["targets", "snapshot"] {
        let file = Answer::File(world.repository.file(role, 2)?);
        world
            .repository
            .files
            .insert(format!("metadata/{role}.json"), file);
    }
    let file = Answer::File(b"content".to_vec());
    world
        .repository
        .files
        .insert("targets/a/file".to_owned(), file);
    world.download(&["a/file"])?;
    assert_eq!(world.trusted()?, [2; 4]);
    Ok(())
}

#[test]
fn an_artifact_that_is_there_is_not_fetched_again() -> Done {
    let (mut world, _) = with_artifact("file", b"content")?;
    world.download(&["file", "file"])?;
    assert_eq!(fetched(&world), 1);
    world.download(&["file"])?;
    assert_eq!(fetched(&world), 0);
    std::fs::write(world.artifacts().join("file"), b"spoiled")?;
    world.download(&["file"])?;
    assert_eq!(fetched(&world), 1);
    world.repository.artifact("targets", "file", b"newer")?;
    world.repository.publish(&DOWN)?;
    world.download(&["file"])?;
    assert_eq!(fetched(&world), 1);
    assert_eq!(world.brought()?, [("file".to_owned(), b"newer".to_vec())]);
    Ok(())
}

#[test]
fn what_is_not_the_named_artifact_is_not_brought_in() -> Done {
    for (served, why) in [
        (&b"CONTENT"[..], "its digest is"),
        (b"conten", "it has 6 bytes, 7 are named"),
        (b"contents", "it has 8 bytes, 7 are allowed"),
        (b"", "it has 0 bytes, 7 are named"),
    ] {
        let (mut world, place) = with_artifact("file", b"content")?;
        world
            .repository
            .files
            .insert(place, Answer::File(served.to_vec()));
        world.not_downloaded(&["file"], why)?;
        assert_eq!(world.brought()?, []);
    }
    let (mut world, place) = with_artifact("file", b"content")?;
    world.repository.files.remove(&place);
    world.not_downloaded(&["file"], "the repository has no")?;
    assert_eq!(world.brought()?, []);
    Ok(())
}

#[test]
fn every_digest_of_a_known_kind_counts_and_one_there_must_be() -> Done {
    let good = pin(b"content");
    let wrong = "0".repeat(128);
    for (hashes, why) in [
        (
            json!({"sha256": good["hashes"]["sha256"], "sha512": wrong}),
            "its digest is",
        ),
        (
            json!({"unknown": "00"}),
            "no digest of it is of a known kind",
        ),
        (json!({}), "no digest of it is of a known kind"),
    ] {
        let (mut world, _) = with_artifact("file", b"content")?;
        world.repository.role("targets")?["targets"]["file"]["hashes"] = hashes;
        world.repository.publish(&DOWN)?;
        world.not_downloaded(&["file"], why)?;
        assert_eq!(world.brought()?, []);
    }
    Ok(())
}

#[test]
fn artifacts_come_in_their_order_until_one_does_not() -> Done {
    let (mut world, _) = with_artifact("first", b"1")?;
    world.repository.artifact("targets", "third", b"3")?;
    world.repository.publish(&DOWN)?;
    world.not_downloaded(&["first", "second", "third"], "no role that may names it")?;
    assert_eq!(world.brought()?, [("first".to_owned(), b"1".to_vec())]);
    Ok(())
}

#[test]
fn names_of_artifacts_stay_in_their_folder() -> Done {
    for (path, name) in [
        ("..", "%2E."),
        ("../up", "%2E.%2Fup"),
        (".hidden", "%2Ehidden"),
        ("a b", "a%20b"),
    ] {
        let mut world = World::new()?;
        world.repository.artifact("targets", path, b"content")?;
        world.repository.publish(&DOWN)?;
        let files = std::mem::take(&mut world.repository.files);
        world.repository.files = files
            .into_iter()
            .map(|(place, answer)| (place.replace(' ', "%20"), answer))
            .collect();
        world.download(&[path])?;
        assert_eq!(world.brought()?, [(name.to_owned(), b"content".to_vec())]);
    }
    let long = "x".repeat(300);
    let (world, _) = with_artifact(&long, b"content")?;
    world.download(&[&long])?;
    assert_eq!(world.brought()?.len(), 1);
    Ok(())
}
