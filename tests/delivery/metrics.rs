//! The metrics, and the rules that watch this pipeline by them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::*;
use crate::tools::*;

/// Debian's promtool, if it is there.
fn promtool(args: &[&str], input: &[u8]) -> Option<(bool, String)> {
    let mut command = Command::new("promtool");
    let spawned = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(err) => {
            say(&format!("SKIPPED: no promtool ({err}); Debian's package prometheus has it"));
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some((output.status.success(), text))
}

pub fn scrape(process: &Process) -> String {
    let line = process.says("metrics on ");
    let url = line.rsplit(' ').next().unwrap();
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

pub fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{text}"))
}

#[test]
fn everything_that_happens_is_counted() {
    let scratch = Scratch::new("metrics");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": 5, "bot": "blocked"}));
    sandbox.rules(json!([
        {"match": {"chat_id": 1}, "times": 1, "do": {"flood": {"retry_after": 1}}},
        {"match": {"chat_id": 2}, "times": 1, "do": {"preset": "restart500"}},
        {"match": {"chat_id": 3}, "times": 1, "do": {"preset": "chat_not_found"}}
    ]));
    let mut command = tg_send(&scratch, &sandbox);
    let mut sender = Sender::start(&scratch, command.args(["--metrics", "127.0.0.1:0"]));
    sender.tell([1, 2, 3, 4, 5, 4].map(|chat| record(chat, "x")));
    let text = until("all but one to be told", || {
        let text = scrape(&sender.process);
        let is = |name, expected| value(&text, name) == expected;
        let settled = is("tg_send_records_told_total", 3.0) && is("tg_send_chats_gone", 1.0);
        // These two are written at the end of a turn.
        let observed = is("tg_send_records_waiting", 1.0) && is("tg_send_calls_in_flight", 0.0);
        (settled && observed).then_some(text)
    });
    for (name, expected) in [
        ("tg_send_records_accepted_total", 5.0),
        ("tg_send_records_known_total", 1.0),
        ("tg_send_records_waiting", 1.0),
        ("tg_send_records_failed", 1.0),
        ("tg_send_messages_retried_total", 3.0),
        ("tg_send_calls_total{verdict=\"flood\"}", 1.0),
        ("tg_send_calls_total{verdict=\"server_error\"}", 1.0),
        ("tg_send_calls_total{verdict=\"gone\"}", 1.0),
        ("tg_send_calls_total{verdict=\"never\"}", 1.0),
        ("tg_send_calls_in_flight", 0.0),
    ] {
        assert_eq!(value(&text, name), expected, "{name} in\n{text}");
    }
    assert!(!text.contains(TOKEN));
    if let Some((fine, said)) = promtool(&["check", "metrics"], classic(&text).as_bytes()) {
        assert!(fine, "{said}\n{text}");
    }
}

/// The older text format, which is the one that promtool reads: there a counter's name has its suffix everywhere.
fn classic(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF");
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let named = lines.map(|line| {
        let name = line.strip_prefix("# ").and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default();
        if counters.contains(&name) { line.replacen(name, &format!("{name}_total"), 1) } else { line.to_owned() }
    });
    named.map(|line| line + "\n").collect()
}

#[test]
fn the_age_of_the_oldest_does_not_count_chats_that_are_gone() {
    let scratch = Scratch::new("oldest");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": 5, "bot": "blocked"}));
    let mut command = tg_send(&scratch, &sandbox);
    let sender = Sender::start(&scratch, command.args(["--metrics", "127.0.0.1:0"]));
    let oldest = || value(&scrape(&sender.process), "tg_send_oldest_waiting_timestamp_seconds");
    sandbox.rules(json!({"match": {"chat_id": 6}, "times": 1, "do": {"flood": {"retry_after": 30}}}));
    sender.stdin().write_all((record(5, "x") + "\n" + &record(6, "y") + "\n").as_bytes()).unwrap();
    sender.process.says("chat 5 is gone");
    until("the one that may be told", || (oldest() > 1e9).then_some(()));
    until("only the gone one to be left", || (oldest() == 0.0).then_some(()));
    assert_eq!(value(&scrape(&sender.process), "tg_send_records_waiting"), 1.0);
}

#[test]
fn a_port_that_is_taken_keeps_no_alert_from_anybody() {
    let scratch = Scratch::new("metrics-taken");
    let sandbox = Sandbox::start(&scratch, &[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(tg_send(&scratch, &sandbox).args(["--metrics", &address]), record(1, "told").as_bytes());
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stderr.contains("for metrics") && output.stderr.contains("going on without"), "{output:?}");
    assert_eq!(sandbox.texts(1), ["told"]);
    let output = run(tg_send(&scratch, &sandbox).args(["--metrics", "nowhere"]), b"");
    assert_eq!(output.code, Some(2), "{output:?}");
}
