//! A terminal for the tests: a command runs on it as it does for a person who logged in, somebody
//! types, and somebody pulls the plug.
//!
//! A shell leads the session, as a login shell does; when the terminal goes away it ends, and the
//! kernel tells whatever ran in the foreground (SIGHUP). A second shell lives on to write down how
//! the command ended.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::world::{Outcome, Tested, World};

/// Longest that anything is waited for.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// What Ctrl-C types.
pub(crate) const CTRL_C: &str = "\u{3}";

pub(crate) struct Terminal {
    // The person's end; nothing once the plug was pulled.
    end: Option<File>,
    seen: String,
    session: Child,
    code: PathBuf,
}

impl Terminal {
    /// Runs a command line on a terminal of its own.
    pub(crate) fn run(world: &World, line: &str) -> Outcome<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let end = openpt(flags)?;
        grantpt(&end)?;
        unlockpt(&end)?;
        let other = File::from(ioctl_tiocgptpeer(&end, flags)?);
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&other, size)?;
        fcntl_setfl(&end, OFlags::NONBLOCK)?;
        let code = world.path("terminal-code");
        if code.exists() {
            fs::remove_file(&code)?;
        }
        fs::write(
            world.path("terminal.sh"),
            format!("trap : HUP INT TERM\n{line}\necho $? > code.new\nmv code.new terminal-code\n"),
        )?;
        let session = world
            .command("setsid")
            .args(["--ctty", "--wait", "/bin/sh", "-c"])
            .arg("/bin/sh terminal.sh; true")
            .stdin(other.try_clone()?)
            .stdout(other.try_clone()?)
            .stderr(other)
            .spawn()?;
        Ok(Self {
            end: Some(File::from(end)),
            seen: String::new(),
            session,
            code,
        })
    }

    /// Waits until `done` holds of what was shown so far; meanwhile it is read.
    pub(crate) fn wait(&mut self, what: &str, done: impl Fn(&str) -> bool) -> Tested {
        let begun = Instant::now();
        loop {
            self.read()?;
            if done(&self.seen) {
                return Ok(());
            }
            if begun.elapsed() > LIMIT {
                return Err(format!("no {what} within {LIMIT:?}:\n{}", self.seen).into());
            }
            sleep(PAUSE);
        }
    }

    pub(crate) fn types(&mut self, text: &str) -> Tested {
        match &mut self.end {
            Some(end) => Ok(end.write_all(text.as_bytes())?),
            None => Err("nobody types on a terminal that is gone".into()),
        }
    }

    /// The terminal goes away, as when a connection breaks.
    pub(crate) fn hang_up(&mut self) {
        self.end = None;
    }

    /// Waits for the command's end; its exit code, where a signal counts as 128 and its number, and
    /// all that was shown.
    pub(crate) fn ends(mut self) -> Outcome<(i32, String)> {
        let code = self.code.clone();
        self.wait("end of the command", |_| code.exists())?;
        self.read()?;
        let code = fs::read_to_string(&code)?.trim().parse()?;
        Ok((code, std::mem::take(&mut self.seen)))
    }

    fn read(&mut self) -> Tested {
        let Some(end) = &mut self.end else {
            return Ok(());
        };
        let mut bytes = [0; 4_096];
        loop {
            match end.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(count) => self.seen += &String::from_utf8_lossy(&bytes[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Nobody has the other end open: the session is over.
                Err(e) if e.raw_os_error() == Some(5) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Terminal {
    /// Whatever is left of the session is ended: it has a process group of its own.
    fn drop(&mut self) {
        if !self.code.exists() {
            let group = format!("-{}", self.session.id());
            drop(Command::new("kill").args(["-KILL", "--", &group]).status());
        }
        drop(self.session.wait());
    }
}
