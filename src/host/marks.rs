//! What marks that differ say to a person: what may have happened to the node, and the line that fits.

use crate::disk::marks::{Difference, Mark};
use crate::model::{Refusal, RefusalName};

/// The refusal of every command that signs, where any mark differs.
pub(super) fn refuse(differing: &[Difference]) -> Option<Refusal> {
    differing.first()?;
    let what = if state_put_back(differing) {
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

/// Whether the key's own file is the one that was made, and the state beside it is not the one that was
/// committed: only who puts a state back brings that about, whatever else differs, and to go on from it as
/// it is would forget what came after it. Where the key's file is another one too, all of it may have come
/// from another disk.
pub(super) fn state_put_back(differing: &[Difference]) -> bool {
    let has = |mark| has(differing, mark);
    (has(Mark::StateInode) || has(Mark::StateBorn)) && !has(Mark::Inode) && !has(Mark::Born)
}

fn has(differing: &[Difference], mark: Mark) -> bool {
    differing.iter().any(|one| one.mark == mark)
}

/// By what differs: the likeliest first.
fn next(differing: &[Difference]) -> &'static str {
    let has = |mark| has(differing, mark);
    let machine = has(Mark::Machine) || has(Mark::Hardware);
    if state_put_back(differing) && machine {
        "work on the original, if it lives on; if the old machine is gone: lockstep rehome --restored --enrolment FILE \
         --reason TEXT, with FILE from the desk; if this is to be a copy, after that: lockstep rehome --copy --name \
         NAME --reason TEXT"
    } else if state_put_back(differing) {
        "lockstep rehome --restored --enrolment FILE --reason TEXT, with FILE from the desk: it knows what this node \
         did since"
    } else if machine {
        "work on the original, if it lives on: this copy gets a name of its own by lockstep rehome --copy --name \
         NAME --reason TEXT; if the old machine is gone: lockstep rehome --moved --reason TEXT"
    } else if has(Mark::Root) && (has(Mark::Inode) || has(Mark::Born)) {
        "work on the original, if it lives on: this copy gets a name of its own by lockstep rehome --copy --name \
         NAME --reason TEXT; if it was moved here: lockstep rehome --moved --reason TEXT"
    } else if has(Mark::Root) {
        "move it back; or if it is to stay here: lockstep rehome --moved --reason TEXT"
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
            (&[Root, StateBorn], "--restored", None),
            (&[Root, StateInode, StateBorn], "--restored", None),
            (&[Machine, StateInode], "--restored", Some("--copy")),
            (&[Root, Hardware, StateBorn], "--restored", Some("--copy")),
            (&[Root, Inode, StateInode], "--copy", Some("--moved")),
            (&[Root, Born, StateBorn], "--copy", Some("--moved")),
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
