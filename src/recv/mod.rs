//! The receiver of webhooks: takes requests, writes lines, and answers when somebody has taken responsibility.
//!
//! Threads: one for each connection reads and checks requests and queues their lines; one writer writes lines to stdout;
//! with `--ack` one more hears which lines are on disk; a housekeeper answers 503 to what waited too long. An open
//! request lives in the [`Book`] from the moment its line is queued until one of them answers it.

mod book;
mod metrics;
mod request;

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver as Queue, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ack;
use crate::alert::{Malformed, Webhook};
use crate::http::{self, Broken, Connection, Head, Limits, Response};
use crate::line::{self, Digest};
use book::{Book, Open, Reply};
use metrics::Metrics;
pub use request::Credentials;
use request::{Kind, busy, too_large};

/// Lines that wait for a reader of stdout, in bytes; above this, requests are refused for now.
const QUEUE: usize = 64 << 20;

/// Lines are written together up to about this many bytes: what a pipe holds.
const TOGETHER: usize = 64 << 10;

/// Connections at a time.
const MOST: usize = 1000;

/// A header is some hundred bytes.
const HEAD: usize = 32 << 10;

/// Alertmanager keeps idle connections for five minutes. Whoever has not brought a webhook yet is given less: there are
/// only so many connections.
const IDLE: Duration = Duration::from_secs(600);
const IDLE_OF_STRANGERS: Duration = Duration::from_secs(5);

/// Between the last line and the end of the tool.
const FAREWELL: Duration = Duration::from_millis(100);

/// What the command line and the configuration decide.
pub struct Options {
    /// A longer body is answered 413; bytes.
    pub max_body: usize,
    /// A line that is not acknowledged by then is answered 503.
    pub ack_timeout: Duration,
    /// Wait for acknowledgements, instead of answering when a line is written.
    pub with_ack: bool,
    /// A client that takes longer for a request is answered 408.
    pub patience: Duration,
    /// What a webhook must present.
    pub credentials: Credentials,
}

/// The receiver, shared by its threads.
pub struct Receiver {
    options: Options,
    book: Mutex<Book>,
    metrics: Metrics,
    queue: Sender<(Digest, Vec<u8>)>,
    queued: AtomicUsize,
}

/// The lines that a receiver has accepted, to be written by [`Receiver::write_lines`].
pub struct Accepted(Queue<(Digest, Vec<u8>)>);

impl Receiver {
    /// Starts to serve on a listening socket.
    pub fn start(listener: TcpListener, options: Options) -> (Arc<Self>, Accepted) {
        let (queue, accepted) = channel();
        let limits = Limits { head: HEAD, body: options.max_body, patience: options.patience, idle: IDLE_OF_STRANGERS };
        let receiver = Arc::new(Receiver {
            options,
            book: Mutex::default(),
            metrics: Metrics::default(),
            queue,
            queued: AtomicUsize::new(0),
        });
        let housekeeper = receiver.clone();
        thread::spawn(move || housekeeper.keep_house());
        let server = receiver.clone();
        thread::spawn(move || {
            http::serve(&listener, limits, MOST, move |connection, head| server.handle(connection, head));
        });
        (receiver, Accepted(accepted))
    }

    /// Hears acknowledgements for ever.
    pub fn hear(self: &Arc<Self>, socket: UnixDatagram) {
        let receiver = self.clone();
        thread::spawn(move || {
            loop {
                match ack::receive(&socket) {
                    Ok(digests) => receiver.settle(&digests),
                    Err(err) => {
                        log::warn!("cannot receive acknowledgements: {err}");
                        thread::sleep(Duration::from_secs(1));
                    }
                }
            }
        });
    }

    /// Writes accepted lines to `output` until that fails; then everything that is open is answered 503.
    pub fn write_lines(&self, accepted: &Accepted, output: &mut impl Write) -> io::Error {
        // In a FIFO that outlives its writers the last one may have left half a line.
        let mut bytes = b"\n".to_vec();
        let mut written = Vec::new();
        let mut queued = 0;
        let err = loop {
            if let Err(err) = output.write_all(&bytes).and_then(|()| output.flush()) {
                break err;
            }
            self.queued.fetch_sub(queued, Ordering::Relaxed);
            if !self.options.with_ack {
                self.settle(&written);
            }
            bytes.clear();
            bytes.shrink_to(2 * TOGETHER);
            written.clear();
            // The sender lives as long as `self`.
            let Ok(first) = accepted.0.recv() else { break io::ErrorKind::BrokenPipe.into() };
            let mut next = Some(first);
            while let Some((digest, line)) = next {
                written.push(digest);
                bytes.extend_from_slice(&line);
                bytes.push(b'\n');
                next = if bytes.len() < TOGETHER { accepted.0.try_recv().ok() } else { None };
            }
            queued = bytes.len();
        };
        let open = self.locked().close();
        for open in open {
            self.answer(&open.reply, &busy("the next stage is gone"));
        }
        // Requests that were being read at this moment are answered by their own threads.
        thread::sleep(FAREWELL);
        err
    }

    /// One request; whether the connection goes on.
    fn handle(&self, connection: &mut Connection, head: &Head) -> bool {
        let since = Instant::now();
        let reply = Reply::new(connection.stream.clone());
        let response = match request::kind(head, &self.options.credentials, self.options.max_body) {
            Kind::Webhook => return self.webhook(connection, head, &reply, since),
            Kind::Healthy => Response::text(200, "am-recv is healthy"),
            Kind::Ready if self.is_ready() => Response::text(200, "am-recv is ready"),
            Kind::Ready => busy("lines cannot be written"),
            Kind::Metrics => {
                let open = self.locked().len();
                self.metrics.response(open, self.queued.load(Ordering::Relaxed))
            }
            Kind::Refused(response) => response,
        };
        // Where a body follows that is not wanted, the connection ends with the answer.
        if head.content_length().is_ok_and(|length| length == 0) && head.header("transfer-encoding").is_empty() {
            self.answer(&reply, &response);
            return true;
        }
        self.note(&response);
        connection.answer_and_close(response);
        false
    }

    /// Reads and checks a body, and queues its line.
    fn webhook(&self, connection: &mut Connection, head: &Head, reply: &Reply, since: Instant) -> bool {
        if self.options.credentials.are_asked() {
            connection.admit();
        }
        let body = match connection.read_body(head, usize::MAX) {
            Ok(body) => body,
            Err(Broken::Closed) => return false,
            Err(Broken::Refused(status, reason)) => {
                let response = match status {
                    413 => too_large(self.options.max_body),
                    status => Response::text(status, reason),
                };
                self.note(&response);
                connection.answer_and_close(response);
                return false;
            }
        };
        let alerts = match Webhook::check(&body) {
            Ok(alerts) => alerts,
            Err(err) => {
                let status = if err == Malformed::TooMany { 413 } else { 400 };
                self.answer(reply, &Response::text(status, &err.to_string()));
                return true;
            }
        };
        connection.admit();
        connection.keep_for(IDLE);
        let line = line::from_body(body);
        let (digest, bytes) = (Digest::of(&line), line.len() + 1);
        if self.queued.load(Ordering::Relaxed) + bytes > QUEUE {
            self.answer(reply, &busy("too many lines wait for their reader"));
            return true;
        }
        let open = Open { reply: reply.clone(), since, alerts, bytes };
        // Bound first: in the condition the lock would be held while the answer is written.
        let entered = self.locked().enter(digest, open);
        if entered.is_err() {
            self.answer(reply, &busy("the next stage is gone"));
            return true;
        }
        self.queued.fetch_add(bytes, Ordering::Relaxed);
        // Its receiver is gone only when `write_lines` has returned, and then the book is closed.
        let _ = self.queue.send((digest, line));
        connection.owe(reply.given());
        true
    }

    /// Answers 200 to the requests of these lines.
    fn settle(&self, digests: &[Digest]) {
        let accepted = Response::text(200, "accepted");
        for digest in digests {
            let settled = self.locked().take(digest);
            for open in settled {
                self.answer(&open.reply, &accepted);
                let took = open.since.elapsed();
                self.metrics.accepted(open.alerts, open.bytes, took);
                let (alerts, bytes, ms) = (open.alerts, open.bytes, took.as_millis());
                log::info!("accepted id={} alerts={alerts} bytes={bytes} ms={ms}", digest.short());
            }
        }
    }

    fn keep_house(&self) {
        const TICK: Duration = Duration::from_millis(100);
        loop {
            thread::sleep(TICK);
            let expired = self.locked().expire(self.options.ack_timeout);
            for open in expired {
                self.answer(&open.reply, &busy("not acknowledged in time"));
            }
        }
    }

    fn is_ready(&self) -> bool {
        !self.locked().is_closed() && self.queued.load(Ordering::Relaxed) < QUEUE
    }

    fn answer(&self, reply: &Reply, response: &Response) {
        self.note(response);
        reply.give(response);
    }

    fn note(&self, response: &Response) {
        self.metrics.answered(response.status);
        if response.status >= 300 {
            let reason = String::from_utf8_lossy(&response.body);
            log::warn!("refused status={}: {}", response.status, reason.trim_end());
        }
    }

    fn locked(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
