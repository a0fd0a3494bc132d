//! What can be known of a change before anything is staged: mounts, rights and room. A dry run asks
//! the same; what it asks with files of its own, it removes.

use super::super::Node;
use super::space;
use crate::disk::mounts::{self, Layout};
use crate::disk::operator::User;
use crate::disk::space::{Room, check as check_space};
use crate::disk::{DiskError, MountError, probe, rights};
use crate::model::Refusal;
use crate::plan::work::{Intent, Turn, Work};

/// Checks all of it, and says on which mount each path lies. `coming` is what is yet to be copied in
/// beside the files of the work.
pub(in crate::host) fn check(node: &Node, work: &Work, coming: Room) -> Result<Layout, Refusal> {
    let root = node.root();
    for intent in &work.moves {
        check_mounted_file(node, intent)?;
    }
    let layout = Layout::of(root, work.moves.iter().map(|intent| &intent.path))?;
    rights::check(root, work, &layout)?;
    check_space(root, &space::needs(work, &layout, coming))?;
    // The last, because it writes; as another user it would leave files that are not the operator's.
    if User::current().uid == User::operator(root)?.uid {
        probe::check(root, layout.points())?;
    }
    Ok(layout)
}

/// What is mounted on the path itself cannot be moved. A folder is not planned to go then.
fn check_mounted_file(node: &Node, intent: &Intent) -> Result<(), Refusal> {
    if intent.turn == Turn::Place || !mounts::is_point(node.root(), &intent.path)? {
        return Ok(());
    }
    let path = node.root().absolute(&intent.path);
    let turn = match intent.turn {
        Turn::Remove => "removes it",
        Turn::Exchange | Turn::Place => "puts another file in its place",
    };
    let kind = mounts::describe(&path);
    Err(DiskError::from(MountError::MountedFile { path, kind, turn }).into())
}
