//! The two listeners: a thread a connection, and the faults that need the socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::exchange::{self, Exchange, Origin, Wire};
use super::rules::{Rst, Slow};
use super::{Sandbox, control};
use crate::http::{Broken, Connection, Limits, Request, Response};

/// How long a kept connection may be idle.
const IDLE: Duration = Duration::from_secs(300);
const LIMITS: Limits = Limits {
    // TDLib's HttpReader takes 256 KiB of headers.
    head: 256 << 10,
    // The largest upload is a document of 50 MB.
    body: 64 << 20,
    patience: Duration::from_secs(60),
    idle: IDLE,
};
/// How long an answer that never comes is not sent.
const HANG: Duration = Duration::from_secs(600);
const STACK: usize = 256 << 10;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Only ever loopback.
pub fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// Accepts connections to the API until the sandbox stops.
pub fn run_api(sandbox: &Arc<Sandbox>, mut listener: TcpListener) {
    let port = sandbox.api_port();
    let count = AtomicU64::new(0);
    while !sandbox.is_stopping() {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        let refused = sandbox.refused();
        if !refused.is_zero() {
            drop((stream, listener));
            listener = reopen(sandbox, port);
            continue;
        }
        let connection = Connection::new(Arc::new(stream), count.fetch_add(1, Ordering::Relaxed) + 1, LIMITS);
        if sandbox.state().rules.on_accept(connection.number) {
            connection.reset();
            continue;
        }
        sandbox.remember(&connection.stream);
        let sandbox = Arc::clone(sandbox);
        spawn(move || serve_api(&sandbox, connection));
    }
}

/// Waits until the port may be open again. Meanwhile it is held by a socket that does not listen: connections are
/// refused, and nobody else gets the port.
fn reopen(sandbox: &Sandbox, port: u16) -> TcpListener {
    loop {
        let held = hold(port);
        std::thread::sleep(sandbox.refused().max(Duration::from_millis(1)));
        if let Ok(held) = held
            && held.listen(BACKLOG).is_ok()
        {
            return held.into();
        }
    }
}

fn hold(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

fn spawn(work: impl FnOnce() + Send + 'static) {
    // A machine without threads left: the connection is closed.
    let _ = std::thread::Builder::new().stack_size(STACK).spawn(work);
}

fn serve_api(sandbox: &Sandbox, mut connection: Connection) {
    let mut idle = IDLE;
    while connection.keeps_alive() {
        let head = match connection.read_head(idle) {
            Ok(head) => head,
            Err(broken) => return refuse(connection, broken),
        };
        let stream = Arc::clone(&connection.stream);
        let origin = Origin { conn: connection.number, reused: connection.served > 1, stream: &stream };
        match exchange::on_head(sandbox, origin, &head) {
            Some(Rst::MidBody) => {
                let length: usize = head.header("content-length").parse().unwrap_or(0);
                let _ = connection.read_body(&head, length / 2);
                return connection.reset();
            }
            Some(_) => return connection.reset(),
            None => {}
        }
        let body = match connection.read_body(&head, usize::MAX) {
            Ok(body) => body,
            Err(broken) => return refuse(connection, broken),
        };
        if !sandbox.refused().is_zero() {
            return connection.reset();
        }
        let exchange = exchange::exchange(sandbox, origin, &Request { head, body });
        idle = exchange.idle.unwrap_or(IDLE);
        if !send(sandbox, &mut connection, &exchange) {
            match exchange.wire {
                Wire::Reset => connection.reset(),
                Wire::Hang => connection.wait_for_close(HANG),
                _ => {}
            }
            return;
        }
    }
}

fn refuse(mut connection: Connection, broken: Broken) {
    if let Broken::Refused(status, reason) = broken {
        let refusal = super::api::Refusal::new(status, reason);
        let _ = connection.write(&exchange::error(&refusal).header("Connection", "close").bytes());
    }
}

/// Sends an answer the way it is to be sent; false if the connection has to end.
fn send(sandbox: &Sandbox, connection: &mut Connection, exchange: &Exchange) -> bool {
    let response = &exchange.response;
    // From here on the client may send its next one; a slow answer is still under way.
    if !matches!(exchange.wire, Wire::Slow(_)) {
        sandbox.arrived(exchange.chat.as_deref());
    }
    let sent = match exchange.wire {
        Wire::Whole => connection.write(&response.bytes()),
        Wire::Slow(slow) => {
            let sent = drip(connection, &response.bytes(), slow);
            sandbox.arrived(exchange.chat.as_deref());
            sent
        }
        Wire::Reset | Wire::Close | Wire::Hang => return false,
        Wire::Truncate => {
            let bytes = response.bytes();
            let _ = connection.write(&bytes[..bytes.len() - response.body.len() / 2 - 1]);
            return false;
        }
        Wire::WrongLength => {
            let mut bytes = response.head();
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", response.body.len() + 100).as_bytes());
            bytes.extend_from_slice(&response.body);
            let _ = connection.write(&bytes);
            return false;
        }
        Wire::CloseDelimited => {
            let mut bytes = response.head();
            bytes.extend_from_slice(b"Connection: close\r\n\r\n");
            bytes.extend_from_slice(&response.body);
            let _ = connection.write(&bytes);
            return false;
        }
        Wire::Chunked => connection.write(&chunked(response)),
    };
    sent.is_ok()
}

fn drip(connection: &mut Connection, bytes: &[u8], slow: Slow) -> io::Result<()> {
    std::thread::sleep(Duration::from_millis(slow.first_byte_ms));
    let size = if slow.chunk == 0 { bytes.len() } else { slow.chunk };
    for (n, part) in bytes.chunks(size.max(1)).enumerate() {
        if n > 0 {
            std::thread::sleep(Duration::from_millis(slow.gap_ms));
        }
        connection.write(part)?;
    }
    Ok(())
}

fn chunked(response: &Response) -> Vec<u8> {
    let mut bytes = response.head();
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for part in response.body.chunks(100) {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Accepts connections to the control API and the page. No fault reaches them.
pub fn run_control(sandbox: &Arc<Sandbox>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if sandbox.is_stopping() {
            return;
        }
        let Ok(stream) = stream else { continue };
        let sandbox = Arc::clone(sandbox);
        spawn(move || serve_control(&sandbox, stream));
    }
}

fn serve_control(sandbox: &Sandbox, stream: TcpStream) {
    let mut connection = Connection::new(Arc::new(stream), 0, LIMITS);
    while connection.keeps_alive() {
        let request = connection.read_head(IDLE).and_then(|head| {
            let body = connection.read_body(&head, usize::MAX)?;
            Ok(Request { head, body })
        });
        let response = match request {
            Ok(request) => control::answer(sandbox, &request),
            Err(broken) => return refuse(connection, broken),
        };
        if connection.write(&response.bytes()).is_err() {
            return;
        }
        if sandbox.is_stopping() {
            // The answer is out: `POST /stop` ends here.
            sandbox.stopped();
            return;
        }
    }
}
