//! The node's own rules, `.lockstep/node.toml`: which files nobody looks at, and which are private.
//!
//! The file is the administrator's. It is read by this host alone; a snapshot carries its digest,
//! so that a change of it is seen. A mistake in it is refused with the line, never passed over.

use serde::Deserialize;

use super::state::StateStore;
use super::{DiskError, durable};
use crate::model::recipe::PathGlobs;
use crate::model::{Sha256, TreePath};

/// Largest rules file, in bytes.
const RULES_MAX: u64 = 256 * 1024;
/// The file's name in the node's state folder.
const FILE: &str = "node.toml";

/// What `init` writes. The private patterns are what servers written in Java keep settings, keys
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
    sha256: Option<Sha256>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Text {
    ignore: Vec<String>,
    private: Vec<String>,
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

    /// SHA-256 of the file; nothing where there is none.
    #[must_use]
    pub const fn sha256(&self) -> Option<Sha256> {
        self.sha256
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        let text: Text = toml::from_str(text).map_err(|e| {
            let before = e.span().and_then(|span| text.get(..span.start));
            let index = before.map_or(0, |before| before.matches('\n').count());
            let shown = text.lines().nth(index).unwrap_or_default().trim();
            let (line, why) = (index.saturating_add(1), e.message().replace('\n', " "));
            format!("line {line} ({shown}): {why}")
        })?;
        let globs = |globs: &[String]| PathGlobs::new(globs).map_err(|e| e.to_string());
        Ok(Self {
            ignore: globs(&text.ignore)?,
            private: globs(&text.private)?.case_blind(),
            sha256: Some(Sha256::of(bytes)),
        })
    }
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

    /// Writes the rules that a node starts with.
    pub fn write_first_rules(&self) -> Result<(), DiskError> {
        durable::write(&self.folder().join(FILE), FIRST.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Refusal, RefusalName};

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_rules_keep_secrets_private() {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        assert_eq!(store.rules().unwrap().sha256(), None);
        store.write_first_rules().unwrap();
        let rules = store.rules().unwrap();
        for private in [
            "conf/a.properties",
            "sharedconfig.properties",
            "x/y/.env",
            "k.pem",
        ] {
            assert!(rules.keeps_private(&path(private)), "{private}");
        }
        assert!(!rules.keeps_private(&path("lib/core.jar")));
        assert!(!rules.ignores(&path("lib/core.jar")));
        assert_eq!(rules.sha256(), Some(Sha256::of(FIRST.as_bytes())));
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
}
