//! The open requests, by the digest of their line.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http::Response;
use crate::line::Digest;

/// Where an answer goes, once, whoever gives it.
#[derive(Clone, Debug)]
pub struct Reply {
    stream: Arc<TcpStream>,
    given: Arc<AtomicBool>,
}

impl Reply {
    /// The answer to the request that was read last from this connection.
    pub fn new(stream: Arc<TcpStream>) -> Self {
        Reply { stream, given: Arc::default() }
    }

    /// Answers. A client that went away, or takes nothing, will come again; that is its business.
    pub fn give(&self, response: &Response) {
        if (&*self.stream).write_all(&response.bytes()).is_err() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        self.given.store(true, Ordering::Release);
    }

    /// Becomes true when the answer is out.
    pub fn given(&self) -> Arc<AtomicBool> {
        self.given.clone()
    }
}

/// A request whose line is on its way.
pub struct Open {
    /// How to answer it.
    pub reply: Reply,
    /// When it was read.
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
}

impl Book {
    /// Enters a request; gives it back when the book is closed.
    pub fn enter(&mut self, digest: Digest, open: Open) -> Result<(), Open> {
        if self.closed {
            return Err(open);
        }
        self.in_order.push_back((open.since, digest));
        self.by_digest.entry(digest).or_default().push(open);
        Ok(())
    }

    /// Takes out all requests of a line. Equal bodies that are open together say the same, and one of them on disk
    /// stands for all.
    pub fn take(&mut self, digest: &Digest) -> Vec<Open> {
        self.by_digest.remove(digest).unwrap_or_default()
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
        expired
    }

    /// Takes out everything and lets nothing in again.
    pub fn close(&mut self) -> Vec<Open> {
        self.closed = true;
        self.in_order.clear();
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn open() -> Open {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Open { reply: Reply::new(Arc::new(stream)), since: Instant::now(), alerts: 1, bytes: 1 }
    }

    #[test]
    fn an_answer_goes_out_once_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let reply = Reply::new(Arc::new(listener.accept().unwrap().0));
        assert!(!reply.given().load(Ordering::Acquire));
        reply.give(&Response::text(503, "not now"));
        assert!(reply.given().load(Ordering::Acquire));
        drop(reply);
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 ") && text.ends_with("not now\n"), "{text}");
    }

    #[test]
    fn equal_lines_are_answered_together() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut book = Book::default();
        for digest in [a, b, a] {
            assert!(book.enter(digest, open()).is_ok());
        }
        assert_eq!(book.take(&a).len(), 2);
        assert_eq!(book.take(&a).len(), 0);
        assert_eq!(book.len(), 1);
    }

    #[test]
    fn what_is_old_expires_and_nothing_else() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut book = Book::default();
        let old = || Open { since: Instant::now() - Duration::from_secs(60), ..open() };
        assert!(book.enter(a, old()).is_ok());
        assert!(book.enter(b, old()).is_ok());
        assert!(book.enter(a, open()).is_ok());
        assert_eq!(book.expire(Duration::from_secs(30)).len(), 2);
        assert_eq!(book.expire(Duration::from_secs(30)).len(), 0);
        assert_eq!(book.take(&a).len(), 1);
        assert!(book.in_order.len() <= 1 && book.by_digest.is_empty());
    }

    #[test]
    fn a_closed_book_takes_nothing() {
        let mut book = Book::default();
        assert!(book.enter(Digest::of(b"a"), open()).is_ok());
        assert_eq!(book.close().len(), 1);
        assert!(book.enter(Digest::of(b"a"), open()).is_err());
    }
}
