//! The golden files: every `.spr` under `fixtures/golden/`, each with the outcome it must have.
//!
//! Beside `NAME.spr` lies `NAME.expect`: `inspect CODE`, `verify CODE` (under `site.spr`, the nodes'
//! keys in `nodes`, at the moment in `now`) and, for a good file, `statement SHA256`. The walk
//! forgets no file. A later version reads them all and says the same. How they were made:
//! `cargo test --test road -- --ignored golden`.
//!
//! And the golden deltas: of every `NAME.delta` under `fixtures/delta/` the host makes `NAME.new` out of
//! `NAME.old`, in every build and for as long as the codec has its name. What the desk makes of the same
//! two files may become smaller from release to release, and so is not compared. How they were made:
//! `cargo test --lib -- --ignored golden_deltas`.

#![expect(clippy::disallowed_methods, reason = "a test reads its own fixtures")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use lockstep::audit;
use lockstep::delta::{Memory, Room, decode};
use lockstep::model::{RefusalName, Time};

type Tested = Result<(), Box<dyn Error>>;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden")
}

/// What becomes of a file, in the words of an `.expect` file.
fn outcome(file: &Path, now: Time) -> String {
    let folder = folder();
    let inspected = audit::inspect::run(file);
    let request = audit::verify::Request {
        files: vec![file.to_owned()],
        site: Some(folder.join("site.spr")),
        fingerprint: None,
        allowed_signers: Some(folder.join("nodes")),
        approvals: Vec::new(),
        recipes: Vec::new(),
    };
    let verified = match audit::verify::run(&request, now, &lockstep::model::Unwatched) {
        Ok(outcome) => outcome.exit().unwrap_or(0),
        Err(refusal) => refusal.name.code(),
    };
    let mut lines = match inspected {
        Ok(outcome) => format!(
            "inspect 0\nverify {verified}\nstatement {}\n",
            outcome.sha256
        ),
        Err(refusal) => format!("inspect {}\nverify {verified}\n", refusal.name.code()),
    };
    if lines.contains(&format!(" {}\n", RefusalName::Internal.code())) {
        lines.push_str("an internal error is no outcome\n");
    }
    lines
}

#[test]
fn every_golden_file_has_its_outcome() -> Tested {
    let now: Time = fs::read_to_string(folder().join("now"))?.trim().parse()?;
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder())? {
        let file = entry?.path();
        if file.extension().is_some_and(|end| end == "expect") {
            assert!(
                file.with_extension("spr").is_file(),
                "{} expects of no file",
                file.display()
            );
        }
        if file.extension().is_none_or(|end| end != "spr") {
            continue;
        }
        seen += 1;
        let expected = fs::read_to_string(file.with_extension("expect")).unwrap_or_default();
        let found = outcome(&file, now);
        if found != expected {
            wrong.push(format!(
                "{}\nexpected\n{expected}found\n{found}",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 15, "only {seen} golden files");
    Ok(())
}

#[test]
fn every_golden_delta_makes_its_content() -> Tested {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta");
    let mut kinds = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let end = file.extension().unwrap_or_default();
        assert!(
            ["old", "new", "delta"].iter().any(|known| *known == end),
            "{} is part of no golden delta",
            file.display()
        );
        if end != "delta" {
            continue;
        }
        let read = |end: &str| fs::read(file.with_extension(end));
        let (old, new, delta) = (read("old")?, read("new")?, read("delta")?);
        let mut made = Vec::new();
        let room = Room {
            memory: 32 * 1024 * 1024,
            scratch: 1024 * 1024,
        };
        let most = (u64::try_from(new.len())?, room);
        decode(&delta, &old, &Memory::default(), most, &mut |bytes| {
            made.extend_from_slice(bytes);
            Ok(())
        })?;
        assert!(made == new, "{} makes another content", file.display());
        kinds.push(delta.get(4).copied());
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [Some(0), Some(1)],
        "a plain one, and one of an archive"
    );
    Ok(())
}
