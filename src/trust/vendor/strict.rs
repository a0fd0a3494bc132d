//! One reading of a metadata file: the envelope of TUF and nothing beside it, JSON without duplicate
//! keys, bounded in size, depth and number of values.
//!
//! TUF signs a canonical form and stores any form, so the bytes cannot be compared with one
//! spelling as ours are; what two readers could understand differently is refused instead. The TUF
//! library takes a whole file into memory before it looks at a signature, so what is refused here
//! costs nobody anything: no value is kept.
//!
//! | attack | defence |
//! |---|---|
//! | two equal keys, of which readers keep different ones | refused anywhere in the file |
//! | something beside what is signed, where no signature protects it | exactly `signed` and `signatures`, each of exactly `keyid` and `sig` |
//! | a thousand signatures, each to be checked | [`SIGNATURES_MAX`] |
//! | nesting that ends the stack | [`DEPTH_MAX`] |
//! | a file of gigabytes | [`FILE_MAX`] |
//! | millions of tiny objects, each with a hundred times its size in memory | [`VALUES_MAX`], [`OBJECTS_MAX`] |
//! | numbers that readers round | integers only |

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::model::text::clipped;

/// Largest metadata file, in bytes.
pub const FILE_MAX: u64 = 16 * 1024 * 1024;
/// Most bytes of the metadata of one patch, or of one vendor's repository, together.
pub const TOTAL_MAX: u64 = 64 * 1024 * 1024;
/// Most signatures of one file.
const SIGNATURES_MAX: u32 = 64;
/// Most values in one file. A recipe in targets has four (itself, its length, its digests, SHA-256)
/// and takes about 190 bytes: 350,000 in the largest file.
const VALUES_MAX: u32 = 1_000_000;
/// Most objects among the values: 180,000 in the largest file of recipes. An object of one entry
/// takes 640 bytes in the library, which is why they are counted apart.
const OBJECTS_MAX: u32 = 300_000;
/// Deepest nesting; TUF needs eight.
const DEPTH_MAX: usize = 24;

/// Checks that `bytes` are one strict metadata file; the error says what is not.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(format!("it is larger than {FILE_MAX} bytes"));
    }
    let count = Count::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Envelope(&count)
        .deserialize(&mut reader)
        .and_then(|()| reader.end())
        .map_err(|e| clipped(&format!("it is not strict JSON: {e}")))
}

/// What was seen of one file.
#[derive(Default)]
struct Count {
    values: Cell<u32>,
    objects: Cell<u32>,
    signatures: Cell<u32>,
}

fn one_more<E: Error>(seen: &Cell<u32>, most: u32, of: &str) -> Result<(), E> {
    let now = seen.get().saturating_add(1);
    seen.set(now);
    if now > most {
        return Err(E::custom(format_args!("more than {most} {of}")));
    }
    Ok(())
}

/// The whole file.
struct Envelope<'a>(&'a Count);

impl<'de> DeserializeSeed<'de> for Envelope<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signed and signatures")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            match key.as_str() {
                "signed" => entries.next_value_seed(Strict::new(self.0))?,
                "signatures" => entries.next_value_seed(Signatures(self.0))?,
                _ => return Err(unknown(&key)),
            }
            once(&mut seen, key)?;
        }
        both(&seen, "signed and signatures")
    }
}

/// The list of signatures.
struct Signatures<'a>(&'a Count);

impl<'de> DeserializeSeed<'de> for Signatures<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Signatures<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of signatures")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Signature)?.is_some() {
            one_more(&self.0.signatures, SIGNATURES_MAX, "signatures")?;
        }
        Ok(())
    }
}

/// One signature.
struct Signature;

impl<'de> DeserializeSeed<'de> for Signature {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Signature {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signature: keyid and sig")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if !matches!(key.as_str(), "keyid" | "sig") {
                return Err(unknown(&key));
            }
            entries.next_value::<String>()?;
            once(&mut seen, key)?;
        }
        both(&seen, "keyid and sig")
    }
}

/// Any value of what is signed.
#[derive(Clone, Copy)]
struct Strict<'a> {
    count: &'a Count,
    depth: usize,
}

impl<'a> Strict<'a> {
    /// What is signed stands in the envelope, and that is a level as well.
    fn new(count: &'a Count) -> Self {
        Self { count, depth: 1 }
    }

    fn inside<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        one_more(&self.count.values, VALUES_MAX, "values")?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        one_more(&self.count.objects, OBJECTS_MAX, "objects")?;
        let mut seen = BTreeSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            entries.next_value_seed(inside)?;
            once(&mut seen, key)?;
        }
        Ok(())
    }
}

fn once<E: Error>(seen: &mut BTreeSet<String>, key: String) -> Result<(), E> {
    match seen.replace(key) {
        Some(twice) => Err(E::custom(format_args!("{twice:?} stands twice"))),
        None => Ok(()),
    }
}

fn both<E: Error>(seen: &BTreeSet<String>, names: &str) -> Result<(), E> {
    if seen.len() == 2 {
        Ok(())
    } else {
        Err(E::custom(format_args!("{names} are both needed")))
    }
}

fn unknown<E: Error>(key: &str) -> E {
    E::custom(format_args!("{key:?} has no place there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(signed: &str) -> String {
        format!(r#"{{"signatures":[{{"keyid":"a","sig":"b"}}],"signed":{signed}}}"#)
    }

    fn refused(text: &str, words: &str) {
        let error = check(text.as_bytes()).expect_err(words);
        assert!(error.contains(words), "{error}, not {words}");
        assert!(error.len() < 1_000, "{words}: {} bytes", error.len());
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for good in ["{}", r#" {"a": [1, -2, true, null, "x"], "b": {"a": 1}} "#] {
            assert_eq!(check(around(good).as_bytes()), Ok(()), "{good}");
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
            assert!(check(around(bad).as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_stands_beside_what_is_signed() {
        let signature = r#"{"keyid":"a","sig":"b"}"#;
        let many = vec![signature; 65].join(",");
        let most = vec![signature; 64].join(",");
        let good = format!(r#"{{"signed":{{}},"signatures":[{most}]}}"#);
        assert_eq!(check(good.as_bytes()), Ok(()));
        for (bad, words) in [
            ("[]".to_owned(), "signed and signatures"),
            ("{}".to_owned(), "both needed"),
            (r#"{"signed":{}}"#.to_owned(), "both needed"),
            (r#"{"signatures":[]}"#.to_owned(), "both needed"),
            (
                r#"{"signatures":[],"signed":{},"x":1}"#.to_owned(),
                "\"x\" has no place",
            ),
            (
                r#"{"signatures":[],"signatures":[],"signed":{}}"#.to_owned(),
                "twice",
            ),
            (
                r#"{"signatures":{},"signed":{}}"#.to_owned(),
                "a list of signatures",
            ),
            (
                r#"{"signatures":[{"keyid":"a"}],"signed":{}}"#.to_owned(),
                "both needed",
            ),
            (
                r#"{"signatures":[{"keyid":"a","more":[],"sig":"b"}],"signed":{}}"#.to_owned(),
                "\"more\" has no place",
            ),
            (
                r#"{"signatures":[{"keyid":"a","sig":{}}],"signed":{}}"#.to_owned(),
                "string",
            ),
            (
                format!(r#"{{"signatures":[{many}],"signed":{{}}}}"#),
                "more than 64 signatures",
            ),
        ] {
            refused(&bad, words);
        }
    }

    #[test]
    fn a_file_of_tiny_objects_is_refused_before_it_is_in_memory() {
        for (item, most, words) in [
            (r#"{"a":1}"#, OBJECTS_MAX, "more than 300000 objects"),
            ("{}", OBJECTS_MAX, "more than 300000 objects"),
            ("0", VALUES_MAX - 1, "more than 1000000 values"),
            ("[]", VALUES_MAX - 1, "more than 1000000 values"),
        ] {
            let list = |count: u32| {
                let items = vec![item; usize::try_from(count).unwrap()].join(",");
                around(&format!("[{items}]"))
            };
            assert_eq!(check(list(most).as_bytes()), Ok(()), "{item}");
            refused(&list(most + 1), words);
        }
    }

    #[test]
    fn the_largest_file_of_recipes_is_far_from_the_bounds() {
        let digest = "0".repeat(64);
        let target = |n: u32| {
            format!(
                r#""restapi/7.0/restapi-7.0.{n:06}.spr":{{"hashes":{{"sha256":"{digest}"}},"length":12345}}"#
            )
        };
        let size = u64::try_from(target(0).len()).unwrap() + 1;
        let count = u32::try_from((FILE_MAX - 1_000) / size).unwrap();
        let targets: Vec<String> = (0..count).map(target).collect();
        let file = around(&format!(r#"{{"targets":{{{}}}}}"#, targets.join(",")));
        assert!(u64::try_from(file.len()).unwrap() > FILE_MAX - 2_000);
        assert_eq!(check(file.as_bytes()), Ok(()), "{count} recipes");
    }

    #[test]
    fn a_name_of_megabytes_is_not_repeated() {
        let long = "a".repeat(1 << 20);
        refused(&around(&format!(r#"{{"{long}":1,"{long}":1}}"#)), "a");
        refused(&format!(r#"{{"{long}":1}}"#), "a");
    }
}
