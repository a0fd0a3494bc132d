//! The chain of receipts as an auditor and the host itself see it: whole, cut at either end, edited,
//! put in another order, with one of another node in it.

use std::fs;

use crate::forge::{Parts, sign};
use crate::world::{MP5, Outcome, Tested, World};

const VERIFY: &str = "lockstep verify chain --allowed-signers signers";

/// PROD with five receipts, a rehome among them, all exported, and a snapshot after the last.
fn world() -> Outcome<World> {
    let world = World::installed()?;
    world.install("TEST")?;
    world.ok("lockstep site renew --from site.spr --key keys/owner --output site2.spr")?;
    world.ok("lockstep trust site2.spr --root PROD && rm PROD-0003.receipt.spr")?;
    world.ok("cp -a PROD P2 && rm -r PROD && mv P2 PROD")?;
    world.ok("lockstep rehome --moved --root PROD --environment PROD --reason disk --receipt usb/4.receipt.spr")?;
    world.ok("lockstep enrol usb/4.receipt.spr --desk desk --replace")?;
    world.ok(&format!("lockstep prepare usb/4.receipt.spr --to {MP5} --desk desk --source repository --site site2.spr --output usb/p.spr"))?;
    world.apply("PROD", "usb/p.spr", "usb/5.receipt.spr")?;
    world.ok("mkdir chain && lockstep receipt --all --root PROD --output chain")?;
    world.ok("lockstep snapshot --root PROD --output chain/last.snapshot.spr")?;
    signers(&world)?;
    Ok(world)
}

/// The key of PROD as an auditor pins it.
fn signers(world: &World) -> Tested {
    let parts = Parts::read(&world.path("chain/last.snapshot.spr"))?;
    let key = parts.statement["node"]["key"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    world.write("signers", &format!("PROD {key}\n"))
}

fn has(text: &str, words: &[&str]) -> Tested {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is not in:\n{text}").into()),
    }
}

#[test]
fn all_receipts_are_exported_under_their_own_names_and_verify() -> Tested {
    let world = world()?;
    let mut names: Vec<String> = fs::read_dir(world.path("chain"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Outcome<_>>()?;
    names.sort();
    let wanted: Vec<String> = (1..=5)
        .map(|n| format!("PROD-{n:04}.receipt.spr"))
        .collect();
    assert_eq!(names[..5], wanted);
    let verified = world.ok(VERIFY)?.out;
    has(
        &verified,
        &[
            "chain of 5 receipt(s)",
            "1, 2, 3, 4, 5, from init on",
            "rehome",
            "moved",
            "names the last one",
            "known as PROD",
            "verified",
        ],
    )?;
    // Again, into the same folder: what is there stays; another file of such a name is refused.
    world.ok("lockstep receipt --all --root PROD --output chain")?;
    world.write("chain/PROD-0002.receipt.spr", "something else")?;
    world.refused(
        "chain",
        "lockstep receipt --all --root PROD --output chain",
        2,
        &["PROD-0002"],
    )?;
    let ran = world.run("lockstep receipt --all --root PROD --output chain/none")?;
    assert_eq!(ran.code, 2, "{}", ran.err);
    Ok(())
}

/// What is done to the exported files, the exit code, and what is said.
const TAMPERED: [(&str, &str, i32, &str); 9] = [
    (
        "the first left out",
        "rm chain/PROD-0001.receipt.spr",
        22,
        "one is missing or was changed",
    ),
    (
        "the first two left out",
        "rm chain/PROD-000[12].receipt.spr",
        22,
        "one is missing or was changed",
    ),
    (
        "the middle left out",
        "rm chain/PROD-0003.receipt.spr",
        22,
        "at sequence: 4",
    ),
    (
        "the rehome left out",
        "rm chain/PROD-0004.receipt.spr",
        22,
        "at sequence: 5",
    ),
    (
        "the last left out",
        "rm chain/PROD-0005.receipt.spr",
        22,
        "one is missing or was changed",
    ),
    (
        "the last two left out",
        "rm chain/PROD-000[45].receipt.spr",
        26,
        "signed",
    ),
    (
        "one of another node",
        "cp usb/TEST.receipt.spr chain/PROD-0002.receipt.spr",
        22,
        "at sequence: 3",
    ),
    (
        "one of another node besides",
        "cp usb/TEST.receipt.spr chain/",
        22,
        "one is missing or was changed",
    ),
    (
        "one cut short",
        "truncate -s 1024 chain/PROD-0002.receipt.spr",
        37,
        "",
    ),
];

#[test]
fn truncation_omission_and_strangers_are_found() -> Tested {
    let world = world()?;
    world.ok("mv chain whole")?;
    for (what, typed, code, word) in TAMPERED {
        world.ok(&format!("rm -rf chain && cp -a whole chain && {typed}"))?;
        let ran = world.run(VERIFY)?;
        assert_eq!(ran.code, code, "{what}: {}{}", ran.out, ran.err);
        has(&format!("{}{}", ran.out, ran.err), &[word]).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

#[test]
fn edits_are_found_by_whomever_they_are_signed() -> Tested {
    let world = world()?;
    for (sequence, key) in [
        (2, None),
        (2, Some("stranger")),
        (4, Some("stranger")),
        (5, None),
    ] {
        let path = world.path(&format!("chain/PROD-{sequence:04}.receipt.spr"));
        let whole = fs::read(&path)?;
        let mut parts = Parts::read(&path)?;
        parts.statement["operator"] = "somebody else".into();
        match key {
            None => parts.write(&path)?,
            Some(key) => parts.write_signed(&path, &world.path("keys").join(key))?,
        }
        let ran = world.run(VERIFY)?;
        assert!(
            [20, 22, 26].contains(&ran.code),
            "{sequence} {key:?}: {}",
            ran.out
        );
        fs::write(&path, whole)?;
    }
    world.ok(VERIFY)?;
    Ok(())
}

/// The node's own key, since its rehome.
const KEY: &str = "PROD/.lockstep/key.4";

/// Says another thing in the snapshot inside a receipt, and signs that with the node's own key.
fn snapshot_inside(
    world: &World,
    parts: &mut Parts,
    field: &str,
    value: &serde_json::Value,
) -> Tested {
    let [(_, snapshot), (_, signature)] = parts.members.as_mut_slice() else {
        return Err("a receipt holds a snapshot and its signature".into());
    };
    let mut inner: serde_json::Value = serde_json::from_slice(snapshot)?;
    inner[field] = value.clone();
    *snapshot = serde_json::to_vec(&inner)?;
    *signature = sign(&world.path(KEY), "lockstep-snapshot", snapshot)?.armoured;
    parts.relist()
}

/// How the last receipt is made to disagree with the snapshot inside: in which of its fields, or whatever
/// else a line types.
const DISAGREE: [(&str, &str, &str); 8] = [
    (
        "after",
        r#""0000000000000000000000000000000000000000000000000000000000000000""#,
        "about the state",
    ),
    (
        "environment",
        r#"{"id":"00000000-0000-4000-8000-000000000000","name":"PROD"}"#,
        "about the environment",
    ),
    ("node.name", r#""OTHER""#, "about the node"),
    (
        "previous",
        r#""0000000000000000000000000000000000000000000000000000000000000000""#,
        "about the receipt before",
    ),
    ("sequence", "6", "about the sequence number"),
    ("site.version", "7", "about the site file"),
    (
        "members.1.name",
        r#""snapshot.json.sig""#,
        "no signed snapshot",
    ),
    (
        "",
        "two signatures",
        "has one signature, and this one has 2",
    ),
];

/// A host goes on from the newest state whose files bear each other out, and says which do not.
const RESTORED: &str = "lockstep rehome --restored --enrolment usb/e.spr --root COPY --environment PROD --reason disk --receipt usb/r.spr";

/// Root signs whatever it likes with the node's own key. A receipt that says another thing than the
/// snapshot inside is corrupt to the auditor, the desk and the host alike.
#[test]
fn a_receipt_says_what_the_snapshot_inside_says() -> Tested {
    let world = world()?;
    world.ok("rm chain/last.snapshot.spr && mv chain whole")?;
    world.ok("lockstep enrol usb/5.receipt.spr --desk desk --key keys/desk --output usb/e.spr")?;
    let key = world.path(KEY);
    for (field, value, word) in DISAGREE {
        world.ok("rm -rf chain COPY && cp -a whole chain && cp -a PROD COPY")?;
        let forged = world.path("chain/PROD-0005.receipt.spr");
        let mut parts = Parts::read(&forged)?;
        let mut at = &mut parts.statement;
        for name in field.split('.').filter(|name| !name.is_empty()) {
            at = match name.parse::<usize>() {
                Ok(place) => &mut at[place],
                Err(_) => &mut at[name],
            };
        }
        if field.is_empty() {
            let bytes = serde_json::to_vec(&parts.statement)?;
            let added = sign(&world.path("keys/desk"), "lockstep-receipt", &bytes)?;
            let name = format!("receipt.json.{}.sig", added.key);
            parts.signatures.push((name, added.armoured));
            parts.signatures.sort();
            parts.write(&forged)?;
        } else {
            *at = serde_json::from_str(value)?;
            if let Some(name) = parts.statement["members"][1]["name"].as_str() {
                name.clone_into(&mut parts.members[1].0);
            }
            parts.write_signed(&forged, &key)?;
        }
        world.ok("cp chain/PROD-0005.receipt.spr COPY/.lockstep/states/5/receipt.spr")?;
        for line in [
            VERIFY,
            "lockstep verify chain/PROD-0005.receipt.spr --allowed-signers signers",
            "lockstep enrol chain/PROD-0005.receipt.spr --desk desk",
        ] {
            let ran = world.run(line)?;
            let told = format!("{}{}", ran.out, ran.err);
            assert_eq!(ran.code, 22, "{field}: {line}\n{told}");
            has(&told, &[word]).map_err(|e| format!("{field}: {line}: {e}"))?;
        }
        let told = world.ok(RESTORED)?.out;
        let lost = told.lines().find(|line| line.contains("lost: state 5: "));
        has(lost.unwrap_or(&told), &[word]).map_err(|e| format!("{field}: {e}"))?;
        world.ok("rm usb/r.spr")?;
    }
    Ok(())
}

/// Root on the host has the node's key. What it signs again is of another digest than what was signed
/// after it, and never of another environment.
#[test]
fn what_root_signs_again_with_the_nodes_own_key_is_found() -> Tested {
    let world = world()?;
    let id = "00000000-0000-4000-8000-000000000000";
    for (field, value, word) in [
        (
            "operator",
            serde_json::json!("somebody else"),
            "one is missing or was changed",
        ),
        (
            "environment",
            serde_json::json!({"id": id, "name": "PROD"}),
            "receipt of another node",
        ),
    ] {
        let path = world.path("chain/PROD-0005.receipt.spr");
        let whole = fs::read(&path)?;
        let mut parts = Parts::read(&path)?;
        if field == "environment" {
            snapshot_inside(&world, &mut parts, field, &value)?;
        }
        parts.statement[field] = value;
        parts.write_signed(&path, &world.path(KEY))?;
        let ran = world.run(VERIFY)?;
        assert_eq!(ran.code, 22, "{field}: {}", ran.out);
        has(&ran.out, &[word])?;
        fs::write(&path, whole)?;
    }
    Ok(())
}

#[test]
fn without_a_later_snapshot_the_end_is_said_to_be_open() -> Tested {
    let world = world()?;
    world.ok("rm chain/last.snapshot.spr")?;
    let ran = world.ok(VERIFY)?;
    has(
        &ran.out,
        &["not checked", "tail", "later receipts may be missing"],
    )?;
    let ran = world.run("lockstep verify chain")?;
    assert_eq!(
        ran.code, 26,
        "without a pinned key nothing is verified: {}",
        ran.out
    );
    has(&ran.out, &["not verified"])?;
    let ran = world
        .run("lockstep verify chain/PROD-0001.receipt.spr site.spr --allowed-signers signers")?;
    assert_eq!(ran.code, 2, "{}", ran.err);
    let ran = world.run("lockstep verify usb/nothing.spr --allowed-signers signers")?;
    assert_eq!(ran.code, 2, "{}", ran.err);
    Ok(())
}

/// What is done to the states on the host.
const ON_HOST: [(&str, &str, &str); 9] = [
    (
        "a state of another node",
        r#"sed -i 's/"node":"PROD","since"/"node":"OTHER","since"/' states/4/state.json"#,
        "differs    node",
    ),
    (
        "another environment before the rehome",
        "sed -i s/PROD/OTHER/ environment.json",
        "differs    environment",
    ),
    (
        "the first receipt gone",
        "rm states/1/receipt.spr",
        "one is missing or was changed",
    ),
    (
        "one in the middle gone",
        "rm -r states/3",
        "one is missing or was changed",
    ),
    (
        "two exchanged",
        "mv states/2/receipt.spr r && mv states/3/receipt.spr states/2/ && mv r states/3/receipt.spr",
        "chain of receipts",
    ),
    ("one edited", "sed -i s/root/toor/ states/2/receipt.spr", ""),
    (
        "floors of an old state",
        "sed -i 's/targets [0-9]*/targets 1/' states/2/state.json",
        "floors",
    ),
    (
        "a snapshot of another state",
        "cp states/3/snapshot.spr states/2/",
        "sequence number",
    ),
    (
        "a site file of another state",
        "cp states/3/site.spr states/1/",
        "site file",
    ),
];

#[test]
fn history_checks_every_state_that_is_kept() -> Tested {
    let world = world()?;
    for (what, typed, word) in ON_HOST {
        // What is only read may be a copy.
        world.ok("rm -rf COPY && cp -a PROD COPY && lockstep history --check --root COPY")?;
        world.ok(&format!("cd COPY/.lockstep && {typed}"))?;
        let ran = world.run("lockstep history --check --root COPY")?;
        assert!(
            [20, 22, 26].contains(&ran.code),
            "{what}: {} {}",
            ran.code,
            ran.err
        );
        has(&ran.err, &[word]).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}
