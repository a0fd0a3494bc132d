//! Two publishers that share no key: what a delegate can do, and what its owner and its hosts refuse.

use lockstep::disk::{durable, folder, keys};
use lockstep::model::recipe::What;
use lockstep::model::{RecipePath, Refusal, RefusalName, Sha256, Unwatched};
use lockstep::publish::take::Take;
use lockstep::publish::{
    KeyFolder, component, delegate, init, release, renew, revoke, rotate, sign, words,
};
use lockstep::release::envelope::Signature;
use lockstep::release::tuf::{Hashes, TargetFile, Targets};
use lockstep::release::{Repository, Standing};
use lockstep::spr::{Opened, RawSignature, encode_small};

use crate::rotate::{lasting, publish, request, today};
use crate::tuf::python_tuf;
use crate::vendor::{Done, Host, Vendor, Warned, copy_folder, everything, refused};

const PORTAL: &str = "customer/acme/portal/7.0/portal-7.0.3";
const PATTERN: &str = "customer/acme/*/*/*";

/// An owner with a repository, and a delegate with a copy of its metadata and a key of its own.
struct Two {
    owner: Vendor,
    delegate: Vendor,
}

impl Two {
    fn new() -> Done<Self> {
        let owner = lasting()?;
        let delegate = Vendor {
            folder: tempfile::tempdir()?,
        };
        delegate.keys().load_or_make("acme", &Unwatched)?;
        let two = Self { owner, delegate };
        two.grant(&[PATTERN], &["webapps/portal"])?;
        two.hand_out()?;
        Ok(two)
    }

    fn public(&self, name: &str) -> Done<std::path::PathBuf> {
        let public = keys::public_half(&self.delegate.path("keys").join(name))?;
        let path = self.owner.path(&format!("{name}.pub"));
        durable::write(&path, format!("{public}\n").as_bytes(), 0o644)?;
        Ok(path)
    }

    fn request(&self, paths: &[&str], install_paths: &[&str]) -> Done<delegate::Request> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(delegate::Request {
            repository: self.owner.path("repo"),
            keys: self.owner.keys(),
            role: "acme".to_owned(),
            public: vec![self.public("acme")?],
            threshold: 1,
            paths: texts(paths),
            install_paths: texts(install_paths),
        })
    }

    fn grant(&self, paths: &[&str], install_paths: &[&str]) -> Done<delegate::Outcome> {
        let request = self.request(paths, install_paths)?;
        Ok(delegate::run(&request, today(), &Unwatched)?)
    }

    /// The delegate gets a copy of the metadata as it is now.
    fn hand_out(&self) -> Done {
        folder::remove_tree(&self.delegate.path("repo/metadata"))?;
        copy_folder(
            &self.owner.path("repo/metadata"),
            &self.delegate.path("repo/metadata"),
        )
    }

    /// Another machine of the delegate's, which has published what the first has not.
    fn second(&self) -> Done<Vendor> {
        let second = Vendor {
            folder: tempfile::tempdir()?,
        };
        copy_folder(&self.delegate.path("repo"), &second.path("repo"))?;
        second.lay(&[("webapps/portal/a.jar", "one")])?;
        let mut request = second.component(PORTAL)?;
        request.keys = self.delegate.keys();
        component::run(&request, today(), &Unwatched)?;
        Ok(second)
    }

    /// The delegate publishes what lies in its build folder.
    fn publish(&self, recipe: &str) -> Result<component::Outcome, Refusal> {
        let request = self.delegate.component(recipe).map_err(|e| broken(&*e))?;
        component::run(&request, today(), &Unwatched)
    }

    /// The owner takes in what the delegate has.
    fn take(&self) -> Result<renew::Outcome, Refusal> {
        let request = renew::Request {
            repository: self.owner.path("repo"),
            keys: self.owner.keys(),
            targets: false,
            take: vec![Take {
                role: "acme".to_owned(),
                folder: self.delegate.path("repo"),
            }],
        };
        renew::run(&request, today(), &Unwatched)
    }

    /// The take is refused with these words, and nothing of the owner's changes.
    fn refuses(&self, word: &str) -> Done<Refusal> {
        let before = everything(&self.owner.path("repo"))?;
        let refusal = refused(self.take())?;
        assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
        assert_eq!(everything(&self.owner.path("repo"))?, before);
        Ok(refusal)
    }
}

fn broken(e: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalName::Internal, e.to_string()).next("look at the test")
}

fn path(text: &str) -> Done<RecipePath> {
    Ok(text.parse()?)
}

fn from(role: &str, copy: &Vendor) -> Take {
    Take {
        role: role.to_owned(),
        folder: copy.path("repo"),
    }
}

#[test]
fn two_publishers_that_share_no_key() -> Done {
    let two = Two::new()?;
    let mut host = Host::new(&two.owner)?;
    // Before anything was handed in, hosts refuse the delegate's paths and nothing else.
    let seen = host.sees(&two.owner, today())?;
    seen.target(&path("restapi/7.0/restapi-7.0.40")?)?;
    assert!(seen.target(&path(PORTAL)?).is_err());
    two.delegate.lay(&[("webapps/portal/a.jar", "one")])?;
    let outcome = two.publish(PORTAL)?;
    assert_eq!(outcome.standing, Standing::Offered("acme".to_owned()));
    assert!(
        outcome
            .to_string()
            .contains("renew --repository DIR --keys DIR --take acme=")
    );
    assert!(two.publish(PORTAL)?.unchanged);
    // Several before one is taken in; the delegate's copy shows readers none of them.
    two.delegate.lay(&[("webapps/portal/a.jar", "two")])?;
    two.publish("customer/acme/portal/7.0/portal-7.0.4")?;
    assert!(two.delegate.state()?.recipe(&path(PORTAL)?).is_none());
    let bundle = "customer/acme/bundle/1.0/bundle-1.0.0";
    let release = two.delegate.release(bundle, &["portal=7.0.4"])?;
    let outcome_of_release = release::run(&release, today(), &Unwatched)?;
    assert_eq!(
        outcome_of_release.standing,
        Standing::Offered("acme".to_owned())
    );
    let taken = two.take()?;
    assert_eq!(taken.taken, ["acme"]);
    assert!(two.owner.recipe(bundle)?.is_release());
    host.follows(&two.owner, today())?;
    let seen = host.sees(&two.owner, today())?;
    let found = seen.target(&path(PORTAL)?)?;
    assert_eq!(
        (found.role.as_str(), found.sha256),
        ("acme", outcome.sha256)
    );
    assert_eq!(found.install_paths, Some(vec!["webapps/portal".to_owned()]));
    let recipe = two.owner.recipe("customer/acme/portal/7.0/portal-7.0.4")?;
    for entry in &recipe.files {
        if let What::File(file) = &entry.what {
            let stored = lockstep::release::blob::verify(&two.owner.path("repo"), &file.id())?;
            assert!(stored.is_some());
        }
    }
    let both = [
        "customer/acme/portal/7.0/portal-7.0.3.spr",
        "restapi/7.0/restapi-7.0.40.spr",
    ];
    python_tuf(&two.owner.path("repo"), None, &both)?;
    let refusal = two.refuses("nothing newer")?;
    assert_eq!(refusal.name, RefusalName::NothingToDo);
    // The owner's daily work leaves the delegate's file as it is.
    renew::run(
        &renew::Request {
            repository: two.owner.path("repo"),
            keys: two.owner.keys(),
            targets: true,
            take: Vec::new(),
        },
        today(),
        &Unwatched,
    )?;
    assert_eq!(two.owner.state()?.delegated["acme"].signed.version, 3);
    host.follows(&two.owner, today())
}

#[test]
fn a_release_names_the_vendors_own_and_others_only_when_asked_for() -> Done {
    let two = Two::new()?;
    two.grant(&[PATTERN, "rest/*/*"], &["webapps/portal"])?;
    two.hand_out()?;
    two.delegate.lay(&[("webapps/portal/a.jar", "one")])?;
    let squatted = "customer/acme/restapi/7.0/restapi-7.0.40";
    for recipe in [PORTAL, squatted, "rest/7.0/restapi-7.0.40"] {
        two.publish(recipe)?;
    }
    two.take()?;
    for recipe in ["twi/1/twice-1.0", "twice/1/twice-1.0"] {
        publish(&two.owner, recipe)?;
    }
    let release = "step/trailblazer/step-trailblazer-9.0";
    let names = |vendor: &Vendor, release: &str, component: &str| -> Done<_> {
        let request = vendor.release(release, &[component])?;
        Ok(release::run(&request, today(), &Unwatched).map(|outcome| outcome.components))
    };
    for (component, words) in [
        (
            "portal=7.0.3",
            &["only another publisher", "--component customer/acme/portal"][..],
        ),
        (
            squatted,
            &[
                "you named",
                "would be found  restapi/7.0/restapi-7.0.40.spr",
            ],
        ),
        (
            "twice=1.0",
            &[
                "more than one",
                "twi/1/twice",
                "twice/1/twice",
                "another name",
            ],
        ),
        (
            "customer/acme/portal/7.0/portal-9",
            &["the repository has no portal 9"],
        ),
    ] {
        let refusal = refused(names(&two.owner, release, component)?)?;
        assert_eq!(refusal.name, RefusalName::Unsatisfiable, "{refusal}");
        for word in words {
            assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
        }
    }
    let own = path("restapi/7.0/restapi-7.0.40")?;
    assert_eq!(names(&two.owner, release, "restapi=7.0.40")??, [own]);
    let other = "step/trailblazer/step-trailblazer-9.1";
    assert_eq!(names(&two.owner, other, PORTAL)??, [path(PORTAL)?]);
    // In the delegate's own release its own is meant.
    two.hand_out()?;
    folder::remove_tree(&two.delegate.path("repo/targets"))?;
    copy_folder(
        &two.owner.path("repo/targets"),
        &two.delegate.path("repo/targets"),
    )?;
    let bundle = "customer/acme/bundle/1.0/bundle-1.0.0";
    let found = names(&two.delegate, bundle, "restapi=7.0.40")??;
    assert_eq!(found, [path(squatted)?]);
    Ok(())
}

/// Whose keys take in, and what is said of it where a later folder is refused.
#[test]
fn a_take_that_is_refused_after_another_says_where_the_first_stands() -> Done {
    for (by_owner, words) in [
        (true, "is in force"),
        (false, "is here, to be taken in by the repository's owner"),
    ] {
        let two = Two::new()?;
        let second = two.second()?;
        let (repository, keys) = if by_owner {
            (two.owner.path("repo"), two.owner.keys())
        } else {
            (two.delegate.path("repo"), two.delegate.keys())
        };
        let request = renew::Request {
            repository,
            keys,
            targets: false,
            take: vec![from("acme", &second), from("nobody", &second)],
        };
        let refusal = refused(renew::run(&request, today(), &Unwatched))?;
        assert_eq!(refusal.name, RefusalName::Usage, "{refusal}");
        assert_eq!(
            refusal.unchanged,
            format!("what acme published {words}, nothing else was changed")
        );
        let next = "without --take for acme";
        assert!(refusal.next.ends_with(next), "{refusal}");
        let in_force = two.owner.state()?.recipe(&path(PORTAL)?).is_some();
        assert_eq!(in_force, by_owner);
    }
    Ok(())
}

#[test]
fn a_folder_with_nothing_newer_beside_one_that_is_taken_in_is_noted() -> Done {
    let two = Two::new()?;
    let mut other = two.request(&["customer/other/*/*/*"], &["webapps/other"])?;
    other.role = "other".to_owned();
    delegate::run(&other, today(), &Unwatched)?;
    let second = two.second()?;
    let mut request = renew::Request {
        repository: two.owner.path("repo"),
        keys: two.owner.keys(),
        targets: false,
        take: vec![from("acme", &second), from("other", &second)],
    };
    // Whichever is named first.
    request.take.rotate_left(1);
    let warned = Warned::default();
    let outcome = renew::run(&request, today(), &warned)?;
    assert_eq!(outcome.taken, ["acme"]);
    assert!(two.owner.state()?.recipe(&path(PORTAL)?).is_some());
    let said = warned.said();
    assert!(said.contains("nothing of other was taken in"), "{said}");
    // The second time none of them has anything newer, and nothing happens.
    let refusal = refused(renew::run(&request, today(), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::NothingToDo, "{refusal}");
    Ok(())
}

#[test]
fn what_a_delegate_takes_in_from_another_machine_is_offered_and_not_in_force() -> Done {
    let two = Two::new()?;
    let second = two.second()?;
    let request = renew::Request {
        repository: two.delegate.path("repo"),
        keys: two.delegate.keys(),
        targets: false,
        take: vec![from("acme", &second)],
    };
    let outcome = renew::run(&request, today(), &Unwatched)?;
    assert_eq!(outcome.standing, Standing::Offered("acme".to_owned()));
    Ok(())
}

#[test]
fn a_delegate_signs_anew_before_its_recipes_expire() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a.jar", "one")])?;
    two.publish(PORTAL)?;
    two.take()?;
    let later = today().plus_days(300);
    let request = renew::Request {
        repository: two.delegate.path("repo"),
        keys: two.delegate.keys(),
        targets: false,
        take: Vec::new(),
    };
    let outcome = renew::run(&request, later, &Unwatched)?;
    assert_eq!(outcome.standing, Standing::Offered("acme".to_owned()));
    two.take()?;
    assert_eq!(
        two.owner.state()?.delegated["acme"].signed.issued,
        Some(later)
    );
    Ok(())
}

#[test]
fn what_a_delegate_may_not_publish_is_refused_at_its_own_desk() -> Done {
    let two = Two::new()?;
    let build = two.delegate.path("build");
    for (recipe, file, word) in [
        (
            "restapi/7.0/restapi-7.0.41",
            "webapps/portal/a",
            "no key for this recipe",
        ),
        (
            "customer/other/portal/7.0/portal-7.0.3",
            "webapps/portal/a",
            "no key for this recipe",
        ),
        (PORTAL, "lib/a", "may not install to"),
        (PORTAL, "webapps/portalx/a", "may not install to"),
        (PORTAL, "webapps/Portal/a", "may not install to"),
    ] {
        folder::remove_tree(&build)?;
        two.delegate.lay(&[(file, "one")])?;
        let before = everything(&two.delegate.path("repo/metadata"))?;
        let refusal = refused(two.publish(recipe))?;
        assert!(refusal.to_string().contains(word), "{refusal}, not {word}");
        assert_eq!(everything(&two.delegate.path("repo/metadata"))?, before);
    }
    folder::remove_tree(&build)?;
    two.delegate.lay(&[("webapps/portal/a", "one")])?;
    let mut request = two.delegate.component(PORTAL)?;
    request.replaces = vec![words::requirement("restapi")?];
    let refusal = refused(component::run(&request, today(), &Unwatched))?;
    assert!(
        refusal.to_string().contains("does not publish"),
        "{refusal}"
    );
    Ok(())
}

/// The delegate's own key signs anything: its program is not to be trusted.
fn forge(two: &Two, recipe: &str, bytes: &[u8]) -> Done {
    forge_as(two, recipe, bytes, u64::try_from(bytes.len())?, 1)
}

/// The same with another length than the recipe has, and with so many signatures, of which one is good.
fn forge_as(two: &Two, recipe: &str, bytes: &[u8], length: u64, signatures: u64) -> Done {
    let recipe = path(recipe)?;
    let target = TargetFile {
        hashes: Hashes {
            sha256: Sha256::of(bytes),
        },
        length,
        extra: serde_json::Map::new(),
    };
    forge_file(two, signatures, |file| {
        file.targets.insert(recipe.clone(), target);
    })?;
    let folder = two.delegate.path("repo");
    Ok(Repository::place_target(&folder, &recipe, bytes)?)
}

/// The delegate's next role file, changed by hand.
fn forge_file(two: &Two, signatures: u64, change: impl FnOnce(&mut Targets)) -> Done {
    let mut repository = Repository::open(&two.delegate.path("repo"))?;
    repository.look_ahead("acme")?;
    let mut file = match repository.state().delegated.get("acme") {
        Some(file) => file.clone(),
        None => lockstep::release::Envelope::unsigned(
            "targets",
            0,
            today().plus_days(100),
            Some(today()),
            Targets::default(),
        ),
    };
    file.signed.version = file.signed.version.saturating_add(1);
    change(&mut file.signed.body);
    file.signatures.clear();
    file.sign(&two.delegate.keys().load("acme", &Unwatched)?)?;
    for number in 1..signatures {
        let keyid = Sha256::of(&number.to_be_bytes());
        file.signatures.push(Signature::new(keyid, &[7; 64]));
    }
    let name = format!("repo/metadata/{}.acme.json", file.signed.version);
    let bytes = file.to_bytes()?;
    Ok(durable::write(&two.delegate.path(&name), &bytes, 0o644)?)
}

/// The bytes of a recipe that the delegate published somewhere it may publish what it likes.
fn foreign_recipe(recipe: &str, files: &[(&str, &str)]) -> Done<(Vendor, Vec<u8>)> {
    let vendor = lasting()?;
    folder::remove_tree(&vendor.path("build"))?;
    vendor.lay(files)?;
    publish(&vendor, recipe)?;
    let state = vendor.state()?;
    let sha256 = state
        .recipe(&path(recipe)?)
        .ok_or("not there")?
        .hashes
        .sha256;
    let bytes =
        lockstep::release::Source::target(&vendor.source(), &path(recipe)?, &sha256, 100_000)?;
    Ok((vendor, bytes))
}

/// The same recipe with a signature member behind its statement.
fn signed(recipe: &[u8]) -> Done<Vec<u8>> {
    let statement = Opened::open(recipe)?.into_raw();
    let signature = RawSignature {
        key: Sha256::of(b"a key"),
        armoured: b"a signature".to_vec(),
    };
    Ok(encode_small(
        statement.kind,
        &statement.bytes,
        &[signature],
        &[],
    )?)
}

#[test]
fn the_owner_takes_in_nothing_that_hosts_would_refuse() -> Done {
    let two = Two::new()?;
    let (elsewhere, outside) = foreign_recipe(PORTAL, &[("lib/a", "x")])?;
    forge(&two, PORTAL, &outside)?;
    two.refuses("may not install to")?;

    let two = Two::new()?;
    let (_, good) = foreign_recipe(PORTAL, &[("webapps/portal/a", "x")])?;
    forge(&two, "restapi/7.0/restapi-7.0.99", &good)?;
    two.refuses("not delegated to it")?;

    let two = Two::new()?;
    forge(&two, "customer/acme/portal/7.0/portal-7.0.4", &good)?;
    two.refuses("holds the recipe of portal 7.0.3")?;

    // More signatures than hosts read, although enough of them are good.
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    let length = u64::try_from(good.len())?;
    forge_as(&two, PORTAL, &good, length, 65)?;
    two.refuses("more than 64 signatures")?;

    // A recipe file that has another size than the role file says, or is signed itself.
    for (bytes, more, words) in [
        (&good, 1, "the metadata that names it says"),
        (&signed(&good)?, 0, "is signed"),
    ] {
        let two = Two::new()?;
        let length = u64::try_from(bytes.len())? + more;
        forge_as(&two, PORTAL, bytes, length, 1)?;
        let refusal = two.refuses(words)?;
        assert_eq!(refusal.name, RefusalName::Corrupt);
        assert_eq!(refusal.unchanged, "nothing was taken in");
    }

    // Without its contents, and with others than the recipe says.
    let two = Two::new()?;
    forge(&two, PORTAL, &good)?;
    assert_eq!(two.refuses("missing")?.name, RefusalName::Incomplete);
    copy_folder(
        &elsewhere.path("repo/blobs"),
        &two.delegate.path("repo/blobs"),
    )?;
    for (blob, _) in everything(&two.delegate.path("repo/blobs"))? {
        let mut bytes = durable::read(&blob, 100_000)?;
        bytes.push(0);
        durable::write(&blob, &bytes, 0o644)?;
    }
    let before = everything(&two.owner.path("repo"))?;
    refused(two.take())?;
    assert_eq!(everything(&two.owner.path("repo"))?, before);

    // Another recipe under a path that is published.
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    two.take()?;
    forge(&two, PORTAL, &outside)?;
    two.refuses("there is already another file for this path")?;
    // Dropped in between, it stands for its first content all the same.
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    two.take()?;
    forge_file(&two, 1, |file| file.targets.clear())?;
    two.take()?;
    forge(&two, PORTAL, &outside)?;
    let refusal = two.refuses("there is already another file for this path")?;
    assert_eq!(refusal.name, RefusalName::Conflict);

    // What cannot be put in force leaves no recipe behind, which would hold its path for ever.
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    let mut targets = two.owner.state()?.targets;
    targets.signatures.clear();
    let file = format!("repo/metadata/{}.targets.json", targets.signed.version);
    durable::write(&two.owner.path(&file), &targets.to_bytes()?, 0o644)?;
    two.refuses("somebody else wrote this file")?;

    // A recipe file that is no recipe at all.
    let two = Two::new()?;
    forge(&two, PORTAL, b"not a recipe")?;
    two.refuses("tell the delegate")?;
    Ok(())
}

#[test]
fn a_role_file_that_others_signed_is_not_taken_in() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    let file = two.delegate.path("repo/metadata/1.acme.json");
    let text = String::from_utf8(durable::read(&file, 100_000)?)?;
    let edited = text.replace("portal-7.0.3", "portal-7.0.9");
    assert_ne!(edited, text);
    durable::write(&file, edited.as_bytes(), 0o644)?;
    assert_eq!(
        two.refuses("0 of 1 signatures")?.name,
        RefusalName::BadSignature
    );
    Ok(())
}

#[test]
fn delegations_that_take_recipes_from_others_are_refused() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    two.take()?;
    let before = everything(&two.owner.path("repo"))?;
    let other = |role: &str, paths: &[&str]| -> Done<Refusal> {
        let mut request = two.request(paths, &["x"])?;
        request.role = role.to_owned();
        refused(delegate::run(&request, today(), &Unwatched))
    };
    for (role, pattern, word) in [
        ("other", "restapi/*/*", "published by the role restapi"),
        ("other", "customer/acme/*/*/*", "published by the role acme"),
        ("other", "customer/*/more/*/*", "delegated to acme"),
        ("acme", "customer/acme/other/*/*", "found no more"),
        ("restapi", "restapi/*/*", "rotate --role NAME"),
        ("Root", "x/*/*", "role of the root"),
        ("other", "*/*/*", "without wildcards"),
        ("other", "customer/acme/*", "as many parts"),
        ("other", "x/../*", "each part"),
        ("other", "x/[ab]/*", "each part"),
        ("other", "x/1/x-1", "ends in"),
    ] {
        let refusal = other(role, &[pattern])?;
        let text = refusal.to_string();
        assert!(text.contains(word), "{role} {pattern}: {refusal}");
        let after = everything(&two.owner.path("repo"))?;
        assert_eq!(after, before, "{role} {pattern}");
    }
    // The same again is nothing to do; more paths for the same keys are.
    assert!(
        two.grant(&[PATTERN], &["webapps/portal"])?
            .written
            .is_empty()
    );
    let wider = two.grant(
        &[PATTERN, "hotfix/portal/*"],
        &["webapps/portal", "webapps/more/"],
    )?;
    assert_eq!(
        wider.install_paths,
        Some(vec!["webapps/more".to_owned(), "webapps/portal".to_owned()])
    );
    let mut twice = two.request(&[PATTERN], &[])?;
    twice.public.push(two.public("acme")?);
    twice.role = "twice".to_owned();
    twice.threshold = 2;
    let refusal = refused(delegate::run(&twice, today(), &Unwatched))?;
    assert!(refusal.to_string().contains("distinct keys"), "{refusal}");
    Ok(())
}

#[test]
fn a_revoked_role_stays_empty_and_keeps_its_floor() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    two.take()?;
    let mut host = Host::new(&two.owner)?;
    host.follows(&two.owner, today())?;
    host.sees(&two.owner, today())?.target(&path(PORTAL)?)?;
    let request = revoke::Request {
        repository: two.owner.path("repo"),
        keys: two.owner.keys(),
        role: "acme".to_owned(),
    };
    let outcome = revoke::run(&request, today(), &Unwatched)?;
    assert_eq!(outcome.recipes, 1);
    let seen = host.sees(&two.owner, today())?;
    assert!(seen.target(&path(PORTAL)?).is_err());
    let floor = |floors: &[lockstep::model::snapshot::Floor]| {
        floors.iter().find(|f| f.role == "acme").map(|f| f.version)
    };
    assert_eq!(
        (floor(&host.floors), floor(seen.floors())),
        (Some(1), Some(2))
    );
    host.follows(&two.owner, today())?;
    python_tuf(
        &two.owner.path("repo"),
        None,
        &["restapi/7.0/restapi-7.0.40.spr"],
    )?;
    if let Ok(Some(_)) = python_tuf(
        &two.owner.path("repo"),
        None,
        &["customer/acme/portal/7.0/portal-7.0.3.spr"],
    ) {
        return Err("python-tuf takes a revoked recipe".into());
    }
    let refusal = refused(revoke::run(&request, today(), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::NothingToDo);
    // What the delegate signs afterwards is nobody's word.
    two.publish("customer/acme/portal/7.0/portal-7.0.4")?;
    two.publish("customer/acme/portal/7.0/portal-7.0.5")?;
    two.refuses("0 of 1 signatures")?;
    // Its paths may be given to another.
    let mut next = two.request(&[PATTERN], &["webapps/portal"])?;
    next.role = "acme-two".to_owned();
    delegate::run(&next, today(), &Unwatched)?;
    host.follows(&two.owner, today())?;
    // The owner's own rotation signs the empty role along.
    rotate::run(&request_of(&two.owner), today(), &Unwatched)?;
    host.follows(&two.owner, today())
}

#[test]
fn a_family_of_the_owners_own_is_not_revoked() -> Done {
    let two = Two::new()?;
    let mut keys = request(&two.owner, &["targets"]);
    (keys.make, keys.threshold) = (Some(2), Some(1));
    rotate::run(&keys, today(), &Unwatched)?;
    // The same two keys, named in either order.
    let own = |name: &str| -> Done<std::path::PathBuf> {
        let public = keys::public_half(&two.owner.path("keys").join(name))?;
        let file = two.owner.path(&format!("{name}.pub"));
        durable::write(&file, format!("{public}\n").as_bytes(), 0o644)?;
        Ok(file)
    };
    let public = [own("targets")?, own("targets+2")?];
    let mut family = two.request(&["tools/*/*"], &[])?;
    for (role, public) in [
        ("tools", public.iter().rev().cloned().collect()),
        ("more", public.to_vec()),
    ] {
        (family.role, family.public) = (role.to_owned(), public);
        delegate::run(&family, today(), &Unwatched)?;
    }
    let before = everything(&two.owner.path("repo"))?;
    for role in ["restapi", "tools", "more"] {
        let request = revoke::Request {
            repository: two.owner.path("repo"),
            keys: two.owner.keys(),
            role: role.to_owned(),
        };
        let refusal = refused(revoke::run(&request, today(), &Unwatched))?;
        let text = refusal.to_string();
        assert_eq!(refusal.name, RefusalName::Usage, "{text}");
        assert!(text.contains("the owner's own"), "{text}");
        assert!(text.contains("delegates    acme"), "{text}");
        assert_eq!(everything(&two.owner.path("repo"))?, before, "{role}");
    }
    Ok(())
}

fn request_of(vendor: &Vendor) -> rotate::Request {
    request(vendor, &["targets"])
}

#[test]
fn a_delegates_stolen_key_is_replaced_by_the_owner() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    two.publish(PORTAL)?;
    two.take()?;
    let mut host = Host::new(&two.owner)?;
    host.follows(&two.owner, today())?;
    let new = KeyFolder::new(two.delegate.path("new-keys"));
    new.load_or_make("acme", &Unwatched)?;
    let public = keys::public_half(&two.delegate.path("new-keys/acme"))?;
    let file = two.owner.path("new.pub");
    durable::write(&file, format!("{public}\n").as_bytes(), 0o644)?;
    let mut line = request(&two.owner, &["acme"]);
    line.public = vec![file];
    let waits = rotate::run(&line, today(), &Unwatched)?;
    assert!(matches!(waits.standing, Standing::Waiting(_)));
    let signed = sign::run(
        &sign::Request {
            repository: two.owner.path("repo"),
            role: "acme".to_owned(),
            act: sign::Act::Keys(new.clone()),
        },
        today(),
        &Unwatched,
    )?;
    assert!(signed.signatures.complete());
    assert_eq!(
        rotate::run(&line, today(), &Unwatched)?.standing,
        Standing::Force
    );
    host.follows(&two.owner, today())?;
    host.sees(&two.owner, today())?.target(&path(PORTAL)?)?;
    // The thief's next recipe is no offer any more; the delegate's own is.
    two.publish("customer/acme/portal/7.0/portal-7.0.4")?;
    two.publish("customer/acme/portal/7.0/portal-7.0.5")?;
    two.refuses("0 of 1 signatures")?;
    two.hand_out()?;
    let mut request = two
        .delegate
        .component("customer/acme/portal/7.0/portal-7.0.6")?;
    request.keys = new;
    component::run(&request, today(), &Unwatched)?;
    two.take()?;
    Ok(())
}

#[test]
fn a_delegate_of_two_people_publishes_once_both_have_signed() -> Done {
    let two = Two::new()?;
    let ben = KeyFolder::new(two.delegate.path("ben"));
    ben.load_or_make("pair", &Unwatched)?;
    two.delegate.keys().load_or_make("pair", &Unwatched)?;
    let public = keys::public_half(&two.delegate.path("ben/pair"))?;
    durable::write(
        &two.owner.path("ben.pub"),
        format!("{public}\n").as_bytes(),
        0o644,
    )?;
    let mut grant = two.request(&["customer/pair/*/*/*"], &["webapps/pair"])?;
    grant.role = "pair".to_owned();
    grant.public = vec![two.public("pair")?, two.owner.path("ben.pub")];
    grant.threshold = 2;
    delegate::run(&grant, today(), &Unwatched)?;
    two.hand_out()?;
    two.delegate.lay(&[("webapps/pair/a", "x")])?;
    let recipe = "customer/pair/tool/1.0/tool-1.0.0";
    let waits = two.publish(recipe)?;
    assert!(
        matches!(waits.standing, Standing::Waiting(_)),
        "{:?}",
        waits.standing
    );
    assert!(!two.delegate.path("repo/metadata/1.pair.json").exists());
    sign::run(
        &sign::Request {
            repository: two.delegate.path("repo"),
            role: "pair".to_owned(),
            act: sign::Act::Keys(ben),
        },
        today(),
        &Unwatched,
    )?;
    let outcome = two.publish(recipe)?;
    assert_eq!(outcome.standing, Standing::Offered("pair".to_owned()));
    assert_eq!(outcome.sha256, waits.sha256);
    let request = renew::Request {
        repository: two.owner.path("repo"),
        keys: two.owner.keys(),
        targets: false,
        take: vec![format!("pair={}", two.delegate.path("repo").display()).parse()?],
    };
    renew::run(&request, today(), &Unwatched)?;
    Host::new(&two.owner)?
        .sees(&two.owner, today())?
        .target(&path(recipe)?)?;
    Ok(())
}

#[test]
fn a_delegate_may_work_in_the_owners_own_folder() -> Done {
    let two = Two::new()?;
    two.delegate.lay(&[("webapps/portal/a", "x")])?;
    let mut request = two.delegate.component(PORTAL)?;
    request.repository = two.owner.path("repo");
    component::run(&request, today(), &Unwatched)?;
    let refusal = refused(init::run(&two.owner.init(), today(), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::NothingToDo);
    let host = Host::new(&two.owner)?;
    assert!(
        host.sees(&two.owner, today())?
            .target(&path(PORTAL)?)
            .is_err()
    );
    let request = renew::Request {
        repository: two.owner.path("repo"),
        keys: two.owner.keys(),
        targets: false,
        take: vec![Take {
            role: "acme".to_owned(),
            folder: two.owner.path("repo"),
        }],
    };
    renew::run(&request, today(), &Unwatched)?;
    host.sees(&two.owner, today())?.target(&path(PORTAL)?)?;
    Ok(())
}
