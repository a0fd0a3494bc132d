//! The same checks by hand: our files before the tools that every machine has.

use std::fs;

use crate::world::{MP4, MP5, Tested, World};

/// Whether the stock tools are here; a machine without them cannot run these tests.
fn tools(world: &World) -> Result<bool, Box<dyn std::error::Error>> {
    let there = world
        .run("command -v ssh-keygen tar jq zstd sha256sum >/dev/null")?
        .code
        == 0;
    if !there {
        println!("skipped: ssh-keygen, tar, jq, zstd and sha256sum are wanted");
    }
    Ok(there)
}

#[test]
fn a_patch_checked_with_tar_jq_ssh_keygen_zstd_and_sha256sum() -> Tested {
    let world = World::installed()?;
    if !tools(&world)? {
        return Ok(());
    }
    world.prepare("usb/PROD.receipt.spr", MP5, "usb/p.spr")?;
    world.ok("mkdir by-hand && tar -xf usb/p.spr -C by-hand")?;
    // One canonical spelling: jq writes the same bytes.
    world.ok("cd by-hand && jq -cjS . patch.json > again && cmp again patch.json")?;
    // The preparer's signature, under the name that the site file gives the key.
    world.ok("tar -xOf site.spr site.json | jq -r '.preparers[]' > allowed")?;
    world.ok("cd by-hand && ssh-keygen -Y verify -f ../allowed -I desk -n lockstep-patch -s patch.json.*.sig < patch.json")?;
    let wrong = world.run("cd by-hand && ssh-keygen -Y verify -f ../allowed -I desk -n lockstep-site -s patch.json.*.sig < patch.json")?;
    assert_ne!(wrong.code, 0, "another namespace is another meaning");
    // Every member has the digest that the statement gives.
    world.ok("cd by-hand && jq -r '.members[] | \"\\(.sha256)  \\(.name)\"' patch.json | sha256sum -c --quiet --strict")?;
    // The node's own snapshot inside.
    world.ok("cd by-hand && jq -r '\"node \\(.node.key)\"' snapshots/PROD.json > ../node && ssh-keygen -Y verify -f ../node -I node -n lockstep-snapshot -s snapshots/PROD.json.sig < snapshots/PROD.json")?;
    // A recipe that took the place of another decompresses with the old one as dictionary.
    let base = world.ok("cd by-hand && jq -r '.recipes[] | select(.base) | \"\\(.base) \\(.recipe)\"' patch.json | head -1")?.out;
    let (base, recipe) = base.trim().split_once(' ').ok_or("no recipe with a base")?;
    world.ok(&format!("cd by-hand && zstd -q -d -D ../PROD/.lockstep/installed/{base}.spr recipes/{recipe}.spr.zst -o recipe.spr && echo '{recipe}  recipe.spr' | sha256sum -c --quiet"))?;
    // The packs, joined, are the contents that the operations name.
    world.ok("cd by-hand && zstd -q -d -c packs/*.zst > stream && test $(stat -c %s stream) = $(zstd -q -d -c operations.jsonl.zst | jq -s 'map(.length) | add')")?;
    Ok(())
}

#[test]
fn an_installed_tree_checked_with_sha256sum() -> Tested {
    let world = World::installed()?;
    if !tools(&world)? {
        return Ok(());
    }
    let sums = "for r in PROD/.lockstep/installed/*.spr; do tar -xOf $r recipe.json | jq -r '.files[] | select(.what.file) | \"\\(.what.file.sha256)  \\(.path)\"'; done > sums";
    world.ok(sums)?;
    assert!(fs::read_to_string(world.path("sums"))?.lines().count() >= 4);
    world.ok("cd PROD && sha256sum -c --quiet --strict ../sums")?;
    world.write("PROD/lib/core.jar", "tampered")?;
    assert_ne!(
        world
            .run("cd PROD && sha256sum -c --quiet --strict ../sums")?
            .code,
        0
    );
    Ok(())
}

#[test]
fn the_state_digest_by_hand() -> Tested {
    let world = World::installed()?;
    if !tools(&world)? {
        return Ok(());
    }
    world.ok("tar -xOf usb/PROD.receipt.spr snapshot.json > s.json")?;
    world.ok("test $(jq -r '.components[] | \"component \\(.)\"' s.json | sha256sum | cut -d' ' -f1) = $(jq -r .state s.json)")?;
    Ok(())
}

#[test]
fn an_approval_made_with_ssh_keygen_counts() -> Tested {
    let world = World::with_policy("approvals = 1\n")?;
    if !tools(&world)? {
        return Ok(());
    }
    world.init("PROD")?;
    world.prepare("usb/PROD.snapshot.spr", MP4, "usb/PROD.patch.spr")?;
    world.ok("tar -xOf usb/PROD.head.spr patch.json > patch.json && ssh-keygen -q -Y sign -f keys/anna -n lockstep-approval patch.json")?;
    let done = world.ok(
        "lockstep apply usb/PROD.patch.spr --root PROD --approval patch.json.sig --receipt usb",
    )?;
    assert!(done.out.contains("approved   by anna"), "{}", done.out);
    Ok(())
}

#[test]
fn a_passphrase_key_made_by_ssh_keygen_is_asked_for() -> Tested {
    let world = World::installed()?;
    if !tools(&world)? {
        return Ok(());
    }
    world.ok("ssh-keygen -q -t ed25519 -N secret -C locked -f keys/locked")?;
    let prepare = format!(
        "setsid lockstep prepare usb/PROD.receipt.spr --to {MP5} --desk desk --key keys/locked < /dev/null"
    );
    world.refused("PROD", &prepare, 2, &["passphrase", "keys/locked"])?;
    Ok(())
}
