//! Somebody who means harm: too much, too long, made up. Everybody else is served meanwhile.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::until;
use crate::world::{ADMIN, World, has, text_of};

const USERS: &str = r#"{"1": {"role": "admin"}, "2": {}, "3": {"match": ["mem"]}}"#;

fn message(chat: i64, text: &str) -> serde_json::Value {
    json!({"message": {"message_id": 900, "date": 1, "text": text, "chat": {"id": chat, "type": "private", "first_name": "M"},
        "from": {"id": chat, "is_bot": false, "first_name": "Mallory", "language_code": "en"}}})
}

#[test]
fn ten_megabytes_of_text() {
    let mut world = World::new("huge", USERS);
    world.start();
    // More than Telegram lets anybody write, and more than one answer of getUpdates holds.
    let huge = world.update(message(2, &format!("/regexp {}", "a".repeat(10_000_000))));
    let names = json!({"message": {"message_id": 901, "date": 1, "text": "/help",
        "chat": {"id": 2, "type": "private", "first_name": "x".repeat(3_000_000)},
        "from": {"id": 2, "is_bot": false, "first_name": "y".repeat(3_000_000), "language_code": "z".repeat(100_000)}}});
    let long_names = world.update(names);
    world.settled(huge);
    world.settled(long_names);
    has(&world.asked(3, "/list"), &["mem"]);
    let rss = world.bot().rss();
    assert!(rss < 250_000, "{rss} KiB");
    assert!(world.users()["2"].to_string().len() < 5000);
}

#[test]
fn ten_thousand_taps_delay_nobody_else() {
    let mut world = World::new("taps", USERS);
    // What is said to the one who taps takes half a minute: nobody else can wait for any two of those answers.
    world.sandbox.rules(json!([{"match": {"method": "sendMessage", "chat_id": 2}, "times": -1,
        "do": {"slow": {"first_byte_ms": 30_000}}}]));
    world.start();
    let flood = Instant::now();
    let mut last = 0;
    for n in 0..10_000_i64 {
        last = world.say(2, if n % 2 == 0 { "/list" } else { "go back" });
        if n % 2500 == 1250 {
            let asked = Instant::now();
            has(&world.asked(3, "/list"), &["mem"]);
            eprintln!("after {n} taps another person waited {:?}", asked.elapsed());
        }
    }
    assert!(world.said(2).len() < 30, "they wait while others are answered: {}", world.said(2).len());
    world.sandbox.clear_rules();
    world.settled(last);
    eprintln!("10,000 taps in {:?}; {} answers", flood.elapsed(), world.said(2).len());
    has(&world.asked(2, "/help"), &["Alerts"]);
    assert!(world.said(2).len() < 10_000, "those that were too many were left out");
    assert!(world.said(2).iter().any(|message| text_of(message).contains("too much at once")));
    assert!(world.bot().rss() < 100_000, "{} KiB", world.bot().rss());
}

#[test]
fn strangers_in_crowds_are_not_put_to_anybody() {
    let mut world = World::new("crowd-of-strangers", USERS);
    world.start();
    let mut last = 0;
    for id in 10_000..10_400 {
        last = world.update(message(id, "/start"));
    }
    world.settled(last);
    until("the requests", || (world.said(ADMIN).len() >= 50).then_some(()));
    // Several may be counted at the same moment.
    assert!(world.said(ADMIN).len() <= 60, "more are an attack, not wishes: {}", world.said(ADMIN).len());
    has(&world.log(), &["requests wait for a decision: chat"]);
    has(&world.asked(3, "/list"), &["mem"]);
}

#[test]
fn patterns_that_take_for_ever_elsewhere_are_answered_at_once() {
    let mut world = World::new("patterns", USERS);
    world.start();
    for (pattern, answer) in [
        ("(a+)+$", "✅"),
        ("(a|aa)+$", "✅"),
        ("(.*a){20}$", "✅"),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "✅"),
        ("a{1000}{1000}{1000}", "❌"),
        ("(((((a{100}){100}){100}){100}){100})", "❌"),
        (r"\pL{1000}\pL{1000}", "❌"),
    ] {
        let start = Instant::now();
        has(&world.asked(2, &format!("/regexp {pattern}")), &[answer]);
        // Each takes milliseconds; for engines that backtrace it would be years.
        assert!(start.elapsed() < Duration::from_secs(20), "{pattern}: {:?}", start.elapsed());
    }
    let deep = format!("/regexp {}", "(".repeat(4000));
    has(&world.asked(2, &deep), &["❌"]);
}

#[test]
fn markup_in_names_and_texts_stays_text() {
    let mut world = World::new("markup", r#"{"1": {"role": "admin"}, "2": {}}"#);
    let evil = "<b>Eve</b> <a href=\"tg://user?id=1\">x</a> </code>&lt;{name}";
    world.person(4, evil, "en");
    world.start();
    world.ask(4, "/start");
    let request = world.hears(ADMIN, 1, "the request");
    has(&text_of(&request), &[&format!("🔑 {evil} wants to be let in.")]);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    has(&world.asked(ADMIN, "/users"), &[evil]);
    has(&world.asked(4, "/regexp </code><b>&amp;"), &["</code><b>&amp;"]);
    has(&world.asked(4, "/list"), &["</code><b>&amp;"]);
    has(&world.asked(4, "/subscribe a=\"</code><i>\""), &["</code><i>"]);
    has(&world.asked(4, "/unsubscribe </pre>"), &["</pre>"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn whatever_comes_the_bot_lives() {
    let mut world = World::new("garbage", USERS);
    world.start();
    let mut last = 0;
    for update in [
        json!({}),
        json!({"message": null}),
        json!({"message": {"chat": {"id": "2"}, "text": "/list"}}),
        json!({"message": {"chat": {"id": 9_223_372_036_854_775_807_i64}, "from": {"id": -1}, "text": "/start"}}),
        json!({"message": {"chat": {"id": 2}, "from": {"id": 2}, "text": "/list", "message_thread_id": -1, "is_topic_message": true}}),
        json!({"callback_query": {"id": "", "from": {"id": 2}, "data": "a:99999999999999999999"}}),
        json!({"callback_query": {"id": "9", "from": {"id": 1}, "data": "a:-9223372036854775808"}}),
        json!({"callback_query": {"id": 9, "from": {"id": 2}, "data": ["x"]}}),
        json!({"my_chat_member": {"chat": {"id": 2}, "from": {"id": 2}, "new_chat_member": {"status": 7}}}),
        json!({"message": {"chat": {"id": -9}, "migrate_to_chat_id": -9}}),
        json!({"message": {"chat": {"id": 2, "type": "private"}, "from": {"id": 2}, "text": "\u{0}\u{202e}/list\u{feff}"}}),
    ] {
        last = world.update(update);
    }
    world.settled(last);
    has(&world.asked(3, "/list"), &["mem"]);
    assert!(!world.log().contains("a bug"), "{}", world.log());
}
