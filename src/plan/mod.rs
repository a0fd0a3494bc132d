//! Decisions without I/O: what fits together, what follows from it, what may happen.
//!
//! The way through this room, on the desk and again on the host: [`resolve`] turns what was asked
//! for into a set of components; [`tree`] turns components into the tree they own; [`change`]
//! compares two trees; [`admit`] lets a verified patch near a node; [`work`] turns changes and what
//! the scan found into files to stage and moves to make; [`fate`] is what they do to the customer's
//! own. [`way_back`] is the way to an earlier generation, which is then worked like any other change.
//! [`pins`] says which recipe a release means.
//! [`recovery`] decides what to do with moves that were interrupted. [`recognise`] finds out
//! what lies in an installation that nobody registered.

pub mod admit;
pub mod change;
pub mod claim;
pub mod content;
pub mod fate;
mod folders;
pub mod lifting;
mod live;
pub mod moved;
mod order;
pub mod pins;
pub mod recognise;
pub mod recovery;
pub mod resolve;
pub mod slots;
pub mod tree;
pub mod way_back;
pub mod work;

use std::sync::Arc;

use crate::model::recipe::Recipe;
use crate::model::snapshot::Installed;

/// A component as it is, or will be, installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Which one, from where.
    pub installed: Installed,
    /// Its publisher's description, shared by all who plan with it.
    pub recipe: Arc<Recipe>,
}

/// Why there is no way back from `target` once it has started: what recipes that are new in it say of
/// themselves; nothing where none does.
#[must_use]
pub fn one_way(installed: &[Installed], target: &[Component]) -> Option<String> {
    let is_new = |c: &&Component| installed.iter().all(|old| old.recipe != c.installed.recipe);
    let reasons: Vec<String> = target
        .iter()
        .filter(is_new)
        .filter_map(|c| {
            let why = c.recipe.one_way.as_ref()?;
            Some(format!(
                "{} {}: {why}",
                c.installed.name, c.installed.version
            ))
        })
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

impl Component {
    /// Shares with the version of this component among `others` all that both say alike.
    pub fn share(&mut self, others: &[Self]) {
        let other = others
            .iter()
            .find(|other| other.installed.name == self.installed.name);
        if let (Some(other), Some(recipe)) = (other, Arc::get_mut(&mut self.recipe)) {
            recipe.share(&other.recipe);
        }
    }
}
