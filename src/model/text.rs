//! Text that came from a file, made safe to print.
//!
//! Attack: terminal escapes, bidirectional overrides or line breaks in notes, names and paths that
//! make a terminal show something else than what is there. Defence: everything that is not plainly
//! visible is printed as `\u{..}`.

use std::fmt;

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

fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
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
