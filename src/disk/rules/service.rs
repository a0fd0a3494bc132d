//! The tables `[service.*]` of `node.toml`: how the product is stopped, started and asked.
//!
//! A command is a list of arguments and is never given to a shell; how long it may take is in whole
//! seconds. Stop and start are named both or not at all: half a service is a product that is down.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::{NodeRules, first, located};
use crate::disk::{DiskError, durable};
use crate::model::text::{Escaped, shell_word};

/// Largest file of commands, in bytes.
const FILE_MAX: u64 = 64 * 1024;
/// The longest that a command may be given, in seconds: a day.
const SECONDS_MAX: u64 = 86_400;
/// Most arguments of a command, the program included.
const ARGUMENTS_MAX: usize = 256;

/// The tables as somebody would write them: `init --help` shows them, and the first `node.toml` of a
/// node without them.
pub const TABLES: &str = r#"[service.stop]
command = ["sudo", "-n", "systemctl", "stop", "PRODUCT"]
seconds = 120

[service.start]
command = ["sudo", "-n", "systemctl", "start", "PRODUCT"]
seconds = 300

# May be left out. Asked again every second after the start, until it ends with 0 or the seconds are over.
[service.health]
command = ["curl", "-fsS", "--max-time", "10", "http://127.0.0.1:8080/health"]
seconds = 300

# May be left out. Ends with 0 while the product runs; without it the product is taken to run.
[service.running]
command = ["systemctl", "is-active", "--quiet", "PRODUCT"]
seconds = 10
"#;

/// A command with its time limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "CommandText")]
pub struct ServiceCommand {
    /// The program and its arguments; there is at least the program.
    pub command: Vec<String>,
    /// How long it may take, in seconds.
    pub seconds: u64,
}

/// How the product is stopped, started and asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ServiceText")]
pub struct ServiceRules {
    /// Stops it.
    pub stop: ServiceCommand,
    /// Starts it.
    pub start: ServiceCommand,
    /// Ends with 0 once it is well.
    pub health: Option<ServiceCommand>,
    /// Ends with 0 while it runs.
    pub running: Option<ServiceCommand>,
}

/// A file of these tables and nothing else, that `init` is given.
#[derive(Debug)]
pub struct ServiceFile {
    rules: ServiceRules,
    text: String,
}

impl ServiceFile {
    /// Reads it. What is refused in it would be refused in `node.toml` as well.
    pub fn read(path: &Path) -> Result<Self, DiskError> {
        let bytes = durable::read(path, FILE_MAX)?;
        Self::parse(bytes).map_err(|reason| DiskError::ServiceFile {
            path: path.to_owned(),
            reason,
        })
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
        let FileText { service } = toml::from_str(&text).map_err(|e| located(&text, &e))?;
        let file = Self {
            rules: service,
            text,
        };
        NodeRules::parse(first(Some(&file)).as_bytes())?;
        Ok(file)
    }

    /// What it says.
    #[must_use]
    pub fn rules(&self) -> &ServiceRules {
        &self.rules
    }
}

/// What a first `node.toml` says of the service: the file's own text, or the tables as a comment.
pub(super) fn section(file: Option<&ServiceFile>) -> String {
    match file {
        Some(file) => format!(
            "\n# How the product is stopped and started around a change.\n{}",
            file.text
        ),
        None => TABLES
            .lines()
            .fold(UNNAMED.to_owned(), |text, line| match line {
                "" => format!("{text}#\n"),
                line => format!("{text}# {line}\n"),
            }),
    }
}

/// How a first `node.toml` without a service introduces [`TABLES`].
const UNNAMED: &str = "
# How the product is stopped and started around a change, as argument lists without a shell, with the
# seconds that each may take. They run as the operator, in the root. Without these tables, somebody
# stops and starts the product by hand.
#
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    service: ServiceRules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandText {
    command: Vec<String>,
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceText {
    stop: Option<ServiceCommand>,
    start: Option<ServiceCommand>,
    health: Option<ServiceCommand>,
    running: Option<ServiceCommand>,
}

impl TryFrom<CommandText> for ServiceCommand {
    type Error = String;

    fn try_from(text: CommandText) -> Result<Self, String> {
        let CommandText { command, seconds } = text;
        if command.first().is_none_or(String::is_empty) {
            return Err("command is empty: it is a program and its arguments".to_owned());
        }
        if command.len() > ARGUMENTS_MAX {
            return Err(format!(
                "command has {} arguments, {ARGUMENTS_MAX} are the most",
                command.len()
            ));
        }
        if command.iter().any(|word| word.contains('\0')) {
            return Err("command holds a NUL character, which no argument can".to_owned());
        }
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(format!(
                "seconds is {seconds}: it must be from 1 to {SECONDS_MAX}"
            ));
        }
        Ok(Self { command, seconds })
    }
}

impl TryFrom<ServiceText> for ServiceRules {
    type Error = String;

    fn try_from(text: ServiceText) -> Result<Self, String> {
        let missing = |has: &str, lacks: &str| {
            format!("there is a [service.{has}] but no [service.{lacks}]: both are needed")
        };
        match (text.stop, text.start) {
            (Some(stop), Some(start)) => Ok(Self {
                stop,
                start,
                health: text.health,
                running: text.running,
            }),
            (Some(_), None) => Err(missing("stop", "start")),
            (None, Some(_)) => Err(missing("start", "stop")),
            (None, None) => Err("[service.stop] and [service.start] are needed".to_owned()),
        }
    }
}

/// As it would be typed.
impl fmt::Display for ServiceCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.command.iter().map(|word| shell_word(word)).collect();
        write!(f, "{}", Escaped(&words.join(" ")))
    }
}
