//! Folders that no installation may be given.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use lockstep::disk::durable;
use lockstep::model::{RefusalName, Unwatched};
use lockstep::publish::component;

use crate::vendor::{Done, RESTAPI, Vendor, day, everything, lay, refused};

#[test]
fn hostile_folders() -> Done {
    type Lay = fn(&Path) -> Done;
    let mode = |path: PathBuf, bits| fs::set_permissions(path, fs::Permissions::from_mode(bits));
    let cases: [(&str, Lay); 11] = [
        ("leads out", |build| {
            Ok(symlink("/etc/passwd", build.join("x"))?)
        }),
        ("leads out", |build| Ok(symlink("../x", build.join("x"))?)),
        ("leads out", |build| {
            Ok(symlink(".lockstep/key", build.join("x"))?)
        }),
        ("case alone", |build| {
            lay(&build.join("Readme"), "x")?;
            lay(&build.join("README"), "x")
        }),
        ("case alone", |build| {
            lay(&build.join("lib/a"), "x")?;
            lay(&build.join("LIB/b"), "x")
        }),
        ("node's own state", |build| {
            lay(&build.join(".lockstep/key"), "x")
        }),
        ("node's own state", |build| {
            lay(&build.join(".LockStep"), "x")
        }),
        ("control character", |build| lay(&build.join("a\nb"), "x")),
        ("not UTF-8", |build| {
            use std::os::unix::ffi::OsStrExt as _;
            let name = std::ffi::OsStr::from_bytes(b"a\xff");
            Ok(durable::write(&build.join(name), b"x", 0o644)?)
        }),
        ("not UTF-8", |build| {
            use std::os::unix::ffi::OsStrExt as _;
            Ok(symlink(
                std::ffi::OsStr::from_bytes(b"a\xff"),
                build.join("x"),
            )?)
        }),
        ("socket or a pipe", |build| {
            drop(std::os::unix::net::UnixListener::bind(build.join("s"))?);
            Ok(())
        }),
    ];
    for (word, hostile) in cases {
        let vendor = Vendor::new()?;
        vendor.lay(&[("good", "x")])?;
        hostile(&vendor.path("build"))?;
        assert_hostile(&vendor, word)?;
    }
    for bits in [0o4755, 0o2755, 0o1755] {
        let vendor = Vendor::new()?;
        vendor.lay(&[("good", "x"), ("folder/x", "x")])?;
        mode(vendor.path("build/folder/x"), bits)?;
        assert_hostile(&vendor, "sticky")?;
        mode(vendor.path("build/folder/x"), 0o755)?;
        mode(vendor.path("build/folder"), bits)?;
        assert_hostile(&vendor, "sticky")?;
    }
    Ok(())
}

fn assert_hostile(vendor: &Vendor, word: &str) -> Done {
    let before = everything(&vendor.path("repo"))?;
    let request = vendor.component(RESTAPI)?;
    let refusal = refused(component::run(&request, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Usage, "{refusal}");
    assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
    assert!(refusal.values.iter().any(|(label, _)| label == "path"));
    assert_eq!(everything(&vendor.path("repo"))?, before);
    Ok(())
}
