//! Lists that may have a million entries: one canonical JSON object a line, read and written one by one,
//! so that neither side holds the text of all of them.
//!
//! | attack | defence |
//! |---|---|
//! | a line without end | [`LINE_MAX`], which a writer keeps to as well |
//! | two spellings of one list | each line is canonical, and each ends with one line feed, the last one too |

use std::io::{BufRead, Read as _, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{SprError, canonical};

/// Longest line, in bytes, with its end: a path of 3,072 bytes, which may be twice as long once it is escaped, and
/// what else there is, less than a thousand; doubled.
pub const LINE_MAX: usize = 16 * 1024;

/// Lines to be read, one after the other.
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

    /// The next line as it stands there, without its end; nothing where there is none.
    fn raw(&mut self) -> Result<Option<&[u8]>, SprError> {
        self.line.clear();
        let most = u64::try_from(LINE_MAX).unwrap_or(u64::MAX);
        let mut reader = self.reader.by_ref().take(most);
        if reader.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(Some(line)),
            None if self.line.len() == LINE_MAX => Err(too_long()),
            None => Err(SprError::Corrupt("its last line has no end".to_owned())),
        }
    }

    /// The next line; nothing at the end.
    pub fn next_line<T: DeserializeOwned>(&mut self) -> Result<Option<T>, SprError> {
        self.raw()?.map(canonical::decode_value).transpose()
    }

    /// The next line, where there must be one.
    pub fn need_line<T: DeserializeOwned>(&mut self) -> Result<T, SprError> {
        let short = || SprError::Corrupt("it ends before its last line".to_owned());
        self.next_line()?.ok_or_else(short)
    }

    /// The next line, which says its format before anything else is asked of it: a later one is told apart
    /// from damage.
    pub fn need_head<T: DeserializeOwned>(&mut self) -> Result<T, SprError> {
        let short = || SprError::Corrupt("it has no lines".to_owned());
        let line = self.raw()?.ok_or_else(short)?;
        canonical::check_format(line)?;
        canonical::decode_value(line)
    }
}

/// Lines to be written.
pub struct LineWriter<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    /// Lines that go to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            line: Vec::new(),
        }
    }

    /// Writes a line; an error where no reader would take it.
    pub fn write<T: Serialize>(&mut self, value: &T) -> Result<(), SprError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)
            .map_err(|e| SprError::Corrupt(format!("a line cannot be written: {e}")))?;
        canonical::check(&self.line)?;
        self.line.push(b'\n');
        if self.line.len() > LINE_MAX {
            return Err(too_long());
        }
        Ok(self.out.write_all(&self.line)?)
    }

    /// What they went to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn too_long() -> SprError {
    SprError::Corrupt(format!("a line of it has more than {LINE_MAX} bytes"))
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
        while let Some(one) = lines.next_line()? {
            all.push(one);
        }
        Ok(all)
    }

    fn written(all: &[Member]) -> Result<Vec<u8>, SprError> {
        let mut lines = LineWriter::new(Vec::new());
        for one in all {
            lines.write(one)?;
        }
        Ok(lines.into_inner())
    }

    #[test]
    fn there_and_back_in_one_spelling() {
        let all = [member("a"), member("b"), member(&"c".repeat(3_072))];
        let bytes = written(&all).unwrap();
        assert_eq!(read(&bytes).unwrap(), all);
        assert_eq!(read(b"").unwrap(), []);
        let text = String::from_utf8(bytes).unwrap();
        for bad in [
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("\n{text}"),
            text.replace('\n', "\r\n"),
            text.replace(',', ", "),
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:.200}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let bare = written(&[member("")]).unwrap().len();
        let of_length = |length: usize| written(&[member(&"n".repeat(length - bare))]);
        let longest = of_length(LINE_MAX).unwrap();
        assert_eq!(longest.len(), LINE_MAX);
        assert_eq!(read(&longest).unwrap().len(), 1);
        assert!(of_length(LINE_MAX + 1).is_err());
        let mut longer = longest;
        longer.insert(longer.len() - 20, b'0');
        assert!(
            read(&longer)
                .unwrap_err()
                .to_string()
                .contains("more than 16384")
        );
    }
}
