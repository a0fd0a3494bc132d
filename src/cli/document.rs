//! A JSON document as `--json` prints it.
//!
//! Attack: JSON leaves most of Unicode as it is, so that control characters above 127 and characters
//! that turn or hide others reach a terminal out of a name or a note. Defence: what is not plainly
//! visible is printed as `\uXXXX`, which every reader takes for the same text.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::model::text::hidden;

/// Writes a document, indented, to its end.
pub(super) fn write<T: Serialize>(mut out: impl Write, value: &T) -> serde_json::Result<()> {
    let visible = Visible(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut out, visible))?;
    out.flush().map_err(serde_json::Error::io)
}

/// The pretty form, with every character plainly visible.
struct Visible(PrettyFormatter<'static>);

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        text: &str,
    ) -> io::Result<()> {
        visible(w, text)
    }

    /// A statement as it is stored. In JSON, what is escaped here stands in strings alone.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, w: &mut W, text: &str) -> io::Result<()> {
        visible(w, text)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_array(w)
    }

    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array(w)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(w, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_array_value(w)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object(w)
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object(w)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.begin_object_value(w)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.0.end_object_value(w)
    }
}

/// ASCII below 127 is as JSON has it already.
fn visible<W: ?Sized + Write>(w: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    let escaped = |c: char| c > '~' && hidden(c);
    while let Some((before, c)) = rest
        .find(escaped)
        .and_then(|at| rest.split_at_checked(at))
        .and_then(|(before, from)| Some((before, from.chars().next()?)))
    {
        w.write_all(before.as_bytes())?;
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(w, "\\u{unit:04x}")?;
        }
        let after = before.len().saturating_add(c.len_utf8());
        rest = rest.get(after..).unwrap_or_default();
    }
    w.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[test]
    fn hidden_characters_are_escaped_and_read_back_the_same() {
        let hostile = "a\u{1b}\u{7f}\u{85}\u{9b}31m\u{202e}\u{200b}\u{2066}\u{feff}\u{e0041}ü\n\"";
        let raw = serde_json::to_string(&[hostile]).unwrap();
        let document = (hostile, RawValue::from_string(raw).unwrap());
        let mut out = Vec::new();
        write(&mut out, &document).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !hidden(c)), "{text:?}");
        assert!(text.contains("\\udb40\\udc41"), "{text}");
        assert!(text.contains('ü'), "what can be seen is left as it is");
        let back: (String, Vec<String>) = serde_json::from_str(&text).unwrap();
        assert_eq!(back, (hostile.to_owned(), vec![hostile.to_owned()]));
    }

    #[test]
    fn the_form_is_the_pretty_one() {
        let value = serde_json::json!({"a": [1, {"b": []}], "c": {}, "d": "ü"});
        let mut out = Vec::new();
        write(&mut out, &value).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), pretty);
    }
}
