//! HTTP/1.1 as far as the tools need it, on blocking sockets: a thread a connection, one request in, one response out,
//! kept connections, and a limit to everything that a client could draw out.
//!
//! A library's server hides the socket, and half of the sandbox's faults happen there. tiny_http 0.12 was tried for
//! am-recv: of 64 connections that came at once some were not served until others closed (its pool counts a thread as
//! idle until it wakes), it accepts nothing more after the first error, and it sets no time-outs.

mod connection;
mod crowd;
mod message;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub use connection::Connection;
use crowd::Crowd;
pub use message::{Broken, Head, Request, Response};

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

const STACK: usize = 256 << 10;

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
        let others = open.load(Ordering::Relaxed);
        if others >= most && (others >= most + SPARE || !crowd.send_one_away()) {
            let _ =
                connection.write(&Response::text(503, "too many connections").header("Connection", "close").bytes());
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        connection.join(&crowd);
        let (serve, counted) = (serve.clone(), open.clone());
        let work = move || {
            converse(&mut connection, &*serve);
            connection.admit();
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if let Err(err) = thread::Builder::new().stack_size(STACK).spawn(work) {
            crowd.leave(number);
            open.fetch_sub(1, Ordering::Relaxed);
            log::warn!("cannot serve a connection: {err}");
        }
    }
}

fn converse(connection: &mut Connection, serve: &impl Fn(&mut Connection, &Head) -> bool) {
    loop {
        match connection.next() {
            Ok(head) => {
                if !serve(connection, &head) || !connection.keeps_alive() {
                    return;
                }
            }
            Err(Broken::Closed) => return,
            Err(Broken::Refused(status, reason)) => {
                return connection.answer_and_close(Response::text(status, reason));
            }
        }
    }
}
