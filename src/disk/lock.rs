//! One command at a time: an exclusive lock on `.lockstep/lock`, or on a desk's `state/lock`.
//!
//! The lock is the kernel's (`flock`): it goes with the process that holds it, however that ends.
//! The file's content only tells a second command who is at work.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::DiskError;
use super::root::Root;
use crate::model::Time;

/// Most bytes of the holder's text that are read.
const TEXT_MAX: u64 = 4_096;
/// How often a lock that is held is tried again by whoever waits.
const TRIES: u32 = 50;
/// How long it is waited between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Held while a command changes the environment, or what a desk knows.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock for `command`, or says who holds it. It does not wait.
    pub fn take(root: &Root, command: &str, now: Time) -> Result<Self, DiskError> {
        Self::take_file(&root.state_folder().join("lock"), command, now, 0)
    }

    /// Takes the lock at `path`, waiting some seconds for another command to be done with it: for
    /// what is held only while a record is read and written.
    pub fn wait(path: &Path, command: &str, now: Time) -> Result<Self, DiskError> {
        Self::take_file(path, command, now, TRIES)
    }

    fn take_file(path: &Path, command: &str, now: Time, tries: u32) -> Result<Self, DiskError> {
        let mut file = OpenOptions::new()
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
                    std::thread::sleep(PAUSE);
                }
                Err(Errno::WOULDBLOCK) => return Err(busy(file)),
                Err(errno) => return Err(DiskError::os("lock", path)(errno)),
            }
        }
        let text = format!(
            "pid {}\nsince {now}\ncommand {}\n",
            std::process::id(),
            command.replace('\n', " ")
        );
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(DiskError::io("write", path))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Who held it is of no use any more; what stays there is harmless, it is not locked.
        drop(self.file.set_len(0));
    }
}

fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

fn busy(file: File) -> DiskError {
    let mut text = String::new();
    // What cannot be read is unknown; that another command is at work stays true.
    if file.take(TEXT_MAX).read_to_string(&mut text).is_err() {
        text.clear();
    }
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
        let refusal = Lock::take_file(&path, "lockstep enrol", Time::EPOCH, 1).unwrap_err();
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
}
