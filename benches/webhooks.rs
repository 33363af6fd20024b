//! Webhooks a second and the time from POST to 200, on 64 connections, with acknowledgements and without; then the
//! memory of the three tools after 100,000 webhooks. Prints figures and judges nothing. The load is made on the same
//! cores.
//!
//! `scripts/bench` runs it; `cargo bench --bench webhooks -- SECONDS` as well.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may panic, and speaks")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use harness::*;

const CONNECTIONS: usize = 64;
const WEBHOOKS: u64 = 100_000;

/// A body like those of a real Prometheus, with an alert of its own.
fn body(n: u64) -> String {
    format!(
        concat!(
            r#"{{"receiver":"prom","status":"firing","alerts":[{{"status":"firing","labels":{{"alertname":"HostOutOfMemory","#,
            r#""cluster":"lab","instance":"host{n}:9100","job":"node","severity":"warning"}},"annotations":{{"#,
            r#""description":"Node memory is filling up (\u003c 10% left)","summary":"Host out of memory (host{n})"}},"#,
            r#""startsAt":"2026-11-22T06:21:24.632Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"#,
            r#""http://prometheus.example:9090/graph?g0.expr=up","fingerprint":"{n:016x}"}}],"groupLabels":{{"#,
            r#""alertname":"HostOutOfMemory"}},"commonLabels":{{"alertname":"HostOutOfMemory"}},"commonAnnotations":{{}},"#,
            r#""externalURL":"http://alertmanager.example:9093","version":"4","groupKey":"x","truncatedAlerts":0}}"#
        ),
        n = n
    )
}

/// One request and its answer; true if that was 200.
fn exchange(stream: &mut TcpStream, body: &str, buffer: &mut [u8]) -> bool {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut length = 0;
    // An answer is short, and ends with the newline of its text.
    while length == 0 || buffer[length - 1] != b'\n' || buffer[..length].ends_with(b"\r\n") {
        let n = stream.read(&mut buffer[length..]).unwrap();
        assert!(n > 0, "am-recv closed the connection");
        length += n;
    }
    buffer.starts_with(b"HTTP/1.1 200 ")
}

/// What one run gave.
struct Figures {
    seconds: f64,
    refused: usize,
    /// Sorted.
    times: Vec<Duration>,
}

impl Figures {
    fn at(&self, share: f64) -> f64 {
        let index = (self.times.len() as f64 * share) as usize;
        self.times.get(index.min(self.times.len() - 1)).unwrap().as_secs_f64() * 1e3
    }
}

fn load(url: &str, next: &AtomicU64, over: impl Fn(u64, Duration) -> bool + Sync) -> Figures {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let start = Instant::now();
    let results: Vec<(Vec<Duration>, usize)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    let (mut times, mut refused, mut buffer) = (Vec::new(), 0, [0; 1024]);
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if over(n, start.elapsed()) {
                            return (times, refused);
                        }
                        let body = body(n);
                        let sent = Instant::now();
                        match exchange(&mut stream, &body, &mut buffer) {
                            true => times.push(sent.elapsed()),
                            false => refused += 1,
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    let refused = results.iter().map(|(_, refused)| refused).sum();
    let mut times: Vec<Duration> = results.into_iter().flat_map(|(times, _)| times).collect();
    times.sort();
    Figures { seconds, refused, times }
}

fn main() {
    let seconds: u64 = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(10);
    println!("{:<12} {:>10} {:>9} {:>9} {:>9} {:>8}", "", "webhooks/s", "p50 ms", "p99 ms", "max ms", "refused");
    let next = AtomicU64::new(0);
    for (name, ack) in [("with ack", true), ("without ack", false)] {
        let scratch = Scratch::new("bench");
        let sandbox = Sandbox::start(&scratch, &["--limits", "off", "--keep", "1000"]);
        scratch.write("users.json", r#"{"1": "*", "2": "nothing", "-3": "nothing either", "4": "cpu|disk"}"#);
        let pipeline = Pipeline::with(&scratch, &mut tg_send(&scratch, &sandbox), &[], ack);
        load(&pipeline.url, &next, |_, elapsed| elapsed > Duration::from_secs(1));
        let figures = load(&pipeline.url, &next, |_, elapsed| elapsed > Duration::from_secs(seconds));
        println!(
            "{name:<12} {:>10.0} {:>9.2} {:>9.2} {:>9.2} {:>8}",
            figures.times.len() as f64 / figures.seconds,
            figures.at(0.5),
            figures.at(0.99),
            figures.at(1.0),
            figures.refused
        );
        if ack {
            let so_far = next.load(Ordering::Relaxed);
            load(&pipeline.url, &next, |n, _| n >= WEBHOOKS.max(so_far));
            let rss = [&pipeline.recv, &pipeline.route, &pipeline.send].map(|process| process.rss() as f64 / 1024.0);
            println!(
                "memory after {} webhooks: am-recv {:.1} + alert-route {:.1} + tg-send {:.1} = {:.1} MB resident",
                next.load(Ordering::Relaxed).max(WEBHOOKS),
                rss[0],
                rss[1],
                rss[2],
                rss.iter().sum::<f64>()
            );
        }
    }
}
