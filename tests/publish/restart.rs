//! A stolen key that counted a version to the end, and the way back: through new keys alone.

use std::collections::BTreeMap;
use std::fs;

use lockstep::disk::durable;
use lockstep::model::{RefusalName, Unwatched};
use lockstep::publish::{component, rotate};
use lockstep::release::envelope::Envelope;
use lockstep::release::tuf::{Meta, MetaFile, Targets};
use lockstep::release::{Wanted, fetch};

use crate::rotate::{Before, cut, lasting, publish, request, today};
use crate::tuf::python_tuf;
use crate::vendor::{Done, Host, Vendor, everything, files, refused};

const END: u64 = (1 << 53) - 2;
const RECIPE: &str = "restapi/7.0/restapi-7.0.40.spr";

/// What thieves do who have these keys: the same content, counted to the end.
fn count_up(vendor: &Vendor, stolen: &[&str]) -> Done {
    let mut state = vendor.state()?;
    let keys = vendor.keys();
    let metadata = |file: String| vendor.path("repo/metadata").join(file);
    if stolen.contains(&"restapi") {
        let file = state.delegated.get_mut("restapi").ok_or("no role")?;
        again::<Targets>(file, &keys.load("targets", &Unwatched)?)?;
        durable::write(
            &metadata(format!("{END}.restapi.json")),
            &file.to_bytes()?,
            0o644,
        )?;
        let listed = MetaFile { version: END };
        state
            .snapshot
            .signed
            .body
            .meta
            .insert("restapi.json".to_owned(), listed);
    }
    if stolen.contains(&"snapshot") || stolen.contains(&"restapi") {
        let file = &mut state.snapshot;
        again::<Meta>(file, &keys.load("snapshot", &Unwatched)?)?;
        if !stolen.contains(&"snapshot") {
            file.signed.version = 50;
            resign(file, &keys.load("snapshot", &Unwatched)?)?;
        }
        let version = file.signed.version;
        durable::write(
            &metadata(format!("{version}.snapshot.json")),
            &file.to_bytes()?,
            0o644,
        )?;
        let listed = BTreeMap::from([("snapshot.json".to_owned(), MetaFile { version })]);
        state.timestamp.signed.body.meta = listed;
    }
    again::<Meta>(&mut state.timestamp, &keys.load("timestamp", &Unwatched)?)?;
    durable::write(
        &metadata("timestamp.json".to_owned()),
        &state.timestamp.to_bytes()?,
        0o644,
    )?;
    Ok(())
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(
    file: &mut Envelope<T>,
    key: &lockstep::trust::SigningKey,
) -> Done {
    file.signed.version = END;
    resign(file, key)
}

fn resign<T: serde::Serialize + serde::de::DeserializeOwned>(
    file: &mut Envelope<T>,
    key: &lockstep::trust::SigningKey,
) -> Done {
    file.signatures.clear();
    Ok(file.sign(key)?)
}

fn restart(vendor: &Vendor, roles: &[&str]) -> rotate::Request {
    let mut request = request(vendor, roles);
    request.restart = true;
    request
}

#[test]
fn versions_counted_to_the_end_start_anew_with_new_keys() -> Done {
    for (stolen, roles) in [
        (&["timestamp"][..], &["timestamp"][..]),
        (&["snapshot", "timestamp"], &["snapshot", "timestamp"]),
        (
            &["restapi", "snapshot", "timestamp"],
            &["restapi", "snapshot", "timestamp"],
        ),
    ] {
        let vendor = lasting()?;
        // One saw what the thieves published, one did not.
        let (mut fooled, mut spared) = (Host::new(&vendor)?, Host::new(&vendor)?);
        let kept = vendor.path("python");
        fs::create_dir(&kept)?;
        spared.follows(&vendor, today())?;
        count_up(&vendor, stolen)?;
        fooled.follows(&vendor, today())?;
        python_tuf(&vendor.path("repo"), Some(&kept), &[RECIPE])?;
        assert!(fooled.floors.iter().any(|floor| floor.version == END));
        // One more version fits below the end, and then nothing does.
        publish(&vendor, "core/9/core-9.1")?;
        let request = vendor.component("core/9/core-9.2")?;
        let refusal = refused(component::run(&request, today(), &Unwatched))?;
        assert!(
            refusal.to_string().contains("counted to the end"),
            "{refusal}"
        );
        // The delegation is not counted on by this: what stands in the way of the vendor's own is named.
        for role in roles.iter().filter(|role| **role != "restapi") {
            let line = &refusal.next;
            assert!(line.contains(&format!("--role {role}")), "{role}: {line}");
        }
        let outcome = rotate::run(&restart(&vendor, roles), today(), &Unwatched)?;
        assert_eq!(outcome.root, 2);
        for host in [&mut fooled, &mut spared] {
            host.follows(&vendor, today())?;
            assert!(
                host.floors.iter().all(|floor| floor.version < 100),
                "{stolen:?}"
            );
        }
        python_tuf(&vendor.path("repo"), Some(&kept), &[RECIPE])?;
        publish(&vendor, "core/9/core-9.2")?;
        fooled.follows(&vendor, today())?;
        python_tuf(&vendor.path("repo"), Some(&kept), &["core/9/core-9.2.spr"])?;
    }
    Ok(())
}

#[test]
fn a_restart_cut_short_anywhere_goes_on() -> Done {
    let vendor = lasting()?;
    count_up(&vendor, &["snapshot", "timestamp"])?;
    let mut fooled = Host::new(&vendor)?;
    fooled.follows(&vendor, today())?;
    for role in ["snapshot", "timestamp"] {
        vendor.keys().next(role, 1, &Unwatched)?;
    }
    let before = Before::of(&vendor, "before")?;
    let whole = rotate::run(
        &restart(&vendor, &["snapshot", "timestamp"]),
        today(),
        &Unwatched,
    )?;
    for count in 0..=whole.written.len() {
        let cut_short = before.again()?;
        cut(&vendor.path("repo"), &cut_short, &whole.written[..count])?;
        let line = restart(&cut_short, &["snapshot", "timestamp"]);
        let outcome = rotate::run(&line, today(), &Unwatched)?;
        assert_eq!(
            (outcome.root, outcome.brought.len()),
            (2, 2),
            "after {count} files"
        );
        let floors = fooled.sees(&cut_short, today())?.floors().to_vec();
        assert!(
            floors.iter().all(|floor| floor.version < 100),
            "after {count} files"
        );
    }
    Ok(())
}

#[test]
fn versions_that_others_record_do_not_start_anew_alone() -> Done {
    let vendor = lasting()?;
    let before = everything(&vendor.path("repo"))?;
    for (roles, word) in [
        (&["snapshot"][..], "timestamp"),
        (&["targets"], "snapshot, timestamp"),
        (&["restapi", "timestamp"], "snapshot"),
        (&["root"], "leave root out"),
    ] {
        let refusal = refused(rotate::run(&restart(&vendor, roles), today(), &Unwatched))?;
        assert_eq!(refusal.name, RefusalName::Usage);
        assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
        assert_eq!(everything(&vendor.path("repo"))?, before);
    }
    Ok(())
}

/// Lower versions without what allows them: each is a rollback to every host.
#[test]
fn a_fake_recovery_is_refused() -> Done {
    let vendor = lasting()?;
    let mut host = Host::new(&vendor)?;
    let early = files(&fetch(&vendor.source(), 1, Wanted::All)?);
    publish(&vendor, "restapi/7.0/restapi-7.0.41")?;
    count_up(&vendor, &["snapshot", "timestamp"])?;
    host.follows(&vendor, today())?;
    // The versions before, of the very keys that stand in the root.
    assert!(host.takes(&early, today()).is_err());
    // A new root that leaves the keys of timestamp and snapshot as they are lifts nothing of them.
    rotate::run(&request(&vendor, &["root"]), today(), &Unwatched)?;
    let mut with_root = early.clone();
    with_root.roots = files(&fetch(&vendor.source(), 1, Wanted::All)?).roots;
    let error = host
        .takes(&with_root, today())
        .err()
        .ok_or("taken")?
        .to_string();
    assert!(error.contains("the timestamp metadata"), "{error}");
    // A root that thieves made, who have no root key: theirs alone signed it.
    let thieves = lasting()?;
    rotate::run(
        &restart(&thieves, &["timestamp", "snapshot"]),
        today(),
        &Unwatched,
    )?;
    let mut forged = early.clone();
    let theirs = files(&fetch(&thieves.source(), 1, Wanted::All)?);
    forged.roots = theirs.roots.clone();
    assert!(host.takes(&forged, today()).is_err());
    assert!(host.takes(&theirs, today()).is_err());
    Ok(())
}

/// The keys of a delegation change in the targets: only newer targets let its floor fall.
#[test]
fn a_delegations_floor_falls_with_newer_targets_alone() -> Done {
    let vendor = lasting()?;
    let mut host = Host::new(&vendor)?;
    count_up(&vendor, &["restapi", "snapshot", "timestamp"])?;
    host.follows(&vendor, today())?;
    let lines = restart(&vendor, &["restapi", "snapshot", "timestamp"]);
    rotate::run(&lines, today(), &Unwatched)?;
    // A host that has seen targets of this very version takes no change of keys from them.
    // It has seen the root as well: new keys of the snapshot would free the delegation otherwise.
    let state = vendor.state()?;
    let (root, targets) = (state.root.signed.version, state.targets.signed.version);
    let mut later = Host::new(&vendor)?;
    later.floors.clone_from(&host.floors);
    for floor in &mut later.floors {
        match floor.role.as_str() {
            "root" => floor.version = root,
            "targets" => floor.version = targets,
            "snapshot" | "timestamp" => floor.version = 1,
            _ => {}
        }
    }
    let error = later
        .sees(&vendor, today())
        .err()
        .ok_or("taken")?
        .to_string();
    assert!(error.contains("the restapi metadata"), "{error}");
    host.follows(&vendor, today())
}
