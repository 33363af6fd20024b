//! One connection: requests out of it, bytes into it, and the time that its client has for either.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::message::parse_head;
use super::{Broken, Head, Limits, Response};

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

    /// Waits for its first request as one of these, who may be sent away for another.
    pub(super) fn join(&mut self, crowd: &Arc<Crowd>) {
        self.crowd = crowd.clone();
        self.crowd.enter(self.number, false, self.stream.clone(), None);
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

    /// The next request, as soon as the one before it is answered.
    pub(super) fn next(&mut self) -> Result<Head, Broken> {
        let idle = if self.served == 0 { self.limits.patience } else { self.idle };
        // A new one has joined when it was accepted.
        if self.served > 0 {
            let is_known = self.idle > self.limits.idle;
            self.crowd.enter(self.number, is_known, self.stream.clone(), self.owed.clone());
        }
        let head = self.read_head(idle);
        if !matches!(head, Err(Broken::Closed)) {
            self.wait_until_paid();
        }
        head
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
