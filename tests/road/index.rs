//! The index on the road: `status` goes by it, and no signed statement and no change does, unless the
//! site's policy says so.
//!
//! Nothing is believed of a file that changed a minute ago, so that all of this is done an hour later, by a
//! clock of the test's choosing.

use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::SystemTime;

use lockstep::host;
use lockstep::model::{Blake3, Refusal, RefusalName, Time, Unwatched};

use crate::world::{MP5, Outcome, Tested, Tree, World};

const ALLOW: &str = "index = \"allow\"\n";
/// Files of the first release; one of them is config.
const FILES: u64 = 4;
/// Touches none of them.
const PORTAL: &str = "customer/acme/portal/1.0/portal-1.0.0";
/// Replaced by the second release.
const CORE: &str = "PROD/lib/core.jar";

/// Whether an index is kept where temporary files lie; if not, it is said.
fn kept() -> Outcome<bool> {
    let world = World::new()?;
    let system = world.ok("stat -f -c %T .")?.out;
    let kept = !["tmpfs", "overlayfs"].contains(&system.trim());
    if !kept {
        println!("skipped: on {} no index is kept", system.trim());
    }
    Ok(kept)
}

/// An hour from now: all that was made just now is at rest.
fn later() -> Outcome<Time> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Time::from_unix(i64::try_from(now.as_secs())? + 3_600))
}

fn status(world: &World, full: bool, now: Time) -> Outcome<host::status::Outcome> {
    status_of(world, "PROD", full, now)
}

fn status_of(world: &World, root: &str, full: bool, now: Time) -> Outcome<host::status::Outcome> {
    let request = host::status::Request {
        root: world.path(root),
        full,
        program: "lockstep".into(),
    };
    Ok(host::status::run(&request, now, &Unwatched)?)
}

fn snapshot(world: &World, output: &str) -> Outcome<host::snapshot::Outcome> {
    let request = host::snapshot::Request {
        root: world.path("PROD"),
        output: Some(world.path(output)),
        only: false,
        full: false,
    };
    Ok(host::snapshot::run(&request, later()?, &Unwatched)?)
}

fn apply(world: &World, dry_run: bool) -> Outcome<Result<(), Refusal>> {
    let request = host::apply::Request {
        root: world.path("PROD"),
        file: world.path("usb/2.patch.spr"),
        approvals: Vec::new(),
        accepted: Vec::new(),
        memory: host::apply::MEMORY,
        dry_run,
        hot: false,
        receipt: Some(world.path("usb/2.receipt.spr")),
        environment: None,
    };
    Ok(host::apply::run(&request, later()?, &Unwatched).map(drop))
}

/// PROD runs the first release, all at rest and in the index, and a patch to the second one waits, which
/// touches every file.
fn indexed(policy: &str) -> Outcome<World> {
    indexed_for(policy, MP5)
}

fn indexed_for(policy: &str, to: &str) -> Outcome<World> {
    let world = World::with_policy(policy)?;
    world.install("PROD")?;
    world.prepare("usb/PROD.receipt.spr", to, "usb/2.patch.spr")?;
    let first = status(&world, false, later()?)?;
    assert_eq!((first.read, first.indexed, first.drifted), (FILES, 0, 0));
    let second = status(&world, false, later()?)?;
    assert_eq!((second.read, second.indexed, second.drifted), (0, FILES, 0));
    Ok(world)
}

/// Other bytes in a file, as many and as old as those that were there.
fn rewrite(path: &Path) -> Tested {
    // So that the change time is another even where the clock ticks slowly.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let before = fs::metadata(path)?;
    let mut file = File::options().write(true).open(path)?;
    file.write_all(&vec![b'x'; usize::try_from(before.len())?])?;
    file.set_times(FileTimes::new().set_modified(before.modified()?))?;
    let after = fs::metadata(path)?;
    assert_eq!(
        (before.len(), before.mtime_nsec()),
        (after.len(), after.mtime_nsec())
    );
    Ok(())
}

/// Rewrites a file, and gives the index its new change time with the digest that it had: what a forger
/// with the operator's rights does, or root with the clock.
fn lie(world: &World, path: &str) -> Tested {
    let index = world.path("PROD/.lockstep/index");
    let bytes = fs::read(&index)?;
    let image = |at: &fs::Metadata| {
        let nanoseconds = |s: i64, ns: i64| (s * 1_000_000_000 + ns).to_le_bytes();
        let ctime = nanoseconds(at.ctime(), at.ctime_nsec());
        [
            ctime,
            nanoseconds(at.mtime(), at.mtime_nsec()),
            at.ino().to_le_bytes(),
        ]
        .concat()
    };
    let before = image(&fs::metadata(world.path(path))?);
    rewrite(&world.path(path))?;
    let after = image(&fs::metadata(world.path(path))?);
    assert_ne!(before, after);
    let at = bytes
        .windows(before.len())
        .position(|window| window == before);
    let at = at.ok_or("the index does not know the file")?;
    let mut body = bytes[..bytes.len() - 32].to_vec();
    body[at..at + after.len()].copy_from_slice(&after);
    let digest = Blake3::of(&body);
    body.extend_from_slice(digest.as_bytes());
    Ok(fs::write(index, body)?)
}

fn own(world: &World) -> Outcome<Tree> {
    world.tree("PROD/.lockstep")
}

#[test]
fn a_change_behind_an_equal_size_and_time_is_found() -> Tested {
    if !kept()? {
        return Ok(());
    }
    let world = indexed("")?;
    rewrite(&world.path(CORE))?;
    let found = status(&world, false, later()?)?;
    assert_eq!(
        (found.read, found.indexed, found.drifted),
        (1, FILES - 1, 1)
    );
    assert_eq!(
        found.fault().map(|refusal| refusal.name),
        Some(RefusalName::Conflict)
    );
    // What it found is kept as well, and is drift for whoever asks again.
    let again = status(&world, false, later()?)?;
    assert_eq!((again.read, again.indexed, again.drifted), (0, FILES, 1));
    assert_eq!(status(&world, true, later()?)?.drift, again.drift);
    Ok(())
}

/// A forged index fools whoever goes by it, which is nobody but `status`, and not with `--full`.
#[test]
fn nothing_signed_and_nothing_changed_rests_on_a_lying_index() -> Tested {
    if !kept()? {
        return Ok(());
    }
    let world = indexed("")?;
    lie(&world, CORE)?;
    assert_eq!(
        status(&world, false, later()?)?.drifted,
        0,
        "the lie is in place"
    );
    for dry_run in [true, false] {
        let refusal = apply(&world, dry_run)?.expect_err("the patch is for another state");
        assert_eq!(refusal.name, RefusalName::Stale, "{refusal:?}");
    }
    assert_eq!(
        status(&world, false, later()?)?.drifted,
        0,
        "the lie is still in place"
    );
    let taken = snapshot(&world, "usb/3.snapshot.spr")?;
    assert_eq!((taken.drift.len(), taken.indexed), (1, 0));
    // The snapshot read everything, and the index is put right.
    assert_eq!(status(&world, false, later()?)?.drifted, 1);
    lie(&world, "PROD/lib/old.txt")?;
    assert_eq!(status(&world, false, later()?)?.drifted, 1);
    let full = status(&world, true, later()?)?;
    assert_eq!((full.drifted, full.read, full.indexed), (2, FILES, 0));
    assert_eq!(status(&world, false, later()?)?.drifted, 2);
    Ok(())
}

/// Where policy allows it a snapshot says that it rests on the index; a change reads what it touches.
#[test]
fn where_policy_allows_it_the_statement_says_so() -> Tested {
    if !kept()? {
        return Ok(());
    }
    let world = indexed(ALLOW)?;
    let taken = snapshot(&world, "usb/3.snapshot.spr")?;
    assert_eq!((taken.indexed, taken.drift.len()), (FILES, 0));
    let ran = world.ok("tar -xOf usb/3.snapshot.spr snapshot.json | jq .indexed")?;
    assert_eq!(ran.out.trim(), FILES.to_string());
    let ran = world.ok("lockstep inspect usb/3.snapshot.spr")?;
    assert!(ran.out.contains("4 file(s) were not read"), "{}", ran.out);
    lie(&world, CORE)?;
    let taken = snapshot(&world, "usb/4.snapshot.spr")?;
    assert_eq!(
        (taken.indexed, taken.drift.len()),
        (FILES, 0),
        "it is believed"
    );
    for dry_run in [true, false] {
        let refusal = apply(&world, dry_run)?.expect_err("the patch replaces that file");
        assert_eq!(refusal.name, RefusalName::Stale, "{refusal:?}");
    }
    Ok(())
}

/// The receipt of a change that rested on the index says so, and the index knows these files afterwards.
#[test]
fn a_change_says_of_how_many_files_it_took_the_index_for_it() -> Tested {
    if !kept()? {
        return Ok(());
    }
    for (to, indexed) in [(MP5, 0), (PORTAL, FILES)] {
        let world = indexed_for(ALLOW, to)?;
        apply(&world, false)??;
        let ran = world.ok("tar -xOf usb/2.receipt.spr snapshot.json | jq '.indexed // 0'")?;
        assert_eq!(ran.out.trim(), indexed.to_string(), "{to}");
        let after = status(&world, false, later()?)?;
        assert_eq!((after.drifted, after.indexed), (0, indexed), "{to}");
        world.ok("lockstep receive usb/2.receipt.spr --desk desk")?;
        world.ok("lockstep status --root PROD --check")?;
    }
    Ok(())
}

/// One of another place, or one with another byte in it, is not used, and nobody complains.
#[test]
fn an_index_that_is_not_this_ones_is_not_used() -> Tested {
    if !kept()? {
        return Ok(());
    }
    let world = indexed("")?;
    let index = world.path("PROD/.lockstep/index");
    let mut bytes = fs::read(&index)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, &bytes)?;
    let found = status(&world, false, later()?)?;
    assert_eq!((found.read, found.indexed), (FILES, 0));
    let found = status(&world, false, later()?)?;
    assert_eq!(
        (found.read, found.indexed),
        (0, FILES),
        "it was written anew"
    );
    world.ok("mv PROD MOVED")?;
    for _ in 0..2 {
        let found = status_of(&world, "MOVED", false, later()?)?;
        assert_eq!(
            (found.read, found.indexed),
            (FILES, 0),
            "its marks are of elsewhere"
        );
    }
    world.ok("lockstep rehome --root MOVED --moved --environment PROD --reason test --receipt usb/moved.receipt.spr")?;
    for (read, indexed) in [(FILES, 0), (0, FILES)] {
        let found = status_of(&world, "MOVED", false, later()?)?;
        assert_eq!((found.read, found.indexed), (read, indexed), "a node anew");
    }
    Ok(())
}

/// In mid-change, and where nothing is at rest, `status` touches nothing.
#[test]
fn what_cannot_be_kept_changes_nothing() -> Tested {
    let world = World::installed()?;
    let before = own(&world)?;
    let found = world.ok("lockstep status --root PROD --json")?;
    let found: serde_json::Value = serde_json::from_str(&found.out)?;
    assert_eq!(
        (&found["read"], &found["indexed"]),
        (&FILES.into(), &0.into())
    );
    assert_eq!(before, own(&world)?, "all of it changed just now");
    fs::create_dir(world.path("PROD/.lockstep/index"))?;
    let before = own(&world)?;
    assert_eq!(status(&world, false, later()?)?.read, FILES);
    assert_eq!(before, own(&world)?, "the index cannot be written");
    let taken = snapshot(&world, "usb/5.snapshot.spr")?;
    assert_eq!((taken.indexed, taken.drift.len()), (0, 0));
    Ok(())
}
