//! One reading of a metadata file: JSON without duplicate keys, bounded in size and depth.
//!
//! TUF signs a canonical form and stores any form, so the bytes cannot be compared with one
//! spelling as ours are; what two readers could understand differently is refused instead.
//!
//! | attack | defence |
//! |---|---|
//! | two equal keys, of which readers keep different ones | refused anywhere in the file |
//! | nesting that ends the stack | [`DEPTH_MAX`] |
//! | a file of gigabytes | [`FILE_MAX`] |
//! | numbers that readers round | integers only |

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Largest metadata file, in bytes.
pub const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Deepest nesting; TUF needs eight.
const DEPTH_MAX: usize = 24;

/// Checks that `bytes` are strict JSON; the error says what is not.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|e| format!("it is not strict JSON: {e}"))
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, array, string, integer, boolean or null")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value_seed(inside)?;
            if let Some(twice) = seen.replace(key) {
                return Err(A::Error::custom(format_args!("{twice:?} stands twice")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for good in ["{}", r#" {"a": [1, -2, true, null, "x"], "b": {"a": 1}} "#] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        for bad in [
            "",
            "{",
            "{} {}",
            r#"{"a":1,"a":1}"#,
            r#"{"b":{"a":1,"\u0061":2}}"#,
            r#"[{"a":1,"a":2}]"#,
            "[1.5]",
            "[1e3]",
            &deep,
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
