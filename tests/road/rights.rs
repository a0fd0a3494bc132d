//! Who may do what: the whole road as a service user without a name, others refused with the line
//! to type, root in the operator's place, and what this user cannot keep refused before staging.
//!
//! Root sees no permission errors, so every command of a user runs under `setpriv`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown};
use std::path::Path;

use crate::exact::{
    Exact, OPERATOR, as_root, exact, needed_tool, next_line, owned_by_others, same,
};
use crate::world::{MP4, MP5, Outcome, Ran, Tested, World};

/// The service user, and somebody else.
const AS_OPERATOR: &str = "setpriv --reuid=4242 --regid=4242 --clear-groups";
const AS_OTHER: &str = "setpriv --reuid=4343 --regid=4343 --clear-groups";
/// The change of the second release.
const APPLY: &str = "lockstep apply usb/2.spr --root PROD --receipt usb/2.receipt.spr";

/// The tree after the first and the second release, all of it the operator's.
const MP4_TREE: [(&str, &str); 7] = [
    ("api", "755 folder"),
    ("api/restapi.jar", "644 file \"restapi 39\""),
    ("conf", "755 folder"),
    ("conf/a.properties", "644 file \"a=1\""),
    ("lib", "755 folder"),
    ("lib/core.jar", "644 file \"core 9.0\""),
    ("lib/old.txt", "644 file \"old\""),
];
const MP5_TREE: [(&str, &str); 7] = [
    ("api", "755 folder"),
    ("api/restapi.jar", "644 file \"restapi 40\""),
    ("conf", "755 folder"),
    ("conf/a.properties", "644 file \"a=2\""),
    ("lib", "755 folder"),
    ("lib/core.jar", "644 file \"core 9.1\""),
    ("lib/new.txt", "644 file \"new\""),
];

/// A tree of the operator's files.
fn owned(tree: &[(&str, &str)]) -> Exact {
    let line = |line: &str| {
        let (mode, rest) = line.split_once(' ').unwrap_or((line, ""));
        format!("{mode} {OPERATOR}:{OPERATOR} {rest}")
    };
    tree.iter()
        .map(|(path, words)| ((*path).to_owned(), line(words)))
        .collect()
}

/// A world in which PROD belongs to the service user, who made it and brought it to the first
/// release; the patch to the second lies ready. Nothing where the test cannot run.
fn service() -> Outcome<Option<World>> {
    if !as_root("acting as another user")? {
        return Ok(None);
    }
    let world = World::new()?;
    // Everybody reaches the folder and reads the files that are carried, and may put some there.
    for (path, mode) in [(".", 0o755), ("usb", 0o1777), ("bin", 0o755)] {
        fs::set_permissions(world.path(path), fs::Permissions::from_mode(mode))?;
    }
    if world
        .run(&format!("{AS_OPERATOR} lockstep --version"))?
        .code
        != 0
    {
        // The program lies where only root comes to.
        let program = world.path("bin/lockstep");
        fs::remove_file(&program)?;
        fs::copy(env!("CARGO_BIN_EXE_lockstep"), &program)?;
    }
    if !needed_tool(
        &world,
        &format!("{AS_OPERATOR} lockstep --version"),
        "setpriv (package util-linux)",
    )? {
        return Ok(None);
    }
    fs::create_dir(world.path("PROD"))?;
    chown(world.path("PROD"), Some(OPERATOR), Some(OPERATOR))?;
    fs::set_permissions(world.path("PROD"), fs::Permissions::from_mode(0o755))?;
    world.ok(&format!("{AS_OPERATOR} lockstep init --root PROD --name PROD --site site.spr --service none --output usb/0.spr"))?;
    world.ok("lockstep enrol usb/0.spr --desk desk")?;
    world.prepare("usb/0.spr", MP4, "usb/1.spr")?;
    world.ok(&format!(
        "{AS_OPERATOR} lockstep apply usb/1.spr --root PROD --receipt usb/1.receipt.spr"
    ))?;
    world.ok("lockstep receive usb/1.receipt.spr --desk desk")?;
    world.prepare("usb/1.receipt.spr", MP5, "usb/2.spr")?;
    Ok(Some(world))
}

fn is_mp4(world: &World) -> Tested {
    same(&exact(&world.path("PROD"))?, &owned(&MP4_TREE))
}

fn is_mp5(world: &World) -> Tested {
    same(&exact(&world.path("PROD"))?, &owned(&MP5_TREE))?;
    assert_eq!(owned_by_others(&world.path("PROD"), OPERATOR)?, [""; 0]);
    world.ok(&format!(
        "{AS_OPERATOR} lockstep status --check --root PROD"
    ))?;
    Ok(())
}

/// Refused with 36 by `apply` and by `apply --dry-run`, as the operator and as root, and the stage
/// is empty.
fn refused_before_staging(world: &World, words: &[&str]) -> Outcome<Ran> {
    let mut last = None;
    for who in ["", AS_OPERATOR] {
        for dry in ["", " --dry-run"] {
            last = Some(world.refused("PROD", &format!("{who} {APPLY}{dry}"), 36, words)?);
            assert_eq!(fs::read_dir(world.path("PROD/.lockstep/stage"))?.count(), 0);
        }
    }
    Ok(last.ok_or("nothing ran")?)
}

/// Does what the refusal says, as the administrator, and applies again.
fn mended(world: &World, refused: &Ran) -> Tested {
    world.ok(&next_line(&refused.err)?)?;
    world.ok(&format!("{AS_OPERATOR} {APPLY}"))?;
    Ok(())
}

#[test]
fn the_service_user_goes_the_whole_road() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    is_mp4(&world)?;
    world.ok(&format!(
        "{AS_OPERATOR} lockstep snapshot --root PROD --output usb/s.spr"
    ))?;
    world.prepare("usb/s.spr", MP5, "usb/s.patch.spr")?;
    world.ok(&format!(
        "{AS_OPERATOR} lockstep apply usb/s.patch.spr --root PROD --receipt usb/2.receipt.spr"
    ))?;
    is_mp5(&world)?;
    world.ok(&format!("{AS_OPERATOR} lockstep recover --root PROD"))?;
    is_mp5(&world)
}

/// Root makes an environment for whoever owns its folder.
#[test]
fn the_owner_of_the_folder_becomes_the_operator() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    fs::create_dir(world.path("TEST"))?;
    chown(world.path("TEST"), Some(OPERATOR), Some(OPERATOR))?;
    world.ok(
        "lockstep init --root TEST --name TEST --site site.spr --service none --output usb/t.spr",
    )?;
    assert_eq!(owned_by_others(&world.path("TEST"), OPERATOR)?, [""; 0]);
    world.ok(&format!(
        "{AS_OPERATOR} lockstep status --check --root TEST"
    ))?;
    Ok(())
}

#[test]
fn another_user_is_refused_with_the_line_to_type() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let root = world.path("PROD").canonicalize()?.display().to_string();
    for (command, line) in [
        ("apply usb/2.spr", "apply usb/2.spr"),
        ("apply usb/2.spr --dry-run", "apply usb/2.spr --dry-run"),
        ("snapshot --output usb/x.spr", "snapshot"),
        ("recover", "recover"),
        ("status", "status"),
        ("components", "status"),
        ("history", "status"),
    ] {
        let line = format!("next       sudo -u '#4242' lockstep {line} --root {root}");
        let words = [
            "not-permitted (36): this environment belongs to another user",
            "operator   #4242",
            "you are    #4343",
            &line,
        ];
        world.refused(
            "PROD",
            &format!("{AS_OTHER} lockstep {command} --root PROD"),
            36,
            &words,
        )?;
    }
    assert!(!world.path("usb/x.spr").exists());
    is_mp4(&world)
}

#[test]
fn root_works_in_the_operators_place() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    world.ok("lockstep status --check --root PROD")?;
    world.ok("lockstep snapshot --root PROD --output usb/s.spr")?;
    world.ok(&format!("{APPLY} --dry-run"))?;
    // The receipt is the operator's too: where no file of his can be made is said beforehand.
    let nowhere = APPLY.replace("usb/2.receipt.spr", "keys/2.receipt.spr");
    world.refused(
        "PROD",
        &nowhere,
        36,
        &["keys/2.receipt.spr", "you are    #4242"],
    )?;
    world.ok(APPLY)?;
    is_mp5(&world)?;
    for file in ["usb/s.spr", "usb/2.receipt.spr"] {
        assert_eq!(fs::metadata(world.path(file))?.uid(), OPERATOR, "{file}");
    }
    world.ok("lockstep recover --root PROD")?;
    world.ok("lockstep history --check --root PROD")?;
    is_mp5(&world)
}

/// Kills an apply at one rename after the other, until it is in the middle of its moves.
fn cut_after_the_first_move(world: &World, traced: &str) -> Tested {
    for at in 1..20 {
        let cut = format!("{traced} -e inject=renameat2:signal=KILL:when={at} {APPLY}");
        let cut = world.run(&cut)?;
        assert!(
            cut.code == 137 || cut.code == -1,
            "{} {}",
            cut.code,
            cut.err
        );
        let sealed = world.path("PROD/.lockstep/journal").exists();
        if sealed && !world.path("PROD/lib/old.txt").exists() {
            return Ok(());
        }
        world.ok("lockstep recover --root PROD")?;
    }
    Err("no cut came after the first move".into())
}

/// Cut in mid-exchange by a kill, with a read-only folder open: whoever recovers, all is as it was.
#[test]
fn a_cut_change_is_recovered_by_the_operator_or_by_root() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let traced = format!("{AS_OPERATOR} strace -f -qq -o /dev/null -e trace=renameat2");
    if !needed_tool(
        &world,
        &format!("{traced} true"),
        "strace may not trace here",
    )? {
        return Ok(());
    }
    let lib = world.path("PROD/lib");
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o555))?;
    let before = exact(&world.path("PROD"))?;
    for recover in ["", AS_OPERATOR] {
        cut_after_the_first_move(&world, &traced)?;
        let between = exact(&world.path("PROD"))?;
        assert_eq!(
            between["lib"], "755 4242:4242 folder",
            "the folder stands open"
        );
        assert!(
            !between.contains_key("lib/old.txt"),
            "the first move is made"
        );
        assert_eq!(world.run("lockstep status --root PROD")?.code, 41);
        world.ok(&format!("{recover} lockstep recover --root PROD"))?;
        same(&exact(&world.path("PROD"))?, &before)?;
        assert_eq!(owned_by_others(&world.path("PROD"), OPERATOR)?, [""; 0]);
    }
    // Nothing is used up: the same patch goes through, in the read-only folder.
    world.ok(&format!("{AS_OPERATOR} {APPLY}"))?;
    let mut wanted = owned(&MP5_TREE);
    wanted.insert("lib".to_owned(), "555 4242:4242 folder".to_owned());
    same(&exact(&world.path("PROD"))?, &wanted)
}

#[test]
fn an_owner_or_group_that_cannot_be_handed_on() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let jar = world.path("PROD/lib/core.jar");
    let absolute = jar.canonicalize()?.display().to_string();
    chown(&jar, Some(0), Some(0))?;
    let line = format!("next       sudo chown 4242 {absolute}, then the same command again");
    let words = [
        "a path cannot be changed",
        absolute.as_str(),
        "its owner root (0) cannot be kept by this user",
        "you are    #4242",
        &line,
    ];
    let refused = refused_before_staging(&world, &words)?;
    world.ok(&next_line(&refused.err)?)?;
    let line = line.replace("chown", "chgrp");
    let words = [
        absolute.as_str(),
        "its group 0 cannot be kept by this user",
        &line,
    ];
    let refused = refused_before_staging(&world, &words)?;
    // A group that the operator is in can be handed on.
    lchown(&jar, None, Some(5555))?;
    world.refused(
        "PROD",
        &format!("{AS_OPERATOR} {APPLY}"),
        36,
        &["its group 5555"],
    )?;
    world.ok(&format!(
        "setpriv --reuid=4242 --regid=4242 --groups=5555 {APPLY} --dry-run"
    ))?;
    mended(&world, &refused)?;
    is_mp5(&world)
}

#[test]
fn an_attribute_that_cannot_be_handed_on() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let jar = world.path("PROD/lib/core.jar");
    let absolute = jar.canonicalize()?.display().to_string();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&jar, "user.note", b"kept", flags)?;
    // The file is read-only, and its attribute is kept all the same.
    fs::set_permissions(&jar, fs::Permissions::from_mode(0o444))?;
    rustix::fs::setxattr(&jar, "security.capability", &capability, flags)?;
    let line = format!(
        "next       sudo setfattr -x security.capability {absolute}, then the same command again"
    );
    let words = [
        absolute.as_str(),
        "its attribute security.capability cannot be kept by this user",
        &line,
    ];
    refused_before_staging(&world, &words)?;
    rustix::fs::removexattr(&jar, "security.capability")?;
    world.ok(&format!("{AS_OPERATOR} {APPLY}"))?;
    let mut wanted = owned(&MP5_TREE);
    wanted.insert(
        "lib/core.jar".to_owned(),
        "444 4242:4242 file \"core 9.1\"".to_owned(),
    );
    same(&exact(&world.path("PROD"))?, &wanted)?;
    let mut note = [0; 16];
    let length = rustix::fs::getxattr(&jar, "user.note", note.as_mut_slice())?;
    assert_eq!(&note[..length], b"kept");
    Ok(())
}

#[test]
fn a_folder_of_somebody_else() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let lib = world.path("PROD/lib");
    let absolute = lib.canonicalize()?.display().to_string();
    chown(&lib, Some(4343), None)?;
    let words = [
        absolute.as_str(),
        "no name in it can be changed by this user: its owner is 4343, its mode 0755",
        "sudo chown 4242",
    ];
    let refused = refused_before_staging(&world, &words)?;
    // A read-only folder of the operator's in another group would lose its set-gid bit.
    chown(&lib, Some(OPERATOR), Some(5555))?;
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o2555))?;
    refused_before_staging(
        &world,
        &[
            &absolute,
            "its set-gid bit for the group 5555",
            "sudo chgrp 4242",
        ],
    )?;
    // And one that is not read-only would hand on a group that he cannot give.
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o2755))?;
    let line = format!("sudo chgrp 4242 {absolute}, then");
    refused_before_staging(&world, &["its group 5555 cannot be kept", &line])?;
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o755))?;
    chown(&lib, Some(4343), Some(OPERATOR))?;
    // Somebody else's file in a sticky folder that all may write to.
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o1777))?;
    let old = world.path("PROD/lib/old.txt");
    chown(&old, Some(4343), None)?;
    refused_before_staging(
        &world,
        &[
            "lib/old.txt",
            "it is in a sticky folder, and its owner is 4343",
        ],
    )?;
    chown(&old, Some(OPERATOR), None)?;
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o755))?;
    mended(&world, &refused)?;
    is_mp5(&world)
}

/// A folder that the patch removes must be writable itself: its `..` is rewritten.
#[test]
fn read_only_folders_come_and_go() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let tool = |n: u32| format!("tool/1.0/tool-1.0.{n}");
    for (n, folder) in [(0, "old"), (1, "new")] {
        let files = world.path("vendor").join(tool(n));
        fs::create_dir_all(files.join(folder).join("deep"))?;
        fs::write(files.join(folder).join("deep/f"), folder)?;
        for path in [format!("{folder}/deep"), folder.to_owned()] {
            fs::set_permissions(files.join(path), fs::Permissions::from_mode(0o555))?;
        }
        world.component(&tool(n), &[], "")?;
    }
    let wanted = |folder: &str| {
        let mut all = owned(&MP4_TREE);
        for (path, line) in [
            ("", "555 4242:4242 folder"),
            ("/deep", "555 4242:4242 folder"),
        ] {
            all.insert(format!("{folder}{path}"), line.to_owned());
        }
        all.insert(
            format!("{folder}/deep/f"),
            format!("644 4242:4242 file {folder:?}"),
        );
        all
    };
    let mut last = "usb/1.receipt.spr".to_owned();
    for (n, folder) in [(0, "old"), (1, "new")] {
        let patch = format!("usb/t{n}.spr");
        world.prepare(&last, &tool(n), &patch)?;
        last = format!("usb/t{n}.receipt.spr");
        world.ok(&format!(
            "{AS_OPERATOR} lockstep apply {patch} --root PROD --receipt {last}"
        ))?;
        world.ok(&format!("lockstep receive {last} --desk desk"))?;
        same(&exact(&world.path("PROD"))?, &wanted(folder))?;
    }
    // Root gives the same result.
    world.install("SAME")?;
    Ok(())
}

/// What cannot be read is neither passed over nor guessed at.
#[test]
fn what_the_operator_cannot_read_is_said() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    let commands = [
        "status",
        "snapshot --output usb/x.spr",
        "apply usb/2.spr --receipt usb/x.spr",
        "apply usb/2.spr --dry-run",
    ];
    let root = world.path("PROD").canonicalize()?;
    for (path, owner, mode, line) in [
        (
            "lib/core.jar",
            0,
            0o000,
            "sudo chown 4242 {} && sudo chmod u+r {}",
        ),
        ("lib/core.jar", OPERATOR, 0o000, "chmod u+r {}"),
        ("lib", OPERATOR, 0o300, "chmod u+rx {}"),
        ("lib", OPERATOR, 0o600, "chmod u+rx {}"),
        ("lib", 0, 0o700, "sudo chown 4242 {} && sudo chmod u+rx {}"),
    ] {
        let path = root.join(path);
        let old = fs::metadata(&path)?.mode();
        chown(&path, Some(owner), None)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let line = format!(
            "next       {}, then the same command again",
            line.replace("{}", &path.display().to_string())
        );
        let words = [
            format!("{} cannot be read by this user", path.display()),
            format!("{mode:04o}"),
            line,
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for command in commands {
            world.refused(
                "PROD",
                &format!("{AS_OPERATOR} lockstep {command} --root PROD"),
                36,
                &words,
            )?;
        }
        chown(&path, Some(OPERATOR), None)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(old))?;
    }
    assert!(!world.path("usb/x.spr").exists());
    is_mp4(&world)
}

/// Root as the operator keeps whatever owners it finds; the capability and the rest stay in
/// `odd.rs`. Here: nothing that root replaces becomes root's.
#[test]
fn root_as_the_operator_keeps_owners() -> Tested {
    if !as_root("keeping owners")? {
        return Ok(());
    }
    let world = World::installed()?;
    let own = |path: &str, id: u32| lchown(world.path("PROD").join(path), Some(id), Some(id + 1));
    own("lib/core.jar", 1234)?;
    own("lib", 4321)?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/2.spr")?;
    world.ok(APPLY)?;
    let ids = |path: &Path| fs::symlink_metadata(path).map(|m| (m.uid(), m.gid()));
    for (path, uid) in [
        ("lib/core.jar", 1234),
        ("lib", 4321),
        ("lib/new.txt", 4321),
        ("api/restapi.jar", 0),
    ] {
        let gid = if uid == 0 { 0 } else { uid + 1 };
        assert_eq!(ids(&world.path("PROD").join(path))?, (uid, gid), "{path}");
    }
    Ok(())
}

/// Root's own files among the customer's do not stop a full snapshot: they are listed as what cannot
/// be read.
#[test]
fn what_the_operator_cannot_read_is_listed_as_such() -> Tested {
    let Some(world) = service()? else {
        return Ok(());
    };
    world.ok("mkdir PROD/lost+found PROD/listed && chmod 700 PROD/lost+found && touch PROD/listed/x && chmod 744 PROD/listed")?;
    world.ok("echo secret > PROD/root.txt && chmod 600 PROD/root.txt")?;
    world.ok(&format!(
        "{AS_OPERATOR} lockstep snapshot --full --root PROD --output usb/full.spr"
    ))?;
    let text = world
        .ok("tar -xOf usb/full.spr inventory.txt.zst | zstd -dc")?
        .out;
    for line in ["other lost+found\n", "other root.txt\n", "other listed\n"] {
        assert!(text.contains(line), "{line}{text}");
    }
    world.ok(&format!("{AS_OPERATOR} lockstep status --full --root PROD"))?;
    Ok(())
}
