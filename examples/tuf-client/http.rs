//! GET over plain HTTP on the loopback, bounded in time and size.
//!
//! | attack | defence |
//! |---|---|
//! | data without end, in the body or before it | the caller's limit; [`HEAD_MAX`] |
//! | a body that is longer than it says, or shorter | as many bytes as `Content-Length` says, or an error |
//! | one byte an hour | [`TIME_MAX`] for the whole answer |
//! | a redirection, or an encoding that unfolds | not followed, not read: an error |

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Most bytes of status and headers.
const HEAD_MAX: usize = 16 * 1024;
/// Longest time for one answer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// A folder on a web server: `http://127.0.0.1:8000/some/folder/`.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    host: String,
    address: SocketAddr,
    folder: String,
}

impl FromStr for Site {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .context("only http:// is read")?;
        let (host, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'?' && byte != b'#';
        ensure!(url.bytes().all(plain), "it is no plain URL");
        let named = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut addresses = named.to_socket_addrs().context("no such host")?;
        let address = addresses
            .find(|address| address.ip().is_loopback())
            .context("plain HTTP is for the loopback alone")?;
        Ok(Self {
            host: host.to_owned(),
            address,
            folder: format!("/{}/", folder.trim_matches('/')).replace("//", "/"),
        })
    }
}

impl Site {
    /// Gives the file's bytes, piece by piece, to `take`; whether there is such a file.
    pub(crate) fn get_into(
        &self,
        name: &str,
        max: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        let path = format!("{}{name}", self.folder);
        self.ask(&path, max, take)
            .with_context(|| format!("http://{}{path}", self.host))
    }

    /// The file's bytes; nothing where there is no such file.
    pub(crate) fn get(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let mut all = Vec::new();
        let found = self.get_into(name, max, &mut |bytes| {
            all.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(found.then_some(all))
    }

    fn ask(&self, path: &str, max: u64, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let mut answer = Answer::of(self, path)?;
        match answer.status {
            200 => {}
            403 | 404 => return Ok(false),
            other => bail!("the server answers {other}"),
        }
        if let Some(length) = answer.length
            && length > max
        {
            bail!("it has {length} bytes, {max} are allowed");
        }
        let mut left = answer.length.unwrap_or(max.saturating_add(1));
        while left > 0 {
            let piece = answer.piece(left)?;
            if piece.is_empty() {
                break;
            }
            left = left.saturating_sub(u64::try_from(piece.len())?);
            take(&piece)?;
        }
        match answer.length {
            Some(_) => ensure!(left == 0, "it ends {left} bytes too early"),
            None => ensure!(
                left > 0,
                "it has more than the {max} bytes that are allowed"
            ),
        }
        Ok(true)
    }
}

struct Answer {
    stream: TcpStream,
    deadline: Instant,
    status: u16,
    length: Option<u64>,
    /// Bytes of the body that came with the headers.
    early: Vec<u8>,
}

impl Answer {
    fn of(site: &Site, path: &str) -> Result<Self> {
        let deadline = Instant::now()
            .checked_add(TIME_MAX)
            .context("the clock ends")?;
        let mut stream = TcpStream::connect_timeout(&site.address, TIME_MAX)?;
        stream.set_write_timeout(Some(TIME_MAX))?;
        let host = &site.host;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Self {
            stream,
            deadline,
            status: 0,
            length: None,
            early: Vec::new(),
        };
        answer.read_head()?;
        Ok(answer)
    }

    fn read_head(&mut self) -> Result<()> {
        let mut head = Vec::new();
        let end = loop {
            let found = head.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = found {
                break end;
            }
            ensure!(head.len() < HEAD_MAX, "its headers do not end");
            let more = self.receive(CHUNK)?;
            ensure!(!more.is_empty(), "the answer ends before its headers");
            head.extend_from_slice(&more);
        };
        self.early = head.split_off(end.saturating_add(4));
        let head = String::from_utf8(head).context("its headers are no text")?;
        let mut lines = head.split("\r\n");
        self.status = lines
            .next()
            .and_then(status)
            .context("it is no HTTP/1 answer")?;
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').context("a header has no colon")?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    let length = value.trim().parse().context("its length is no number")?;
                    let before = self.length.replace(length);
                    ensure!(
                        before.is_none_or(|before| before == length),
                        "it has two lengths"
                    );
                }
                "transfer-encoding" | "content-encoding" => {
                    ensure!(
                        value.trim() == "identity",
                        "the encoding{value} is not read"
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The next bytes of the body, at most `most`; none at its end.
    fn piece(&mut self, most: u64) -> Result<Vec<u8>> {
        let most = usize::try_from(most).unwrap_or(CHUNK).min(CHUNK);
        if self.early.is_empty() {
            return self.receive(most);
        }
        let rest = self.early.split_off(most.min(self.early.len()));
        Ok(std::mem::replace(&mut self.early, rest))
    }

    fn receive(&mut self, most: usize) -> Result<Vec<u8>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        ensure!(
            !left.is_zero(),
            "it takes longer than {} s",
            TIME_MAX.as_secs()
        );
        self.stream.set_read_timeout(Some(left))?;
        let mut bytes = vec![0; most];
        let read = self.stream.read(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// The status of `HTTP/1.1 200 OK`.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}
