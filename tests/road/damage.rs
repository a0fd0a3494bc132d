//! Damaged and hostile files: a refusal of the table, no panic, nothing written.

use std::fs;

use crate::forge::Parts;
use crate::world::{MP5, Outcome, Tested, World};

type EditMembers = fn(&mut Vec<(String, Vec<u8>)>);
type EditStatement = fn(&mut serde_json::Value);

/// A world with a good second patch, and that patch in parts.
fn patched() -> Outcome<(World, Parts)> {
    let world = World::installed()?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/good.spr")?;
    let parts = Parts::read(&world.path("usb/good.spr"))?;
    Ok((world, parts))
}

/// Applies a file that must be refused, in any of these ways; inspect must survive it as well.
fn refused(world: &World, file: &str, codes: &[i32]) -> Tested {
    let before = world.tree("PROD")?;
    let ran = world.run(&format!("lockstep apply {file} --root PROD"))?;
    let looked = world.run(&format!("lockstep inspect {file}"))?;
    let fits = codes.contains(&ran.code) && before == world.tree("PROD")?;
    let calm =
        !ran.err.contains("panicked") && looked.code >= 0 && !looked.err.contains("panicked");
    if fits && calm {
        return Ok(());
    }
    Err(format!(
        "{file}: exit {}, {codes:?} were expected\n{}\n{}",
        ran.code, ran.err, looked.err
    )
    .into())
}

#[test]
fn members_missing_extra_doubled_and_reordered() -> Tested {
    let (world, parts) = patched()?;
    let desk = world.path("keys/desk");
    let edits: [(&str, EditMembers); 6] = [
        ("missing", |members| drop(members.remove(1))),
        ("extra", |members| {
            members.push(("extra.txt".to_owned(), b"x".to_vec()));
        }),
        ("doubled", |members| members.insert(1, members[1].clone())),
        ("reordered", |members| members.swap(0, 1)),
        ("renamed", |members| members[0].0 = "other.json".to_owned()),
        ("longer", |members| members[0].1.push(b' ')),
    ];
    for (name, edit) in edits {
        let mut parts = Parts {
            members: parts.members.clone(),
            statement: parts.statement.clone(),
            signatures: Vec::new(),
            ..parts
        };
        edit(&mut parts.members);
        let file = format!("usb/{name}.spr");
        parts.write_signed(&world.path(&file), &desk)?;
        refused(&world, &file, &[22])?;
    }
    Ok(())
}

#[test]
fn a_statement_edited_and_signed_again_by_a_trusted_desk() -> Tested {
    let (world, parts) = patched()?;
    let desk = world.path("keys/desk");
    let edits: [(&str, EditStatement, &[i32]); 10] = [
        ("unknown-key", |s| s["surprise"] = 1_u64.into(), &[22]),
        (
            "challenge",
            |s| s["nodes"][0]["challenge"] = "00".repeat(32).into(),
            &[13],
        ),
        (
            "before",
            |s| s["nodes"][0]["before"] = "11".repeat(32).into(),
            &[13],
        ),
        (
            "after",
            |s| s["nodes"][0]["after"] = "11".repeat(32).into(),
            &[13],
        ),
        ("node", |s| s["nodes"][0]["name"] = "OTHER".into(), &[10]),
        (
            "recipe",
            |s| {
                let line = s["target"][0].as_str().unwrap_or_default().to_owned();
                s["target"][0] = format!("{}{}", "22".repeat(32), &line[64..]).into();
            },
            &[21, 22],
        ),
        (
            "operations",
            |s| drop(s.as_object_mut().and_then(|s| s.remove("operations"))),
            &[22],
        ),
        (
            "fewer-operations",
            |s| s["operations"]["whole"] = 0_u64.into(),
            &[22],
        ),
        (
            "longer-operations",
            |s| s["operations"]["size"] = 500_000_000_u64.into(),
            &[22],
        ),
        ("volumes", |s| s["volumes"] = vec![99_u64].into(), &[22]),
    ];
    for (name, edit, codes) in edits {
        let mut parts = Parts {
            members: parts.members.clone(),
            statement: parts.statement.clone(),
            signatures: Vec::new(),
            ..parts
        };
        edit(&mut parts.statement);
        let file = format!("usb/{name}.spr");
        parts.write_signed(&world.path(&file), &desk)?;
        refused(&world, &file, codes)?;
    }
    Ok(())
}

#[test]
fn a_content_swapped_by_a_trusted_desk_is_never_placed() -> Tested {
    let (world, mut parts) = patched()?;
    // The desk keeps every size and digest in its own statement true, and lies about the content.
    let (_, pack) = parts
        .members
        .iter_mut()
        .find(|(name, _)| name.starts_with("packs/"))
        .ok_or("no pack")?;
    let mut content = zstd::decode_all(pack.as_slice())?;
    content[0] ^= 1;
    *pack = zstd::encode_all(content.as_slice(), 3)?;
    parts.relist()?;
    parts.write_signed(&world.path("usb/swapped.spr"), &world.path("keys/desk"))?;
    refused(&world, "usb/swapped.spr", &[22])
}

#[test]
fn a_zstd_bomb() -> Tested {
    let (world, mut parts) = patched()?;
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1_000_000_000), 1)?;
    let pack = parts
        .members
        .iter()
        .position(|(name, _)| name.starts_with("packs/"))
        .ok_or("no pack")?;
    let timestamp = parts
        .members
        .iter()
        .position(|(name, _)| name.ends_with("timestamp.json.zst"))
        .ok_or("no timestamp")?;
    for at in [pack, timestamp] {
        let good = std::mem::replace(&mut parts.members[at].1, bomb.clone());
        parts.relist()?;
        parts.write_signed(&world.path("usb/bomb.spr"), &world.path("keys/desk"))?;
        refused(&world, "usb/bomb.spr", &[21, 22])?;
        parts.members[at].1 = good;
    }
    Ok(())
}

#[test]
fn every_cut_and_some_flips() -> Tested {
    let (world, _) = patched()?;
    let good = fs::read(world.path("usb/good.spr"))?;
    for cut in (0..good.len()).step_by(good.len() / 23) {
        fs::write(world.path("usb/cut.spr"), &good[..cut])?;
        refused(&world, "usb/cut.spr", &[22, 37])?;
    }
    let seed = std::time::UNIX_EPOCH.elapsed()?.subsec_nanos() as usize;
    println!("seed {seed}");
    for step in 0..40 {
        let at = (seed
            .wrapping_mul(2_654_435_761)
            .wrapping_add(step * 7_919 * 13))
            % good.len();
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (step % 8);
        fs::write(world.path("usb/flip.spr"), bytes)?;
        refused(&world, "usb/flip.spr", &[2, 10, 20, 21, 22, 25, 26, 37])?;
    }
    Ok(())
}

#[test]
fn other_files_are_told_apart() -> Tested {
    let (world, _) = patched()?;
    world.ok("echo hello > usb/text.spr; head -c 4096 /dev/zero > usb/zeros.spr; head -c 9000 /dev/urandom > usb/noise.spr; tar -cf usb/plain.spr policy.toml")?;
    for file in ["text", "zeros", "noise", "plain"] {
        refused(&world, &format!("usb/{file}.spr"), &[22, 37])?;
    }
    let mut trailing = fs::read(world.path("usb/good.spr"))?;
    trailing.extend_from_slice(&[0; 512]);
    fs::write(world.path("usb/trailing.spr"), trailing)?;
    refused(&world, "usb/trailing.spr", &[22])
}

#[test]
fn json_too_deep_duplicate_and_escapes() -> Tested {
    let (world, parts) = patched()?;
    let text = serde_json::to_string(&parts.statement)?;
    let cases = [
        (
            "deep",
            text.replacen(
                "{\"accepted\":[]",
                &format!(
                    "{{\"accepted\":{}{}",
                    "[".repeat(200_000),
                    "]".repeat(200_000)
                ),
                1,
            ),
        ),
        (
            "duplicate",
            text.replacen("{\"accepted\":[]", "{\"accepted\":[],\"accepted\":[]", 1),
        ),
        (
            "spaced",
            text.replacen("{\"accepted\":[]", "{ \"accepted\":[]", 1),
        ),
        ("float", text.replacen("\"format\":0", "\"format\":0.0", 1)),
    ];
    for (name, statement) in cases {
        assert_ne!(statement, text, "{name} changed something");
        let file = world.path(&format!("usb/{name}.spr"));
        let mut writer =
            lockstep::spr::SprWriter::new(Vec::new(), parts.kind, statement.as_bytes())?;
        let signature = crate::forge::sign(
            &world.path("keys/desk"),
            "lockstep-patch",
            statement.as_bytes(),
        )?;
        writer.signature(&signature.key, &signature.armoured)?;
        for (name, bytes) in &parts.members {
            writer.bytes(name, bytes)?;
        }
        fs::write(&file, writer.finish()?)?;
        refused(&world, &format!("usb/{name}.spr"), &[22])?;
    }
    Ok(())
}

#[test]
fn escapes_in_notes_do_not_reach_the_terminal() -> Tested {
    let world = World::new()?;
    world.write("notes.txt", "read \u{1b}[2Jthis\u{202e}")?;
    world.component("loud/1.0/loud-1.0", &[("a.txt", "a")], "--notes notes.txt")?;
    world.init("PROD")?;
    let prepared = world.prepare("usb/PROD.snapshot.spr", "loud/1.0/loud-1.0", "usb/p.spr")?;
    assert!(
        prepared.out.contains("\\u{1b}[2Jthis\\u{202e}"),
        "{}",
        prepared.out
    );
    assert!(!prepared.out.contains('\u{1b}'));
    Ok(())
}
