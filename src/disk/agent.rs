//! An SSH agent: a key that it holds signs, and its private half stays where it is.
//!
//! Two requests of the protocol (draft-ietf-sshm-ssh-agent), over a socket whose path is handed in.
//!
//! | attack | defence |
//! |---|---|
//! | an answer without end | [`ANSWER_MAX`], before anything is taken into memory |
//! | an agent that never answers | [`PATIENCE`], long enough for a person to touch a key |
//! | an answer cut short, or of another kind | every length is checked; anything else is refused |
//! | a signature by another key, or of other bytes | the caller checks what it got as it checks any other |

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{PublicKey, Refusal, RefusalName};

/// Largest answer that is taken, in bytes, as OpenSSH has it.
const ANSWER_MAX: usize = 256 * 1024;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Why an agent does not help.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The socket does not answer.
    #[error("the agent does not answer: {0}")]
    Io(#[from] std::io::Error),
    /// What it answers is not in the protocol.
    #[error("the agent's answer cannot be read")]
    Unreadable,
    /// It has no such key.
    #[error("the agent does not hold this key; it holds {0} other(s)")]
    NotHeld(usize),
    /// It has the key and did not sign.
    #[error("the agent did not sign: it is locked, or nobody confirmed or touched the key")]
    Refused,
}

/// A socket behind which an agent listens.
#[derive(Debug, Clone)]
pub struct Agent {
    socket: PathBuf,
}

impl Agent {
    /// The agent behind a socket; it is not asked yet.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it holds the private half of a key.
    pub fn check_holds(&self, key: &PublicKey) -> Result<(), AgentError> {
        let answer = self.ask(REQUEST_IDENTITIES, &[])?;
        let body = kind(&answer, IDENTITIES_ANSWER).ok_or(AgentError::Unreadable)?;
        let keys = identities(body).ok_or(AgentError::Unreadable)?;
        if keys.contains(&key.blob().as_slice()) {
            Ok(())
        } else {
            Err(AgentError::NotHeld(keys.len()))
        }
    }

    /// Has a key sign bytes. The signature is as it came: an algorithm and what it made.
    pub fn sign(&self, key: &PublicKey, bytes: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut request = Vec::new();
        put(&mut request, &key.blob())?;
        put(&mut request, bytes)?;
        // No flags: they choose hashes for RSA.
        request.extend_from_slice(&[0; 4]);
        let answer = self.ask(SIGN_REQUEST, &request)?;
        let body = kind(&answer, SIGN_RESPONSE).ok_or(AgentError::Refused)?;
        match take(body) {
            Some((signature, [])) => Ok(signature.to_vec()),
            _ => Err(AgentError::Unreadable),
        }
    }

    fn ask(&self, kind: u8, body: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut socket = UnixStream::connect(&self.socket)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut message = vec![kind];
        message.extend_from_slice(body);
        let mut framed = Vec::new();
        put(&mut framed, &message)?;
        socket.write_all(&framed)?;
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 || length > ANSWER_MAX {
            return Err(AgentError::Unreadable);
        }
        let mut answer = vec![0; length];
        socket.read_exact(&mut answer)?;
        Ok(answer)
    }
}

impl AgentError {
    /// As a person is told of it.
    #[must_use]
    pub fn refuse(&self, agent: &Agent, key: &PublicKey) -> Refusal {
        let next = match self {
            Self::Io(_) | Self::Unreadable => {
                "start one and add the key: eval $(ssh-agent) && ssh-add KEY"
            }
            Self::NotHeld(_) => "ssh-add KEY, with the private key file, then the same again",
            Self::Refused => "unlock the agent or touch the key, and run the same command again",
        };
        Refusal::new(RefusalName::Usage, self.to_string())
            .value("agent", agent.socket.display())
            .value("key", key.fingerprint())
            .next(next)
    }
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) -> Result<(), AgentError> {
    let length = u32::try_from(bytes.len())
        .ok()
        .ok_or(AgentError::Unreadable)?;
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
    Ok(())
}

fn kind(answer: &[u8], wanted: u8) -> Option<&[u8]> {
    match answer {
        [kind, body @ ..] if *kind == wanted => Some(body),
        _ => None,
    }
}

/// A number of four bytes, and what stands behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*length)).ok()?, rest))
}

/// Bytes with their length in front, and what stands behind them.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(length)
}

/// The key blobs of an answer; each has a comment behind it.
fn identities(body: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = number(body)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        let (key, behind) = take(rest)?;
        let (_, behind) = take(behind)?;
        keys.push(key);
        rest = behind;
    }
    rest.is_empty().then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SigningKey;
    use std::os::unix::net::UnixListener;
    use zeroize::Zeroizing;

    fn key() -> PublicKey {
        let key = SigningKey::from_seed(&Zeroizing::new([1; 32])).unwrap();
        key.public().unwrap()
    }

    /// An agent that gives one answer, whatever it is asked.
    fn answering(answer: &[u8], ask: impl FnOnce(&Agent) -> AgentError) -> String {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        let answer = answer.to_vec();
        let agent = std::thread::spawn(move || {
            let (mut asked, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            asked.read_exact(&mut length).unwrap();
            let mut question = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            asked.read_exact(&mut question).unwrap();
            // Whoever asked may have heard enough before the end.
            drop(asked.write_all(&answer));
        });
        let error = ask(&Agent::at(&socket)).to_string();
        agent.join().unwrap();
        error
    }

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, body).unwrap();
        bytes
    }

    #[test]
    fn a_hostile_answer_is_refused_within_bounds() {
        let unreadable = "cannot be read";
        let mut cut = framed(&[SIGN_RESPONSE, 0, 0, 0, 9]);
        cut.truncate(7);
        let signing: [(Vec<u8>, &str); 7] = [
            (Vec::new(), "does not answer"),
            (cut, "does not answer"),
            (u32::MAX.to_be_bytes().to_vec(), unreadable),
            (framed(&[]), unreadable),
            (framed(&[5]), "did not sign"),
            (framed(&[SIGN_RESPONSE, 0, 0, 0, 9, 1]), unreadable),
            (framed(&[SIGN_RESPONSE, 0, 0, 0, 1, 1, 1]), unreadable),
        ];
        for (answer, says) in signing {
            let error = answering(&answer, |agent| agent.sign(&key(), b"m").unwrap_err());
            assert!(error.contains(says), "{answer:?}: {error}");
        }
        let listing: [(Vec<u8>, &str); 4] = [
            (framed(&[IDENTITIES_ANSWER, 0, 0, 0, 0]), "holds 0 other"),
            (framed(&[IDENTITIES_ANSWER, 255, 255, 255, 255]), unreadable),
            (framed(&[IDENTITIES_ANSWER, 0, 0, 0, 0, 0]), unreadable),
            (framed(&[SIGN_RESPONSE]), unreadable),
        ];
        for (answer, says) in listing {
            let error = answering(&answer, |agent| agent.check_holds(&key()).unwrap_err());
            assert!(error.contains(says), "{answer:?}: {error}");
        }
    }
}
