//! Reads the tables of `docs/drift.md`. Columns and rows are found by name; a row that is missing,
//! twice there or not known, and a word that nobody explains or needs, is an error.

use std::collections::{BTreeMap, BTreeSet};

use crate::drift::judge::{At, Word};
use crate::world::Outcome;

pub(crate) const POLICIES: [&str; 3] = ["refuse", "keep", "overwrite"];
pub(crate) const PREPARE_REFUSES: &str = "prepare refuses";
pub(crate) const APPLY_REFUSES: &str = "apply refuses";

/// The columns whose fields name a row of the table of every case.
const CASE: [&str; 3] = ["by the user", "config file", "the patch"];
const KIND: [&str; 1] = ["what was done, and what the patch does"];

/// What the page says.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) rows: BTreeMap<String, Row>,
    pub(crate) words: Vec<Word>,
}

/// What becomes of one path.
#[derive(Debug)]
pub(crate) struct Row {
    /// By policy, in the order of [`POLICIES`].
    pub(crate) words: [String; 3],
    /// What refusals say of it.
    pub(crate) reasons: Vec<String>,
}

type Fields = BTreeMap<String, String>;

impl Page {
    /// Reads the page, which must have a row for each of `names` and no other.
    pub(crate) fn read(text: &str, names: &BTreeSet<String>) -> Outcome<Self> {
        let words = table(text, &["word"])?
            .iter()
            .map(word)
            .collect::<Outcome<Vec<_>>>()?;
        let mut rows = BTreeMap::new();
        for key in [CASE.as_slice(), KIND.as_slice()] {
            for fields in table(text, key)? {
                let name = name(&fields, key)?;
                if rows.insert(name.clone(), row(&fields)?).is_some() {
                    return Err(format!("the row {name:?} is there twice").into());
                }
            }
        }
        let page = Self { rows, words };
        page.check(names)?;
        Ok(page)
    }

    pub(crate) fn word(&self, name: &str) -> Option<&Word> {
        self.words.iter().find(|word| word.name == name)
    }

    fn check(&self, names: &BTreeSet<String>) -> Outcome<()> {
        let there: BTreeSet<String> = self.rows.keys().cloned().collect();
        if let Some(name) = names.symmetric_difference(&there).next() {
            return Err(format!("the row {name:?} is missing, or is not known").into());
        }
        let mut unused: BTreeSet<&str> = self.words.iter().map(|w| w.name.as_str()).collect();
        for (name, row) in &self.rows {
            let mut refused = false;
            for word in &row.words {
                unused.remove(word.as_str());
                let refusal = [PREPARE_REFUSES, APPLY_REFUSES].contains(&word.as_str());
                refused |= refusal;
                if !refusal && self.word(word).is_none() {
                    return Err(format!("nobody explains the word {word:?} of {name:?}").into());
                }
            }
            if refused == row.reasons.is_empty() {
                return Err(format!("a reason is missing, or is one too many: {name:?}").into());
            }
        }
        match unused.first() {
            Some(word) => Err(format!("no row needs the word {word:?}").into()),
            None => Ok(()),
        }
    }
}

fn name(fields: &Fields, key: &[&str]) -> Outcome<String> {
    let parts = key.iter().map(|column| field(fields, column));
    Ok(parts.collect::<Outcome<Vec<_>>>()?.join(", "))
}

fn row(fields: &Fields) -> Outcome<Row> {
    let [refuse, keep, overwrite] = POLICIES.map(|policy| field(fields, policy));
    let reasons = field(fields, "a refusal says")?;
    Ok(Row {
        words: [refuse?, keep?, overwrite?],
        reasons: spans(&reasons),
    })
}

fn word(fields: &Fields) -> Outcome<Word> {
    let at = field(fields, "at the path afterwards")?;
    let generation = field(fields, "in the generation")?;
    let at = At::named(&at).ok_or_else(|| format!("no path can hold {at:?}"))?;
    if !["", "what stood there"].contains(&generation.as_str()) {
        return Err(format!("no generation can hold {generation:?}").into());
    }
    let only = |column: &str| -> Outcome<String> {
        Ok(spans(&field(fields, column)?)
            .into_iter()
            .next()
            .unwrap_or_default())
    };
    Ok(Word {
        name: field(fields, "word")?,
        at,
        beside: only("beside it")?,
        generation: !generation.is_empty(),
        apply: only("`apply` says")?,
        status: only("`status` says")?,
    })
}

fn field(fields: &Fields, column: &str) -> Outcome<String> {
    let found = fields.get(column).cloned();
    found.ok_or_else(|| format!("the column {column:?} is missing").into())
}

/// The code spans of a field.
fn spans(field: &str) -> Vec<String> {
    let parts = field.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The rows of the one table that has these columns.
fn table(text: &str, columns: &[&str]) -> Outcome<Vec<Fields>> {
    let has = |head: &[String]| columns.iter().all(|c| head.iter().any(|name| name == c));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let head = cells(line);
        if !has(&head) {
            continue;
        }
        let body = lines.skip(1).take_while(|line| line.starts_with('|'));
        return body
            .map(|line| {
                let row = cells(line);
                if row.len() == head.len() {
                    Ok(head.iter().cloned().zip(row).collect())
                } else {
                    Err(format!("not as many fields as the head has: {line}").into())
                }
            })
            .collect();
    }
    Err(format!("no table has the columns {columns:?}").into())
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    let Some(inner) = inner else {
        return Vec::new();
    };
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "
| by the user | config file | the patch | refuse | keep | overwrite | a refusal says |
|---|---|---|---|---|---|---|
| modified | no | changed | prepare refuses | kept | overwritten | `changed` |

| word | at the path afterwards | beside it | in the generation | `apply` says | `status` says |
|---|---|---|---|---|---|
| kept | what stood there | | | `drift PATH: kept` | `drift PATH: ...` |
| overwritten | the new one | | what stood there | `drift PATH: N/S` | |

| what was done, and what the patch does | refuse | keep | overwrite | a refusal says |
|---|---|---|---|---|
| a link | kept | kept | kept | |
";

    fn names() -> BTreeSet<String> {
        ["modified, no, changed", "a link"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn a_page_is_read_by_the_names_of_rows_and_columns() -> Outcome<()> {
        let page = Page::read(PAGE, &names())?;
        let row = &page.rows["modified, no, changed"];
        assert_eq!(row.words, [PREPARE_REFUSES, "kept", "overwritten"]);
        assert_eq!(row.reasons, ["changed"]);
        assert_eq!(page.words.len(), 2);
        Ok(())
    }

    #[test]
    fn what_is_missing_twice_or_unknown_is_an_error() {
        let link = "| a link | kept | kept | kept | |\n";
        let twice = format!("{link}{link}");
        let table = [
            (link, "", "\"a link\" is missing"),
            (link, twice.as_str(), "\"a link\" is there twice"),
            ("a link", "a pipe", "is missing, or is not known"),
            (
                "| kept | overwritten |",
                "| keeps | overwritten |",
                "the word \"keeps\"",
            ),
            (
                "| prepare refuses |",
                "| kept |",
                "a reason is missing, or is one too many",
            ),
            ("`changed`", "", "a reason is missing, or is one too many"),
            (
                "| kept | overwritten |",
                "| kept | kept |",
                "needs the word \"overwritten\"",
            ),
            (
                "| the new one |",
                "| something |",
                "no path can hold \"something\"",
            ),
            (
                "| keep | overwrite | a refusal says |",
                "| overwrite | a refusal says |",
                "as many fields",
            ),
            ("| keep |", "| leave |", "the column \"keep\" is missing"),
            (
                "| by the user |",
                "| by somebody |",
                "no table has the columns",
            ),
        ];
        for (from, to, says) in table {
            let page = PAGE.replacen(from, to, 1);
            assert_ne!(page, PAGE, "{from}");
            let error = Page::read(&page, &names()).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(says), "{from} -> {to}: {error}");
        }
    }
}
