//! `init`, `sign` and the keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lockstep::disk::{durable, folder, keys};
use lockstep::model::{RefusalName, Sha256, Unwatched};
use lockstep::publish::{KeyFolder, component, init, release, renew, rotate, sign};
use lockstep::release::Envelope;
use lockstep::release::envelope::Signature;
use lockstep::release::tuf::{Key, Root};
use lockstep::trust::SigningKey;
use zeroize::Zeroizing;

use crate::vendor::{Done, RESTAPI, Vendor, day, everything, lay, refused};

#[test]
fn an_empty_repository() -> Done {
    let vendor = Vendor::new()?;
    let mode = |name: &str| -> Done<u32> {
        Ok(fs::metadata(vendor.path(name))?.permissions().mode() & 0o777)
    };
    assert_eq!(mode("keys")?, 0o700);
    for role in ["root", "targets", "snapshot", "timestamp"] {
        assert_eq!(mode(&format!("keys/{role}"))?, 0o600);
    }
    let state = vendor.state()?;
    assert!(state.root.signed.body.consistent_snapshot);
    assert_eq!(state.root.signed.expires, day(1_826));
    assert_eq!(state.targets.signed.expires, day(365));
    assert_eq!(state.snapshot.signed.expires, day(30));
    assert_eq!(state.timestamp.signed.expires, day(14));
    assert_eq!(state.timestamp.signed.issued, Some(day(0)));
    let before = everything(vendor.folder.path())?;
    let refusal = refused(init::run(&vendor.init(), day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::NothingToDo);
    assert_eq!(everything(vendor.folder.path())?, before);
    Ok(())
}

#[test]
fn keys_that_are_there_are_used() -> Done {
    let first = Vendor::new()?;
    let mut second = first.init();
    second.repository = first.path("second");
    let outcome = init::run(&second, day(0), &Unwatched)?;
    assert!(outcome.keys_made.is_empty());
    let root = durable::read(&first.path("second/metadata/1.root.json"), 100_000)?;
    assert_eq!(outcome.root_sha256, Some(Sha256::of(&root)));
    assert_eq!(
        root,
        durable::read(&first.path("repo/metadata/1.root.json"), 100_000)?
    );
    assert!(outcome.to_string().contains("site owner"));
    Ok(())
}

#[test]
fn no_daily_command_needs_the_root_key() -> Done {
    let vendor = Vendor::new()?;
    fs::remove_file(vendor.path("keys/root"))?;
    vendor.lay(&[("a", "one")])?;
    vendor.publish(RESTAPI)?;
    let request = vendor.release("step/trailblazer/step-trailblazer-9.0", &["restapi=7.0.40"])?;
    release::run(&request, day(2), &Unwatched)?;
    let mut request = renew::Request {
        repository: vendor.path("repo"),
        keys: vendor.keys(),
        targets: true,
        take: Vec::new(),
    };
    let outcome = renew::run(&request, day(20), &Unwatched)?;
    assert_eq!(outcome.targets_expires, day(385));
    let state = vendor.state()?;
    assert_eq!(state.targets.signed.issued, Some(day(20)));
    assert!(
        state
            .delegated
            .values()
            .all(|role| role.signed.issued == Some(day(20)))
    );
    fs::remove_file(vendor.path("keys/targets"))?;
    request.targets = false;
    let outcome = renew::run(&request, day(21), &Unwatched)?;
    assert_eq!(outcome.written.len(), 2);
    assert_eq!(outcome.timestamp_expires, day(35));
    assert_eq!(vendor.state()?.targets.signed.issued, Some(day(20)));
    Ok(())
}

#[test]
fn the_keys_of_another_repository_are_refused() -> Done {
    let (vendor, other) = (Vendor::new()?, Vendor::new()?);
    vendor.lay(&[("a", "one")])?;
    let mut request = vendor.component(RESTAPI)?;
    request.keys = other.keys();
    let refusal = refused(component::run(&request, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::UntrustedSigner);
    assert!(vendor.state()?.delegated.is_empty());
    Ok(())
}

/// A second holder of a root key, on another machine.
fn second_holder(folder: &Path) -> Done<SigningKey> {
    let key = SigningKey::from_seed(&Zeroizing::new([42; 32]))?;
    let line = format!("{} anna@acme.example\n", key.public()?);
    lay(&folder.join("anna.pub"), &line)?;
    Ok(key)
}

#[test]
fn a_root_signed_on_two_machines() -> Done {
    let folder = tempfile::tempdir()?;
    let vendor = Vendor { folder };
    let anna = second_holder(vendor.folder.path())?;
    let mut request = vendor.init();
    request.threshold = 3;
    request.root_keys = vec![vendor.path("anna.pub")];
    let refusal = refused(init::run(&request, day(0), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Usage);
    request.threshold = 2;
    let outcome = init::run(&request, day(0), &Unwatched)?;
    assert_eq!((outcome.signatures.have, outcome.root_sha256), (1, None));
    assert!(outcome.to_string().contains("publish sign"));

    let run = |act| {
        let request = sign::Request {
            repository: vendor.path("repo"),
            role: "root".to_owned(),
            act,
        };
        sign::run(&request, day(1), &Unwatched)
    };
    run(sign::Act::Bytes(vendor.path("bytes")))?;
    let bytes = durable::read(&vendor.path("bytes"), 100_000)?;
    let keyid = Key::of_private("root", &anna)?.id()?;
    let mut good = Signature::new(keyid, &anna.sign_raw(&bytes)?);
    let given = |signature: &Signature| -> Done<sign::Act> {
        let text = serde_json::to_vec(signature)?;
        durable::write(&vendor.path("sig"), &text, 0o644)?;
        Ok(sign::Act::Signature(vendor.path("sig")))
    };
    let bad = Signature::new(keyid, &anna.sign_raw(b"other bytes")?);
    let foreign = Signature {
        keyid: Sha256::of(b"nobody"),
        sig: good.sig.clone(),
    };
    for bad in [bad, foreign] {
        let before = everything(&vendor.path("repo"))?;
        let refusal = refused(run(given(&bad)?))?;
        assert_eq!(refusal.name, RefusalName::BadSignature);
        assert_eq!(everything(&vendor.path("repo"))?, before);
    }
    let outcome = run(given(&good)?)?;
    assert!(outcome.signatures.complete() && outcome.added == Some(keyid));
    good.sig = good.sig.to_uppercase();
    assert!(run(given(&good)?)?.added.is_none());
    assert!(run(sign::Act::Keys(vendor.keys()))?.added.is_none());
    let bytes = durable::read(&vendor.path("repo/metadata/1.root.json"), 100_000)?;
    assert_eq!(outcome.sha256, Some(Sha256::of(&bytes)));
    Ok(())
}

/// Readers take 64 signatures; with one more, nobody could read the file again.
#[test]
fn a_signature_too_many_is_not_added() -> Done {
    let vendor = Vendor::new()?;
    let others = KeyFolder::new(vendor.path("anna"));
    others.load_or_make("root", &Unwatched)?;
    let public = vendor.path("anna.pub");
    let key = keys::public_half(&vendor.path("anna/root"))?;
    durable::write(&public, format!("{key}\n").as_bytes(), 0o644)?;
    let mut init = vendor.init();
    init.repository = vendor.path("second");
    init.root_keys = vec![public.clone()];
    init::run(&init, day(0), &Unwatched)?;
    let live = "second/metadata/1.root.json";
    refuses_one_more(&vendor, live, &others)?;
    // The same for a new root that waits.
    folder::remove_tree(&vendor.path("second"))?;
    init.root_keys.clear();
    init::run(&init, day(0), &Unwatched)?;
    let rotation = rotate::Request {
        repository: vendor.path("second"),
        keys: vendor.keys(),
        roles: vec!["root".to_owned()],
        public: vec![public],
        make: None,
        threshold: Some(1),
        restart: false,
    };
    rotate::run(&rotation, day(1), &Unwatched)?;
    refuses_one_more(&vendor, "second/.pending/root.json", &others)
}

fn refuses_one_more(vendor: &Vendor, file: &str, keys: &KeyFolder) -> Done {
    let bytes = durable::read(&vendor.path(file), 1_000_000)?;
    let mut envelope = Envelope::<Root>::parse(file, "root", &bytes)?;
    let room = 64_usize.saturating_sub(envelope.signatures.len());
    for number in 0..room {
        let keyid = Sha256::of(&number.to_be_bytes());
        envelope.signatures.push(Signature::new(keyid, &[7; 64]));
    }
    durable::write(&vendor.path(file), &envelope.to_bytes()?, 0o644)?;
    let before = everything(&vendor.path("second"))?;
    let request = sign::Request {
        repository: vendor.path("second"),
        role: "root".to_owned(),
        act: sign::Act::Keys(keys.clone()),
    };
    let refusal = refused(sign::run(&request, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Conflict, "{refusal}");
    for words in [
        "more than 64 signatures",
        "publish rotate --role NAME --key PUB",
    ] {
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    assert_eq!(everything(&vendor.path("second"))?, before);
    Ok(())
}
