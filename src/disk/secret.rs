//! One secret line, from a descriptor that the caller of the program opened, in memory that is wiped.
//!
//! | attack | defence |
//! |---|---|
//! | copies of a passphrase left in memory | one buffer of fixed size, wiped when it is dropped; nothing buffers beside it |
//! | a line without end | [`SECRET_MAX`] |
//! | a descriptor that is the terminal, which would show what is typed | refused |
//! | a passphrase in the list of processes, or in the environment of every child | neither the command line nor the environment takes one |

use std::fs::File;
use std::io::{IsTerminal as _, Read};

use zeroize::{Zeroize as _, Zeroizing};

use super::DiskError;
use crate::model::{Refusal, RefusalName};

/// Longest secret, in bytes.
pub const SECRET_MAX: usize = 1_024;

/// Reads the first line of a descriptor of this process, by its number; what stands behind it is left
/// to whoever else reads there.
pub fn from_descriptor(number: u32) -> Result<Zeroizing<String>, Refusal> {
    let refuse = |why: &str| {
        Refusal::new(
            RefusalName::Usage,
            format!("the passphrase cannot be read: {why}"),
        )
        .value("descriptor", number)
        .next("open it for the command: lockstep ... --passphrase-fd 3 3< FILE")
    };
    let mut open = open(number).map_err(|e| refuse(&format!("the descriptor is not open: {e}")))?;
    if open.is_terminal() {
        return Err(refuse(
            "the descriptor is a terminal, which shows what is typed; without --passphrase-fd it is asked for",
        ));
    }
    match first_line(&mut open) {
        Ok(Line::Whole(line)) if !line.is_empty() => Ok(line),
        Ok(Line::Whole(_) | Line::Nothing) => Err(refuse("the first line is empty")),
        Ok(Line::TooLong) => Err(refuse(&format!("it is longer than {SECRET_MAX} bytes"))),
        Ok(Line::NotText) => Err(refuse("it is not UTF-8 text")),
        Err(e) => Err(refuse(&e.to_string())),
    }
}

/// The descriptor itself where the standard library lends it, else what it stands for.
fn open(number: u32) -> Result<File, DiskError> {
    if number == 0 {
        let own = rustix::io::dup(rustix::stdio::stdin());
        return own
            .map(File::from)
            .map_err(DiskError::os("open", "standard input"));
    }
    let path = format!("/proc/self/fd/{number}");
    File::open(&path).map_err(DiskError::io("open", &path))
}

/// What a line came to.
pub(super) enum Line {
    /// It ended, or the file did.
    Whole(Zeroizing<String>),
    /// The file ended before it began.
    Nothing,
    /// Longer than a secret may be.
    TooLong,
    /// Not UTF-8.
    NotText,
}

/// Reads to the first line feed, byte by byte, so that no buffer holds more than the secret.
pub(super) fn first_line(from: &mut impl Read) -> std::io::Result<Line> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX));
    let mut byte = Zeroizing::new([0_u8; 1]);
    let mut began = false;
    loop {
        let read = match from.read(byte.as_mut_slice()) {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        began |= read > 0;
        match byte.first() {
            Some(b'\n') => break,
            _ if read == 0 => break,
            // The capacity is never passed, so that nothing is moved and left behind.
            Some(_) if bytes.len() >= SECRET_MAX => return Ok(Line::TooLong),
            Some(next) => bytes.push(*next),
            None => break,
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(if began { text(bytes) } else { Line::Nothing })
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Line {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Line::Whole(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Line::NotText
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(bytes: &[u8]) -> Option<String> {
        match first_line(&mut &*bytes).unwrap() {
            Line::Whole(line) => Some(line.to_string()),
            Line::Nothing | Line::TooLong | Line::NotText => None,
        }
    }

    #[test]
    fn the_first_line_is_the_secret() {
        let table: [(&[u8], Option<&str>); 8] = [
            (b"secret\n", Some("secret")),
            (b"secret\r\n", Some("secret")),
            (b"secret", Some("secret")),
            (b" two words \nrest", Some(" two words ")),
            (b"\n", Some("")),
            (b"", None),
            (b"\xff\n", None),
            (&[b'a'; SECRET_MAX + 1], None),
        ];
        for (bytes, expected) in table {
            assert_eq!(line(bytes).as_deref(), expected, "{bytes:?}");
        }
        assert!(line(&[b'a'; SECRET_MAX]).is_some());
    }

    #[test]
    fn what_stands_behind_the_first_line_is_left() {
        let mut from: &[u8] = b"secret\nrest";
        first_line(&mut from).unwrap();
        assert_eq!(from, b"rest");
    }
}
