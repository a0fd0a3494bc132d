//! The product's unit: whether systemd runs recovery before it starts the product, and the lines
//! that make it so.
//!
//! Units are only read, and only to warn: which of them is the product's nobody knows here, so that
//! any that names this root counts. What this user cannot read is not there.

use std::path::{Path, PathBuf};

use super::{durable, folder};

/// Largest unit file that is read, in bytes.
const UNIT_MAX: u64 = 1024 * 1024;

/// Where systemd says that it runs, and where it looks for units.
#[derive(Debug, Clone)]
pub struct Places {
    /// A folder that exists while systemd is the machine's service manager (`sd_booted(3)`).
    pub runs: PathBuf,
    /// Folders of units (`systemd.unit(5)`).
    pub units: Vec<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        let units = [
            "/etc/systemd/system",
            "/run/systemd/system",
            "/usr/local/lib/systemd/system",
            "/usr/lib/systemd/system",
            "/lib/systemd/system",
        ];
        Self {
            runs: "/run/systemd/system".into(),
            units: units.map(PathBuf::from).to_vec(),
        }
    }
}

/// The lines for the product's unit, so that it never starts on half a change.
#[must_use]
pub fn drop_in(program: &Path, root: &Path) -> String {
    let [program, root] = [program, root].map(|path| unit_word(&path.display().to_string()));
    format!("[Service]\nExecStartPre={program} recover --before-start --root {root}")
}

/// Whether systemd starts this machine's services, and no unit recovers this root before it does.
#[must_use]
pub fn lacks_recovery(root: &Path, places: &Places) -> bool {
    places.runs.is_dir() && !places.units.iter().any(|folder| any_recovers(folder, root))
}

/// Units, and the drop-ins of units, in one folder of them.
fn any_recovers(units: &Path, root: &Path) -> bool {
    listed(units).iter().any(|path| match ending(path) {
        Some("service") => recovers(path, root),
        Some("d") => listed(path)
            .iter()
            .any(|path| ending(path) == Some("conf") && recovers(path, root)),
        _ => false,
    })
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let names = folder::names(folder).unwrap_or_default();
    names.into_iter().map(|name| folder.join(name)).collect()
}

fn ending(path: &Path) -> Option<&str> {
    path.extension().and_then(|ending| ending.to_str())
}

fn recovers(unit: &Path, root: &Path) -> bool {
    let bytes = durable::read(unit, UNIT_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace("\\\n", " ");
    text.lines()
        .any(|line| line_recovers(line.trim_start(), root))
}

fn line_recovers(line: &str, root: &Path) -> bool {
    let Some(command) = line
        .strip_prefix("ExecStartPre")
        .and_then(|rest| rest.trim_start().strip_prefix('='))
    else {
        return false;
    };
    let command = command.trim_start();
    let program = command.trim_start_matches(['@', '-', ':', '+', '!']);
    let prefix = command.strip_suffix(program).unwrap_or_default();
    if prefix.contains('-') {
        // It starts the product also where recovery says that it must not be.
        return false;
    }
    let words = unit_words(program);
    let names_root = words.iter().any(|word| {
        let word = word.strip_prefix("--root=").unwrap_or(word);
        let path = Path::new(word);
        path == root || (path.is_absolute() && path.canonicalize().is_ok_and(|path| path == root))
    });
    names_root
        && ["recover", "--before-start"]
            .iter()
            .all(|needed| words.iter().any(|word| word == needed))
}

/// A word as a command line of a unit reads it (`systemd.service(5)`).
fn unit_word(word: &str) -> String {
    let told = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    let quoted =
        word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"\\;".contains(c));
    if quoted { format!("\"{told}\"") } else { told }
}

/// The words of a command line of a unit, as [`unit_word`] writes them and as people do.
fn unit_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && quote.is_none() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => {
                if matches!(c, '%' | '$') && chars.peek() == Some(&c) {
                    chars.next();
                }
                word.get_or_insert_default().push(c);
            }
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        folder: tempfile::TempDir,
        places: Places,
    }

    impl Machine {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            let places = Places {
                runs: at("run"),
                units: vec![at("none"), at("etc"), at("lib")],
            };
            for name in ["etc", "lib/step.service.d", "root"] {
                durable::make_folders(&at(name), 0o755).unwrap();
            }
            Self { folder, places }
        }

        fn root(&self) -> PathBuf {
            self.folder.path().canonicalize().unwrap().join("root")
        }

        fn write(&self, name: &str, text: &str) {
            durable::write(&self.folder.path().join(name), text.as_bytes(), 0o644).unwrap();
        }

        fn lacks(&self) -> bool {
            lacks_recovery(&self.root(), &self.places)
        }
    }

    #[test]
    fn missed_only_where_systemd_runs() {
        let machine = Machine::new();
        assert!(!machine.lacks());
        durable::make_folders(&machine.places.runs, 0o755).unwrap();
        assert!(machine.lacks());
        let text = drop_in(Path::new("/usr/bin/lockstep"), &machine.root());
        for (name, found) in [
            ("etc/readme.txt", false),
            ("lib/step.service.d/lockstep.conf.old", false),
            ("lib/step.service.d/lockstep.conf", true),
            ("etc/step.service", true),
        ] {
            machine.write(name, &text);
            assert_eq!(!machine.lacks(), found, "{name}");
            folder::remove_file(&machine.folder.path().join(name)).unwrap();
        }
        assert!(machine.lacks());
    }

    #[test]
    fn which_lines_count() {
        let machine = Machine::new();
        durable::make_folders(&machine.places.runs, 0o755).unwrap();
        let root = machine.root().display().to_string();
        std::os::unix::fs::symlink(machine.root(), machine.folder.path().join("alias")).unwrap();
        let alias = machine.folder.path().join("alias").display().to_string();
        for (line, found) in [
            (
                format!("ExecStartPre=/b/lockstep recover --before-start --root {root}"),
                true,
            ),
            (
                format!("ExecStartPre = +/b/lockstep recover --root={root} --before-start"),
                true,
            ),
            (
                format!("ExecStartPre=/b/lockstep recover --before-start --root {root}/"),
                true,
            ),
            (
                format!("ExecStartPre=/b/lockstep recover --before-start --root {alias}"),
                true,
            ),
            (
                format!("ExecStartPre=/b/lockstep recover \\\n  --before-start --root '{root}'"),
                true,
            ),
            // Its failure would be ignored.
            (
                format!("ExecStartPre=-/b/lockstep recover --before-start --root {root}"),
                false,
            ),
            (
                format!("#ExecStartPre=/b/lockstep recover --before-start --root {root}"),
                false,
            ),
            (
                format!("ExecStartPost=/b/lockstep recover --before-start --root {root}"),
                false,
            ),
            (
                format!("ExecStartPre=/b/lockstep recover --root {root}"),
                false,
            ),
            (
                format!("ExecStartPre=/b/lockstep recover --before-start --root {root}2"),
                false,
            ),
            (
                "ExecStartPre=/b/lockstep recover --before-start".to_owned(),
                false,
            ),
        ] {
            machine.write(
                "etc/step.service",
                &format!("[Service]\n{line}\nType=simple\n"),
            );
            assert_eq!(!machine.lacks(), found, "{line}");
        }
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        let words = ["/opt/a b", "100%", "$HOME", "it's", "q\"\\", "", "plain"];
        let line = words.map(unit_word).join("  ");
        assert_eq!(unit_words(&line), words);
        assert_eq!(unit_words("'a b'\"c\" d"), ["a bc", "d"]);
        assert_eq!(
            drop_in(Path::new("/usr/bin/lockstep"), Path::new("/opt/my 50%")),
            "[Service]\nExecStartPre=/usr/bin/lockstep recover --before-start --root \"/opt/my 50%%\""
        );
    }
}
