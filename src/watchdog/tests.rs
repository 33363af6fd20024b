//! Days of silence in a moment: time is what the tests say.

use super::*;
use crate::alert::Webhook;
use crate::text::DEFAULT_TEMPLATE;
use jiff::tz::TimeZone;

const MINUTE: i64 = 60;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn start(known: &Value, second: i64) -> Watchdogs {
    Watchdogs::new(vec!["Watchdog=10m".parse().unwrap()], known, at(second))
}

/// Looks every second, and returns the keys and titles of what was written, with the second.
fn watch(dogs: &mut Watchdogs, seconds: std::ops::Range<i64>) -> Vec<(i64, String, String)> {
    let words = Words::new("default", DEFAULT_TEMPLATE.to_owned(), TimeZone::UTC, None).unwrap();
    let mut written = Vec::new();
    for second in seconds {
        dogs.count(at(second));
        for record in dogs.records(&[(Chat::Id(1), None)], &words, at(second)) {
            written.push((second, record.key.unwrap(), record.title));
        }
    }
    written
}

fn hear(dogs: &mut Watchdogs, second: i64) {
    let webhook = Webhook::parse(br#"{"alerts":[{"labels":{"alertname":"Watchdog"}}]}"#).unwrap();
    assert!(dogs.hear(&webhook.alerts[0], at(second)));
}

fn keys(written: &[(i64, String, String)]) -> Vec<&str> {
    let mut keys: Vec<&str> = written.iter().map(|(_, key, _)| key.as_str()).collect();
    keys.dedup();
    keys
}

#[test]
fn reminders_grow_and_each_record_is_written_a_few_times() {
    let mut dogs = start(&Value::Null, 0);
    hear(&mut dogs, 0);
    let written = watch(&mut dogs, 0..3 * 86_400);
    let about = format!("watchdog Watchdog {}", at(0));
    let expected: Vec<String> = (0..6).map(|step| format!("{about} {step}")).collect();
    assert_eq!(keys(&written), expected);
    let firsts: Vec<(i64, &str)> = expected
        .iter()
        .map(|key| written.iter().find(|(_, known, _)| known == key).unwrap())
        .map(|(second, _, title)| (*second / MINUTE, title.rsplit(" for ").next().unwrap()))
        .collect();
    let day = 24 * 60;
    assert_eq!(
        firsts,
        [(10, "10m"), (40, "40m"), (160, "2h 40m"), (640, "10h 40m"), (640 + day, "1d 10h"), (640 + 2 * day, "2d 10h")]
    );
    assert_eq!(written.len(), 6 * 10, "for five minutes, twice a minute");
    hear(&mut dogs, 3 * 86_400);
    let back = watch(&mut dogs, 3 * 86_400..3 * 86_400 + 599);
    assert_eq!(keys(&back), [format!("{about} back")]);
    assert_eq!(back[0].2, "✅ Alertmanager is heard again, after 2d 23h");
}

#[test]
fn time_in_which_nobody_listened_is_no_silence() {
    let mut dogs = start(&Value::Null, 0);
    hear(&mut dogs, 0);
    assert_eq!(watch(&mut dogs, 0..9 * MINUTE), []);
    // The machine slept for a night, or its clock was set back.
    let morning = 8 * 60 * MINUTE;
    assert_eq!(watch(&mut dogs, morning..morning + 40), []);
    assert_eq!(watch(&mut dogs, 0..5), []);
    assert_eq!(keys(&watch(&mut dogs, 5..60)).len(), 1, "and what is left of the ten minutes is waited for");
}

#[test]
fn a_successor_goes_on_where_its_predecessor_was() {
    let mut dogs = start(&Value::Null, 0);
    hear(&mut dogs, 0);
    watch(&mut dogs, 0..9 * MINUTE);
    // A restart costs nothing, and a night that it was off counts little.
    let mut dogs = start(&dogs.to_json(), 9 * MINUTE + 2);
    assert_eq!(watch(&mut dogs, 9 * MINUTE + 2..10 * MINUTE - 2), []);
    let told = watch(&mut dogs, 10 * MINUTE - 2..10 * MINUTE + 5);
    assert_eq!(keys(&told), [format!("watchdog Watchdog {} 0", at(0))]);
    let mut dogs = start(&dogs.to_json(), 11 * MINUTE);
    assert_eq!(keys(&watch(&mut dogs, 11 * MINUTE..11 * MINUTE + 5)), keys(&told), "the same key, known to tg-send");
    hear(&mut dogs, 12 * MINUTE);
    let mut dogs = start(&dogs.to_json(), 12 * MINUTE + 5);
    assert_eq!(keys(&watch(&mut dogs, 12 * MINUTE + 5..13 * MINUTE)), [format!("watchdog Watchdog {} back", at(0))]);
    let off = dogs.to_json();
    let mut dogs = start(&off, 1000 * MINUTE);
    assert_eq!(watch(&mut dogs, 1000 * MINUTE..1007 * MINUTE), []);
    for odd in [json!(7), json!({"at": 1, "watches": {"Watchdog": {"last": "x", "silent_ms": -1, "back": []}}})] {
        assert_eq!(watch(&mut start(&odd, 0), 0..9 * MINUTE), [], "{odd}");
    }
    let old = "-009999-01-02T01:59:59Z";
    let back = json!({"since": old, "after_ms": u64::MAX, "at": old});
    let odd = json!({"at": old, "watches": {"Watchdog": {"last": old, "silent_ms": u64::MAX, "back": back}}});
    assert_eq!(keys(&watch(&mut start(&odd, 0), 0..1)).len(), 1, "told, and soon");
}

#[test]
fn who_was_not_told_of_a_silence_is_not_told_of_its_end() {
    let mut dogs = start(&Value::Null, 0);
    watch(&mut dogs, 0..9 * MINUTE);
    hear(&mut dogs, 9 * MINUTE);
    assert_eq!(watch(&mut dogs, 9 * MINUTE..18 * MINUTE), []);
}
