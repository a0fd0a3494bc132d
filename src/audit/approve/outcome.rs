//! What an approver is shown before the signature, and told after it.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::model::text::{Escaped, Shown, path_as_text, shell_word};
use crate::model::{PublicKey, Refusal};
use crate::plan::change::components;
use crate::trust::patch::Chosen;

use super::reading::Head;

/// What a patch does, as its statement says. Every text from it is escaped.
#[derive(Debug, Serialize)]
pub struct Proposal {
    /// For which environment.
    pub environment: String,
    /// SHA-256 of `patch.json`, which is signed.
    pub patch: String,
    /// When it was prepared, and by when it is to be applied.
    pub times: String,
    /// What changes on each node, from which version to which.
    pub changes: Vec<String>,
    /// What is installed afterwards.
    pub target: Vec<String>,
    /// Versions lowered and components removed.
    pub downgrades: Vec<String>,
    /// Refusals that the preparer lifted, with reasons.
    pub accepted: Vec<String>,
    /// Who prepared it, and what is known of that.
    pub preparer: String,
    /// The site file that it rests on.
    pub site: String,
}

/// Who has approved, by the site file that was named.
#[derive(Debug, Serialize)]
pub struct Count {
    /// Whose approval this is.
    pub approver: String,
    /// Who has approved with it.
    pub people: Vec<String>,
    /// How many people policy asks for.
    pub needed: u64,
    /// How many of them are missing.
    pub missing: u64,
}

/// What was approved.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The signature file.
    #[serde(serialize_with = "path_as_text")]
    pub signature: PathBuf,
    /// What was shown before it.
    #[serde(flatten)]
    pub proposal: Proposal,
    /// The key that signed.
    pub fingerprint: String,
    /// Who has approved; nothing where no site file was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
}

impl Proposal {
    pub(super) fn of(
        head: &Head,
        preparer: &PublicKey,
        under: Option<&Chosen>,
    ) -> Result<Self, Refusal> {
        let patch = &head.patch;
        let mut changes = Vec::new();
        for node in &patch.nodes {
            let before = head.snapshot(node)?.components;
            for change in components(&before, &patch.target) {
                changes.push(format!("{}: {change}", node.name));
            }
        }
        let key = preparer.fingerprint();
        Ok(Self {
            environment: format!("{} ({})", patch.environment.name, patch.environment.id),
            patch: head.raw.sha256().to_string(),
            times: format!(
                "{}, apply before {}",
                patch.created,
                patch.apply_before.date()
            ),
            changes,
            target: each(&patch.target, |c| {
                format!("{} {} (to:{})", c.name, c.version, c.path)
            }),
            downgrades: each(&patch.downgrades, ToString::to_string),
            accepted: each(&patch.accepted, |a| {
                format!("{}: {}", a.name, Escaped(&a.reason))
            }),
            preparer: match under {
                Some(under) => format!(
                    "{} {key}, good signature, trusted by the site",
                    under.preparer.principal
                ),
                None => format!("{key}, good signature; whether it is trusted: --site SITE.spr"),
            },
            site: match under {
                Some(under) => format!(
                    "{} version {}{}",
                    under.site.name,
                    under.site.version,
                    if under.newer_site {
                        ", which the patch brings"
                    } else {
                        ""
                    }
                ),
                None => format!("version {}, not checked", patch.site.version),
            },
        })
    }
}

fn each<T>(all: &[T], say: impl Fn(&T) -> String) -> Vec<String> {
    all.iter().map(say).collect()
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "to be approved, for environment {}", self.environment)?;
        writeln!(f, "  patch      {}", self.patch)?;
        writeln!(f, "  prepared   {}", self.times)?;
        writeln!(f, "  preparer   {}", self.preparer)?;
        writeln!(f, "  site       {}", self.site)?;
        for (label, lines) in [
            ("change", &self.changes),
            ("afterwards", &self.target),
            ("downgrade", &self.downgrades),
            ("accepted", &self.accepted),
        ] {
            for line in lines {
                writeln!(f, "  {label:<9}  {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "approved for environment {}", self.proposal.environment)?;
        writeln!(f, "  patch      {}", self.proposal.patch)?;
        writeln!(f, "  key        {}", self.fingerprint)?;
        writeln!(f, "  signature  {}", Shown(&self.signature))?;
        let typed = shell_word(&self.signature.to_string_lossy());
        let apply = format!("lockstep apply PATCH.spr --approval {}", Escaped(&typed));
        let Some(count) = &self.count else {
            return write!(f, "  next       carry it beside the patch, or: {apply}");
        };
        writeln!(f, "  approver   {}", count.approver)?;
        let people = count.people.join(", ");
        writeln!(f, "  approvals  {people}; policy asks for {}", count.needed)?;
        match count.missing {
            0 => write!(f, "  next       carry it beside the patch, or: {apply}"),
            missing => write!(
                f,
                "  next       {missing} more person(s) must approve: lockstep approve FILE --key KEY"
            ),
        }
    }
}
