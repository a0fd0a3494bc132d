//! A root that is more than one file system: a tmpfs and a bind mount inside it, changed together,
//! killed in mid-change, and refused where a mount cannot take part.
//!
//! Mounting takes root. Without it each test says so and ends; continuous integration runs as root.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Outcome, Tested, World};

const ONE: &str = "to:store/1.0/store-1.0.0.spr";
const TWO: &str = "to:store/1.0/store-1.1.0.spr";

/// Something mounted, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Runs `command` (`mount -t tmpfs none`, `bindfs FROM`) with the mount point behind it.
    fn by(world: &World, command: &str, at: &str) -> Outcome<Self> {
        let path = world.path(at);
        if !path.exists() {
            fs::create_dir_all(&path)?;
        }
        world.ok(&format!("{command} {at}"))?;
        Ok(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg("-l").arg(&self.0).status();
        if !ended.is_ok_and(|status| status.success()) {
            say(&format!("{} stays mounted", self.0.display()));
        }
    }
}

/// For whoever reads the log of a run on another machine.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn may_mount(world: &World) -> Outcome<bool> {
    let root = world.run("test $(id -u) = 0")?.code == 0;
    if !root {
        say("not root: what needs a mount is left out");
    }
    Ok(root)
}

/// A world with a product over three mounts: `lib` on the root's, `data` on a tmpfs, `shown` on a
/// bind mount of the file system that the root is on as well.
struct Spread {
    // Before the world, so that nothing is mounted when its folder goes.
    _mounts: [Mounted; 2],
    world: World,
}

impl Spread {
    /// Nothing where this user may not mount.
    fn new() -> Outcome<Option<Self>> {
        let world = World::new()?;
        if !may_mount(&world)? {
            return Ok(None);
        }
        for (recipe, names, text) in [
            ("store/1.0/store-1.0.0", ["a", "gone", "deep/gone"], "one"),
            ("store/1.0/store-1.1.0", ["a", "new", "fresh/new"], "two"),
        ] {
            let files: Vec<(String, String)> = ["lib", "data", "shown"]
                .iter()
                .flat_map(|mount| names.map(|name| format!("{mount}/{name}")))
                .map(|path| (path.clone(), format!("{text} {path}")))
                .collect();
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(path, text)| (path.as_str(), text.as_str()))
                .collect();
            world.component(recipe, &files, "")?;
        }
        fs::create_dir(world.path("elsewhere"))?;
        let mounts = [
            Mounted::by(&world, "mount -t tmpfs -o size=8m none", "PROD/data")?,
            Mounted::by(&world, "mount --bind elsewhere", "PROD/shown")?,
        ];
        let spread = Self {
            _mounts: mounts,
            world,
        };
        enrol(&spread.world)?;
        Ok(Some(spread))
    }

    /// The product's files, without what is the node's own.
    fn product(&self) -> Outcome<BTreeMap<PathBuf, String>> {
        let tree = self.world.tree("PROD")?;
        Ok(tree
            .into_iter()
            .filter(|(path, _)| !path.components().any(is_own))
            .map(|(path, (mode, content))| (path, format!("{mode:o} {content}")))
            .collect())
    }

    /// What is left of a change under way, on all three mounts.
    fn leftovers(&self) -> usize {
        let stages = [".lockstep", "data/.lockstep-mount", "shown/.lockstep-mount"]
            .map(|area| self.world.path("PROD").join(area).join("stage"));
        let under = |folder: &PathBuf| fs::read_dir(folder).map_or(0, Iterator::count);
        let journal = self.world.path("PROD/.lockstep/journal").exists();
        stages.iter().map(under).sum::<usize>() + usize::from(journal)
    }
}

fn is_own(part: std::path::Component<'_>) -> bool {
    part.as_os_str() == ".lockstep" || part.as_os_str() == ".lockstep-mount"
}

/// Makes the environment PROD in a folder that is there, and enrols it.
fn enrol(world: &World) -> Outcome<String> {
    let init = world.ok("lockstep init --root PROD --name PROD --site site.spr --service none --output usb/PROD.snapshot.spr")?;
    world.ok("lockstep enrol usb/PROD.snapshot.spr --desk desk")?;
    Ok(init.out)
}

/// The road from what the desk knows last to `to`.
fn patch(world: &World, from: &str, to: &str, name: &str) -> Tested {
    world.prepare(from, to, &format!("usb/{name}.patch.spr"))?;
    world.apply(
        "PROD",
        &format!("usb/{name}.patch.spr"),
        &format!("usb/{name}.receipt.spr"),
    )?;
    world.ok(&format!(
        "lockstep receive usb/{name}.receipt.spr --desk desk"
    ))?;
    Ok(())
}

#[test]
fn a_change_over_three_mounts() -> Tested {
    let Some(spread) = Spread::new()? else {
        return Ok(());
    };
    let world = &spread.world;
    patch(world, "usb/PROD.snapshot.spr", ONE, "one")?;
    let old = spread.product()?;
    patch(world, "usb/one.receipt.spr", TWO, "two")?;
    for mount in ["lib", "data", "shown"] {
        let at = world.path("PROD").join(mount);
        for name in ["a", "new", "fresh/new"] {
            assert_eq!(
                fs::read_to_string(at.join(name))?,
                format!("two {mount}/{name}")
            );
        }
        assert!(!at.join("gone").exists() && !at.join("deep").exists());
    }
    assert_eq!(spread.leftovers(), 0);
    world.ok("lockstep status --check --root PROD")?;
    // Each mount keeps what was displaced on it, and nothing else.
    for (mount, area) in [
        ("data", "data/.lockstep-mount"),
        ("shown", "shown/.lockstep-mount"),
    ] {
        let kept = world.tree(&format!("PROD/{area}/generations/3"))?;
        assert_eq!(kept.len(), 4, "{kept:?}");
        for name in ["a", "gone", "deep/gone"] {
            let was = old
                .get(&Path::new(mount).join(name))
                .ok_or("it was there")?;
            assert!(
                kept.values()
                    .any(|(mode, content)| *was == format!("{mode:o} {content}"))
            );
        }
    }
    let freed = world
        .ok("lockstep gc --keep 0 --environment PROD --root PROD --json")?
        .out;
    let freed: serde_json::Value = serde_json::from_str(&freed)?;
    assert_eq!(freed["removed"], serde_json::json!([1, 2]));
    let mounts = freed["mounts"].as_array().ok_or("by mount")?;
    assert_eq!(mounts.len(), 3, "{freed}");
    for mount in mounts {
        assert!(
            mount["bytes"].as_u64() > Some(0) && mount["left_bytes"] == 0,
            "{freed}"
        );
    }
    for mount in ["data", "shown"] {
        let area = world.path("PROD").join(mount).join(".lockstep-mount");
        assert!(!area.exists(), "nothing is left in {}", area.display());
    }
    let again = world
        .ok("lockstep gc --keep 0 --environment PROD --root PROD")?
        .out;
    assert!(again.contains("removed    no generation"), "{again}");
    Ok(())
}

/// Killed at each of its renames in turn, the same patch is tried again after `recover`, until one
/// kill comes after the commit.
#[test]
fn killed_at_every_rename() -> Tested {
    let Some(spread) = Spread::new()? else {
        return Ok(());
    };
    let world = &spread.world;
    if world.run("strace -qq -o /dev/null true")?.code != 0 {
        say("strace does not run here: nothing is killed");
        return Ok(());
    }
    patch(world, "usb/PROD.snapshot.spr", ONE, "one")?;
    let old = spread.product()?;
    world.prepare("usb/one.receipt.spr", TWO, "usb/two.patch.spr")?;
    let (mut undone, mut nothing) = (0, 0);
    for at in 1..60 {
        let killed = world.run(&format!("strace -f -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=KILL:when={at} lockstep apply usb/two.patch.spr --root PROD --receipt usb/{at}.receipt.spr"))?;
        // A shell reports what a signal ended as 128 and its number.
        assert!(
            matches!(killed.code, 137 | -1),
            "not killed at {at}: {}{}",
            killed.out,
            killed.err
        );
        assert!(
            !killed.out.contains("applied"),
            "it said so before it was durable"
        );
        let recovered = world.ok("lockstep recover --root PROD")?.out;
        assert_eq!(
            spread.leftovers(),
            0,
            "after a kill at rename {at}: {recovered}"
        );
        let now = spread.product()?;
        let again = world.ok("lockstep recover --root PROD")?.out;
        assert!(again.contains("nothing was interrupted"), "{again}");
        assert_eq!(spread.product()?, now);
        if now != old {
            assert!(recovered.contains("had been committed"), "{recovered}");
            break;
        }
        undone += i32::from(recovered.contains("was undone"));
        nothing += i32::from(recovered.contains("nothing was interrupted"));
    }
    // The moves of the exchange, and the questions that are asked with renames before it.
    assert!(
        undone >= 9 && nothing >= 3,
        "{undone} undone, {nothing} before the journal"
    );
    assert_eq!(fs::read_to_string(world.path("PROD/data/a"))?, "two data/a");
    assert_eq!(
        fs::read_to_string(world.path("PROD/shown/fresh/new"))?,
        "two shown/fresh/new"
    );
    world.ok("lockstep status --check --root PROD")?;
    Ok(())
}

#[test]
fn a_mounted_file_is_refused_and_a_mounted_folder_stays() -> Tested {
    let world = World::installed()?;
    if !may_mount(&world)? {
        return Ok(());
    }
    world.write("other.jar", "core 9.0")?;
    world.prepare("usb/PROD.receipt.spr", crate::world::MP5, "usb/p.spr")?;
    let line = "lockstep apply usb/p.spr --root PROD --receipt usb/p.receipt.spr";
    let mounted = Mounted::by(&world, "mount --bind other.jar", "PROD/lib/core.jar")?;
    let words = [
        "a file that is mounted",
        "puts another file in its place",
        "umount",
    ];
    for line in [line.to_owned(), format!("{line} --dry-run")] {
        world.refused("PROD", &line, 36, &words)?;
    }
    drop(mounted);
    world.ok(line)?;
    world.ok("lockstep receive usb/p.receipt.spr --desk desk")?;
    // A folder that the removal of a component would take away.
    let portal = "to:customer/acme/portal/1.0/portal-1.0.0.spr";
    let _mounted = Mounted::by(&world, "mount -t tmpfs none", "PROD/portal")?;
    world.prepare("usb/p.receipt.spr", portal, "usb/q.spr")?;
    world.apply("PROD", "usb/q.spr", "usb/q.receipt.spr")?;
    world.ok("lockstep receive usb/q.receipt.spr --desk desk")?;
    assert!(world.path("PROD/portal/portal.jar").exists());
    world.ok("lockstep prepare --environment PROD --remove portal --desk desk --output usb/r.spr --accept downgrade --reason unused")?;
    world.ok(
        "lockstep apply usb/r.spr --root PROD --accept downgrade --reason unused --receipt usb",
    )?;
    assert!(!world.path("PROD/portal/portal.jar").exists());
    assert!(world.path("PROD/portal").exists());
    world.ok("lockstep status --check --root PROD")?;
    Ok(())
}

/// bindfs answers a rename with a flag by EINVAL, as file systems do that know none.
#[test]
fn a_file_system_without_exchange_is_refused() -> Tested {
    let world = World::new()?;
    if !may_mount(&world)? {
        return Ok(());
    }
    if !Path::new("/dev/fuse").exists() || world.run("bindfs --version")?.code != 0 {
        say("no bindfs or no /dev/fuse: no file system without exchange is tried");
        return Ok(());
    }
    fs::create_dir(world.path("elsewhere"))?;
    let _api = Mounted::by(&world, "bindfs elsewhere", "PROD/api")?;
    let told = enrol(&world)?;
    assert!(
        told.contains("a patch may not touch files below api"),
        "{told}"
    );
    world.prepare("usb/PROD.snapshot.spr", crate::world::MP4, "usb/p.spr")?;
    let line = "lockstep apply usb/p.spr --root PROD --receipt usb/p.receipt.spr";
    let words = [
        "cannot exchange two files",
        "PROD/api",
        "fuse",
        "RENAME_EXCHANGE",
        "xfs",
    ];
    for line in [line.to_owned(), format!("{line} --dry-run")] {
        world.refused("PROD", &line, 36, &words)?;
    }
    assert_eq!(fs::read_dir(world.path("elsewhere"))?.count(), 0);
    // What does not touch it is not refused; a root that cannot is, by `init`.
    let core = "to:core/9.0/core-9.0.0.spr";
    patch(&world, "usb/PROD.snapshot.spr", core, "core")?;
    fs::create_dir(world.path("elsewhere/root"))?;
    let _root = Mounted::by(&world, "bindfs elsewhere/root", "BOUND")?;
    let init = "lockstep init --root BOUND --name BOUND --site site.spr --service none --output usb/BOUND.snapshot.spr";
    world.refused("BOUND", init, 36, &["cannot exchange two files", "BOUND"])?;
    Ok(())
}

/// A product of one file of this size, and as many small ones.
fn sized(world: &World, version: u32, size: usize, small: usize) -> Outcome<String> {
    let recipe = format!("store/1.0/store-1.{version}.0");
    let large = format!("{version}").repeat(size);
    let small: Vec<String> = (0..small)
        .map(|index| format!("data/{version}-{index}"))
        .collect();
    let mut files = vec![("data/large", large.as_str())];
    files.extend(small.iter().map(|path| (path.as_str(), "small")));
    world.component(&recipe, &files, "")?;
    Ok(format!("to:{recipe}.spr"))
}

/// Bytes and inodes that are free on the mount of a path, as the system counts them.
fn free(world: &World, path: &str) -> Outcome<(u64, u64)> {
    let counted = world.ok(&format!("stat -f -c '%f %S %d' {path}"))?.out;
    let numbers: Vec<u64> = counted
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    match numbers.as_slice() {
        [blocks, size, inodes] => Ok((blocks * size, *inodes)),
        _ => Err(format!("stat says {counted}").into()),
    }
}

/// The mount is full of generations: the numbers say so, `gc` is the command to type, and then the
/// same patch goes.
#[test]
fn room_is_asked_of_the_mount_it_is_needed_on() -> Tested {
    let world = World::new()?;
    if !may_mount(&world)? {
        return Ok(());
    }
    let _data = Mounted::by(&world, "mount -t tmpfs -o size=8m none", "PROD/data")?;
    enrol(&world)?;
    let mut from = "usb/PROD.snapshot.spr".to_owned();
    for version in 1..4 {
        let to = sized(&world, version, 2_500_000, 1)?;
        patch(&world, &from, &to, &format!("v{version}"))?;
        from = format!("usb/v{version}.receipt.spr");
    }
    let to = sized(&world, 4, 2_500_000, 1)?;
    world.prepare(&from, &to, "usb/v4.patch.spr")?;
    let line = "lockstep apply usb/v4.patch.spr --root PROD --receipt usb/v4.receipt.spr";
    let words = [
        "PROD/data has too little room",
        "needed       2.5 MB (254",
        "free         8",
        "would free 2.5 MB (250",
        "lockstep gc --keep 1",
    ];
    for line in [line.to_owned(), format!("{line} --dry-run")] {
        world.refused("PROD", &line, 33, &words)?;
    }
    let foretold = world.run(line)?.err;
    let before = free(&world, "PROD/data")?;
    let freed = world
        .ok("lockstep gc --keep 1 --environment PROD --root PROD")?
        .out;
    let after = free(&world, "PROD/data")?;
    let (bytes, inodes) = (after.0 - before.0, after.1 - before.1);
    let numbers = format!("2.5 MB ({bytes} bytes), {inodes} inodes");
    assert!(freed.contains(&numbers), "{numbers}\n{freed}");
    assert!(foretold.contains(&numbers), "{numbers}\n{foretold}");
    world.ok(line)?;
    Ok(())
}

#[test]
fn inodes_are_asked_too() -> Tested {
    let world = World::new()?;
    if !may_mount(&world)? {
        return Ok(());
    }
    let _data = Mounted::by(
        &world,
        "mount -t tmpfs -o size=8m,nr_inodes=40 none",
        "PROD/data",
    )?;
    enrol(&world)?;
    let to = sized(&world, 1, 10, 50)?;
    world.prepare("usb/PROD.snapshot.spr", &to, "usb/p.spr")?;
    let line = "lockstep apply usb/p.spr --root PROD --receipt usb/p.receipt.spr";
    let words = [
        "PROD/data has too little room",
        "59 inodes",
        "39 inodes",
        "make room",
    ];
    for line in [line.to_owned(), format!("{line} --dry-run")] {
        world.refused("PROD", &line, 33, &words)?;
    }
    Ok(())
}

/// A subvolume is on no list of mounts, and files cannot be renamed into it all the same.
#[test]
fn a_subvolume_is_a_mount_of_its_own() -> Tested {
    let world = World::new()?;
    if !may_mount(&world)? {
        return Ok(());
    }
    if world
        .run("grep -q btrfs /proc/filesystems && mkfs.btrfs --version && btrfs --version")?
        .code
        != 0
    {
        say("no btrfs here: no subvolume is tried");
        return Ok(());
    }
    world.ok("truncate -s 128M disk && mkfs.btrfs -q disk")?;
    let _disk = Mounted::by(&world, "mount -o loop disk", "PROD")?;
    enrol(&world)?;
    world.ok("btrfs subvolume create PROD/data")?;
    let mut from = "usb/PROD.snapshot.spr".to_owned();
    for version in 1..3 {
        let to = sized(&world, version, 10, 1)?;
        patch(&world, &from, &to, &format!("v{version}"))?;
        from = format!("usb/v{version}.receipt.spr");
    }
    let kept = world.tree("PROD/data/.lockstep-mount/generations/3")?;
    assert_eq!(
        kept.len(),
        2,
        "the file that changed, and the one that went: {kept:?}"
    );
    // As a kill leaves it that came before the journal: only the stage's own record names the area.
    world.ok("cp -a PROD/.lockstep/generations/3 PROD/.lockstep/stage/4 && rm PROD/.lockstep/stage/4/journal")?;
    world.ok("mkdir -p PROD/data/.lockstep-mount/stage/4 && lockstep gc --keep 0 --environment PROD --root PROD")?;
    assert!(!world.path("PROD/data/.lockstep-mount").exists());
    world.ok("lockstep status --check --root PROD")?;
    Ok(())
}
