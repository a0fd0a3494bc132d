//! Globs over whole paths: which files the customer may edit, which files a node's rules are about.
//!
//! `*` is any text within a segment, `?` one character of it, `[abc]`, `[a-z]` and `[!abc]` one of a
//! set, `**` any number of segments, as a segment of its own: at the end at least one.
//!
//! | attack | defence |
//! |---|---|
//! | a glob with many stars, over which a matcher that tries every split never ends | only the last star is tried again, so that the work is the product of two lengths at most |
//! | globs without number | [`GLOBS_MAX`], [`GLOB_MAX`] |

use super::TreePath;
use super::statement::RuleError;

/// Most globs in one list.
const GLOBS_MAX: usize = 1_000;
/// Longest glob, in characters.
const GLOB_MAX: usize = 1_024;

/// A list of globs.
#[derive(Debug, Default)]
pub struct PathGlobs {
    globs: Vec<Vec<Segment>>,
    case_blind: bool,
}

#[derive(Debug)]
enum Segment {
    /// `**`: any number of segments, none too.
    Any,
    Text(Vec<Token>),
}

#[derive(Debug)]
enum Token {
    /// `*`: any text, none too.
    Any,
    /// `?`: one character.
    One,
    Char(char),
    /// One character of these ranges, or of none of them.
    Set {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
}

impl PathGlobs {
    /// Compiles the globs.
    pub fn new(globs: &[String]) -> Result<Self, RuleError> {
        if globs.len() > GLOBS_MAX {
            return Err(RuleError(format!("more than {GLOBS_MAX} globs")));
        }
        let compile = |glob: &String| {
            compile(glob).map_err(|why| {
                let shown: String = glob.chars().take(80).collect();
                RuleError(format!("glob {shown:?}: {why}"))
            })
        };
        let globs = globs.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self {
            globs,
            case_blind: false,
        })
    }

    /// The same, with upper and lower case alike.
    #[must_use]
    pub fn case_blind(self) -> Self {
        Self {
            case_blind: true,
            ..self
        }
    }

    /// Whether one of them matches the whole of `path`.
    #[must_use]
    pub fn matches(&self, path: &TreePath) -> bool {
        if self.globs.is_empty() {
            return false;
        }
        let names: Vec<Vec<char>> = path
            .as_str()
            .split('/')
            .map(|name| name.chars().map(|c| self.fold(c)).collect())
            .collect();
        self.globs.iter().any(|glob| {
            wild(
                glob,
                &names,
                |segment| matches!(segment, Segment::Any),
                |segment, name| match segment {
                    Segment::Any => false,
                    Segment::Text(tokens) => self.name_matches(tokens, name),
                },
            )
        })
    }

    fn name_matches(&self, tokens: &[Token], name: &[char]) -> bool {
        wild(
            tokens,
            name,
            |token| matches!(token, Token::Any),
            |token, c| match token {
                Token::Any => false,
                Token::One => true,
                Token::Char(wanted) => self.fold(*wanted) == *c,
                Token::Set { ranges, negated } => {
                    let within = |(first, last): &(char, char)| {
                        (self.fold(*first)..=self.fold(*last)).contains(c)
                    };
                    ranges.iter().any(within) != *negated
                }
            },
        )
    }

    fn fold(&self, c: char) -> char {
        if self.case_blind {
            c.to_ascii_lowercase()
        } else {
            c
        }
    }
}

/// Whether `pattern` matches all of `text`, where a wildcard stands for any number of items.
///
/// What comes behind a wildcard is looked for as early as it can stand; only the last wildcard is
/// ever given one more item, since what an earlier one could do with it the later one can as well.
fn wild<P, T>(
    pattern: &[P],
    text: &[T],
    is_wild: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    let mut again: Option<(usize, usize)> = None;
    while let Some(item) = text.get(t) {
        match pattern.get(p) {
            Some(part) if is_wild(part) => {
                p = p.saturating_add(1);
                again = Some((p, t));
            }
            Some(part) if fits(part, item) => {
                p = p.saturating_add(1);
                t = t.saturating_add(1);
            }
            _ => {
                let Some((behind, from)) = again else {
                    return false;
                };
                let from = from.saturating_add(1);
                again = Some((behind, from));
                (p, t) = (behind, from);
            }
        }
    }
    pattern.iter().skip(p).all(is_wild)
}

fn compile(glob: &str) -> Result<Vec<Segment>, &'static str> {
    if glob.chars().count() > GLOB_MAX {
        return Err("it is too long");
    }
    if glob.is_empty() {
        return Err("it is empty");
    }
    // A `/` ends a segment, also within brackets: a set holds none.
    let mut segments = glob
        .split('/')
        .map(|segment| {
            if segment == "**" {
                Ok(Segment::Any)
            } else {
                tokens(segment).map(Segment::Text)
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    // What lies below a folder is not the folder itself.
    if let Some(Segment::Any) = segments.last() {
        segments.push(Segment::Text(vec![Token::Any]));
    }
    Ok(segments)
}

fn tokens(segment: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = segment.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '*' if matches!(tokens.last(), Some(Token::Any)) => {
                return Err("** stands for whole segments, as in conf/**/x");
            }
            '*' => Token::Any,
            '?' => Token::One,
            '[' => set(&mut rest)?,
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// What stands between brackets; a `]` right behind the first one is a member.
fn set(rest: &mut std::str::Chars<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a [ is not closed";
    let negated = rest.as_str().starts_with('!');
    if negated {
        rest.next();
    }
    let mut members = vec![rest.next().ok_or(OPEN)?];
    loop {
        match rest.next().ok_or(OPEN)? {
            ']' => break,
            c => members.push(c),
        }
    }
    let mut ranges = Vec::new();
    let mut left = members.as_slice();
    loop {
        left = match left {
            [first, '-', last, after @ ..] => {
                ranges.push((*first, *last));
                after
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                after
            }
            [] => break,
        };
    }
    Ok(Token::Set { ranges, negated })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(glob: &str, path: &str) -> bool {
        PathGlobs::new(&[glob.to_owned()])
            .unwrap()
            .matches(&path.parse().unwrap())
    }

    #[test]
    fn as_they_are_written() {
        for (glob, path, expected) in [
            ("conf/*", "conf/a.properties", true),
            ("conf/*", "conf/a/b", false),
            ("conf/*", "conf", false),
            ("**/*.properties", "a.properties", true),
            ("**/*.properties", "x/y/a.properties", true),
            ("**", "x/y", true),
            ("x/**", "x", false),
            ("x/**", "x/y/z", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/b/c", false),
            ("*", ".hidden", true),
            ("[a-c]?[!0-9]", "bxx", true),
            ("[a-c]?[!0-9]", "bx1", false),
            ("[]]x", "]x", true),
            ("A*", "abc", false),
            ("äöü/*", "äöü/x", true),
        ] {
            assert_eq!(matches(glob, path), expected, "{glob} {path}");
        }
        let blind = PathGlobs::new(&["CONF/*.Txt".to_owned()])
            .unwrap()
            .case_blind();
        assert!(blind.matches(&"conf/a.tXT".parse().unwrap()));
        for bad in ["", "a**", "x/**y/z", "[a", "[", &"x".repeat(2_000)] {
            assert!(PathGlobs::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
        let many = vec!["a".to_owned(); GLOBS_MAX + 1];
        assert!(PathGlobs::new(&many).is_err());
    }

    #[test]
    fn a_glob_of_many_stars_ends() {
        let within = format!("{}b", "*a".repeat(500));
        let across = format!("{}b", "**/*a/".repeat(170));
        let deep = vec!["a".repeat(40); 60].join("/");
        let names = format!("{}/x", "a".repeat(250));
        for glob in [within, across] {
            for path in [&deep, &names] {
                assert!(!matches(&glob, path));
            }
        }
    }

    proptest! {
        /// Where the `glob` crate ends, both say the same, but for two odd cases that are left out: an
        /// empty segment, and a set with a slash in it.
        #[test]
        fn as_the_glob_crate(
            glob in prop_oneof!["[ab*?]{1,4}(/[ab*?]{1,4}){0,3}", "[ab*?\\[\\]!-]{1,8}"], path in "[ab]{1,4}(/[ab]{1,3}){0,3}", blind: bool
        ) {
            let theirs = glob::Pattern::new(&glob);
            let ours = PathGlobs::new(std::slice::from_ref(&glob));
            prop_assert_eq!(theirs.is_ok(), ours.is_ok(), "{}", glob);
            if let (Ok(theirs), Ok(ours)) = (theirs, ours) {
                let options = glob::MatchOptions {
                    case_sensitive: !blind,
                    require_literal_separator: true,
                    require_literal_leading_dot: false,
                };
                let ours = if blind { ours.case_blind() } else { ours };
                let tree: TreePath = path.parse().unwrap();
                prop_assert_eq!(theirs.matches_with(&path, options), ours.matches(&tree), "{} {}", glob, path);
            }
        }
    }
}
