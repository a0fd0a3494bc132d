//! What is left of a path when its versions are taken out: by which a file of one release is found to
//! resemble one of another, in an installation and in an archive alike.

/// A path without the versions in it: numbers, and what joins them. `lib/guava-31.1.jar` and
/// `lib/guava-32.0.jar` are one.
#[must_use]
pub fn unversioned(path: &str) -> String {
    let mut kept = String::with_capacity(path.len());
    let mut chars = path.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().is_some_and(char::is_ascii_digit);
        let joins = matches!(c, '.' | '-' | '_') && next;
        // `collections4` is another thing than `collections`; `collections-4` is not.
        let counts = c.is_ascii_digit() && !kept.ends_with(char::is_alphabetic);
        if joins || counts {
            while chars.next_if(char::is_ascii_digit).is_some() {}
        } else {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_left_out_and_numbers_in_names_are_not() {
        for (a, b) in [
            ("lib/guava-31.1.jar", "lib/guava-32.0.1.jar"),
            (
                "jars/spark-core_2.12-3.5.0.jar",
                "jars/spark-core_2.13-3.5.1.jar",
            ),
            ("9.0/lib/core.jar", "9.1/lib/core.jar"),
        ] {
            assert_eq!(unversioned(a), unversioned(b));
        }
        for (a, b) in [
            (
                "lib/commons-collections-3.2.2.jar",
                "lib/commons-collections4-4.4.jar",
            ),
            (
                "netty-codec-http-4.1.96.jar",
                "netty-codec-http2-4.1.96.jar",
            ),
            ("a/x.jar", "b/x.jar"),
        ] {
            assert_ne!(unversioned(a), unversioned(b));
        }
    }
}
