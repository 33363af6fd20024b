//! Bodies that nobody has thought of: no alert is lost, no value becomes markup, and what am-recv accepts, alert-route
//! can read.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use prometheus_telegram::alert::Webhook;
use prometheus_telegram::line;
use prometheus_telegram::record::{self, Input};
use prometheus_telegram::route::route;
use prometheus_telegram::sandbox::markup::{Mode, parse};
use prometheus_telegram::text::{DEFAULT_TEMPLATE, Words};
use prometheus_telegram::users::Users;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

fn words() -> Words {
    Words::new("default", DEFAULT_TEMPLATE.to_owned(), TimeZone::UTC, None).unwrap()
}

/// Any JSON, not too large.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![".*", "[<>&\"'/ab ]{0,12}", Just("2026-11-22T06:21:24Z".to_owned())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let key = prop_oneof!["[a-z]{1,8}", Just("alertname".to_owned()), Just("severity".to_owned())];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::collection::vec((prop::sample::select(names), any_json()), 0..8)
        .prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

fn alert() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "status",
        "labels",
        "annotations",
        "startsAt",
        "endsAt",
        "generatorURL",
        "fingerprint",
        "silenceURL",
        "panelURL",
        "other",
    ];
    prop_oneof![8 => object(NAMES), 1 => any_json()]
}

fn body() -> impl Strategy<Value = (Value, usize)> {
    const NAMES: &[&str] =
        &["status", "receiver", "groupLabels", "commonLabels", "externalURL", "version", "groupKey", "other"];
    (object(NAMES), prop::collection::vec(alert(), 0..6)).prop_map(|(mut body, alerts)| {
        let count = alerts.len();
        body.as_object_mut().unwrap_or(&mut Map::new()).insert("alerts".to_owned(), alerts.into());
        (body, count)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Default::default() })]

    #[test]
    fn every_alert_becomes_one_record_that_parses((body, alerts) in body(), pretty in any::<bool>()) {
        let bytes = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        prop_assert!(Webhook::check(&bytes).is_ok(), "am-recv takes it");
        let line = line::from_body(bytes);
        prop_assert!(!line.contains(&b'\n'));
        let users = Users::parse(r#"{"1": "all", "2": "no such alert, ever"}"#).unwrap();
        let routed = route(&line, &users, &words(), Timestamp::UNIX_EPOCH).unwrap();
        prop_assert_eq!(routed.records.len(), alerts);
        prop_assert_eq!(routed.ack.records, Some(alerts as u64));
        prop_assert_eq!(routed.warnings, Vec::<String>::new());
        for record in routed.records {
            prop_assert!(parse(&record.text, Mode::Html).is_ok(), "{}", record.text);
            prop_assert!(!record.title.contains('\n') && record.title.chars().count() <= 120);
            let written = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(record::parse(written.as_bytes()), Ok(Input::Record(Box::new(record))));
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_a_webhook(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // What am-recv takes alert-route can read, and the other way round.
        let read = Webhook::parse(&bytes).ok().map(|webhook| webhook.alerts.len());
        prop_assert_eq!(Webhook::check(&bytes).ok(), read);
        let _ = record::parse(&bytes);
    }

    #[test]
    fn half_a_line_is_no_line((body, _) in body(), at in any::<prop::sample::Index>()) {
        // What is left in a FIFO by a killed writer, or a killed reader leaves to its successor.
        let line = line::from_body(serde_json::to_vec(&body).unwrap());
        let cut = at.index(line.len());
        prop_assert!(cut == 0 || Webhook::parse(&line[..cut]).is_err());
        prop_assert!(cut == 0 || Webhook::parse(&line[cut..]).is_err());
    }

    #[test]
    fn any_users_file_is_an_error_or_serves_those_whose_patterns_are_good(users in any_json(), pattern in ".*") {
        let _ = Users::parse(&users.to_string());
        let file = json!({"1": pattern, "2": "*"}).to_string();
        let users = Users::parse(&file).unwrap();
        let line = br#"{"alerts":[{"labels":{"alertname":"A"}}]}"#;
        let routed = route(line, &users, &words(), Timestamp::UNIX_EPOCH).unwrap();
        prop_assert!(routed.records.iter().any(|record| record.chat.to_string() == "2"));
    }
}
