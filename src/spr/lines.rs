//! Lists that may have a million entries: one canonical JSON object a line, read and written one by one,
//! so that neither side holds the text of all of them.
//!
//! | attack | defence |
//! |---|---|
//! | a line without end | [`LINE_MAX`] |
//! | two spellings of one list | each line is canonical, and each ends with one line feed, the last one too |

use std::io::{BufRead, Read as _, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{SprError, canonical};

/// Longest line, in bytes, with its end: the longest path, each byte of it escaped, takes a third.
const LINE_MAX: u64 = 64 * 1024;

/// Lines, one after the other.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines that `reader` yields.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// The next line; nothing at the end.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, SprError> {
        self.line.clear();
        let mut reader = self.reader.by_ref().take(LINE_MAX);
        if reader.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => canonical::decode_value(line).map(Some),
            None => Err(SprError::Corrupt(
                "a line of it has no end, or is too long".to_owned(),
            )),
        }
    }

    /// The next line, where there must be one.
    pub fn need<T: DeserializeOwned>(&mut self) -> Result<T, SprError> {
        let short = || SprError::Corrupt("it ends before its last line".to_owned());
        self.take()?.ok_or_else(short)
    }

    /// What is behind the lines that were read.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

/// Writes a line.
pub fn write_line<T: Serialize>(mut out: impl Write, value: &T) -> Result<(), SprError> {
    let mut line = canonical::encode(value)?;
    line.push(b'\n');
    Ok(out.write_all(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Member;

    fn member(name: &str) -> Member {
        Member::of(name, b"content")
    }

    fn read(bytes: &[u8]) -> Result<Vec<Member>, SprError> {
        let mut lines = Lines::new(bytes);
        let mut all = Vec::new();
        while let Some(one) = lines.take()? {
            all.push(one);
        }
        Ok(all)
    }

    #[test]
    fn there_and_back_in_one_spelling() {
        let all = [member("a"), member("b"), member(&"c".repeat(3_072))];
        let mut bytes = Vec::new();
        for one in &all {
            write_line(&mut bytes, one).unwrap();
        }
        assert_eq!(read(&bytes).unwrap(), all);
        assert_eq!(read(b"").unwrap(), []);
        let text = String::from_utf8(bytes).unwrap();
        for bad in [
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("\n{text}"),
            text.replace('\n', "\r\n"),
            text.replace(',', ", "),
            text.replace("\"c", &format!("\"{}", "c".repeat(64 * 1024))),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:.200}");
        }
    }
}
