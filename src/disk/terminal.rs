//! Asking for a secret on the terminal, without showing it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::DiskError;

/// Longest secret, in bytes.
const SECRET_MAX: u64 = 1_024;

/// Asks on the controlling terminal; where there is none, that is an error.
pub fn ask_secret(prompt: &str) -> Result<Zeroizing<String>, DiskError> {
    const TERMINAL: &str = "/dev/tty";
    let terminal = File::options()
        .read(true)
        .write(true)
        .open(TERMINAL)
        .map_err(DiskError::io("open", TERMINAL))?;
    let shown = tcgetattr(&terminal).map_err(|e| DiskError::io("read", TERMINAL)(e.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    (&terminal)
        .write_all(prompt.as_bytes())
        .map_err(DiskError::io("write", TERMINAL))?;
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)
        .map_err(|e| DiskError::io("write", TERMINAL)(e.into()))?;
    let mut secret = Zeroizing::new(String::new());
    let read = BufReader::new((&terminal).take(SECRET_MAX)).read_line(&mut secret);
    tcsetattr(&terminal, OptionalActions::Flush, &shown)
        .map_err(|e| DiskError::io("write", TERMINAL)(e.into()))?;
    (&terminal)
        .write_all(b"\n")
        .map_err(DiskError::io("write", TERMINAL))?;
    read.map_err(DiskError::io("read", TERMINAL))?;
    let end = secret.trim_end_matches(['\r', '\n']).len();
    secret.truncate(end);
    Ok(secret)
}
