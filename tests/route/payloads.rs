//! Bodies of real senders. Where each is from: tests/data/README.md.

use std::collections::BTreeMap;
use std::path::Path;

use prometheus_telegram::alert::fingerprint;
use serde::Deserialize;
use serde_json::Value;

use crate::harness::*;

/// Our own output with nothing unknown in it: a change of the format is a decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    v: u64,
    id: String,
    chat: i64,
    thread: Option<i64>,
    text: String,
    format: String,
    key: String,
    about: Option<String>,
    #[serde(default)]
    buttons: Vec<Vec<Button>>,
    title: String,
    #[serde(default)]
    count_by: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Button {
    text: String,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ack {
    v: u64,
    ack: String,
    records: u64,
}

fn route(body: &str, users: &str) -> Vec<Strict> {
    let scratch = Scratch::new("route");
    let users = scratch.write("users.json", users);
    let line = body.replace(['\n', '\r'], " ");
    let output = run(command("alert-route").arg("--ack").arg("-u").arg(users), line.as_bytes());
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let mut lines: Vec<&str> = output.stdout.lines().filter(|line| !line.is_empty()).collect();
    let ack: Ack = serde_json::from_str(lines.pop().unwrap()).unwrap();
    assert_eq!((ack.v, ack.records, ack.ack.len()), (1, lines.len() as u64, 64));
    let records: Vec<Strict> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (n, record) in records.iter().enumerate() {
        assert_eq!((record.v, record.chat, record.format.as_str()), (1, 1, "html"));
        assert_eq!(record.id, format!("{}-{n}", &ack.ack[..12]));
        assert!(!record.text.trim().is_empty() && !record.title.contains('\n'), "{record:?}");
        assert!(
            record.buttons.iter().flatten().all(|button| button.url.starts_with("http") && !button.text.is_empty())
        );
    }
    records
}

fn all(name: &str) -> Vec<Strict> {
    route(&payload(name), r#"{"1": "*"}"#)
}

/// Alert names with their status, as a summary would count them.
fn outcome(records: &[Strict]) -> Vec<String> {
    let count = |record: &Strict, name| record.count_by.get(name).cloned().unwrap_or_default();
    records.iter().map(|record| format!("{} {}", count(record, "alertname"), count(record, "status"))).collect()
}

#[test]
fn each_body_has_its_outcome() {
    for (name, expected) in [
        ("01-am025-prometheus-ms-Z-startsAt.json", vec!["HostOutOfMemory firing"]),
        ("02-am025-special-chars.json", vec!["HostOutOfMemory firing"]),
        (
            "03-am025-group-two-alertnames-firing.json",
            vec!["InstanceDown firing", "InstanceDown firing", "DiskFull firing"],
        ),
        (
            "04-am025-group-mixed-firing-and-resolved.json",
            vec!["InstanceDown resolved", "DiskFull firing", "InstanceDown firing"],
        ),
        ("05-am025-group-all-resolved.json", vec!["DiskFull resolved", "InstanceDown resolved"]),
        ("06-am025-startsAt-no-fraction.json", vec!["NoFraction firing"]),
        ("07-am025-startsAt-plus0300.json", vec!["TzOffset firing"]),
        ("08-am025-no-alertname.json", vec![" firing"]),
        ("09-am025-max_alerts-truncated.json", vec!["PodCrashLoop firing", "PodCrashLoop firing", " "]),
        ("10-am025-160-alerts-92KB.json", vec!["InstanceDown firing"; 160]),
        ("11-am025-long-stacktrace-10KB-annotation.json", vec!["LongAnnotation firing"]),
        ("12a-am025-flap-1-firing.json", vec!["InstanceDown firing"]),
        ("12b-am025-flap-2-resolved.json", vec!["InstanceDown resolved"]),
        ("12c-am025-flap-3-firing-again.json", vec!["InstanceDown firing"]),
        ("33-raptor72-readme-minimal.json", vec!["Loadaverage resolved"]),
        ("43-derived-am034-notification_reason.json", vec!["HostOutOfMemory firing"]),
        ("50-hostile-empty-alerts.json", vec![]),
    ] {
        let mut got = outcome(&all(name));
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{name}");
    }
}

/// Other people's files, which are read in place.
#[test]
fn bodies_of_other_senders() {
    let folder = Path::new("../shared/payloads");
    for (name, alerts) in [
        ("20-incaller-simpe-v3-groupKey-bigint.json", 1),
        ("22-incaller-emptyValue.json", 1),
        ("34-raptor72-readme-full.json", 1),
        ("40-grafana-docs-webhook.json", 2),
    ] {
        match std::fs::read_to_string(folder.join(name)) {
            Ok(body) => assert_eq!(route(&body, r#"{"1": "*"}"#).len(), alerts, "{name}"),
            Err(_) => say(&format!("SKIPPED: the payload {name} is not here")),
        }
    }
}

#[test]
fn the_same_event_has_the_same_key_and_another_one_has_another() {
    let key = |name| all(name)[0].key.clone();
    assert_eq!(key("02-am025-special-chars.json"), key("13-am025-repeat-byte-identical-to-02.json"));
    let flaps =
        ["12a-am025-flap-1-firing.json", "12b-am025-flap-2-resolved.json", "12c-am025-flap-3-firing-again.json"];
    let keys: std::collections::HashSet<String> = flaps.iter().map(|name| key(name)).collect();
    assert_eq!(keys.len(), 3);
    let about: std::collections::HashSet<_> = flaps.iter().map(|name| all(name)[0].about.clone()).collect();
    assert_eq!(about.len(), 1, "one alert all the time");
}

#[test]
fn each_topic_of_a_chat_is_told_and_a_blocked_chat_is_not() {
    let users = r#"{"1": [{"match": "*"}, {"match": "*", "thread": 7}, {"match": "*", "thread": 1}],
        "2": {"match": "*", "blocked_since": "2026-11-22T00:00:00Z"}}"#;
    let records = route(&payload("01-am025-prometheus-ms-Z-startsAt.json"), users);
    let topics: Vec<_> = records.iter().map(|record| record.thread).collect();
    assert_eq!(topics, [None, Some(7), None]);
    let [general, topic, again] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(general.key, again.key, "General is topic 1");
    assert_eq!(topic.key, format!("{} topic 7", general.key), "tg-send knows a key once a chat");
    assert_eq!(topic.about.as_deref().unwrap(), format!("{} topic 7", general.about.as_deref().unwrap()));
}

#[test]
fn every_alert_is_matched_by_itself() {
    let body = payload("03-am025-group-two-alertnames-firing.json");
    assert_eq!(outcome(&route(&body, r#"{"1": "disk"}"#)), ["DiskFull firing"]);
    assert_eq!(outcome(&route(&body, r#"{"1": "^instance"}"#)), ["InstanceDown firing"; 2]);
    assert_eq!(outcome(&route(&body, r#"{"1": {"labels": "severity=\"warning\""}}"#)), ["DiskFull firing"]);
    assert_eq!(route(&body, r#"{"1": "nothing"}"#).len(), 0);
}

#[test]
fn values_are_shown_as_they_are_and_nothing_of_them_is_markup() {
    let text = &all("02-am025-special-chars.json")[0].text;
    assert!(
        text.contains("(&lt; 10% left)") && text.contains("map[a:&quot;b&quot; &amp; c:'d' &lt;nil&gt;]"),
        "{text}"
    );
    let long = &all("11-am025-long-stacktrace-10KB-annotation.json")[0].text;
    assert!(long.contains("Handler0.java:0") && long.contains("&lt;init&gt; &amp; friends"), "{long:.300}");
    assert!(long.len() > 9_000);
}

#[test]
fn what_max_alerts_cut_off_is_told_also_to_those_who_might_have_wanted_it() {
    let body = payload("09-am025-max_alerts-truncated.json");
    let told = |users: &str| route(&body, users).iter().filter(|record| record.text.contains("3 more alerts")).count();
    assert_eq!(told(r#"{"1": "crash"}"#), 1);
    assert_eq!(told(r#"{"1": "cpu"}"#), 0);
}

#[test]
fn fingerprints_are_those_of_alertmanager() {
    let mut compared = 0;
    for entry in std::fs::read_dir("tests/data/payloads").unwrap() {
        let path = entry.unwrap().path();
        let body: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            let Some(sent) = alert["fingerprint"].as_str() else { continue };
            let labels = serde_json::from_value(alert["labels"].clone()).unwrap();
            assert_eq!(fingerprint(&labels), sent, "{}", path.display());
            compared += 1;
        }
    }
    assert!(compared > 160, "{compared}");
}
