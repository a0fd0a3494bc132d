//! The house rules that no compiler holds: layers, headers, fences and the size of a file.
//!
//! The sources are read as text with comments and literals blanked out, so that a path in a
//! comment is no import and an import in a string is none either. The checker is itself tested on
//! small sources that break each rule: a check that cannot fail is worse than none.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "offsets into the sources of this very project, found in them just before"
)]

#[path = "house/blank.rs"]
mod blank;
#[path = "house/itself.rs"]
mod itself;

use std::fmt;
use std::path::{Path, PathBuf};

/// What a test of files may fail with.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Every room and the layer it stands in; a room imports only from layers below its own.
/// `release/` stands one step above `disk/`, because it writes with disk's durable files
/// (`docs/decisions/0001-layers.md`).
const ROOMS: [(&str, u8); 14] = [
    ("model", 0),
    ("spr", 1),
    ("delta", 1),
    ("trust", 2),
    ("plan", 3),
    ("disk", 4),
    ("release", 5),
    ("host", 6),
    ("desk", 6),
    ("audit", 6),
    ("publish", 6),
    ("mirror", 6),
    ("road", 7),
    ("cli", 8),
];

/// `lib.rs` names the rooms and `main.rs` starts the program: neither is in a room.
const ABOVE_ALL: u8 = 9;

/// Words that only some rooms may use, and which.
const FENCES: [(&str, &[&str]); 6] = [
    ("rustix::", &["disk", "cli"]),
    ("std::env", &["cli"]),
    ("println!", &["cli"]),
    ("eprintln!", &["cli"]),
    ("print!", &["cli"]),
    ("eprint!", &["cli"]),
];

/// Most lines of a file; inline tests and files of tests are left out.
const LINES_MAX: usize = 400;

/// Files that may be longer, each with the reason.
const LONG: [(&str, &str); 0] = [];

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A source file, by its path under `src/`, with comments and literals blanked out in `code`.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank::blank(text),
        }
    }

    /// The room it belongs to: the first segment of its path, none for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&str> {
        match self.path.split_once('/') {
            Some((room, _)) => Some(room),
            None => self
                .path
                .strip_suffix(".rs")
                .filter(|stem| !matches!(*stem, "lib" | "main")),
        }
    }

    /// How many modules deep the file's own module is: 1 for `host/mod.rs` and `host.rs`.
    fn depth(&self) -> usize {
        let segments = self.path.split('/').count();
        segments.saturating_sub(usize::from(self.path.ends_with("/mod.rs")))
    }

    fn violation(&self, at: usize, what: String) -> Violation {
        let before = self.code.get(..at).unwrap_or_default();
        Violation {
            file: format!("src/{}", self.path),
            line: before.matches('\n').count() + 1,
            what,
        }
    }
}

fn layer(room: &str) -> Option<u8> {
    ROOMS
        .iter()
        .find(|(name, _)| *name == room)
        .map(|(_, layer)| *layer)
}

fn check(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(check_header(source));
    found.extend(check_room(source));
    found.extend(check_imports(source));
    found.extend(check_supers(source));
    found.extend(check_fences(source));
    found.extend(check_length(source));
    found
}

fn check_header(source: &Source) -> Option<Violation> {
    let missing = || source.violation(0, "the file opens without a //! header".to_owned());
    (!source.text.starts_with("//! ")).then(missing)
}

fn check_room(source: &Source) -> Option<Violation> {
    let room = source.room().filter(|room| layer(room).is_none())?;
    Some(source.violation(0, format!("the room {room} is not in the table of layers")))
}

/// Every `crate::x` in the library, and every `lockstep::x` in `main.rs`.
fn check_imports(source: &Source) -> Vec<Violation> {
    let own = source.room();
    let height = own.map_or(ABOVE_ALL, |room| layer(room).unwrap_or(0));
    let prefix = if source.path == "main.rs" {
        "lockstep::"
    } else {
        "crate::"
    };
    let mut found = Vec::new();
    for at in words(&source.code, prefix) {
        for name in names_after(&source.code, at + prefix.len()) {
            let fault = match layer(&name) {
                _ if own == Some(name.as_str()) => None,
                None => Some("which is no room of the table of layers".to_owned()),
                Some(below) if below < height => None,
                Some(other) => Some(format!(
                    "a room of layer {other} above a room of layer {height}"
                )),
            };
            let own = own.unwrap_or("the top");
            found.extend(
                fault.map(|why| {
                    source.violation(at, format!("{own} imports {prefix}{name}, {why}"))
                }),
            );
        }
    }
    found
}

/// `super::` may not climb out of the room; imports of other rooms are written with `crate::`.
fn check_supers(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut inline: Vec<usize> = Vec::new();
    let mut offset = 0;
    for line in source.code.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        if inline.last() == Some(&indent) && words.first() == Some(&"}") {
            inline.pop();
        }
        for at in chains(line) {
            let climbs = line
                .get(at..)
                .unwrap_or_default()
                .split("::")
                .take_while(|w| *w == "super");
            if climbs.count() >= source.depth() + inline.len() {
                let what = "super:: climbs out of the room; write crate::".to_owned();
                found.push(source.violation(offset + at, what));
            }
        }
        if words.contains(&"mod") && words.last() == Some(&"{") {
            inline.push(indent);
        }
        offset += line.len();
    }
    found
}

/// Where each run of `super::super::` begins.
fn chains(line: &str) -> Vec<usize> {
    let all = words(line, "super::");
    let begins = |at: &usize| !line.get(..*at).unwrap_or_default().ends_with("super::");
    all.into_iter().filter(begins).collect()
}

fn check_fences(source: &Source) -> Vec<Violation> {
    let room = source.room().unwrap_or("the top");
    let mut found = Vec::new();
    for (word, allowed) in FENCES {
        if !allowed.contains(&room) {
            for at in words(&source.code, word) {
                let what = format!(
                    "{room} uses {word}, which is for {} alone",
                    allowed.join(" and ")
                );
                found.push(source.violation(at, what));
            }
        }
    }
    found
}

fn check_length(source: &Source) -> Option<Violation> {
    if source.path.ends_with("/tests.rs") || source.path.ends_with("_tests.rs") {
        return None;
    }
    let all: Vec<&str> = source.text.lines().collect();
    let tests = all
        .windows(2)
        .position(|pair| matches!(pair, ["#[cfg(test)]", opens] if opens.ends_with("mod tests {")));
    let lines = tests.unwrap_or(all.len());
    // A table of cases may be long; it is no product.
    let is_tests = source.path.ends_with("tests.rs");
    let allowed = is_tests || LONG.iter().any(|(path, _)| *path == source.path);
    let what =
        || format!("{lines} lines before its tests; a file of more than {LINES_MAX} is two ideas");
    (lines > LINES_MAX && !allowed).then(|| source.violation(0, what()))
}

/// Where `needle` stands as a word of its own, not as the end of a longer one.
fn words(code: &str, needle: &str) -> Vec<usize> {
    let fresh = |at: &usize| {
        let before = code.get(..*at).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    code.match_indices(needle)
        .map(|(at, _)| at)
        .filter(fresh)
        .collect()
}

/// The first names after a path prefix: one, or each of a `{...}` group; `*` and `self` as they are.
fn names_after(code: &str, at: usize) -> Vec<String> {
    let rest = code.get(at..).unwrap_or_default().trim_start();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![first_name(rest)];
    };
    let mut depth = 0_usize;
    let mut names = Vec::new();
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(std::mem::take(&mut item)),
            '{' | '}' => depth = if c == '{' { depth + 1 } else { depth - 1 },
            _ => item.push(c),
        }
    }
    names.push(item);
    let names = names.iter().map(|name| first_name(name.trim()));
    names.filter(|name| !name.is_empty()).collect()
}

fn first_name(text: &str) -> String {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '*');
    text.chars().take_while(plain).collect()
}

fn sources(folder: &Path, under: &str, found: &mut Vec<Source>) -> Done {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = if under.is_empty() {
            name
        } else {
            format!("{under}/{name}")
        };
        if path.is_dir() {
            sources(&path, &name, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::File::open(&path).and_then(std::io::read_to_string)?;
            found.push(Source::new(&name, &text));
        }
    }
    Ok(())
}

#[test]
fn the_house_stands() -> Done {
    let mut all = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut all,
    )?;
    assert!(
        all.len() > 20,
        "only {} files were found under src/",
        all.len()
    );
    let found: Vec<String> = all.iter().flat_map(check).map(|v| v.to_string()).collect();
    assert!(
        found.is_empty(),
        "{} house rules are broken:\n{}",
        found.len(),
        found.join("\n")
    );
    Ok(())
}

#[test]
fn files_that_may_be_long_exist() {
    for (path, reason) in LONG {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
        assert!(
            file.is_file() && !reason.is_empty(),
            "{path} is not there, or has no reason"
        );
    }
}
