//! A patch in volumes: cut to the byte, carried in any order and over any folders, and whatever is wrong
//! with one of them.

use std::collections::BTreeSet;
use std::fs;

use lockstep::model::Sha256;
use serde_json::{Value, json};

use crate::forge::Parts;
use crate::world::{Outcome, Tested, World};

const BIG: &str = "big/1.0/big-1.0.0";
const PREPARE: &str =
    "lockstep prepare --environment PROD --desk desk --source repository --to big/1.0/big-1.0.0";

/// Lines that compress badly.
fn lines(file: u64) -> String {
    let line = |line: u64| format!("{}\n", Sha256::of(&(file * 10_000 + line).to_be_bytes()));
    (0..2_000).map(line).collect()
}

/// PROD has the first release; a component with half a megabyte to carry is published.
fn world() -> Outcome<World> {
    let world = World::installed()?;
    let files: Vec<(String, String)> = (0..5)
        .map(|file| (format!("big/{file}.txt"), lines(file)))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    world.component(BIG, &files, "")?;
    Ok(world)
}

/// The same, with the patch for it in four volumes or more: their names.
fn prepared() -> Outcome<(World, Vec<String>)> {
    let world = world()?;
    let ran = world.ok(&format!(
        "{PREPARE} --output usb/n.patch.spr --volume-size 120K --json"
    ))?;
    let files = files(&ran.out)?;
    assert!(files.len() >= 4, "{files:?}");
    Ok((world, files))
}

/// The files that a document of `prepare` lists.
fn files(document: &str) -> Outcome<Vec<String>> {
    let document: Value = serde_json::from_str(document)?;
    let files = document["files"].as_array().ok_or("no files")?;
    let name = |file: &Value| file["file"].as_str().unwrap_or_default().to_owned();
    Ok(files.iter().map(name).collect())
}

/// The component is installed.
fn check_installed(world: &World) -> Tested {
    for file in 0..5 {
        let path = world.path(&format!("PROD/big/{file}.txt"));
        assert_eq!(fs::read_to_string(path)?, lines(file));
    }
    world.ok("lockstep status --check --root PROD")?;
    Ok(())
}

/// Changes one byte of the last pack in a file.
fn damage(world: &World, file: &str) -> Tested {
    let mut bytes = fs::read(world.path(file))?;
    let at = bytes.len() - 1024 - 600;
    bytes[at] ^= 1;
    Ok(fs::write(world.path(file), bytes)?)
}

const APPLY: &str = "lockstep apply --root PROD --receipt usb/n.receipt.spr";

#[test]
fn volumes_go_the_whole_road_in_any_order_from_any_folders() -> Tested {
    let world = world()?;
    let ran = world.ok(&format!(
        "{PREPARE} --output usb/n.patch.spr --volume-size 120K"
    ))?;
    let document = world.ok(&format!(
        "{PREPARE} --output usb/m.patch.spr --volume-size 120K --json"
    ))?;
    let made: Value = serde_json::from_str(&document.out)?;
    let listed = made["files"].as_array().ok_or("no files")?;
    let count = listed.len();
    assert!(count >= 4, "{count}");
    for (number, file) in (1..).zip(listed.iter().chain([&made["head"]])) {
        let path = file["file"].as_str().ok_or("no name")?;
        let bytes = fs::read(world.path(path))?;
        if number <= count {
            assert_eq!(path, format!("usb/m.{number}of{count}.patch.spr"));
            assert!(bytes.len() <= 120 * 1024, "{path}: {}", bytes.len());
        }
        assert_eq!(file["size"], json!(bytes.len()));
        assert_eq!(file["sha256"], json!(Sha256::of(&bytes)));
    }
    // What is printed is the very line that sha256sum prints, in two.
    for number in 1..=count {
        let name = format!("usb/n.{number}of{count}.patch.spr");
        let sum = world.ok(&format!("sha256sum {name} | cut -d' ' -f1"))?.out;
        assert!(
            ran.out.contains(&format!("file       {name} (")),
            "{}",
            ran.out
        );
        assert!(
            ran.out.contains(&format!("sha256     {sum}")),
            "{}",
            ran.out
        );
    }
    // One statement and one signature, byte for byte; and stock tools read each file.
    let first = Parts::read(&world.path(&format!("usb/n.1of{count}.patch.spr")))?;
    let mut packs = 0;
    for number in 1..=count {
        let other = Parts::read(&world.path(&format!("usb/n.{number}of{count}.patch.spr")))?;
        assert_eq!(first.statement, other.statement);
        assert_eq!(first.signatures, other.signatures);
        let held = other
            .members
            .iter()
            .filter(|(name, _)| name.starts_with("packs/"));
        let held = held.count();
        assert_eq!(first.statement["volumes"][number - 1], json!(held));
        packs += held;
    }
    assert_eq!(
        first.statement["packs"].as_array().map(Vec::len),
        Some(packs)
    );

    // Names and places say nothing.
    world.ok("rm usb/m.*; mkdir a b 'c d'")?;
    for (number, to) in (1..=count).zip(
        [
            "b/zz.spr",
            "'c d/1of2.spr'",
            "a/n.4of9.patch.spr",
            "a/x.spr",
        ]
        .iter()
        .cycle(),
    ) {
        let to = if number > 4 { "b/more-$$.spr" } else { to };
        world.ok(&format!("mv usb/n.{number}of{count}.patch.spr {to}"))?;
    }
    let dry = world.ok(&format!("{APPLY} 'c d' a b --dry-run"))?;
    assert!(
        dry.err.contains(&format!("b/zz.spr: volume 1 of {count}")),
        "{}",
        dry.err
    );
    let dry = world.ok(&format!("{APPLY} b a 'c d' --dry-run --json"))?;
    let would: Value = serde_json::from_str(&dry.out)?;
    assert_eq!(would["volumes"][0], "b/zz.spr");
    assert_eq!(would["volumes"][1], "c d/1of2.spr");
    assert_eq!(would["volumes"].as_array().map(Vec::len), Some(count));
    let before: Vec<_> = ["a", "b", "c d"]
        .map(|folder| world.tree(folder))
        .into_iter()
        .collect::<Result<_, _>>()?;
    world.ok(&format!("{APPLY} a/x.spr 'c d' b a"))?;
    let after: Vec<_> = ["a", "b", "c d"]
        .map(|folder| world.tree(folder))
        .into_iter()
        .collect::<Result<_, _>>()?;
    assert_eq!(before, after, "what is read is left as it is");
    check_installed(&world)?;
    let received = world
        .ok("lockstep receive usb/n.receipt.spr --desk desk")?
        .out;
    assert!(received.contains("confirms   n.1of"), "{received}");
    world.refused(
        "PROD",
        &format!("{APPLY} a b 'c d'"),
        12,
        &["already-applied"],
    )?;
    Ok(())
}

#[test]
fn one_volume_finds_the_others_beside_it() -> Tested {
    let (world, files) = prepared()?;
    let ran = world.ok(&format!(
        "cd usb && {} n.3of{}.patch.spr",
        APPLY.replace("PROD", "../PROD").replace("usb/", ""),
        files.len()
    ))?;
    assert!(ran.err.contains("taken      ./n.1of"), "{}", ran.err);
    check_installed(&world)
}

#[test]
fn a_missing_volume_is_named() -> Tested {
    let (world, files) = prepared()?;
    let count = files.len();
    let name = format!("n.2of{count}.patch.spr");
    world.ok(&format!("mkdir away && mv usb/{name} away"))?;
    let missing = format!("volume 2 of {count} is missing");
    let line = format!("volume 2: {name}");
    let found = format!("volume 1: usb/n.1of{count}.patch.spr");
    let words = [
        missing.as_str(),
        &line,
        &found,
        "looked in",
        "lockstep apply",
    ];
    for what in ["usb", "usb/n.1of*", "usb/n.*.patch.spr", "usb --dry-run"] {
        world.refused("PROD", &format!("{APPLY} {what}"), 37, &words)?;
    }
    // What is to be typed does no more than what was typed.
    for (what, next) in [
        ("usb", "apply usb DIR --dry-run"),
        ("usb/n.1of*", " DIR --dry-run"),
    ] {
        let line = format!("{APPLY} {what} --dry-run");
        world.refused("PROD", &line, 37, &[next])?;
    }
    // Of a file that was renamed, nobody knows what its siblings are called.
    world.ok(&format!(
        "mkdir r && mv usb/n.1of{count}.patch.spr r/first.spr"
    ))?;
    let many = format!("{} of {count} volumes are missing", count - 1);
    let default = format!("PROD-0002.2of{count}.patch.spr");
    world.refused(
        "PROD",
        &format!("{APPLY} r/first.spr"),
        37,
        &[&many, &default],
    )?;
    // A head holds none of them.
    world.refused("PROD", &format!("{APPLY} usb/n.head.spr"), 37, &["head"])?;
    world.ok(&format!("{APPLY} r away usb"))?;
    check_installed(&world)
}

#[test]
fn volumes_of_files_alone_are_found_in_their_folders() -> Tested {
    let (world, files) = prepared()?;
    world.ok(&format!("mkdir a && mv {} {} a", files[0], files[2]))?;
    // One file from each folder is enough.
    let name = files[0].replace("usb/", "a/");
    world.ok(&format!("{APPLY} {name} {}", files[1]))?;
    check_installed(&world)
}

#[test]
fn a_volume_of_another_patch_under_the_right_name_is_not_mixed_in() -> Tested {
    let (world, files) = prepared()?;
    let count = files.len();
    // For the same node, in the same state, with the same contents; a reason makes it another patch.
    let ran = world.ok(&format!(
        "mkdir other && {PREPARE} --output other/n.patch.spr --volume-size 120K --accept downgrade --reason other --json"
    ))?;
    let others = self::files(&ran.out)?;
    assert_eq!(others.len(), count);
    world.ok(&format!(
        "mv {} other/mine.spr && cp {} {}",
        files[1], others[1], files[1]
    ))?;
    let missing = format!("volume 2 of {count} is missing");
    let alien = format!("{}: a file of another patch", files[1]);
    world.refused(
        "PROD",
        &format!("{APPLY} {}", files[0]),
        37,
        &[&missing, &alien],
    )?;
    world.refused(
        "PROD",
        &format!("{APPLY} usb"),
        37,
        &["volume 2 of", "missing"],
    )?;
    let verify = format!("{} --site site.spr", files[0]);
    world.refused_verify(&verify, 37, &missing)?;
    // With its own one, from wherever, it is whole; the other patch is whole as well, and only one goes.
    world.refused(
        "PROD",
        &format!("{APPLY} usb other"),
        2,
        &["several patches fit"],
    )?;
    // Named by its own files, it goes alone.
    world.ok(&format!("{APPLY} {} other/mine.spr", files[0]))?;
    check_installed(&world)
}

/// The one that is not whole may be the newer one, which would not fit once the other is applied.
#[test]
fn a_patch_of_which_a_volume_is_missing_is_one_of_several() -> Tested {
    let (world, files) = prepared()?;
    let count = files.len();
    let ran = world.ok(&format!(
        "mkdir other && {PREPARE} --output other/o.patch.spr --volume-size 120K --accept downgrade --reason other --json"
    ))?;
    let others = self::files(&ran.out)?;
    world.ok(&format!("rm {}", others[3]))?;
    let missing = format!("volume 4 of {count} is missing");
    let words = ["several patches fit", &files[0], &others[0], &missing];
    for more in ["", " --dry-run"] {
        world.refused("PROD", &format!("{APPLY} usb other{more}"), 2, &words)?;
    }
    world.ok(&format!("{APPLY} usb"))?;
    check_installed(&world)
}

/// Which signatures are the right ones is not for the file that happens to come first to say.
#[test]
fn a_strangers_volume_found_first_hides_no_genuine_set() -> Tested {
    let (world, files) = prepared()?;
    let count = files.len();
    world.ok("mkdir good && mv usb/n.* good")?;
    let good = |index: usize| files[index].replace("usb/", "good/");
    let forge = |index: usize| -> Tested {
        let parts = Parts::read(&world.path(&good(index)))?;
        let to = world.path(&format!("usb/{index}.spr"));
        parts.write_signed(&to, &world.path("keys/stranger"))
    };
    forge(0)?;
    let dry = world.ok(&format!("{APPLY} usb good --dry-run"))?;
    let taken = format!("taken      {}: volume 1 of {count}\n", good(0));
    let other = "not taken  usb/0.spr: its signatures are not those of the other volumes\n";
    for words in [taken.as_str(), other] {
        assert!(dry.err.contains(words), "{words}\n{}", dry.err);
    }
    // Nor is it for the only set that is whole.
    (1..count).try_for_each(forge)?;
    world.ok(&format!("mkdir away && mv {} away", good(1)))?;
    let missing = format!("volume 2 of {count} is missing");
    world.refused(
        "PROD",
        &format!("{APPLY} usb good"),
        37,
        &[&missing, "usb/0.spr"],
    )?;
    // A whole set of theirs beside a whole one of ours.
    let ran = world.ok(&format!("{APPLY} usb good away"))?;
    assert!(ran.err.contains(&taken), "{}", ran.err);
    check_installed(&world)
}

#[test]
fn of_two_files_of_one_volume_the_intact_one_is_read() -> Tested {
    let (world, files) = prepared()?;
    world.ok("cp -r usb again")?;
    let copy = |index: usize| files[index].replace("usb/", "again/");
    // Two equal files are no error, and of each volume one at most is damaged.
    damage(&world, &files[0])?;
    damage(&world, &files[1])?;
    damage(&world, &copy(2))?;
    // Told is what was read, and a copy is no file that was not taken.
    let ran = world.ok(&format!("{APPLY} usb again --dry-run --json"))?;
    let would: Value = serde_json::from_str(&ran.out)?;
    assert_eq!(would["file"], json!(copy(0)));
    let read = [copy(0), copy(1), files[2].clone(), files[3].clone()];
    assert_eq!(
        would["volumes"].as_array().map(|all| &all[..4]),
        Some(&read.map(Value::from)[..])
    );
    let copies = would["copies"].as_array().ok_or("no copies")?;
    assert_eq!(copies.len(), files.len());
    assert!(
        copies.contains(&json!(files[0])) && copies.contains(&json!(copy(2))),
        "{copies:?}"
    );
    let not_taken = would["not_taken"].to_string();
    assert!(!not_taken.contains("copy"), "{not_taken}");
    for line in [
        format!("{APPLY} usb again --dry-run"),
        format!("{APPLY} again usb --dry-run"),
    ] {
        let ran = world.ok(&line)?;
        assert!(ran.err.contains("is damaged: packs/"), "{}", ran.err);
        assert!(ran.err.contains("is read in its place"), "{}", ran.err);
    }
    damage(&world, &copy(1))?;
    let line = format!("{APPLY} usb again");
    world.refused("PROD", &line, 22, &["corrupt", "SHA-256"])?;
    let verify = world.run("lockstep verify usb/n.3of* usb again --site site.spr")?;
    assert_eq!(verify.code, 22, "{}", verify.out);
    damage(&world, &copy(1))?;
    let verify = world.ok("lockstep verify usb/n.3of* usb again --site site.spr")?;
    assert!(verify.out.contains("is damaged: packs/"), "{}", verify.out);
    world.ok(&line)?;
    check_installed(&world)
}

#[test]
fn what_all_volumes_repeat_is_read_from_one_that_is_intact() -> Tested {
    let (world, files) = prepared()?;
    for file in &files[..2] {
        let mut bytes = fs::read(world.path(file))?;
        let at = bytes.windows(8).rposition(|eight| eight == b"recipes/");
        bytes[at.ok_or("no recipe")? + 600] ^= 1;
        fs::write(world.path(file), bytes)?;
    }
    // The packs of a damaged file are not used either: without a copy that is the end, and nothing else
    // is read in its place.
    let ran = world.refused("PROD", &format!("{APPLY} usb"), 22, &["recipes/"])?;
    assert!(!ran.err.contains("in its place"), "{}", ran.err);
    // Of three copies, the last one is good; what cannot be read at all is passed over.
    world.ok("mkdir bad good")?;
    let cut = format!("head -c 900 {} > bad/cut.spr", files[0]);
    world.ok(&cut)?;
    for (index, file) in files[..2].iter().enumerate() {
        let mut bytes = fs::read(world.path(file))?;
        fs::write(world.path(&file.replace("usb/", "bad/")), &bytes)?;
        let at = bytes.windows(8).rposition(|eight| eight == b"recipes/");
        bytes[at.ok_or("no recipe")? + 600] ^= 1;
        fs::write(world.path(&format!("good/{index}.spr")), bytes)?;
    }
    let ran = world.ok(&format!("{APPLY} usb bad good"))?;
    for words in [
        "not taken  bad/cut.spr: ",
        "good/0.spr is read in its place",
        "taken      good/1.spr: volume 2",
    ] {
        assert!(ran.err.contains(words), "{words}\n{}", ran.err);
    }
    check_installed(&world)
}

/// What `apply` would do, an auditor sees: another copy of the volume that is read first is read in its
/// place, and a file that nobody can read is told and passed over.
#[test]
fn verify_reads_another_copy_of_the_volume_that_it_begins_with() -> Tested {
    let (world, files) = prepared()?;
    world.ok("cp -r usb again && rm usb/PROD* again/PROD*")?;
    world.ok(&format!("head -c 900 {} > usb/0.spr", files[0]))?;
    let verify = "lockstep verify usb again --site site.spr";
    damage(&world, &files[0])?;
    let out = world.ok(verify)?.out;
    let first = files[0].replace("usb/", "again/");
    for words in [
        format!("{} is damaged: packs/", files[0]),
        format!("{first} is read in its place"),
        "usb/0.spr: the file ends".to_owned(),
        format!("volume 1 of {}: {first}", files.len()),
    ] {
        assert!(out.contains(&words), "{words}\n{out}");
    }
    // One that is cut short is not begun with.
    world.ok(&format!("truncate -s -512 {}", files[0]))?;
    let out = world.ok(verify)?.out;
    let cut = format!("{}: the file is cut short", files[0]);
    assert!(out.contains(&cut), "{out}");
    // Nor one whose statement is not what was signed.
    world.ok(&format!(
        "cp {first} {} && sed -i 's/PROD/PRIM/' {}",
        files[0], files[0]
    ))?;
    let out = world.ok(verify)?.out;
    assert!(out.contains(&format!("{}: ", files[0])), "{out}");
    assert!(out.ends_with("\nverified\n"), "{out}");
    // Without another copy it is refused, as it was.
    world.ok(&format!("rm {first}"))?;
    let ran = world.run(verify)?;
    assert_eq!(ran.code, 37, "{}{}", ran.out, ran.err);
    // A patch in one file has copies as well.
    world.ok(&format!(
        "mkdir one && {PREPARE} --output one/a.patch.spr && cp one/a.patch.spr one/b.patch.spr"
    ))?;
    damage(&world, "one/a.patch.spr")?;
    let out = world.ok("lockstep verify one --site site.spr")?.out;
    assert!(
        out.contains("one/b.patch.spr is read in its place"),
        "{out}"
    );
    damage(&world, "one/b.patch.spr")?;
    world.refused_verify("one --site site.spr", 22, "SHA-256")
}

/// What is done to the packs of volume 2, given those of volume 1 and 3.
type Forge = fn(&mut Vec<(String, Vec<u8>)>, &[(String, Vec<u8>)], &[(String, Vec<u8>)]);

#[test]
fn a_volume_with_other_packs_than_its_own_is_refused() -> Tested {
    let (world, files) = prepared()?;
    let packs = |file: &str| -> Outcome<Vec<(String, Vec<u8>)>> {
        let mut members = Parts::read(&world.path(file))?.members;
        members.retain(|(name, _)| name.starts_with("packs/"));
        Ok(members)
    };
    let (before, after) = (packs(&files[0])?, packs(&files[2])?);
    assert!(packs(&files[1])?.len() > 1);
    let cases: [(&str, Forge); 8] = [
        ("one more", |own, _, after| own.push(after[0].clone())),
        ("one of the volume before", |own, before, _| {
            own.insert(0, before[0].clone());
        }),
        ("repeats those of another", |own, before, _| {
            *own = before.to_vec();
        }),
        ("in another order", |own, _, _| own.reverse()),
        ("one less", |own, _, _| drop(own.pop())),
        ("not the first", |own, _, _| drop(own.remove(0))),
        ("one twice", |own, _, _| own.push(own[0].clone())),
        ("another's under its name", |own, _, after| {
            let last = own.len() - 1;
            own[last].1 = after[0].1.clone();
        }),
    ];
    world.ok(&format!("mkdir good && mv {} good", files[1]))?;
    let good = files[1].replace("usb/", "good/");
    for (what, forge) in cases {
        println!("{what}");
        let mut parts = Parts::read(&world.path(&good))?;
        let mut own = packs(&good)?;
        forge(&mut own, &before, &after);
        parts
            .members
            .retain(|(name, _)| !name.starts_with("packs/"));
        parts.members.extend(own);
        parts.write(&world.path(&files[1]))?;
        for line in [format!("{APPLY} {}", files[0]), format!("{APPLY} usb")] {
            let ran = world.run(&line)?;
            assert!(
                [22, 37].contains(&ran.code),
                "{what}: {}\n{}",
                ran.code,
                ran.err
            );
            world.refused("PROD", &line, ran.code, &[])?;
        }
        let ran = world.run(&format!("lockstep verify {} --site site.spr", files[0]))?;
        assert!(
            [22, 37].contains(&ran.code),
            "{what}: {}\n{}",
            ran.code,
            ran.out
        );
        // Beside the good one it does no harm.
        let ran = world.ok(&format!("{APPLY} usb good --dry-run"))?;
        assert!(ran.err.contains(&files[0]), "{}", ran.err);
    }
    world.ok(&format!("{APPLY} usb good"))?;
    check_installed(&world)
}

#[test]
fn a_statement_whose_volumes_do_not_fit_is_refused() -> Tested {
    let (world, files) = prepared()?;
    let parts = Parts::read(&world.path(&files[0]))?;
    let counts: Vec<u64> = serde_json::from_value(parts.statement["volumes"].clone())?;
    let packs: u64 = counts.iter().sum();
    let with = |mut more: Vec<u64>| {
        more.extend(&counts);
        json!(more)
    };
    for (volumes, says) in [
        (json!([]), "the volumes hold 0 of"),
        (json!([packs + 1]), "the volumes hold"),
        (json!([packs - 1]), "the volumes hold"),
        (with(vec![0]), "a volume holds no pack"),
        (json!([packs, 0]), "a volume holds no pack"),
        (with(vec![u64::MAX >> 11]), "the volumes hold"),
        (with(vec![0; 1_000]), "more than 999"),
    ] {
        let mut parts = Parts::read(&world.path(&files[0]))?;
        parts.statement["volumes"] = volumes;
        parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
        world.refused("PROD", &format!("{APPLY} usb/forged.spr"), 22, &[says])?;
        world
            .refused_verify("usb/forged.spr --site site.spr", 22, says)
            .or_else(|_| {
                // What cannot be decoded is refused before anything is listed.
                let ran = world.run("lockstep verify usb/forged.spr --site site.spr")?;
                assert_eq!(ran.code, 22, "{}{}", ran.out, ran.err);
                Ok::<(), Box<dyn std::error::Error>>(())
            })?;
    }
    // Packs that do not come last, so that nobody knows where they stand.
    let mut parts = Parts::read(&world.path(&files[0]))?;
    let list = parts.statement["members"].as_array_mut().ok_or("no list")?;
    list.rotate_right(1);
    parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
    world.refused(
        "PROD",
        &format!("{APPLY} usb/forged.spr"),
        22,
        &["not the last members"],
    )?;
    Ok(())
}

#[test]
fn a_volume_without_its_signature_is_none() -> Tested {
    let (world, files) = prepared()?;
    world.ok(&format!("mkdir good && cp {} good", files[1]))?;
    let good = Parts::read(&world.path(&files[1]))?;
    let stripped = Parts {
        signatures: Vec::new(),
        ..good
    };
    stripped.write(&world.path(&files[1]))?;
    let missing = format!("volume 2 of {} is missing", files.len());
    let others = "its signatures are not those of the other volumes";
    world.refused(
        "PROD",
        &format!("{APPLY} {}", files[0]),
        37,
        &[&missing, others],
    )?;
    world.refused("PROD", &format!("{APPLY} usb"), 37, &[&missing, &files[1]])?;
    world.refused(
        "PROD",
        &format!("{APPLY} {}", files[1]),
        20,
        &["bad-signature"],
    )?;
    world.refused_verify(&format!("{} --site site.spr", files[0]), 37, &missing)?;
    // A signature by another key is none either.
    stripped.write_signed(&world.path(&files[1]), &world.path("keys/stranger"))?;
    world.refused(
        "PROD",
        &format!("{APPLY} {}", files[0]),
        37,
        &[&missing, others],
    )?;
    world.refused("PROD", &format!("{APPLY} usb"), 37, &[others])?;
    world.ok(&format!("{APPLY} usb good"))?;
    check_installed(&world)
}

#[test]
fn a_volume_that_was_cut_short_or_changed_in_between_is_told() -> Tested {
    let (world, files) = prepared()?;
    let size = fs::metadata(world.path(&files[1]))?.len();
    world.ok(&format!("truncate -s -512 {}", files[1]))?;
    let cut = format!("{}: the file is cut short", files[1]);
    world.refused("PROD", &format!("{APPLY} {}", files[0]), 37, &[&cut])?;
    world.refused("PROD", &format!("{APPLY} usb"), 37, &[&cut])?;
    let has = format!("has          {} bytes", size - 512);
    world.refused("PROD", &format!("{APPLY} {}", files[1]), 37, &[&has])?;
    world.ok(&format!("truncate -s {} {}", size + 512, files[1]))?;
    world.refused(
        "PROD",
        &format!("{APPLY} {}", files[0]),
        37,
        &["no volume of its patch"],
    )?;
    Ok(())
}

#[test]
fn an_auditor_sees_which_volume_a_file_is_and_verifies_all_of_them() -> Tested {
    let (world, files) = prepared()?;
    let count = files.len();
    world.ok("mkdir v && mv usb/n.* v")?;
    let files: Vec<String> = files
        .iter()
        .map(|file| file.replace("usb/", "v/"))
        .collect();
    for what in ["v", files[1].as_str(), "v/n.*.patch.spr", "v/n.head.spr v"] {
        let out = world
            .ok(&format!("lockstep verify {what} --site site.spr"))?
            .out;
        for (number, file) in (1..).zip(&files) {
            let line = format!("volume {number} of {count}: {file}");
            assert!(out.contains(&line), "{line}\n{out}");
        }
        assert!(out.ends_with("\nverified\n"), "{out}");
    }
    // One by itself is good as far as it goes, and not the whole.
    world.ok(&format!("mkdir one && cp {} one", files[1]))?;
    let alone = format!("one/n.2of{count}.patch.spr");
    let verify = format!("{alone} --site site.spr");
    world.refused_verify(
        &verify,
        37,
        &format!("{} of {count} volumes are missing", count - 1),
    )?;
    let out = world.run(&format!("lockstep verify {verify}"))?.out;
    assert!(
        out.contains(&format!("volume 2 of {count}: {alone}")),
        "{out}"
    );
    assert!(out.contains("preparer"), "{out}");
    let json = world.run(&format!("lockstep verify {verify} --json"))?;
    assert_eq!(
        (
            json.code,
            serde_json::from_str::<Value>(&json.out)?["verified"].clone()
        ),
        (37, json!(false))
    );
    // Without a site file nothing is verified, and what is missing is told all the same.
    let ran = world.run(&format!("lockstep verify {alone}"))?;
    assert_eq!(ran.code, 37, "{}", ran.out);

    let out = world.ok(&format!("lockstep inspect {}", files[1]))?.out;
    for (number, file) in (1..).zip(&files) {
        let size = fs::metadata(world.path(file))?.len();
        let this = if number == 2 { ", this file" } else { "" };
        assert!(
            out.contains(&format!("volume       {number} of {count}: ")),
            "{out}"
        );
        assert!(
            out.contains(&format!("({size} bytes){this}\n")),
            "{size}\n{out}"
        );
    }
    assert!(out.contains(&format!(": volume 2 of {count}\n")), "{out}");
    let json: Value = serde_json::from_str(
        &world
            .ok(&format!("lockstep inspect {} --json", files[1]))?
            .out,
    )?;
    assert_eq!(json["volumes"][1]["this"], true);
    let head = world.ok("lockstep inspect v/n.head.spr")?.out;
    assert!(head.contains(": a head\n"), "{head}");

    // Files of two patches are not one.
    let ran = world.run("lockstep verify v/n.1of* usb/PROD.patch.spr --site site.spr")?;
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    damage(&world, &files[3])?;
    world.refused_verify("v/n.1of* --site site.spr", 22, "SHA-256")?;
    Ok(())
}

#[test]
fn an_approval_of_any_volume_counts_for_all() -> Tested {
    let world = World::with_policy("approvals = 2\n")?;
    world.init("PROD")?;
    let files = [
        ("a.txt", lines(1)),
        ("b.txt", lines(2)),
        ("c.txt", lines(3)),
    ];
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    world.component(BIG, &files, "")?;
    world.ok(&format!(
        "{PREPARE} --site site.spr --key keys/desk --output usb/n.patch.spr --volume-size 100K"
    ))?;
    world.refused("PROD", &format!("{APPLY} usb"), 23, &["not-approved"])?;
    world.ok("lockstep approve usb/n.2of* --key keys/anna --site site.spr")?;
    world.ok("mkdir a && mv usb/n.1of* a && cp usb/n.head.spr a")?;
    let ran = world.ok("lockstep approve a/n.head.spr --key keys/ben --site site.spr")?;
    assert!(ran.out.contains("a/n."), "{}", ran.out);
    assert!(!ran.out.contains("of3."), "{}", ran.out);
    // Each lies beside another volume.
    world.ok("lockstep verify usb/n.2of* a --site site.spr")?;
    world.ok(&format!("{APPLY} usb a"))?;
    assert_eq!(fs::read_to_string(world.path("PROD/b.txt"))?, lines(2));
    Ok(())
}

#[test]
fn the_limit_is_held_to_the_byte() -> Tested {
    let world = world()?;
    let prepare = |size: &str| {
        world.run(&format!(
            "rm -f usb/n.*; {PREPARE} --output usb/n.patch.spr --volume-size {size} --json"
        ))
    };
    let sizes = |out: &str| -> Outcome<Vec<u64>> {
        let sizes = files(out)?
            .into_iter()
            .map(|file| Ok(fs::metadata(world.path(&file))?.len()));
        sizes.collect()
    };
    // What does not fit says what would, and that is the least that does.
    let refused: Value = serde_json::from_str(&prepare("1")?.out)?;
    assert_eq!(
        (&refused["refusal"], &refused["exit"]),
        (&json!("usage"), &json!(2))
    );
    let next = refused["next"].as_str().ok_or("no next")?;
    let least: u64 = next.rsplit(' ').next().ok_or("no number")?.parse()?;
    let again: Value = serde_json::from_str(&prepare(&(least - 1).to_string())?.out)?;
    assert_eq!(again["next"], refused["next"]);
    assert!(!fs::exists(world.path("usb/n.head.spr"))?);
    let mut counts = BTreeSet::new();
    for limit in [
        least,
        least + 1,
        least + 511,
        least + 512,
        least + 40_000,
        100_000,
        150_001,
        300 * 1024,
    ] {
        let ran = prepare(&limit.to_string())?;
        assert_eq!(ran.code, 0, "{limit}: {}{}", ran.out, ran.err);
        let sizes = sizes(&ran.out)?;
        assert!(
            sizes.iter().all(|size| *size <= limit),
            "{limit}: {sizes:?}"
        );
        counts.insert(sizes.len());
    }
    assert!(counts.len() > 3, "{counts:?}");
    // As large as all of it is: one file, under the plain name. One byte less: two.
    let whole = sizes(&prepare("2M")?.out)?;
    let [whole] = whole.as_slice() else {
        return Err(format!("{whole:?}").into());
    };
    let ran = prepare(&whole.to_string())?;
    assert_eq!(files(&ran.out)?, ["usb/n.patch.spr"]);
    let ran = prepare(&(whole - 1).to_string())?;
    assert_eq!(
        files(&ran.out)?,
        ["usb/n.1of2.patch.spr", "usb/n.2of2.patch.spr"]
    );
    world.ok(&format!("{APPLY} usb"))?;
    check_installed(&world)
}

#[test]
fn sizes_are_said_as_sizes_or_as_a_medium() -> Tested {
    let world = world()?;
    for size in ["fat32", "FAT32", "4G", "700M"] {
        let ran = world.ok(&format!(
            "rm -f usb/n.*; {PREPARE} --output usb/n.patch.spr --volume-size {size} --json"
        ))?;
        assert_eq!(files(&ran.out)?, ["usb/n.patch.spr"]);
    }
    let ran = world.run(&format!(
        "{PREPARE} --output usb/o.patch.spr --volume-size dvd"
    ))?;
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("neither a size such as 700M nor fat32"),
        "{}",
        ran.err
    );
    Ok(())
}

#[test]
fn volumes_of_an_earlier_patch_are_not_left_beside_new_ones() -> Tested {
    let (world, files) = prepared()?;
    world.ok(&format!("rm usb/n.head.spr {} {}", files[0], files[1]))?;
    for size in ["", "--volume-size 200K", "--volume-size 120K"] {
        let line = format!("{PREPARE} --output usb/n.patch.spr {size}");
        world.refused("usb", &line, 2, &["volumes of an earlier patch", &files[2]])?;
    }
    // Of several environments, each has its own.
    world.ok(&format!(
        "{PREPARE} --output usb/nn.patch.spr --volume-size 200K"
    ))?;
    Ok(())
}

#[test]
fn a_pipe_that_is_called_like_a_patch_holds_nobody_up() -> Tested {
    let world = World::installed()?;
    world.ok("mkfifo usb/p.patch.spr")?;
    let line = "timeout 20 lockstep apply usb/p.patch.spr --root PROD";
    world.refused("PROD", line, 2, &["p.patch.spr"])?;
    Ok(())
}

#[test]
fn an_adoption_or_a_removal_is_one_file_whatever_is_asked_for() -> Tested {
    let world = World::installed()?;
    let line = "lockstep prepare --environment PROD --remove restapi --accept downgrade --reason test --desk desk --output usb/n.patch.spr";
    let ran = world.run(&format!("{line} --volume-size 1K"))?;
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("works"), "{}", ran.err);
    let ran = world.ok(&format!("{line} --volume-size 64K --json"))?;
    assert_eq!(files(&ran.out)?, ["usb/n.patch.spr"]);
    let parts = Parts::read(&world.path("usb/n.patch.spr"))?;
    assert_eq!(parts.statement["volumes"], json!([0]));
    Ok(())
}

/// Each `fsync` in turn does not come off: no file is left under its name, and a patch whose files were
/// taken back is not on the desk's list.
#[test]
fn a_set_that_cannot_be_made_durable_is_taken_back() -> Tested {
    let world = world()?;
    if world.run("strace -f -qq -o /dev/null true")?.code != 0 {
        eprintln!("strace does not run here: no call is made to fail");
        return Ok(());
    }
    let prepared = || -> Outcome<usize> {
        let ran = world.ok("grep -rho '\"patch\":' desk/state/environments")?;
        Ok(ran.out.lines().count())
    };
    world.ok(&format!("{PREPARE} --output usb/first.patch.spr"))?;
    let usb = world.tree("usb")?;
    let mut taken_back = 0;
    for (refused, at) in (1..200).enumerate() {
        let before = prepared()?;
        let ran = world.run(&format!(
            "strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO:when={at} \
             {PREPARE} --output usb/n.patch.spr --volume-size 120K"
        ))?;
        let said = format!("at {at}: {}\n{}", ran.code, ran.err);
        if ran.code == 0 {
            assert!(refused >= 10 && taken_back >= 5, "{refused} points, {said}");
            let document = world
                .ok("cat usb/n.head.spr | tar -xO patch.json | sha256sum")?
                .out;
            let patch = document.split(' ').next().unwrap_or_default();
            world.ok(&format!("grep -rq {patch} desk/state/environments"))?;
            return Ok(());
        }
        assert!(world.tree("usb")? == usb, "{said}");
        // Where the list itself cannot be made durable, it may name a patch that nobody got.
        if ran.err.contains("sync usb") {
            taken_back += 1;
            // One of the same second that stayed on the list is the same patch.
            assert!(prepared()? <= before, "{said}");
        }
    }
    Err("every point was refused".into())
}
