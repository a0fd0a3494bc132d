//! An SSH agent for the tests, which ends with the test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::world::{Outcome, World};

/// Longest that the agent's socket is waited for.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    /// Starts an agent; `more` are further options of `ssh-agent`.
    pub(crate) fn start(world: &World, more: &[&str]) -> Outcome<Self> {
        let socket = world.path("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").args(more).arg("-a").arg(&socket);
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let agent = Self { process, socket };
        let begun = Instant::now();
        while !agent.socket.exists() {
            if begun.elapsed() > LIMIT {
                return Err(format!("no agent within {LIMIT:?}").into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(agent)
    }

    /// What stands before a command line that is to use it.
    pub(crate) fn env(&self) -> String {
        format!("SSH_AUTH_SOCK={}", self.socket.display())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
