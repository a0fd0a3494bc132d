//! What can be shown of the client without a repository; `tests/tuf_client/` does the rest.

use super::floors::Said;
use super::*;
use crate::model::Sha256;

#[test]
fn a_role_name_is_one_segment() {
    for (name, quoted) in [
        ("targets", "targets"),
        ("?", "%3F"),
        ("/delegatedrole", "%2Fdelegatedrole"),
        ("../x y", "..%2Fx%20y"),
        ("é", "%C3%A9"),
        ("a_b.c-d~e", "a_b.c-d~e"),
    ] {
        assert_eq!(quote(name), quoted);
    }
}

fn said(keys: &str, version: u64, named: &[(&str, u64)]) -> Said {
    Said {
        keys: Sha256::of(keys.as_bytes()),
        version,
        named: named.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect(),
    }
}

#[test]
fn floors_come_back_as_they_were_written_and_damaged_ones_do_not() {
    let mut floors = Floors::new();
    floors.saw_root(3);
    floors
        .hear_timestamp(said("t", 7, &[("snapshot", 5)]))
        .unwrap();
    floors
        .hear_snapshot(said("s", 5, &[("targets.json", 2)]))
        .unwrap();
    let bytes = floors.to_bytes().unwrap();
    assert_eq!(Floors::from_bytes(&bytes), Ok(floors));
    for end in 0..bytes.len() {
        assert!(Floors::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn what_a_role_said_holds_for_as_long_as_its_keys_do() {
    let mut floors = Floors::new();
    floors
        .hear_timestamp(said("t", 7, &[("snapshot", 5)]))
        .unwrap();
    floors
        .hear_snapshot(said("s", 5, &[("targets.json", 2)]))
        .unwrap();
    let keys = |text: &str| Sha256::of(text.as_bytes());
    let older = said("t", 7, &[("snapshot", 4)]);
    floors.reset(&keys("t"), &keys("s"));
    assert!(floors.clone().hear_timestamp(older.clone()).is_err());
    floors.reset(&keys("t"), &keys("s2"));
    assert!(floors.clone().hear_timestamp(older.clone()).is_err());
    assert!(floors.clone().hear_snapshot(said("s2", 1, &[])).is_ok());
    floors.reset(&keys("t2"), &keys("s2"));
    assert!(floors.hear_timestamp(older).is_ok());
}
