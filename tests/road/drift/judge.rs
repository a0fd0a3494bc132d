//! Holds a word of the page against what was seen of one path.

/// What a path may hold afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    New,
    Before,
    Nothing,
}

impl At {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "the new one" => Some(Self::New),
            "what stood there" => Some(Self::Before),
            "nothing" => Some(Self::Nothing),
            _ => None,
        }
    }
}

/// A word of the page, and what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) at: At,
    /// The suffix under which the new one lies beside; nothing where none does.
    pub(crate) beside: String,
    /// Whether what stood there is in the generation.
    pub(crate) generation: bool,
    /// The line of `apply`; nothing where it says nothing.
    pub(crate) apply: String,
    /// The line of `status` afterwards.
    pub(crate) status: String,
}

/// What stands at a path: equal is the same file, not only the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    /// The content, or the kind.
    pub(crate) text: String,
}

/// What was seen of one path.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) before: Option<Entry>,
    pub(crate) after: Option<Entry>,
    /// What the new release has there.
    pub(crate) new: Option<String>,
    /// Suffixes beside which the new one came to lie.
    pub(crate) beside: Vec<String>,
    pub(crate) in_generation: bool,
    /// The lines of `apply` and `status` about this very path: a word, a space, the sentence.
    pub(crate) said: Vec<String>,
    pub(crate) status: Vec<String>,
}

/// Whether this is what the word stands for.
pub(crate) fn fits(word: &Word, seen: &Seen) -> Result<(), String> {
    let stands = match word.at {
        At::New => seen.after.as_ref().is_some_and(|after| {
            let other = seen.before.as_ref().is_none_or(|b| b.inode != after.inode);
            other && Some(&after.text) == seen.new.as_ref()
        }),
        At::Before => seen.before.is_some() && seen.after == seen.before,
        At::Nothing => seen.after.is_none(),
    };
    let beside: Vec<&str> = Some(word.beside.as_str())
        .filter(|suffix| !suffix.is_empty())
        .into_iter()
        .collect();
    let checks = [
        (stands, "another thing stands there"),
        (seen.beside == beside, "something else lies beside it"),
        (
            seen.in_generation == word.generation,
            "the generation holds it, or does not",
        ),
        (
            lines_fit(&word.apply, &seen.said, &seen.path),
            "apply says something else",
        ),
        (
            lines_fit(&word.status, &seen.status, &seen.path),
            "status says something else",
        ),
    ];
    match checks.into_iter().find(|(right, _)| !right) {
        Some((_, wrong)) => Err(wrong.to_owned()),
        None => Ok(()),
    }
}

/// Whether these lines are the one that the template stands for, or none where it is empty.
fn lines_fit(template: &str, lines: &[String], path: &str) -> bool {
    match lines {
        [] => template.is_empty(),
        [line] => !template.is_empty() && line_fits(template, line, path),
        _ => false,
    }
}

/// `PATH` stands for the path, `N/S` at the end for two numbers, `...` at the end for anything.
pub(crate) fn line_fits(template: &str, line: &str, path: &str) -> bool {
    let template = template.replace("PATH", path);
    if let Some(begin) = template.strip_suffix("...") {
        return line.starts_with(begin);
    }
    if let Some(begin) = template.strip_suffix("N/S") {
        let numbers = line.strip_prefix(begin).and_then(|n| n.split_once('/'));
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        return numbers.is_some_and(|(n, s)| number(n) && number(s));
    }
    template == line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word() -> Word {
        Word {
            name: "overwritten".to_owned(),
            at: At::New,
            beside: String::new(),
            generation: true,
            apply: "drift PATH: overwritten; see N/S".to_owned(),
            status: String::new(),
        }
    }

    fn entry(inode: u64, text: &str) -> Entry {
        Entry {
            inode,
            mode: 0o644,
            text: text.to_owned(),
        }
    }

    fn seen() -> Seen {
        Seen {
            path: "lib/a".to_owned(),
            before: Some(entry(1, "own")),
            after: Some(entry(2, "new")),
            new: Some("new".to_owned()),
            beside: Vec::new(),
            in_generation: true,
            said: vec!["drift lib/a: overwritten; see 5/0".to_owned()],
            status: Vec::new(),
        }
    }

    #[test]
    fn a_word_fits_what_it_stands_for() {
        assert_eq!(fits(&word(), &seen()), Ok(()));
    }

    /// Whatever else is seen, the word does not fit: the test of the page can fail.
    #[test]
    fn a_wrong_word_does_not_fit() {
        type Change = fn(&mut Word, &mut Seen);
        let table: [(Change, &str); 14] = [
            (
                |_, seen| seen.before = Some(entry(2, "new")),
                "stands there",
            ),
            (|word, _| word.at = At::Before, "stands there"),
            (|word, _| word.at = At::Nothing, "stands there"),
            (|_, seen| seen.new = None, "stands there"),
            (|_, seen| seen.after = None, "stands there"),
            (|word, _| word.beside = ".new".to_owned(), "beside"),
            (|_, seen| seen.beside = vec![".new".to_owned()], "beside"),
            (|word, _| word.generation = false, "generation"),
            (|_, seen| seen.in_generation = false, "generation"),
            (|word, _| word.apply.clear(), "apply"),
            (|_, seen| seen.said.clear(), "apply"),
            (
                |_, seen| seen.said.push("drift lib/a: x".to_owned()),
                "apply",
            ),
            (
                |word, _| word.status = "drift PATH: ...".to_owned(),
                "status",
            ),
            (
                |_, seen| seen.status = vec!["drift lib/a: x".to_owned()],
                "status",
            ),
        ];
        for (row, (change, says)) in table.into_iter().enumerate() {
            let (mut word, mut seen) = (word(), seen());
            change(&mut word, &mut seen);
            let wrong = fits(&word, &seen).unwrap_err();
            assert!(wrong.contains(says), "row {row}: {wrong}");
        }
    }

    #[test]
    fn a_line_fits_its_template() {
        let table = [
            ("drift PATH: deleted", "drift a: deleted", true),
            ("drift PATH: deleted", "drift b: deleted", false),
            ("drift PATH: deleted", "drift a: deleted too", false),
            ("drift PATH: ...", "drift a: whatever", true),
            ("drift PATH: ...", "config a: whatever", false),
            ("PATH is N/S", "a is 12/0", true),
            ("PATH is N/S", "a is 12", false),
            ("PATH is N/S", "a is 12/", false),
            ("PATH is N/S", "a is x/0", false),
        ];
        for (template, line, right) in table {
            assert_eq!(line_fits(template, line, "a"), right, "{template} {line}");
        }
    }
}
