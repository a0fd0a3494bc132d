//! What a web server can do that has no key at all: answer without end, too little, or otherwise.

use crate::Done;
use crate::repository::{DOWN, place};
use crate::server::Answer;
use crate::world::World;

/// More than any file that is read here may have, and what may lie in between on its way.
const ENOUGH: usize = 12 * 1024 * 1024;

/// Every file that is fetched, and what is said where it is not served as it should be.
const FILES: [(&str, u64); 4] = [
    ("root", 2),
    ("timestamp", 0),
    ("snapshot", 1),
    ("targets", 1),
];

#[test]
fn data_without_end_is_read_up_to_the_most_that_a_role_may_have() -> Done {
    for (role, version) in FILES {
        for (start, why) in [
            ("HTTP/1.1 200 OK\r\n\r\n", "bytes that are allowed"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
                "it has 99999999999 bytes",
            ),
            ("HTTP/1.1 200 OK\r\nX: ", "its headers do not end"),
        ] {
            let mut world = World::new()?;
            world
                .repository
                .files
                .insert(place(role, version), Answer::Endless(start));
            world.refused(why)?;
            let sent = world.server.sent();
            assert!(sent < ENOUGH, "{role}: {sent} bytes were taken");
        }
    }
    Ok(())
}

#[test]
fn an_artifact_without_end_is_read_up_to_its_length() -> Done {
    let mut world = World::new()?;
    world.repository.artifact("targets", "file", b"content")?;
    world.repository.publish(&DOWN)?;
    for (path, answer) in &mut world.repository.files {
        if path.starts_with("targets/") {
            *answer = Answer::Endless("HTTP/1.1 200 OK\r\n\r\n");
        }
    }
    world.not_downloaded(&["file"], "bytes that are allowed")?;
    assert_eq!(world.brought()?, []);
    assert!(world.server.sent() < ENOUGH);
    Ok(())
}

#[test]
fn answers_that_are_not_plain_files_are_refused() -> Done {
    for (raw, why) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n",
            "the server answers 302",
        ),
        ("HTTP/1.1 500 Oh\r\n\r\n", "the server answers 500"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "it ends 7 bytes too early",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "it has two lengths",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
            "its length is no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "is not read",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
            "is not read",
        ),
        ("SSH-2.0-OpenSSH\r\n\r\n", "it is no HTTP/1 answer"),
        ("HTTP/1.1 200 OK\r\n", "the answer ends before its headers"),
        ("", "the answer ends before its headers"),
        ("HTTP/1.1 200 OK\r\n\r\n", "JSON"),
    ] {
        for (role, version) in FILES {
            let mut world = World::new()?;
            let answer = Answer::Raw(raw.as_bytes().to_vec());
            world.repository.files.insert(place(role, version), answer);
            let why = if raw.ends_with("OK\r\n\r\n") && matches!(role, "snapshot" | "targets") {
                "it has 0 bytes"
            } else {
                why
            };
            world.refused(why).map_err(|e| format!("{role}: {e}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_file_without_a_length_is_read_to_its_end() -> Done {
    let mut world = World::new()?;
    for (role, version) in [("timestamp", 0), ("snapshot", 1), ("targets", 1)] {
        let file = world.repository.file(role, version)?;
        let raw = [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), file].concat();
        world
            .repository
            .files
            .insert(place(role, version), Answer::Raw(raw));
    }
    world.refresh()
}
