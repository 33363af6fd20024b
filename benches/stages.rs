//! The cost of each stage of an alert's way, in one thread: body to line, line to records, record to a committed outbox.
//! `cargo bench --bench stages`.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use divan::{Bencher, counter::ItemsCount};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use prometheus_telegram::alert::Webhook;
use prometheus_telegram::line::{self, Digest};
use prometheus_telegram::outbox::{Entry, Outbox};
use prometheus_telegram::record::{self, Input};
use prometheus_telegram::route::route;
use prometheus_telegram::text::{DEFAULT_TEMPLATE, Words};
use prometheus_telegram::users::Users;

fn main() {
    divan::main();
}

const BODIES: [&str; 2] = ["01-am025-prometheus-ms-Z-startsAt.json", "10-am025-160-alerts-92KB.json"];

fn body(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/data/payloads/{name}")).unwrap()
}

fn words() -> Words {
    Words::new("default", DEFAULT_TEMPLATE.to_owned(), TimeZone::UTC, None).unwrap()
}

/// What am-recv does with a body: check it, make a line, name it.
#[divan::bench(args = BODIES)]
fn body_to_line(bencher: Bencher, name: &str) {
    let body = body(name);
    bencher.bench(|| {
        let alerts = Webhook::parse(&body).unwrap().alerts.len();
        let line = line::from_body(body.clone());
        (alerts, Digest::of(&line))
    });
}

/// What alert-route does with a line for one subscriber of ten.
#[divan::bench(args = BODIES)]
fn line_to_records(bencher: Bencher, name: &str) {
    let line = line::from_body(body(name));
    let others: Vec<String> = (2..11).map(|n| format!("\"{n}\": \"nothing{n}\"")).collect();
    let users = Users::parse(&format!("{{\"1\": \"*\", {}}}", others.join(", "))).unwrap();
    let words = words();
    bencher.bench(|| {
        let routed = route(&line, &users, &words, Timestamp::UNIX_EPOCH).unwrap();
        routed.records.iter().map(|record| serde_json::to_string(record).unwrap().len()).sum::<usize>()
    });
}

/// What tg-send does with records: read them, and commit so many in one transaction.
#[divan::bench(args = [1, 16, 64, 1000])]
fn records_to_commit(bencher: Bencher, batch: usize) {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-bench-{}-{batch}.db", std::process::id()));
    let mut outbox = Outbox::open(&path, None).unwrap();
    let users = Users::parse(r#"{"1": "*"}"#).unwrap();
    let routed = route(&line::from_body(body(BODIES[0])), &users, &words(), Timestamp::UNIX_EPOCH).unwrap();
    let mut record = routed.records[0].clone();
    let mut n = 0_u64;
    bencher.counter(ItemsCount::new(batch)).bench_local(|| {
        let lines: Vec<String> = (0..batch)
            .map(|_| {
                n += 1;
                record.key = Some(n.to_string());
                serde_json::to_string(&record).unwrap()
            })
            .collect();
        outbox
            .transaction(|outbox| {
                for line in lines {
                    let Ok(Input::Record(record)) = record::parse(line.as_bytes()) else { panic!() };
                    outbox.add(&Entry::new(*record, line), 0)?;
                }
                Ok(())
            })
            .unwrap();
    });
    drop(outbox);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}
