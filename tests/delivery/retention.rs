//! A million records told: the file and the speed stay as they were.

use std::time::{Duration, Instant};

use prometheus_telegram::outbox::{Added, Entry, Outbox};
use prometheus_telegram::record::{Chat, Format, Record};

use crate::harness::*;

const DAY: i64 = 86_400_000;

#[test]
fn a_million_records_leave_the_outbox_as_it_was() {
    let scratch = Scratch::new("million");
    let path = scratch.path("outbox.db");
    let mut outbox = Outbox::open(&path, None).unwrap();
    // 2000 alerts a day to 50 chats for 500 days, remembered for 30.
    let (days, a_day) = (500_i64, 2000_i64);
    let mut log = Vec::new();
    let mut record = Record::new(Chat::Id(1), "<b>Load</b> is high on node.example".into(), Format::Html);
    let start = Instant::now();
    let mut since = Instant::now();
    for day in 0..days {
        for batch in 0..2 {
            let now = day * DAY + batch * DAY / 2;
            outbox
                .transaction(|outbox| {
                    for n in 0..a_day / 2 {
                        record.chat = Chat::Id(1 + n % 50);
                        record.key = Some(format!("{day}-{batch}-{n}"));
                        record.about = Some(format!("{n}"));
                        let line = serde_json::to_string(&record).unwrap();
                        let chat = record.chat.clone();
                        assert_eq!(outbox.add(&Entry::new(record.clone(), line), now)?, Added::Waiting(chat));
                    }
                    Ok(())
                })
                .unwrap();
            outbox
                .transaction(|outbox| {
                    for (chat, _) in outbox.waiting_chats()? {
                        let seqs: Vec<i64> =
                            outbox.waiting(&chat, 4000, 1 << 22)?.iter().map(|waiting| waiting.seq).collect();
                        outbox.told(&seqs, Some(now), now)?;
                    }
                    Ok(())
                })
                .unwrap();
            while outbox.transaction(|outbox| outbox.forget(now - 30 * DAY)).unwrap() > 0 {}
        }
        if day % 100 == 99 {
            let size = std::fs::metadata(&path).unwrap().len();
            log.push((size, since.elapsed()));
            println!(
                "{} records: {} KiB, {:.0} records/s",
                (day + 1) * a_day,
                size / 1024,
                100.0 * a_day as f64 / since.elapsed().as_secs_f64()
            );
            since = Instant::now();
        }
    }
    println!("a million records in {:.1?}", start.elapsed());
    let status = outbox.status().unwrap();
    assert_eq!((status.waiting, status.told), (0, (30 * a_day + a_day / 2) as u64), "what is remembered");
    let (first, last) = (log[0].0, log[4].0);
    assert!(last <= first + first / 10, "{log:?}");
    assert!(last < 32 << 20, "{last} bytes for {} records", status.told);
    // Of times only what no noise makes: it must not become several times slower.
    assert!(log[4].1 < 6 * log[0].1.max(Duration::from_secs(1)), "{log:?}");
}
