//! The checker on small sources: each rule broken once, and found; what is allowed passes.

use super::{LINES_MAX, Source, check};

/// Checks a small source at `path` and returns the lines and words of what it breaks.
fn broken(path: &str, text: &str) -> Vec<(usize, String)> {
    let violations = check(&Source::new(path, text));
    violations.into_iter().map(|v| (v.line, v.what)).collect()
}

#[test]
fn an_import_from_above_is_found() {
    for (path, text, line, words) in [
        (
            "spr/read.rs",
            "//! x\nuse crate::trust::X;\n",
            2,
            "spr imports crate::trust",
        ),
        (
            "host/apply.rs",
            "//! x\nuse crate::desk::Y;\n",
            2,
            "host imports crate::desk",
        ),
        (
            "plan/mod.rs",
            "//! x\n\nuse crate::{model, disk::Z};\n",
            3,
            "crate::disk",
        ),
        (
            "model/a.rs",
            "//! x\nuse crate::{\n    model::{B, C},\n    cli,\n};\n",
            2,
            "crate::cli",
        ),
        (
            "desk/a.rs",
            "//! x\nfn f() { crate::utils::g() }\n",
            2,
            "no room of the table",
        ),
        ("desk/a.rs", "//! x\nuse crate::*;\n", 2, "crate::*"),
        (
            "main.rs",
            "//! x\nfn main() { lockstep::helpers::go() }\n",
            2,
            "lockstep::helpers",
        ),
        (
            "disk/mod.rs",
            "//! x\nuse super::cli::Z;\n",
            2,
            "climbs out",
        ),
        (
            "disk/a.rs",
            "//! x\nuse super::super::cli::Z;\n",
            2,
            "climbs out",
        ),
    ] {
        let found = broken(path, text);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(
            found[0].0 == line && found[0].1.contains(words),
            "{path}: {found:?}"
        );
    }
}

#[test]
fn what_is_allowed_passes() {
    for (path, text) in [
        ("main.rs", "//! x\nfn main() { lockstep::cli::main() }\n"),
        ("lib.rs", "//! x\npub mod model;\n"),
        (
            "host/apply/mod.rs",
            "//! x\nuse super::survey;\nuse crate::{disk, plan::{A, B}};\n",
        ),
        (
            "disk/a.rs",
            "//! x\n// use crate::cli::X;\n/* crate::cli */ const A: &str = \"crate::cli\";\n",
        ),
        (
            "disk/a.rs",
            "//! x\nconst A: &str = r#\"println!(\" crate::cli \")\"#;\nconst B: char = '\"';\n",
        ),
        (
            "disk/a.rs",
            "//! x\nmod tests {\n    use super::super::b;\n}\nuse super::c;\n",
        ),
        (
            "cli/print.rs",
            "//! x\nfn f() { println!(); std::env::args(); }\n",
        ),
    ] {
        assert_eq!(broken(path, text), [], "{path}");
    }
}

#[test]
fn the_other_rules_are_found() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(LINES_MAX));
    for (path, text, words) in [
        ("disk/a.rs", "fn f() {}\n", "header"),
        ("helpers/a.rs", "//! x\n", "helpers is not in the table"),
        ("helpers.rs", "//! x\n", "helpers is not in the table"),
        ("plan/a.rs", "//! x\nuse rustix::fs;\n", "rustix::"),
        (
            "host/a.rs",
            "//! x\nfn f() { std::env::args(); }\n",
            "std::env",
        ),
        ("desk/a.rs", "//! x\nfn f() { println!(); }\n", "println!"),
        ("disk/a.rs", &long, "401 lines"),
    ] {
        let found = broken(path, text);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        assert!(found[0].1.contains(words), "{path}: {found:?}");
    }
}
