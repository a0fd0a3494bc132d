//! The inventory of a full snapshot: what stands at every path below the root, one line each.
//!
//! Text, so that it is read with `zstd -d` and `grep`, and line by line in bounded memory:
//!
//! ```text
//! config HMAC SIZE PATH
//! file BLAKE3 x SIZE PATH        (or - in place of x)
//! folder PATH                    (only one in which nothing else is listed)
//! link BLAKE3 PATH
//! other PATH
//! ```
//!
//! Lines rise by path, each ends in a line feed, and a path holds no control character. No digest
//! of a config file leaves the host: its line has an HMAC under a secret of the environment, which
//! tells whether it is still the same file, and nothing about its content.
//!
//! | attack | defence |
//! |---|---|
//! | lines without end | the caller bounds the bytes; [`LINES_MAX`] bounds the lines |
//! | two lines for one path | paths rise strictly |
//! | a second spelling of a line | a line is written again and compared |

use std::fmt::Write as _;

use super::snapshot::Found;
use super::statement::RuleError;
use super::{Blake3, Sha256, TreePath};

/// The member of a snapshot that holds it, as one zstd frame.
pub const INVENTORY: &str = "inventory.txt.zst";
/// Most lines in an inventory.
pub const LINES_MAX: usize = 2_000_000;
/// Most bytes of its text.
pub const TEXT_MAX: u64 = 1024 * 1024 * 1024;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub path: TreePath,
    /// What stands there.
    pub what: Listed,
}

/// What a full snapshot tells of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// A file of the customer's own making, perhaps with secrets in it.
    Config {
        /// HMAC-SHA256 of its content under the environment's secret.
        hmac: Sha256,
        /// Bytes in it.
        size: u64,
    },
    /// A regular file.
    File {
        /// BLAKE3 of its content.
        blake3: Blake3,
        /// Whether its owner may execute it.
        executable: bool,
        /// Bytes in it.
        size: u64,
    },
    /// A folder in which nothing else is listed.
    Folder,
    /// A symbolic link.
    Link {
        /// BLAKE3 of its text.
        blake3: Blake3,
    },
    /// A device, socket or pipe, or a file that could not be read.
    Other,
}

impl Listed {
    /// The same in the terms in which drift is told; nothing for a config file, whose content is
    /// not known.
    #[must_use]
    pub const fn found(self) -> Option<Found> {
        match self {
            Self::Config { .. } => None,
            Self::File {
                blake3, executable, ..
            } => Some(Found::File { blake3, executable }),
            Self::Folder => Some(Found::Folder),
            Self::Link { blake3 } => Some(Found::Link { blake3 }),
            Self::Other => Some(Found::Other),
        }
    }

    /// Bytes in it; none for what is no file.
    #[must_use]
    pub const fn size(self) -> u64 {
        match self {
            Self::Config { size, .. } | Self::File { size, .. } => size,
            Self::Folder | Self::Link { .. } | Self::Other => 0,
        }
    }
}

impl Line {
    /// Adds the line, with its line feed, to a text.
    pub fn write(&self, text: &mut String) {
        let path = self.path.as_str();
        let written = match self.what {
            Listed::Config { hmac, size } => writeln!(text, "config {hmac} {size} {path}"),
            Listed::File {
                blake3,
                executable,
                size,
            } => {
                let bit = if executable { 'x' } else { '-' };
                writeln!(text, "file {blake3} {bit} {size} {path}")
            }
            Listed::Folder => writeln!(text, "folder {path}"),
            Listed::Link { blake3 } => writeln!(text, "link {blake3} {path}"),
            Listed::Other => writeln!(text, "other {path}"),
        };
        // Writing to a string cannot go wrong.
        debug_assert!(written.is_ok());
    }

    /// Reads a line without its line feed.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let line = Self::parts(text).filter(|line| {
            let mut again = String::with_capacity(text.len().saturating_add(1));
            line.write(&mut again);
            again.strip_suffix('\n') == Some(text)
        });
        line.ok_or_else(|| {
            let shown: String = text.chars().take(200).collect();
            RuleError(format!("{shown:?} is no line of an inventory"))
        })
    }

    fn parts(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(' ')?;
        let (what, path) = match kind {
            "config" => {
                let (hmac, rest) = rest.split_once(' ')?;
                let (size, path) = rest.split_once(' ')?;
                let (hmac, size) = (hmac.parse().ok()?, size.parse().ok()?);
                (Listed::Config { hmac, size }, path)
            }
            "file" => {
                let (blake3, rest) = rest.split_once(' ')?;
                let (bit, rest) = rest.split_once(' ')?;
                let (size, path) = rest.split_once(' ')?;
                let file = Listed::File {
                    blake3: blake3.parse().ok()?,
                    executable: bit == "x",
                    size: size.parse().ok()?,
                };
                (file, path)
            }
            "folder" => (Listed::Folder, rest),
            "link" => {
                let (blake3, path) = rest.split_once(' ')?;
                let blake3 = blake3.parse().ok()?;
                (Listed::Link { blake3 }, path)
            }
            "other" => (Listed::Other, rest),
            _ => return None,
        };
        let path = path.parse().ok()?;
        Some(Self { path, what })
    }
}

/// Takes lines one by one and holds that they rise.
#[derive(Debug, Default)]
pub struct Inventory {
    lines: Vec<Line>,
}

impl Inventory {
    /// Takes the next line.
    pub fn push(&mut self, line: Line) -> Result<(), RuleError> {
        if self.lines.len() >= LINES_MAX {
            return Err(RuleError(format!(
                "an inventory of more than {LINES_MAX} lines"
            )));
        }
        if let Some(last) = self.lines.last().filter(|last| last.path >= line.path) {
            return Err(RuleError(format!(
                "the inventory lists {} after {}",
                line.path, last.path
            )));
        }
        self.lines.push(line);
        Ok(())
    }

    /// All lines, rising by path.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// What is listed at a path.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<Listed> {
        let at = self.lines.binary_search_by(|line| line.path.cmp(path));
        at.ok().and_then(|at| self.lines.get(at)).map(|l| l.what)
    }

    /// What a scan of the host would find at a path; nothing where that is not told.
    ///
    /// A folder with something in it is not listed itself; what lies below a link or a file counts
    /// as something else, as the scan has it.
    #[must_use]
    pub fn found(&self, path: &TreePath) -> Option<Found> {
        if let Some(listed) = self.get(path) {
            return listed.found();
        }
        if self.has_below(path) {
            return Some(Found::Folder);
        }
        let blocked = path
            .ancestors()
            .any(|above| self.get(&above).is_some_and(|l| l != Listed::Folder));
        Some(if blocked { Found::Other } else { Found::Absent })
    }

    fn has_below(&self, folder: &TreePath) -> bool {
        let prefix = format!("{}/", folder.as_str());
        let at = self
            .lines
            .partition_point(|line| line.path.as_str() < prefix.as_str());
        self.lines
            .get(at)
            .is_some_and(|line| line.path.as_str().starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let (b, h) = (Blake3::of(b"b"), Sha256::of(b"h"));
        format!(
            "file {b} x 12 bin/a b\nconfig {h} 3 conf/x.properties\nfolder empty\nlink {b} lib/l\n\
             file {b} - 0 lib/z/é\nother run.sock\n"
        )
    }

    fn inventory() -> Inventory {
        let mut inventory = Inventory::default();
        for line in text().lines() {
            inventory.push(Line::parse(line).unwrap()).unwrap();
        }
        inventory
    }

    #[test]
    fn lines_and_back() {
        let mut again = String::new();
        for line in inventory().lines() {
            line.write(&mut again);
        }
        assert_eq!(again, text());
    }

    #[test]
    fn one_spelling_alone() {
        let b = Blake3::of(b"b");
        for bad in [
            String::new(),
            "file".to_owned(),
            format!("file {b} y 1 a"),
            format!("file {b} x 01 a"),
            format!("file {b} x 1 /a"),
            format!("file {b} x 1 .lockstep/key"),
            format!("link  {b} a"),
            format!("config {b} a"),
            "folder ".to_owned(),
            "other a/../b".to_owned(),
            "pipe a".to_owned(),
        ] {
            assert!(Line::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_rise() {
        let mut inventory = inventory();
        for path in ["run.sock", "a"] {
            let line = Line::parse(&format!("other {path}")).unwrap();
            assert!(inventory.push(line).is_err(), "{path}");
        }
    }

    #[test]
    fn found_as_the_scan_finds_it() {
        let inventory = inventory();
        let found = |path: &str| inventory.found(&path.parse().unwrap());
        let (executable, blake3) = (true, Blake3::of(b"b"));
        assert_eq!(found("bin/a b"), Some(Found::File { blake3, executable }));
        assert_eq!(found("conf/x.properties"), None);
        assert_eq!(found("conf/y"), Some(Found::Absent));
        assert_eq!(found("empty"), Some(Found::Folder));
        assert_eq!(found("empty/x"), Some(Found::Absent));
        assert_eq!(found("lib"), Some(Found::Folder));
        assert_eq!(found("lib/z"), Some(Found::Folder));
        assert_eq!(found("lib/l"), Some(Found::Link { blake3 }));
        assert_eq!(found("lib/l/x"), Some(Found::Other));
        assert_eq!(found("run.sock/x/y"), Some(Found::Other));
        assert_eq!(found("li"), Some(Found::Absent));
    }
}
