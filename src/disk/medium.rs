//! What lies on a medium: the files and folders named on a command line, as `.spr` files.
//!
//! | attack | defence |
//! |---|---|
//! | a name that says what the file is not | a file is what its first member says; its name only picks `.spr` files out of a folder |
//! | a folder full of files, or deep | [`FILES_MAX`]; only what lies directly in a folder is looked at |
//! | a pipe or device named `x.spr`, which never ends or never begins | in a folder only regular files are opened |
//! | a huge statement, to fill the memory | nothing but the first header is read here |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::DiskError;
use crate::model::{Kind, Refusal, RefusalName};
use crate::spr::{SprError, kind_of};

/// Most `.spr` files that are looked at in one go.
pub const FILES_MAX: usize = 10_000;

/// A `.spr` file that was named, or lies in a folder that was.
#[derive(Debug)]
pub struct Lying {
    /// Where.
    pub path: PathBuf,
    /// Whether the file itself was named on the command line.
    pub named: bool,
    /// What its first header says it is.
    pub kind: Result<Kind, SprError>,
}

/// All that was found, in the order of the command line, and within a folder by name.
#[derive(Debug, Default)]
pub struct Medium {
    /// The `.spr` files.
    pub files: Vec<Lying>,
    /// How many entries of the folders are no `.spr` files.
    pub others: usize,
    places: Vec<PathBuf>,
}

impl Medium {
    /// Looks at what was named. A file that is named twice, or named and in a folder, counts once.
    pub fn look(places: &[PathBuf]) -> Result<Self, Refusal> {
        let mut medium = Self {
            places: places.to_vec(),
            ..Self::default()
        };
        let mut seen = BTreeSet::new();
        for place in places {
            let paths = if place.is_dir() {
                medium.folder(place)?
            } else {
                vec![(place.clone(), true)]
            };
            for (path, named) in paths {
                if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                    medium.add(path, named)?;
                }
            }
        }
        Ok(medium)
    }

    fn folder(&mut self, folder: &Path) -> Result<Vec<(PathBuf, bool)>, Refusal> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(DiskError::io("list", folder))? {
            let path = entry.map_err(DiskError::io("list", folder))?.path();
            if is_spr(&path) {
                paths.push((path, false));
            } else {
                self.others = self.others.saturating_add(1);
            }
            if paths.len() > FILES_MAX {
                return Err(too_many(folder));
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn add(&mut self, path: PathBuf, named: bool) -> Result<(), Refusal> {
        if self.files.len() >= FILES_MAX {
            return Err(too_many(&path));
        }
        let opened = File::open(&path).map_err(DiskError::io("open", &path));
        let kind = match opened {
            Ok(file) => kind_of(file),
            Err(error) if named => return Err(error.into()),
            Err(DiskError::Io { source, .. }) => Err(SprError::Io(source)),
            Err(error) => return Err(error.into()),
        };
        self.files.push(Lying { path, named, kind });
        Ok(())
    }

    /// The refusal of a command that found nothing of the kind it takes: it says what lies there.
    #[must_use]
    pub fn nothing(&self, wanted: &str, passed_over: &PassedOver) -> Refusal {
        let mut refusal = Refusal::new(RefusalName::Usage, format!("no {wanted} lies there"));
        for place in self.places.iter().take(3) {
            refusal = refusal.value("looked in", place.display());
        }
        let others = match self.others {
            0 => String::new(),
            1 => "1 entry that is no .spr file".to_owned(),
            count => format!("{count} entries that are no .spr file"),
        };
        let there: Vec<String> = [passed_over.to_string(), others]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect();
        let there = if there.is_empty() {
            "nothing".to_owned()
        } else {
            there.join(", ")
        };
        refusal.value("found there", there)
    }
}

/// A regular file (or a link to one) whose name ends in `.spr`, and which no system hides.
fn is_spr(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden
        && path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("spr"))
        && path.is_file()
}

fn too_many(place: &Path) -> Refusal {
    Refusal::new(
        RefusalName::Usage,
        format!("there are more than {FILES_MAX} .spr files"),
    )
    .value("at", place.display())
    .next("name fewer files, or a folder with fewer in it")
}

/// How many files of other kinds were passed over, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver(BTreeMap<&'static str, usize>);

/// The word for a file that this program did not write.
const FOREIGN: &str = "foreign";

impl PassedOver {
    /// Counts a file of this kind; without one, it is not a file of this program.
    pub fn count(&mut self, kind: Option<Kind>) {
        let count = self.0.entry(kind.map_or(FOREIGN, Kind::word)).or_default();
        *count = count.saturating_add(1);
    }

    /// Whether nothing was passed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `2 patches, 1 site file, 1 file that lockstep did not write`.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(|(kind, count)| match (*kind, *count) {
            (FOREIGN, 1) => "1 file that lockstep did not write".to_owned(),
            (FOREIGN, count) => format!("{count} files that lockstep did not write"),
            ("patch", 1) => "1 patch or head".to_owned(),
            ("patch", count) => format!("{count} patches and heads"),
            ("site", 1) => "1 site file".to_owned(),
            ("site", count) => format!("{count} site files"),
            (kind, 1) => format!("1 {kind}"),
            (kind, count) => format!("{count} {kind}s"),
        });
        f.write_str(&words.collect::<Vec<_>>().join(", "))
    }
}

impl Serialize for PassedOver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::durable;
    use crate::spr::encode_small;

    #[test]
    fn a_file_is_what_its_first_member_says() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, bytes: &[u8]| durable::write(&at(name), bytes, 0o644).unwrap();
        let receipt = encode_small(Kind::Receipt, b"{}", &[], &[]).unwrap();
        write("a.patch.spr", &receipt);
        write("B.SPR", &encode_small(Kind::Site, b"{}", &[], &[]).unwrap());
        write("c.spr", b"cut");
        write("d.spr", &[b'x'; 2_000]);
        write("._a.patch.spr", &receipt);
        write("receipt.txt", &receipt);
        durable::make_folders(&at("folder.spr"), 0o755).unwrap();
        std::os::unix::fs::symlink("a.patch.spr", at("e.spr")).unwrap();
        // Whoever opened this one would wait for ever.
        let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, at("g.spr"), fifo, mode, 0).unwrap();
        std::os::unix::fs::symlink("nowhere", at("f.spr")).unwrap();

        let named = [at("c.spr"), folder.path().to_owned()];
        let medium = Medium::look(&named).unwrap();
        let found: Vec<(String, bool, String)> = medium
            .files
            .iter()
            .map(|lying| {
                let name = lying.path.file_name().unwrap().to_string_lossy();
                let kind = match &lying.kind {
                    Ok(kind) => kind.word().to_owned(),
                    Err(error) => error.refusal().to_string(),
                };
                (name.into_owned(), lying.named, kind)
            })
            .collect();
        let expected = [
            ("c.spr", true, "incomplete"),
            ("B.SPR", false, "site"),
            ("a.patch.spr", false, "receipt"),
            ("d.spr", false, "corrupt"),
        ];
        let expected =
            expected.map(|(name, named, kind)| (name.to_owned(), named, kind.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(medium.others, 5);
        assert!(Medium::look(&[at("absent.spr")]).is_err());
    }

    #[test]
    fn a_folder_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..=FILES_MAX {
            if number == FILES_MAX {
                assert!(Medium::look(&[folder.path().to_owned()]).is_ok());
            }
            File::create(folder.path().join(format!("{number}.spr"))).unwrap();
        }
        let refusal = Medium::look(&[folder.path().to_owned()]).unwrap_err();
        assert_eq!(refusal.name, RefusalName::Usage);
    }

    #[test]
    fn what_was_passed_over_is_counted_in_words() {
        let mut passed_over = PassedOver::default();
        assert!(passed_over.is_empty());
        for kind in [Some(Kind::Patch), Some(Kind::Patch), Some(Kind::Site), None] {
            passed_over.count(kind);
        }
        assert_eq!(
            passed_over.to_string(),
            "1 file that lockstep did not write, 2 patches and heads, 1 site file"
        );
        assert_eq!(
            Medium::default().nothing("receipt", &passed_over).values[0].1,
            passed_over.to_string()
        );
    }
}
