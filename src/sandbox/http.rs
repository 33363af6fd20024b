//! HTTP/1.1 as far as the sandbox needs it, on a blocking socket: one request in, one response out, kept connections.
//!
//! A library's server hides the socket, and half of the faults to be shown happen there.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// TDLib's HttpReader takes 256 KiB of headers.
const MAX_HEAD: usize = 256 << 10;
/// The largest upload is a document of 50 MB.
const MAX_BODY: usize = 64 << 20;
const MAX_HEADERS: usize = 100;

/// What stands before the body.
#[derive(Debug, Default)]
pub struct Head {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn keeps_alive(&self) -> bool {
        !self.header("connection").to_ascii_lowercase().contains("close")
    }
}

/// A whole request.
#[derive(Debug, Default)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
}

/// Why no request came.
#[derive(Debug)]
pub enum Broken {
    /// The other side is gone or silent: nothing to say.
    Closed,
    /// It is not HTTP, or too much of it.
    Refused(u16, &'static str),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Broken::Closed
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    pub fn json(status: u16, value: &serde_json::Value) -> Response {
        Response::new(status, "application/json", value.to_string())
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Status line and headers, without those that say how long the body is.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.into_bytes()
    }

    /// The whole response.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = self.head();
        all.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        all.extend_from_slice(&self.body);
        all
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        _ => "Unknown",
    }
}

/// One connection.
pub struct Connection {
    pub stream: Arc<TcpStream>,
    /// Counted over all connections of this run, from 1.
    pub number: u64,
    /// How many requests were read from it.
    pub served: u64,
    buffer: Vec<u8>,
    keep: bool,
}

impl Connection {
    pub fn new(stream: Arc<TcpStream>, number: u64) -> Connection {
        // Answers are written whole; waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        Connection { stream, number, served: 0, buffer: Vec::new(), keep: true }
    }

    /// Whether another request may come.
    pub fn keeps_alive(&self) -> bool {
        self.keep
    }

    /// Waits for a head, at most as long as the connection may be idle.
    pub fn read_head(&mut self, idle: Duration) -> Result<Head, Broken> {
        self.stream.set_read_timeout(Some(idle))?;
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                self.buffer.drain(..length);
                self.served += 1;
                self.keep = head.keeps_alive();
                return Ok(head);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Broken::Refused(431, "Request Header Fields Too Large"));
            }
            self.fill()?;
        }
    }

    /// Reads the body that belongs to `head`; `until` stops after that many bytes of it, for faults.
    pub fn read_body(&mut self, head: &Head, until: usize) -> Result<Vec<u8>, Broken> {
        self.stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        if head.header("expect").eq_ignore_ascii_case("100-continue") {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if head.header("transfer-encoding").to_ascii_lowercase().contains("chunked") {
            return self.read_chunks(until);
        }
        let length = head.header("content-length");
        let length: usize = if length.is_empty() {
            0
        } else {
            length.parse().map_err(|_| Broken::Refused(400, "Bad Request: invalid Content-Length"))?
        };
        if length > MAX_BODY {
            return Err(Broken::Refused(413, "Request Entity Too Large"));
        }
        self.take(length.min(until))
    }

    fn read_chunks(&mut self, until: usize) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| Broken::Refused(400, "Bad Request: invalid chunk length"))?;
            if body.len() + size.min(MAX_BODY) >= MAX_BODY {
                return Err(Broken::Refused(413, "Request Entity Too Large"));
            }
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            self.line()?;
            if body.len() >= until {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> Result<String, Broken> {
        loop {
            if let Some(end) = self.buffer.iter().position(|c| *c == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(Broken::Refused(400, "Bad Request: line too long"));
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < length {
            self.fill()?;
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    fn fill(&mut self) -> Result<(), Broken> {
        let mut chunk = [0; 16 << 10];
        match (&*self.stream).read(&mut chunk) {
            Ok(0) => Err(Broken::Closed),
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Broken::Closed),
        }
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// Makes the coming close a reset instead of an end: what the kernel does to a process that dies with unread data.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Waits until the other side gives up.
    pub fn wait_for_close(&mut self, at_most: Duration) {
        let _ = self.stream.set_read_timeout(Some(at_most));
        while self.fill().is_ok() {
            self.buffer.clear();
        }
    }
}

fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(buffer) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = request.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
            let method = request.method.unwrap_or_default().to_owned();
            let target = request.path.unwrap_or_default().to_owned();
            Ok(Some((Head { method, target, headers }, length)))
        }
        Err(httparse::Error::TooManyHeaders) => Err(Broken::Refused(431, "Request Header Fields Too Large")),
        Err(_) => Err(Broken::Refused(400, "Bad Request")),
    }
}
