//! A web server on the loopback that answers as it is told, and notes what it was asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Done;

/// Most that is sent of an answer without end, so that a client that reads on does not hang the test.
const ENDLESS: usize = 64 * 1024 * 1024;

/// What a path answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A file.
    File(Vec<u8>),
    /// These very bytes, headers and all.
    Raw(Vec<u8>),
    /// These bytes and then nothing but zeros.
    Endless(&'static str),
}

/// Files by path, without the slash in front.
pub(crate) type Files = BTreeMap<String, Answer>;

#[derive(Debug, Default)]
struct State {
    files: Files,
    asked: Vec<String>,
    /// The most bytes that went out for one answer.
    sent: usize,
    stop: bool,
}

/// The server; it ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Done<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if with(&shared, |state| state.stop) {
                    break;
                }
                // A client that hangs up in the middle is what some tests are about.
                drop(stream.map_err(Into::into).and_then(|s| answer(s, &shared)));
            }
        });
        Ok(Self {
            address,
            state,
            thread: Some(thread),
        })
    }

    /// The URL of a folder.
    pub(crate) fn url(&self, folder: &str) -> String {
        format!("http://{}/{folder}/", self.address)
    }

    /// From now on, these files are served.
    pub(crate) fn serve(&self, files: Files) {
        with(&self.state, |state| state.files = files);
    }

    /// The paths that were asked for since this was last called.
    pub(crate) fn asked(&self) -> Vec<String> {
        with(&self.state, |state| std::mem::take(&mut state.asked))
    }

    /// The most bytes that went out for one answer.
    pub(crate) fn sent(&self) -> usize {
        with(&self.state, |state| state.sent)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        with(&self.state, |state| state.stop = true);
        // Wakes it; where that does not work, it is gone already.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn with<T>(state: &Mutex<State>, act: impl FnOnce(&mut State) -> T) -> T {
    act(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> Done {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    let path = asked_path(&mut stream)?;
    let answer = with(state, |state| {
        state.asked.push(path.clone());
        state.files.get(&path).cloned()
    });
    let (bytes, endless) = match answer {
        None => (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            false,
        ),
        Some(Answer::Raw(bytes)) => (bytes, false),
        Some(Answer::Endless(start)) => (start.as_bytes().to_vec(), true),
        Some(Answer::File(file)) => {
            let length = file.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            ([head.into_bytes(), file].concat(), false)
        }
    };
    stream.write_all(&bytes)?;
    let mut sent = bytes.len();
    while endless && sent < ENDLESS && stream.write_all(&[0; 4096]).is_ok() {
        sent = sent.saturating_add(4096);
    }
    with(state, |state| state.sent = state.sent.max(sent));
    Ok(())
}

fn asked_path(stream: &mut TcpStream) -> Done<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 8192 && stream.read(&mut byte)? == 1 {
        request.extend_from_slice(&byte);
    }
    let request = String::from_utf8(request)?;
    let path = request.split(' ').nth(1).ok_or("no path was asked for")?;
    Ok(path.trim_start_matches('/').to_owned())
}
