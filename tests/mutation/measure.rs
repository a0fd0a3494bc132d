//! How much memory this process had at most, and an end to what hangs.

use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// What hangs for longer is ended, with the whole run: it cannot be stopped otherwise.
const HANGS: Duration = Duration::from_mins(1);

static UNDER_WAY: Mutex<Option<(Instant, String)>> = Mutex::new(None);
static WATCHER: Once = Once::new();

/// Forgets the greatest size so far.
pub(crate) fn forget_peak() {
    // Where the kernel does not let it, the peak is that of the whole run: stricter, never laxer.
    drop(std::fs::write("/proc/self/clear_refs", "5"));
}

/// The greatest size of this process since, in megabytes.
pub(crate) fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    // A size that is not told is no size that is small.
    kilobytes.map_or(u64::MAX, |kilobytes| kilobytes / 1024)
}

/// A case begins.
pub(crate) fn begin(name: String) {
    WATCHER.call_once(|| drop(std::thread::spawn(watch)));
    *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), name));
}

/// It ended.
pub(crate) fn end() {
    *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, name)) = &*under_way
            && since.elapsed() > HANGS
        {
            eprintln!("{name} hangs");
            std::process::abort();
        }
    }
}
