//! Telegram's limits. Times are made long, so that a slow machine fails nothing; nothing here is asserted to be fast.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Sandbox, Wire, png, send_request};

/// Windows that no test can leave by being slow.
fn wide(sandbox: &Sandbox, mode: &str) {
    let hour = 3_600_000;
    sandbox.post("limits", json!({"mode": mode, "per_chat": {"n": 2, "ms": hour}, "group": {"n": 3, "ms": hour}, "overall": {"n": 6, "ms": hour}}));
}

#[test]
fn enforced_per_chat_per_group_and_over_all() {
    let sandbox = Sandbox::start(&["--limits", "enforce"]);
    wide(&sandbox, "enforce");
    assert_eq!(sandbox.send(1, "a").status, 200);
    assert_eq!(sandbox.send(1, "b").status, 200);
    let refused = sandbox.send(1, "c");
    let body = refused.json();
    let wait = body["parameters"]["retry_after"].as_u64().unwrap();
    assert!((3_000..=3_600).contains(&wait), "{body}");
    assert_eq!((refused.status, &body["description"]), (429, &json!(format!("Too Many Requests: retry after {wait}"))));
    assert_eq!(refused.header("retry-after"), Some(wait.to_string().as_str()));
    assert_eq!(sandbox.texts(1), ["a", "b"], "what was refused was not delivered");
    assert_eq!((sandbox.violation("per_chat"), sandbox.violation("early_retry")), (1, 0));
    assert_eq!(sandbox.send(1, "c").status, 429);
    assert_eq!((sandbox.violation("per_chat"), sandbox.violation("early_retry")), (1, 1));
    for chat in [2, 3, 4, 5] {
        assert_eq!(sandbox.send(chat, "x").status, 200, "another chat is not touched");
    }
    assert_eq!(sandbox.send(6, "x").status, 429, "the seventh over all");
    assert_eq!(sandbox.violation("overall"), 1);
}

#[test]
fn a_group_has_its_minute_and_a_person_has_not() {
    let sandbox = Sandbox::start(&[]);
    sandbox.post("limits", json!({"mode": "enforce", "per_chat": {"n": 100}, "group": {"n": 3, "ms": 3_600_000}}));
    for (chat, fourth) in [(-5, 429), (-1_000_000_000_007, 429), (5, 200)] {
        let answers: Vec<u16> = (0..4).map(|n| sandbox.send(chat, &n.to_string()).status).collect();
        assert_eq!(answers, [200, 200, 200, fourth], "{chat}");
    }
    assert_eq!(sandbox.violation("group_minute"), 2);
}

#[test]
fn counted_only() {
    let sandbox = Sandbox::start(&["--limits", "count"]);
    wide(&sandbox, "count");
    for n in 0..4 {
        assert_eq!(sandbox.send(1, &n.to_string()).status, 200);
    }
    assert_eq!((sandbox.violation("per_chat"), sandbox.violation("overall")), (2, 0));
    assert_eq!(sandbox.texts(1).len(), 4);
}

#[test]
fn what_counts_and_what_does_not() {
    let sandbox = Sandbox::start(&[]);
    wide(&sandbox, "enforce");
    let id = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x"}))["message_id"].clone();
    for _ in 0..10 {
        sandbox.ok("sendChatAction", json!({"chat_id": 1, "action": "typing"}));
        sandbox.ok("getChat", json!({"chat_id": 1}));
    }
    assert_eq!(
        sandbox.refused("sendMessage", json!({"chat_id": 1, "text": ""})).0,
        400,
        "a refused one does not count"
    );
    sandbox.ok("editMessageText", json!({"chat_id": 1, "message_id": id, "text": "y"}));
    assert_eq!(
        sandbox.refused("editMessageText", json!({"chat_id": 1, "message_id": id, "text": "z"})).0,
        429,
        "edits share the limit"
    );
}

/// A picture that is replaced is uploaded, checked and counted once.
#[test]
fn an_edited_picture_counts_once() {
    let sandbox = Sandbox::start(&[]);
    sandbox.post("limits", json!({"mode": "enforce", "per_chat": {"n": 3, "ms": 3_600_000}}));
    let picture = png(30, 20, 0);
    let sent = sandbox.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &picture)]).json();
    let id = sent["result"]["message_id"].to_string();
    let media = "{\"type\":\"photo\",\"media\":\"attach://x\"}";
    let params = [("chat_id", "1"), ("message_id", id.as_str()), ("media", media)];
    let edit = || sandbox.upload("editMessageMedia", &params, &[("x", "p.png", &picture)]).status;
    assert_eq!([edit(), edit(), edit()], [200, 200, 429]);
}

#[test]
fn the_scale_divides_windows_and_what_is_told() {
    let sandbox = Sandbox::start(&["--limits", "enforce", "--scale", "10"]);
    sandbox.post("limits", json!({"per_chat": {"n": 1, "ms": 3_600_000}}));
    sandbox.send(1, "a");
    let wait = sandbox.send(1, "b").json()["parameters"]["retry_after"].as_u64().unwrap();
    assert!((300..=360).contains(&wait), "{wait}");
    sandbox.rule(json!({"do": {"flood": {"retry_after": 600}}}));
    assert_eq!(sandbox.send(2, "a").json()["parameters"]["retry_after"], 60);
}

#[test]
fn a_short_wait_is_held_where_that_is_wanted() {
    let sandbox = Sandbox::start(&["--limits", "enforce"]);
    sandbox.post("limits", json!({"hold_ms": 8000, "slack_ms": 0, "per_chat": {"ms": 300}}));
    let start = Instant::now();
    for n in 0..3 {
        assert_eq!(sandbox.send(1, &n.to_string()).status, 200);
    }
    assert!(start.elapsed() >= Duration::from_millis(599), "{:?}", start.elapsed());
    sandbox.post("limits", json!({"per_chat": {"ms": 3_600_000}}));
    assert_eq!(sandbox.send(1, "x").status, 429, "a long wait is not held");
}

#[test]
fn a_frozen_chat_is_frozen_as_long_as_was_told() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"match": {"chat_id": 1}, "do": {"flood": {"retry_after": 1}}}));
    assert_eq!(sandbox.send(1, "x").json()["parameters"]["retry_after"], 1);
    let start = Instant::now();
    assert_eq!(sandbox.send(2, "x").status, 200);
    std::thread::sleep(Duration::from_millis(1000).saturating_sub(start.elapsed()));
    assert_eq!(sandbox.send(1, "x").status, 200);
    assert_eq!(sandbox.violation("early_retry"), 0, "a client that waits as long as it was told is not early");
    sandbox.rule(json!({"match": {"chat_id": 1}, "do": {"flood": {"retry_after": 3600, "scope": "all"}}}));
    assert_eq!((sandbox.send(1, "y").status, sandbox.send(2, "y").status), (429, 429));
}

#[test]
fn two_at_once_to_one_chat_are_seen() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"times": -1, "match": {"text~": "slow"}, "do": {"slow": {"first_byte_ms": 600_000}}}));
    let mut first = Wire::open(sandbox.api).unwrap();
    std::io::Write::write_all(&mut first.stream, &send_request(1, "slow")).unwrap();
    sandbox.get("requests?count=1&wait_ms=30000");
    sandbox.send(2, "x");
    assert_eq!(sandbox.violation("same_chat_parallel"), 0);
    sandbox.send(1, "x");
    assert_eq!(sandbox.violation("same_chat_parallel"), 1);
    sandbox.call("getChat", "application/json", b"{\"chat_id\":1}").unwrap();
    assert_eq!(sandbox.violation("same_chat_parallel"), 1, "only messages");
}

#[test]
fn order_and_doubles_are_seen() {
    let sandbox = Sandbox::start(&[]);
    for text in ["a #1", "b #2 #3", "c #3"] {
        sandbox.send(1, text);
    }
    sandbox.send(2, "a #1");
    assert_eq!((sandbox.violation("order"), sandbox.violation("duplicate_text")), (0, 0));
    sandbox.send(1, "late #2");
    sandbox.send(1, "a #1");
    assert_eq!((sandbox.violation("order"), sandbox.violation("duplicate_text")), (2, 1));
}

#[test]
fn an_equal_answer_to_a_person_is_no_double() {
    let sandbox = Sandbox::start(&[]);
    for _ in 0..2 {
        sandbox.post("say", json!({"chat": 1, "text": "/stop"}));
        sandbox.send(1, "no alerts any more");
    }
    sandbox.post("say", json!({"chat": 2, "text": "/stop"}));
    assert_eq!(sandbox.violation("duplicate_text"), 0);
    sandbox.send(1, "no alerts any more");
    assert_eq!(sandbox.violation("duplicate_text"), 1, "that one answers nothing, and what others say is theirs");
}

#[test]
fn many_connections_are_served_at_once() {
    let sandbox = Sandbox::start(&["--keep", "1000"]);
    std::thread::scope(|scope| {
        for chat in 1..=8 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let mut wire = Wire::open(sandbox.api).unwrap();
                for n in 0..250 {
                    assert_eq!(wire.ask(&send_request(chat, &format!("#{n}"))).unwrap().status, 200);
                }
            });
        }
    });
    let state = sandbox.get("state");
    assert_eq!(state["summary"]["messages"], 2000);
    let kept: u64 = state["chats"].as_array().unwrap().iter().map(|chat| chat["kept"].as_u64().unwrap()).sum();
    assert_eq!(kept, 1000, "--keep bounds what is in memory");
    assert_eq!(sandbox.get("requests").as_array().unwrap().len(), 1000);
    assert_eq!(sandbox.violation("order"), 0);
}
