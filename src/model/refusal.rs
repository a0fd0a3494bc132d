//! Refusals: the one table of what is refused, with exit code, and the shape of the message.
//!
//! Every way a command can end other than well is a [`RefusalName`]; the exit code follows from it
//! in one exhaustive match, and `docs/refusals.md` is tested against [`RefusalName::ALL`].

use std::fmt;
use std::str::FromStr;

use super::text::Escaped;
use super::wire::string_serde;

/// Who may lift a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiftedBy {
    /// Nobody.
    Nothing,
    /// `--accept NAME --reason TEXT`.
    Accept,
    /// The site's policy.
    Policy,
    /// Either.
    AcceptOrPolicy,
}

impl LiftedBy {
    /// As it stands in the table of the documentation.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Accept => "`--accept`",
            Self::Policy => "policy",
            Self::AcceptOrPolicy => "`--accept` or policy",
        }
    }
}

/// Every way to end that is not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "RefusalName::meaning says it, where the documentation reads it too"
)]
pub enum RefusalName {
    Internal,
    Usage,
    NothingToDo,
    WrongEnvironment,
    WrongMachine,
    AlreadyApplied,
    Stale,
    TooOld,
    Superseded,
    Downgrade,
    Forked,
    NotEnrolled,
    BadSignature,
    VendorUntrusted,
    Corrupt,
    NotApproved,
    Expired,
    UnsupportedFormat,
    UntrustedSigner,
    Conflict,
    Unsatisfiable,
    NotHot,
    NoSpace,
    NoMemory,
    MixedCluster,
    Busy,
    NotPermitted,
    Incomplete,
    Interrupted,
    ServiceFailed,
    RolledBack,
    NeedsRecovery,
    AppliedUnfinished,
    Unreachable,
}

impl RefusalName {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 34] = [
        Self::Internal,
        Self::Usage,
        Self::NothingToDo,
        Self::WrongEnvironment,
        Self::WrongMachine,
        Self::AlreadyApplied,
        Self::Stale,
        Self::TooOld,
        Self::Superseded,
        Self::Downgrade,
        Self::Forked,
        Self::NotEnrolled,
        Self::BadSignature,
        Self::VendorUntrusted,
        Self::Corrupt,
        Self::NotApproved,
        Self::Expired,
        Self::UnsupportedFormat,
        Self::UntrustedSigner,
        Self::Conflict,
        Self::Unsatisfiable,
        Self::NotHot,
        Self::NoSpace,
        Self::NoMemory,
        Self::MixedCluster,
        Self::Busy,
        Self::NotPermitted,
        Self::Incomplete,
        Self::Interrupted,
        Self::ServiceFailed,
        Self::RolledBack,
        Self::NeedsRecovery,
        Self::AppliedUnfinished,
        Self::Unreachable,
    ];

    /// The name as it is printed, typed after `--accept` and written into policy.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.row().0
    }

    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.row().1
    }

    /// Who may lift it.
    #[must_use]
    pub const fn lifted_by(self) -> LiftedBy {
        self.row().2
    }

    /// One sentence for the documentation.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        self.row().3
    }

    /// Whether `--accept` can lift it where policy does not forbid that.
    #[must_use]
    pub const fn acceptable(self) -> bool {
        matches!(
            self.lifted_by(),
            LiftedBy::Accept | LiftedBy::AcceptOrPolicy
        )
    }

    #[rustfmt::skip]
    const fn row(self) -> (&'static str, u8, LiftedBy, &'static str) {
        use LiftedBy::{Accept, AcceptOrPolicy, Nothing, Policy};
        match self {
            Self::Internal => ("internal-error", 1, Nothing, "something that should not happen, or the operating system failed"),
            Self::Usage => ("usage", 2, Nothing, "the command line, or a file named on it, is not what the command takes"),
            Self::NothingToDo => ("nothing-to-do", 3, Nothing, "what was asked for is so already"),
            Self::WrongEnvironment => ("wrong-environment", 10, Nothing, "the file was made for, or by, another environment or node"),
            Self::WrongMachine => ("wrong-machine", 11, Nothing, "the environment was copied, moved or restored"),
            Self::AlreadyApplied => ("already-applied", 12, Nothing, "this very patch was applied before"),
            Self::Stale => ("stale", 13, Nothing, "the installation is not in the state that the patch was made for"),
            Self::TooOld => ("too-old", 14, AcceptOrPolicy, "the snapshot is older than policy allows"),
            Self::Superseded => ("superseded", 15, Nothing, "the desk knows a later receipt of this node"),
            Self::Downgrade => ("downgrade", 16, AcceptOrPolicy, "a version would be lowered or a component removed"),
            Self::Forked => ("forked", 17, Accept, "the node has signed two different statements with one sequence number"),
            Self::NotEnrolled => ("not-enrolled", 18, Nothing, "the desk does not know this node, or knows it with another key"),
            Self::BadSignature => ("bad-signature", 20, Nothing, "a signature is missing or does not fit the bytes it stands for"),
            Self::VendorUntrusted => ("vendor-untrusted", 21, Nothing, "the vendor's metadata does not lead from the site's root to these recipes"),
            Self::Corrupt => ("corrupt", 22, Nothing, "the file is not one that this program could have written"),
            Self::NotApproved => ("not-approved", 23, Nothing, "policy asks for more approvals than there are"),
            Self::Expired => ("expired", 24, Accept, "vendor metadata has expired"),
            Self::UnsupportedFormat => ("unsupported-format", 25, Nothing, "the file needs another version of this program"),
            Self::UntrustedSigner => ("untrusted-signer", 26, Nothing, "the signature is good, but the site does not trust its key for this"),
            Self::Conflict => ("conflict", 30, Policy, "a file in the way is the customer's own"),
            Self::Unsatisfiable => ("unsatisfiable", 31, Nothing, "the components asked for do not fit together or with what is installed"),
            Self::NotHot => ("not-hot", 32, Nothing, "the change cannot be made while the service runs"),
            Self::NoSpace => ("no-space", 33, Nothing, "a file system has too few bytes or inodes"),
            Self::NoMemory => ("no-memory", 33, Nothing, "the patch declares more memory than it is given"),
            Self::MixedCluster => ("mixed-cluster", 34, Policy, "the nodes of the environment would not be alike"),
            Self::Busy => ("busy", 35, Nothing, "another command is at work on this environment or desk"),
            Self::NotPermitted => ("not-permitted", 36, Nothing, "this user may not change, or not read, what must be"),
            Self::Incomplete => ("incomplete", 37, Nothing, "the file is cut short, or a volume is missing"),
            Self::Interrupted => ("interrupted", 38, Nothing, "it was ended from outside before anything was changed"),
            Self::ServiceFailed => ("service-failed", 39, Nothing, "the product's service did not stop, or not start after a recovery; the files are all of one version"),
            Self::RolledBack => ("rolled-back", 40, Nothing, "the change was made and undone again; the old state runs"),
            Self::NeedsRecovery => ("needs-recovery", 41, Nothing, "a change was interrupted and must be recovered first"),
            Self::AppliedUnfinished => ("applied-unfinished", 42, Nothing, "the new state stands; a later step is left to do"),
            Self::Unreachable => ("unreachable", 50, Nothing, "a server did not answer"),
        }
    }
}

impl fmt::Display for RefusalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A text that names no refusal.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the name of a refusal, such as too-old")]
pub struct RefusalNameError(String);

impl FromStr for RefusalName {
    type Err = RefusalNameError;

    fn from_str(text: &str) -> Result<Self, RefusalNameError> {
        Self::ALL
            .into_iter()
            .find(|name| name.word() == text)
            .ok_or_else(|| RefusalNameError(text.chars().take(40).collect()))
    }
}

string_serde!(RefusalName);

/// A refusal with all that a person needs: what, both values, what was not changed, what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which one.
    pub name: RefusalName,
    /// What happened: lower case, no full stop.
    pub what: String,
    /// The values that differ, each with its label, the file's side first.
    pub values: Vec<(String, String)>,
    /// What is untouched.
    pub unchanged: String,
    /// The next command to type, or the next thing to do.
    pub next: String,
}

impl Refusal {
    /// A refusal that changed nothing.
    #[must_use]
    pub fn new(name: RefusalName, what: impl Into<String>) -> Self {
        Self {
            name,
            what: what.into(),
            values: Vec::new(),
            unchanged: "nothing was changed".to_owned(),
            next: String::new(),
        }
    }

    /// Adds a value under its label.
    #[must_use]
    pub fn value(mut self, label: &str, value: impl fmt::Display) -> Self {
        self.values.push((
            Escaped(label).to_string(),
            Escaped(&value.to_string()).to_string(),
        ));
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// Says what was left as it is, where "nothing was changed" does not fit.
    #[must_use]
    pub fn unchanged(mut self, what: impl Into<String>) -> Self {
        self.unchanged = what.into();
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({}): {}",
            self.name,
            self.name.code(),
            Escaped(&self.what)
        )?;
        let width = self
            .values
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0)
            .max(9);
        for (label, value) in &self.values {
            writeln!(f, "  {label:width$}  {value}")?;
        }
        write!(f, "  {:width$}  {}", "unchanged", Escaped(&self.unchanged))?;
        if !self.next.is_empty() {
            write!(
                f,
                "
  {:width$}  {}",
                "next",
                Escaped(&self.next)
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// As `--json` has it, alone or in a list.
impl serde::Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut document = serializer.serialize_struct("Refusal", 6)?;
        document.serialize_field("refusal", self.name.word())?;
        document.serialize_field("exit", &self.name.code())?;
        document.serialize_field("what", &self.what)?;
        document.serialize_field("values", &self.values)?;
        document.serialize_field("unchanged", &self.unchanged)?;
        document.serialize_field("next", &self.next)?;
        document.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for name in RefusalName::ALL {
            assert_eq!(name.word().parse::<RefusalName>().unwrap(), name);
        }
        let mut words: Vec<_> = RefusalName::ALL.iter().map(|name| name.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), RefusalName::ALL.len());
    }

    #[test]
    fn the_message_carries_everything() {
        let text = Refusal::new(
            RefusalName::WrongEnvironment,
            "this patch is for another environment",
        )
        .value("made for", "PROD-EU")
        .value("this is", "TEST\u{1b}[2J")
        .next("lockstep apply TEST-0001.patch.spr")
        .to_string();
        assert_eq!(
            text,
            "wrong-environment (10): this patch is for another environment\n  \
             made for   PROD-EU\n  this is    TEST\\u{1b}[2J\n  \
             unchanged  nothing was changed\n  next       lockstep apply TEST-0001.patch.spr"
        );
    }
}
