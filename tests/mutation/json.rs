//! JSON as it stands in a file, so that it can be edited into what no writer would write: keys that
//! are doubled or out of order, numbers and strings in any spelling.

use serde_json::Value;

use super::dice::Dice;

/// A value with its spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// Written as it is: numbers, `true`, and whatever is no JSON at all.
    Raw(String),
    /// A string, escaped when it is written.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object, its keys in this order.
    Object(Vec<(String, Json)>),
}

/// What a number may become: the limits of what readers hold, and what is no integer.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "2",
    "-1",
    "-0",
    "01",
    "1.0",
    "0.5",
    "1e3",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "18446744073709551615",
    "18446744073709551616",
    "null",
    "true",
];

/// What a string may become.
const TEXTS: [&str; 24] = [
    "",
    "x",
    "..",
    "../x",
    "/etc/passwd",
    ".lockstep/key",
    "a/../b",
    "lib/core.jar",
    "LIB/CORE.JAR",
    "lib",
    "0000",
    "0777",
    "4755",
    "allow",
    "overwrite",
    "restapi/7.0/restapi-7.0.39.spr",
    "1970-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "\u{1b}[31mred",
    "line\nline",
    "\u{202e}gnp",
    "\0",
];

impl Json {
    /// Reads JSON; keys come in the order of their bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok().map(Self::of)
    }

    /// The same value.
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::of).collect()),
            Value::Object(entries) => {
                let entries = entries.into_iter();
                Self::Object(entries.map(|(k, v)| (k, Self::of(v))).collect())
            }
            other => Self::Raw(other.to_string()),
        }
    }

    /// Writes it as it stands.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&Value::from(text.as_str()).to_string()),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { "," });
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(entries) = self else {
            return None;
        };
        entries.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Sets the value under a key that is there.
    pub(crate) fn set(&mut self, key: &str, value: &Self) {
        if let Self::Object(entries) = self {
            for (k, v) in entries {
                if k == key {
                    *v = value.clone();
                }
            }
        }
    }

    /// Puts keys into the order of their bytes, each once: what is left of an edit is its meaning.
    pub(crate) fn settle(&mut self) {
        match self {
            Self::Raw(_) | Self::Text(_) => {}
            Self::List(items) => items.iter_mut().for_each(Self::settle),
            Self::Object(entries) => {
                for (_, value) in entries.iter_mut() {
                    value.settle();
                }
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                entries.dedup_by(|(a, _), (b, _)| a == b);
            }
        }
    }

    /// How many values it is, those inside it among them.
    fn count(&self) -> usize {
        let inside: usize = match self {
            Self::Raw(_) | Self::Text(_) => 0,
            Self::List(items) => items.iter().map(Self::count).sum(),
            Self::Object(entries) => entries.iter().map(|(_, v)| v.count()).sum(),
        };
        inside.saturating_add(1)
    }

    /// The value at this place, counted from the top.
    fn at(&mut self, place: usize) -> &mut Self {
        let mut left = place;
        let mut here = self;
        loop {
            if left == 0 {
                return here;
            }
            left = left.saturating_sub(1);
            let inside: Vec<&mut Self> = match here {
                Self::List(items) => items.iter_mut().collect(),
                Self::Object(entries) => entries.iter_mut().map(|(_, v)| v).collect(),
                // `place` is below `count`, so there is always something inside.
                Self::Raw(_) | Self::Text(_) => unreachable!("a place inside of a scalar"),
            };
            let mut next = None;
            for value in inside {
                let size = value.count();
                if left < size {
                    next = Some(value);
                    break;
                }
                left = left.saturating_sub(size);
            }
            here = next.unwrap_or_else(|| unreachable!("a place behind the last value"));
        }
    }

    /// Every string in it.
    pub(crate) fn texts(&self, found: &mut Vec<String>) {
        match self {
            Self::Raw(_) => {}
            Self::Text(text) => found.push(text.clone()),
            Self::List(items) => items.iter().for_each(|item| item.texts(found)),
            Self::Object(entries) => entries.iter().for_each(|(_, v)| v.texts(found)),
        }
    }
}

/// Edits one value anywhere in `json`, and says how. `pool` holds strings of other statements.
pub(crate) fn edit(json: &mut Json, pool: &[String], dice: &mut impl Dice) -> &'static str {
    let place = dice.below(json.count());
    match json.at(place) {
        Json::Raw(text) => number(text, dice),
        Json::List(items) => list(items, dice),
        Json::Object(entries) => object(entries, pool, dice),
        value @ Json::Text(_) => string(value, pool, dice),
    }
}

fn number(text: &mut String, dice: &mut impl Dice) -> &'static str {
    let old: Option<u64> = text.parse().ok();
    match (old, dice.below(6)) {
        (Some(old), 0 | 1) => *text = old.saturating_add(1).to_string(),
        (Some(old), 2 | 3) => *text = old.saturating_sub(1).to_string(),
        _ => {
            let new = dice.pick(&NUMBERS).copied().unwrap_or_default();
            new.clone_into(text);
        }
    }
    "number"
}

fn list(items: &mut Vec<Json>, dice: &mut impl Dice) -> &'static str {
    let (a, b) = (
        dice.below(items.len().max(1)),
        dice.below(items.len().max(1)),
    );
    let one = items.get(a).cloned().unwrap_or(Json::Text("x".to_owned()));
    match dice.below(7) {
        0 => items.clear(),
        1 => items.insert(a, one),
        2 => items.reverse(),
        3 if !items.is_empty() => items.swap(a, b),
        4 if !items.is_empty() => drop(items.remove(a)),
        5 => items.extend(std::iter::repeat_n(one, 300)),
        _ => items.push(Json::Object(Vec::new())),
    }
    "list"
}

fn object(
    entries: &mut Vec<(String, Json)>,
    pool: &[String],
    dice: &mut impl Dice,
) -> &'static str {
    let (a, b) = (
        dice.below(entries.len().max(1)),
        dice.below(entries.len().max(1)),
    );
    if entries.is_empty() {
        entries.push(("x".to_owned(), Json::Raw("1".to_owned())));
        return "object";
    }
    match dice.below(7) {
        0 => drop(entries.remove(a)),
        1 => {
            let entry = entries[a].clone();
            entries.insert(a, entry);
        }
        2 => {
            let key = dice.pick(pool).cloned().unwrap_or_default();
            entries.insert(a, (key, Json::Raw("0".to_owned())));
        }
        3 => {
            let keys = ["zzz", "a", "members", "format", "kind", "Format", ""];
            dice.pick(&keys)
                .copied()
                .unwrap_or_default()
                .clone_into(&mut entries[a].0);
        }
        4 => entries.swap(a, b),
        5 => {
            let value = entries[a].1.clone();
            entries[a].1 = std::mem::replace(&mut entries[b].1, value);
        }
        _ => entries.reverse(),
    }
    "object"
}

fn string(value: &mut Json, pool: &[String], dice: &mut impl Dice) -> &'static str {
    let old = match value {
        Json::Text(text) => text.clone(),
        _ => String::new(),
    };
    *value = match dice.below(11) {
        0 | 1 | 9 | 10 => Json::Text(alike(&old, pool, dice)),
        2 | 3 => Json::Text(dice.pick(&TEXTS).copied().unwrap_or_default().to_owned()),
        4 => Json::Text(old.repeat(2)),
        5 => Json::Text("long ".repeat(1 << dice.below(14))),
        6 => Json::Raw(escaped(&old)),
        7 => {
            let mut chars: Vec<char> = old.chars().collect();
            let at = dice.below(chars.len().max(1));
            if let Some(c) = chars.get_mut(at) {
                *c = char::from(dice.byte() & 0x7f);
            }
            Json::Text(chars.into_iter().collect())
        }
        _ => Json::Text(old.to_uppercase()),
    };
    "string"
}

/// A string of another statement, of the same length where one is met with soon: mostly of its kind.
fn alike(old: &str, pool: &[String], dice: &mut impl Dice) -> String {
    let mut last = String::new();
    for _ in 0..12 {
        last = dice.pick(pool).cloned().unwrap_or_default();
        if last.len() == old.len() && last != old {
            break;
        }
    }
    last
}

/// The same string in another spelling: its first letter as an escape.
fn escaped(text: &str) -> String {
    let plain = Value::from(text).to_string();
    match text.chars().next() {
        Some(first) if first.is_ascii_alphanumeric() => {
            let rest = plain.get(2..).unwrap_or_default();
            format!("\"\\u{:04x}{rest}", u32::from(first))
        }
        _ => plain,
    }
}

/// Puts white space, a byte-order mark or another byte somewhere between the bytes.
pub(crate) fn space(bytes: &mut Vec<u8>, dice: &mut impl Dice) -> &'static str {
    let at = dice.below(bytes.len().saturating_add(1));
    let what = [&b" "[..], b"\n", b"\t", b"\xef\xbb\xbf", b"\0", b"\xff"];
    let what = dice.pick(&what).copied().unwrap_or_default();
    bytes.splice(at..at, what.iter().copied());
    "white space"
}
