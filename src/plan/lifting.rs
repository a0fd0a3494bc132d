//! What policy decides and an admin may lift: age, and versions that are lowered or removed.

use super::Component;
use super::resolve::downgrades;
use crate::model::patch::{Accepted, Downgrade, Patch};
use crate::model::site::{AGE_WARNING_DAYS, Policy, Rule};
use crate::model::snapshot::Snapshot;
use crate::model::{Refusal, RefusalName, Time};

/// What may not be lifted may not be typed either: a receipt must not claim it.
pub fn check_acceptable(accepted: &[Accepted], policy: &Policy) -> Result<(), Refusal> {
    let Some(wrong) = accepted
        .iter()
        .find(|accepted| !policy.may_accept(accepted.name))
    else {
        return Ok(());
    };
    let may: Vec<&str> = RefusalName::ALL
        .into_iter()
        .filter(|name| policy.may_accept(*name))
        .map(RefusalName::word)
        .collect();
    Err(Refusal::new(
        RefusalName::Usage,
        "this refusal cannot be lifted by --accept here",
    )
    .value("asked for", wrong.name)
    .value(
        "policy allows",
        if may.is_empty() {
            "none".to_owned()
        } else {
            may.join(", ")
        },
    )
    .next("leave it out; what the patch is refused for then says what to do"))
}

/// Whether the admin lifts a refusal that policy leaves to him.
#[must_use]
pub fn lifts(policy: &Policy, accepted: &[Accepted], name: RefusalName) -> bool {
    policy.may_accept(name) && accepted.iter().any(|accepted| accepted.name == name)
}

/// Policy, and what the admin accepts.
pub(super) struct Lifting<'a> {
    pub(super) policy: &'a Policy,
    pub(super) accepted: &'a [Accepted],
}

impl Lifting<'_> {
    fn lifts(&self, name: RefusalName) -> bool {
        lifts(self.policy, self.accepted, name)
    }

    pub(super) fn check_age(
        &self,
        snapshot: &Snapshot,
        now: Time,
    ) -> Result<Option<String>, Refusal> {
        let age = now.days_since(snapshot.created);
        if let Some(limit) = self.policy.age_limit_days
            && age > limit
            && !self.lifts(RefusalName::TooOld)
        {
            return Err(too_old(age, limit));
        }
        Ok((age >= AGE_WARNING_DAYS)
            .then(|| format!("the snapshot of this patch is {age} days old")))
    }

    /// What is lowered or removed must be stated in the patch, and allowed.
    pub(super) fn check_downgrades(
        &self,
        patch: &Patch,
        before: &[Component],
        after: &[Component],
    ) -> Result<(), Refusal> {
        let found = downgrades(before, after);
        if found != patch.downgrades {
            return Err(Refusal::new(
                RefusalName::Downgrade,
                "the patch does not state which versions it lowers or removes",
            )
            .value("it states", list(&patch.downgrades))
            .value("it does", list(&found))
            .next("prepare the patch again: lockstep prepare"));
        }
        check_downgrade_allowed(&found, self.policy, self.lifts(RefusalName::Downgrade))
    }
}

/// The refusal of a snapshot past the policy's age limit.
#[must_use]
pub fn too_old(age: u64, limit: u64) -> Refusal {
    Refusal::new(
        RefusalName::TooOld,
        "the snapshot is older than the site's policy allows",
    )
    .value("age", format!("{age} days"))
    .value("policy allows", format!("{limit} days"))
    .next("take a new snapshot: lockstep snapshot (or --accept too-old --reason TEXT)")
}

/// Refuses downgrades unless policy allows them or somebody accepted them.
pub fn check_downgrade_allowed(
    found: &[Downgrade],
    policy: &Policy,
    accepted: bool,
) -> Result<(), Refusal> {
    if found.is_empty() || policy.downgrade == Rule::Allow || accepted {
        return Ok(());
    }
    let mut refusal = Refusal::new(
        RefusalName::Downgrade,
        "versions would be lowered or components removed",
    );
    for downgrade in found {
        let to = downgrade
            .to
            .as_ref()
            .map_or("removed".to_owned(), ToString::to_string);
        refusal = refusal
            .value(
                "installed",
                format!("{} {}", downgrade.component, downgrade.from),
            )
            .value("afterwards", to);
    }
    Err(refusal.next("ask for other recipes, or add --accept downgrade --reason TEXT"))
}

fn list(downgrades: &[Downgrade]) -> String {
    let texts: Vec<String> = downgrades.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}
