//! What marks that differ say to a person: what may have happened to the node, and the line that fits.

use crate::disk::marks::{Difference, Mark};
use crate::model::{Refusal, RefusalName};

/// The refusal of every command that signs, where any mark differs.
pub(super) fn refuse(differing: &[Difference]) -> Option<Refusal> {
    differing.first()?;
    let what = if only_state(differing) {
        "this node was put back: what says which of its states counts is not the file that was committed here"
    } else {
        "this environment was copied, moved or restored: its key belongs to another place"
    };
    let refusal = Refusal::new(RefusalName::WrongMachine, what);
    let refusal = differing
        .iter()
        .fold(refusal, |refusal, one| refusal.value("mark", &one.values));
    Some(refusal.next(next(differing)))
}

/// Whether the key lies where it was made, and the state beside it was put back: then nothing was moved,
/// and to go on from that state as it is would forget what came after it.
pub(super) fn only_state(differing: &[Difference]) -> bool {
    let of_state = |one: &Difference| matches!(one.mark, Mark::StateInode | Mark::StateBorn);
    !differing.is_empty() && differing.iter().all(of_state)
}

/// By what differs: the likeliest first.
fn next(differing: &[Difference]) -> &'static str {
    let has = |mark: Mark| differing.iter().any(|one| one.mark == mark);
    if has(Mark::Machine) || has(Mark::Hardware) {
        "work on the original, if it lives on: this copy gets a name of its own by lockstep rehome --copy --name \
         NAME --reason TEXT; if the old machine is gone: lockstep rehome --moved --reason TEXT"
    } else if has(Mark::Root) && (has(Mark::Inode) || has(Mark::Born)) {
        "work on the original, if it lives on: this copy gets a name of its own by lockstep rehome --copy --name \
         NAME --reason TEXT; if it was moved here: lockstep rehome --moved --reason TEXT"
    } else if has(Mark::Root) {
        "move it back; or if it is to stay here: lockstep rehome --moved --reason TEXT"
    } else if only_state(differing) {
        "lockstep rehome --restored --enrolment FILE --reason TEXT, with FILE from the desk: it knows what this node \
         did since"
    } else {
        "if it was put back from a backup: lockstep rehome --restored --enrolment FILE --reason TEXT, with FILE from \
         the desk; if only the disk is another: lockstep rehome --moved --reason TEXT"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_what_differs() {
        use Mark::{Born, Hardware, Inode, Machine, Root, StateBorn, StateInode};
        for (marks, first, second) in [
            (&[Machine][..], "--copy", Some("--moved")),
            (&[Hardware, Inode], "--copy", Some("--moved")),
            (&[Machine, Root, Inode], "--copy", Some("--moved")),
            (&[Root, Inode], "--copy", Some("--moved")),
            (&[Root], "--moved", None),
            (&[Root, Born], "--copy", Some("--moved")),
            (&[Inode], "--restored", Some("--moved")),
            (&[Born], "--restored", Some("--moved")),
            (&[Inode, Born, StateInode], "--restored", Some("--moved")),
            (&[Root, StateBorn], "--moved", None),
            (&[StateInode], "--restored", None),
            (&[StateBorn], "--restored", None),
            (&[StateInode, StateBorn], "--restored", None),
        ] {
            let differing: Vec<Difference> = marks
                .iter()
                .map(|mark| Difference {
                    mark: *mark,
                    values: format!("{mark:?}: it was a, it is b"),
                })
                .collect();
            let refusal = refuse(&differing).unwrap();
            assert_eq!(refusal.values.len(), marks.len());
            let at = |word: &str| refusal.next.find(word);
            for word in ["--copy", "--moved", "--restored"] {
                let named = word == first || second == Some(word);
                assert_eq!(at(word).is_some(), named, "{marks:?}: {refusal}");
            }
            if let Some(second) = second {
                assert!(at(first) < at(second), "{marks:?}: {refusal}");
            }
        }
        assert!(refuse(&[]).is_none());
    }
}
