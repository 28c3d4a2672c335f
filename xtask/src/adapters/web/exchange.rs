//! One request and its answer on an open stream. It must not know whether the stream is encrypted, nor who is at the other end.

use crate::domain::web::{Answer, Ask};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Bytes of the head at most.
const HEAD: usize = 64 << 10;
/// Bytes of the body at most; the API of a Traefik with a thousand routes answers a third of it.
const BODY: usize = 4 << 20;

/// Why there is no answer.
pub(super) enum Trouble {
    Refused,
    Late,
    Other(String),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Late,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// A stream on which every read and write ends at one moment: a server that sends a byte a second is late too.
pub(super) struct Bounded<'a> {
    pub(super) stream: &'a TcpStream,
    pub(super) left: &'a dyn Fn() -> Option<Duration>,
}

impl Bounded<'_> {
    fn left(&self) -> std::io::Result<Option<Duration>> {
        (self.left)().map(Some).ok_or_else(|| ErrorKind::TimedOut.into())
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

/// Sends the request and reads what comes back.
pub(super) fn exchange(mut stream: impl Read + Write, ask: &Ask) -> Result<Answer, Trouble> {
    stream.write_all(&request(ask)?)?;
    stream.flush()?;
    let mut bytes = Vec::new();
    let (mut answer, at) = loop {
        let more = read(&mut stream, &mut bytes)?;
        if let Some((answer, at)) = head(&bytes)? {
            break (answer, at);
        }
        if bytes.len() > HEAD {
            return Err(Trouble::Other("the answer's head does not end".to_owned()));
        }
        if !more {
            let what = if bytes.is_empty() { "closed without an answer" } else { "closed within the answer's head" };
            return Err(Trouble::Other(format!("the connection was {what}")));
        }
    };
    let mut rest = bytes.split_off(at);
    let bodiless = matches!(answer.status, 204 | 304);
    if !bodiless {
        let chunked = answer.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked"));
        let length = match answer.header("content-length").filter(|_| !chunked) {
            Some(text) => Some(text.parse::<usize>().map_err(|_| Trouble::Other("no length of a body".to_owned()))?),
            None => None,
        };
        let whole = |rest: &[u8]| match length {
            Some(length) => rest.len() >= length,
            None => chunked && matches!(unchunked(rest), Ok((_, true)) | Err(_)),
        };
        while !whole(&rest) && rest.len() <= BODY && read(&mut stream, &mut rest)? {}
        answer.cut = rest.len() > BODY;
        rest.truncate(BODY);
        let (body, complete) = match (chunked, length) {
            (true, _) => unchunked(&rest)?,
            (_, Some(length)) => {
                let complete = rest.len() >= length;
                rest.truncate(length);
                (rest, complete)
            }
            _ => (rest, true),
        };
        if !complete && !answer.cut {
            return Err(Trouble::Other("the connection was closed within the answer's body".to_owned()));
        }
        answer.body = body;
    }
    Ok(answer)
}

fn request(ask: &Ask) -> Result<Vec<u8>, Trouble> {
    // Both come from labels that somebody wrote: a line end in them would be a second request.
    let sound = |text: &str| !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if !sound(&ask.host) || !sound(&ask.path) || !ask.path.starts_with('/') {
        return Err(Trouble::Other("the host or the path cannot be written into a request".to_owned()));
    }
    let mut head = format!("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: xtask\r\nAccept: */*\r\n", ask.path, ask.host);
    if let Some(login) = &ask.login {
        head.push_str(&format!("Authorization: Basic {}\r\n", base64(login.expose().as_bytes())));
    }
    head.push_str("Connection: close\r\n\r\n");
    Ok(head.into_bytes())
}

/// Reads once; `false` at the end. A peer that ends TLS without saying so has ended all the same: lengths tell whether all is there.
fn read(stream: &mut impl Read, into: &mut Vec<u8>) -> Result<bool, Trouble> {
    let mut block = [0; 16 << 10];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Ok(false),
            Ok(n) => {
                into.extend_from_slice(&block[..n]);
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The head once it is whole, and where the body begins.
fn head(bytes: &[u8]) -> Result<Option<(Answer, usize)>, Trouble> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut headers);
    let at = match response.parse(bytes) {
        Ok(httparse::Status::Complete(at)) => at,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Trouble::Other(format!("what answers does not speak HTTP: {error}"))),
    };
    let status = response.code.unwrap_or_default();
    if (100..200).contains(&status) {
        // Nothing that was asked can lead to one of these, except an early hint before the answer.
        return Ok(head(&bytes[at..])?.map(|(answer, after)| (answer, at + after)));
    }
    let header = |h: &httparse::Header<'_>| (h.name.to_lowercase(), String::from_utf8_lossy(h.value).into_owned());
    let headers = response.headers.iter().map(header).collect();
    Ok(Some((Answer { status, headers, ..Answer::default() }, at)))
}

/// A body that came in pieces, and whether its last piece is there.
fn unchunked(mut bytes: &[u8]) -> Result<(Vec<u8>, bool), Trouble> {
    let mut body = Vec::new();
    loop {
        match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((_, 0))) => return Ok((body, true)),
            Ok(httparse::Status::Complete((at, size))) => {
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                let piece = bytes.get(at..).unwrap_or_default();
                body.extend_from_slice(&piece[..size.min(piece.len())]);
                match size.checked_add(2).and_then(|end| piece.get(end..)) {
                    Some(rest) => bytes = rest,
                    None => return Ok((body, false)),
                }
            }
            Ok(httparse::Status::Partial) => return Ok((body, false)),
            Err(_) => {
                return Err(Trouble::Other("the answer's body is not in the form that its head tells".to_owned()));
            }
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc4648#section-4>
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for piece in bytes.chunks(3) {
        let at = |i: usize| u32::from(piece.get(i).copied().unwrap_or_default());
        let number = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4 {
            let index = (number >> (18 - 6 * letter)) & 63;
            text.push(if letter <= piece.len() { char::from(LETTERS[index as usize]) } else { '=' });
        }
    }
    text
}
