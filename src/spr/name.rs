//! Member names: what may stand in the archive.

/// Longest member name: what ustar holds in its name field.
const NAME_MAX: usize = 100;

/// Whether `name` is made of plain segments of `[A-Za-z0-9._-]`, at most 100 bytes.
pub(super) fn is_plain(name: &str) -> bool {
    name.len() <= NAME_MAX
        && name.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn plain_names() {
        for good in ["patch.json", "vendor/stibo/2.root.json.zst", "a/.b", "-"] {
            assert!(super::is_plain(good), "{good}");
        }
        let long = "a".repeat(101);
        for bad in [
            "", "/a", "a//b", "../a", "a/..", "a b", "ä", "a\n", "a\\b", "C:a", &long,
        ] {
            assert!(!super::is_plain(bad), "{bad:?}");
        }
    }
}
