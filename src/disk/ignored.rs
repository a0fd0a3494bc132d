//! The signals that this process was started to ignore (`nohup`, a job in the background of a
//! script): they stay ignored, whatever is handled otherwise.

use std::path::Path;

use super::durable;

/// Where Linux says what a process ignores.
const STATUS: &str = "/proc/self/status";
/// More than that file ever has, in bytes.
const STATUS_MAX: u64 = 64 * 1024;

/// Ignored signals, a bit for each; none where the system does not say.
#[derive(Debug, Clone, Copy)]
pub struct Ignored(u64);

impl Ignored {
    /// Those of this process, as they are now: a signal that is handled is not ignored any more.
    #[must_use]
    pub fn now() -> Self {
        let status = durable::read(Path::new(STATUS), STATUS_MAX).unwrap_or_default();
        Self(mask(&String::from_utf8_lossy(&status)))
    }

    /// Whether a signal, by its number, is among them.
    #[must_use]
    pub fn has(self, signal: i32) -> bool {
        let bit = u32::try_from(signal.saturating_sub(1)).unwrap_or(u32::MAX);
        self.0.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
    }
}

fn mask(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM};

    #[test]
    fn what_is_ignored_is_read_from_the_kernels_own_words() {
        let nohup = Ignored(mask(
            "Name:\tlockstep\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n",
        ));
        assert!(nohup.has(SIGHUP) && !nohup.has(SIGINT) && !nohup.has(SIGTERM));
        for nothing in ["", "SigIgn:\tx\n", "SigCgt:\t0000000000001001\n"] {
            assert_eq!(mask(nothing), 0, "{nothing}");
        }
        // Rust's start-up ignores SIGPIPE, so that a reader who goes away ends nothing.
        assert!(Ignored::now().has(SIGPIPE));
    }
}
