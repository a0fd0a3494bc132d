//! The node's own rules, `.lockstep/node.toml`: which files nobody looks at, which are private, and
//! how the product is stopped and started ([`service`]).
//!
//! The file is the administrator's. It is read by this host alone; a snapshot carries its digest,
//! so that a change of it is seen. A mistake in it is refused with the line, never passed over.

pub mod service;

use serde::Deserialize;

use self::service::{ServiceFile, ServiceRules};
use super::state::StateStore;
use super::{DiskError, durable};
use crate::model::glob::PathGlobs;
use crate::model::{Sha256, TreePath};

/// Largest rules file, in bytes.
const RULES_MAX: u64 = 256 * 1024;
/// The file's name in the node's state folder.
const FILE: &str = "node.toml";

/// What `init` writes, before what it says of the service. The private patterns are what servers written in Java keep settings, keys
/// and passwords in.
pub const FIRST: &str = r#"# Rules of this node. Only this host reads them.
# Globs over paths below the root: * within one name, ** across folders.

# Files that no component owns and nobody should look at: not listed, not counted. A component's
# own file is looked at all the same.
ignore = []

# Files that no component owns and whose digests never leave this host; config files of components
# do not either. A full snapshot tells of them only whether they are still the same. Upper and lower
# case are alike here.
private = [
    "**/*.properties*", "**/*.conf*", "**/*.cfg*", "**/*.ini*", "**/*.env*", "**/*.yaml*", "**/*.yml*",
    "**/*.xml*", "**/*.json*", "**/*.toml*", "**/*.sh*", "**/*.sql*", "**/*.ora*", "**/*.sso*",
    "**/*.pem*", "**/*.key*", "**/*.der*", "**/*.crt*", "**/*.jks*", "**/*.p12*", "**/*.pfx*",
    "**/*.keystore*", "**/*.truststore*", "**/*passw*", "**/*secret*", "**/*credential*",
    "**/id_*", "**/.ssh/**", "**/conf/**", "**/config/**", "**/etc/**",
]
"#;

/// The rules as read.
#[derive(Debug, Default)]
pub struct NodeRules {
    ignore: PathGlobs,
    private: PathGlobs,
    service: Option<ServiceRules>,
    sha256: Option<Sha256>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Text {
    ignore: Vec<String>,
    private: Vec<String>,
    service: Option<ServiceRules>,
}

impl NodeRules {
    /// Whether a path that nobody owns is passed over.
    #[must_use]
    pub fn ignores(&self, path: &TreePath) -> bool {
        self.ignore.matches(path)
    }

    /// Whether the digest of what stands there stays on this host.
    #[must_use]
    pub fn keeps_private(&self, path: &TreePath) -> bool {
        self.private.matches(path)
    }

    /// How the product is stopped and started; nothing where the file does not say.
    #[must_use]
    pub const fn service(&self) -> Option<&ServiceRules> {
        self.service.as_ref()
    }

    /// SHA-256 of the file; nothing where there is none.
    #[must_use]
    pub const fn sha256(&self) -> Option<Sha256> {
        self.sha256
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        let text: Text = toml::from_str(text).map_err(|e| located(text, &e))?;
        let globs = |globs: &[String]| PathGlobs::new(globs).map_err(|e| e.to_string());
        Ok(Self {
            ignore: globs(&text.ignore)?,
            private: globs(&text.private)?.case_blind(),
            service: text.service,
            sha256: Some(Sha256::of(bytes)),
        })
    }
}

/// A mistake in a text, with its line.
fn located(text: &str, mistake: &toml::de::Error) -> String {
    let before = mistake.span().and_then(|span| text.get(..span.start));
    let index = before.map_or(0, |before| before.matches('\n').count());
    let shown = text.lines().nth(index).unwrap_or_default().trim();
    let (line, why) = (
        index.saturating_add(1),
        mistake.message().replace('\n', " "),
    );
    format!("line {line} ({shown}): {why}")
}

/// The rules that a node starts with.
fn first(service: Option<&ServiceFile>) -> String {
    format!("{FIRST}{}", service::section(service))
}

impl StateStore {
    /// The node's rules; none where the file is missing.
    pub fn rules(&self) -> Result<NodeRules, DiskError> {
        let path = self.folder().join(FILE);
        let Some(bytes) = durable::read_if_there(&path, RULES_MAX)? else {
            return Ok(NodeRules::default());
        };
        NodeRules::parse(&bytes).map_err(|reason| DiskError::Rules { path, reason })
    }

    /// Writes the rules that a node starts with, and with them how its product is stopped and
    /// started, where that was named.
    pub fn write_first_rules(&self, service: Option<&ServiceFile>) -> Result<(), DiskError> {
        durable::write(&self.folder().join(FILE), first(service).as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Refusal, RefusalName};

    fn path_of(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_rules_keep_secrets_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        assert_eq!(store.rules().unwrap().sha256(), None);
        store.write_first_rules(None).unwrap();
        let rules = store.rules().unwrap();
        for private in [
            "conf/a.properties",
            "sharedconfig.properties",
            "x/y/.env",
            "k.pem",
        ] {
            assert!(rules.keeps_private(&path_of(private)), "{private}");
        }
        assert!(!rules.keeps_private(&path_of("lib/core.jar")));
        assert!(!rules.ignores(&path_of("lib/core.jar")));
        assert_eq!(rules.service(), None);
        let text = durable::read(&folder.path().join(FILE), RULES_MAX).unwrap();
        assert_eq!(rules.sha256(), Some(Sha256::of(&text)));
    }

    #[test]
    fn a_mistake_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        for (text, word) in [
            ("ignore = 1", "ignore"),
            ("ignored = []", "ignored"),
            ("ignore = [\"a**b\"]", "a**b"),
            ("ignore = [", "line 1"),
        ] {
            durable::write(&folder.path().join(FILE), text.as_bytes(), 0o600).unwrap();
            let refusal = Refusal::from(store.rules().unwrap_err());
            assert_eq!(refusal.name, RefusalName::Usage, "{text}");
            assert!(refusal.what.contains(word), "{refusal}");
        }
    }

    /// What the comment of the first rules and `init --help` show can be used as it is.
    #[test]
    fn the_tables_that_are_shown_are_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tables");
        durable::write(&path, service::TABLES.as_bytes(), 0o600).unwrap();
        let file = ServiceFile::read(&path).unwrap();
        let store = StateStore::at(folder.path().to_owned());
        store.write_first_rules(Some(&file)).unwrap();
        let rules = store.rules().unwrap();
        let service = rules.service().unwrap();
        assert_eq!(service, file.rules());
        assert_eq!(service.stop.to_string(), "sudo -n systemctl stop PRODUCT");
        assert_eq!((service.stop.seconds, service.start.seconds), (120, 300));
        assert!(service.health.is_some() && service.running.is_some());
        assert!(rules.keeps_private(&path_of("k.pem")));
        let commented = first(None).replace(service::TABLES, "");
        for line in service::TABLES.lines().filter(|line| !line.is_empty()) {
            assert!(commented.contains(&format!("\n# {line}\n")), "{line}");
        }
    }

    #[test]
    fn a_file_of_commands_has_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.toml");
        for (text, words) in [
            (
                format!("ignore = []\n{STOP}{START}"),
                "line 1 (ignore = [])",
            ),
            (STOP.to_owned(), "no [service.start]"),
            (String::new(), "service"),
            ("[service".to_owned(), "line 1"),
        ] {
            durable::write(&path, text.as_bytes(), 0o600).unwrap();
            let refusal = Refusal::from(ServiceFile::read(&path).unwrap_err());
            assert_eq!(refusal.name, RefusalName::Usage, "{text}");
            for word in [words, "service.toml"] {
                assert!(refusal.what.contains(word), "{refusal}");
            }
        }
        // As it may also be written, and still below the other rules of the first file.
        let inline = "service.stop = { command = [\"a\"], seconds = 1 }\n\
                      service.start = { command = [\"b\"], seconds = 1 }\n";
        durable::write(&path, inline.as_bytes(), 0o600).unwrap();
        assert_eq!(ServiceFile::read(&path).unwrap().rules().start.seconds, 1);
    }

    const STOP: &str = "[service.stop]\ncommand = [\"a\"]\nseconds = 1\n";
    const START: &str = "[service.start]\ncommand = [\"b\", \"c d\"]\nseconds = 86400\n";

    #[test]
    fn a_service_is_stop_and_start_and_perhaps_more() {
        let rules = NodeRules::parse(format!("{STOP}{START}").as_bytes()).unwrap();
        let service = rules.service().unwrap();
        assert_eq!(service.stop.command, ["a"]);
        assert_eq!(service.start.to_string(), "b 'c d'");
        assert_eq!(service.start.seconds, 86_400);
        assert_eq!((&service.health, &service.running), (&None, &None));
    }

    #[test]
    fn a_mistake_in_a_service_is_told_with_its_line() {
        let health = |text: &str| format!("{STOP}{START}[service.health]\n{text}\n");
        for (text, words) in [
            (STOP.to_owned(), "no [service.start]"),
            (START.to_owned(), "no [service.stop]"),
            ("[service]\n".to_owned(), "are needed"),
            ("service = 1\n".to_owned(), "line 1 (service = 1)"),
            (format!("{STOP}{START}[service.restart]\n"), "restart"),
            (format!("{STOP}{STOP}"), "line 4"),
            (
                health("command = []\nseconds = 1"),
                "line 7 ([service.health]): command is empty",
            ),
            (health("command = [\"\"]\nseconds = 1"), "command is empty"),
            (health("command = [\"a\", \"\\u0000\"]\nseconds = 1"), "NUL"),
            (health("command = \"a b\"\nseconds = 1"), "line 8"),
            (health("command = [\"a\"]"), "seconds"),
            (health("seconds = 1"), "command"),
            (health("command = [\"a\"]\nseconds = 0"), "seconds is 0"),
            (health("command = [\"a\"]\nseconds = -1"), "line 9"),
            (health("command = [\"a\"]\nseconds = 86401"), "86401"),
            (
                health("command = [\"a\"]\nseconds = 1\nshell = true"),
                "shell",
            ),
        ] {
            let told = NodeRules::parse(text.as_bytes()).unwrap_err();
            assert!(
                told.starts_with("line ") && told.contains(words),
                "{text}: {told}"
            );
        }
    }
}
