//! Telegram's limits, kept by one program and by several.

use std::io::Write;

use super::*;

const A: Chat = Chat::Id(1);
const GROUP: Chat = Chat::Id(-1);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn send(pacing: &mut Pacing, chat: &Chat, at: Instant) {
    assert!(pacing.begin(chat, at));
    pacing.end(chat, true, at);
}

#[test]
fn one_a_second_in_a_chat_and_one_at_a_time() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    assert_eq!(pacing.chat_ready(&A, start), Some(start));
    pacing.begin(&A, start);
    assert_eq!(pacing.chat_ready(&A, start), None);
    pacing.end(&A, true, start + ms(300));
    assert_eq!(pacing.chat_ready(&A, start + ms(300)), Some(start + ms(1300)));
    pacing.begin(&A, start);
    pacing.end(&A, false, start + ms(1400));
    assert_eq!(pacing.chat_ready(&A, start + ms(1400)), Some(start + ms(1400)), "not sent, not counted");
}

#[test]
fn twenty_a_minute_in_a_group() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    for n in 0..20 {
        let at = start + ms(1000 * n);
        assert_eq!(pacing.chat_ready(&GROUP, at), Some(at), "{n}");
        send(&mut pacing, &GROUP, at);
    }
    assert_eq!(pacing.chat_ready(&GROUP, start + ms(20_000)), Some(start + ms(60_000)));
}

#[test]
fn any_second_holds_thirty() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    for n in 0..30 {
        assert_eq!(pacing.overall_ready(start + ms(n)), Some(start + ms(n)));
        send(&mut pacing, &Chat::Id(n as i64 + 1), start + ms(n));
    }
    assert_eq!(pacing.overall_ready(start + ms(40)), Some(start + ms(1000)));
    assert_eq!(pacing.overall_ready(start + ms(1000)), Some(start + ms(1000)));
    send(&mut pacing, &A, start + ms(1000));
    assert_eq!(pacing.overall_ready(start + ms(1000)), Some(start + ms(1001)));
}

#[test]
fn what_is_in_flight_takes_room() {
    let start = Instant::now();
    let overall = Limit { count: 2, within: ms(1000) };
    let mut pacing = Pacing::new(Limits { overall, ..Limits::default() });
    send(&mut pacing, &A, start);
    pacing.begin(&GROUP, start);
    assert_eq!(pacing.overall_ready(start + ms(10)), Some(start + ms(1000)));
    pacing.begin(&Chat::Id(3), start);
    assert_eq!(pacing.overall_ready(start + ms(2000)), None);
}

#[test]
fn a_flood_freezes_the_chat_and_three_freeze_all() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    assert!(!pacing.flood(&A, ms(7000), start));
    assert!(pacing.chat_ready(&A, start) >= Some(start + ms(7000)));
    assert_eq!(pacing.overall_ready(start), Some(start));
    assert!(!pacing.flood(&A, ms(7000), start), "the same chat again is no second one");
    assert!(!pacing.flood(&GROUP, ms(1000), start));
    assert!(pacing.flood(&Chat::Id(9), ms(2000), start));
    assert!(pacing.overall_ready(start) >= Some(start + ms(2000)));
    assert!(pacing.overall_ready(start) < Some(start + ms(7000)));
}

#[test]
fn limits_of_ones_own() {
    assert_eq!("1/20/30".parse(), Ok(Limits::default()));
    let start = Instant::now();
    let mut pacing = Pacing::new("0/0/0".parse().unwrap());
    for n in 0..50 {
        pacing.begin(&Chat::Id(n), start);
    }
    assert_eq!(pacing.overall_ready(start), Some(start));
    send(&mut pacing, &GROUP, start);
    assert_eq!(pacing.chat_ready(&GROUP, start), Some(start));
    for wrong in ["", "1", "1/2", "1/2/x", "1/2/3/4", "-1/2/3"] {
        assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
    }
}

#[test]
fn a_name_and_its_id_have_one_pace() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    let name = Chat::Name("@ops".into());
    send(&mut pacing, &name, start);
    pacing.learn(&name, &GROUP);
    assert_eq!(pacing.chat_ready(&GROUP, start), Some(start + ms(1000)));
    send(&mut pacing, &GROUP, start + ms(1000));
    assert_eq!(pacing.chat_ready(&name, start + ms(1000)), Some(start + ms(2000)));
    assert_eq!((pacing.others(&name), pacing.others(&GROUP)), (vec![GROUP], vec![name]));
    assert_eq!(pacing.others(&A), []);
}

#[test]
fn two_programs_keep_one_pace() {
    let folder = std::env::temp_dir().join(format!("prometheus-telegram-one-pace-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let overall = Limit { count: 3, within: ms(1000) };
    let of = |file: &str| {
        let mut pacing = Pacing::new(Limits { overall, ..Limits::default() });
        pacing.share_beside(&folder.join(file));
        pacing
    };
    let (mut send, mut bot) = (of("outbox.db"), of("bot.db"));
    let now = Instant::now();
    assert!(send.begin(&A, now));
    // It has not heard of it yet, and still does not send.
    assert_eq!(bot.chat_ready(&A, now), Some(now));
    assert!(!bot.begin(&A, now));
    assert!(bot.begin(&GROUP, now), "another chat");
    assert!(send.begin(&Chat::Id(3), now));
    assert!(!bot.begin(&Chat::Id(4), now), "three are under way");
    send.end(&A, true, now);
    bot.listen(now);
    let ready = bot.chat_ready(&A, now).unwrap().duration_since(now);
    // They know it from the clock of the wall, which went on since.
    assert!(ready >= ms(900) && ready <= ms(1100) + now.elapsed(), "{ready:?}");
    // A 429 is everybody's, and so is what an earlier run sent.
    bot.end(&GROUP, true, now);
    bot.flood(&GROUP, ms(7000), now);
    send.listen(now);
    assert!(send.chat_ready(&GROUP, now).unwrap() > now + ms(6000));
    let later = of("outbox.db");
    assert!(later.chat_ready(&A, now).unwrap() > now);
    // One that was killed does not keep the others for ever.
    let mut third = of("third");
    third.listen(now + ms(11_000));
    assert!(third.theirs.is_empty());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_file_that_could_not_be_written_is_tried_again() {
    let folder = std::env::temp_dir().join(format!("prometheus-telegram-pace-again-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let of = |file: &str| {
        let mut pacing = Pacing::new(Limits::default());
        pacing.share_beside(&folder.join(file));
        pacing
    };
    let mut send = of("outbox.db");
    assert!(send.shared.is_none());
    std::fs::create_dir_all(&folder).unwrap();
    let now = Instant::now();
    send.listen(now + ALONE / 2);
    assert!(send.shared.is_none(), "not with every message");
    let now = now + 2 * ALONE;
    send.listen(now);
    assert!(send.begin(&A, now));
    let mut bot = of("bot.db");
    assert!(!bot.begin(&A, now), "they know of each other again");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_silence_of_a_clock_that_was_ahead_is_no_longer_than_was_said() {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-pace-ahead-{}", std::process::id()));
    let at = delivery::now() + 600_000;
    std::fs::write(&path, format!("{at} other flood={} 1\n", at + 3000)).unwrap();
    let mut pacing = Pacing::new(Limits::default());
    pacing.shared = Some(Shared::open(&path).unwrap());
    let now = Instant::now();
    pacing.listen(now);
    let ready = pacing.chat_ready(&A, now).unwrap();
    assert!(ready > now && ready <= Instant::now() + ms(3000));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn numbers_that_no_clock_can_count_are_a_day_at_most() {
    let day = Duration::from_secs(86_400 + 60);
    let path = std::env::temp_dir().join(format!("prometheus-telegram-long-pace-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    for silence in [Duration::MAX, Duration::from_secs(9_300_000_000_000_000_000)] {
        let (mut pacing, now) = (Pacing::new(Limits::default()), Instant::now());
        pacing.flood(&A, silence, now);
        assert!(pacing.flood(&GROUP, silence, now) || pacing.chat_ready(&GROUP, now).unwrap() <= now + day);
        assert!(pacing.chat_ready(&A, now).unwrap() <= now + day, "{silence:?}");
        assert!(pacing.overall_ready(now).unwrap() <= now + day, "{silence:?}");
    }
    for number in [i64::MAX, i64::MIN, -1] {
        let mut pacing = Pacing::new(Limits::default());
        pacing.shared = Some(Shared::open(&path).unwrap());
        let lines = format!("{number} other flood={number} 1\n{number} other end 2\n{number} other begin 3\n");
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(lines.as_bytes()).unwrap();
        let now = Instant::now();
        pacing.listen(now);
        assert!(pacing.chat_ready(&A, now).unwrap() <= now + day, "{number}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_renamed_chat_keeps_its_pace_and_an_idle_one_is_forgotten() {
    let start = Instant::now();
    let mut pacing = Pacing::new(Limits::default());
    send(&mut pacing, &GROUP, start);
    pacing.rename(&GROUP, &Chat::Id(-100));
    assert_eq!(pacing.chat_ready(&Chat::Id(-100), start), Some(start + ms(1000)));
    pacing.forget_idle(start + ms(59_000));
    assert_eq!(pacing.chats.len(), 1);
    pacing.forget_idle(start + ms(60_000));
    assert_eq!(pacing.chats.len(), 0);
}
