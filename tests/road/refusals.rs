//! One named test for each refusal: exit code, both values, the next command, and nothing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use lockstep::desk::{self, Desk};
use lockstep::host;
use lockstep::model::{RefusalName, Time, Unwatched};

use crate::forge::Parts;
use crate::world::{MP4, MP5, Tested, World};

const RESTAPI_39: &str = "to:restapi/7.0/restapi-7.0.39.spr";
const PREPARE: &str = "lockstep prepare --desk desk";

fn second_patch(world: &World) -> Tested {
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/PROD-2.patch.spr")?;
    Ok(())
}

fn now() -> Time {
    Time::from_unix(
        std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |t| t.as_secs().cast_signed()),
    )
}

/// Applies through the library, at a moment of the test's choosing.
fn apply_at(world: &World, patch: &str, now: Time) -> Result<(), lockstep::model::Refusal> {
    let request = host::apply::Request {
        root: world.path("PROD"),
        file: world.path(patch),
        approvals: Vec::new(),
        accepted: Vec::new(),
        memory: host::apply::MEMORY,
        dry_run: true,
        hot: false,
        receipt: None,
        environment: None,
    };
    host::apply::run(&request, now, &Unwatched).map(drop)
}

fn prepare_at(world: &World, to: &str, now: Time) -> Result<(), lockstep::model::Refusal> {
    let desk = Desk {
        state: world.path("desk/state"),
        cache: world.path("desk/cache"),
    };
    let request = desk::prepare::Request {
        snapshots: vec![world.path("usb/PROD.snapshot.spr")],
        to: vec![to.to_owned()],
        sources: vec![world.path("repository").display().to_string()],
        site: Some(world.path("site.spr")),
        key: Some(world.path("keys/desk")),
        output: Some(world.path("usb/late.patch.spr")),
        ..desk::prepare::Request::default()
    };
    desk::prepare::run(&desk, &request, now, &Unwatched).map(drop)
}

#[test]
fn usage_a_site_file_is_no_patch() -> Tested {
    let world = World::installed()?;
    world.refused(
        "PROD",
        "lockstep apply site.spr --root PROD",
        2,
        &["site file", "patch file", "site.spr"],
    )?;
    world.refused(
        "PROD",
        "lockstep apply nowhere.spr --root PROD",
        2,
        &["nowhere.spr"],
    )?;
    Ok(())
}

#[test]
fn nothing_to_do() -> Tested {
    let world = World::installed()?;
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/PROD.receipt.spr --to {MP4}"),
        3,
        &["mp4", "PROD"],
    )?;
    world.refused(
        "PROD",
        "lockstep init --root PROD --name PROD --site site.spr --service none",
        3,
        &["PROD"],
    )?;
    world.refused("PROD", "lockstep trust site.spr --root PROD", 3, &["1"])?;
    Ok(())
}

#[test]
fn wrong_environment_is_said_first() -> Tested {
    let world = World::installed()?;
    world.install("TEST")?;
    second_patch(&world)?;
    let words = ["made for", "PROD (", "this is", "TEST (", "lockstep apply"];
    world.refused(
        "TEST",
        "lockstep apply usb/PROD-2.patch.spr --root TEST",
        10,
        &words,
    )?;
    // Even when everything behind the statement is missing: identity comes before the payload.
    let patch = fs::read(world.path("usb/PROD-2.patch.spr"))?;
    let statement_end = patch.len().min(16 * 1024);
    fs::write(world.path("usb/cut.patch.spr"), &patch[..statement_end])?;
    world.refused(
        "TEST",
        "lockstep apply usb/cut.patch.spr --root TEST",
        10,
        &words,
    )?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD --environment TEST",
        10,
        &["TEST", "PROD"],
    )?;
    Ok(())
}

#[test]
fn wrong_machine_a_copy_signs_nothing() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.ok("cp -a PROD COPY")?;
    let words = [
        "copied, moved or restored",
        "it was",
        "it is",
        "work on the original",
    ];
    world.refused(
        "COPY",
        "lockstep snapshot --root COPY --output usb/copy.spr",
        11,
        &words,
    )?;
    world.refused(
        "COPY",
        "lockstep apply usb/PROD-2.patch.spr --root COPY",
        11,
        &words,
    )?;
    world.ok("mv PROD MOVED")?;
    world.refused(
        "MOVED",
        "lockstep apply usb/PROD-2.patch.spr --root MOVED",
        11,
        &[
            "copied, moved or restored",
            "it was",
            "it is",
            "move it back",
        ],
    )?;
    Ok(())
}

#[test]
fn already_applied() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD",
        12,
        &["patch", "sequence 3", "lockstep receipt 3"],
    )?;
    Ok(())
}

#[test]
fn stale_a_file_changed() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.write("PROD/portal.txt", "nobody owns this, so it is no drift")?;
    world.ok("lockstep apply usb/PROD-2.patch.spr --root PROD --dry-run")?;
    world.write("PROD/api/restapi.jar", "tampered")?;
    let words = [
        "patch expects state",
        "state found",
        "api/restapi.jar: changed",
        "lockstep snapshot",
    ];
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD",
        13,
        &words,
    )?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD --dry-run",
        13,
        &words,
    )?;
    Ok(())
}

#[test]
fn stale_the_challenge_is_closed() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.ok("lockstep snapshot --root PROD --output usb/night.spr")?;
    world.ok("lockstep apply usb/PROD-2.patch.spr --root PROD --dry-run")?;
    world.ok("lockstep snapshot --root PROD --only --output usb/only.spr")?;
    let words = ["closed", "sequence 2", "sequence 4", "lockstep snapshot"];
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD",
        13,
        &words,
    )?;
    Ok(())
}

#[test]
fn too_old() -> Tested {
    let world = World::with_policy("age_limit_days = 5\n")?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    assert!(apply_at(&world, "usb/PROD.patch.spr", now().plus_days(4)).is_ok());
    for refused in [
        apply_at(&world, "usb/PROD.patch.spr", now().plus_days(6)),
        prepare_at(&world, MP4, now().plus_days(6)),
    ] {
        let refusal = refused.err().ok_or("not refused")?;
        assert_eq!(refusal.name, RefusalName::TooOld, "{refusal}");
        let text = refusal.to_string();
        assert!(text.contains("6 days") && text.contains("5 days"), "{text}");
    }
    Ok(())
}

#[test]
fn superseded_by_a_receipt() -> Tested {
    let world = World::installed()?;
    let words = ["sequence 1", "sequence 2", "--environment PROD"];
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/PROD.snapshot.spr --to {MP5}"),
        15,
        &words,
    )?;
    Ok(())
}

#[test]
fn downgrade_must_be_accepted_on_both_sides() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.apply("PROD", "usb/PROD-2.patch.spr", "usb/PROD-2.receipt.spr")?;
    let prepare =
        format!("{PREPARE} usb/PROD-2.receipt.spr --to {RESTAPI_39} --output usb/down.spr");
    let words = ["restapi 7.0.40", "7.0.39", "--accept downgrade"];
    world.refused("PROD", &prepare, 16, &words)?;
    world.ok(&format!("{prepare} --accept downgrade --reason slow"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/down.spr --root PROD",
        16,
        &words,
    )?;
    world.ok(
        "lockstep apply usb/down.spr --root PROD --accept downgrade --reason slow --receipt usb",
    )?;
    let history = world.ok("lockstep history --root PROD --check")?.out;
    assert!(history.contains("accepted downgrade: slow"), "{history}");
    Ok(())
}

#[test]
fn forked_two_snapshots_of_one_sequence() -> Tested {
    let world = World::installed()?;
    world.ok("ln PROD/.lockstep/current saved && cp -a PROD/.lockstep/states states")?;
    world.ok("lockstep snapshot --root PROD --output usb/one.spr")?;
    // Set back behind its own back, as a virtual machine is; the key file is never touched.
    world.revert_state("PROD", "states", "saved")?;
    world.ok("lockstep snapshot --root PROD --output usb/two.spr")?;
    world.ok(&format!("{PREPARE} usb/one.spr --to {MP5} --site site.spr --key keys/desk --source repository --output usb/x.spr"))?;
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/two.spr --to {MP5} --output usb/y.spr"),
        17,
        &["sequence 3", "this one", "known here", "--accept forked"],
    )?;
    Ok(())
}

#[test]
fn not_enrolled() -> Tested {
    let world = World::installed()?;
    let words = ["PROD (", "lockstep enrol"];
    world.refused(
        "PROD",
        &format!("lockstep prepare usb/PROD.receipt.spr --desk other --to {MP5}"),
        18,
        &words,
    )?;
    world.refused(
        "PROD",
        "lockstep receive usb/PROD.receipt.spr --desk other",
        18,
        &words,
    )?;
    let wrong =
        "lockstep enrol usb/PROD.receipt.spr --desk other --fingerprint SHA256:AAAAAAAAAAAAAAAA";
    world.refused(
        "PROD",
        wrong,
        18,
        &["SHA256:AAAAAAAAAAAAAAAA", "file has", "you gave"],
    )?;
    Ok(())
}

#[test]
fn bad_signature_an_edited_statement() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    let mut parts = Parts::read(&world.path("usb/PROD-2.patch.spr"))?;
    parts.statement["memory"] = 1_u64.into();
    parts.write(&world.path("usb/edited.spr"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/edited.spr --root PROD",
        20,
        &["signature"],
    )?;
    parts.signatures.clear();
    parts.write(&world.path("usb/unsigned.spr"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/unsigned.spr --root PROD",
        20,
        &["signature"],
    )?;
    Ok(())
}

#[test]
fn vendor_untrusted_a_repository_set_back() -> Tested {
    let world = World::new()?;
    world.ok("cp -a repository older")?;
    world.component("core/9.2/core-9.2.0", &[("lib/core.jar", "core 9.2")], "")?;
    world.install("PROD")?;
    // The host has accepted newer metadata, and says so in its snapshot.
    let words = ["stibo", "rollback"];
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/PROD.receipt.spr --to {MP5} --source older"),
        21,
        &words,
    )?;
    Ok(())
}

#[test]
fn vendor_untrusted_metadata_that_the_preparer_edited() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    // A desk with a trusted key counts the vendor's timestamp up.
    let mut parts = Parts::read(&world.path("usb/PROD-2.patch.spr"))?;
    let names: Vec<String> = parts.members.iter().map(|(name, _)| name.clone()).collect();
    let timestamp = names
        .iter()
        .position(|name| name.ends_with("timestamp.json.zst"))
        .ok_or("no timestamp")?;
    let packed = &mut parts.members[timestamp].1;
    let mut forged: serde_json::Value =
        serde_json::from_slice(&zstd::decode_all(packed.as_slice())?)?;
    let version = forged["signed"]["version"].as_u64().ok_or("no version")?;
    forged["signed"]["version"] = (version + 1).into();
    *packed = zstd::encode_all(serde_json::to_vec(&forged)?.as_slice(), 3)?;
    parts.relist()?;
    parts.write_signed(&world.path("usb/forged.spr"), &world.path("keys/desk"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/forged.spr --root PROD",
        21,
        &["stibo", "timestamp"],
    )?;
    Ok(())
}

#[test]
fn corrupt_a_flipped_byte_in_a_pack() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    let mut bytes = fs::read(world.path("usb/PROD-2.patch.spr"))?;
    let pack = bytes
        .windows(14)
        .position(|window| window == b"packs/0000.zst")
        .ok_or("no pack")?;
    let last = bytes
        .windows(14)
        .rposition(|window| window == b"packs/0000.zst")
        .ok_or("no pack")?;
    assert!(pack < last, "named in the statement, and in its own header");
    bytes[last + 512 + 20] ^= 1;
    fs::write(world.path("usb/flipped.spr"), bytes)?;
    let words = ["packs/0000.zst", "SHA-256", "copy the file again"];
    world.refused(
        "PROD",
        "lockstep apply usb/flipped.spr --root PROD",
        22,
        &words,
    )?;
    world.refused(
        "PROD",
        "lockstep apply usb/flipped.spr --root PROD --dry-run",
        22,
        &words,
    )?;
    Ok(())
}

#[test]
fn not_approved_until_enough_people_did() -> Tested {
    let world = World::with_policy("approvals = 2\n")?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    let apply = "lockstep apply usb/PROD.patch.spr --root PROD";
    world.refused("PROD", apply, 23, &["2", "nobody", "lockstep approve"])?;
    world.ok("lockstep approve usb/PROD.head.spr --key keys/anna")?;
    world.refused("PROD", apply, 23, &["2", "anna", "lockstep approve"])?;
    world.ok("lockstep approve usb/PROD.patch.spr --key keys/ben --output usb/ben.sig")?;
    let done = world.ok(&format!("{apply} --approval usb/ben.sig --receipt usb"))?;
    assert!(done.out.contains("anna, ben"), "{}", done.out);
    Ok(())
}

#[test]
fn not_approved_by_a_stranger() -> Tested {
    let world = World::with_policy("approvals = 1\n")?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    world.ok("lockstep approve usb/PROD.patch.spr --key keys/stranger --output usb/s.sig")?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD.patch.spr --root PROD --approval usb/s.sig",
        26,
        &["SHA256:"],
    )?;
    Ok(())
}

#[test]
fn expired_metadata() -> Tested {
    let world = World::new()?;
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    // An ordinary patch applied late, but within policy, passes; the desk is strict at once.
    assert!(apply_at(&world, "usb/PROD.patch.spr", now().plus_days(60)).is_ok());
    assert!(apply_at(&world, "usb/PROD.patch.spr", Time::EPOCH).is_ok());
    for refused in [
        apply_at(&world, "usb/PROD.patch.spr", now().plus_days(400)),
        prepare_at(&world, MP4, now().plus_days(60)),
    ] {
        let refusal = refused.err().ok_or("not refused")?;
        assert_eq!(refusal.name, RefusalName::Expired, "{refusal}");
        assert!(refusal.values.len() >= 2, "{refusal}");
    }
    Ok(())
}

#[test]
fn unsupported_format() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    let mut parts = Parts::read(&world.path("usb/PROD-2.patch.spr"))?;
    parts.statement["format"] = 7_u64.into();
    parts.write_signed(&world.path("usb/later.spr"), &world.path("keys/desk"))?;
    world.refused(
        "PROD",
        "lockstep apply usb/later.spr --root PROD",
        25,
        &["format 7", "format 0"],
    )?;
    Ok(())
}

#[test]
fn untrusted_signer_a_patch_of_a_stranger() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    let parts = Parts::read(&world.path("usb/PROD-2.patch.spr"))?;
    parts.write_signed(
        &world.path("usb/stranger.spr"),
        &world.path("keys/stranger"),
    )?;
    world.refused(
        "PROD",
        "lockstep apply usb/stranger.spr --root PROD",
        26,
        &["SHA256:", "desk"],
    )?;
    let prepare = format!("{PREPARE} usb/PROD.receipt.spr --to {MP5} --key keys/stranger");
    world.refused(
        "PROD",
        &prepare,
        26,
        &["your key", "preparers", "desk SHA256:"],
    )?;
    Ok(())
}

#[test]
fn untrusted_signer_a_removed_preparer() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.ok("lockstep site renew --from site.spr --remove desk --preparer anna=keys/ben.pub --key keys/owner --output site2.spr")?;
    world.ok("lockstep trust site2.spr --root PROD")?;
    world.ok("lockstep apply usb/PROD-2.patch.spr --root PROD; test $? = 26 -o $? = 13")?;
    world.refused(
        "PROD",
        "lockstep trust site.spr --root PROD",
        26,
        &["1", "2"],
    )?;
    Ok(())
}

#[test]
fn conflict_a_file_in_the_way() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.write("PROD/lib/new.txt", "the customer's own")?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD",
        30,
        &["lib/new.txt", "nobody owns", "then apply again"],
    )?;
    Ok(())
}

#[test]
fn conflict_drift_on_a_file_that_the_patch_touches() -> Tested {
    let world = World::installed()?;
    world.write("PROD/lib/core.jar", "mended by hand")?;
    world.ok("lockstep snapshot --root PROD --output usb/drift.spr")?;
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/drift.spr --to {MP5}"),
        30,
        &["lib/core.jar", "changed", "policy"],
    )?;
    Ok(())
}

#[test]
fn unsatisfiable_with_reasons() -> Tested {
    let world = World::installed()?;
    let prepare = format!("{PREPARE} usb/PROD.receipt.spr --to");
    world.refused(
        "PROD",
        &format!("{prepare} to:restapi/7.0/restapi-7.0.41.spr"),
        31,
        &["restapi 7.0.41 requires core >=9.2", "9.0.0"],
    )?;
    world.refused(
        "PROD",
        &format!("{prepare} to:restapi/7.0/restapi-7.0.99.spr"),
        31,
        &["restapi-7.0.99", "restapi-7.0.40"],
    )?;
    world.component("clash/1.0/clash-1.0", &[("lib/core.jar", "mine")], "")?;
    world.refused(
        "PROD",
        &format!("{prepare} clash/1.0/clash-1.0"),
        31,
        &["lib/core.jar would belong to both", "core 9.0.0"],
    )?;
    Ok(())
}

#[test]
fn not_hot() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD --hot",
        32,
        &["--hot"],
    )?;
    Ok(())
}

#[test]
fn no_space() -> Tested {
    let world = World::new()?;
    fs::create_dir(world.path("small"))?;
    let big = "x".repeat(3_000_000);
    world.component("big/1.0/big-1.0", &[("big.bin", &big)], "")?;
    if world.run("mount -t tmpfs -o size=1m tmpfs small")?.code != 0 {
        println!("skipped: only root may mount a small file system");
        return Ok(());
    }
    let tried = (|| {
        fs::create_dir(world.path("small/PROD"))?;
        world.ok("lockstep init --root small/PROD --name PROD --site site.spr --service none --output usb/PROD.snapshot.spr")?;
        world.ok("lockstep enrol usb/PROD.snapshot.spr --desk desk")?;
        world.prepare(
            "usb/PROD.snapshot.spr",
            "big/1.0/big-1.0",
            "usb/PROD.patch.spr",
        )?;
        world.refused(
            "small/PROD",
            "lockstep apply usb/PROD.patch.spr --root small/PROD",
            33,
            &["needed", "free"],
        )
    })();
    world.ok("umount small")?;
    tried.map(drop)
}

#[test]
fn no_memory() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD --memory 1K",
        33,
        &["1024 bytes", "--memory"],
    )?;
    Ok(())
}

#[test]
fn busy_says_who() -> Tested {
    let world = World::installed()?;
    let lock = fs::File::options()
        .read(true)
        .write(true)
        .open(world.path("PROD/.lockstep/lock"))?;
    lock.lock()?;
    world.write(
        "PROD/.lockstep/lock",
        "pid 4711\nsince 2026-11-24T03:00:00Z\ncommand apply x.spr\n",
    )?;
    world.refused(
        "PROD",
        "lockstep snapshot --root PROD --output usb/x.spr",
        35,
        &["4711", "apply x.spr", "03:00"],
    )?;
    Ok(())
}

#[test]
fn not_permitted_another_user() -> Tested {
    let world = World::installed()?;
    if world
        .run("setpriv --reuid 65534 --regid 65534 --clear-groups true")?
        .code
        != 0
    {
        println!("skipped: only root may become another user");
        return Ok(());
    }
    world.ok("chmod 755 . PROD && chmod 777 usb")?;
    let line = "setpriv --reuid 65534 --regid 65534 --clear-groups lockstep snapshot --root PROD --output usb/x.spr";
    world.refused("PROD", line, 36, &["root", "sudo -u"])?;
    Ok(())
}

#[test]
fn not_permitted_a_key_file_open_to_others() -> Tested {
    let world = World::installed()?;
    fs::set_permissions(world.path("keys/desk"), fs::Permissions::from_mode(0o644))?;
    world.refused(
        "PROD",
        &format!("{PREPARE} usb/PROD.receipt.spr --to {MP5}"),
        36,
        &["0644", "0600", "chmod 600"],
    )?;
    Ok(())
}

#[test]
fn incomplete_a_cut_transfer() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    let bytes = fs::read(world.path("usb/PROD-2.patch.spr"))?;
    for length in [0, 100, bytes.len() - 1_200, bytes.len() - 1] {
        fs::write(world.path("usb/cut.spr"), &bytes[..length])?;
        world.refused(
            "PROD",
            "lockstep apply usb/cut.spr --root PROD",
            37,
            &["copy the file again"],
        )?;
    }
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.head.spr --root PROD",
        37,
        &["packs/0000.zst", "1 pack"],
    )?;
    Ok(())
}

#[test]
fn needs_recovery_is_said_by_those_who_only_look() -> Tested {
    let world = World::installed()?;
    second_patch(&world)?;
    world.write("PROD/.lockstep/journal", "something was under way")?;
    let words = ["interrupted", "lockstep recover"];
    world.refused("PROD", "lockstep components --root PROD", 41, &words)?;
    world.refused(
        "PROD",
        "lockstep apply usb/PROD-2.patch.spr --root PROD --dry-run",
        41,
        &words,
    )?;
    let before = world.tree("PROD")?;
    let status = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(["status", "--check", "--root"])
        .arg(world.path("PROD"))
        .output()?;
    assert_eq!(status.status.code(), Some(41));
    assert_eq!(before, world.tree("PROD")?);
    Ok(())
}
