//! What a long command tells whoever watches it, what it may ask, and whether it is to go on.

use super::{Refusal, RefusalName};

/// Receives words, warnings and progress from a command. The command line prints them; a test
/// keeps them; [`Unwatched`] drops them.
pub trait Watch: Sync {
    /// A line for the person at the keyboard.
    fn say(&self, line: &str);

    /// A line that the person should act on, though the command goes on.
    fn warn(&self, line: &str);

    /// `done` of `total` bytes of the named stage. Called for every piece that is read or written,
    /// by many threads; cheap to ignore.
    fn progress(&self, stage: &str, done: u64, total: u64);

    /// The same for a stage that is counted in files.
    fn count(&self, stage: &str, done: u64, total: u64) {
        let _ = (stage, done, total);
    }

    /// Whether the command is to end before it changes anything: somebody pressed Ctrl-C, or the
    /// terminal went away. Cheap to ask. Nobody asks it between the stop of the product and the
    /// commit, and what puts things right or tidies them up does not ask it either.
    fn interrupted(&self) -> bool {
        false
    }

    /// [`Watch::interrupted`] as a reason to leave.
    fn go_on(&self) -> Result<(), Interrupted> {
        if self.interrupted() {
            Err(Interrupted)
        } else {
            Ok(())
        }
    }

    /// Asks for the passphrase of a key file; nothing where nobody can be asked.
    fn passphrase(&self, key_file: &str) -> Option<zeroize::Zeroizing<String>> {
        let _ = key_file;
        None
    }

    /// The socket of the SSH agent that holds keys for this person; nothing where there is none.
    fn agent(&self) -> Option<std::path::PathBuf> {
        None
    }

    /// Tells what is about to be done, and asks for the name of the environment that is meant; nothing
    /// where nobody can be asked, or nothing is typed.
    fn name(&self, about: &str) -> Option<String> {
        let _ = about;
        None
    }

    /// Asks for the fingerprint of the key of `whom`, as the other machine shows it; nothing where
    /// nobody can be asked, or nothing is typed.
    fn fingerprint(&self, whom: &str) -> Option<String> {
        let _ = whom;
        None
    }
}

/// The command was ended from outside while nothing was changed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command was ended from outside before it changed anything")]
pub struct Interrupted;

impl From<Interrupted> for Refusal {
    fn from(interrupted: Interrupted) -> Self {
        Self::new(RefusalName::Interrupted, interrupted.to_string()).next(Interrupted::NEXT)
    }
}

impl Interrupted {
    /// What to do next; the command line, which knows what was typed, says it better.
    pub const NEXT: &str = "run the same command again";
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn say(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn progress(&self, _: &str, _: u64, _: u64) {}
}
