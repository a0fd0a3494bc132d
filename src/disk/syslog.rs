//! A line to the system's log: refusals on a host, for whoever watches many of them.
//!
//! Best effort: a host without a log is no reason to fail, and nothing waits for it.

use std::os::unix::net::UnixDatagram;

/// Where the log listens.
const LOG: &str = "/dev/log";
/// Facility `user`, severity `warning` (RFC 3164).
const PRIORITY: u8 = 8 + 4;
/// Longest line, in bytes: what every log takes.
const LINE_MAX: usize = 1_000;

/// Sends a line.
pub fn note(line: &str) {
    let text: String = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut message = format!("<{PRIORITY}>lockstep: {text}");
    while message.len() > LINE_MAX {
        message.pop();
    }
    if let Ok(socket) = UnixDatagram::unbound()
        && socket.set_nonblocking(true).is_ok()
    {
        drop(socket.send_to(message.as_bytes(), LOG));
    }
}
