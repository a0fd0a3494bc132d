//! `component` and `release`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use lockstep::model::recipe::What;
use lockstep::model::{ContentId, Refusal, RefusalName, Sha256, Unwatched};
use lockstep::publish::{component, release, words};
use lockstep::release::Source as _;

use crate::vendor::{Done, RESTAPI, Vendor, day, everything, lay, refused};

#[test]
fn a_component_is_what_the_folder_holds() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[
        ("lib/a.jar", "one"),
        ("lib/b.jar", "one"),
        ("bin/run", "#!"),
        ("conf/x.properties", ""),
    ])?;
    let build = vendor.path("build");
    fs::set_permissions(build.join("bin/run"), fs::Permissions::from_mode(0o750))?;
    fs::create_dir(build.join("empty"))?;
    fs::set_permissions(build.join("empty"), fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(build.join("conf"), fs::Permissions::from_mode(0o700))?;
    symlink("../lib/a.jar", build.join("bin/link"))?;
    fs::hard_link(build.join("lib/a.jar"), build.join("lib/c.jar"))?;
    lay(&vendor.path("notes"), "read me\n")?;
    lay(&vendor.path("sbom"), "{}")?;
    let before = everything(&build)?;
    let mut request = vendor.component(RESTAPI)?;
    request.requires = vec![words::requirement("core >=9.0, <10")?];
    request.config = vec!["conf/*".to_owned()];
    request.notes = Some(vendor.path("notes"));
    request.sbom = Some(vendor.path("sbom"));
    let outcome = component::run(&request, day(1), &Unwatched)?;
    assert_eq!(everything(&build)?, before);
    assert_eq!(
        outcome.written,
        [
            format!("targets/restapi/7.0/{}.restapi-7.0.40.spr", outcome.sha256),
            "metadata/1.restapi.json".to_owned(),
            "metadata/2.targets.json".to_owned(),
            "metadata/2.snapshot.json".to_owned(),
            "metadata/timestamp.json".to_owned(),
        ]
    );
    let recipe = vendor.recipe(RESTAPI)?;
    let listed: Vec<String> = recipe
        .files
        .iter()
        .map(|entry| match &entry.what {
            What::File(file) => format!("{} {}", entry.path, file.mode),
            What::Folder { mode } => format!("{}/ {mode}", entry.path),
            What::Link { target } => format!("{} -> {target}", entry.path),
        })
        .collect();
    assert_eq!(
        listed,
        [
            "bin/link -> ../lib/a.jar",
            "bin/run 0750",
            "conf/ 0700",
            "conf/x.properties 0644",
            "empty/ 0755",
            "lib/a.jar 0644",
            "lib/b.jar 0644",
            "lib/c.jar 0644",
        ]
    );
    assert_eq!(recipe.notes.as_deref(), Some("read me"));
    assert_eq!(recipe.members.len(), 1);
    for entry in &recipe.files {
        if let What::File(file) = &entry.what {
            let mut raw = Vec::new();
            std::io::Read::read_to_end(&mut vendor.source().blob(&file.blake3)?, &mut raw)?;
            assert_eq!(file.stored_sha256, Sha256::of(&raw));
            assert_eq!(file.stored_size, u64::try_from(raw.len())?);
            let content = zstd::decode_all(raw.as_slice())?;
            assert_eq!(file.id(), ContentId::of(&content));
        }
    }
    Ok(())
}

#[test]
fn the_same_again_is_nothing_to_do() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one"), ("b/c", "two")])?;
    let first = vendor.publish(RESTAPI)?;
    let before = everything(&vendor.path("repo"))?;
    let again = vendor.publish(RESTAPI)?;
    assert!(again.unchanged && again.written.is_empty());
    assert_eq!(again.sha256, first.sha256);
    assert!(again.to_string().starts_with("nothing to do"));
    assert_eq!(everything(&vendor.path("repo"))?, before);
    Ok(())
}

#[test]
fn other_content_under_a_published_path_is_refused() -> Done {
    let vendor = Vendor::new()?;
    vendor.lay(&[("a", "one")])?;
    vendor.publish(RESTAPI)?;
    let before = everything(&vendor.path("repo"))?;
    let mut notes = vendor.component(RESTAPI)?;
    notes.licence = Some("MIT".to_owned());
    let refusal = refused(component::run(&notes, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Conflict);
    assert!(refusal.to_string().contains("licence"), "{refusal}");
    vendor.lay(&[("a", "two")])?;
    let request = vendor.component(RESTAPI)?;
    let refusal = refused(component::run(&request, day(1), &Unwatched))?;
    assert_eq!(refusal.name, RefusalName::Conflict);
    assert_eq!(
        refusal.values,
        [
            ("differs in".to_owned(), "a".to_owned()),
            (
                "sha256 published".to_owned(),
                Sha256::of(b"one").to_string()
            ),
            ("sha256 now".to_owned(), Sha256::of(b"two").to_string()),
        ]
    );
    assert_eq!(everything(&vendor.path("repo"))?, before);
    Ok(())
}

#[test]
fn a_release_names_components_that_are_there_and_fit() -> Done {
    let vendor = Vendor::new()?;
    let release = "step/trailblazer/step-trailblazer-9.0-mp5-2018-11-08-15-54-27";
    vendor.lay(&[("a", "one")])?;
    let mut request = vendor.component(RESTAPI)?;
    request.requires = vec![words::requirement("core >=9.0, <10")?];
    component::run(&request, day(1), &Unwatched)?;
    fs::remove_file(vendor.path("build/a"))?;
    vendor.lay(&[("c", "core")])?;
    for recipe in ["core/9/core-9.1", "core/8/core-8.0"] {
        vendor.publish(recipe)?;
    }
    let run = |components: &[&str]| -> Done<Result<release::Outcome, Refusal>> {
        Ok(release::run(
            &vendor.release(release, components)?,
            day(1),
            &Unwatched,
        ))
    };
    for (components, word) in [
        (&["restapi=7.0.41"][..], "restapi-7.0.40.spr"),
        (&["portal=1"], "core/9/core-9.1.spr"),
        (&["restapi=7.0.40"], "the release has none"),
        (&["restapi=7.0.40", "core=8.0"], "the release has 8.0"),
    ] {
        let refusal = refused(run(components)?)?;
        assert_eq!(refusal.name, RefusalName::Unsatisfiable);
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
    let outcome = run(&["restapi=7.0.40", "core=9.1"])??;
    assert_eq!(outcome.components.len(), 2);
    assert!(run(&["core=9.1", "restapi=7.0.40"])??.unchanged);
    let recipe = vendor.recipe(release)?;
    let pins: Vec<&str> = recipe
        .release
        .iter()
        .map(|pin| pin.version.as_str())
        .collect();
    assert_eq!(pins, ["9.1", "7.0.40"]);
    Ok(())
}
