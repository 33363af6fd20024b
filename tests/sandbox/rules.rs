//! Which requests a rule is for; and faults in front of another server.

use std::io::Write;

use serde_json::{Value, json};

use crate::harness::{Sandbox, TOKEN, Wire, png, send_request};

#[test]
fn rules_match_what_they_say() {
    let statuses = |rule: Value, calls: &[(&str, i64, &str)]| -> Vec<u16> {
        let sandbox = Sandbox::start(&[]);
        sandbox.rule(rule);
        let call = |(method, chat, text): &(&str, i64, &str)| {
            sandbox.bot(method, json!({"chat_id": chat, "text": text, "action": "typing"})).status
        };
        calls.iter().map(call).collect()
    };
    let a = ("sendMessage", 1, "a");
    let teapot = json!({"error": {"code": 418, "description": "x"}});
    for (rule, calls, expected) in [
        (json!({}), vec![a, a], vec![418, 200]),
        (json!({"times": -1}), vec![a, a], vec![418, 418]),
        (json!({"times": 2, "skip": 1}), vec![a, a, a, a], vec![200, 418, 418, 200]),
        (json!({"times": -1, "match": {"nth": 2}}), vec![a, a, a], vec![200, 418, 200]),
        (json!({"times": -1, "match": {"chat_id": 2}}), vec![a, ("sendMessage", 2, "b")], vec![200, 418]),
        (json!({"times": -1, "match": {"chat_id": "2"}}), vec![a, ("sendMessage", 2, "b")], vec![200, 418]),
        (json!({"times": -1, "match": {"text~": "isk"}}), vec![a, ("sendMessage", 1, "disk")], vec![200, 418]),
        (
            json!({"times": -1, "match": {"method": "SendChatAction"}}),
            vec![a, ("sendChatAction", 1, "")],
            vec![200, 418],
        ),
        (
            json!({"times": -1, "match": {"method": "send*"}}),
            vec![a, ("sendChatAction", 1, ""), ("getMe", 1, "")],
            vec![418, 418, 200],
        ),
        (json!({"times": -1, "match": {"token": TOKEN}}), vec![a], vec![418]),
        (json!({"times": -1, "match": {"token": "1:x"}}), vec![a], vec![200]),
        (json!({"times": -1, "match": {"conn_nth": 2}}), vec![a, a, a], vec![200, 418, 200]),
        (json!({"times": -1, "match": {"reused": true}}), vec![a, a], vec![200, 200]),
        (json!({"times": -1, "prob": 0.0}), vec![a; 20], vec![200; 20]),
    ] {
        let mut rule = rule;
        rule["do"] = teapot.clone();
        assert_eq!(statuses(rule.clone(), &calls), expected, "{rule}");
    }
    let half = json!({"times": -1, "prob": 0.5, "do": teapot});
    let first = statuses(half.clone(), &[a; 40]);
    assert!(first.contains(&200) && first.contains(&418), "{first:?}");
    assert_eq!(statuses(half, &[a; 40]), first, "the same seed, the same run");
}

#[test]
fn rules_are_read_from_a_file() {
    let file = std::env::temp_dir().join(format!("tg-sandbox-rules-{}.jsonl", std::process::id()));
    let path = file.to_str().unwrap();
    std::fs::write(&file, "{\"do\": {\"html\": 502}}\n\n{\"times\": -1, \"do\": {\"preset\": \"blocked\"}}\n").unwrap();
    let sandbox = Sandbox::start(&["--rules", path]);
    let statuses = [1, 2, 3].map(|chat| sandbox.send(chat, "x").status);
    assert_eq!(statuses, [502, 403, 403]);
    sandbox.post("reset", json!({}));
    assert_eq!(sandbox.send(1, "x").status, 502, "a reset is as it was started");
    for (text, place) in [("{}\n{", ":2: "), ("{\"do\": {\"html\": \"x\"}}", "bad rule")] {
        std::fs::write(&file, text).unwrap();
        let out =
            std::process::Command::new(env!("CARGO_BIN_EXE_tg-sandbox")).args(["--rules", path]).output().unwrap();
        let told = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.code() == Some(2) && told.contains(place), "{told}");
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_request_counts_once_for_a_reset_too() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"times": -1, "match": {"nth": 2}, "do": {"rst": "after_headers"}}));
    assert_eq!(sandbox.send(1, "a").status, 200);
    assert!(Wire::open(sandbox.api).unwrap().ask(&send_request(1, "b")).is_err());
    assert_eq!(sandbox.send(1, "c").status, 200);
    assert_eq!(sandbox.get("rules")[0]["seen"], 3);
}

#[test]
fn the_first_rule_wins_and_bad_ones_are_refused_whole() {
    let sandbox = Sandbox::start(&[]);
    sandbox.post(
        "rules",
        json!([
            {"id": "first", "times": -1, "match": {"chat_id": 1}, "do": {"pass": true}},
            {"id": "second", "times": -1, "do": {"html": 502}},
        ]),
    );
    assert_eq!((sandbox.send(1, "x").status, sandbox.send(2, "x").status), (200, 502));
    let rules = sandbox.get("rules");
    assert_eq!((&rules[0]["hits"], &rules[1]["hits"]), (&json!(1), &json!(1)));
    for bad in [
        json!({"do": {"explode": true}}),
        json!({"do": {"html": 502}, "match": {"chat": 1}}),
        json!({"do": {"hang_ms": 1, "then": "what"}}),
        json!({"match": {}}),
        json!([{"id": "good", "do": {"pass": true}}, {"do": 1}]),
    ] {
        assert_eq!(sandbox.post_fails("rules", bad), 400);
    }
    assert_eq!(sandbox.get("rules").as_array().unwrap().len(), 2);
    assert_eq!(sandbox.delete("rules/second"), json!({"removed": 1}));
    assert_eq!(sandbox.send(2, "x").status, 200);
    assert_eq!(sandbox.delete("rules"), json!({"removed": 1}));
}

#[test]
fn faults_stand_in_front_of_another_server() {
    let behind = Sandbox::start(&["--strict"]);
    behind.post("chat", json!({"id": 1}));
    let front = Sandbox::start(&["--upstream", &format!("http://127.0.0.1:{}", behind.api)]);
    assert_eq!(front.send(1, "through").json()["result"]["text"], "through");
    assert_eq!(front.send(2, "x").json()["description"], "Bad Request: chat not found", "its answer, its status");
    let sent = front.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &png(10, 10, 0))]);
    assert_eq!(sent.json()["result"]["photo"][0]["width"], 10);
    front.rule(json!({"do": {"html": 502}}));
    assert_eq!(front.send(1, "lost").status, 502);
    front.rule(json!({"do": {"deliver_then": "fin"}}));
    assert!(Wire::open(front.api).unwrap().ask(&send_request(1, "ambiguous")).is_err());
    assert_eq!(behind.texts(1), ["through", "", "ambiguous"]);
    front.post("limits", json!({"mode": "enforce", "per_chat": {"ms": 3_600_000}}));
    assert_eq!((front.send(1, "one").status, front.send(1, "two").status), (200, 429));
    assert_eq!(front.get("requests").as_array().unwrap().len(), 7);
}

#[test]
fn control_stays_reachable_under_every_fault() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"times": -1, "do": {"hang_ms": 100_000}}));
    let mut waiting: Vec<Wire> = (0..20).map(|_| Wire::open(sandbox.api).unwrap()).collect();
    for wire in &mut waiting {
        wire.stream.write_all(&send_request(1, "x")).unwrap();
    }
    sandbox.post("outage", json!({"ms": 100_000}));
    assert_eq!(sandbox.get("state")["summary"]["messages"], 0);
}
