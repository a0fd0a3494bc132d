//! A desk that holds a trusted preparer's key and writes what it likes into a patch: what the host
//! makes of it. The file is in order and well signed each time; only what it says is wrong.

use std::fs;

use lockstep::model::{Member, Sha256};
use serde_json::{Value, json};

use crate::forge::{Parts, sign};
use crate::world::{MP5, Outcome, Tested, World};

const APPLY: &str = "lockstep apply usb/forged.spr --root PROD";

/// PROD runs the first release; a patch to the second one is forged, signed by the desk, and applied.
struct Desk {
    world: World,
    parts: Parts,
}

impl Desk {
    fn new() -> Outcome<Self> {
        Self::to(MP5)
    }

    fn to(recipe: &str) -> Outcome<Self> {
        let world = World::installed()?;
        world.prepare("usb/PROD.receipt.spr", recipe, "usb/2.spr")?;
        let parts = Parts::read(&world.path("usb/2.spr"))?;
        Ok(Self { world, parts })
    }

    fn refused(&self, code: i32, words: &[&str]) -> Tested {
        let desk = self.world.path("keys/desk");
        self.parts
            .write_signed(&self.world.path("usb/forged.spr"), &desk)?;
        for line in [format!("{APPLY} --dry-run"), APPLY.to_owned()] {
            self.world.refused("PROD", &line, code, words)?;
        }
        // It was the forgery alone: what it was made from is taken.
        self.world.apply("PROD", "usb/2.spr", "usb/2.receipt.spr")?;
        Ok(())
    }

    /// The only member whose name begins and ends so.
    fn member(&mut self, start: &str, end: &str) -> Outcome<&mut Vec<u8>> {
        let found = self
            .parts
            .members
            .iter_mut()
            .find(|(name, _)| name.starts_with(start) && name.ends_with(end));
        found
            .map(|(_, bytes)| bytes)
            .ok_or_else(|| format!("no {start}...{end} is inside").into())
    }

    fn target(&mut self) -> Outcome<&mut Vec<Value>> {
        let target = self.parts.statement["target"].as_array_mut();
        target.ok_or_else(|| "no target".into())
    }

    /// The recipe of the component of the target that has `word`.
    fn carried(&mut self, word: &str) -> Outcome<String> {
        let target = self.target()?;
        let at = place(target, word)?;
        let text = target[at].as_str().unwrap_or_default();
        Ok(text.split(' ').next().unwrap_or_default().to_owned())
    }

    /// Has the component of the target that has `word` made by another recipe.
    fn set_target(&mut self, word: &str, recipe: &Sha256) -> Tested {
        let target = self.target()?;
        let at = place(target, word)?;
        let text = target[at].as_str().unwrap_or_default();
        let (_, rest) = text.split_once(' ').ok_or("one word")?;
        target[at] = json!(format!("{recipe} {rest}"));
        Ok(())
    }

    /// Leaves a recipe out of the patch.
    fn drop_recipe(&mut self, carried: &str) {
        if let Some(recipes) = self.parts.statement["recipes"].as_array_mut() {
            recipes.retain(|recipe| recipe["recipe"] != json!(carried));
        }
        self.parts
            .members
            .retain(|(name, _)| !name.contains(carried));
    }
}

/// Where in a list of texts one holds `word`.
fn place(list: &[Value], word: &str) -> Outcome<usize> {
    let found = list
        .iter()
        .position(|text| text.as_str().is_some_and(|text| text.contains(word)));
    found.ok_or_else(|| format!("nothing has {word}").into())
}

#[test]
fn a_removal_that_is_not_stated() -> Tested {
    let mut desk = Desk::to("to:customer/acme/portal/1.0/portal-1.0.0.spr")?;
    // The release named it, and nothing but the portal asks for restapi.
    desk.parts.statement["recipes"] = json!([]);
    desk.parts
        .members
        .retain(|(name, _)| !name.starts_with("recipes/"));
    let target = desk.target()?;
    for gone in [" customer/acme/", " restapi/"] {
        let at = place(target, gone)?;
        target.remove(at);
    }
    desk.parts.relist()?;
    desk.refused(16, &["restapi 7.0.39 -> removed", "it states"])
}

#[test]
fn a_lowered_version_that_is_not_stated() -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP5, "usb/1.spr")?;
    world.apply("PROD", "usb/1.spr", "usb/1.receipt.spr")?;
    world.ok("lockstep receive usb/1.receipt.spr --desk desk")?;
    world.ok("lockstep prepare --environment PROD --desk desk --to restapi/7.0/restapi-7.0.39 --accept downgrade --reason test --output usb/2.spr")?;
    let mut parts = Parts::read(&world.path("usb/2.spr"))?;
    parts.statement["downgrades"] = json!([]);
    parts.statement["accepted"] = json!([]);
    parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
    for more in ["", " --accept downgrade --reason test"] {
        world.refused("PROD", &format!("{APPLY}{more}"), 16, &["7.0.40 -> 7.0.39"])?;
    }
    Ok(())
}

#[test]
fn a_component_whose_recipe_is_not_there() -> Tested {
    let mut desk = Desk::new()?;
    let invented = Sha256::of(b"invented");
    let carried = desk.carried(" core/")?;
    desk.set_target(" core/", &invented)?;
    desk.drop_recipe(&carried);
    desk.parts.relist()?;
    desk.refused(21, &["does not bring", "core 9.1.0"])
}

#[test]
fn a_recipe_that_is_another_one() -> Tested {
    let mut desk = Desk::new()?;
    // The vendor's own, but for one byte: in order, and listed as what it is wherever it is named.
    let carried = desk.carried(" core/")?;
    let published = desk.world.path("repository/targets/core/9.1");
    let published = published.join(format!("{carried}.core-9.1.0.spr"));
    let bytes = fs::read(published)?;
    let forged = String::from_utf8(bytes)?.replacen("lib/new.txt", "lib/nov.txt", 1);
    let digest = Sha256::of(forged.as_bytes());
    assert_ne!(digest.to_string(), carried);
    desk.set_target(" core/", &digest)?;
    let recipes = desk.parts.statement["recipes"].as_array_mut();
    let entry = recipes.and_then(|all| all.iter_mut().find(|one| one["recipe"] == json!(carried)));
    let entry = entry.ok_or("no entry")?;
    entry["recipe"] = json!(digest);
    entry["size"] = json!(forged.len());
    if let Some(fields) = entry.as_object_mut() {
        fields.remove("base");
    }
    let member = desk
        .parts
        .members
        .iter_mut()
        .find(|(name, _)| name.contains(&carried));
    *member.ok_or("no member")? = (
        format!("recipes/{digest}.spr.zst"),
        zstd::encode_all(forged.as_bytes(), 3)?,
    );
    desk.parts.relist()?;
    desk.refused(21, &["names another file for core/9.1/core-9.1.0"])
}

#[test]
fn a_component_that_is_called_a_release() -> Tested {
    let mut desk = Desk::new()?;
    let target = desk.target()?;
    let at = place(target, " core/")?;
    let text = target[at].as_str().unwrap_or_default().to_owned();
    target[at] = json!(format!("{text} release"));
    desk.refused(22, &["release"])
}

#[test]
fn a_release_without_the_components_that_it_names() -> Tested {
    let mut desk = Desk::new()?;
    let before = fs::read(desk.world.path("usb/PROD.receipt.spr"))?;
    fs::write(desk.world.path("usb/before.spr"), before)?;
    let snapshot = Parts::read(&desk.world.path("usb/before.spr"))?;
    let (_, statement) = snapshot.members.first().ok_or("no snapshot")?;
    let snapshot: Value = serde_json::from_slice(statement)?;
    let installed = snapshot["components"].as_array().ok_or("no components")?;
    let core = installed[place(installed, " core/")?].clone();
    let carried = desk.carried(" core/")?;
    let target = desk.target()?;
    let at = place(target, " core/")?;
    target[at] = core;
    desk.drop_recipe(&carried);
    desk.parts.relist()?;
    desk.refused(31, &["step-trailblazer", "names core 9.1.0", "9.0.0"])
}

#[test]
fn a_state_afterwards_that_does_not_follow() -> Tested {
    let mut desk = Desk::new()?;
    desk.parts.statement["nodes"][0]["after"] = json!(Sha256::of(b"else"));
    desk.refused(13, &["foretells", "follows here"])
}

#[test]
fn a_state_before_that_is_not_the_snapshots() -> Tested {
    let mut desk = Desk::new()?;
    desk.parts.statement["nodes"][0]["before"] = json!(Sha256::of(b"else"));
    desk.refused(13, &["patch made for", "this node"])
}

#[test]
fn a_snapshot_signed_by_another_key_under_this_name() -> Tested {
    let mut desk = Desk::new()?;
    let mut snapshot: Value = serde_json::from_slice(desk.member("snapshots/", ".json")?)?;
    let stranger = fs::read_to_string(desk.world.path("keys/stranger.pub"))?;
    let key: Vec<&str> = stranger.split_whitespace().take(2).collect();
    snapshot["node"]["key"] = json!(key.join(" "));
    let statement = serde_json::to_vec(&snapshot)?;
    let signature = sign(
        &desk.world.path("keys/stranger"),
        "lockstep-snapshot",
        &statement,
    )?;
    desk.parts.statement["nodes"][0]["snapshot"] = json!(Sha256::of(&statement));
    *desk.member("snapshots/", ".json")? = statement;
    *desk.member("snapshots/", ".json.sig")? = signature.armoured;
    desk.parts.relist()?;
    // This node opened no challenge with such a snapshot; if it had, the signer is compared as well.
    desk.refused(13, &["patch made for", "this node"])
}

#[test]
fn a_snapshot_that_was_edited() -> Tested {
    let mut desk = Desk::new()?;
    let mut snapshot: Value = serde_json::from_slice(desk.member("snapshots/", ".json")?)?;
    snapshot["floors"] = json!([]);
    let statement = serde_json::to_vec(&snapshot)?;
    desk.parts.statement["nodes"][0]["snapshot"] = json!(Sha256::of(&statement));
    *desk.member("snapshots/", ".json")? = statement;
    desk.parts.relist()?;
    desk.refused(13, &["patch made for", "this node"])
}

#[test]
fn a_content_that_unpacks_past_its_size() -> Tested {
    let mut desk = Desk::new()?;
    let size = 300_u64 * 1024 * 1024;
    let mut operations = desk.parts.operations()?;
    let last = operations.last_mut().ok_or("none")?;
    let length = last["length"].as_u64().ok_or("no length")?;
    last["length"] = json!(size);
    last["size"] = json!(size);
    let pack = &desk.parts.statement["packs"][0];
    let rest = pack["size"].as_u64().ok_or("no size")? - length + size;
    let mut packs = Vec::new();
    let mut left = rest;
    while left > 0 {
        let one = left.min(64 * 1024 * 1024);
        let name = format!("packs/{:04}.zst", packs.len());
        let zeros = vec![1_u8; usize::try_from(one)?];
        packs.push((name, one, zstd::encode_all(zeros.as_slice(), 1)?));
        left -= one;
    }
    desk.parts
        .members
        .retain(|(name, _)| !name.starts_with("packs/"));
    desk.parts.statement["packs"] = packs
        .iter()
        .map(|(name, size, _)| json!({"member": name, "size": size}))
        .collect();
    desk.parts.statement["volumes"] = json!([packs.len()]);
    let packs = packs.into_iter().map(|(name, _, bytes)| (name, bytes));
    desk.parts.members.extend(packs);
    desk.parts.set_operations(&operations)?;
    desk.refused(22, &["another size", "314572800 bytes"])
}

#[test]
fn a_list_of_operations_that_is_not_the_one_spoken_of() -> Tested {
    let lines = |count: usize| b"\n".repeat(count);
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3);
    let plain = zstd::decode_all(Desk::new()?.member("operations", ".zst")?.as_slice())?;
    let last = plain.split_inclusive(|byte| *byte == b'\n').next_back();
    let last = last.ok_or("no operation")?;
    let lists = [
        // A few bytes that unpack to very many: of operations, and of a line without end.
        (
            frame(&plain.repeat((1 << 28) / plain.len()))?,
            "not hold what the statement says",
        ),
        (frame(&b" ".repeat(1 << 28))?, "more than 16384 bytes"),
        (
            frame(&[plain.as_slice(), &lines(1)].concat())?,
            "not hold what the statement says",
        ),
        (
            frame(&[plain.as_slice(), last].concat())?,
            "not hold what the statement says",
        ),
        (
            frame(plain.strip_suffix(last).unwrap_or_default())?,
            "not hold what the statement says",
        ),
        ([frame(&plain)?, frame(b"")?].concat(), "behind its end"),
        (plain.clone(), "zstd"),
    ];
    for (list, word) in lists {
        let mut desk = Desk::new()?;
        *desk.member("operations", ".zst")? = list;
        // A line without end is as long as is said.
        if word.starts_with("more than") {
            desk.parts.statement["operations"]["size"] = json!(1 << 28);
        }
        desk.parts.relist()?;
        desk.refused(22, &["operations.jsonl.zst", word])?;
    }
    // As long as is said, and more of them.
    let mut desk = Desk::new()?;
    let list = desk.parts.operations()?;
    let tally = desk.parts.statement["operations"].clone();
    desk.parts.set_operations(&[list.clone(), list].concat())?;
    let size = desk.parts.statement["operations"]["size"].clone();
    desk.parts.statement["operations"] = tally;
    desk.parts.statement["operations"]["size"] = size;
    desk.refused(
        22,
        &["operations.jsonl.zst", "not hold what the statement says"],
    )?;
    // As long as is said, and other ones.
    let mut desk = Desk::new()?;
    let stated = &mut desk.parts.statement["operations"];
    stated["copied"] = json!(stated["copied"].as_u64().unwrap_or(0) + 1);
    desk.refused(22, &["other operations than the statement says"])?;
    // No list, although packs are there; and a list of which nothing is said.
    let mut desk = Desk::new()?;
    desk.parts
        .members
        .retain(|(name, _)| !name.starts_with("operations"));
    desk.parts.relist()?;
    desk.refused(22, &["operations.jsonl.zst", "do not agree"])?;
    let mut desk = Desk::new()?;
    desk.parts
        .statement
        .as_object_mut()
        .map(|all| all.remove("operations"));
    desk.refused(22, &["operations.jsonl.zst", "do not agree"])
}

#[test]
fn a_content_that_nobody_needs() -> Tested {
    let mut desk = Desk::new()?;
    let mut operations = desk.parts.operations()?;
    let last = operations.last_mut().ok_or("none")?;
    last["content"] = json!(Sha256::of(b"unneeded"));
    desk.parts.set_operations(&operations)?;
    desk.refused(22, &["do not need"])
}

#[test]
fn a_copy_of_a_file_that_the_customer_may_edit() -> Tested {
    // A file that is to have the very content of the config file, which the vendor's recipe allows.
    let world = World::installed()?;
    world.component("same/1.0/same-1.0.0", &[("same.txt", "a=1")], "")?;
    world.prepare("usb/PROD.receipt.spr", "same/1.0/same-1.0.0", "usb/2.spr")?;
    let parts = Parts::read(&world.path("usb/2.spr"))?;
    let mut desk = Desk { world, parts };
    let config = Sha256::of(b"a=1");
    let copy = json!({"base": config, "codec": "copy", "content": config, "length": 0, "memory": 0, "offset": 0, "size": 3});
    desk.parts.statement["packs"] = json!([]);
    desk.parts.statement["volumes"] = json!([0]);
    desk.parts
        .members
        .retain(|(name, _)| !name.starts_with("packs/"));
    desk.parts.set_operations(&[copy])?;
    desk.refused(22, &["no pristine file has", &config.to_string()])
}

#[test]
fn a_pack_with_a_second_frame_behind_it() -> Tested {
    let mut desk = Desk::new()?;
    let pack = desk.member("packs/", ".zst")?;
    pack.extend(zstd::encode_all(b"more".as_slice(), 3)?);
    desk.parts.relist()?;
    let desk_key = desk.world.path("keys/desk");
    desk.parts
        .write_signed(&desk.world.path("usb/forged.spr"), &desk_key)?;
    desk.world.refused("PROD", APPLY, 22, &["another size"])?;
    Ok(())
}

#[test]
fn an_adoption_that_brings_files() -> Tested {
    let mut desk = Desk::new()?;
    desk.parts.statement["nodes"][0]["adopted"] = json!([]);
    desk.refused(22, &["adopts"])
}

#[test]
fn a_site_file_of_its_own() -> Tested {
    let mut desk = Desk::new()?;
    desk.world.ok("lockstep site renew --from site.spr --preparer eve=keys/stranger.pub --key keys/owner --output good.spr")?;
    let mut site = Parts::read(&desk.world.path("good.spr"))?;
    site.statement["owner"] = site.statement["preparers"][0].clone();
    site.write_signed(&desk.world.path("own.spr"), &desk.world.path("keys/desk"))?;
    let own = fs::read(desk.world.path("own.spr"))?;
    let at = desk
        .parts
        .members
        .iter()
        .position(|(name, _)| name.starts_with("packs/"));
    let at = at.unwrap_or(desk.parts.members.len());
    desk.parts.members.insert(at, ("site.spr".to_owned(), own));
    desk.parts.statement["site"] =
        json!({"sha256": Sha256::of(&serde_json::to_vec(&site.statement)?), "version": 2});
    desk.parts.relist()?;
    desk.refused(26, &["site"])
}

#[test]
fn a_site_file_that_is_not_inside() -> Tested {
    let mut desk = Desk::new()?;
    desk.parts.statement["site"]["version"] = json!(2);
    desk.refused(26, &["2", "1"])
}

#[test]
fn two_preparers_where_one_could_pass_for_an_approver() -> Tested {
    let mut desk = Desk::new()?;
    desk.world.ok("lockstep site renew --from site.spr --preparer carl=keys/stranger.pub --key keys/owner --output site-2.spr")?;
    desk.world
        .ok("lockstep trust site-2.spr --root PROD --receipt usb")?;
    desk.world.ok("lockstep snapshot --root PROD --output usb/s.spr && lockstep prepare usb/s.spr --desk desk --site site-2.spr --key keys/desk --source repository --to step/trailblazer/step-trailblazer-9.0-mp5-2026-11-01-12-00-00 --output usb/3.spr")?;
    desk.parts = Parts::read(&desk.world.path("usb/3.spr"))?;
    let statement = serde_json::to_vec(&desk.parts.statement)?;
    let second = sign(
        &desk.world.path("keys/stranger"),
        "lockstep-patch",
        &statement,
    )?;
    let name = format!("patch.json.{}.sig", second.key);
    desk.parts.signatures.push((name, second.armoured));
    desk.parts.signatures.sort();
    desk.parts.write(&desk.world.path("usb/forged.spr"))?;
    desk.world
        .refused("PROD", APPLY, 20, &["one preparer signs", "2 signatures"])?;
    Ok(())
}

#[test]
fn a_list_without_end_in_a_statement() -> Tested {
    let mut desk = Desk::new()?;
    desk.parts.statement["volumes"] = vec![json!(0); 2_000_000].into();
    let desk_key = desk.world.path("keys/desk");
    desk.parts
        .write_signed(&desk.world.path("usb/forged.spr"), &desk_key)?;
    // An address space that would not hold what the list could become.
    let line = format!("ulimit -v 400000; {APPLY}");
    desk.world.refused("PROD", &line, 22, &["more than 999"])?;
    Ok(())
}

#[test]
fn members_that_are_left_out_or_put_in() -> Tested {
    let mut desk = Desk::new()?;
    let first = desk
        .parts
        .members
        .iter()
        .position(|(name, _)| name.starts_with("recipes/"));
    desk.parts.members.remove(first.ok_or("no recipe")?);
    desk.parts.relist()?;
    desk.refused(22, &["recipes/"])?;
    let mut desk = Desk::new()?;
    let at = desk
        .parts
        .members
        .iter()
        .position(|(name, _)| name.starts_with("packs/"));
    let more = ("recipes/more".to_owned(), b"more".to_vec());
    desk.parts.members.insert(at.ok_or("no pack")?, more);
    let list: Vec<Member> = desk
        .parts
        .members
        .iter()
        .map(|(n, b)| Member::of(n.clone(), b))
        .collect();
    desk.parts.statement["members"] = serde_json::to_value(list)?;
    desk.refused(22, &["recipes/more"])
}
