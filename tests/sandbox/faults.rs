//! Every scripted fault: what the client sees, whether the message arrived, and what the record says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Broken, Sandbox, Wire, request, send_request};

/// Sends one message under a rule; returns what the client saw, whether it arrived, and the recorded outcome.
fn under(rule: Value) -> (Result<crate::harness::Answer, Broken>, bool, Value) {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"id": "r", "do": rule}));
    let seen = Wire::open(sandbox.api).unwrap().ask(&send_request(1, "text"));
    let record = sandbox.last_request();
    assert_eq!(record["rule"], "r", "{record}");
    let arrived = sandbox.get("state")["summary"]["messages"] == 1;
    (seen, arrived, record)
}

#[test]
fn errors_and_presets_are_answered_as_the_real_server_does() {
    let known: Vec<Value> =
        include_str!("../data/telegram-errors.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let known = |code: u64, description: &str| {
        known.iter().any(|row| row["http_status"] == code && row["body"]["description"] == description)
    };
    let presets = [
        ("cant_parse", 400),
        ("blocked", 403),
        ("kicked", 403),
        ("deactivated", 403),
        ("chat_not_found", 400),
        ("too_long", 400),
        ("thread_not_found", 400),
        ("not_modified", 400),
        ("query_too_old", 400),
        ("unauthorized", 401),
        ("not_found", 404),
        ("conflict_poll", 409),
        ("conflict_webhook", 409),
        ("restart500", 500),
        ("entity_too_large413", 413),
    ];
    // Not among the quoted answers; the words are those of the server's source.
    let unquoted =
        ["cant_parse", "query_too_old", "not_found", "conflict_webhook", "restart500", "entity_too_large413"];
    for (preset, code) in presets {
        let (seen, arrived, record) = under(json!({"preset": preset}));
        let seen = seen.unwrap();
        let body = seen.json();
        assert_eq!((seen.status, &body["ok"], &body["error_code"]), (code, &json!(false), &json!(code)), "{preset}");
        let description = body["description"].as_str().unwrap();
        assert!(unquoted.contains(&preset) || known(u64::from(code), description), "{preset}: {description}");
        assert!(!arrived && record["outcome"] == "rejected", "{record}");
    }
    let (seen, arrived, _) = under(json!({"error": {"code": 418, "description": "Teapot", "parameters": {"a": 1}}}));
    assert_eq!(
        seen.unwrap().json(),
        json!({"ok": false, "error_code": 418, "description": "Teapot", "parameters": {"a": 1}})
    );
    assert!(!arrived);
}

#[test]
fn answers_that_are_not_the_apis() {
    for (rule, status, header, part) in [
        (json!({"html": 502}), 502, None, "<title>502 Bad Gateway</title>"),
        (json!({"html": 504}), 504, None, "nginx"),
        (json!({"http": {"status": 503, "headers": {"X-A": "b"}, "body": "later"}}), 503, Some(("X-A", "b")), "later"),
        (json!({"redirect": "http://127.0.0.1:1/x"}), 302, Some(("Location", "http://127.0.0.1:1/x")), ""),
    ] {
        let (seen, arrived, record) = under(rule);
        let seen = seen.unwrap();
        assert_eq!((seen.status, &record["status"]), (status, &json!(status)));
        assert!(String::from_utf8_lossy(&seen.bytes).contains(part), "{seen:?}");
        assert_eq!(header.map(|(name, _)| seen.header(name).unwrap()), header.map(|(_, value)| value));
        assert!(!arrived && record["outcome"] == "rejected", "{record}");
    }
}

#[test]
fn delivered_and_the_answer_lost() {
    for lost in ["rst", "fin", "http502", "garbage", "truncate"] {
        let (seen, arrived, record) = under(json!({"deliver_then": lost}));
        assert!(arrived && record["outcome"] == "lost_answer", "{lost}: {record}");
        match (lost, seen) {
            ("rst", Err(Broken::Reset)) => {}
            ("fin", Err(Broken::End(bytes))) if bytes.is_empty() => {}
            ("http502", Ok(answer)) if answer.status == 502 => {}
            ("garbage", Ok(answer))
                if answer.status == 200 && serde_json::from_slice::<Value>(&answer.bytes).is_err() => {}
            ("truncate", Err(Broken::End(bytes))) if !bytes.is_empty() => {}
            (_, seen) => panic!("{lost}: {seen:?}"),
        }
    }
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"do": {"deliver_then": "hang"}}));
    let mut wire = Wire::open(sandbox.api).unwrap();
    wire.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(wire.ask(&send_request(1, "text")).unwrap_err(), Broken::Silent);
    sandbox.get("requests?count=1&wait_ms=30000");
    assert_eq!(sandbox.texts(1), ["text"]);
    drop(wire);
    sandbox.send(1, "text");
    assert_eq!(sandbox.violation("duplicate_text"), 1);
    assert_eq!(sandbox.violation("same_chat_parallel"), 0, "a hanging answer is not under way");
}

#[test]
fn resets_before_anything_is_done() {
    for phase in ["after_headers", "mid_body"] {
        let (seen, arrived, record) = under(json!({"rst": phase}));
        assert_eq!(seen.unwrap_err(), Broken::Reset, "{phase}");
        assert!(!arrived && record["outcome"] == "dropped", "{record}");
    }
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"match": {"conn_nth": 2}, "do": {"rst": "on_accept"}}));
    assert_eq!(sandbox.send(1, "a").status, 200);
    assert_eq!(
        Wire::open(sandbox.api).and_then(|mut wire| wire.ask(&send_request(1, "b"))).unwrap_err(),
        Broken::Reset
    );
    assert_eq!(sandbox.send(1, "c").status, 200);
    assert_eq!(sandbox.texts(1), ["a", "c"]);
}

#[test]
fn a_large_upload_is_cut_in_the_middle() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"match": {"method": "sendDocument"}, "do": {"rst": "mid_body"}}));
    let mut wire = Wire::open(sandbox.api).unwrap();
    let body = vec![b'x'; 40 << 20];
    // The write itself fails: the server never read the rest.
    assert_eq!(
        wire.ask(&request("sendDocument", "multipart/form-data; boundary=B", &body)).unwrap_err(),
        Broken::Reset
    );
    assert_eq!(sandbox.get("state")["summary"]["messages"], 0);
    // A rule that asks for the chat has to wait for the body, and resets then.
    sandbox.rule(json!({"match": {"chat_id": 3}, "do": {"rst": "mid_body"}}));
    assert_eq!(sandbox.send(2, "x").status, 200);
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(&send_request(3, "x")).unwrap_err(), Broken::Reset);
}

#[test]
fn hanging_and_slow() {
    let start = Instant::now();
    let (seen, arrived, record) = under(json!({"hang_ms": 200, "then": "close"}));
    assert_eq!((seen.unwrap_err(), arrived, &record["outcome"]), (Broken::End(Vec::new()), false, &json!("dropped")));
    let (seen, arrived, _) = under(json!({"hang_ms": 200, "then": "ok"}));
    assert_eq!((seen.unwrap().status, arrived), (200, true));
    assert!(start.elapsed() >= Duration::from_millis(400));
    let start = Instant::now();
    let (seen, arrived, record) = under(json!({"slow": {"first_byte_ms": 100, "chunk": 50, "gap_ms": 20}}));
    assert_eq!(
        (seen.unwrap().json()["ok"].clone(), arrived, &record["outcome"]),
        (json!(true), true, &json!("delivered"))
    );
    assert!(start.elapsed() >= Duration::from_millis(180));
}

#[test]
fn malformed_answers() {
    for (shape, outcome) in [
        ("json", "lost_answer"),
        ("empty", "lost_answer"),
        ("utf8", "lost_answer"),
        ("missing_ok", "lost_answer"),
        ("bad_content_length", "lost_answer"),
        ("null_result", "delivered"),
        ("huge", "delivered"),
        ("extra_fields", "delivered"),
        ("close_delimited", "delivered"),
        ("chunked", "delivered"),
        ("http200_ok_false", "rejected"),
    ] {
        let (seen, arrived, record) = under(json!({"malformed": shape}));
        assert_eq!((&record["outcome"], arrived), (&json!(outcome), outcome != "rejected"), "{shape}");
        if shape == "bad_content_length" {
            assert!(matches!(seen, Err(Broken::End(bytes)) if !bytes.is_empty()));
            continue;
        }
        let seen = seen.unwrap();
        assert_eq!(seen.status, 200, "{shape}");
        let json = serde_json::from_slice::<Value>(&seen.bytes);
        match shape {
            "json" => assert!(json.is_err() && !seen.bytes.is_empty()),
            "empty" => assert!(seen.bytes.is_empty()),
            "utf8" => assert!(std::str::from_utf8(&seen.bytes).is_err()),
            "missing_ok" => assert!(json.unwrap().get("ok").is_none()),
            "null_result" => assert_eq!(json.unwrap(), json!({"ok": true, "result": null})),
            "huge" => assert!(seen.bytes.len() > 8 << 20 && json.unwrap()["result"]["text"] == "text"),
            "extra_fields" => assert!(json.unwrap()["result"]["chat"].as_object().unwrap().len() > 3),
            "close_delimited" => assert!(seen.header("content-length").is_none() && json.unwrap()["ok"] == true),
            "chunked" => assert!(seen.header("transfer-encoding").is_some() && json.unwrap()["ok"] == true),
            _ => assert_eq!(json.unwrap()["parameters"]["retry_after"], 1),
        }
    }
}

#[test]
fn a_kept_connection_is_closed_while_idle() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"do": {"idle_close_ms": 50}}));
    let mut wire = Wire::open(sandbox.api).unwrap();
    assert_eq!(wire.ask(&send_request(1, "a")).unwrap().status, 200);
    assert_eq!(wire.answer().unwrap_err(), Broken::End(Vec::new()), "closed without a word");
}

#[test]
fn the_port_is_closed_for_a_while() {
    for by_rule in [true, false] {
        let sandbox = Sandbox::start(&[]);
        let mut idle = Wire::open(sandbox.api).unwrap();
        assert_eq!(idle.ask(&send_request(1, "before")).unwrap().status, 200);
        let start = Instant::now();
        if by_rule {
            sandbox.rule(json!({"match": {"chat_id": 9}, "do": {"refuse_ms": 2000}}));
            assert!(Wire::open(sandbox.api).unwrap().ask(&send_request(9, "x")).is_err());
        } else {
            sandbox.post("outage", json!({"ms": 2000}));
        }
        assert!(idle.ask(&send_request(1, "on the old connection")).is_err());
        let mut refused = 0;
        let answer = loop {
            match Wire::open(sandbox.api).and_then(|mut wire| wire.ask(&send_request(1, "after"))) {
                Ok(answer) => break answer,
                Err(Broken::Refused) => refused += 1,
                Err(_) => {}
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it does not come back");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(
            refused > 0 && start.elapsed() >= Duration::from_millis(1950),
            "{refused} refused in {:?}",
            start.elapsed()
        );
        assert_eq!(answer.status, 200);
        assert_eq!(sandbox.texts(1), ["before", "after"]);
    }
}

#[test]
fn a_group_moves() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"match": {"chat_id": -5}, "do": {"migrate": {"to": -1_000_000_000_077i64}}}));
    for _ in 0..2 {
        let body = sandbox.send(-5, "x").json();
        assert_eq!(body["description"], "Bad Request: group chat was upgraded to a supergroup chat");
        assert_eq!(body["parameters"], json!({"migrate_to_chat_id": -1_000_000_000_077i64}));
    }
    assert_eq!(sandbox.send(-1_000_000_000_077, "x").status, 200);
    let updates = sandbox.ok("getUpdates", json!({}));
    assert_eq!(updates[0]["message"]["migrate_to_chat_id"], -1_000_000_000_077i64);
    assert_eq!(
        (&updates[1]["message"]["migrate_from_chat_id"], &updates[1]["message"]["chat"]["id"]),
        (&json!(-5), &json!(-1_000_000_000_077i64))
    );
}

#[test]
fn updates_come_wrong() {
    let start = || {
        let sandbox = Sandbox::start(&[]);
        sandbox.send(1, "the bot is known");
        for text in ["a", "b"] {
            sandbox.post("say", json!({"chat": 1, "text": text}));
        }
        sandbox
    };
    let texts = |updates: &Value| -> Vec<String> {
        updates
            .as_array()
            .unwrap()
            .iter()
            .map(|update| update["message"]["text"].as_str().unwrap_or("?").to_owned())
            .collect()
    };
    for (fault, expected) in
        [("dup", vec!["a", "a", "b", "b"]), ("reorder", vec!["b", "a"]), ("unknown_type", vec!["a", "b", "?"])]
    {
        let sandbox = start();
        sandbox.rule(json!({"match": {"method": "getUpdates"}, "do": {"update": fault}}));
        assert_eq!(texts(&sandbox.ok("getUpdates", json!({}))), expected, "{fault}");
    }
    let sandbox = start();
    sandbox.rule(json!({"match": {"method": "getUpdates", "nth": 2}, "do": {"update": "id_jump"}}));
    let before = sandbox.ok("getUpdates", json!({"timeout": 1, "limit": 2}));
    let after = sandbox.ok("getUpdates", json!({"timeout": 5, "limit": 3, "offset": 1}));
    let id = |updates: &Value, n: usize| updates[n]["update_id"].as_i64().unwrap();
    assert_eq!(id(&after, 1), id(&before, 1) + 1_000_000);
    sandbox.ok("getUpdates", json!({"timeout": 0, "offset": id(&after, 1) + 1}));
    sandbox.post("say", json!({"chat": 1, "text": "c"}));
    assert_eq!(
        texts(&sandbox.ok("getUpdates", json!({"offset": id(&after, 1) + 1, "timeout": 5}))),
        ["c"],
        "the queue goes on"
    );
    let sandbox = start();
    sandbox.rule(json!({"match": {"method": "getUpdates"}, "do": {"update": "stale_date"}}));
    let date = sandbox.ok("getUpdates", json!({}))[0]["message"]["date"].as_i64().unwrap();
    assert!(sandbox.get("state")["unix"].as_i64().unwrap() - date > 86_400);
    let sandbox = start();
    sandbox.rule(json!({"match": {"method": "getUpdates"}, "do": {"update": "bad_json"}}));
    assert!(serde_json::from_slice::<Value>(&sandbox.bot("getUpdates", json!({})).bytes).is_err());
    let again = sandbox.ok("getUpdates", json!({"timeout": 5, "offset": -5}));
    assert_eq!(texts(&again), ["a", "b"], "what could not be read comes again");
}
