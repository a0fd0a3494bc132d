//! Files as people have them, on the whole road: after each apply the tree is exactly what it
//! should be, with names, kinds, modes, owners and contents.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use crate::exact::{as_root, exact, needed_tool, next_line, same, stands, step};
use crate::world::{Outcome, Tested, World};

const ODD: [&str; 3] = [
    "odd/1.0/odd-1.0.0",
    "odd/1.0/odd-1.0.1",
    "odd/1.0/odd-1.0.2",
];

/// Publishes one version of the component: `make` fills the vendor's folder.
fn version(world: &World, n: usize, more: &str, make: impl Fn(&Path) -> Tested) -> Tested {
    let folder = world.path("vendor").join(ODD[n]);
    fs::create_dir_all(&folder)?;
    make(&folder)?;
    world.publish(
        "component",
        &format!("--recipe {0} --files vendor/{0} {more}", ODD[n]),
    )
}

fn put(folder: &Path, path: &str, text: &str, mode: u32) -> Tested {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    fs::write(&path, text)?;
    Ok(fs::set_permissions(
        &path,
        fs::Permissions::from_mode(mode),
    )?)
}

/// A world with an empty PROD; both versions hold these files with these texts and mode 0644.
fn plain(first: &[(&str, &str)], second: &[(&str, &str)]) -> Outcome<World> {
    let world = World::new()?;
    for (n, files) in [first, second].into_iter().enumerate() {
        version(&world, n, "", |folder| {
            files
                .iter()
                .try_for_each(|(path, text)| put(folder, path, text, 0o644))
        })?;
    }
    world.init("PROD")?;
    step(&world, 0, ODD[0])?;
    Ok(world)
}

#[test]
fn links_and_files_change_places_and_back() -> Tested {
    let world = World::new()?;
    for n in 0..3 {
        version(&world, n, "", |folder| {
            put(folder, "bin/x", "x", 0o755)?;
            put(folder, "bin/y", "y", 0o755)?;
            // Version 2 is version 0 again, with one file more.
            if n == 2 {
                put(folder, "bin/z", "z", 0o644)?;
            }
            let (a, other) = if n == 1 { ("y", "file") } else { ("x", "link") };
            symlink(a, folder.join("bin/a"))?;
            if other == "link" {
                put(folder, "bin/b", "b", 0o644)?;
                symlink("x", folder.join("bin/c"))?;
                put(folder, "bin/d/in", "in", 0o644)?;
            } else {
                symlink("x", folder.join("bin/b"))?;
                put(folder, "bin/c", "c", 0o755)?;
                symlink("x", folder.join("bin/d"))?;
            }
            Ok(())
        })?;
    }
    let first = [
        ("bin", "755 ME folder"),
        ("bin/a", "ME -> x"),
        ("bin/b", "644 ME file \"b\""),
        ("bin/c", "ME -> x"),
        ("bin/d", "755 ME folder"),
        ("bin/d/in", "644 ME file \"in\""),
        ("bin/x", "755 ME file \"x\""),
        ("bin/y", "755 ME file \"y\""),
    ];
    let second = [
        ("bin", "755 ME folder"),
        ("bin/a", "ME -> y"),
        ("bin/b", "ME -> x"),
        ("bin/c", "755 ME file \"c\""),
        ("bin/d", "ME -> x"),
        ("bin/x", "755 ME file \"x\""),
        ("bin/y", "755 ME file \"y\""),
    ];
    let mut third = first.to_vec();
    third.push(("bin/z", "644 ME file \"z\""));
    world.init("PROD")?;
    for (n, wanted) in [(0, &first[..]), (1, &second), (2, &third)] {
        step(&world, n, ODD[usize::try_from(n)?])?;
        stands(&world.path("PROD"), wanted)?;
    }
    Ok(())
}

#[test]
fn the_execute_bit_comes_and_goes() -> Tested {
    let world = World::new()?;
    for (n, modes) in [[0o644, 0o755], [0o755, 0o644]].into_iter().enumerate() {
        version(&world, n, "", |folder| {
            put(folder, "gains", "same", modes[0])?;
            put(folder, "loses", "same too", modes[1])
        })?;
    }
    world.init("PROD")?;
    step(&world, 0, ODD[0])?;
    // The customer shut others out; the bits that come are for whoever may read.
    fs::set_permissions(world.path("PROD/gains"), fs::Permissions::from_mode(0o640))?;
    step(&world, 1, ODD[1])?;
    let wanted = [
        ("gains", "750 ME file \"same\""),
        ("loses", "644 ME file \"same too\""),
    ];
    stands(&world.path("PROD"), &wanted)
}

#[test]
fn hard_links_part_where_one_of_them_is_patched() -> Tested {
    let world = World::new()?;
    for (n, (a, b)) in [("old", "old"), ("new", "old"), ("newer", "newer")]
        .into_iter()
        .enumerate()
    {
        version(&world, n, "", |folder| {
            put(folder, "lib/a", a, 0o644)?;
            put(folder, "lib/b", b, 0o644)
        })?;
    }
    world.init("PROD")?;
    step(&world, 0, ODD[0])?;
    let link = || {
        fs::remove_file(world.path("PROD/lib/b"))?;
        fs::hard_link(world.path("PROD/lib/a"), world.path("PROD/lib/b"))
    };
    let wanted =
        |a: &'static str, b: &'static str| [("lib", "755 ME folder"), ("lib/a", a), ("lib/b", b)];
    link()?;
    fs::hard_link(world.path("PROD/lib/a"), world.path("outside"))?;
    step(&world, 1, ODD[1])?;
    stands(
        &world.path("PROD"),
        &wanted("644 ME file \"new\"", "644 ME file \"old\""),
    )?;
    assert_eq!(
        fs::read_to_string(world.path("outside"))?,
        "old",
        "what is not ours stays"
    );
    // Back to one content in two names of one inode, and both are patched.
    let world = plain(
        &[("lib/a", "old"), ("lib/b", "old")],
        &[("lib/a", "new a"), ("lib/b", "new b")],
    )?;
    fs::remove_file(world.path("PROD/lib/b"))?;
    fs::hard_link(world.path("PROD/lib/a"), world.path("PROD/lib/b"))?;
    fs::hard_link(world.path("PROD/lib/a"), world.path("outside"))?;
    step(&world, 1, ODD[1])?;
    stands(
        &world.path("PROD"),
        &wanted("644 ME file \"new a\"", "644 ME file \"new b\""),
    )?;
    assert_eq!(fs::read_to_string(world.path("outside"))?, "old");
    Ok(())
}

/// What a replaced file has besides its content stays, whoever made it so.
#[test]
fn owner_mode_acl_attributes_and_capabilities_are_kept() -> Tested {
    if !as_root("keeping owners")? {
        return Ok(());
    }
    let world = plain(
        &[("lib/a", "old"), ("lib/b", "b")],
        &[("lib/a", "new"), ("lib/b", "new b")],
    )?;
    let path = world.path("PROD/lib/a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4640))?;
    chown(&path, Some(1234), Some(4321))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4640))?;
    let attributes = [
        ("user.note", b"the customer's".to_vec()),
        ("trusted.mark", b"root's".to_vec()),
        ("security.capability", CAPABILITY.to_vec()),
    ];
    for (name, value) in &attributes {
        rustix::fs::setxattr(&path, *name, value, rustix::fs::XattrFlags::empty())?;
    }
    let acls = needed_tool(
        &world,
        "setfacl -m u:5555:r PROD/lib/a",
        "ACLs (package acl)",
    )?;
    let acl = world.run("getfacl -cnpE PROD/lib/a")?.out;
    assert_eq!(acl.contains("user:5555:r--"), acls);
    let mode = fs::metadata(&path)?.mode() & 0o7777;
    step(&world, 1, ODD[1])?;
    let wanted = [
        ("lib".to_owned(), "755 0:0 folder".to_owned()),
        (
            "lib/a".to_owned(),
            format!("{mode:o} 1234:4321 file \"new\""),
        ),
        ("lib/b".to_owned(), "644 0:0 file \"new b\"".to_owned()),
    ];
    same(&exact(&world.path("PROD"))?, &wanted.into())?;
    for (name, value) in &attributes {
        let mut found = vec![0; 100];
        let length = rustix::fs::getxattr(&path, *name, found.as_mut_slice())?;
        assert_eq!(&found[..length], value, "{name}");
    }
    assert_eq!(world.run("getfacl -cnpE PROD/lib/a")?.out, acl);
    // The other file got nothing of it.
    let mut found = vec![0; 100];
    let length = rustix::fs::listxattr(world.path("PROD/lib/b"), found.as_mut_slice())?;
    assert!(!String::from_utf8_lossy(&found[..length]).contains("user.note"));
    Ok(())
}

/// `cap_net_bind_service+ep`, as the kernel stores it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn what_a_folder_says_holds_for_what_is_new_in_it() -> Tested {
    let world = plain(
        &[("lib/a", "a")],
        &[("lib/a", "a"), ("lib/new", "new"), ("lib/in/b", "b")],
    )?;
    let lib = world.path("PROD/lib");
    let (gid, acls) = if as_root("a folder of another group")? {
        chown(&lib, None, Some(4321))?;
        (
            4321,
            needed_tool(
                &world,
                "setfacl -d -m u:5555:rwx PROD/lib",
                "ACLs (package acl)",
            )?,
        )
    } else {
        (rustix::process::getegid().as_raw(), false)
    };
    fs::set_permissions(&lib, fs::Permissions::from_mode(0o2775))?;
    // What the system itself makes there is what is expected.
    world.ok("umask 022 && cp vendor/odd/1.0/odd-1.0.1/lib/new PROD/lib/kernel && mkdir -m 755 PROD/lib/kernels && cp vendor/odd/1.0/odd-1.0.1/lib/in/b PROD/lib/kernels/b")?;
    let acl = |path: &str| {
        world
            .run(&format!("getfacl -cnpE PROD/lib/{path}"))
            .map(|ran| ran.out)
    };
    let (kernel_file, kernel_folder, kernel_deep) =
        (acl("kernel")?, acl("kernels")?, acl("kernels/b")?);
    world.ok("rm -r PROD/lib/kernel PROD/lib/kernels")?;
    step(&world, 1, ODD[1])?;
    for (path, kernel) in [
        ("new", kernel_file),
        ("in", kernel_folder),
        ("in/b", kernel_deep),
    ] {
        let metadata = fs::metadata(lib.join(path))?;
        assert_eq!(metadata.gid(), gid, "{path}");
        assert_eq!(metadata.is_dir(), metadata.mode() & 0o2000 != 0, "{path}");
        if acls {
            assert!(kernel.contains("user:5555:rwx"), "{kernel}");
            assert_eq!(acl(path)?, kernel, "{path}");
        }
    }
    Ok(())
}

#[test]
fn names_that_nobody_would_choose() -> Tested {
    let long = "l".repeat(255);
    let wide = format!("{}é", "日本".repeat(42) + "x");
    assert_eq!(wide.len(), 255);
    let quotes = "lib/it's \"so\" \\ $HOME; *?.txt";
    let names = [
        "lib/größe 日本.txt",
        "lib/ÅÄÖ",
        quotes,
        &long,
        &wide,
        "lib/-rf",
        "lib/.hidden",
    ];
    let files = |text: &'static str| -> Vec<(&str, &str)> {
        names.iter().map(|name| (*name, text)).collect()
    };
    let (mut first, mut second) = (files("old"), files(""));
    first.push(("gone/x", "x"));
    second.push(("lib/empty", ""));
    let world = plain(&first, &second)?;
    let strange = world.path("PROD/gone/a\nb \"c\" 'd'");
    fs::write(&strange, "nobody's")?;
    step(&world, 1, ODD[1])?;
    let mut wanted: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (*name, "644 ME file \"\""))
        .collect();
    wanted.extend([
        ("lib", "755 ME folder"),
        ("lib/empty", "644 ME file \"\""),
        ("gone", "755 ME folder"),
        ("gone/a\nb \"c\" 'd'", "644 ME file \"nobody's\""),
    ]);
    stands(&world.path("PROD"), &wanted)
}

/// A config file whose name has no room for a suffix: the new one still lies beside it, and two
/// such names do not meet.
#[test]
fn a_new_config_file_lies_beside_the_longest_name() -> Tested {
    let world = World::new()?;
    let names: Vec<String> = ["one", "two"]
        .iter()
        .map(|end| format!("conf/{}é{end}", "c".repeat(250)))
        .collect();
    let short = "conf/short.conf";
    for (n, text) in ["old", "new"].into_iter().enumerate() {
        version(&world, n, "--config 'conf/*'", |folder| {
            put(folder, short, text, 0o644)?;
            names
                .iter()
                .try_for_each(|name| put(folder, name, text, 0o644))
        })?;
    }
    world.init("PROD")?;
    step(&world, 0, ODD[0])?;
    for name in names.iter().map(String::as_str).chain([short]) {
        world.write(&format!("PROD/{name}"), "mine")?;
    }
    step(&world, 1, ODD[1])?;
    let cut = format!("conf/{}", "c".repeat(250));
    let wanted = [
        ("conf", "755 ME folder"),
        (&names[0], "644 ME file \"mine\""),
        (&names[1], "644 ME file \"mine\""),
        (&format!("{cut}.new"), "644 ME file \"new\""),
        (&format!("{cut}.new2"), "644 ME file \"new\""),
        (short, "644 ME file \"mine\""),
        ("conf/short.conf.new", "644 ME file \"new\""),
    ];
    stands(&world.path("PROD"), &wanted)
}

#[test]
fn a_root_behind_a_link_is_the_same_root() -> Tested {
    let world = plain(&[("lib/a", "old")], &[("lib/a", "new")])?;
    symlink("PROD", world.path("link"))?;
    world.prepare("usb/0.receipt.spr", ODD[1], "usb/1.spr")?;
    world.ok("lockstep status --check --root link")?;
    world.ok("lockstep apply usb/1.spr --root link --receipt usb/1.receipt.spr")?;
    let wanted = [("lib", "755 ME folder"), ("lib/a", "644 ME file \"new\"")];
    stands(&world.path("PROD"), &wanted)?;
    assert!(fs::symlink_metadata(world.path("link"))?.is_symlink());
    world.ok("lockstep status --check --root PROD")?;
    Ok(())
}

/// Takes `chattr`'s locks away again, however the test ends.
struct Locked<'a>(&'a World, &'a str, char);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        drop(self.0.run(&format!("chattr -{} {}", self.2, self.1)));
    }
}

#[test]
fn what_chattr_locked_is_refused_before_staging() -> Tested {
    let files = [("lib/a", "a"), ("lib/gone", "gone"), ("lib/same", "same")];
    let world = plain(
        &files,
        &[("lib/a", "new"), ("lib/same", "same"), ("new/b", "b")],
    )?;
    world.prepare("usb/0.receipt.spr", ODD[1], "usb/locked.spr")?;
    if !needed_tool(
        &world,
        "touch probe && chattr +i probe && chattr -i probe",
        "chattr does not work here",
    )? {
        return Ok(());
    }
    for (path, flag, word) in [
        ("PROD/lib/a", 'i', "immutable"),
        ("PROD/lib/gone", 'i', "immutable"),
        ("PROD/lib/gone", 'a', "append-only"),
        ("PROD/lib", 'i', "immutable"),
        ("PROD/lib", 'a', "append-only"),
        ("PROD", 'i', "immutable"),
    ] {
        world.ok(&format!("chattr +{flag} {path}"))?;
        let locked = Locked(&world, path, flag);
        let absolute = world.path(path).canonicalize()?;
        let line = format!(
            "next       sudo chattr -{flag} {}, then the same command again",
            absolute.display()
        );
        for dry in ["", " --dry-run"] {
            let apply = format!(
                "lockstep apply usb/locked.spr --root PROD --receipt usb/1.receipt.spr{dry}"
            );
            let refused = world.refused("PROD", &apply, 36, &[word])?;
            let next = next_line(&refused.err)?;
            assert_eq!(
                format!("next       sudo {next}, then the same command again"),
                line,
                "{}",
                refused.err
            );
        }
        drop(locked);
    }
    // A lock on a file that is not touched is nobody's business.
    world.ok("chattr +i PROD/lib/same")?;
    let _locked = Locked(&world, "PROD/lib/same", 'i');
    step(&world, 1, ODD[1])?;
    let wanted = [
        ("lib", "755 ME folder"),
        ("lib/a", "644 ME file \"new\""),
        ("lib/same", "644 ME file \"same\""),
        ("new", "755 ME folder"),
        ("new/b", "644 ME file \"b\""),
    ];
    stands(&world.path("PROD"), &wanted)
}
