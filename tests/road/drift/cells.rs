//! What stands behind each row of the page: files of two releases, and what the user does between.
//!
//! Every cell has a folder of its own, so that many live in one environment. A content begins with
//! the name of that folder, so that none is taken for another's.

/// One row: its files, and what was done to them.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// The row's name on the page.
    pub(crate) row: String,
    /// The folder of the cell.
    pub(crate) folder: String,
    /// The path that the row is about, below that folder.
    path: &'static str,
    /// What the user does there, for the shell; `$own` and `$new` are contents.
    act: &'static str,
    /// Files of both releases: path and content.
    releases: [Vec<(&'static str, &'static str)>; 2],
    /// In which release the paths are config.
    config: [bool; 2],
    /// The mode that the new one must have there.
    pub(crate) mode: Option<u32>,
}

impl Cell {
    /// The path that the row is about, below the root.
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.folder, self.path)
    }

    /// The vendor's files in the first (0) or second (1) release, by path below the root.
    pub(crate) fn files(&self, release: usize) -> Vec<(String, String)> {
        let file = |(path, text): &(&str, &str)| {
            (
                format!("{}/{path}", self.folder),
                format!("{} {text}", self.folder),
            )
        };
        self.releases[release].iter().map(file).collect()
    }

    /// What the second release has at the path.
    pub(crate) fn brought(&self) -> Option<String> {
        let (path, files) = (self.path(), self.files(1));
        let below = format!("{path}/");
        if files.iter().any(|(other, _)| other.starts_with(&below)) {
            return Some("folder".to_owned());
        }
        files
            .into_iter()
            .find(|(p, _)| *p == path)
            .map(|(_, text)| text)
    }

    /// The option that makes the cell's files config in a release.
    pub(crate) fn globs(&self, release: usize) -> String {
        let files = if self.config[release] {
            self.files(release)
        } else {
            Vec::new()
        };
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        paths
            .iter()
            .flat_map(|path| ["--config '", path, "' "])
            .collect()
    }

    /// A line for the shell, in the root: what the user does.
    pub(crate) fn act(&self) -> String {
        let Self { folder, act, .. } = self;
        if act.is_empty() {
            return "true".to_owned();
        }
        format!(
            "(mkdir -p {folder} && cd {folder} && own='{folder} own' new='{folder} new' && {act})"
        )
    }
}

/// Every row that the page must have.
pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for user in ["unchanged", "modified", "deleted"] {
        for config in [false, true] {
            for patch in ["changed", "removed", "added", "not touched"] {
                cells.push(case(user, config, patch));
            }
        }
    }
    cells.extend(
        KINDS
            .iter()
            .zip(1..)
            .map(|(kind, number)| kind.cell(number)),
    );
    cells
}

/// A cell of the table of every case.
fn case(user: &str, config: bool, patch: &str) -> Cell {
    let (path, word) = if config {
        ("conf/f", "yes")
    } else {
        ("lib/f", "no")
    };
    let (old, new) = match patch {
        "added" => (vec![], vec![(path, "new")]),
        "removed" => (vec![(path, "old")], vec![]),
        "changed" => (vec![(path, "old")], vec![(path, "new")]),
        _ => (vec![(path, "old")], vec![(path, "old")]),
    };
    let act = match (user, config) {
        ("modified", true) => "mkdir -p conf && printf %s \"$own\" > conf/f",
        ("modified", false) => "mkdir -p lib && printf %s \"$own\" > lib/f",
        ("deleted", _) => "rm -f lib/f conf/f",
        _ => "",
    };
    Cell {
        row: format!("{user}, {word}, {patch}"),
        folder: format!("{user}-{word}-{patch}").replace(' ', "-"),
        path,
        act,
        releases: [old, new],
        config: [config; 2],
        mode: None,
    }
}

/// A row of the table of kinds, about `f` unless `path` says otherwise.
struct Kind {
    row: &'static str,
    path: &'static str,
    act: &'static str,
    old: &'static [(&'static str, &'static str)],
    new: &'static [(&'static str, &'static str)],
    config: [bool; 2],
    mode: Option<u32>,
}

impl Kind {
    fn cell(&self, number: u32) -> Cell {
        Cell {
            row: self.row.to_owned(),
            folder: format!("kind-{number}"),
            path: self.path,
            act: self.act,
            releases: [self.old.to_vec(), self.new.to_vec()],
            config: self.config,
            mode: self.mode,
        }
    }
}

/// A file that the patch changes, and nothing done to it.
const CHANGED: Kind = Kind {
    row: "",
    path: "f",
    act: "",
    old: &[("f", "old")],
    new: &[("f", "new")],
    config: [false; 2],
    mode: None,
};

/// The same, below a folder.
const BELOW: Kind = Kind {
    path: "sub/f",
    old: &[("sub/f", "old")],
    new: &[("sub/f", "new")],
    ..CHANGED
};

/// A file that the patch adds.
const ADDED: Kind = Kind {
    old: &[],
    ..CHANGED
};

/// A config file that the patch changes.
const CONFIG: Kind = Kind {
    config: [true; 2],
    ..CHANGED
};

const OWN: &str = "printf %s \"$own\" > f";
const AS_NEW: &str = "printf %s \"$new\" > f";
const OWN_AND_NEW_TAKEN: &str = "printf %s \"$own\" > f && echo merge > f.new";
const TO_A_FOLDER: &str = "rm f && mkdir f && printf %s \"$own\" > f/own";
const FOLDER_TO_A_LINK: &str = "mv sub real && ln -s real sub";

#[rustfmt::skip]
const KINDS: [Kind; 29] = [
    Kind { row: "only the execute bit set; changed", act: "chmod 755 f", mode: Some(0o644), ..CHANGED },
    Kind { row: "the execute bit set on a config file; changed", act: "chmod 755 f", mode: Some(0o644), ..CONFIG },
    Kind { row: "another mode bit changed; changed", act: "chmod 600 f", mode: Some(0o600), ..CHANGED },
    Kind { row: "modified to exactly the new content; changed", act: AS_NEW, ..CHANGED },
    Kind { row: "a config file edited to exactly the new content; changed", act: AS_NEW, ..CONFIG },
    Kind { row: "replaced by a link; changed", act: "ln -sf elsewhere f", ..CHANGED },
    Kind { row: "a config file replaced by a link; changed", act: "ln -sf elsewhere f", ..CONFIG },
    Kind { row: "replaced by a folder; changed", act: TO_A_FOLDER, ..CHANGED },
    Kind { row: "replaced by a folder; removed", act: TO_A_FOLDER, new: &[], ..CHANGED },
    Kind { row: "its folder replaced by a link; changed", act: FOLDER_TO_A_LINK, ..BELOW },
    Kind { row: "a config file whose folder is replaced by a link; changed", act: FOLDER_TO_A_LINK, config: [true; 2], ..BELOW },
    Kind { row: "a folder replaced by a link; a file added in it", act: FOLDER_TO_A_LINK, old: &[("sub/a", "old")], new: &[("sub/a", "old"), ("sub/f", "new")], ..BELOW },
    Kind { row: "deleted with its folder; changed", act: "rm -r sub", ..BELOW },
    Kind { row: "a config file deleted with its folder; changed", act: "rm -r sub", config: [true; 2], ..BELOW },
    Kind { row: "a config file edited; no config file afterwards", act: OWN, config: [true, false], ..CHANGED },
    Kind { row: "a config file deleted; no config file afterwards", act: "rm f", config: [true, false], ..CHANGED },
    Kind { row: "modified; changed, and a config file afterwards", act: OWN, config: [false, true], ..CHANGED },
    Kind { row: "modified; the same, and a config file afterwards", act: OWN, new: &[("f", "old")], config: [false, true], ..CHANGED },
    Kind { row: "modified; becomes a folder", act: OWN, new: &[("f/in", "new")], ..CHANGED },
    Kind { row: "a config file edited; becomes a folder", act: OWN, new: &[("f/in", "new")], config: [true, false], ..CHANGED },
    Kind { row: "a folder with a file of your own; the folder removed", path: "sub", act: "printf %s \"$own\" > sub/own", new: &[], ..BELOW },
    Kind { row: "a file of your own in a folder; the folder removed", path: "sub/own", act: "printf %s \"$own\" > sub/own", new: &[], ..BELOW },
    Kind { row: "a folder with a file of your own; becomes a file", act: "printf %s \"$own\" > f/own", old: &[("f/a", "old")], ..CHANGED },
    Kind { row: "a folder of your own; a file added in its place", act: "mkdir f", ..ADDED },
    Kind { row: "a file of your own; a folder added in its place", act: OWN, new: &[("f/in", "new")], ..ADDED },
    Kind { row: "a pipe of your own; a file added in its place", act: "mkfifo f", ..ADDED },
    Kind { row: "a config file edited, and .new taken; changed", act: OWN_AND_NEW_TAKEN, ..CONFIG },
    Kind { row: "the .new that was there; the config file changed", path: "f.new", act: OWN_AND_NEW_TAKEN, ..CONFIG },
    Kind { row: "a config file edited, and .new to .new9 taken; changed", act: "printf %s \"$own\" > f && for n in '' 2 3 4 5 6 7 8 9; do echo merge > f.new$n; done", ..CONFIG },
];
