//! Rust source as text without its comments, strings and characters: enough to look for paths in it.
//!
//! It knows line and nested block comments, plain, byte and raw strings, and character literals
//! apart from lifetimes. It does not know what macros make.

/// The source with comments, strings and characters replaced by spaces; lines stay where they are.
pub(crate) fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let end = literal_end(&chars, at);
        if end > at {
            let hidden = chars.get(at..end).unwrap_or_default();
            out.extend(hidden.iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(c);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself where none begins.
fn literal_end(chars: &[char], at: usize) -> usize {
    let here = chars.get(at..).unwrap_or_default();
    let named = at > 0
        && chars
            .get(at - 1)
            .is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match here {
        ['/', '/', ..] => at + here.iter().position(|c| *c == '\n').unwrap_or(here.len()),
        ['/', '*', ..] => at + block_comment(here),
        ['"', ..] => at + string(here),
        ['r', '"' | '#', ..] if !named => at + raw_string(here),
        ['b', 'r', '"' | '#', ..] if !named => {
            at + 1 + raw_string(here.get(1..).unwrap_or_default())
        }
        ['\'', '\\', _, ..] => {
            let close = here.iter().skip(3).position(|c| *c == '\'');
            at + close.map_or(1, |close| close + 4)
        }
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn block_comment(here: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(pair) = here.get(at..at + 2) {
        match pair {
            ['/', '*'] => depth += 1,
            ['*', '/'] if depth == 1 => return at + 2,
            ['*', '/'] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    here.len()
}

fn string(here: &[char]) -> usize {
    let mut at = 1;
    while let Some(c) = here.get(at) {
        match c {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    here.len()
}

/// `r"..."` and `r#"..."#`; 0 where it is an identifier such as `r#type`.
fn raw_string(here: &[char]) -> usize {
    let hashes = here.iter().skip(1).take_while(|c| **c == '#').count();
    if here.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let close: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let body = here.get(2 + hashes..).unwrap_or_default();
    let end = body
        .windows(close.len())
        .position(|window| window == close.as_slice());
    end.map_or(here.len(), |end| 2 + hashes + end + close.len())
}
