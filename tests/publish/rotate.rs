//! New keys for every role: environments of the first day follow, readers never see half of it.

use std::fs;
use std::path::{Path, PathBuf};

use lockstep::disk::{durable, keys};
use lockstep::model::{Refusal, RefusalName, Time, Unwatched};
use lockstep::publish::{KeyFolder, init, renew, rotate, sign};
use lockstep::release::tuf::Lifetimes;
use lockstep::release::{Standing, Wanted, fetch};
use lockstep::trust::vendor::VendorFiles;

use crate::tuf::python_tuf;
use crate::vendor::{Done, Host, RESTAPI, Vendor, Warned, copy_folder, everything, files, refused};

/// python-tuf looks at the clock: this day, and ten years of validity.
pub(crate) fn today() -> Time {
    Time::from_unix(1_780_000_000)
}
pub(crate) const RECIPE: &str = "restapi/7.0/restapi-7.0.40.spr";

/// A build server with one recipe, whose metadata is valid for ten years.
pub(crate) fn lasting() -> Done<Vendor> {
    let vendor = Vendor {
        folder: tempfile::tempdir()?,
    };
    let mut request = vendor.init();
    request.lifetimes = Lifetimes {
        root: 3_650,
        snapshot: 3_650,
        targets: 3_650,
        timestamp: 3_650,
    };
    init::run(&request, today(), &Unwatched)?;
    vendor.lay(&[("a", "one")])?;
    publish(&vendor, RESTAPI)?;
    Ok(vendor)
}

pub(crate) fn publish(vendor: &Vendor, recipe: &str) -> Done {
    let request = vendor.component(recipe)?;
    lockstep::publish::component::run(&request, today(), &Unwatched)?;
    Ok(())
}

pub(crate) fn request(vendor: &Vendor, roles: &[&str]) -> rotate::Request {
    rotate::Request {
        repository: vendor.path("repo"),
        keys: vendor.keys(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        public: Vec::new(),
        make: None,
        threshold: None,
        restart: false,
    }
}

fn rotate(request: &rotate::Request) -> Result<rotate::Outcome, Refusal> {
    rotate::run(request, today(), &Unwatched)
}

#[test]
fn three_rotations_of_every_role_are_followed_from_the_first_day() -> Done {
    let vendor = lasting()?;
    let first_day = Host::new(&vendor)?;
    let (mut at_once, mut in_steps) = (Host::new(&vendor)?, Host::new(&vendor)?);
    at_once.follows(&vendor, today())?;
    let mut python = false;
    let kept = vendor.path("python");
    fs::create_dir(&kept)?;
    let mut roots = 1;
    let mut aside = 0;
    for role in ["root", "targets", "snapshot", "timestamp", "restapi"] {
        for (make, threshold) in [(1, 1), (3, 2), (2, 2)] {
            let before = vendor.state()?;
            let mut request = request(&vendor, &[role]);
            (request.make, request.threshold) = (Some(make), Some(threshold));
            let outcome = rotate(&request)?;
            assert_eq!(outcome.standing, Standing::Force);
            roots += u64::from(role != "restapi");
            assert_eq!(outcome.root, roots, "{role}");
            aside += outcome.aside.len();
            let after = vendor.state()?;
            let (old, _) = before.signers(role).ok_or("no role")?;
            let (new, _) = after.signers(role).ok_or("no role")?;
            assert!(old.keyids.iter().all(|key| !new.keyids.contains(key)));
            assert_eq!(new.threshold, threshold);
            for host in [&first_day, &at_once, &in_steps] {
                let seen = host.sees(&vendor, today())?;
                assert_eq!(seen.root_version(), roots);
                seen.target(&RECIPE.parse()?)?;
            }
            in_steps.follows(&vendor, today())?;
            let again = python_tuf(&vendor.path("repo"), Some(&kept), &[RECIPE])?;
            if (make, threshold) == (2, 2) {
                assert_eq!(python_tuf(&vendor.path("repo"), None, &[RECIPE])?, again);
            }
            python = again.is_some();
        }
    }
    // Three keys each of the five roles: 1, 3 and 1 that they began with; restapi began with targets'.
    assert_eq!(aside, 5 * 5 - 1);
    assert_eq!(fs::read_dir(vendor.path("keys/+old"))?.count(), aside);
    assert_eq!(fs::read_dir(vendor.path("keys/+next"))?.count(), 0);
    publish(&vendor, "restapi/7.0/restapi-7.0.41")?;
    publish(&vendor, "core/9/core-9.1")?;
    at_once.follows(&vendor, today())?;
    in_steps.follows(&vendor, today())?;
    assert_eq!(at_once.floors, in_steps.floors);
    if !python {
        println!("not run: LOCKSTEP_PYTHON names no python with tuf installed");
    }
    Ok(())
}

/// The metadata of the repository, with the root chain from version 2 on.
fn now(vendor: &Vendor) -> Done<VendorFiles> {
    Ok(files(&fetch(&vendor.source(), 1, Wanted::All)?))
}

fn refused_for(result: Done<lockstep::trust::vendor::VerifiedVendor>, word: &str) -> Done {
    match result {
        Ok(_) => Err(format!("taken, although {word}").into()),
        Err(e) if e.to_string().contains(word) => Ok(()),
        Err(e) => Err(format!("{e}, not {word}").into()),
    }
}

#[test]
fn a_gap_and_an_old_root_are_refused() -> Done {
    let vendor = lasting()?;
    let mut host = Host::new(&vendor)?;
    let first = now(&vendor)?;
    for _ in 0..3 {
        rotate(&request(&vendor, &["root"]))?;
    }
    let all = now(&vendor)?;
    assert_eq!(all.roots.len(), 3);
    for missing in 0..2 {
        let mut gap = all.clone();
        gap.roots.remove(missing);
        refused_for(host.takes(&gap, today()), "root")?;
    }
    host.follows(&vendor, today())?;
    // The root before, and everything of the first day, were good once.
    let mut older = all.clone();
    older.roots.pop();
    refused_for(host.takes(&older, today()), "the root metadata")?;
    refused_for(host.takes(&first, today()), "the root metadata")?;
    Ok(())
}

#[test]
fn metadata_of_the_old_keys_is_refused_under_the_new_root() -> Done {
    for role in ["targets", "snapshot", "timestamp"] {
        let vendor = lasting()?;
        let host = Host::new(&vendor)?;
        let before = now(&vendor)?;
        rotate(&request(&vendor, &[role]))?;
        let mut mixed = now(&vendor)?;
        host.takes(&mixed, today())?;
        mixed.timestamp = before.timestamp;
        mixed.snapshot = before.snapshot;
        mixed.targets = before.targets;
        refused_for(host.takes(&mixed, today()), "threshold not met")?;
    }
    Ok(())
}

/// Moves some of the keys to another folder: to people elsewhere.
fn hand_out(vendor: &Vendor, from: &str, names: &[&str], to: &str) -> Done<KeyFolder> {
    for name in names {
        let target = vendor.path(to).join(name);
        durable::make_folders(target.parent().ok_or("no folder")?, 0o700)?;
        durable::rename(&vendor.path(from).join(name), &target)?;
    }
    Ok(KeyFolder::new(vendor.path(to)))
}

fn sign_draft(vendor: &Vendor, role: &str, keys: &KeyFolder) -> Result<sign::Outcome, Refusal> {
    let request = sign::Request {
        repository: vendor.path("repo"),
        role: role.to_owned(),
        act: sign::Act::Keys(keys.clone()),
    };
    sign::run(&request, today(), &Unwatched)
}

#[test]
fn a_root_of_people_elsewhere_waits_for_them() -> Done {
    let vendor = lasting()?;
    let mut first = request(&vendor, &["root"]);
    (first.make, first.threshold) = (Some(3), Some(2));
    rotate(&first)?;
    let ben = hand_out(&vendor, "keys", &["root+2"], "ben")?;
    hand_out(&vendor, "keys", &["root+3"], "carol")?;
    let mut host = Host::new(&vendor)?;
    host.follows(&vendor, today())?;
    let metadata = everything(&vendor.path("repo/metadata"))?;
    let again = request(&vendor, &["timestamp"]);
    for _ in 0..2 {
        let outcome = rotate(&again)?;
        let Standing::Waiting(missing) = &outcome.standing else {
            return Err("it does not wait".into());
        };
        assert_eq!((missing["root"].have, missing["root"].threshold), (1, 2));
        assert!(outcome.to_string().contains("publish sign --role root"));
        assert_eq!(everything(&vendor.path("repo/metadata"))?, metadata);
        assert!(outcome.aside.is_empty());
    }
    // Daily work goes on with the old keys meanwhile.
    publish(&vendor, "restapi/7.0/restapi-7.0.41")?;
    let stranger = Vendor::new()?;
    let refusal = refused(sign_draft(&vendor, "root", &stranger.keys()))?;
    assert_eq!(refusal.name, RefusalName::BadSignature);
    let signed = sign_draft(&vendor, "root", &ben)?;
    assert!(signed.draft && signed.signatures.complete());
    // Another change meanwhile is not signed along.
    let refusal = refused(rotate(&request(&vendor, &["snapshot"])))?;
    assert_eq!(refusal.name, RefusalName::Conflict);
    assert!(refusal.to_string().contains(".pending/root.json"));
    let outcome = rotate(&again)?;
    assert_eq!((outcome.standing, outcome.root), (Standing::Force, 3));
    assert!(!vendor.path("repo/.pending/root.json").exists());
    host.follows(&vendor, today())?;
    Ok(())
}

#[test]
fn new_root_holders_elsewhere_sign_as_well_as_the_old_ones() -> Done {
    let vendor = lasting()?;
    let host = Host::new(&vendor)?;
    let mut other = Vendor::new()?.keys();
    other.path = vendor.path("anna");
    other.load_or_make("root", &Unwatched)?;
    let public = lockstep::disk::keys::public_half(&vendor.path("anna/root"))?;
    durable::write(
        &vendor.path("anna.pub"),
        format!("{public}\n").as_bytes(),
        0o644,
    )?;
    let mut to_anna = request(&vendor, &["root"]);
    to_anna.public = vec![vendor.path("anna.pub")];
    let waits = rotate(&to_anna)?;
    assert!(matches!(waits.standing, Standing::Waiting(_)));
    assert_eq!(host.sees(&vendor, today())?.root_version(), 1);
    sign_draft(&vendor, "root", &other)?;
    let outcome = rotate(&to_anna)?;
    assert_eq!(outcome.standing, Standing::Force);
    assert_eq!(host.sees(&vendor, today())?.root_version(), 2);
    assert!(!vendor.path("keys/root").exists(), "{:?}", outcome.aside);
    let refusal = refused(rotate(&to_anna))?;
    assert_eq!(refusal.name, RefusalName::NothingToDo);
    Ok(())
}

#[test]
fn a_draft_that_was_edited_is_not_put_in_force() -> Done {
    let vendor = lasting()?;
    let mut request = request(&vendor, &["root"]);
    (request.make, request.threshold) = (Some(2), Some(2));
    rotate(&request)?;
    hand_out(&vendor, "keys", &["root+2"], "ben")?;
    let rotation = self::request(&vendor, &["timestamp"]);
    rotate(&rotation)?;
    let path = vendor.path("repo/.pending/root.json");
    let text = String::from_utf8(durable::read(&path, 100_000)?)?;
    let edited = text.replace("\"threshold\": 1", "\"threshold\": 2");
    assert_ne!(edited, text);
    durable::write(&path, edited.as_bytes(), 0o644)?;
    let refusal = refused(rotate(&rotation))?;
    assert_eq!(refusal.name, RefusalName::Conflict);
    Ok(())
}

#[test]
fn a_draft_dated_or_numbered_ahead_is_not_put_in_force() -> Done {
    let vendor = lasting()?;
    let mut two = request(&vendor, &["targets"]);
    (two.make, two.threshold) = (Some(2), Some(2));
    rotate(&two)?;
    hand_out(&vendor, "keys", &["targets+2"], "ben")?;
    let line = request(&vendor, &["restapi"]);
    let mut line = rotate::Request {
        threshold: Some(1),
        ..line
    };
    line.make = Some(1);
    rotate(&line)?;
    let path = vendor.path("repo/.pending/targets.json");
    let text = String::from_utf8(durable::read(&path, 100_000)?)?;
    for (old, new) in [
        ("\"version\": 4", "\"version\": 9007199254740990"),
        ("\"expires\": \"20", "\"expires\": \"29"),
        ("\"issued\": \"20", "\"issued\": \"29"),
    ] {
        let edited = text.replacen(old, new, 1);
        assert_ne!(edited, text, "{old}");
        durable::write(&path, edited.as_bytes(), 0o644)?;
        let refusal = refused(rotate(&line))?;
        assert_eq!(refusal.name, RefusalName::Conflict, "{refusal}");
    }
    durable::write(&path, text.as_bytes(), 0o644)?;
    assert!(matches!(rotate(&line)?.standing, Standing::Waiting(_)));
    Ok(())
}

#[test]
fn what_a_replaced_key_signs_is_not_continued() -> Done {
    let vendor = lasting()?;
    let stolen = vendor.keys().load("targets", &Unwatched)?;
    rotate(&request(&vendor, &["targets"]))?;
    let mut state = vendor.state()?;
    state.targets.signed.body.targets.clear();
    state
        .targets
        .signed
        .body
        .extra
        .insert("x-thief".to_owned(), true.into());
    state.targets.signatures.clear();
    state.targets.sign(&stolen)?;
    let file = format!(
        "repo/metadata/{}.targets.json",
        state.targets.signed.version
    );
    durable::write(&vendor.path(&file), &state.targets.to_bytes()?, 0o644)?;
    let component = vendor.component("core/9/core-9.1")?;
    let published = lockstep::publish::component::run(&component, today(), &Unwatched);
    let rotated = rotate(&request(&vendor, &["timestamp"]));
    for refusal in [refused(published)?, refused(rotated)?] {
        assert_eq!(refusal.name, RefusalName::BadSignature);
        assert!(refusal.to_string().contains("targets.json"), "{refusal}");
    }
    Ok(())
}

/// What lay where before a command: the repository and the keys.
pub(crate) struct Before(PathBuf);

impl Before {
    pub(crate) fn of(vendor: &Vendor, name: &str) -> Done<Self> {
        let place = vendor.path(name);
        for folder in ["repo", "keys"] {
            copy_folder(&vendor.path(folder), &place.join(folder))?;
        }
        Ok(Self(place))
    }

    /// The same build server, elsewhere.
    pub(crate) fn again(&self) -> Done<Vendor> {
        let folder = tempfile::tempdir()?;
        let vendor = Vendor { folder };
        for folder in ["repo", "keys"] {
            copy_folder(&self.0.join(folder), &vendor.path(folder))?;
        }
        Ok(vendor)
    }
}

/// Lays the first files that a command wrote over what was before it: a power cut between two.
pub(crate) fn cut(after: &Path, vendor: &Vendor, written: &[String]) -> Done {
    for file in written {
        let bytes = durable::read(&after.join(file), 1_000_000)?;
        durable::write(&vendor.path("repo").join(file), &bytes, 0o644)?;
    }
    Ok(())
}

#[test]
fn a_rotation_cut_short_anywhere_is_whole_for_readers_and_goes_on() -> Done {
    for role in ["root", "targets", "snapshot", "timestamp", "restapi"] {
        let vendor = lasting()?;
        // The new keys come first; a cut before the first file leaves just those.
        vendor.keys().next(role, 1, &Unwatched)?;
        let before = Before::of(&vendor, "before")?;
        let line = request(&vendor, &[role]);
        let whole = rotate(&line)?;
        for count in 0..=whole.written.len() {
            let cut_short = before.again()?;
            cut(&vendor.path("repo"), &cut_short, &whole.written[..count])?;
            Host::new(&cut_short)?
                .sees(&cut_short, today())?
                .target(&RECIPE.parse()?)?;
            let outcome = rotate(&request(&cut_short, &[role]))?;
            assert_eq!(
                outcome.standing,
                Standing::Force,
                "{role} after {count} files"
            );
            assert_eq!(outcome.brought.len(), 1, "{role} after {count} files");
            let host = Host::new(&cut_short)?;
            assert_eq!(host.sees(&cut_short, today())?.root_version(), whole.root);
            cut_short.lay(&[("a", "one")])?;
            publish(&cut_short, "restapi/7.0/restapi-7.0.41")?;
        }
    }
    Ok(())
}

#[test]
fn keys_moved_half_way_are_moved_on() -> Done {
    let vendor = lasting()?;
    rotate(&request(&vendor, &["timestamp"]))?;
    // As if the power had gone after the old key was set aside, and before the new one came in.
    durable::make_folders(&vendor.path("keys/+next"), 0o700)?;
    durable::rename(
        &vendor.path("keys/timestamp"),
        &vendor.path("keys/+next/timestamp"),
    )?;
    // What lay there is the key in force, so nothing new is made.
    let outcome = rotate(&request(&vendor, &["timestamp"]))?;
    assert!(outcome.written.is_empty());
    assert_eq!(outcome.brought, [vendor.path("keys/timestamp")]);
    publish(&vendor, "restapi/7.0/restapi-7.0.41")
}

#[test]
fn a_lost_key_is_replaced_by_the_root() -> Done {
    for role in ["targets", "snapshot", "timestamp"] {
        let vendor = lasting()?;
        let host = Host::new(&vendor)?;
        fs::remove_file(vendor.path("keys").join(role))?;
        let outcome = rotate(&request(&vendor, &[role]))?;
        assert_eq!(outcome.standing, Standing::Force, "{role}");
        host.sees(&vendor, today())?.target(&RECIPE.parse()?)?;
        publish(&vendor, "restapi/7.0/restapi-7.0.41")?;
    }
    Ok(())
}

#[test]
fn the_warning_of_the_roots_end_names_the_line_that_makes_a_new_one() -> Done {
    let vendor = lasting()?;
    let warned = |now: Time| -> Done<Vec<String>> {
        let watch = Warned::default();
        let renew = renew::Request {
            repository: vendor.path("repo"),
            keys: vendor.keys(),
            targets: false,
            take: Vec::new(),
        };
        renew::run(&renew, now, &watch)?;
        let said = watch.said();
        let lines = said.lines().filter(|line| line.contains("root"));
        Ok(lines.map(str::to_owned).collect())
    };
    for (turn, make, line) in [
        (1, 2, ": lockstep publish rotate --role root"),
        (
            2,
            1,
            "--role root --make 2, or --key PUB for every key of the new root, your own included",
        ),
    ] {
        let now = today().plus_days(3_600 * turn);
        let warnings = warned(now)?;
        assert!(warnings.iter().any(|w| w.contains(line)), "{warnings:?}");
        let mut request = request(&vendor, &["root"]);
        (request.make, request.threshold) = (Some(make), Some(1));
        rotate::run(&request, now, &Unwatched)?;
        assert_eq!(warned(now)?, Vec::<String>::new());
    }
    // More keys than a key folder holds cannot be made in one.
    let mut request = request(&vendor, &["root"]);
    request.public.push(vendor.path("root.pub"));
    let others = KeyFolder::new(vendor.path("others"));
    for number in 1..=16 {
        let name = format!("p{number}");
        others.load_or_make(&name, &Unwatched)?;
        request.public.push(vendor.path(&format!("{name}.pub")));
        let public = keys::public_half(&vendor.path("others").join(&name))?;
        let file = vendor.path(&format!("{name}.pub"));
        durable::write(&file, format!("{public}\n").as_bytes(), 0o644)?;
    }
    let own = keys::public_half(&vendor.path("keys/root"))?;
    let file = vendor.path("root.pub");
    durable::write(&file, format!("{own}\n").as_bytes(), 0o644)?;
    request.threshold = Some(1);
    rotate::run(&request, today().plus_days(7_200), &Unwatched)?;
    let warnings = warned(today().plus_days(10_800))?;
    let line = ": lockstep publish rotate --role root --key PUB for every key of the new root";
    assert!(warnings.iter().any(|w| w.contains(line)), "{warnings:?}");
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() -> Done {
    type Change<'a> = &'a dyn Fn(&mut rotate::Request);
    let vendor = lasting()?;
    let before = everything(&vendor.path("repo"))?;
    let keys = everything(&vendor.path("keys"))?;
    let with = |change: Change<'_>| {
        let mut request = request(&vendor, &["timestamp"]);
        change(&mut request);
        refused(rotate(&request))
    };
    let cases: [(Change<'_>, RefusalName, &str); 6] = [
        (
            &|r| r.roles = vec!["nobody".to_owned()],
            RefusalName::Usage,
            "restapi",
        ),
        (&|r| r.threshold = Some(2), RefusalName::Usage, "--make 3"),
        (&|r| r.threshold = Some(0), RefusalName::Usage, "--make 3"),
        (&|r| r.make = Some(17), RefusalName::Usage, "at most     16"),
        (
            &|r| {
                r.roles.push("snapshot".to_owned());
                r.public = vec![PathBuf::from("x.pub")];
            },
            RefusalName::Usage,
            "one role at a time",
        ),
        (
            &|r| r.keys.path = vendor.path("elsewhere"),
            RefusalName::Internal,
            "elsewhere",
        ),
    ];
    for (change, name, word) in cases {
        let refusal = with(change)?;
        assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
        if name != RefusalName::Internal {
            assert_eq!(refusal.name, name, "{refusal}");
        }
        assert_eq!(everything(&vendor.path("repo"))?, before);
        assert_eq!(everything(&vendor.path("keys"))?, keys);
    }
    Ok(())
}
