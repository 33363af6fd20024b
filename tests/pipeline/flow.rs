//! What is accepted arrives, once, where it was wanted.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::*;

#[test]
fn an_alert_reaches_those_who_want_it_and_nobody_else() {
    let scratch = Scratch::new("flow");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "disk", "2": "cpu|mem", "-3": {"labels": ["severity=\"warning\""]}}"#);
    let pipeline = Pipeline::start(&scratch, &sandbox);
    assert_eq!(post(&pipeline.url, &webhook(&["DiskFull"])), 200);
    until("the message", || (!sandbox.messages(-3).is_empty() && !sandbox.messages(1).is_empty()).then_some(()));
    assert_eq!(post(&pipeline.url, &webhook(&["DiskFull"])), 200, "Alertmanager repeats itself");
    assert_eq!(post(&pipeline.url, &webhook(&["HighCPU"])), 200);
    until("the second message", || (sandbox.messages(2).len() == 1 && sandbox.messages(-3).len() == 2).then_some(()));
    assert_eq!(sandbox.messages(1).len(), 1, "told once");
    assert!(sandbox.texts(1)[0].starts_with("🟠 DiskFull · warning\nsummary of DiskFull\n"), "{:?}", sandbox.texts(1));
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_resolved_alert_answers_the_message_that_told_it_firing() {
    let scratch = Scratch::new("resolved");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    let pipeline = Pipeline::start(&scratch, &sandbox);
    assert_eq!(post(&pipeline.url, &payload("12a-am025-flap-1-firing.json")), 200);
    until("the first message", || (sandbox.messages(1).len() == 1).then_some(()));
    assert_eq!(post(&pipeline.url, &payload("12b-am025-flap-2-resolved.json")), 200);
    until("the second message", || (sandbox.messages(1).len() == 2).then_some(()));
    assert_eq!(post(&pipeline.url, &payload("12c-am025-flap-3-firing-again.json")), 200);
    until("the third message", || (sandbox.messages(1).len() == 3).then_some(()));
    let messages = sandbox.messages(1);
    assert!(messages[1]["text"].as_str().unwrap().starts_with("✅ "), "{messages:?}");
    assert_eq!(messages[1]["reply_to_message"]["message_id"], messages[0]["message_id"], "{messages:?}");
}

#[test]
fn subscriptions_change_while_the_pipe_runs() {
    let scratch = Scratch::new("reload");
    let sandbox = Sandbox::start(&scratch, &[]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    let pipeline = Pipeline::start(&scratch, &sandbox);
    assert_eq!(post(&pipeline.url, &webhook(&["A"])), 200);
    scratch.write("users.json", "{");
    assert_eq!(post(&pipeline.url, &webhook(&["B"])), 200, "the old file stays in force");
    pipeline.route.says("the users as they were stay in force");
    scratch.write("users.json", r#"{"2": "*"}"#);
    assert_eq!(post(&pipeline.url, &webhook(&["C"])), 200);
    until("three messages", || {
        let told = sandbox.texts(1).join("\n");
        (told.contains("of A") && told.contains("of B") && sandbox.texts(2).join("").contains("of C")).then_some(())
    });
    assert!(!sandbox.texts(1).join("\n").contains("of C"));
}

/// A webhook that is more than one reading was told in parts: the first while the rest was still in the pipe.
#[test]
fn what_came_in_one_webhook_is_told_together() {
    for ack in [true, false] {
        let scratch = Scratch::new("together");
        let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
        scratch.write("users.json", r#"{"1": "*"}"#);
        let pipeline = Pipeline::with(&scratch, &mut tg_send(&scratch, &sandbox), &[], ack);
        let names: Vec<String> = (0..300).map(|n| format!("Storm{n}x")).collect();
        let mut storm: Value =
            serde_json::from_str(&webhook(&names.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
        for alert in storm["alerts"].as_array_mut().unwrap() {
            alert["annotations"]["description"] = "It goes on and on. ".repeat(10).into();
        }
        assert_eq!(post(&pipeline.url, &storm.to_string()), 200);
        until("the summary", || (!sandbox.messages(1).is_empty()).then_some(()));
        assert!(sandbox.texts(1)[0].starts_with("⛈ 300 alerts "), "ack {ack}: {:?}", sandbox.texts(1));
        let all = sandbox.everything(1).remove(0);
        assert!(names.iter().all(|name| all.contains(&format!("summary of {name}"))), "{all}");
        assert_eq!(post(&pipeline.url, &webhook(&["After"])), 200);
        until("what comes after it", || (sandbox.messages(1).len() == 2).then_some(()));
        assert_eq!(sandbox.violations(), []);
    }
}

#[test]
fn without_ack_a_line_that_is_written_is_enough() {
    let scratch = Scratch::new("no-ack");
    let sandbox = Sandbox::start(&scratch, &[]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    let pipeline = Pipeline::with(&scratch, &mut tg_send(&scratch, &sandbox), &[], false);
    assert_eq!(post(&pipeline.url, &webhook(&["A"])), 200);
    until("the message", || (sandbox.messages(1).len() == 1).then_some(()));
}

#[test]
fn nothing_is_answered_200_that_is_not_on_disk() {
    let scratch = Scratch::new("unacked");
    let sandbox = Sandbox::start(&scratch, &[]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    // A tg-send that does not acknowledge, as one that hangs.
    let mut send = tg_send(&scratch, &sandbox);
    let socket = scratch.path("ack.sock");
    let mut pipeline = Pipeline::with(&scratch, &mut send, &["--ack-timeout", "0.3"], true);
    // One that only starts may take longer than that.
    until("the first to be taken", || (post(&pipeline.url, &webhook(&["A"])) == 200).then_some(()));
    assert!(socket.exists());
    pipeline.send.kill();
    let (status, text) = answer(&pipeline.url, &webhook(&["B"])).unwrap();
    assert_eq!(status, 503, "{text}");
}

#[test]
fn an_outage_of_telegram_is_no_outage_of_the_webhook() {
    let scratch = Scratch::new("outage");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    let pipeline = Pipeline::start(&scratch, &sandbox);
    sandbox.rules(json!([{"id": "down", "match": {}, "times": -1, "do": {"rst": "on_accept"}}]));
    for n in 0..20 {
        assert_eq!(post(&pipeline.url, &webhook(&[&format!("Outage{n}x")])), 200);
    }
    thread::sleep(Duration::from_millis(1500));
    sandbox.clear_rules();
    until("all of them", || {
        let told = sandbox.texts(1).join("\n");
        (0..20).all(|n| told.contains(&format!("summary of Outage{n}x"))).then_some(())
    });
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_tool_that_is_asked_to_end_finishes_what_is_in_flight() {
    let scratch = Scratch::new("terminate");
    let sandbox = Sandbox::start(&scratch, &[]);
    sandbox.rules(
        json!([{"id": "slow", "match": {"method": "sendMessage"}, "times": 1, "do": {"slow": {"first_byte_ms": 700}}}]),
    );
    scratch.write("users.json", r#"{"1": "*"}"#);
    let mut pipeline = Pipeline::start(&scratch, &sandbox);
    assert_eq!(post(&pipeline.url, &webhook(&["A"])), 200);
    until("the request", || (sandbox.requests("sendMessage").len() == 1).then_some(()));
    pipeline.send.terminate();
    assert!(pipeline.send.wait().success());
    drop(pipeline);
    let again = run(tg_send(&scratch, &sandbox).args(["--timeout", "5"]), b"");
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(sandbox.messages(1).len(), 1, "not told twice");
}
