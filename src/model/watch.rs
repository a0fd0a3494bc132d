//! What a long command tells whoever watches it, and the two things it may ask.

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

    /// Asks for the passphrase of a key file; nothing where nobody can be asked.
    fn passphrase(&self, key_file: &str) -> Option<zeroize::Zeroizing<String>> {
        let _ = key_file;
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

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn say(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn progress(&self, _: &str, _: u64, _: u64) {}
}
