//! A receipt, line by line: what a node says that it did.

use super::{Lines, site_ref};
use crate::model::receipt::Receipt;
use crate::model::text::{Escaped, seconds};

/// All that it says.
pub(super) fn receipt(r: &Receipt) -> Lines {
    let mut lines = vec![
        (
            "environment",
            format!("{} ({})", r.environment.name, r.environment.id),
        ),
        (
            "node",
            format!("{} {}", r.node.name, r.node.key.fingerprint()),
        ),
        ("action", r.action.word().to_owned()),
        ("created", r.created.to_string()),
        ("operator", Escaped(&r.operator).to_string()),
        ("sequence", r.sequence.to_string()),
        ("site", site_ref(&r.site)),
    ];
    lines.extend(r.changes.iter().map(|c| ("change", c.to_string())));
    lines.push((
        "files",
        format!(
            "{} added, {} changed, {} removed",
            r.files.added, r.files.changed, r.files.removed
        ),
    ));
    lines.extend(r.kept.iter().map(|path| ("config", format!("{path} kept"))));
    lines.push((
        "took",
        format!(
            "staging {}, downtime {} ms, of it exchange {} ms",
            seconds(r.staging_ms),
            r.downtime_ms,
            r.exchange_ms
        ),
    ));
    if let Some(failure) = &r.failure {
        let step = failure.step.word();
        lines.push(("service", format!("{step}: {}", Escaped(&failure.ended))));
        let output = failure.output.lines();
        lines.extend(output.map(|line| ("printed", Escaped(line).to_string())));
    }
    if let Some(rehome) = &r.rehome {
        let former = &rehome.former;
        let key = former.node.key.fingerprint();
        lines.push((
            "rehomed",
            format!("{}: {}", rehome.how.word(), Escaped(&rehome.reason)),
        ));
        lines.push((
            "former",
            format!(
                "{} ({}), node {} {key}, sequence {}",
                former.environment.name, former.environment.id, former.node.name, former.sequence
            ),
        ));
    }
    lines.extend(r.restored.map(|n| ("restored", format!("generation {n}"))));
    lines.extend(r.patch.map(|patch| ("patch", patch.to_string())));
    lines.extend(r.preparer.iter().map(|p| ("prepared", format!("by {p}"))));
    lines.extend(r.approvals.iter().map(|p| ("approved", format!("by {p}"))));
    lines.extend(
        r.accepted
            .iter()
            .map(|a| ("accepted", format!("{}: {}", a.name, Escaped(&a.reason)))),
    );
    lines.extend(r.before.map(|before| ("state", format!("{before} before"))));
    lines.push(("state", format!("{} afterwards", r.after)));
    lines.extend(
        r.previous
            .map(|previous| ("previous", previous.to_string())),
    );
    lines
}
