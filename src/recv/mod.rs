//! The receiver of webhooks: takes requests, writes lines, and answers when somebody has taken responsibility.
//!
//! Threads: a few handlers check requests and queue their lines; one writer writes lines to stdout; with `--ack` one
//! more hears which lines are on disk; a housekeeper answers 503 to what waited too long. An open request lives in the
//! [`Book`] from the moment its line is queued until one of them answers it.

mod book;
mod metrics;
mod request;

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver as Queue, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use tiny_http::{Request, Server};

use crate::ack;
use crate::alert::Webhook;
use crate::connections::{Connections, Patience};
use crate::line::{self, Digest};
use book::{Book, Open};
use metrics::Metrics;
pub use request::Credentials;
use request::{Answer, Kind};

/// Lines that wait for a reader of stdout, in bytes; above this, requests are refused for now.
const QUEUE: usize = 64 << 20;

/// Lines are written together up to about this many bytes: what a pipe holds.
const TOGETHER: usize = 64 << 10;

/// More requests than this are not handled at a time; only slow clients can make so many.
const MOST_HANDLERS: usize = 256;

/// Handlers that are kept when there is nothing to do.
const KEPT_HANDLERS: usize = 4;

/// How long open answers may take to get out when the tool ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the command line and the configuration decide.
pub struct Options {
    /// A longer body is answered 413; bytes.
    pub max_body: usize,
    /// A line that is not acknowledged by then is answered 503.
    pub ack_timeout: Duration,
    /// Wait for acknowledgements, instead of answering when a line is written.
    pub with_ack: bool,
    /// How long clients may take.
    pub patience: Patience,
    /// What a webhook must present.
    pub credentials: Credentials,
}

/// The receiver, shared by its threads.
pub struct Receiver {
    options: Options,
    book: Mutex<Book>,
    metrics: Metrics,
    connections: Connections,
    queue: Sender<(Digest, Vec<u8>)>,
    queued: AtomicUsize,
    handlers: AtomicUsize,
    idle: AtomicUsize,
}

/// The lines that a receiver has accepted, to be written by [`Receiver::write_lines`].
pub struct Accepted(Queue<(Digest, Vec<u8>)>);

impl Receiver {
    /// Starts to serve on a listening socket.
    pub fn start(listener: TcpListener, options: Options) -> anyhow::Result<(Arc<Self>, Accepted)> {
        let port = listener.local_addr().context("cannot read the address of the listening socket")?.port();
        let (queue, accepted) = channel();
        let receiver = Arc::new(Receiver {
            connections: Connections::new(port, options.patience),
            options,
            book: Mutex::default(),
            metrics: Metrics::default(),
            queue,
            queued: AtomicUsize::new(0),
            handlers: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
        });
        let housekeeper = receiver.clone();
        thread::spawn(move || housekeeper.keep_house());
        receiver.serve(listener)?;
        Ok((receiver, Accepted(accepted)))
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
        let err = loop {
            if let Err(err) = output.write_all(&bytes).and_then(|()| output.flush()) {
                break err;
            }
            self.queued.fetch_sub(bytes.len().min(self.queued.load(Ordering::Relaxed)), Ordering::Relaxed);
            if !self.options.with_ack {
                self.settle(&written);
            }
            bytes.clear();
            bytes.shrink_to(2 * TOGETHER);
            written.clear();
            // The sender lives as long as `self`.
            let Ok(mut next) = accepted.0.recv() else { break io::ErrorKind::BrokenPipe.into() };
            loop {
                written.push(next.0);
                bytes.extend_from_slice(&next.1);
                bytes.push(b'\n');
                match accepted.0.try_recv() {
                    Ok(more) if bytes.len() < TOGETHER => next = more,
                    Ok(more) => {
                        // One line more than fits together: it goes with these.
                        written.push(more.0);
                        bytes.extend_from_slice(&more.1);
                        bytes.push(b'\n');
                        break;
                    }
                    Err(_) => break,
                }
            }
        };
        self.close();
        err
    }

    fn serve(self: &Arc<Self>, listener: TcpListener) -> anyhow::Result<()> {
        let spare = listener.try_clone().context("cannot copy the listening socket")?;
        let server = Server::from_listener(listener, None).map_err(|err| anyhow::anyhow!("cannot serve: {err}"))?;
        self.add_handler(Arc::new((server, spare)));
        Ok(())
    }

    /// Handlers are added when none is idle, so that those who wait for slow clients are never all there are.
    fn add_handler(self: &Arc<Self>, server: Arc<(Server, TcpListener)>) {
        let receiver = self.clone();
        self.handlers.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            loop {
                receiver.idle.fetch_add(1, Ordering::SeqCst);
                let request = server.0.recv();
                let was_last = receiver.idle.fetch_sub(1, Ordering::SeqCst) == 1;
                let request = match request {
                    Ok(request) => request,
                    Err(err) => {
                        receiver.accept_again(&server.1, &err);
                        continue;
                    }
                };
                let full = receiver.handlers.load(Ordering::SeqCst) >= MOST_HANDLERS;
                if was_last && !full {
                    receiver.add_handler(server.clone());
                }
                if was_last && full {
                    receiver.respond(request, Answer::busy("too many slow requests"), Instant::now());
                } else {
                    receiver.handle(request);
                }
                if receiver.idle.load(Ordering::SeqCst) >= KEPT_HANDLERS {
                    break;
                }
            }
            receiver.handlers.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// tiny_http stops to accept at the first error, such as too many open files. The connections that it has go on;
    /// a new server takes the next ones.
    fn accept_again(self: &Arc<Self>, listener: &TcpListener, err: &io::Error) {
        log::error!("cannot accept connections: {err}; trying again in a second");
        loop {
            thread::sleep(Duration::from_secs(1));
            match listener.try_clone().map_err(anyhow::Error::from).and_then(|listener| self.serve(listener)) {
                Ok(()) => return,
                Err(err) => log::error!("cannot accept connections: {err:#}; trying again in a second"),
            }
        }
    }

    fn handle(&self, mut request: Request) {
        let since = Instant::now();
        let answer = match request::kind(&request, &self.options.credentials, self.options.max_body) {
            Kind::Webhook => match self.webhook(&mut request) {
                Ok((digest, line, alerts)) => return self.open(request, digest, line, alerts, since),
                Err(answer) => answer,
            },
            Kind::Healthy => Answer::ok("am-recv is healthy"),
            Kind::Ready if self.is_ready() => Answer::ok("am-recv is ready"),
            Kind::Ready => Answer::busy("lines cannot be written"),
            Kind::Metrics => {
                let open = self.locked().len();
                Answer::metrics(self.metrics.text(open, self.queued.load(Ordering::Relaxed)))
            }
            Kind::Refused(answer) => answer,
        };
        self.respond(request, answer, since);
    }

    /// Reads and checks a body. What comes back is the line to be written.
    fn webhook(&self, request: &mut Request) -> Result<(Digest, Vec<u8>, usize), Answer> {
        let peer = request.remote_addr().copied();
        let expected = request.body_length();
        self.connections.reads_body(peer.as_ref());
        let mut body = Vec::with_capacity(expected.unwrap_or(0).min(self.options.max_body));
        let limit = self.options.max_body as u64 + 1;
        let read = request.as_reader().take(limit).read_to_end(&mut body);
        self.connections.has_read(peer.as_ref());
        if body.len() > self.options.max_body {
            return Err(Answer::too_large(self.options.max_body));
        }
        if let Err(err) = read {
            return Err(Answer::bad(&format!("the body could not be read: {err}")));
        }
        if expected.is_some_and(|length| body.len() < length) {
            return Err(Answer::incomplete(body.len(), self.options.patience.request));
        }
        let webhook = Webhook::parse(&body).map_err(|err| Answer::bad(&err.to_string()))?;
        let line = line::from_body(body);
        Ok((Digest::of(&line), line, webhook.alerts.len()))
    }

    /// Enters a request into the book and queues its line.
    fn open(&self, request: Request, digest: Digest, line: Vec<u8>, alerts: usize, since: Instant) {
        let bytes = line.len();
        if self.queued.load(Ordering::Relaxed) + bytes > QUEUE {
            return self.respond(request, Answer::busy("too many lines wait for their reader"), since);
        }
        let open = Open { request, since, alerts, bytes };
        // Bound first: in the condition the lock would be held while the answer is written.
        let entered = self.locked().enter(digest, open);
        if let Err(refused) = entered {
            let (open, why) = *refused;
            return self.respond(open.request, Answer::busy(why), since);
        }
        self.queued.fetch_add(bytes + 1, Ordering::Relaxed);
        // Its receiver is gone only when `write_lines` has returned, and then the book is closed.
        let _ = self.queue.send((digest, line));
    }

    /// Answers 200 to the requests of these lines.
    fn settle(&self, digests: &[Digest]) {
        for digest in digests {
            let settled = self.locked().take(digest);
            for open in settled {
                self.metrics.accepted(open.alerts, open.bytes, open.since.elapsed());
                log::info!(
                    "accepted id={} alerts={} bytes={} ms={}",
                    digest.short(),
                    open.alerts,
                    open.bytes,
                    open.since.elapsed().as_millis()
                );
                self.respond(open.request, Answer::ok("accepted"), open.since);
            }
        }
    }

    fn keep_house(&self) {
        const TICK: Duration = Duration::from_millis(100);
        let mut swept = Instant::now();
        loop {
            thread::sleep(TICK);
            let expired = self.locked().expire(self.options.ack_timeout);
            for open in expired {
                self.respond(open.request, Answer::busy("not acknowledged in time"), open.since);
            }
            if swept.elapsed() >= Duration::from_millis(500) {
                let ended = self.connections.sweep();
                if ended > 0 {
                    log::debug!("ended {ended} connections that did not go on");
                }
                swept = Instant::now();
            }
        }
    }

    fn is_ready(&self) -> bool {
        !self.locked().is_closed() && self.queued.load(Ordering::Relaxed) < QUEUE
    }

    /// From now on everything is answered 503; returns when what was open has been.
    fn close(&self) {
        let open = self.locked().close();
        for open in open {
            self.respond(open.request, Answer::busy("the next stage is gone"), open.since);
        }
        let end = Instant::now() + FAREWELL;
        let busy = || self.handlers.load(Ordering::SeqCst) > self.idle.load(Ordering::SeqCst);
        while busy() && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn respond(&self, request: Request, answer: Answer, since: Instant) {
        self.metrics.answered(answer.status());
        if !(200..300).contains(&answer.status()) {
            let (method, ms) = (request.method().clone(), since.elapsed().as_millis());
            log::warn!("refused {method} status={} ms={ms}: {}", answer.status(), answer.reason());
        }
        // A client that went away will come again; that is its business.
        let _ = request.respond(answer.into_response());
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
