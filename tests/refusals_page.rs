//! `docs/refusals.md` against the enum: its table row by row, and a paragraph for every name.

use std::path::Path;

use lockstep::model::RefusalName;

/// What a test of a page may fail with.
type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

const HEAD: [&str; 2] = ["| exit | name | meaning | lifted by |", "|---|---|---|---|"];

fn page() -> Done<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/refusals.md");
    Ok(std::fs::File::open(path).and_then(std::io::read_to_string)?)
}

fn row(name: RefusalName) -> String {
    format!(
        "| {} | {name} | {} | {} |",
        name.code(),
        name.meaning(),
        name.lifted_by().words()
    )
}

/// The lines of the one table of the page that begins with [`HEAD`].
fn table(page: &str) -> Vec<&str> {
    let from_head = page.lines().skip_while(|line| *line != HEAD[0]);
    from_head.take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_table_is_the_enum() -> Done {
    let page = page()?;
    let mut right: Vec<String> = HEAD.map(str::to_owned).to_vec();
    right.push("| 0 | done | what was asked for is done, and durable | |".to_owned());
    right.extend(RefusalName::ALL.map(row));
    assert_eq!(
        table(&page),
        right,
        "docs/refusals.md has another table; the right one is:\n\n{}\n",
        right.join("\n")
    );
    Ok(())
}

#[test]
fn every_refusal_has_its_paragraph_once() -> Done {
    let page = page()?;
    for name in RefusalName::ALL {
        let begin = format!("**{name}** ({}).", name.code());
        let count = page.matches(&begin).count();
        assert_eq!(
            count, 1,
            "docs/refusals.md has {count} paragraphs that begin {begin:?}"
        );
    }
    Ok(())
}

#[test]
fn codes_rise_and_fit_a_shell() {
    let codes = RefusalName::ALL.map(RefusalName::code);
    assert!(codes.is_sorted(), "{codes:?}");
    // 126 and above are the shell's own.
    assert!(
        codes.iter().all(|code| (1..126).contains(code)),
        "{codes:?}"
    );
}
