//! A delegate whose own key signs whatever it likes: the chain of signatures is good, and what its
//! recipe says is not.

use super::*;
use crate::model::recipe::Requirement;

/// The recipe file of the bench with a part of its text replaced, as only another program writes it.
fn forged(old: &str, new: &str) -> Vec<u8> {
    let bytes = canonical::encode(&recipe("lib/a.jar")).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let changed = text.replace(old, new);
    assert_ne!(changed, text, "{old} does not stand there");
    encode_small(Kind::Recipe, changed.as_bytes(), &[], &[]).unwrap()
}

#[test]
fn a_delegates_recipe_with_a_path_that_nobody_may_own_is_refused() {
    for path in [
        ".lockstep/key",
        ".LockStep/key",
        "lib/.lockstep-mount/x",
        "../etc/passwd",
        "lib/../../etc/passwd",
        "/etc/passwd",
        "lib//a",
        "lib/a\\u0000",
    ] {
        let file = forged("\"path\":\"lib/a.jar\"", &format!("\"path\":\"{path}\""));
        Bench::with_file(file).refusal(RefusalName::Corrupt, "");
    }
}

#[test]
fn a_delegates_recipe_with_a_set_uid_mode_or_a_link_out_of_the_root_is_refused() {
    let mode = format!("\"mode\":\"{}\"", Mode::FOLDER);
    for bits in ["4755", "2755", "1755", "0o755", "07777"] {
        let file = forged(&mode, &format!("\"mode\":\"{bits}\""));
        Bench::with_file(file).refusal(RefusalName::Corrupt, "");
    }
    let good = canonical::encode(&recipe("lib/a.jar")).unwrap();
    let good: serde_json::Value = serde_json::from_slice(&good).unwrap();
    let what = good["files"][0]["what"].to_string();
    for target in [
        "../../etc/passwd",
        "/etc/passwd",
        "../.lockstep/key",
        "../lib/../../x",
    ] {
        let link = format!("{{\"link\":{{\"target\":\"{target}\"}}}}");
        Bench::with_file(forged(&what, &link)).refusal(RefusalName::Corrupt, "");
    }
    let inside = "{\"link\":{\"target\":\"b.jar\"}}";
    Bench::with_file(forged(&what, inside)).passes();
}

#[test]
fn a_delegates_recipe_owns_whole_folders_that_were_granted_and_none_beside() {
    // Granted: webapps/restapi and lib.
    for (path, passes) in [
        ("lib/x", true),
        ("lib/x/y", true),
        ("webapps/restapi/a", true),
        ("libx/a", false),
        ("lib-x", false),
        ("Lib/x", false),
        ("webapps/a", false),
        ("webapps/restapi.bak/a", false),
    ] {
        let bench = Bench::with(&recipe(path));
        if passes {
            bench.passes();
        } else {
            bench.refusal(RefusalName::VendorUntrusted, "may not install to");
            bench.tells(&["tell the vendor", "publish delegate --install-path", path]);
        }
    }
}

#[test]
fn a_take_over_by_what_is_no_hotfix_of_it_is_refused() {
    let mut hotfix = recipe("core/core.jar");
    hotfix.takes = vec![crate::model::recipe::Pin {
        component: "core".parse().unwrap(),
        version: "9.0.0".parse().unwrap(),
    }];
    // It is none of core's by its path, so that the grant is not even asked for.
    Bench::with(&hotfix).refusal(RefusalName::Corrupt, "only a hotfix of it may");
}

#[test]
fn a_delegates_recipe_replaces_its_own_components_alone() {
    let replacing = |component: &str| {
        let mut recipe = recipe("lib/a.jar");
        recipe.replaces = vec![Requirement {
            component: component.parse().unwrap(),
            range: "*".parse().unwrap(),
        }];
        Bench::with(&recipe)
    };
    replacing("core").refusal(RefusalName::VendorUntrusted, "does not publish");
    replacing("core").tells(&["tell the vendor", "without --replaces"]);
    replacing("restapi").passes();
}

#[test]
fn floors_fall_for_a_replaced_root_with_the_site_file_inside_alone() {
    let mut bench = Bench::new();
    bench.floors = bench.passes().0.floors().to_vec();
    for floor in &mut bench.floors {
        floor.version = 9;
    }
    let mut other = bench.floors[0].clone();
    other.vendor = "another".parse().unwrap();
    bench.floors.push(other.clone());
    bench.refusal(RefusalName::VendorUntrusted, "rollback");
    // A newer site file that does not say it changes nothing.
    let mut newer = bench.site.clone();
    newer.version = 2;
    bench.carry_site(&newer, OWNER);
    bench.refusal(RefusalName::VendorUntrusted, "rollback");
    newer.vendors[0].since = Some(2);
    bench.carry_site(&newer, OWNER);
    let (patch, _) = bench.passes();
    assert_eq!(patch.floors().len(), 6);
    assert!(patch.floors().contains(&other));
    let own = patch
        .floors()
        .iter()
        .filter(|floor| floor.vendor != other.vendor);
    assert!(own.into_iter().all(|floor| floor.version == 1));
    // Where that site file is in force, the floors were kept under it, and hold.
    newer.vendors[0].since = Some(1);
    bench.site.vendors[0].since = Some(1);
    newer.version = 3;
    bench.carry_site(&newer, OWNER);
    bench.refusal(RefusalName::VendorUntrusted, "rollback");
}
