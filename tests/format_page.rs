//! `docs/format.md` against the sources: every field of every statement, in its order, and no other.
//!
//! A section of the page is a heading with the type's name in backticks and a table of its fields.
//! The fields are read from the text of `src/model/`, where they are declared in the order in which
//! they are written.

use std::path::Path;

use lockstep::model::statement::APPROVAL_NAMESPACE;
use lockstep::model::{Kind, RefusalName, operation, patch, recipe, volume};
use lockstep::spr::lines::LINE_MAX;
use lockstep::spr::{
    HEAD_MAX, MEMBERS_MAX, SIGNATURE_MAX, SIGNATURES_MAX, STATEMENT_MAX, canonical,
};
use lockstep::trust::patch::RECIPES_MAX;

/// What a test of a page may fail with.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Files whose types make up statements.
const FILES: [&str; 11] = [
    "enrolment.rs",
    "floor.rs",
    "operation.rs",
    "patch.rs",
    "receipt.rs",
    "rehome.rs",
    "service.rs",
    "recipe.rs",
    "site.rs",
    "snapshot.rs",
    "statement.rs",
];

/// A type that crosses the gap: its fields, or its variants in lower case with hyphens.
#[derive(Debug)]
struct Type {
    name: String,
    is_enum: bool,
    fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    optional: bool,
}

fn read(path: &str) -> Done<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::File::open(&path).and_then(std::io::read_to_string);
    text.map_err(|e| format!("{}: {e}", path.display()).into())
}

/// The structs and enums of a source that derive `Deserialize`.
fn types(source: &str) -> Vec<Type> {
    let mut found = Vec::new();
    let mut derived = false;
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("#[derive(") {
            derived = line.contains("Deserialize");
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["pub", kind @ ("struct" | "enum"), name, "{"] = words.as_slice() {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
            if derived {
                let is_enum = *kind == "enum";
                let field = |line: &&str| if is_enum { variant(line) } else { field(line) };
                found.push(Type {
                    name: (*name).to_owned(),
                    is_enum,
                    fields: body.iter().filter_map(field).collect(),
                });
            }
            derived = false;
        }
    }
    found
}

/// `    pub name: Option<Type>,`
fn field(line: &str) -> Option<Field> {
    let (name, kind) = line.strip_prefix("    pub ")?.split_once(": ")?;
    Some(Field {
        name: name.to_owned(),
        optional: kind.starts_with("Option<"),
    })
}

/// `    Name,`, `    Name(Content),` or `    Name {`, at the first level alone.
fn variant(line: &str) -> Option<Field> {
    let rest = line.strip_prefix("    ")?;
    let name: String = rest
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    name.starts_with(|c: char| c.is_ascii_uppercase())
        .then(|| Field {
            name: kebab(&name),
            optional: false,
        })
}

/// `RolledBack` as `rolled-back`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The lines of the page between the heading of a type and the next heading.
fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n#### `{name}`\n"))?;
    Some(rest.split("\n#").next().unwrap_or(rest))
}

/// The first two columns of a section's table.
fn rows(section: &str) -> Vec<Field> {
    let cells = |line: &str| -> Option<Field> {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let optional = cells.next()?.ends_with("optional");
        Some(Field { name, optional })
    };
    section.lines().filter_map(cells).collect()
}

#[test]
fn every_field_stands_on_the_page_in_its_order_and_no_other() -> Done {
    let page = read("docs/format.md")?;
    let mut seen = 0;
    for file in FILES {
        for kind in types(&read(&format!("src/model/{file}"))?) {
            let Type {
                name,
                is_enum,
                fields,
            } = kind;
            if name == "Kind" {
                continue;
            }
            seen += 1;
            assert!(!fields.is_empty(), "{file}: nothing was read of {name}");
            // Canonical JSON: fields are written in the order in which they are declared.
            let rising = fields.is_sorted_by(|a, b| a.name < b.name);
            assert!(
                is_enum || rising,
                "{file}: the fields of {name} do not rise"
            );
            let section = section(&page, &name);
            let section =
                section.ok_or_else(|| format!("docs/format.md has no section `{name}`"))?;
            let rows = rows(section);
            if is_enum && rows.is_empty() {
                for field in fields {
                    let word = format!("`{}`", field.name);
                    assert!(section.contains(&word), "{name}: {word} is not on the page");
                }
            } else {
                assert_eq!(
                    rows, fields,
                    "docs/format.md (left) and src/model/{file}: {name}"
                );
            }
        }
    }
    assert!(seen > 25, "only {seen} types were read");
    Ok(())
}

#[test]
fn no_section_is_of_a_type_that_is_gone() -> Done {
    let mut known = Vec::new();
    for file in FILES {
        known.extend(
            types(&read(&format!("src/model/{file}"))?)
                .into_iter()
                .map(|t| t.name),
        );
    }
    for line in read("docs/format.md")?.lines() {
        if let Some(name) = line.strip_prefix("#### ") {
            let name = name.trim_matches('`');
            assert!(
                known.iter().any(|k| k == name),
                "no type {name} in src/model/"
            );
        }
    }
    Ok(())
}

#[test]
fn kinds_namespaces_and_limits_are_the_program_s() -> Done {
    let page = read("docs/format.md")?;
    let mib = |bytes: u64| format!("{} MiB", bytes / 1024 / 1024);
    let spaced = |n: usize| {
        let digits = n.to_string();
        let (head, tail) = digits.split_at(digits.len() - 3);
        match head.len() {
            4.. => format!(
                "{} {} {tail}",
                &head[..head.len() - 3],
                &head[head.len() - 3..]
            ),
            _ => format!("{head} {tail}"),
        }
    };
    let mut wanted = vec![
        format!("| an approval | `{APPROVAL_NAMESPACE}` |"),
        format!("| a statement | {} |", mib(STATEMENT_MAX)),
        format!("| a signature member | {SIGNATURE_MAX} bytes |"),
        format!("| signatures of one statement | {SIGNATURES_MAX} |"),
        format!(
            "| members listed in one statement | {} |",
            spaced(MEMBERS_MAX)
        ),
        format!("| nesting of JSON | {} |", canonical::DEPTH_MAX),
        format!("| files in one recipe | {} |", spaced(recipe::FILES_MAX)),
        format!(
            "| members of a patch that are no packs, together | {} |",
            mib(HEAD_MAX)
        ),
        format!(
            "| a list of operations, decompressed | {} |",
            mib(operation::OPERATIONS_MAX)
        ),
        format!(
            "| recipes of a patch, decompressed, together | {} |",
            mib(RECIPES_MAX)
        ),
        format!(
            "| paths that one patch may touch, folders among them | {} |",
            spaced(patch::PATHS_MAX)
        ),
        format!(
            "| a line of it | {} KiB, its line feed with it |",
            LINE_MAX / 1024
        ),
        format!(
            "of all three kinds together, 1 to {} |",
            spaced(patch::PATHS_MAX)
        ),
        format!("| a pack, decompressed | {} |", mib(patch::PACK_MAX)),
        format!("| volumes of a patch | {} |", volume::VOLUMES_MAX),
    ];
    for kind in Kind::ALL {
        wanted.push(format!("`{}`", kind.member()));
        wanted.push(match kind.namespace() {
            Some(namespace) => format!("| {kind} | `{namespace}` |"),
            None => format!("| {kind} | none"),
        });
    }
    wanted.extend(operation::Codec::ALL.map(|codec| format!("| `{codec}` |")));
    for words in wanted {
        assert!(
            page.contains(&words),
            "docs/format.md does not say: {words}"
        );
    }
    Ok(())
}

/// A patch may touch so many paths: every other bound has room for them, where paths are of usual length.
#[test]
fn the_bounds_leave_room_for_as_many_paths_as_a_patch_may_touch() -> Done {
    let most = u64::try_from(patch::PATHS_MAX)?;
    let digest = "0".repeat(64);
    // The longest: a delta of a file among gigabytes.
    let delta = serde_json::json!({
        "base": digest, "codec": operation::Codec::Delta.to_string(), "content": digest, "length": 1 << 20,
        "memory": 192 << 20, "offset": 1_u64 << 40, "scratch": 1 << 30, "size": 1_u64 << 32
    });
    let line = u64::try_from(delta.to_string().len())? + 1;
    assert!(
        line * most <= operation::OPERATIONS_MAX,
        "{line} bytes a line"
    );
    // What does not compress of a recipe's entry is three digests, of an operation two; both have numbers.
    let (entry, operation) = (32 * 3 + 16, 32 * 2 + 20);
    assert!((entry + operation) * most <= HEAD_MAX);
    // An entry as the trees of `scripts/real-input/trees.py` have it.
    assert!(400 * most <= RECIPES_MAX);
    Ok(())
}

/// The header as the page describes it, field by field.
fn header_by_the_page(name: &str, size: usize) -> Vec<u8> {
    let mut block = vec![0_u8; 512];
    let mut put = |at: usize, text: &str| {
        for (to, from) in block.iter_mut().skip(at).zip(text.bytes()) {
            *to = from;
        }
    };
    put(0, name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    for (to, from) in block
        .iter_mut()
        .skip(148)
        .zip(format!("{sum:07o}\0").bytes())
    {
        *to = from;
    }
    block
}

#[test]
fn the_archive_is_as_the_page_says() -> Done {
    let long = "p".repeat(100);
    let members = [(long.clone(), vec![7; 513])];
    let made = lockstep::spr::encode_small(Kind::Patch, b"{}", &[], &members)?;
    let mut right = header_by_the_page("patch.json", 2);
    right.extend(b"{}");
    right.resize(1024, 0);
    right.extend(header_by_the_page(&long, 513));
    right.extend([7; 513]);
    right.resize(1024 + 512 + 1024, 0);
    right.resize(1024 + 512 + 1024 + 1024, 0);
    assert_eq!(made, right);
    Ok(())
}

#[test]
fn the_reader_of_sources_and_tables_sees_what_is_there() {
    let source = "#[derive(Serialize, Deserialize)]\npub struct A {\n    /// x\n    pub b: Option<u64>,\n    pub c: u64,\n}\n\
                  #[derive(Deserialize)]\npub enum D {\n    /// y\n    E,\n    F {\n        /// z\n        g: u64,\n    },\n}\n\
                  #[derive(Debug)]\npub struct H {\n    pub i: u64,\n}\n";
    let types = types(source);
    let names: Vec<(&str, bool)> = types.iter().map(|t| (t.name.as_str(), t.is_enum)).collect();
    assert_eq!(names, [("A", false), ("D", true)]);
    let fields = |t: &Type| t.fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
    assert_eq!(fields(&types[0]), ["b", "c"]);
    assert!(types[0].fields[0].optional && !types[0].fields[1].optional);
    assert_eq!(fields(&types[1]), ["e", "f"]);
    let page = "\n#### `A`\n\n| field | type | meaning |\n|---|---|---|\n| `b` | size, optional | m |\n| `c` | size | m |\n\n#### `X`\n";
    assert_eq!(rows(section(page, "A").unwrap()), types[0].fields);
    assert!(section(page, "Y").is_none());
    assert!("too-old".parse::<RefusalName>().is_ok());
}
