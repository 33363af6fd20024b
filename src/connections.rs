//! The connections of a tiny_http server, watched so that a client that does not go on cannot hold one for ever.
//!
//! tiny_http sets no time-outs and does not hand out its sockets. They are found among the descriptors of this process
//! by their two addresses. One whose body is being read is shut down for reading: whoever waits for its bytes sees the
//! end of the stream and can still answer. One that has not sent a header yet is answered here.

use std::collections::HashMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fd;

/// What a client hears that never sent a whole header, or a small body.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 37\r\n\r\nthe request was not complete in time\n";

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the connection to the end of the first header, and from there to the end of the body.
    pub request: Duration,
    /// Between two requests. Alertmanager keeps idle connections for five minutes.
    pub idle: Duration,
}

/// Knows since when each connection owes us something.
pub struct Connections {
    port: u16,
    patience: Patience,
    known: Mutex<HashMap<SocketAddr, State>>,
}

#[derive(Clone, Copy)]
struct State {
    since: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing came yet, or not a whole header.
    New,
    /// A header came, its body not wholly.
    Body,
    /// A request is being handled, or the next one is awaited.
    Idle,
}

impl Connections {
    /// Of a server that listens on this port.
    pub fn new(port: u16, patience: Patience) -> Self {
        Connections { port, patience, known: Mutex::default() }
    }

    /// A header has come and its body is being read.
    pub fn reads_body(&self, peer: Option<&SocketAddr>) {
        self.set(peer, Phase::Body);
    }

    /// The body has been read.
    pub fn has_read(&self, peer: Option<&SocketAddr>) {
        self.set(peer, Phase::Idle);
    }

    fn set(&self, peer: Option<&SocketAddr>, phase: Phase) {
        let Some(peer) = peer else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(*peer, State { since: Instant::now(), phase });
    }

    /// Looks at all connections once, and ends what took too long. Returns how many were ended.
    pub fn sweep(&self) -> usize {
        let open = self.open_sockets();
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|peer, _| open.contains_key(peer));
        let mut ended = 0;
        for (peer, socket) in &open {
            let state = known.entry(*peer).or_insert(State { since: now, phase: Phase::New });
            let limit = if state.phase == Phase::Idle { self.patience.idle } else { self.patience.request };
            if now.duration_since(state.since) < limit {
                continue;
            }
            let side = match state.phase {
                Phase::Body => Shutdown::Read,
                Phase::Idle => Shutdown::Both,
                Phase::New => {
                    // It fits into the socket's buffer, which is empty: nothing was answered on this connection yet.
                    let _ = (&mut &*socket).write_all(TOO_SLOW);
                    Shutdown::Both
                }
            };
            state.since = now;
            ended += usize::from(socket.shutdown(side).is_ok());
        }
        ended
    }

    fn open_sockets(&self) -> HashMap<SocketAddr, TcpStream> {
        let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return HashMap::new() };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let sockets = numbers.filter_map(|number| fd::duplicate(number).ok()).map(TcpStream::from);
        // Anything that is no connected socket has no peer.
        sockets
            .filter(|socket| socket.local_addr().is_ok_and(|local| local.port() == self.port))
            .filter_map(|socket| Some((socket.peer_addr().ok()?, socket)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn patience(request: u64, idle: u64) -> Patience {
        Patience { request: Duration::from_millis(request), idle: Duration::from_millis(idle) }
    }

    fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_client_that_does_not_go_on_is_ended_and_can_be_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Connections::new(listener.local_addr().unwrap().port(), patience(0, 60_000));
        let (mut slow, mut at_slow) = pair(&listener);
        let (fine, at_fine) = pair(&listener);
        connections.reads_body(Some(&slow.local_addr().unwrap()));
        connections.has_read(Some(&fine.local_addr().unwrap()));
        assert_eq!(connections.sweep(), 1);
        let mut text = String::new();
        assert_eq!(at_slow.read_to_string(&mut text).unwrap(), 0);
        at_slow.write_all(b"408").unwrap();
        drop(at_slow);
        slow.read_to_string(&mut text).unwrap();
        assert_eq!(text, "408");
        at_fine.set_nonblocking(true).unwrap();
        assert_eq!((&at_fine).read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_client_without_a_header_is_told_why() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Connections::new(listener.local_addr().unwrap().port(), patience(0, 60_000));
        let (mut client, server) = pair(&listener);
        assert_eq!(connections.sweep(), 1);
        drop(server);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 408 ") && head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
    }

    #[test]
    fn a_new_connection_owes_a_header() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Connections::new(listener.local_addr().unwrap().port(), patience(60_000, 0));
        let (client, _server) = pair(&listener);
        assert_eq!(connections.sweep(), 0);
        connections.has_read(Some(&client.local_addr().unwrap()));
        assert_eq!(connections.sweep(), 1, "idle for too long");
        drop(client);
    }
}
