//! What is left to do for a change that readers do not see yet, in words.

use crate::release::Standing;

/// What became of what was published.
pub(super) fn verb(standing: &Standing) -> &'static str {
    match standing {
        Standing::Force => "published",
        Standing::Offered(_) => "signed, to be taken in by the repository's owner:",
        Standing::Waiting(_) => "laid aside, until others have signed:",
    }
}

/// The lines that say what is missing and what comes next; nothing where it is in force.
pub(super) fn next(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Force => None,
        Standing::Offered(role) => Some(format!(
            "  next     hand this folder to the repository's owner, who types: lockstep publish renew --repository DIR --keys DIR --take {role}=FOLDER"
        )),
        Standing::Waiting(missing) => {
            let lines = missing.iter().map(|(role, tally)| {
                format!(
                    "  waits    {role} has {} of {} signatures: lockstep publish sign --role {role}\n",
                    tally.have, tally.threshold
                )
            });
            Some(
                lines.collect::<String>()
                    + "  next     once all have signed, type this same command again; readers see nothing of it before",
            )
        }
    }
}
