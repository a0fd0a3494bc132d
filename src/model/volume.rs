//! Volumes: one patch in several files, for media that hold no larger ones.
//!
//! Which volume a file is follows from the packs that it holds ([`super::patch::Patch::shares`]). Its
//! name is for people alone, and nothing here decides what is read.

/// Most volumes of one patch: three digits in a name, and more than anybody carries.
pub const VOLUMES_MAX: usize = 999;
/// Largest file that FAT32 holds, in bytes: its directory entries have 32 bits for a size.
pub const FAT32_MAX: u64 = 0xffff_ffff;
/// Largest file that any writer of ISO 9660 and any tool with signed 32-bit sizes takes, in bytes.
pub const COMMON_MAX: u64 = 0x7fff_ffff;

/// How a patch and its head are called behind their common name.
const ENDS: [&str; 3] = [".head.spr", ".patch.spr", ".spr"];

/// `PROD-0007.patch.spr` as volume 2 of 3 is `PROD-0007.2of3.patch.spr`; numbers of one patch have as
/// many digits, so that lists of files have them in order.
#[must_use]
pub fn name(whole: &str, number: usize, count: usize) -> String {
    let (stem, end) = split(whole);
    let width = count.to_string().len();
    format!("{stem}.{number:0width$}of{count}{end}")
}

/// What all files of a patch are called in front: volumes, head, and the file of a patch in one.
#[must_use]
pub fn stem(name: &str) -> &str {
    let (stem, _) = split(name);
    cut(stem).unwrap_or(stem)
}

/// What the patch in one file would be called, of which this is the name of a volume.
#[must_use]
pub fn whole(name: &str) -> Option<String> {
    let (stem, end) = split(name);
    Some(format!("{}{end}", cut(stem)?))
}

fn split(name: &str) -> (&str, &str) {
    let cut = ENDS.iter().find_map(|end| {
        let stem = name.strip_suffix(end)?;
        Some((stem, *end))
    });
    cut.unwrap_or((name, ""))
}

/// `PROD-0007.2of3` without its number.
fn cut(stem: &str) -> Option<&str> {
    let (stem, number) = stem.rsplit_once('.')?;
    let (number, count) = number.split_once("of")?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (!stem.is_empty() && digits(number) && digits(count)).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_and_known_again() {
        for (given, number, count, made) in [
            ("P-0007.patch.spr", 2, 3, "P-0007.2of3.patch.spr"),
            ("P-0007.patch.spr", 2, 12, "P-0007.02of12.patch.spr"),
            ("p.spr", 1, 999, "p.001of999.spr"),
            ("p", 1, 2, "p.1of2"),
        ] {
            assert_eq!(name(given, number, count), made);
            assert_eq!(whole(made).as_deref(), Some(given));
            assert_eq!(stem(made), stem(given));
        }
        for other in ["P.head.spr", "P.patch.spr", "P.spr"] {
            assert_eq!((stem(other), whole(other)), ("P", None));
        }
        for other in [
            "P.xof3.spr",
            "P.1of.spr",
            "P.of3.spr",
            ".1of3.spr",
            "1of3.spr",
        ] {
            assert_eq!(whole(other), None, "{other}");
        }
    }
}
