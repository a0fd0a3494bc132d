//! What marks that differ say to a person: what may have happened to the node, and the line that fits.

use crate::disk::marks::{Difference, Mark};
use crate::model::{Refusal, RefusalName};

/// The refusal of every command that signs, where any mark differs.
pub(super) fn refuse(differing: &[Difference]) -> Option<Refusal> {
    let (_, next) = (differing.first()?, next(differing));
    let refusal = Refusal::new(
        RefusalName::WrongMachine,
        "this environment was copied, moved or restored: its key belongs to another place",
    );
    let refusal = differing
        .iter()
        .fold(refusal, |refusal, one| refusal.value("mark", &one.values));
    Some(refusal.next(next))
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
        use Mark::{Born, Hardware, Inode, Machine, Root};
        for (marks, first, second) in [
            (&[Machine][..], "--copy", Some("--moved")),
            (&[Hardware, Inode], "--copy", Some("--moved")),
            (&[Machine, Root, Inode], "--copy", Some("--moved")),
            (&[Root, Inode], "--copy", Some("--moved")),
            (&[Root], "--moved", None),
            (&[Root, Born], "--copy", Some("--moved")),
            (&[Inode], "--restored", Some("--moved")),
            (&[Born], "--restored", Some("--moved")),
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
            assert!(at(first).is_some(), "{marks:?}: {refusal}");
            if let Some(second) = second {
                assert!(at(first) < at(second), "{marks:?}: {refusal}");
            }
        }
        assert!(refuse(&[]).is_none());
    }
}
