//! What changed a little travels as a delta, and whatever is wrong with one is refused.

use std::fs;

use lockstep::model::Sha256;
use serde_json::{Value, json};

use crate::forge::Parts;
use crate::world::{Outcome, Tested, World};

const OLD: &str = "lib/9.0/lib-9.0";
const NEW: &str = "lib/9.1/lib-9.1";

/// Lines that compress badly, one of them with another word.
fn lines(word: &str) -> String {
    let line = |line: u32| {
        let number = line.wrapping_mul(2_654_435_761);
        format!("{number:08x} {}\n", Sha256::of(&line.to_be_bytes()))
    };
    let text: String = (0..2000).map(line).collect();
    text.replacen("\n0", &format!("\n{word} 0"), 1)
}

/// Installs the old version, as the desk knows.
fn old_version(world: &World, name: &str) -> Tested {
    world.ok(&format!(
        "lockstep prepare --environment {name} --desk desk --to {OLD} --output usb/{name}-o.spr"
    ))?;
    world.apply(
        name,
        &format!("usb/{name}-o.spr"),
        &format!("usb/{name}-o.receipt.spr"),
    )?;
    world.ok(&format!(
        "lockstep receive usb/{name}-o.receipt.spr --desk desk"
    ))?;
    Ok(())
}

/// PROD and TEST have the old version, in which `conf/big.conf` is the customer's.
fn world() -> Outcome<World> {
    let world = World::installed()?;
    world.install("TEST")?;
    let conf = lines("conf");
    for (recipe, word, file) in [(OLD, "old", "big-1.0.txt"), (NEW, "new", "big-1.1.txt")] {
        let files = [
            ("lib/same-path.txt", lines(word)),
            (file, lines(&format!("renamed {word}"))),
            ("conf/big.conf", conf.clone()),
        ];
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, text)| (*path, text.as_str()))
            .collect();
        world.component(recipe, &files, "--config 'conf/*'")?;
    }
    for name in ["PROD", "TEST"] {
        old_version(&world, name)?;
    }
    Ok(world)
}

fn prepare(name: &str, more: &str) -> String {
    format!(
        "lockstep prepare --environment {name} --desk desk --to {NEW} --output usb/{name}-n.spr {more}"
    )
}

#[test]
fn what_changed_a_little_travels_as_a_delta() -> Tested {
    let world = world()?;
    let out = world.ok(&prepare("PROD", ""))?.out;
    assert!(out.contains("0 travel whole (0 B), 2 as deltas ("), "{out}");
    let patch = fs::metadata(world.path("usb/PROD-n.spr"))?.len();
    assert!(patch < 40_000, "{patch} bytes");
    let out = world.ok("lockstep inspect usb/PROD-n.spr")?.out;
    assert!(out.contains("0 whole, 2 as deltas"), "{out}");
    world.apply("PROD", "usb/PROD-n.spr", "usb/PROD-n.receipt.spr")?;
    for (path, word) in [("lib/same-path.txt", "new"), ("big-1.1.txt", "renamed new")] {
        assert_eq!(
            fs::read_to_string(world.path("PROD").join(path))?,
            lines(word)
        );
    }
    assert!(!world.path("PROD/big-1.0.txt").exists());
    let out = world.ok(&prepare("TEST", "--whole"))?.out;
    assert!(out.contains("2 travel whole"), "{out}");
    assert!(out.contains("0 as deltas"), "{out}");
    world.apply("TEST", "usb/TEST-n.spr", "usb/TEST-n.receipt.spr")?;
    Ok(())
}

#[test]
fn the_second_environment_uses_what_was_kept() -> Tested {
    let world = world()?;
    world.ok(&prepare("PROD", ""))?;
    let kept = || -> Outcome<Vec<_>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(world.path("desk/cache/deltas"))? {
            let entry = entry?;
            all.push((entry.path(), entry.metadata()?.modified()?));
        }
        all.sort();
        Ok(all)
    };
    let first = kept()?;
    assert_eq!(first.len(), 2);
    let out = world.ok(&prepare("TEST", ""))?.out;
    assert!(out.contains("2 as deltas"), "{out}");
    assert_eq!(kept()?, first, "nothing was made anew");
    // What was damaged is made anew.
    for (path, _) in &first {
        let mut bytes = fs::read(path)?;
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path, bytes)?;
    }
    world.ok("rm usb/TEST-n*")?;
    world.ok(&prepare("TEST", ""))?;
    world.apply("TEST", "usb/TEST-n.spr", "usb/TEST-n.receipt.spr")?;
    Ok(())
}

#[test]
fn each_effort_makes_the_same_of_other_deltas() -> Tested {
    let world = world()?;
    let mut sizes = Vec::new();
    for effort in ["fast", "default", "best"] {
        let more = format!("--effort {effort} --json --output usb/{effort}.spr");
        let line = format!("lockstep prepare --environment TEST --desk desk --to {NEW} {more}");
        let told: Value = serde_json::from_str(&world.ok(&line)?.out)?;
        assert_eq!(told["contents"]["deltas"], 2, "{told}");
        sizes.push(told["contents"]["delta_bytes"].as_u64().unwrap_or(0));
    }
    let kept = fs::read_dir(world.path("desk/cache/deltas"))?.count();
    assert_eq!(kept, 6, "what one effort made is not taken for another's");
    assert!(sizes.is_sorted_by(|a, b| a >= b), "{sizes:?}");
    world.apply("TEST", "usb/fast.spr", "usb/TEST-n.receipt.spr")?;
    let text = fs::read_to_string(world.path("TEST/big-1.1.txt"))?;
    assert_eq!(text, lines("renamed new"));
    let ran = world.run("lockstep prepare --all --effort most --to x")?;
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("fast, default, best"), "{}", ran.err);
    Ok(())
}

/// PROD has the contents of three files, in other places or about so; the new release also has one that
/// resembles nothing.
#[test]
fn each_content_is_explained() -> Tested {
    let world = world()?;
    let recipe = "lib/9.2/lib-9.2";
    let (moved, noise) = (lines("conf"), "nothing like it\n".repeat(40));
    let files = [
        ("lib/same-path.txt", lines("new").as_str()),
        ("big-1.1.txt", &lines("renamed old")),
        ("conf/big.conf", &lines("conf")),
        ("conf/other.conf", &moved),
        ("alone.bin", &noise),
    ]
    .map(|(path, text)| (path, text.to_owned()));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (*path, text.as_str()))
        .collect();
    world.component(recipe, &files, "--config 'conf/*'")?;
    let line = |more: &str| {
        format!(
            "lockstep prepare --environment PROD --desk desk --to {recipe} --output usb --explain {more}"
        )
    };
    let out = world.ok(&line(""))?.out;
    for words in [
        "  delta      lib/same-path.txt: ",
        ", from lib/same-path.txt; takes ",
        "  copied     big-1.1.txt: 0 B of ",
        ", installed as big-1.0.txt\n",
        "  whole      alone.bin: 640 B (",
        ": nothing resembles it that is certain to be installed\n",
        "; compared in 0.",
    ] {
        assert!(out.contains(words), "no {words:?} in {out}");
    }
    world.ok("rm usb/PROD-*.patch.spr usb/PROD-*.head.spr")?;
    let told: Value = serde_json::from_str(&world.ok(&line("--json"))?.out)?;
    let explained = told["explained"].as_array().ok_or("no list")?;
    let of = |path: &str| explained.iter().find(|one| one["path"] == path);
    let delta = of("lib/same-path.txt").ok_or("not explained")?;
    assert_eq!(delta["codec"], "delta-0-zlib-1.3.2");
    assert_eq!(delta["compared_ms"], Value::Null, "kept from before");
    assert!(
        delta["travels"].as_u64() < delta["stored"].as_u64(),
        "{delta}"
    );
    assert_eq!(of("alone.bin").ok_or("not explained")?["codec"], "whole");
    world.ok("rm usb/PROD-*.patch.spr usb/PROD-*.head.spr")?;
    let out = world.ok(&line("--whole"))?.out;
    assert_eq!(out.matches("--whole was asked for\n").count(), 4, "{out}");
    Ok(())
}

/// Many contents, some of them in several places, made by one thread and by four, with the least memory
/// that the patch may be given; with less it is refused with the number.
#[test]
fn many_contents_are_made_at_once() -> Tested {
    let world = World::installed()?;
    world.install("TEST")?;
    for (recipe, word) in [(OLD, "old"), (NEW, "new")] {
        let mut files = Vec::new();
        for number in 0..16 {
            files.push((
                format!("lib/{number}.txt"),
                lines(&format!("{word} {number}")),
            ));
            files.push((
                format!("small/{number}"),
                format!("{word} {number}\n").repeat(number),
            ));
        }
        files.push(("copies/3.txt".to_owned(), lines(&format!("{word} 3"))));
        files.push(("copies/4".to_owned(), format!("{word} 4\n").repeat(4)));
        files.push((format!("large.{word}"), lines(word).repeat(4)));
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        world.component(recipe, &files, "")?;
    }
    for (name, threads) in [("PROD", 1), ("TEST", 4)] {
        old_version(&world, name)?;
        let out = world.ok(&prepare(name, ""))?.out;
        assert!(out.contains(", 16 as deltas ("), "{out}");
        let statement = world
            .ok(&format!("tar -xOf usb/{name}-n.spr patch.json"))?
            .out;
        let statement: Value = serde_json::from_str(&statement)?;
        let memory = statement["memory"].as_u64().ok_or("no number")?;
        let line = |memory: u64| {
            format!(
                "RAYON_NUM_THREADS={threads} lockstep apply usb/{name}-n.spr --root {name} --memory {memory}"
            )
        };
        let least = format!("apply FILE --memory {memory}");
        world.refused(name, &line(memory - 1), 33, &["no-memory", &least])?;
        world.ok(&format!(
            "{} --receipt usb/{name}-n.receipt.spr",
            line(memory)
        ))?;
        world.ok(&format!("lockstep status --check --root {name}"))?;
    }
    for folder in ["lib", "small", "copies"] {
        assert!(world.tree(&format!("PROD/{folder}"))?.len() > 1);
        let differ = format!("diff -r PROD/{folder} TEST/{folder}");
        assert_eq!(world.ok(&differ)?.out, "");
    }
    let text = fs::read_to_string(world.path("TEST/copies/3.txt"))?;
    assert_eq!(text, lines("new 3"));
    Ok(())
}

/// A signal at every so-manyth file that is opened: nothing is left beside the patch or in the cache, and
/// the same line does it afterwards.
#[test]
fn a_signal_while_a_patch_is_made_leaves_nothing() -> Tested {
    let world = world()?;
    if world.run("strace -f -qq -o /dev/null true")?.code != 0 {
        eprintln!("strace does not run here: no signal is sent at a certain moment");
        return Ok(());
    }
    let usb = world.tree("usb")?;
    let mut in_time = 0;
    for at in (20..600).step_by(9) {
        fs::remove_dir_all(world.path("desk/cache/deltas")).ok();
        let fault = format!("signal=INT:when={at}");
        let line = prepare("PROD", "");
        let ran = world.run(&format!(
            "RAYON_NUM_THREADS=1 strace -f -qq -o /dev/null -e trace=openat -e inject=openat:{fault} {line}"
        ))?;
        let left: Vec<_> = fs::read_dir(world.path("desk/cache"))?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .filter(|name| name.starts_with(".lockstep-"))
            .collect();
        assert!(left.is_empty(), "at {at}: {left:?}\n{}", ran.err);
        match ran.code {
            0 => {
                assert!(in_time >= 5, "in time at {in_time} points");
                world.apply("PROD", "usb/PROD-n.spr", "usb/PROD-n.receipt.spr")?;
                return Ok(());
            }
            38 => {
                in_time += 1;
                assert!(ran.err.contains("SIGINT"), "{}", ran.err);
                assert!(world.tree("usb")? == usb, "at {at}: {}", ran.err);
            }
            // While the program is still being loaded, nobody handles it.
            -1 | 130 if in_time == 0 => {}
            code => return Err(format!("at {at}: {code}\n{}", ran.err).into()),
        }
    }
    Err("no signal came too late".into())
}

/// A signal while many are prepared: what was done until then is told and stays, the others are told as
/// not begun, and nobody is told that the signal came too late.
#[test]
fn a_signal_among_many_leaves_what_was_done() -> Tested {
    let world = world()?;
    if world.run("strace -f -qq -o /dev/null true")?.code != 0 {
        eprintln!("strace does not run here: no signal is sent at a certain moment");
        return Ok(());
    }
    let line = format!("lockstep prepare --all --desk desk --to {NEW} --output many --explain");
    let (mut between, mut before) = (0, 0);
    for at in (60..900).step_by(20) {
        world.ok("rm -rf many && mkdir many")?;
        let ran = world.run(&format!(
            "RAYON_NUM_THREADS=1 strace -f -qq -o /dev/null -e trace=openat -e inject=openat:signal=INT:when={at} {line}"
        ))?;
        let said = format!("at {at}: {}\n{}{}", ran.code, ran.out, ran.err);
        let left: Vec<_> = world.tree("many")?.into_keys().collect();
        match ran.code {
            0 => {
                assert!(between >= 1 && before >= 1, "{between} and {before}");
                assert_eq!(ran.out.matches("\n  delta      ").count(), 4, "{}", ran.out);
                assert_eq!(ran.out.matches(" bytes, sha256 ").count(), 4, "{}", ran.out);
                return Ok(());
            }
            38 => {
                assert!(!ran.err.contains("last moment"), "{said}");
                let done = ran.out.matches("prepared   ").count();
                assert_eq!(left.len(), 2 * done, "{left:?} {said}");
                if done == 1 {
                    between += 1;
                    assert!(
                        ran.out.contains("refused    TEST: interrupted (38)"),
                        "{said}"
                    );
                } else {
                    before += 1;
                    assert!(ran.out.contains("before this one was begun"), "{said}");
                }
            }
            -1 | 130 if before == 0 => {}
            _ => return Err(said.into()),
        }
    }
    Err("no signal came too late".into())
}

#[test]
fn a_base_that_the_source_lacks_costs_only_room() -> Tested {
    let world = world()?;
    let old = lines("old");
    let blob = lockstep::model::Blake3::of(old.as_bytes()).to_string();
    world.ok(&format!("rm repository/blobs/{}/{blob}.zst", &blob[..2]))?;
    let ran = world.ok(&prepare("PROD", ""))?;
    assert!(ran.out.contains("1 travel whole"), "{}", ran.out);
    assert!(ran.err.contains("travels whole"), "{}", ran.err);
    world.apply("PROD", "usb/PROD-n.spr", "usb/PROD-n.receipt.spr")?;
    Ok(())
}

/// What a desk that holds a trusted key does to a patch, given the digest of a config file.
type Forge = fn(&mut Parts, Sha256) -> Tested;

#[test]
fn a_forged_delta_is_refused_and_nothing_changes() -> Tested {
    let world = world()?;
    world.ok(&prepare("PROD", ""))?;
    let config = Sha256::of(lines("conf").as_bytes());
    let cases: [(Forge, &[&str]); 6] = [
        (
            |parts, _| {
                let mut list = parts.operations()?;
                let first = list.first_mut();
                first.ok_or("none")?["codec"] = json!("magic");
                parts.set_operations(&list)
            },
            &["the codec \"magic\" is not one"],
        ),
        // The customer may edit it: it is no base, whatever it holds now.
        (
            |parts, config| {
                let mut list = parts.operations()?;
                list[0]["base"] = json!(config);
                parts.set_operations(&list)
            },
            &["no pristine file has"],
        ),
        (
            |parts, _| {
                let mut list = parts.operations()?;
                list[0]["memory"] = json!(1000);
                parts.set_operations(&list)
            },
            &["asks for", "memory"],
        ),
        (
            |parts, _| {
                let mut list = parts.operations()?;
                let bases: Vec<Value> = list.iter().map(|op| op["base"].clone()).collect();
                list[0]["base"] = bases[1].clone();
                list[1]["base"] = bases[0].clone();
                parts.set_operations(&list)
            },
            &["the delta is damaged"],
        ),
        (
            |parts, _| {
                let mut list = parts.operations()?;
                list[0]["codec"] = json!("delta-1-zlib-9.9.9");
                parts.set_operations(&list)
            },
            &["delta-1-zlib-9.9.9"],
        ),
        (
            |parts, _| {
                let packs = parts
                    .members
                    .iter_mut()
                    .find(|(name, _)| name.starts_with("packs/"));
                let (_, pack) = packs.ok_or("no pack")?;
                let mut plain = zstd::decode_all(pack.as_slice())?;
                let last = plain.len() - 3;
                plain[last] ^= 0x55;
                *pack = zstd::encode_all(plain.as_slice(), 3)?;
                parts.relist()
            },
            &["corrupt"],
        ),
    ];
    for (forge, says) in cases {
        let mut parts = Parts::read(&world.path("usb/PROD-n.spr"))?;
        forge(&mut parts, config)?;
        parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
        let line = "lockstep apply usb/forged.spr --root PROD";
        world.refused("PROD", line, 22, says)?;
    }
    world.apply("PROD", "usb/PROD-n.spr", "usb/PROD-n.receipt.spr")?;
    Ok(())
}
