//! Text that came from a file, made safe to print.
//!
//! | attack | defence |
//! |---|---|
//! | terminal escapes, bidirectional overrides or characters without width in notes, names and paths, which make a terminal show something else than what is there | everything that is not plainly visible is printed as `\u{..}` |
//! | a line break in a file name, which writes a line of a result that is none | the same, where the name is put into its line: [`Shown`] |
//! | an error text of a hundred megabytes, copied from a file | [`clipped`] |

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// Shows foreign text with every control and direction-changing character escaped.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| {
            if hidden(c) {
                write!(f, "\\u{{{:x}}}", u32::from(c))
            } else {
                f.write_char(c)
            }
        })
    }
}

/// A path as one line: a file name may hold anything but `/`, line breaks and escapes too.
pub struct Shown<'a>(pub &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0.to_string_lossy()).fmt(f)
    }
}

/// A path in a document, for `serialize_with`: serde refuses one that is not UTF-8, and a document
/// is not lost for the name of a file on a medium.
pub fn path_as_text<S: serde::Serializer>(
    path: impl AsRef<Path>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// [`path_as_text`] of a path that there need not be.
pub fn any_path_as_text<S: serde::Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.serialize_some(&path.to_string_lossy()),
        None => serializer.serialize_none(),
    }
}

/// [`path_as_text`] of each.
pub fn paths_as_text<S: serde::Serializer>(
    paths: &[PathBuf],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// Longest text of another's error that is shown, in characters.
const CLIPPED: usize = 300;

/// The beginning of a text that may repeat what a file holds.
#[must_use]
pub fn clipped<'a>(text: impl Into<Cow<'a, str>>) -> String {
    let text = text.into();
    match text.char_indices().nth(CLIPPED) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

/// [`Escaped`], line by line: for notes, whose line breaks are meant.
#[must_use]
pub fn escaped_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| Escaped(line).to_string()).collect()
}

/// A word as a shell reads it: in quotes, where it must be.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:,=@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Milliseconds as seconds with one digit: `12.3 s`.
#[must_use]
pub fn seconds(milliseconds: u64) -> String {
    let tenths = milliseconds.saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Bytes with a unit a person reads at a glance: `1.5 MB` (powers of 1000, as file managers show).
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
    ];
    for (unit, size) in UNITS {
        if let (Some(whole), Some(rest)) = (count.checked_div(size), count.checked_rem(size))
            && whole > 0
        {
            let tenth = rest.saturating_mul(10).checked_div(size).unwrap_or(0);
            return format!("{whole}.{tenth} {unit}");
        }
    }
    format!("{count} B")
}

/// Whether a character is not plainly visible, or changes how others are shown.
#[must_use]
pub fn hidden(c: char) -> bool {
    c.is_control() || ignorable(c) || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// Whether Unicode has a character ignored where it is compared or shown:
/// `Default_Ignorable_Code_Point` of `DerivedCoreProperties.txt`, 16.0. What is not assigned there
/// yet is in it.
#[must_use]
pub const fn ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_do_not_reach_the_terminal() {
        assert_eq!(Escaped("a\u{1b}[31mb").to_string(), "a\\u{1b}[31mb");
        assert_eq!(Escaped("x\u{202e}y\n").to_string(), "x\\u{202e}y\\u{a}");
        assert_eq!(Escaped("Prüfung ok").to_string(), "Prüfung ok");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_540_000), "1.5 MB");
    }
}
