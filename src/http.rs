//! HTTP/1.1 as far as the tools need it, on blocking sockets: a thread a connection, one request in, one response out,
//! kept connections, and a limit to everything that a client could draw out.
//!
//! A library's server hides the socket, and half of the sandbox's faults happen there. tiny_http 0.12 was tried for
//! am-recv: of 64 connections that came at once some were not served until others closed (its pool counts a thread as
//! idle until it wakes), it accepts nothing more after the first error, and it sets no time-outs.

mod crowd;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crowd::Crowd;

/// What one connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request line with its headers.
    pub head: usize,
    /// Bytes of a body.
    pub body: usize,
    /// For a whole request, from its first byte; for the first byte of a new connection as well.
    pub patience: Duration,
    /// Between two requests; see [`Connection::keep_for`].
    pub idle: Duration,
}

/// An answer that the client does not take in this time ends its connection.
const WRITE_PATIENCE: Duration = Duration::from_millis(500);

/// Connections above the most, for the moment in which others are being closed for them.
const SPARE: usize = 64;

const MAX_HEADERS: usize = 100;
const STACK: usize = 256 << 10;

/// What stands before the body.
#[derive(Debug, Default)]
pub struct Head {
    /// As sent.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// In their order, names as sent.
    pub headers: Vec<(String, String)>,
    /// HTTP/1.0, whose connections are not kept.
    pub is_old: bool,
}

impl Head {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What stands after the question mark.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// What the client says of the length of its body; 0 where it says nothing.
    pub fn content_length(&self) -> Result<usize, Broken> {
        match self.header("content-length") {
            "" => Ok(0),
            length => length.parse().map_err(|_| Broken::Refused(400, "Bad Request: invalid Content-Length")),
        }
    }

    /// The first header of this name, whatever its case; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// Whether a browser sent this for a page of another origin than `own`. Any page may have one post to loopback, and
    /// needs no answer for that; the browser says where it came from.
    pub fn is_foreign(&self, own: &str) -> bool {
        let (origin, site) = (self.header("origin"), self.header("sec-fetch-site"));
        (!origin.is_empty() && origin != own) || !matches!(site, "" | "none" | "same-origin")
    }

    fn keeps_alive(&self) -> bool {
        !self.is_old && !self.header("connection").to_ascii_lowercase().contains("close")
    }
}

/// A whole request.
#[derive(Debug, Default)]
pub struct Request {
    /// Before the body.
    pub head: Head,
    /// As sent, put together from its chunks.
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
    /// Such as 200.
    pub status: u16,
    /// All but `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Response {
    /// With a body of this type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// One line for a person.
    pub fn text(status: u16, line: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// A JSON document.
    pub fn json(status: u16, value: &serde_json::Value) -> Response {
        Response::new(status, "application/json", value.to_string())
    }

    /// Adds a header.
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
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
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
    /// Whoever else has to write an answer has a share of it.
    pub stream: Arc<TcpStream>,
    /// Counted over all connections of this run, from 1.
    pub number: u64,
    /// How many requests were read from it.
    pub served: u64,
    limits: Limits,
    buffer: Vec<u8>,
    deadline: Instant,
    keep: bool,
    idle: Duration,
    owed: Option<Arc<AtomicBool>>,
    crowd: Arc<Crowd>,
}

impl Connection {
    /// Nothing is read yet.
    pub fn new(stream: Arc<TcpStream>, number: u64, limits: Limits) -> Connection {
        // Answers are written whole; waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        Connection {
            stream,
            number,
            served: 0,
            limits,
            buffer: Vec::new(),
            deadline: Instant::now(),
            keep: true,
            idle: limits.idle,
            owed: None,
            crowd: Arc::default(),
        }
    }

    /// From now on it may be idle for so long: its client is somebody.
    pub fn keep_for(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// The request that is being read counts: it is not given up for another connection.
    pub fn admit(&mut self) {
        self.crowd.leave(self.number);
    }

    /// Whether another request may come.
    pub fn keeps_alive(&self) -> bool {
        self.keep
    }

    /// Somebody else answers the request that was read last, and says so here. Answers go out in the order of their
    /// requests, so a client that sends the next one before that waits.
    pub fn owe(&mut self, given: Arc<AtomicBool>) {
        self.owed = Some(given);
    }

    fn wait_until_paid(&mut self) {
        if let Some(given) = self.owed.take() {
            while !given.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits for a head: for its first byte at most as long as the connection may be `idle`.
    pub fn read_head(&mut self, idle: Duration) -> Result<Head, Broken> {
        if self.buffer.is_empty() {
            self.deadline = Instant::now() + idle;
            self.fill()?;
        }
        self.deadline = Instant::now() + self.limits.patience;
        loop {
            if let Some((head, length)) = parse_head(&self.buffer)? {
                self.buffer.drain(..length);
                self.served += 1;
                self.keep = head.keeps_alive();
                return Ok(head);
            }
            if self.buffer.len() > self.limits.head {
                return Err(Broken::Refused(431, "Request Header Fields Too Large"));
            }
            self.fill()?;
        }
    }

    /// Reads the body that belongs to `head`; `until` stops after that many bytes of it, for faults.
    pub fn read_body(&mut self, head: &Head, until: usize) -> Result<Vec<u8>, Broken> {
        if head.header("expect").eq_ignore_ascii_case("100-continue") {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if head.header("transfer-encoding").to_ascii_lowercase().contains("chunked") {
            return self.read_chunks(until);
        }
        let length = head.content_length()?;
        if length > self.limits.body {
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
            if body.len().saturating_add(size) > self.limits.body {
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
            if self.buffer.len() > self.limits.head {
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

    /// Reads what there is, or waits for it until the deadline.
    fn fill(&mut self) -> Result<(), Broken> {
        let left = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 16 << 10];
        match (&*self.stream).read(&mut chunk) {
            Ok(0) => Err(Broken::Closed),
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                let late = Instant::now() >= self.deadline;
                if late { Err(self.too_slow()) } else { Ok(()) }
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(self.too_slow())
            }
            Err(_) => Err(Broken::Closed),
        }
    }

    /// A kept connection that says nothing more is no request that came too slowly.
    fn too_slow(&self) -> Broken {
        if self.buffer.is_empty() && self.served > 0 && self.keep {
            return Broken::Closed;
        }
        Broken::Refused(408, "the request was not complete in time")
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&*self.stream).write_all(bytes)
    }

    /// Makes the coming close a reset instead of an end: what the kernel does to a process that dies with unread data.
    pub fn reset(self) {
        let _ = socket2::SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Waits until the other side gives up, and reads over what it still sends.
    pub fn wait_for_close(&mut self, at_most: Duration) {
        self.deadline = Instant::now() + at_most;
        while self.fill().is_ok() {
            self.buffer.clear();
        }
    }

    /// Answers a request whose body was not read, or not wholly. Closing with unread data would be a reset, which
    /// takes the answer away from the client before it reads it.
    pub fn answer_and_close(&mut self, response: Response) {
        if self.write(&response.header("Connection", "close").bytes()).is_ok() {
            let _ = self.stream.shutdown(Shutdown::Write);
            self.wait_for_close(Duration::from_secs(10));
        }
    }
}

/// Accepts connections for ever, a thread each, at most so many at a time. `serve` answers one request, whose head was
/// read; it returns whether the connection goes on. What is no request is answered here, as text. Where there are so many,
/// the one that has waited for the longest gives way to a new one: nobody keeps others out by being there.
pub fn serve(
    listener: &TcpListener,
    limits: Limits,
    most: usize,
    serve: impl Fn(&mut Connection, &Head) -> bool + Send + Sync + 'static,
) {
    let serve = Arc::new(serve);
    let open = Arc::new(AtomicUsize::new(0));
    let crowd = Arc::new(Crowd::default());
    let mut number = 0;
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => Arc::new(stream),
            Err(err) => {
                // Too many open files, mostly: it passes.
                log::warn!("cannot accept a connection: {err}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let _ = stream.set_write_timeout(Some(WRITE_PATIENCE));
        number += 1;
        let mut connection = Connection::new(stream, number, limits);
        connection.crowd = crowd.clone();
        let others = open.load(Ordering::Relaxed);
        if others >= most && (others >= most + SPARE || !crowd.send_one_away()) {
            let _ =
                connection.write(&Response::text(503, "too many connections").header("Connection", "close").bytes());
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        crowd.enter(number, false, connection.stream.clone(), None);
        let (serve, counted) = (serve.clone(), open.clone());
        let work = move || {
            converse(&mut connection, limits, &*serve);
            connection.crowd.leave(connection.number);
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if let Err(err) = thread::Builder::new().stack_size(STACK).spawn(work) {
            crowd.leave(number);
            open.fetch_sub(1, Ordering::Relaxed);
            log::warn!("cannot serve a connection: {err}");
        }
    }
}

fn converse(connection: &mut Connection, limits: Limits, serve: &impl Fn(&mut Connection, &Head) -> bool) {
    loop {
        let idle = if connection.served == 0 { limits.patience } else { connection.idle };
        // A new one was entered when it was accepted.
        if connection.served > 0 {
            let is_known = connection.idle > limits.idle;
            connection.crowd.enter(connection.number, is_known, connection.stream.clone(), connection.owed.clone());
        }
        match connection.read_head(idle) {
            Ok(head) => {
                connection.wait_until_paid();
                if !serve(connection, &head) || !connection.keeps_alive() {
                    return;
                }
            }
            Err(Broken::Closed) => return,
            Err(Broken::Refused(status, reason)) => {
                connection.wait_until_paid();
                return connection.answer_and_close(Response::text(status, reason));
            }
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
            let is_old = request.version == Some(0);
            Ok(Some((Head { method, target, headers, is_old }, length)))
        }
        Err(httparse::Error::TooManyHeaders) => Err(Broken::Refused(431, "Request Header Fields Too Large")),
        Err(_) => Err(Broken::Refused(400, "Bad Request")),
    }
}
