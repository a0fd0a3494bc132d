//! What readers of the repository see.

use std::fmt::Write as _;
use std::fs;

use lockstep::disk::durable;
use lockstep::model::{RecipePath, RefusalName, Time, Unwatched};
use lockstep::publish::{component, init, renew};
use lockstep::release::tuf::Lifetimes;
use lockstep::release::{FetchedVendor, ReleaseError, Repository, Source as _, Wanted, fetch};

use crate::tuf::python_tuf;
use crate::vendor::{Done, RESTAPI, Vendor, day, refused};

#[test]
fn a_cut_before_the_timestamp_leaves_the_old_repository() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one")])?;
    vendor.publish(RESTAPI)?;
    let timestamp = vendor.path("repo/metadata/timestamp.json");
    let old = durable::read(&timestamp, 100_000)?;
    vendor.publish("restapi/7.0/restapi-7.0.41")?;
    // All is written but the timestamp: what a power cut at the last step leaves.
    durable::write(&timestamp, &old, 0o644)?;
    let state = vendor.state()?;
    assert_eq!(state.recipes().count(), 1);
    assert_eq!(state.snapshot.signed.version, 2);
    // The next publisher passes over what was left, and writes nothing twice.
    let left = durable::read(&vendor.path("repo/metadata/3.snapshot.json"), 100_000)?;
    vendor.lay(&[("a", "two")])?;
    let outcome = vendor.publish("restapi/7.0/restapi-7.0.42")?;
    assert!(
        outcome
            .written
            .contains(&"metadata/4.snapshot.json".to_owned())
    );
    assert!(
        outcome
            .written
            .contains(&"metadata/3.restapi.json".to_owned())
    );
    assert_eq!(
        durable::read(&vendor.path("repo/metadata/3.snapshot.json"), 100_000)?,
        left
    );
    let paths: Vec<String> = vendor
        .state()?
        .recipes()
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(
        paths,
        [
            "restapi/7.0/restapi-7.0.40.spr",
            "restapi/7.0/restapi-7.0.42.spr"
        ]
    );
    Ok(())
}

#[test]
fn two_publishers_do_not_interleave() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one")])?;
    let held = Repository::open(&vendor.path("repo"))?;
    let request = vendor.component(RESTAPI)?;
    let refusal = refused(component::run(&request, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Busy);
    drop(held);
    component::run(&request, day(1), &Unwatched)?;
    Ok(())
}

#[test]
fn planted_metadata_is_not_signed_along() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one")])?;
    vendor.publish(RESTAPI)?;
    let file = vendor.path("repo/metadata/1.restapi.json");
    let text = String::from_utf8(durable::read(&file, 100_000)?)?;
    let planted = text.replace("restapi-7.0.40", "restapi-7.0.39");
    assert_ne!(planted, text);
    durable::write(&file, planted.as_bytes(), 0o644)?;
    let request = vendor.component("restapi/7.0/restapi-7.0.41")?;
    let refusal = refused(component::run(&request, day(2), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::BadSignature);
    let request = renew::Request {
        repository: vendor.path("repo"),
        keys: vendor.keys(),
        targets: true,
        take: Vec::new(),
    };
    let refusal = refused(renew::run(&request, day(2), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::BadSignature);
    Ok(())
}

#[test]
fn fetching_takes_what_is_wanted_alone() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one")])?;
    for recipe in [
        RESTAPI,
        "core/9/core-9.1",
        "customer/acme/portal/7.0/portal-7.0.3",
    ] {
        vendor.publish(recipe)?;
    }
    let roles =
        |found: &FetchedVendor| -> Vec<String> { found.delegated.keys().cloned().collect() };
    let wanted: [RecipePath; 1] = ["customer/acme/portal/7.0/portal-7.0.9".parse()?];
    let found = fetch(&vendor.source(), 0, Wanted::Recipes(&wanted))?;
    assert_eq!(roles(&found), ["customer-acme"]);
    assert_eq!(
        found.names,
        [
            "1.root.json",
            "timestamp.json",
            "4.snapshot.json",
            "4.targets.json",
            "1.customer-acme.json"
        ]
    );
    for (name, bytes) in found.files() {
        assert_eq!(vendor.source().metadata(name)?.as_deref(), Some(bytes));
    }
    let all = fetch(&vendor.source(), 1, Wanted::All)?;
    assert_eq!(roles(&all), ["core", "customer-acme", "restapi"]);
    assert!(all.roots.is_empty());
    fs::remove_file(vendor.path("repo/metadata/1.core.json"))?;
    assert!(matches!(
        fetch(&vendor.source(), 0, Wanted::All),
        Err(ReleaseError::Missing { file, .. }) if file == "1.core.json"
    ));
    assert!(fetch(&vendor.source(), 0, Wanted::Recipes(&wanted)).is_ok());
    Ok(())
}

#[test]
fn python_tuf_reads_what_we_publish() -> Done {
    let vendor = Vendor {
        folder: tempfile::tempdir()?,
    };
    // python-tuf looks at the clock; this test is good for ten years.
    let now = Time::from_unix(1_780_000_000);
    let mut request = vendor.init();
    request.lifetimes = Lifetimes {
        root: 3_650,
        snapshot: 3_650,
        targets: 3_650,
        timestamp: 3_650,
    };
    init::run(&request, now, &Unwatched)?;
    vendor.lay(&[("a", "one")])?;
    let mut expected = String::new();
    let targets = [
        "restapi/7.0/restapi-7.0.40.spr",
        "restapi/7.0/restapi-7.0.41.spr",
        "customer/acme/portal/7.0/portal-7.0.3.spr",
        "hotfix/restapi/restapi-7.0.40-hf1.spr",
    ];
    for target in targets {
        let request = vendor.component(target)?;
        let outcome = component::run(&request, now, &Unwatched)?;
        writeln!(expected, "{}  {target}", outcome.sha256)?;
    }
    let request = renew::Request {
        repository: vendor.path("repo"),
        keys: vendor.keys(),
        targets: true,
        take: Vec::new(),
    };
    renew::run(&request, now, &Unwatched)?;
    let Some(printed) = python_tuf(&vendor.path("repo"), None, &targets)? else {
        println!("skipped: LOCKSTEP_PYTHON names no python with tuf installed");
        return Ok(());
    };
    assert_eq!(printed, expected);
    let timestamp = vendor.path("repo/metadata/timestamp.json");
    let text = String::from_utf8(durable::read(&timestamp, 100_000)?)?;
    let changed = text.replace("\"version\": 6", "\"version\": 7");
    assert_ne!(changed, text);
    durable::write(&timestamp, changed.as_bytes(), 0o644)?;
    assert!(python_tuf(&vendor.path("repo"), None, &[]).is_err());
    Ok(())
}
