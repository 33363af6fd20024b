//! Connections that wait for their clients, and which of them gives way when there are too many.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// All that wait, by their numbers.
#[derive(Default)]
pub(super) struct Crowd(Mutex<HashMap<u64, Waiting>>);

struct Waiting {
    since: Instant,
    /// Clients that are somebody go last.
    is_known: bool,
    stream: Arc<TcpStream>,
    /// An answer that is still to be given.
    owed: Option<Arc<AtomicBool>>,
}

impl Crowd {
    /// The connection waits for a request from now on.
    pub(super) fn enter(&self, number: u64, is_known: bool, stream: Arc<TcpStream>, owed: Option<Arc<AtomicBool>>) {
        self.locked().insert(number, Waiting { since: Instant::now(), is_known, stream, owed });
    }

    /// It waits no more.
    pub(super) fn leave(&self, number: u64) {
        self.locked().remove(&number);
    }

    /// Closes the one that has waited for the longest, strangers first; false if there is none that may be closed.
    pub(super) fn send_one_away(&self) -> bool {
        let mut waiting = self.locked();
        let free = |waiting: &Waiting| waiting.owed.as_ref().is_none_or(|given| given.load(Ordering::Acquire));
        let free = waiting.iter().filter(|(_, waiting)| free(waiting));
        let first = free.min_by_key(|(_, waiting)| (waiting.is_known, waiting.since)).map(|(number, _)| *number);
        let Some(gone) = first.and_then(|number| waiting.remove(&number)) else { return false };
        // Its own thread reads the end and is done with it.
        let _ = gone.stream.shutdown(Shutdown::Both);
        true
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Limits, Response, serve};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    /// A request, and how its answer begins.
    fn ask(stream: &TcpStream) -> String {
        let mut stream = stream;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        String::from_utf8_lossy(&start).into_owned()
    }

    #[test]
    fn whoever_is_only_there_keeps_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let long = Duration::from_secs(600);
        let limits = Limits { head: 1 << 10, body: 1 << 10, patience: long, idle: long };
        std::thread::spawn(move || {
            serve(&listener, limits, 3, move |connection, _| {
                connection.keep_for(2 * long);
                connection.write(&Response::text(200, "here").bytes()).is_ok()
            })
        });
        let known = TcpStream::connect(address).unwrap();
        assert_eq!(ask(&known), "HTTP/1.1 200");
        // Half a head is no request either.
        let strangers = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        (&strangers[0]).write_all(b"POST / HTTP/1.1\r\nHost:").unwrap();
        for _ in 0..20 {
            assert_eq!(ask(&TcpStream::connect(address).unwrap()), "HTTP/1.1 200");
        }
        // Which of the two came in first is for their threads to say.
        for stranger in &strangers {
            stranger.set_nonblocking(true).unwrap();
        }
        let has_gone = |stranger: &TcpStream| match (&*stranger).read(&mut [0]) {
            Ok(read) => read == 0,
            Err(err) => err.kind() != std::io::ErrorKind::WouldBlock,
        };
        let start = Instant::now();
        while !strangers.iter().any(has_gone) {
            assert!(start.elapsed() < Duration::from_secs(60), "one gave way");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn strangers_that_wait_for_long_go_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let pair = || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (client, Arc::new(listener.accept().unwrap().0))
        };
        let pairs: Vec<_> = (0..4).map(|_| pair()).collect();
        let crowd = Crowd::default();
        let stream = |n: usize| pairs[n].1.clone();
        crowd.enter(0, true, stream(0), None);
        crowd.enter(1, false, stream(1), Some(Arc::new(AtomicBool::new(false))));
        crowd.enter(2, false, stream(2), None);
        crowd.enter(3, false, stream(3), Some(Arc::new(AtomicBool::new(true))));
        for expected in [2, 3, 0] {
            assert!(crowd.send_one_away());
            assert_eq!((&pairs[expected].0).read(&mut [0]).unwrap(), 0, "{expected} is closed");
        }
        assert!(!crowd.send_one_away(), "whoever waits for an answer gets it");
        crowd.leave(1);
        assert!(crowd.locked().is_empty());
    }
}
