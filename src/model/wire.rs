//! How values cross JSON: text as one string each, parsed by the type's own rule in its one
//! spelling, and short lists.
//!
//! | attack | defence |
//! |---|---|
//! | a list of millions of tiny things, each of which takes ten times its text in memory | [`at_most`]: a list that is short by its nature ends where it would no longer be |

use std::fmt::{self, Write as _};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Reads a string and parses it where it stands, without a copy.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    struct Parse<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parse<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Parse(PhantomData))
}

/// Reads a list of `MAX` things at most.
pub(crate) fn at_most<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Few<T, const MAX: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Few<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::custom(format_args!("a list of more than {MAX}")));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Few::<T, MAX>(PhantomData))
}

/// [`parsed`], and refused where the value is written in another way: what is signed has one spelling.
pub(crate) fn spelled<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display> + fmt::Display,
    D: Deserializer<'de>,
{
    struct Spelled<T>(T);

    impl<T: FromStr<Err: fmt::Display> + fmt::Display> FromStr for Spelled<T> {
        type Err = String;

        fn from_str(text: &str) -> Result<Self, String> {
            let value: T = text.parse().map_err(|e: T::Err| e.to_string())?;
            let mut left = Left(text);
            if write!(left, "{value}").is_ok() && left.0.is_empty() {
                Ok(Self(value))
            } else {
                let found: String = text.chars().take(80).collect();
                Err(format!("{found:?} is written in another way"))
            }
        }
    }

    parsed::<Spelled<T>, D>(deserializer).map(|Spelled(value)| value)
}

/// What is left of a text while a value is written against it: no copy is made.
struct Left<'a>(&'a str);

impl fmt::Write for Left<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Gives a `FromStr + Display` type the string form in JSON, so that its rule holds on the way in.
macro_rules! string_serde {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::model::wire::spelled(deserializer)
            }
        }
    };
}

pub(crate) use string_serde;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::snapshot::EnvironmentId;
    use crate::model::{PublicKey, Range};

    /// Each value has one spelling, so that a statement that says the same is the same bytes.
    #[test]
    fn a_second_spelling_is_refused() {
        let id = "6917d14b-444b-453b-9cd0-f727c296fe7b";
        let environment = |id: &str| json!({"id": id, "name": "PROD"});
        let simple = id.replace('-', "");
        for (text, good) in [(id, true), (&id.to_uppercase(), false), (&simple, false)] {
            let read = serde_json::from_value::<EnvironmentId>(environment(text));
            assert_eq!(read.is_ok(), good, "{text}");
        }
        let key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
        let commented = format!("{key} anna");
        for (text, good) in [(key, true), (&commented, false)] {
            let read = serde_json::from_value::<PublicKey>(json!(text));
            assert_eq!(read.is_ok(), good, "{text}");
        }
        for (text, good) in [
            (">=9.0, <10", true),
            (">=9.0,<10", false),
            (">=>=9.0", false),
            (" *", false),
        ] {
            let read = serde_json::from_value::<Range>(json!(text));
            assert_eq!(read.is_ok(), good, "{text}");
        }
    }
}
