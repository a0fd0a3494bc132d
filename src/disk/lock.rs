//! One command at a time: an exclusive lock on `.lockstep/lock`, or on a desk's `state/lock`.
//!
//! The lock is the kernel's (`flock`): it goes with the process that holds it, however that ends.
//! The file's content tells a second command who is at work, and the service manager whether the
//! product may be started meanwhile. Its length never changes, so that a full disk is no obstacle to
//! saying it, nor to a recovery.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::DiskError;
use super::root::Root;
use crate::model::Time;

/// Bytes of the text, filled up with line feeds.
const TEXT: usize = 1_024;
/// How often a lock that is held is tried again by whoever waits.
const TRIES: u32 = 50;
/// How long it is waited between two tries.
pub const PAUSE: Duration = Duration::from_millis(100);

/// The same for a lock that is not waited for.
const INSTANT: Duration = Duration::from_millis(10);
/// Where in the text the product's word stands, and how long it is.
const PRODUCT: &str = "product ";
const WORD: usize = 8;

/// Whether the product may be started while a command holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// It runs, or may: its files are not being exchanged.
    Free,
    /// Its files are being exchanged.
    Held,
    /// The command starts it by itself: its files are all old or all new.
    Starting,
}

impl Product {
    const fn word(self) -> &'static str {
        match self {
            Self::Free => "free    ",
            Self::Held => "held    ",
            Self::Starting => "starting",
        }
    }

    /// What cannot be read is taken for the most careful.
    fn read(text: &str) -> Self {
        let word = text.strip_prefix(PRODUCT).and_then(|text| text.get(..WORD));
        [Self::Free, Self::Starting]
            .into_iter()
            .find(|product| word == Some(product.word()))
            .unwrap_or(Self::Held)
    }
}

/// Held while a command changes the environment, or what a desk knows.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The file's content while nobody holds it.
    #[must_use]
    pub fn blank() -> Vec<u8> {
        vec![b'\n'; TEXT]
    }

    /// Takes the lock for `command`, or says who holds it. It does not wait.
    pub fn take(root: &Root, command: &str, now: Time) -> Result<Self, DiskError> {
        // Whoever only asks what the holder says has it for an instant.
        Self::take_file(
            &root.state_folder().join("lock"),
            command,
            now,
            (INSTANT, 5),
        )
    }

    /// Takes the lock at `path`, waiting some seconds for another command to be done with it: for
    /// what is held only while a record is read and written.
    pub fn wait(path: &Path, command: &str, now: Time) -> Result<Self, DiskError> {
        Self::take_file(path, command, now, (PAUSE, TRIES))
    }

    fn take_file(
        path: &Path,
        command: &str,
        now: Time,
        (pause, tries): (Duration, u32),
    ) -> Result<Self, DiskError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow())
            .open(path)
            .map_err(DiskError::io("open", path))?;
        let mut left = tries;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if left > 0 => {
                    left = left.saturating_sub(1);
                    std::thread::sleep(pause);
                }
                Err(Errno::WOULDBLOCK) => return Err(busy(&file)),
                Err(errno) => return Err(DiskError::os("lock", path)(errno)),
            }
        }
        let lock = Self { file };
        let text = format!(
            "{PRODUCT}{}\npid {}\nsince {now}\ncommand {}\n",
            Product::Free.word(),
            std::process::id(),
            command.replace('\n', " ")
        );
        match lock.write(text) {
            // The lock holds without words; whoever meets it is told that its holder is unknown.
            Err(e) if e.kind() == std::io::ErrorKind::StorageFull => Ok(lock),
            Err(e) => Err(DiskError::io("write", path)(e)),
            Ok(()) => Ok(lock),
        }
    }

    /// Writes the whole text in place.
    fn write(&self, mut text: String) -> std::io::Result<()> {
        let end = text.floor_char_boundary(TEXT);
        text.truncate(end);
        let mut bytes = text.into_bytes();
        bytes.resize(TEXT, b'\n');
        self.file.write_all_at(&bytes, 0)
    }
}

impl Lock {
    /// Says whether the product may be started from now on.
    pub fn say(&self, product: Product) -> Result<(), DiskError> {
        let at = u64::try_from(PRODUCT.len()).unwrap_or(0);
        self.file
            .write_all_at(product.word().as_bytes(), at)
            .map_err(DiskError::io("write", Path::new("the lock")))
    }

    /// Whether the product may be started, as far as whoever holds the lock says; free where nobody
    /// does. Takes nothing for longer than the question.
    pub fn product(root: &Root) -> Result<Product, DiskError> {
        let path = root.state_folder().join("lock");
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Product::Free),
            Err(e) => return Err(DiskError::io("open", path)(e)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Product::Free),
            Err(Errno::WOULDBLOCK) => {
                let first = text_of(&file);
                // Between taking the lock and saying so, the words are those of the holder before.
                std::thread::sleep(INSTANT);
                let same = first == text_of(&file) && is_of_a_living(&first);
                Ok(if same {
                    Product::read(&first)
                } else {
                    Product::Held
                })
            }
            Err(errno) => Err(DiskError::os("lock", path)(errno)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who held it is of no use any more; what stays there is harmless, it is not locked.
        drop(self.write(String::new()));
    }
}

fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

/// What the lock file says; what cannot be read is unknown.
fn text_of(file: &File) -> String {
    let mut bytes = [0; TEXT];
    let read = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

/// Whether the process that wrote the words is still there.
fn is_of_a_living(text: &str) -> bool {
    let pid = text.lines().find_map(|line| line.strip_prefix("pid "));
    let pid = pid.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
    // It may be another user's: then it may not be sent anything, and is there.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

fn busy(file: &File) -> DiskError {
    // That another command is at work stays true, whatever can be read.
    let text = text_of(file);
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .unwrap_or("unknown")
            .to_owned()
    };
    DiskError::Busy {
        pid: field("pid"),
        command: field("command"),
        since: field("since"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Refusal, RefusalName};

    #[test]
    fn whoever_waits_gets_it_when_the_first_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::wait(&path, "lockstep receive", Time::EPOCH).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::wait(&path, "lockstep enrol", Time::EPOCH).map(drop)
        });
        std::thread::sleep(PAUSE);
        assert!(!waiting.is_finished());
        drop(first);
        waiting.join().unwrap().unwrap();
        let held = Lock::wait(&path, "lockstep prepare", Time::EPOCH).unwrap();
        let refusal =
            Lock::take_file(&path, "lockstep enrol", Time::EPOCH, (PAUSE, 1)).unwrap_err();
        assert!(
            matches!(refusal, DiskError::Busy { command, .. } if command == "lockstep prepare")
        );
        drop(held);
    }

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".lockstep")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        let first = Lock::take(&root, "lockstep apply", Time::EPOCH).unwrap();
        let refusal = Refusal::from(Lock::take(&root, "lockstep gc", Time::EPOCH).unwrap_err());
        assert_eq!(refusal.name, RefusalName::Busy);
        let values: Vec<&str> = refusal.values.iter().map(|(_, v)| v.as_str()).collect();
        let pid = std::process::id().to_string();
        assert_eq!(values, [&pid, "lockstep apply", "1970-01-01T00:00:00Z"]);
        drop(first);
        Lock::take(&root, "lockstep gc", Time::EPOCH).unwrap();
    }

    #[test]
    fn whoever_starts_the_product_is_told_whether_it_may() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".lockstep")).unwrap();
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(Lock::product(&root).unwrap(), Product::Free);
        let lock = Lock::take(&root, "lockstep apply", Time::EPOCH).unwrap();
        assert_eq!(Lock::product(&root).unwrap(), Product::Free);
        for product in [
            Product::Held,
            Product::Starting,
            Product::Free,
            Product::Held,
        ] {
            lock.say(product).unwrap();
            assert_eq!(Lock::product(&root).unwrap(), product);
        }
        drop(lock);
        assert_eq!(Lock::product(&root).unwrap(), Product::Free);
        assert_eq!(Product::read(""), Product::Held);
    }
}
