//! Telegram away for long while alerts go on: webhooks are taken, memory stays flat, and then all is told.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::*;
use crate::tools::*;

#[test]
fn a_long_outage_under_load() {
    // Ten minutes at 10 webhooks of 10 alerts a second are 60,000 alerts. The load is the same here and the time a
    // fortieth of it, by the clock of the outbox: what waits is moved ten minutes into the past while all is down.
    let scratch = Scratch::new("long-outage");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "*", "2": "*"}"#);
    let mut pipeline = Pipeline::start(&scratch, &sandbox);
    sandbox.rules(json!({"id": "down", "match": {}, "times": -1, "do": {"rst": "on_accept"}}));
    let total = 6000;
    let names = names("Outage", total);
    let start = Instant::now();
    let mut memory = Vec::new();
    let mut slowest = Duration::ZERO;
    for (n, some) in names.chunks(10).enumerate() {
        let body = webhook(&some.iter().map(String::as_str).collect::<Vec<_>>());
        let sent = Instant::now();
        assert_eq!(post(&pipeline.url, &body), 200, "webhook {n}");
        slowest = slowest.max(sent.elapsed());
        if n % 60 == 59 {
            memory.push(pipeline.send.rss());
        }
    }
    println!("600 webhooks in {:.1?}, the slowest in {slowest:.0?}; memory {memory:?} KiB", start.elapsed());
    assert!(memory[9] < memory[2] + 8 * 1024, "memory grows with what waits: {memory:?}");
    pipeline.send.terminate();
    assert!(pipeline.send.wait().success());
    let db = rusqlite::Connection::open(scratch.path("outbox.db")).unwrap();
    let waits: usize = db.query_row("SELECT count(*) FROM queue", [], |row| row.get(0)).unwrap();
    assert_eq!(waits, 2 * total, "all of them wait");
    let ten_minutes_ago = prometheus_telegram::delivery::now() - 600_000;
    db.execute("UPDATE queue SET at = ?1", [ten_minutes_ago]).unwrap();
    drop(db);
    sandbox.clear_rules();
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    let start = Instant::now();
    assert_eq!(sender.finish(), Some(0));
    println!("told {} records in {:.1?} and {} messages", 2 * total, start.elapsed(), sends(&sandbox).len());
    for chat in [1, 2] {
        let all = readable(&sandbox, chat);
        let text = all.join("\n");
        let places: Vec<Option<usize>> = names.iter().map(|name| text.find(&format!("summary of {name}"))).collect();
        assert!(places.iter().all(Option::is_some), "some are missing");
        let list: Vec<&String> = all.iter().filter(|text| text.contains("#1 · accepted")).collect();
        assert!(!list.is_empty() && list.iter().all(|text| text.contains("⏰ told up to 10m")), "{:.300}", all[0]);
        let listed =
            text.split("⛈").map(|part| part.split("#1 · accepted").nth(1).unwrap_or_default()).collect::<String>();
        let order: Vec<usize> = names.iter().filter_map(|name| listed.find(&format!("summary of {name}\n"))).collect();
        assert!(order.len() > total / 2 && order.is_sorted(), "in order");
        assert!(all.len() <= 6, "{} messages", all.len());
    }
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_blip_costs_a_moment() {
    let scratch = Scratch::new("blip");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.process.says("outbox ");
    sandbox.post("/outage", json!({"ms": 8000}));
    let start = Instant::now();
    sender.tell((1..=30).map(|chat| record(chat, "x")));
    assert_eq!(sender.finish(), Some(0));
    println!("30 messages over a blip of 8 s took {:.1?}", start.elapsed());
    sender.process.says("Telegram is reached again");
}
