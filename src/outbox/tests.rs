use super::*;

struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-outbox-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn open(&self) -> Outbox {
        Outbox::open(&self.0.join("outbox.db"), Some(Duration::from_secs(3600))).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn add(outbox: &mut Outbox, chat: i64, key: &str, now: Millis) -> Added {
    let mut record = Record::new(Chat::Id(chat), format!("text of {key}"), Format::Text);
    record.key = Some(key.to_owned());
    record.about = Some(key.split(' ').next().unwrap().to_owned());
    let line = serde_json::to_string(&record).unwrap();
    outbox.transaction(|outbox| outbox.add(&Entry::new(record, line), now)).unwrap()
}

fn seqs(outbox: &Outbox, chat: i64) -> Vec<i64> {
    outbox.waiting(&Chat::Id(chat), 100, usize::MAX).unwrap().iter().map(|waiting| waiting.seq).collect()
}

#[test]
fn a_key_is_taken_once_per_chat_and_remembered_over_restarts() {
    let scratch = Scratch::new("keys");
    let mut outbox = scratch.open();
    assert_eq!(add(&mut outbox, 1, "a firing", 0), Added::Waiting(Chat::Id(1)));
    assert_eq!(add(&mut outbox, 1, "a firing", 0), Added::Known, "while it waits");
    assert_eq!(add(&mut outbox, 2, "a firing", 0), Added::Waiting(Chat::Id(2)));
    outbox.transaction(|outbox| outbox.told(&[1], Some(77), 10)).unwrap();
    drop(outbox);
    let mut outbox = scratch.open();
    assert_eq!(add(&mut outbox, 1, "a firing", 20), Added::Known, "after it was told");
    assert_eq!(outbox.waiting_chats().unwrap(), [(Chat::Id(2), 1)]);
    assert_eq!(outbox.message_about(&Chat::Id(1), "a").unwrap(), Some(77));
    assert_eq!(outbox.message_about(&Chat::Id(2), "a").unwrap(), None);
}

#[test]
fn a_reminder_is_told_after_repeat_after() {
    let scratch = Scratch::new("repeat");
    let mut outbox = scratch.open();
    let hour = 3_600_000;
    add(&mut outbox, 1, "a firing", 0);
    assert_eq!(add(&mut outbox, 1, "a firing", 2 * hour), Added::Known, "it still waits");
    outbox.transaction(|outbox| outbox.told(&[1], Some(5), 0)).unwrap();
    assert_eq!(add(&mut outbox, 1, "a firing", hour - 1), Added::Known);
    assert_eq!(add(&mut outbox, 1, "a firing", hour), Added::Waiting(Chat::Id(1)));
}

#[test]
fn what_comes_back_after_its_end_is_told_again() {
    // Prometheus was away for so long that Alertmanager took the alert for resolved; it comes back as it was.
    let scratch = Scratch::new("back");
    let mut outbox = scratch.open();
    let minute = 60_000;
    let told = |outbox: &mut Outbox, seq, at| outbox.transaction(|outbox| outbox.told(&[seq], Some(seq), at)).unwrap();
    add(&mut outbox, 1, "a firing", 0);
    told(&mut outbox, 1, 0);
    add(&mut outbox, 1, "a resolved", 5 * minute);
    told(&mut outbox, 2, 5 * minute);
    assert_eq!(add(&mut outbox, 1, "a firing", 6 * minute), Added::Known, "another Alertmanager that is late");
    assert_eq!(add(&mut outbox, 1, "a firing", 10 * minute), Added::Waiting(Chat::Id(1)));
    assert_eq!(add(&mut outbox, 1, "a firing", 11 * minute), Added::Known);
    // Also while it still waits.
    assert_eq!(add(&mut outbox, 1, "a resolved", 15 * minute), Added::Waiting(Chat::Id(1)));
    assert_eq!(add(&mut outbox, 1, "a firing", 20 * minute), Added::Waiting(Chat::Id(1)));
    assert_eq!(seqs(&outbox, 1), [3, 4, 5]);
    for seq in 3..=5 {
        told(&mut outbox, seq, 21 * minute);
    }
    assert_eq!(outbox.message_about(&Chat::Id(1), "a").unwrap(), Some(5));
    assert_eq!(outbox.status().unwrap().told, 5);
}

#[test]
fn records_wait_in_order_and_within_bounds() {
    let scratch = Scratch::new("order");
    let mut outbox = scratch.open();
    for n in 0..5 {
        add(&mut outbox, 1, &format!("k{n}"), n);
        add(&mut outbox, 2, &format!("k{n}"), n);
    }
    assert_eq!(seqs(&outbox, 1), [1, 3, 5, 7, 9]);
    assert_eq!(outbox.waiting(&Chat::Id(1), 2, usize::MAX).unwrap().len(), 2);
    assert_eq!(outbox.waiting(&Chat::Id(1), 100, 1).unwrap().len(), 1, "one always fits");
    assert_eq!(outbox.oldest().unwrap(), Some(0));
}

#[test]
fn what_is_set_aside_can_come_again_and_be_retried() {
    let scratch = Scratch::new("aside");
    let mut outbox = scratch.open();
    add(&mut outbox, 1, "a", 0);
    outbox.transaction(|outbox| outbox.set_aside(&[1], "400 chat not found", 5)).unwrap();
    outbox.transaction(|outbox| outbox.set_line_aside("{\"x\":1}", "no \"chat\"", 6)).unwrap();
    assert_eq!(seqs(&outbox, 1), [0; 0]);
    let failed = outbox.failed().unwrap();
    let reasons: Vec<&str> = failed.iter().map(|failed| failed.reason.as_str()).collect();
    assert_eq!(reasons, ["400 chat not found", "no \"chat\""]);
    assert!(outbox.retry(&failed[0], 7).unwrap());
    assert!(!outbox.retry(&failed[1], 7).unwrap());
    assert_eq!(outbox.failed_count().unwrap(), 1);
    assert_eq!(seqs(&outbox, 1).len(), 1);
}

#[test]
fn a_moved_chat_takes_everything_along_and_stays_moved() {
    let scratch = Scratch::new("moved");
    let mut outbox = scratch.open();
    add(&mut outbox, -5, "told", 0);
    outbox.transaction(|outbox| outbox.told(&[1], Some(9), 0)).unwrap();
    add(&mut outbox, -5, "waits", 0);
    outbox.transaction(|outbox| outbox.moved(&Chat::Id(-5), &Chat::Id(-100))).unwrap();
    drop(outbox);
    let mut outbox = scratch.open();
    assert_eq!(seqs(&outbox, -100).len(), 1);
    assert_eq!(add(&mut outbox, -5, "told", 0), Added::Known);
    assert_eq!(add(&mut outbox, -5, "new", 0), Added::Waiting(Chat::Id(-100)));
    assert_eq!(outbox.message_about(&Chat::Id(-100), "told").unwrap(), None, "ids of the old chat are not of the new");
    assert_eq!(outbox.status().unwrap().moved, [(Chat::Id(-5), Chat::Id(-100))]);
}

#[test]
fn gone_chats_are_remembered_until_they_are_back() {
    let scratch = Scratch::new("gone");
    let mut outbox = scratch.open();
    let gone = Gone { chat: Chat::Name("@ops".into()), probe_at: 50, probes: 2 };
    outbox.transaction(|outbox| outbox.gone(&gone, "403 kicked")).unwrap();
    drop(outbox);
    let mut outbox = scratch.open();
    assert_eq!(outbox.gone_chats().unwrap(), [gone]);
    outbox.transaction(|outbox| outbox.back(&Chat::Name("@ops".into()))).unwrap();
    assert_eq!(outbox.gone_chats().unwrap(), []);
}

#[test]
fn told_records_are_forgotten_in_time_and_waiting_ones_are_not() {
    let scratch = Scratch::new("forget");
    let mut outbox = scratch.open();
    let day = 86_400_000;
    for n in 0..4 {
        add(&mut outbox, 1, &format!("k{n}"), n * 10);
    }
    outbox.transaction(|outbox| outbox.told(&[1, 2, 3], Some(1), 50)).unwrap();
    assert_eq!(outbox.transaction(|outbox| outbox.forget(15)).unwrap(), 2);
    assert_eq!(add(&mut outbox, 1, "k0", 60), Added::Waiting(Chat::Id(1)));
    assert_eq!(add(&mut outbox, 1, "k2", 60), Added::Known);
    assert_eq!(outbox.transaction(|outbox| outbox.forget(2 * day)).unwrap(), 1, "k3 waits");
    assert_eq!(add(&mut outbox, 1, "k3", 60), Added::Known);
}

#[test]
fn an_alert_that_fires_on_is_not_forgotten() {
    let scratch = Scratch::new("fires-on");
    let mut outbox = Outbox::open(&scratch.0.join("outbox.db"), None).unwrap();
    let day = 86_400_000;
    add(&mut outbox, 1, "k", 0);
    outbox.transaction(|outbox| outbox.told(&[1], Some(8), 0)).unwrap();
    for today in 1..60 {
        assert_eq!(add(&mut outbox, 1, "k", today * day), Added::Known);
        outbox.transaction(|outbox| outbox.forget((today - 30) * day)).unwrap();
    }
    assert_eq!(outbox.message_about(&Chat::Id(1), "k").unwrap(), Some(8));
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let scratch = Scratch::new("rollback");
    let mut outbox = scratch.open();
    let record = Record::new(Chat::Id(1), "x".into(), Format::Text);
    let result: Result<()> = outbox.transaction(|outbox| {
        outbox.add(&Entry::new(record, "{\"chat\":1,\"text\":\"x\"}".into()), 0)?;
        Err(rusqlite::Error::InvalidQuery)
    });
    assert!(result.is_err());
    assert_eq!(outbox.waiting_chats().unwrap(), []);
    add(&mut outbox, 1, "k", 0);
    assert_eq!(seqs(&outbox, 1), [1], "its number was given back");
}

#[test]
fn a_file_that_is_no_outbox_is_refused() {
    let scratch = Scratch::new("garbage");
    let path = scratch.0.join("outbox.db");
    std::fs::write(&path, "this is not a database, however long one looks at it".repeat(50)).unwrap();
    assert!(Outbox::open(&path, None).is_err());
}

#[test]
fn two_processes_do_not_give_the_same_number() {
    // tg-send --retry-failed beside a running tg-send: the second one ended with "UNIQUE constraint failed".
    let scratch = Scratch::new("two");
    let mut first = scratch.open();
    add(&mut first, 1, "a", 0);
    first.transaction(|outbox| outbox.set_aside(&[1], "why", 5)).unwrap();
    let mut second = scratch.open();
    let seen = first.changes_of_others().unwrap();
    assert!(second.retry(&second.failed().unwrap()[0], 6).unwrap());
    assert_ne!(first.changes_of_others().unwrap(), seen);
    assert_eq!(add(&mut first, 1, "b", 7), Added::Waiting(Chat::Id(1)));
    assert_eq!(seqs(&first, 1).len(), 2);
}

#[test]
fn what_waits_for_a_gone_chat_does_not_keep_the_rest_from_being_forgotten() {
    let scratch = Scratch::new("gone-forget");
    let mut outbox = scratch.open();
    let gone = Gone { chat: Chat::Id(1), probe_at: 0, probes: 1 };
    outbox.transaction(|outbox| outbox.gone(&gone, "403")).unwrap();
    for n in 0..1200 {
        add(&mut outbox, 1, &format!("w{n}"), 0);
    }
    add(&mut outbox, 2, "told", 0);
    outbox.transaction(|outbox| outbox.told(&[1201], Some(5), 0)).unwrap();
    assert_eq!(outbox.transaction(|outbox| outbox.forget(10)).unwrap(), 1);
    let give_up = |outbox: &mut Outbox| {
        let given = outbox.transaction(|outbox| outbox.give_up(&[Chat::Id(1)], 10, 20)).unwrap();
        given.iter().map(|(_, records)| records).sum::<usize>()
    };
    let mut sum = 0;
    while sum < 1200 {
        sum += give_up(&mut outbox);
    }
    assert_eq!((sum, give_up(&mut outbox), outbox.failed_count().unwrap()), (1200, 0, 1200));
    assert_eq!(outbox.transaction(|outbox| outbox.forget(15)).unwrap(), 0, "it failed at 20");
    assert!(outbox.transaction(|outbox| outbox.forget(25)).unwrap() > 0, "failed records are forgotten, too");
}

#[test]
fn silence_is_remembered() {
    let scratch = Scratch::new("frozen");
    let mut outbox = scratch.open();
    let one = Frozen { chat: Some(Chat::Id(-5)), at: 10, until: 500 };
    let all = Frozen { chat: None, at: 20, until: 100 };
    outbox.transaction(|outbox| outbox.freeze(&one).and_then(|()| outbox.freeze(&all))).unwrap();
    drop(outbox);
    let mut outbox = scratch.open();
    let mut frozen = outbox.frozen().unwrap();
    frozen.sort_by_key(|frozen| frozen.at);
    assert_eq!(frozen, [one.clone(), all]);
    let later = Frozen { chat: Some(Chat::Id(7)), at: 200, until: 300 };
    outbox.transaction(|outbox| outbox.freeze(&later)).unwrap();
    assert_eq!(outbox.frozen().unwrap(), [one, later], "what is over goes away");
}

#[test]
fn a_note_without_a_key_counts_for_the_pace_of_the_next_run() {
    let scratch = Scratch::new("pace");
    let mut outbox = scratch.open();
    let record = Record::new(Chat::Id(1), "x".into(), Format::Text);
    outbox.transaction(|outbox| outbox.add(&Entry::new(record, "{\"chat\":1,\"text\":\"x\"}".into()), 0)).unwrap();
    assert_eq!(outbox.told_since(0).unwrap(), []);
    outbox.transaction(|outbox| outbox.told(&[1], Some(9), 50)).unwrap();
    assert_eq!(outbox.told_since(10).unwrap(), [(Chat::Id(1), 50)]);
    assert_eq!(outbox.told_since(60).unwrap(), []);
}

#[test]
fn several_may_make_it_at_once() {
    // tg-send --status in the moment of the first start said "table queue already exists", or "database is locked".
    let scratch = Scratch::new("at-once");
    std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| scratch.open().status().unwrap())).collect();
        openers.into_iter().for_each(|opener| drop(opener.join().unwrap()));
    });
}

#[test]
fn a_row_that_cannot_be_read_is_told_as_it_stands() {
    let scratch = Scratch::new("row");
    let mut outbox = scratch.open();
    add(&mut outbox, 1, "a", 0);
    add(&mut outbox, 1, "b", 0);
    outbox.run("UPDATE queue SET record = 'garbage' WHERE seq = 1", []).unwrap();
    let waiting = outbox.waiting(&Chat::Id(1), 10, 1000).unwrap();
    assert_eq!((waiting.len(), waiting[0].record.text.as_str()), (2, "garbage"));
}
