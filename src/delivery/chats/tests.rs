use super::*;
use crate::outbox::Frozen;

#[test]
fn the_chat_that_has_been_due_for_longest_is_first() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    let mut chats = Chats::default();
    for id in [1, 2] {
        chats.add(&Chat::Id(id), 2);
    }
    pacing.count(&Chat::Id(1), start);
    chats.schedule(&Chat::Id(1), &pacing, start);
    chats.schedule(&Chat::Id(2), &pacing, start);
    assert_eq!(chats.take_due(start), Some(Chat::Id(2)));
    assert_eq!(chats.take_due(start), None);
    assert_eq!(chats.take_due(start + Duration::from_secs(1)), Some(Chat::Id(1)));
}

#[test]
fn a_silence_that_no_clock_can_count_is_a_day_at_most() {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-silence-{}.db", std::process::id()));
    let mut outbox = Outbox::open(&path, None).unwrap();
    for (chat, at) in [(Some(Chat::Id(1)), now()), (None, i64::MIN)] {
        outbox.transaction(|outbox| outbox.freeze(&Frozen { chat, at, until: i64::MAX })).unwrap();
    }
    let (pacing, _) = load(&outbox, Limits::default()).unwrap();
    let late = Instant::now() + LONGEST_FLOOD;
    assert!(pacing.chat_ready(&Chat::Id(1), Instant::now()).unwrap() <= late);
    assert!(pacing.overall_ready(Instant::now()).unwrap() <= late);
    drop(outbox);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}

#[test]
fn a_chat_waits_for_the_rest_of_a_webhook_but_not_for_ever() {
    let start = Instant::now();
    let pacing = Pacing::new(Limits::default());
    let (one, two) = (Chat::Id(1), Chat::Id(2));
    let mut chats = Chats::default();
    let take_in = |chats: &mut Chats, added: &[(&Chat, bool)], closes, at| {
        let added = added.iter().map(|(chat, is_open)| ((*chat).clone(), *is_open)).collect();
        chats.take_in(added, closes, &pacing, at);
    };
    take_in(&mut chats, &[(&one, true), (&two, false)], false, start);
    assert_eq!(chats.take_due(start), Some(two.clone()));
    assert_eq!(chats.take_due(start), None);
    take_in(&mut chats, &[(&one, true)], false, start);
    take_in(&mut chats, &[(&one, false)], true, start);
    assert_eq!((chats.waiting(&one), chats.take_due(start), chats.take_due(start)), (3, Some(one.clone()), None));
    // What never comes is waited for once.
    take_in(&mut chats, &[(&two, true)], false, start);
    assert_eq!((chats.next_due(), chats.take_due(start)), (Some(start + WHOLE), None));
    assert_eq!(chats.take_due(start + WHOLE), Some(two.clone()));
    // One webhook after the other, each begun before the one before it has ended.
    for part in 0..4 {
        take_in(&mut chats, &[(&two, false), (&two, true)], true, start + WHOLE * part / 4);
    }
    assert_eq!(chats.next_due(), Some(start + WHOLE));
    // An ack by itself.
    take_in(&mut chats, &[], true, start);
    assert_eq!(chats.take_due(start), Some(two));
}

#[test]
fn counts_follow_what_waits() {
    let mut chats = Chats::default();
    chats.add(&Chat::Id(1), 3);
    chats.add(&Chat::Id(2), 1);
    chats.rename(&Chat::Id(1), &Chat::Id(2));
    assert_eq!((chats.in_all(), chats.waiting(&Chat::Id(2))), (4, 4));
    chats.remove(&Chat::Id(2), 4);
    assert_eq!((chats.in_all(), chats.lines.len()), (0, 0));
    assert!(chats.only_gone());
}

#[test]
fn a_chat_that_is_gone_is_due_when_it_is_probed() {
    let start = Instant::now();
    let pacing = Pacing::new(Limits::default());
    let mut chats = Chats::default();
    let chat = Chat::Id(1);
    chats.add(&chat, 1);
    chats.set_gone(Gone { chat: chat.clone(), probe_at: now() + 60_000, probes: 1 });
    chats.schedule(&chat, &pacing, start);
    assert!(chats.only_gone());
    assert_eq!(chats.take_due(start + Duration::from_secs(50)), None);
    assert!(chats.set_back(&chat));
    chats.schedule(&chat, &pacing, start);
    assert_eq!(chats.take_due(start), Some(chat));
}

#[test]
fn something_new_for_a_gone_chat_is_tried_within_ten_minutes() {
    // Whoever let the bot in again heard nothing for up to six hours.
    let start = Instant::now();
    let pacing = Pacing::new(Limits::default());
    let mut chats = Chats::default();
    for (id, ago) in [(1, 660), (2, 300)] {
        let chat = Chat::Id(id);
        let probe_at = now() + 6 * 3_600_000 - 1000 * ago;
        chats.set_gone(Gone { chat: chat.clone(), probe_at, probes: 9 });
        chats.take_in(vec![(chat, false)], true, &pacing, start);
    }
    assert_eq!(chats.take_due(Instant::now()), Some(Chat::Id(1)), "tried eleven minutes ago");
    let due = chats.next_due().unwrap().duration_since(start).as_secs();
    assert!((280..=300).contains(&due), "tried five minutes ago, due in {due} s");
}

#[test]
fn what_another_process_changed_is_taken_over() {
    let start = Instant::now();
    let pacing = Pacing::new(Limits::default());
    let mut chats = Chats::default();
    chats.add(&Chat::Id(1), 3);
    chats.add(&Chat::Id(2), 1);
    chats.set_gone(Gone { chat: Chat::Id(3), probe_at: now() + 60_000, probes: 1 });
    chats.set_all(vec![(Chat::Id(1), 5), (Chat::Id(3), 2)], Vec::new(), &pacing, start);
    assert_eq!((chats.in_all(), chats.waiting(&Chat::Id(1)), chats.waiting(&Chat::Id(2))), (7, 5, 0));
    assert!(!chats.only_gone());
    let due: Vec<Chat> = std::iter::from_fn(|| chats.take_due(start)).collect();
    assert_eq!(due, [Chat::Id(1), Chat::Id(3)]);
}

#[test]
fn a_clock_that_was_put_back_keeps_no_chat_away() {
    let start = Instant::now();
    let mut chats = Chats::default();
    let chat = Chat::Id(1);
    chats.add(&chat, 1);
    chats.set_gone(Gone { chat: chat.clone(), probe_at: now() + 400 * 86_400_000, probes: 1 });
    chats.schedule(&chat, &Pacing::new(Limits::default()), start);
    assert_eq!(chats.take_due(start + Duration::from_secs(7 * 3600)), Some(chat));
}
