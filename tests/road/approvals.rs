//! Four eyes: who counts as a person, what counts as an approval, and what an approver is shown.

use std::fs;

use lockstep::model::RefusalName;

use crate::agent::Agent;
use crate::forge::Parts;
use crate::world::{MP4, Outcome, Ran, Tested, World};

const APPLY: &str = "lockstep apply usb/PROD.patch.spr --root PROD --receipt usb/r.spr";

/// Three approvers, two of whom are wanted, and a patch.
fn world() -> Outcome<World> {
    site("approvals = 2\n", "--approver carl=keys/stranger.pub")
}

/// A patch under a site with this policy, anna and ben as approvers, and `more`.
fn site(policy: &str, more: &str) -> Outcome<World> {
    let world = World::with_policy(policy)?;
    if !more.is_empty() {
        world.ok(&format!("lockstep site renew --from site.spr {more} --key keys/owner --output site2.spr && mv site2.spr site.spr"))?;
    }
    world.init("PROD")?;
    prepared(&world)?;
    Ok(world)
}

/// Prepares the patch and takes `patch.json` out of it.
fn prepared(world: &World) -> Outcome<Ran> {
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    world.ok("tar -xOf usb/PROD.head.spr patch.json > patch.json")
}

/// Approves as a person with a key file, beside the patch.
fn approve(world: &World, key: &str) -> Outcome<Ran> {
    world.ok(&format!(
        "lockstep approve usb/PROD.head.spr --key keys/{key}"
    ))
}

/// Signs `patch.json` with OpenSSH alone; the signature is `NAME.sig`.
fn ssh_keygen(world: &World, key: &str) -> Tested {
    world.ok(&format!("rm -f patch.json.sig; ssh-keygen -q -Y sign -f keys/{key} -n lockstep-approval patch.json && mv patch.json.sig {key}.sig"))?;
    Ok(())
}

#[test]
fn any_two_of_three_people_by_key_file_by_agent_and_by_ssh_keygen() -> Tested {
    let world = world()?;
    let agent = Agent::start(&world, &[])?;
    let env = agent.env();
    world.ok(&format!("{env} ssh-add -q keys/ben && rm keys/ben"))?;
    ssh_keygen(&world, "stranger")?;
    let ways = [
        (
            "anna",
            "lockstep approve usb/PROD.head.spr --key keys/anna --site site.spr".to_owned(),
        ),
        (
            "ben",
            format!("{env} lockstep approve usb/PROD.patch.spr --key keys/ben.pub --site site.spr"),
        ),
        (
            "carl",
            "lockstep approve usb/PROD.head.spr --signature stranger.sig --site site.spr"
                .to_owned(),
        ),
    ];
    for (first, second) in [(0, 1), (1, 2), (2, 0)] {
        world.ok("rm -f usb/*.sig")?;
        let ((one, by_one), (two, by_two)) = (&ways[first], &ways[second]);
        let ran = world.ok(by_one)?;
        assert!(
            ran.out.contains(&format!("approver   {one}")),
            "{}",
            ran.out
        );
        assert!(ran.out.contains("1 more person(s)"), "{}", ran.out);
        world.refused("PROD", APPLY, 23, &["2", one])?;
        let ran = world.ok(by_two)?;
        assert!(
            ran.out.contains(&format!("approver   {two}")),
            "{}",
            ran.out
        );
        assert!(!ran.out.contains("more person(s)"), "{}", ran.out);
        world.ok(&format!("{APPLY} --dry-run"))?;
    }
    // The same by name instead of by place.
    world.ok("mkdir away && mv usb/*.sig away")?;
    world.refused("PROD", APPLY, 23, &["nobody"])?;
    let named = format!("{APPLY} $(printf -- '--approval %s ' away/*.sig)");
    let ran = world.ok(&named)?;
    assert!(ran.out.contains("approved   by anna, carl"), "{}", ran.out);
    Ok(())
}

#[test]
fn one_person_with_two_keys_or_two_names_is_one() -> Tested {
    for more in [
        "--approver anna=keys/stranger.pub",
        // anna and dora share a key, and dora has another one.
        "--approver dora=keys/stranger.pub --preparer anna=keys/stranger.pub",
    ] {
        let world = site("approvals = 2\n", more)?;
        approve(&world, "anna")?;
        approve(&world, "stranger")?;
        world.refused("PROD", APPLY, 23, &["2", "approved by"])?;
        approve(&world, "ben")?;
        world.ok(APPLY)?;
    }
    Ok(())
}

#[test]
fn whoever_prepared_a_patch_cannot_approve_it_under_any_name() -> Tested {
    for more in [
        "--approver desk=keys/desk.pub",
        "--approver dora=keys/desk.pub",
        "--approver desk=keys/stranger.pub",
    ] {
        let world = site("approvals = 1\n", more)?;
        let key = if more.contains("stranger") {
            "stranger"
        } else {
            "desk"
        };
        let line = format!("lockstep approve usb/PROD.head.spr --key keys/{key} --site site.spr");
        world.refused("usb", &line, 23, &["prepared by", "desk", "your key"])?;
        if key == "desk" {
            let line = "lockstep approve usb/PROD.head.spr --key keys/desk";
            world.refused("usb", line, 23, &["prepared by"])?;
        }
        // Made by other means, it still does not count.
        ssh_keygen(&world, key)?;
        world.refused(
            "PROD",
            &format!("{APPLY} --approval {key}.sig"),
            23,
            &["nobody"],
        )?;
    }
    Ok(())
}

#[test]
fn an_approval_of_another_patch_or_for_another_purpose_is_none() -> Tested {
    let world = site("approvals = 1\n", "")?;
    ssh_keygen(&world, "anna")?;
    world.ok("mv anna.sig old.sig && rm usb/PROD.patch.spr usb/PROD.head.spr && sleep 1")?;
    prepared(&world)?;
    world.ok("ssh-keygen -q -Y sign -f keys/anna -n lockstep-patch patch.json && mv patch.json.sig purpose.sig")?;
    for wrong in ["old.sig", "purpose.sig"] {
        let line = format!("lockstep approve usb/PROD.head.spr --signature {wrong}");
        world.refused("usb", &line, 20, &[wrong, "ssh-keygen -Y sign"])?;
        world.refused(
            "PROD",
            &format!("{APPLY} --approval {wrong}"),
            20,
            &["approval"],
        )?;
        world.ok(&format!("cp {wrong} usb/PROD.{}.sig", "a".repeat(64)))?;
        world.refused("PROD", APPLY, 23, &["nobody", "not counted"])?;
    }
    Ok(())
}

#[test]
fn the_head_and_the_patch_are_approved_alike() -> Tested {
    let world = site("approvals = 1\n", "")?;
    let by = |file: &str, to: &str| {
        format!("lockstep approve usb/PROD.{file}.spr --key keys/anna --output {to}")
    };
    world.ok(&by("head", "1.sig"))?;
    world.ok(&by("patch", "2.sig"))?;
    ssh_keygen(&world, "anna")?;
    world.ok("cmp 1.sig 2.sig && cmp 2.sig anna.sig")?;
    let ran = world.ok("lockstep inspect usb/PROD.head.spr")?;
    assert!(ran.out.contains(": a head"), "{}", ran.out);
    world.refused_verify("usb/PROD.head.spr --site site.spr", 23, "more approvals")?;
    let ran = world.ok("lockstep verify usb/PROD.head.spr --site site.spr --approval 1.sig")?;
    assert!(ran.out.contains("not in its head"), "{}", ran.out);
    // What lies beside is found, as apply finds it.
    world.ok("lockstep approve usb/PROD.head.spr --key keys/anna")?;
    for file in ["head", "patch"] {
        world.ok(&format!(
            "lockstep verify usb/PROD.{file}.spr --site site.spr"
        ))?;
    }
    Ok(())
}

#[test]
fn an_approver_whom_the_patchs_newer_site_removes_does_not_count() -> Tested {
    let world = World::with_policy("approvals = 1\n")?;
    world.init("PROD")?;
    world.ok(
        "lockstep site renew --from site.spr --remove ben --key keys/owner --output site2.spr",
    )?;
    world.ok(&format!("lockstep prepare usb/PROD.snapshot.spr --to {MP4} --desk desk --site site2.spr --key keys/desk --source repository --output usb/PROD.patch.spr"))?;
    let line = "lockstep approve usb/PROD.head.spr --key keys/ben --site site.spr";
    world.refused("usb", line, 26, &["approval", "trusted"])?;
    world.ok("lockstep approve usb/PROD.head.spr --key keys/ben")?;
    world.refused("PROD", APPLY, 23, &["nobody", "not counted"])?;
    world.ok("mv usb/*.sig ben.sig")?;
    world.refused(
        "PROD",
        &format!("{APPLY} --approval ben.sig"),
        26,
        &["trusted"],
    )?;
    world.ok("cp ben.sig usb/PROD.$(printf %064d 0).sig")?;
    approve(&world, "anna")?;
    let ran = world.ok(APPLY)?;
    assert!(ran.out.contains("approved   by anna"), "{}", ran.out);
    assert!(
        ran.err.contains("does not approve this patch"),
        "{}",
        ran.err
    );
    Ok(())
}

#[test]
fn noise_beside_the_patch_neither_counts_nor_holds_it_up() -> Tested {
    let world = site("approvals = 1\n", "")?;
    let name = |digit: char| format!("usb/PROD.{}.sig", digit.to_string().repeat(64));
    for (digit, line) in [
        ('0', "mkfifo"),
        ('1', "mkdir"),
        ('2', "truncate -s 3G"),
        ('3', "echo noise >"),
        ('4', "ln -s /dev/zero"),
        ('5', "ln -s nowhere"),
    ] {
        world.ok(&format!("{line} {}", name(digit)))?;
    }
    // What hangs is ended, and has another exit code then.
    let apply = format!("timeout 60 {APPLY}");
    world.refused("PROD", &apply, 23, &["nobody"])?;
    for digit in ['0', '2', '4'] {
        let line = format!("timeout 60 {APPLY} --approval {}", name(digit));
        let ran = world.run(&line)?;
        assert!(
            [1, 2].contains(&ran.code),
            "{line}: {}\n{}",
            ran.code,
            ran.err
        );
        let line = format!(
            "timeout 60 lockstep approve usb/PROD.head.spr --signature {}",
            name(digit)
        );
        let ran = world.run(&line)?;
        assert!(
            [1, 2].contains(&ran.code),
            "{line}: {}\n{}",
            ran.code,
            ran.err
        );
    }
    approve(&world, "anna")?;
    let ran = world.ok(&format!("{apply} --dry-run"))?;
    for digit in ['0', '1', '2', '3', '4', '5'] {
        assert!(ran.err.contains(&name(digit)), "{digit}: {}", ran.err);
    }
    Ok(())
}

#[test]
fn an_approver_sees_what_is_signed_and_nothing_obeys_it() -> Tested {
    let world = World::installed()?;
    world.ok("lockstep prepare --environment PROD --to to:core/9.1/core-9.1.0.spr --remove restapi --accept downgrade --reason 'not needed' --desk desk --source repository --output usb/PROD2.patch.spr")?;
    let ran = world.ok("lockstep approve usb/PROD2.head.spr --key keys/anna --site site.spr")?;
    for part in [
        "environment PROD",
        "preparer   desk SHA256:",
        "trusted by the site",
        "PROD: core 9.0.0 -> 9.1.0",
        "restapi 7.0.39 -> removed",
        "accepted   downgrade: not needed",
        "apply before",
    ] {
        assert!(ran.err.contains(part), "{part}:\n{}", ran.err);
    }
    // A file name that would be a line of its own.
    let name = "usb/a\n  approver   ben.sig";
    let ran = world.ok(&format!(
        "lockstep approve usb/PROD2.head.spr --key keys/anna --output '{name}'"
    ))?;
    assert!(!ran.out.contains("\n  approver"), "{}", ran.out);
    assert!(world.path(name).exists(), "{}", ran.out);
    // A reason that would clear the screen, and one that would be a line of its own.
    let mut parts = Parts::read(&world.path("usb/PROD2.head.spr"))?;
    parts.statement["accepted"][0]["reason"] = "\u{1b}[2J\n  approvals  anna, ben".into();
    parts.write_signed(&world.path("usb/E.head.spr"), &world.path("keys/desk"))?;
    let ran = world.run("lockstep approve usb/E.head.spr --key keys/anna")?;
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    assert!(!ran.err.contains("\n  approvals"), "{}", ran.err);
    assert!(
        ran.code != 0 || ran.err.contains("\\u{1b}[2J\\u{a}"),
        "{}",
        ran.err
    );
    Ok(())
}

#[test]
fn a_patch_that_is_not_its_preparers_is_not_approved() -> Tested {
    let world = site("approvals = 1\n", "")?;
    let head = world.path("usb/PROD.head.spr");
    let approve = |file: &str| {
        format!("lockstep approve usb/{file}.head.spr --key keys/anna --site site.spr")
    };
    // Changed after it was signed.
    let mut parts = Parts::read(&head)?;
    parts.statement["created"] = "2020-01-01T00:00:00Z".into();
    parts.write(&world.path("usb/a.head.spr"))?;
    world.refused("usb", &approve("a"), 20, &["signature"])?;
    // Signed again by somebody whom the site does not trust to prepare.
    parts.write_signed(&world.path("usb/b.head.spr"), &world.path("keys/stranger"))?;
    world.refused("usb", &approve("b"), 26, &["trusted"])?;
    // Another state shown than the one that the statement answers.
    let mut parts = Parts::read(&head)?;
    for (name, bytes) in &mut parts.members {
        if name == "snapshots/PROD.json" {
            let text = String::from_utf8(bytes.clone())?.replace("\"sequence\":", "\"sequence\":1");
            *bytes = text.into_bytes();
        }
    }
    parts.statement["packs"] = serde_json::json!([]);
    parts.statement["volumes"] = serde_json::json!([0]);
    parts.set_operations(&[])?;
    parts.write_signed(&world.path("usb/c.head.spr"), &world.path("keys/desk"))?;
    // More operations than the statement says.
    let mut parts = Parts::read(&head)?;
    let (list, tally) = (parts.operations()?, parts.statement["operations"].clone());
    parts.set_operations(&[list.clone(), list].concat())?;
    parts.statement["operations"] = tally;
    parts.statement["packs"] = serde_json::json!([]);
    parts.statement["volumes"] = serde_json::json!([0]);
    parts.write_signed(&world.path("usb/d.head.spr"), &world.path("keys/desk"))?;
    world.refused(
        "usb",
        &approve("d"),
        22,
        &["operations.jsonl.zst", "d.head.spr"],
    )?;
    let ran = world.run(&approve("c"))?;
    assert_eq!(ran.code, 22, "{}", ran.err);
    assert!(ran.err.contains("is not the snapshot"), "{}", ran.err);
    assert!(
        fs::read_dir(world.path("usb"))?
            .flatten()
            .all(|entry| { entry.path().extension().is_none_or(|end| end != "sig") })
    );
    Ok(())
}

#[test]
fn a_security_key_approves_where_somebody_touched_it() -> Tested {
    let Some(dummy) = std::env::var_os("LOCKSTEP_SK_DUMMY") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "LOCKSTEP_SK_DUMMY is not set"
        );
        eprintln!("not checked: LOCKSTEP_SK_DUMMY names no security key in software (sk-dummy.so)");
        return Ok(());
    };
    let dummy = dummy.to_string_lossy().into_owned();
    let world = World::with_policy("approvals = 1\n")?;
    let make = |name: &str, more: &str| {
        format!(
            "SSH_SK_PROVIDER={dummy} ssh-keygen -q -t ed25519-sk {more} -N '' -C {name} -f keys/{name}"
        )
    };
    world.ok(&make("held", ""))?;
    world.ok(&make("lazy", "-O no-touch-required"))?;
    world.ok("lockstep site renew --from site.spr --approver keys/held.pub --approver keys/lazy.pub --key keys/owner --output site2.spr && mv site2.spr site.spr")?;
    let preparer = "lockstep site renew --from site.spr --preparer keys/held.pub --key keys/owner --output no.spr";
    world.refused("usb", preparer, 2, &["security key"])?;
    world.init("PROD")?;
    prepared(&world)?;
    for name in ["held", "lazy"] {
        world.ok(&format!("SSH_SK_PROVIDER={dummy} ssh-keygen -q -Y sign -f keys/{name} -n lockstep-approval patch.json && mv patch.json.sig {name}.sig"))?;
    }
    let lazy = "lockstep approve usb/PROD.head.spr --signature lazy.sig";
    world.refused("usb", lazy, 20, &["without a touch"])?;
    world.refused(
        "PROD",
        &format!("{APPLY} --approval lazy.sig"),
        20,
        &["without a touch"],
    )?;
    world.ok(&format!("{APPLY} --approval held.sig --dry-run"))?;
    // The private key file alone says what to do; the agent does it.
    let file = "lockstep approve usb/PROD.head.spr --key keys/held";
    world.refused(
        "usb",
        file,
        2,
        &["sk-ssh-ed25519", "agent", "ssh-keygen -Y sign"],
    )?;
    let agent = Agent::start(&world, &["-P", "/*"])?;
    let env = agent.env();
    world.ok(&format!(
        "{env} SSH_SK_PROVIDER={dummy} ssh-add -q keys/held keys/lazy"
    ))?;
    let ran = world.run(&format!(
        "{env} lockstep approve usb/PROD.head.spr --key keys/lazy.pub"
    ))?;
    assert!(
        ran.code == 1 && ran.err.contains("without a touch"),
        "{}",
        ran.err
    );
    world.ok(&format!(
        "{env} lockstep approve usb/PROD.head.spr --key keys/held.pub --site site.spr"
    ))?;
    let ran = world.ok(APPLY)?;
    assert!(ran.out.contains("approved   by held"), "{}", ran.out);
    Ok(())
}

#[test]
fn accept_lifts_what_policy_lists_where_approvals_are_asked_for() -> Tested {
    let lifts: Vec<&str> = RefusalName::ALL
        .into_iter()
        .filter(|name| name.acceptable())
        .map(RefusalName::word)
        .collect();
    assert!(lifts.len() >= 4, "{lifts:?}");
    let all = format!("approvals = 1\naccept = {lifts:?}\n");
    for (policy, listed) in [("approvals = 1\n", false), (all.as_str(), true)] {
        let world = site(policy, "")?;
        approve(&world, "anna")?;
        for name in RefusalName::ALL {
            let accept = format!("--accept {} --reason x", name.word());
            let apply = world.run(&format!("{APPLY} --dry-run {accept}"))?;
            let prepare = world.run(&format!("lockstep prepare usb/PROD.snapshot.spr --to {MP4} --desk desk --site site.spr --source repository --output {}.spr {accept}", name.word()))?;
            for ran in [apply, prepare] {
                if listed && name.acceptable() {
                    assert_eq!(ran.code, 0, "{}: {}", name.word(), ran.err);
                } else {
                    assert_eq!(ran.code, 2, "{}: {}", name.word(), ran.err);
                    assert!(ran.err.contains("cannot be lifted"), "{}", ran.err);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_site_file_takes_plain_people_alone() -> Tested {
    let world = World::new()?;
    let key = fs::read_to_string(world.path("keys/anna.pub"))?;
    let files = [
        ("authority", format!("cert-authority {key}")),
        ("dated", format!("valid-before=\"20300101\" {key}")),
        ("wild", format!("* {key}")),
        ("two", format!("{key}{key}")),
        ("listed", format!("anna {key}")),
    ];
    let mut bad: Vec<String> = ["*", "an*", "a,b", "!anna", "a b", ""]
        .into_iter()
        .map(|name| format!("'{name}=keys/anna.pub'"))
        .collect();
    for (name, text) in &files {
        world.write(&format!("keys/{name}.pub"), text)?;
        bad.push(format!("keys/{name}.pub"));
    }
    for person in bad {
        for option in ["--approver", "--preparer"] {
            let line = format!(
                "lockstep site renew --from site.spr {option} {person} --key keys/owner --output new.spr"
            );
            world.refused("usb", &line, 2, &[])?;
            assert!(!world.path("new.spr").exists(), "{line}");
        }
    }
    Ok(())
}
