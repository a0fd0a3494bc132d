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
    let cases: [(Forge, &[&str]); 5] = [
        // The customer may edit it: it is no base, whatever it holds now.
        (
            |parts, config| {
                parts.statement["operations"][0]["base"] = json!(config);
                Ok(())
            },
            &["no pristine file has"],
        ),
        (
            |parts, _| {
                parts.statement["operations"][0]["memory"] = json!(1000);
                Ok(())
            },
            &["asks for", "memory"],
        ),
        (
            |parts, _| {
                let list = parts.statement["operations"].as_array_mut().ok_or("none")?;
                let bases: Vec<Value> = list.iter().map(|op| op["base"].clone()).collect();
                list[0]["base"] = bases[1].clone();
                list[1]["base"] = bases[0].clone();
                Ok(())
            },
            &["the delta is damaged"],
        ),
        (
            |parts, _| {
                parts.statement["operations"][0]["codec"] = json!("delta-1-zlib-9.9.9");
                Ok(())
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
