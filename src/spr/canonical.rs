//! The one spelling of a statement: canonical JSON.
//!
//! RFC 8785 narrowed: objects with keys of `[a-z0-9_]` rising strictly, no white space, integers
//! from 0 below 2^53 and no other numbers, no `null`, strings in UTF-8 with the shortest escapes.
//! `jq -cS .` prints the same bytes (and a line feed). The check runs over the bytes before they
//! are parsed, so what is parsed has one reading.
//!
//! | attack | defence |
//! |---|---|
//! | two equal keys, of which readers keep different ones | keys rise strictly |
//! | unknown keys | every type denies them |
//! | numbers that other readers round | integers below 2^53 |
//! | nesting that ends the stack | [`DEPTH_MAX`] |
//! | a key of a hundred megabytes, repeated by every error about it | errors are [`clipped`] where they arise |
//! | a second spelling of the same value that changes the digest | every freedom is taken away |

use serde::{Deserialize, Serialize};

use super::{STATEMENT_MAX, SprError};
use crate::model::statement::FORMAT;
use crate::model::text::{Escaped, clipped};
use crate::model::{Kind, Statement};

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 16;
/// Largest integer plus one: what every JSON reader holds exactly.
const INTEGER_END: u64 = 1 << 53;

/// Encodes a statement; an error here is a fault of this program or a value out of bounds.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, SprError> {
    encode_behind(value, 0, 0)
}

/// The same behind `before` zero bytes, with room for `after` more: the place of what frames it. The
/// size is counted first, because a vector that grows by itself takes up to twice as much.
pub fn encode_behind<T: Serialize>(
    value: &T,
    before: usize,
    after: usize,
) -> Result<Vec<u8>, SprError> {
    let broken = |e| SprError::Corrupt(format!("a statement cannot be written: {e}"));
    let mut counted = Counted::default();
    serde_json::to_writer(&mut counted, value).map_err(broken)?;
    let size = usize::try_from(counted.0).unwrap_or(usize::MAX);
    if counted.0 > STATEMENT_MAX {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(before.saturating_add(size).saturating_add(after));
    bytes.resize(before, 0);
    serde_json::to_writer(&mut bytes, value).map_err(broken)?;
    check(bytes.get(before..).unwrap_or_default())?;
    Ok(bytes)
}

/// Counts what is written.
#[derive(Default)]
struct Counted(u64);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0 = self.0.saturating_add(length);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn too_large() -> SprError {
    SprError::Corrupt(format!("a statement larger than {STATEMENT_MAX} bytes"))
}

/// Decodes canonical JSON that is no statement: node state, desk state.
pub fn decode_value<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, SprError> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|e| SprError::Corrupt(plain(&e)))
}

/// Decodes a statement of a known kind and checks its rules.
pub fn decode<S: Statement>(bytes: &[u8]) -> Result<S, SprError> {
    check(bytes)?;
    check_header(bytes, S::KIND)?;
    let statement: S = serde_json::from_slice(bytes)
        .map_err(|e| SprError::Corrupt(format!("{}: {}", S::KIND.member(), plain(&e))))?;
    statement
        .check()
        .map_err(|e| SprError::Corrupt(format!("{}: {e}", S::KIND.member())))?;
    Ok(statement)
}

/// Checks what a value says of its format, whatever else is in it.
pub(super) fn check_format(bytes: &[u8]) -> Result<(), SprError> {
    #[derive(Deserialize)]
    struct Header {
        format: u64,
    }
    let header: Header = serde_json::from_slice(bytes).map_err(|e| SprError::Corrupt(plain(&e)))?;
    if header.format == u64::from(FORMAT) {
        Ok(())
    } else {
        Err(SprError::Format {
            wanted: FORMAT,
            found: header.format,
        })
    }
}

/// Format and kind come first, so that a file of a later format is told apart from a damaged one.
fn check_header(bytes: &[u8], kind: Kind) -> Result<(), SprError> {
    #[derive(Deserialize)]
    struct Header {
        kind: Kind,
    }
    check_format(bytes).map_err(|e| match e {
        SprError::Corrupt(why) => SprError::Corrupt(format!("{}: {why}", kind.member())),
        other => other,
    })?;
    let header: Header = serde_json::from_slice(bytes)
        .map_err(|e| SprError::Corrupt(format!("{}: {}", kind.member(), plain(&e))))?;
    if header.kind != kind {
        return Err(SprError::Corrupt(format!(
            "{} says it is a {}",
            kind.member(),
            header.kind
        )));
    }
    Ok(())
}

/// An error of the parser repeats the key or value that it does not know, however long: its beginning
/// tells enough, and a file that nobody signed fills neither memory nor screen.
fn plain(error: &serde_json::Error) -> String {
    Escaped(&clipped(error.to_string())).to_string()
}

/// Checks that `bytes` are one canonical JSON object and nothing more.
pub fn check(bytes: &[u8]) -> Result<(), SprError> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > STATEMENT_MAX {
        return Err(too_large());
    }
    let mut scanner = Scanner { bytes, at: 0 };
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("an object"));
    }
    scanner.value(0)?;
    if scanner.at == bytes.len() {
        Ok(())
    } else {
        Err(scanner.fault("the end"))
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn fault(&self, wanted: &str) -> SprError {
        SprError::Corrupt(format!(
            "not canonical JSON: {wanted} expected at byte {}",
            self.at
        ))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.at = self.at.saturating_add(1);
        }
        there
    }

    fn literal(&mut self, word: &[u8]) -> bool {
        let end = self.at.saturating_add(word.len());
        let there = self.bytes.get(self.at..end) == Some(word);
        if there {
            self.at = end;
        }
        there
    }

    fn value(&mut self, depth: usize) -> Result<(), SprError> {
        if depth > DEPTH_MAX {
            return Err(SprError::Corrupt(format!(
                "JSON nested deeper than {DEPTH_MAX}"
            )));
        }
        let inner = depth.saturating_add(1);
        match self.peek() {
            Some(b'{') => self.object(inner),
            Some(b'[') => self.array(inner),
            Some(b'"') => self.string().map(drop),
            Some(b'0'..=b'9') => self.integer(),
            Some(b't') if self.literal(b"true") => Ok(()),
            Some(b'f') if self.literal(b"false") => Ok(()),
            _ => Err(self.fault("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), SprError> {
        self.at = self.at.saturating_add(1);
        if self.take(b'}') {
            return Ok(());
        }
        let mut last: Option<&'a [u8]> = None;
        loop {
            let key = self.key()?;
            if last.is_some_and(|last| last >= key) {
                return Err(self.fault("a key after the one before it"));
            }
            last = Some(key);
            if !self.take(b':') {
                return Err(self.fault("':'"));
            }
            self.value(depth)?;
            match self.next() {
                Some(b',') => {}
                Some(b'}') => return Ok(()),
                _ => return Err(self.fault("',' or '}'")),
            }
        }
    }

    fn key(&mut self) -> Result<&'a [u8], SprError> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("a key"));
        }
        let key = self.string()?;
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_';
        if key.iter().all(plain) {
            Ok(key)
        } else {
            Err(self.fault("a key of a-z 0-9 _"))
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), SprError> {
        self.at = self.at.saturating_add(1);
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.next() {
                Some(b',') => {}
                Some(b']') => return Ok(()),
                _ => return Err(self.fault("',' or ']'")),
            }
        }
    }

    fn integer(&mut self) -> Result<(), SprError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at = self.at.saturating_add(1);
        }
        let digits = self.bytes.get(start..self.at).unwrap_or_default();
        let number = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let shortest = digits.len() == 1 || digits.first() != Some(&b'0');
        match number {
            Some(number) if number < INTEGER_END && shortest => Ok(()),
            _ => Err(self.fault("an integer below 2^53")),
        }
    }

    /// A string with the shortest escapes; returns what stands between the quotes.
    fn string(&mut self) -> Result<&'a [u8], SprError> {
        self.at = self.at.saturating_add(1);
        let start = self.at;
        loop {
            match self.next() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0x20..) => {}
                _ => return Err(self.fault("a string")),
            }
        }
        let text = self
            .bytes
            .get(start..self.at.saturating_sub(1))
            .unwrap_or_default();
        if std::str::from_utf8(text).is_ok() {
            Ok(text)
        } else {
            Err(self.fault("UTF-8"))
        }
    }

    /// RFC 8785: two-letter escapes where they exist, `\u00xx` in lower case for other controls.
    fn escape(&mut self) -> Result<(), SprError> {
        match self.next() {
            Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let end = self.at.saturating_add(4);
                let code = self.bytes.get(self.at..end).unwrap_or_default();
                let text = std::str::from_utf8(code).unwrap_or_default();
                let lower = !code.iter().any(u8::is_ascii_uppercase);
                match u32::from_str_radix(text, 16) {
                    Ok(0x08..=0x0a | 0x0c | 0x0d) => Err(self.fault("a shorter escape")),
                    Ok(0..0x20) if lower && code.len() == 4 && text.starts_with("00") => {
                        self.at = end;
                        Ok(())
                    }
                    _ => Err(self.fault("an escape")),
                }
            }
            _ => Err(self.fault("an escape")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::site::Site;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    #[test]
    fn canonical_and_not() {
        for good in [
            r"{}",
            r#"{"a":1,"b":[true,false,"x"]}"#,
            r#"{"a":"\u0001\n\"\\ü"}"#,
            r#"{"a_1":{}}"#,
            r#"{"a":9007199254740991}"#,
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        for bad in [
            "",
            "[]",
            "1",
            "{",
            "{}x",
            "{} ",
            r#"{"a":1,"a":2}"#,
            r#"{"b":1,"a":2}"#,
            r#"{ "a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":01}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"A":1}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u000A"}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":"x}"#,
            r#"{"a":tru}"#,
            r#"{"a":"\u+01f"}"#,
            &deep,
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check(b"{\"a\":\"\xff\"}").is_err());
        assert!(check(b"{\"a\":\"\n\"}").is_err());
    }

    #[test]
    fn an_error_does_not_repeat_what_a_file_fills_it_with() {
        let long = "a".repeat(1 << 20);
        let bytes = encode(&BTreeMap::from([(long.as_str(), 1)])).unwrap();
        for error in [
            decode_value::<Nothing>(&bytes).unwrap_err(),
            decode::<Site>(&bytes).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.len() < 1_000, "{}", text.len());
        }
        let rule = crate::model::statement::RuleError(long.clone()).to_string();
        assert!(rule.len() < 1_000, "{}", rule.len());
        let unknown = decode_value::<Nothing>(&bytes).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `aaa"), "{unknown}");
    }

    proptest! {
        /// What serde writes for a sorted map is canonical, and canonical text reads back the same.
        #[test]
        fn round_trip(map in proptest::collection::btree_map("[a-z0-9_]{1,8}", ".*", 0..8)) {
            let bytes = encode(&map).unwrap();
            let back: std::collections::BTreeMap<String, String> = decode_value(&bytes).unwrap();
            prop_assert_eq!(back, map);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if check(&bytes).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            }
        }
    }
}
