//! Makes the golden files anew. Run by hand after a change of format, and look at what changed:
//! `cargo test --test road -- --ignored golden`.

use std::fs;
use std::path::Path;

use crate::forge::{Parts, sign};
use crate::world::{MP5, Outcome, Tested, World};
use lockstep::spr::Opened;

#[test]
#[ignore = "writes fixtures/golden; run it by hand after a change of format"]
fn golden_files_are_made() -> Tested {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden");
    fs::create_dir_all(&folder)?;
    let world = World::installed()?;
    world.prepare(
        "usb/PROD.receipt.spr",
        &format!("{MP5} --whole"),
        "usb/whole.patch.spr",
    )?;
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/based.patch.spr")?;
    world.ok("lockstep snapshot --root PROD --output usb/snapshot.spr")?;
    world.ok("lockstep snapshot --full --root PROD --output usb/full.spr")?;
    world.ok("mkdir OLD && cp -a vendor/core/9.0/core-9.0.0/. OLD && echo x >> OLD/lib/old.txt")?;
    world.ok("lockstep init --root OLD --name OLD --site site.spr --service none --adopt --output usb/OLD.spr")?;
    world.ok("lockstep snapshot --full --root OLD --output usb/OLD-full.spr")?;
    world.ok("lockstep enrol usb/OLD-full.spr --desk desk")?;
    world
        .ok("lockstep prepare usb/OLD-full.spr --adopt --desk desk --output usb/adopt.patch.spr")?;
    world.ok(
        "lockstep enrol usb/snapshot.spr --desk desk --output usb/enrolment.spr --key keys/desk",
    )?;
    world.ok("lockstep site renew --from site.spr --preparer keys/ben.pub --key keys/owner --output usb/site-2.spr")?;
    world.ok("cp $(ls repository/targets/restapi/7.0/*restapi-7.0.40.spr) usb/recipe.spr")?;
    let good = [
        ("usb/snapshot.spr", "snapshot"),
        ("usb/full.spr", "snapshot-full"),
        ("usb/adopt.patch.spr", "patch-adopts"),
        ("usb/PROD.receipt.spr", "receipt"),
        ("usb/PROD.patch.spr", "patch-first"),
        ("usb/whole.patch.spr", "patch-whole"),
        ("usb/based.patch.spr", "patch-based-on-installed"),
        ("usb/whole.head.spr", "patch.head"),
        ("usb/whole.head.spr", "bad-packs-missing"),
        ("usb/enrolment.spr", "enrolment"),
        ("site.spr", "site"),
        ("usb/site-2.spr", "site-renewed"),
        ("usb/recipe.spr", "recipe"),
    ];
    for (from, name) in good {
        fs::copy(world.path(from), folder.join(format!("{name}.spr")))?;
    }
    let key = |snapshot: &str| -> Outcome<String> {
        let line = format!("tar -xOf usb/{snapshot}.spr snapshot.json | jq -r .node.key");
        Ok(world.ok(&line)?.out)
    };
    let nodes = format!("PROD {}OLD {}", key("snapshot")?, key("OLD")?);
    fs::write(folder.join("nodes"), nodes)?;
    fs::write(
        folder.join("now"),
        world.ok("date -u +%Y-%m-%dT%H:%M:%SZ")?.out,
    )?;
    hostile(&world, &folder)?;
    expect(&folder)
}

/// The outcome that each file must have: exit codes of `inspect` and `verify`.
const EXPECTED: [(&str, u8, u8); 29] = [
    ("bad-cut", 37, 37),
    ("bad-duplicate-key", 22, 22),
    ("bad-edited", 0, 20),
    ("bad-empty", 37, 37),
    ("bad-format-7", 25, 25),
    ("bad-header-mode", 22, 22),
    ("bad-member-extra", 22, 22),
    ("bad-member-missing", 22, 22),
    ("bad-pack-flipped", 22, 22),
    ("bad-recipe-swapped", 0, 22),
    ("bad-stranger", 0, 26),
    ("bad-trailing", 22, 22),
    ("bad-unknown-key", 22, 22),
    ("bad-unsigned", 0, 20),
    ("enrolment", 0, 0),
    ("patch-adopts", 0, 0),
    ("patch-based-on-installed", 0, 37),
    ("patch-first", 0, 0),
    ("patch.head", 0, 0),
    ("bad-operations-fewer", 0, 22),
    ("bad-operations-more", 0, 22),
    ("bad-packs-missing", 0, 37),
    ("patch-whole", 0, 0),
    ("receipt", 0, 0),
    ("recipe", 0, 26),
    ("site", 0, 0),
    ("site-renewed", 0, 0),
    ("snapshot", 0, 0),
    ("snapshot-full", 0, 0),
];

fn expect(folder: &Path) -> Tested {
    for (name, inspect, verify) in EXPECTED {
        let statement = if inspect == 0 {
            let opened = Opened::open(fs::File::open(folder.join(format!("{name}.spr")))?)?;
            format!("statement {}\n", opened.raw().sha256())
        } else {
            String::new()
        };
        let text = format!("inspect {inspect}\nverify {verify}\n{statement}");
        fs::write(folder.join(format!("{name}.expect")), text)?;
    }
    Ok(())
}

fn hostile(world: &World, folder: &Path) -> Tested {
    let bytes = fs::read(world.path("usb/whole.patch.spr"))?;
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(format!("bad-{name}.spr")), bytes);
    put("empty", b"")?;
    put("cut", &bytes[..bytes.len() / 2])?;
    put("trailing", &[bytes.clone(), vec![0; 512]].concat())?;
    let mut flipped = bytes.clone();
    let pack = bytes
        .windows(14)
        .rposition(|window| window == b"packs/0000.zst")
        .ok_or("no pack")?;
    flipped[pack + 512 + 20] ^= 1;
    put("pack-flipped", &flipped)?;
    let mut mode = bytes.clone();
    mode[100] = b'7';
    put("header-mode", &mode)?;

    let parts = || Parts::read(&world.path("usb/whole.patch.spr"));
    let (desk, stranger) = (world.path("keys/desk"), world.path("keys/stranger"));
    let at = |name: &str| folder.join(format!("bad-{name}.spr"));
    let mut edited = parts()?;
    edited.statement["created"] = "2026-01-01T00:00:00Z".into();
    edited.write(&at("edited"))?;
    let mut unsigned = parts()?;
    unsigned.signatures.clear();
    unsigned.write(&at("unsigned"))?;
    parts()?.write_signed(&at("stranger"), &stranger)?;
    let mut later = parts()?;
    later.statement["format"] = 7_u64.into();
    later.write_signed(&at("format-7"), &desk)?;
    let mut unknown = parts()?;
    unknown.statement["surprise"] = 1_u64.into();
    unknown.write_signed(&at("unknown-key"), &desk)?;
    let mut missing = parts()?;
    missing.members.remove(0);
    missing.write_signed(&at("member-missing"), &desk)?;
    let mut extra = parts()?;
    extra.members.push(("extra.txt".to_owned(), b"x".to_vec()));
    extra.write_signed(&at("member-extra"), &desk)?;
    let mut recipe = parts()?;
    let place = recipe
        .members
        .iter()
        .position(|(name, _)| name.starts_with("recipes/"))
        .ok_or("no recipe")?;
    recipe.members[place].1 = zstd::encode_all(&b"another recipe"[..], 3)?;
    recipe.relist()?;
    recipe.write_signed(&at("recipe-swapped"), &desk)?;

    let mut fewer = parts()?;
    let list = fewer.operations()?;
    let tally = fewer.statement["operations"].clone();
    fewer.set_operations(list.get(1..).unwrap_or_default())?;
    fewer.statement["operations"] = tally.clone();
    fewer.write_signed(&at("operations-fewer"), &desk)?;
    let mut more = parts()?;
    more.set_operations(&[list.clone(), list].concat())?;
    more.statement["operations"] = tally;
    more.write_signed(&at("operations-more"), &desk)?;

    let text = serde_json::to_string(&parts()?.statement)?;
    let doubled = text.replacen("{\"accepted\":[]", "{\"accepted\":[],\"accepted\":[]", 1);
    let mut writer = lockstep::spr::SprWriter::new(Vec::new(), parts()?.kind, doubled.as_bytes())?;
    let signature = sign(&desk, "lockstep-patch", doubled.as_bytes())?;
    writer.signature(&signature.key, &signature.armoured)?;
    for (name, bytes) in &parts()?.members {
        writer.bytes(name, bytes)?;
    }
    put("duplicate-key", &writer.finish()?)?;
    Ok(())
}
