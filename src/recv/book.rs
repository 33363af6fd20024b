//! The open requests, by the digest of their line.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tiny_http::Request;

use crate::line::Digest;

/// A request whose line is on its way.
pub struct Open {
    /// To be answered once.
    pub request: Request,
    /// When it was handled first.
    pub since: Instant,
    /// How many alerts are in it.
    pub alerts: usize,
    /// The length of its line.
    pub bytes: usize,
}

/// All open requests.
#[derive(Default)]
pub struct Book {
    closed: bool,
    by_digest: HashMap<Digest, Vec<Open>>,
    in_order: VecDeque<(Instant, Digest)>,
    peers: HashSet<SocketAddr>,
}

impl Book {
    /// Enters a request; gives it back with the reason when that cannot be.
    pub fn enter(&mut self, digest: Digest, open: Open) -> Result<(), Box<(Open, &'static str)>> {
        if self.closed {
            return Err(Box::new((open, "the next stage is gone")));
        }
        // Answers of one connection go out in the order of its requests, so whoever answers the second one first would
        // wait for the first. Nobody who sends webhooks sends two at once on one connection.
        if let Some(peer) = open.request.remote_addr()
            && !self.peers.insert(*peer)
        {
            return Err(Box::new((open, "the connection has a request that is not answered yet")));
        }
        self.in_order.push_back((open.since, digest));
        self.by_digest.entry(digest).or_default().push(open);
        Ok(())
    }

    /// Takes out all requests of a line. Equal bodies that are open together say the same, and one of them on disk
    /// stands for all.
    pub fn take(&mut self, digest: &Digest) -> Vec<Open> {
        let taken = self.by_digest.remove(digest).unwrap_or_default();
        self.forget_peers(&taken);
        taken
    }

    /// Takes out what has been open for this long.
    pub fn expire(&mut self, age: Duration) -> Vec<Open> {
        let mut expired = Vec::new();
        while let Some((since, digest)) = self.in_order.front().copied() {
            let waiting = self.by_digest.get_mut(&digest);
            if waiting.is_some() && since.elapsed() < age {
                break;
            }
            self.in_order.pop_front();
            if let Some(waiting) = waiting {
                expired.extend(waiting.extract_if(.., |open| open.since == since));
                if waiting.is_empty() {
                    self.by_digest.remove(&digest);
                }
            }
        }
        self.forget_peers(&expired);
        expired
    }

    /// Takes out everything and lets nothing in again.
    pub fn close(&mut self) -> Vec<Open> {
        self.closed = true;
        self.in_order.clear();
        self.peers.clear();
        self.by_digest.drain().flat_map(|(_, open)| open).collect()
    }

    /// Whether [`Book::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How many requests are open.
    pub fn len(&self) -> usize {
        self.by_digest.values().map(Vec::len).sum()
    }

    fn forget_peers(&mut self, answered: &[Open]) {
        for peer in answered.iter().filter_map(|open| open.request.remote_addr()) {
            self.peers.remove(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiny_http::TestRequest;

    fn open(port: u16) -> Open {
        let request = TestRequest::new().with_remote_addr(([127, 0, 0, 1], port).into()).into();
        Open { request, since: Instant::now(), alerts: 1, bytes: 1 }
    }

    #[test]
    fn equal_lines_are_answered_together() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut book = Book::default();
        for (digest, port) in [(a, 1), (b, 2), (a, 3)] {
            assert!(book.enter(digest, open(port)).is_ok());
        }
        assert_eq!(book.take(&a).len(), 2);
        assert_eq!(book.take(&a).len(), 0);
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn a_connection_has_one_open_request() {
        let mut book = Book::default();
        assert!(book.enter(Digest::of(b"a"), open(1)).is_ok());
        assert!(book.enter(Digest::of(b"b"), open(1)).is_err());
        book.take(&Digest::of(b"a"));
        assert!(book.enter(Digest::of(b"b"), open(1)).is_ok());
    }

    #[test]
    fn what_is_old_expires_and_nothing_else() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut book = Book::default();
        assert!(book.enter(a, open(1)).is_ok());
        assert!(book.enter(b, open(2)).is_ok());
        std::thread::sleep(Duration::from_millis(20));
        assert!(book.enter(a, open(3)).is_ok());
        assert_eq!(book.expire(Duration::from_millis(15)).len(), 2);
        assert_eq!(book.expire(Duration::from_millis(15)).len(), 0);
        assert_eq!(book.take(&a).len(), 1);
        assert!(book.in_order.len() <= 1 && book.by_digest.is_empty() && book.peers.is_empty());
    }

    #[test]
    fn a_closed_book_takes_nothing() {
        let mut book = Book::default();
        assert!(book.enter(Digest::of(b"a"), open(1)).is_ok());
        assert_eq!(book.close().len(), 1);
        assert!(book.enter(Digest::of(b"a"), open(1)).is_err());
    }
}
